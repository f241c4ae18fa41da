"""The fuzzer finds what is wrong, makes it small, and prints it."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule.apply import apply
from chainrule.compiler.build import built
from chainrule.graph import Graph
from chainrule.interpret import interpret
from chainrule.kernel import Map, Reduce
from chainrule.op import REGISTRY
from chainrule.state import Tracing, recording, tracing
from chainrule.tensor import Tensor
from chainrule.testing import check_compiled, random_graph, random_inputs
from chainrule.testing.compiled import difference, run_program
from chainrule.testing.rounding import rounded, same_bits, spread
from chainrule.trace import trace
from chainrule.types import TensorType, float32
from tests.fuzz.cases import Case, case_of
from tests.fuzz.memory import ALLOCATE
from tests.fuzz.printing import text_of
from tests.fuzz.running import check_case, failure
from tests.fuzz.shrinking import shrunk
from tests.fuzz.workers import Worker


@pytest.fixture
def with_kernel() -> Iterator[Callable[[str, Any], None]]:
    """Gives operations other kernels."""
    before = {op: op.kernel for op in REGISTRY.values()}
    yield lambda name, kernel: object.__setattr__(REGISTRY[name], "kernel", kernel)
    for op, kernel in before.items():
        object.__setattr__(op, "kernel", kernel)


def graph_of(function: Any, *arrays: Any) -> tuple[Graph, list[Any]]:
    return trace(function)(*arrays), [*arrays]


X = np.linspace(-2, 2, 60, dtype=np.float32).reshape(5, 12)


def test_equal_programs_pass() -> None:
    for function in (lambda x: (x + 1).exp().sum(axis=0), lambda x: x @ x.T, lambda x: cr.floor(x[::-1])):
        graph, inputs = graph_of(function, X)
        check_compiled(graph, inputs)
        check_compiled(graph, inputs, target="x86-64-v2", threads=3)


def test_one_wrong_bit_of_an_exact_operation_is_found(with_kernel: Any) -> None:
    with_kernel("add", Map(lambda v, x, y: (x + y) * 1.0000001))
    graph, inputs = graph_of(lambda x: (x * 2.0 + 0.3).reshape(60)[3:], X)
    with pytest.raises(AssertionError, match=r"(?s)compiled for host, result 0 .*slice.* differs in .*add"):
        check_compiled(graph, inputs)


def test_a_function_that_is_a_few_ulps_off_is_right_and_one_that_is_more_is_not(with_kernel: Any) -> None:
    exp: Any = REGISTRY["exp"].kernel
    for factor, right in ((1.0000003, True), (1.00001, False)):
        with_kernel("exp", Map(lambda v, x, factor=factor: exp.body(v, x) * factor, 20))
        if right:
            check_compiled(*graph_of(lambda x: x.exp() * 2.0 - 1.0, X))
        else:
            with pytest.raises(AssertionError, match="exp"):
                check_compiled(*graph_of(lambda x: x.exp() * 2.0 - 1.0, X))


def test_a_sum_in_another_order_is_right_and_one_without_a_term_is_not(with_kernel: Any) -> None:
    sum_: Any = REGISTRY["sum"].kernel
    check_compiled(*graph_of(lambda x: x.sum(), X))
    with_kernel("sum", Reduce(lambda dtype: 0.001, sum_.combine))
    with pytest.raises(AssertionError, match="sum"):
        check_compiled(*graph_of(lambda x: x.sum(), X))


def test_what_only_differs_beside_other_results_is_found_as_well() -> None:
    graph, inputs = graph_of(lambda x: (x * 2.0, x + 1.0), X)
    found = interpret(graph, inputs)
    assert difference(graph, inputs, found) is None
    found[1] = found[1] + np.float32(0.5)
    message = difference(graph, inputs, found)
    assert message is not None and message.startswith("result 1 (%3 = add, f32[5, 12]) differs in 60 of 60 elements")
    assert "is float32[60]" in str(difference(graph, inputs, [found[0], found[1].ravel()]))


def test_numbers_near_a_jump_are_undecided() -> None:
    """floor(exp(log(n))) is n or n - 1."""
    x = np.arange(1.0, 20.0, dtype=np.float32)
    graph, inputs = graph_of(lambda x: (cr.floor(x.log().exp()), cr.floor(x)), x)
    (_, jumping), (_, steady) = spread(graph, inputs, 64)
    assert (jumping > 0).all() and (steady == 0).all()
    plain = interpret(graph, inputs)
    assert difference(graph, inputs, [plain[0] - 1, plain[1]]) is None
    assert difference(graph, inputs, [plain[0] - 30, plain[1]]) is not None
    assert difference(graph, inputs, [plain[0], plain[1] - 1]) is not None


def test_a_sum_that_happens_to_be_zero_has_its_error_and_one_of_zeros_has_none() -> None:
    x = np.array([[1.0, 1.0, -2.0], [0.0, 0.0, 0.0]], np.float32)
    graph, inputs = graph_of(lambda x: x @ np.ones((3, 1), np.float32), x)
    ((values, found),) = spread(graph, inputs, 16)
    assert (values == 0).all() and found[0] > 1e-8 and found[1] < 1e-300  # nothing but the sign


def test_signs_of_zero_and_infinities_count_and_bits_of_nan_do_not() -> None:
    graph, inputs = graph_of(lambda x: x * 1.0, np.array([0.0, np.inf, np.nan, 1.0]))
    plain = interpret(graph, inputs)[0]
    assert same_bits(plain, np.array([0.0, np.inf, -np.nan, 1.0])).all()
    for place, value in ((0, -0.0), (1, -np.inf), (1, np.nan), (2, 1.0), (3, np.nan), (3, np.inf)):
        wrong = plain.copy()
        wrong[place] = value
        assert difference(graph, inputs, [wrong]) is not None, value


def test_without_errors_it_is_the_interpreter() -> None:
    for seed in range(40):
        case = case_of(seed)
        for x, y in zip(rounded(case.graph, case.inputs, None), interpret(case.graph, case.inputs), strict=True):
            assert same_bits(x, y).all()
        shapes = [(x.dtype, x.shape) for x in interpret(case.graph, case.inputs)]
        noisy = rounded(case.graph, case.inputs, np.random.default_rng(0))
        assert [(x.dtype, x.shape) for x in noisy] == shapes


def test_code_that_changes_its_input_is_found() -> None:
    graph, inputs = graph_of(lambda x: x * 1.5, X)
    program = built(graph, "host")

    def launch(_: Any) -> None:
        np.ctypeslib.as_array((np.ctypeslib.ctypes.c_float * 1).from_address(program.pointers["parameter", 0])).fill(
            9.0
        )

    with pytest.raises(AssertionError, match="changes input 0"):
        run_program(program, graph, inputs, 1, launch=launch)


@pytest.mark.parametrize(("kind", "place"), [("end", "size"), ("start", "-1")])
def test_who_touches_memory_outside_of_a_buffer_dies(kind: str, place: str) -> None:
    code = f"""if True:
        import ctypes
        from tests.fuzz.memory import ALLOCATE
        for size in (1, 8, 4096, 5000):
            x = ALLOCATE[{kind!r}](size)
            x[:] = 1
        print("fine", flush=True)
        ctypes.c_char.from_address(x.ctypes.data + {place}).value
        print("alive", flush=True)
    """
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert found.returncode < 0 and found.stdout == "fine\n"


def test_zeros_that_are_set_beside_others_may_keep_their_sign() -> None:
    parts = [np.array([[0.0, -0.0, 1.0]], np.float32), np.array([[-0.0, 0.0, 2.0]], np.float32)]

    def beside(x: Any, y: Any) -> Any:
        return cr.pad(x, [(0, 1), (0, 0)]) + cr.pad(y, [(1, 0), (0, 0)])

    check_compiled(*graph_of(beside, *parts))
    check_compiled(*graph_of(lambda x, y: beside(x, y)[:1] + x, *parts))


def test_memory_is_not_zero_before_it_is_written() -> None:
    assert all((allocate(100) == 0xFF).all() for allocate in ALLOCATE.values())


def test_a_worker_reports_what_is_wrong_and_survives_what_kills_it() -> None:
    with Worker() as worker:
        assert worker.run(seed=0, target="host") is None
        text = "def test_found_by_fuzzing(target):\n    {}"
        assert worker.run(text=text.format("assert target == 'here'"), target="here") is None
        assert worker.run(text=text.format("assert False, 'no'"), target="host") == "AssertionError: no"
        assert "ZeroDivisionError" in str(worker.run(text=text.format("1 / 0"), target="host"))
        died = worker.run(text=text.format("import os; os.abort()"), target="host")
        assert died == "the process died: SIGABRT"
        assert worker.run(text=text.format("pass"), target="host") is None


def test_printed_cases_are_the_same_programs() -> None:
    for seed in range(30):
        case = case_of(seed)
        names: dict[str, Any] = {}
        text = text_of(case).replace("    check_case(", "    return (")
        exec(compile(text, "<case>", "exec"), names)
        again, _ = names["test_found_by_fuzzing"]()
        assert [x.dtype for x in again.inputs] == [x.dtype for x in case.inputs]
        assert dataclasses.replace(again, graph=case.graph, inputs=case.inputs) == case
        for x, y in zip(interpret(again.graph, again.inputs), interpret(case.graph, case.inputs), strict=True):
            assert same_bits(x, y).all(), seed


def test_a_failing_program_is_made_small() -> None:
    """Whatever holds a product that is read by a sum is taken to fail."""

    def fails(case: Case) -> bool:
        interpret(case.graph, case.inputs)  # it must be valid
        found = [x for x in case.graph.nodes if x.op is not None and x.op.name == "sum"]
        return any(y.op is not None and y.op.name == "multiply" for x in found for y in x.inputs)

    tried = 0
    for seed in range(200):
        case = case_of(seed)
        if fails(case):
            small = shrunk(case, fails)
            assert sum(x.op is not None for x in small.graph.nodes) == 2
            assert (small.guard, small.loop, small.interleave, small.threads) == ("", 0, 0, 1)
            assert len(small.graph.results) == 1
            assert all(n <= 1 for x in small.graph.nodes for n in x.shape)
            check_case(small, "host")
            tried += 1
    assert tried > 5


def test_failures_say_where_they_come_from() -> None:
    found = failure({"text": "def test_found_by_fuzzing(target):\n    raise ValueError('why')", "target": "host"})
    assert found == "ValueError in <case>:2: why"


def test_graphs_of_longer_axes() -> None:
    sizes = {
        n for seed in range(20) for x in random_graph(seed, longest=40).nodes for n in getattr(x.type, "shape", ())
    }
    assert max(sizes) > 25 and {0, 1, 2, 3} <= sizes
    graph = random_graph(1, longest=40)
    check_compiled(graph, random_inputs(graph, 1))


def test_an_operation_of_ones_own_is_compared_as_any_other(monkeypatch: pytest.MonkeyPatch) -> None:
    mine = dataclasses.replace(REGISTRY["negative"], name="mine", kernel=Map(lambda v, x: -x))
    monkeypatch.setitem(REGISTRY, "mine", mine)
    with tracing(Tracing()), recording(True):
        x = Tensor(TensorType(float32, (3,)), None)
        graph = Graph((x,), (apply(mine, x),))
    check_compiled(graph, [np.ones(3, np.float32)])


def test_a_bad_index_is_an_error_of_compiled_code_too() -> None:
    graph, inputs = graph_of(lambda x, i: x[i], X, np.array([7]))
    with pytest.raises(IndexError, match="outside of its axis"):
        check_compiled(graph, inputs)


@pytest.mark.parametrize(
    ("wrong_if", "words"),
    [
        (lambda graph: len(graph.outputs) == 1, r"alone, the first node that differs is %0 = <op exp>"),
        (lambda graph: graph.outputs[0].op.name == "sum", r"alone, the first node that differs is %1 = <op sum>"),
        (lambda graph: len(graph.nodes) == 3, r"with all nodes as results, result 0"),
    ],
)
def test_the_first_node_that_differs_is_found(wrong_if: Any, words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def run(graph: Graph, inputs: Any, **_: Any) -> Any:
        return [x + np.float32(wrong_if(graph)) for x in interpret(graph, inputs)]

    monkeypatch.setattr("chainrule.testing.compiled.run_compiled", run)
    with pytest.raises(AssertionError, match=words):
        check_compiled(*graph_of(lambda x: x.exp().sum(), X))


def test_what_takes_several_nodes_together_is_said_to(monkeypatch: pytest.MonkeyPatch) -> None:
    whole, inputs = graph_of(lambda x: x.exp().sum(), X)

    def run(graph: Graph, inputs: Any, **_: Any) -> Any:
        return [x + np.float32(graph is whole) for x in interpret(graph, inputs)]

    monkeypatch.setattr("chainrule.testing.compiled.run_compiled", run)
    with pytest.raises(AssertionError, match="no node differs alone"):
        check_compiled(whole, inputs)


def test_parts_that_do_not_compile_are_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    whole, inputs = graph_of(lambda x: x.exp().sum(), X)

    def run(graph: Graph, inputs: Any, **_: Any) -> Any:
        if graph is whole:
            return [x + 1 for x in interpret(graph, inputs)]
        raise RuntimeError("no code")

    monkeypatch.setattr("chainrule.testing.compiled.run_compiled", run)
    with pytest.raises(AssertionError, match="with all nodes as results, RuntimeError: no code"):
        check_compiled(whole, inputs)
