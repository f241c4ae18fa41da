"""Exponentials, logarithms, hyperbolic and logistic functions, compared with NumPy and SciPy."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from scipy import special

from chainrule.ops.transcendental import (
    cosh,
    exp,
    expm1,
    log,
    log1p,
    log2,
    log10,
    sigmoid,
    sinh,
    softplus,
    tanh,
)
from chainrule.tensor import Tensor, tensor


def _softplus(x: Any) -> Any:
    """With its two tails written out: log(1 + e^x)."""
    return np.where(x < 0, np.log1p(np.exp(np.minimum(x, 0))), x + np.log1p(np.exp(-np.maximum(x, 0))))


ORACLES: dict[Callable[..., Tensor], Callable[..., Any]] = {
    cosh: np.cosh, exp: np.exp, expm1: np.expm1, log: np.log, log1p: np.log1p, log2: np.log2, log10: np.log10,
    sigmoid: special.expit, sinh: np.sinh, softplus: _softplus, tanh: np.tanh,
}  # fmt: skip
SPECIAL = [0.0, -0.0, 1.0, -1.0, -2.0, 80.0, -80.0, 1e30, math.inf, -math.inf, math.nan, 1e-40, -1e-40]


@pytest.fixture(params=ORACLES, ids=lambda f: f.__name__)
def function(request: pytest.FixtureRequest) -> Callable[..., Tensor]:
    return request.param


def oracle_of(function: Callable[..., Tensor], x: Any) -> Any:
    with np.errstate(all="ignore"):
        return ORACLES[function](x.astype(np.float64))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_results_are_right_to_a_few_last_places(function: Callable[..., Tensor], dtype: str) -> None:
    x = np.concatenate([np.linspace(-9, 9, 361), np.logspace(-8, 1.5, 100), -np.logspace(-8, 1.5, 100)]).astype(dtype)
    result = function(x)
    assert result.dtype.name == dtype
    np.testing.assert_allclose(result.numpy(), oracle_of(function, x), rtol=6 * np.finfo(dtype).eps)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_special_values(function: Callable[..., Tensor], dtype: str) -> None:
    x = np.array(SPECIAL).astype(dtype)
    with np.errstate(over="ignore"):
        expected = oracle_of(function, x).astype(dtype)
    np.testing.assert_allclose(function(x).numpy(), expected, rtol=6 * np.finfo(dtype).eps, atol=1e-44)


@pytest.mark.parametrize("dtype", ["bool", "uint8", "int64", "bfloat16"])
def test_all_else_becomes_float32(function: Callable[..., Tensor], dtype: str) -> None:
    assert str(function(tensor([1, 0], dtype)).type) == "f32[2]"


def test_sigmoid_keeps_its_small_tail() -> None:
    np.testing.assert_allclose(sigmoid(np.float64(-700.0)).item(), math.exp(-700), rtol=1e-15)
    np.testing.assert_allclose(sigmoid([-100.0]).numpy(), np.float32(math.exp(-100)))


def test_sigmoid_and_softplus_do_not_overflow() -> None:
    far = np.array([-1e4, 1e4])
    assert sigmoid(far).tolist() == [0.0, 1.0]
    assert softplus(far).tolist() == [0.0, 1e4]


def test_softplus_keeps_its_small_tail() -> None:
    np.testing.assert_allclose(softplus(np.float64(-700.0)).item(), math.exp(-700), rtol=1e-15)
    assert softplus(np.float64(40.0)).item() == 40.0


def test_a_difference_to_one_is_not_lost() -> None:
    assert expm1(np.float64(1e-12)).item() == pytest.approx(1e-12 + 0.5e-24, rel=1e-15)
    assert log1p(np.float64(1e-12)).item() == pytest.approx(1e-12 - 0.5e-24, rel=1e-15)


def test_methods_are_the_functions() -> None:
    x = tensor([0.5, 2.0])
    for method, result in ((x.exp(), exp(x)), (x.log(), log(x)), (x.tanh(), tanh(x)), (x.sigmoid(), sigmoid(x))):
        assert method.tolist() == result.tolist()
