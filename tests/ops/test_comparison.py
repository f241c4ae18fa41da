"""Comparisons, logic and choice, compared with NumPy."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from chainrule.errors import DtypeError, ShapeError
from chainrule.gradients import gradients
from chainrule.ops import comparison
from chainrule.ops.comparison import isfinite, isinf, isnan, logical_and, logical_not, where
from chainrule.tensor import tensor

DTYPES = ["bool", "uint8", "int32", "int64", "float32", "float64"]
COMPARISONS = ["less", "less_equal", "greater", "greater_equal", "equal", "not_equal"]
LOGIC = ["logical_and", "logical_or", "logical_xor"]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", COMPARISONS + LOGIC)
def test_results_are_numpys(name: str, dtype: str) -> None:
    x, y = np.array([[0, 1, 2]]).astype(dtype), np.array([[0], [1]]).astype(dtype)
    result = getattr(comparison, name)(x, y)
    assert str(result.type) == "bool[2, 3]"
    np.testing.assert_array_equal(result.numpy(), getattr(np, name)(x, y))


@pytest.mark.parametrize("name", COMPARISONS)
def test_nan_and_infinity_are_compared_as_in_numpy(name: str) -> None:
    values = np.array([math.nan, math.inf, -math.inf, 0.0, -0.0])
    x, y = np.meshgrid(values, values)
    np.testing.assert_array_equal(getattr(comparison, name)(x, y).numpy(), getattr(np, name)(x, y))


def test_operators_are_the_functions() -> None:
    x, y = tensor([1.0, 2.0, 3.0]), tensor([2.0, 2.0, 2.0])
    assert (x < y).tolist() == [True, False, False]
    assert (x <= y).tolist() == [True, True, False]
    assert (x > y).tolist() == [False, False, True]
    assert (x >= y).tolist() == [False, True, True]
    assert (x == y).tolist() == [False, True, False]
    assert (x != y).tolist() == [True, False, True]
    assert ((x < 3) & (x > 1)).tolist() == [False, True, False]
    assert ((x < 2) | (x > 2)).tolist() == [True, False, True]
    assert ((x < 3) ^ (x > 1)).tolist() == [True, False, True]
    assert (~(x < 2)).tolist() == [False, True, True]


def test_truth_of_numbers_is_being_other_than_zero() -> None:
    x = [0.0, -0.0, 0.5, math.nan, -math.inf]
    assert logical_not(x).tolist() == [True, True, False, False, False]
    assert logical_and(x, 1).tolist() == [False, False, True, True, True]
    assert logical_and(tensor([0.0, 2.0], "bfloat16"), [True, True]).tolist() == [False, True]


def test_bfloat16_is_compared_with_numbers() -> None:
    assert (tensor([1.0, 2.0], "bfloat16") > 1.5).tolist() == [False, True]


def test_comparisons_carry_no_gradient() -> None:
    x = tensor([1.0, 2.0], requires_grad=True)
    assert not (x < 2.0).requires_grad
    assert not isnan(x).requires_grad


def test_shapes_that_do_not_broadcast_are_an_error() -> None:
    with pytest.raises(ShapeError, match="less: shapes do not broadcast"):
        comparison.less([1.0, 2.0], [1.0, 2.0, 3.0])


@pytest.mark.parametrize("dtype", DTYPES)
def test_where_is_numpys(dtype: str) -> None:
    condition, x, y = np.array([[True], [False]]), np.array([1, 0, 1]).astype(dtype), np.array([0, 1, 1]).astype(dtype)
    result = where(condition, x, y)
    assert result.dtype.name == dtype
    np.testing.assert_array_equal(result.numpy(), np.where(condition, x, y))


def test_where_brings_its_values_to_one_data_type() -> None:
    assert str(where([True], tensor([1], "uint8"), 2).type) == "u8[1]"
    assert str(where([True], np.float32(1), np.float64(2)).type) == "f64[1]"
    assert str(where([True], tensor([1.0], "bfloat16"), 0.0).type) == "f32[1]"
    assert str(where(True, 1, 2.5).type) == "f32[]"


def test_where_refuses_a_condition_of_numbers() -> None:
    with pytest.raises(DtypeError, match="where: the condition must be bool, not int64; compare it with something"):
        where([1, 0], 1.0, 2.0)


@pytest.mark.parametrize("shapes", [((2,), (3,), ()), ((2,), (2,), (3,)), ((3,), (2,), (2,))])
def test_where_refuses_shapes_that_do_not_fit(shapes: Any) -> None:
    condition, x, y = shapes
    with pytest.raises(ShapeError, match="where: shapes do not broadcast"):
        where(np.ones(condition, bool), np.ones(x), np.ones(y))


def test_where_sends_the_gradient_to_what_was_chosen_alone() -> None:
    x, y = tensor([1.0, 0.0], requires_grad=True), tensor([3.0], requires_grad=True)
    found = gradients([where([True, False], x, y)], [tensor([5.0, math.inf])], [x, y])
    assert [ct.tolist() for ct in found if ct is not None] == [[5.0, 0.0], [math.inf]]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("function", "oracle"), [(isnan, np.isnan), (isinf, np.isinf), (isfinite, np.isfinite)])
def test_tests_for_special_values_are_numpys(function: Any, oracle: Any, dtype: str) -> None:
    x = np.array([0.0, 1.0, math.nan, math.inf, -math.inf] if "float" in dtype else [0, 1], dtype)
    result = function(x)
    assert result.dtype.name == "bool"
    np.testing.assert_array_equal(result.numpy(), oracle(x))


def test_bfloat16_knows_nan_and_infinity() -> None:
    x = tensor([1.0, math.nan, math.inf], "bfloat16")
    assert isnan(x).tolist() == [False, True, False]
    assert isinf(x).tolist() == [False, False, True]
    assert isfinite(x).tolist() == [True, False, False]
