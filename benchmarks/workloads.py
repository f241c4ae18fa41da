"""The work that is timed: neutral declarations, and the same data and initial weights for all sides, from one seed.

To add a workload, add a line to `WORKLOADS`. Kinds of layers are in layers.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import ClassVar, Literal, TypeAlias

import numpy as np

from benchmarks.layers import (
    Activation,
    Attention,
    BatchNormalisation,
    Convolution,
    Embedding,
    Flatten,
    GlobalAveragePool,
    Layer,
    LayerNormalisation,
    Linear,
    MaxPool,
    Recurrent,
    Shape,
    Softmax,
    mlp,
    parameters_of,
    residual_block,
    transformer,
    work_of,
)

LEARNING_RATE = 1e-3
"""Of Adam, in all networks; everything else is at PyTorch's defaults."""

SEED = 0

THREADS = 2
"""Of every side."""

Arrays: TypeAlias = Mapping[str, np.ndarray]


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
        symbols: if the rows are sequences of symbols, how many there are; there is a class to tell at each place.
        tolerance: how far losses may be apart, relative to losses above 1.
    """

    kind: ClassVar[str] = "network"

    name: str
    title: str
    layers: tuple[Layer, ...]
    rows: Shape
    classes: int
    batch: int
    batches: int = 64
    symbols: int = 0
    tolerance: float = 1e-4

    @property
    def has_images(self) -> bool:
        """Whether there are convolutions, for which the order of axes in memory matters."""
        return len(self.rows) == 3

    @property
    def flops(self) -> int:
        """Multiplications and additions of the matrix products and convolutions of the layers, as they are defined.

        Forward, and as many again for the gradients of weights and for those of inputs, unless nothing before is
        trained. The same for every side: one that finds a way with fewer of them may seem to pass the peak.
        """
        total, trained_before = 0, False
        for layer, multiplications in work_of(self.layers, self.rows):
            total += 2 * multiplications * (3 if trained_before else 2)
            trained_before = trained_before or bool(layer.parameters())
        return self.batch * total

    def make(self, random: np.random.Generator) -> dict[str, np.ndarray]:
        """Rows `x`, classes `y` that can be learned from them, the `order` of an epoch, "0.weight", "0.bias", ..."""
        count = self.batch * self.batches
        if self.symbols:
            x = random.integers(self.symbols, size=(count, *self.rows))
            y = (x + np.roll(x, 1, axis=1)) % self.classes
        else:
            x = random.standard_normal((count, *self.rows), np.float32)
            teacher = random.standard_normal((x[0].size, self.classes), np.float32)
            y = (x.reshape(count, -1) @ teacher).argmax(axis=1)
        weights = {name: scaled(random, shape, name) for name, shape in parameters_of(self.layers).items()}
        return {"x": x, "y": y, "order": random.permutation(count), **weights}


def scaled(random: np.random.Generator, shape: Shape, name: str = "") -> np.ndarray:
    """Normal weights that keep the size of what passes through them; biases of 0.1, and factors of 1 + 0.1."""
    spread = 0.1 if len(shape) == 1 else 1.0 / np.sqrt(prod(shape[1:]))
    values = np.float32(spread) * random.standard_normal(shape, np.float32)
    return values + np.float32(1.0) if len(shape) == 1 and name.endswith("weight") else values


@dataclass(frozen=True)
class Product:
    """One large piece of arithmetic, which says how much of the machine is used.

    Attributes:
        name: what it is called on the command line.
        title: what it is, for people.
        arithmetic: "matmul" is a [m, k] times b [k, n]; "linear" is relu(x w^T + bias) of x [m, k] and w [n, k], with
            the gradients of x, w and bias for a given cotangent.
        sizes: m, k, n.
    """

    kind: ClassVar[str] = "product"
    has_images: ClassVar[bool] = False
    tolerance: ClassVar[float] = 1e-4

    name: str
    title: str
    arithmetic: Literal["matmul", "linear"]
    sizes: tuple[int, int, int]

    @property
    def flops(self) -> int:
        """Multiplications and additions of its matrix products."""
        m, k, n = self.sizes
        return 2 * m * k * n * (3 if self.arithmetic == "linear" else 1)

    def make(self, random: np.random.Generator) -> dict[str, np.ndarray]:
        """The operands by name."""
        m, k, n = self.sizes
        if self.arithmetic == "matmul":
            shapes: dict[str, Shape] = {"a": (m, k), "b": (k, n)}
        else:
            shapes = {"x": (m, k), "w": (n, k), "bias": (n,), "cotangent": (m, n)}
        return {name: scaled(random, shape) for name, shape in shapes.items()}


@dataclass(frozen=True)
class Single:
    """One layer on its own: its output, and the gradients of its inputs and parameters for a given cotangent.

    Attributes:
        name: what it is called on the command line.
        title: what it is, for people.
        layer: the layer.
        rows: the shape of one row of each input.
        batch: rows of a call.
        inputs: how many inputs of that shape there are.
    """

    kind: ClassVar[str] = "layer"
    tolerance: ClassVar[float] = 1e-4

    name: str
    title: str
    layer: Layer
    rows: Shape
    batch: int
    inputs: int = 1

    @property
    def has_images(self) -> bool:
        """Whether the order of axes in memory matters."""
        return len(self.rows) == 3 and not isinstance(self.layer, Attention)

    @property
    def flops(self) -> int:
        """Of its products, forward and for all gradients."""
        return 6 * self.batch * self.layer.multiplications(self.rows)

    def make(self, random: np.random.Generator) -> dict[str, np.ndarray]:
        """Inputs "x0", "x1", ..., the `cotangent` of the output, and the parameters by name."""
        shape, layer = (self.batch, *self.rows), self.layer
        inputs = [
            random.integers(layer.symbols, size=shape)
            if isinstance(layer, Embedding)
            else random.standard_normal(shape, np.float32)
            for _ in range(self.inputs)
        ]
        output = (self.batch, *layer.output(self.rows))
        weights = {name: scaled(random, size, name) for name, size in layer.parameters().items()}
        cotangent = random.standard_normal(output, np.float32)
        return {f"x{i}": x for i, x in enumerate(inputs)} | {"cotangent": cotangent} | weights


Workload: TypeAlias = Network | Product | Single


def inputs_of(data: Arrays) -> list[np.ndarray]:
    """The inputs of a single layer."""
    return [data[name] for name in data if name.startswith("x") and name[1:].isdigit()]


CNN = (
    Convolution(1, 32, 3),
    Activation("relu"),
    Convolution(32, 64, 3),
    Activation("relu"),
    MaxPool(2),
    Flatten(),
    *mlp(9216, 128, 10, activation="relu"),
)
RESNET = (
    Convolution(3, 16, 3, 1, 1, bias=False),
    BatchNormalisation(16),
    Activation("relu"),
    *residual_block(16, 16, 1),
    *residual_block(16, 32, 2),
    *residual_block(32, 64, 2),
    GlobalAveragePool(),
    Linear(64, 10),
)
LSTM = Embedding(65, 256), Recurrent("lstm", 256, 256), Linear(256, 65)
GPT = transformer(65, 64, 128, 4, 4)
WIDE_GPT = transformer(65, 256, 384, 6, 6)

NETWORKS = (
    Network("tabular", "30-64-64-2, relu, batch 32", mlp(30, 64, 64, 2, activation="relu"), (30,), 2, 32),
    Network("deep", "50 tanh layers of 64, batch 32", mlp(*[64] * 51, 10, activation="tanh"), (64,), 10, 32),
    Network("mnist-mlp", "784-512-512-10, relu, batch 128", mlp(784, 512, 512, 10, activation="relu"), (784,), 10, 128),
    Network("mnist-cnn", "conv 32, conv 64, pool, 128, 10, batch 64", CNN, (1, 28, 28), 10, 64, 16),
    Network("resnet8", "16, 32, 64 channels on 32x32x3, batch 128", RESNET, (3, 32, 32), 10, 128, 8, tolerance=3e-3),
    Network("lstm", "256 units, 64 steps, batch 32", LSTM, (64,), 65, 32, 16, 65),
    Network("gpt", "4 blocks of 128, 64 symbols, batch 12", GPT, (64,), 65, 12, 16, 65),
    Network("gpt-wide", "6 blocks of 384, 256 symbols, batch 8", WIDE_GPT, (256,), 65, 8, 2, 65),
)
PRODUCTS = (
    Product("matmul", "1024 x 1024 x 1024", "matmul", (1024, 1024, 1024)),
    Product("linear", "128 x 784 x 512 + bias, relu, and all gradients", "linear", (128, 784, 512)),
)
IMAGES = (64, 32, 32)
SINGLES = (
    Single("conv-1x1", "64 to 64 channels, 32x32, batch 32", Convolution(64, 64, 1), IMAGES, 32),
    Single("conv-3x3", "64 to 64 channels, 32x32, batch 32", Convolution(64, 64, 3, 1, 1), IMAGES, 32),
    Single("conv-5x5", "32 to 32 channels, 32x32, batch 32", Convolution(32, 32, 5, 1, 2), (32, 32, 32), 32),
    Single("conv-7x7", "stride 2, 3 to 64 channels, 112x112, batch 8", Convolution(3, 64, 7, 2, 3), (3, 112, 112), 8),
    Single("conv-depthwise", "3x3, 64 channels, 32x32, batch 32", Convolution(64, 64, 3, 1, 1, 1, 64), IMAGES, 32),
    Single(
        "conv-groups", "3x3, 4 groups, 64 channels, 32x32, batch 32", Convolution(64, 64, 3, 1, 1, 1, 4), IMAGES, 32
    ),
    Single(
        "conv-dilated", "3x3, dilation 2, 64 channels, 32x32, batch 32", Convolution(64, 64, 3, 1, 2, 2), IMAGES, 32
    ),
    Single(
        "conv-transposed",
        "4x4, stride 2, 64 to 32 channels, 16x16, batch 32",
        Convolution(64, 32, 4, 2, 1, transposed=True),
        (64, 16, 16),
        32,
    ),
    *(
        Single(f"{kind}-{batch}", f"128 units, 32 steps, batch {batch}", Recurrent(kind, 128, 128), (32, 128), batch)
        for kind in ("lstm", "gru")
        for batch in (1, 32, 256)
    ),
    *(
        Single(f"attention-{time}", f"causal, {time} steps, 6 heads of 64, batch 4", Attention(), (6, time, 64), 4, 3)
        for time in (64, 256, 1024)
    ),
    Single("layer-norm", "2048 rows of 384", LayerNormalisation(384), (384,), 2048),
    Single("batch-norm", "64 channels, 32x32, batch 32", BatchNormalisation(64), IMAGES, 32),
    Single("softmax", "2048 rows of 1000", Softmax(), (1000,), 2048),
    Single("embedding", "2048 of 10,000 symbols, 256 features", Embedding(10_000, 256), (256,), 8),
)
WORKLOADS: dict[str, Workload] = {workload.name: workload for workload in (*NETWORKS, *PRODUCTS, *SINGLES)}


def save_data(workload: Workload, folder: Path) -> Path:
    """Write what all sides start from; returns the file."""
    path = folder / f"{workload.name}.npz"
    np.savez(path, **workload.make(np.random.default_rng(SEED)))  # pyright: ignore[reportArgumentType]
    return path


def load_data(path: Path) -> Arrays:
    """Read it, into memory."""
    with np.load(path) as stored:
        return dict(stored)
