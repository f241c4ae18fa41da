"""Pooling by the mean: sums over windows, and their transpose.

    window_sum      out[p] = scale * sum over k of x[p * stride + k * dilation - low]
    window_spread   out[s] = scale * sum of y[p] with p * stride + k * dilation - low = s for some k

Written for one axis; over n axes, p, k and s stand for n indices each. Elements outside of x are 0. Either is the
other's derivative.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule.apply import apply
from chainrule.errors import ShapeError
from chainrule.kernel import Native
from chainrule.native.loops.pooling import pool_units, window_sum_loops
from chainrule.native.loops.unpooling import unpool_units, window_spread_loops
from chainrule.op import define
from chainrule.ops.pool_geometry import (
    added_up,
    draw_geometry,
    elements_of,
    padded_with,
    places_of,
    pool_geometry,
    unpooled_type,
)
from chainrule.ops.reduce import real
from chainrule.ops.window import Padding, PaddingLike, PerAxis
from chainrule.samples import Draw, Sample
from chainrule.tensor import Tensor, TensorLike
from chainrule.types import FLOATS, Array, Shape, TensorType, size_of


def _sum_type(x: TensorType, scale: float, **geometry: Any) -> TensorType:
    return x.with_shape(places_of(x.shape, **geometry))


def _window_sum(x: Array, window: Shape, stride: Shape, padding: Padding, dilation: Shape, scale: float) -> Array:
    padded = padded_with(x, padding, 0.0)
    out = np.zeros(places_of(x.shape, window, stride, padding, dilation), x.dtype)
    for _, part in elements_of(out.shape, window, stride, dilation):
        out += padded[part]
    return out * x.dtype.type(scale)


def _sum_back(ct: Tensor, out: Tensor, x: Tensor, **attributes: Any) -> Tensor:
    return apply(WINDOW_SPREAD, ct, size=x.shape[x.ndim - len(attributes["window"]) :], **attributes)


def _sum_flops(x: TensorType, out: TensorType, window: Shape, **attributes: Any) -> int:
    return out.size * (size_of(window) + 1)


def _draw_sum(draw: Draw) -> Sample:
    sizes, geometry = draw_geometry(draw)
    x = draw.floats((*draw.shape(most=2), *sizes))
    return Sample((x,), {**geometry, "scale": draw.choice((1.0, 0.25))})


WINDOW_SUM = define(
    "window_sum",
    takes=(FLOATS,),
    infer=_sum_type,
    numpy=_window_sum,
    vjp=(_sum_back,),
    kernel=Native(window_sum_loops, pool_units, flops=_sum_flops, follows=0),
    samples=_draw_sum,
)


def _spread_type(y: TensorType, size: Shape, scale: float, **geometry: Any) -> TensorType:
    return unpooled_type(y, size, geometry)


def _window_spread(
    y: Array, size: Shape, window: Shape, stride: Shape, padding: Padding, dilation: Shape, scale: float
) -> Array:
    parts = reversed([*elements_of(y.shape, window, stride, dilation)])  # the first window first
    return added_up(y, size, padding, ((part, y) for _, part in parts)) * y.dtype.type(scale)


def _spread_back(ct: Tensor, out: Tensor, y: Tensor, size: Shape, **attributes: Any) -> Tensor:
    return apply(WINDOW_SUM, ct, **attributes)


def _spread_flops(y: TensorType, out: TensorType, window: Shape, **attributes: Any) -> int:
    return y.size * size_of(window) + out.size


def _draw_spread(draw: Draw) -> Sample:
    sizes, geometry = draw_geometry(draw)
    y = draw.floats(places_of((*draw.shape(most=2), *sizes), **geometry))
    return Sample((y,), {"size": sizes, **geometry, "scale": draw.choice((1.0, 0.25))})


WINDOW_SPREAD = define(
    "window_spread",
    takes=(FLOATS,),
    infer=_spread_type,
    numpy=_window_spread,
    vjp=(_spread_back,),
    kernel=Native(window_spread_loops, unpool_units, flops=_spread_flops, follows=0),
    samples=_draw_spread,
)


def avg_pool(
    x: TensorLike,
    window: PerAxis,
    *,
    stride: PerAxis | None = None,
    padding: PaddingLike = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor: float | None = None,
) -> Tensor:
    """The mean of each window over the last axes.

    Args:
        x: a tensor [..., *sizes]; integers become float32.
        window: size of the window along each of the last axes; a single number is for all axes after the first two,
            as in [batch, channels, *sizes].
        stride: distance between neighbouring windows; the window's size where it is not given.
        padding: how many zeros to add at both ends of each axis, or (low, high).
        ceil_mode: whether there is one more window where a last one would reach over the end of the axis. What is
            beyond the padding never counts as an element.
        count_include_pad: whether zeros that were added count as elements of the mean.
        divisor: what sums are divided by in place of the number of elements.

    Raises `ShapeError` if a window does not fit, or padding is more than half of it, or for a divisor of 0.

    >>> avg_pool([[[1.0, 2.0, 5.0, 4.0]]], 2, padding=1, count_include_pad=False)
    tensor([[[1. , 3.5, 4. ]]], f32[1, 1, 3])
    """
    x = real(x)
    geometry, pairs = pool_geometry("avg_pool", x, window, stride, padding, 1, ceil_mode)
    if divisor is not None:
        if not divisor:
            raise ShapeError("avg_pool: sums cannot be divided by 0")
        return apply(WINDOW_SUM, x, **geometry, scale=1.0 / divisor)
    counts = np.ones(())
    sizes = x.shape[x.ndim - len(pairs) :]
    places = places_of(x.shape, **geometry)[x.ndim - len(pairs) :]
    for n, count, size, step, (low, high) in zip(
        sizes, places, geometry["window"], geometry["stride"], pairs, strict=True
    ):
        start = np.arange(count) * step - low
        first, last = (-low, n + high) if count_include_pad else (0, n)
        inside = np.minimum(start + size, last) - np.maximum(start, first)
        counts = np.multiply.outer(counts, np.maximum(inside, 1))
    if (counts == counts.flat[0]).all():
        return apply(WINDOW_SUM, x, **geometry, scale=1.0 / float(counts.flat[0]))
    return apply(WINDOW_SUM, x, **geometry, scale=1.0) * (1.0 / counts).astype(x.dtype.numpy)
