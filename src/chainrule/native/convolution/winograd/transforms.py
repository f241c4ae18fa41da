"""The sums and differences before and after the products, as micro-kernels.

Transforms go along one axis and then along the other one, with the same few sums: each is a pair of lines, or of
columns, added or subtracted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

from chainrule.native.code import Function, Index, Value
from chainrule.native.lanes import Lanes
from chainrule.native.target import LINE
from chainrule.types import DType

POSITIONS = 16
"""Products for each tile, channel and kernel."""

LEAST = 16
"""Channels, and kernels, from which on transforms pay."""

SPACING = 5, 16
"""Positions are so many lines of memory apart, but for a multiple of the second number: then a tile's 16 positions, and
those of its neighbours, fall on different sets of a first cache."""

Pairs: TypeAlias = tuple[tuple[int, int, str], ...]
"""For each of four sums: which two lines, and whether they are added or subtracted; "" is the first one alone."""

IMAGE: Pairs = ((0, 2, "-"), (1, 2, "+"), (2, 1, "-"), (3, 1, "-"))
"""B': four lines become four."""

COTANGENT: Pairs = ((0, 0, ""), (0, 1, "+"), (0, 1, "-"), (1, 1, ""))
"""A: two lines become four."""


def spaced(size: int) -> int:
    """Bytes from position to position, each of which takes `size` bytes."""
    lines, (rest, whole) = -(-size // LINE), SPACING
    return (lines + (rest - lines) % whole) * LINE


@dataclass(frozen=True)
class Spread:
    """A row of tiles of an image or of cotangents becomes 16 positions for each tile and channel.

        void name(ptr line0, ..., i64 step0, ..., i64 next, i64 left, i64 inside, i64 right, i64 channels, i64 tiles,
                  ptr room, ptr to, i64 tile, i64 side, i64 position)

    Lines have `inside` places, a step of this line after each other, with so many places of zeros left and right of
    them. Those that the next row of tiles will meet first are `next` bytes after the last two; they are asked for.
    `room` is for four vectors of each place.

    Channels are stored in whole vectors, a line of memory after the other: these are `side` bytes apart. What is made
    of a tile is `tile` bytes from that of the next one, and a position `position` bytes from the next one.
    """

    dtype: DType
    pairs: Pairs

    @property
    def reach(self) -> int:
        """How many lines and columns a tile has."""
        return 1 + max(p for p, _, _ in self.pairs)

    @property
    def name(self) -> str:
        """What it is called in machine code."""
        return f"spread_{self.dtype.short}_{self.reach}"

    @property
    def parameters(self) -> tuple[str, ...]:
        """What it takes."""
        lines = (*(f"ptr %line{i}" for i in range(self.reach)), *(f"i64 %step{i}" for i in range(self.reach)))
        sizes = ("next", "left", "inside", "right", "channels", "tiles")
        to = ("ptr %room", "ptr %to", "i64 %tile", "i64 %side", "i64 %position")
        return (*lines, *(f"i64 %{size}" for size in sizes), *to)

    def body(self, f: Function) -> None:
        """Its code."""
        v = Lanes(f, f.target.lanes(self.dtype.itemsize))
        left, channels = Value("i64", "%left"), Value("i64", "%channels")
        start = self._place(f, v, left)
        end = self._place(f, v, f.add(left, Value("i64", "%inside")))
        for to, count in ((Value("ptr", "%room"), left), (end, Value("i64", "%right"))):
            with f.loop(0, f.mul(count, 4 * v.count), v.count) as loop:
                v.store(v.constant(self.dtype, 0), to, loop.index)
        whole = f.mul(f.div(channels, v.count), v.count)
        with f.loop(0, whole, v.count) as channel:
            self._lines(f, v, channel.index, None, start)
            self._columns(f, v, channel.index)
        with f.when(f.compare("slt", whole, channels)):
            self._lines(f, v, whole, v.first(f.sub(channels, whole)), start)
            self._columns(f, v, whole)

    def _place(self, f: Function, v: Lanes, number: Index) -> Value:
        """Where the sums of a place are."""
        return f.at(Value("ptr", "%room"), f.mul(number, 4 * v.count), self.dtype.itemsize)

    def _lines(self, f: Function, v: Lanes, channel: Index, mask: Value | None, to: Value) -> None:
        """The four sums of lines at each place."""
        size = self.dtype.itemsize
        lines = [f.at(Value("ptr", f"%line{i}"), channel, size) for i in range(self.reach)]
        ahead = [f.at(line, Value("i64", "%next"), 1) for line in lines[-2:]]
        with f.loop(0, Value("i64", "%inside")) as place:
            at = [f.mul(place.index, Value("i64", f"%step{i}")) for i in range(self.reach)]
            for line, here in zip(ahead, at[-2:], strict=True):
                f.fetch(f.at(line, here, size))
            values = [v.load(self.dtype, line, here, mask) for line, here in zip(lines, at, strict=True)]
            for i, x in enumerate(_sums(self.pairs, values)):
                v.store(x, to, f.add(f.mul(place.index, 4 * v.count), i * v.count))

    def _columns(self, f: Function, v: Lanes, channel: Index) -> None:
        """The four sums of columns of each tile, for two sums of lines at a time."""
        size, wide, position = self.dtype.itemsize, LINE // self.dtype.itemsize, Value("i64", "%position")
        to = f.at(Value("ptr", "%to"), f.mul(f.div(channel, wide), Value("i64", "%side")), 1)
        to = f.at(to, f.rem(channel, wide), size)
        for two in (0, 1), (2, 3):
            sums = [[f.at(to, f.mul(position, 4 * i + j), 1) for j in range(4)] for i in two]
            with f.loop(0, Value("i64", "%tiles")) as tile:
                first = self._place(f, v, f.mul(tile.index, 2))
                for i, there in zip(two, sums, strict=True):
                    columns = [v.load(self.dtype, first, (4 * k + i) * v.count) for k in range(self.reach)]
                    for x, at in zip(_sums(self.pairs, columns), there, strict=True):
                        v.store(x, f.at(at, f.mul(tile.index, Value("i64", "%tile")), 1))


def _sums(pairs: Pairs, x: Sequence[Value]) -> list[Value]:
    """The four sums of lines, or of columns."""
    return [x[p] if not how else x[p] + x[q] if how == "+" else x[p] - x[q] for p, q, how in pairs]


@dataclass(frozen=True)
class Kernels:
    """Kernels of 3 by 3 become 16 positions: for each, channel after channel, `vectors` of kernels side by side.

        void name(ptr from, i64 side, i64 sides, i64 down, i64 along, i64 next, i64 channels, ptr to, i64 position)

    Kernels are `side` elements apart, and there are `sides` of them, at most as many as lanes; zeros take the place of
    others. `down` and `along` lead from element to element of a kernel, `next` to the same one of the next channel, all
    in bytes, and so is `position` from position to position.
    """

    dtype: DType
    vectors: int

    @property
    def name(self) -> str:
        """What it is called in machine code."""
        return f"kernels_{self.dtype.short}_{self.vectors}"

    @property
    def parameters(self) -> tuple[str, ...]:
        """What it takes."""
        steps = ("side", "sides", "down", "along", "next", "channels")
        return ("ptr %from", *(f"i64 %{step}" for step in steps), "ptr %to", "i64 %position")

    def body(self, f: Function) -> None:
        """Its code."""
        v, size = Lanes(f, f.target.lanes(self.dtype.itemsize)), self.dtype.itemsize
        side, sides = Value("i64", "%side"), Value("i64", "%sides")
        steps = v.multiply(v.numbers(), v.index(side))
        with f.loop(0, Value("i64", "%channels")) as channel:
            row = f.at(Value("ptr", "%to"), f.mul(channel.index, self.vectors * v.count), size)
            with f.loop(0, self.vectors) as strip:
                first = f.mul(strip.index, v.count)
                at = f.at(Value("ptr", "%from"), f.mul(channel.index, Value("i64", "%next")), 1)
                at = f.at(at, f.mul(first, side), size)
                mask = v.first(f.sub(sides, first))

                def element(i: int, j: int, at: Value = at, mask: Value = mask) -> Value:
                    there = f.add(f.mul(Value("i64", "%down"), i), f.mul(Value("i64", "%along"), j))
                    return v.gather(self.dtype, f.at(at, there, 1), steps, mask)

                rows = zip(*(_halves([element(i, j) for i in range(3)]) for j in range(3)), strict=True)
                for i, three in enumerate(rows):
                    for j, x in enumerate(_halves(three)):
                        there = f.at(row, f.mul(Value("i64", "%position"), 4 * i + j), 1)
                        v.store(x, there, first)


def _halves(x: Sequence[Value]) -> list[Value]:
    """G: three become four."""
    outer, middle = (x[0] + x[2]) * 0.5, x[1] * 0.5
    return [x[0], outer + middle, outer - middle, x[2]]


@dataclass(frozen=True)
class Results:
    """Sums of 16 positions become 2 by 2 results of each tile, `vectors` of kernels side by side.

        void name(ptr from, i64 tiles, ptr to, i64 place, i64 line)

    It is `position` bytes from position to position, as part of the code: sixteen addresses would need many registers.
    Results are `place` bytes apart along a line, and lines `line` bytes.
    """

    dtype: DType
    vectors: int
    position: int

    @property
    def name(self) -> str:
        """What it is called in machine code."""
        return f"results_{self.dtype.short}_{self.vectors}_{self.position}"

    @property
    def parameters(self) -> tuple[str, ...]:
        """What it takes."""
        return ("ptr %from", "i64 %tiles", "ptr %to", "i64 %place", "i64 %line")

    def body(self, f: Function) -> None:
        """Its code."""
        v, size = Lanes(f, f.target.lanes(self.dtype.itemsize)), self.dtype.itemsize
        with f.loop(0, Value("i64", "%tiles")) as tile:
            first = f.at(Value("ptr", "%from"), f.mul(tile.index, self.vectors * v.count), size)
            to = f.at(Value("ptr", "%to"), f.mul(f.mul(tile.index, 2), Value("i64", "%place")), 1)
            for at in range(0, self.vectors * v.count, v.count):
                columns = [
                    results([
                        v.load(self.dtype, f.at(first, self.position * (4 * i + j), 1), at)
                        for i in range(4)
                    ])
                    for j in range(4)
                ]  # fmt: skip
                for i in range(2):
                    for j, x in enumerate(results([column[i] for column in columns])):
                        there = f.add(f.mul(Value("i64", "%line"), i), f.mul(Value("i64", "%place"), j))
                        v.store(x, f.at(to, there, 1), at)


def results(x: Sequence[Value]) -> list[Value]:
    """A': four become two."""
    return [x[0] + x[1] + x[2], x[1] - x[2] + x[3]]


def elements(x: Sequence[Value]) -> list[Value]:
    """G': four become three."""
    outer, middle = (x[1] + x[2]) * 0.5, (x[1] - x[2]) * 0.5
    return [x[0] + outer, middle, outer + x[3]]
