"""How a convolution by Winograd's algorithm is cut: tiles of products, chunks that stay in a cache, units of work."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

from chainrule.native.contraction.micro import Tile
from chainrule.native.contraction.plan import CALL, HIGHEST, pace
from chainrule.native.convolution.planned import Planned
from chainrule.native.convolution.sweep import Sweep
from chainrule.native.convolution.winograd.spreading import room_size
from chainrule.native.convolution.winograd.transforms import IMAGE, LEAST, POSITIONS, Kernels, Results, Spread, spaced
from chainrule.native.target import Target, whole_lines

WIDTHS = (1, 2, 3, 4)  # vectors in a tile's row
LARGEST = 10 << 20  # bytes of transformed kernels; those of two threads should stay in a cache
UNITS = 16  # about so many units of work
SPREAD = 36  # cycles to transform a vector of a tile of the image
FINISH = 48  # cycles to transform sums of a vector of a tile, and to store its results
SUMS = 32 * 1024  # bytes of sums that wait at a time
CHUNK = 192 * 1024  # bytes of transformed images at a time, if these are enough tiles
FEWEST = 16  # tiles at a time


@dataclass(frozen=True)
class WinogradPlan(Planned):
    """How a sweep is computed: units along "rows" are lines of tiles. Areas are for kernels, the transformed image,
    sums, results, lines, and zeros.

    Attributes:
        lines, across: how many lines of tiles are worked on at a time, and tiles of each: all of them if `lines` > 1.
        steps: bytes from position to position of the transformed image, and of sums.
    """

    lines: int
    across: int
    steps: tuple[int, int]

    @property
    def text(self) -> str:
        """For reports: "Winograd, tiles of 6 rows by 2 vectors, batch cut by 8"."""
        return f"Winograd, tiles of {self.rows} rows by {self.vectors} vectors, {self.axis} cut by {self.block}"


@dataclass(frozen=True)
class Sizes:
    """What follows from a sweep.

    Attributes:
        down, along: lines of tiles of an image, and tiles of a line.
        strips: vectors of kernels.
        channels: channels of an image, in whole vectors.
    """

    down: int
    along: int
    strips: int
    channels: int


def sizes(s: Sweep, lanes: int) -> Sizes:
    """The sizes of a sweep."""
    down, along = (-(-n // 2) for n in s.results)
    return Sizes(down, along, -(-s.made // lanes), -(-s.summed // lanes) * lanes)


def suits(s: Sweep) -> bool:
    """Whether a sweep is by kernels of 3 by 3 in steps of one, over enough channels that lie side by side."""
    if len(s.sizes) != 2 or s.groups != 1 or len(s.phases) != 1 or {*s.stride, *s.step} != {1}:
        return False
    taps = [t.offset for t in s.phases[0].taps]
    first = taps[0] if taps else (0, 0)
    grid = [(first[0] + i, first[1] + j) for i, j in itertools.product(range(3), range(3))]
    even = min(s.batch, *s.sizes, *s.results) > 0 and s.dtype.is_float
    many = min(s.summed, s.made) >= LEAST and POSITIONS * s.summed * s.made * s.dtype.itemsize <= LARGEST
    return even and many and taps == grid and s.x[1] == 1


def winograd_plan(s: Sweep, target: Target, axis: str | None = None, block: int | None = None) -> WinogradPlan:
    """The best way found to compute a sweep that suits. Arguments are as of `sweep_plan`."""
    size, lanes = s.dtype.itemsize, target.lanes(s.dtype.itemsize)
    g = sizes(s, lanes)
    axis = axis or ("batch" if s.batch >= 4 or g.down < 2 else "rows")
    whole = s.batch if axis == "batch" else g.down
    block = block or -(-whole // UNITS)
    unit = block * g.down if axis == "batch" else block  # lines of tiles

    def chunks() -> list[tuple[int, int]]:
        """How many lines, or how many tiles of one, fit into the caches."""
        most = min(SUMS // (POSITIONS * 2 * target.vector_bytes), CHUNK // (POSITIONS * g.channels * size))
        most = max(most, FEWEST)
        if g.along > most:
            parts = -(-g.along // most)
            return [(1, -(-g.along // parts))]
        return [(lines, g.along) for lines in range(1, max(1, min(unit, most // g.along)) + 1)]

    def cost(rows: int, vectors: int, lines: int, across: int) -> float:
        """Cycles for a unit."""
        panels, found = -(-g.strips // vectors), 0.0
        for many, tiles in (
            (unit // lines * (g.along // across), lines * across),
            (unit // lines, lines * (g.along % across)),
            (1, unit % lines * g.along),
        ):
            each = s.summed * pace(target, rows, vectors) + CALL + 2 * rows * vectors
            products = POSITIONS * panels * -(-tiles // rows) * each
            transforms = tiles * (g.channels // lanes * SPREAD + panels * vectors * FINISH)
            found += many * (products + transforms)
        return found

    tiles = [
        (rows, vectors)
        for vectors in WIDTHS
        if vectors <= g.strips
        for rows in range(1, min(HIGHEST, (target.registers - vectors - 1) // vectors) + 1)
    ]
    rows, vectors, lines, across = min(((*t, *c) for t in tiles for c in chunks()), key=lambda way: cost(*way))
    units = -(-whole // block)
    room = max(lines * across, rows)
    steps = spaced(room * g.channels * size), spaced(room * vectors * target.vector_bytes)
    micros = (
        Spread(s.dtype, IMAGE),
        Kernels(s.dtype, vectors),
        Results(s.dtype, vectors, steps[1]),
        Tile(s.dtype, rows, vectors, along=True),
    )
    areas = (
        -(-g.strips // vectors) * POSITIONS * s.summed * vectors * target.vector_bytes,
        POSITIONS * steps[0] + target.vector_bytes,
        POSITIONS * steps[1],
        4 * across * vectors * target.vector_bytes,
        room_size(across, 4),
        g.channels * size,
    )
    total = units * cost(rows, vectors, lines, across)
    return WinogradPlan(
        axis, block, units, rows, vectors, micros, tuple(map(whole_lines, areas)), total, lines, across, steps
    )  # fmt: skip
