"""How a sweep is cut: tiles of places by channels, strips of an image that are copied at a time, units of work.

A tile has neighbouring places of a row of the result, or of a column at the edges (see `edges`), and some vectors of
its channels. The image is read as it lies where its channels follow each other and no tap looks outside of it; else a
strip of it is copied first, with zeros around it. The kernels are always copied, once for each thread that takes part.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import prod

from chainrule.native.contraction.micro import Swept
from chainrule.native.contraction.plan import pace
from chainrule.native.convolution.depthwise import Depthwise, together
from chainrule.native.convolution.edges import Columns, columns
from chainrule.native.convolution.parts import evenly
from chainrule.native.convolution.planned import Planned
from chainrule.native.convolution.sweep import Phase, Sweep
from chainrule.native.convolution.winograd.plan import WinogradPlan, suits, winograd_plan
from chainrule.native.target import LINE, Target, whole_lines
from chainrule.types import Shape

WIDTHS = (1, 2, 3, 4, 6, 8)  # vectors in a tile's row
HIGHEST = 24  # places in a tile
CALL = 30  # cycles around a micro-kernel
PIECE = 6  # cycles between two pieces of k
KERNEL = 200  # cycles that a micro-kernel less is worth, at least
TOGETHER = 4  # most taps of depthwise work at a time: each keeps a register
TORN = 1.5  # times slower depthwise work is that has parts of lines of memory only
NEAR = 32 * 1024  # bytes that fit into a core's first cache
STRIP = 256 * 1024  # bytes of the image that are copied at a time, if that can be
UNITS = 16  # about so many units of work


@dataclass(frozen=True)
class SweepPlan(Planned):
    """How a sweep is computed by the definition: areas are for a tile, for the kernels, and for a strip.

    Attributes:
        down: how many places tiles have that go down a column at the edges; 0 if edges are not computed for themselves.
        strip: how many q along the first axis are worked on at a time.
        copies: whether strips are copied first.
    """

    kernels: tuple[Swept | Depthwise, ...]
    down: int
    strip: int
    copies: bool

    @property
    def text(self) -> str:
        """For reports: "tiles of 14 places by 2 vectors, image copied, batch cut by 8"."""
        copied = ["image copied"] if self.copies else []
        tiles = [f"tiles of {self.rows} places by {self.vectors} vectors"]
        tiles += [f"of {self.down} down the edges"] if self.down else []
        return ", ".join([*tiles, *copied, f"{self.axis} cut by {self.block}"])


@dataclass(frozen=True)
class Pieces:
    """How k runs over the taps of a phase: pieces of equal length, whose elements of the image are equally far apart.

    Attributes:
        starts: where each piece starts in the image, in elements after the place of q.
        length: how many k a piece has.
        apart: how far it is from one k to the next: 1 but in depthwise work.
    """

    starts: tuple[int, ...]
    length: int
    apart: int


def pieces(s: Sweep, phase: int, strides: Shape) -> Pieces:
    """The pieces of a phase, for an image with these strides along its axes in space and channels side by side."""
    taps = s.phases[phase].taps
    starts = [sum((o - low) * n for o, low, n in zip(t.offset, s.low, strides, strict=True)) for t in taps]
    last = len({t.offset[-1] for t in taps})
    found = {y - x for i, (x, y) in enumerate(itertools.pairwise(starts)) if (i + 1) % last}
    if len(found) == 1 and (s.is_depthwise or (s.groups == 1 and found == {s.summed})):
        return Pieces(tuple(starts[::last]), last * s.summed, found.pop() if s.is_depthwise else 1)
    return Pieces(tuple(starts), s.summed, 1)


def kind(s: Sweep, found: Pieces, step: int) -> Swept | Depthwise:
    """The micro-kernel for pieces, with places so many bytes apart: for no rows and no vectors yet."""
    if s.is_depthwise:
        return Depthwise(s.dtype, 0, 0, step, found.apart * s.dtype.itemsize, together(found.length, TOGETHER))
    return Swept(s.dtype, 0, 0, along=True, step=step)


def parts(s: Sweep, down: int) -> list[Columns]:
    """The columns of each phase: those at the edges for themselves if tiles go down these."""
    if down:
        return [columns(s, i) for i in range(len(s.phases))]
    return [Columns(0, phase.count[-1], ()) for phase in s.phases]


def copied_strides(s: Sweep) -> Shape:
    """Strides along the axes in space of a copied strip, whose channels follow each other."""
    step, found = s.groups * s.summed, list[int]()
    for n in reversed(s.spanned):
        found.append(step)
        step *= n
    return tuple(reversed(found))


def sweep_plan(s: Sweep, target: Target, axis: str | None = None, block: int | None = None) -> SweepPlan | WinogradPlan:
    """The best way found to compute a sweep.

    Args:
        axis: what the units are to cut, "batch" or "rows"; by default the batch, if it has enough images.
        block: how many indices a unit has; by default about a sixteenth of the axis.
    """
    found = _Planner(s, target, axis, block).best()
    if suits(s):
        fewer = winograd_plan(s, target, axis, block)
        return fewer if fewer.cycles < found.cycles else found
    return found


class _Planner:
    def __init__(self, s: Sweep, target: Target, axis: str | None, block: int | None) -> None:
        self.s, self.target = s, target
        self.size = s.dtype.itemsize
        self.lanes = target.lanes(self.size)
        self.copies = not (s.is_inside and (s.x[1] == 1 or s.groups * s.summed == 1))
        if s.is_depthwise and s.groups % self.lanes:
            self.copies = True  # the last vector of a place reads on
        self.strides = copied_strides(s) if self.copies else s.x[2:]
        self.pieces = [pieces(s, i, self.strides) for i in range(len(s.phases))]
        self.step = s.stride[-1] * self.strides[-1] * self.size  # bytes from place to place
        self.strips = -(-s.across // self.lanes)
        self.axis = axis or ("batch" if s.batch >= 4 or s.count[0] < 4 else "rows")
        whole = max({"batch": s.batch, "rows": s.count[0]}[self.axis], 1)
        self.block = block or -(-whole // UNITS)
        self.units = -(-whole // self.block) if s.batch * prod(s.results) * s.made else 0
        row = prod(s.spanned[1:]) * s.groups * s.summed * self.size
        most = max(s.count[0], 1)
        self.strip = most
        if self.copies:
            fitting = (STRIP // max(row, 1) - s.window[0]) // s.stride[0] + 1
            self.strip = max(1, min(most, fitting))
        self.whole, self.apart = parts(s, 0), parts(s, 1)
        self.met = [self._met(phase) for phase in s.phases]
        self.has_edges = any(x.edges for x in self.apart) and self._sees_edges()

    def best(self) -> SweepPlan:
        """The plan that costs least."""
        tiles = [(rows, v) for v in WIDTHS for rows in range(1, self._highest(v, self.s.count[-1]) + 1)]
        found = [
            p for rows, vectors in tiles for down in self._down(vectors) if (p := self._tiled(rows, vectors, down))
        ]
        return min(found, key=lambda p: p.cycles)

    def _highest(self, vectors: int, places: int) -> int:
        wide, bare = self.target.vector_bytes >= 64, self.target.vector_bytes == 16 and self.target.registers == 16
        others = vectors + (0 if wide and vectors == 1 else 1) + (1 if bare else 0)
        return max(1, min((self.target.registers - others) // vectors, HIGHEST, places))

    def _sees_edges(self) -> bool:
        """Whether images are whole, and taps lie side by side, so that edges can be computed for themselves."""
        s = self.s
        joined = [
            found.length == s.summed * len({tap.offset[-1] for tap in phase.taps})
            for found, phase in zip(self.pieces, s.phases, strict=True)
        ]
        return self.copies and self.axis == "batch" and self.strip >= s.count[0] and not s.is_depthwise and all(joined)

    def _down(self, vectors: int) -> list[int]:
        """How high tiles may be that go down the edges: 0 for none."""
        if not self.has_edges:
            return [0]
        return [0, max(evenly(p.count[0], self._highest(vectors, p.count[0])).sizes[0][0] for p in self.s.phases)]

    def _tiled(self, rows: int, vectors: int, down: int) -> SweepPlan | None:
        s = self.s
        if vectors > max(self.strips, 1):
            return None
        heights = _heights([x.stop - x.first for x in (self.apart if down else self.whole)], rows)
        if heights[0] != rows:
            return None
        widths = sorted({vectors, self.strips % vectors or vectors}, reverse=True)
        kernels = self._kernels(heights, widths, self.step)
        if down:
            high = _heights([p.count[0] for p in s.phases], down)
            kernels += self._kernels(high, widths, s.stride[0] * self.strides[0] * self.size)
        cycles = self._cycles(rows, vectors, down) * (1 + 0.002 * len(kernels)) + KERNEL * len(kernels)
        return SweepPlan(
            self.axis, self.block, self.units, rows, vectors, tuple(kernels), self._areas(max(rows, down), vectors),
            cycles, down, self.strip, self.copies,
        )  # fmt: skip

    def _kernels(self, rows: Sequence[int], vectors: Sequence[int], step: int) -> list[Swept | Depthwise]:
        """The micro-kernels for tiles of some sizes, with places so many bytes apart."""
        kinds = {kind(self.s, found, step): None for found in self.pieces}
        return [replace(x, rows=i, vectors=j) for x in kinds for i in rows for j in vectors]

    def _areas(self, rows: int, vectors: int) -> tuple[int, int, int]:
        s, width = self.s, vectors * self.lanes
        taps = sum(len(p.taps) for p in s.phases)
        panels = s.sets * -(-s.across // width) * taps * s.summed * width
        lines = (self.strip - 1) * s.stride[0] + s.window[0]
        strip = lines * prod(s.spanned[1:]) * s.groups * s.summed + self.lanes if self.copies else 0
        return whole_lines(rows * width * self.size), whole_lines(panels * self.size), whole_lines(strip * self.size)

    def _cycles(self, rows: int, vectors: int, down: int) -> float:
        s, total = self.s, 0.0
        for i, phase in enumerate(s.phases):
            along, found = (self.apart if down else self.whole)[i], self.pieces[i]
            lines, count = prod(phase.count[:-1]), len(found.starts)
            for height, many in evenly(along.stop - along.first, rows).sizes:
                total += many * lines * self._tile(vectors, height, count * self.met[i], found.length)
            for edge in along.edges:
                length = found.length * (edge.stop - edge.first) // max(len({t.offset[-1] for t in phase.taps}), 1)
                for height, many in evenly(phase.count[0], down).sizes:
                    columns = many * prod(phase.count[1:-1])
                    total += columns * self._tile(vectors, height, count, length)
        return s.batch * s.sets * total

    def _met(self, phase: Phase) -> float:
        """The share of the rows of taps that meet the image: the others are left out along a row of the result."""
        s, offsets = self.s, sorted({tap.offset[0] for tap in phase.taps})
        inside = [0 <= q * s.stride[0] + o < s.sizes[0] for q in range(phase.count[0]) for o in offsets]
        return sum(inside) / max(len(inside), 1)

    def _tile(self, vectors: int, height: int, count: float, length: int) -> float:
        """Cycles for a tile of all panels, with so many pieces of a length."""
        s, total, k = self.s, 0.0, count * length
        far = 0.25 if k * vectors * self.target.vector_bytes > NEAR else 0.0
        for wide, times in _widths(self.strips, vectors):
            step = pace(self.target, height, wide) + far * wide
            if s.is_depthwise:
                torn = wide * self.target.vector_bytes % LINE and s.across > wide * self.lanes
                step = (height + 1) * wide / 2 * (TORN if torn else 1)
            total += times * (k * step + CALL + PIECE * count + 2 * height * wide)
        return total


def _heights(counts: Sequence[int], rows: int) -> list[int]:
    """Heights of the tiles of so many places, the highest first."""
    return sorted({h for count in counts for h, _ in evenly(count, rows).sizes} or {rows}, reverse=True)


def _widths(strips: int, vectors: int) -> list[tuple[int, int]]:
    """Widths of the panels of a group in vectors, and how many there are of each."""
    found = ((vectors, strips // vectors), (strips % vectors, 1))
    return [(size, many) for size, many in found if size and many]
