"""What is done to the derivative of max pooling is done before its cotangents are placed."""

from collections.abc import Callable

import numpy as np
import pytest

import chainrule as cr
from chainrule.compiler.ir import Node
from chainrule.compiler.simplify import simplified
from chainrule.nn import functional as F
from chainrule.testing.rounding import same_bits
from chainrule.trace import trace
from chainrule.types import Array

RNG = np.random.default_rng(0)
X = RNG.normal(size=(3, 4, 9, 8)).astype(np.float32)
X[0, 0, 0, 0] = np.nan


def gradients(pool: Callable[[cr.Tensor], cr.Tensor]) -> Callable[[Array], tuple[cr.Tensor, cr.Tensor]]:
    def of(x: Array) -> tuple[cr.Tensor, cr.Tensor]:
        def forward(x: cr.Tensor, bias: cr.Tensor) -> cr.Tensor:
            return pool(cr.relu(x + bias.reshape((4, 1, 1))))

        y, pullback = cr.vjp(forward, x, np.zeros(4, np.float32))
        return pullback(np.cos(np.arange(y.size, dtype=np.float32)).reshape(y.shape))

    return of


def nodes(function: Callable[[Array], tuple[cr.Tensor, cr.Tensor]]) -> list[Node]:
    return simplified(trace(function)(X)).nodes


@pytest.mark.parametrize(
    "pool",
    [
        lambda x: F.max_pool2d(x, 2),
        lambda x: F.max_pool2d(x, 3, 2, 1),
        lambda x: F.max_pool2d(x, 2, 1),
        lambda x: F.max_pool2d(x, (3, 1), 1, 0, (2, 1)),
    ],
)
def test_masks_and_sums_come_first_and_the_result_is_the_same(pool: Callable[[cr.Tensor], cr.Tensor]) -> None:
    function = gradients(pool)
    found = nodes(function)
    placed = next(x for x in found if x.op is not None and x.op.name == "window_place")
    assert placed.inputs[0].op is not None and placed.inputs[0].op.name == "where"
    for x in found:
        if x.op is not None and x.op.name in ("where", "sum"):
            assert placed not in x.inputs
    by_x, by_bias = (t.numpy() for t in cr.compile(function)(X))
    expected = [t.numpy() for t in function(X)]
    assert same_bits(by_x, expected[0]).all()
    np.testing.assert_allclose(by_bias, expected[1], rtol=1e-5, atol=1e-5)


def test_a_mask_of_something_else_stays_where_it_is() -> None:
    def function(x: Array) -> tuple[cr.Tensor, cr.Tensor]:
        y, pullback = cr.vjp(lambda x: F.max_pool2d(x, 2), x)
        (ct,) = pullback(y)
        other = cr.tensor(np.ones_like(X)) * x
        return cr.where(cr.less_equal(other, 0.0), 0.0, ct), cr.where(cr.less_equal(x, 0.0), 1.0, ct)

    for x in nodes(function):
        if x.op is not None and x.op.name == "window_place":
            assert all(user.op is not None and user.op.name == "where" for user in x.users)
    for a, b in zip(cr.compile(function)(X), function(X), strict=True):
        assert same_bits(a.numpy(), b.numpy()).all()
