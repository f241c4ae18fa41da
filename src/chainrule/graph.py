"""A graph: a traced program as a list of nodes that can be checked, printed and replayed."""

from __future__ import annotations

from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from chainrule.apply import apply, infer
from chainrule.drawing import Arrow, Box, draw
from chainrule.errors import ShapeError, TraceError
from chainrule.state import current_recording, recording, source_line
from chainrule.tensor import Tensor, shown
from chainrule.types import TensorType


def topological(outputs: Iterable[Tensor], stop: Container[int] = ()) -> list[Tensor]:
    """All nodes that the outputs depend on, in the order in which they were made: inputs before users, forward first.

    Nothing is looked for behind nodes whose `id` is in `stop`. Iterative: a chain of 10,000 is nothing special.
    """
    found: dict[int, Tensor] = {}
    stack = list(outputs)
    while stack:
        node = stack.pop()
        if id(node) not in found:
            found[id(node)] = node
            if id(node) not in stop:
                stack.extend(node.inputs)
    return sorted(found.values(), key=lambda node: node.serial)


@dataclass(eq=False)
class Graph:
    """A program over tensors.

    Attributes:
        inputs: stand-ins for the arguments.
        outputs: the nodes returned.
        captured: for every tensor outside that the program reads, that tensor and its stand-in.
        assigned: for every tensor outside that the program assigns, that tensor and the node of its new value.
        nodes: everything that the outputs depend on, inputs before users.
    """

    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    captured: tuple[tuple[Tensor, Tensor], ...] = ()
    assigned: tuple[tuple[Tensor, Tensor], ...] = ()
    nodes: tuple[Tensor, ...] = field(init=False)

    def __post_init__(self) -> None:
        self.nodes = tuple(topological([*self.parameters, *self.results]))

    @property
    def parameters(self) -> tuple[Tensor, ...]:
        """All stand-ins: those of the arguments, then those of captured tensors."""
        return (*self.inputs, *(stand_in for _, stand_in in self.captured))

    @property
    def results(self) -> tuple[Tensor, ...]:
        """All results: the outputs, then the new values of assigned tensors."""
        return (*self.outputs, *(new for _, new in self.assigned))

    def replay(self, values: Sequence[Tensor]) -> list[Tensor]:
        """Make the same nodes again from other tensors in the place of `parameters`; returns `results`."""
        known = {id(x): v for x, v in zip(self.parameters, values, strict=True)}
        for node in self.nodes:
            if id(node) not in known:
                if node.op is None:
                    known[id(node)] = Tensor(node.type, node.value, source=node.source)
                else:
                    with source_line(node.source), recording(current_recording() and not node.no_grad):
                        known[id(node)] = apply(node.op, *(known[id(x)] for x in node.inputs), **node.attributes)
        return [known[id(x)] for x in self.results]

    def verify(self) -> None:
        """Check every node: its type is what its operation says, and every leaf is a parameter or a constant.

        Raises `ShapeError` or `TraceError` naming the node that is wrong.
        """
        parameters = {id(x) for x in self.parameters}
        for node in self.nodes:
            if node.op is not None and infer(node.op, node.inputs, node.attributes) != node.type:
                raise ShapeError(f"{node.op.name} at {node.source} says {node.type}, its rule says otherwise")
            if node.op is None and node.value is None and id(node) not in parameters:
                raise TraceError(
                    f"a tensor {node.type} of another trace, made at {node.source}, has leaked into this graph"
                )

    def __str__(self) -> str:
        return self.text()

    def text(self, *, sources: bool = True) -> str:
        """The program, a line for each node: name, type, call and, with `sources`, the user's line it comes from."""
        return "\n".join(_lines(self, "", sources))

    def draw(self, title: str = "") -> str:
        """The graph as a picture, the text of an SVG file: forward and backward nodes in colours of their own.

        Dashed arrows are values of the forward pass that the backward pass needs. Raises `ChainruleError` where the
        extra `chainrule[draw]` is not installed.
        """
        names = names_of(self)
        results = {id(x) for x in self.results}
        boxes = [_box(node, names, id(node) in results) for node in self.nodes]
        arrows = [
            Arrow(
                str(x.serial),
                str(node.serial),
                kept=node.source.backward and x.op is not None and not x.source.backward,
            )
            for node in self.nodes
            for x in node.inputs
        ]
        return draw(boxes, arrows, title=title)


def _box(node: Tensor, names: dict[int, str], is_result: bool) -> Box:
    """A node as a box of a picture."""
    name, source = names[id(node)], f"{node.source}  {node.source.text}"
    if node.op is None:
        kind = "constant" if node.value is not None else "parameter" if node.requires_grad else "input"
        return Box(str(node.serial), (name, type_text(node.type)), kind, source)
    kind = "output" if is_result else "backward" if node.source.backward else "operation"
    return Box(
        str(node.serial), (node.op.name, type_text(node.type)), kind, f"{name} = {call_text(node, names)}\n{source}"
    )


def names_of(graph: Graph) -> dict[int, str]:
    """A short, unique name for every node: arguments and captured tensors by their names, the others by number."""
    names: dict[int, str] = {}
    taken: set[str] = set()
    for position, x in enumerate(graph.parameters):
        wanted = x.name or (f"x{position}" if position < len(graph.inputs) else f"c{position - len(graph.inputs)}")
        unique, copy = wanted, 1
        while unique in taken:
            copy += 1
            unique = f"{wanted}_{copy}"
        taken.add(unique)
        names[id(x)] = unique
    count = 0
    for node in graph.nodes:
        if id(node) not in names:
            names[id(node)] = constant_text(node) if node.op is None else f"%{count}"
            count += node.op is not None
    return names


def constant_text(node: Tensor) -> str:
    """A constant as it is printed in a graph: its value if it is short, else its type."""
    if node.value is None:
        return f"<{node.type} of another trace>"
    if node.size <= 4:
        return " ".join(np.array2string(shown(node.value, node.dtype), separator=", ").split())
    return f"constant {node.type}"


def type_text(type: TensorType | tuple[TensorType, ...]) -> str:
    """A type as it is printed in a graph; several in parentheses."""
    return f"({', '.join(map(str, type))})" if isinstance(type, tuple) else str(type)


def call_text(node: Tensor, names: dict[int, str]) -> str:
    """A node as a call: `sum(%3, axes=(0,))`."""
    attributes = [f"{k}={getattr(v, '__name__', v)}" for k, v in node.attributes.items() if not isinstance(v, Graph)]
    assert node.op is not None
    return f"{node.op.name}({', '.join([names[id(x)] for x in node.inputs] + attributes)})"


def _lines(graph: Graph, indent: str, sources: bool) -> list[str]:
    names = names_of(graph)
    rows: list[tuple[str, str]] = []
    for node in graph.nodes:
        if node.op is None:
            continue
        left = f"{indent}  {names[id(node)]:4} {type_text(node.type):12} = {call_text(node, names)}"
        rows.append((left, f"# {node.source}  {node.source.text}" if sources else ""))
        for key, value in node.attributes.items():
            if isinstance(value, Graph):
                rows.extend((line, "") for line in [f"{indent}    {key}:", *_lines(value, indent + "      ", sources)])
    wide = min(max((len(left) for left, right in rows if right), default=0), 72)
    shown = ", ".join(f"{names[id(x)]}: {x.type}" for x in graph.inputs)
    read = [f"{indent}  reads   {names[id(x)]}: {x.type}" for _, x in graph.captured]
    written = [
        f"{indent}  assigns {names.get(id(x), x.name or f'a tensor {x.type}')} = {names[id(new)]}"
        for x, new in _assigned(graph)
    ]
    body = [f"{left:{wide}}  {right}".rstrip() for left, right in rows]
    result = f"{indent}  return {', '.join(names[id(x)] for x in graph.outputs)}"
    return [f"{indent}graph({shown})", *read, *body, *written, result]


def _assigned(graph: Graph) -> list[tuple[Any, Tensor]]:
    stand_ins = {id(outside): stand_in for outside, stand_in in graph.captured}
    return [(stand_ins.get(id(outside), outside), new) for outside, new in graph.assigned]
