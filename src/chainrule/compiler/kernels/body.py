"""The expressions of a group at one point of its loops: on single lanes, or on many along one of its axes."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from chainrule.compiler.group import Group, Where
from chainrule.compiler.ir import Node
from chainrule.kernel import Map
from chainrule.native.code import Function, Index, Value
from chainrule.native.lanes import Lanes
from chainrule.types import bfloat16


@dataclass(frozen=True)
class Access:
    """Where a group reads or writes a buffer: for each axis of the group a stride, in elements."""

    base: Node
    strides: tuple[int, ...]
    offset: int = 0


def read_once(group: Group, across: int, along: Sequence[int]) -> list[Access]:
    """What is read across one axis and along one of others: each line once, unlike a bias, so it comes from far."""
    found = {(at.base, at.offset): at for _, at in reads(group)}.values()
    if across < 0:
        return []
    return [at for at in found if at.strides[across] and any([at.strides[axis] for axis in along if axis >= 0])]


def fetch(f: Function, near: Sequence[Access], positions: Mapping[Node, int], point: Mapping[int, Index]) -> None:
    """Ask for the lines of buffers at a point, since they are read soon."""
    for at in near:
        index: Index = at.offset
        for axis, stride in enumerate(at.strides):
            index = f.add(index, f.mul(point.get(axis, 0), stride))
        f.fetch(f.at(f.pointer(positions[at.base]), index, at.base.type.dtype.itemsize))


def access(group: Group, x: Node, where: Where) -> Access:
    """How a view is read by a node that lives on `where`."""
    strides = [0] * len(group.axes)
    for axis, n, s in zip(where, x.place.shape, x.place.strides, strict=True):
        if n != 1 and axis >= 0:
            strides[axis] += s
    return Access(x.base, tuple(strides), x.place.offset)


def reads(group: Group) -> list[tuple[Node, Access]]:
    """All that a group of loops, or the epilogue of a product, reads from memory: who reads, and where."""
    found: list[tuple[Node, Access]] = []
    for node in group.nodes:
        where = input_where(group, node)
        if where is None:
            continue
        for x in node.inputs:
            if x.base not in group.where and not is_number(x.base):
                found.append((node, access(group, x, where)))
    return found


def input_where(group: Group, node: Node) -> Where | None:
    """The axes on which a node reads its inputs: its own, but for reductions. None for the root of a product."""
    assert node.op is not None
    if isinstance(node.op.kernel, Map):
        return group.where[node]
    return group.reading.get(node)


def writes(group: Group) -> list[Access]:
    """All that a group of loops, or a product, writes to memory."""
    return [access(group, node, group.where[node]) for node in group.stored]


def is_number(base: Node) -> bool:
    """Whether a node is a known number, which is written into the code."""
    return base.value is not None and base.value.size == 1 and base.type.dtype is not bfloat16


@dataclass(frozen=True)
class Row:
    """Memory for values along inner axes, which is used again for each point of the outer ones."""

    pointer: Value
    strides: tuple[int, ...]


@dataclass
class Body:
    """Makes the code of nodes at one point.

    Attributes:
        f: the function in the making.
        group: whose nodes these are.
        arguments: the position of each buffer among the kernel's arguments.
        point: the index along each axis.
        lanes: what values that vary along the vector axis are on.
        vector: the vector axis, or -1.
        mask: which lanes are in use, if not all.
        values: what has been made so far.
        kept: nodes that were stored before: they are read rather than made.
        rows: where nodes are stored that nobody else needs.
    """

    f: Function
    group: Group
    arguments: Mapping[Node, int]
    point: Mapping[int, Index]
    lanes: Lanes
    vector: int = -1
    mask: Value | None = None
    values: dict[Node, Value] = field(default_factory=dict[Node, Value])
    kept: Collection[Node] = ()
    rows: Mapping[Node, Row] = field(default_factory=dict[Node, Row])

    def evaluate(self, node: Node) -> Value:
        """The value of an elementwise node, and of all that it needs."""
        stack = [node]
        while stack:
            here = stack[-1]
            if here in self.values:
                stack.pop()
                continue
            if here in self.kept:
                self.values[here] = self.recall(here)
                stack.pop()
                continue
            missing = [x.base for x in here.inputs if x.base in self.group.where and x.base not in self.values]
            if missing:
                stack.extend(missing)
                continue
            self.values[here] = self.make(here)
            stack.pop()
        return self.values[node]

    def recall(self, node: Node) -> Value:
        """The value of a node that was stored before."""
        row = self.rows.get(node)
        if row is None:
            return self.load(access(self.group, node, self.group.where[node]))
        lanes = self.lanes if self.vector in self.group.levels(node) else Lanes(self.f, 1)
        return lanes.load(node.type.dtype, row.pointer, self.position(row.strides))

    def make(self, node: Node) -> Value:
        """One node, whose inputs are there."""
        assert node.op is not None and isinstance(node.op.kernel, Map)
        where = self.group.where[node]
        xs = [self.read(x, where) for x in node.inputs]
        wide = any(x.lanes.count > 1 for x in xs)
        v = self.lanes if wide else Lanes(self.f, 1)
        xs = [v.spread(x) if wide and x.lanes.count == 1 else x for x in xs]
        return node.op.kernel.body(v, *xs, **node.attributes)

    def read(self, x: Node, where: Where) -> Value:
        """The value of an input: one made before, a number, or an element of a buffer."""
        base = x.base
        if base in self.group.where:
            return self.values[base]
        if is_number(base):
            assert base.value is not None
            return Lanes(self.f, 1).constant(base.type.dtype, base.value.item())
        return self.load(access(self.group, x, where))

    def load(self, at: Access) -> Value:
        """An element of a buffer, or those that follow it along the vector axis."""
        pointer, index = self.f.pointer(self.arguments[at.base]), self.index(at)
        stride = at.strides[self.vector] if self.vector >= 0 else 0
        dtype = at.base.type.dtype
        if stride == 0 or self.lanes.count == 1:
            return Lanes(self.f, 1).load(dtype, pointer, index)
        if stride == 1:
            return self.lanes.load(dtype, pointer, index, self.mask)
        start = self.f.at(pointer, index, dtype.itemsize)
        return self.lanes.gather(dtype, start, self.lanes.multiply(self.lanes.numbers(), stride), self.mask)

    def store(self, node: Node) -> None:
        """Write a value to its buffer, or its row."""
        row, value = self.rows.get(node), self.values[node]
        if row is not None:
            value.lanes.store(value, row.pointer, self.position(row.strides))
            return
        at = access(self.group, node, self.group.where[node])
        pointer, index = self.f.pointer(self.arguments[node]), self.index(at)
        stride = at.strides[self.vector] if self.vector >= 0 else 0
        if stride == 0 or self.lanes.count == 1:
            Lanes(self.f, 1).store(value, pointer, index)
            return
        if value.lanes.count == 1:
            value = self.lanes.spread(value)
        if stride == 1:
            self.lanes.store(value, pointer, index, self.mask)
            return
        start = self.f.at(pointer, index, node.type.dtype.itemsize)
        self.lanes.scatter(value, start, self.lanes.multiply(self.lanes.numbers(), stride), self.mask)

    def index(self, at: Access) -> Index:
        """Which element of a buffer stands at this point."""
        return self.f.add(self.position(at.strides), at.offset)

    def position(self, strides: Sequence[int]) -> Index:
        """How many elements this point is from the first one."""
        found: Index = 0
        for axis, stride in enumerate(strides):
            if stride:
                found = self.f.add(found, self.f.mul(self.point[axis], stride))
        return found
