"""Trigonometric functions and their inverses, elementwise. Angles are in radians; integers become float32."""

from __future__ import annotations

import numpy as np

from chainrule.kernel import Map
from chainrule.native import vecmath
from chainrule.op import define, method
from chainrule.ops.comparison import where
from chainrule.ops.powers import rsqrt
from chainrule.ops.rules import elementwise, same_type
from chainrule.samples import floats
from chainrule.tensor import Tensor, TensorLike
from chainrule.types import FLOATS

SIN = define(
    "sin",
    takes=(FLOATS,),
    infer=same_type,
    numpy=np.sin,
    vjp=(lambda ct, out, x: ct * cos(x),),
    samples=floats(-3, 3),
    kernel=Map(vecmath.sin, cost=37),
)


@method
def sin(x: TensorLike) -> Tensor:
    """Sine, elementwise; NaN at infinity.

    >>> sin(np.array([0.0, 1.0]))
    tensor([0.        , 0.84147098], f64[2])
    """
    return elementwise(SIN, x)


COS = define(
    "cos",
    takes=(FLOATS,),
    infer=same_type,
    numpy=np.cos,
    vjp=(lambda ct, out, x: -ct * sin(x),),
    samples=floats(-3, 3),
    kernel=Map(vecmath.cos, cost=37),
)


@method
def cos(x: TensorLike) -> Tensor:
    """Cosine, elementwise; NaN at infinity.

    >>> cos(np.array([0.0, 1.0]))
    tensor([1.        , 0.54030231], f64[2])
    """
    return elementwise(COS, x)


TAN = define(
    "tan",
    takes=(FLOATS,),
    infer=same_type,
    numpy=np.tan,
    vjp=(lambda ct, out, x: ct * (1.0 + out * out),),
    samples=floats(-1.2, 1.2),
    kernel=Map(vecmath.tan, cost=40),
)


def tan(x: TensorLike) -> Tensor:
    """Tangent, elementwise: sin(x) / cos(x); NaN at infinity.

    >>> tan(np.array([0.0, 1.0]))
    tensor([0.        , 1.55740772], f64[2])
    """
    return elementwise(TAN, x)


ASIN = define(
    "asin",
    takes=(FLOATS,),
    infer=same_type,
    numpy=np.arcsin,
    vjp=(lambda ct, out, x: ct * rsqrt((1.0 - x) * (1.0 + x)),),
    samples=floats(-0.8, 0.8),
    kernel=Map(vecmath.asin, cost=20),
)


def asin(x: TensorLike) -> Tensor:
    """The angle from -pi/2 to pi/2 whose sine is x, elementwise; NaN outside of -1 to 1.

    >>> asin(np.array([0.0, 1.0]))
    tensor([0.        , 1.57079633], f64[2])
    """
    return elementwise(ASIN, x)


ACOS = define(
    "acos",
    takes=(FLOATS,),
    infer=same_type,
    numpy=np.arccos,
    vjp=(lambda ct, out, x: -ct * rsqrt((1.0 - x) * (1.0 + x)),),
    samples=floats(-0.8, 0.8),
    kernel=Map(vecmath.acos, cost=22),
)


def acos(x: TensorLike) -> Tensor:
    """The angle from 0 to pi whose cosine is x, elementwise; NaN outside of -1 to 1.

    >>> acos(np.array([0.0, 1.0]))
    tensor([1.57079633, 0.        ], f64[2])
    """
    return elementwise(ACOS, x)


ATAN = define(
    "atan",
    takes=(FLOATS,),
    infer=same_type,
    numpy=np.arctan,
    vjp=(lambda ct, out, x: ct / (1.0 + x * x),),
    samples=floats(),
    kernel=Map(vecmath.atan, cost=22),
)


def atan(x: TensorLike) -> Tensor:
    """The angle from -pi/2 to pi/2 whose tangent is x, elementwise.

    >>> atan(np.array([0.0, 1.0]))
    tensor([0.        , 0.78539816], f64[2])
    """
    return elementwise(ATAN, x)


def _over_squared_distance(side: Tensor, y: Tensor, x: Tensor) -> Tensor:
    """side / (x^2 + y^2), but 0 at the origin."""
    square = x * x + y * y
    at_origin = square == 0.0
    return where(at_origin, 0.0, side / where(at_origin, 1.0, square))


ATAN2 = define(
    "atan2",
    takes=(FLOATS,),
    infer=same_type,
    numpy=np.arctan2,
    vjp=(
        lambda ct, out, y, x: ct * _over_squared_distance(x, y, x),
        lambda ct, out, y, x: -ct * _over_squared_distance(y, y, x),
    ),
    samples=floats(inputs=2, away_from=0.0),
    kernel=Map(vecmath.atan2, cost=32),
)


def atan2(y: TensorLike, x: TensorLike) -> Tensor:
    """The angle from -pi to pi of the point (x, y) seen from the origin, elementwise: atan(y / x) where x > 0.

    The gradient at the origin itself, where there is none, is taken as 0.

    >>> atan2(np.array([1.0, 1.0]), np.array([1.0, -1.0]))
    tensor([0.78539816, 2.35619449], f64[2])
    """
    return elementwise(ATAN2, y, x)
