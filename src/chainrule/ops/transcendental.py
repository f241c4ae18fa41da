"""Exponentials and logarithms, and the hyperbolic and logistic functions made of them, elementwise.

All compute with real numbers: integers become float32.
"""

from __future__ import annotations

import math

import numpy as np

from chainrule.kernel import Map
from chainrule.native import vecmath
from chainrule.op import define, method
from chainrule.ops.rules import elementwise, same_type
from chainrule.samples import floats
from chainrule.tensor import Tensor, TensorLike
from chainrule.types import FLOATS, Array

EXP = define(
    "exp",
    takes=(FLOATS,),
    infer=same_type,
    numpy=np.exp,
    vjp=(lambda ct, out, x: ct * out,),
    samples=floats(),
    kernel=Map(vecmath.exp, cost=20),
)


@method
def exp(x: TensorLike) -> Tensor:
    """e to the power x, elementwise.

    >>> exp(np.array([0.0, 1.0]))
    tensor([1.        , 2.71828183], f64[2])
    """
    return elementwise(EXP, x)


EXPM1 = define(
    "expm1",
    takes=(FLOATS,),
    infer=same_type,
    numpy=np.expm1,
    vjp=(lambda ct, out, x: ct * (out + 1.0),),
    samples=floats(),
    kernel=Map(vecmath.expm1, cost=20),
)


def expm1(x: TensorLike) -> Tensor:
    """e to the power x, less 1, elementwise; exact for small x, too.

    >>> expm1(np.array([0.0, 1e-10]))
    tensor([0.e+00, 1.e-10], f64[2])
    """
    return elementwise(EXPM1, x)


LOG = define(
    "log",
    takes=(FLOATS,),
    infer=same_type,
    numpy=np.log,
    vjp=(lambda ct, out, x: ct / x,),
    samples=floats(0.2, 3),
    kernel=Map(vecmath.log, cost=30),
)


@method
def log(x: TensorLike) -> Tensor:
    """Natural logarithm, elementwise; -inf at 0, NaN below.

    >>> log(np.array([1.0, 2.0]))
    tensor([0.        , 0.69314718], f64[2])
    """
    return elementwise(LOG, x)


LOG1P = define(
    "log1p",
    takes=(FLOATS,),
    infer=same_type,
    numpy=np.log1p,
    vjp=(lambda ct, out, x: ct / (1.0 + x),),
    samples=floats(-0.7, 2),
    kernel=Map(vecmath.log1p, cost=35),
)


def log1p(x: TensorLike) -> Tensor:
    """Natural logarithm of 1 + x, elementwise; exact for small x, too. -inf at -1, NaN below.

    >>> log1p(np.array([0.0, 1e-10]))
    tensor([0.e+00, 1.e-10], f64[2])
    """
    return elementwise(LOG1P, x)


def log2(x: TensorLike) -> Tensor:
    """Logarithm to base 2, elementwise: log(x) / log(2).

    >>> log2(np.array([1.0, 8.0]))
    tensor([0., 3.], f64[2])
    """
    return log(x) / math.log(2)


def log10(x: TensorLike) -> Tensor:
    """Logarithm to base 10, elementwise: log(x) / log(10).

    >>> log10(np.array([1.0, 100.0]))
    tensor([0., 2.], f64[2])
    """
    return log(x) / math.log(10)


SINH = define(
    "sinh",
    takes=(FLOATS,),
    infer=same_type,
    numpy=np.sinh,
    vjp=(lambda ct, out, x: ct * cosh(x),),
    samples=floats(),
    kernel=Map(vecmath.sinh, cost=27),
)


def sinh(x: TensorLike) -> Tensor:
    """Hyperbolic sine, elementwise: (e^x - e^-x) / 2.

    >>> sinh(np.array([0.0, 1.0]))
    tensor([0.        , 1.17520119], f64[2])
    """
    return elementwise(SINH, x)


COSH = define(
    "cosh",
    takes=(FLOATS,),
    infer=same_type,
    numpy=np.cosh,
    vjp=(lambda ct, out, x: ct * sinh(x),),
    samples=floats(),
    kernel=Map(vecmath.cosh, cost=25),
)


def cosh(x: TensorLike) -> Tensor:
    """Hyperbolic cosine, elementwise: (e^x + e^-x) / 2.

    >>> cosh(np.array([0.0, 1.0]))
    tensor([1.        , 1.54308063], f64[2])
    """
    return elementwise(COSH, x)


TANH = define(
    "tanh",
    takes=(FLOATS,),
    infer=same_type,
    numpy=np.tanh,
    vjp=(lambda ct, out, x: ct * (1.0 - out * out),),
    samples=floats(-3, 3),
    kernel=Map(vecmath.tanh, cost=23),
)


@method
def tanh(x: TensorLike) -> Tensor:
    """Hyperbolic tangent, elementwise: (e^x - e^-x) / (e^x + e^-x).

    >>> tanh(np.array([0.0, 1.0]))
    tensor([0.        , 0.76159416], f64[2])
    """
    return elementwise(TANH, x)


def _sigmoid(x: Array) -> Array:
    small = np.exp(-np.abs(x))  # never overflows, and loses nothing in the tail below 0
    return np.where(x >= 0, 1, small) / (1 + small)


SIGMOID = define(
    "sigmoid",
    takes=(FLOATS,),
    infer=same_type,
    numpy=_sigmoid,
    vjp=(lambda ct, out, x: ct * (out * (1.0 - out)),),
    samples=floats(-4, 4),
    kernel=Map(vecmath.sigmoid, cost=25),
)


@method
def sigmoid(x: TensorLike) -> Tensor:
    """The logistic function 1 / (1 + e^-x), elementwise.

    >>> sigmoid(np.array([0.0, 100.0, -100.0]))
    tensor([5.00000000e-01, 1.00000000e+00, 3.72007598e-44], f64[3])
    """
    return elementwise(SIGMOID, x)


def _softplus(x: Array) -> Array:
    return np.logaddexp(x, x.dtype.type(0))


SOFTPLUS = define(
    "softplus",
    takes=(FLOATS,),
    infer=same_type,
    numpy=_softplus,
    vjp=(lambda ct, out, x: ct * sigmoid(x),),
    samples=floats(-4, 4),
    kernel=Map(vecmath.softplus, cost=80),
)


def softplus(x: TensorLike) -> Tensor:
    """log(1 + e^x), elementwise, computed as max(x, 0) + log1p(e^-|x|), which never overflows.

    >>> softplus(np.array([0.0, 100.0]))
    tensor([  0.69314718, 100.        ], f64[2])
    """
    return elementwise(SOFTPLUS, x)
