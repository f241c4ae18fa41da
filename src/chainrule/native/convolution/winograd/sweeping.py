"""The loops of a convolution by Winograd's algorithm: kernels are transformed once, then for some tiles at a time the
image is, products are made position by position, and sums become results."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from chainrule.native.code import Function, Index, Value
from chainrule.native.contraction.micro import call
from chainrule.native.convolution.epilogue import PlaceAhead, PlaceEpilogue
from chainrule.native.convolution.sweep import Sweep
from chainrule.native.convolution.winograd.plan import WinogradPlan, sizes
from chainrule.native.convolution.winograd.spreading import Spreading
from chainrule.native.convolution.winograd.transforms import POSITIONS
from chainrule.native.lanes import Lanes
from chainrule.native.target import LINE


class WinogradLoops:
    """Makes the code of units `f.begin` to `f.end`; the function's arguments are as those of `emit_sweep`."""

    def __init__(
        self, f: Function, sweep: Sweep, plan: WinogradPlan, epilogue: PlaceEpilogue, ahead: PlaceAhead | None
    ) -> None:
        self.f, self.s, self.p, self.epilogue, self.ahead = f, sweep, plan, epilogue, ahead
        self.size = sweep.dtype.itemsize
        self.v = Lanes(f, f.target.lanes(self.size))
        self.g = sizes(sweep, self.v.count)
        self.width = plan.vectors * self.v.count
        self.panels = -(-self.g.strips // plan.vectors)
        spread, self.transform, self.finish, self.product = (f.pointer(4 + i) for i in range(4))
        starts = itertools.accumulate((0, *plan.areas[:-1]))
        areas = [f.at(f.pointer(3), start, 1) for start in starts]
        self.kernels, self.image, self.sums, self.results, room, self.zeros = areas
        self.tile_step = self.g.channels * self.size
        self.image_step, self.sums_step = plan.steps
        self.kernel_step = sweep.summed * self.width * self.size  # from position to position
        self.images = Spreading(
            sweep.dtype, sweep.sizes, sweep.x[1:], sweep.summed, 4, self.g.along, sweep.phases[0].taps[0].offset,
            spread, room, self.zeros,
        )  # fmt: skip

    def make(self) -> None:
        """All loops."""
        f, s, p, g = self.f, self.s, self.p, self.g
        self._transform_kernels()
        with f.loop(0, g.channels, self.v.count) as loop:
            self.v.store(self.v.constant(s.dtype, 0), self.zeros, loop.index)
        if p.axis == "batch":
            stop = f.min(f.mul(f.end, p.block), s.batch)
            self._lines(f.mul(f.mul(f.begin, p.block), g.down), f.mul(stop, g.down))
            return
        with f.loop(0, s.batch) as image:
            start = f.mul(image.index, g.down)
            first, stop = f.mul(f.begin, p.block), f.min(f.mul(f.end, p.block), g.down)
            self._lines(f.add(start, first), f.add(start, stop))

    def _transform_kernels(self) -> None:
        """All kernels, a panel after the other; those of derivatives are met the other way round."""
        f, s = self.f, self.s
        places = [sum(k * n for k, n in zip(t.kernel, s.w[3:], strict=True)) for t in s.phases[0].taps]
        first, along, down = places[0], places[1], places[3]
        with f.loop(0, self.panels) as panel:
            n = f.mul(panel.index, self.width)
            call(
                f, self.transform, f.at(f.pointer(1), f.add(f.mul(n, s.w[1]), first), self.size), s.w[1],
                self._columns(n), (down - first) * self.size, (along - first) * self.size, s.w[2] * self.size, s.summed,
                f.at(self.kernels, f.mul(panel.index, POSITIONS * self.kernel_step), 1), self.kernel_step,
            )  # fmt: skip

    def _columns(self, n: Index) -> Index:
        """How many kernels a panel has that begins at n."""
        return self.width if self.s.made % self.width == 0 else self.f.min(self.width, self.f.sub(self.s.made, n))

    def _lines(self, first: Index, stop: Index) -> None:
        """Lines of tiles, counted through all images."""
        f, p, g = self.f, self.p, self.g
        with f.loop(first, stop, p.lines) as chunk, f.loop(0, g.along, p.across) as part:
            lines = f.min(p.lines, f.sub(stop, chunk.index))
            tiles = p.across if g.along % p.across == 0 else f.min(p.across, f.sub(g.along, part.index))
            with f.loop(0, lines) as line:
                at = f.mul(f.mul(line.index, p.across), self.tile_step)
                self._spread(f.add(chunk.index, line.index), part.index, tiles, f.at(self.image, at, 1))
            with f.loop(0, self.panels) as panel:
                self._products(panel.index, f.mul(lines, tiles))
                with f.loop(0, lines) as line:
                    at = f.mul(f.mul(line.index, p.across), self.width * self.size)
                    self._results(
                        f.add(chunk.index, line.index), part.index, tiles, panel.index, f.at(self.sums, at, 1)
                    )

    def _spread(self, line: Index, part: Index, tiles: Index, to: Value) -> None:
        """Transform the image for a line of tiles, or for part of one."""
        f, g = self.f, self.g
        image = f.at(f.pointer(0), f.mul(f.div(line, g.down), self.s.x[0]), self.size)
        self.images.spread(f, image, f.rem(line, g.down), part, tiles, to, self.tile_step, LINE, self.image_step)

    def _products(self, panel: Index, tiles: Index) -> None:
        """For each position, of all tiles: the last ones are those before again if they do not fill a tile of
        products, and if there are too few, sums of what lies there by chance are not looked at."""
        f, s, p = self.f, self.s, self.p
        last = f.sub(tiles, p.rows)
        last = max(last, 0) if isinstance(last, int) else f.choose(f.compare("slt", last, 0), 0, last)
        with f.loop(0, POSITIONS) as position:
            kernels = f.add(f.mul(panel, POSITIONS * self.kernel_step), f.mul(position.index, self.kernel_step))
            image = f.at(self.image, f.mul(position.index, self.image_step), 1)
            sums = f.at(self.sums, f.mul(position.index, self.sums_step), 1)
            with f.loop(0, tiles, p.rows) as tile:
                first = f.min(tile.index, last)
                call(
                    f, self.product, f.at(image, f.mul(first, self.tile_step), 1), self.tile_step,
                    f.at(self.kernels, kernels, 1), self.width * self.size,
                    f.at(sums, f.mul(first, self.width * self.size), 1), self.width * self.size, s.summed, 0,
                )  # fmt: skip

    def _results(self, line: Index, part: Index, tiles: Index, panel: Index, sums: Value) -> None:
        """Results of a line of tiles, or of part of one, for a panel of kernels."""
        f, s = self.f, self.s
        b, row = f.div(line, self.g.down), f.mul(f.rem(line, self.g.down), 2)
        column, n = f.mul(part, 2), f.mul(panel, self.width)
        rows = 2 if s.results[0] % 2 == 0 else f.min(2, f.sub(s.results[0], row))
        places = f.mul(tiles, 2)
        places = places if s.results[1] % 2 == 0 else f.min(places, f.sub(s.results[1], column))
        if self.ahead is not None:
            with f.loop(0, rows) as i, f.loop(0, places) as j:
                for at in range(0, self.width, LINE // self.size):
                    self.ahead(b, f.add(n, at), (f.add(row, i.index), f.add(column, j.index)))
        step = 2 * self.p.across * self.width * self.size
        call(f, self.finish, sums, tiles, self.results, self.width * self.size, step)
        columns = self._columns(n)

        with f.loop(0, rows) as i, f.loop(0, places) as j:
            at = f.at(f.at(self.results, f.mul(i.index, step), 1), f.mul(j.index, self.width), self.size)
            place = [f.add(row, i.index), f.add(column, j.index)]
            self._vectors(b, n, place, columns, at)

    def _vectors(self, b: Index, n: Index, place: Sequence[Index], columns: Index, at: Value) -> None:
        """Hand the results of a place to the epilogue."""
        f, v, dtype = self.f, self.v, self.s.dtype
        if isinstance(columns, int) and columns == self.width:
            for i in range(0, self.width, v.count):
                self.epilogue(v, v.load(dtype, at, i), b, f.add(n, i), place, None)
            return
        whole = f.mul(f.div(columns, v.count), v.count)
        with f.loop(0, whole, v.count) as loop:
            self.epilogue(v, v.load(dtype, at, loop.index), b, f.add(n, loop.index), place, None)
        if self.s.made % v.count:
            with f.when(f.compare("sgt", columns, whole)):
                value, mask = v.load(dtype, at, whole), v.first(f.sub(columns, whole))
                self.epilogue(v, value, b, f.add(n, whole), place, mask)
