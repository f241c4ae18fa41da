"""Rounding, compared with Python's integers."""

from __future__ import annotations

import builtins
import math
from collections.abc import Callable

import numpy as np
import pytest

from chainrule.gradients import gradients
from chainrule.ops.rounding import ceil, floor, round, trunc
from chainrule.tensor import Tensor, tensor

FUNCTIONS = {floor: math.floor, ceil: math.ceil, trunc: math.trunc, round: builtins.round}


@pytest.fixture(params=FUNCTIONS, ids=lambda f: f.__name__)
def function(request: pytest.FixtureRequest) -> Callable[..., Tensor]:
    return request.param


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_floats_are_rounded_as_python_does(function: Callable[..., Tensor], dtype: str) -> None:
    x = np.array([-2.5, -1.5, -1.2, -0.5, 0.0, 0.4, 0.5, 1.5, 1.7, 2.5, 3.0, 2.0**40], dtype)
    assert function(x).dtype.name == dtype
    assert function(x).tolist() == [FUNCTIONS[function](float(v)) for v in x]


@pytest.mark.parametrize("dtype", ["uint8", "int32", "int64"])
def test_integers_stay_as_they_are(function: Callable[..., Tensor], dtype: str) -> None:
    x = np.array([0, 1, 200], dtype)
    assert function(x).dtype.name == dtype
    assert function(x).tolist() == [0, 1, 200]


def test_infinity_and_nan_stay(function: Callable[..., Tensor]) -> None:
    np.testing.assert_array_equal(function([math.inf, -math.inf, math.nan]).numpy(), [math.inf, -math.inf, math.nan])


def test_no_gradient_flows(function: Callable[..., Tensor]) -> None:
    x = tensor([0.3, 1.0], requires_grad=True)
    (out,) = gradients([function(x) + 2.0 * x], [tensor([1.0, 1.0])], [x])
    assert out is not None and out.tolist() == [2.0, 2.0]
