"""Loops: elementwise nodes and reductions, from a single map to softmax or a layer norm with all around it.

    for each point of the outer axes (units of work are cut along one of them):
        for each phase:
            numbers that live on outer axes alone
            for each point of the inner axes: reduce, store

A phase ends where the result of a reduction is needed along the inner axes again: softmax has three. One axis is
walked along in vectors: where it is an outer one, several rows are reduced side by side; where it is an inner one,
lanes are joined at the end. The order of operations depends on shapes alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from chainrule.compiler.group import Group
from chainrule.compiler.ir import Node
from chainrule.compiler.kernels.body import Body, Row
from chainrule.compiler.kernels.frame import Frame, is_map, kept_in_rows, phases
from chainrule.kernel import Reduce
from chainrule.native.code import Function, Index, Module, Value
from chainrule.native.lanes import Lanes

LONG, BLOCK = 256, 64
"""From so many steps on a reduction is done in blocks, and the steps of a block."""

TURNS, TURNS_ACROSS = 4, 2
"""So many totals are taken turn by turn along an axis, so that no step waits for the one before: of rows one after the
other, and of rows side by side."""


def emit_loops(module: Module, group: Group, shape: Frame, arguments: dict[Node, int]) -> None:
    """The kernel of a group."""
    with module.kernel() as f:
        _Writer(f, group, shape, arguments).write()


class _Writer:
    """Writes one kernel."""

    def __init__(self, f: Function, group: Group, shape: Frame, arguments: dict[Node, int]) -> None:
        self.f = f
        self.group = group
        self.shape = shape
        self.arguments = arguments
        self.wide = Lanes(f, shape.lanes)
        self.when = phases(group)
        self.turns = TURNS if shape.vector in group.inner else TURNS_ACROSS
        self.rows = {node: self.row_of(node) for node in kept_in_rows(group, shape)}

    def row_of(self, node: Node) -> Row:
        """Memory for what a node is along inner axes, at one point of the outer ones."""
        lanes, strides = self.shape.lanes, [0] * len(self.group.axes)
        step = lanes if self.shape.vector in self.group.levels(node) - self.group.inner else 1
        for axis in reversed(self.shape.inner):
            if axis in self.group.levels(node):
                strides[axis] = step
                step *= (
                    -(-self.group.axes[axis] // lanes) * lanes if axis == self.shape.vector else self.group.axes[axis]
                )
        return Row(self.f.stack(step * node.type.dtype.itemsize), tuple(strides))

    def write(self) -> None:
        """The loops over the outer axes."""
        f, shape, group = self.f, self.shape, self.group
        numbers = Body(f, group, self.arguments, {}, Lanes(f, 1))
        if group.axes:
            for node in group.nodes:
                if not group.levels(node) and self.when.ready[node] == 0 and is_map(node):
                    numbers.evaluate(node)
        if shape.cut < 0:
            with f.when(f.compare("slt", f.begin, f.end)):
                self.outer(shape.outer, {}, dict(numbers.values), None)
        else:
            self.outer(shape.outer, {}, dict(numbers.values), None)

    def outer(self, axes: Sequence[int], point: dict[int, Index], known: dict[Node, Value], mask: Value | None) -> None:
        """Loops over some outer axes, and the phases within."""
        if not axes:
            self.phases(point, known, mask)
            return
        axis, f = axes[0], self.f
        start: Index = 0
        stop: Index = self.group.axes[axis]
        if axis == self.shape.cut:
            start = f.mul(f.begin, self.shape.block)
            stop = f.min(f.mul(f.end, self.shape.block), stop)
        if axis == self.shape.rows:
            self.blocks(start, stop, point, known)
            return
        if axis != self.shape.vector:
            with f.loop(start, stop) as loop:
                self.outer(axes[1:], {**point, axis: loop.index}, known, mask)
            return

        def one(at: Index, mask: Value | None) -> None:
            self.outer(axes[1:], {**point, axis: at}, known, mask)

        self.along(start, stop, one)

    def along(self, start: Index, stop: Index, one: Callable[[Index, Value | None], None]) -> None:
        """Vectors from start to stop, the last of which may be used in part."""
        f, lanes = self.f, self.shape.lanes
        size = self.group.axes[self.shape.vector]
        even = size % lanes == 0 and (self.shape.block % lanes == 0 or isinstance(stop, int))
        last = stop if even else f.sub(stop, lanes - 1)
        if size >= lanes:
            with f.loop(start, last, lanes) as loop:
                one(loop.index, None)
        if not even:
            rest = f.add(start, f.mul(f.div(f.sub(stop, start), lanes), lanes))
            with f.when(f.compare("slt", rest, stop)):
                one(rest, self.wide.first(f.sub(stop, rest)))

    def body(self, point: dict[int, Index], known: dict[Node, Value], mask: Value | None, *, wide: bool) -> Body:
        """The expressions at a point."""
        lanes = self.wide if wide else Lanes(self.f, 1)
        return Body(self.f, self.group, self.arguments, point, lanes, self.shape.vector if wide else -1, mask, known)

    def phases(self, point: dict[int, Index], known: dict[Node, Value], mask: Value | None) -> None:
        """All phases at one point of the outer axes."""
        group, ready = self.group, self.when.ready
        across = self.shape.vector >= 0 and self.shape.vector not in group.inner
        row = self.body(point, dict(known), mask, wide=across)
        for phase in range(self.when.count):
            due = [n for n in group.nodes if ready[n] == phase and not group.is_inner(n) and is_map(n)]
            for node in due:
                row.evaluate(node)
            folds = [n for n in group.nodes if not is_map(n) and ready[n] == phase + 1]
            kept = [n for n in group.stored if group.is_inner(n) and is_map(n) and ready[n] == phase]
            kept += [n for n in self.rows if ready[n] == phase]
            if folds or kept:
                for node, value in zip(folds, self.inner(phase, folds, kept, point, row, mask), strict=True):
                    row.values[node] = value
        for node in group.stored:
            if not group.is_inner(node):
                row.store(node)

    def blocks(self, start: Index, stop: Index, point: dict[int, Index], known: dict[Node, Value]) -> None:
        """Rows reduced one after the other, and what is computed from their results on as many lanes."""
        f, group, axis, lanes = self.f, self.group, self.shape.rows, self.shape.lanes
        folds = [n for n in group.nodes if not is_map(n)]
        kept = {node: f.stack(lanes * node.type.dtype.itemsize) for node in folds}
        with f.loop(start, stop, lanes) as block:
            first = block.index
            end = f.min(f.add(first, lanes), stop)
            with f.loop(first, end) as loop:
                spot = {**point, axis: loop.index}
                row = self.body(spot, dict(known), None, wide=False)
                for node, value in zip(folds, self.inner(0, folds, [], spot, row, None), strict=True):
                    value.lanes.store(value, kept[node], f.sub(loop.index, first))
            even = group.axes[axis] % lanes == 0
            mask = None if even else self.wide.first(f.sub(end, first))
            body = Body(f, group, self.arguments, {**point, axis: first}, self.wide, axis, mask, dict(known))
            for node in folds:
                body.values[node] = self.wide.load(node.type.dtype, kept[node])
            for node in group.nodes:
                if is_map(node) and not group.is_inner(node) and self.when.ready[node] == 1:
                    body.evaluate(node)
            for node in group.stored:
                body.store(node)

    def inner(
        self,
        phase: int,
        folds: list[Node],
        kept: list[Node],
        point: dict[int, Index],
        row: Body,
        mask: Value | None,
    ) -> list[Value]:
        """The loops over the inner axes in one phase; returns the results of the reductions."""
        group, shape = self.group, self.shape
        within = shape.vector in group.inner
        starts: list[Value] = []
        for node in folds:
            assert node.op is not None and isinstance(node.op.kernel, Reduce)
            lanes = self.wide if self.varies(node.inputs[0], group.reading[node], within) else Lanes(self.f, 1)
            starts.append(lanes.constant(node.type.dtype, node.op.kernel.start(node.type.dtype)))

        ready = self.when.ready
        before = {node for node in group.stored if group.is_inner(node) and ready[node] < phase}
        before |= {node for node in self.rows if ready[node] < phase}

        def step(at: dict[int, Index], carried: Sequence[Value], inside: Value | None) -> list[Value]:
            spot = self.body(at, dict(row.values), inside if within else mask, wide=shape.vector >= 0)
            spot.kept, spot.rows = before, self.rows
            results: list[Value] = []
            for node, total in zip(folds, carried, strict=True):
                assert node.op is not None and isinstance(node.op.kernel, Reduce)
                x = node.inputs[0]
                if x.base in group.where:
                    spot.evaluate(x.base)
                value = spot.read(x, group.reading[node])
                v = total.lanes
                value = v.spread(value) if v.count > 1 and value.lanes.count == 1 else value
                if inside is not None and within and v.count > 1:
                    value = v.select(inside, value, node.op.kernel.start(node.type.dtype))
                results.append(node.op.kernel.combine(v, total, value))
            for node in kept:
                spot.evaluate(node)
            for node in kept:
                spot.store(node)
            return results

        def join(totals: Sequence[Value], parts: Sequence[Value]) -> list[Value]:
            kernels = [node.op.kernel for node in folds if node.op is not None]
            return [
                kernel.combine(x.lanes, x, y)
                for kernel, x, y in zip(kernels, totals, parts, strict=True)
                if isinstance(kernel, Reduce)
            ]

        totals = self.nest(shape.inner, dict(point), starts, starts, step, join)
        return [
            self.across(node, value) if within and value.lanes.count > 1 else value
            for node, value in zip(folds, totals, strict=True)
        ]

    def varies(self, x: Node, where: Sequence[int], within: bool) -> bool:
        """Whether what a reduction adds up is on many lanes."""
        if self.shape.vector < 0:
            return False
        return within or self.shape.vector in where

    def nest(
        self,
        axes: Sequence[int],
        point: dict[int, Index],
        carried: list[Value],
        starts: list[Value],
        step: Callable[[dict[int, Index], Sequence[Value], Value | None], list[Value]],
        join: Callable[[Sequence[Value], Sequence[Value]], list[Value]],
    ) -> list[Value]:
        """Loops over inner axes that carry the totals along.

        Along a long axis they are gathered in blocks, so that the error of a sum grows with the blocks' length and
        number rather than with the product of both.
        """
        if not axes:
            return step(point, carried, None)
        axis, f, size = axes[0], self.f, self.group.axes[axes[0]]
        pace = self.shape.lanes if axis == self.shape.vector else 1
        whole = size // pace * pace

        def walk(start: Index, stop: Index, totals: list[Value]) -> list[Value]:
            turns, count = self.turns if carried and whole >= 2 * self.turns * pace else 1, len(totals)
            each = [*totals, *starts * (turns - 1)]  # the next one to be added to comes first
            with f.loop(start, stop, pace, carried=each) as loop:
                spot, now, others = {**point, axis: loop.index}, loop.values[:count], loop.values[count:]
                inside, rest = axis == self.shape.vector, axes[1:]
                found = step(spot, now, None) if inside else self.nest(rest, spot, now, starts, step, join)
                loop.next = [*others, *found]
            parts = [loop.results[i * count : (i + 1) * count] for i in range(turns)]
            while len(parts) > 1:
                parts = [join(x, y) for x, y in zip(parts[::2], parts[1::2], strict=True)]
            return parts[0]

        totals = carried
        if carried and whole >= LONG * pace:
            with f.loop(0, whole, BLOCK * pace, carried=carried) as blocks:
                part = walk(blocks.index, f.min(f.add(blocks.index, BLOCK * pace), whole), starts)
                blocks.next = join(blocks.values, part)
            totals = blocks.results
        elif whole:
            totals = walk(0, whole, carried)
        if size > whole:
            totals = step({**point, axis: whole}, totals, self.wide.first(size - whole))
        return totals

    def across(self, node: Node, value: Value) -> Value:
        """All lanes of a total joined into one, always in the same order."""
        assert node.op is not None and isinstance(node.op.kernel, Reduce)
        while value.lanes.count > 1:
            half = value.lanes.count // 2
            v = Lanes(self.f, half)
            if half == 1:
                low, high = value.lanes.lane(value, 0), value.lanes.lane(value, 1)
            else:
                low = value.lanes.shuffle(value, value, range(half))
                high = value.lanes.shuffle(value, value, range(half, 2 * half))
            value = node.op.kernel.combine(v, low, high)
        return value
