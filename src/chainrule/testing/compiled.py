"""Compiled against interpreted: one graph run both ways, and the first node that makes a difference."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from chainrule.apply import Bundle
from chainrule.compiler.blueprint import blueprint
from chainrule.compiler.jit import build
from chainrule.compiler.machine import target_named
from chainrule.compiler.memory import aligned
from chainrule.compiler.program import Program
from chainrule.compiler.tables import Tables
from chainrule.compiler.threads import get_threads
from chainrule.errors import IndexingError
from chainrule.graph import Graph, names_of
from chainrule.samples import readable
from chainrule.tensor import Tensor
from chainrule.testing.rounding import FACTOR, MANY_RUNS, RUNS, distance, spread
from chainrule.types import Array, TensorType

Allocate = Callable[[int], Array]


def check_compiled(graph: Graph, inputs: Sequence[Array], *, target: str = "host", threads: int | None = None) -> None:
    """Check that compiled code of a graph does what `interpret` does.

    Results must have the same bits wherever nothing but exactly rounded operations and movements of data lead to them,
    and else be as near as the stated errors of the operations on the way allow; see `chainrule.testing.rounding`.

    Args:
        graph: the program.
        inputs: arrays for its `parameters`.
        target: the processor to compile for: "host", or one of the levels "x86-64-v2", "x86-64-v3" and "x86-64-v4".
        threads: on how many threads it runs; on as many as any compiled function if that is not said.

    Raises `AssertionError` for a result that differs, naming the first node that does.

    >>> from chainrule.testing import random_graph, random_inputs
    >>> graph = random_graph(0, size=3, ops=["add", "tanh"])
    >>> check_compiled(graph, random_inputs(graph, 0))
    """
    found = run_compiled(graph, inputs, target=target, threads=threads)
    message = difference(graph, inputs, found)
    if message is not None:
        first = _first_difference(graph, inputs, target, threads)
        raise AssertionError(f"compiled for {target}, {message}\n{first}")


def run_compiled(
    graph: Graph,
    inputs: Sequence[Array],
    *,
    target: str = "host",
    threads: int | None = None,
    allocate: Allocate = aligned,
) -> list[Array]:
    """The graph's `results` for arrays in the place of its `parameters`, like `interpret`, but from compiled code.

    Args:
        allocate: gives memory of so many bytes for everything that compiled code reads or writes.
    """
    made = blueprint(graph, target_named(target))
    code = build(list(made.modules.values()), list(made.modules), target_named(target))
    return run_program(Program(made, code, allocate), graph, inputs, threads or get_threads())


def run_program(
    program: Program,
    graph: Graph,
    inputs: Sequence[Array],
    threads: int,
    count: int = 1,
    launch: Callable[[Tables], None] = lambda tables: tables.launch(),
) -> list[Array]:
    """The results of a graph whose program is there already.

    Args:
        count: how often a program that is a loop runs.
        launch: runs the program when all has been put in.
    """

    def placed(type: TensorType) -> Array:
        return program.allocate(type.size * type.dtype.itemsize).view(type.dtype.numpy).reshape(type.shape)

    parameters = [placed(x.type) for x in graph.parameters]
    for place, value in zip(parameters, inputs, strict=True):
        place[...] = value
    outputs = [placed(x.type) for x in graph.outputs]
    stand_ins = {id(outside): i for i, (outside, _) in enumerate(graph.captured, len(graph.inputs))}
    assigned: list[Array] = []
    for outside, new in graph.assigned:
        if id(outside) not in stand_ins:
            stand_ins[id(outside)] = len(parameters)
            parameters.append(placed(new.type))
        assigned.append(parameters[stand_ins[id(outside)]])
    tables = program.on(threads)
    for kind, arrays in (("parameter", parameters), ("output", outputs)):
        for i, x in enumerate(arrays):
            program.put((kind, i), x.ctypes.data)
    program.status[:] = 0
    tables.repeat(count)
    launch(tables)
    if program.status[0]:
        raise IndexingError("compiled code reports an index outside of its axis")
    for i, (place, value) in enumerate(zip(parameters, inputs, strict=False)):
        changed = all(place is not x for x in assigned) and place.tobytes() != value.tobytes()
        assert not changed, f"compiled code changes input {i}"
    return [x.copy() for x in (*outputs, *assigned)]


def difference(graph: Graph, inputs: Sequence[Array], found: Sequence[Array]) -> str | None:
    """What is wrong with results; None if nothing is."""
    for runs in (RUNS, MANY_RUNS):
        wrong = _wrong(graph, found, spread(graph, inputs, runs))
        if wrong is None:
            return None
    return wrong  # pyright: ignore[reportPossiblyUnbound]


def _wrong(graph: Graph, found: Sequence[Array], expected: Sequence[tuple[Array, Array]]) -> str | None:
    for i, (x, got, (plain, apart)) in enumerate(zip(graph.results, found, expected, strict=True)):
        if got.dtype != plain.dtype or got.shape != plain.shape:
            return f"result {i} is {got.dtype}{list(got.shape)} instead of {x.type}"
        error = distance(got, plain)
        # Infinity minus infinity in `distance` is infinity: where the spread is, nothing can be told.
        bad = ~((error <= FACTOR * apart) | np.isinf(apart))
        if bad.any():
            place = tuple(int(n) for n in np.argwhere(bad)[0])
            a, b = readable(got)[place], readable(plain)[place]
            made = f"{names_of(graph)[id(x)]} = {x.op.name}" if x.op is not None else names_of(graph)[id(x)]
            return (
                f"result {i} ({made}, {x.type}) differs in {int(bad.sum())} of {bad.size} elements: at {list(place)} "
                f"it is {a!r} instead of {b!r}, apart {error[place]:.3g}, allowed {FACTOR * apart[place]:.3g}"
            )
    return None


def _first_difference(graph: Graph, inputs: Sequence[Array], target: str, threads: int | None) -> str:
    """The first node that differs: if all nodes are results, or else if it is the only one."""
    nodes = [x for x in graph.nodes if x.op is not None and not isinstance(x, Bundle)]

    def differs(outputs: Sequence[Tensor]) -> str | None:
        part = Graph((*graph.inputs, *(stand_in for _, stand_in in graph.captured)), tuple(outputs))
        try:
            got = run_compiled(part, inputs, target=target, threads=threads)
        except (ArithmeticError, AssertionError, LookupError, RuntimeError, TypeError, ValueError) as error:
            return f"{type(error).__name__}: {error}"
        return difference(part, inputs, got)

    names = names_of(graph)
    everything = differs(nodes)
    if everything is not None:
        return f"with all nodes as results, {everything}\n{graph}"
    for x in nodes:
        if differs([x]) is not None:
            return f"alone, the first node that differs is {names[id(x)]} = {x.op}\n{graph}"
    return f"no node differs alone: it takes what is computed together\n{graph}"
