"""The error function and its inverse, and the normal distribution function."""

from __future__ import annotations

import math

from chainrule.native.code import Value
from chainrule.native.lanes import Lanes
from chainrule.native.vecmath.exponential import EXPONENTIAL, exp, exp_small, reduce
from chainrule.native.vecmath.parts import (
    Coefficients,
    at_most,
    bits,
    muladd,
    polynomial,
    power_of_two,
    shared,
    two_product,
)
from chainrule.types import DType, float32, float64

# Up to here the first table holds, and beyond the second one; from the last number on, erf is 1.
_CHANGE = {float32: 0.8, float64: 1.0}
_ONE = {float32: 4.0, float64: 6.0}

# erf(a) / a - 1 as a polynomial in a^2. Relative error in float32: 2^-27.6, in float64: 2^-55.1.
_NEAR: dict[DType, Coefficients] = {
    float32: (0.12837916612625122, -0.3761260211467743, 0.11283113062381744, -0.02682080864906311,
              0.005085132084786892, -0.0006535234278999269),
    float64: (0.12837916709551256, -0.3761263890318352, 0.11283791670944185, -0.02686617064311148,
              0.0052239776061186, -0.0008548325929320026, 0.0001205529357702968, -1.4924712303670038e-05,
              1.6447131581962569e-06, -1.6206313773561104e-07, 1.3710980218766878e-08, -7.779467780113909e-10),
}  # fmt: skip

# -log(1 - erf(a)). Error of erf in float32: 2^-28.1, in float64: 2^-55.3.
_FAR: dict[DType, Coefficients] = {
    float32: (-0.0001408961834385991, 1.129346489906311, 0.6336989998817444, 0.10788026452064514,
              -0.02485327050089836, 0.004067272879183292, -0.0004125210689380765, 1.915596476464998e-05),
    float64: (2.873236587527284e-07, 1.1283764140186772, 0.6366319647050152, 0.10273962906393658,
              -0.01906803344146422, -0.00028723550520531004, 0.0017665121369427523, -0.000629115437467781,
              2.8634127595535528e-05, 8.438463919883087e-05, -5.393316755937895e-05, 2.083941257281269e-05,
              -5.968306207711869e-06, 1.3393236239773204e-06, -2.3962363958460095e-07, 3.4203393763727305e-08,
              -3.854825292854832e-09, 3.358659879047405e-10, -2.183221687737662e-11, 9.966980777155381e-13,
              -2.850314631434778e-14, 3.840764263007836e-16),
}  # fmt: skip


@shared
def erf(v: Lanes, x: Value) -> Value:
    """Around 0 a polynomial; beyond, 1 - e^-q with a polynomial q."""
    dtype, size = x.dtype, v.abs(x)
    near = muladd(v, size, polynomial(v, size * size, _NEAR[dtype]), size)
    q = polynomial(v, at_most(v, size, _ONE[dtype]), _FAR[dtype])
    n, r = reduce(v, v.negative(q))
    far = 1.0 - exp_small(v, r, EXPONENTIAL[dtype]) * power_of_two(v, n, dtype)
    return v.copysign(v.select(v.less(size, _CHANGE[dtype]), near, far), x)


# The probability below -a, divided by e^(-a^2 / 2), as numerator and denominator: polynomials in a, all of whose
# coefficients are positive, so that nothing is lost by subtraction. Relative error in float32: 2^-26.6, in float64:
# 2^-56.4.
_TAIL: dict[DType, tuple[Coefficients, Coefficients]] = {
    float32: (
        (0.952107846736908, 0.8211687803268433, 0.33882102370262146, 0.0739295706152916, 0.0073156473226845264),
        (1.904215693473816, 3.16168212890625, 2.248187780380249, 0.8672808408737183, 0.18533021211624146,
         0.01833728514611721),
    ),
    float64: (
        (0.8931530565810428, 1.4733539171387802, 1.20514390054637, 0.6313967047808184, 0.23242462571796868,
         0.06252142103870478, 0.012428092562969634, 0.001804648338488365, 0.00018386028184720382,
         1.1947771101385807e-05, 3.8044054272642175e-07),
        (1.7863061131620857, 4.3719739028373645, 5.005465221818673, 3.5456785677877676, 1.7306473889572078,
         0.6128425301203403, 0.1611816476274669, 0.03161157033537913, 0.004553531172282646, 0.00046182300407485063,
         2.9948620861610985e-05, 9.536230212137629e-07),
    ),
}  # fmt: skip
_TAIL_END = {float32: 14.5, float64: 38.7}  # from here on, e^(-a^2 / 2) is 0


def _by_parity(v: Lanes, x: Value, square: Value, coefficients: Coefficients) -> Value:
    """A polynomial made of its even and its odd part, both of which are polynomials in x^2."""
    return muladd(v, x, polynomial(v, square, coefficients[1::2]), polynomial(v, square, coefficients[::2]))


@shared
def ndtr(v: Lanes, x: Value) -> Value:
    """Below 0 a power of e and a ratio of polynomials; above, what is left to 1.

    The power is that of the density, which compiled code then has for nothing. Far out, what rounding took from x^2
    matters, and is put back.
    """
    power = exp(v, x * x * -0.5)
    size = at_most(v, v.abs(x), _TAIL_END[x.dtype])
    square, rest = two_product(v, size, size)
    above, below = (_by_parity(v, size, square, c) for c in _TAIL[x.dtype])
    ratio = above / below
    lower = muladd(v, ratio, rest * -0.5, ratio) * power
    return v.select(v.less(bits(v, x), 0), lower, 1.0 - lower)


# Wichura's rational approximations of the normal quantile, as numerator and denominator, highest power first.
QUANTILE_CENTRE: tuple[Coefficients, Coefficients] = (
    (2.5090809287301226727e3, 3.3430575583588128105e4, 6.7265770927008700853e4, 4.5921953931549871457e4,
     1.3731693765509461125e4, 1.9715909503065514427e3, 1.3314166789178437745e2, 3.3871328727963666080),
    (5.2264952788528545610e3, 2.8729085735721942674e4, 3.9307895800092710610e4, 2.1213794301586595867e4,
     5.3941960214247511077e3, 6.8718700749205790830e2, 4.2313330701600911252e1, 1.0),
)  # fmt: skip
QUANTILE_TAIL: tuple[Coefficients, Coefficients] = (
    (7.74545014278341407640e-4, 2.27238449892691845833e-2, 2.41780725177450611770e-1, 1.27045825245236838258,
     3.64784832476320460504, 5.76949722146069140550, 4.63033784615654529590, 1.42343711074968357734),
    (1.05075007164441684324e-9, 5.47593808499534494600e-4, 1.51986665636164571966e-2, 1.48103976427480074590e-1,
     6.89767334985100004550e-1, 1.67638483018380384940, 2.05319162663775882187, 1.0),
)  # fmt: skip
QUANTILE_FAR_TAIL: tuple[Coefficients, Coefficients] = (
    (2.01033439929228813265e-7, 2.71155556874348757815e-5, 1.24266094738807843860e-3, 2.65321895265761230930e-2,
     2.96560571828504891230e-1, 1.78482653991729133580, 5.46378491116411436990, 6.65790464350110377720),
    (2.04426310338993978564e-15, 1.42151175831644588870e-7, 1.84631831751005468180e-5, 7.86869131145613259100e-4,
     1.48753612908506148525e-2, 1.36929880922735805310e-1, 5.99832206555887937690e-1, 1.0),
)  # fmt: skip

ATANH: Coefficients = tuple(1 / n for n in range(23, 0, -2))  # atanh(s) / s = 1 + s^2 / 3 + ..., highest power first
LOG_2_HIGH = 2977044471 / 2**32  # few enough bits for its product with an exponent to be exact
LOG_2_LOW = 1.9082149292705877e-10


def _horner(v: Lanes, x: Value, coefficients: list[Value]) -> Value:
    """A polynomial with every step rounded by itself, highest power first."""
    found = coefficients[0]
    for c in coefficients[1:]:
        found = found * x + c
    return found


def _portable_log(v: Lanes, x: Value) -> Value:
    """The logarithm of a positive normal float64, step by step as its NumPy twin takes them."""
    whole = bits(v, x)
    mantissa = v.bitcast(v.logical_or(v.logical_and(whole, (1 << 52) - 1), 1022 << 52), float64)
    raised = v.logical_or(v.shift_right_unsigned(whole, 52), (1023 + 52) << 52)
    exponent = v.bitcast(raised, float64) - (2.0**52 + 1022.0)
    small = v.less(mantissa, math.sqrt(0.5))
    mantissa = v.select(small, mantissa * 2.0, mantissa)
    exponent = v.select(small, exponent - 1.0, exponent)
    s = (mantissa - 1.0) / (mantissa + 1.0)
    series = _horner(v, s * s, [v.constant(float64, c) for c in ATANH])
    return exponent * LOG_2_HIGH + (s * 2.0 * series + exponent * LOG_2_LOW)


@shared
def erfinv(v: Lanes, x: Value) -> Value:
    """The inverse of erf, by Wichura's approximations: the same bits as its NumPy twin has.

    There is nothing but arithmetic and square roots here, each rounded as NumPy rounds it, in float64. Coefficients
    are chosen before the polynomials are evaluated, which changes no bit. float32 never gets into the far tail.
    """
    wide = v.cast(x, float64)
    size = v.abs(wide)
    half = wide * 0.5
    inside = v.less(size, 1.0)
    depth = v.sqrt(v.negative(_portable_log(v, v.select(inside, (1.0 - size) * 0.5, 0.5))))
    central = v.less_equal(v.abs(half), 0.425)
    close = v.less_equal(depth, 5.0)
    point = v.select(close, depth - 1.6, depth - 5.0)
    point = v.select(central, 0.180625 - half * half, point)

    def chosen(part: int) -> list[Value]:
        tail = [v.constant(float64, c) for c in QUANTILE_TAIL[part]]
        if x.dtype is float64:
            tail = [v.select(close, t, c) for t, c in zip(tail, QUANTILE_FAR_TAIL[part], strict=True)]
        return [v.select(central, c, t) for t, c in zip(tail, QUANTILE_CENTRE[part], strict=True)]

    ratio = _horner(v, point, chosen(0)) / _horner(v, point, chosen(1))
    found = v.select(central, half * ratio, v.copysign(ratio, wide)) * math.sqrt(0.5)
    outside = v.select(v.equal(size, 1.0), v.copysign(v.constant(float64, math.inf), wide), math.nan)
    return v.cast(v.select(inside, found, outside), x.dtype)
