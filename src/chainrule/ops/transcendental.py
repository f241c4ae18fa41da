"""Exponentials, logarithms, trigonometric and hyperbolic functions, elementwise."""

from __future__ import annotations

import numpy as np

from chainrule.op import define, method
from chainrule.ops.rules import elementwise, same_type
from chainrule.samples import floats
from chainrule.tensor import Tensor, TensorLike
from chainrule.types import FLOATS

EXP = define(
    "exp",
    takes=(FLOATS,),
    infer=same_type,
    numpy=np.exp,
    vjp=(lambda ct, out, x: ct * out,),
    samples=floats(-2, 2),
)


@method
def exp(x: TensorLike) -> Tensor:
    """e to the power x, elementwise. Integers become float32.

    >>> exp([0.0, 1.0])
    tensor([1.       , 2.7182817], f32[2])
    """
    return elementwise(EXP, x)


LOG = define(
    "log",
    takes=(FLOATS,),
    infer=same_type,
    numpy=np.log,
    vjp=(lambda ct, out, x: ct / x,),
    samples=floats(0.2, 3),
)


@method
def log(x: TensorLike) -> Tensor:
    """Natural logarithm, elementwise; -inf at 0, NaN below.

    >>> log([1.0, 2.0])
    tensor([0.       , 0.6931472], f32[2])
    """
    return elementwise(LOG, x)


TANH = define(
    "tanh",
    takes=(FLOATS,),
    infer=same_type,
    numpy=np.tanh,
    vjp=(lambda ct, out, x: ct * (1.0 - out * out),),
    samples=floats(-3, 3),
)


@method
def tanh(x: TensorLike) -> Tensor:
    """Hyperbolic tangent, elementwise: (e^x - e^-x) / (e^x + e^-x).

    >>> tanh([0.0, 1.0])
    tensor([0.       , 0.7615942], f32[2])
    """
    return elementwise(TANH, x)
