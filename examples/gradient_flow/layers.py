"""Deep networks on images of digits: what becomes of the gradient from layer to layer, and what helps."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from math import sqrt

import numpy as np
from sklearn.datasets import load_digits
from theory import gradient_norms

import chainrule as cr
from chainrule import losses, nn, optim
from chainrule.nn.initializers import normal

WIDTH = 64
"""Of all layers; the images have as many pixels."""

BATCH = 64
ACTIVATIONS: dict[str, Callable[[cr.Tensor], cr.Tensor]] = {"sigmoid": cr.sigmoid, "tanh": cr.tanh, "relu": cr.relu}
NORMS: dict[str, Callable[[int], nn.Module]] = {"batch norm": nn.BatchNorm1d, "layer norm": nn.LayerNorm}


@dataclass(frozen=True)
class Design:
    """A deep network.

    Attributes:
        name: in the table and the picture.
        remedy: the panel of the picture.
        block: "plain", f(W h + b), or "residual", h + W f(h).
        activation: f.
        depth: number of layers.
        weights: variance of a first weight times the width; None for the default, 1/3, where biases vary as well.
        norm: "batch norm" or "layer norm" of what enters the activation.
    """

    name: str
    remedy: str
    block: str
    activation: str
    depth: int
    weights: float | None = None
    norm: str | None = None

    def predicted(self) -> np.ndarray:
        """The norm of the gradient by layer, as a multiple of that at the last layer."""
        weights, biases = (1 / 3, 1 / 3 / WIDTH) if self.weights is None else (self.weights, 0.0)
        return gradient_norms(
            self.block, self.activation, self.depth, weights, biases, normalised=self.norm is not None
        )


SMALL, GLOROT, HE = None, 1.0, 2.0
DESIGNS = [
    Design("sigmoid", "No remedy", "plain", "sigmoid", 30),
    Design("tanh", "No remedy", "plain", "tanh", 30),
    Design("relu", "No remedy", "plain", "relu", 30),
    Design("tanh, Glorot", "Initialisation", "plain", "tanh", 30, GLOROT),
    Design("relu, He", "Initialisation", "plain", "relu", 30, HE),
    Design("tanh, four times Glorot", "Initialisation", "plain", "tanh", 30, 4 * GLOROT),
    Design("sigmoid, Glorot", "Initialisation", "plain", "sigmoid", 30, GLOROT),
    Design("sigmoid, batch norm", "Normalisation", "plain", "sigmoid", 30, norm="batch norm"),
    Design("tanh, layer norm", "Normalisation", "plain", "tanh", 30, norm="layer norm"),
    Design("tanh, batch norm", "Normalisation", "plain", "tanh", 30, norm="batch norm"),
    Design("relu, Glorot, plain", "Residuals", "plain", "relu", 100, GLOROT),
    Design("residual", "Residuals", "residual", "relu", 100, HE),
    Design("residual, layer norm", "Residuals", "residual", "relu", 100, HE, "layer norm"),
]


class Layer(nn.Module):
    """f(norm(W h + b)), or h + W f(norm(h)) + b."""

    def __init__(self, design: Design) -> None:
        self.linear = nn.Linear(WIDTH, WIDTH)
        if design.weights is not None:
            self.linear.weight.assign(normal((WIDTH, WIDTH), std=sqrt(design.weights / WIDTH)))
            self.linear.bias.assign(cr.zeros(WIDTH))
        self.norm = nn.Identity() if design.norm is None else NORMS[design.norm](WIDTH)
        self.activation = ACTIVATIONS[design.activation]
        self.residual = design.block == "residual"

    def forward(self, h: cr.Tensor) -> cr.Tensor:
        if self.residual:
            return h + self.linear(self.activation(self.norm(h)))
        return self.activation(self.norm(self.linear(h)))


class Network(nn.Module):
    """Layers, and scores of the ten digits."""

    def __init__(self, design: Design) -> None:
        self.layers = [Layer(design) for _ in range(design.depth)]
        self.head = nn.Linear(WIDTH, 10)

    def forward(self, x: cr.Tensor, added: list[cr.Tensor] | None = None) -> cr.Tensor:
        """Scores [batch, 10]. What is added to the outputs of layers is zero: its gradient is theirs."""
        for i, layer in enumerate(self.layers):
            x = layer(x) if added is None else layer(x) + added[i]
        return self.head(x)


@dataclass(frozen=True)
class Outcome:
    """What became of a network.

    Attributes:
        measured: norm of the gradient by layer or step before training, as a multiple of that at the last.
        predicted: the same by theory.
        losses: of all updates.
        accuracy: on rows that it was not trained on.
        norms: of the whole gradient, at all updates.
    """

    name: str
    remedy: str
    measured: np.ndarray
    predicted: np.ndarray
    losses: np.ndarray
    accuracy: float
    norms: np.ndarray = field(default_factory=lambda: np.empty(0))


def digits() -> tuple[np.ndarray, ...]:
    """Images [rows, 64] of mean 0 and mean square 1 with their labels, 1,500 to train on and 297 to test."""
    x, y = load_digits(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(x))
    x = x[order].astype(np.float32)
    x = (x - x.mean()) / x.std()
    return x[:1500], y[order[:1500]], x[1500:], y[order[1500:]]


def gradient_by_layer(network: Network, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """The norm of the gradient with respect to the output of each layer, as a multiple of that at the last."""
    added = [cr.zeros((len(x), WIDTH)) for _ in network.layers]
    found = cr.grad(lambda added: losses.cross_entropy(network(x, added), y))(added)
    norms = np.array([np.linalg.norm(np.asarray(g.numpy(), np.float64)) for g in found])
    return norms / norms[-1]


def train(design: Design, epochs: int) -> Outcome:
    """Measure the gradient of a network, then train it by gradient descent with momentum."""
    cr.random.seed(0)
    x, y, x_test, y_test = digits()
    network = Network(design)
    optimizer = optim.SGD(network.parameters(), lr=0.01, momentum=0.9)

    @cr.compile
    def step(x: cr.Tensor, y: cr.Tensor) -> cr.Tensor:
        loss = losses.cross_entropy(network(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    measured = gradient_by_layer(network, x[:BATCH], y[:BATCH])
    rng = np.random.default_rng(1)
    order = np.concatenate([rng.permutation(len(x) // BATCH * BATCH) for _ in range(epochs)])
    found = cr.epoch(step, (x, y), order, batch_size=BATCH)
    network.eval()
    accuracy = float((network(cr.tensor(x_test)).numpy().argmax(1) == y_test).mean())
    return Outcome(design.name, design.remedy, measured, design.predicted(), found, accuracy)
