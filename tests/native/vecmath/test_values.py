"""Values of the functions where they are known exactly, and at the borders of what floats can hold."""

from __future__ import annotations

import math

import numpy as np
import pytest

from chainrule.native import vecmath
from chainrule.native.code import Module
from chainrule.native.lanes import Lanes
from chainrule.native.target import Target
from chainrule.types import DType, float32, float64
from tests.native.harness import HOST, TARGETS, optimized
from tests.native.vecmath.measure import CASES, LONG, SLACK, Array, Case, evaluate, numbers, ulps

INF, NAN = math.inf, math.nan
FLOATS = pytest.mark.parametrize("dtype", [float32, float64], ids=str)
EVERY_TARGET = pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.cpu)
EDGES = [0.0, -0.0, 1.0, -1.0, INF, -INF, NAN]

# name, its values at EDGES
AT_EDGES: list[tuple[str, list[float]]] = [
    ("exp", [1, 1, math.e, 1 / math.e, INF, 0, NAN]),
    ("expm1", [0.0, -0.0, math.e - 1, 1 / math.e - 1, INF, -1, NAN]),
    ("log", [-INF, -INF, 0, NAN, INF, NAN, NAN]),
    ("log1p", [0.0, -0.0, math.log(2), -INF, INF, NAN, NAN]),
    ("sinh", [0.0, -0.0, math.sinh(1), -math.sinh(1), INF, -INF, NAN]),
    ("cosh", [1, 1, math.cosh(1), math.cosh(1), INF, INF, NAN]),
    ("tanh", [0.0, -0.0, math.tanh(1), -math.tanh(1), 1, -1, NAN]),
    ("sigmoid", [0.5, 0.5, 1 / (1 + 1 / math.e), 1 / (1 + math.e), 1, 0, NAN]),
    ("softplus", [math.log(2), math.log(2), math.log(1 + math.e), math.log1p(1 / math.e), INF, 0, NAN]),
    ("erf", [0.0, -0.0, math.erf(1), -math.erf(1), 1, -1, NAN]),
    ("ndtr", [0.5, 0.5, 0.8413447460685429, 0.15865525393145705, 1, 0, NAN]),
    ("erfinv", [0.0, -0.0, INF, -INF, NAN, NAN, NAN]),
    ("sin", [0.0, -0.0, math.sin(1), -math.sin(1), NAN, NAN, NAN]),
    ("cos", [1, 1, math.cos(1), math.cos(1), NAN, NAN, NAN]),
    ("tan", [0.0, -0.0, math.tan(1), -math.tan(1), NAN, NAN, NAN]),
    ("asin", [0.0, -0.0, math.pi / 2, -math.pi / 2, NAN, NAN, NAN]),
    ("acos", [math.pi / 2, math.pi / 2, 0, math.pi, NAN, NAN, NAN]),
    ("atan", [0.0, -0.0, math.pi / 4, -math.pi / 4, math.pi / 2, -math.pi / 2, NAN]),
    ("reciprocal", [INF, -INF, 1, -1, 0.0, -0.0, NAN]),
    ("rsqrt", [INF, -INF, 1, NAN, 0, NAN, NAN]),
    ("square", [0, 0, 1, 1, INF, INF, NAN]),
]


def same(found: Array, expected: Array) -> None:
    """Equal numbers, with equal signs of zeros."""
    np.testing.assert_array_equal(found, expected)
    np.testing.assert_array_equal(np.signbit(found[found == 0]), np.signbit(expected[found == 0]))


@EVERY_TARGET
@FLOATS
@pytest.mark.parametrize(("name", "expected"), AT_EDGES, ids=[name for name, _ in AT_EDGES])
def test_value_at_zeros_ones_infinities_and_nan(name: str, expected: list[float], dtype: DType, target: Target) -> None:
    found = evaluate(getattr(vecmath, name), target, 4, np.array(EDGES, dtype.numpy))
    assert ulps(found, np.array(expected)).max() <= 2.5


@FLOATS
@pytest.mark.parametrize("name", ["expm1", "log1p", "sinh", "tanh", "sin", "tan", "asin", "atan"])
def test_a_function_with_slope_1_at_0_is_its_argument_there(name: str, dtype: DType) -> None:
    limits = np.finfo(dtype.numpy)
    x = np.array([limits.smallest_subnormal, 3 * limits.smallest_subnormal, limits.tiny, 2.0**-70], dtype.numpy)
    x = np.concatenate([x, -x])
    same(evaluate(getattr(vecmath, name), HOST, 4, x), x)


@EVERY_TARGET
@FLOATS
@pytest.mark.parametrize("name", ["exp", "expm1", "sinh", "cosh", "sigmoid", "softplus"])
def test_overflow_and_underflow_come_where_they_should(name: str, dtype: DType, target: Target) -> None:
    limits = np.finfo(dtype.numpy)
    logs = np.log(np.array([limits.max, limits.tiny, limits.smallest_subnormal], LONG))
    logs = np.concatenate([logs, logs[:1] + np.log(LONG(2)), logs[2:] - np.log(LONG(2))])
    x = (logs[:, None] * (1 + np.arange(-50, 51) * LONG(limits.eps) / 2)).ravel().astype(dtype.numpy)
    x = np.concatenate([x, -x])
    oracle = next(case.oracle for case in CASES if case.name == name)
    with np.errstate(all="ignore"):
        exact = oracle(x.astype(LONG))
    assert ulps(evaluate(getattr(vecmath, name), target, 4, x), exact).max() <= 2.5


@FLOATS
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_the_number_of_lanes_changes_no_bit(case: Case, dtype: DType) -> None:
    xs = case.draw(dtype, 256)
    one, *others = (evaluate(getattr(vecmath, case.name), HOST, count, *xs) for count in (1, 2, 8, 16))
    for other in others:
        same(other, one)


@EVERY_TARGET
@FLOATS
def test_powers_of_special_numbers_are_those_of_numpy(dtype: DType, target: Target) -> None:
    limits = np.finfo(dtype.numpy)
    sizes = [0, limits.smallest_subnormal, 0.5, 1 - limits.eps, 1, 1 + limits.eps, 1.5, 2, 3, 2.0**60, limits.max, INF]
    values = np.array([*sizes, *(-x for x in sizes), NAN], dtype.numpy)
    x, y = (grid.ravel() for grid in np.meshgrid(values, values))
    with np.errstate(all="ignore"):
        expected = np.power(x, y)
    found = evaluate(vecmath.power, target, 4, x, y)
    plain = (expected == 0) | ~np.isfinite(expected) | (np.abs(x) == 1) | (y == 0)
    same(found[plain], expected[plain])
    assert ulps(found[~plain], expected[~plain].astype(LONG)).max() <= 2


@EVERY_TARGET
@FLOATS
def test_the_angle_of_a_point_on_an_axis_or_at_infinity(dtype: DType, target: Target) -> None:
    limits = np.finfo(dtype.numpy)
    sizes = [0, limits.smallest_subnormal, 1, limits.max, INF]
    values = np.array([*sizes, *(-x for x in sizes), NAN], dtype.numpy)
    y, x = (grid.ravel() for grid in np.meshgrid(values, values))
    with np.errstate(all="ignore"):
        expected = np.arctan2(y.astype(LONG), x.astype(LONG))
    assert ulps(evaluate(vecmath.atan2, target, 4, y, x), expected).max() <= 1.7


@EVERY_TARGET
@pytest.mark.parametrize("count", [1, 4])
def test_the_sine_of_a_huge_angle(count: int, target: Target) -> None:
    """1e22 is a float64, known for its sine; the other one is the float64 that is nearest to a multiple of pi / 2."""
    x = np.array([1e22, -1e22, 6381956970095103 * 2.0**797, 0.5])
    sine = np.array([-0.8522008497671888, 0.8522008497671888, 1.0, math.sin(0.5)])
    cosine = np.array([0.5232147853951389, 0.5232147853951389, -4.6871659242546276e-19, math.cos(0.5)])
    assert ulps(evaluate(vecmath.sin, target, count, x), sine).max() <= 2
    assert ulps(evaluate(vecmath.cos, target, count, x), cosine).max() <= 2
    assert ulps(evaluate(vecmath.tan, target, count, x), sine / cosine).max() <= 3


@EVERY_TARGET
@FLOATS
def test_an_angle_next_to_a_multiple_of_a_quarter_turn(dtype: DType, target: Target) -> None:
    """For multiples of all sizes, on both sides of where the reduction changes."""
    multiples = np.unique(np.round(2.0 ** np.linspace(0, 40, 4000))).astype(LONG)
    quarter = LONG(math.pi / 2) + LONG(6.123233995736766e-17)
    x = (multiples * quarter).astype(dtype.numpy)
    for name, oracle in (("sin", np.sin), ("cos", np.cos), ("tan", np.tan)):
        assert ulps(evaluate(getattr(vecmath, name), target, 4, x), oracle(x.astype(LONG))).max() <= 2.6 + SLACK


def test_a_function_is_made_once_however_often_it_is_called() -> None:
    module = Module("twice", HOST)
    with module.kernel() as f:
        v, pointer = Lanes(f, 16), f.pointer(0)
        x = v.load(float32, pointer)
        v.store(vecmath.sin(v, vecmath.exp(v, vecmath.exp(v, x))), pointer)
    assert module.text().count("@exp_v16f32(<16 x float> %x0)") == 1
    assert module.text().count("call <16 x float> @exp_v16f32") == 2


@FLOATS
def test_the_normal_distribution_function_and_its_density_have_one_exponential(dtype: DType) -> None:
    def steps(with_density: bool) -> int:
        module = Module("density", HOST)
        with module.kernel() as f:
            v, pointer = Lanes(f, 8), f.pointer(0)
            x = v.load(dtype, pointer)
            v.store(vecmath.ndtr(v, x), pointer)
            if with_density:
                v.store(vecmath.exp(v, x * x * -0.5), f.pointer(1))
        return str(optimized(module)).count("@llvm.fmuladd")

    assert steps(with_density=True) == steps(with_density=False) > 10


def test_the_measured_numbers_have_all_exponents() -> None:
    drawn = numbers(np.random.default_rng(0), float32, 1 << 14)
    exponents = drawn.view(np.int32) >> 23 & 0xFF
    assert np.unique(exponents).size == 256
