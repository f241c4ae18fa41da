"""Products of rows with a weight that is packed once and used many times, and what is done with their sums.

The weight becomes panels for the micro-kernels of matrix products. All rows that a thread has meet a panel while it is
in the cache; then their sums, which are still there, are handed over, a vector of columns in two rows at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from chainrule.native.code import Index, Value
from chainrule.native.contraction import MicroKernel, Tile, Turning, call
from chainrule.native.contraction.packing import Packer
from chainrule.native.job import Job
from chainrule.native.lanes import Lanes
from chainrule.native.operand import Operand
from chainrule.native.target import LINE, Target, whole_lines
from chainrule.types import DType

ROWS = 4
"""Most rows of the batch in a tile, and in a unit of work."""

TILES = 12
"""Most tiles, one below the other, whose sums wait in the cache."""

NEAR = 24 * 1024
"""Bytes of a panel that are worked on at a time: they stay in a core's first cache, beside other things."""

WIDEST = 8
"""Most vectors in the row of a tile."""


def packed_bytes(parts: int, depth: int, columns: int, size: int) -> int:
    """Memory for a packed weight of so many parts, for vectors of any width."""
    return whole_lines(parts * max(depth, 64 // size) * (columns * size + WIDEST * 64))


def sums_bytes() -> int:
    """Memory for the sums of a part, likewise."""
    return ROWS * TILES * WIDEST * 64


@dataclass(frozen=True)
class _Shape:
    """How hidden units are cut into panels and rows into tiles, for a processor."""

    rows: int  # in a tile
    last_rows: int  # in the last one
    vectors: int  # in a panel
    last_vectors: int  # in the last one
    panels: int
    lanes: int

    @property
    def width(self) -> int:
        """Columns in a panel."""
        return self.vectors * self.lanes


def _shape(target: Target, dtype: DType, batch: int, hidden: int) -> _Shape:
    """As many sums as there are registers for, beside a vector of the panel's row and an element."""
    rows, lanes = min(ROWS, max(batch, 1)), target.lanes(dtype.itemsize)
    vectors = -(-max(hidden, 1) // lanes)
    most = min(WIDEST, (target.registers - 1) // (rows + 1))
    panels = -(-vectors // most)
    each = -(-vectors // panels)
    panels = -(-vectors // each)
    return _Shape(rows, batch % rows or rows, each, vectors - each * (panels - 1), panels, lanes)


def micro_kernels(target: Target, dtype: DType, batch: int, hidden: int) -> list[MicroKernel]:
    """The micro-kernels that products of so many rows and columns call."""
    s = _shape(target, dtype, batch, hidden)
    sizes = {(rows, vectors): None for rows in (s.rows, s.last_rows) for vectors in (s.vectors, s.last_vectors)}
    return [*(Tile(dtype, rows, vectors, along=True) for rows, vectors in sizes), Turning(dtype, dtype)]


@dataclass
class Spot:
    """A vector of columns in two rows of the batch, side by side, so that two chains of functions run at a time; where
    there is no second row, the first one again.

    Attributes:
        half: the lanes of one row.
        rows: the two rows.
        sums: where the sums of each are.
        column: the first column.
        mask: of the lanes of a row, which exist; None for all.
    """

    half: Lanes
    rows: tuple[Index, Index]
    sums: tuple[Value, Value]
    column: Index
    mask: Value | None

    @property
    def lanes(self) -> Lanes:
        """The lanes of both rows."""
        return Lanes(self.half.f, 2 * self.half.count)

    def load(self, x: Operand, *leading: Index, parts: int = 1) -> list[Value]:
        """These columns of each part of the last axis, for positions on the axes before the rows of the batch."""
        return [
            self._both(x.load(self.half, at, len(at) - 1, self.mask) for at in ats)
            for ats in self._at(x, leading, parts)
        ]

    def store(self, x: Operand, values: Sequence[Value], *leading: Index) -> None:
        """Write to where `load` reads."""
        half = self.half.count
        for value, ats in zip(values, self._at(x, leading, len(values)), strict=True):
            for i, at in enumerate(ats):
                one = value.lanes.shuffle(value, value, range(i * half, (i + 1) * half))
                x.store(one, at, len(at) - 1, self.mask)

    def load_sums(self, dtype: DType, part: int) -> Value:
        """The sums of a part."""
        return self._both(self.half.load(dtype, at, part * sums_bytes() // dtype.itemsize) for at in self.sums)

    def _at(self, x: Operand, leading: Sequence[Index], parts: int) -> Iterator[list[tuple[Index, ...]]]:
        each = x.shape[-1] // parts if parts else 0
        for i in range(parts):
            column = self.half.f.add(self.column, i * each)
            yield [(*leading, row, column)[-len(x.shape) :] for row in self.rows]

    def _both(self, values: Iterable[Value]) -> Value:
        x, y = values
        return self.half.shuffle(x, y, range(2 * self.half.count))


Finish = Callable[[Spot], None]
"""Called while code is made, when all sums of a spot are there."""

Near: TypeAlias = tuple[Operand, Sequence[Index], int]
"""A tensor, a position on its axes before the rows of the batch, and how many parts its last axis has."""


class Products:
    """Products of rows with a weight that is packed once, and what is done with their sums.

    Args:
        job: what is worked with.
        batch: rows of the batch.
        hidden: columns of each product.
        parts: how many products there are of the same rows, one for each gate or a single one.
        depth: what is summed over.
    """

    def __init__(self, job: Job, batch: int, hidden: int, parts: int, depth: int) -> None:
        f, dtype = job.f, job.inputs[0].dtype
        assert job.scratch is not None
        self.f, self.dtype, self.size, self.micro = f, dtype, dtype.itemsize, job.micro
        self.hidden, self.parts, self.depth = hidden, parts, depth
        self.s = _shape(f.target, dtype, batch, hidden)
        self.rows = (f.mul(f.begin, ROWS), f.min(f.mul(f.end, ROWS), batch))
        self.line = self.s.width * self.size
        self.panel = max(depth, self.s.lanes) * self.line
        self.sums = job.scratch
        self.block = self.s.rows * TILES
        self.packed = f.at(job.scratch, parts * sums_bytes(), 1)
        self.rest = f.at(self.packed, packed_bytes(parts, depth, hidden, self.size), 1)
        piece = max(NEAR // self.line // 64 * 64, 64)
        self.piece = max(depth, 1) if depth < piece + 64 else piece

    def pack(self, weight: Operand, k: int, n: int) -> None:
        """Copy a weight: element (k, n) of part p is where strides of `k` and `n` lead from column p * hidden on."""
        f, s, size = self.f, self.s, self.size
        packer = Packer(f, self.dtype, self.dtype)
        with f.loop(0, s.panels) as panel, f.loop(0, self.parts) as part:
            column = f.mul(panel.index, s.width)
            start = f.add(f.mul(f.add(f.mul(part.index, self.hidden), column), n), weight.place.offset)
            at, to = f.at(weight.pointer, start, size), self._panel(panel.index, part.index)
            columns = f.min(s.width, f.sub(self.hidden, column))
            if k == 1 and n != 1:
                with f.loop(0, columns, s.lanes) as strip:
                    some = f.min(s.lanes, f.sub(columns, strip.index))
                    turning = self.micro[Turning(self.dtype, self.dtype)]
                    there, here = f.at(at, f.mul(strip.index, n), size), f.at(to, strip.index, size)
                    packer.turned(turning, there, n, some, self.depth, here, self.line)
            else:
                with f.loop(0, self.depth) as line:
                    there, here = f.at(at, f.mul(line.index, k), size), f.at(to, f.mul(line.index, self.line), 1)
                    packer.line(there, n, columns, here)

    def _panel(self, panel: Index, part: Index) -> Value:
        f = self.f
        return f.at(self.packed, f.mul(f.add(f.mul(panel, self.parts), part), self.panel), 1)

    def run(
        self, a: Value, a_step: int, finish: Finish, near: Sequence[Near] = (), nothing: Value | None = None
    ) -> None:
        """All products of the thread's rows.

        Args:
            a: where row 0 of the batch is; a row's elements are neighbours.
            a_step: elements from row to row.
            finish: what is done with sums.
            near: what that will read or write, which is asked for before.
            nothing: a truth value: if it holds, the sums are zero and `a` is not read.
        """
        f, s = self.f, self.s
        with f.loop(0, s.panels) as panel, f.loop(*self.rows, self.block) as block:
            stop = f.min(f.add(block.index, self.block), self.rows[1])
            last = f.compare("eq", panel.index, s.panels - 1)
            with f.loop(0, self.parts) as part, f.loop(0, max(self.depth, 1), self.piece) as piece:
                b = f.at(self._panel(panel.index, part.index), f.mul(piece.index, self.line), 1)
                depth: Index = f.min(self.piece, f.sub(self.depth, piece.index))
                if nothing is not None:
                    depth = f.choose(nothing, 0, depth)
                adding = 0 if self.piece >= self.depth else f.choose(f.compare("sgt", piece.index, 0), 1, 0)
                with f.loop(block.index, stop, s.rows) as tile:
                    rows = f.min(s.rows, f.sub(stop, tile.index))
                    at = f.at(a, f.add(f.mul(tile.index, a_step), piece.index), self.size)
                    sums = f.at(self.sums, self.sums_of(part.index, f.sub(tile.index, block.index)), self.size)
                    column, stop_row = f.mul(panel.index, s.width), f.add(tile.index, rows)
                    with f.when(f.compare("eq", piece.index, 0)), f.loop(tile.index, stop_row) as row:
                        for x, leading, parts in near:
                            self._fetch(x, (*leading, row.index, column), part.index, parts)
                    kernel = self._kernel(rows, last)
                    call(f, kernel, at, a_step * self.size, b, self.line, sums, self.line, depth, adding)
            with f.loop(block.index, stop, 2) as row:
                rows = (row.index, f.min(f.add(row.index, 1), f.sub(stop, 1)))
                sums = [f.at(self.sums, self.sums_of(0, f.sub(i, block.index)), self.size) for i in rows]
                self._finish(rows, (sums[0], sums[1]), f.mul(panel.index, s.width), finish)

    def _fetch(self, x: Operand, at: Sequence[Index], part: Index, parts: int) -> None:
        """Ask for a panel's columns in a row: of the part that is multiplied, or of all if there is one product."""
        f, each = self.f, x.shape[-1] // parts
        for i in [part] if parts == self.parts else range(parts):
            place = (*at[:-1], f.add(at[-1], f.mul(i, each)))
            start = f.at(x.pointer, x.index(place), self.size)
            for byte in (*range(0, self.line - 1, LINE), self.line - 1):  # lines may begin anywhere
                f.fetch(f.at(start, byte, 1))

    def sums_of(self, part: Index, row: Index) -> Index:
        """The element of the memory for sums where those of a row of a block start."""
        f = self.f
        return f.add(f.mul(part, sums_bytes() // self.size), f.mul(row, self.s.width))

    def _kernel(self, rows: Index, last: Value) -> Value:
        """The address of the micro-kernel for a tile."""
        f, s = self.f, self.s

        def wide(height: int) -> Value:
            found = [self.micro[Tile(self.dtype, height, n, along=True)] for n in (s.last_vectors, s.vectors)]
            return found[0] if s.last_vectors == s.vectors else f.new("ptr", f"select {last}, {found[0]}, {found[1]}")

        if s.last_rows == s.rows:
            return wide(s.rows)
        return f.new("ptr", f"select {f.compare('eq', rows, s.rows)}, {wide(s.rows)}, {wide(s.last_rows)}")

    def _finish(self, rows: tuple[Index, Index], sums: tuple[Value, Value], column: Index, finish: Finish) -> None:
        """Hand over the vectors of a panel in two rows."""
        f, v = self.f, Lanes(self.f, self.s.lanes)
        columns = f.min(self.s.width, f.sub(self.hidden, column))
        whole = f.mul(f.div(columns, v.count), v.count)

        def spot(at: Index, mask: Value | None) -> Spot:
            here = [f.at(x, at, self.size) for x in sums]
            return Spot(v, rows, (here[0], here[1]), f.add(column, at), mask)

        with f.loop(0, whole, v.count) as loop:
            finish(spot(loop.index, None))
        if self.hidden % v.count:
            with f.when(f.compare("sgt", columns, whole)):
                finish(spot(whole, v.first(f.sub(columns, whole))))
