"""Convolutions over any number of axes in space, and their derivatives.

All three sum products over the elements of the kernel and over channels, for a tile of results in registers: some
channels, which share what is read of the image, times neighbouring places on the last axis, on lanes. Nothing is
copied first: lanes that fall outside of the image are masked. Places on the other axes are single numbers; where they
fall outside, the loop over channels has no iterations.

The derivative by the image is a convolution as well, whose result at t reads places (t + low - k * dilation) / stride,
where that is a whole number. Places t of the last axis that differ by multiples of the stride form a class: they meet
the same elements of the kernel, and neighbours among them read neighbours.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from chainrule.native.code import Function, Index, Value
from chainrule.native.job import Job
from chainrule.native.lanes import Lanes
from chainrule.native.loops.axes import nest, position
from chainrule.native.operand import Operand, row_major
from chainrule.types import Shape, TensorType, size_of

Padding = tuple[tuple[int, int], ...]

CHANNELS = 8
"""Most channels in a tile of results."""

CORNER = 4
"""Most channels on either side in a tile of the derivative by the kernels."""


def convolution_units(
    x: TensorType, w: TensorType, stride: Shape, padding: Padding, dilation: Shape, groups: int
) -> int:
    """Work of `convolution`: rows of places, for each image and tile of channels."""
    rows = 1
    for n, k, every, pair, apart in zip(x.shape[2:-1], w.shape[2:], stride, padding, dilation, strict=False):
        rows *= (n + sum(pair) - (k - 1) * apart - 1) // every + 1
    return x.shape[0] * groups * _tiles(w.shape[0] // groups, CHANNELS) * rows


def transpose_units(y: TensorType, w: TensorType, groups: int, size: Shape, **geometry: Any) -> int:
    """Work of `convolution_transpose`: rows of places, for each image and tile of channels."""
    return y.shape[0] * groups * _tiles(w.shape[1], CHANNELS) * size_of(size[:-1])


def weight_units(x: TensorType, y: TensorType, groups: int, **geometry: Any) -> int:
    """Work of `convolution_weight`: pairs of tiles of channels."""
    return groups * _tiles(y.shape[1] // groups, CORNER) * _tiles(x.shape[1] // groups, CORNER)


def weight_scratch(x: TensorType, y: TensorType, kernel: Shape, **geometry: Any) -> int:
    """A vector of partial sums, of the widest kind, for each pair of channels in a tile and element of the kernel."""
    return size_of(kernel) * CORNER * CORNER * 64


def _tile(channels: int, most: int) -> int:
    """The largest part, no larger than `most`, into which channels can be cut evenly."""
    return max(n for n in range(1, most + 1) if channels % n == 0)


def _tiles(channels: int, most: int) -> int:
    return channels // _tile(channels, most)


# ---- the convolution, and its derivative by the image ---------------------------------------------------------------


@dataclass(frozen=True)
class _Axis:
    """How places t of the result and elements k of the kernel meet places of the image on one axis."""

    size: int  # of the image
    kernel: int
    stride: int
    low: int
    dilation: int
    turned: bool  # whether this is the derivative

    @property
    def step(self) -> int:
        """How far apart neighbours of a class are in the image."""
        return 1 if self.turned else self.stride

    def meets(self, f: Function, t: Index, k: Index) -> tuple[Index, list[Value]]:
        """The place in the image, and the conditions for it to exist."""
        if not self.turned:
            place = f.sub(f.add(f.mul(t, self.stride), f.mul(k, self.dilation)), self.low)
            return place, [f.compare("ult", place, self.size)]
        apart = f.sub(f.add(t, self.low), f.mul(k, self.dilation))
        conditions = [f.compare("ult", apart, self.size * self.stride)]
        if self.stride > 1:
            conditions.append(f.compare("eq", f.rem(apart, self.stride), 0))
        return f.div(apart, self.stride), conditions

    def meets_from(self, f: Function, first: Index, start: Index, k: Index) -> tuple[Index, list[Value]]:
        """The same for member number `start` of the class of the place `first`, which may be outside of the image."""
        if not self.turned:
            return f.sub(f.add(f.mul(start, self.stride), f.mul(k, self.dilation)), self.low), []
        ahead = f.add(first, self.low)
        shift = f.sub(f.add(f.mul(k, self.dilation), self.stride), f.rem(ahead, self.stride))  # at least 1
        place = f.sub(f.add(f.add(start, f.div(ahead, self.stride)), 1), f.div(shift, self.stride))
        return place, [f.compare("eq", f.rem(shift, self.stride), 0)] if self.stride > 1 else []

    def holds(self, count: int) -> bool:
        """Whether the first places of the result, so many, read nothing outside of the image."""
        reach = (count - 1) * self.stride + (self.kernel - 1) * self.dilation
        return not self.turned and self.low == 0 and reach < self.size


def _axes(sizes: Shape, kernel: Shape, stride: Shape, padding: Padding, dilation: Shape, turned: bool) -> list[_Axis]:
    geometry = zip(sizes, kernel, stride, padding, dilation, strict=True)
    return [_Axis(n, k, every, low, apart, turned) for n, k, every, (low, _), apart in geometry]


def convolution_loops(job: Job, stride: Shape, padding: Padding, dilation: Shape, groups: int) -> None:
    """out[b, o, p] = sum over c, k of x[b, c, p * stride + k * dilation - low] w[o, c, k]."""
    x, w = job.inputs
    _correlate(job, _axes(x.shape[2:], w.shape[2:], stride, padding, dilation, turned=False), groups)


def transpose_loops(job: Job, stride: Shape, padding: Padding, dilation: Shape, groups: int, size: Shape) -> None:
    """out[b, c, p * stride + k * dilation - low] = the sum, over o and all such p and k, of y[b, o, p] w[o, c, k]."""
    y, w = job.inputs
    _correlate(job, _axes(y.shape[2:], w.shape[2:], stride, padding, dilation, turned=True), groups)


def _correlate(job: Job, axes: Sequence[_Axis], groups: int) -> None:
    """Both ways: an image has `depth` channels a group, the result `many`."""
    f, (x, w), out, last = job.f, job.inputs, job.outputs[0], axes[-1]
    depth, many, total = x.shape[1] // groups, out.shape[1] // groups, out.shape[-1]
    tile, classes = _tile(many, CHANNELS), last.stride if last.turned else 1
    count = -(-total // classes)
    lanes = _lanes(f, x, count)
    wide = 2 if count > lanes and f.target.registers >= 32 else 1
    v, one, step = Lanes(f, lanes), Lanes(f, 1), wide * lanes
    masked = not last.holds(-(-count // step) * step)

    def products(b: Index, g: Index, m: Index, outer: Sequence[Index], first: Index, start: Index) -> list[Value]:
        """The sums of one tile: channels from m on, members of a class of places from `start` on."""

        def element(k: Sequence[Index], sums: list[Value]) -> list[Value]:
            met = [axis.meets(f, t, i) for axis, t, i in zip(axes[:-1], outer, k[:-1], strict=True)]
            spot, conditions = last.meets_from(f, first, start, k[-1])
            channels: Index = depth
            for condition in (*conditions, *(c for _, found in met for c in found)):
                channels = f.choose(condition, channels, 0)
            spots = [f.add(spot, i * lanes * last.step) for i in range(wide)]
            masks = [_between(v, i, last.step, last.size) if masked else None for i in spots]
            with f.loop(0, channels, carried=sums) as loop:
                channel = f.add(f.mul(g, depth), loop.index)
                at = x.index([b, channel, *(i for i, _ in met), 0])
                starts = [f.add(at, f.mul(i, x.place.strides[-1])) for i in spots]
                image = [_load(v, x, i, last.step, mask) for i, mask in zip(starts, masks, strict=True)]
                at = w.index([*((channel, m) if last.turned else (f.add(f.mul(g, many), m), loop.index)), *k])
                for i in range(tile):
                    weight = v.spread(one.load(w.dtype, w.pointer, f.add(at, i * w.place.strides[last.turned])))
                    loop.next += [_add_product(v, weight, image[j], loop.values[i * wide + j]) for j in range(wide)]
            return loop.results

        return _nested(f, [(0, n, 1) for n in w.shape[2:]], [v.constant(x.dtype, 0)] * (tile * wide), element)

    with f.loop(f.begin, f.end) as loop:
        b, g, m, *outer = position(f, loop.index, (out.shape[0], groups, many // tile, *out.shape[2:-1]))
        m = f.mul(m, tile)
        with f.loop(0, classes) as first, f.loop(0, count, step) as start:
            sums = products(b, g, m, outer, first.index, start.index)
            for j in range(wide):
                t = f.add(f.mul(f.add(start.index, j * lanes), classes), first.index)
                inside = v.less(v.multiply(v.numbers(), classes), v.index(f.sub(total, t)))
                mask = inside if total % (step * classes) else None
                at = out.index([b, f.add(f.mul(g, many), m), *outer, t])
                for i in range(tile):
                    _store(v, sums[i * wide + j], out, f.add(at, i * out.place.strides[1]), classes, mask)


def _lanes(f: Function, x: Operand, count: int) -> int:
    """A whole register, or as many lanes as it takes; at least two, as a single one has no mask."""
    return max(2, min(f.target.lanes(x.dtype.itemsize), 1 << (count - 1).bit_length()))


def _between(v: Lanes, start: Index, step: int, size: int) -> Value:
    """Which of start, start + step, ... are from 0 to size - 1."""
    places = v.add(v.multiply(v.numbers(), step), v.index(start))
    return v.logical_and(v.greater_equal(places, 0), v.less(places, size))


def _load(v: Lanes, x: Operand, at: Index, step: int, mask: Value | None) -> Value:
    """Every `step`-th element on the last axis, from an element of the buffer on."""
    stride = step * x.place.strides[-1]
    if stride == 1:
        return v.load(x.dtype, x.pointer, at, mask)
    start = _address(x, at)
    return v.gather(x.dtype, start, v.multiply(v.numbers(), stride), mask)


def _store(v: Lanes, value: Value, out: Operand, at: Index, step: int, mask: Value | None) -> None:
    if step == 1:
        v.store(value, out.pointer, at, mask)
    else:
        v.scatter(value, _address(out, at), v.multiply(v.numbers(), step), mask)


def _add_product(v: Lanes, x: Value, y: Value, z: Value) -> Value:
    """x * y + z, rounded once where the machine can."""
    return v.call("llvm.fmuladd", x, y, z)


def _address(x: Operand, at: Index) -> Value:
    """The address of an element of the buffer."""
    return x.f.at(x.pointer, at, x.dtype.itemsize)


def _nested(
    f: Function,
    ranges: Sequence[tuple[Index, Index, int]],
    carried: list[Value],
    body: Callable[[Sequence[Index], list[Value]], list[Value]],
    outer: Sequence[Index] = (),
) -> list[Value]:
    """Loops within loops that carry values from each innermost iteration to the next; gives the last ones."""
    if not ranges:
        return body(outer, carried)
    start, stop, step = ranges[0]
    with f.loop(start, stop, step, carried=carried) as loop:
        loop.next = _nested(f, ranges[1:], loop.values, body, (*outer, loop.index))
    return loop.results


# ---- its derivative by the kernels ----------------------------------------------------------------------------------


def weight_loops(job: Job, stride: Shape, padding: Padding, dilation: Shape, groups: int, kernel: Shape) -> None:
    """out[o, c, k] = sum over b, p of y[b, o, p] x[b, c, p * stride + k * dilation - low].

    Image by image, so that both tiles of channels stay in the cache for all elements of the kernel. Lanes are places,
    which are added up at the end.
    """
    f, (x, y), out = job.f, job.inputs, job.outputs[0]
    assert job.scratch is not None
    axes = _axes(x.shape[2:], kernel, stride, padding, dilation, turned=False)
    many, depth, places = y.shape[1] // groups, x.shape[1] // groups, y.shape[2:]
    rows, columns = _tile(many, CORNER), _tile(depth, CORNER)
    band = rows if f.target.registers >= 32 else _tile(rows, 2)  # so many rows of sums are in registers
    v, one = Lanes(f, _lanes(f, y, places[-1])), Lanes(f, 1)
    whole = places[-1] % v.count == 0 and padding[-1] == (0, 0)
    sums = Operand(f, job.scratch, y.dtype, row_major((rows // band, *kernel, band, columns, v.count)))

    def add_image(b: Index, o: Index, c: Index, part: Index, k: Sequence[Index]) -> None:
        """What an image adds to a band of the tile, for one element of the kernel."""
        ranges = [(*_valid(f, axis, j, n), 1) for axis, j, n in zip(axes, k, places, strict=True)]
        ranges[-1] = (*ranges[-1][:2], v.count)

        def products(p: Sequence[Index], partial: list[Value]) -> list[Value]:
            mask = None if whole else v.first(f.sub(ranges[-1][1], p[-1]))
            met = [axis.meets(f, t, j)[0] for axis, t, j in zip(axes, p, k, strict=True)]
            left, right = y.index([b, f.add(o, f.mul(part, band)), *p]), x.index([b, c, *met])
            ys = [_load(v, y, f.add(left, i * y.place.strides[1]), 1, mask) for i in range(band)]
            xs = [_load(v, x, f.add(right, i * x.place.strides[1]), axes[-1].stride, mask) for i in range(columns)]
            return [_add_product(v, *pair, z) for pair, z in zip(itertools.product(ys, xs), partial, strict=True)]

        start = _address(sums, sums.index([part, *k, 0, 0, 0]))
        found = [v.load(y.dtype, start, i * v.count) for i in range(band * columns)]
        for i, total in enumerate(_nested(f, ranges, found, products)):
            v.store(total, start, i * v.count)

    with f.loop(f.begin, f.end) as loop:
        g, o, c = position(f, loop.index, (groups, many // rows, depth // columns))
        o, c = f.add(f.mul(g, many), f.mul(o, rows)), f.mul(c, columns)
        with f.loop(0, size_of(sums.shape), v.count) as clear:
            v.store(v.constant(y.dtype, 0), sums.pointer, clear.index)
        with f.loop(0, x.shape[0]) as b, f.loop(0, rows // band) as part, nest(f, kernel) as k:
            add_image(b.index, o, f.add(f.mul(g, depth), c), part.index, k)
        with nest(f, sums.shape[:-1]) as (part, *k, row, column):
            total = _sum(v, v.load(y.dtype, sums.pointer, sums.index([part, *k, row, column, 0])))
            at = out.index([f.add(o, f.add(f.mul(part, band), row)), f.add(c, column), *k])
            one.store(total, out.pointer, at)


def _valid(f: Function, axis: _Axis, k: Index, count: int) -> tuple[Index, Index]:
    """From which place of the result to which one an element of the kernel meets the image."""
    before = f.sub(axis.low, f.mul(k, axis.dilation))
    after = f.add(before, axis.size - 1 + axis.stride)
    first = f.div(f.add(_at_least_0(f, before), axis.stride - 1), axis.stride)
    return first, f.min(f.div(_at_least_0(f, after), axis.stride), count)


def _at_least_0(f: Function, x: Index) -> Index:
    return max(x, 0) if isinstance(x, int) else f.choose(f.compare("sgt", x, 0), x, 0)


def _sum(v: Lanes, x: Value) -> Value:
    """The sum over all lanes."""
    name = f"llvm.vector.reduce.fadd.{v.suffix(x.dtype)}"
    one = Lanes(v.f, 1)
    type = one.type(x.dtype)
    v.f.module.declare(name, f"{type} @{name}({type}, {x.type})")
    return one.value(x.dtype, v.f.new(type, f"call reassoc {type} @{name}({type} -0.0, {x})").name)
