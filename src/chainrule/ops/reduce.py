"""Reductions over axes: sums, extremes and where they are, truth."""

from __future__ import annotations

import builtins
import math
from collections.abc import Sequence

import numpy as np

from chainrule.apply import apply
from chainrule.errors import ShapeError
from chainrule.kernel import Native, Reduce
from chainrule.native.code import Number
from chainrule.native.loops.walking import argmax_loops, argmin_loops, walk_units
from chainrule.op import NON_DIFFERENTIABLE, Op, define, method
from chainrule.ops.cast import cast
from chainrule.ops.layout import broadcast_to, reshape
from chainrule.samples import Draw, Sample
from chainrule.tensor import Tensor, TensorLike, as_tensor
from chainrule.types import (
    BOOL,
    COUNTABLE,
    FLOATS,
    NUMBERS,
    DType,
    Shape,
    TensorType,
    bfloat16,
    bool_,
    float32,
    int64,
    normalize_axes,
    normalize_axis,
    size_of,
)


def reduced(shape: Shape, axes: tuple[int, ...], *, keepdims: bool = False) -> Shape:
    """A shape without some axes, or with size one in their place."""
    kept = ((1 if a in axes else n) for a, n in enumerate(shape) if keepdims or a not in axes)
    return tuple(kept)


def count_of(x: Tensor, axis: int | Sequence[int] | None) -> int:
    """How many elements one result of a reduction is made of."""
    return size_of(x.shape[a] for a in normalize_axes(axis, x.ndim))


def drop_axes(x: TensorType, axes: tuple[int, ...]) -> TensorType:
    """The type of a reduction over axes."""
    return x.with_shape(reduced(x.shape, axes))


def back_over(ct: Tensor, like: Tensor, axes: tuple[int, ...]) -> Tensor:
    """A reduction's output or its cotangent, repeated over the axes that were reduced."""
    kept = ct if not ct.ndim else reshape(ct, reduced(like.shape, axes, keepdims=True))
    return broadcast_to(kept, like.shape)


def computable(x: TensorLike) -> Tensor:
    """The values as a tensor that can be computed with: bfloat16 becomes float32."""
    found = as_tensor(x)
    return cast(found, float32) if found.dtype is bfloat16 else found


def summable(x: TensorLike) -> Tensor:
    """The values as a tensor that can be added up: truth values and integers become int64, bfloat16 float32."""
    found = computable(x)
    return found if found.dtype.is_float else cast(found, int64)


def real(x: TensorLike) -> Tensor:
    """The values as real numbers: all but float32 and float64 become float32."""
    found = as_tensor(x)
    return found if found.dtype in FLOATS else cast(found, float32)


def _reduce(op: Op, x: Tensor, axis: int | Sequence[int] | None, keepdims: bool) -> Tensor:
    axes = normalize_axes(axis, x.ndim)
    out = apply(op, x, axes=axes) if axes else x
    return reshape(out, reduced(x.shape, axes, keepdims=True)) if keepdims else out


def draw_axes(draw: Draw, shape: Shape, *, empty: bool = True) -> tuple[int, ...]:
    """Some of the axes, in order; with `empty=False` none of size 0."""
    return tuple(a for a, n in enumerate(shape) if draw.choice((True, False)) and (n or empty))


def _draw_sum(draw: Draw) -> Sample:
    x = draw.floats(draw.shape())
    return Sample((x,), {"axes": draw_axes(draw, x.shape)})


SUM = define(
    "sum",
    takes=(NUMBERS,),
    infer=drop_axes,
    numpy=lambda x, axes: np.sum(x, axis=axes, dtype=x.dtype),
    vjp=(lambda ct, out, x, axes: back_over(ct, x, axes),),
    kernel=Reduce(lambda dtype: 0, lambda v, x, y: x + y),
    samples=_draw_sum,
)


@method
def sum(x: TensorLike, axis: int | Sequence[int] | None = None, *, keepdims: bool = False) -> Tensor:
    """Sum over axes, or over all of them; 0 of nothing. Truth values and small integers are counted as int64.

    >>> sum([[1.0, 2.0], [3.0, 4.0]], axis=0)
    tensor([4., 6.], f32[2])
    """
    return _reduce(SUM, summable(x), axis, keepdims)


def _extreme_type(x: TensorType, axes: tuple[int, ...]) -> TensorType:
    if not size_of(x.shape[a] for a in axes):
        raise ShapeError(f"there is no extreme of nothing: an axis of {axes} of {x} has size 0")
    return drop_axes(x, axes)


def _extreme_back(ct: Tensor, out: Tensor, x: Tensor, axes: tuple[int, ...]) -> Tensor:
    """All elements that equal the extreme share its cotangent evenly."""
    chosen: Tensor = cast(x == back_over(out, x, axes), x.dtype)
    return back_over(ct / sum(chosen, axes), x, axes) * chosen


def _draw_extreme(draw: Draw) -> Sample:
    x = draw.distinct(draw.shape())
    return Sample((x,), {"axes": draw_axes(draw, x.shape, empty=False)})


def _smallest(dtype: DType) -> Number:
    return -math.inf if dtype.is_float else False if dtype is bool_ else int(np.iinfo(dtype.numpy).min)


def _largest(dtype: DType) -> Number:
    return math.inf if dtype.is_float else True if dtype is bool_ else int(np.iinfo(dtype.numpy).max)


MAX = define(
    "max",
    takes=(COUNTABLE,),
    infer=_extreme_type,
    numpy=lambda x, axes: np.max(x, axis=axes),
    vjp=(_extreme_back,),
    kernel=Reduce(_smallest, lambda v, x, y: v.maximum(x, y)),
    samples=_draw_extreme,
)


@method
def max(x: TensorLike, axis: int | Sequence[int] | None = None, *, keepdims: bool = False) -> Tensor:
    """Largest element over axes, or over all of them; NaN if one of them is NaN.

    Equal largest elements share the gradient evenly. Raises `ShapeError` for an axis of size 0.

    >>> max([[1.0, 4.0], [3.0, 2.0]], axis=0)
    tensor([3., 4.], f32[2])
    """
    return _reduce(MAX, computable(x), axis, keepdims)


MIN = define(
    "min",
    takes=(COUNTABLE,),
    infer=_extreme_type,
    numpy=lambda x, axes: np.min(x, axis=axes),
    vjp=(_extreme_back,),
    kernel=Reduce(_largest, lambda v, x, y: v.minimum(x, y)),
    samples=_draw_extreme,
)


@method
def min(x: TensorLike, axis: int | Sequence[int] | None = None, *, keepdims: bool = False) -> Tensor:
    """Smallest element over axes, or over all of them; NaN if one of them is NaN.

    Equal smallest elements share the gradient evenly. Raises `ShapeError` for an axis of size 0.

    >>> min([[1.0, 4.0], [3.0, 2.0]], axis=0)
    tensor([1., 2.], f32[2])
    """
    return _reduce(MIN, computable(x), axis, keepdims)


def _place_type(x: TensorType, axis: int) -> TensorType:
    return _extreme_type(x, (axis,)).with_dtype(int64)


def _draw_place(draw: Draw) -> Sample:
    shape = draw.shape(least=1)
    if not builtins.any(shape):
        shape = (*shape, 2)
    axis = draw.choice([a for a, n in enumerate(shape) if n])
    return Sample((draw.distinct(shape),), {"axis": axis})


ARGMAX = define(
    "argmax",
    takes=(COUNTABLE,),
    infer=_place_type,
    numpy=lambda x, axis: np.argmax(x, axis=axis),
    vjp=NON_DIFFERENTIABLE,
    kernel=Native(argmax_loops, walk_units),
    samples=_draw_place,
)
ARGMIN = define(
    "argmin",
    takes=(COUNTABLE,),
    infer=_place_type,
    numpy=lambda x, axis: np.argmin(x, axis=axis),
    vjp=NON_DIFFERENTIABLE,
    kernel=Native(argmin_loops, walk_units),
    samples=_draw_place,
)


@method
def argmax(x: TensorLike, axis: int | None = None, *, keepdims: bool = False) -> Tensor:
    """Index of the largest element along an axis, or within the flattened tensor, as int64.

    Of equal elements the first counts; the first NaN, if there is one, counts as the largest.
    Raises `ShapeError` for an axis of size 0.

    >>> argmax([[1.0, 5.0, 5.0], [7.0, 6.0, 2.0]], axis=1)
    tensor([1, 0], i64[2])
    """
    return _place(ARGMAX, x, axis, keepdims)


@method
def argmin(x: TensorLike, axis: int | None = None, *, keepdims: bool = False) -> Tensor:
    """Index of the smallest element along an axis, or within the flattened tensor, as int64.

    Of equal elements the first counts; the first NaN, if there is one, counts as the smallest.
    Raises `ShapeError` for an axis of size 0.

    >>> argmin([[1.0, 5.0, 5.0], [7.0, 6.0, 2.0]], axis=1)
    tensor([0, 2], i64[2])
    """
    return _place(ARGMIN, x, axis, keepdims)


def _place(op: Op, x: TensorLike, axis: int | None, keepdims: bool) -> Tensor:
    found = computable(x)
    if axis is None:
        out = apply(op, reshape(found, found.size), axis=0)
        return reshape(out, (1,) * found.ndim) if keepdims else out
    place = normalize_axis(axis, found.ndim)
    out = apply(op, found, axis=place)
    return reshape(out, reduced(found.shape, (place,), keepdims=True)) if keepdims else out


def _draw_truth(draw: Draw) -> Sample:
    x = draw.bools(draw.shape())
    return Sample((x,), {"axes": draw_axes(draw, x.shape)})


ANY = define(
    "any",
    takes=(BOOL,),
    infer=drop_axes,
    numpy=lambda x, axes: np.any(x, axis=axes),
    vjp=NON_DIFFERENTIABLE,
    kernel=Reduce(lambda dtype: False, lambda v, x, y: v.logical_or(x, y)),
    samples=_draw_truth,
)


@method
def any(x: TensorLike, axis: int | Sequence[int] | None = None, *, keepdims: bool = False) -> Tensor:
    """Whether any element over axes is true, or not 0; false of nothing.

    >>> any([[0, 1], [0, 0]], axis=1)
    tensor([ True, False], bool[2])
    """
    return _reduce(ANY, cast(x, bool_), axis, keepdims)


ALL = define(
    "all",
    takes=(BOOL,),
    infer=drop_axes,
    numpy=lambda x, axes: np.all(x, axis=axes),
    vjp=NON_DIFFERENTIABLE,
    kernel=Reduce(lambda dtype: True, lambda v, x, y: v.logical_and(x, y)),
    samples=_draw_truth,
)


@method
def all(x: TensorLike, axis: int | Sequence[int] | None = None, *, keepdims: bool = False) -> Tensor:
    """Whether all elements over axes are true, or not 0; true of nothing.

    >>> all([[1, 1], [0, 1]], axis=1)
    tensor([ True, False], bool[2])
    """
    return _reduce(ALL, cast(x, bool_), axis, keepdims)


@method
def count_nonzero(x: TensorLike, axis: int | Sequence[int] | None = None, *, keepdims: bool = False) -> Tensor:
    """How many elements over axes are true, or not 0, as int64.

    >>> count_nonzero([[0, 3], [2, 1]], axis=1)
    tensor([1, 2], i64[2])
    """
    return sum(cast(x, bool_), axis, keepdims=keepdims)


@method
def mean(x: TensorLike, axis: int | Sequence[int] | None = None, *, keepdims: bool = False) -> Tensor:
    """Mean over axes, or over all of them, as a real number: integers become float32. NaN of nothing.

    >>> mean([[1.0, 2.0], [3.0, 4.0]])
    tensor(2.5, f32[])
    """
    found = real(x)
    return sum(found, axis, keepdims=keepdims) / float(count_of(found, axis))
