"""Lines of tiles as the transforms take them: zeros stand for what lies beside an image."""

from __future__ import annotations

from dataclasses import dataclass

from chainrule.native.code import Function, Index, Value
from chainrule.native.contraction.micro import call
from chainrule.native.convolution.strip import Strip
from chainrule.native.target import LINE
from chainrule.types import DType, Shape


@dataclass(frozen=True)
class Spreading:
    """Images, or cotangents, and how they are transformed.

    Attributes:
        dtype: of them.
        sizes: of an image in space.
        strides: of channels, and along both axes in space, in elements.
        channels: how many are transformed at a time.
        reach: how many lines and columns a tile has.
        along: tiles in a line.
        low: where the first tile begins along each axis.
        micro: the address of the `Spread` that does it.
        room: memory of size `room_size`.
        zeros: as many zeros as there are channels.
        copy: memory of size `copy_size`, if channels may not lie side by side, so that lines have to be copied.
    """

    dtype: DType
    sizes: Shape
    strides: tuple[int, ...]
    channels: int
    reach: int
    along: int
    low: Shape
    micro: Value
    room: Value
    zeros: Value
    copy: Value | None = None

    def spread(self, f: Function, image: Value, line: Index, first: Index, tiles: Index, *to: Value | Index) -> None:
        """Transform some tiles of a line, from the first one on. `to` are the last arguments of `Spread`."""
        size, channels = self.dtype.itemsize, self.channels
        top, start = f.mul(line, 2), f.add(f.mul(first, 2), self.low[1])
        count = f.add(f.mul(tiles, 2), self.reach - 2)
        left: Index = 0
        right: Index = 0
        rows: list[Value] = []
        steps: list[Index] = []
        if self.copy is not None and self.strides[0] != 1:
            places = 2 * self.along + self.reach - 2
            Strip(self.dtype, channels, self.sizes, self.strides, self.low, (places,)).copy(
                f, image, top, self.reach, self.copy
            )
            step = channels
            for i in range(self.reach):
                rows.append(f.at(self.copy, f.mul(f.add(f.mul(first, 2), i * places), channels), size))
                steps.append(step)
        else:
            left = _within(f, f.sub(0, start), count)
            right = _within(f, f.sub(f.add(start, count), self.sizes[1]), f.sub(count, left))
            step = self.strides[2]
            image = f.at(image, f.mul(f.add(start, left), step), size)
            for i in range(self.reach):
                row = f.add(top, self.low[0] + i)
                met = f.compare("ult", row, self.sizes[0])
                there = f.at(image, f.mul(row, self.strides[1]), size)
                rows.append(f.new("ptr", f"select {met}, {there}, {self.zeros}"))
                steps.append(f.choose(met, step, 0))
        ahead, inside = 2 * self.strides[1] * size, f.sub(f.sub(count, left), right)
        call(f, self.micro, *rows, *steps, ahead, left, inside, right, channels, tiles, self.room, *to)


def room_size(across: int, reach: int) -> int:
    """Bytes for four vectors of each place of so many tiles, for any processor."""
    return (2 * across + reach - 2) * 4 * LINE


def copy_size(along: int, reach: int, channels: int, size: int) -> int:
    """Bytes for copies of the lines of a row of so many tiles."""
    return reach * (2 * along + reach - 2) * channels * size + LINE


def _within(f: Function, x: Index, most: Index) -> Index:
    """x, but at least zero and at most `most`."""
    if isinstance(x, int):
        return f.min(max(x, 0), most)
    return f.min(f.choose(f.compare("slt", x, 0), 0, x), most)
