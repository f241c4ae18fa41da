"""What attention's forward and backward loops are made of.

Scores are computed as keys by queries: queries of a panel, a few vectors wide, stand side by side on lanes, so that the
largest score and the sum over keys need no step between lanes. Keys, values and cotangents are read where they lie;
only the queries of a panel are turned first, and what has no whole vectors of neighbours is copied.

    scores        keys by queries        = keys by features          times features by queries (turned)
    output        queries by features    = weights, read in columns, times keys by features

Each product is made of micro-kernels (`Tile`) of some rows and up to `VECTORS` vectors.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from math import inf

from chainrule.native.code import Function, Index, Value
from chainrule.native.contraction import MicroKernel, Tile, Turning, call
from chainrule.native.job import Job
from chainrule.native.lanes import Lanes
from chainrule.native.operand import Operand
from chainrule.native.target import Target
from chainrule.types import DType

VECTORS = 2  # in a tile, and in a panel of queries
KEYS = 128  # in a block, whose scores for a panel stay in the first cache; a multiple of all panels and tiles
WIDEST = 64  # bytes of the widest vector there is


def rows_of(target: Target) -> int:
    """Rows of a tile: enough sums to hide how long a product takes, and no more than there are registers for."""
    return 8 if target.registers >= 32 else 4


def micro_kernels(target: Target, dtype: DType, keys: int, by_key: Sequence[int], by_query: int) -> list[MicroKernel]:
    """The micro-kernels that are called: for scores, and for sums over queries and over keys of so many columns."""
    rows, lanes = rows_of(target), target.lanes(dtype.itemsize)
    heights = {rows, keys % rows or rows}
    tiles = {Tile(dtype, i, VECTORS, along=True) for i in heights}
    tiles |= {Tile(dtype, i, j, along=True) for n in by_key for i in heights for j in _widths(n, lanes)}
    tiles |= {Tile(dtype, rows, j, along=False) for j in _widths(by_query, lanes)}
    return [Turning(dtype, dtype), *sorted(tiles, key=lambda tile: tile.name)]


def _widths(columns: int, lanes: int) -> list[int]:
    """Vectors of the tiles of a row, from left to right."""
    vectors = -(-columns // lanes)
    return [min(VECTORS, vectors - at) for at in range(0, vectors, VECTORS)]


def whole(count: int, step: int) -> int:
    """The multiple of a step that is not below a number."""
    return -(-count // step) * step


def row_bytes(columns: int, dtype: DType) -> int:
    """Bytes of a row of a copy, in whole vectors of any kind."""
    return whole(columns * dtype.itemsize, WIDEST)


@dataclass(slots=True)
class Rows:
    """A matrix of which the elements of a row are neighbours, in whole vectors where it is a right operand."""

    start: Value
    step: Index  # bytes from row to row
    columns: int

    def at(self, f: Function, row: Index, byte: Index = 0) -> Value:
        """The address of a row, or of what is some bytes further on in it."""
        return f.at(self.start, f.add(f.mul(row, self.step), byte), 1)


class Tiles:
    """Products and copies for one head at a time."""

    def __init__(self, job: Job) -> None:
        self.job, self.f = job, job.f
        self.q, self.k, self.v = job.inputs[:3]
        self.dtype = self.q.dtype
        self.size = self.dtype.itemsize
        self.lanes = Lanes(self.f, self.f.target.lanes(self.size))
        self.width = VECTORS * self.lanes.count  # queries of a panel
        self.line = self.width * self.size  # bytes of a row of scores
        self.rows = rows_of(self.f.target)
        self.queries, self.keys = self.q.shape[-2], self.k.shape[-2]
        assert job.scratch is not None
        self._next = job.scratch

    def area(self, size: int) -> Value:
        """The next bytes of the thread's memory."""
        found = self._next
        self._next = self.f.at(found, whole(size, WIDEST), 1)
        return found

    # Operands.

    def matrix(self, x: Operand, head: Sequence[Index], *, right: bool) -> Rows:
        """A head's matrix: in its place if it can be read there, as a right operand or as a left one; else a copy."""
        if self.lies_well(x, right=right):
            return Rows(self.address(x, head, 0), x.place.strides[-2] * self.size, x.shape[-1])
        rows, columns = x.shape[-2:]
        made = Rows(self.area(rows * row_bytes(columns, self.dtype)), row_bytes(columns, self.dtype), columns)
        with self.f.loop(0, rows) as row:
            for mask, at in self.pieces(columns):
                found = x.load(self.lanes, (*head, row.index, at), -1, mask)
                self.lanes.store(found, made.at(self.f, row.index, at * self.size))
        return made

    def lies_well(self, x: Operand, *, right: bool) -> bool:
        """Whether micro-kernels can read a matrix where it is."""
        columns = x.shape[-1]
        return (columns == 1 or x.place.strides[-1] == 1) and not (right and columns % self.lanes.count)

    def pieces(self, columns: int) -> Iterator[tuple[Value | None, int]]:
        """The vectors of a row: masks and first columns."""
        for at in range(0, columns, self.lanes.count):
            rest = columns - at
            yield (None if rest >= self.lanes.count else self.lanes.first(rest)), at

    def address(self, x: Operand, head: Sequence[Index], row: Index) -> Value:
        """Of the first element of a row."""
        return self.f.at(x.pointer, x.index((*head, row, 0)), self.size)

    def turn(self, x: Operand, head: Sequence[Index], first: Index, to: Value, factor: float = 1.0) -> None:
        """Rows of a panel, from `first` on, become columns; what is beyond the last row holds copies of it."""
        f, v, (rows, columns) = self.f, self.lanes, x.shape[-2:]
        for part in range(VECTORS):
            start, there = f.min(f.add(first, part * v.count), rows - 1), f.at(to, part * v.count, self.size)
            count = f.min(f.sub(rows, start), v.count)
            if self.lies_well(x, right=False):
                turning = self.job.micro[Turning(self.dtype, self.dtype)]
                step = x.place.strides[-2] * self.size
                call(f, turning, self.address(x, head, start), step, count, columns, there, self.line)
            else:
                with f.loop(0, columns) as column:
                    found = x.load(v, (*head, start, column.index), -2, v.first(count))
                    v.store(found, f.at(there, f.mul(column.index, self.line), 1))
        if factor != 1.0:
            with f.loop(0, columns * VECTORS) as part:
                at = f.mul(part.index, v.count)
                v.store(v.load(self.dtype, to, at) * factor, to, at)

    # Products.

    def times_panel(self, left: Rows, first: Index, count: Index, panel: Value, out: Value) -> None:
        """Rows of the left operand, from `first` on, times a turned panel: `count` rows of keys by queries.

        `first` is a multiple of a tile's rows; of the last tile only those rows are read that exist.
        """
        f = self.f

        def tile(row: Index, rows: int) -> None:
            kernel = self.job.micro[Tile(self.dtype, rows, VECTORS, along=True)]
            there = f.at(out, f.mul(row, self.line), 1)
            start = left.at(f, f.add(first, row))
            call(f, kernel, start, left.step, panel, self.line, there, self.line, left.columns, 0)

        self._tiles_of_keys(first, count, tile)

    def add_by_key(self, weights: Value, first: Index, count: Index, right: Rows, depth: Index, out: Rows) -> None:
        """out[key] += sum over queries of weights[key, query] right[query], for `depth` queries."""
        f = self.f

        def tile(row: Index, rows: int) -> None:
            for vectors, at in self._across(right.columns):
                kernel = self.job.micro[Tile(self.dtype, rows, vectors, along=True)]
                left, there = f.at(weights, f.mul(row, self.line), 1), out.at(f, row, at)
                call(f, kernel, left, self.line, right.at(f, 0, at), right.step, there, out.step, depth, 1)

        self._tiles_of_keys(first, count, tile)

    def add_by_query(
        self, weights: Value, count: Index, right: Rows, depth: Callable[[Index], Index], out: Rows, adding: Index
    ) -> None:
        """out[query] += sum over keys of weights[key, query] right[key], or = if not `adding`, for `count` queries.

        `depth` says how many keys there are for the tile that starts with a query. Whole tiles are computed.
        """
        f = self.f
        with f.loop(0, count, self.rows) as tile:
            left, keys = f.at(weights, tile.index, self.size), depth(tile.index)
            for vectors, at in self._across(right.columns):
                kernel = self.job.micro[Tile(self.dtype, self.rows, vectors, along=False)]
                there = out.at(f, tile.index, at)
                call(f, kernel, left, self.line, right.at(f, 0, at), right.step, there, out.step, keys, adding)

    def _tiles_of_keys(self, first: Index, count: Index, tile: Callable[[Index, int], None]) -> None:
        f, rest = self.f, self.keys % self.rows
        stop = f.min(count, f.sub(self.keys - rest, first))
        with f.loop(0, stop, self.rows) as loop:
            tile(loop.index, self.rows)
        if rest:
            with f.when(f.compare("sgt", f.add(first, count), self.keys - rest)):
                tile(f.sub(self.keys - rest, first), rest)

    def _across(self, columns: int) -> Iterator[tuple[int, int]]:
        """Tiles of a row: vectors, and the first byte."""
        for i, vectors in enumerate(_widths(columns, self.lanes.count)):
            yield vectors, i * self.line

    # Scores.

    def bias(self, x: Operand, head: Sequence[Index], first: Index, part: int, key: Index) -> Value:
        """What is added to a vector of scores of a panel that starts with query `first`."""
        f, v = self.f, self.lanes
        start = f.add(first, part * v.count)
        inside = f.sub(self.queries, start)
        return x.load(v, (*head, f.min(start, self.queries - 1), key), -2, v.first(inside))

    def is_seen(self, key: Index, query: Index) -> Value:
        """Whether a key is not after the queries on the lanes, of which the first is given."""
        v = self.lanes
        return v.greater_equal(v.add(v.index(query), v.numbers()), v.index(key))

    def unless_nothing(self, x: Value) -> Value:
        """The same number, but 0 for minus infinity."""
        return self.lanes.select(self.lanes.equal(x, -inf), 0.0, x)

    def write(self, rows: Rows, count: Index, out: Operand, head: Sequence[Index], first: Index, factor: Value) -> None:
        """Store rows times a factor; if that is a pointer, each times its own number there."""
        f, v = self.f, self.lanes
        with f.loop(0, count) as row:
            by = v.load_one(self.dtype, factor, row.index) if factor.type == "ptr" else factor
            for mask, at in self.pieces(rows.columns):
                found = v.load(self.dtype, rows.at(f, row.index, at * self.size)) * by
                out.store(found, (*head, f.add(first, row.index), at), -1, mask)
