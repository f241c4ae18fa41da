"""Recurrent networks that must remember what they saw first: what becomes of the gradient from step to step.

The gradient at the input of a step is as far from the loss as the step is from the end.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import log

import numpy as np
from theory import gradient_norms, sigmoid
from training import RATE, Outcome, Rows, fit, relative

import chainrule as cr
from chainrule import losses, nn, optim

SYMBOLS = 4
"""One of so many is shown at the first step, and to be told at the last; nothing but noise comes between."""

STEPS = 100
NOISE = 0.03  # its standard deviation
WIDTH = 32


@dataclass(frozen=True)
class Design:
    """A recurrent network.

    Attributes:
        name: in the table and the picture.
        remedy: the panel of the picture.
        cell: "tanh" or "relu" for an RNN with that activation, or "lstm".
        start: of an RNN the multiple of the identity that the recurrent weight starts as, None for the default; of an
            LSTM, whose recurrent weights start as zero, the bias of the forget gate.
        clip: norm to which gradients are clipped.
    """

    name: str
    remedy: str
    cell: str
    start: float | None = None
    clip: float | None = None

    def predicted(self) -> np.ndarray:
        """The norm of the gradient by step, as a multiple of that at the last step."""
        if self.start is None:
            return gradient_norms("plain", self.cell, STEPS, 1 / 3, 2 / 3 / WIDTH)
        factor = float(sigmoid(np.float64(self.start))) if self.cell == "lstm" else self.start
        return factor ** np.arange(STEPS - 1.0, -1.0, -1.0)


ONE_IN_STEPS = log(STEPS - 1)
"""The bias of a forget gate that lets 1 - 1 / steps pass (Tallec & Ollivier, "Can recurrent neural networks warp
time?", ICLR 2018)."""

DESIGNS = [
    Design("RNN, tanh", "Gating, 100 steps", "tanh"),
    Design("LSTM, half forgotten", "Gating, 100 steps", "lstm", 0.0),
    Design("LSTM, 1 % forgotten", "Gating, 100 steps", "lstm", ONE_IN_STEPS),
    Design("RNN, relu, 1.05 I", "Gating, 100 steps", "relu", 1.05),
    Design("RNN, clipped to 1", "Clipping", "relu", 1.05, clip=1.0),
]
"""The last is the one before it with a remedy."""


class Network(nn.Module):
    """A recurrent layer, and scores of the symbols from its last output."""

    def __init__(self, design: Design) -> None:
        if design.cell == "lstm":
            self.layer = nn.LSTM(SYMBOLS, WIDTH, batch_first=True)
            forget = np.arange(4 * WIDTH) // WIDTH == 1  # gates in order: input, forget, cell, output
            start, bias = np.zeros((4 * WIDTH, WIDTH)), np.where(forget, design.start, 0.0)
        else:
            self.layer = nn.RNN(SYMBOLS, WIDTH, nonlinearity=design.cell, batch_first=True)
            start, bias = np.eye(WIDTH) * (design.start or 0.0), np.zeros(WIDTH)
        if design.start is not None:
            self.layer.weight_hh_l0.assign(start.astype(np.float32))
            self.layer.bias_ih_l0.assign(bias.astype(np.float32))
            self.layer.bias_hh_l0.assign(np.zeros_like(bias, np.float32))
        self.head = nn.Linear(WIDTH, SYMBOLS)

    def forward(self, x: cr.Tensor) -> cr.Tensor:
        """Scores [batch, symbols] for x [batch, steps, symbols]."""
        out, _ = self.layer(x)
        return self.head(out[:, -1])


def sequences(rows: int, seed: int) -> Rows:
    """Sequences [rows, steps, symbols] and the symbols that they start with."""
    rng = np.random.default_rng(seed)
    y = rng.integers(SYMBOLS, size=rows)
    x = rng.normal(0.0, NOISE, (rows, STEPS, SYMBOLS)).astype(np.float32)
    x[:, 0] = np.eye(SYMBOLS)[y]
    return x, y


def gradient_by_step(network: Network, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """The norm of the gradient with respect to the input of each step, as a multiple of that at the last."""
    found = cr.grad(lambda x: losses.cross_entropy(network(x), y))(x)
    return relative(found.numpy().swapaxes(0, 1))


def outcome(design: Design, updates: int) -> Outcome:
    """Measure the gradient of a network, then train it.

    Adam, which divides a gradient by its size, trains those whose gradient is small; gradient descent with momentum
    those whose gradient explodes, as Adam would hide that.
    """
    cr.random.seed(0)
    rows = sequences(2000, 0)
    network = Network(design)
    weights = network.parameters()
    optimizer = optim.SGD(weights, RATE, 0.9) if design.cell == "relu" else optim.Adam(weights, RATE)
    measured = gradient_by_step(network, rows[0][:50], rows[1][:50])
    found = fit(network, optimizer, rows, sequences(500, 1), updates, clip=design.clip)
    return Outcome(design.name, design.remedy, f"{STEPS} steps", measured, design.predicted(), *found)
