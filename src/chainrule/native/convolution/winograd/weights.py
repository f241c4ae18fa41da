"""The derivative by kernels: products of transformed images and cotangents, summed over all tiles.

Units of work are a few channels of the images each. A thread goes through all tiles for its units, some at a time:
cotangents are transformed, then images unit by unit, and products are added up in memory of the thread until they
become elements of kernels in the end.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

from chainrule.native.code import Index, Value
from chainrule.native.contraction.micro import MicroKernel, Tile, call
from chainrule.native.convolution.geometry import Geometry
from chainrule.native.convolution.winograd.spreading import Spreading, copy_size, room_size
from chainrule.native.convolution.winograd.transforms import (
    COTANGENT,
    IMAGE,
    LEAST,
    POSITIONS,
    Spread,
    elements,
    spaced,
)
from chainrule.native.job import Job
from chainrule.native.lanes import Lanes
from chainrule.native.operand import Operand
from chainrule.native.target import LINE, Target, whole_lines

CHANNELS = 8  # channels of images in a unit of work
TILES, FEWEST = 64, 16  # about so many tiles at a time, and how many at least
CHUNK = 256 * 1024  # bytes of transformed cotangents at a time, if these are enough tiles


@dataclass(frozen=True)
class Cut:
    """How the work is cut, by its sizes alone, for any processor.

    Attributes:
        g: the sizes.
        lines, across: how many lines of tiles are worked on at a time, and tiles of each: all of them if `lines` > 1.
    """

    g: Geometry
    lines: int
    across: int

    @property
    def down(self) -> int:
        """Lines of tiles of an image."""
        return -(-self.g.places[0] // 2)

    @property
    def along(self) -> int:
        """Tiles of a line."""
        return -(-self.g.places[1] // 2)

    @property
    def units(self) -> int:
        """How many units of work there are."""
        return self.g.depth // CHANNELS

    @property
    def side(self) -> int:
        """Cotangents' channels that are side by side: a line of memory."""
        return LINE // self.g.dtype.itemsize

    @property
    def sides(self) -> int:
        """How many times so many there are."""
        return self.g.made // self.side

    @property
    def steps(self) -> tuple[int, int]:
        """Bytes from position to position, of transformed images and of transformed cotangents."""
        tiles = self.lines * self.across
        return spaced(tiles * LINE), spaced(tiles * self.sides * LINE)

    @property
    def areas(self) -> tuple[int, ...]:
        """Bytes for sums, images, cotangents, sums of lines, zeros, and copies of lines."""
        g, size = self.g, self.g.dtype.itemsize
        return tuple(map(whole_lines, (
            self.units * POSITIONS * CHANNELS * g.made * size,
            POSITIONS * self.steps[0] + LINE,
            POSITIONS * self.steps[1] + LINE,
            room_size(self.across, 4),
            g.made * size,
            max(copy_size(self.along, 4, CHANNELS, size), copy_size(self.along, 2, g.made, size)),
        )))  # fmt: skip


def cut(g: Geometry) -> Cut | None:
    """How the work is cut; None if kernels are not 3 by 3 in steps of one, or channels do not make up whole units."""
    if (g.kernel, g.stride, g.dilation, g.groups) != ((3, 3), (1, 1), (1, 1), 1):
        return None
    side = LINE // g.dtype.itemsize
    if min(g.depth, g.made) < LEAST or g.depth % CHANNELS or g.made % side or min(g.batch, *g.places) < 1:
        return None
    most = max(FEWEST, min(TILES, CHUNK // (POSITIONS * g.made * g.dtype.itemsize)))
    along = -(-g.places[1] // 2)
    if along > most:
        return Cut(g, 1, -(-along // -(-along // most)))
    return Cut(g, min(most // along, g.batch * -(-g.places[0] // 2)), along)


def micros(c: Cut, target: Target) -> Sequence[MicroKernel]:
    """The micro-kernels that are called."""
    vectors = LINE // target.vector_bytes
    fitting = (rows for rows in (8, 4, 2, 1) if (rows + 1) * vectors + 2 <= target.registers)
    product = Tile(c.g.dtype, next(fitting), vectors, along=False)
    return product, Spread(c.g.dtype, IMAGE), Spread(c.g.dtype, COTANGENT)


class WinogradWeights:
    """Makes the code of units `f.begin` to `f.end`."""

    def __init__(self, job: Job, c: Cut) -> None:
        assert job.scratch is not None
        self.f, self.job, self.c, self.g = job.f, job, c, c.g
        self.size = c.g.dtype.itemsize
        self.v = Lanes(job.f, job.f.target.lanes(self.size))
        self.tile, image, cotangent = micros(c, job.f.target)
        starts = itertools.accumulate((0, *c.areas[:-1]))
        self.sums, self.image, self.cotangents, room, zeros, copy = (job.f.at(job.scratch, at, 1) for at in starts)
        x, y = job.inputs
        low = (-c.g.low[0], -c.g.low[1])
        self.zeros = zeros
        self.images = Spreading(
            c.g.dtype, c.g.sizes, x.place.strides[1:], CHANNELS, 4, c.along, low, job.micro[image], room, zeros, copy
        )  # fmt: skip
        self.made = Spreading(
            c.g.dtype, c.g.places, y.place.strides[1:], c.g.made, 2, c.along, (0, 0), job.micro[cotangent], room, zeros,
            copy,
        )  # fmt: skip
        self.image_step = max(CHANNELS, self.v.count) * self.size

    def make(self) -> None:
        """All tiles; then what has been found is stored."""
        f, c = self.f, self.c
        with f.loop(0, self.g.made, self.v.count) as loop:
            self.v.store(self.v.constant(self.g.dtype, 0), self.zeros, loop.index)
        whole = self.g.batch * c.down
        with f.loop(0, whole, c.lines) as chunk, f.loop(0, c.along, c.across) as part:
            lines, tiles = f.min(c.lines, f.sub(whole, chunk.index)), f.min(c.across, f.sub(c.along, part.index))
            where = (chunk.index, lines, part.index, tiles)
            steps = (LINE, c.lines * c.across * LINE, c.steps[1])
            self._spread(self.made, self.job.inputs[1], 0, *where, self.cotangents, *steps)
            started = f.choose(f.compare("sgt", f.add(chunk.index, part.index), 0), 1, 0)
            with f.loop(f.begin, f.end) as unit:
                steps = (self.image_step, LINE, c.steps[0])
                self._spread(self.images, self.job.inputs[0], unit.index, *where, self.image, *steps)
                self._products(f.sub(unit.index, f.begin), f.mul(lines, tiles), started)
        self._store()

    def _spread(
        self,
        how: Spreading,
        x: Operand,
        block: Index,
        chunk: Index,
        lines: Index,
        part: Index,
        tiles: Index,
        to: Value,
        *steps: int,
    ) -> None:
        """Transform a block of channels for some lines of tiles."""
        f, c = self.f, self.c
        first = f.at(x.pointer, f.add(x.place.offset, f.mul(f.mul(block, how.channels), how.strides[0])), self.size)
        with f.loop(0, lines) as loop:
            line = f.add(chunk, loop.index)
            image = f.at(first, f.mul(f.div(line, c.down), x.place.strides[0]), self.size)
            there = f.at(to, f.mul(loop.index, c.across * steps[0]), 1)
            how.spread(f, image, f.rem(line, c.down), part, tiles, there, *steps)

    def _sums(self, unit: Index, position: Index, side: Index) -> Value:
        """Where products of a position are added up: a line of memory for each channel of a unit."""
        f, c = self.f, self.c
        number = f.add(f.mul(f.add(f.mul(unit, POSITIONS), position), c.sides), side)
        return f.at(self.sums, f.mul(number, CHANNELS * LINE), 1)

    def _products(self, unit: Index, tiles: Index, adding: Index) -> None:
        """What some tiles add to the sums of a unit."""
        f, c = self.f, self.c
        assert isinstance(self.tile, Tile)
        product = self.job.micro[self.tile]
        with f.loop(0, POSITIONS) as position, f.loop(0, c.sides) as side:
            a = f.at(self.image, f.mul(position.index, c.steps[0]), 1)
            b = f.add(f.mul(position.index, c.steps[1]), f.mul(side.index, c.lines * c.across * LINE))
            sums = self._sums(unit, position.index, side.index)
            with f.loop(0, CHANNELS, self.tile.rows) as row:
                call(
                    f, product, f.at(a, row.index, self.size), self.image_step, f.at(self.cotangents, b, 1), LINE,
                    f.at(sums, f.mul(row.index, LINE), 1), LINE, tiles, adding,
                )  # fmt: skip

    def _store(self) -> None:
        """Sums become elements of kernels."""
        f, c, v, out = self.f, self.c, self.v, self.job.outputs[0]
        with (
            f.loop(f.begin, f.end) as unit,
            f.loop(0, c.sides) as side,
            f.loop(0, CHANNELS) as row,
            f.loop(0, c.side, v.count) as vector,
        ):
            own = f.sub(unit.index, f.begin)

            def position(i: int, j: int) -> Value:
                sums = f.at(self._sums(own, 4 * i + j, side.index), f.mul(row.index, LINE), 1)
                return v.load(self.g.dtype, sums, vector.index)

            rows = zip(*(elements([position(i, j) for i in range(4)]) for j in range(4)), strict=True)
            for i, four in enumerate(rows):
                for j, x in enumerate(elements(four)):
                    made = f.add(f.mul(side.index, c.side), vector.index)
                    out.store(x, (made, f.add(f.mul(unit.index, CHANNELS), row.index), i, j), 0)
