"""Programs in memory: where arguments are put in, loops, and errors."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule.compiler.blueprint import VARIABLE, Repeat, blueprint, repeated
from chainrule.compiler.build import built
from chainrule.compiler.jit import build
from chainrule.compiler.machine import host_target
from chainrule.compiler.program import Program, aligned
from chainrule.errors import IndexingError
from chainrule.interpret import interpret
from chainrule.tensor import tensor
from chainrule.testing.compiled import run_program
from tests.compiler.programs import V3, floats, graph_of

X = floats(6, 10)


def test_memory_starts_at_a_cache_line() -> None:
    for size in (1, 63, 1000):
        made = aligned(size, np.float32)
        assert made.ctypes.data % 64 == 0 and made.shape == (size,) and made.dtype == np.float32


def put(program: Program, **arrays: Any) -> None:
    for kind, given in arrays.items():
        for i, x in enumerate(given):
            program.put((kind, i), x.ctypes.data)


@pytest.fixture(autouse=True)
def as_many_threads_as_before() -> Any:
    before = cr.get_threads()
    yield
    cr.set_threads(before)


def test_arguments_can_be_put_in_anew_and_threads_changed() -> None:
    program = built(graph_of(lambda x: x * 2.0 + 1.0, X), "host")
    for threads in (1, 3, 2):
        cr.set_threads(threads)
        for x in (X, X + 1):
            out = np.empty_like(X)
            put(program, parameter=[x], output=[out])
            program.run()
            np.testing.assert_array_equal(out, x * 2 + 1)
    x = X * 5
    put(program, parameter=[x])
    program.run()
    np.testing.assert_array_equal(out, x * 2 + 1)


def test_a_program_in_a_loop_moves_on_and_starts_from_the_front_again() -> None:
    total = tensor(np.zeros(10, np.float32))

    def step(x: Any) -> Any:
        total.assign(total + x)
        return total * 2.0

    graph = graph_of(step, X[0])
    program = built(graph, "host", {("parameter", 0): 40, ("output", 0): 40})
    assert isinstance(program.blueprint.calls[0], Repeat) and program.blueprint.calls[0].count == VARIABLE
    state, out = aligned(10, np.float32), np.zeros((6, 10), np.float32)
    put(program, parameter=[X, state], output=[out])
    for threads, count in ((1, 6), (2, 6), (2, 3), (3, 1), (1, 0)):
        cr.set_threads(threads)
        state[:] = 0
        out[:] = 0
        program.run(count)
        np.testing.assert_allclose(state, X[:count].sum(axis=0), rtol=1e-6, atol=1e-6)
        np.testing.assert_allclose(out[:count], 2 * X[:count].cumsum(axis=0), rtol=1e-5, atol=1e-6)
        assert (out[count:] == 0).all()


def test_loops_within_loops_move_on_and_return() -> None:
    def outer(c: Any, rows: Any) -> Any:
        total, partial = cr.scan(lambda a, b: (a * 0.5 + b, a), c, rows, reverse=True)
        return total, partial.sum() + total

    graph = graph_of(lambda x: cr.scan(outer, np.float32(0.5), x), X)
    program = built(graph, "host", {("parameter", 0): X.nbytes, ("output", 0): 4, ("output", 1): 24})
    many = np.stack([X, X * 2, X - 1])
    last, sums = np.zeros(3, np.float32), np.zeros((3, 6), np.float32)
    put(program, parameter=[many], output=[last, sums])
    for _ in range(2):
        program.run(3)
        for n in range(3):
            expected = cr.scan(outer, np.float32(0.5), many[n])
            np.testing.assert_allclose(last[n], expected[0].numpy(), rtol=1e-5)
            np.testing.assert_allclose(sums[n], expected[1].numpy(), rtol=1e-5)


def test_a_bad_index_is_told_once() -> None:
    program = built(graph_of(lambda x, i: x[i], X, np.array([0])), "host")
    out = np.zeros((1, 10), np.float32)
    good, bad = np.array([-1]), np.array([6])
    put(program, parameter=[X, bad], output=[out])
    with pytest.raises(IndexingError):
        program.run()
    put(program, parameter=[X, good])
    program.run()
    np.testing.assert_array_equal(out[0], X[5])


@pytest.mark.parametrize("size", [1, 2, 3, 5, 9, 17, 33, 65])
@pytest.mark.parametrize(
    "function",
    [
        lambda x: x.cast("int32"),
        lambda x: x.cast("uint8"),
        lambda x: x.cast("float32").cast("bfloat16"),
        lambda x: x > 1,
        lambda x: x.cast("uint8").reshape(1, -1).T @ cr.ones((1, 1), dtype="uint8"),
        lambda x: cr.ones((1, 1), dtype="uint8") @ x.cast("uint8").reshape(1, -1),
    ],
)
def test_narrow_numbers_are_written_nowhere_but_in_their_places(function: Any, size: int) -> None:
    blocks: list[Any] = []

    def allocate(bytes: int) -> Any:
        blocks.append(np.full(bytes + 128, 0xA5, np.uint8))
        return blocks[-1][64 : 64 + bytes]

    graph = graph_of(function, np.arange(size))
    made = blueprint(graph, host_target())
    program = Program(made, build(list(made.modules.values()), list(made.modules), host_target()), allocate)
    (found,) = run_program(program, graph, [np.arange(size)], 2)
    np.testing.assert_array_equal(found, interpret(graph, [np.arange(size)])[0])
    assert all((x[:64] == 0xA5).all() and (x[-64:] == 0xA5).all() for x in blocks)


def test_a_blueprint_is_plain_data_and_the_same_each_time() -> None:
    def step(x: Any) -> Any:
        return cr.scan(lambda c, row: (cr.tanh(c @ row), c.sum()), x, cr.stack([x, x * 2.0]))

    graph = graph_of(step, floats(8, 8))
    first, second = blueprint(graph, V3), blueprint(graph, V3)
    assert (first.calls, first.modules, first.memory, first.scratch) == (
        second.calls,
        second.modules,
        second.memory,
        second.scratch,
    )
    assert repeated(first, {}).calls[0] == repeated(second, {}).calls[0]


def test_large_constants_are_kept_and_small_ones_are_in_the_code() -> None:
    table = floats(300)
    made = blueprint(graph_of(lambda x: x * 2.0 + table, floats(300)), V3)
    assert [c.size for c in made.constants] == [300]
