"""Rounding to whole numbers, elementwise. The derivative is 0 everywhere; integers stay as they are."""

from __future__ import annotations

import numpy as np

from chainrule.kernel import Map
from chainrule.op import define
from chainrule.ops.rules import elementwise, same_type
from chainrule.samples import Draw, Sample
from chainrule.tensor import Tensor, TensorLike
from chainrule.types import NUMBERS


def _draw_between_steps(draw: Draw) -> Sample:
    """Numbers away from wholes and halves, where a rounding jumps."""
    shape = draw.shape()
    halves = draw.rng.integers(-6, 6, shape) / 2
    return Sample((draw.lay(draw.convert(halves + draw.rng.uniform(0.1, 0.4, shape))),))


FLOOR = define(
    "floor",
    takes=(NUMBERS,),
    infer=same_type,
    numpy=np.floor,
    vjp=(None,),
    kernel=Map(lambda v, x: v.floor(x) if x.dtype.is_float else x),
    samples=_draw_between_steps,
)


def floor(x: TensorLike) -> Tensor:
    """The largest whole number not above x, elementwise.

    >>> floor([1.5, -1.5])
    tensor([ 1., -2.], f32[2])
    """
    return elementwise(FLOOR, x)


CEIL = define(
    "ceil",
    takes=(NUMBERS,),
    infer=same_type,
    numpy=np.ceil,
    vjp=(None,),
    kernel=Map(lambda v, x: v.ceil(x) if x.dtype.is_float else x),
    samples=_draw_between_steps,
)


def ceil(x: TensorLike) -> Tensor:
    """The smallest whole number not below x, elementwise.

    >>> ceil([1.5, -1.5])
    tensor([ 2., -1.], f32[2])
    """
    return elementwise(CEIL, x)


TRUNC = define(
    "trunc",
    takes=(NUMBERS,),
    infer=same_type,
    numpy=np.trunc,
    vjp=(None,),
    kernel=Map(lambda v, x: v.trunc(x) if x.dtype.is_float else x),
    samples=_draw_between_steps,
)


def trunc(x: TensorLike) -> Tensor:
    """The whole number nearest to x that is not farther from 0 than x, elementwise.

    >>> trunc([1.5, -1.5])
    tensor([ 1., -1.], f32[2])
    """
    return elementwise(TRUNC, x)


ROUND = define(
    "round",
    takes=(NUMBERS,),
    infer=same_type,
    numpy=np.round,
    vjp=(None,),
    kernel=Map(lambda v, x: v.round(x) if x.dtype.is_float else x),
    samples=_draw_between_steps,
)


def round(x: TensorLike) -> Tensor:
    """The whole number nearest to x, elementwise; of two equally near, the even one.

    >>> round([0.5, 1.5, 1.7, -2.5])
    tensor([ 0.,  2.,  2., -2.], f32[4])
    """
    return elementwise(ROUND, x)
