"""The loops around the micro-kernels of a sweep: kernels are packed once, then strip by strip, panel by panel of
channels, row by row, tiles of neighbouring places are computed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from chainrule.native.code import Function, Index, Value
from chainrule.native.contraction.micro import Swept, call
from chainrule.native.contraction.packing import Packer
from chainrule.native.convolution.depthwise import Depthwise
from chainrule.native.convolution.epilogue import PlaceAhead, PlaceEpilogue, result, storing
from chainrule.native.convolution.parts import evenly
from chainrule.native.convolution.plan import Pieces, SweepPlan, kind, parts, pieces
from chainrule.native.convolution.strip import Strip
from chainrule.native.convolution.sweep import Phase, Sweep
from chainrule.native.convolution.winograd.plan import WinogradPlan
from chainrule.native.convolution.winograd.sweeping import WinogradLoops
from chainrule.native.lanes import Lanes
from chainrule.native.loops.axes import nest
from chainrule.native.target import LINE


def emit_sweep(
    f: Function,
    sweep: Sweep,
    plan: SweepPlan | WinogradPlan,
    epilogue: PlaceEpilogue | None = None,
    ahead: PlaceAhead | None = None,
) -> None:
    """Units `f.begin` to `f.end` of a sweep.

    The function's arguments are pointers to the first elements of images, kernels and results, to the thread's scratch
    memory, and the addresses of the plan's micro-kernels; with an epilogue results are not touched, and the rest is for
    it to read.
    """
    if plan.units:
        with f.when(f.compare("slt", f.begin, f.end)):
            if isinstance(plan, WinogradPlan):
                WinogradLoops(f, sweep, plan, epilogue or storing(f, sweep), ahead).make()
            else:
                _Loops(f, sweep, plan, epilogue, ahead).make()


class _Loops:
    def __init__(
        self,
        f: Function,
        sweep: Sweep,
        plan: SweepPlan,
        epilogue: PlaceEpilogue | None,
        ahead: PlaceAhead | None,
    ) -> None:
        self.f, self.s, self.p, self.ahead = f, sweep, plan, ahead
        self.size = sweep.dtype.itemsize
        self.v = Lanes(f, f.target.lanes(self.size))
        self.width = plan.vectors * self.v.count
        self.direct = epilogue is None and sweep.y[1] == 1 and sweep.across % self.v.count == 0
        self.epilogue = epilogue or storing(f, sweep)
        self.kernels = {kernel: f.pointer(4 + i) for i, kernel in enumerate(plan.kernels)}
        tile, kernels, _ = plan.areas
        self.sums = f.pointer(3)
        self.panels = f.at(self.sums, tile, 1)
        self.copy = f.at(self.panels, kernels, 1)
        self.taps = sum(len(p.taps) for p in sweep.phases)
        self.panel = self.taps * sweep.summed * self.width  # elements of a panel
        self.panels_of_set = -(-sweep.across // self.width)
        self.strip = Strip(
            sweep.dtype, sweep.groups * sweep.summed, sweep.sizes, sweep.x[1:], sweep.low, sweep.spanned[1:]
        )
        self.steps = self.strip.steps if plan.copies else sweep.x[2:]
        channel = 1 if plan.copies else sweep.x[1]
        self.set_step, self.side_step = sweep.summed * channel, channel if sweep.is_depthwise else 0
        self.w_side = sweep.w[0 if sweep.is_depthwise else 1]

    def make(self) -> None:
        """All loops."""
        f, s, p = self.f, self.s, self.p
        self._pack()
        ranges: dict[str, tuple[Index, Index]] = {"batch": (0, s.batch), "rows": (0, s.count[0])}
        if p.units > 1:
            whole = ranges[p.axis][1]
            ranges[p.axis] = (f.mul(f.begin, p.block), f.min(f.mul(f.end, p.block), whole))
        with f.loop(*ranges["batch"]) as batch:
            self.b = batch.index
            image = f.at(f.pointer(0), f.mul(batch.index, s.x[0]), self.size)
            first, last = ranges["rows"]
            with f.loop(first, last, p.strip) as loop:
                stop = f.min(f.add(loop.index, p.strip), last)
                self._strip(image, loop.index, stop)

    # The kernels.

    def _pack(self) -> None:
        """For each group and panel, tap after tap and channel after channel: the made channels side by side."""
        f, s = self.f, self.s
        offsets = [sum(k * n for k, n in zip(t.kernel, s.w[3:], strict=True)) for p in s.phases for t in p.taps]
        if not offsets:
            return
        table = f.module.table("taps", offsets)
        packer = Packer(f, s.dtype, s.dtype)
        with f.loop(0, s.sets) as group, f.loop(0, self.panels_of_set) as panel:
            n = f.mul(panel.index, self.width)
            number = f.add(f.mul(group.index, self.panels_of_set), panel.index)
            to = f.at(self.panels, f.mul(number, self.panel), self.size)
            start = f.add(f.mul(group.index, s.w[0]), f.mul(n, self.w_side))
            columns = self._columns(n)
            with f.loop(0, self.taps) as tap, f.loop(0, s.summed) as c:
                offset = f.load_index(f.at(table, tap.index, 8))
                at = f.add(f.add(start, offset), f.mul(c.index, s.w[2]))
                line = f.add(f.mul(tap.index, s.summed), c.index)
                packer.line(
                    f.at(f.pointer(1), at, self.size),
                    self.w_side,
                    columns,
                    f.at(to, f.mul(line, self.width), self.size),
                )

    def _columns(self, n: Index) -> Index:
        """How many channels a panel has that begins at n."""
        even = self.s.across % self.width == 0
        return self.width if even else self.f.min(self.width, self.f.sub(self.s.across, n))

    # Tiles.

    def _strip(self, image: Value, start: Index, stop: Index) -> None:
        """All that is computed of some q along the first axis."""
        f, s, p = self.f, self.s, self.p
        origin = image
        if p.copies:
            lines = f.add(f.mul(f.sub(f.sub(stop, start), 1), s.stride[0]), s.window[0])
            self.strip.copy(f, image, f.mul(start, s.stride[0]), lines, self.copy)
            origin = self.copy
        else:
            low = sum(i * n for i, n in zip(s.low, self.steps, strict=True))
            origin = f.at(image, f.add(f.mul(f.mul(start, s.stride[0]), self.steps[0]), low), self.size)
        with f.loop(0, s.sets) as group, f.loop(0, self.panels_of_set) as panel:
            index = f.add(f.mul(group.index, self.panels_of_set), panel.index)
            kernels = f.at(self.panels, f.mul(index, self.panel), self.size)
            channel = f.add(f.mul(group.index, self.set_step), f.mul(panel.index, self.width * self.side_step))
            a = f.at(origin, channel, self.size)
            taps = 0
            for i, phase in enumerate(s.phases):
                b = f.at(kernels, taps * s.summed * self.width, self.size)
                self._phase(i, phase, a, b, group.index, f.mul(panel.index, self.width), start, stop)
                taps += len(phase.taps)

    def _phase(
        self, number: int, phase: Phase, a: Value, b: Value, group: Index, n: Index, start: Index, stop: Index
    ) -> None:
        """All rows of a strip that meet the same taps."""
        f, s, size = self.f, self.s, self.size
        found = pieces(s, number, self.steps)
        table = f.module.table(
            f"pieces{number}",
            [x for i, at in enumerate(found.starts) for x in (at * size, i * found.length * self.width * size)],
        )
        along = parts(s, self.p.down)[number]
        heights = evenly(along.stop - along.first, self.p.rows)
        rows_of_taps = sorted({tap.offset[0] for tap in phase.taps})
        each = len(found.starts) // max(len(rows_of_taps), 1)
        end = f.min(stop, phase.count[0]) if phase.count[0] < s.count[0] else stop
        with f.loop(start, end) as row, nest(f, phase.count[1:-1]) as middle:
            line = self._line(a, (f.sub(row.index, start), *middle))
            skipped, met = self._met(row.index, rows_of_taps)
            told, count = f.at(table, f.mul(skipped, 2 * each), 8), f.mul(met, each)
            with f.loop(0, heights.count) as tile:
                first, rows = heights.place(f, tile.index)
                q = f.add(first, along.first)
                place = self._place(phase, (row.index, *middle, q))
                at = f.at(line, f.mul(q, s.stride[-1] * self.steps[-1]), size)
                self._tile(at, b, rows, -1, (group, n, place), found, told, count)
        heights = evenly(phase.count[0], max(self.p.down, 1))
        for edge in along.edges:
            with f.loop(0, heights.count) as tile, nest(f, phase.count[1:-1]) as middle:
                first, rows = heights.place(f, tile.index)
                at = self._line(a, (first, *middle))
                at = f.at(at, edge.column * s.stride[-1] * self.steps[-1] + edge.first * s.summed, size)
                from_b = f.at(b, edge.first * s.summed * self.width, size)
                place = self._place(phase, (first, *middle, edge.column))
                some = replace(found, length=(edge.stop - edge.first) * s.summed)
                self._tile(at, from_b, rows, 0, (group, n, place), some, table, len(found.starts))

    def _line(self, a: Value, q: Sequence[Index]) -> Value:
        """Where a line of the image begins, for q along all axes but the last one."""
        for i, stride, step in zip(q, self.s.stride[:-1], self.steps[:-1], strict=True):
            a = self.f.at(a, self.f.mul(i, stride * step), self.size)
        return a

    def _place(self, phase: Phase, q: Sequence[Index]) -> list[Index]:
        """Where the result of q is."""
        f = self.f
        return [f.add(f.mul(i, step), begin) for i, step, begin in zip(q, self.s.step, phase.start, strict=True)]

    def _met(self, q: Index, offsets: Sequence[int]) -> tuple[Index, Index]:
        """How many rows of taps look above the image from q, and how many look at it: the others meet only zeros."""
        f, stride, size, most = self.f, self.s.stride[0], self.s.sizes[0], self.s.count[0] - 1
        above: Index = 0
        below: Index = 0
        for o in offsets:
            if o < 0:
                above = f.add(above, f.choose(f.compare("slt", f.mul(q, stride), -o), 1, 0))
            if o + most * stride >= size:
                below = f.add(below, f.choose(f.compare("sge", f.mul(q, stride), size - o), 1, 0))
        return above, f.sub(f.sub(len(offsets), above), below)

    def _tile(
        self,
        a: Value,
        b: Value,
        rows: Index,
        axis: int,
        where: tuple[Index, Index, list[Index]],
        found: Pieces,
        table: Value,
        count: Index,
    ) -> None:
        """A tile of neighbouring places along an axis in space."""
        f, s, (group, n, place) = self.f, self.s, where
        columns = self._columns(n)
        channel = f.add(f.mul(group, s.made), n)
        to, step = self.sums, self.width
        if self.direct:
            to, step = result(f, s, self.b, channel, place), s.step[axis] * s.y[2:][axis]
        if self.ahead is not None:
            with f.loop(0, rows) as row:
                there = _further(f, place, axis, f.mul(row.index, s.step[axis]))
                for at in range(0, self.width, LINE // self.size):
                    self.ahead(self.b, f.add(channel, at), there)
        a_step = s.stride[axis] * self.steps[axis] * self.size
        kernel = self._kernel(kind(s, found, a_step), rows, columns)
        call(
            f, kernel, a, a_step, b, self.width * self.size, to, step * self.size, found.length, 0, table, count
        )  # fmt: skip
        if not self.direct:
            self._finish(rows, axis, columns, channel, place)

    def _kernel(self, like: Swept | Depthwise, rows: Index, columns: Index) -> Value:
        """The address of the micro-kernel of a kind for a tile."""
        f, alike = self.f, [(k, x) for k, x in self.kernels.items() if replace(k, rows=0, vectors=0) == like]
        found = {(k.rows, k.vectors): x for k, x in alike}
        heights, widths = sorted({i for i, _ in found}), sorted({j for _, j in found})

        def of_height(i: int) -> Value:
            widest = found[i, widths[-1]]
            for j in widths[:-1]:
                widest = _choose(f, f.compare("sle", columns, j * self.v.count), found[i, j], widest)
            return widest

        if isinstance(rows, int):
            return of_height(rows)
        highest = of_height(heights[-1])
        for i in heights[:-1]:
            highest = _choose(f, f.compare("eq", rows, i), of_height(i), highest)
        return highest

    def _finish(self, rows: Index, axis: int, columns: Index, channel: Index, place: list[Index]) -> None:
        """Hand a tile to the epilogue, place by place."""
        f, s, v = self.f, self.s, self.v

        def vector(row: Index, at: Index, mask: Value | None) -> None:
            value = v.load(s.dtype, self.sums, f.add(f.mul(row, self.width), at))
            there = _further(f, place, axis, f.mul(row, s.step[axis]))
            self.epilogue(v, value, self.b, f.add(channel, at), there, mask)

        with f.loop(0, rows) as row:
            if s.across % self.width == 0 and self.p.vectors <= 2:
                for i in range(self.p.vectors):
                    vector(row.index, i * v.count, None)
                return
            whole = f.mul(f.div(columns, v.count), v.count)
            with f.loop(0, whole, v.count) as loop:
                vector(row.index, loop.index, None)
            if s.across % v.count:
                with f.when(f.compare("sgt", columns, whole)):
                    vector(row.index, whole, v.first(f.sub(columns, whole)))


def _further(f: Function, place: Sequence[Index], axis: int, by: Index) -> list[Index]:
    """A place further on along an axis."""
    found = [*place]
    found[axis] = f.add(place[axis], by)
    return found


def _choose(f: Function, condition: Value, x: Value, y: Value) -> Value:
    return f.new("ptr", f"select {condition}, {x}, {y}")
