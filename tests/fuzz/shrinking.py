"""From a case that fails to a small one that still does."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from chainrule.apply import Bundle, infer
from chainrule.errors import ChainruleError
from chainrule.graph import Graph
from chainrule.interpret import interpret
from chainrule.tensor import Tensor
from chainrule.types import Array, Shape
from tests.fuzz.cases import Case

Fails = Callable[[Case], bool]
ATTEMPTS = 600


def shrunk(case: Case, fails: Fails) -> Case:
    """A smaller case that fails as well, after at most ATTEMPTS attempts."""
    attempts = 0
    for candidates in (_fewer_results, _plainer, _earlier, _shorter, _bypassed, _smaller, _earlier, _shorter):
        changed = True
        while changed and attempts < ATTEMPTS:
            changed = False
            for smaller in candidates(case):
                attempts += 1
                if attempts > ATTEMPTS:
                    break
                if fails(smaller):
                    case, changed = smaller, True
                    break
    return case


def _plainer(case: Case) -> Iterator[Case]:
    """Without guards, on one thread, not in a loop, and changing nothing."""
    if case.graph.assigned:
        yield _made(case, (*case.graph.outputs, *(x for _, x in case.graph.assigned)), ())
    if case.guard:
        yield replace(case, guard="")
    if case.loop:
        yield replace(case, loop=0)
    if case.interleave:
        yield replace(case, interleave=0)
    if case.threads > 1:
        yield replace(case, threads=1)


def _fewer_results(case: Case) -> Iterator[Case]:
    """One result alone, or all but one."""
    graph = case.graph
    outputs, assigned = graph.outputs, graph.assigned
    if len(outputs) + len(assigned) > 1:
        yield from (_made(case, (x,), ()) for x in outputs)
        yield from (_made(case, (), (x,)) for x in assigned)
        if assigned:
            yield _made(case, outputs, ())
        half = len(outputs) // 2
        yield from (_made(case, part, assigned) for part in (outputs[:half], outputs[half:]) if half)
        yield from (_made(case, outputs[:i] + outputs[i + 1 :], assigned) for i in range(len(outputs)))
        yield from (_made(case, outputs, assigned[:i] + assigned[i + 1 :]) for i in range(len(assigned)))


def _earlier(case: Case) -> Iterator[Case]:
    """With a node that a result is computed from in its place."""
    graph = case.graph
    for i, x in enumerate(graph.outputs):
        for y in x.inputs:
            before = y.inputs if isinstance(y, Bundle) else (y,)
            for new in before:
                yield _made(case, (*graph.outputs[:i], new, *graph.outputs[i + 1 :]), graph.assigned)


def _shorter(case: Case) -> Iterator[Case]:
    """With a node, or all nodes before one, given instead of computed."""
    nodes = [x for x in case.graph.nodes if x.op is not None and not isinstance(x, Bundle)]
    values = values_of(case.graph, case.inputs)
    results = {id(x) for x in case.graph.results}
    inner = [x for x in nodes if id(x) not in results]
    for count in (len(inner) // 2, len(inner) // 4, len(inner) // 8):
        if count > 1:
            yield from (_given(case, inner[i : i + count], values) for i in range(0, len(inner), count))
    yield from (_given(case, [x], values) for x in reversed(inner))


def _bypassed(case: Case) -> Iterator[Case]:
    """With an operation left out."""
    for x in case.graph.nodes:
        for y in x.inputs:
            if y.type == x.type and not isinstance(x, Bundle):
                yield _rebuilt(case, {id(x): y}, {})


def _given(case: Case, nodes: Sequence[Tensor], values: dict[int, Any]) -> Case:
    return _rebuilt(case, {}, {id(x): values[id(x)] for x in nodes})


def _made(case: Case, outputs: Sequence[Tensor], assigned: Sequence[tuple[Tensor, Tensor]]) -> Case:
    """With other results; what is not read any more is left out."""
    graph = case.graph
    whole = Graph(graph.inputs, tuple(outputs), graph.captured, tuple(assigned))
    used = {id(y) for x in whole.nodes for y in x.inputs} | {id(x) for x in whole.results}
    written = {id(x) for x, _ in assigned}
    keep = [id(x) in used for x in graph.inputs]
    held = [id(x) in used or id(outside) in written for outside, x in graph.captured]
    inputs = [v for v, k in zip(case.inputs, [*keep, *held], strict=True) if k]
    made = Graph(
        tuple(x for x, k in zip(graph.inputs, keep, strict=True) if k),
        tuple(outputs),
        tuple(pair for pair, k in zip(graph.captured, held, strict=True) if k),
        tuple(assigned),
    )
    return case.with_graph(made, inputs)


def _rebuilt(case: Case, instead: dict[int, Tensor], given: dict[int, Array]) -> Case:
    """With nodes taken from elsewhere or given as inputs."""
    graph = case.graph
    known: dict[int, Tensor] = {id(x): x for x in graph.parameters}
    new: list[tuple[Tensor, Array]] = []
    for x in graph.nodes:
        if id(x) in known:
            continue
        if id(x) in given:
            known[id(x)] = Tensor(x.type, None)
            new.append((known[id(x)], given[id(x)]))
        elif id(x) in instead:
            known[id(x)] = known[id(instead[id(x)])]
        elif x.op is None:
            known[id(x)] = x
        else:
            inputs = tuple(known[id(y)] for y in x.inputs)
            known[id(x)] = type(x)(x.type, None, op=x.op, inputs=inputs, attributes=x.attributes, source=x.source)
    first = len(graph.inputs)
    whole = Graph(
        (*graph.inputs, *(x for x, _ in new)),
        tuple(known[id(x)] for x in graph.outputs),
        graph.captured,
        tuple((x, known[id(y)]) for x, y in graph.assigned),
    )
    inputs = [*case.inputs[:first], *(v for _, v in new), *case.inputs[first:]]
    return _made(case.with_graph(whole, inputs), whole.outputs, whole.assigned)


def _smaller(case: Case) -> Iterator[Case]:
    """With axes of one size made shorter everywhere."""
    sizes = sorted({n for x in case.graph.nodes if not isinstance(x, Bundle) for n in x.shape if n > 1}, reverse=True)
    for n in sizes:
        for m in (1, 2, n // 2, n - 1):
            if 0 < m < n:
                try:
                    made = _resized(case, n, m)
                    interpret(made.graph, made.inputs)
                except (ChainruleError, ValueError, IndexError, TypeError):
                    continue
                yield made


def _resized(case: Case, n: int, m: int) -> Case:
    def shape(old: Shape) -> Shape:
        return tuple(m if size == n else size for size in old)

    def cut(x: Array) -> Array:
        return np.ascontiguousarray(x[tuple(slice(0, size) for size in shape(x.shape))]).reshape(shape(x.shape))

    graph = case.graph
    known: dict[int, Tensor] = {}
    for x in (*graph.parameters, *(x for x, _ in graph.captured), *(x for x, _ in graph.assigned)):
        known.setdefault(id(x), Tensor(x.type.with_shape(shape(x.shape)), None))
    for x in graph.nodes:
        if id(x) in known:
            continue
        if x.op is None:
            assert x.value is not None
            known[id(x)] = Tensor(x.type.with_shape(shape(x.shape)), cut(x.value))
            continue
        inputs = tuple(known[id(y)] for y in x.inputs)
        attributes = dict(x.attributes)
        for name in attributes.keys() & {"shape", "size", "kernel"}:
            attributes[name] = shape(attributes[name])
        found: Any = infer(x.op, inputs, attributes)
        known[id(x)] = type(x)(found, None, op=x.op, inputs=inputs, attributes=attributes, source=x.source)
    made = Graph(
        tuple(known[id(x)] for x in graph.inputs),
        tuple(known[id(x)] for x in graph.outputs),
        tuple((known[id(x)], known[id(y)]) for x, y in graph.captured),
        tuple((known[id(x)], known[id(y)]) for x, y in graph.assigned),
    )
    return case.with_graph(made, [cut(x) for x in case.inputs])


def values_of(graph: Graph, inputs: Sequence[Array]) -> dict[int, Any]:
    """The value of every node."""
    known: dict[int, Any] = {id(x): v for x, v in zip(graph.parameters, inputs, strict=True)}
    with np.errstate(all="ignore"):
        for x in graph.nodes:
            if id(x) not in known:
                given = [known[id(y)] for y in x.inputs]
                value = x.value if x.op is None else x.op.numpy(*given, **x.attributes)
                known[id(x)] = value if isinstance(value, tuple) else np.asarray(value)
    return known
