"""Windows that slide over the last axes, and their transpose.

    sliding_windows   out[..., p, k] = x[..., p * stride + k * dilation]                   no data are moved
    overlap_add       out[..., s] = sum of y[..., p, k] with p * stride + k * dilation = s

Written for one axis; over n axes, p, k and s stand for n indices each. Either is the other's derivative.
"""

from __future__ import annotations

from collections.abc import Sequence
from operator import index
from typing import Any, TypeAlias

import numpy as np

from chainrule.apply import apply
from chainrule.errors import ShapeError
from chainrule.kernel import Native, View
from chainrule.native.loops.joining import overlap_add_loops, overlap_add_units
from chainrule.native.operand import Strided, strided
from chainrule.op import define, method
from chainrule.ops.cast import cast
from chainrule.ops.reduce import computable
from chainrule.samples import Draw, Sample
from chainrule.tensor import Tensor, TensorLike, as_tensor
from chainrule.types import ANY, NUMBERS, Array, Shape, TensorType

PerAxis: TypeAlias = int | Sequence[int]
PaddingLike: TypeAlias = int | Sequence[int | Sequence[int]]
Padding: TypeAlias = tuple[tuple[int, int], ...]  # (low, high) for each axis


def per_axis(name: str, given: PerAxis, count: int) -> Shape:
    """One whole number for each of `count` axes. Raises `ShapeError`, with the name, if there are not so many."""
    try:
        found = tuple(index(n) for n in given) if isinstance(given, Sequence) else (index(given),) * count
    except TypeError:
        found = None  # not whole numbers
    if found is None or len(found) != count:
        raise ShapeError(f"{name} is one whole number, or one for each of {count} axes, not {given!r}")
    return found


def padding_pairs(name: str, given: PaddingLike, count: int) -> Padding:
    """(low, high) for each of `count` axes; a single number stands for both. Raises `ShapeError`, with the name."""
    listed = given if isinstance(given, Sequence) else [given] * count
    try:
        pairs = [per_axis("a pair", pair, 2) for pair in listed]
    except ShapeError:
        pairs = None
    if pairs is None or len(pairs) != count or any(min(pair) < 0 for pair in pairs):
        raise ShapeError(
            f"{name} is one number, or one or (low, high) for each of {count} axes, none negative, not {given!r}"
        )
    return tuple((low, high) for low, high in pairs)


def spans(window: Shape, dilation: Shape) -> Shape:
    """How many places each axis of a window reaches over."""
    return tuple((k - 1) * d + 1 for k, d in zip(window, dilation, strict=True))


def positions(sizes: Shape, window: Shape, stride: Shape, dilation: Shape) -> Shape:
    """How many places of a window there are on each axis. Raises `ShapeError` if it fits nowhere."""
    if not len(sizes) == len(window) == len(stride) == len(dilation):
        raise ShapeError(
            f"window {list(window)}, stride {list(stride)} and dilation {list(dilation)} "
            f"must have one entry for each of the sizes {list(sizes)}"
        )
    if min((*window, *stride, *dilation), default=1) < 1:
        raise ShapeError(
            f"window {list(window)}, stride {list(stride)} and dilation {list(dilation)} must be 1 or more"
        )
    reach = spans(window, dilation)
    if any(span > n for span, n in zip(reach, sizes, strict=True)):
        raise ShapeError(f"a window that reaches over {list(reach)} elements does not fit into {list(sizes)}")
    return tuple((n - span) // step + 1 for n, span, step in zip(sizes, reach, stride, strict=True))


def _windows_type(x: TensorType, window: Shape, stride: Shape, dilation: Shape) -> TensorType:
    lead = x.ndim - len(window)
    if lead < 0:
        raise ShapeError(f"a window {list(window)} has more axes than {x}")
    return x.with_shape((*x.shape[:lead], *positions(x.shape[lead:], window, stride, dilation), *window))


def windows_of(x: Array, window: Shape, stride: Shape, dilation: Shape) -> Array:
    """The NumPy twin of `sliding_windows`: a view."""
    axes = tuple(range(x.ndim - len(window), x.ndim))
    densest = np.lib.stride_tricks.sliding_window_view(x, spans(window, dilation), axes)
    return densest[(..., *(slice(None, None, step) for step in (*stride, *dilation)))]


def _windows_back(ct: Tensor, out: Tensor, x: Tensor, window: Shape, stride: Shape, dilation: Shape) -> Tensor:
    return cast(overlap_add(ct, x.shape[x.ndim - len(window) :], stride=stride, dilation=dilation), x.dtype)


def _draw_windows(draw: Draw) -> Sample:
    count = draw.integer(1, 2)
    window, stride, dilation = (tuple(draw.integer(1, 3) for _ in range(count)) for _ in range(3))
    sizes = tuple(span + draw.integer(0, 3) for span in spans(window, dilation))
    x = draw.floats((*draw.shape(most=2), *sizes))
    return Sample((x,), {"window": window, "stride": stride, "dilation": dilation})


def _windows_view(place: Strided, window: Shape, stride: Shape, dilation: Shape) -> Strided:
    lead = len(place.shape) - len(window)
    shape, steps = (*place.shape[:lead], *positions(place.shape[lead:], window, stride, dilation)), place.strides[lead:]
    moved = [every * step for factors in (stride, dilation) for every, step in zip(factors, steps, strict=True)]
    return strided((*shape, *window), (*place.strides[:lead], *moved), place.offset)


SLIDING_WINDOWS = define(
    "sliding_windows",
    takes=(ANY,),
    infer=_windows_type,
    numpy=windows_of,
    vjp=(_windows_back,),
    kernel=View(_windows_view),
    samples=_draw_windows,
)


@method
def sliding_windows(x: TensorLike, window: PerAxis, *, stride: PerAxis = 1, dilation: PerAxis = 1) -> Tensor:
    """All windows over the last axes: out[..., p, k] = x[..., p * stride + k * dilation]. No data are moved.

    Args:
        x: a tensor [..., *sizes].
        window: number of elements of a window along each of the last axes; a single number is for the last axis.
        stride: distance between neighbouring windows, for each axis or for all.
        dilation: distance between neighbouring elements of a window, for each axis or for all.

    Returns a tensor [..., *positions, *window] with (size - (window - 1) * dilation - 1) // stride + 1 positions on an
    axis. Elements after the last window are left out.

    Raises `ShapeError` if a window does not fit into its axis.

    >>> sliding_windows([1, 2, 3, 4, 5], 3, stride=2)
    tensor([[1, 2, 3],
            [3, 4, 5]], i64[2, 3])
    """
    sides = per_axis("sliding_windows: window", window, _axes(window))
    every, apart = steps_of("sliding_windows", len(sides), stride, dilation)
    return apply(SLIDING_WINDOWS, as_tensor(x), window=sides, stride=every, dilation=apart)


def _axes(given: PerAxis) -> int:
    """How many of the last axes are meant: a single number is for one."""
    return len(given) if isinstance(given, Sequence) else 1


def steps_of(name: str, count: int, stride: PerAxis, dilation: PerAxis) -> tuple[Shape, Shape]:
    """Stride and dilation for each of `count` axes. Raises `ShapeError`, with the name, if there are not so many."""
    if not count:
        raise ShapeError(f"{name}: at least one axis is needed")
    return per_axis(f"{name}: stride", stride, count), per_axis(f"{name}: dilation", dilation, count)


def _overlap_type(y: TensorType, size: Shape, stride: Shape, dilation: Shape) -> TensorType:
    lead = y.ndim - 2 * len(size)
    if lead < 0:
        raise ShapeError(f"{y} has too few axes: two are needed for each of the sizes {list(size)}")
    found, window = y.shape[lead : lead + len(size)], y.shape[lead + len(size) :]
    expected = positions(size, window, stride, dilation)
    if found != expected:
        raise ShapeError(f"{y} has windows at {list(found)} positions, but there are {list(expected)} in {list(size)}")
    return y.with_shape((*y.shape[:lead], *size))


def add_windows(y: Array, size: Shape, stride: Shape, dilation: Shape) -> Array:
    """The NumPy twin of `overlap_add`: for each element of the window, all positions at once."""
    lead = y.ndim - 2 * len(size)
    counts, window = y.shape[lead : lead + len(size)], y.shape[lead + len(size) :]
    out = np.zeros((*y.shape[:lead], *size), y.dtype)
    for place in np.ndindex(*window):
        starts = [k * d for k, d in zip(place, dilation, strict=True)]
        hit = [slice(k, k + (n - 1) * s + 1, s) for k, n, s in zip(starts, counts, stride, strict=True)]
        out[(..., *hit)] += y[(..., *place)]
    return out


def _overlap_back(ct: Tensor, out: Tensor, y: Tensor, size: Shape, stride: Shape, dilation: Shape) -> Tensor:
    return sliding_windows(ct, y.shape[y.ndim - len(size) :], stride=stride, dilation=dilation)


def _draw_overlap(draw: Draw) -> Sample:
    x, geometry = (sample := _draw_windows(draw)).inputs[0], sample.attributes
    size = x.shape[x.ndim - len(geometry["window"]) :]
    y = draw.floats(windows_of(x, **geometry).shape)
    return Sample((y,), {"size": size, "stride": geometry["stride"], "dilation": geometry["dilation"]})


def _additions(y: TensorType, out: TensorType, **attributes: Any) -> int:
    return y.size


OVERLAP_ADD = define(
    "overlap_add",
    takes=(NUMBERS,),
    infer=_overlap_type,
    numpy=add_windows,
    vjp=(_overlap_back,),
    kernel=Native(overlap_add_loops, overlap_add_units, flops=_additions),
    samples=_draw_overlap,
)


@method
def overlap_add(y: TensorLike, size: PerAxis, *, stride: PerAxis = 1, dilation: PerAxis = 1) -> Tensor:
    """Windows added up where they overlap: out[..., s] = sum of y[..., p, k] with p * stride + k * dilation = s.

    The transpose of `sliding_windows`: from [..., *positions, *window] back to [..., *size]. A single number `size` is
    for one axis. Elements that no window covers are 0.

    Raises `ShapeError` if `size` does not have as many positions as y has windows.

    >>> overlap_add([[1, 2, 3], [10, 20, 30]], 6, stride=2)
    tensor([ 1,  2, 13, 20, 30,  0], i64[6])
    """
    y = computable(y)
    sizes = per_axis("overlap_add: size", size, _axes(size))
    every, apart = steps_of("overlap_add", len(sizes), stride, dilation)
    return apply(OVERLAP_ADD, y, size=sizes, stride=every, dilation=apart)
