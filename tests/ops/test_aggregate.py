"""Spread, products and log-sum-exp, against NumPy and SciPy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
import pytest
import scipy.special
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from chainrule.gradients import gradients
from chainrule.ops.aggregate import logsumexp, prod, std, var
from chainrule.tensor import Tensor, tensor

Array: TypeAlias = np.ndarray[Any, np.dtype[Any]]

INF = float("inf")


@st.composite
def reductions(draw: st.DrawFn, elements: Any) -> tuple[Array, Any, bool]:
    """An array, axes of it, and whether they are kept."""
    x = draw(hnp.arrays(np.float64, hnp.array_shapes(min_dims=0, max_dims=3, max_side=5), elements=elements))
    axes = st.none() | st.lists(st.sampled_from(range(x.ndim)), unique=True).map(tuple) if x.ndim else st.none()
    return x, draw(axes), draw(st.booleans())


NUMBERS = st.floats(-100, 100, width=32)


def pull(function: Callable[[Tensor], Tensor], x: Any, ct: Any = 1.0) -> Array:
    """The gradient of `function` at x for a cotangent."""
    variable = tensor(x, requires_grad=True)
    out = function(variable)
    back = gradients([out], [tensor(np.broadcast_to(ct, out.shape), dtype=out.dtype)], [variable])[0]
    assert back is not None and back.type == variable.type
    return back.numpy()


def pull_twice(function: Callable[[Tensor], Tensor], x: Any, directions: Array) -> Array:
    """The gradient of <directions, gradient of function> at x: rows of the Hessian, weighted."""

    def first(v: Tensor) -> Tensor:
        out = function(v)
        back = gradients([out], [tensor(np.ones(out.shape))], [v])[0]
        assert back is not None
        return back

    return pull(first, x, directions)


@given(case=reductions(NUMBERS), correction=st.sampled_from([0.0, 1.0, 0.5]))
def test_var_and_std_are_those_of_numpy(case: tuple[Array, Any, bool], correction: float) -> None:
    x, axis, keepdims = case
    count = x.size // max(np.sum(x, axis=axis).size, 1)
    assume(count > correction)
    named: dict[str, Any] = {"axis": axis, "keepdims": keepdims}
    for ours, theirs in ((var, np.var), (std, np.std)):
        found = ours(x, **named, correction=correction).numpy()
        np.testing.assert_allclose(found, theirs(x, **named, ddof=correction), rtol=1e-9, atol=1e-12)


def test_var_of_too_few_elements_is_no_number() -> None:
    assert np.isnan(var([1.0], correction=1).item())
    assert np.isnan(var(np.ones(0)).item())
    assert var([1.0, 2.0], correction=2).item() == INF


def test_var_is_accurate_beside_a_large_mean() -> None:
    x = (np.arange(1000) % 10 + 4096).astype(np.float32)
    assert var(x).item() == pytest.approx(8.25, rel=1e-6)


def test_var_of_integers_is_a_float() -> None:
    assert var([1, 2, 3, 4]).item() == 1.25
    assert std(tensor([1, 3], dtype="bfloat16")).tolist() == 1.0


def test_gradients_of_var_and_std_follow_their_formulas() -> None:
    x = np.random.default_rng(0).standard_normal((3, 4))
    apart = x - x.mean(1, keepdims=True)
    np.testing.assert_allclose(pull(lambda v: var(v, 1, correction=1), x), 2 * apart / 3, rtol=1e-13)
    np.testing.assert_allclose(pull(lambda v: std(v, 1), x), apart / (4 * x.std(1, keepdims=True)), rtol=1e-13)


def test_the_gradient_of_std_is_zero_where_all_elements_are_equal() -> None:
    back = pull(lambda v: std(v, 1), [[2.0, 2.0], [1.0, 3.0]])
    assert back.tolist() == [[0.0, 0.0], [-0.5, 0.5]]


@given(case=reductions(st.integers(-3, 3)))
def test_prod_is_that_of_numpy(case: tuple[Array, Any, bool]) -> None:
    x, axis, keepdims = case
    expected = np.prod(x, axis=axis, keepdims=keepdims)
    np.testing.assert_allclose(prod(x, axis, keepdims=keepdims).numpy(), expected, rtol=1e-13)


def test_prod_of_nothing_is_one() -> None:
    assert prod(np.ones((0, 2)), 0).tolist() == [1.0, 1.0]
    assert prod(np.ones((0, 2)), 1).shape == (0,)


@pytest.mark.parametrize(
    ("dtype", "result"), [("bool", "int64"), ("uint8", "int64"), ("int32", "int64"), ("bfloat16", "float32")]
)
def test_prod_of_small_types_is_counted_in_larger_ones(dtype: str, result: str) -> None:
    out = prod(tensor([1, 1], dtype=dtype))
    assert out.dtype.name == result and out.item() == 1
    assert prod(tensor([200, 200], dtype="uint8")).item() == 40_000


@given(x=hnp.arrays(np.float64, st.integers(1, 7), elements=st.integers(-2, 2)))
def test_derivatives_of_prod_are_the_products_of_the_others_even_with_zeros(x: Array) -> None:
    def others(*left_out: int) -> float:
        return float(np.prod([v for i, v in enumerate(x) if i not in left_out]))

    np.testing.assert_array_equal(pull(prod, x), [others(i) for i in range(x.size)])
    hessian = np.array([[0.0 if i == j else others(i, j) for j in range(x.size)] for i in range(x.size)])
    directions = np.arange(1.0, x.size + 1)
    if x.size > 1:
        np.testing.assert_array_equal(pull_twice(prod, x, directions), directions @ hessian)


@given(case=reductions(st.sampled_from([-INF, -1000.0, -1.0, 0.0, 2.5, 1000.0])))
def test_logsumexp_is_that_of_scipy(case: tuple[Array, Any, bool]) -> None:
    x, axis, keepdims = case
    with np.errstate(all="ignore"):
        expected = scipy.special.logsumexp(x, axis=axis, keepdims=keepdims)
    np.testing.assert_allclose(logsumexp(x, axis, keepdims=keepdims).numpy(), expected, rtol=1e-14, atol=1e-14)


def test_logsumexp_of_infinity_nan_and_nothing() -> None:
    assert logsumexp([1.0, INF]).item() == INF
    assert np.isnan(logsumexp([1.0, np.nan]).item())
    assert logsumexp(np.ones((2, 0)), 1).tolist() == [-INF, -INF]
    assert logsumexp(np.ones((2, 0))).item() == -INF
    assert logsumexp(np.ones((0, 2)), 1).shape == (0,)


@pytest.mark.parametrize(("dtype", "result"), [("int64", "float32"), ("bfloat16", "float32"), ("float64", "float64")])
def test_logsumexp_gives_real_numbers(dtype: str, result: str) -> None:
    assert logsumexp(tensor([1, 0], dtype=dtype)).dtype.name == result


def test_the_gradient_of_logsumexp_is_softmax_and_its_hessian_that_of_softmax() -> None:
    x = np.array([1000.0, 999.0, -INF, 1001.0])
    p = scipy.special.softmax(x)
    np.testing.assert_allclose(pull(logsumexp, x), p, rtol=1e-13)
    directions = np.array([1.0, -2.0, 0.5, 3.0])
    expected = p * directions - p * (p @ directions)
    np.testing.assert_allclose(pull_twice(logsumexp, x, directions), expected, rtol=1e-12)


def test_the_gradient_of_logsumexp_is_zero_where_all_is_minus_infinity() -> None:
    back = pull(lambda v: logsumexp(v, 1), [[-INF, -INF], [0.0, 0.0]])
    assert back.tolist() == [[0.0, 0.0], [0.5, 0.5]]


@pytest.mark.parametrize("name", ["var", "std", "prod", "logsumexp"])
def test_methods_of_a_tensor_are_the_functions(name: str) -> None:
    x = tensor([[1.0, 0.5], [3.0, 4.0]])
    function = {"var": var, "std": std, "prod": prod, "logsumexp": logsumexp}[name]
    assert getattr(x, name)(1, keepdims=True).tolist() == function(x, 1, keepdims=True).tolist()
