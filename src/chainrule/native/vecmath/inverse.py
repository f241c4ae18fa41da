"""Inverse trigonometric functions: polynomials around 0, to which all other arguments are brought by identities."""

from __future__ import annotations

from chainrule.native.code import Value
from chainrule.native.lanes import Lanes
from chainrule.native.vecmath.parts import Coefficients, Pair, muladd, polynomial, shared
from chainrule.types import DType, float32, float64

# (asin(s) / s - 1) / s^2 as a polynomial in s^2 for s^2 <= 0.292.
# Relative error in float32: 2^-28.8, in float64: 2^-56.2.
_ASIN: dict[DType, Coefficients] = {
    float32: (0.16666646301746368, 0.07501287758350372, 0.04436938464641571, 0.033008866012096405,
              0.010032282210886478, 0.04349604994058609),
    float64: (0.16666666666667673, 0.07499999999732171, 0.04464285739153623, 0.03038193283812196,
              0.022372477738382544, 0.017347163838168228, 0.014030990003248442, 0.011013097754490492,
              0.012811847601229324, -0.0035030163552057622, 0.03819267756158483, -0.04293680493237215,
              0.04553970777624695),
}  # fmt: skip

# (atan(t) / t - 1) / t^2 as a polynomial in t^2 for |t| <= 1.
# Relative error in float32: 2^-27.1, in float64: 2^-57.1.
_ATAN: dict[DType, Coefficients] = {
    float32: (-0.33333298563957214, 0.19998547434806824, -0.14264239370822906, 0.1095217615365982,
              -0.08403424918651581, 0.05795719847083092, -0.031177477911114693, 0.01091441884636879,
              -0.0017935815267264843),
    float64: (-0.33333333333333076, 0.19999999999952395, -0.14285714282617173, 0.11111111008049983,
              -0.09090907018557012, 0.07692279999694822, -0.06666405237823086, 0.058805342373318296,
              -0.052535450359052493, 0.04722406330544115, -0.04219386897315878, 0.03664593314506454,
              -0.02990994785528188, 0.021992032625315388, -0.013907076745212327, 0.007200966038593235,
              -0.002887147486673089, 0.0008320876994384457, -0.00015232262908810627, 1.3240905075422796e-05),
}  # fmt: skip

# pi and what rounding takes from it
_PI = {float32: (3.1415927410125732, -8.742277657347586e-08), float64: (3.141592653589793, 1.2246467991473532e-16)}

# Where 2 asin(sqrt((1 - x) / 2)) is below 1, so that rounding it costs no more than one last place of asin x
_CHANGE = 0.5403


def _around_zero(v: Lanes, s: Value, square: Value, table: dict[DType, Coefficients]) -> Value:
    return muladd(v, s * square, polynomial(v, square, table[s.dtype]), s)


def _asin_or_half_acos(v: Lanes, size: Value) -> tuple[Value, Value]:
    """Whether |x| is small; asin |x| where it is, else half of acos |x|, which is asin(sqrt((1 - |x|) / 2))."""
    small = v.less(size, _CHANGE)
    square = v.select(small, size * size, (1.0 - size) * 0.5)
    s = v.select(small, size, v.sqrt(square))
    return small, _around_zero(v, s, square, _ASIN)


@shared
def asin(v: Lanes, x: Value) -> Value:
    """The angle whose sine is x."""
    high, low = _PI[x.dtype]
    small, angle = _asin_or_half_acos(v, v.abs(x))
    return v.copysign(v.select(small, angle, high / 2 - (angle * 2.0 - low / 2)), x)


@shared
def acos(v: Lanes, x: Value) -> Value:
    """The angle whose cosine is x: pi / 2 - asin x; near 1 and -1 from the angle that is left."""
    high, low = _PI[x.dtype]
    small, angle = _asin_or_half_acos(v, v.abs(x))
    from_middle = high / 2 - (v.copysign(angle, x) - low / 2)
    left = angle * 2.0
    from_end = v.select(v.greater(x, 0.0), left, high - (left - low))
    return v.select(small, from_middle, from_end)


@shared
def atan(v: Lanes, x: Value) -> Value:
    """The angle whose tangent is x; beyond 1, pi / 2 less that of 1 / x."""
    high, low = _PI[x.dtype]
    size = v.abs(x)
    steep = v.greater(size, 1.0)
    t = v.select(steep, 1.0 / size, size)
    angle = _around_zero(v, t, t * t, _ATAN)
    return v.copysign(v.select(steep, high / 2 - (angle - low / 2), angle), x)


@shared
def atan2(v: Lanes, y: Value, x: Value) -> Value:
    """The angle of a point, from the angle in an eighth of the plane."""
    high, low = _PI[x.dtype]
    height, width = v.abs(y), v.abs(x)
    steep = v.greater(height, width)
    t = _quotient(v, v.select(steep, width, height), v.select(steep, height, width))
    angle = _around_zero(v, t, t * t, _ATAN)
    left = v.less(v.copysign(v.constant(x.dtype, 1.0), x), 0.0)  # also for -0
    signed = v.select(v.logical_xor(steep, left), v.negative(angle), angle)
    start, rest = _where_to_start(v, steep, left, high, low, x.dtype)
    found = v.copysign(start + (signed + rest), y)
    nan = v.logical_or(v.is_nan(x), v.is_nan(y))
    return v.select(nan, x + y, found)


def _quotient(v: Lanes, least: Value, most: Value) -> Value:
    """The smaller over the larger one; 0 / 0 is 0 here, and inf / inf is 1."""
    t = v.select(v.equal(most, 0.0), 0.0, least / most)
    return v.select(v.equal(least, most), v.select(v.equal(most, 0.0), t, 1.0), t)


def _where_to_start(v: Lanes, steep: Value, left: Value, high: float, low: float, dtype: DType) -> Pair:
    """The axis next to the eighth, as an angle and its rounding error: 0, pi / 2 or pi."""

    def chosen(pi: float) -> Value:
        half, zero = v.constant(dtype, pi / 2), v.constant(dtype, 0.0)
        return v.select(steep, half, v.select(left, v.constant(dtype, pi), zero))

    return chosen(high), chosen(low)
