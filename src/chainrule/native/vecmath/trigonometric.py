"""Sine, cosine and tangent: polynomials around 0, after the angle was reduced to an eighth of a turn."""

from __future__ import annotations

from chainrule.native.code import Value
from chainrule.native.lanes import Lanes
from chainrule.native.vecmath.angles import reduced
from chainrule.native.vecmath.parts import Coefficients, bits, flip_sign, muladd, polynomial, shared
from chainrule.types import DType, float32, float64

# (sin(r) / r - 1) / r^2 as a polynomial in r^2 for |r| <= pi / 4.
# Relative error in float32: 2^-27.9, in float64: 2^-56.4.
_SIN: dict[DType, Coefficients] = {
    float32: (-0.16666655242443085, 0.008332189172506332, -0.0001951828453456983),
    float64: (-0.1666666666666663, 0.008333333333322108, -0.00019841269829580993, 2.755731361828623e-06,
              -2.505074725746404e-08, 1.5896199749768296e-10),
}  # fmt: skip

# (cos(r) - 1 + r^2 / 2) / r^4 as a polynomial in r^2. Error in float32: 2^-33, in float64: 2^-59.7.
_COS: dict[DType, Coefficients] = {
    float32: (0.04166664555668831, -0.0013887309469282627, 2.4432323698420078e-05),
    float64: (0.041666666666666595, -0.0013888888888873043, 2.480158728884212e-05, -2.755731417641512e-07,
              2.0875700436194092e-09, -1.135851482981874e-11),
}  # fmt: skip

# (tan(r) / r - 1) / r^2 as a polynomial in r^2. Relative error in float32: 2^-27.7, in float64: 2^-55.1.
_TAN: dict[DType, Coefficients] = {
    float32: (0.33333349227905273, 0.13332661986351013, 0.05406004190444946, 0.02128152921795845,
              0.0108375558629632, 8.727835665922612e-05, 0.004377412144094706),
    float64: (0.33333333333332776, 0.13333333333414532, 0.05396825392670947, 0.0218694896080377,
              0.008863219177333003, 0.003592288965662712, 0.0014547586224847092, 0.000595062117624968,
              0.00022238723905887694, 0.00013651067098423598, -2.636558940018371e-05, 8.943364987972905e-05,
              -4.486655001331081e-05, 2.0860864271540955e-05),
}  # fmt: skip


def _sin_small(v: Lanes, r: Value) -> Value:
    square = r * r
    return muladd(v, r * square, polynomial(v, square, _SIN[r.dtype]), r)


def _cos_small(v: Lanes, r: Value) -> Value:
    square = r * r
    return muladd(v, square * square, polynomial(v, square, _COS[r.dtype]), muladd(v, square, -0.5, 1.0))


def _bit_to_sign(v: Lanes, n: Value, bit: int) -> Value:
    return v.shift_left(n, 8 * n.dtype.itemsize - 1 - bit)


def _is_odd(v: Lanes, n: Value) -> Value:
    return v.not_equal(v.logical_and(n, 1), 0)


@shared
def sin(v: Lanes, x: Value) -> Value:
    """Sine; the sign of the angle is put aside, so that -0 keeps it."""
    n, r = reduced(v, v.abs(x))
    found = v.select(_is_odd(v, n), _cos_small(v, r), _sin_small(v, r))
    return flip_sign(v, found, v.logical_xor(bits(v, x), _bit_to_sign(v, n, 1)))


@shared
def cos(v: Lanes, x: Value) -> Value:
    """Cosine: the sine a quarter turn on."""
    n, r = reduced(v, v.abs(x))
    found = v.select(_is_odd(v, n), _sin_small(v, r), _cos_small(v, r))
    return flip_sign(v, found, _bit_to_sign(v, n + 1, 1))


@shared
def tan(v: Lanes, x: Value) -> Value:
    """Tangent: tan r, or -1 / tan r after an odd number of quarter turns."""
    n, r = reduced(v, v.abs(x))
    square = r * r
    small = muladd(v, r * square, polynomial(v, square, _TAN[r.dtype]), r)
    found = v.select(_is_odd(v, n), 1.0 / small, small)
    return flip_sign(v, found, v.logical_xor(bits(v, x), _bit_to_sign(v, n, 0)))
