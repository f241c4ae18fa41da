"""Adding at indices: whole slices, or single elements along an axis.

Updates are added in the order of their indices, as they would be one after the other: what is cut is the result, and
every piece of it looks at all indices for those that fall into it.
"""

from __future__ import annotations

from dataclasses import dataclass

from chainrule.native.code import Index
from chainrule.native.job import Job
from chainrule.native.lanes import Lanes
from chainrule.native.loops.axes import (
    Strides,
    along,
    lanes_for,
    lines,
    merged,
    nest,
    part,
    position,
    type_of,
    units_of,
    view,
)
from chainrule.native.loops.indices import check, inside, picks
from chainrule.native.operand import Operand, row_major
from chainrule.types import TensorType, int64, size_of

LARGE = 1 << 23
"""Bytes of a result from which on it is better written in long stretches than cut across its rows."""

MOST = 64
"""Up to so many pieces."""


@dataclass(frozen=True, slots=True)
class Cut:
    """Into how many pieces a result is cut: over the axes before that of the indices, along it, and behind it."""

    before: int
    along: int
    behind: int

    @property
    def units(self) -> int:
        """How many pieces that makes."""
        return self.before * self.along * self.behind


def cut_of(x: TensorType, indices: TensorType, updates: TensorType, axis: int) -> Cut:
    """Enough pieces for many threads, as long as looking at all indices for each does not take most of the time."""
    before, size, behind = size_of(x.shape[:axis]), x.shape[axis], size_of(x.shape[axis + 1 :])
    count, row = updates.size // (before * behind), behind * x.dtype.itemsize
    wanted = units_of((x.size + updates.size) * x.dtype.itemsize, MOST)
    groups, columns = min(before, wanted), row // 256 + 1
    rest = -(-wanted // groups)
    if indices.size == updates.size:  # each column has indices of its own
        return Cut(groups, 1, min(rest, columns))
    adding, looking = (size + 2 * count) * (row // 64 + 1), 4 * count + 1  # roughly, in processor cycles
    rest = min(rest, 1 + adding // looking)
    if x.size * x.dtype.itemsize >= LARGE:
        return Cut(groups, min(rest, size), min(-(-rest // size), columns))
    columns = min(rest, columns)
    return Cut(groups, min(-(-rest // columns), size), columns)


def add_units(x: TensorType, indices: TensorType, updates: TensorType, axis: int) -> int:
    """Into how many pieces `scatter_add` and `add_along_axis` are cut."""
    return cut_of(x, indices, updates, axis).units if x.size else min(indices.size, 1)


def scatter_add_loops(job: Job, axis: int) -> None:
    """out = x; then out[*o, indices[*j], *i] += updates[*o, *j, *i] for every j in order."""
    x, indices, _ = job.inputs
    _add(job, axis, (*(0,) * axis, *indices.place.strides, *(0,) * (len(x.shape) - axis - 1)))


def add_along_axis_loops(job: Job, axis: int) -> None:
    """out = x; then out[*o, indices[*o, j, *i], *i] += updates[*o, j, *i] for every j in order."""
    _add(job, axis, job.inputs[1].place.strides)


def _add(job: Job, axis: int, i_strides: Strides) -> None:
    f, (x, indices, updates), out = job.f, job.inputs, job.outputs[0]
    types = (type_of(x), type_of(indices), type_of(updates))
    size, units = x.shape[axis], add_units(*types, axis)
    if not size_of(x.shape):
        with f.loop(f.begin, f.end) as loop:
            check(job, loop.index, units, size)
        return
    cut, behind = cut_of(*types, axis), len(updates.shape) - (len(x.shape) - axis - 1)
    x_strides, o_strides, u_strides = x.place.strides, row_major(x.shape).strides, updates.place.strides
    # Axes of x and the updates: those before the one with the indices, those in its place, and those behind it.
    outer, (xa, oa, ia, ua) = merged(x.shape[:axis], *(s[:axis] for s in (x_strides, o_strides, i_strides, u_strides)))
    many, (ib, ub) = merged(updates.shape[axis:behind], i_strides[axis:behind], u_strides[axis:behind])
    tails = (x_strides[axis + 1 :], o_strides[axis + 1 :], i_strides[behind:], u_strides[behind:])
    inner, n, (xc, oc, ic, uc) = lines(x.shape[axis + 1 :], *tails)
    x = view(x, (*outer, size, *inner, n), (*xa, x_strides[axis], *xc))
    out = view(out, x.shape, (*oa, o_strides[axis], *oc))
    indices = view(indices, (*outer, *many, *inner, n), (*ia, *ib, *ic))
    updates = view(updates, indices.shape, (*ua, *ub, *uc))
    by_slices = n == 1 or ic[-1] == 0
    lanes = f.target.lanes(x.dtype.itemsize) if by_slices else lanes_for(f, x.dtype, int64)
    add = _add_slice if by_slices else _add_elements
    with f.loop(f.begin, f.end) as loop:
        check(job, loop.index, units, size)
        piece, column = f.div(loop.index, cut.behind), f.rem(loop.index, cut.behind)
        group, block = f.div(piece, cut.along), f.rem(piece, cut.along)
        box = Box(part(f, block, cut.along, size, lanes), part(f, column, cut.behind, n, lanes), lanes)
        first, last = part(f, group, cut.before, size_of(outer))
        with f.loop(first, last) as each:
            at = position(f, each.index, outer)
            _copy(x, out, at, box)
            with nest(f, many) as j, nest(f, inner) as i:
                add(out, indices, updates, (at, j, i), box)


@dataclass(frozen=True, slots=True)
class Box:
    """A piece of a result: from where to where it goes on the axis of the indices and on the last one."""

    rows: tuple[Index, Index]
    columns: tuple[Index, Index]
    lanes: int


def _copy(x: Operand, out: Operand, at: list[Index], box: Box) -> None:
    """Begin with the elements of x."""
    f, size, n = x.f, x.shape[len(at)], x.shape[-1]
    single = size_of(x.shape[len(at) + 1 :]) == 1
    if single or (box.rows, box.columns) == ((0, size), (0, n)):
        # Nothing is cut but the last axis, if any: rows need not be told apart.
        inner, n, strides = lines(x.shape[len(at) :], x.place.strides[len(at) :], out.place.strides[len(at) :])
        rows, columns = (0, 1), box.rows if single else (0, n)
        x, out = (
            view(o, (*o.shape[: len(at)], 1, *inner, n), (*o.place.strides[: len(at)], 0, *steps))
            for o, steps in zip((x, out), strides, strict=True)
        )
    else:
        inner, rows, columns = x.shape[len(at) + 1 : -1], box.rows, box.columns
    with f.loop(*rows) as row, nest(f, inner) as i:
        place = [*at, row.index, *i]

        def copy(v: Lanes, last: Index) -> None:
            out.store(x.load(v, [*place, last], -1), [*place, last], -1)

        along(f, box.lanes, n, *columns, copy)


Place = tuple[list[Index], list[Index], list[Index]]
"""Positions on the axes before the one with the indices, on those in its place, and on those behind but the last."""


def _add_slice(out: Operand, indices: Operand, updates: Operand, place: Place, box: Box) -> None:
    """Add a row for which there is one index."""
    (at, j, i), f = place, out.f
    row, valid = inside(indices.load(Lanes(f, 1), [*at, *j, *i, 0]), out.shape[len(at)], *box.rows)

    def add(v: Lanes, last: Index) -> None:
        target = [*at, row, *i, last]
        out.store(out.load(v, target, -1) + updates.load(v, [*at, *j, *i, last], -1), target, -1)

    with f.when(valid):
        along(f, box.lanes, out.shape[-1], *box.columns, add)


def _add_elements(out: Operand, indices: Operand, updates: Operand, place: Place, box: Box) -> None:
    """Add a row with an index for each element: no two of them are in one column."""
    (at, j, i), f = place, out.f

    def add(v: Lanes, last: Index) -> None:
        here = [*at, *j, *i, last]
        row, valid = inside(indices.load(v, here, -1), out.shape[len(at)], *box.rows)
        update = updates.load(v, here, -1)
        start, places = picks(v, out, [*at, 0, *i, last], row, len(at))
        if v.count > 1:
            v.scatter(v.gather(out.dtype, start, places, valid) + update, start, places, valid)
            return
        with f.when(valid):
            v.scatter(v.gather(out.dtype, start, places) + update, start, places)

    along(f, box.lanes, out.shape[-1], *box.columns, add)
