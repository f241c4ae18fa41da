"""Windows over the last axes of a tensor: where they are, and reading and writing on lanes what is apart in memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from chainrule.native.code import Function, Index, Value
from chainrule.native.lanes import Lanes
from chainrule.native.loops.axes import position
from chainrule.native.operand import Operand
from chainrule.types import Shape

Padding: TypeAlias = tuple[tuple[int, int], ...]
Range: TypeAlias = tuple[Index, Index]


@dataclass(frozen=True, slots=True)
class Axis:
    """Windows along one axis: n elements, `places` windows of `size` elements."""

    n: int
    places: int
    size: int
    stride: int
    low: int
    apart: int

    @property
    def padded(self) -> bool:
        """Whether a window reaches over an end."""
        return self.low > 0 or (self.places - 1) * self.stride + (self.size - 1) * self.apart >= self.n + self.low

    @property
    def is_apart(self) -> bool:
        """Whether windows do not overlap, and begin where the axis does."""
        return self.low == 0 and self.apart == 1 and self.stride >= self.size and self.places > 0

    def inside(self, f: Function, place: Index) -> Range:
        """From which to which element a window is on the axis."""
        start = f.sub(f.mul(place, self.stride), self.low)  # may be negative
        if not self.padded:
            return 0, self.size
        first = f.div(not_negative(f, f.sub(self.apart - 1, start)), self.apart)
        last = f.div(not_negative(f, f.sub(self.n + self.apart - 1, start)), self.apart)
        return first, f.min(last, self.size)

    def over(self, f: Function, at: Index) -> Range:
        """From which to which place a window may have an element in it."""
        first = f.add(at, self.low - (self.size - 1) * self.apart + self.stride - 1)
        last = f.add(f.div(f.add(at, self.low), self.stride), 1)
        return f.div(not_negative(f, first), self.stride), f.min(last, self.places)


def not_negative(f: Function, x: Index) -> Index:
    """x, or 0 where it is negative."""
    if isinstance(x, int):
        return max(x, 0)
    return f.choose(f.compare("sgt", x, 0), x, 0)


@dataclass(frozen=True, slots=True)
class Frame:
    """Windows over the last axes: of a tensor of which there is an element for each place, and one of elements."""

    lead: int
    axes: tuple[Axis, ...]

    @staticmethod
    def of(
        x: Shape, places: Shape, window: Shape, stride: Shape, padding: Padding, dilation: Shape, **others: Any
    ) -> Frame:
        """From the shapes of both, and the attributes of an operation."""
        lead = len(x) - len(window)
        low = tuple(pair[0] for pair in padding)
        axes = zip(x[lead:], places[lead:], window, stride, low, dilation, strict=True)
        return Frame(lead, tuple(Axis(*numbers) for numbers in axes))

    def number(self, f: Function, elements: Sequence[Index]) -> Index:
        """Which element of a window this is, counted in row-major order."""
        found: Index = 0
        for k, axis in zip(elements, self.axes, strict=True):
            found = f.add(f.mul(found, axis.size), k)
        return found


def fastest(place: Operand) -> int:
    """The axis on which neighbours are neighbours in memory; the last one of a single element."""
    steps = list(zip(place.place.strides, place.shape, strict=True))
    return next((i for i, (step, n) in enumerate(steps) if step == 1 and n > 1), len(steps) - 1)


def rows_of(out: Operand, axis: int) -> list[int]:
    """All other axes in the order of memory."""
    return sorted((i for i in range(len(out.shape)) if i != axis), key=lambda i: -out.place.strides[i])


def spread_out(f: Function, number: Index, axes: Sequence[int], shape: Shape) -> list[Index]:
    """The position that a number of rows stands for; 0 on the axis that is left out."""
    found: list[Index] = [0] * len(shape)
    for axis, i in zip(axes, position(f, number, tuple(shape[a] for a in axes)), strict=True):
        found[axis] = i
    return found


def replaced(at: Sequence[Index], axis: int, i: Index) -> list[Index]:
    """A position with another index on one axis."""
    return [*at[:axis], i, *at[axis + 1 :]]


def load(v: Lanes, x: Operand, at: Sequence[Index], step: int, mask: Value | None = None) -> Value:
    """Elements `step` apart in memory, from a position on."""
    start = x.index(at)
    if v.count == 1 or step == 1:
        return v.load(x.dtype, x.pointer, start, mask)
    if step == 0:
        return v.load_one(x.dtype, x.pointer, start)
    return v.gather(x.dtype, x.f.at(x.pointer, start, x.dtype.itemsize), v.multiply(v.numbers(), step), mask)


def store(x: Value, out: Operand, at: Sequence[Index], step: int) -> None:
    """Write elements `step` apart in memory, from a position on."""
    v, start = x.lanes, out.index(at)
    if v.count == 1 or step == 1:
        v.store(x, out.pointer, start)
        return
    v.scatter(x, out.f.at(out.pointer, start, out.dtype.itemsize), v.multiply(v.numbers(), step))
