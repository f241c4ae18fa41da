"""Arithmetic, elementwise: sums, products, quotients, powers, roots, extremes."""

from __future__ import annotations

import numpy as np

from chainrule.op import define, method
from chainrule.ops.rules import elementwise, same_type
from chainrule.samples import Draw, Sample, floats
from chainrule.tensor import Tensor, TensorLike
from chainrule.types import FLOATS, NUMBERS, Array

ADD = define(
    "add",
    takes=(NUMBERS,),
    infer=same_type,
    numpy=np.add,
    vjp=(lambda ct, out, x, y: ct, lambda ct, out, x, y: ct),
    samples=floats(inputs=2),
)


@method
def add(x: TensorLike, y: TensorLike) -> Tensor:
    """x + y, elementwise.

    >>> add([1, 2], 10)
    tensor([11, 12], i64[2])
    """
    return elementwise(ADD, x, y)


SUBTRACT = define(
    "subtract",
    takes=(NUMBERS,),
    infer=same_type,
    numpy=np.subtract,
    vjp=(lambda ct, out, x, y: ct, lambda ct, out, x, y: -ct),
    samples=floats(inputs=2),
)


@method
def subtract(x: TensorLike, y: TensorLike) -> Tensor:
    """x - y, elementwise.

    >>> subtract([1.0, 2.0], 0.5)
    tensor([0.5, 1.5], f32[2])
    """
    return elementwise(SUBTRACT, x, y)


MULTIPLY = define(
    "multiply",
    takes=(NUMBERS,),
    infer=same_type,
    numpy=np.multiply,
    vjp=(lambda ct, out, x, y: ct * y, lambda ct, out, x, y: ct * x),
    samples=floats(inputs=2),
)


@method
def multiply(x: TensorLike, y: TensorLike) -> Tensor:
    """x * y, elementwise.

    >>> multiply([1.0, 2.0], [3.0, 4.0])
    tensor([3., 8.], f32[2])
    """
    return elementwise(MULTIPLY, x, y)


DIVIDE = define(
    "divide",
    takes=(FLOATS,),
    infer=same_type,
    numpy=np.divide,
    vjp=(lambda ct, out, x, y: ct / y, lambda ct, out, x, y: -(ct * out) / y),
    samples=floats(inputs=2, away_from=0.0),
)


@method
def divide(x: TensorLike, y: TensorLike) -> Tensor:
    """x / y, elementwise, as real numbers: integers become float32. x / 0 is infinite, 0 / 0 NaN.

    >>> divide([1, 2], 4)
    tensor([0.25, 0.5 ], f32[2])
    """
    return elementwise(DIVIDE, x, y)


NEGATIVE = define(
    "negative",
    takes=(NUMBERS,),
    infer=same_type,
    numpy=np.negative,
    vjp=(lambda ct, out, x: -ct,),
    samples=floats(),
)


@method
def negative(x: TensorLike) -> Tensor:
    """-x, elementwise.

    >>> negative([1.0, -2.0])
    tensor([-1.,  2.], f32[2])
    """
    return elementwise(NEGATIVE, x)
