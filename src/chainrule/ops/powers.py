"""Powers and roots, elementwise."""

from __future__ import annotations

import numpy as np

from chainrule.apply import apply
from chainrule.errors import DtypeError
from chainrule.kernel import Map
from chainrule.native import vecmath
from chainrule.op import define, method
from chainrule.ops.comparison import isnan, where
from chainrule.ops.rules import elementwise, same_type
from chainrule.ops.transcendental import log
from chainrule.samples import Draw, Sample, floats
from chainrule.tensor import Tensor, TensorLike, operands
from chainrule.types import FLOATS, NUMBERS, Array


def _power(x: Array, y: Array) -> Array:
    if x.dtype.kind == "f":
        return np.power(x, y)
    # 1 / x**n is cut to 0 unless x is 1 or -1, whose power depends on n being even or odd only.
    whole = np.power(x, np.where(y < 0, y & 1, y))
    return np.where((y < 0) & (np.abs(x) != 1), 0, whole)


def _power_base_rule(ct: Tensor, out: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """ct * y * x^(y - 1); the exponent is not y - 1 = -1 where 0 * (1 / x) would be NaN."""
    exponent = where(((x == 0) | isnan(x)) & (y == 0), 0.0, y - 1.0)
    return ct * (y * power(x, exponent))


def _power_exponent_rule(ct: Tensor, out: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """ct * x^y * log(x), where 0^y is taken as constant in y >= 0: the logarithm of 1 is 0."""
    base = where((x == 0) & (y >= 0), 1.0, x)
    return ct * (out * log(base))


def _draw_power(draw: Draw) -> Sample:
    shape = draw.shape()
    return Sample((draw.floats(shape, 0.3, 2.0), draw.floats(shape)))


POWER = define(
    "power",
    takes=(NUMBERS,),
    infer=same_type,
    numpy=_power,
    vjp=(_power_base_rule, _power_exponent_rule),
    samples=_draw_power,
    kernel=Map(vecmath.power, cost=135),
)


@method
def power(x: TensorLike, y: TensorLike) -> Tensor:
    """x ** y, elementwise.

    Integers give integers; one to a negative power is cut toward 0, hence 0 for all but 1 and -1. A negative float to
    a power that is no whole number is NaN. x ** 0 is 1, for 0 and NaN, too.

    The derivative is y * x ** (y - 1) for x, and x ** y * log(x) for y. Where y is 0, that for x is 0, even
    for 0 and NaN. Where x is 0 and y is not negative, that for y is 0. It is NaN for negative x.

    Args:
        x: the base.
        y: the exponent. A Python number is known beforehand and makes a simpler graph: 2 becomes `square`, -1
            `reciprocal`, 0.5 `sqrt`, -0.5 `rsqrt`.

    Raises `DtypeError` for a tensor of integers to the power of a negative Python integer, and `ShapeError` if the
    shapes do not broadcast.

    >>> power([1.0, -2.0], 3)
    tensor([ 1., -8.], f32[2])
    >>> power(2, [1, 2, 3])
    tensor([2, 4, 8], i64[3])
    """
    if isinstance(y, (int, float)) and not isinstance(y, (bool, np.generic)):
        return _constant_power(operands(x, y)[0], y)
    return elementwise(POWER, x, y)


def _constant_power(x: Tensor, exponent: float) -> Tensor:
    if not x.dtype.is_float and exponent < 0:
        raise DtypeError(
            f"power: integers of type {x.dtype} to the power {exponent} are no integers; cast them to a float first"
        )
    if exponent == 1:
        return x
    shorter = {-1: reciprocal, -0.5: rsqrt, 0.5: sqrt, 2: square}.get(exponent)
    return shorter(x) if shorter else apply(CONSTANT_POWER, x, exponent=exponent)


def _constant_power_rule(ct: Tensor, out: Tensor, x: Tensor, exponent: float) -> Tensor:
    return ct * (exponent * power(x, exponent - 1)) if exponent else ct * 0.0


def _constant_power_twin(x: Array, exponent: float) -> Array:
    if x.dtype.kind == "f":
        return np.power(x, x.dtype.type(exponent))
    return np.power(x, np.int64(exponent)).astype(x.dtype)  # an exponent may be larger than x's type holds


def _draw_constant_power(draw: Draw) -> Sample:
    exponent = draw.choice((3, -2, 2.5) if draw.dtype.is_float else (0, 3, 4))
    low = 0.3 if exponent == 2.5 else -2.0
    return Sample((draw.floats(draw.shape(), low, 2.0, away_from=0.0),), {"exponent": exponent})


CONSTANT_POWER = define(
    "constant_power",
    takes=(NUMBERS,),
    infer=lambda x, exponent: x,
    numpy=_constant_power_twin,
    vjp=(_constant_power_rule,),
    samples=_draw_constant_power,
    kernel=Map(vecmath.constant_power, cost=135),
)


SQUARE = define(
    "square",
    takes=(NUMBERS,),
    infer=same_type,
    numpy=np.square,
    vjp=(lambda ct, out, x: ct * (2.0 * x),),
    samples=floats(),
    kernel=Map(vecmath.square),
)


@method
def square(x: TensorLike) -> Tensor:
    """x * x, elementwise.

    >>> square([1.0, -2.0])
    tensor([1., 4.], f32[2])
    """
    return elementwise(SQUARE, x)


RECIPROCAL = define(
    "reciprocal",
    takes=(FLOATS,),
    infer=same_type,
    numpy=np.reciprocal,
    vjp=(lambda ct, out, x: -ct * (out * out),),
    samples=floats(away_from=0.0),
    kernel=Map(vecmath.reciprocal, cost=8),
)


def reciprocal(x: TensorLike) -> Tensor:
    """1 / x, elementwise. Integers become float32; infinite at 0.

    >>> reciprocal([1, 2, 4])
    tensor([1.  , 0.5 , 0.25], f32[3])
    """
    return elementwise(RECIPROCAL, x)


SQRT = define(
    "sqrt",
    takes=(FLOATS,),
    infer=same_type,
    numpy=np.sqrt,
    vjp=(lambda ct, out, x: ct * 0.5 / out,),
    samples=floats(0.2, 3.0),
    kernel=Map(lambda v, x: v.sqrt(x), cost=10),
)


@method
def sqrt(x: TensorLike) -> Tensor:
    """Square root, elementwise. Integers become float32; NaN below 0. The derivative at 0 is infinite.

    >>> sqrt([0, 4, 9])
    tensor([0., 2., 3.], f32[3])
    """
    return elementwise(SQRT, x)


def _rsqrt(x: Array) -> Array:
    return 1 / np.sqrt(x)


RSQRT = define(
    "rsqrt",
    takes=(FLOATS,),
    infer=same_type,
    numpy=_rsqrt,
    vjp=(lambda ct, out, x: ct * (-0.5 * out * out * out),),
    samples=floats(0.2, 3.0),
    kernel=Map(vecmath.rsqrt, cost=18),
)


def rsqrt(x: TensorLike) -> Tensor:
    """1 / sqrt(x), elementwise. Integers become float32; infinite at 0, NaN below.

    >>> rsqrt([1, 4, 16])
    tensor([1.  , 0.5 , 0.25], f32[3])
    """
    return elementwise(RSQRT, x)
