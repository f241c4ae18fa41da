"""A case as the text of a test that runs on its own."""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule.apply import PICK, Bundle
from chainrule.graph import Graph
from chainrule.tensor import Tensor
from chainrule.types import DType, TensorType
from tests.fuzz.cases import Case

HEAD = """\
import numpy as np
from numpy import inf, nan

from chainrule.apply import PICK, apply
from chainrule.graph import Graph
from chainrule.op import REGISTRY
from chainrule.state import Tracing, recording, tracing
from chainrule.tensor import Tensor
from chainrule.types import TensorType, dtype_of
from tests.fuzz.cases import Case
from tests.fuzz.running import check_case


def leaf(dtype, *shape, value=None):
    value = None if value is None else np.array(value, dtype_of(dtype).numpy).reshape(shape)
    return Tensor(TensorType(dtype_of(dtype), shape), value)


def op(name, *inputs, **attributes):
    return apply(PICK if name == "pick" else REGISTRY[name], *inputs, **attributes)


def array(dtype, shape, *numbers):
    return np.array(numbers, dtype).reshape(shape)
"""


def text_of(case: Case) -> str:
    """The text of the test `test_found_by_fuzzing(target)`."""
    printer = _Printer()
    body = printer.graph(case.graph, "graph")
    arrays = [f"array({str(x.dtype)!r}, {x.shape}, {', '.join(map(repr, x.ravel().tolist()))})" for x in case.inputs]
    lines = [
        "",
        "",
        'def test_found_by_fuzzing(target="host"):',
        "    with tracing(Tracing()), recording(True):",
        *(f"        {line}" for line in body),
        "    inputs = [",
        *(f"        {text}," for text in arrays),
        "    ]",
        f"    check_case(Case(graph, inputs, {case.threads}, {case.loop}, {case.interleave}, {case.guard!r}), target)",
        "",
    ]
    return HEAD + "\n".join(lines)


class _Printer:
    """Gives names to nodes."""

    def __init__(self) -> None:
        self.names: dict[int, str] = {}
        self.graphs: dict[int, str] = {}
        self.kept: list[Tensor] = []

    def name(self, x: Tensor) -> str:
        if id(x) not in self.names:
            self.names[id(x)] = f"x{len(self.names)}"
            self.kept.append(x)
        return self.names[id(x)]

    def graph(self, graph: Graph, name: str) -> list[str]:
        """Statements that make a graph."""
        lines: list[str] = []
        outside = [x for x, _ in graph.captured]
        outside += [x for x, _ in graph.assigned if all(x is not y for y in outside)]
        for x in (*outside, *graph.parameters):
            if id(x) not in self.names:
                lines.append(f"{self.name(x)} = leaf({self.type(x.type)})")
        for x in graph.nodes:
            if id(x) in self.names:
                continue
            if x.op is None:
                assert x.value is not None
                lines.append(f"{self.name(x)} = leaf({self.type(x.type)}, value={x.value.tolist()!r})")
                continue
            attributes = ""
            for key, value in x.attributes.items():
                if isinstance(value, Graph):
                    if id(value) not in self.graphs:
                        self.graphs[id(value)] = f"g{len(self.graphs)}"
                        lines += self.graph(value, self.graphs[id(value)])
                    inner = self.graphs[id(value)]
                    attributes += f", {key}={inner}"
                else:
                    attributes += f", {key}={self.value(value)}"
            inputs = "".join(f", {self.name(y)}" for y in x.inputs)
            shown = "several" if isinstance(x, Bundle) else str(x.type)
            called = "pick" if x.op is PICK else x.op.name
            lines.append(f"{self.name(x)} = op({called!r}{inputs}{attributes})  # {shown}")
        parts = [self.tuple(graph.inputs), self.tuple(graph.outputs)]
        if graph.captured or graph.assigned:
            parts += [self.pairs(graph.captured), self.pairs(graph.assigned)]
        lines.append(f"{name} = Graph({', '.join(parts)})")
        return lines

    def type(self, type: TensorType) -> str:
        return ", ".join([repr(type.dtype.name), *map(str, type.shape)])

    def tuple(self, nodes: tuple[Tensor, ...]) -> str:
        return "(" + "".join(f"{self.name(x)}, " for x in nodes).rstrip() + ")"

    def pairs(self, pairs: tuple[tuple[Tensor, Tensor], ...]) -> str:
        return "(" + "".join(f"({self.name(x)}, {self.name(y)}), " for x, y in pairs).rstrip() + ")"

    def value(self, value: Any) -> str:
        """An attribute."""
        if isinstance(value, DType):
            return f"dtype_of({value.name!r})"
        if isinstance(value, tuple):
            return "(" + "".join(f"{self.value(x)}, " for x in value).rstrip() + ")"
        if isinstance(value, np.generic):
            return repr(value.item())
        return "None" if callable(value) else repr(value)  # a rule of a derivative is not needed any more
