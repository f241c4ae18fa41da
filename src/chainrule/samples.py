"""Random inputs that declarations of operations draw from, so that every operation is tested in every layout."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias, TypeVar

import numpy as np

from chainrule.types import Array, DType, Shape, TensorType, bfloat16, bool_, dtype_of, float64, size_of

T = TypeVar("T")
Sizes: TypeAlias = Literal["plain", "scalar", "empty", "one"]
Layout: TypeAlias = Literal["plain", "negative strides", "transposed", "broadcast"]


@dataclass(frozen=True)
class Sample:
    """Inputs and attributes for one call of an operation."""

    inputs: tuple[Array, ...]
    attributes: dict[str, Any] = field(default_factory=dict[str, Any])


@dataclass
class Draw:
    """A source of random shapes and arrays.

    Args:
        rng: where randomness comes from.
        dtype: the data type of the operation's main inputs.
        sizes: what shapes without demands look like: "plain" (axes of 2 to 4), "scalar" (no axes), "empty" (an axis
            of size 0) or "one" (an axis of size 1).
        layout: how arrays lie in memory.
        longest: the largest size of an axis; if it is more than 4, half of the axes are still smaller.

    >>> draw = Draw(np.random.default_rng(0), sizes="empty", layout="negative strides")
    >>> 0 in draw.shape(2)
    True
    """

    rng: np.random.Generator
    dtype: DType = float64
    sizes: Sizes = "plain"
    layout: Layout = "plain"
    longest: int = 4

    def shape(self, ndim: int | None = None, *, least: int = 0, most: int = 3) -> Shape:
        """A shape with `ndim` axes, or with `least` to `most` of them."""
        if ndim is None:
            low = least if self.sizes == "scalar" else max(least, 1)
            ndim = low if self.sizes == "scalar" else int(self.rng.integers(low, most + 1))
        shape = [int(n) for n in self.rng.integers(2, 5, ndim)]
        if self.longest > 4:
            shape = [n if self.rng.random() < 0.5 else self.integer(2, self.longest) for n in shape]
        if ndim and self.sizes in ("empty", "one"):
            shape[int(self.rng.integers(ndim))] = 0 if self.sizes == "empty" else 1
        return tuple(shape)

    def integer(self, low: int, high: int) -> int:
        """A whole number from low to high, both included."""
        return int(self.rng.integers(low, high + 1))

    def choice(self, values: Sequence[T]) -> T:
        """One of several values."""
        return values[int(self.rng.integers(len(values)))]

    def lay(self, array: Array) -> Array:
        """The same values in this draw's memory layout."""
        if self.layout == "negative strides":
            back = (slice(None, None, -1),) * array.ndim
            return np.ascontiguousarray(array[back])[back].reshape(array.shape)
        if self.layout == "transposed":
            return np.asfortranarray(array).reshape(array.shape)
        if self.layout == "broadcast" and array.ndim and array.shape[0]:
            return np.broadcast_to(array[:1], array.shape)
        return array

    def floats(self, shape: Shape, low: float = -2.0, high: float = 2.0, *, away_from: float | None = None) -> Array:
        """Numbers of this draw's data type in [low, high], at least 0.1 away from `away_from` where that is given."""
        values = self.rng.uniform(low, high, shape)
        if away_from is not None:
            values = np.where(np.abs(values - away_from) < 0.1, values + np.copysign(0.2, values - away_from), values)
        return self.lay(self.convert(values))

    def distinct(self, shape: Shape) -> Array:
        """Numbers of this draw's data type of which no two are nearer than 0.1 (1 for integers)."""
        ranks = self.rng.permutation(size_of(shape)).reshape(shape)
        step = 0.25 if self.dtype.is_float else 1
        values = (ranks - size_of(shape) // 2 * (self.dtype.name != "uint8")) * step
        array = np.ascontiguousarray(self.convert(values))
        return array if self.layout == "broadcast" else self.lay(array)

    def indices(self, shape: Shape, size: int, dtype: str = "int64") -> Array:
        """Indices into an axis of a size, negative ones among them; none if the axis is empty."""
        if size == 0:
            return np.zeros((0, *shape[1:]) if shape else (0,), dtype)
        return self.lay(self.rng.integers(-size, size, shape).astype(dtype))

    def bools(self, shape: Shape) -> Array:
        """Truth values."""
        return self.lay(self.rng.random(shape) < 0.5)

    def convert(self, values: Array) -> Array:
        """Real numbers as this draw's data type."""
        if self.dtype is bool_:
            return values > 0
        if self.dtype is bfloat16:
            return to_bfloat16(values.astype(np.float32))
        if not self.dtype.is_float:
            values = np.abs(np.round(values)) if self.dtype.name == "uint8" else np.round(values)
        return values.astype(self.dtype.numpy)


def floats(
    low: float = -2.0, high: float = 2.0, *, inputs: int = 1, away_from: float | None = None
) -> Callable[[Draw], Sample]:
    """Samples of operations on one or more arrays of equal shape and type."""

    def draw_sample(draw: Draw) -> Sample:
        shape = draw.shape()
        return Sample(tuple(draw.floats(shape, low, high, away_from=away_from) for _ in range(inputs)))

    return draw_sample


def type_of(array: Array) -> TensorType:
    """The type of the tensor that an array of a sample stands for: 16-bit unsigned integers are bits of bfloat16.

    >>> str(type_of(np.zeros(2, np.uint16))), str(type_of(np.zeros(2, np.int32)))
    ('bf16[2]', 'i32[2]')
    """
    return TensorType(bfloat16 if array.dtype == np.uint16 else dtype_of(array.dtype), array.shape)


def readable(array: Array) -> Array:
    """The numbers in an array of a sample, as NumPy reads them.

    >>> readable(np.array([16256], np.uint16)), readable(np.array([3]))
    (array([1.], dtype=float32), array([3]))
    """
    return from_bfloat16(array) if array.dtype == np.uint16 else array


def to_bfloat16(values: Array) -> Array:
    """The bits of float32 numbers rounded to bfloat16, to nearest even; NaN stays NaN.

    >>> to_bfloat16(np.array([1.0, 1.00390625], np.float32))
    array([16256, 16256], dtype=uint16)
    """
    bits = np.ascontiguousarray(values, np.float32).view(np.uint32).reshape(np.shape(values))
    rounded = (bits + (0x7FFF + ((bits >> 16) & 1))) >> 16
    return np.where(np.isnan(values), (bits >> 16) | 0x40, rounded).astype(np.uint16)


def from_bfloat16(bits: Array) -> Array:
    """The float32 numbers that bfloat16 bits stand for.

    >>> from_bfloat16(np.array([16256, 49152], np.uint16))
    array([ 1., -2.], dtype=float32)
    """
    return (bits.astype(np.uint32) << 16).view(np.float32)
