"""Groups of nodes that become one kernel, and whether a node can join one.

A group has axes, along which its loops will run. Every node in it lives on some of them: `where[node][i]` is the axis
of the group that axis i of the node runs along. A value made in a group is read within it at the same point only: in a
register. Everything else is read from memory, wherever a view says.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from typing import Literal, TypeAlias

from chainrule.compiler.ir import Node
from chainrule.kernel import Map, Reduce
from chainrule.types import Shape

Where: TypeAlias = tuple[int, ...]
"""For each axis of a node an axis of the group; -1 for axes of size one."""

Kind: TypeAlias = Literal["loops", "product", "sweep", "native", "scan"]


@dataclass(eq=False)
class Group:
    """Nodes that become one kernel.

    Attributes:
        kind: what its frame is: plain loops, a product of matrices, a convolution, an operation with loops of its own,
            or a loop over a graph.
        number: groups are made, and can be run, in the order of their numbers.
        axes: the size of each axis.
        inner: axes that are reduced, or along which only some of the nodes live; the others are the outer ones.
        where: for each node its axes.
        reading: for each reduction the axes of its input.
        nodes: the nodes, inputs before users.
        stored: nodes that are read from outside, hence written to memory.
    """

    kind: Kind
    number: int
    axes: list[int] = field(default_factory=list[int])
    inner: set[int] = field(default_factory=set[int])
    where: dict[Node, Where] = field(default_factory=dict[Node, Where])
    reading: dict[Node, Where] = field(default_factory=dict[Node, Where])
    nodes: list[Node] = field(default_factory=list[Node])
    stored: list[Node] = field(default_factory=list[Node])

    def __repr__(self) -> str:
        return f"<{self.kind} {self.number}: {self.nodes}>"

    @property
    def root(self) -> Node:
        """The node that gives a product, or an operation with loops of its own, its frame."""
        return self.nodes[0]

    def bases(self) -> set[Node]:
        """All nodes whose buffers are read, and all that are written."""
        outside = {x.base for node in self.nodes for x in node.inputs if x.base not in self.where}
        return outside | set(self.stored)

    def levels(self, node: Node) -> set[int]:
        """The axes that a node lives on."""
        return {a for a in self.where[node] if a >= 0}

    def is_inner(self, node: Node) -> bool:
        """Whether a node lives on inner axes."""
        return bool(self.levels(node) & self.inner)


def aligned(reader: Node, x: Node, where: Where) -> Where | None:
    """The axes on which the base of an input lives if its reader lives on `where` and both meet at the same point.

    None if they do not: if the reader sees elements that belong to another point, or only some of them.
    """
    if x.base is x:  # no view at all
        return tuple([-1 if n == 1 else axis for n, axis in zip(x.type.shape, where, strict=True)])
    return aligned_place(x.place.shape, x.place.strides, x.place.offset, x.base, where)


def aligned_place(shape: Shape, strides: tuple[int, ...], offset: int, base: Node, where: Where) -> Where | None:
    """The same for a view of `base`."""
    return None if offset else _aligned(shape, strides, base.place.shape, base.place.strides, where)


@lru_cache(maxsize=1 << 16)  # deep networks ask the same of few shapes, hundreds of thousands of times
def _aligned(
    shape: Shape, strides: tuple[int, ...], whole: Shape, steps: tuple[int, ...], where: Where
) -> Where | None:
    seen = {s: a for a, (n, s) in enumerate(zip(shape, strides, strict=True)) if n != 1 and s}
    if len(seen) != sum(n != 1 and s != 0 for n, s in zip(shape, strides, strict=True)):
        return None
    found: list[int] = []
    for n, s in zip(whole, steps, strict=True):
        if n == 1:
            found.append(-1)
            continue
        axis = seen.pop(s, None)
        if axis is None or shape[axis] != n:
            return None
        found.append(where[axis])
    return None if seen else tuple(found)


class Joining:
    """An attempt to bring a node, and all that must be computed along with it, into a group.

    Nothing is changed until `commit`.
    """

    def __init__(self, group: Group, owners: dict[Node, Group]) -> None:
        self.group = group
        self.owners = owners
        self.where = dict(group.where)
        self.new: list[Node] = []
        self.outside: set[Node] = set()

    def add(self, node: Node, where: Where) -> bool:
        """Take in a node on some axes, and what it reads that has no group yet."""
        stack: list[tuple[Node, Where, bool]] = [(node, where, False)]
        while stack:
            here, axes, done = stack.pop()
            if done:
                self.new.append(here)
                continue
            known = self.where.get(here)
            if known is not None:
                if known != axes:
                    return False
                continue
            self.where[here] = axes
            stack.append((here, axes, True))
            for x in here.inputs:
                base = x.base
                if base.op is None:
                    continue
                owner = self.owners.get(base)
                inside = owner is self.group or base in self.where
                if owner is not None and not inside:
                    if owner.number >= self.group.number:
                        return False
                    self.outside.add(base)
                    continue
                found = aligned(here, x, axes)
                if found is None:
                    return False
                if owner is None and not isinstance(base.op.kernel, Map):
                    return False
                stack.append((base, found, False))
        return True

    def commit(self) -> None:
        """Make it so."""
        group = self.group
        group.where = self.where
        group.nodes += self.new


def axes_of(node: Node) -> Where:
    """An axis of its own for every axis of a node that is not of size one."""
    found: list[int] = []
    count = 0
    for n in node.type.shape:
        found.append(-1 if n == 1 else count)
        count += n != 1
    return tuple(found)


def sizes_of(node: Node) -> list[int]:
    """The sizes that go with `axes_of`."""
    return [n for n in node.type.shape if n != 1]


def reduced_where(node: Node, where: Where) -> Where:
    """The axes on which a reduction's result lives, given those of its input."""
    assert node.op is not None and isinstance(node.op.kernel, Reduce)
    axes = node.attributes["axes"]
    return tuple(a for i, a in enumerate(where) if i not in axes)
