"""Error functions and the normal distribution function, compared with SciPy in units of the last place."""

from __future__ import annotations

import ast
import inspect
import math
from typing import Any

import numpy as np
import pytest
from scipy import special as scipy_special

from chainrule.ops import special
from chainrule.ops.special import erf, erfinv, ndtr
from chainrule.tensor import tensor

RNG = np.random.default_rng(0)


def ulps(found: Any, expected: Any) -> float:
    """Largest distance, in units in the last place of what is expected."""
    return float(np.max(np.abs(found - expected) / np.spacing(np.abs(expected))))


def test_erf_is_right_to_a_few_last_places() -> None:
    x = np.concatenate([np.linspace(-7, 7, 100_001), np.logspace(-300, 0, 3001), RNG.uniform(0.45, 0.55, 10_000)])
    assert ulps(erf(x).numpy(), scipy_special.erf(x)) <= 6


def test_erfinv_is_right_to_a_few_last_places() -> None:
    x = np.concatenate(
        [np.linspace(-0.999, 0.999, 100_001), 1 - np.logspace(-15.9, -0.1, 5001), np.logspace(-300, -0.1, 3001)]
    )
    assert ulps(erfinv(x).numpy(), scipy_special.erfinv(x)) <= 8


def test_ndtr_is_right_to_a_few_last_places() -> None:
    x = np.concatenate([np.linspace(-0.7, 9, 100_001), np.logspace(-300, 0, 3001), RNG.uniform(0.6, 0.8, 10_000)])
    assert ulps(ndtr(x).numpy(), scipy_special.ndtr(x)) <= 6


def test_the_tail_of_ndtr_is_right_to_a_few_last_places() -> None:
    """Known values, computed once with 40 digits: SciPy loses hundreds of last places there."""
    known = {
        -0.75: 0.2266273523768682,
        -2.0: 0.02275013194817921,
        -4.3: 8.539905470991811e-06,
        -5.7: 5.990371401063528e-09,
        -8.1: 2.7479593923982286e-16,
        -15.3: 3.82283156207345e-53,
        -29.6: 7.471321923004534e-193,
        -37.4: 1.9536815616489922e-306,
        -38.3: 3.063e-321,
    }
    assert ulps(ndtr(np.array(list(known))).numpy(), np.array(list(known.values()))) <= 8
    assert ndtr(np.array([-38.6, -1e300])).tolist() == [0.0, 0.0]
    assert ndtr(np.array([-14.3, -1e30], np.float32)).tolist() == [0.0, 0.0]


def test_ndtr_of_both_sides_is_one() -> None:
    x = np.linspace(0, 40, 1001)
    np.testing.assert_array_equal(ndtr(x).numpy(), 1 - np.where(x > 0, ndtr(-x).numpy(), 0.5))


@pytest.mark.parametrize(
    ("function", "oracle"),
    [(erf, scipy_special.erf), (erfinv, scipy_special.erfinv), (ndtr, scipy_special.ndtr)],
)
def test_float32_is_the_nearest_or_next_to_it(function: Any, oracle: Any) -> None:
    x = np.concatenate([RNG.uniform(-0.999, 0.999, 20_001), [1 - 2**-24, -1 + 2**-24, 1e-40]]).astype(np.float32)
    result = function(x)
    assert result.dtype.name == "float32"
    assert ulps(result.numpy(), oracle(x.astype(np.float64)).astype(np.float32)) <= 1


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_special_values(dtype: str) -> None:
    x = np.array([0.0, -0.0, 1.0, -1.0, 1.5, -1.5, math.inf, -math.inf, math.nan, 6.5, -6.5], dtype)
    np.testing.assert_allclose(erf(x).numpy(), scipy_special.erf(x), rtol=1e-7)
    np.testing.assert_allclose(erfinv(x).numpy(), scipy_special.erfinv(x), rtol=1e-7)
    np.testing.assert_allclose(ndtr(x).numpy(), scipy_special.ndtr(x), rtol=3e-7)
    assert np.signbit(erf(x).numpy()).tolist()[:2] == np.signbit(erfinv(x).numpy()).tolist()[:2] == [False, True]


def test_the_smallest_numbers_are_not_lost() -> None:
    tiny = np.array([5e-324, 2.5e-310])
    np.testing.assert_array_equal(erf(tiny).numpy(), scipy_special.erf(tiny))
    np.testing.assert_allclose(erfinv(tiny).numpy(), scipy_special.erfinv(tiny), atol=1e-323)


def test_erfinv_is_odd_and_undoes_erf() -> None:
    x = np.linspace(-3, 3, 601)
    np.testing.assert_array_equal(erfinv(-x / 4).numpy(), -erfinv(x / 4).numpy())
    np.testing.assert_allclose(erfinv(erf(x)).numpy(), x, rtol=1e-10, atol=1e-15)


def test_erfinv_gives_the_same_bits_everywhere() -> None:
    """Known bits, computed once; any machine that rounds arithmetic and square roots as IEEE 754 says must agree."""
    known = {
        0.1: "0x1.6bf442539fd72p-4",
        0.5: "0x1.e861fbb24c00ap-2",
        0.85: "0x1.04954184f8aa5p+0",
        0.9: "0x1.29c0146770650p+0",
        0.999: "0x1.29d311405cdb4p+1",
        1 - 2.0**-40: "0x1.4347bf36fbae8p+2",
        1 - 2.0**-53: "0x1.7744f8f74e94ap+2",
    }
    assert [float(v).hex() for v in erfinv(np.array(list(known))).numpy()] == list(known.values())


def test_erfinv_uses_nothing_that_machines_round_differently() -> None:
    """Of NumPy only arithmetic, square roots, comparisons and moves of bits; not its log, exp or power."""
    allowed = {"abs", "copysign", "float64", "frexp", "inf", "nan", "polyval", "sqrt", "where"}
    source = "\n".join(map(inspect.getsource, (special._erfinv, special._portable_log, special._ratio)))
    names = {
        node.attr
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "np"
    }
    assert names <= allowed


def test_the_portable_logarithm_is_right_to_the_last_place_or_two() -> None:
    x = np.concatenate([np.logspace(-17, -1, 20_001), RNG.uniform(1e-3, 0.5, 20_000)])
    assert ulps(special._portable_log(x), np.log(x)) <= 2


def test_integers_and_bfloat16_become_float32() -> None:
    assert str(erf([0, 1]).type) == str(erfinv(tensor([0.5, 0.25], "bfloat16")).type) == "f32[2]"
    assert str(ndtr([0, 1]).type) == str(ndtr(tensor([0.5, 0.25], "bfloat16")).type) == "f32[2]"
