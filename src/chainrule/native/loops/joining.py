"""Tensors set side by side, tensors set into larger ones, windows added up: rows of the result, one after the other."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import contextmanager
from functools import reduce
from itertools import groupby

from chainrule.native.code import Function, Index, Number, Value
from chainrule.native.job import Job
from chainrule.native.lanes import Lanes
from chainrule.native.loops.axes import (
    along,
    lanes_for,
    lines,
    nest,
    part,
    position,
    share,
    units_of,
    view,
)
from chainrule.native.operand import Operand, Strided, row_major
from chainrule.types import Shape, TensorType, size_of

# ---- side by side ---------------------------------------------------------------------------------------------------


def concat_units(*inputs: TensorType, axis: int) -> int:
    """Work of `concat`: each unit has its share of every input."""
    return units_of(sum(x.size * x.dtype.itemsize for x in inputs), sum(x.size for x in inputs))


def concat_loops(job: Job, axis: int) -> None:
    """out[*o, start + j, *i] = x[*o, j, *i] for each input x, which starts where the one before it ends."""
    f, order = job.f, sorted(range(len(job.outputs[0].shape)), key=lambda a: -job.outputs[0].place.strides[a])
    units = concat_units(*(TensorType(x.dtype, x.shape) for x in job.inputs), axis=axis)
    out, *inputs = (_permuted(x, order) for x in (job.outputs[0], *job.inputs))
    axis = order.index(axis)
    step, start = row_major(out.shape).strides[axis], 0
    with f.loop(f.begin, f.end) as loop:
        for _, neighbours in groupby(inputs, key=lambda x: x.place):
            alike = list(neighbours)
            length = step * alike[0].shape[axis]
            if size_of(alike[0].shape):
                _copy(f, alike, out, start, length, loop.index, units)
            start += length * len(alike)


def _permuted(x: Operand, order: Sequence[int]) -> Operand:
    shape, strides = ([values[axis] for axis in order] for values in (x.shape, x.place.strides))
    return view(x, tuple(shape), tuple(strides))


def _copy(f: Function, xs: Sequence[Operand], out: Operand, start: int, length: int, unit: Index, units: int) -> None:
    """A unit's share of inputs that lie alike, which go to every `length` elements of the result from `start` on."""
    like = xs[0]
    rows, n, (x_strides, o_strides) = lines(like.shape, like.place.strides, row_major(out.shape).strides)
    straight = x_strides[-1] == o_strides[-1] == 1
    lanes = f.target.lanes(like.dtype.itemsize) if straight else lanes_for(f, like.dtype)
    table = f.stack(8 * len(xs))
    for i, x in enumerate(xs):
        f.line(f"store {x.pointer}, {f.at(table, i, 8)}, align 8")
    (first, last), (begin, end) = share(f, unit, units, (len(xs), *rows), n, lanes)
    with f.loop(first, last) as row:
        which, *at = position(f, row.index, (len(xs), *rows))
        source = f.load_pointer(f.at(table, which, 8))
        goal = f.at(out.pointer, f.add(start, f.mul(which, length)), out.dtype.itemsize)
        x = view(Operand(f, source, like.dtype, like.place), (*rows, n), x_strides)
        y = view(Operand(f, goal, out.dtype, out.place), (*rows, n), o_strides)
        along(f, lanes, n, begin, end, lambda v, i: y.store(x.load(v, [*at, i], -1), [*at, i], -1))


# ---- set into a larger one ------------------------------------------------------------------------------------------


def pad_units(x: TensorType, low: Shape, high: Shape, interior: Shape, value: Number) -> int:
    """Work of `pad`: rows of the result."""
    shape = [_padded(*axis) for axis in zip(x.shape, low, high, interior, strict=True)]
    return units_of(size_of(shape) * x.dtype.itemsize, size_of(shape[:-1]))


def _padded(n: int, low: int, high: int, between: int) -> int:
    return low + n + max(n - 1, 0) * between + high


def pad_loops(job: Job, low: Shape, high: Shape, interior: Shape, value: Number) -> None:
    """out[low + i * (interior + 1)] = x[i], on each axis; the value elsewhere."""
    f, x, out = job.f, job.inputs[0], job.outputs[0]
    units = pad_units(TensorType(x.dtype, x.shape), low, high, interior, value)
    if not units:
        return
    axes = _merged_padding(x, low, high, interior)
    sizes, steps = tuple(axis[0] for axis in axes), tuple(axis[-1] for axis in axes)
    *rows, total = shape = tuple(_padded(*axis[:-1]) for axis in axes)
    x = view(x, sizes, steps)
    dtype, (n, before, after, between, _) = x.dtype, axes[-1]
    every = between + 1
    out = Operand(f, out.pointer, dtype, row_major(shape))
    inner = Strided(sizes, (*out.place.strides[:-1], every), before)
    goal = Operand(f, out.pointer, dtype, inner)
    lanes = f.target.lanes(dtype.itemsize) if every == steps[-1] == 1 else lanes_for(f, dtype)

    def fill(start: int, size: int) -> None:
        def body(v: Lanes, i: Index) -> None:
            out.store(v.constant(dtype, value), [*at, f.add(start, i)], -1)

        along(f, lanes, size, 0, size, body)

    with f.loop(f.begin, f.end) as loop, f.loop(*part(f, loop.index, units, size_of(rows))) as row:
        at = position(f, row.index, tuple(rows))
        source: list[Index] = []
        conditions: list[Value] = []
        for i, (count, first, last, gap, _) in zip(at, axes[:-1], strict=True):
            found, valid = _counted(f, f.sub(i, first), gap + 1, count) if first or last or gap else (i, [])
            source.append(found)
            conditions += valid
        with _if(f, conditions):
            for start, size in ((0, total),) if between else ((0, before), (before + n, after)):
                fill(start, size)
            along(f, lanes, n, 0, n, lambda v, i: goal.store(x.load(v, [*source, i], -1), [*at, i], -1))
        if conditions:
            outside = f.new("i1", f"xor {_and(f, conditions)}, true")
            with f.when(outside):
                fill(0, total)


def _merged_padding(x: Operand, low: Shape, high: Shape, interior: Shape) -> list[tuple[int, int, int, int, int]]:
    """(size, low, high, interior, stride) of each axis, after those that are not padded were merged with others."""
    axes: list[tuple[int, int, int, int, int]] = []
    for n, before, after, between, step in zip(x.shape, low, high, interior, x.place.strides, strict=True):
        between = between if n > 1 else 0
        if not (before or after or between):
            if n == 1:
                continue
            if axes and not axes[-1][3] and (axes[-1][4] == n * step or axes[-1][0] == 1):
                size, first, last, _, _ = axes[-1]
                axes[-1] = (size * n, first * n, last * n, 0, step)
                continue
        axes.append((n, before, after, between, step))
    return axes or [(1, 0, 0, 0, 1)]


def _counted(f: Function, place: Index, every: int, count: int) -> tuple[Index, list[Value]]:
    """Which of the places 0, every, 2 * every, ... a place is, and the conditions for it to be one of the first."""
    conditions = [f.compare("ult", place, (count - 1) * every + 1 if count else 0)]
    if every > 1:
        conditions.append(f.compare("eq", f.rem(place, every), 0))
    return f.div(place, every), conditions


def _and(f: Function, conditions: Sequence[Value]) -> Value:
    return reduce(lambda a, b: f.new("i1", f"and {a}, {b.name}"), conditions)


@contextmanager
def _if(f: Function, conditions: Sequence[Value]) -> Generator[None]:
    """What is made inside runs only if all conditions hold."""
    if not conditions:
        yield
        return
    with f.when(_and(f, conditions)):
        yield


# ---- windows that overlap -------------------------------------------------------------------------------------------


def overlap_add_units(y: TensorType, size: Shape, stride: Shape, dilation: Shape) -> int:
    """Work of `overlap_add`: rows of the result."""
    rows = size_of(y.shape[: y.ndim - 2 * len(size)]) * size_of(size[:-1])
    return units_of((y.size + rows * size[-1]) * y.dtype.itemsize, rows)


def overlap_add_loops(job: Job, size: Shape, stride: Shape, dilation: Shape) -> None:
    """out[..., p * stride + k * dilation] += y[..., p, k] from zeros on, with k from the first to the last."""
    f, y, out = job.f, job.inputs[0], job.outputs[0]
    units = overlap_add_units(TensorType(y.dtype, y.shape), size, stride, dilation)
    if not units:
        return
    axes, rows, n = len(size), out.shape[:-1], size[-1]
    lead = len(rows) + 1 - axes
    counts, window = y.shape[lead : lead + axes], y.shape[lead + axes :]
    axis, steps = lead + axes - 1, row_major(out.shape).strides
    hits = Strided((*rows, counts[-1]), (*steps[:-1], stride[-1]))
    lanes = lanes_for(f, y.dtype)

    def clear(v: Lanes, i: Index) -> None:
        out.store(v.constant(out.dtype, 0), [*at, i], -1)

    def accumulate(v: Lanes, p: Index) -> None:
        found = y.load(v, [*at[:lead], *places, p, *outer, last.index], axis)
        hit.store(hit.load(v, [*at, p], -1) + found, [*at, p], -1)

    with f.loop(f.begin, f.end) as loop, f.loop(*part(f, loop.index, units, size_of(rows))) as row:
        at = position(f, row.index, rows)
        along(f, lanes, n, 0, n, clear)
        with nest(f, window[:-1]) as outer:
            places: list[Index] = []
            conditions: list[Value] = []
            for i, k, count, every, apart in zip(at[lead:], outer, counts, stride, dilation, strict=False):
                place, valid = _counted(f, f.sub(i, f.mul(k, apart)), every, count)
                places.append(place)
                conditions += valid
            with _if(f, conditions), f.loop(0, window[-1]) as last:
                start = f.at(out.pointer, f.mul(last.index, dilation[-1]), out.dtype.itemsize)
                hit = Operand(f, start, out.dtype, hits)
                along(f, lanes, counts[-1], 0, counts[-1], accumulate)
