"""Pooling by the largest element, with its position kept, and reading and writing at such positions.

    max_pool        out[p] = max over k of x[p * stride + k * dilation - low], and positions[p], the k where it is
    window_pick     out[p] = x[p * stride + positions[p] * dilation - low]
    window_place    out[s] = sum of y[p] with p * stride + positions[p] * dilation - low = s

Written for one axis; over n axes, p, k and s stand for n indices each, and a position is a k counted in row-major
order. Elements outside of x, which are padding, are no maximum, and 0 where they are picked. `window_place` is the
derivative of `max_pool`; of it and `window_pick` either is the other's.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np

from chainrule.apply import apply, apply_several, outputs_of
from chainrule.errors import ShapeError
from chainrule.kernel import Native
from chainrule.native.loops.pooling import max_pool_loops, pool_units, window_pick_loops
from chainrule.native.loops.unpooling import unpool_units, window_place_loops
from chainrule.op import JointRule, define
from chainrule.ops.cast import cast
from chainrule.ops.gather import take
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
from chainrule.types import FLOATS, Array, Shape, TensorType, int32, int64, size_of, uint8

POSITIONS = frozenset({uint8, int32})


def _max_pool_type(x: TensorType, **geometry: Any) -> tuple[TensorType, TensorType]:
    out = x.with_shape(places_of(x.shape, **geometry))
    return out, out.with_dtype(uint8 if size_of(geometry["window"]) <= 256 else int32)


def _max_pool(x: Array, window: Shape, stride: Shape, padding: Padding, dilation: Shape) -> tuple[Array, Array]:
    places = places_of(x.shape, window, stride, padding, dilation)
    padded = padded_with(x, padding, 0.0)
    valid = padded_with(np.ones(x.shape[x.ndim - len(window) :], bool), padding, False)
    best, chosen = np.full(places, -np.inf, x.dtype), np.full(places, -1)
    for number, part in elements_of(places, window, stride, dilation):
        found = padded[part]
        larger = (found > best) | (np.isnan(found) & ~np.isnan(best)) | (chosen < 0)
        larger &= valid[part]
        np.copyto(best, found, where=larger)
        chosen[larger] = number
    return best, np.maximum(chosen, 0).astype(np.uint8 if size_of(window) <= 256 else np.int32)


def _max_pool_back(cts: Sequence[Tensor | None], out: Tensor, x: Tensor, **geometry: Any) -> list[Tensor | None]:
    ct = cts[0]
    if ct is None:
        return [None]
    return [apply(WINDOW_PLACE, ct, outputs_of(out)[1], size=x.shape[x.ndim - len(geometry["window"]) :], **geometry)]


def _draw_max_pool(draw: Draw) -> Sample:
    sizes, geometry = draw_geometry(draw)
    while True:  # derivatives are for windows that hold an element
        x = draw.distinct((*draw.shape(most=2), *sizes))
        if np.isfinite(_max_pool(x, **geometry)[0]).all():
            return Sample((x,), geometry)
        sizes, geometry = draw_geometry(draw)


MAX_POOL = define(
    "max_pool",
    takes=(FLOATS,),
    infer=_max_pool_type,
    numpy=_max_pool,
    vjp=JointRule(_max_pool_back),
    kernel=Native(max_pool_loops, pool_units, follows=0),
    samples=_draw_max_pool,
)


def _pick_type(x: TensorType, chosen: TensorType, **geometry: Any) -> TensorType:
    places = places_of(x.shape, **geometry)
    if chosen.shape != places:
        raise ShapeError(f"positions {list(places)} are needed for {x}, not {chosen}")
    return x.with_shape(places)


def _window_pick(x: Array, chosen: Array, window: Shape, stride: Shape, padding: Padding, dilation: Shape) -> Array:
    padded, out = padded_with(x, padding, 0.0), np.zeros(chosen.shape, x.dtype)
    for number, part in elements_of(chosen.shape, window, stride, dilation):
        np.copyto(out, padded[part], where=chosen == number)
    return out


def _pick_back(ct: Tensor, out: Tensor, x: Tensor, chosen: Tensor, **geometry: Any) -> Tensor:
    return apply(WINDOW_PLACE, ct, chosen, size=x.shape[x.ndim - len(geometry["window"]) :], **geometry)


def _draw_chosen(draw: Draw, places: Shape, window: Shape) -> Array:
    return draw.lay(draw.rng.integers(0, size_of(window), places).astype(np.uint8))


def _draw_pick(draw: Draw) -> Sample:
    sizes, geometry = draw_geometry(draw)
    x = draw.floats((*draw.shape(most=2), *sizes))
    chosen = _draw_chosen(draw, places_of(x.shape, **geometry), geometry["window"])
    return Sample((x, chosen), geometry)


WINDOW_PICK = define(
    "window_pick",
    takes=(FLOATS, POSITIONS),
    infer=_pick_type,
    numpy=_window_pick,
    vjp=(_pick_back, None),
    kernel=Native(window_pick_loops, pool_units, follows=1, together=True),
    samples=_draw_pick,
)


def _place_type(y: TensorType, chosen: TensorType, size: Shape, **geometry: Any) -> TensorType:
    if chosen.shape != y.shape:
        raise ShapeError(f"positions {list(y.shape)} are needed for {y}, not {chosen}")
    return unpooled_type(y, size, geometry)


def _window_place(
    y: Array, chosen: Array, size: Shape, window: Shape, stride: Shape, padding: Padding, dilation: Shape
) -> Array:
    parts = reversed([*elements_of(y.shape, window, stride, dilation)])  # the first window first
    zero = y.dtype.type(0)
    return added_up(y, size, padding, ((part, np.where(chosen == number, y, zero)) for number, part in parts))


def _place_back(ct: Tensor, out: Tensor, y: Tensor, chosen: Tensor, size: Shape, **geometry: Any) -> Tensor:
    return apply(WINDOW_PICK, ct, chosen, **geometry)


def _draw_place(draw: Draw) -> Sample:
    sample = _draw_pick(draw)
    (x, chosen), geometry = sample.inputs, sample.attributes
    return Sample(
        (draw.floats(chosen.shape), chosen), {"size": x.shape[x.ndim - len(geometry["window"]) :], **geometry}
    )


WINDOW_PLACE = define(
    "window_place",
    takes=(FLOATS, POSITIONS),
    infer=_place_type,
    numpy=_window_place,
    vjp=(_place_back, None),
    kernel=Native(window_place_loops, unpool_units, follows=1, together=True),
    samples=_draw_place,
)


def max_pool(
    x: TensorLike,
    window: PerAxis,
    *,
    stride: PerAxis | None = None,
    padding: PaddingLike = 0,
    dilation: PerAxis = 1,
    ceil_mode: bool = False,
) -> Tensor:
    """The largest element of each window over the last axes.

    Args:
        x: a tensor [..., *sizes]; integers become float32.
        window: size of the window along each of the last axes; a single number is for all axes after the first two,
            as in [batch, channels, *sizes].
        stride: distance between neighbouring windows; the window's size where it is not given.
        padding: how many elements, smaller than any number, to add at both ends of each axis, or (low, high).
        dilation: distance between neighbouring elements of a window.
        ceil_mode: whether there is one more window where a last one would reach over the end of the axis.

    The gradient goes to the largest element, of equal ones to the first; the first NaN counts as largest.

    Raises `ShapeError` if a window does not fit, or padding is more than half of it.

    >>> max_pool([[[1.0, 2.0, 5.0, 4.0, 9.0]]], 2)
    tensor([[[2., 5.]]], f32[1, 1, 2])
    """
    x = real(x)
    geometry, _ = pool_geometry("max_pool", x, window, stride, padding, dilation, ceil_mode)
    return apply_several(MAX_POOL, x, **geometry)[0]


def max_pool_with_indices(
    x: TensorLike,
    window: PerAxis,
    *,
    stride: PerAxis | None = None,
    padding: PaddingLike = 0,
    dilation: PerAxis = 1,
    ceil_mode: bool = False,
) -> tuple[Tensor, Tensor]:
    """As `max_pool`, with the place of each largest element: its index in x with the last axes flattened, as int64.

    >>> max_pool_with_indices([[[1.0, 2.0, 5.0, 4.0, 9.0]]], 2)
    (tensor([[[2., 5.]]], f32[1, 1, 2]), tensor([[[1, 2]]], i64[1, 1, 2]))
    """
    x = real(x)
    geometry, _ = pool_geometry("max_pool", x, window, stride, padding, dilation, ceil_mode)
    values, chosen = apply_several(MAX_POOL, x, **geometry)
    sides = geometry["window"]
    sizes, places = x.shape[x.ndim - len(sides) :], values.shape[x.ndim - len(sides) :]
    steps = [prod(sizes[i + 1 :]) for i in range(len(sizes))]

    def flat(counts: Shape, apart: Shape) -> Array:
        """The sum of i * apart * step over all axes, for each index."""
        grid = np.indices(counts).reshape(len(counts), *counts)
        return sum((i * a * s for i, a, s in zip(grid, apart, steps, strict=True)), np.zeros(counts, np.int64))

    low = sum(first * step for (first, _), step in zip(geometry["padding"], steps, strict=True))
    within, start = flat(sides, geometry["dilation"]).reshape(-1), flat(places, geometry["stride"]) - low
    return values, take(within, cast(chosen, int64)) + start
