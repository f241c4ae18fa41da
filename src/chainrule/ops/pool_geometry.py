"""Where the windows of pooling are, in tensors that may be padded at the ends of their last axes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from chainrule.errors import ShapeError
from chainrule.ops.window import Padding, PaddingLike, PerAxis, padding_pairs, per_axis, positions, spans, steps_of
from chainrule.samples import Draw
from chainrule.tensor import Tensor
from chainrule.types import Array, Shape, TensorType


def places_of(x: Shape, window: Shape, stride: Shape, padding: Padding, dilation: Shape) -> Shape:
    """The shape of a tensor with one element for each window. Raises `ShapeError` if there is none."""
    lead = len(x) - len(window)
    if lead < 0 or len(padding) != len(window):
        raise ShapeError(f"window {list(window)} and padding {list(padding)} do not fit the axes of {list(x)}")
    sizes = tuple(n + low + high for n, (low, high) in zip(x[lead:], padding, strict=True))
    if 0 in x[lead:]:
        raise ShapeError(f"there are no elements to pool in {list(x)}")
    return (*x[:lead], *positions(sizes, window, stride, dilation))


def padded_with(x: Array, padding: Padding, fill: float) -> Array:
    """An array with a number around its last axes."""
    return np.pad(x, [*[(0, 0)] * (x.ndim - len(padding)), *padding], constant_values=fill)


def elements_of(places: Shape, window: Shape, stride: Shape, dilation: Shape) -> Iterator[tuple[int, Any]]:
    """For each element of the window its number, and where it is in a padded tensor for all places at once."""
    counts = places[len(places) - len(window) :]
    for number, element in enumerate(np.ndindex(*window)):
        parts = zip(element, counts, stride, dilation, strict=True)
        yield number, (..., *(slice(k * d, k * d + (n - 1) * s + 1, s) for k, n, s, d in parts))


def unpooled_type(y: TensorType, size: Shape, geometry: dict[str, Any]) -> TensorType:
    """The type of what y has one element for each window of. Raises `ShapeError` if it has not so many."""
    x = y.with_shape((*y.shape[: y.ndim - len(size)], *size))
    if y.shape != (places := places_of(x.shape, **geometry)):
        raise ShapeError(f"there are windows at {list(places)} places of {x}, not at {list(y.shape)}")
    return x


def added_up(y: Array, size: Shape, padding: Padding, parts: Iterator[tuple[Any, Array]]) -> Array:
    """Zeros with arrays added at parts of it, padding left out."""
    widths = zip(size, padding, strict=True)
    out = np.zeros((*y.shape[: y.ndim - len(size)], *(n + low + high for n, (low, high) in widths)), y.dtype)
    for part, found in parts:
        out[part] += found
    return out[(..., *(slice(low, low + n) for n, (low, _) in zip(size, padding, strict=True)))]


def draw_geometry(draw: Draw) -> tuple[Shape, dict[str, Any]]:
    """Sizes and geometry; windows may reach over the high end, or overlap, or leave gaps."""
    count = draw.integer(1, 2)
    window, stride, dilation = (tuple(draw.integer(1, 3) for _ in range(count)) for _ in range(3))
    reach = spans(window, dilation)
    padding = tuple((draw.integer(0, span // 2), draw.integer(0, span // 2)) for span in reach)
    least = [span - low - high for span, (low, high) in zip(reach, padding, strict=True)]
    sizes = tuple(max(n, 1) + draw.integer(0, 3) for n in least)
    return sizes, {"window": window, "stride": stride, "padding": padding, "dilation": dilation}


def pool_geometry(
    name: str,
    x: Tensor,
    window: PerAxis,
    stride: PerAxis | None,
    padding: PaddingLike,
    dilation: PerAxis,
    ceil_mode: bool,
) -> tuple[dict[str, Any], Padding]:
    """The attributes of an operation, whose padding holds every window, and the padding that was asked for."""
    if not isinstance(window, Sequence) and x.ndim < 3:
        raise ShapeError(f"{name}: a single number as window is for [batch, channels, *sizes], not for {x.type}")
    kernel = per_axis(f"{name}: window", window, len(window) if isinstance(window, Sequence) else x.ndim - 2)
    if len(kernel) > x.ndim:
        raise ShapeError(f"{name}: a window {list(kernel)} has more axes than {x.type}")
    every, apart = steps_of(name, len(kernel), kernel if stride is None else stride, dilation)
    pairs = padding_pairs(f"{name}: padding", padding, len(kernel))
    reach = spans(kernel, apart)
    if any(2 * max(pair) > span for pair, span in zip(pairs, reach, strict=True)):
        raise ShapeError(f"{name}: padding {padding} is more than half of the window {list(kernel)}")
    held = pairs
    if ceil_mode and min(every) > 0:
        parts = zip(x.shape[x.ndim - len(kernel) :], pairs, reach, every, strict=True)
        held = tuple((low, _reaching(n, low, high, span, step)) for n, (low, high), span, step in parts)
    return {"window": kernel, "stride": every, "padding": held, "dilation": apart}, pairs


def _reaching(n: int, low: int, high: int, span: int, step: int) -> int:
    """Padding at the high end so that a last window fits that begins in the axis, or in its padding at the low end."""
    last = -((span - n - low - high) // step)
    if last * step >= n + low:
        last -= 1
    return max(high, last * step + span - n - low)
