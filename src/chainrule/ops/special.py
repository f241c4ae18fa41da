"""The error function and its inverse, elementwise. NumPy has neither, so that their approximations stand here."""

from __future__ import annotations

import math

import numpy as np

from chainrule.op import define
from chainrule.ops.rules import elementwise, same_type
from chainrule.ops.transcendental import exp
from chainrule.samples import floats
from chainrule.tensor import Tensor, TensorLike
from chainrule.types import FLOATS, Array

Coefficients = tuple[float, ...]  # of a polynomial, highest power first


def _ratio(above: Coefficients, below: Coefficients, x: Array) -> Array:
    """The quotient of two polynomials."""
    return np.polyval(above, x) / np.polyval(below, x)


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
)


def erf(x: TensorLike) -> Tensor:
    """The error function, elementwise: 2 / sqrt(pi) times the integral of exp(-t^2) from 0 to x.

    Integers become float32. The error is at most 4 units in the last place.

    W. J. Cody, "Rational Chebyshev approximations for the error function", Mathematics of Computation 23 (1969).

    >>> erf(np.array([0.0, 1.0, -1.0]))
    tensor([ 0.        ,  0.84270079, -0.84270079], f64[3])
    """
    return elementwise(ERF, x)


# fmt: off
_QUANTILE_CENTRE = (
    (2.5090809287301226727e3, 3.3430575583588128105e4, 6.7265770927008700853e4, 4.5921953931549871457e4,
     1.3731693765509461125e4, 1.9715909503065514427e3, 1.3314166789178437745e2, 3.3871328727963666080),
    (5.2264952788528545610e3, 2.8729085735721942674e4, 3.9307895800092710610e4, 2.1213794301586595867e4,
     5.3941960214247511077e3, 6.8718700749205790830e2, 4.2313330701600911252e1, 1.0),
)
_QUANTILE_TAIL = (
    (7.74545014278341407640e-4, 2.27238449892691845833e-2, 2.41780725177450611770e-1, 1.27045825245236838258,
     3.64784832476320460504, 5.76949722146069140550, 4.63033784615654529590, 1.42343711074968357734),
    (1.05075007164441684324e-9, 5.47593808499534494600e-4, 1.51986665636164571966e-2, 1.48103976427480074590e-1,
     6.89767334985100004550e-1, 1.67638483018380384940, 2.05319162663775882187, 1.0),
)
_QUANTILE_FAR_TAIL = (
    (2.01033439929228813265e-7, 2.71155556874348757815e-5, 1.24266094738807843860e-3, 2.65321895265761230930e-2,
     2.96560571828504891230e-1, 1.78482653991729133580, 5.46378491116411436990, 6.65790464350110377720),
    (2.04426310338993978564e-15, 1.42151175831644588870e-7, 1.84631831751005468180e-5, 7.86869131145613259100e-4,
     1.48753612908506148525e-2, 1.36929880922735805310e-1, 5.99832206555887937690e-1, 1.0),
)
# fmt: on

_ATANH = tuple(1 / n for n in range(23, 0, -2))  # atanh(s) / s = 1 + s^2 / 3 + s^4 / 5 + ...
_LOG_2_HIGH = 2977044471 / 2**32  # few enough bits for its product with an exponent to be exact
_LOG_2_LOW = 1.9082149292705877e-10


def _portable_log(x: Array) -> Array:
    """Natural logarithm of positive numbers: the same bits on every machine, as all its steps are rounded exactly.

    With x = m 2^e and m from sqrt(1/2) to sqrt(2), log x = e log 2 + log m and log m = 2 atanh((m - 1) / (m + 1)).
    """
    mantissa, exponent = np.frexp(x)
    small = mantissa < math.sqrt(0.5)
    mantissa, exponent = np.where(small, 2.0 * mantissa, mantissa), exponent - small
    s = (mantissa - 1.0) / (mantissa + 1.0)
    return exponent * _LOG_2_HIGH + (2.0 * s * np.polyval(_ATANH, s * s) + exponent * _LOG_2_LOW)


def _erfinv(x: Array) -> Array:
    """Wichura's approximations of the normal quantile z, from which erfinv(x) = z((x + 1) / 2) / sqrt(2).

    The normal random numbers that the library promises come from here. So there is nothing but arithmetic and square
    roots, which every machine rounds alike; NumPy's log differs from one machine to the next. float32 is rounded
    from float64.
    """
    wide = x.astype(np.float64)
    half = 0.5 * wide
    centre = half * _ratio(*_QUANTILE_CENTRE, 0.180625 - half * half)
    depth = np.sqrt(-_portable_log(0.5 * (1.0 - np.abs(wide))))
    tail = np.where(depth <= 5.0, _ratio(*_QUANTILE_TAIL, depth - 1.6), _ratio(*_QUANTILE_FAR_TAIL, depth - 5.0))
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
