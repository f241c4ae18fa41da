"""The work that is timed: neutral declarations, and the same data and initial weights for all sides, from one seed.

To add a workload, add a line to `WORKLOADS`. A new kind of layer also needs its sizes here and a case in each side.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Literal, NamedTuple, TypeAlias

import numpy as np

LEARNING_RATE = 1e-3
"""Of Adam, in all networks; everything else is at PyTorch's defaults."""

SEED = 0

THREADS = 2
"""Of every side."""

Arrays: TypeAlias = Mapping[str, np.ndarray]


class Linear(NamedTuple):
    inputs: int
    outputs: int

    def parameters(self) -> dict[str, tuple[int, ...]]:
        """Their shapes, as in PyTorch."""
        return {"weight": (self.outputs, self.inputs), "bias": (self.outputs,)}


class Activation(NamedTuple):
    function: Literal["relu", "tanh"]

    def parameters(self) -> dict[str, tuple[int, ...]]:
        """None."""
        return {}


Layer: TypeAlias = Linear | Activation


@dataclass(frozen=True)
class Network:
    """A training step: forward pass, mean cross-entropy, backward pass and Adam, in float32.

    Attributes:
        name: what it is called on the command line.
        title: what it is, for people.
        layers: the network.
        rows: the shape of one row of the input.
        classes: how many the loss tells apart.
        batch: rows of a step.
        batches: steps of an epoch.
    """

    name: str
    title: str
    layers: tuple[Layer, ...]
    rows: tuple[int, ...]
    classes: int
    batch: int
    batches: int = 64

    def make(self, random: np.random.Generator) -> dict[str, np.ndarray]:
        """Rows `x`, classes `y` that can be learned from them, the `order` of an epoch, "0.weight", "0.bias", ..."""
        count = self.batch * self.batches
        x = random.standard_normal((count, *self.rows), np.float32)
        teacher = random.standard_normal((x[0].size, self.classes), np.float32)
        y = (x.reshape(count, -1) @ teacher).argmax(axis=1)
        weights = {
            f"{i}.{name}": scaled(random, shape)
            for i, layer in enumerate(self.layers)
            for name, shape in layer.parameters().items()
        }
        return {"x": x, "y": y, "order": random.permutation(count), **weights}


def scaled(random: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Normal weights that keep the size of what passes through them; biases of 0.1."""
    spread = 0.1 if len(shape) == 1 else 1.0 / np.sqrt(np.prod(shape[1:]))
    return np.float32(spread) * random.standard_normal(shape, np.float32)


@dataclass(frozen=True)
class Product:
    """One large piece of arithmetic, which says how much of the machine is used.

    Attributes:
        name: what it is called on the command line.
        title: what it is, for people.
        kind: "matmul" is a [m, k] times b [k, n]; "linear" is relu(x w^T + bias) of x [m, k] and w [n, k], with the
            gradients of x, w and bias for a given cotangent.
        sizes: m, k, n.
    """

    name: str
    title: str
    kind: Literal["matmul", "linear"]
    sizes: tuple[int, int, int]

    @property
    def flops(self) -> int:
        """Multiplications and additions of its matrix products."""
        m, k, n = self.sizes
        return 2 * m * k * n * (3 if self.kind == "linear" else 1)

    def make(self, random: np.random.Generator) -> dict[str, np.ndarray]:
        """The operands by name."""
        m, k, n = self.sizes
        if self.kind == "matmul":
            shapes: dict[str, tuple[int, ...]] = {"a": (m, k), "b": (k, n)}
        else:
            shapes = {"x": (m, k), "w": (n, k), "bias": (n,), "cotangent": (m, n)}
        return {name: scaled(random, shape) for name, shape in shapes.items()}


Workload: TypeAlias = Network | Product


def mlp(*widths: int, activation: Literal["relu", "tanh"]) -> tuple[Layer, ...]:
    """Linear layers with an activation between any two."""
    layers: list[Layer] = []
    for inputs, outputs in pairwise(widths):
        layers += [Linear(inputs, outputs), Activation(activation)]
    return tuple(layers[:-1])


WORKLOADS: dict[str, Workload] = {
    workload.name: workload
    for workload in (
        Network("tabular", "30-64-64-2, relu, batch 32", mlp(30, 64, 64, 2, activation="relu"), (30,), 2, 32),
        Network("deep", "50 tanh layers of 64, batch 32", mlp(*[64] * 51, 10, activation="tanh"), (64,), 10, 32),
        Network(
            "mnist-mlp", "784-512-512-10, relu, batch 128", mlp(784, 512, 512, 10, activation="relu"), (784,), 10, 128
        ),
        Product("matmul", "1024 x 1024 x 1024", "matmul", (1024, 1024, 1024)),
        Product("linear", "128 x 784 x 512 + bias, relu, and all gradients", "linear", (128, 784, 512)),
    )
}


def save_data(workload: Workload, folder: Path) -> Path:
    """Write what all sides start from; returns the file."""
    path = folder / f"{workload.name}.npz"
    np.savez(path, **workload.make(np.random.default_rng(SEED)))  # pyright: ignore[reportArgumentType]
    return path


def load_data(path: Path) -> Arrays:
    """Read it, into memory."""
    with np.load(path) as stored:
        return dict(stored)
