"""The derivative of a convolution by its kernels: a product of matrices whose k are the places of all images.

    out[o, c, tap] = sum over b, q of  y[b, o, q]  x[b, c, q * stride + tap * dilation - low]

Units of work are elements of the kernel, for a few channels of the images each; where there are only a few, a row of
the kernel together, for some channels of the cotangents. A thread goes through all images for its units, a strip of
places at a time: cotangents become panels, images are copied where channels do not lie side by side or taps look
outside, and tiles of sums are added up in memory of the thread until they are stored in the end.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from math import prod
from typing import Any

from chainrule.native.code import Function, Index, Value
from chainrule.native.contraction.micro import MicroKernel, Swept, call
from chainrule.native.contraction.packing import Packer
from chainrule.native.contraction.plan import pace
from chainrule.native.convolution.depthwise import Depthwise, together
from chainrule.native.convolution.geometry import CHANNELS, Geometry, geometry
from chainrule.native.convolution.parts import Parts, evenly
from chainrule.native.convolution.strip import Blocks, Strip
from chainrule.native.convolution.winograd.weights import WinogradWeights, cut, micros
from chainrule.native.job import Job
from chainrule.native.lanes import Lanes
from chainrule.native.loops.axes import nest, position
from chainrule.native.operand import Operand
from chainrule.native.target import LINE, Target
from chainrule.types import TensorType

WIDTHS = (1, 2, 3, 4)  # vectors in a tile's row
TAPS = 6  # most rows of a tile of depthwise work
TOGETHER = 8  # most places that it takes at a time
CALL = 40  # cycles around a micro-kernel, without its sums
NARROW = 128  # bytes of a place up to which cotangents are read where they lie


def weight_units(x: TensorType, y: TensorType, **attributes: Any) -> int:
    """Work of `convolution_weight`."""
    g = geometry(x, y, **attributes)
    return (cut(g) or g).units


def weight_scratch(x: TensorType, y: TensorType, **attributes: Any) -> int:
    """Memory that a thread needs."""
    g = geometry(x, y, **attributes)
    return sum((cut(g) or g).areas)


def weight_micro(target: Target, x: TensorType, y: TensorType, **attributes: Any) -> Sequence[MicroKernel]:
    """The micro-kernels that are called."""
    g = geometry(x, y, **attributes)
    c = cut(g)
    return micros(c, target) if c else _Tiles(g, target).kernels


class _Tiles:
    """The tiles of sums: which sizes they have."""

    kernels: list[Swept | Depthwise]
    apart = 0  # channels in a block, if blocks of depthwise work lie one behind the other in a copy of images

    def __init__(self, g: Geometry, target: Target) -> None:
        self.lanes = target.lanes(g.dtype.itemsize)
        if g.is_depthwise:
            self.rows, self.vectors = evenly(g.kernel[-1], TAPS).sizes[0][0], LINE // target.vector_bytes
            self.apart = 0 if g.groups % (LINE // g.dtype.itemsize) else LINE // g.dtype.itemsize
            place = (self.apart or g.groups) * g.dtype.itemsize
            steps = g.dilation[-1] * place, g.stride[-1] * place
            places = together(g.places[-1], TOGETHER)
            heights = [height for height, _ in evenly(g.kernel[-1], TAPS).sizes]
            self.kernels = [Depthwise(g.dtype, height, self.vectors, *steps, places) for height in heights]
        elif g.joins:
            self.vectors = LINE // target.vector_bytes
            self.rows = min(CHANNELS, (target.registers - 2) // self.vectors - 1)
            heights = {height for size, _ in g.blocks.sizes for height, _ in evenly(size, self.rows).sizes}
            self.kernels = [Swept(g.dtype, height, self.vectors, along=False) for height in sorted(heights)]
        else:
            self._search(g, target)
        self.width = self.vectors * self.lanes
        self.panels = -(-g.across // self.width)

    def _search(self, g: Geometry, target: Target) -> None:
        """Of all tiles whose sums fit into registers the quickest."""
        strips, k = -(-g.made // self.lanes), g.images * g.lines * prod(g.places[1:])

        def heights(rows: int) -> list[tuple[int, int]]:
            found: dict[int, int] = {}
            for channels, count in g.blocks.sizes:
                for height, many in evenly(channels, rows).sizes:
                    found[height] = found.get(height, 0) + many * count
            return sorted(found.items())

        def widths(vectors: int) -> list[tuple[int, int]]:
            found = ((vectors, strips // vectors), (strips % vectors, 1))
            return [(wide, many) for wide, many in found if wide and many]

        def cost(tile: tuple[int, int]) -> float:
            total = 0.0
            for (height, many), (wide, times) in itertools.product(heights(tile[0]), widths(tile[1])):
                total += many * times * (pace(target, height, wide) * k + CALL + 3 * height * wide)
            return total

        bare = target.vector_bytes == 16 and target.registers == 16
        fitting = [
            (rows, vectors)
            for rows, vectors in itertools.product(range(1, CHANNELS + 1), WIDTHS)
            if rows * vectors + vectors + 1 + bare <= target.registers and vectors <= max(strips, 1)
        ]
        self.rows, self.vectors = min(fitting, key=cost)
        self.kernels = [
            Swept(g.dtype, height, wide, along=False)
            for height, _ in heights(self.rows)
            for wide, _ in widths(self.vectors)
        ]


def weight_loops(job: Job, **attributes: Any) -> None:
    """Write the code of `convolution_weight`."""
    x, y = job.inputs
    g = geometry(TensorType(x.dtype, x.shape), TensorType(y.dtype, y.shape), **attributes)
    c = cut(g)
    if g.units and g.made:
        with job.f.when(job.f.compare("slt", job.f.begin, job.f.end)):
            (WinogradWeights(job, c) if c else _Loops(job, g)).make()


class _Loops:
    def __init__(self, job: Job, g: Geometry) -> None:
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
        channels = self.tiles.apart or g.groups * g.depth
        self.strip = Strip(g.dtype, channels, g.sizes, self.x_strides[1:], tuple(-n for n in g.low), g.spanned[1:])
        ends = zip(g.places, g.stride, g.kernel, g.dilation, g.low, g.sizes, strict=True)
        inside = all(low <= 0 and (n - 1) * s + (k - 1) * apart - low < size for n, s, k, apart, low, size in ends)
        self.copies = not (inside and (self.x_strides[1] == 1 or channels == 1))
        if g.is_depthwise or (g.joins and self.x_strides[-1] != channels):
            self.copies = True  # depthwise: the step from place to place is part of the code
        self.steps = self.strip.steps if self.copies else self.x_strides[2:]
        self.panels_of_unit = 1 if g.is_depthwise or g.joins else self.tiles.panels
        self.block_step = prod(g.spanned) * channels
        copied = self.block_step * (g.blocks.count if self.tiles.apart else 1)
        self.image_step = copied if self.copies else self.x_strides[0]
        self.channel_step = 1 if self.copies or g.joins else self.x_strides[1]
        self.per_image = g.lines * prod(g.places[1:])
        self.panel = g.images * self.per_image * self.tiles.width  # elements of a panel
        self.a_step = g.stride[-1] * self.steps[-1] * self.size
        # Few channels side by side are read where they lie; more of them would fall on few sets of the first cache,
        # which matters where tiles read a place again.
        place = self.y_strides[-1]
        near = 0 < place * self.size <= NARROW or (g.is_depthwise and place > 0)
        self.packs = self.y_strides[1] != 1 or g.across % self.tiles.width != 0 or not near
        self.b_place = self.tiles.width if self.packs else place

    def make(self) -> None:
        """All images, strip by strip; then what has been found is stored."""
        f, g = self.f, self.g
        table = self._table()
        with f.loop(0, max(g.batch, 1), g.images) as batch, f.loop(0, max(g.places[0], 1), g.lines) as first:
            images = f.min(g.images, f.sub(g.batch, batch.index))
            lines = f.min(g.lines, f.sub(g.places[0], first.index))
            origin = self._image(batch.index, first.index, images, lines)
            if self.packs:
                self._pack(batch.index, first.index, images, lines)
            started = f.compare("sgt", f.add(batch.index, first.index), 0)
            adding = f.choose(started, 1, 0)
            count = f.mul(f.mul(images, lines), prod(g.places[1:-1]))
            at = f.add(f.mul(batch.index, self.y_strides[0]), f.mul(first.index, self.y_strides[2]))
            panels = self.panels if self.packs else f.at(self.y, at, self.size)
            self._tiles(origin, panels, table, count, adding)
        self._store()

    def _table(self) -> Value:
        """Where each row of places of a strip begins, in the images and in a panel of cotangents."""
        g, found = self.g, list[int]()
        for number, q in enumerate(itertools.product(range(g.images), range(g.lines), *map(range, g.places[1:-1]))):
            steps = (self.image_step, *(s * step for s, step in zip(g.stride[:-1], self.steps[:-1], strict=True)))
            at = sum(i * step for i, step in zip(q, steps, strict=True))
            there = number * g.places[-1] * self.tiles.width
            if not self.packs:
                there = sum(i * step for i, step in zip(q, (self.y_strides[0], *self.y_strides[2:-1]), strict=True))
            found += [at * self.size, there * self.size]
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
            self.strip.copy(f, image, f.mul(first, g.stride[0]), spanned, to, self._blocks())
        return self.copy

    def _blocks(self) -> Blocks | None:
        """The blocks of channels that the thread looks at."""
        f, each = self.f, prod(self.g.taps)
        if not self.tiles.apart:
            return None
        return Blocks(f.div(f.begin, each), f.div(f.add(f.end, each - 1), each), self.block_step)

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
            with f.loop(0, g.sets) as group, f.loop(0, tiles.panels) as panel:
                n = f.mul(panel.index, tiles.width)
                start = f.add(at, f.mul(f.add(f.mul(group.index, g.made), n), strides[1]))
                number = f.add(f.mul(group.index, tiles.panels), panel.index)
                to = f.add(f.mul(number, self.panel), f.mul(place, tiles.width))
                packer.line(
                    f.at(self.y, start, self.size), strides[1], self._columns(n), f.at(self.panels, to, self.size)
                )

    def _columns(self, n: Index) -> Index:
        """How many kernels a panel has that begins at n."""
        even = self.g.across % self.tiles.width == 0
        return self.tiles.width if even else self.f.min(self.tiles.width, self.f.sub(self.g.across, n))

    def _tiles(self, origin: Value, panels: Value, table: Value, count: Index, adding: Index) -> None:
        """What a strip adds to all sums of the units."""
        f, g, tiles = self.f, self.g, self.tiles
        with f.loop(0, self.panels_of_unit) as loop, f.loop(f.begin, f.end) as unit:
            group, side, tap, block = self._unit(unit.index)
            first, channels = g.blocks.place(f, block)
            panel = block if g.is_depthwise else side if g.joins else loop.index
            first = f.mul(block, tiles.width) if g.is_depthwise else first
            at = f.mul(f.add(f.mul(group, g.depth), first), self.channel_step)
            at = f.mul(block, self.block_step) if tiles.apart else at
            for i, apart, step in zip(tap, g.dilation, self.steps, strict=True):
                at = f.add(at, f.mul(i, apart * step))
            a = f.at(origin, at, self.size)
            number = f.mul(f.add(f.mul(group, tiles.panels), panel), self.panel if self.packs else tiles.width)
            b = f.at(panels, number, self.size)
            sums, columns = self._sums(unit.index, loop.index), self._columns(f.mul(panel, tiles.width))

            def rows(
                parts: Parts, step: int, a: Value = a, b: Value = b, sums: Value = sums, columns: Index = columns
            ) -> None:
                with f.loop(0, parts.count) as tile:
                    start, height = parts.place(f, tile.index)
                    call(
                        f, self._kernel(height, columns), f.at(a, f.mul(start, step), self.size),
                        self.a_step, b, self.b_place * self.size,
                        f.at(sums, f.mul(start, tiles.width), self.size), tiles.width * self.size,
                        g.places[-1], adding, table, count,
                    )  # fmt: skip

            if g.is_depthwise:
                rows(evenly(g.kernel[-1], tiles.rows), g.dilation[-1] * self.steps[-1])
                return
            for size, _ in g.blocks.sizes:
                with f.when(f.compare("eq", channels, size)):
                    rows(evenly(size, tiles.rows), self.channel_step)

    def _unit(self, unit: Index) -> tuple[Index, Index, list[Index], Index]:
        """The set, the side, the element of the kernel and the block of channels of a unit of work."""
        f, g = self.f, self.g
        if g.is_depthwise:  # a thread looks at its channels only
            block, *tap = position(f, unit, (g.blocks.count, *g.taps))
            return 0, 0, tap, block
        group, side, *tap, block = position(f, unit, (g.sets, g.sides, *g.taps, g.blocks.count))
        return group, side, tap, block

    def _sums(self, unit: Index, panel: Index) -> Value:
        """Where a tile's sums wait, a row for each channel or tap: those of the thread's first unit come first."""
        f, g, tiles = self.f, self.g, self.tiles
        rows = g.kernel[-1] if g.is_depthwise else max((size for size, _ in g.blocks.sizes), default=0)
        number = f.add(f.mul(f.sub(unit, f.begin), self.panels_of_unit), panel)
        return f.at(self.sums, f.mul(number, rows * tiles.width), self.size)

    def _kernel(self, rows: Index, columns: Index) -> Value:
        """The address of the micro-kernel for a tile."""
        f = self.f
        found: Value | None = None
        for key in sorted(self.tiles.kernels, key=lambda k: (k.rows, k.vectors), reverse=True):
            here = self.job.micro[key]
            if found is None:
                found = here
                continue
            fits = f.compare("sle", rows, key.rows)
            if not self.g.is_depthwise:
                narrow = f.compare("sle", columns, key.vectors * self.v.count)
                fits = f.new("i1", f"and {fits}, {narrow.name}")
            found = f.new("ptr", f"select {fits}, {here}, {found}")
        assert found is not None
        return found

    def _store(self) -> None:
        """Write the sums of all units where they belong."""
        f, g, tiles, out = self.f, self.g, self.tiles, self.job.outputs[0]
        one, spaces = Lanes(f, 1), len(out.shape) - 2
        with f.loop(f.begin, f.end) as unit:
            group, side, tap, block = self._unit(unit.index)
            if g.is_depthwise:
                sums, first = self._sums(unit.index, 0), f.mul(block, tiles.width)
                with f.loop(0, self._columns(first)) as c, f.loop(0, g.kernel[-1]) as last:
                    value = one.load(g.dtype, sums, f.add(f.mul(last.index, tiles.width), c.index))
                    where = [*tap[:-1], last.index]
                    out.store(value, (f.add(first, c.index), 0, *where[len(where) - spaces :]))
                return
            first, rows = g.blocks.place(f, block)
            start = f.mul(side, tiles.width)
            with f.loop(0, self._columns(start) if g.joins else g.made) as n:
                panel, column = f.div(n.index, tiles.width), f.rem(n.index, tiles.width)
                sums = self._sums(unit.index, 0 if g.joins else panel)
                o = f.add(f.mul(group, g.made), f.add(start, n.index))
                with f.loop(0, rows) as row:
                    value = one.load(g.dtype, sums, f.add(f.mul(row.index, tiles.width), column))
                    c = f.add(first, row.index)
                    where = [*tap[:-1], f.div(c, g.depth)] if g.joins else tap
                    out.store(value, (o, f.rem(c, g.depth) if g.joins else c, *where[len(where) - spaces :]))


def _first(x: Operand) -> Value:
    """The address of the first element."""
    return x.f.at(x.pointer, x.place.offset, x.dtype.itemsize)


def _spaced(x: Operand, n: int) -> tuple[int, ...]:
    """Strides of channels and of n axes in space, of which a first one may be missing."""
    missing = n - (len(x.shape) - 2)
    return (x.place.strides[1], *(0,) * missing, *x.place.strides[2:])
