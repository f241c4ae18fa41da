"""Strips of an image, copied for a kernel that is swept over them: channels side by side, zeros around the image."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from math import prod

from chainrule.native.code import Function, Index, Value
from chainrule.native.lanes import Lanes
from chainrule.native.loops.axes import along, nest
from chainrule.types import DType, Shape


@dataclass(frozen=True)
class Blocks:
    """Which blocks of `channels` channels each are copied, and how many elements apart they lie in the copy.

    Places of one block lie close together, so that the sets of a first cache are all used.
    """

    begin: Index
    end: Index
    step: int


@dataclass(frozen=True)
class Strip:
    """Where a strip is cut from an image [channels, *sizes], and how large it is.

    Attributes:
        dtype: of the image.
        channels: how many there are, or how many there are in a block.
        sizes: the sizes of the image in space.
        strides: of the image, in elements: of channels, and of each axis in space.
        low: where the strip begins along each axis; along the first one strips move on from there.
        spanned: how many places it has along all axes but the first one.
    """

    dtype: DType
    channels: int
    sizes: Shape
    strides: tuple[int, ...]
    low: Shape
    spanned: Shape

    @property
    def steps(self) -> Shape:
        """Strides of the strip along the axes in space, in elements."""
        return tuple(prod(self.spanned[i:]) * self.channels for i in range(len(self.sizes)))

    def copy(
        self, f: Function, image: Value, first: Index, lines: Index, to: Value, blocks: Blocks | None = None
    ) -> None:
        """Copy `lines` places along the first axis, the first of them `first` places after `low`."""
        blocks = blocks or Blocks(0, 1, 0)
        inner = self.spanned[:-1]
        with f.loop(0, lines) as line, nest(f, inner) as middle:
            at = [f.add(f.add(first, line.index), self.low[0])]
            at += [f.add(i, low) for i, low in zip(middle, self.low[1:-1], strict=True)]
            start, place = image, to
            for i, stride in zip(at, self.strides[1:-1], strict=True):
                start = f.at(start, f.mul(i, stride), self.dtype.itemsize)
            for i, step in zip((line.index, *middle), self.steps[:-1], strict=True):
                place = f.at(place, f.mul(i, step), self.dtype.itemsize)
            outside = self._outside(f, at)
            with f.loop(blocks.begin, blocks.end) as block, ExitStack() as inside:
                there = f.at(place, f.mul(block.index, blocks.step), self.dtype.itemsize)
                if outside is not None:
                    with f.when(outside):
                        self._zeros(f, there, 0, self.spanned[-1])
                    inside.enter_context(f.when(f.new("i1", f"xor {outside}, true")))
                here = f.at(start, f.mul(block.index, self.channels * self.strides[0]), self.dtype.itemsize)
                self._row(f, here, there)

    def _outside(self, f: Function, at: Sequence[Index]) -> Value | None:
        """Whether a row lies outside of the image, if that is possible."""
        found: Value | None = None
        for i, (index, size) in enumerate(zip(at, self.sizes[:-1], strict=True)):
            if i and self.low[i] >= 0 and self.low[i] + self.spanned[i - 1] <= size:
                continue
            here = f.compare("uge", index, size)
            found = here if found is None else f.new("i1", f"or {found}, {here.name}")
        return found

    def _row(self, f: Function, image: Value, to: Value) -> None:
        """One row that lies inside: zeros, what there is of the image, zeros."""
        n, low, size, channels = self.spanned[-1], self.low[-1], self.sizes[-1], self.channels
        left = min(max(0, -low), n)
        right = max(min(n, size - low), left)
        self._zeros(f, to, 0, left)
        start = f.at(image, (left + low) * self.strides[-1], self.dtype.itemsize)
        place, count = f.at(to, left * channels, self.dtype.itemsize), right - left
        if count and (channels == 1 or self.strides[0] == 1) and self.strides[-1] == channels:
            self._run(f, start, place, count * channels, 1)
        elif count:
            with f.loop(0, count) as loop:
                here = f.at(start, f.mul(loop.index, self.strides[-1]), self.dtype.itemsize)
                there = f.at(place, f.mul(loop.index, channels), self.dtype.itemsize)
                self._run(f, here, there, channels, self.strides[0])
        self._zeros(f, to, right, n)

    def _run(self, f: Function, start: Value, to: Value, count: int, stride: int) -> None:
        """Elements that are `stride` apart become neighbours."""

        def move(v: Lanes, at: Index) -> None:
            if stride == 1 or v.count == 1:
                x = v.load(self.dtype, start, f.mul(at, stride))
            else:
                first = f.at(start, f.mul(at, stride), self.dtype.itemsize)
                x = v.gather(self.dtype, first, v.multiply(v.numbers(), stride))
            v.store(x, to, at)

        along(f, f.target.lanes(self.dtype.itemsize), count, 0, count, move)

    def _zeros(self, f: Function, to: Value, start: int, stop: int) -> None:
        """Zeros for the places from start to stop of a row."""
        count, to = (stop - start) * self.channels, f.at(to, start * self.channels, self.dtype.itemsize)
        if count:
            along(
                f, f.target.lanes(self.dtype.itemsize), count, 0, count,
                lambda v, at: v.store(v.constant(self.dtype, 0), to, at),
            )  # fmt: skip
