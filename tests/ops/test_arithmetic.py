"""Sums, products, quotients and remainders, compared with NumPy."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from chainrule.errors import ShapeError
from chainrule.ops.arithmetic import add, divide, floor_divide, multiply, negative, remainder, subtract
from chainrule.tensor import Tensor, tensor

NUMBERS = ["uint8", "int32", "int64", "float32", "float64"]
BINARY = {
    add: np.add,
    subtract: np.subtract,
    multiply: np.multiply,
    floor_divide: np.floor_divide,
    remainder: np.remainder,
}


def by_name(value: Any) -> str | None:
    return value.__name__ if callable(value) else None


@pytest.mark.parametrize("dtype", NUMBERS)
@pytest.mark.parametrize("function", BINARY, ids=by_name)
def test_results_are_numpys(function: Callable[..., Tensor], dtype: str) -> None:
    x, y = np.array([[7, 3, 0], [4, 9, 2]], dtype), np.array([[2, 5, 1]], dtype)
    expected = BINARY[function](x, y)
    result = function(x, y)
    assert result.dtype.name == dtype
    np.testing.assert_array_equal(result.numpy(), expected)


@pytest.mark.parametrize("dtype", ["int32", "int64", "float32", "float64"])
def test_floor_division_and_remainder_follow_python_for_all_signs(dtype: str) -> None:
    for a in (-7, -6, 0, 6, 7):
        for b in (-3, -2, 2, 3):
            x, y = tensor(a, dtype), tensor(b, dtype)
            assert (x // y).item() == a // b
            assert (x % y).item() == a % b


def test_floor_division_takes_the_exact_quotient_as_python_does() -> None:
    assert floor_divide(np.float64(1.0), np.float64(0.1)).item() == 1.0 // 0.1 == 9.0


@pytest.mark.parametrize("dtype", ["uint8", "int32", "int64"])
def test_integers_divided_by_zero_give_zero(dtype: str) -> None:
    x, zero = tensor([1, 2], dtype), tensor([0, 0], dtype)
    assert floor_divide(x, zero).tolist() == [0, 0]
    assert remainder(x, zero).tolist() == [0, 0]


def test_floats_divided_by_zero_are_infinite_or_nan() -> None:
    x, zero = tensor([1.0, -1.0, 0.0]), tensor(0.0)
    np.testing.assert_array_equal(divide(x, zero).numpy(), [math.inf, -math.inf, math.nan])
    np.testing.assert_array_equal(floor_divide(x, zero).numpy(), [math.inf, -math.inf, math.nan])
    assert np.isnan(remainder(x, zero).numpy()).all()


def test_integers_overflow_silently_as_in_numpy() -> None:
    assert add(tensor([200], "uint8"), tensor([100], "uint8")).tolist() == [44]
    assert negative(tensor([1], "uint8")).tolist() == [255]


@pytest.mark.parametrize("dtype", ["bool", "uint8", "int32", "int64"])
def test_dividing_integers_gives_float32(dtype: str) -> None:
    result = divide(np.array([1, 1], dtype), np.array([1, 1], dtype))
    assert str(result.type) == "f32[2]"
    assert result.tolist() == [1.0, 1.0]


def test_truth_values_are_counted_as_int64() -> None:
    assert str(add([True, False], True).type) == "i64[2]"
    assert add([True, False], True).tolist() == [2, 1]


def test_bfloat16_is_computed_as_float32() -> None:
    x = tensor([1.0, 2.0], "bfloat16")
    assert str((x + x).type) == str((x + 1.0).type) == str(negative(x).type) == "f32[2]"
    assert (x + x).tolist() == [2.0, 4.0]


@pytest.mark.parametrize(
    ("left", "right", "expected"),
    [
        (np.float32(1), np.float64(1), "float64"),
        (np.float32(1), np.int64(1), "float32"),
        (np.uint8(1), np.int32(1), "int32"),
        (np.uint8(1), 1, "uint8"),
        (np.int64(1), 1.0, "float32"),
        (np.float64(1), 1.0, "float64"),
        (True, np.int32(1), "int32"),
    ],
)
def test_data_types_meet(left: Any, right: Any, expected: str) -> None:
    assert add(left, right).dtype.name == add(right, left).dtype.name == expected


def test_operators_are_the_functions() -> None:
    x, y = tensor([7.0, -7.0]), tensor([2.0, 4.0])
    for operator, function in (
        (x + y, add(x, y)),
        (x - y, subtract(x, y)),
        (x * y, multiply(x, y)),
        (x / y, divide(x, y)),
        (x // y, floor_divide(x, y)),
        (x % y, remainder(x, y)),
        (-x, negative(x)),
        (8 - x, subtract(8, x)),
        (8 // x, floor_divide(8, x)),
        (8 % x, remainder(8, x)),
    ):
        assert operator.tolist() == function.tolist()


def test_shapes_that_do_not_broadcast_are_an_error_that_shows_both() -> None:
    with pytest.raises(
        ShapeError, match=r"add: shapes do not broadcast: \[2\] and \[3\]\n  left .*f32\[2\].*\n  right"
    ):
        add([1.0, 2.0], [1.0, 2.0, 3.0])


def test_empty_and_scalar_tensors_pass() -> None:
    assert add(np.zeros((0, 3), np.float32), 1.0).shape == (0, 3)
    assert multiply(2.0, 3.0).shape == ()
