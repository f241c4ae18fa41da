"""Logarithms: with x = 2^e (1 + f) and 1 + f from sqrt(1/2) to sqrt(2), log x = e log 2 + log(1 + f)."""

from __future__ import annotations

import math

from chainrule.native.code import Value
from chainrule.native.lanes import Lanes
from chainrule.native.vecmath.parts import (
    LAYOUTS,
    Coefficients,
    Pair,
    bits,
    fast_two_sum,
    muladd,
    polynomial,
    shared,
    two_product,
    two_sum,
)
from chainrule.types import float32, float64

# (log(1 + f) - f + f^2 / 2) / f^3, relative error of log 2^-27.3
_LOG32: Coefficients = (
    0.3333333134651184, -0.2500081956386566, 0.20001228153705597, -0.1662336140871048,
    0.14201730489730835, -0.13160137832164764, 0.12761737406253815, -0.07634785771369934,
)  # fmt: skip
# With s = f / (2 + f), log(1 + f) = 2 atanh s = 2 s + s^3 p(s^2); relative error of log 2^-58.9
_ATANH64: Coefficients = (
    0.6666666666666734, 0.3999999999941405, 0.28571428742544475, 0.22222198555413436,
    0.18183565332159882, 0.15314022810346906, 0.1479624634413097,
)  # fmt: skip
# The same with relative error 2^-37.6, for logarithms in float64 of numbers in float32
_ATANH32: Coefficients = (0.6666666564476662, 0.4000033537753499, 0.28537295345081004, 0.23582422799995617)
# 2 atanh s = 2 s + 2/3 s^3 + s^5 p(s^2), relative error of log 2^-67, with the first two terms in twice the precision
_ATANH128: Coefficients = (
    0.3999999999999998, 0.28571428571443197, 0.22222222217917564, 0.18181818830749008,
    0.15384559208840284, 0.1333623812524061, 0.11676257426566511, 0.11978179640873249,
)  # fmt: skip
_TWO_THIRDS = (0.6666666666666666, 3.700743415417188e-17)
_LOG_2 = (0.6931471805599453, 2.3190468138462996e-17)
# In two parts of which the first has few enough bits for its product with e to be exact.
_LOG_2_SHORT = {
    float32: (0.693145751953125, 1.428606765330187e-06),
    float64: (0.6931471805598903, 5.497923018708371e-14),
}
_ROOT_HALF = {float32: 0x3F3504F3, float64: 0x3FE6A09E667F3BCD}  # bits of sqrt(1/2)


def split(v: Lanes, x: Value) -> Pair:
    """e and f of a positive normal number, both as floats."""
    layout, low = LAYOUTS[x.dtype], _ROOT_HALF[x.dtype]
    moved = bits(v, x) + (layout.one - low)
    mantissa = v.bitcast(v.logical_and(moved, (1 << layout.fraction) - 1) + low, x.dtype)
    return _exponent(v, moved, x) - float(layout.bias), mantissa - 1.0


def _exponent(v: Lanes, moved: Value, x: Value) -> Value:
    """The bits of the exponent as a float: those of 2^fraction hold them behind the point."""
    layout = LAYOUTS[x.dtype]
    big = 2.0**layout.fraction
    whole = v.logical_or(
        v.shift_right_unsigned(moved, layout.fraction), (layout.bias + layout.fraction) << layout.fraction
    )
    return v.bitcast(whole, x.dtype) - big


def split_any(v: Lanes, x: Value) -> Pair:
    """e and f of a positive number, which may be subnormal."""
    layout = LAYOUTS[x.dtype]
    up = layout.fraction + 2
    small = v.less(x, 2.0 ** (1 - layout.bias))
    e, f = split(v, v.select(small, x * 2.0**up, x))
    return v.select(small, e - float(up), e), f


def _log_of(v: Lanes, e: Value, f: Value) -> Value:
    """e log 2 + log(1 + f): small parts first."""
    high, low = _LOG_2_SHORT[f.dtype]
    if f.dtype is float32:
        square = f * f
        tail = square * f * polynomial(v, f, _LOG32)
        tail = muladd(v, square, -0.5, muladd(v, e, low, tail))
    else:  # 2 s = f - s f; with s f = f^2 / 2 - s f^2 / 2, little is lost in the difference
        s, half = f / (f + 2.0), f * f * 0.5
        square = s * s
        tail = muladd(v, s, half + square * polynomial(v, square, _ATANH64), e * low) - half
    return muladd(v, e, high, f + tail)


def _at_edges(v: Lanes, x: Value, found: Value) -> Value:
    """The logarithm is infinite at infinity and 0, and NaN below."""
    found = v.select(v.less(x, math.inf), found, x)
    return v.select(v.greater(x, 0.0), found, v.select(v.equal(x, 0.0), v.constant(x.dtype, -math.inf), math.nan))


@shared
def log(v: Lanes, x: Value) -> Value:
    """The natural logarithm."""
    return _at_edges(v, x, _log_of(v, *split_any(v, x)))


def log1p_inside(v: Lanes, x: Value) -> Value:
    """log(1 + x) for x > -1 that is finite. What rounding takes from 1 + x is brought back into f."""
    layout = LAYOUTS[x.dtype]
    total, lost = two_sum(v, v.constant(x.dtype, 1.0), x)
    low = _ROOT_HALF[x.dtype]
    moved = bits(v, total) + (layout.one - low)
    mantissa = v.bitcast(v.logical_and(moved, (1 << layout.fraction) - 1) + low, x.dtype)
    e = _exponent(v, moved, x) - float(layout.bias)
    exponent = v.logical_and(moved, -1 << layout.fraction)
    down = v.bitcast(
        ((2 * layout.bias + 1) << layout.fraction) - exponent, x.dtype
    )  # 2^(1 - e), which is never below 0
    return _log_of(v, e, (mantissa - 1.0) + lost * (down * 0.5))


@shared
def log1p(v: Lanes, x: Value) -> Value:
    """log(1 + x)."""
    return v.copysign(_at_edges(v, x + 1.0, log1p_inside(v, x)), x)


def log_wide(v: Lanes, x: Value) -> Value:
    """log x in float64 for positive x that is no subnormal, to 2^-37: enough for powers in float32."""
    e, f = split(v, x)
    s = f / (f + 2.0)
    square = s * s
    return muladd(v, e, _LOG_2[0], s * muladd(v, square, polynomial(v, square, _ATANH32), 2.0))


def log_pair(v: Lanes, x: Value) -> Pair:
    """log x for positive float64 in twice the precision, to about 2^-66."""
    e, f = split_any(v, x)
    below = f + 2.0
    lost = f - (below - 2.0)
    s = f / below
    p, q = two_product(v, s, below)
    s_low = (((f - p) - q) - s * lost) / below
    square, square_low = two_product(v, s, s)
    square_low = muladd(v, s * 2.0, s_low, square_low)
    factor, factor_low = fast_two_sum(v, v.constant(f.dtype, _TWO_THIRDS[0]), square * polynomial(v, square, _ATANH128))
    factor_low = factor_low + _TWO_THIRDS[1]
    cube, cube_low = two_product(v, square, s)
    cube_low = muladd(v, square, s_low, muladd(v, square_low, s, cube_low))
    tail, tail_low = two_product(v, cube, factor)
    tail_low = muladd(v, cube, factor_low, muladd(v, cube_low, factor, tail_low))
    near, near_low = fast_two_sum(v, s * 2.0, tail)
    near_low = near_low + muladd(v, s_low, 2.0, tail_low)
    far, far_low = two_product(v, e, v.constant(f.dtype, _LOG_2[0]))
    far_low = muladd(v, e, _LOG_2[1], far_low)
    total, total_low = fast_two_sum(v, far, near)
    return fast_two_sum(v, total, total_low + (near_low + far_low))
