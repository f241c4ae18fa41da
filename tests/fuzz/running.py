"""Run a case natively and compare it with the interpreter; and the process that does so for one case after another.

    python -m tests.fuzz.running

It reads lines of JSON, {"seed": 1, "target": "host"} or {"text": "def test_...", "target": "host"}, and answers each
with a line: null if all is well, or else what is wrong. It dies where compiled code crashes.
"""

from __future__ import annotations

import json
import os
import sys
import traceback
from typing import Any

import numpy as np

from chainrule.compiler.blueprint import Kind, blueprint, repeated
from chainrule.compiler.jit import build
from chainrule.compiler.machine import target_named
from chainrule.compiler.program import Program
from chainrule.graph import Graph
from chainrule.tensor import Tensor
from chainrule.testing.compiled import difference, run_program
from chainrule.types import Array
from tests.fuzz.cases import Case, case_of
from tests.fuzz.interleaving import Interleaved
from tests.fuzz.memory import ALLOCATE, apart


def check_case(case: Case, target: str) -> None:
    """Raise `AssertionError` if compiled code and the interpreter differ, or threads or a second run do."""
    with apart(case.guard) as protect:
        made = blueprint(case.graph, target_named(target))
    code = build(list(made.modules.values()), list(made.modules), target_named(target))
    program = Program(made, code, ALLOCATE[case.guard])
    protect(program)
    found = run_program(program, case.graph, case.inputs, case.threads)
    message = difference(case.graph, case.inputs, found)
    assert message is None, message
    again = run_program(program, case.graph, case.inputs, 1)
    for i, (x, y) in enumerate(zip(found, again, strict=True)):
        same = np.asarray(x).tobytes() == np.asarray(y).tobytes()
        assert same, f"result {i} has other bits on {case.threads} threads than on one, or in a second run"
    if case.interleave:
        mixed = run_program(program, case.graph, case.inputs, 4, launch=Interleaved(case.interleave))
        for i, (x, y) in enumerate(zip(found, mixed, strict=True)):
            assert x.tobytes() == y.tobytes(), f"result {i} depends on which thread is first: a barrier is missing"
    if case.loop:
        check_loop(case, Program(repeated(made, moving(case.graph)), code, ALLOCATE[case.guard]), program)


def moving(graph: Graph) -> dict[tuple[Kind, int], int]:
    """All arguments and outputs move on by their size."""
    found: dict[tuple[Kind, int], int] = {}
    kinds: tuple[tuple[Kind, tuple[Tensor, ...]], ...] = (("parameter", graph.inputs), ("output", graph.outputs))
    for kind, nodes in kinds:
        for i, x in enumerate(nodes):
            found[kind, i] = x.size * x.dtype.itemsize
    return found


def check_loop(case: Case, loop: Program, once: Program) -> None:
    """In a loop over arguments of several steps it must do what it does step by step."""
    graph, count = case.graph, case.loop
    position = {id(outside): i for i, (outside, _) in enumerate(graph.captured, len(graph.inputs))}
    steps = [list(case.inputs) for _ in range(count)]
    for i, x in enumerate(case.inputs[: len(graph.inputs)]):
        for step in range(count):  # inputs of later steps differ, where that cannot lead to a bad index
            steps[step][i] = x * step if x.dtype.kind == "f" else x
    state = [None if id(x) not in position else case.inputs[position[id(x)]] for x, _ in graph.assigned]
    expected: list[list[Array]] = []
    for given in steps:
        for (outside, _), value in zip(graph.assigned, state, strict=True):
            if value is not None and id(outside) in position:
                given[position[id(outside)]] = value
        results = run_program(once, graph, given, case.threads)
        expected.append(results[: len(graph.outputs)])
        state = list(results[len(graph.outputs) :])
    inputs = [np.stack([given[i] for given in steps]) for i in range(len(graph.inputs))]
    found = run_loop(loop, graph, [*inputs, *case.inputs[len(graph.inputs) :]], case.threads, count)
    wanted = [np.stack(rows) for rows in zip(*expected, strict=True)] + state
    for i, (x, y) in enumerate(zip(found, wanted, strict=True)):
        assert x.tobytes() == np.asarray(y).tobytes(), f"result {i} of a loop differs from that of single steps"


def run_loop(program: Program, graph: Graph, inputs: list[Array], threads: int, count: int) -> list[Array]:
    """The outputs of all iterations, stacked, and the last values of what is assigned."""
    steps = Graph(
        tuple(Tensor(x.type.with_shape((count, *x.shape)), None) for x in graph.inputs),
        tuple(Tensor(x.type.with_shape((count, *x.shape)), None) for x in graph.outputs),
        graph.captured,
        graph.assigned,
    )
    return run_program(program, steps, inputs, threads, count)


def failure(work: dict[str, Any]) -> str | None:
    """What is wrong with a piece of work."""
    try:
        if "text" in work:
            names: dict[str, Any] = {}
            exec(compile(work["text"], "<case>", "exec"), names)
            names["test_found_by_fuzzing"](work["target"])
        else:
            check_case(case_of(work["seed"]), work["target"])
    except Exception as error:
        place = traceback.extract_tb(error.__traceback__)[-1]
        short = f"{os.path.basename(place.filename)}:{place.lineno}"
        return (
            f"{type(error).__name__}: {error}"
            if isinstance(error, AssertionError) and str(error)
            else (f"{type(error).__name__} in {short}: {error}")
        )
    return None


def main() -> None:
    """Answer lines until there are no more."""
    for line in sys.stdin:
        print(json.dumps(failure(json.loads(line))), flush=True)


if __name__ == "__main__":
    main()
