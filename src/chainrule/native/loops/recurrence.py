"""Recurrent cells over a sequence: the loops over time.

A thread walks through all steps for its own rows of the batch and waits for nobody. The weight is packed once, into
panels for the micro-kernels of matrix products; sums of a panel become gates and states while they are in the cache.

    forward   r = h[t - 1] W^T + b;  states[t], kept[t] = forward(x[t], r, states[t - 1])
    back      ct of h[t] += r[t + 1] W;  x[t], r[t], states = backward(...), where x, r are cotangents of the gates
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from chainrule.native import vecmath
from chainrule.native.cells import CELLS, Cell
from chainrule.native.code import Function, Index, Value
from chainrule.native.contraction import MicroKernel, Tile, Turning, call
from chainrule.native.contraction.packing import Packer
from chainrule.native.job import Job
from chainrule.native.lanes import Lanes
from chainrule.native.operand import Operand, row_major
from chainrule.native.target import Target
from chainrule.types import DType, TensorType

ROWS = 4
"""Most rows of the batch in a tile, and in a unit of work."""

TILES = 12
"""Most tiles, one below the other, whose sums wait in the cache."""

NEAR = 24 * 1024
"""Bytes of a panel that are worked on at a time: they stay in a core's first cache, beside other things."""

WIDEST = 8
"""Most vectors in the row of a tile."""


def row_units(*types: TensorType, cell: str) -> int:
    """Work of either direction: rows of the batch, a tile at a time."""
    return -(-_batch(types) // ROWS)


def product_flops(*types: Any, cell: str) -> int:
    """Multiplications and additions of the recurrent products."""
    steps = next(t.shape[0] for t in types if not isinstance(t, tuple) and t.ndim == 3)
    hidden = next(t.shape[1] for t in types if not isinstance(t, tuple) and t.ndim == 2)
    return 2 * steps * _batch(types) * CELLS[cell].gates * hidden * hidden


def _batch(types: Sequence[Any]) -> int:
    return next(t.shape[1] for t in types if t.ndim == 3)


def forward_scratch(projected: TensorType, weight: TensorType, *rest: TensorType, cell: str) -> int:
    """The packed weight, sums of gates, and the first states."""
    kind, hidden, size = CELLS[cell], weight.shape[1], weight.dtype.itemsize
    packed = _packed_bytes(kind.gates, hidden, hidden, size)
    return packed + kind.gates * _sums_bytes() + kind.states * _lines(projected.shape[1] * hidden * size)


def back_scratch(weight: TensorType, *rest: TensorType, cell: str) -> int:
    """The packed weight, and sums."""
    width, hidden = weight.shape
    return _packed_bytes(1, width, hidden, weight.dtype.itemsize) + _sums_bytes()


def _packed_bytes(parts: int, depth: int, columns: int, size: int) -> int:
    """For vectors of any width."""
    return parts * max(depth, 64 // size) * (columns * size + WIDEST * 64)


def _sums_bytes() -> int:
    return ROWS * TILES * WIDEST * 64


def _lines(size: int) -> int:
    return -(-size // 64) * 64


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


def tiles(target: Target, *types: TensorType, cell: str) -> list[MicroKernel]:
    """The micro-kernels that either direction calls."""
    dtype = types[0].dtype
    hidden = next(t.shape[1] for t in types if t.ndim == 2)
    s = _shape(target, dtype, _batch(types), hidden)
    sizes = {(rows, vectors): None for rows in (s.rows, s.last_rows) for vectors in (s.vectors, s.last_vectors)}
    return [*(Tile(dtype, rows, vectors, along=True) for rows, vectors in sizes), Turning(dtype, dtype)]


class _LaneMaths:
    """The functions of cells, on vectors."""

    def __init__(self, v: Lanes) -> None:
        self.v = v

    def sigmoid(self, x: Value) -> Value:
        return vecmath.sigmoid(self.v, x)

    def tanh(self, x: Value) -> Value:
        return vecmath.tanh(self.v, x)

    def relu(self, x: Value) -> Value:
        return self.v.maximum(x, 0.0)

    def where_positive(self, x: Value, y: Value) -> Value:
        return self.v.select(self.v.greater(x, 0.0), y, 0.0)


@dataclass
class _Spot:
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
    def maths(self) -> _LaneMaths:
        """The functions of cells on both rows."""
        return _LaneMaths(Lanes(self.half.f, 2 * self.half.count))

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
        return self._both(self.half.load(dtype, at, part * _sums_bytes() // dtype.itemsize) for at in self.sums)

    def _at(self, x: Operand, leading: Sequence[Index], parts: int) -> Iterator[list[tuple[Index, ...]]]:
        each = x.shape[-1] // parts if parts else 0
        for i in range(parts):
            column = self.half.f.add(self.column, i * each)
            yield [(*leading, row, column)[-len(x.shape) :] for row in self.rows]

    def _both(self, values: Iterable[Value]) -> Value:
        x, y = values
        return self.half.shuffle(x, y, range(2 * self.half.count))


Finish = Callable[[_Spot], None]
"""Called while code is made, when all sums of a spot are there."""


class _Products:
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
        self.packed = f.at(job.scratch, parts * _sums_bytes(), 1)
        self.rest = f.at(self.packed, _lines(_packed_bytes(parts, depth, hidden, self.size)), 1)
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

    def run(self, a: Value, a_step: int, finish: Finish, nothing: Value | None = None) -> None:
        """All products of the thread's rows.

        Args:
            a: where row 0 of the batch is; a row's elements are neighbours.
            a_step: elements from row to row.
            finish: what is done with sums.
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
                    kernel = self._kernel(rows, last)
                    call(f, kernel, at, a_step * self.size, b, self.line, sums, self.line, depth, adding)
            with f.loop(block.index, stop, 2) as row:
                rows = (row.index, f.min(f.add(row.index, 1), f.sub(stop, 1)))
                sums = [f.at(self.sums, self.sums_of(0, f.sub(i, block.index)), self.size) for i in rows]
                self._finish(rows, (sums[0], sums[1]), f.mul(panel.index, s.width), finish)

    def sums_of(self, part: Index, row: Index) -> Index:
        """The element of the memory for sums where those of a row of a block start."""
        f = self.f
        return f.add(f.mul(part, _sums_bytes() // self.size), f.mul(row, self.s.width))

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

        def spot(at: Index, mask: Value | None) -> _Spot:
            here = [f.at(x, at, self.size) for x in sums]
            return _Spot(v, rows, (here[0], here[1]), f.add(column, at), mask)

        with f.loop(0, whole, v.count) as loop:
            finish(spot(loop.index, None))
        if self.hidden % v.count:
            with f.when(f.compare("sgt", columns, whole)):
                finish(spot(whole, v.first(f.sub(columns, whole))))


def _at_row(x: Operand, t: Index) -> Value:
    """Where a step of a sequence in row-major order starts."""
    return x.f.at(x.pointer, x.f.mul(t, x.place.strides[0]), x.dtype.itemsize)


def _choose(f: Function, condition: Value, x: Value, y: Value) -> Value:
    return f.new("ptr", f"select {condition}, {x}, {y}")


def _copy_rows(products: _Products, x: Operand | None, to: Operand) -> None:
    """Copy the thread's rows of a matrix, or zeros."""
    f, v = products.f, Lanes(products.f, products.s.lanes)
    hidden = to.shape[-1]

    def copy(row: Index, column: Index, mask: Value | None) -> None:
        value = v.constant(to.dtype, 0) if x is None else x.load(v, (row, column), 1, mask)
        to.store(value, (row, column), 1, mask)

    whole = hidden // v.count * v.count
    with f.loop(*products.rows) as row:
        with f.loop(0, whole, v.count) as loop:
            copy(row.index, loop.index, None)
        if hidden > whole:
            copy(row.index, whole, v.first(hidden - whole))


def forward_loops(job: Job, cell: str) -> None:
    """states[t], kept[t] = cell(x[t], states[t - 1][0] W^T + b, states[t - 1])."""
    with job.f.when(job.f.compare("slt", job.f.begin, job.f.end)):
        _forward(job, CELLS[cell])


def _forward(job: Job, cell: Cell) -> None:
    f, (x, weight, bias, *starts) = job.f, job.inputs
    states, kept = job.outputs[: cell.states], job.outputs[cell.states :]
    (steps, batch, _), hidden = x.shape, weight.shape[1]
    products = _Products(job, batch, hidden, cell.gates, hidden)
    products.pack(weight, k=weight.place.strides[1], n=weight.place.strides[0])
    first = [
        Operand(f, f.at(products.rest, i * _lines(batch * hidden * x.dtype.itemsize), 1), x.dtype, row_major(s.shape))
        for i, s in enumerate(starts)
    ]
    for start, copied in zip(starts, first, strict=True):
        _copy_rows(products, start, copied)
    with f.loop(0, steps) as t:
        is_first = f.compare("eq", t.index, 0)
        before = [
            Operand(f, _choose(f, is_first, s.pointer, _at_row(x, f.sub(t.index, 1))), x.dtype, s.place)
            for s, x in zip(first, states, strict=True)
        ]

        def finish(spot: _Spot) -> None:
            added = spot.load(bias, parts=cell.gates)
            product = [spot.load_sums(x.dtype, i) + y for i, y in enumerate(added)]
            old = [y for s in before for y in spot.load(s)]
            new, values = cell.forward(spot.maths, spot.load(x, t.index, parts=cell.gates), product, old)
            for s, value in zip(states, new, strict=True):
                spot.store(s, [value], t.index)
            for k in kept:
                spot.store(k, values, t.index)

        products.run(before[0].pointer, hidden, finish)


def back_loops(job: Job, cell: str) -> None:
    """Cotangents of the gates and of the first states, from the last step to the first."""
    with job.f.when(job.f.compare("slt", job.f.begin, job.f.end)):
        _back(job, CELLS[cell])


def _back(job: Job, cell: Cell) -> None:
    f = job.f
    (weight,), starts, after, kept, cts, ct_kept = cell.told_apart(job.inputs)
    gates, ct_starts = job.outputs[: 1 + cell.split], job.outputs[1 + cell.split :]
    (steps, batch, hidden), width = after[0].shape, weight.shape[0]
    products = _Products(job, batch, hidden, 1, width)
    products.pack(weight, k=weight.place.strides[0], n=weight.place.strides[1])
    for ct in ct_starts:
        _copy_rows(products, None, ct)
    with f.loop(0, steps + 1) as loop:  # one more than there are steps, for the first states
        t = f.sub(steps - 1, loop.index)
        is_step, is_first = f.compare("sge", t, 0), f.compare("eq", t, 0)
        earlier = f.choose(f.compare("sgt", t, 0), f.sub(t, 1), 0)

        def finish(spot: _Spot) -> None:
            product, v = spot.load_sums(weight.dtype, 0), spot.maths.v
            carried = [y for ct in ct_starts for y in spot.load(ct)]
            carried[0] = carried[0] + product
            with f.when(is_step):
                total = [y + z for ct, z in zip(cts, carried, strict=True) for y in spot.load(ct, t)]
                first = [y for s in starts for y in spot.load(s)]
                old = [y for a in after for y in spot.load(a, earlier)]
                old = [v.select(is_first, y, z) for y, z in zip(first, old, strict=True)]
                new = [y for a in after for y in spot.load(a, t)]
                values, ct_values = (
                    [y for k in ks for y in spot.load(k, t, parts=cell.kept)] for ks in (kept, ct_kept)
                )
                by_input, by_product, direct = cell.backward(spot.maths, old, new, values, total, ct_values)
                for x, parts in zip(gates, (by_input, by_product), strict=False):
                    spot.store(x, parts, t)
                for ct, value in zip(ct_starts, direct, strict=True):
                    if value is not None:
                        spot.store(ct, [value])
            with f.when(f.compare("slt", t, 0)):
                spot.store(ct_starts[0], carried[:1])

        following = f.min(f.add(t, 1), steps - 1)
        products.run(_at_row(gates[-1], following), width, finish, f.compare("eq", loop.index, 0))
