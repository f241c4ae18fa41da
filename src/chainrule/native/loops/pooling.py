"""Pooling: what windows hold.

Lanes lie along the output's fastest axis: channels where these come last, else places in space.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce
from typing import Any, Protocol

from chainrule.native.code import Function, Index, Value
from chainrule.native.job import Job
from chainrule.native.lanes import Lanes
from chainrule.native.loops.axes import along, lanes_for, share, type_of, units_of
from chainrule.native.loops.windows import Frame, Range, fastest, load, replaced, rows_of, spread_out
from chainrule.native.operand import Operand
from chainrule.types import TensorType, int32, size_of

UNROLLED = 16
"""Windows of up to so many elements are gone through without loops."""


def pool_units(x: TensorType, *others: TensorType, **geometry: Any) -> int:
    """Into how many pieces the windows of a tensor are cut."""
    return units_of(x.size * x.dtype.itemsize, x.size)


class Folding(Protocol):
    """How the elements of a window are folded. Whole windows are those that lie inside."""

    def start(self, v: Lanes, at: list[Index], axis: int, *, whole: bool) -> list[Value]:
        """What to begin with, at places of the output that are side by side along an axis."""
        ...

    def step(self, v: Lanes, so_far: list[Value], found: Value, number: Index, *, whole: bool) -> list[Value]:
        """One more element, whose number in the window is given."""
        ...

    def finish(self, v: Lanes, so_far: list[Value], at: list[Index], axis: int, *, whole: bool) -> None:
        """Store the result."""
        ...


def _each_window(job: Job, folding: Folding, units: int, **geometry: Any) -> None:
    """Fold the window of every place of the output."""
    f, x, out = job.f, job.inputs[0], job.outputs[0]
    if not units or not size_of(out.shape):
        return
    frame, axis = Frame.of(x.shape, out.shape, **geometry), fastest(out)
    rows, n, lanes = rows_of(out, axis), out.shape[axis], lanes_for(f, x.dtype)
    unrolled = size_of(a.size for a in frame.axes) <= UNROLLED
    others = [(i, a) for i, a in enumerate(frame.axes) if frame.lead + i != axis]
    sizes = tuple(out.shape[a] for a in rows)
    with f.loop(f.begin, f.end) as loop:
        (first, last), (begin, end) = share(f, loop.index, units, sizes, n, lanes)
        with f.loop(first, last) as each:
            at = spread_out(f, each.index, rows, out.shape)
            ranges = {i: a.inside(f, at[frame.lead + i]) for i, a in others}
            walk = _Walk(f, x, folding, frame, axis, unrolled)
            partial = [i for i, a in others if a.padded]
            if partial and unrolled:
                full = [
                    f.compare("eq", edge, goal)
                    for i in partial
                    for edge, goal in zip(ranges[i], (0, frame.axes[i].size), strict=True)
                ]
                inside = reduce(lambda a, b: f.new("i1", f"and {a}, {b.name}"), full)
                with f.when(inside):
                    along(f, lanes, n, begin, end, lambda v, i: walk.window(v, replaced(at, axis, i), {}))
                with f.when(f.new("i1", f"xor {inside}, true")):
                    along(f, lanes, n, begin, end, lambda v, i: walk.window(v, replaced(at, axis, i), ranges))
            else:
                given = ranges if partial else {}
                along(f, lanes, n, begin, end, lambda v, i: walk.window(v, replaced(at, axis, i), given))


@dataclass(frozen=True, slots=True)
class _Walk:
    """Going through windows at places side by side along an axis of the output."""

    f: Function
    x: Operand
    folding: Folding
    frame: Frame
    axis: int
    unrolled: bool

    def window(self, v: Lanes, at: list[Index], ranges: dict[int, Range]) -> None:
        """Fold the windows at places `at`: all elements on axes for which there is no range."""
        across = self.axis - self.frame.lead  # which of the windows' axes lanes lie along; negative for none
        whole = not ranges and not (across >= 0 and self.frame.axes[across].padded)
        so_far = self.folding.start(v, at, self.axis, whole=whole)
        so_far = self._inner(v, at, ranges, [], so_far, whole)
        self.folding.finish(v, so_far, at, self.axis, whole=whole)

    def _inner(
        self,
        v: Lanes,
        at: list[Index],
        ranges: dict[int, Range],
        elements: list[Index],
        so_far: list[Value],
        whole: bool,
    ) -> list[Value]:
        i = len(elements)
        if i == len(self.frame.axes):
            return self._element(v, at, elements, so_far, whole)
        first, last = ranges.get(i, (0, self.frame.axes[i].size))
        if self.unrolled and isinstance(first, int) and isinstance(last, int):
            for k in range(first, last):
                so_far = self._inner(v, at, ranges, [*elements, k], so_far, whole)
            return so_far
        with self.f.loop(first, last, carried=so_far) as loop:
            loop.next = self._inner(v, at, ranges, [*elements, loop.index], loop.values, whole)
        return loop.results

    def _element(
        self, v: Lanes, at: list[Index], elements: list[Index], so_far: list[Value], whole: bool
    ) -> list[Value]:
        f, lead, source = self.f, self.frame.lead, list(at)
        for i, (k, a) in enumerate(zip(elements, self.frame.axes, strict=True)):
            source[lead + i] = f.add(f.mul(at[lead + i], a.stride), f.add(f.mul(k, a.apart), -a.low))
        number, step = self.frame.number(f, elements), self.x.place.strides[self.axis]
        if self.axis < lead:
            found = load(v, self.x, source, step)
            return self.folding.step(v, so_far, found, number, whole=whole)
        a = self.frame.axes[self.axis - lead]
        if not a.padded:
            found = load(v, self.x, source, step * a.stride)
            return self.folding.step(v, so_far, found, number, whole=whole)
        places = v.add(v.index(source[self.axis]), v.multiply(v.numbers(), a.stride))
        mask = v.logical_and(v.greater_equal(places, 0), v.less(places, a.n))
        if v.count == 1:  # a load on one lane heeds no mask
            source[self.axis] = f.choose(mask, source[self.axis], 0)
        found = load(v, self.x, source, step * a.stride, mask)
        more = self.folding.step(v, so_far, found, number, whole=whole)
        return [v.select(mask, new, old) for new, old in zip(more, so_far, strict=True)]


@dataclass(frozen=True, slots=True)
class _Largest:
    """The largest element, of equal ones the first; the first NaN counts as the largest. Padding does not count."""

    job: Job

    def start(self, v: Lanes, at: list[Index], axis: int, *, whole: bool) -> list[Value]:
        return [v.constant(self.job.inputs[0].dtype, float("-inf")), v.constant(int32, 0 if whole else -1)]

    def step(self, v: Lanes, so_far: list[Value], found: Value, number: Index, *, whole: bool) -> list[Value]:
        best, place = so_far
        larger = v.logical_and(v.logical_not(v.less_equal(found, best)), v.equal(best, best))
        if not whole:  # the first one, even if it is -inf
            larger = v.logical_or(larger, v.less(place, 0))
        return [v.select(larger, found, best), v.select(larger, v.cast(v.index(number), int32), place)]

    def finish(self, v: Lanes, so_far: list[Value], at: list[Index], axis: int, *, whole: bool) -> None:
        values, positions = self.job.outputs
        best, place = so_far
        if not whole:
            place = v.select(v.less(place, 0), 0, place)  # nothing but padding
        values.store(best, at, axis)
        positions.store(v.cast(place, positions.dtype), at, axis)


def max_pool_loops(job: Job, **geometry: Any) -> None:
    """The largest element of each window, and which one it is."""
    _each_window(job, _Largest(job), pool_units(type_of(job.inputs[0])), **geometry)


@dataclass(frozen=True, slots=True)
class _Sum:
    """The sum of all elements, times a number."""

    job: Job
    scale: float

    def start(self, v: Lanes, at: list[Index], axis: int, *, whole: bool) -> list[Value]:
        return [v.constant(self.job.inputs[0].dtype, 0)]

    def step(self, v: Lanes, so_far: list[Value], found: Value, number: Index, *, whole: bool) -> list[Value]:
        return [so_far[0] + found]

    def finish(self, v: Lanes, so_far: list[Value], at: list[Index], axis: int, *, whole: bool) -> None:
        self.job.outputs[0].store(so_far[0] * self.scale, at, axis)


def window_sum_loops(job: Job, scale: float, **geometry: Any) -> None:
    """The sum of each window."""
    _each_window(job, _Sum(job, scale), pool_units(type_of(job.inputs[0])), **geometry)


@dataclass(frozen=True, slots=True)
class _Picked:
    """The element at a position, 0 where that is padding."""

    job: Job

    def start(self, v: Lanes, at: list[Index], axis: int, *, whole: bool) -> list[Value]:
        positions = self.job.inputs[1].load(v, at, axis)
        return [v.constant(self.job.inputs[0].dtype, 0), v.cast(positions, int32)]

    def step(self, v: Lanes, so_far: list[Value], found: Value, number: Index, *, whole: bool) -> list[Value]:
        here = v.equal(so_far[1], v.cast(v.index(number), int32))
        return [v.select(here, found, so_far[0]), so_far[1]]

    def finish(self, v: Lanes, so_far: list[Value], at: list[Index], axis: int, *, whole: bool) -> None:
        self.job.outputs[0].store(so_far[0], at, axis)


def window_pick_loops(job: Job, **geometry: Any) -> None:
    """The element at a position of each window."""
    _each_window(job, _Picked(job), pool_units(type_of(job.inputs[0])), **geometry)
