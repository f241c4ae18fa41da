"""Trigonometric functions and their inverses, compared with NumPy."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from chainrule.ops.trigonometric import acos, asin, atan, atan2, cos, sin, tan
from chainrule.tensor import Tensor, tensor

ORACLES: dict[Callable[..., Tensor], Callable[..., Any]] = {
    sin: np.sin, cos: np.cos, tan: np.tan, asin: np.arcsin, acos: np.arccos, atan: np.arctan,
}  # fmt: skip


@pytest.fixture(params=ORACLES, ids=lambda f: f.__name__)
def function(request: pytest.FixtureRequest) -> Callable[..., Tensor]:
    return request.param


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_results_are_numpys(function: Callable[..., Tensor], dtype: str) -> None:
    edges = [0.0, -0.0, 1.0, -1.0, 1.5, 100.0, math.inf, -math.inf, math.nan]
    x = np.concatenate([np.linspace(-1, 1, 101), edges]).astype(dtype)
    with np.errstate(all="ignore"):
        expected = ORACLES[function](x.astype(np.float64))
    result = function(x)
    assert result.dtype.name == dtype
    eps = np.finfo(dtype).eps
    np.testing.assert_allclose(result.numpy(), expected, rtol=4 * eps, atol=eps)


def test_integers_become_float32(function: Callable[..., Tensor]) -> None:
    assert str(function([0, 1]).type) == "f32[2]"


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_atan2_knows_all_quadrants_and_edges(dtype: str) -> None:
    values = np.array([0.0, -0.0, 1.0, -1.0, 3.0, math.inf, -math.inf, math.nan], dtype)
    y, x = np.meshgrid(values, values)
    np.testing.assert_allclose(atan2(y, x).numpy(), np.arctan2(y, x), rtol=1e-6)


def test_atan2_broadcasts() -> None:
    assert atan2(np.ones((2, 1)), np.ones(3)).shape == (2, 3)


def test_methods_are_the_functions() -> None:
    x = tensor([0.5, 2.0])
    assert x.sin().tolist() == sin(x).tolist()
    assert x.cos().tolist() == cos(x).tolist()
