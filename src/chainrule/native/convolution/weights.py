"""The derivative of a convolution by its kernels: a product of matrices whose k are the places of all images.

    out[o, c, tap] = sum over b, q of  y[b, o, q]  x[b, c, q * stride + tap * dilation - low]

Units of work are elements of the kernel, for a few channels of the images each. A thread goes through all images for
its units, a strip of places at a time: cotangents become panels, images are copied where channels do not lie side by
side or taps look outside, and tiles of sums are added up in memory of the thread until they are stored in the end.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

from chainrule.native.code import Function, Index, Value
from chainrule.native.contraction.micro import MicroKernel, Swept, call
from chainrule.native.contraction.packing import Packer
from chainrule.native.contraction.plan import pace
from chainrule.native.convolution.parts import Parts, evenly
from chainrule.native.convolution.strip import Strip
from chainrule.native.job import Job
from chainrule.native.lanes import Lanes
from chainrule.native.loops.axes import nest, position
from chainrule.native.operand import Operand
from chainrule.native.target import Target
from chainrule.types import DType, Shape, TensorType

CHANNELS = 6  # most channels of images in a unit of work
PLACES = 256  # about so many places are in a strip
WIDTHS = (1, 2, 3, 4)  # vectors in a tile's row
WIDEST = 4 * 64  # bytes of the widest row of a tile
CALL = 40  # cycles around a micro-kernel, without its sums


@dataclass(frozen=True)
class _Geometry:
    """Sizes, with two axes in space at least."""

    dtype: DType
    batch: int
    groups: int
    depth: int  # channels of images in a group
    made: int  # kernels in a group
    sizes: Shape
    places: Shape
    kernel: Shape
    stride: Shape
    low: Shape
    dilation: Shape

    @property
    def blocks(self) -> Parts:
        """Channels of a group, cut for units of work."""
        return evenly(self.depth, CHANNELS)

    @property
    def units(self) -> int:
        """How many units of work there are."""
        return self.groups * prod(self.kernel) * self.blocks.count

    @property
    def lines(self) -> int:
        """How many places along the first axis a strip has."""
        return max(1, min(self.places[0], PLACES // max(prod(self.places[1:]), 1)))

    @property
    def images(self) -> int:
        """How many images are in a strip: more than one only if they are whole."""
        whole = self.lines == self.places[0]
        return max(1, min(self.batch, PLACES // max(prod(self.places), 1))) if whole else 1

    @property
    def spanned(self) -> Shape:
        """How many places of the image a strip meets along each axis."""
        counts = (self.lines, *self.places[1:])
        parts = zip(counts, self.stride, self.kernel, self.dilation, strict=True)
        return tuple((n - 1) * s + (k - 1) * apart + 1 for n, s, k, apart in parts)

    @property
    def areas(self) -> tuple[int, int, int]:
        """Bytes for sums, for panels of cotangents, and for a strip of images, for any processor."""
        size = self.dtype.itemsize
        made = self.groups * (self.made * size + WIDEST)
        sums = prod(self.kernel) * self.depth * made
        panels = self.images * self.lines * prod(self.places[1:]) * made
        strip = self.images * prod(self.spanned) * self.groups * self.depth * size + 64
        return _lines(sums), _lines(panels), _lines(strip)


def _geometry(
    x: TensorType, y: TensorType, stride: Shape, padding: Sequence[Sequence[int]], dilation: Shape, groups: int,
    kernel: Shape,
) -> _Geometry:  # fmt: skip
    found = _Geometry(
        x.dtype, x.shape[0], groups, x.shape[1] // groups, y.shape[1] // groups, x.shape[2:], y.shape[2:], kernel,
        stride, tuple(low for low, _ in padding), dilation,
    )  # fmt: skip
    if x.ndim > 3:
        return found
    return _Geometry(
        x.dtype, found.batch, groups, found.depth, found.made, (1, *found.sizes), (1, *found.places), (1, *kernel),
        (1, *stride), (0, *found.low), (1, *dilation),
    )  # fmt: skip


def weight_units(x: TensorType, y: TensorType, **attributes: Any) -> int:
    """Work of `convolution_weight`."""
    return _geometry(x, y, **attributes).units


def weight_scratch(x: TensorType, y: TensorType, **attributes: Any) -> int:
    """Memory that a thread needs."""
    return sum(_geometry(x, y, **attributes).areas)


def weight_micro(target: Target, x: TensorType, y: TensorType, **attributes: Any) -> list[MicroKernel]:
    """The micro-kernels that are called."""
    return list(_Tiles(_geometry(x, y, **attributes), target).kernels)


class _Tiles:
    """The tiles of sums: which sizes they have."""

    def __init__(self, g: _Geometry, target: Target) -> None:
        self.lanes = target.lanes(g.dtype.itemsize)
        self.strips = -(-g.made // self.lanes)
        k = g.images * g.lines * prod(g.places[1:])
        candidates = [(rows, vectors) for rows in range(1, CHANNELS + 1) for vectors in WIDTHS]

        def cost(tile: tuple[int, int]) -> float:
            rows, vectors = tile
            total = 0.0
            for height, wide in itertools.product(self._heights(g, rows), self._widths(vectors)):
                cycles = pace(target, height[0], wide[0]) * k + CALL + 3 * height[0] * wide[0]
                total += height[1] * wide[1] * cycles
            return total

        bare = target.vector_bytes == 16 and target.registers == 16
        fitting = [
            (rows, vectors)
            for rows, vectors in candidates
            if rows * vectors + vectors + 1 + bare <= target.registers and vectors <= max(self.strips, 1)
        ]
        self.rows, self.vectors = min(fitting, key=cost)
        self.width = self.vectors * self.lanes
        self.across = -(-g.made // self.width)
        self.kernels = {
            Swept(g.dtype, height, wide, along=False): None
            for height, _ in self._heights(g, self.rows)
            for wide, _ in self._widths(self.vectors)
        }

    @staticmethod
    def _heights(g: _Geometry, rows: int) -> list[tuple[int, int]]:
        found: dict[int, int] = {}
        for channels, count in g.blocks.sizes:
            for height, many in evenly(channels, rows).sizes:
                found[height] = found.get(height, 0) + many * count
        return sorted(found.items())

    def _widths(self, vectors: int) -> list[tuple[int, int]]:
        found = ((vectors, self.strips // vectors), (self.strips % vectors, 1))
        return [(wide, many) for wide, many in found if wide and many]


def weight_loops(job: Job, **attributes: Any) -> None:
    """Write the code of `convolution_weight`."""
    x, y = job.inputs
    g = _geometry(TensorType(x.dtype, x.shape), TensorType(y.dtype, y.shape), **attributes)
    if g.units and g.made:
        with job.f.when(job.f.compare("slt", job.f.begin, job.f.end)):
            _Loops(job, g).make()


class _Loops:
    def __init__(self, job: Job, g: _Geometry) -> None:
        assert job.scratch is not None
        self.f: Function = job.f
        self.job, self.g = job, g
        self.tiles = _Tiles(g, job.f.target)
        self.size = g.dtype.itemsize
        self.v = Lanes(job.f, self.tiles.lanes)
        (x, y), n = job.inputs, len(g.sizes)
        self.x, self.x_strides = _first(x), (x.place.strides[0], *_spaced(x, n))
        self.y, self.y_strides = _first(y), (y.place.strides[0], *_spaced(y, n))
        sums, panels, _ = g.areas
        self.sums = job.scratch
        self.panels = self.f.at(self.sums, sums, 1)
        self.copy = self.f.at(self.panels, panels, 1)
        channels = g.groups * g.depth
        self.strip = Strip(g.dtype, channels, g.sizes, self.x_strides[1:], tuple(-n for n in g.low), g.spanned[1:])
        ends = zip(g.places, g.stride, g.kernel, g.dilation, g.low, g.sizes, strict=True)
        inside = all(low <= 0 and (n - 1) * s + (k - 1) * apart - low < size for n, s, k, apart, low, size in ends)
        self.copies = not (inside and (self.x_strides[1] == 1 or channels == 1))
        self.steps = self.strip.steps if self.copies else self.x_strides[2:]
        self.image_step = prod(g.spanned) * channels if self.copies else self.x_strides[0]
        self.channel_step = 1 if self.copies else self.x_strides[1]
        self.per_image = g.lines * prod(g.places[1:])
        self.panel = g.images * self.per_image * self.tiles.width  # elements of a panel
        row = g.stride[-1] * self.steps[-1]
        self.a_step = row * self.size

    def make(self) -> None:
        """All images, strip by strip; then what has been found is stored."""
        f, g = self.f, self.g
        table = self._table()
        with f.loop(0, max(g.batch, 1), g.images) as batch, f.loop(0, max(g.places[0], 1), g.lines) as first:
            images = f.min(g.images, f.sub(g.batch, batch.index))
            lines = f.min(g.lines, f.sub(g.places[0], first.index))
            origin = self._image(batch.index, first.index, images, lines)
            self._pack(batch.index, first.index, images, lines)
            started = f.compare("sgt", f.add(batch.index, first.index), 0)
            adding = f.choose(started, 1, 0)
            count = f.mul(f.mul(images, lines), prod(g.places[1:-1]))
            self._tiles(origin, table, count, adding)
        self._store()

    def _table(self) -> Value:
        """Where each row of places of a strip begins, in the images and in a panel."""
        g, found = self.g, list[int]()
        for number, q in enumerate(itertools.product(range(g.images), range(g.lines), *map(range, g.places[1:-1]))):
            steps = (self.image_step, *(s * step for s, step in zip(g.stride[:-1], self.steps[:-1], strict=True)))
            at = sum(i * step for i, step in zip(q, steps, strict=True))
            found += [at * self.size, number * g.places[-1] * self.tiles.width * self.size]
        return self.f.module.table("rows", found)

    def _image(self, b: Index, first: Index, images: Index, lines: Index) -> Value:
        """Where the first tap of the first place of a strip is, which is copied if need be."""
        f, g = self.f, self.g
        if not self.copies:
            low = sum(-low * step for low, step in zip(g.low, self.steps, strict=True))
            at = f.add(f.mul(b, self.x_strides[0]), f.mul(first, g.stride[0] * self.steps[0]))
            return f.at(self.x, f.add(at, low), self.size)
        window = (g.kernel[0] - 1) * g.dilation[0] + 1
        spanned = f.add(f.mul(f.sub(lines, 1), g.stride[0]), window)
        with f.loop(0, images) as loop:
            image = f.at(self.x, f.mul(f.add(b, loop.index), self.x_strides[0]), self.size)
            to = f.at(self.copy, f.mul(loop.index, self.image_step), self.size)
            self.strip.copy(f, image, f.mul(first, g.stride[0]), spanned, to)
        return self.copy

    def _pack(self, b: Index, first: Index, images: Index, lines: Index) -> None:
        """Cotangents of a strip, place by place, the channels of a panel side by side."""
        f, g, tiles = self.f, self.g, self.tiles
        packer = Packer(f, g.dtype, g.dtype)
        strides = self.y_strides
        with f.loop(0, images) as image, f.loop(0, lines) as line, nest(f, g.places[1:]) as rest:
            place, at = line.index, f.mul(f.add(b, image.index), strides[0])
            for i, n in zip(rest, g.places[1:], strict=True):
                place = f.add(f.mul(place, n), i)
            whole = f.mul(lines, prod(g.places[1:]))
            place = f.add(f.mul(image.index, whole), place)
            for i, stride in zip((f.add(first, line.index), *rest), strides[2:], strict=True):
                at = f.add(at, f.mul(i, stride))
            with f.loop(0, g.groups) as group, f.loop(0, tiles.across) as panel:
                n = f.mul(panel.index, tiles.width)
                start = f.add(at, f.mul(f.add(f.mul(group.index, g.made), n), strides[1]))
                number = f.add(f.mul(group.index, tiles.across), panel.index)
                to = f.add(f.mul(number, self.panel), f.mul(place, tiles.width))
                packer.line(
                    f.at(self.y, start, self.size), strides[1], self._columns(n), f.at(self.panels, to, self.size)
                )

    def _columns(self, n: Index) -> Index:
        """How many kernels a panel has that begins at n."""
        even = self.g.made % self.tiles.width == 0
        return self.tiles.width if even else self.f.min(self.tiles.width, self.f.sub(self.g.made, n))

    def _tiles(self, origin: Value, table: Value, count: Index, adding: Index) -> None:
        """What a strip adds to all sums of the units."""
        f, g, tiles = self.f, self.g, self.tiles
        with f.loop(0, tiles.across) as panel, f.loop(f.begin, f.end) as unit:
            group, tap, block = self._unit(unit.index)
            first, channels = g.blocks.place(f, block)
            at = f.mul(f.add(f.mul(group, g.depth), first), self.channel_step)
            for i, apart, step in zip(tap, g.dilation, self.steps, strict=True):
                at = f.add(at, f.mul(i, apart * step))
            a = f.at(origin, at, self.size)
            number = f.add(f.mul(group, tiles.across), panel.index)
            b = f.at(self.panels, f.mul(number, self.panel), self.size)
            sums = self._sums(unit.index, panel.index)
            columns = self._columns(f.mul(panel.index, tiles.width))

            def rows(parts: Parts, a: Value = a, b: Value = b, sums: Value = sums, columns: Index = columns) -> None:
                with f.loop(0, parts.count) as tile:
                    start, height = parts.place(f, tile.index)
                    call(
                        f, self._kernel(height, columns), f.at(a, f.mul(start, self.channel_step), self.size),
                        self.a_step, b, tiles.width * self.size,
                        f.at(sums, f.mul(start, tiles.width), self.size), tiles.width * self.size,
                        g.places[-1], adding, table, count,
                    )  # fmt: skip

            for size, _ in g.blocks.sizes:
                with f.when(f.compare("eq", channels, size)):
                    rows(evenly(size, tiles.rows))

    def _unit(self, unit: Index) -> tuple[Index, list[Index], Index]:
        """The group, the element of the kernel and the block of channels of a unit of work."""
        group, *tap, block = position(self.f, unit, (self.g.groups, *self.g.kernel, self.g.blocks.count))
        return group, tap, block

    def _sums(self, unit: Index, panel: Index) -> Value:
        """Where the sums of a unit wait, a row for each channel: those of the thread's first unit come first."""
        f, most = self.f, max((size for size, _ in self.g.blocks.sizes), default=0)
        number = f.add(f.mul(f.sub(unit, f.begin), self.tiles.across), panel)
        return f.at(self.sums, f.mul(number, most * self.tiles.width), self.size)

    def _kernel(self, rows: Index, columns: Index) -> Value:
        """The address of the micro-kernel for a tile."""
        f = self.f
        found: Value | None = None
        for key in sorted(self.job.micro, key=lambda k: (k.rows, k.vectors), reverse=True):  # type: ignore[union-attr]
            assert isinstance(key, Swept)
            here = self.job.micro[key]
            if found is None:
                found = here
                continue
            fits = [f.compare("sle", columns, key.vectors * self.v.count), f.compare("sle", rows, key.rows)]
            both = f.new("i1", f"and {fits[0]}, {fits[1].name}")
            found = f.new("ptr", f"select {both}, {here}, {found}")
        assert found is not None
        return found

    def _store(self) -> None:
        """Write the sums of all units where they belong."""
        f, g, tiles, out = self.f, self.g, self.tiles, self.job.outputs[0]
        one = Lanes(f, 1)
        with f.loop(f.begin, f.end) as unit:
            group, tap, block = self._unit(unit.index)
            first, channels = g.blocks.place(f, block)
            with f.loop(0, g.made) as n:
                panel, column = f.div(n.index, tiles.width), f.rem(n.index, tiles.width)
                sums = self._sums(unit.index, panel)
                o = f.add(f.mul(group, g.made), n.index)
                with f.loop(0, channels) as c:
                    value = one.load(g.dtype, sums, f.add(f.mul(c.index, tiles.width), column))
                    where = (o, f.add(first, c.index), *tap[len(tap) - (len(out.shape) - 2) :])
                    out.store(value, where)


def _first(x: Operand) -> Value:
    """The address of the first element."""
    return x.f.at(x.pointer, x.place.offset, x.dtype.itemsize)


def _spaced(x: Operand, n: int) -> tuple[int, ...]:
    """Strides of channels and of n axes in space, of which a first one may be missing."""
    missing = n - (len(x.shape) - 2)
    return (x.place.strides[1], *(0,) * missing, *x.place.strides[2:])


def _lines(bytes: int) -> int:
    return -(-bytes // 64) * 64
