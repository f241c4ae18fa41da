"""In which order kernels run, how their work is cut into units, and where threads must wait for each other.

Kernels between two barriers form a phase. Within one, a thread may read what another kernel wrote only where the same
thread has written it: if both kernels are cut along the same elements of the buffer in question. So a kernel is cut
like the one whose results it reads, and whatever fits into a phase without waiting is moved forward into it: a chain of
layers runs through forward and backward pass on each thread's own rows of the batch, and only then all meet once, for
the gradients of the weights.

Parameters are updated in place where no kernel reads the old value later; for this, readers come before writers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from chainrule.compiler.fuse import Fusion
from chainrule.compiler.group import Group
from chainrule.compiler.ir import Ir, Node
from chainrule.compiler.kernels.frame import phases
from chainrule.compiler.layout import copied
from chainrule.compiler.work import Cut, Work, work_of
from chainrule.native.target import Target

HOMES = 4
"""Over so many threads work is spread that is not cut."""


@dataclass
class Schedule:
    """Kernels in order.

    Attributes:
        works: each with the number of its phase.
        homes: for each node that is stored, the node whose buffer it shares: a parameter that it is the new value of,
            or itself.
    """

    works: list[tuple[int, Work]] = field(default_factory=list["tuple[int, Work]"])
    homes: dict[Node, Node] = field(default_factory=dict[Node, Node])


def scheduled(ir: Ir, assigned: Sequence[tuple[Node, Node]], target: Target) -> Schedule:
    """Groups of a program in order; `assigned` are pairs of a parameter and the node of its new value."""
    groups = Fusion(ir).run()
    before = _Order(groups)
    homes = _in_place(groups, assigned, before)
    return _listed(groups, before, homes, target)


class _Order:
    """Which group must run before which."""

    def __init__(self, groups: list[Group]) -> None:
        self.groups = groups
        self.owner: dict[Node, Group] = {node: g for g in groups for node in g.stored}
        self.readers: dict[Node, list[Group]] = {}
        self.before: list[set[int]] = []
        self.ancestors: list[int] = []
        for g in groups:
            self.enter(g)

    def enter(self, g: Group) -> None:
        """Take in a group that reads from those before it only."""
        needs: set[int] = set()
        seen: set[Node] = set()
        for node in g.nodes:
            for x in node.inputs:
                base = x.base
                if base in seen or base in g.where:
                    continue
                seen.add(base)
                self.readers.setdefault(base, []).append(g)
                if base in self.owner:
                    needs.add(self.owner[base].number)
        self.before.append(needs)
        mask = 0
        for number in needs:
            mask |= self.ancestors[number] | (1 << number)
        self.ancestors.append(mask)

    def add(self, first: Group, then: Group) -> bool:
        """Demand an order; False if it is already the other way round."""
        if first is then or first.number in self.before[then.number]:
            return True
        if self.ancestors[first.number] >> then.number & 1:
            return False
        self.before[then.number].add(first.number)
        mask = self.ancestors[first.number] | (1 << first.number)
        for number in range(len(self.groups)):
            if number == then.number or self.ancestors[number] >> then.number & 1:
                self.ancestors[number] |= mask
        return True


def _in_place(groups: list[Group], assigned: Sequence[tuple[Node, Node]], order: _Order) -> dict[Node, Node]:
    """Let new values be written over the old ones, or copied there in the end."""
    homes: dict[Node, Node] = {}
    for parameter, new in assigned:
        owner = order.owner[new]
        readers = order.readers.get(parameter, [])
        fits = new not in homes and _at_the_same_points(owner, parameter, new)
        if not fits or not all(order.add(g, owner) for g in readers):
            new = copied(new)
            owner = copying(new, len(groups))
            groups.append(owner)
            order.owner[new] = owner
            order.enter(owner)
            for g in readers:
                order.add(g, owner)
        homes[new] = parameter
    return homes


def copying(node: Node, number: int) -> Group:
    """A group of loops that makes a copy."""
    group = Group("loops", number)
    group.axes = [n for n in node.type.shape if n != 1]
    count = iter(range(len(group.axes)))
    group.where[node] = tuple(-1 if n == 1 else next(count) for n in node.type.shape)
    group.nodes.append(node)
    group.stored.append(node)
    return group


def _at_the_same_points(group: Group, parameter: Node, new: Node) -> bool:
    """Whether a group reads the old value nowhere but where it writes the new one, before writing it."""
    if group.kind not in ("loops", "product", "sweep"):
        return not any(x.base is parameter for x in group.root.inputs)
    readers = [(node, x) for node in group.nodes for x in node.inputs if x.base is parameter]
    if not readers:
        return True
    outer = set(range(len(group.axes))) - group.inner
    if group.kind == "loops" and group.is_inner(new) and phases(group).count > 1:
        return False  # outer values are written last, inner ones at the end of their phase
    written = {axis: s for axis, s in zip(group.where[new], new.place.strides, strict=True) if axis >= 0}
    if not outer <= written.keys():
        return False
    for node, x in readers:
        where = group.where[node]
        if (group.kind != "loops" and node is group.root) or node in group.reading or x.place.offset:
            return False
        read = {a: s for a, s, n in zip(where, x.place.strides, x.place.shape, strict=True) if n != 1}
        if read != written:
            return False
    return True


def _listed(groups: list[Group], order: _Order, homes: dict[Node, Node], target: Target) -> Schedule:
    """Kernels in order, with as few barriers as a greedy choice finds.

    What is made again for the backward pass (`Node.again`) waits until there is nothing else to do, and of that comes
    first what most others wait for: the last layers.
    """
    schedule = Schedule(homes=homes)
    late = {g.number for g in groups if all([x.again for x in g.nodes])}
    waited = {n: sum([mask >> n & 1 for mask in order.ancestors]) for n in late}

    def rank(number: int) -> tuple[bool, int, int]:
        return number in late, -waited.get(number, 0), number

    waiting = {g.number: g for g in groups}
    missing = {g.number: len(order.before[g.number]) for g in groups}
    after: dict[int, list[int]] = {}
    for number, needs in enumerate(order.before):
        for first in needs:
            after.setdefault(first, []).append(number)
    ready = sorted((n for n, count in missing.items() if not count), key=rank)
    phase = 0
    loads = [0.0] * HOMES
    touched: dict[Node, list[tuple[bool, Cut]]] = {}
    written: dict[Node, Cut] = {}
    while waiting:
        blocked: list[int] = []
        while ready:
            number = ready.pop(0)
            held = number in late and blocked
            work = None if held else _fitting(waiting[number], touched, written, loads, homes, target)
            if work is None:
                blocked.append(number)
                continue
            schedule.works.append((phase, work))
            if work.units == 1:
                loads[work.home] += work.cost()
            for base, writes, cut in work.touches(homes):
                touched.setdefault(base, []).append((writes, cut))
                if writes:
                    written[base] = cut
            del waiting[number]
            freed: list[int] = []
            for n in after.get(number, ()):
                missing[n] -= 1
                if not missing[n]:
                    freed.append(n)
            ready = sorted([*ready, *freed], key=rank)
        ready = sorted(blocked, key=rank)
        touched = {}
        loads = [0.0] * HOMES
        phase += 1
    return schedule


def _fitting(
    group: Group,
    touched: dict[Node, list[tuple[bool, Cut]]],
    written: dict[Node, Cut],
    loads: Sequence[float],
    homes: dict[Node, Node],
    target: Target,
) -> Work | None:
    """A group's work, cut so that it need not wait for other threads; None if it must wait."""
    homed = {base: homes.get(base, base) for base in group.bases()}
    met = {base: written[home] for base, home in homed.items() if home in written and written[home].units > 1}
    work = work_of(group, target, met)
    if work.units > 1:
        return work if _agrees(work, touched, homes) else None
    for home in sorted(range(HOMES), key=loads.__getitem__):  # what is not cut goes to the thread that has least to do
        work.home = home
        if _agrees(work, touched, homes):
            return work
    return None


def _agrees(work: Work, touched: dict[Node, list[tuple[bool, Cut]]], homes: dict[Node, Node]) -> bool:
    """Whether no thread touches what another one writes in this phase, or the other way round."""
    for base, writes, cut in work.touches(homes):
        for wrote, other in touched.get(base, ()):
            if (writes or wrote) and not cut.agrees(other):
                return False
    return True
