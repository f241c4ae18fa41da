"""Reductions over axes, against NumPy and SciPy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from chainrule.errors import ShapeError
from chainrule.gradients import gradients
from chainrule.ops import reduce
from chainrule.ops.reduce import argmax, argmin, count_nonzero, mean
from chainrule.tensor import Tensor, tensor

Array: TypeAlias = np.ndarray[Any, np.dtype[Any]]

SHAPES = hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4)
WHOLE = st.integers(-3, 3)  # few values, so that there are ties


@st.composite
def reductions(draw: st.DrawFn, *, empty: bool = True) -> tuple[Array, Any, bool]:
    """An array, axes of it in one of the forms that are taken, and whether they are kept."""
    shape = draw(SHAPES if empty else hnp.array_shapes(min_dims=0, max_dims=3, min_side=1, max_side=4))
    x = draw(hnp.arrays(np.float64, shape, elements=WHOLE))
    forms = st.none()
    if x.ndim:
        one = st.integers(-x.ndim, x.ndim - 1)
        forms |= one | st.lists(one, max_size=3, unique_by=lambda a: a % x.ndim).map(tuple)
    return x, draw(forms), draw(st.booleans())


def pull(function: Callable[[Tensor], Tensor], x: Any, ct: Any = 1.0) -> Array:
    """The gradient of `function` at x for a cotangent."""
    variable = tensor(x, requires_grad=True)
    out = function(variable)
    back = gradients([out], [tensor(np.broadcast_to(ct, out.shape), dtype=out.dtype)], [variable])[0]
    assert back is not None and back.type == variable.type
    return back.numpy()


@pytest.mark.parametrize(("ours", "theirs"), [(reduce.sum, np.sum), (reduce.any, np.any), (reduce.all, np.all)])
@given(case=reductions())
def test_sums_and_truth_are_those_of_numpy(ours: Any, theirs: Any, case: tuple[Array, Any, bool]) -> None:
    x, axis, keepdims = case
    np.testing.assert_array_equal(ours(x, axis, keepdims=keepdims).numpy(), theirs(x, axis=axis, keepdims=keepdims))


@pytest.mark.parametrize(("ours", "theirs"), [(reduce.max, np.max), (reduce.min, np.min)])
@given(case=reductions(empty=False))
def test_extremes_are_those_of_numpy(ours: Any, theirs: Any, case: tuple[Array, Any, bool]) -> None:
    x, axis, keepdims = case
    np.testing.assert_array_equal(ours(x, axis, keepdims=keepdims).numpy(), theirs(x, axis=axis, keepdims=keepdims))


@given(case=reductions())
def test_count_nonzero_is_that_of_numpy(case: tuple[Array, Any, bool]) -> None:
    x, axis, keepdims = case
    out = count_nonzero(x, axis, keepdims=keepdims)
    np.testing.assert_array_equal(out.numpy(), np.count_nonzero(x, axis=axis, keepdims=keepdims))
    assert out.dtype.name == "int64"


@pytest.mark.parametrize(("ours", "theirs"), [(argmax, np.argmax), (argmin, np.argmin)])
@given(case=reductions(empty=False), data=st.data())
def test_places_of_extremes_are_those_of_numpy(
    ours: Any, theirs: Any, case: tuple[Array, Any, bool], data: Any
) -> None:
    x, _, keepdims = case
    axis = data.draw(st.none() | st.integers(-x.ndim, x.ndim - 1)) if x.ndim else None
    out = ours(x, axis, keepdims=keepdims)
    np.testing.assert_array_equal(out.numpy(), theirs(x, axis=axis, keepdims=keepdims))
    assert out.dtype.name == "int64"


@pytest.mark.parametrize(("ours", "theirs"), [(argmax, np.argmax), (argmin, np.argmin)])
def test_the_first_of_equal_elements_and_the_first_nan_count(ours: Any, theirs: Any) -> None:
    for values in ([2.0, 1.0, 2.0, 1.0], [1.0, np.nan, 3.0, np.nan, 0.0]):
        assert ours(values).item() == theirs(values)


@pytest.mark.parametrize("name", ["max", "min", "argmax", "argmin"])
def test_extremes_of_nothing_are_refused(name: str) -> None:
    function = getattr(reduce, name)
    with pytest.raises(ShapeError, match=f"{name}: there is no extreme of nothing"):
        function(np.ones((2, 0)), 1)
    assert function(np.ones((2, 0)), 0).shape == (0,)


@pytest.mark.parametrize("name", ["max", "min"])
def test_nan_wins_against_every_number(name: str) -> None:
    assert np.isnan(getattr(reduce, name)([1.0, np.nan, 2.0]).item())


@pytest.mark.parametrize("name", ["sum", "mean", "max", "min", "any", "all"])
def test_methods_of_a_tensor_are_the_functions(name: str) -> None:
    x = tensor([[1.0, 0.0], [3.0, 4.0]])
    ours = getattr(x, name)(1, keepdims=True)
    np.testing.assert_array_equal(ours.numpy(), getattr(np, name)(x.numpy(), axis=1, keepdims=True))


@pytest.mark.parametrize("name", ["argmax", "argmin"])
def test_methods_of_a_tensor_find_places(name: str) -> None:
    x = tensor([[1.0, 0.0], [3.0, 4.0]])
    np.testing.assert_array_equal(getattr(x, name)(1).numpy(), getattr(np, name)(x.numpy(), axis=1))


@pytest.mark.parametrize(
    ("function", "results"),
    [
        (reduce.sum, ("int64", "int64", "int64", "int64", "float32", "float32", "float64")),
        (reduce.max, ("bool", "uint8", "int32", "int64", "float32", "float32", "float64")),
        (reduce.min, ("bool", "uint8", "int32", "int64", "float32", "float32", "float64")),
        (mean, ("float32", "float32", "float32", "float32", "float32", "float32", "float64")),
        (reduce.any, ("bool",) * 7),
        (reduce.all, ("bool",) * 7),
        (argmax, ("int64",) * 7),
        (argmin, ("int64",) * 7),
    ],
)
def test_data_types_of_results(function: Any, results: tuple[str, ...]) -> None:
    dtypes = ("bool", "uint8", "int32", "int64", "bfloat16", "float32", "float64")
    for axis in (None, (), 0) if function not in (argmax, argmin) else (None, 0):
        found = tuple(function(tensor([1, 0], dtype=dtype), axis).dtype.name for dtype in dtypes)
        assert found == results


def test_sums_of_small_integers_do_not_wrap() -> None:
    assert reduce.sum(tensor([200, 200], dtype="uint8")).item() == 400
    assert reduce.sum(tensor([2**31 - 1, 1], dtype="int32")).item() == 2**31
    assert reduce.sum([True, True]).item() == 2


def test_nan_is_true() -> None:
    assert reduce.any([0.0, np.nan]).item() is True
    assert reduce.all([1.0, np.nan]).item() is True


@given(case=reductions())
def test_the_gradient_of_a_sum_reaches_every_element(case: tuple[Array, Any, bool]) -> None:
    x, axis, keepdims = case
    ct = np.random.default_rng(0).standard_normal(np.sum(x, axis=axis, keepdims=keepdims).shape)
    kept = ct.reshape(np.sum(x, axis=axis, keepdims=True).shape)
    back = pull(lambda v: reduce.sum(v, axis, keepdims=keepdims), x, ct)
    np.testing.assert_array_equal(back, np.broadcast_to(kept, x.shape))


@pytest.mark.parametrize(("ours", "theirs"), [(reduce.max, np.max), (reduce.min, np.min)])
@given(case=reductions(empty=False))
def test_extremes_that_tie_share_the_gradient_evenly(ours: Any, theirs: Any, case: tuple[Array, Any, bool]) -> None:
    x, axis, keepdims = case
    ct = np.random.default_rng(0).standard_normal(np.sum(x, axis=axis, keepdims=keepdims).shape)
    extreme = theirs(x, axis=axis, keepdims=True)
    ties = np.sum(x == extreme, axis=axis, keepdims=True)
    expected = np.where(x == extreme, ct.reshape(extreme.shape) / ties, 0.0)
    np.testing.assert_allclose(pull(lambda v: ours(v, axis, keepdims=keepdims), x, ct), expected, rtol=1e-15)


def test_places_and_truth_carry_no_gradient() -> None:
    x = tensor([1.0, 2.0], requires_grad=True)
    for function in (argmax, argmin, reduce.any, reduce.all, count_nonzero):
        assert not function(x).requires_grad


@given(case=reductions(empty=False))
def test_mean_is_that_of_numpy(case: tuple[Array, Any, bool]) -> None:
    x, axis, keepdims = case
    expected = np.mean(x, axis=axis, keepdims=keepdims)
    np.testing.assert_allclose(mean(x, axis, keepdims=keepdims).numpy(), expected, rtol=1e-14)
    back = pull(lambda v: mean(v, axis, keepdims=keepdims), x)
    np.testing.assert_allclose(back, np.full(x.shape, expected.size / x.size), rtol=1e-14)


def test_mean_of_nothing_is_nan_but_nothing_of_means_is_not() -> None:
    x = np.ones((0, 3))
    assert np.isnan(mean(x).item())
    assert np.isnan(mean(x, 0).numpy()).all() and mean(x, 0).shape == (3,)
    assert mean(x, 1).shape == (0,) and mean(x, ()).shape == (0, 3)


def test_reductions_refuse_axes_that_do_not_exist_or_stand_twice() -> None:
    for function in (reduce.sum, reduce.max, reduce.any, mean, argmax):
        with pytest.raises(ShapeError, match="axis 1 is outside a tensor of 1 axes"):
            function([1.0, 2.0], 1)
    with pytest.raises(ShapeError, match="twice"):
        reduce.sum([[1.0]], (0, -2))
