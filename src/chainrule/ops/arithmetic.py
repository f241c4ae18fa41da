"""Arithmetic, elementwise: sums, products, quotients and what is left of them."""

from __future__ import annotations

import numpy as np

from chainrule.kernel import Map
from chainrule.native import division
from chainrule.op import define, method
from chainrule.ops.rules import elementwise, same_type
from chainrule.samples import Draw, Sample, floats
from chainrule.tensor import Tensor, TensorLike
from chainrule.types import FLOATS, NUMBERS

ADD = define(
    "add",
    takes=(NUMBERS,),
    infer=same_type,
    numpy=np.add,
    vjp=(lambda ct, out, x, y: ct, lambda ct, out, x, y: ct),
    kernel=Map(lambda v, x, y: x + y),
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
    kernel=Map(lambda v, x, y: x - y),
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
    kernel=Map(lambda v, x, y: x * y),
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
    kernel=Map(lambda v, x, y: x / y, cost=4),
    samples=floats(inputs=2, away_from=0.0),
)


@method
def divide(x: TensorLike, y: TensorLike) -> Tensor:
    """x / y, elementwise, as real numbers: integers become float32. x / 0 is infinite, 0 / 0 NaN.

    >>> divide([1, 2], 4)
    tensor([0.25, 0.5 ], f32[2])
    """
    return elementwise(DIVIDE, x, y)


def _draw_quotient(draw: Draw) -> Sample:
    """Two numbers whose quotient is far from whole numbers, where its floor jumps."""
    shape = draw.shape()
    y = draw.rng.uniform(0.6, 2.0, shape) * draw.rng.choice([-1, 1], shape)
    quotient = draw.rng.integers(-3, 4, shape) + draw.rng.uniform(0.2, 0.8, shape)
    return Sample((draw.lay(draw.convert(quotient * y)), draw.lay(draw.convert(y))))


FLOOR_DIVIDE = define(
    "floor_divide",
    takes=(NUMBERS,),
    infer=same_type,
    numpy=np.floor_divide,
    vjp=(None, None),
    kernel=Map(division.floor_divide, cost=30),
    samples=_draw_quotient,
)


@method
def floor_divide(x: TensorLike, y: TensorLike) -> Tensor:
    """x // y, elementwise: the largest whole number not above the quotient, as in Python. Its derivative is 0.

    The quotient is the exact one: 1 // 0.1 is 9, as 0.1 is a little more than a tenth. An integer // 0 is 0; a float
    // 0 is infinite, 0 // 0 NaN.

    >>> floor_divide([7, -7], 2)
    tensor([ 3, -4], i64[2])
    """
    return elementwise(FLOOR_DIVIDE, x, y)


REMAINDER = define(
    "remainder",
    takes=(NUMBERS,),
    infer=same_type,
    numpy=np.remainder,
    vjp=(lambda ct, out, x, y: ct, lambda ct, out, x, y: -ct * floor_divide(x, y)),
    kernel=Map(division.remainder, cost=30),
    samples=_draw_quotient,
)


@method
def remainder(x: TensorLike, y: TensorLike) -> Tensor:
    """x % y = x - y * (x // y), elementwise: it has the sign of y, as in Python.

    The derivative is 1 for x and -(x // y) for y. An integer % 0 is 0, a float % 0 NaN.

    >>> remainder([7, -7], 3)
    tensor([1, 2], i64[2])
    """
    return elementwise(REMAINDER, x, y)


NEGATIVE = define(
    "negative",
    takes=(NUMBERS,),
    infer=same_type,
    numpy=np.negative,
    vjp=(lambda ct, out, x: -ct,),
    kernel=Map(lambda v, x: -x),
    samples=floats(),
)


@method
def negative(x: TensorLike) -> Tensor:
    """-x, elementwise.

    >>> negative([1.0, -2.0])
    tensor([-1.,  2.], f32[2])
    """
    return elementwise(NEGATIVE, x)
