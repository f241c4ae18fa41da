"""Reductions over axes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from chainrule.op import define, method
from chainrule.ops.cast import cast
from chainrule.ops.layout import broadcast_to, reshape
from chainrule.samples import Draw, Sample
from chainrule.tensor import Tensor, TensorLike, apply, as_tensor
from chainrule.types import NUMBERS, Shape, TensorType, bfloat16, float32, int64, normalize_axes


def reduced(shape: Shape, axes: tuple[int, ...], *, keepdims: bool = False) -> Shape:
    """A shape without some axes, or with size one in their place."""
    kept = ((1 if a in axes else n) for a, n in enumerate(shape) if keepdims or a not in axes)
    return tuple(kept)


def drop_axes(x: TensorType, axes: tuple[int, ...]) -> TensorType:
    """The type of a reduction over axes."""
    return x.with_shape(reduced(x.shape, axes))


def back_over(ct: Tensor, like: Tensor, axes: tuple[int, ...]) -> Tensor:
    """A reduction's output or its cotangent, repeated over the axes that were reduced."""
    return broadcast_to(reshape(ct, reduced(like.shape, axes, keepdims=True)), like.shape)


def draw_axes(draw: Draw, ndim: int) -> tuple[int, ...]:
    """Some of the axes, in order."""
    return tuple(a for a in range(ndim) if draw.choice((True, False)))


def _draw_sum(draw: Draw) -> Sample:
    x = draw.floats(draw.shape())
    return Sample((x,), {"axes": draw_axes(draw, x.ndim)})


SUM = define(
    "sum",
    takes=(NUMBERS,),
    infer=drop_axes,
    numpy=lambda x, axes: np.sum(x, axis=axes, dtype=x.dtype),
    vjp=(lambda ct, out, x, axes: back_over(ct, x, axes),),
    samples=_draw_sum,
)


@method
def sum(x: TensorLike, axis: int | Sequence[int] | None = None, *, keepdims: bool = False) -> Tensor:
    """Sum over axes, or over all of them. Truth values and small integers are counted as int64.

    >>> sum([[1.0, 2.0], [3.0, 4.0]], axis=0)
    tensor([4., 6.], f32[2])
    """
    x = as_tensor(x)
    if x.dtype is bfloat16:
        x = cast(x, float32)
    if not x.dtype.is_float:
        x = cast(x, int64)
    axes = normalize_axes(axis, x.ndim)
    return finish(apply(SUM, x, axes=axes) if axes else x, x, axes, keepdims)


def finish(out: Tensor, x: Tensor, axes: tuple[int, ...], keepdims: bool) -> Tensor:
    """The result of a reduction, with its axes kept at size one where that is asked for."""
    return reshape(out, reduced(x.shape, axes, keepdims=True)) if keepdims else out


@method
def mean(x: TensorLike, axis: int | Sequence[int] | None = None, *, keepdims: bool = False) -> Tensor:
    """Mean over axes, or over all of them, as a real number; NaN of nothing.

    >>> mean([[1.0, 2.0], [3.0, 4.0]])
    tensor(2.5, f32[])
    """
    x = as_tensor(x)
    total: Any = sum(x if x.dtype.is_float else cast(x, float32), axis, keepdims=keepdims)
    return total / float(x.size // max(total.size, 1) if x.size else 0)
