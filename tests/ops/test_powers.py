"""Powers and roots, compared with NumPy and Python."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from chainrule.errors import DtypeError, ShapeError
from chainrule.ops.powers import power, reciprocal, rsqrt, sqrt, square
from chainrule.tensor import tensor
from chainrule.trace import trace

INF, NAN = math.inf, math.nan


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("exponent", [-3, -2, -1, -0.5, 0, 0.5, 1, 1.5, 2, 3, 7])
def test_constant_powers_are_numpys(exponent: float, dtype: str) -> None:
    x = np.linspace(0.1, 3, 17).astype(dtype)
    result = power(x, exponent)
    assert result.dtype.name == dtype
    np.testing.assert_allclose(
        result.numpy(), np.power(x, x.dtype.type(exponent)), rtol=1e-6 if dtype == "float32" else 1e-14
    )


@pytest.mark.parametrize("exponent", [-3, -2, -1, 0, 1, 2, 3, 5, 3.0])
def test_whole_powers_take_negative_bases(exponent: float) -> None:
    x = [-2.0, -0.5, 0.25]
    np.testing.assert_allclose(power(x, exponent).numpy(), [b**exponent for b in x], rtol=1e-6)
    np.testing.assert_allclose(power(x, np.full(3, exponent)).numpy(), [b**exponent for b in x], rtol=1e-6)


def test_broken_powers_of_negative_bases_are_nan() -> None:
    assert math.isnan(power(-2.0, 1.5).item())
    assert math.isnan(power(-2.0, 0.5).item())


@pytest.mark.parametrize("dtype", ["uint8", "int32", "int64"])
def test_integers_to_powers_that_are_not_negative_are_integers(dtype: str) -> None:
    x = np.array([0, 1, 2, 3], dtype)
    for exponent in range(6):
        assert power(x, exponent).dtype.name == dtype
        assert power(x, exponent).tolist() == [int(b) ** exponent for b in x]
        assert power(x, np.full(4, exponent, dtype)).tolist() == [int(b) ** exponent for b in x]


def test_integers_to_negative_powers_are_cut_toward_zero() -> None:
    x = np.array([-2, -1, -1, 0, 1, 2])
    y = np.array([-1, -1, -2, -1, -5, -3])
    assert power(x, y).tolist() == [0, -1, 1, 0, 1, 0]


def test_integers_to_a_negative_number_are_refused_with_advice() -> None:
    with pytest.raises(DtypeError, match="int64 to the power -1 are no integers; cast them to a float first"):
        power([1, 2], -1)


def test_integers_to_a_float_are_floats() -> None:
    assert str(power([4, 9], 0.5).type) == "f32[2]"
    assert power([4, 9], 0.5).tolist() == [2.0, 3.0]
    assert power([2, 3], -2.0).tolist() == pytest.approx([0.25, 1 / 9])


def test_truth_values_are_counted_and_bfloat16_is_computed_as_float32() -> None:
    assert str(power([True, False], 3).type) == "i64[2]"
    assert str(power(tensor([2.0], "bfloat16"), 3).type) == "f32[1]"
    assert str(power(tensor([2.0]), True).type) == "f32[1]"


@pytest.mark.parametrize(
    ("x", "y"),
    [(0.0, 0.0), (0.0, 2.0), (0.0, -1.0), (NAN, 0.0), (1.0, NAN), (INF, 2.0), (INF, -2.0), (2.0, INF)],
)
def test_special_values_are_numpys(x: float, y: float) -> None:
    with np.errstate(all="ignore"):
        expected = np.power(np.float32(x), np.float32(y))
    np.testing.assert_equal(power(tensor(x), tensor(y)).item(), float(expected))
    np.testing.assert_equal(power(tensor(x), y).item(), float(expected))


@pytest.mark.parametrize(
    ("exponent", "op"),
    [(2, "square"), (2.0, "square"), (0.5, "sqrt"), (-0.5, "rsqrt"), (-1, "reciprocal"), (3, "constant_power")],
)
def test_a_known_exponent_makes_one_node(exponent: float, op: str) -> None:
    graph = trace(lambda x: x**exponent)(np.ones(3))
    assert [node.op.name for node in graph.nodes if node.op] == [op]


def test_the_first_power_is_the_tensor_itself() -> None:
    x = tensor([1.0, 2.0])
    assert x**1 is x


def test_a_number_to_a_tensor() -> None:
    assert (2.0 ** tensor([1.0, -1.0])).tolist() == [2.0, 0.5]
    assert power(2, 3).item() == 8


def test_shapes_that_do_not_broadcast_are_an_error() -> None:
    with pytest.raises(ShapeError, match="power: shapes do not broadcast"):
        power([1.0, 2.0], [1.0, 2.0, 3.0])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    ("function", "oracle"),
    [(sqrt, np.sqrt), (rsqrt, lambda x: 1 / np.sqrt(x)), (square, np.square), (reciprocal, np.reciprocal)],
    ids=["sqrt", "rsqrt", "square", "reciprocal"],
)
def test_roots_and_squares_are_numpys(function: Any, oracle: Any, dtype: str) -> None:
    x = np.array([0.0, -0.0, 1e-30, 0.25, 2.0, 1e30, math.inf, -math.inf, -1.0, math.nan], dtype)
    with np.errstate(all="ignore"):
        expected = oracle(x)
    assert function(x).dtype.name == dtype
    np.testing.assert_array_equal(function(x).numpy(), expected)


def test_roots_of_integers_are_float32_and_squares_stay_integers() -> None:
    assert {str(f([4]).type) for f in (sqrt, rsqrt, reciprocal)} == {"f32[1]"}
    assert square(tensor([4], "uint8")).tolist() == [16]
    assert str(square([True]).type) == "i64[1]"
