"""Where every tensor lies in memory: which nodes are views of others, and in which order axes are stored.

Views are strides: reshape, permute, broadcast, slice and flip move nothing as long as strides can say where the
elements are; only else is a copy made. Intermediate tensors may be stored with their axes in any order. A product of
matrices chooses between its two orders by what it has to pack (`native.contraction.cost`), unless what comes after it
is elementwise with a tensor whose order is given, as the update of a parameter is. Convolutions store their channels
side by side, and read many channels only so. All else follows its inputs. Results of a program may have their channels
side by side, too; else they are in row-major order.
"""

from __future__ import annotations

import itertools
from collections.abc import Collection, Sequence

from chainrule.compiler.channels import Order, channels_last
from chainrule.compiler.ir import Ir, Node, reachable
from chainrule.compiler.products import has_joint_axes, order_cost
from chainrule.kernel import Contract, Convolve, Loop, Map, Native, Reduce, View
from chainrule.native.contraction import lines_kept
from chainrule.native.operand import Strided, row_major
from chainrule.native.target import Target
from chainrule.op import REGISTRY
from chainrule.types import Shape

KEPT = 0.6
"""What a product seems to cost less if the axis along which an operand is read in vectors stays that of the result."""

FEW, CROWDED = 64, 2.0
"""A product counts as so much slower if its result is read row by row, and a row is on so many lines of memory that
share so few sets of the first cache that they drive each other out."""

MANY = 8
"""From so many channels on, images are copied before they are read if their channels do not lie side by side."""


def laid_out(ir: Ir, target: Target, entering: Collection[int] = (), free: int = 0) -> Ir:
    """The same program with a base and a place for every node, and copies where views need them.

    Args:
        entering: which parameters have their channels last.
        free: how many results, the first ones, may have them last.
    """
    for i, node in enumerate(ir.parameters):
        node.base, node.place = node, row_major(node.type.shape)
        if i in entering:
            node.place = dense(node.type.shape, channels_last(node.type.ndim))
    turned: dict[Node, Node] = {}
    for node in ir.nodes:
        if node.base is None:  # pyright: ignore[reportUnnecessaryComparison]
            _place(node, ir, target, turned)
    results: list[Node] = []
    for i, x in enumerate(ir.results):
        found = _as_result(x, i < free)
        results.append(copied(x) if found in results else found)
    return reachable(results, ir.parameters)


def leaves_channels_last(x: Node) -> bool:
    """Whether a result has its channels last."""
    return not x.place.is_contiguous


def _place(node: Node, ir: Ir, target: Target, turned: dict[Node, Node]) -> None:
    if node.op is None:
        node.base, node.place = node, row_major(node.type.shape)
        return
    if node.op.name == "pick":
        node.base, node.place = node, output_place(node.inputs[0], node.type.shape)
        return
    kernel = node.op.kernel
    if isinstance(kernel, View):
        x = node.inputs[0]
        found = kernel.body(x.place, **node.attributes)
        if found is None:
            x = copied(x)
            node.inputs = (x,)
            found = kernel.body(x.place, **node.attributes)
            assert found is not None, f"{node} is no view of a tensor in row-major order"
        node.base, node.place = x.base, found
        return
    node.base = node
    if isinstance(kernel, Map):
        node.place = dense(node.type.shape, _common_order(node))
    elif isinstance(kernel, Reduce):
        order = order_of(node.inputs[0].place)
        axes = node.attributes["axes"]
        kept = [a for a in range(node.inputs[0].type.ndim) if a not in axes]
        node.place = dense(node.type.shape, [kept.index(a) for a in order if a in kept])
    elif isinstance(kernel, Contract):
        _place_product(node, ir, target)
    elif isinstance(kernel, Convolve):
        node.inputs = (_with_channels_last(node.inputs[0], turned), *node.inputs[1:])
        node.place = dense(node.type.shape, channels_last(node.type.ndim))
    else:
        assert isinstance(kernel, Native | Loop), node
        if isinstance(kernel, Loop):
            node.inputs = tuple([x if x.place.is_contiguous else copied(x) for x in node.inputs])
        elif kernel.together and kernel.follows is not None:
            order = order_of(node.inputs[kernel.follows].place)
            node.inputs = tuple([_in_order(x, order) for x in node.inputs])
        elif kernel.images:
            node.inputs = tuple([_with_channels_last(x, turned) for x in node.inputs])
        if not isinstance(node.type, tuple):  # pyright: ignore[reportUnnecessaryIsInstance]
            order = _read_in_order(node)
            node.place = output_place(node, node.type.shape) if order is None else dense(node.type.shape, order)


def _read_in_order(node: Node) -> Order | None:
    """The order in which its only reader, a permutation, sees the output of an operation that may store it in any."""
    kernel = node.op.kernel if node.op is not None else None
    if not isinstance(kernel, Native) or kernel.follows is None or kernel.together or len(node.users) != 1:
        return None
    user = node.users[0]
    return user.attributes["axes"] if user.op is not None and user.op.name == "permute_dims" else None


def output_place(node: Node, shape: Shape) -> Strided:
    """Where an output of an operation with loops of its own, or of a loop, is stored."""
    assert node.op is not None
    kernel = node.op.kernel
    if isinstance(kernel, Native) and kernel.follows is not None:
        followed = node.inputs[kernel.follows].place
        if len(followed.shape) == len(shape):
            return dense(shape, order_of(followed))
    return row_major(shape)


def copied(x: Node, order: Order | None = None) -> Node:
    """A copy, in row-major order unless another one is wanted."""
    made = Node(x.type, REGISTRY["identity"], (x,), {}, source=x.source)
    made.base, made.place = made, dense(x.type.shape, range(x.type.ndim) if order is None else order)
    return made


def _in_order(x: Node, order: Order) -> Node:
    """An input of as many axes, copied unless its elements lie in an order; repeated ones lie in any."""
    strides = [x.place.strides[a] for a in order if x.type.shape[a] > 1] if x.type.ndim == len(order) else []
    return x if all(a >= b for a, b in itertools.pairwise(strides)) else copied(x, order)


def _with_channels_last(x: Node, turned: dict[Node, Node]) -> Node:
    """Images, copied if they have many channels that do not lie side by side; once for all who read them."""
    if x.type.shape[1] < MANY or abs(x.place.strides[1]) <= 1:
        return x
    if x not in turned:
        turned[x] = copied(x, channels_last(x.type.ndim))
    return turned[x]


def _as_result(x: Node, free: bool) -> Node:
    """A result must own its elements, in row-major order or, if it is free to, with its channels last."""
    if x.base is x and x.op is not None and not isinstance(x.type, tuple):
        last = free and x.type.ndim > 2 and x.place == dense(x.type.shape, channels_last(x.type.ndim))
        if last or x.place.is_contiguous:
            return x
    return copied(x)


def dense(shape: Shape, order: Sequence[int]) -> Strided:
    """Elements without gaps, with the axes in an order."""
    strides = [0] * len(shape)
    step = 1
    for axis in reversed(order):
        strides[axis] = step
        step *= max(shape[axis], 1)
    return Strided(shape, tuple(strides))


def order_of(place: Strided) -> Order:
    """Axes from the slowest to the fastest; those of size one or repeated ones keep their place among the others."""
    axes = range(len(place.shape))
    known = [a for a in axes if place.shape[a] > 1 and place.strides[a]]
    ranked = iter(sorted(known, key=lambda a: -abs(place.strides[a])))
    return tuple(next(ranked) if a in known else a for a in axes)


def _common_order(node: Node) -> Sequence[int]:
    """The order of the input that is broadcast least; of several, of the first."""
    best: tuple[int, Order] = (-1, tuple(range(node.type.ndim)))
    for x in node.inputs:
        live = sum(1 for n, s in zip(x.place.shape, x.place.strides, strict=True) if n > 1 and s)
        if live > best[0]:
            best = (live, order_of(x.place))
    return best[1]


def _place_product(node: Node, ir: Ir, target: Target) -> None:
    """Row-major, or with the last two axes swapped."""
    if not has_joint_axes(node):
        node.inputs = tuple(copied(x) for x in node.inputs)
    n = node.type.ndim
    natural = tuple(range(n))
    turned = (*natural[:-2], n - 1, n - 2)
    wanted = _wanted_order(node, ir)
    if wanted is None:
        x, y = (v.place.strides for v in node.inputs)
        bonus = {natural: KEPT if y[-1] == 1 else 1.0, turned: KEPT if x[-2] == 1 else 1.0}
        places = {order: dense(node.type.shape, order) for order in (natural, turned)}
        wanted = min(
            places,
            key=lambda order: bonus[order] * _crowding(node, places[order]) * order_cost(node, places[order], target),
        )
    elif wanted not in (natural, turned):
        wanted = natural
    node.place = dense(node.type.shape, wanted)


def _crowding(node: Node, place: Strided) -> float:
    """What a product costs those who read it row by row: more if a row's lines share few sets of the caches."""
    step, lines = place.strides[-1] * node.type.dtype.itemsize, place.shape[-1]
    if place.strides[-1] == 1 or lines < FEW or lines <= lines_kept(step):
        return 1.0
    return CROWDED if _is_read_by_rows(node) else 1.0


def _is_read_by_rows(node: Node) -> bool:
    """Whether the last axis is reduced, or an operation with loops of its own reads it, after elementwise ones."""
    frontier, seen = [node], {node}
    while frontier and len(seen) < 24:
        for user in frontier.pop(0).users:
            assert user.op is not None
            kernel = user.op.kernel
            if isinstance(kernel, Native):
                return True
            if isinstance(kernel, Reduce) and user.inputs[0].type.ndim - 1 in user.attributes["axes"]:
                return True
            if isinstance(kernel, Map | View) and user not in seen:
                seen.add(user)
                frontier.append(user)
    return False


def _wanted_order(node: Node, ir: Ir) -> Order | None:
    """The order that fits what is computed elementwise from a node with tensors whose order is known."""
    results = {id(x) for x in ir.results}
    frontier: list[tuple[Node, Order]] = [(node, tuple(range(node.type.ndim)))]
    seen: set[int] = set()
    while frontier and len(seen) < 24:
        here, axes = frontier.pop(0)  # axes[i] is the axis of `node` that axis i of `here` is
        if id(here) in seen:
            continue
        seen.add(id(here))
        if id(here) in results:
            return _once(axes)
        for user in here.users:
            assert user.op is not None
            if user.op.name == "permute_dims":
                turned: Order = user.attributes["axes"]
                frontier.append((user, tuple(axes[a] for a in turned)))
            elif user.op.name == "reshape" and here is node and _splits_last(node.type.shape, user.type.shape):
                last = node.type.ndim - 1
                frontier.append((user, (*axes[:last], *(last for _ in user.type.shape[last:]))))
            elif isinstance(user.op.kernel, Map) and user.type.shape == here.type.shape:
                for other in user.inputs:
                    order = None if other is here else _guess(other, 4)
                    if order is not None:
                        return _once(tuple(axes[a] for a in order))
                frontier.append((user, axes))
    return None


def _splits_last(shape: Shape, into: Shape) -> bool:
    """Whether a reshape makes several axes of the last one."""
    return len(into) > len(shape) and into[: len(shape) - 1] == shape[:-1]


def _once(axes: Order) -> Order:
    """Axes in the order in which they come first."""
    return tuple(dict.fromkeys(axes))


def _guess(x: Node, depth: int) -> Order | None:
    """The order in which a node will be stored, if that can be foreseen; None as well for broadcast ones."""
    if x.place is not None:  # pyright: ignore[reportUnnecessaryComparison]
        if any(n > 1 and not s for n, s in zip(x.place.shape, x.place.strides, strict=True)):
            return None
        return order_of(x.place)
    if x.op is None:
        return tuple(range(x.type.ndim))
    if depth and x.op.name == "permute_dims":
        inner = _guess(x.inputs[0], depth - 1)
        axes = list(x.attributes["axes"])
        return None if inner is None else tuple(axes.index(a) for a in inner)
    if depth and isinstance(x.op.kernel, Map):
        for y in x.inputs:
            found = _guess(y, depth - 1)
            if found is not None:
                return found
    return None
