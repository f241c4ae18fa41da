"""Powers: x^y = e^(y log x), with the logarithm in a higher precision, and of integers by multiplication."""

from __future__ import annotations

import math

from chainrule.native.code import Number, Value
from chainrule.native.lanes import Lanes
from chainrule.native.vecmath.exponential import EXPONENTIAL, exp_small, reduce, scale
from chainrule.native.vecmath.logarithm import log_pair, log_wide
from chainrule.native.vecmath.parts import (
    Coefficients,
    at_least,
    at_most,
    bits,
    flip_sign,
    muladd,
    power_of_two,
    shared,
    two_product,
)
from chainrule.types import float32, float64, int64

# (e^r - 1 - r) / r^2 for |r| <= log(2) / 2 in float64, for results in float32: error of e^r 2^-34.
_EXP32: Coefficients = (
    0.5000000068431785, 0.16666665858887453, 0.04166629217844656, 0.008333498532374726,
    0.001394486833482512, 0.00019790037236491376,
)  # fmt: skip

_FAR = 2.0**70  # x^y does not change with |y| beyond, unless |x| is 1


def power(v: Lanes, x: Value, y: Value) -> Value:
    """x^y, of floats as in C; of integers cut towards 0."""
    return _float_power(v, x, y) if x.dtype.is_float else _integer_power(v, x, y)


def constant_power(v: Lanes, x: Value, exponent: Number) -> Value:
    """x to a power that is known, small whole ones by multiplication."""
    if not x.dtype.is_float:
        return _repeated(v, x, int(exponent))
    if exponent in (2, 3, 4):
        return _repeated(v, x, int(exponent))
    if exponent in (-1, -2):
        return _repeated(v, reciprocal(v, x), -int(exponent))  # x^n may overflow where x^-n is subnormal
    return _float_power(v, x, v.constant(x.dtype, exponent))


def square(v: Lanes, x: Value) -> Value:
    """x * x."""
    return x * x


def reciprocal(v: Lanes, x: Value) -> Value:
    """1 / x."""
    return 1.0 / x


def rsqrt(v: Lanes, x: Value) -> Value:
    """1 / sqrt(x)."""
    return 1.0 / v.sqrt(x)


def _repeated(v: Lanes, x: Value, n: int) -> Value:
    """x^n by squaring, for n >= 0."""
    found: Value | None = None
    while n:
        if n & 1:
            found = x if found is None else found * x
        n >>= 1
        x = x * x if n else x
    return v.constant(x.dtype, 1) if found is None else found


@shared
def _float_power(v: Lanes, x: Value, y: Value) -> Value:
    """|x|^y with a sign, and then what is special: in this order, the last word is that x^0 and 1^y are 1."""
    size, dtype = v.abs(x), x.dtype
    exponent = at_least(v, at_most(v, y, _FAR), -_FAR)
    found = (_power32 if dtype is float32 else _power64)(v, size, exponent)
    # 0 and infinity: which of them comes out depends on the sign of y.
    infinite = v.equal(size, math.inf)
    grows = v.logical_xor(v.less(y, 0.0), infinite)
    edge = v.logical_or(infinite, v.equal(size, 0.0))
    found = v.select(edge, v.select(grows, v.constant(dtype, math.inf), 0.0), found)
    # Below 0: an odd power is negative, and one with a fraction is NaN.
    half = y * 0.5
    whole = v.equal(v.floor(y), y)
    odd = v.logical_and(whole, v.not_equal(v.floor(half), half))
    found = v.select(odd, flip_sign(v, found, bits(v, x)), found)
    outside = v.logical_and(v.logical_and(v.less(x, 0.0), v.logical_not(whole)), v.logical_not(infinite))
    nan = v.logical_or(v.is_nan(x), v.is_nan(y))
    found = v.select(v.logical_or(outside, nan), math.nan, found)
    return v.select(v.logical_or(v.equal(x, 1.0), v.equal(y, 0.0)), 1.0, found)


def _power32(v: Lanes, size: Value, y: Value) -> Value:
    """In float64, which has bits to spare, so that float32 is rounded once."""
    exponent = v.cast(y, float64) * log_wide(v, v.cast(size, float64))
    n, r = reduce(v, at_least(v, at_most(v, exponent, 200.0), -200.0))
    return v.cast(exp_small(v, r, _EXP32) * power_of_two(v, n, float64), float32)


def _power64(v: Lanes, size: Value, y: Value) -> Value:
    """With y log x in two parts: what the second one says counts as much as its own size."""
    log, log_low = log_pair(v, size)
    exponent, tail = two_product(v, y, log)
    tail = muladd(v, y, log_low, tail)
    inside = v.less(v.abs(exponent), 800.0)
    n, r = reduce(v, at_least(v, at_most(v, exponent, 720.0), -760.0), v.select(inside, tail, 0.0))
    return scale(v, exp_small(v, r, EXPONENTIAL[float64]), n)


@shared
def _integer_power(v: Lanes, x: Value, n: Value) -> Value:
    """By squaring, for as many bits as the largest exponent has; x^-n is 0, unless x is 1 or -1."""
    negative = v.less(n, 0)
    left = v.select(negative, v.logical_and(n, 1), n)
    with v.f.loop(0, _bits_of_largest(v, left), carried=(v.constant(x.dtype, 1), x, left)) as loop:
        found, base, left = loop.values
        odd = v.not_equal(v.logical_and(left, 1), 0)
        loop.next = [v.select(odd, found * base, found), base * base, v.shift_right_unsigned(left, 1)]
    cut = v.logical_and(negative, v.not_equal(v.abs(x), 1))
    return v.select(cut, 0, loop.results[0])


def _bits_of_largest(v: Lanes, n: Value) -> Value:
    """How many bits the largest of these numbers has; none is negative."""
    f, one = v.f, Lanes(v.f, 1)
    if v.count > 1:
        name = f"llvm.vector.reduce.umax.{v.suffix(n.dtype)}"
        f.module.declare(name, f"{one.type(n.dtype)} @{name}({n.type})")
        n = one.value(n.dtype, f.new(one.type(n.dtype), f"call {one.type(n.dtype)} @{name}({n})").name)
    else:
        n = one.value(n.dtype, n.name)
    return 64 - one.call("llvm.ctlz", one.cast(n, int64), types=["i1 false"])
