"""The loops around the micro-kernels of a contraction: blocks, copies, tiles and what is done with a finished tile.

A finished tile goes through a small buffer to the epilogue. That costs a few per cent of sums over 32 products, and
less of longer ones; in return the code of a program holds an epilogue once or twice, not once for each register, and no
micro-kernel at all.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from typing import TypeAlias

from chainrule.native.code import Function, Index, Value
from chainrule.native.contraction.micro import Tile, Turning, call
from chainrule.native.contraction.packing import Packer
from chainrule.native.contraction.plan import Plan, areas, panel_size, row_step
from chainrule.native.contraction.problem import Contraction
from chainrule.native.lanes import Lanes
from chainrule.native.target import LINE

Epilogue: TypeAlias = Callable[[Lanes, Value, Index, Index, Index, "Value | None"], None]
"""`epilogue(v, value, b, m, n, mask)` is called while code is made, with a vector of finished sums: elements (b, m, n),
(b, m, n + 1), ... of C. It stores what it wants; with a mask only the lanes where that holds exist."""

Ahead: TypeAlias = Callable[[Index, Index, Index], None]
"""`ahead(b, m, n)` is called while code is made, where a tile begins whose epilogue will soon read at the elements from
(b, m, n) on: it asks for a line of each of its buffers."""


def emit(
    f: Function,
    contraction: Contraction,
    plan: Plan,
    epilogue: Epilogue | None = None,
    ahead: Ahead | None = None,
    *,
    beside: bool = False,
) -> None:
    """Units `f.begin` to `f.end` of a contraction.

    With `ahead`, what the epilogue reads comes near while a tile's sums are computed. With `beside`, tiles beside each
    other follow each other, since the epilogue reads and writes much along rows.

    The kernel's arguments are pointers to the first elements of A, B and C, to the thread's scratch memory, and the
    addresses of the plan's micro-kernels; with an epilogue C is not touched, and the rest is for it to read.
    """
    if plan.units:
        with f.when(f.compare("slt", f.begin, f.end)):
            _Loops(f, contraction, plan, epilogue, ahead, plan.beside if beside else 1).make()


class _Loops:
    def __init__(
        self,
        f: Function,
        contraction: Contraction,
        plan: Plan,
        epilogue: Epilogue | None,
        ahead: Ahead | None,
        beside: int,
    ) -> None:
        self.f, self.c, self.p, self.ahead, self.beside = f, contraction, plan, ahead, beside
        self.size = contraction.compute.itemsize
        self.v = Lanes(f, f.target.lanes(self.size))
        self.width = plan.vectors * self.v.count
        self.direct = epilogue is None and contraction.c[2] == 1 and contraction.out is contraction.compute
        self.epilogue = epilogue or self._plain
        self.packer = Packer(f, contraction.dtype, contraction.compute)
        self.kernels = {key: f.pointer(4 + i) for i, key in enumerate(plan.kernels)}
        self.turning = self.kernels.get(Turning(contraction.dtype, contraction.compute))
        sums, a, _ = areas(plan, contraction, self.v.count)
        self.sums = f.pointer(3)
        self.a_copy = f.at(self.sums, sums, 1)
        self.b_copy = f.at(self.a_copy, a, 1)

    def make(self) -> None:
        """All loops."""
        f, c, p = self.f, self.c, self.p
        ranges: dict[str, tuple[Index, Index]] = {"batch": (0, c.batch), "m": (0, c.m), "n": (0, c.n)}
        if p.units > 1:
            stop = f.min(f.mul(f.end, p.block), ranges[p.axis][1])
            ranges[p.axis] = (f.mul(f.begin, p.block), stop)
        with f.loop(*ranges["batch"]) as batch:
            self.batch = batch.index
            self.a = f.at(f.pointer(0), f.mul(batch.index, c.a[0]), c.dtype.itemsize)
            self.b = f.at(f.pointer(1), f.mul(batch.index, c.b[0]), c.dtype.itemsize)
            with f.loop(*ranges["n"], p.n_block) as loop:
                self.n = (loop.index, f.min(f.add(loop.index, p.n_block), ranges["n"][1]))
                if p.copy_b == "all" and p.depth >= c.k:
                    self._copy_b(0, c.k)
                with f.loop(*ranges["m"], p.m_block) as loop:
                    self.m = (loop.index, f.min(f.add(loop.index, p.m_block), ranges["m"][1]))
                    with f.loop(0, max(c.k, 1), p.depth) as loop:
                        self._block(loop.index, f.min(f.sub(c.k, loop.index), p.depth))

    def _block(self, k: Index, depth: Index) -> None:
        f, p = self.f, self.p
        if p.copy_a:
            self._copy_a(k, depth)
        if p.copy_b == "all" and p.depth < self.c.k:
            self._copy_b(k, depth)
        if self.beside == 1:
            with f.loop(*self.n, self.width) as panel:
                columns = self._cut(self.c.n, self.width, self.n[1], panel.index)
                b, b_step = self._panel(panel.index, columns, k, depth)
                with f.loop(*self.m, p.rows) as tile:
                    rows = self._cut(self.c.m, p.rows, self.m[1], tile.index)
                    self._tile(tile.index, panel.index, rows, columns, k, depth, b, b_step)
            return
        with f.loop(*self.n, self.width * self.beside) as panels, f.loop(*self.m, p.rows) as tile:
            rows = self._cut(self.c.m, p.rows, self.m[1], tile.index)
            stop = f.min(f.add(panels.index, self.width * self.beside), self.n[1])
            with f.loop(panels.index, stop, self.width) as panel:
                columns = self._cut(self.c.n, self.width, self.n[1], panel.index)
                b, b_step = self._panel(panel.index, columns, k, depth)
                self._tile(tile.index, panel.index, rows, columns, k, depth, b, b_step)

    def _cut(self, size: int, step: int, stop: Index, start: Index) -> Index:
        """How many indices there are, at most `step`, before `stop`."""
        return step if size % step == 0 else self.f.min(step, self.f.sub(stop, start))

    # Operands.

    def _in_a(self, m: Index, k: Index) -> Value:
        f, c = self.f, self.c
        return f.at(self.a, f.add(f.mul(m, c.a[1]), f.mul(k, c.a[2])), c.dtype.itemsize)

    def _in_b(self, k: Index, n: Index) -> Value:
        f, c = self.f, self.c
        return f.at(self.b, f.add(f.mul(k, c.b[1]), f.mul(n, c.b[2])), c.dtype.itemsize)

    def _copy_a(self, k: Index, depth: Index) -> None:
        f, c, p = self.f, self.c, self.p
        if p.copy_a == "rows":
            with f.loop(*self.m) as row:
                self.packer.row(self._in_a(row.index, k), c.a[2], depth, self._copied_a(row.index))
            return
        rest = c.m % p.rows
        with f.loop(0, depth) as line:  # neighbours are read together, though they go into different panels

            def column(m: Index, rows: int) -> None:
                to = f.at(self._copied_a(m), f.mul(line.index, rows), self.size)
                self.packer.column(self._in_a(m, f.add(k, line.index)), rows, to)

            with f.loop(self.m[0], f.min(self.m[1], c.m - rest), p.rows) as tile:
                column(tile.index, p.rows)
            if rest:
                with f.when(f.compare("eq", self.m[1], c.m)):
                    column(c.m - rest, rest)

    def _copied_a(self, m: Index) -> Value:
        return self.f.at(self.a_copy, self.f.mul(self.f.sub(m, self.m[0]), row_step(self.p, self.c)), 1)

    def _reading_a(self, m: Index, rows: Index, k: Index) -> tuple[Value, Index]:
        """Where a tile's rows are, and the micro-kernel's step."""
        if self.p.copy_a:
            step = row_step(self.p, self.c) if self.p.copy_a == "rows" else self.f.mul(rows, self.size)
            return self._copied_a(m), step
        return self._in_a(m, k), self.c.a[1 if self.p.along else 2] * self.size

    def _copy_b(self, k: Index, depth: Index) -> None:
        with self.f.loop(*self.n, self.width) as panel:
            columns = self._cut(self.c.n, self.width, self.n[1], panel.index)
            self._copy_panel(panel.index, columns, k, depth, self._copied_b(panel.index))

    def _copy_panel(self, n: Index, columns: Index, k: Index, depth: Index, to: Value) -> None:
        f, v = self.f, self.v
        step = f.mul(self._vectors(columns), v.count * self.size)
        if self.turning is None:
            with f.loop(0, depth) as line:
                at, stride = self._in_b(f.add(k, line.index), n), 1 if self.c.n == 1 else self.c.b[2]
                self.packer.line(at, stride, columns, f.at(to, f.mul(line.index, step), 1))
            return
        with f.loop(0, columns, v.count) as strip:
            at, line = self._in_b(k, f.add(n, strip.index)), f.at(to, strip.index, self.size)
            some = v.count if self.c.n % v.count == 0 else f.sub(columns, strip.index)
            self.packer.turned(self.turning, at, self.c.b[2], some, depth, line, step)

    def _copied_b(self, n: Index) -> Value:
        if self.p.copy_b == "edge":
            return self.b_copy
        number = self.f.div(self.f.sub(n, self.n[0]), self.width)
        return self.f.at(self.b_copy, self.f.mul(number, panel_size(self.p, self.c, self.v.count)), 1)

    def _panel(self, n: Index, columns: Index, k: Index, depth: Index) -> tuple[Value, Index]:
        """Where a tile's columns are, and how far it is from one k to the next."""
        f, p = self.f, self.p
        copy, copy_step = self._copied_b(n), f.mul(self._vectors(columns), self.v.count * self.size)
        if p.copy_b == "all":
            return copy, copy_step
        there, step = self._in_b(k, n), self.c.b[2 if p.dots else 1] * self.size
        if p.copy_b == "edge":
            cut = f.compare("ne", f.rem(columns, self.v.count), 0)
            with f.when(cut):
                self._copy_panel(n, columns, k, depth, copy)
            return _choose(f, cut, copy, there), f.choose(cut, copy_step, step)
        return there, step

    def _vectors(self, columns: Index) -> Index:
        return self.f.div(self.f.add(columns, self.v.count - 1), self.v.count)

    # Tiles.

    def _tile(
        self, m: Index, n: Index, rows: Index, columns: Index, k: Index, depth: Index, b: Value, b_step: Index
    ) -> None:
        f, c, p = self.f, self.c, self.p
        a, a_step = self._reading_a(m, rows, k)
        sums, step = self._sums(m, n), self.width * self.size
        to, to_step, whole = sums, step, None
        if self.direct:
            to, to_step = self._in_c(m, n), c.c[1] * self.size
            if c.n % self.v.count:
                whole = f.compare("eq", f.rem(columns, self.v.count), 0)
                to, to_step = _choose(f, whole, to, sums), f.choose(whole, to_step, step)
        adding = 0 if p.depth >= c.k else f.choose(f.compare("sgt", k, 0), 1, 0)
        kernel = self._kernel(rows, columns)
        if self.ahead is not None:
            with f.loop(0, rows) as row, f.loop(0, columns, LINE // self.size) as line:
                self.ahead(self.batch, f.add(m, row.index), f.add(n, line.index))
        call(f, kernel, a, a_step, b, b_step, to, to_step, depth, adding, *([columns] if p.dots else []))
        if self.direct and whole is None:
            return
        with ExitStack() as conditions:
            if p.depth < c.k:
                conditions.enter_context(f.when(f.compare("sge", f.add(k, depth), c.k)))
            if whole is not None:
                conditions.enter_context(f.when(f.compare("ne", f.rem(columns, self.v.count), 0)))
            self._finish(m, n, rows, columns, sums)

    def _sums(self, m: Index, n: Index) -> Value:
        """Where a tile waits until it is finished."""
        f, p = self.f, self.p
        if p.depth >= self.c.k:
            return self.sums
        across = -(-min(p.n_block, self.c.n) // self.width)
        row, column = f.div(f.sub(m, self.m[0]), p.rows), f.div(f.sub(n, self.n[0]), self.width)
        return f.at(self.sums, f.mul(f.add(f.mul(row, across), column), p.rows * self.width), self.size)

    def _kernel(self, rows: Index, columns: Index) -> Value:
        """The address of the micro-kernel for a tile."""
        f, found = self.f, {(key.rows, key.vectors): x for key, x in self.kernels.items() if isinstance(key, Tile)}
        if not found:
            return next(iter(self.kernels.values()))
        wide, narrow = max(j for _, j in found), min(j for _, j in found)
        high, low = max(i for i, _ in found), min(i for i, _ in found)

        def of_height(i: int) -> Value:
            if wide == narrow:
                return found[i, wide]
            return _choose(f, f.compare("eq", self._vectors(columns), narrow), found[i, narrow], found[i, wide])

        if high == low:
            return of_height(high)
        return _choose(f, f.compare("eq", rows, low), of_height(low), of_height(high))

    def _finish(self, m: Index, n: Index, rows: Index, columns: Index, sums: Value) -> None:
        """Hand a tile to the epilogue, row by row."""
        f, c, v = self.f, self.c, self.v

        def vector(row: Index, at: Index, mask: Value | None) -> None:
            value = v.load(c.compute, sums, f.add(f.mul(row, self.width), at))
            self.epilogue(v, v.cast(value, c.out), self.batch, f.add(m, row), f.add(n, at), mask)

        with f.loop(0, rows) as row:
            if c.n % self.width == 0 and self.p.vectors <= 2:
                for i in range(self.p.vectors):
                    vector(row.index, i * v.count, None)
                return
            whole = f.mul(f.div(columns, v.count), v.count)
            with f.loop(0, whole, v.count) as loop:
                vector(row.index, loop.index, None)
            if c.n % v.count:
                with f.when(f.compare("sgt", columns, whole)):
                    vector(row.index, whole, v.first(f.sub(columns, whole)))

    # The result.

    def _in_c(self, m: Index, n: Index) -> Value:
        f, c = self.f, self.c
        start = f.at(f.pointer(2), f.mul(self.batch, c.c[0]), c.out.itemsize)
        return f.at(start, f.add(f.mul(m, c.c[1]), f.mul(n, c.c[2])), c.out.itemsize)

    def _plain(self, v: Lanes, value: Value, b: Index, m: Index, n: Index, mask: Value | None) -> None:
        """Store C."""
        at, stride = self._in_c(m, n), self.c.c[2]
        if stride == 1:
            v.store(value, at, 0, mask)
        else:
            v.scatter(value, at, v.multiply(v.numbers(), stride), mask)


def _choose(f: Function, condition: Value, x: Value, y: Value) -> Value:
    return f.new("ptr", f"select {condition}, {x}, {y}")
