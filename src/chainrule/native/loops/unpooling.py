"""The transpose of pooling: what elements get from the windows that they are in.

A unit of work writes elements of its own and adds up, the first window first, what each of them gets, however much
windows overlap. Lanes lie along the output's fastest axis: channels where these come last. In space they hold every
`stride`-th element, as many apart as windows are: their windows are neighbours.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any, TypeAlias

from chainrule.native.code import Function, Index, Value
from chainrule.native.job import Job
from chainrule.native.lanes import Lanes
from chainrule.native.loops.axes import along, lanes_for, part, share, type_of, units_of
from chainrule.native.loops.windows import Axis, Frame, Range, fastest, replaced, rows_of, spread_out, store
from chainrule.native.operand import Operand
from chainrule.types import DType, Shape, TensorType, int32, size_of

Take: TypeAlias = Callable[[Lanes, list[Index], Index, int, "Value | None"], Value]
"""(lanes, place of a window, number of an element in it, axis of the lanes, mask) -> what the element gets from it."""


TOGETHER = 9
"""Elements that a window writes at a time, at most."""


def unpool_units(y: TensorType, *others: TensorType, size: Shape, **geometry: Any) -> int:
    """Into how many pieces the elements are cut."""
    count = size_of(y.shape[: y.ndim - len(size)]) * size_of(size)
    return units_of(count * y.dtype.itemsize, count)


def window_spread_loops(job: Job, size: Shape, scale: float, **geometry: Any) -> None:
    """out[p * stride + k * dilation - low] += y[p] * scale, for every p and k."""
    y = job.inputs[0]

    def take(v: Lanes, at: list[Index], number: Index, axis: int, mask: Value | None) -> Value:
        return y.load(v, at, axis, mask)

    _each_element(job, size, take, scale, geometry)


def window_place_loops(job: Job, size: Shape, **geometry: Any) -> None:
    """out[p * stride + positions[p] * dilation - low] += y[p], for every p."""
    y, positions = job.inputs

    def take(v: Lanes, at: list[Index], number: Index, axis: int, mask: Value | None) -> Value:
        here = v.equal(v.cast(positions.load(v, at, axis, mask), int32), v.cast(v.index(number), int32))
        return v.select(here, y.load(v, at, axis, mask), 0)

    _each_element(job, size, take, 1.0, geometry)


@dataclass(frozen=True, slots=True)
class _Hit:
    """Elements of an axis that are the k-th of their windows: element i of the lanes' axis of window i + offset."""

    k: int
    offset: int
    masked: bool  # whether some of these windows do not exist


def _hits(axis: Axis, start: int) -> list[_Hit]:
    """Which elements of which windows the elements start, start + stride, ... of an axis are, first windows first."""
    count, found = len(range(start, axis.n, axis.stride)), list[_Hit]()
    for k in reversed(range(axis.size)):
        offset, apart = divmod(start + axis.low - k * axis.apart, axis.stride)
        if not apart and offset < axis.places and count + offset > 0:
            found.append(_Hit(k, offset, offset < 0 or count + offset > axis.places))
    return found


def _each_element(job: Job, size: Shape, take: Take, scale: float, geometry: dict[str, Any]) -> None:
    """Add up what every element of the output gets."""
    f, y, out = job.f, job.inputs[0], job.outputs[0]
    units = unpool_units(type_of(y), size=size)
    if not units:
        return
    frame, axis = Frame.of(out.shape, y.shape, **geometry), fastest(out)
    order, lanes, n = rows_of(out, axis), lanes_for(f, y.dtype), out.shape[axis]
    if axis < frame.lead and all(a.is_apart for a in frame.axes) and size_of(a.stride for a in frame.axes) <= TOGETHER:
        _each_window(job, frame, axis, take, scale, units)
        return
    rows = tuple(out.shape[a] for a in order)
    with f.loop(f.begin, f.end) as loop:
        if axis < frame.lead:
            (first, last), (begin, end) = share(f, loop.index, units, rows, n, lanes)
        else:
            (first, last), (begin, end) = part(f, loop.index, units, size_of(rows)), (0, n)
        with f.loop(first, last) as each:
            at = spread_out(f, each.index, order, out.shape)
            ranges = {i: a.over(f, at[frame.lead + i]) for i, a in enumerate(frame.axes) if frame.lead + i != axis}
            adding = _Adding(f, y.dtype, frame, axis, take, at, ranges)
            if axis < frame.lead:

                def write(v: Lanes, i: Index) -> None:
                    out.store(adding.total(v, i, []) * scale, replaced(at, axis, i), axis)

                along(f, lanes, n, begin, end, write)
            else:
                _in_space(adding, out, lanes, scale)


def _each_window(job: Job, frame: Frame, axis: int, take: Take, scale: float, units: int) -> None:
    """The same for windows that do not overlap: each writes its elements, and those between it and the next ones."""
    f, y, out = job.f, job.inputs[0], job.outputs[0]
    order, lanes, lead = rows_of(out, axis), lanes_for(f, y.dtype), frame.lead
    windows = (*out.shape[:lead], *(-(-a.n // a.stride) for a in frame.axes))
    n = windows[axis]
    with f.loop(f.begin, f.end) as loop:
        (first, last), (begin, end) = share(f, loop.index, units, tuple(windows[a] for a in order), n, lanes)
        with f.loop(first, last) as each:
            at = spread_out(f, each.index, order, windows)
            along(f, lanes, n, begin, end, lambda v, i: _write_window(job, frame, axis, take, scale, at, v, i))


def _write_window(
    job: Job, frame: Frame, axis: int, take: Take, scale: float, at: list[Index], v: Lanes, i: Index
) -> None:
    f, y, out, lead = job.f, job.inputs[0], job.outputs[0], frame.lead
    ahead, places, exists = [*replaced(at, axis, i)[:lead]], list[Index](), list[Value]()
    for place, a in zip(at[lead:], frame.axes, strict=True):
        some = a.places * a.stride < a.n  # some elements are behind the last window
        places.append(f.min(place, a.places - 1) if some else place)
        exists += [f.compare("slt", place, a.places)] if some else []
    found: list[tuple[list[Index], Value]] = []
    for inside in itertools.product(*(range(a.stride) for a in frame.axes)):
        value = v.constant(y.dtype, 0)
        if all(k < a.size for k, a in zip(inside, frame.axes, strict=True)):
            value = value + take(v, [*ahead, *places], frame.number(f, inside), axis, None)
            for here in exists:
                value = v.select(here, value, 0)
            value = value * scale
        spots = zip(at[lead:], inside, frame.axes, strict=True)
        found.append(([f.add(f.mul(place, a.stride), k) for place, k, a in spots], value))
    for spot, value in found:  # all have been read before
        with ExitStack() as guards:
            for index, a in zip(spot, frame.axes, strict=True):
                if a.n % a.stride:
                    guards.enter_context(f.when(f.compare("slt", index, a.n)))
            out.store(value, [*ahead, *spot], axis)


def _in_space(adding: _Adding, out: Operand, lanes: int, scale: float) -> None:
    """A row of the output along an axis in space: for each remainder, every `stride`-th element."""
    axis = adding.frame.axes[adding.axis - adding.frame.lead]
    for start in range(min(axis.stride, axis.n)):
        count, hits = len(range(start, axis.n, axis.stride)), _hits(axis, start)

        def write(v: Lanes, i: Index, start: int = start, hits: Sequence[_Hit] = hits) -> None:
            place = replaced(adding.at, adding.axis, adding.f.add(adding.f.mul(i, axis.stride), start))
            store(adding.total(v, i, hits) * scale, out, place, axis.stride)

        along(adding.f, lanes, count, 0, count, write)


@dataclass(frozen=True, slots=True)
class _Adding:
    """Adding up what elements side by side get, from windows in ranges on all axes but that of the lanes."""

    f: Function
    dtype: DType
    frame: Frame
    axis: int
    take: Take
    at: list[Index]
    ranges: dict[int, Range]

    def total(self, v: Lanes, i: Index, hits: Sequence[_Hit]) -> Value:
        """The sum for the elements from i on; `hits` is for an axis in space."""
        return self._add(v, i, hits, [], [], None, v.constant(self.dtype, 0))

    def _add(
        self,
        v: Lanes,
        i: Index,
        hits: Sequence[_Hit],
        places: list[Index],
        elements: list[Index],
        mask: Value | None,
        total: Value,
    ) -> Value:
        f, which, lead = self.f, len(places), self.frame.lead
        if which == len(self.frame.axes):
            where = [*self.at[:lead], *places]
            where = replaced(where, self.axis, i) if self.axis < lead else where
            more = total + self.take(v, where, self.frame.number(f, elements), self.axis, mask)
            return more if mask is None else v.select(mask, more, total)
        axis = self.frame.axes[which]
        if which not in self.ranges:
            for hit in hits:
                place = f.add(i, hit.offset)
                mask = self._existing(v, place, axis) if hit.masked else None
                if mask and v.count == 1:  # a load on one lane heeds no mask
                    place = f.choose(mask, place, 0)
                total = self._add(v, i, hits, [*places, place], [*elements, hit.k], mask, total)
            return total
        with f.loop(*self.ranges[which], carried=[total]) as loop:
            away = f.sub(f.add(self.at[lead + which], axis.low), f.mul(loop.index, axis.stride))
            k = f.div(away, axis.apart)
            more = self._add(v, i, hits, [*places, loop.index], [*elements, k], mask, loop.values[0])
            if axis.apart > 1:
                more = v.select(f.compare("eq", f.rem(away, axis.apart), 0), more, loop.values[0])
            loop.next = [more]
        return loop.results[0]

    def _existing(self, v: Lanes, place: Index, axis: Axis) -> Value:
        """On which lanes there is a window, from a place on."""
        places = v.add(v.index(place), v.numbers())
        return v.logical_and(v.greater_equal(places, 0), v.less(places, axis.places))
