"""What the passes work on: a program as a list of nodes, inputs before users, each operation on arrays of one type."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from chainrule.graph import Graph
from chainrule.kernel import Inline
from chainrule.native.operand import Strided
from chainrule.op import Op
from chainrule.sources import Source
from chainrule.tensor import Tensor
from chainrule.types import Array, TensorType


@dataclass(slots=True, eq=False)
class Node:
    """An operation on other nodes, a constant, or a parameter (which has neither operation nor value).

    An operation with several outputs has their types as a tuple; `pick` nodes read them.
    """

    type: TensorType
    op: Op | None = None
    inputs: tuple[Node, ...] = ()
    attributes: dict[str, Any] = field(default_factory=dict[str, Any])
    value: Array | None = None
    source: Source | None = None
    users: list[Node] = field(default_factory=list["Node"])
    number: int = 0
    again: bool = False  # made a second time, for the backward pass, from what was kept: best as late as can be
    base: Node = None  # type: ignore[assignment]  # set with the layout: the node whose buffer this one is a view of
    place: Strided = None  # type: ignore[assignment]  # and where in that buffer its elements are

    def __repr__(self) -> str:
        return f"<{self.op.name if self.op else 'leaf'} {self.number}: {self.type}>"


@dataclass(slots=True)
class Ir:
    """A program: what it is given, what it gives, and all nodes between, in an order in which they can be computed."""

    parameters: list[Node]
    results: list[Node]
    nodes: list[Node]

    def verify(self) -> None:
        """Check that inputs stand before their users. Raises AssertionError: this is for tests of the passes."""
        seen = {id(x) for x in self.parameters}
        for node in self.nodes:
            assert node.op is not None or node.value is not None or id(node) in seen, node
            assert all(id(x) in seen for x in node.inputs), node
            seen.add(id(node))
        assert all(id(x) in seen for x in self.results)


def reachable(results: Iterable[Node], parameters: list[Node]) -> Ir:
    """The program of all nodes that the results need, numbered, each knowing its users."""
    results = list(results)
    order: list[Node] = list(parameters)
    done = {id(x) for x in parameters}
    stack: list[tuple[Node, Iterator[Node]]] = []
    for root in results:
        if id(root) in done:
            continue
        done.add(id(root))
        stack.append((root, iter(root.inputs)))
        while stack:
            node, rest = stack[-1]
            for x in rest:
                if id(x) not in done:
                    done.add(id(x))
                    stack.append((x, iter(x.inputs)))
                    break
            else:
                order.append(node)
                stack.pop()
    for number, node in enumerate(order):
        node.number = number
        node.users = []
    for node in order:
        for x in node.inputs:
            x.users.append(node)
    return Ir(parameters, results, order)


def nodes_of(graph: Graph, parameters: list[Node], make: Any) -> list[Node]:
    """The results of a graph whose parameters are nodes; `make(op, inputs, attributes, type, source)` makes each node.

    Calls of other graphs (`checkpoint`, `custom`) are replaced by what is in them.
    """
    known: dict[int, Any] = {id(x): node for x, node in zip(graph.parameters, parameters, strict=True)}
    for x in graph.nodes:
        if id(x) in known:
            continue
        if x.op is None:
            known[id(x)] = Node(x.type, value=x.value, source=x.source)
        elif isinstance(x.op.kernel, Inline):
            inner: Graph = x.attributes["graph"]
            known[id(x)] = nodes_of(inner, [known[id(y)] for y in x.inputs], make)
        elif x.op.name == "pick" and isinstance(known[id(x.inputs[0])], list):
            known[id(x)] = known[id(x.inputs[0])][x.attributes["index"]]
        else:
            known[id(x)] = make(x.op, tuple(known[id(y)] for y in x.inputs), x.attributes, x.type, x.source)
    return [known[id(x)] for x in graph.results]


def leaf(x: Tensor) -> Node:
    """A parameter for a stand-in of a graph."""
    return Node(x.type, source=x.source)
