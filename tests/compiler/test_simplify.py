"""Simplified programs compute the same bits with fewer operations."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule.calls import checkpoint
from chainrule.compiler.simplify import LARGEST_FOLDED, simplified
from chainrule.interpret import interpret
from chainrule.ops import random_bits
from chainrule.testing.rounding import same_bits, spread
from tests.compiler.programs import floats, graph_of, operations, results_of
from tests.fuzz.cases import case_of

X, ROW = floats(3, 4), floats(4)
SPECIAL = np.array([0.0, -0.0, np.inf, -np.inf, np.nan, 1e-45, -1e-45, 3e38, 1.0, -2.5], np.float32)


@pytest.mark.parametrize(
    ("function", "left"),
    [
        (lambda x: x * 1.0, []),
        (lambda x: 1.0 * x, []),
        (lambda x: x / 1.0, []),
        (lambda x: cr.negative(cr.negative(x)), []),
        (lambda x: x.detach(), []),
        (lambda x: x.cast("float32"), []),
        (lambda x: cr.where(x > 0, x, x), []),
        (lambda x: x + (-x * 2.0), ["broadcast_to", "negative", "multiply", "add"]),
        (lambda x: x * 2.0 + (-x), ["broadcast_to", "multiply", "subtract"]),
        (lambda x: (-x) + x * 2.0, ["broadcast_to", "multiply", "subtract"]),
        (lambda x: x / 4.0, ["broadcast_to", "multiply"]),
        (lambda x: x / -0.125, ["broadcast_to", "multiply"]),
        (lambda x: x / 3.0, ["broadcast_to", "divide"]),
        (lambda x: x / 2.0**-120, ["broadcast_to", "divide"]),
        (lambda x: x / 0.0, ["broadcast_to", "divide"]),
        (lambda x: x.exp() + x.exp(), ["exp", "add"]),
        (lambda x: x + np.float32(2.0) * np.float32(3.0), ["broadcast_to", "add"]),
        (lambda x: x * 0.0 + x * -0.0, ["broadcast_to", "multiply", "broadcast_to", "multiply", "add"]),
    ],
)
def test_elementwise_rewrites_keep_every_bit(function: Callable[..., Any], left: list[str]) -> None:
    graph = graph_of(function, SPECIAL)
    ir = simplified(graph)
    ir.verify()
    assert sorted(operations(ir)) == sorted(left)
    for x in (SPECIAL, SPECIAL[::-1].copy()):
        for found, expected in zip(results_of(ir, [x]), interpret(graph, [x]), strict=True):
            assert same_bits(found, expected).all()


@pytest.mark.parametrize(
    ("function", "left"),
    [
        (lambda x: x.reshape(2, 6).reshape(12).reshape(4, 3), ["reshape"]),
        (lambda x: x.reshape(12).reshape(3, 4), []),
        (lambda x: x.T.T, []),
        (
            lambda x: cr.permute_dims(cr.permute_dims(x.reshape(3, 2, 2), (1, 2, 0)), (1, 0, 2)),
            ["reshape", "permute_dims"],
        ),
        (lambda x: cr.broadcast_to(cr.broadcast_to(x, (2, 3, 4)), (5, 2, 3, 4)), ["broadcast_to"]),
        (lambda x: cr.broadcast_to(x, (3, 4)), []),
        (lambda x: x.reshape(3, 1, 4).sum(axis=1), []),
        (lambda x: x.reshape(3, 1, 4).max(axis=1, keepdims=True), ["reshape"]),
        (lambda x: x.reshape(3, 4, 1).sum(axis=2).T, ["permute_dims"]),
        (lambda x: x + cr.broadcast_to(np.float32(2.0), (4, 3)).T, ["broadcast_to", "add"]),
        (lambda x: x + cr.broadcast_to(np.float32(2.0), (12,)).reshape(3, 4), ["broadcast_to", "add"]),
        (lambda x: x + cr.broadcast_to(np.full((1, 1), 2.0, np.float32), (3, 4)), ["broadcast_to", "add"]),
    ],
)
def test_layout_rewrites_keep_every_element(function: Callable[..., Any], left: list[str]) -> None:
    graph = graph_of(function, X)
    ir = simplified(graph)
    ir.verify()
    assert operations(ir) == left
    np.testing.assert_array_equal(results_of(ir, [X])[0], interpret(graph, [X])[0])


@pytest.mark.parametrize(("size", "left"), [(10, []), (LARGEST_FOLDED, []), (LARGEST_FOLDED + 1, ["exp", "tanh"])])
def test_constants_are_worked_out_unless_they_are_large(size: int, left: list[str]) -> None:
    graph = graph_of(lambda x: x + cr.tanh(cr.exp(-cr.arange(size, dtype="float32"))).sum(), 1.0)
    ir = simplified(graph)
    assert [name for name in operations(ir) if name in ("exp", "tanh")] == left
    np.testing.assert_array_equal(results_of(ir, [np.float32(1.0)]), interpret(graph, [np.float32(1.0)]))


def test_draws_of_one_state_are_one_and_others_are_not() -> None:
    def draw(state: Any) -> Any:
        return random_bits(state, (3,), 8) + random_bits(state, (3,), 8) + random_bits(state, (3,), 9)

    assert operations(simplified(graph_of(draw, np.array([1, 2])))).count("random_bits") == 2


def test_equal_numbers_of_other_types_are_not_one() -> None:
    ir = simplified(
        graph_of(lambda x, i: (x + 1.0, x.cast("float64") + 1.0, i + 1, x * 0.0, x * -0.0), X, np.arange(3))
    )
    found = results_of(ir, [X, np.arange(3)])
    assert [x.dtype for x in found] == [np.float32, np.float64, np.int64, np.float32, np.float32]
    assert (np.signbit(found[3]) != np.signbit(found[4])).all()


def test_what_a_checkpoint_makes_again_is_made_again() -> None:
    def loss(x: Any) -> Any:
        return checkpoint(lambda x: cr.exp(cr.tanh(x)).sum())(x)

    gradient = simplified(graph_of(cr.grad(loss), X))
    both = simplified(graph_of(cr.value_and_grad(loss), X))
    assert operations(gradient).count("exp") == 1
    assert operations(both).count("exp") == 2 and operations(both).count("tanh") == 2
    assert "identity" not in operations(both) and "checkpoint" not in operations(both)


def test_one_label_of_a_row_is_taken_without_gathering_where_it_is_inside_for_sure() -> None:
    def loss(x: Any, y: Any) -> Any:
        return cr.losses.cross_entropy(x, y)

    labels = np.array([1, 3, 0])
    ir = simplified(graph_of(cr.value_and_grad(loss), X, labels))
    names = operations(ir)
    assert not {"take_along_axis", "add_along_axis"} & set(names)
    graph = graph_of(cr.value_and_grad(loss), X, labels)
    for found, expected in zip(results_of(ir, [X, labels]), interpret(graph, [X, labels]), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-6)

    def unknown(x: Any, y: Any) -> Any:
        return cr.take_along_axis(x, y.reshape(3, 1), axis=1)

    assert "take_along_axis" in operations(simplified(graph_of(unknown, X, labels)))


@pytest.mark.parametrize("first", range(0, 120, 30))
def test_random_programs_keep_their_results(first: int) -> None:
    for seed in range(first, first + 30):
        case = case_of(seed)
        ir = simplified(case.graph)
        ir.verify()
        assert len(operations(ir)) <= 4 * sum(1 for _ in case.graph.nodes) + 50
        found = results_of(ir, case.inputs)
        for x, (plain, apart) in zip(found, spread(case.graph, case.inputs, 8), strict=True):
            close = np.abs(np.nan_to_num(x.astype(float) - plain.astype(float))) <= 4 * apart
            assert (same_bits(x, plain) | close).all(), f"{seed}\n{case.graph}"


@pytest.mark.parametrize("name", ["sum", "max", "min", "any", "all"])
def test_a_large_reduction_over_the_outermost_axis_and_others_has_two_stages(name: str) -> None:
    x = np.random.default_rng(0).standard_normal((8, 3, 40, 40)).astype(np.float32)
    x = x > 1.0 if name in ("any", "all") else x
    ir = simplified(graph_of(lambda x: getattr(cr, name)(x, (0, 2, 3)), x))
    assert [node.attributes["axes"] for node in ir.nodes if node.op is not None] == [(2, 3), (0,)]
    np.testing.assert_allclose(results_of(ir, [x])[0], getattr(x, name)((0, 2, 3)), rtol=1e-4, atol=1e-2)


@pytest.mark.parametrize(("shape", "axes"), [((8, 40, 40), (1, 2)), ((8, 3, 4, 4), (0, 2, 3)), ((2, 100, 100), (0, 1))])
def test_other_reductions_have_one_stage(shape: tuple[int, ...], axes: tuple[int, ...]) -> None:
    assert operations(simplified(graph_of(lambda x: x.sum(axes), np.ones(shape, np.float32)))) == ["sum"]


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 2, 0)])
def test_gradients_of_the_parts_of_a_tensor_are_set_side_by_side(order: tuple[int, ...]) -> None:
    def function(x: Any, a: Any, b: Any, c: Any) -> Any:
        parts, found = cr.split(x, [1, 2, 3], 1), []
        for i in order:
            found.append((parts[i] * (a, b, c)[i]).sum())
        return sum(found[1:], found[0])

    graph = graph_of(cr.grad(function), floats(4, 6), floats(4, 1), floats(4, 2), floats(4, 3))
    ir = simplified(graph)
    assert operations(ir)[-1] == "concat" and "pad" not in operations(ir) and len(ir.results[0].inputs) == 3
    expected = np.concatenate([floats(4, 1), floats(4, 2), floats(4, 3)], 1)
    (found,) = results_of(ir, [floats(4, 6), floats(4, 1), floats(4, 2), floats(4, 3)])
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize(
    "function",
    [
        lambda x, y: cr.pad(x, [(0, 0), (0, 3)]) + cr.pad(y, [(0, 0), (3, 0)]),  # they overlap
        lambda x, y: cr.pad(x, [(0, 0), (0, 4)]) + cr.pad(y, [(0, 0), (4, 0)], value=1.0),
        lambda x, y: cr.pad(x, [(0, 3), (0, 4)]) + cr.pad(y, [(3, 0), (4, 0)]),  # corner to corner
    ],
)
def test_padded_tensors_that_do_not_fill_a_whole_are_added(function: Callable[..., Any]) -> None:
    graph = graph_of(function, floats(3, 4), floats(3, 4))
    assert "concat" not in operations(simplified(graph))
