"""Simplification, while nodes are made: equal nodes are one, constants are worked out, and what changes nothing goes.

No rewrite changes a result beyond rounding; all but those that say so keep every bit:

    f(constants)                        worked out, unless it is large
    equal operations of equal inputs    one node
    identity(x), stop_gradient(x)       x
    cast to the own type                x
    x * 1, x / 1                        x
    negative(negative(x))               x
    x + negative(y)                     x - y
    f(reshape(matrix), ...), elementwise    reshape(f(matrix, ...)): see `flatten`
    pad(x) + pad(y), side by side       concat(x, y), padded; zeros may lose their sign
    x / c for a power of two c          x * (1 / c)
    where(c, x, x)                      x
    reshape, permute_dims, broadcast_to of each other    one of them, or none
    sum over axes of size one           reshape
    sum over the outermost axis and others of a large tensor    over the others first: rounds differently
    take_along_axis of one index        sum(where(place == index, x, 0)), if the index is known to be inside
    add_along_axis of one index         x + where(place == index, update, 0), likewise
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

import numpy as np

from chainrule.compiler.flatten import on_matrix
from chainrule.compiler.gathered import gradient_of_gathered, product_of_gathered, sum_of_gathered
from chainrule.compiler.ir import Ir, Node, leaf, nodes_of, reachable
from chainrule.compiler.pooled import masked_before, summed_before
from chainrule.graph import Graph
from chainrule.kernel import Map
from chainrule.op import REGISTRY, Op
from chainrule.sources import Source
from chainrule.types import Array, Shape, TensorType, bool_, size_of

STAGED = 1 << 14
"""From so many elements on, reductions along the outermost axis and others are done in two stages."""

LARGEST_FOLDED = 4096
"""Elements of a constant that is worked out while compiling; larger ones would only fill the memory."""


def simplified(graph: Graph) -> Ir:
    """A graph's program, simplified. Its parameters and results are those of the graph, in order."""
    parameters = [leaf(x) for x in graph.parameters]
    maker = Simplifier()
    results = nodes_of(graph, parameters, maker.make)
    return reachable(maker.without_identities(results), parameters)


@dataclass(slots=True)
class Made:
    """An operation that is about to be made."""

    maker: Simplifier
    name: str
    inputs: tuple[Node, ...]
    attributes: dict[str, Any]
    type: TensorType
    source: Source | None

    def again(self, name: str, inputs: tuple[Node, ...], type: TensorType, **attributes: Any) -> Node:
        """Another operation in its place."""
        return self.maker.make(REGISTRY[name], inputs, attributes, type, self.source)

    def number(self, number: float, like: TensorType) -> Node:
        """A known number, of a data type."""
        return self.maker.constant(Node(like.with_shape(()), value=np.array(number, like.dtype.numpy)))

    def is_zero(self, x: Node) -> bool:
        """Whether a node is known to be zero in all its elements."""
        return number_of(x) == 0

    def spread(self, x: Node, type: TensorType) -> Node:
        """A known number in another shape."""
        while x.op is not None:
            x = x.inputs[0]
        assert x.value is not None
        one = self.maker.constant(Node(x.type.with_shape(()), value=x.value.reshape(()), source=self.source))
        return one if not type.shape else self.again("broadcast_to", (one,), type, shape=type.shape)


class Simplifier:
    """Makes nodes, or finds those that exist already."""

    def __init__(self) -> None:
        self.known: dict[Any, Node] = {}
        self.constants: dict[Any, Node] = {}

    def make(
        self, op: Op, inputs: tuple[Node, ...], attributes: dict[str, Any], type: TensorType, source: Source | None
    ) -> Node:
        """A node for an operation: a simpler one, one that exists, or a new one."""
        inputs = tuple([self.constant(x) if x.value is not None else x for x in inputs])
        call = Made(self, op.name, inputs, attributes, type, source)
        rule = RULES.get(op.name)
        simpler = None if rule is None else rule(call)
        if simpler is not None:
            return simpler
        if op.name == "identity":  # a wall between what is computed twice on purpose, as by checkpoint
            return Node(type, op, inputs, attributes, source=source)
        flat = on_matrix(call) if isinstance(op.kernel, Map) and op.name in REGISTRY else None
        if flat is not None:
            return flat
        if _folds(op, inputs, type):
            with np.errstate(all="ignore"):
                value = np.asarray(op.numpy(*[cast("Array", x.value) for x in inputs], **attributes))
            return self.constant(Node(type, value=value, source=source))
        key = _key(op, inputs, attributes)
        if key is None:
            return Node(type, op, inputs, attributes, source=source)
        found = self.known.get(key)
        if found is None:
            found = self.known[key] = Node(type, op, inputs, attributes, source=source)
        return found

    def constant(self, x: Node) -> Node:
        """The one node for a small constant."""
        assert x.value is not None
        if x.value.size > 64:
            return x
        key = (x.type, x.value.tobytes())
        return self.constants.setdefault(key, x)

    def without_identities(self, results: list[Node]) -> list[Node]:
        """The results, with the walls taken away; what is computed behind them from nothing else is marked."""
        replaced: dict[int, Node] = {}
        behind: set[int] = set()
        for node in reachable(results, []).nodes:
            if node.op is not None and node.op.name == "identity":
                x = node.inputs[0]
                replaced[id(node)] = replaced.get(id(x), x)
                behind.add(id(node))
                continue
            read = [x for x in node.inputs if x.value is None]
            if read and all([id(x) in behind for x in read]):
                behind.add(id(node))
                node.again = True
            node.inputs = tuple([replaced.get(id(x), x) for x in node.inputs])
        return [replaced.get(id(x), x) for x in results]


def _folds(op: Op, inputs: tuple[Node, ...], type: TensorType) -> bool:
    if not inputs or isinstance(type, tuple) or op.name == "broadcast_to":  # pyright: ignore[reportUnnecessaryIsInstance]
        return False
    return all([x.value is not None for x in inputs]) and type.size <= LARGEST_FOLDED


def _key(op: Op, inputs: tuple[Node, ...], attributes: dict[str, Any]) -> Any:
    """What two nodes have in common if they compute the same; None if that cannot be told."""
    key = (op.name, *map(id, inputs), *((k, hashable(v)) for k, v in attributes.items()))
    try:
        hash(key)
    except TypeError:
        return None
    return key


def hashable(value: Any) -> Any:
    """An attribute as part of a key: numbers of different types or signs differ, though they compare equal."""
    if isinstance(value, float):
        return (value.hex(),) if value else (repr(value),)  # 0.0 and -0.0 are not the same, nor are 1 and 1.0
    return (type(value), value) if isinstance(value, (int, bool)) else value


def number_of(x: Node) -> float | None:
    """The number that a node is in all its elements, if it is known."""
    while x.op is not None and x.op.name in ("broadcast_to", "reshape"):
        x = x.inputs[0]
    if x.value is None or x.value.size != 1 or x.type.dtype.name == "bfloat16":
        return None
    return x.value.item()


Rule = Callable[[Made], "Node | None"]
RULES: dict[str, Rule] = {}


def _rule(*names: str) -> Callable[[Rule], Rule]:
    def enter(rule: Rule) -> Rule:
        for name in names:
            RULES[name] = rule
        return rule

    return enter


@_rule("stop_gradient")
def _same(call: Made) -> Node:
    return call.inputs[0]


@_rule("cast")
def _cast(call: Made) -> Node | None:
    return call.inputs[0] if call.attributes["source"] is call.attributes["dtype"] else None


@_rule("multiply")
def _multiply(call: Made) -> Node | None:
    x, y = call.inputs
    if number_of(x) == 1:
        return y
    return x if number_of(y) == 1 else None


@_rule("divide")
def _divide(call: Made) -> Node | None:
    x, y = call.inputs
    number = number_of(y)
    if number == 1:
        return x
    if number and math.isfinite(number) and abs(math.frexp(number)[0]) == 0.5 and 1e-30 < abs(number) < 1e30:
        return call.again("multiply", (x, call.spread(call.number(1 / number, call.type), call.type)), call.type)
    return None


@_rule("negative")
def _negative(call: Made) -> Node | None:
    x = call.inputs[0]
    return x.inputs[0] if x.op is not None and x.op.name == "negative" else None


@_rule("add")
def _add(call: Made) -> Node | None:
    x, y = call.inputs
    if y.op is not None and y.op.name == "negative":
        return call.again("subtract", (x, y.inputs[0]), call.type)
    if x.op is not None and x.op.name == "negative":
        return call.again("subtract", (y, x.inputs[0]), call.type)
    return _side_by_side(call, x, y) or _side_by_side(call, y, x) or sum_of_gathered(call)


def _side_by_side(call: Made, x: Node, y: Node) -> Node | None:
    """The sum of two tensors that were padded with zeros, such that one begins where the other ends."""
    if not _is_padded(x) or not _is_padded(y):
        return None
    (a, b), low, high = (x.inputs[0], y.inputs[0]), x.attributes["low"], y.attributes["high"]
    apart = [i for i, n in enumerate(call.type.shape) if (a.type.shape[i], b.type.shape[i]) != (n, n)]
    if len(apart) != 1 or low[apart[0]] + a.type.shape[apart[0]] != y.attributes["low"][apart[0]]:
        return None
    axis = apart[0]
    sizes = [a.type.shape[i] + b.type.shape[i] if i == axis else n for i, n in enumerate(call.type.shape)]
    parts = (*_parts(a, axis), *_parts(b, axis))
    joined = call.again("concat", parts, call.type.with_shape(tuple(sizes)), axis=axis)
    if joined.type == call.type:
        return joined
    return call.again("pad", (joined,), call.type, low=low, high=high, interior=(0,) * len(sizes), value=0.0)


def _parts(x: Node, axis: int) -> tuple[Node, ...]:
    return x.inputs if x.op is not None and x.op.name == "concat" and x.attributes["axis"] == axis else (x,)


def _is_padded(x: Node) -> bool:
    return x.op is not None and x.op.name == "pad" and x.attributes["value"] == 0 and not any(x.attributes["interior"])


@_rule("where")
def _where(call: Made) -> Node | None:
    condition, x, y = call.inputs
    if x is y:
        return x
    if condition.op is not None and condition.op.name == "less_equal":
        return masked_before(call, number_of(condition.inputs[1]), number_of(x))
    return None


@_rule("reshape")
def _reshape(call: Made) -> Node | None:
    x = call.inputs[0]
    if x.type.shape == call.type.shape:
        return x
    if x.op is not None and x.op.name == "reshape":
        return call.again("reshape", x.inputs, call.type, shape=call.type.shape)
    if number_of(x) is not None:
        return call.spread(x, call.type)
    return None


@_rule("permute_dims")
def _permute(call: Made) -> Node | None:
    x, axes = call.inputs[0], call.attributes["axes"]
    if axes == tuple(range(len(axes))):
        return x
    if x.op is not None and x.op.name == "permute_dims":
        inner = x.attributes["axes"]
        return call.again("permute_dims", x.inputs, call.type, axes=tuple(inner[i] for i in axes))
    return call.spread(x, call.type) if number_of(x) is not None else None


@_rule("broadcast_to")
def _broadcast(call: Made) -> Node | None:
    x = call.inputs[0]
    if x.type.shape == call.type.shape:
        return x
    if x.type.shape and number_of(x) is not None:
        return call.spread(x, call.type)
    if x.op is not None and x.op.name == "broadcast_to":
        return call.again("broadcast_to", x.inputs, call.type, shape=call.type.shape)
    return None


@_rule("sum", "max", "min", "any", "all")
def _reduce(call: Made) -> Node | None:
    x = call.inputs[0]
    axes: tuple[int, ...] = call.attributes["axes"]
    if all(x.type.shape[axis] == 1 for axis in axes):
        return call.again("reshape", (x,), call.type, shape=call.type.shape)
    before = summed_before(call, axes) if call.name == "sum" else None
    return before or _in_two_stages(call, x, axes)


def _in_two_stages(call: Made, x: Node, axes: tuple[int, ...]) -> Node | None:
    """First along all other axes, then along the outermost one, so that threads share the work."""
    shape, live = x.type.shape, [axis for axis in axes if x.type.shape[axis] > 1]
    if len(live) < 2 or x.type.size < STAGED or any(n > 1 for n in shape[: live[0]]):
        return None
    if shape[live[0]] < 4 or size_of(shape[axis] for axis in live[1:]) < 16:
        return None
    rest = tuple(axis for axis in axes if axis != live[0])
    kept = [axis for axis in range(len(shape)) if axis not in rest]
    part = call.again(call.name, (x,), call.type.with_shape(tuple(shape[a] for a in kept)), axes=rest)
    return call.again(call.name, (part,), call.type, axes=(kept.index(live[0]),))


@_rule("matmul")
def _matmul(call: Made) -> Node | None:
    return product_of_gathered(call)


@_rule("scatter_add")
def _scatter_add(call: Made) -> Node | None:
    return gradient_of_gathered(call)


@_rule("take_along_axis")
def _take_one(call: Made) -> Node | None:
    x, index = call.inputs
    axis: int = call.attributes["axis"]
    if index.type.shape[axis] != 1 or not is_inside(index, x.type.shape[axis]):
        return None
    hit = _hit(call, index, x.type.shape, axis)
    zero = call.spread(call.number(0, x.type), x.type)
    chosen = call.again("where", (hit, x, zero), x.type)
    shape = tuple(n for i, n in enumerate(x.type.shape) if i != axis)
    total = call.again("sum", (chosen,), call.type.with_shape(shape), axes=(axis,))
    return call.again("reshape", (total,), call.type, shape=call.type.shape)


@_rule("add_along_axis")
def _add_one(call: Made) -> Node | None:
    x, index, update = call.inputs
    axis: int = call.attributes["axis"]
    if index.type.shape[axis] != 1 or not is_inside(index, x.type.shape[axis]):
        return None
    hit = _hit(call, index, call.type.shape, axis)
    spread = call.again("broadcast_to", (update,), call.type, shape=call.type.shape)
    zero = call.spread(call.number(0, call.type), call.type)
    added = call.again("where", (hit, spread, zero), call.type)
    return added if number_of(x) == 0 else call.again("add", (x, added), call.type)


def _hit(call: Made, index: Node, shape: Shape, axis: int) -> Node:
    """Where the place along an axis is the index."""
    whole = index.type.with_shape(shape)
    column = [n if i == axis else 1 for i, n in enumerate(shape)]
    places = np.arange(shape[axis], dtype=whole.dtype.numpy).reshape(column)
    place = call.maker.constant(Node(whole.with_shape(places.shape), value=places, source=call.source))
    both = tuple(call.again("broadcast_to", (v,), whole, shape=shape) for v in (place, index))
    return call.again("equal", both, whole.with_dtype(bool_))


def is_inside(index: Node, size: int) -> bool:
    """Whether an index is known to be from 0 to size - 1: because it is where((i >= 0) & (i < size), i, constant)."""
    while index.op is not None and index.op.name in ("reshape", "broadcast_to"):
        index = index.inputs[0]
    if index.op is None or index.op.name != "where":
        return False
    condition, x, other = index.inputs
    default = number_of(other)
    if default is None or not 0 <= default < size or condition.op is None or condition.op.name != "logical_and":
        return False
    low, high = condition.inputs
    return (
        low.op is not None and high.op is not None
        and low.op.name == "greater_equal" and high.op.name == "less"
        and low.inputs[0] is x and high.inputs[0] is x
        and number_of(low.inputs[1]) == 0 and number_of(high.inputs[1]) == size
    )  # fmt: skip
