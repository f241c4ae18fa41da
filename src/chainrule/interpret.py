"""Run a graph with NumPy, one node after the other: the reference for everything faster."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from chainrule.errors import ShapeError
from chainrule.graph import Graph
from chainrule.types import Array


def interpret(graph: Graph, values: Sequence[Array]) -> list[Array]:
    """The graph's `results` for arrays in the place of its `parameters`.

    A value is dropped as soon as nothing needs it any more. Raises `ShapeError` for another number of arrays.
    """
    if len(values) != len(graph.parameters):
        wanted = [*(x.name or str(x.type) for x in graph.parameters)]
        raise ShapeError(f"interpret: {len(values)} arrays were given, but the graph reads {len(wanted)}: {wanted}")
    known: dict[int, Any] = {id(x): v for x, v in zip(graph.parameters, values, strict=True)}
    uses: dict[int, int] = {}
    for node in graph.nodes:
        for x in node.inputs:
            uses[id(x)] = uses.get(id(x), 0) + 1
    for x in graph.results:
        uses[id(x)] = uses.get(id(x), 0) + 1
    with np.errstate(all="ignore"):
        for node in graph.nodes:
            if id(node) in known:
                continue
            if node.op is None:
                known[id(node)] = node.value
                continue
            value = node.op.numpy(*(known[id(x)] for x in node.inputs), **node.attributes)
            known[id(node)] = value if isinstance(value, tuple) else np.asarray(value)
            for x in node.inputs:
                uses[id(x)] -= 1
                if not uses[id(x)]:
                    del known[id(x)]
    return [known[id(x)] for x in graph.results]
