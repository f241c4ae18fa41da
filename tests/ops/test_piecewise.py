"""Absolute value, sign, extremes, clipping and the rectifier, compared with NumPy."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from chainrule.errors import ShapeError
from chainrule.ops.piecewise import abs, clip, maximum, minimum, relu, sign
from chainrule.tensor import Tensor, tensor

NUMBERS = ["uint8", "int32", "int64", "float32", "float64"]
ORACLES: dict[Callable[..., Tensor], Callable[..., Any]] = {
    abs: np.abs,
    sign: np.sign,
    relu: lambda x: np.maximum(x, np.zeros_like(x)),
}
EDGES = [0.0, -0.0, 1.5, -1.5, math.inf, -math.inf, math.nan]


@pytest.mark.parametrize("dtype", NUMBERS)
@pytest.mark.parametrize("function", ORACLES, ids=lambda f: f.__name__)
def test_results_are_numpys(function: Callable[..., Tensor], dtype: str) -> None:
    x = np.array([3, 0, 7, -2] if dtype != "uint8" else [3, 0, 7], dtype)
    assert function(x).dtype.name == dtype
    np.testing.assert_array_equal(function(x).numpy(), ORACLES[function](x))


@pytest.mark.parametrize("function", ORACLES, ids=lambda f: f.__name__)
def test_special_values_are_numpys(function: Callable[..., Tensor]) -> None:
    np.testing.assert_array_equal(function(EDGES).numpy(), ORACLES[function](np.array(EDGES, np.float32)))


@pytest.mark.parametrize("dtype", NUMBERS)
@pytest.mark.parametrize(("function", "oracle"), [(maximum, np.maximum), (minimum, np.minimum)], ids=["max", "min"])
def test_extremes_are_numpys(function: Any, oracle: Any, dtype: str) -> None:
    x, y = np.array([[1, 5, 3]], dtype), np.array([[2], [3]], dtype)
    assert function(x, y).dtype.name == dtype
    np.testing.assert_array_equal(function(x, y).numpy(), oracle(x, y))


@pytest.mark.parametrize("function", [maximum, minimum], ids=lambda f: f.__name__)
def test_extremes_pass_nan_on_from_either_side(function: Callable[..., Tensor]) -> None:
    assert np.isnan(function([math.nan, 1.0], [1.0, math.nan]).numpy()).all()


@pytest.mark.parametrize("dtype", NUMBERS)
@pytest.mark.parametrize(("low", "high"), [(2, 5), (2, None), (None, 5), (6, 3)])
def test_clip_is_numpys(low: int | None, high: int | None, dtype: str) -> None:
    x = np.arange(8).astype(dtype)
    assert clip(x, low, high).dtype.name == dtype
    np.testing.assert_array_equal(clip(x, low, high).numpy(), np.clip(x, low, high))


def test_clip_without_bounds_is_the_tensor_itself() -> None:
    x = tensor([1.0, 2.0])
    assert clip(x) is x


def test_clip_takes_tensors_as_bounds_and_broadcasts_them() -> None:
    x = np.array([[0.0, 5.0], [2.0, -1.0]], np.float32)
    low, high = np.array([1.0, 0.0], np.float32), np.array([[3.0], [1.5]], np.float32)
    np.testing.assert_array_equal(clip(x, low, high).numpy(), np.clip(x, low, high))
    np.testing.assert_array_equal(tensor(x).clip(min=low).numpy(), np.clip(x, low, None))


def test_clip_keeps_nan_and_cuts_infinity() -> None:
    np.testing.assert_array_equal(clip([math.nan, math.inf, -math.inf], -1.0, 1.0).numpy(), [math.nan, 1.0, -1.0])
    np.testing.assert_array_equal(clip([math.inf, -math.inf], min=0.0).numpy(), [math.inf, 0.0])


def test_clip_meets_data_types_as_arithmetic_does() -> None:
    assert str(clip([1, 2], 0.5, 1).type) == "f32[2]"
    assert str(clip([True, False], max=0).type) == "i64[2]"
    assert clip([True, False], max=0).tolist() == [0, 0]
    assert clip([True, False], min=True).tolist() == [1, 1]


def test_truth_values_are_counted_and_bfloat16_is_computed_as_float32() -> None:
    for function in (abs, sign, relu):
        assert str(function([True]).type) == "i64[1]"
        assert str(function(tensor([1.0], "bfloat16")).type) == "f32[1]"


def test_shapes_that_do_not_broadcast_are_an_error_that_shows_all() -> None:
    with pytest.raises(ShapeError, match=r"clip: shapes do not broadcast: \[2\] and \[3\] and \[\]"):
        clip([1.0, 2.0], [1.0, 2.0, 3.0], 1.0)
