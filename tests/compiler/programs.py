"""Programs in the compiler's own form, run with NumPy: an oracle for each of its passes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from chainrule.compiler.blueprint import Blueprint, Call, Repeat, blueprint
from chainrule.compiler.ir import Ir, Node
from chainrule.graph import Graph
from chainrule.native.operand import Strided
from chainrule.native.target import LEVELS
from chainrule.trace import trace

Array = np.ndarray[Any, np.dtype[Any]]
V2, V3, V4 = (LEVELS[f"x86-64-v{n}"] for n in (2, 3, 4))


def floats(*shape: int) -> Array:
    """Numbers of which no two are equal."""
    return np.random.default_rng(0).normal(size=shape).astype(np.float32)


def graph_of(function: Callable[..., Any], *examples: Any) -> Graph:
    return trace(function)(*examples)


def values_of(ir: Ir, inputs: Sequence[Array]) -> dict[Node, Any]:
    """The value of every node."""
    known: dict[Node, Any] = dict(zip(ir.parameters, inputs, strict=False))
    with np.errstate(all="ignore"):
        for node in ir.nodes:
            if node in known:
                continue
            if node.op is None:
                known[node] = node.value
                continue
            value = node.op.numpy(*(known[x] for x in node.inputs), **node.attributes)
            known[node] = value if isinstance(value, tuple) else np.asarray(value)
    return known


def results_of(ir: Ir, inputs: Sequence[Array]) -> list[Array]:
    known = values_of(ir, inputs)
    return [known[x] for x in ir.results]


def operations(ir: Ir) -> list[str]:
    """The names of all operations, in order."""
    return [node.op.name for node in ir.nodes if node.op is not None]


def looked_at(buffer: Array, place: Strided) -> Array:
    """What stands at a place in a buffer."""
    flat = np.ascontiguousarray(buffer).reshape(-1)
    if 0 in place.shape:
        return np.empty(place.shape, flat.dtype)
    index = np.full(place.shape, place.offset)
    for axis, stride in enumerate(place.strides):
        steps = np.arange(place.shape[axis]) * stride
        index = index + steps.reshape([-1 if i == axis else 1 for i in range(len(place.shape))])
    assert index.size == 0 or (index.min() >= 0 and index.max() < flat.size)
    return flat[index]


def stored(value: Array, place: Strided) -> Array:
    """The buffer that holds a value at a place without gaps."""
    buffer = np.zeros(value.size, value.dtype)
    index = np.zeros(value.shape, np.int64)
    for axis, stride in enumerate(place.strides):
        steps = np.arange(value.shape[axis]) * stride
        index = index + steps.reshape([-1 if i == axis else 1 for i in range(value.ndim)])
    buffer[index.reshape(-1)] = value.reshape(-1)
    return buffer


def plan_of(function: Callable[..., Any], *examples: Any, target: Any = V3) -> Blueprint:
    return blueprint(graph_of(function, *examples), target)


def calls_of(calls: Sequence[Call | Repeat]) -> Iterator[Call]:
    """All calls, those in loops among them."""
    for call in calls:
        if isinstance(call, Repeat):
            yield from calls_of(call.calls)
        else:
            yield call


def kinds(plan: Blueprint) -> list[str]:
    return [call.effort.kind for call in calls_of(plan.calls)]
