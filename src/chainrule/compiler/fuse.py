"""Fusion: which nodes are computed together.

Cheap elementwise nodes wait until somebody needs them, and are then computed where they are needed, in registers. What
has to exist in memory (what products, reductions and operations with loops of their own read, results, and what is
expensive) joins the group of what it reads, wherever it meets it at the same point:

    a product of matrices takes in its bias, activation, residual, derivative, and the update of the parameter
    a convolution likewise
    loops take in reductions over the same axes, and what is computed from these: softmax is one kernel

Groups never wait for each other in a circle: a group reads only from groups with smaller numbers.
"""

from __future__ import annotations

from chainrule.apply import PICK
from chainrule.compiler.group import Group, Joining, Kind, Where, aligned, axes_of, reduced_where, sizes_of
from chainrule.compiler.ir import Ir, Node
from chainrule.compiler.layout import output_place
from chainrule.kernel import Contract, Convolve, Loop, Map, Native, Reduce
from chainrule.types import TensorType

EXPENSIVE = 8
"""From this cost on a node is computed once and kept, rather than made again where it is needed."""


KINDS: dict[type, Kind] = {Contract: "product", Convolve: "sweep", Native: "native", Loop: "scan"}

MOST_SOURCES = 2
"""From so many large tensors a node with several users is still made again where it is needed."""


class Fusion:
    """Distributes the nodes of a program over groups."""

    def __init__(self, ir: Ir) -> None:
        self.ir = ir
        self.groups: list[Group] = []
        self.owners: dict[Node, Group] = {}
        self.picks: dict[Group, list[Node]] = {}
        self.readers: dict[Node, dict[Group, Where]] = {}  # who reads a buffer, and where its axes are for each
        self.results = {id(x) for x in ir.results}
        self.demanded = self._demanded()

    def run(self) -> list[Group]:
        """The groups, each with what it stores."""
        late = self._late()
        for is_late in (False, True):  # what depends on parameters alone comes first, so that everything can use it
            for node in self.ir.nodes:
                if node.op is not None and node.base is node and (node in late) == is_late:
                    self._visit(node)
        self._store()
        return self.groups

    def _demanded(self) -> set[Node]:
        """Nodes that must exist in memory, or are worth to be computed once."""
        found: set[Node] = set()
        for node in self.ir.nodes:
            if node.op is not None and not isinstance(node.op.kernel, Map | Reduce) and node.base is node:
                found |= {x.base for x in node.inputs}
            if id(node) in self.results or (node.op is not None and _cost(node) >= EXPENSIVE):
                found.add(node.base)
        return found | self._gathering(found) | self._condensing(found)

    def _condensing(self, kept: set[Node]) -> set[Node]:
        """Nodes made of a tensor and expensive functions of it, that meet something else: best made beside these.

        The slope of an activation is one. It is kept for the backward pass instead of all that it is made of.
        """
        roots: dict[Node, set[Node]] = {}  # the large tensors that a node is a function of
        sources: dict[Node, set[Node]] = {}  # the same, with what has been kept on the way in their place
        for node in self.ir.nodes:
            if node.op is None or node.base is not node or not isinstance(node.op.kernel, Map):
                continue
            bases = {x.base for x in node.inputs if x.base.type.size >= node.type.size}
            roots[node] = {y for x in bases for y in roots.get(x, {x})}
            sources[node] = {y for x in bases for y in ({x} if x in kept else sources.get(x, {x}))}
        return {
            node
            for node, found in sources.items()
            if len(found) > 1
            and len(roots[node]) == 1
            and any(_cost(x) >= EXPENSIVE for x in found)
            and any(len(roots.get(user.base, ())) > 1 for user in node.users)
        }

    def _gathering(self, kept: set[Node]) -> set[Node]:
        """Nodes with several users that would be made again from more than two tensors as large as they are.

        A chain of sums, as along the residual blocks of a network, would else be added up from its start again in
        every block.
        """
        found: set[Node] = set()
        behind: dict[Node, set[Node]] = {}  # what a node that is made again where it is needed is read from
        for node in self.ir.nodes:
            if node.op is None or node.base is not node or not isinstance(node.op.kernel, Map):
                continue
            bases = {x.base for x in node.inputs if x.base.type.size >= node.type.size}
            sources = {y for x in bases for y in behind.get(x, {x})}
            if node in kept:
                continue
            if len(sources) > MOST_SOURCES and len(node.users) > 1:
                found.add(node)
            else:
                behind[node] = sources
        return found

    def _late(self) -> set[Node]:
        """Nodes that depend on a product or a loop."""
        late: set[Node] = set()
        for node in self.ir.nodes:
            heavy = node.op is not None and isinstance(node.op.kernel, Contract | Convolve | Loop)
            if heavy or any(x in late for x in node.inputs):
                late.add(node)
        return late

    def _visit(self, node: Node) -> None:
        assert node.op is not None
        kernel = node.op.kernel
        if node.op.name == "pick":
            self.owners[node] = self.owners[node.inputs[0]]
        elif isinstance(kernel, Reduce):
            self._place_reduction(node)
        elif isinstance(kernel, Contract | Convolve | Native | Loop):
            self._materialize_inputs(node)
            group = self._new_group(KINDS[type(kernel)])
            if isinstance(kernel, Contract | Convolve):
                group.axes = sizes_of(node)
                group.where[node] = axes_of(node)
            else:
                group.where[node] = ()
            group.nodes.append(node)
            self.owners[node] = group
            if isinstance(node.type, tuple):  # pyright: ignore[reportUnnecessaryIsInstance]
                self.picks[group] = all_picks(node)
        elif node in self.demanded:
            self._place_map(node)

    def _materialize_inputs(self, node: Node) -> None:
        for x in node.inputs:
            if x.base.op is not None and x.base not in self.owners:
                self._place_map(x.base)

    def _new_group(self, kind: Kind) -> Group:
        group = Group(kind, len(self.groups))
        self.groups.append(group)
        return group

    def _place_map(self, node: Node) -> None:
        """Compute an elementwise node and keep it: in the last group that it can join, or in one of its own."""
        if node in self.owners:
            return
        for group in self._candidates(node):
            for where in self._positions(node, group):
                axes = {a for a in where if a >= 0}
                outer = set(range(len(group.axes))) - group.inner
                if axes != outer and axes != set(range(len(group.axes))):
                    continue  # it would be computed again and again
                if self._join(group, node, where):
                    return
        self._alone(node, axes_of(node), sizes_of(node))

    def _alone(self, node: Node, where: Where, sizes: list[int]) -> None:
        """In a group of its own; what it reads and cannot be computed along with it is kept in memory first."""
        self._prepare(node, where)
        group = self._new_group("loops")
        group.axes = sizes
        joined = self._join(group, node, where)
        assert joined, node

    def _prepare(self, node: Node, where: Where) -> None:
        """Keep in memory whatever has no group yet and is not read at the same point."""
        stack = [(node, where)]
        seen: set[tuple[Node, Where]] = set()
        met: dict[Node, Where] = {}
        while stack:
            here, axes = stack.pop()
            if (here, axes) in seen:
                continue
            seen.add((here, axes))
            for x in here.inputs:
                base = x.base
                if base.op is None or base in self.owners:
                    continue
                found = aligned(here, x, axes)
                if found is None or met.get(base, found) != found:
                    self._place_map(base)
                else:
                    met[base] = found
                    stack.append((base, found))

    def _candidates(self, node: Node) -> list[Group]:
        """Groups that hold something the node reads, the last one first, then those that read the same.

        For numbers, all groups of numbers.
        """
        found: set[Group] = set()
        beside: set[Group] = set()
        stack, seen = [node], {node}
        while stack:
            for x in stack.pop().inputs:
                base = x.base
                if base in seen:
                    continue
                seen.add(base)
                beside |= self.readers.get(base, {}).keys()
                if base in self.owners:
                    found.add(self.owners[base])
                elif base.op is not None:
                    stack.append(base)
        if node.type.size == 1:
            found |= {g for g in self.groups if g.kind == "loops" and not g.axes}
        joinable = [g for g in found if g.kind in ("loops", "product", "sweep")]
        reduces = node.op is not None and isinstance(node.op.kernel, Reduce)
        siblings = [g for g in beside - found if g.kind == "loops" and g.axes and (reduces or not g.inner)]
        return [*sorted(joinable, key=lambda g: -g.number), *sorted(siblings, key=lambda g: -g.number)]

    def _positions(self, node: Node, group: Group) -> list[Where]:
        """The axes of a group on which a node could live, so that it meets what it reads there at the same point."""
        if not group.axes:
            return [(-1,) * node.type.ndim] if node.type.size == 1 else []
        found: list[Where] = []
        stack: list[tuple[Node, tuple[int, ...]]] = [(node, tuple(range(node.type.ndim)))]
        seen = {node}
        while stack and len(seen) < 64:
            here, axes = stack.pop()  # axes[i]: the axis of `node` that axis i of `here` runs along; -1 for none
            for x in here.inputs:
                base = x.base
                met = None if base in seen else aligned(here, x, axes)
                if met is None:
                    continue
                seen.add(base)
                lives = group.where.get(base) if self.owners.get(base) is group else None
                if lives is None and any(a >= 0 for a in met):
                    lives = self.readers.get(base, {}).get(group)
                if lives is not None:
                    where = _inverse(node, met, group, lives)
                    if where is not None and where not in found:
                        found.append(where)
                elif base not in self.owners and base.op is not None:
                    stack.append((base, met))
        return found

    def _join(self, group: Group, node: Node, where: Where) -> bool:
        attempt = Joining(group, self.owners)
        if not attempt.add(node, where):
            return False
        self._commit(attempt)
        self.owners[node] = group
        return True

    def _commit(self, attempt: Joining) -> None:
        attempt.commit()
        for node in attempt.new:
            for x in node.inputs:
                where = None if x.base in attempt.where else aligned(node, x, attempt.where[node])
                if where is not None and any(a >= 0 for a in where):  # who reads the same number is of no interest
                    self.readers.setdefault(x.base, {}).setdefault(attempt.group, where)

    def _place_reduction(self, node: Node) -> None:
        """With the loops that compute its input, if these are not reduced over other axes; or in loops of its own."""
        x = node.inputs[0]
        probe = _as_map(node)
        for group in self._candidates(node):
            if group.kind != "loops" or not group.axes:
                continue
            for where in self._positions(probe, group):
                if self._join_reduction(group, node, where):
                    return
        where, sizes = axes_of(x), sizes_of(x)
        self._prepare(node, where)
        group = self._new_group("loops")
        group.axes = sizes
        joined = self._join_reduction(group, node, where)
        assert joined, node

    def _join_reduction(self, group: Group, node: Node, where: Where) -> bool:
        """Put a reduction into a group, its input living on `where`."""
        gone = {a for i, a in enumerate(where) if i in node.attributes["axes"] and a >= 0}
        kept = {a for i, a in enumerate(where) if i not in node.attributes["axes"] and a >= 0}
        everything = set(range(len(group.axes)))
        if gone | kept != everything or (group.inner and group.inner != gone):
            return False
        attempt = Joining(group, self.owners)
        attempt.where[node] = reduced_where(node, where)
        x = node.inputs[0]
        base, met = x.base, aligned(node, x, where)
        if base.op is not None and (base not in self.owners or self.owners[base] is group):
            if met is None or not attempt.add(base, met):
                return False
        elif base.op is not None and self.owners[base].number >= group.number:
            return False
        elif met is not None:
            self.readers.setdefault(base, {}).setdefault(group, met)
        self._commit(attempt)
        group.inner = gone
        group.reading[node] = where
        group.nodes.append(node)
        self.owners[node] = group
        return True

    def _store(self) -> None:
        """Find out what is read from outside of the group that computes it."""
        needed: set[tuple[Group, Node]] = set()
        for group in self.groups:
            for node in group.nodes:
                for x in node.inputs:
                    owner = self.owners.get(x.base)
                    if owner is not None and x.base not in group.where:
                        needed.add((owner, x.base))
        for x in self.ir.results:
            needed.add((self.owners[x], x))
        for group in self.groups:
            if group in self.picks:
                group.stored = self.picks[group]
            elif group.kind == "native":
                group.stored = group.nodes
            else:
                group.stored = [x for x in group.nodes if (group, x) in needed]


def all_picks(node: Node) -> list[Node]:
    """A node for every output of a node that has several, also for those that nobody asked for."""
    types: tuple[TensorType, ...] = node.type  # type: ignore[assignment]
    known = {user.attributes["index"]: user for user in node.users}
    found: list[Node] = []
    for index, type in enumerate(types):
        pick = known.get(index)
        if pick is None:
            pick = Node(type, PICK, (node,), {"index": index}, source=node.source)
            pick.base, pick.place = pick, output_place(node, type.shape)
        found.append(pick)
    return found


def _cost(node: Node) -> int:
    return node.op.kernel.cost if node.op is not None and isinstance(node.op.kernel, Map) else 0


def _as_map(node: Node) -> Node:
    """Stands for an elementwise reader of a reduction's input, to find where it could live."""
    x = node.inputs[0]
    return Node(x.type, node.op, (x,), {})


def _inverse(node: Node, met: Where, group: Group, lives: Where) -> Where | None:
    """Where a node lives, if what it meets along its own axes `met` lives on the group's axes `lives`.

    Axes along which it meets nothing go to axes of the group that are left, in order, if their sizes are the same.
    """
    found = [-1] * node.type.ndim
    for mine, theirs in zip(met, lives, strict=True):
        if mine >= 0:
            found[mine] = theirs
    free = [a for a in range(len(group.axes)) if a not in found]
    for axis, n in enumerate(node.type.shape):
        if n != 1 and found[axis] < 0:
            fitting = [a for a in free if group.axes[a] == n]
            if not fitting:
                return None
            found[axis] = fitting[0]
            free.remove(fitting[0])
    return tuple(found)
