"""Comparisons, logic and choice, elementwise. All but `where` give truth values, through which no gradient flows."""

from __future__ import annotations

import math

import numpy as np

from chainrule.errors import DtypeError
from chainrule.kernel import Map
from chainrule.op import NON_DIFFERENTIABLE, define, method
from chainrule.ops.rules import broadcasting, elementwise, same_type, to_bool
from chainrule.samples import Draw, Sample
from chainrule.tensor import Tensor, TensorLike, as_tensor, operands
from chainrule.types import BOOL, COUNTABLE, Array, TensorType, bool_


def _halves(draw: Draw, shape: tuple[int, ...]) -> Array:
    """Numbers among which there are many ties."""
    return draw.lay(draw.convert(draw.rng.integers(-3, 4, shape) / 2))


def _draw_pair(draw: Draw) -> Sample:
    shape = draw.shape()
    return Sample((_halves(draw, shape), _halves(draw, shape)))


LESS = define(
    "less",
    takes=(COUNTABLE,),
    infer=to_bool,
    numpy=np.less,
    vjp=NON_DIFFERENTIABLE,
    kernel=Map(lambda v, x, y: v.less(x, y)),
    samples=_draw_pair,
)


@method
def less(x: TensorLike, y: TensorLike) -> Tensor:
    """x < y, elementwise; false where one of them is NaN.

    >>> less([1, 2, 3], 2)
    tensor([ True, False, False], bool[3])
    """
    return elementwise(LESS, x, y)


LESS_EQUAL = define(
    "less_equal",
    takes=(COUNTABLE,),
    infer=to_bool,
    numpy=np.less_equal,
    vjp=NON_DIFFERENTIABLE,
    kernel=Map(lambda v, x, y: v.less_equal(x, y)),
    samples=_draw_pair,
)


@method
def less_equal(x: TensorLike, y: TensorLike) -> Tensor:
    """x <= y, elementwise; false where one of them is NaN.

    >>> less_equal([1, 2, 3], 2)
    tensor([ True,  True, False], bool[3])
    """
    return elementwise(LESS_EQUAL, x, y)


GREATER = define(
    "greater",
    takes=(COUNTABLE,),
    infer=to_bool,
    numpy=np.greater,
    vjp=NON_DIFFERENTIABLE,
    kernel=Map(lambda v, x, y: v.greater(x, y)),
    samples=_draw_pair,
)


@method
def greater(x: TensorLike, y: TensorLike) -> Tensor:
    """x > y, elementwise; false where one of them is NaN.

    >>> greater([1, 2, 3], 2)
    tensor([False, False,  True], bool[3])
    """
    return elementwise(GREATER, x, y)


GREATER_EQUAL = define(
    "greater_equal",
    takes=(COUNTABLE,),
    infer=to_bool,
    numpy=np.greater_equal,
    vjp=NON_DIFFERENTIABLE,
    kernel=Map(lambda v, x, y: v.greater_equal(x, y)),
    samples=_draw_pair,
)


@method
def greater_equal(x: TensorLike, y: TensorLike) -> Tensor:
    """x >= y, elementwise; false where one of them is NaN.

    >>> greater_equal([1, 2, 3], 2)
    tensor([False,  True,  True], bool[3])
    """
    return elementwise(GREATER_EQUAL, x, y)


EQUAL = define(
    "equal",
    takes=(COUNTABLE,),
    infer=to_bool,
    numpy=np.equal,
    vjp=NON_DIFFERENTIABLE,
    kernel=Map(lambda v, x, y: v.equal(x, y)),
    samples=_draw_pair,
)


@method
def equal(x: TensorLike, y: TensorLike) -> Tensor:
    """x == y, elementwise; NaN equals nothing, not even itself.

    >>> equal([1, 2, 3], 2)
    tensor([False,  True, False], bool[3])
    """
    return elementwise(EQUAL, x, y)


NOT_EQUAL = define(
    "not_equal",
    takes=(COUNTABLE,),
    infer=to_bool,
    numpy=np.not_equal,
    vjp=NON_DIFFERENTIABLE,
    kernel=Map(lambda v, x, y: v.not_equal(x, y)),
    samples=_draw_pair,
)


@method
def not_equal(x: TensorLike, y: TensorLike) -> Tensor:
    """x != y, elementwise; true where one of them is NaN.

    >>> not_equal([1, 2, 3], 2)
    tensor([ True, False,  True], bool[3])
    """
    return elementwise(NOT_EQUAL, x, y)


def _draw_bools(draw: Draw) -> Sample:
    shape = draw.shape()
    return Sample((draw.bools(shape), draw.bools(shape)))


LOGICAL_AND = define(
    "logical_and",
    takes=(BOOL,),
    infer=same_type,
    numpy=np.logical_and,
    vjp=NON_DIFFERENTIABLE,
    kernel=Map(lambda v, x, y: v.logical_and(x, y)),
    samples=_draw_bools,
)


@method
def logical_and(x: TensorLike, y: TensorLike) -> Tensor:
    """Whether both are true, elementwise. A number is true if it is not 0.

    >>> logical_and([True, True, False], [1, 0, 0])
    tensor([ True, False, False], bool[3])
    """
    return elementwise(LOGICAL_AND, x, y)


LOGICAL_OR = define(
    "logical_or",
    takes=(BOOL,),
    infer=same_type,
    numpy=np.logical_or,
    vjp=NON_DIFFERENTIABLE,
    kernel=Map(lambda v, x, y: v.logical_or(x, y)),
    samples=_draw_bools,
)


@method
def logical_or(x: TensorLike, y: TensorLike) -> Tensor:
    """Whether one or both are true, elementwise. A number is true if it is not 0.

    >>> logical_or([True, True, False], [1, 0, 0])
    tensor([ True,  True, False], bool[3])
    """
    return elementwise(LOGICAL_OR, x, y)


LOGICAL_XOR = define(
    "logical_xor",
    takes=(BOOL,),
    infer=same_type,
    numpy=np.logical_xor,
    vjp=NON_DIFFERENTIABLE,
    kernel=Map(lambda v, x, y: v.logical_xor(x, y)),
    samples=_draw_bools,
)


@method
def logical_xor(x: TensorLike, y: TensorLike) -> Tensor:
    """Whether exactly one is true, elementwise. A number is true if it is not 0.

    >>> logical_xor([True, True, False], [1, 0, 0])
    tensor([False,  True, False], bool[3])
    """
    return elementwise(LOGICAL_XOR, x, y)


LOGICAL_NOT = define(
    "logical_not",
    takes=(BOOL,),
    infer=same_type,
    numpy=np.logical_not,
    vjp=NON_DIFFERENTIABLE,
    kernel=Map(lambda v, x: v.logical_not(x)),
    samples=lambda draw: Sample((draw.bools(draw.shape()),)),
)


@method
def logical_not(x: TensorLike) -> Tensor:
    """Whether it is false, elementwise. A number is true if it is not 0.

    >>> logical_not([True, False])
    tensor([False,  True], bool[2])
    """
    return elementwise(LOGICAL_NOT, x)


def _where_type(condition: TensorType, x: TensorType, y: TensorType) -> TensorType:
    same_type(condition, x.with_dtype(bool_), y.with_dtype(bool_))
    return same_type(x, y)


def _draw_where(draw: Draw) -> Sample:
    shape = draw.shape()
    return Sample((draw.bools(shape), draw.floats(shape), draw.floats(shape)))


WHERE = define(
    "where",
    takes=(BOOL, COUNTABLE),
    infer=_where_type,
    numpy=np.where,
    vjp=(
        None,
        lambda ct, out, condition, x, y: where(condition, ct, 0.0),
        lambda ct, out, condition, x, y: where(condition, 0.0, ct),
    ),
    kernel=Map(lambda v, condition, x, y: v.select(condition, x, y)),
    samples=_draw_where,
)


@method
def where(condition: TensorLike, x: TensorLike, y: TensorLike) -> Tensor:
    """x where the condition is true, y elsewhere. The gradient flows to what was chosen, and 0 to the other.

    Both x and y are computed everywhere. Where the one not chosen has an infinite derivative, the product of 0 and
    that derivative is NaN: choose among the arguments of such a function, not among its results.

    Args:
        condition: truth values.
        x, y: values of any data types, which meet as those of `x + y` do.

    Raises `DtypeError` if the condition is not bool, and `ShapeError` if the shapes do not broadcast.

    >>> where([True, False], [1.0, 2.0], 0.0)
    tensor([1., 0.], f32[2])
    """
    chosen = as_tensor(condition)
    if chosen.dtype is not bool_:
        raise DtypeError(f"where: the condition must be bool, not {chosen.dtype}; compare it with something first")
    return broadcasting(WHERE, chosen, *operands(x, y))


def _draw_special(draw: Draw) -> Sample:
    x = draw.rng.choice([-1.0, 0.0, 2.0], draw.shape())
    if draw.dtype.is_float:
        x = np.where(draw.rng.random(x.shape) < 0.5, draw.rng.choice([np.nan, np.inf, -np.inf], x.shape), x)
    return Sample((draw.lay(draw.convert(x)),))


ISNAN = define(
    "isnan",
    takes=(COUNTABLE,),
    infer=to_bool,
    numpy=np.isnan,
    vjp=NON_DIFFERENTIABLE,
    kernel=Map(lambda v, x: v.is_nan(x) if x.dtype.is_float else v.constant(bool_, False)),
    samples=_draw_special,
)


@method
def isnan(x: TensorLike) -> Tensor:
    """Whether it is not a number (NaN), elementwise; an integer never is.

    >>> isnan([1.0, float("nan"), float("inf")])
    tensor([False,  True, False], bool[3])
    """
    return elementwise(ISNAN, x)


ISINF = define(
    "isinf",
    takes=(COUNTABLE,),
    infer=to_bool,
    numpy=np.isinf,
    vjp=NON_DIFFERENTIABLE,
    kernel=Map(lambda v, x: v.equal(v.abs(x), math.inf) if x.dtype.is_float else v.constant(bool_, False)),
    samples=_draw_special,
)


@method
def isinf(x: TensorLike) -> Tensor:
    """Whether it is infinite, of either sign, elementwise; an integer never is.

    >>> isinf([1.0, float("nan"), float("-inf")])
    tensor([False, False,  True], bool[3])
    """
    return elementwise(ISINF, x)


ISFINITE = define(
    "isfinite",
    takes=(COUNTABLE,),
    infer=to_bool,
    numpy=np.isfinite,
    vjp=NON_DIFFERENTIABLE,
    kernel=Map(lambda v, x: v.less(v.abs(x), math.inf) if x.dtype.is_float else v.constant(bool_, True)),
    samples=_draw_special,
)


@method
def isfinite(x: TensorLike) -> Tensor:
    """Whether it is neither infinite nor NaN, elementwise; an integer always is.

    >>> isfinite([1.0, float("nan"), float("inf")])
    tensor([ True, False, False], bool[3])
    """
    return elementwise(ISFINITE, x)
