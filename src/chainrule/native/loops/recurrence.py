"""Recurrent cells over a sequence: the loops over time.

A thread walks through all steps for its own rows of the batch and waits for nobody. The weight is packed once for all
steps, and sums of a panel of it become gates and states while they are in the cache: see `products`.

    forward   r = h[t - 1] W^T + b;  states[t], kept[t] = forward(x[t], r, states[t - 1])
    back      ct of h[t] += r[t + 1] W;  x[t], r[t], states = backward(...), where x, r are cotangents of the gates
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from chainrule.native import vecmath
from chainrule.native.cells import CELLS, Cell
from chainrule.native.code import Function, Index, Value
from chainrule.native.contraction import MicroKernel
from chainrule.native.job import Job
from chainrule.native.lanes import Lanes
from chainrule.native.loops.products import ROWS, Products, Spot, micro_kernels, packed_bytes, sums_bytes
from chainrule.native.operand import Operand, row_major
from chainrule.native.target import Target, whole_lines
from chainrule.types import TensorType


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
    packed = packed_bytes(kind.gates, hidden, hidden, size)
    return packed + kind.gates * sums_bytes() + kind.states * whole_lines(projected.shape[1] * hidden * size)


def back_scratch(weight: TensorType, *rest: TensorType, cell: str) -> int:
    """The packed weight, and sums."""
    width, hidden = weight.shape
    return packed_bytes(1, width, hidden, weight.dtype.itemsize) + sums_bytes()


def tiles(target: Target, *types: TensorType, cell: str) -> list[MicroKernel]:
    """The micro-kernels that either direction calls."""
    dtype = types[0].dtype
    hidden = next(t.shape[1] for t in types if t.ndim == 2)
    return micro_kernels(target, dtype, _batch(types), hidden)


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


def _at_row(x: Operand, t: Index) -> Value:
    """Where a step of a sequence in row-major order starts."""
    return x.f.at(x.pointer, x.f.mul(t, x.place.strides[0]), x.dtype.itemsize)


def _choose(f: Function, condition: Value, x: Value, y: Value) -> Value:
    return f.new("ptr", f"select {condition}, {x}, {y}")


def _copy_rows(products: Products, x: Operand | None, to: Operand) -> None:
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
    products = Products(job, batch, hidden, cell.gates, hidden)
    products.pack(weight, k=weight.place.strides[1], n=weight.place.strides[0])
    first = [
        Operand(
            f, f.at(products.rest, i * whole_lines(batch * hidden * x.dtype.itemsize), 1), x.dtype, row_major(s.shape)
        )
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

        def finish(spot: Spot) -> None:
            added = spot.load(bias, parts=cell.gates)
            product = [spot.load_sums(x.dtype, i) + y for i, y in enumerate(added)]
            old = [y for s in before for y in spot.load(s)]
            new, values = cell.forward(_LaneMaths(spot.lanes), spot.load(x, t.index, parts=cell.gates), product, old)
            for s, value in zip(states, new, strict=True):
                spot.store(s, [value], t.index)
            for k in kept:
                spot.store(k, values, t.index)

        near = [(x, (t.index,), cell.gates), *((k, (t.index,), cell.kept) for k in kept)]
        products.run(before[0].pointer, hidden, finish, near)


def back_loops(job: Job, cell: str) -> None:
    """Cotangents of the gates and of the first states, from the last step to the first."""
    with job.f.when(job.f.compare("slt", job.f.begin, job.f.end)):
        _back(job, CELLS[cell])


def _back(job: Job, cell: Cell) -> None:
    f = job.f
    (weight,), starts, after, kept, cts, ct_kept = cell.told_apart(job.inputs)
    gates, ct_starts = job.outputs[: 1 + cell.split], job.outputs[1 + cell.split :]
    (steps, batch, hidden), width = after[0].shape, weight.shape[0]
    products = Products(job, batch, hidden, 1, width)
    products.pack(weight, k=weight.place.strides[0], n=weight.place.strides[1])
    for ct in ct_starts:
        _copy_rows(products, None, ct)
    with f.loop(0, steps + 1) as loop:  # one more than there are steps, for the first states
        t = f.sub(steps - 1, loop.index)
        is_step, is_first = f.compare("sge", t, 0), f.compare("eq", t, 0)
        earlier = f.choose(f.compare("sgt", t, 0), f.sub(t, 1), 0)

        def finish(spot: Spot) -> None:
            v, product = spot.lanes, spot.load_sums(weight.dtype, 0)
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
                by_input, by_product, direct = cell.backward(_LaneMaths(spot.lanes), old, new, values, total, ct_values)
                for x, parts in zip(gates, (by_input, by_product), strict=False):
                    spot.store(x, parts, t)
                for ct, value in zip(ct_starts, direct, strict=True):
                    if value is not None:
                        spot.store(ct, [value])
            with f.when(f.compare("slt", t, 0)):
                spot.store(ct_starts[0], carried[:1])

        following = f.min(f.add(t, 1), steps - 1)
        now = f.choose(is_step, t, 0)
        near = [(k, (now,), cell.kept) for k in kept] + [(x, (now,), 1) for x in (*cts, *after)]
        products.run(_at_row(gates[-1], following), width, finish, near, f.compare("eq", loop.index, 0))
