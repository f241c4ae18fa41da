"""Where tensors lie in memory, and reading and writing them from code in the making."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from chainrule.native.code import Function, Index, Value
from chainrule.native.lanes import Lanes
from chainrule.types import DType, Shape


@dataclass(frozen=True, slots=True)
class Strided:
    """Where the elements of a tensor are in a buffer: element (i, j, ...) at offset + i * strides[0] + j * ...

    All is counted in elements. A stride may be 0 (a broadcast axis) or negative (a flipped one).
    """

    shape: Shape
    strides: tuple[int, ...]
    offset: int = 0

    @property
    def is_contiguous(self) -> bool:
        """Whether the elements follow each other in row-major order from the start of the buffer."""
        steps = zip(self.shape, self.strides, row_major(self.shape).strides, strict=True)
        return 0 in self.shape or (self.offset == 0 and all(n == 1 or here == there for n, here, there in steps))


def row_major(shape: Shape) -> Strided:
    """Elements one after the other, the last axis fastest.

    >>> row_major((2, 3)).strides
    (3, 1)
    """
    strides: list[int] = []
    step = 1
    for n in reversed(shape):
        strides.append(step)
        step *= max(n, 1)
    return Strided(shape, tuple(reversed(strides)))


def strided(shape: Shape, strides: Sequence[int], offset: int) -> Strided:
    """A place with the strides of axes of size one, which say nothing, chosen as in row-major order.

    >>> strided((2, 1, 3), (3, 0, 1), 0) == row_major((2, 1, 3))
    True
    """
    if 0 in shape:
        return row_major(shape)
    found = list(strides)
    for axis in reversed(range(len(shape))):
        if shape[axis] == 1:
            found[axis] = found[axis + 1] * shape[axis + 1] if axis + 1 < len(shape) else 1
    return Strided(shape, tuple(found), offset)


@dataclass(slots=True)
class Operand:
    """A tensor that code in the making reads or writes."""

    f: Function
    pointer: Value
    dtype: DType
    place: Strided

    @property
    def shape(self) -> Shape:
        """Its shape."""
        return self.place.shape

    def index(self, position: Sequence[Index]) -> Index:
        """Which element of the buffer stands at a position."""
        found: Index = self.place.offset
        for i, stride in zip(position, self.place.strides, strict=True):
            found = self.f.add(found, self.f.mul(i, stride))
        return found

    def load(self, v: Lanes, position: Sequence[Index], axis: int | None = None, mask: Value | None = None) -> Value:
        """The element at a position; on several lanes, the elements that follow it along an axis."""
        at = self.index(position)
        stride = 0 if axis is None else self.place.strides[axis]
        if v.count == 1 or stride == 1:
            return v.load(self.dtype, self.pointer, at, mask)
        if stride == 0:
            return v.load_one(self.dtype, self.pointer, at)
        start = self.f.at(self.pointer, at, self.dtype.itemsize)
        return v.gather(self.dtype, start, v.multiply(v.numbers(), stride), mask)

    def store(self, x: Value, position: Sequence[Index], axis: int | None = None, mask: Value | None = None) -> None:
        """Write to a position; from several lanes, to the elements that follow it along an axis."""
        v, at = x.lanes, self.index(position)
        if v.count == 1 or axis is None or self.place.strides[axis] == 1:
            v.store(x, self.pointer, at, mask)
            return
        start = self.f.at(self.pointer, at, self.dtype.itemsize)
        v.scatter(x, start, v.multiply(v.numbers(), self.place.strides[axis]), mask)
