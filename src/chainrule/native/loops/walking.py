"""Walking along one axis: running sums, and where the largest or smallest element is."""

from __future__ import annotations

from collections.abc import Callable

from chainrule.native.code import Index, Value
from chainrule.native.job import Job
from chainrule.native.lanes import Lanes
from chainrule.native.loops.axes import along, lanes_for, lines, position, share, type_of, units_of, view, without
from chainrule.native.loops.sorting import key_of
from chainrule.native.operand import Operand, row_major
from chainrule.types import TensorType, int32, int64, size_of

LONG = 16
"""From so many vectors on, a line is looked through on its own, with its elements side by side."""

Body = Callable[[Lanes, list[Index]], None]


def walk_units(x: TensorType, axis: int) -> int:
    """Into how many pieces a walk along an axis is cut: a line is never cut."""
    return units_of(x.size * x.dtype.itemsize, size_of(without(x.shape, axis)))


def cumulative_sum_loops(job: Job, axis: int) -> None:
    """out[i] = out[i - 1] + x[i] along an axis, from out[0] = x[0]."""
    x, out = _lines(job, axis, job.outputs[0].place.strides)
    if not x.shape[0]:
        return

    def run(v: Lanes, line: list[Index]) -> None:
        first = x.load(v, [0, *line], -1)
        out.store(first, [0, *line], -1)
        with job.f.loop(1, x.shape[0], carried=[first]) as loop:
            total = loop.values[0] + x.load(v, [loop.index, *line], -1)
            out.store(total, [loop.index, *line], -1)
            loop.next = [total]

    _each_line(job, axis, x, run)


def argmax_loops(job: Job, axis: int) -> None:
    """Where the largest element is, of equal ones the first; the first NaN counts as the largest."""
    _where_largest(job, axis, key_of)


def argmin_loops(job: Job, axis: int) -> None:
    """Where the smallest element is, of equal ones the first; the first NaN counts as the smallest."""
    _where_largest(job, axis, _turned_key)


def _turned_key(v: Lanes, x: Value) -> Value:
    return key_of(v, -x) if x.dtype.is_float else v.logical_not(key_of(v, x))


def _lines(job: Job, axis: int, strides: tuple[int, ...]) -> tuple[Operand, Operand]:
    """Input and output with the axis in front; the output has strides as if it were of the input's shape."""
    x, out = job.inputs[0], job.outputs[0]
    here, there = x.place.strides, strides
    rows, n, (xs, os) = lines(without(x.shape, axis), without(here, axis), without(there, axis))
    shape = (x.shape[axis], *rows, n)
    return view(x, shape, (here[axis], *xs)), view(out, shape, (there[axis], *os))


def _each_line(job: Job, axis: int, x: Operand, body: Body, *, single: bool = False) -> None:
    """`body(v, line)` for the lines of each unit along the first axis of x: side by side on lanes, or one by one."""
    f, rows, n = job.f, x.shape[1:-1], x.shape[-1]
    lanes, units = 1 if single else lanes_for(f, x.dtype), walk_units(type_of(job.inputs[0]), axis)
    if not units:
        return
    with f.loop(f.begin, f.end) as loop:
        (first, last), (begin, end) = share(f, loop.index, units, rows, n, lanes)
        with f.loop(first, last) as each:
            row = position(f, each.index, rows)
            along(f, lanes, n, begin, end, lambda v, at: body(v, [*row, at]))


def _where_largest(job: Job, axis: int, key: Callable[[Lanes, Value], Value]) -> None:
    shape = job.inputs[0].shape
    kept = row_major(without(shape, axis)).strides
    x, out = _lines(job, axis, (*kept[:axis], 0, *kept[axis:]))
    size, f = x.shape[0], job.f
    lanes = min(lanes_for(f, x.dtype), 1 << (size.bit_length() - 1))
    counter = int32 if size < 1 << 31 else int64

    def across(v: Lanes, line: list[Index]) -> None:
        """Lines side by side."""

        def at(place: Index) -> list[Value]:
            return [key(v, x.load(v, [place, *line], -1)), v.cast(v.index(place), counter)]

        with f.loop(1, size, carried=at(0)) as loop:
            loop.next = _larger(v, loop.values, at(loop.index))
        out.store(v.cast(loop.results[1], int64), [0, *line], -1)

    def within(_: Lanes, line: list[Index]) -> None:
        """Elements of one line side by side: each lane has a largest one of its own, and they meet at the end."""
        v = Lanes(f, lanes)

        def at(start: Index) -> list[Value]:
            places = v.add(v.cast(v.index(start), counter), v.cast(v.numbers(), counter))
            return [key(v, x.load(v, [start, *line], 0)), places]

        with f.loop(lanes, size // lanes * lanes, lanes, carried=at(0)) as loop:
            loop.next = _larger(v, loop.values, at(loop.index))
        best = loop.results
        if size % lanes:  # some elements are looked at once more, which changes nothing
            best = _first_larger(v, best, at(size - lanes))
        while v.count > 1:
            v, low, high = Lanes(f, v.count // 2), [_half(x, 0) for x in best], [_half(x, 1) for x in best]
            best = _first_larger(v, low, high)
        out.store(v.cast(best[1], int64), [0, *line], -1)

    alone = x.place.strides[0] == 1 and size >= LONG * lanes
    _each_line(job, axis, x, within if alone else across, single=alone)


def _half(x: Value, which: int) -> Value:
    """The lower or the upper half of the lanes."""
    n = x.lanes.count // 2
    return x.lanes.lane(x, which) if n == 1 else x.lanes.shuffle(x, x, range(which * n, (which + 1) * n))


def _larger(v: Lanes, x: list[Value], y: list[Value]) -> list[Value]:
    """The larger of two keys with their places, of equal ones x."""
    second = v.greater(y[0], x[0])
    return [v.select(second, *pair) for pair in zip(y, x, strict=True)]


def _first_larger(v: Lanes, x: list[Value], y: list[Value]) -> list[Value]:
    """The larger of two keys with their places, of equal ones that which comes first."""
    earlier = v.logical_and(v.equal(y[0], x[0]), v.less(y[1], x[1]))
    second = v.logical_or(v.greater(y[0], x[0]), earlier)
    return [v.select(second, *pair) for pair in zip(y, x, strict=True)]
