"""Deep networks on images of digits: what becomes of the gradient from layer to layer, and what helps."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import sqrt

import numpy as np
from sklearn.datasets import load_digits
from theory import gradient_norms
from training import RATE, Outcome, Rows, fit, relative

import chainrule as cr
from chainrule import losses, nn, optim
from chainrule.nn.initializers import normal

WIDTH = 64
"""Of all layers; the images have as many pixels."""

ACTIVATIONS: dict[str, Callable[[cr.Tensor], cr.Tensor]] = {"sigmoid": cr.sigmoid, "tanh": cr.tanh, "relu": cr.relu}
NORMS: dict[str, Callable[[int], nn.Module]] = {"batch norm": nn.BatchNorm1d, "layer norm": nn.LayerNorm}


@dataclass(frozen=True)
class Design:
    """A deep network.

    Attributes:
        name: in the table and the picture.
        remedy: the panel of the picture.
        activation: f.
        depth: number of layers.
        weights: variance of a first weight times the width; None for the default, 1/3, where biases vary as well.
        norm: "batch norm" or "layer norm" of what enters the activation.
        residual: whether a layer is h + W f(norm(h)) + b rather than f(norm(W h + b)).
    """

    name: str
    remedy: str
    activation: str
    depth: int = 30
    weights: float | None = None
    norm: str | None = None
    residual: bool = False

    def predicted(self) -> np.ndarray:
        """The norm of the gradient by layer, as a multiple of that at the last layer."""
        weights, biases = (1 / 3, 1 / 3 / WIDTH) if self.weights is None else (self.weights, 0.0)
        block = "residual" if self.residual else "plain"
        return gradient_norms(block, self.activation, self.depth, weights, biases, self.norm)


GLOROT, HE = 1.0, 2.0
DESIGNS = [
    Design("sigmoid", "No remedy", "sigmoid"),
    Design("tanh", "No remedy", "tanh"),
    Design("relu", "No remedy", "relu"),
    Design("sigmoid, Glorot", "Initialisation", "sigmoid", weights=GLOROT),
    Design("tanh, Glorot", "Initialisation", "tanh", weights=GLOROT),
    Design("relu, He", "Initialisation", "relu", weights=HE),
    Design("tanh, 4 x Glorot", "Initialisation", "tanh", weights=4 * GLOROT),
    Design("sigmoid, batch norm", "Normalisation", "sigmoid", norm="batch norm"),
    Design("tanh, layer norm", "Normalisation", "tanh", norm="layer norm"),
    Design("sigmoid, layer norm", "Normalisation", "sigmoid", norm="layer norm"),
    Design("plain, Glorot", "Residuals, 100 layers", "relu", 100, GLOROT),
    Design("residual", "Residuals, 100 layers", "relu", 100, HE, residual=True),
    Design("residual, layer norm", "Residuals, 100 layers", "relu", 100, HE, "layer norm", residual=True),
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
        self.residual = design.residual

    def forward(self, h: cr.Tensor) -> cr.Tensor:
        """For h [batch, width]."""
        if self.residual:
            return h + self.linear(self.activation(self.norm(h)))
        return self.activation(self.norm(self.linear(h)))


class Network(nn.Module):
    """Layers, a norm if residuals have added up, and scores of the ten digits."""

    def __init__(self, design: Design) -> None:
        self.layers = [Layer(design) for _ in range(design.depth)]
        self.norm = nn.LayerNorm(WIDTH) if design.residual and design.norm else nn.Identity()
        self.head = nn.Linear(WIDTH, 10)

    def forward(self, x: cr.Tensor, added: list[cr.Tensor] | None = None) -> cr.Tensor:
        """Scores [batch, 10]. What is added to the outputs of layers is zero: its gradient is theirs."""
        for i, layer in enumerate(self.layers):
            x = layer(x) if added is None else layer(x) + added[i]
        return self.head(self.norm(x))


def digits() -> tuple[Rows, Rows]:
    """Images of mean 0 and mean square 1 [rows, 64] with their digits: 1,500 to train on and 297 others."""
    x, y = load_digits(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(x))
    x, y = x[order].astype(np.float32), y[order]
    x = (x - x.mean()) / x.std()
    return (x[:1500], y[:1500]), (x[1500:], y[1500:])


def gradient_by_layer(network: Network, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """The norm of the gradient with respect to the output of each layer, as a multiple of that at the last."""
    added = [cr.zeros((len(x), WIDTH)) for _ in network.layers]
    found = cr.grad(lambda added: losses.cross_entropy(network(x, added), y))(added)
    return relative(np.stack([g.numpy() for g in found]))


def outcome(design: Design, updates: int) -> Outcome:
    """Measure the gradient of a network, then train it by gradient descent with momentum."""
    cr.random.seed(0)
    rows, unseen = digits()
    network = Network(design)
    optimizer = optim.SGD(network.parameters(), lr=RATE, momentum=0.9)
    measured = gradient_by_layer(network, rows[0][:50], rows[1][:50])
    found = fit(network, optimizer, rows, unseen, updates)
    return Outcome(design.name, design.remedy, f"{design.depth} layers", measured, design.predicted(), *found)
