"""Compiled functions that must have the very bits of their NumPy twins, and powers by multiplication."""

from __future__ import annotations

import math

import numpy as np
import pytest

from chainrule.native import vecmath
from chainrule.native.target import Target
from chainrule.ops.powers import CONSTANT_POWER, POWER
from chainrule.ops.special import ERFINV, NDTR
from chainrule.types import DType, float32, float64, int32, int64, uint8
from tests.native.harness import TARGETS
from tests.native.vecmath.measure import CASES, LONG, SLACK, Array, evaluate, numbers, ulps

EVERY_TARGET = pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.cpu)
FLOATS = pytest.mark.parametrize("dtype", [float32, float64], ids=str)
INTEGERS = pytest.mark.parametrize("dtype", [uint8, int32, int64], ids=str)


def bits(x: Array) -> Array:
    return x.view(np.int32 if x.dtype == np.float32 else np.int64)


@EVERY_TARGET
@FLOATS
@pytest.mark.parametrize("count", [1, 16])
def test_the_inverse_error_function_has_the_bits_of_its_twin(dtype: DType, count: int, target: Target) -> None:
    rng = np.random.default_rng(3)
    near_one = 1 - 2.0 ** -rng.uniform(0, 60, 20_000)  # the far tail of float64 begins at 1 - 2^-35
    x = np.concatenate([rng.uniform(-1, 1, 20_000), near_one, -near_one]).astype(dtype.numpy)
    x = np.concatenate([x, numbers(rng, dtype, 1000)])
    with np.errstate(all="ignore"):
        expected = ERFINV.numpy(x)
    found = evaluate(vecmath.erfinv, target, count, x)
    numeric = ~np.isnan(expected)
    np.testing.assert_array_equal(np.isnan(found), ~numeric)
    np.testing.assert_array_equal(bits(found[numeric]), bits(expected[numeric]))


@FLOATS
def test_the_twin_of_the_normal_distribution_function_is_right_to_a_few_units(dtype: DType) -> None:
    rng = np.random.default_rng(6)
    x = np.concatenate([numbers(rng, dtype, 4000), -rng.uniform(0, 40, 20_000).astype(dtype.numpy)])
    oracle = next(case.oracle for case in CASES if case.name == "ndtr")
    with np.errstate(all="ignore"):
        found, exact = NDTR.numpy(x), oracle(x.astype(LONG))
    assert ulps(found, exact).max() <= (0.6 if dtype is float32 else 8.0) + SLACK


@EVERY_TARGET
@INTEGERS
@pytest.mark.parametrize("count", [1, 8])
def test_powers_of_integers_are_those_of_the_twin(dtype: DType, count: int, target: Target) -> None:
    limits, rng = np.iinfo(dtype.numpy), np.random.default_rng(4)
    near = np.arange(0 if limits.min == 0 else -6, 7)
    values = np.concatenate([near, [limits.min, limits.max, limits.max // 2]]).astype(dtype.numpy)
    x, y = (grid.ravel() for grid in np.meshgrid(values, values))
    x = np.concatenate([x, rng.integers(limits.min, limits.max, 1000, dtype.numpy, endpoint=True)])
    y = np.concatenate([y, rng.integers(0, 60, 1000).astype(dtype.numpy)])
    np.testing.assert_array_equal(evaluate(vecmath.power, target, count, x, y), POWER.numpy(x, y))


@INTEGERS
@pytest.mark.parametrize("exponent", [0, 1, 2, 3, 10, 63, 1000])
def test_constant_powers_of_integers_are_those_of_the_twin(dtype: DType, exponent: int) -> None:
    x = np.arange(0 if dtype is uint8 else -20, 50).astype(dtype.numpy)
    found = evaluate(lambda v, x: vecmath.constant_power(v, x, exponent), TARGETS[0], 8, x)
    np.testing.assert_array_equal(found, CONSTANT_POWER.numpy(x, exponent))


@EVERY_TARGET
@FLOATS
@pytest.mark.parametrize("exponent", [0, 1, 2, 3, 4, 5, -1, -2, -3, -4, 0.5, 2.5, 0.1, -0.25, math.inf])
def test_constant_powers_are_right_to_a_few_units(dtype: DType, exponent: float, target: Target) -> None:
    x = numbers(np.random.default_rng(5), dtype, 2000)
    with np.errstate(all="ignore"):
        exact = np.power(x.astype(LONG), LONG(dtype.numpy.type(exponent)))
    found = evaluate(lambda v, x: vecmath.constant_power(v, x, exponent), target, 4, x)
    assert ulps(found, exact).max() <= 3
