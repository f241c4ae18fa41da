"""Exponentials, and the hyperbolic and logistic functions made of them.

With n the whole number nearest to x / log 2, x = n log 2 + r and e^x = 2^n e^r, where |r| <= log(2) / 2. Powers of 2
are made of their bits, and e^r - 1, sinh r and cosh r are polynomials.
"""

from __future__ import annotations

import math

from chainrule.native.code import Value
from chainrule.native.lanes import Lanes
from chainrule.native.vecmath.logarithm import log1p_inside
from chainrule.native.vecmath.parts import (
    LAYOUTS,
    Coefficients,
    Pair,
    at_least,
    at_most,
    bits,
    muladd,
    nearest,
    polynomial,
    power_of_two,
    shared,
)
from chainrule.types import DType, float32, float64

# (e^r - 1 - r) / r^2 for |r| <= log(2) / 2. Relative error of e^r - 1 in float32: 2^-28, in float64: 2^-60.
EXPONENTIAL: dict[DType, Coefficients] = {
    float32: (0.5, 0.1666666567325592, 0.04166635870933533, 0.008333389647305012, 0.0013940823264420033,
              0.0001984588016057387),
    float64: (0.5, 0.16666666666666677, 0.041666666666666505, 0.008333333333321515, 0.0013888888888963513,
              0.00019841269886476288, 2.48015871710231e-05, 2.75572438051553e-06, 2.755740330374252e-07,
              2.5109194791051814e-08, 2.0875319396684988e-09),
}  # fmt: skip

# (sinh(r) / r - 1) / r^2 as a polynomial in r^2. Relative error of sinh in float32: 2^-34, in float64: 2^-61.
_SINH: dict[DType, Coefficients] = {
    float32: (0.1666666716337204, 0.008333176374435425, 0.00019972998416051269),
    float64: (0.16666666666666677, 0.008333333333321436, 0.0001984126988667209, 2.7557243610401145e-06,
              2.5109261417505485e-08),
}  # fmt: skip

# (cosh(r) - 1 - r^2 / 2) / r^4 as a polynomial in r^2. Error of cosh in float32: 2^-33, in float64: 2^-57.
_COSH: dict[DType, Coefficients] = {
    float32: (0.041666459292173386, 0.0013935458846390247),
    float64: (0.04166666666660187, 0.0013888888927686802, 2.4801507517194603e-05, 2.7625666289063326e-07),
}  # fmt: skip

# log 2 in two parts. The first has few enough bits for its product with n to be exact.
LOG_2: dict[DType, tuple[float, float]] = {
    float32: (0.693145751953125, 1.428606765330187e-06),
    float64: (0.6931471805598903, 5.497923018708371e-14),
}

# From the first number down, e^x is 0; from the second one up, it is infinite.
_EXP_LIMITS = {float32: (-104.0, 89.0), float64: (-746.0, 710.0)}
_MINUS_ONE = {float32: -18.0, float64: -38.0}  # from here down, e^x - 1 is -1
_ONE = {float32: 20.0, float64: 40.0}  # from here up, tanh(x / 2) is 1
_COSH_LIMIT = {float32: 89.5, float64: 710.6}  # from here up, cosh x is infinite
_TINY = 2.0**-60  # below this size, a function with slope 1 at 0 is its argument


def reduce(v: Lanes, x: Value, tail: Value | None = None) -> Pair:
    """n as the lowest bits of an integer, and r = x - n log 2; a tail is added to x where it is not rounded away."""
    n, whole = nearest(v, x, 1 / math.log(2))
    high, low = LOG_2[x.dtype]
    r = muladd(v, n, -high, x)
    return whole, muladd(v, n, -low, r) if tail is None else r + muladd(v, n, -low, tail)


def exp_small(v: Lanes, r: Value, coefficients: Coefficients) -> Value:
    """e^r for |r| <= log(2) / 2."""
    return muladd(v, r * r, polynomial(v, r, coefficients), r) + 1.0


def scale(v: Lanes, x: Value, n: Value) -> Value:
    """x * 2^n, which may be infinite, subnormal or 0: by two factors, so that it is rounded once."""
    layout = LAYOUTS[x.dtype]
    half = v.shift_left(v.shift_right_unsigned(n, 1), layout.fraction)
    rest = v.shift_left(n, layout.fraction) - half
    return x * v.bitcast(half + layout.one, x.dtype) * v.bitcast(rest + layout.one, x.dtype)


def exp_inside(v: Lanes, x: Value) -> Value:
    """e^x between the limits."""
    n, r = reduce(v, x)
    return scale(v, exp_small(v, r, EXPONENTIAL[x.dtype]), n)


def _expm1_small(v: Lanes, r: Value) -> Value:
    return muladd(v, r * r, polynomial(v, r, EXPONENTIAL[r.dtype]), r)


@shared
def exp(v: Lanes, x: Value) -> Value:
    """e^x."""
    low, high = _EXP_LIMITS[x.dtype]
    return exp_inside(v, at_least(v, at_most(v, x, high), low))


@shared
def expm1(v: Lanes, x: Value) -> Value:
    """e^x - 1 = 2^n (e^r - 1) + (2^n - 1), with half of 2^n, as 2^n itself may be too large."""
    n, r = reduce(v, at_least(v, at_most(v, x, _EXP_LIMITS[x.dtype][1]), _MINUS_ONE[x.dtype]))
    half = power_of_two(v, n, x.dtype, -1)
    found = muladd(v, _expm1_small(v, r), half, half - 0.5) * 2.0
    return v.select(v.less(v.abs(x), _TINY), x, found)


def _grow_and_shrink(v: Lanes, x: Value) -> tuple[Value, Value, Value]:
    """With |x| = n log 2 + r: (2^n + 2^-n) / 4 and (2^n - 2^-n) / 4, which are halves of cosh and sinh; and r."""
    n, whole = nearest(v, x, 1 / math.log(2))
    high, low = LOG_2[x.dtype]
    r = muladd(v, n, -low, muladd(v, n, -high, x))
    layout = LAYOUTS[x.dtype]
    negative = bits(v, layout.shifter - at_most(v, n, 100.0))  # 2^-n does not count beyond
    grow, shrink = power_of_two(v, whole, x.dtype, -2), power_of_two(v, negative, x.dtype, -2)
    return grow + shrink, grow - shrink, r


def _sinh_small(v: Lanes, r: Value) -> Value:
    square = r * r
    return muladd(v, r * square, polynomial(v, square, _SINH[r.dtype]), r)


def _coshm1_small(v: Lanes, r: Value) -> Value:
    square = r * r
    return muladd(v, square * square, polynomial(v, square, _COSH[r.dtype]), square * 0.5)


@shared
def sinh(v: Lanes, x: Value) -> Value:
    """(e^x - e^-x) / 2 = sinh(n log 2) cosh r + cosh(n log 2) sinh r."""
    size = v.abs(x)
    plus, minus, r = _grow_and_shrink(v, at_most(v, size, _COSH_LIMIT[x.dtype]))
    small = muladd(v, minus, _coshm1_small(v, r), plus * _sinh_small(v, r))
    found = v.copysign((minus + small) * 2.0, x)
    return v.select(v.less(size, _TINY), x, found)


@shared
def cosh(v: Lanes, x: Value) -> Value:
    """(e^x + e^-x) / 2 = cosh(n log 2) cosh r + sinh(n log 2) sinh r."""
    plus, minus, r = _grow_and_shrink(v, at_most(v, v.abs(x), _COSH_LIMIT[x.dtype]))
    small = muladd(v, plus, _coshm1_small(v, r), minus * _sinh_small(v, r))
    return (plus + small) * 2.0


@shared
def tanh(v: Lanes, x: Value) -> Value:
    """(e^2x - 1) / (e^2x + 1) = t / (t + 2) with t = e^2|x| - 1; the sign comes last."""
    n, r = reduce(v, at_most(v, v.abs(x) * 2.0, _ONE[x.dtype]))
    power = power_of_two(v, n, x.dtype)
    t = muladd(v, _expm1_small(v, r), power, power - 1.0)
    return v.copysign(t / (t + 2.0), x)


def _exp_of_minus_size(v: Lanes, x: Value) -> Value:
    return exp_inside(v, at_least(v, v.negative(v.abs(x)), _EXP_LIMITS[x.dtype][0]))


@shared
def sigmoid(v: Lanes, x: Value) -> Value:
    """1 / (1 + e^-x), for negative x as e^x / (1 + e^x): e^-|x| never overflows, and loses nothing in the tail."""
    small = _exp_of_minus_size(v, x)
    return v.select(v.greater_equal(x, 0.0), 1.0, small) / (small + 1.0)


@shared
def softplus(v: Lanes, x: Value) -> Value:
    """log(1 + e^x) = max(x, 0) + log1p(e^-|x|)."""
    return at_least(v, x, 0.0) + log1p_inside(v, _exp_of_minus_size(v, x))
