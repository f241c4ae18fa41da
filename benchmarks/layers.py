"""Kinds of layers, as neutral declarations: their parameters, what shape they make of one, and how much they multiply.

Shapes are those of one row, without the batch: (features,), (channels, height, width), (time,) of symbols or
(time, features). A new kind of layer also needs a case in each side.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from math import prod
from typing import Literal, TypeAlias

Shape: TypeAlias = tuple[int, ...]


@dataclass(frozen=True)
class Layer:
    """Base of all kinds: no parameters, the same shape, no products."""

    def parameters(self) -> dict[str, Shape]:
        """Shapes of the parameters, as in PyTorch."""
        return {}

    def output(self, shape: Shape) -> Shape:
        """The shape of a row of the output."""
        return shape

    def multiplications(self, shape: Shape) -> int:
        """Of the matrix products and convolutions, for a row of this shape, forward."""
        return 0


@dataclass(frozen=True)
class Linear(Layer):
    inputs: int
    outputs: int
    bias: bool = True

    def parameters(self) -> dict[str, Shape]:
        return {"weight": (self.outputs, self.inputs)} | ({"bias": (self.outputs,)} if self.bias else {})

    def output(self, shape: Shape) -> Shape:
        return (*shape[:-1], self.outputs)

    def multiplications(self, shape: Shape) -> int:
        return prod(shape) * self.outputs


@dataclass(frozen=True)
class Activation(Layer):
    function: Literal["relu", "tanh", "gelu"]


@dataclass(frozen=True)
class Softmax(Layer):
    """Over the last axis."""


@dataclass(frozen=True)
class Convolution(Layer):
    """Of images; the kernel is square."""

    inputs: int
    outputs: int
    kernel: int
    stride: int = 1
    padding: int = 0
    dilation: int = 1
    groups: int = 1
    bias: bool = True
    transposed: bool = False

    def parameters(self) -> dict[str, Shape]:
        ends = (self.inputs, self.outputs) if self.transposed else (self.outputs, self.inputs)
        weight = (ends[0], ends[1] // self.groups, self.kernel, self.kernel)
        return {"weight": weight} | ({"bias": (self.outputs,)} if self.bias else {})

    def output(self, shape: Shape) -> Shape:
        span = self.dilation * (self.kernel - 1) + 1
        if self.transposed:
            return (self.outputs, *((n - 1) * self.stride - 2 * self.padding + span for n in shape[1:]))
        return (self.outputs, *((n + 2 * self.padding - span) // self.stride + 1 for n in shape[1:]))

    def multiplications(self, shape: Shape) -> int:
        pixels = prod((shape if self.transposed else self.output(shape))[1:])
        return pixels * self.kernel**2 * self.inputs * self.outputs // self.groups


@dataclass(frozen=True)
class BatchNormalisation(Layer):
    """Of images, in training."""

    channels: int

    def parameters(self) -> dict[str, Shape]:
        return {"weight": (self.channels,), "bias": (self.channels,)}


@dataclass(frozen=True)
class LayerNormalisation(Layer):
    size: int

    def parameters(self) -> dict[str, Shape]:
        return {"weight": (self.size,), "bias": (self.size,)}


@dataclass(frozen=True)
class MaxPool(Layer):
    """Of squares that do not overlap."""

    size: int

    def output(self, shape: Shape) -> Shape:
        return (shape[0], *(n // self.size for n in shape[1:]))


@dataclass(frozen=True)
class GlobalAveragePool(Layer):
    """The mean of each channel."""

    def output(self, shape: Shape) -> Shape:
        return shape[:1]


@dataclass(frozen=True)
class Flatten(Layer):
    """Of (channels, height, width), in this order."""

    def output(self, shape: Shape) -> Shape:
        return (prod(shape),)


@dataclass(frozen=True)
class Residual(Layer):
    """The sum of two ways; the shortcut is the input itself where it is empty."""

    inner: tuple[Layer, ...]
    shortcut: tuple[Layer, ...] = ()

    def parameters(self) -> dict[str, Shape]:
        ways = ("inner", self.inner), ("shortcut", self.shortcut)
        return {f"{way}.{name}": shape for way, layers in ways for name, shape in parameters_of(layers).items()}

    def output(self, shape: Shape) -> Shape:
        return output_of(self.inner, shape)

    def multiplications(self, shape: Shape) -> int:
        return sum(n for way in (self.inner, self.shortcut) for _, n in work_of(way, shape))


@dataclass(frozen=True)
class Embedding(Layer):
    symbols: int
    size: int

    def parameters(self) -> dict[str, Shape]:
        return {"weight": (self.symbols, self.size)}

    def output(self, shape: Shape) -> Shape:
        return (*shape, self.size)


@dataclass(frozen=True)
class Position(Layer):
    """A trained vector added at each place of a sequence."""

    length: int
    size: int

    def parameters(self) -> dict[str, Shape]:
        return {"weight": (self.length, self.size)}


@dataclass(frozen=True)
class Recurrent(Layer):
    """The outputs of all steps, from a state of zeros."""

    kind: Literal["lstm", "gru"]
    inputs: int
    units: int

    @property
    def gates(self) -> int:
        return 4 if self.kind == "lstm" else 3

    def parameters(self) -> dict[str, Shape]:
        rows = self.gates * self.units
        return {
            "weight_ih_l0": (rows, self.inputs),
            "weight_hh_l0": (rows, self.units),
            "bias_ih_l0": (rows,),
            "bias_hh_l0": (rows,),
        }

    def output(self, shape: Shape) -> Shape:
        return (shape[0], self.units)

    def multiplications(self, shape: Shape) -> int:
        return shape[0] * self.gates * self.units * (self.inputs + self.units)


@dataclass(frozen=True)
class SelfAttention(Layer):
    """Of each step to itself and those before it, in several heads, with a projection before and after."""

    size: int
    heads: int

    def parameters(self) -> dict[str, Shape]:
        return {
            "inputs.weight": (3 * self.size, self.size),
            "inputs.bias": (3 * self.size,),
            "output.weight": (self.size, self.size),
            "output.bias": (self.size,),
        }

    def multiplications(self, shape: Shape) -> int:
        return 4 * prod(shape) * self.size + pairs(shape[0]) * 2 * self.size


@dataclass(frozen=True)
class Attention(Layer):
    """Causal attention of given queries, keys and values, each (heads, time, features), with no parameters."""

    def multiplications(self, shape: Shape) -> int:
        return 2 * shape[0] * pairs(shape[1]) * shape[2]


def pairs(length: int) -> int:
    """Of each step with itself and those before it: what is masked need not be computed, and does not count."""
    return length * (length + 1) // 2


def parameters_of(layers: tuple[Layer, ...]) -> dict[str, Shape]:
    """Of layers one after the other: "0.weight", "0.bias", ..."""
    return {f"{i}.{name}": shape for i, layer in enumerate(layers) for name, shape in layer.parameters().items()}


def work_of(layers: tuple[Layer, ...], shape: Shape) -> Iterator[tuple[Layer, int]]:
    """Each layer and its multiplications for a row."""
    for layer in layers:
        yield layer, layer.multiplications(shape)
        shape = layer.output(shape)


def output_of(layers: tuple[Layer, ...], shape: Shape) -> Shape:
    """The shape of a row of the last output."""
    for layer in layers:
        shape = layer.output(shape)
    return shape


def mlp(*widths: int, activation: Literal["relu", "tanh"]) -> tuple[Layer, ...]:
    """Linear layers with an activation between any two."""
    layers: list[Layer] = []
    for inputs, outputs in pairwise(widths):
        layers += [Linear(inputs, outputs), Activation(activation)]
    return tuple(layers[:-1])


def residual_block(inputs: int, outputs: int, stride: int) -> tuple[Layer, ...]:
    """Two convolutions with batch normalisation beside a shortcut (He et al., CVPR 2016)."""
    inner = (
        Convolution(inputs, outputs, 3, stride, 1, bias=False),
        BatchNormalisation(outputs),
        Activation("relu"),
        Convolution(outputs, outputs, 3, 1, 1, bias=False),
        BatchNormalisation(outputs),
    )
    same = stride == 1 and inputs == outputs
    shortcut = () if same else (Convolution(inputs, outputs, 1, stride, bias=False),)
    return Residual(inner, shortcut), Activation("relu")


def transformer(symbols: int, length: int, size: int, heads: int, blocks: int) -> tuple[Layer, ...]:
    """A decoder with normalisation before each part, and as many outputs as symbols (Radford et al., 2019)."""
    attention = Residual((LayerNormalisation(size), SelfAttention(size, heads)))
    wide = Linear(size, 4 * size), Activation("gelu"), Linear(4 * size, size)
    block = attention, Residual((LayerNormalisation(size), *wide))
    head = LayerNormalisation(size), Linear(size, symbols, bias=False)
    return Embedding(symbols, size), Position(length, size), *block * blocks, *head
