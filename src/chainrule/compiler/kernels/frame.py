"""How the loops of a group run: in which phases, along which axes in vectors, and cut into which units of work."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

from chainrule.compiler.group import Group
from chainrule.compiler.ir import Node
from chainrule.compiler.kernels.body import access, reads, writes
from chainrule.kernel import Map, Reduce
from chainrule.native.target import Target

KEEP_FROM = 8
"""From this cost on, what is needed in a later phase is kept in memory rather than made again."""

LONGEST_ROW = 1 << 16
"""Bytes up to which it is kept for one point of the outer axes only."""

LARGEST_KEPT = 1 << 22
"""Bytes up to which it is kept as a whole where rows are longer: a larger tensor would leave the caches."""


FEWEST = 8
"""If it makes so many units, the slowest axis is cut, so that each is one piece of memory, or else the longest."""

ROWS = 8
"""Where there are many units, they are multiples of so many elements: products can be cut likewise."""


@dataclass
class Phases:
    """When what is computed: `ready[node]` is the phase before which an outer value is there, or in which an inner one
    can be made; `count` the number of phases."""

    ready: dict[Node, int]
    count: int


def phases(group: Group) -> Phases:
    """The phases of a group."""
    ready: dict[Node, int] = {}
    for node in group.nodes:
        assert node.op is not None
        at = max((ready[x.base] for x in node.inputs if x.base in group.where), default=0)
        ready[node] = at + 1 if isinstance(node.op.kernel, Reduce) else at
    return Phases(ready, 1 + max(ready.values()))


def keep_expensive(group: Group, frame: Frame) -> bool:
    """Let a group store what would otherwise be made again at great cost in a later phase; returns whether it does."""
    in_rows = kept_in_rows(group, frame)
    more = [x for x in _needed_late(group) if x not in in_rows and x.type.size * _itemsize(x) <= LARGEST_KEPT]
    group.stored += more
    return bool(more)


def kept_in_rows(group: Group, frame: Frame) -> list[Node]:
    """What is kept from an earlier phase in memory that is used again for each point of the outer axes."""
    return [x for x in _needed_late(group) if _row_size(group, frame, x) <= LONGEST_ROW]


def _row_size(group: Group, frame: Frame, x: Node) -> int:
    sizes = [group.axes[a] for a in group.levels(x) & group.inner]
    return prod(sizes) * _itemsize(x) * (1 if frame.vector in group.inner else frame.lanes)


def _needed_late(group: Group) -> list[Node]:
    """What would be made again at great cost in a later phase."""
    when, found = phases(group).ready, list[Node]()
    for node in group.nodes:
        for base in (x.base for x in node.inputs):
            late = base in group.where and group.is_inner(base) and _phase_of_use(node, when) > when[base]
            if late and weight(base) >= KEEP_FROM and base not in group.stored and base not in found:
                found.append(base)
    return found


def _phase_of_use(node: Node, ready: dict[Node, int]) -> int:
    assert node.op is not None
    return ready[node] - 1 if isinstance(node.op.kernel, Reduce) else ready[node]


def weight(node: Node) -> int:
    """What an elementwise node costs."""
    return node.op.kernel.cost if node.op is not None and isinstance(node.op.kernel, Map) else 0


@dataclass
class Frame:
    """How the loops of a group run.

    Attributes:
        vector: the axis along which vectors lie, or -1.
        lanes: how many elements a vector holds.
        outer, inner: the axes from the slowest to the fastest, the vector axis last among its kind.
        cut: the outer axis that units of work are cut along, or -1 for a single unit.
        block: how many elements of it a unit holds.
        rows: where vectors lie along an inner axis, the outer axis along which what is computed from the results of
            reductions is on vectors all the same, or -1.
    """

    vector: int
    lanes: int
    outer: list[int]
    inner: list[int]
    cut: int
    block: int
    rows: int = -1

    def units(self, group: Group) -> int:
        """The number of units of work."""
        return 1 if self.cut < 0 else -(-group.axes[self.cut] // self.block)


def frame(group: Group, target: Target, cut: tuple[int, int] | None = None) -> Frame:
    """The frame of a group, cut along an axis in blocks if so wanted and possible."""
    accesses = [*(at for _, at in reads(group)), *writes(group)]
    axes = range(len(group.axes))

    def speed(axis: int) -> tuple[int, ...]:
        return (max((abs(at.strides[axis]) for at in accesses), default=0), -axis)

    lanes = target.lanes(4 if any(_itemsize(node) == 4 for node in group.nodes) else 8)

    # With reductions, only they count: what is computed from their results must not change the order in which they add.
    reduced = [access(group, node, group.where[node]) for node in group.reading]
    counted = [at for at in accesses if any(at.strides[a] for a in group.inner)] + reduced if reduced else accesses

    def fitness(axis: int) -> tuple[float, ...]:
        flat = sum(1 for at in counted if at.strides[axis] in (0, 1))
        used = group.axes[axis] / (-(-group.axes[axis] // lanes) * lanes) if group.axes[axis] else 0
        return ((flat + (len(counted) - flat) / 4) * used, axis not in group.inner)

    vector = max(axes, key=fitness, default=-1)
    if vector < 0 or group.axes[vector] <= 1:
        vector, lanes = -1, 1
    ordered = sorted(axes, key=speed, reverse=True)
    if vector >= 0:
        ordered = [*(a for a in ordered if a != vector), vector]
    outer = [a for a in ordered if a not in group.inner]
    inner = [a for a in ordered if a in group.inner]
    rows = _row_axis(group, outer) if vector in group.inner else -1
    if rows >= 0:
        outer = [*(a for a in outer if a != rows), rows]
    if cut is not None and cut[0] in outer and (cut[0] not in (vector, rows) or cut[1] % lanes == 0):
        lanes = _side_by_side(group, vector, lanes, block=cut[1] if cut[0] == vector else 0)
        return Frame(vector, lanes, outer, inner, *cut, rows)
    if not outer:
        return Frame(vector, lanes, outer, inner, -1, 1)
    slow = [a for a in outer if group.axes[a] >= FEWEST]
    axis = slow[0] if slow else max(outer, key=lambda a: group.axes[a])
    work = 1
    for a in axes:
        work *= group.axes[a] if a != axis else 1
    block = max(1, 256 // max(work, 1))
    if group.axes[axis] >= 32 * ROWS:
        block = max(block, -(-group.axes[axis] // (64 * ROWS)) * ROWS)
    lanes = _side_by_side(group, vector, lanes, parts=FEWEST if axis == vector else 1)
    if axis in (vector, rows):
        block = -(-block // lanes) * lanes
    return Frame(vector, lanes, outer, inner, axis, block, rows)


def _side_by_side(group: Group, vector: int, lanes: int, *, block: int = 0, parts: int = 1) -> int:
    """How many rows are reduced side by side: several vectors, so that lines of memory are read once.

    A block of them is a multiple of that, and there are at least so many parts.
    """
    if vector < 0 or vector in group.inner or not group.reading:
        return lanes
    for rows in (4 * lanes, 2 * lanes):
        few = rows // lanes * len(group.reading) <= 8  # their totals fit into registers
        if few and group.axes[vector] % rows == block % rows == 0 and rows * parts <= group.axes[vector]:
            return rows
    return lanes


def _row_axis(group: Group, outer: list[int]) -> int:
    """The outer axis along which results of reductions can be handled a vector at a time, or -1.

    That is if nothing along inner axes waits for them, and something is computed from them.
    """
    ready = phases(group).ready
    late = [n for n in group.nodes if is_map(n) and not group.is_inner(n) and ready[n] == 1]
    if any(ready[n] > 1 or (group.is_inner(n) and ready[n]) for n in group.nodes) or not late:
        return -1
    if any(ready[n] == 0 and not group.is_inner(n) and group.levels(n) for n in group.nodes):
        return -1
    if any(group.is_inner(n) for n in group.stored):
        return -1
    along = [a for a in outer if all(at.strides[a] == 1 for at in writes(group))]
    return along[0] if along and group.axes[along[0]] > 1 else -1


def _itemsize(node: Node) -> int:
    return node.type.dtype.itemsize


def is_map(node: Node) -> bool:
    """Whether a node is elementwise."""
    return node.op is not None and isinstance(node.op.kernel, Map)
