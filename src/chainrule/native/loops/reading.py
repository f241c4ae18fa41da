"""Reading at indices: whole slices, or single elements along an axis."""

from __future__ import annotations

from chainrule.native.code import Index
from chainrule.native.job import Job
from chainrule.native.lanes import Lanes
from chainrule.native.loops.axes import (
    Strides,
    along,
    lanes_for,
    lines,
    position,
    share,
    type_of,
    units_of,
    view,
    without,
)
from chainrule.native.loops.indices import check, fail_unless, inside, picks
from chainrule.native.operand import Operand
from chainrule.types import Shape, TensorType, int64, size_of


def take_units(x: TensorType, indices: TensorType, axis: int) -> int:
    """Into how many pieces `take` is cut."""
    return _units(x, indices, size_of(without(x.shape, axis)) * indices.size)


def take_loops(job: Job, axis: int) -> None:
    """out[*o, *j, *i] = x[*o, indices[*j], *i]."""
    x, indices = job.inputs
    steps, many = x.place.strides, len(indices.shape)
    x_strides = (*steps[:axis], *(0,) * many, *steps[axis + 1 :])
    i_strides = (*(0,) * axis, *indices.place.strides, *(0,) * (len(steps) - axis - 1))
    _read(job, axis, take_units(type_of(x), type_of(indices), axis), job.outputs[0].shape, x_strides, i_strides)


def take_along_axis_units(x: TensorType, indices: TensorType, axis: int) -> int:
    """Into how many pieces `take_along_axis` is cut."""
    return _units(x, indices, indices.size)


def take_along_axis_loops(job: Job, axis: int) -> None:
    """out[*o, j, *i] = x[*o, indices[*o, j, *i], *i]."""
    x, indices = job.inputs
    steps, units = x.place.strides, take_along_axis_units(type_of(x), type_of(indices), axis)
    _read(job, axis, units, indices.shape, (*steps[:axis], 0, *steps[axis + 1 :]), indices.place.strides)


def _units(x: TensorType, indices: TensorType, size: int) -> int:
    return units_of(size * x.dtype.itemsize, size) if size else min(indices.size, 1)


def _read(job: Job, axis: int, units: int, shape: Shape, x_strides: Strides, i_strides: Strides) -> None:
    """out[p] = x[indices[p] on the axis, and where p leads to on the others] for all positions p of a shape."""
    f, (x, indices), out = job.f, job.inputs, job.outputs[0]
    size, step = x.shape[axis], x.place.strides[axis]
    if not size_of(shape) or not size:
        with f.loop(f.begin, f.end) as loop:
            check(job, loop.index, units, size)
        return
    o_strides = out.place.strides
    walk = sorted(range(len(shape)), key=lambda a: -o_strides[a])  # as the output lies
    shape, *strides = (tuple(x[a] for a in walk) for x in (shape, x_strides, i_strides, o_strides))
    rows, n, (x_strides, i_strides, o_strides) = lines(shape, *strides)
    x = view(x, (size, *rows, n), (step, *x_strides))
    indices, out = view(indices, (*rows, n), i_strides), view(out, (*rows, n), o_strides)
    by_slices = n == 1 or i_strides[-1] == 0
    lanes = f.target.lanes(x.dtype.itemsize) if by_slices else lanes_for(f, x.dtype, int64)
    read = _read_slice if by_slices else _read_elements
    with f.loop(f.begin, f.end) as loop:
        (first, last), (begin, end) = share(f, loop.index, units, rows, n, lanes)
        with f.loop(first, last) as each:
            read(job, x, indices, out, position(f, each.index, rows), lanes, begin, end)


def _read_slice(
    job: Job, x: Operand, indices: Operand, out: Operand, row: list[Index], lanes: int, begin: Index, end: Index
) -> None:
    """A row for which there is one index."""
    one = Lanes(job.f, 1)
    found, valid = inside(indices.load(one, [*row, 0]), x.shape[0])
    fail_unless(job, valid)
    index = one.select(valid, found, 0)

    def copy(v: Lanes, at: Index) -> None:
        out.store(x.load(v, [index, *row, at], -1), [*row, at], -1)

    along(job.f, lanes, x.shape[-1], begin, end, copy)


def _read_elements(
    job: Job, x: Operand, indices: Operand, out: Operand, row: list[Index], lanes: int, begin: Index, end: Index
) -> None:
    """A row with an index for each element."""

    def pick(v: Lanes, at: Index) -> None:
        found, valid = inside(indices.load(v, [*row, at], -1), x.shape[0])
        fail_unless(job, valid)
        start, places = picks(v, x, [0, *row, at], v.select(valid, found, 0), 0)
        out.store(v.gather(x.dtype, start, places), [*row, at], -1)

    along(job.f, lanes, x.shape[-1], begin, end, pick)
