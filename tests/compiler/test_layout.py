"""Where tensors lie: every view says where its elements are, and only what strides cannot say is copied."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule.compiler.ir import Ir
from chainrule.compiler.layout import dense, laid_out, order_of
from chainrule.compiler.simplify import simplified
from chainrule.interpret import interpret
from chainrule.native.operand import Strided, row_major
from chainrule.testing.rounding import same_bits
from tests.compiler.programs import V2, V3, V4, floats, graph_of, looked_at, operations, results_of, stored, values_of
from tests.fuzz.cases import case_of

X = floats(4, 6)


def laid(function: Callable[..., Any], *examples: Any, target: Any = V3) -> Ir:
    return laid_out(simplified(graph_of(function, *examples)), target)


def assert_in_place(ir: Ir, inputs: list[Any]) -> None:
    """What each node sees through its place in the buffer of its base is its value."""
    ir.verify()
    values = values_of(ir, inputs)
    for node in ir.nodes:
        if isinstance(node.type, tuple):
            continue
        if node.base is node:
            flat = stored(values[node], node.place) if node.op is not None else np.asarray(values[node])
            everywhere = looked_at(np.arange(node.type.size), node.place)
            assert sorted(everywhere.reshape(-1)) == list(range(node.type.size))
        else:
            assert node.base.base is node.base
            flat = stored(values[node.base], node.base.place)
        assert same_bits(np.asarray(looked_at(flat, node.place)), values[node]).all(), node
    for x in ir.results:
        assert x.base is x and x.op is not None and x.place.is_contiguous
    assert len({id(x) for x in ir.results}) == len(ir.results)


@pytest.mark.parametrize("first", range(0, 150, 30))
@pytest.mark.parametrize("target", [V2, V4], ids=lambda t: t.cpu)
def test_views_of_random_programs_see_what_they_should(first: int, target: Any) -> None:
    for seed in range(first, first + 30):
        case = case_of(seed)
        before = simplified(case.graph)
        expected = results_of(before, case.inputs)
        ir = laid_out(before, target)
        assert_in_place(ir, case.inputs)
        for found, plain in zip(results_of(ir, case.inputs), expected, strict=True):
            assert same_bits(found, plain).all(), seed


@pytest.mark.parametrize(
    ("function", "copies"),
    [
        (lambda x: x + 1.0, 0),
        (lambda x: (x.T[::-1, 1:] * 2.0).reshape(6, 3) + 0.5, 1),  # the result, which lies in another order
        (lambda x: (x.T[::-1, 1:] * 2.0).reshape(6, 3).sum(), 0),
        (lambda x: x.T, 1),  # a result has a buffer of its own
        (lambda x: x, 1),
        (lambda x: (x * 2.0,) * 2, 1),
        (lambda x: x.T.reshape(24) + 1.0, 1),  # the elements are not in that order
        (lambda x: x[:, ::2].reshape(2, 6) + 1.0, 0),
        (lambda x: x[:, 1:].reshape(20) + 1.0, 1),
        (lambda x: cr.broadcast_to(x[0], (4, 6)).reshape(24) + 1.0, 1),
    ],
)
def test_only_what_strides_cannot_say_is_copied(function: Callable[..., Any], copies: int) -> None:
    ir = laid(function, X)
    assert_in_place(ir, [X])
    assert operations(ir).count("identity") == copies
    for found, expected in zip(results_of(ir, [X]), interpret(graph_of(function, X), [X]), strict=True):
        np.testing.assert_array_equal(found, expected)


def test_elementwise_results_lie_as_what_they_are_computed_from() -> None:
    ir = laid(lambda x: (x.T * 2.0).exp().sum(axis=0) + 1.0, X)
    doubled = next(x for x in ir.nodes if x.op is not None and x.op.name == "multiply")
    assert (doubled.type.shape, doubled.place.strides) == ((6, 4), (1, 6))


def test_a_gradient_of_weights_lies_as_the_weights_do() -> None:
    w = cr.tensor(floats(30, 20))

    def step(x: Any, ct: Any) -> None:
        w.assign(w - 0.1 * (x.T @ ct).T)

    ir = laid(step, floats(50, 20), floats(50, 30))
    product = next(x for x in ir.nodes if x.op is not None and x.op.name == "matmul")
    assert (product.type.shape, product.place.strides) == ((20, 30), (1, 20))
    assert operations(ir).count("identity") == 0


def test_a_product_over_axes_that_are_not_one_walk_has_copies() -> None:
    x = floats(4, 5, 6, 7)
    ir = laid(lambda x: cr.permute_dims(x, (1, 0, 2, 3)) @ cr.permute_dims(x, (1, 0, 3, 2)), x)
    assert_in_place(ir, [x])
    product = next(x for x in ir.nodes if x.op is not None and x.op.name == "matmul")
    assert all(v.op is not None and v.op.name == "identity" for v in product.inputs)


def test_orders_and_places() -> None:
    assert dense((2, 3, 4), (2, 0, 1)) == Strided((2, 3, 4), (3, 1, 6))
    assert dense((2, 0), (0, 1)).strides == (1, 1)
    assert order_of(Strided((2, 3, 4), (3, 1, 6))) == (2, 0, 1)
    assert order_of(Strided((2, 1, 4), (1, 0, -2))) == (2, 1, 0)
    assert order_of(row_major((2, 3))) == (0, 1)
