"""The error function, its inverse and the normal distribution function, elementwise.

NumPy has none of them, so that their approximations stand here.
"""

from __future__ import annotations

import math

import numpy as np

from chainrule.kernel import Map
from chainrule.native import vecmath
from chainrule.native.vecmath.special import (
    ATANH,
    LOG_2_HIGH,
    LOG_2_LOW,
    QUANTILE_CENTRE,
    QUANTILE_FAR_TAIL,
    QUANTILE_TAIL,
)
from chainrule.op import define
from chainrule.ops.rules import elementwise, same_type
from chainrule.ops.transcendental import exp
from chainrule.samples import floats
from chainrule.tensor import Tensor, TensorLike
from chainrule.types import FLOATS, Array

Coefficients = tuple[float, ...]  # of a polynomial, highest power first


def _ratio(above: Coefficients, below: Coefficients, x: Array) -> Array:
    """The quotient of two polynomials."""
    found = _polynomial(above, x)
    found /= _polynomial(below, x)
    return found


def _polynomial(coefficients: Coefficients, x: Array) -> Array:
    """A polynomial at x, by Horner's rule: the same bits as `np.polyval`, with no array for each step."""
    found = np.full_like(x, coefficients[0])
    for c in coefficients[1:]:
        found *= x
        found += c
    return found


# fmt: off
_ERF_NEAR_0 = (
    (1.85777706184603153e-1, 3.16112374387056560, 1.13864154151050156e2, 3.77485237685302021e2, 3.20937758913846947e3),
    (1.0, 2.36012909523441209e1, 2.44024637934444173e2, 1.28261652607737228e3, 2.84423683343917062e3),
)
_ERFC_ABOVE = (
    (2.15311535474403846e-8, 5.64188496988670089e-1, 8.88314979438837594, 6.61191906371416295e1, 2.98635138197400131e2,
     8.81952221241769090e2, 1.71204761263407058e3, 2.05107837782607147e3, 1.23033935479799725e3),
    (1.0, 1.57449261107098347e1, 1.17693950891312499e2, 5.37181101862009858e2, 1.62138957456669019e3,
     3.29079923573345963e3, 4.36261909014324716e3, 3.43936767414372164e3, 1.23033935480374942e3),
)
_ERFC_FAR = (
    (1.63153871373020978e-2, 3.05326634961232344e-1, 3.60344899949804439e-1, 1.25781726111229246e-1,
     1.60837851487422766e-2, 6.58749161529837803e-4),
    (1.0, 2.56852019228982242, 1.87295284992346047, 5.27905102951428412e-1, 6.05183413124413191e-2,
     2.33520497626869185e-3),
)
# fmt: on


def _erf(x: Array) -> Array:
    """Cody's approximations of erf around 0 and of 1 - erf above; float32 is rounded from float64.

    He changes over at 0.46875. At 0.5, the subtraction from 1 loses nothing. Beyond 4, where he has a third one, the
    error of the second is below the last bit of the result.
    """
    size = np.minimum(np.abs(x.astype(np.float64)), 6.0)  # from 6 on, the nearest number is 1
    near = size * _ratio(*_ERF_NEAR_0, size * size)
    far = 1.0 - np.exp(-size * size) * _ratio(*_ERFC_ABOVE, size)
    return np.copysign(np.where(size <= 0.5, near, far), x).astype(x.dtype)


ERF = define(
    "erf",
    takes=(FLOATS,),
    infer=same_type,
    numpy=_erf,
    vjp=(lambda ct, out, x: ct * (2 / math.sqrt(math.pi) * exp(-x * x)),),
    samples=floats(),
    kernel=Map(vecmath.erf, cost=42),
)


def erf(x: TensorLike) -> Tensor:
    """The error function, elementwise: 2 / sqrt(pi) times the integral of exp(-t^2) from 0 to x.

    Integers become float32. The error is at most 4 units in the last place.

    W. J. Cody, "Rational Chebyshev approximations for the error function", Mathematics of Computation 23 (1969).

    >>> erf(np.array([0.0, 1.0, -1.0]))
    tensor([ 0.        ,  0.84270079, -0.84270079], f64[3])
    """
    return elementwise(ERF, x)


def _ndtr(x: Array) -> Array:
    """Cody's approximations of erf around 0 and of 1 - erf in two ranges above; float32 is rounded from float64.

    As he does, the square in the exponent is taken in two parts, the first of which is exact.
    """
    wide = x.astype(np.float64)
    size = np.minimum(np.abs(wide), 40.0)  # from 40 on, the nearest numbers are 0 and 1
    scaled = size * math.sqrt(0.5)
    rounded = np.round(size * 16.0) / 16.0
    power = np.exp(-0.5 * rounded * rounded) * np.exp(-0.5 * (size - rounded) * (size + rounded))
    inverse = 1.0 / np.maximum(scaled, 1.0)
    square = inverse * inverse
    far = inverse * (1.0 / math.sqrt(math.pi) - square * _ratio(*_ERFC_FAR, square))
    tail = power * np.where(scaled <= 4.0, _ratio(*_ERFC_ABOVE, scaled), far)
    near = 1.0 - scaled * _ratio(*_ERF_NEAR_0, scaled * scaled)
    lower = 0.5 * np.where(scaled <= 0.5, near, tail)
    return np.where(wide < 0.0, lower, 1.0 - lower).astype(x.dtype)


NDTR = define(
    "ndtr",
    takes=(FLOATS,),
    infer=same_type,
    numpy=_ndtr,
    vjp=(lambda ct, out, x: ct * (1.0 / math.sqrt(2.0 * math.pi) * exp(x * x * -0.5)),),
    samples=floats(),
    kernel=Map(vecmath.ndtr, cost=45),
)


def ndtr(x: TensorLike) -> Tensor:
    """The probability that a standard normal variable is below x, elementwise: the normal distribution function.

    1 / sqrt(2 pi) times the integral of exp(-t^2 / 2) from minus infinity to x, which is (1 + erf(x / sqrt(2))) / 2.
    Integers become float32. The error is at most 8 units in the last place, however small the probability is.

    W. J. Cody, "Rational Chebyshev approximations for the error function", Mathematics of Computation 23 (1969).

    >>> ndtr(np.array([0.0, 1.0, -10.0]))
    tensor([5.00000000e-01, 8.41344746e-01, 7.61985302e-24], f64[3])
    """
    return elementwise(NDTR, x)


def _portable_log(x: Array) -> Array:
    """Natural logarithm of positive numbers: the same bits on every machine, as all its steps are rounded exactly.

    With x = m 2^e and m from sqrt(1/2) to sqrt(2), log x = e log 2 + log m and log m = 2 atanh((m - 1) / (m + 1)).
    """
    mantissa, exponent = np.frexp(x)
    small = mantissa < math.sqrt(0.5)
    mantissa, exponent = np.where(small, 2.0 * mantissa, mantissa), exponent - small
    s = (mantissa - 1.0) / (mantissa + 1.0)
    return exponent * LOG_2_HIGH + (2.0 * s * np.polyval(ATANH, s * s) + exponent * LOG_2_LOW)


def _erfinv(x: Array) -> Array:
    """Wichura's approximations of the normal quantile z, from which erfinv(x) = z((x + 1) / 2) / sqrt(2).

    The normal random numbers that the library promises come from here. So there is nothing but arithmetic and square
    roots, which every machine rounds alike; NumPy's log differs from one machine to the next. float32 is rounded
    from float64. The compiled function takes the same steps with the same numbers, and its result has the same bits.
    """
    wide = x.astype(np.float64)
    half = 0.5 * wide
    centre = half * _ratio(*QUANTILE_CENTRE, 0.180625 - half * half)
    depth = np.sqrt(-_portable_log(0.5 * (1.0 - np.abs(wide))))
    tail = np.where(depth <= 5.0, _ratio(*QUANTILE_TAIL, depth - 1.6), _ratio(*QUANTILE_FAR_TAIL, depth - 5.0))
    inside = math.sqrt(0.5) * np.where(np.abs(half) <= 0.425, centre, np.copysign(tail, wide))
    outside = np.where(np.abs(wide) == 1.0, np.copysign(np.inf, wide), np.nan)
    return np.where(np.abs(wide) < 1.0, inside, outside).astype(x.dtype)


ERFINV = define(
    "erfinv",
    takes=(FLOATS,),
    infer=same_type,
    numpy=_erfinv,
    vjp=(lambda ct, out, x: ct * (math.sqrt(math.pi) / 2 * exp(out * out)),),
    samples=floats(-0.9, 0.9),
    kernel=Map(vecmath.erfinv, cost=375),
)


def erfinv(x: TensorLike) -> Tensor:
    """The inverse of `erf`, elementwise: infinite at 1 and -1, NaN beyond. Integers become float32.

    sqrt(2) * erfinv(2 * u - 1) of a uniformly distributed u is normally distributed. NumPy's result has the same bits
    on every machine. The error is at most 6 units in the last place.

    M. J. Wichura, "Algorithm AS 241: the percentage points of the normal distribution", Applied Statistics 37 (1988).

    >>> erfinv(np.array([0.0, 0.5, -1.0]))
    tensor([0.        , 0.47693628,       -inf], f64[3])
    """
    return elementwise(ERFINV, x)
