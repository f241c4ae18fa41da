"""What follows a product of three axes elementwise joins it; sums along residual blocks are not made again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule import losses, ops
from chainrule.compiler.fuse import Fusion
from chainrule.compiler.layout import laid_out
from chainrule.compiler.simplify import simplified
from chainrule.interpret import interpret
from chainrule.nn.functional import gelu
from chainrule.testing import check_compiled
from tests.compiler.programs import V3, floats, graph_of, operations, results_of

X, W, B = floats(2, 3, 4), floats(4, 5), floats(5)


@pytest.mark.parametrize(
    ("function", "examples", "joins"),
    [
        (lambda x, w, b: gelu(x @ w + b), (X, W, B), True),
        (lambda x, w, b: (x @ w + b) * (x @ w).exp(), (X, W, B), True),
        (lambda x, w, c: x @ w * c, (X, W, floats(2, 3, 1)), True),
        (lambda x, w, c: x @ w * c, (X, W, floats(1, 1, 5)), True),
        (lambda x, w, c: x @ w * c, (X, W, floats(3, 5)), False),
        (lambda x, w, c: x @ w * c, (X, W, floats(2, 3, 5)), False),
    ],
)
def test_what_is_elementwise_joins_the_product(
    function: Callable[..., Any], examples: tuple[Any, ...], joins: bool
) -> None:
    graph = graph_of(lambda *inputs: function(*inputs).reshape((6, 5)), *examples)
    ir = simplified(graph)
    ir.verify()
    for found, expected in zip(results_of(ir, examples), interpret(graph, examples), strict=True):
        np.testing.assert_array_equal(found, expected)
    kinds = [group.kind for group in Fusion(laid_out(simplified(graph), V3)).run()]
    assert (kinds == ["product"]) == joins
    check_compiled(graph, examples)


def test_slices_that_fill_a_tensor_have_gradients_that_are_concatenated() -> None:
    def pulled(x: Any, a: Any, b: Any, c: Any) -> Any:
        return cr.vjp(lambda x: tuple(ops.split(x, [1, 2, 2], -1)), x)[1]((a, b, c))[0]

    examples = (floats(3, 5), floats(3, 1), floats(3, 2), floats(3, 2))
    graph = graph_of(pulled, *examples)
    assert operations(simplified(graph)) == ["concat"]
    check_compiled(graph, examples)


def test_a_chain_of_sums_is_not_made_again_in_every_block() -> None:
    def blocks(x: Any, *weights: Any) -> Any:
        for w in weights:
            x = x + (x - x.max(axis=-1, keepdims=True)) @ w
        return x

    step = cr.compile(blocks)
    inputs = [floats(64, 64), *([floats(64, 64) / 64] * 6)]
    np.testing.assert_allclose(step(*inputs).numpy(), blocks(*map(cr.tensor, inputs)).numpy(), rtol=1e-4, atol=1e-4)
    matrices = [row.bytes / row.count / (64 * 64 * 4) for row in step.kernels.rows]
    assert max(matrices) < 7


def test_cross_entropy_over_many_classes_needs_memory_for_logits_and_their_gradient_alone() -> None:
    examples = (floats(16, 4), floats(4, 70_000), np.arange(16))

    def loss(h: Any, w: Any, target: Any) -> Any:
        return losses.cross_entropy(h @ w, target)

    step = cr.compile(cr.value_and_grad(loss))
    found, wanted = step(*examples), cr.value_and_grad(loss)(*examples)
    np.testing.assert_allclose(found[0].numpy(), wanted[0].numpy(), rtol=1e-5)
    np.testing.assert_allclose(found[1].numpy(), wanted[1].numpy(), rtol=1e-3, atol=1e-5)
    assert step.kernels.arena < 2.1 * 16 * 70_000 * 4
