"""From a Python function to a graph."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from chainrule.graph import Graph
from chainrule.state import Tracing, recording, tracing
from chainrule.tensor import Tensor, as_tensor
from chainrule.trees import Structure, flatten, leaf_paths, unflatten


def trace(function: Callable[..., Any]) -> Callable[..., Graph]:
    """A function that takes examples and returns the graph of what `function` does with arguments of their types.

    Arguments may be nested containers and modules; their tensors, arrays and floats become the graph's inputs. Other
    tensors that the function reads are listed as captured, those that it assigns as assigned.

    Raises `TraceError` if the function asks for a value (`if x > 0`, `float(x)`).

    >>> import numpy as np
    >>> from chainrule import tanh
    >>> print(str(trace(lambda x, w: tanh(x @ w))(np.ones((4, 3)), np.ones((3, 2)))).split("  #")[0])
    graph(x: f64[4, 3], w: f64[3, 2])
      %0   f64[4, 2]    = matmul(x, w)
    """

    def traced(*examples: Any, **named: Any) -> Graph:
        return trace_tree(function, *examples, **named)[0]

    return traced


def trace_tree(function: Callable[..., Any], *examples: Any, **named: Any) -> tuple[Graph, Structure]:
    """The graph, and the structure of what the function returned."""
    return trace_within(Tracing(), function, *examples, **named)


def trace_within(
    context: Tracing, function: Callable[..., Any], *examples: Any, **named: Any
) -> tuple[Graph, Structure]:
    """The same, in a tracing of one's own, which then knows what else was noticed."""
    leaves, structure = flatten((examples, named))
    paths = _names(function, examples, named)
    types = [as_tensor(leaf) for leaf in leaves]
    try:
        with tracing(context), recording(True):
            inputs = tuple(
                Tensor(x.type, None, requires_grad=x.requires_grad, source=x.source, name=name)
                for x, name in zip(types, paths, strict=True)
            )
            args, kwargs = unflatten(structure, inputs)
            returned, result = flatten(function(*args, **kwargs))
            outputs = tuple(context.read(as_tensor(x)) for x in returned)
        return Graph(inputs, outputs, tuple(context.captured.values()), tuple(context.assigned.values())), result
    finally:
        context.forget()


def _names(function: Callable[..., Any], examples: tuple[Any, ...], named: dict[str, Any]) -> list[str]:
    """A name for each leaf of the arguments: the parameter's name and the path below it."""
    try:
        bound = inspect.signature(function).bind(*examples, **named).arguments
        heads = [*bound][: len(examples)] if len(bound) == len(examples) + len(named) else []
    except (TypeError, ValueError):
        heads = []
    heads = heads or [f"x{i}" for i in range(len(examples))]
    names: list[str] = []
    for head, value in [*zip(heads, examples, strict=True), *named.items()]:
        names.extend(f"{head}.{path}" if path else head for path in leaf_paths(value))
    return names
