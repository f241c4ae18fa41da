"""Parts of a tensor at regular steps, and their transpose: a tensor set into a larger one. Mirrored axes.

Neither slicing nor flipping moves data on its own.
"""

from __future__ import annotations

import builtins
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np

from chainrule.apply import apply
from chainrule.errors import DtypeError, ShapeError
from chainrule.kernel import Native, View
from chainrule.native.loops.joining import pad_loops, pad_units
from chainrule.native.operand import Strided, strided
from chainrule.op import FUNCTIONS, define, method
from chainrule.ops.layout import broadcast_to
from chainrule.samples import Draw, Sample, to_bfloat16
from chainrule.tensor import Tensor, TensorLike, as_tensor
from chainrule.types import ANY, Array, DType, Shape, TensorType, bfloat16, bool_, normalize_axes


def _extent(size: int, step: int) -> int:
    """How many places `size` elements span when each stands `step` places after the one before."""
    return (size - 1) * step + 1 if size else 0


def _slice_type(x: TensorType, start: Shape, size: Shape, step: Shape) -> TensorType:
    if not len(start) == len(size) == len(step) == x.ndim:
        raise ShapeError(
            f"start {list(start)}, size {list(size)} and step {list(step)} must have one entry an axis of {x}"
        )
    for axis, (n, first, count, every) in enumerate(zip(x.shape, start, size, step, strict=True)):
        if first < 0 or count < 0 or every < 1 or first + _extent(count, every) > n:
            raise ShapeError(
                f"{count} elements from {first} on in steps of {every} do not lie within axis {axis} of {x}"
            )
    return x.with_shape(size)


def _slice(x: Array, start: Shape, size: Shape, step: Shape) -> Array:
    parts = zip(start, size, step, strict=True)
    return x[tuple(builtins.slice(first, first + _extent(count, every), every) for first, count, every in parts)]


def _slice_back(ct: Tensor, out: Tensor, x: Tensor, start: Shape, size: Shape, step: Shape) -> Tensor:
    parts = zip(x.shape, start, size, step, strict=True)
    widths = [(first, n - first - _extent(count, every)) for n, first, count, every in parts]
    return pad(ct, widths, interior=[every - 1 for every in step])


def _draw_slice(draw: Draw) -> Sample:
    x = draw.floats(draw.shape())
    start = tuple(draw.integer(0, max(n - 1, 0)) for n in x.shape)
    step = tuple(draw.integer(1, 3) for _ in x.shape)
    most = [-((first - n) // every) for n, first, every in zip(x.shape, start, step, strict=True)]
    size = tuple(draw.integer(min(count, 1), count) for count in most)
    return Sample((x,), {"start": start, "size": size, "step": step})


def _slice_view(place: Strided, start: Shape, size: Shape, step: Shape) -> Strided:
    first = sum(i * stride for i, stride in zip(start, place.strides, strict=True))
    strides = [every * stride for every, stride in zip(step, place.strides, strict=True)]
    return strided(size, strides, place.offset + first)


SLICE = define(
    "slice",
    takes=(ANY,),
    infer=_slice_type,
    numpy=_slice,
    vjp=(_slice_back,),
    kernel=View(_slice_view),
    samples=_draw_slice,
)


@method
def slice(x: TensorLike, start: Sequence[int], size: Sequence[int], step: Sequence[int] | None = None) -> Tensor:
    """Elements at regular places: out[i, j, ...] = x[start[0] + i * step[0], start[1] + j * step[1], ...].

    `size` is the shape of the result and `step` is 1 where it is not given; there is one entry an axis, each counted
    from the front. No data are moved.

    Raises `ShapeError` if a place lies outside the tensor, or for a step below 1.

    >>> slice([[1, 2, 3, 4], [5, 6, 7, 8]], (0, 1), (2, 2), (1, 2))
    tensor([[2, 4],
            [6, 8]], i64[2, 2])
    """
    x = as_tensor(x)
    first, count = tuple(int(n) for n in start), tuple(int(n) for n in size)
    every = (1,) * len(count) if step is None else tuple(int(n) for n in step)
    if count == x.shape and not any(first) and every == (1,) * x.ndim:
        return x
    return apply(SLICE, x, start=first, size=count, step=every)


def _pad_type(x: TensorType, low: Shape, high: Shape, interior: Shape, value: float) -> TensorType:
    widths = f"low {list(low)}, high {list(high)} and interior {list(interior)}"
    if not len(low) == len(high) == len(interior) == x.ndim:
        raise ShapeError(f"{widths} must have one entry an axis of {x}")
    if min((*low, *high, *interior), default=0) < 0:
        raise ShapeError(f"{widths} must not be negative; `slice` takes elements away")
    sizes = zip(x.shape, low, high, interior, strict=True)
    return x.with_shape(before + _extent(n, between + 1) + after for n, before, after, between in sizes)


def _pad(x: Array, low: Shape, high: Shape, interior: Shape, value: float) -> Array:
    sizes = list(zip(x.shape, low, high, interior, strict=True))
    shape = [before + _extent(n, between + 1) + after for n, before, after, between in sizes]
    is_bfloat16 = x.dtype == bfloat16.numpy  # no other type of the library is stored so
    out = np.full(shape, to_bfloat16(np.array(value, np.float32)) if is_bfloat16 else value, x.dtype)
    inner = [builtins.slice(before, before + _extent(n, between + 1), between + 1) for n, before, _, between in sizes]
    out[tuple(inner)] = x
    return out


def _pad_back(ct: Tensor, out: Tensor, x: Tensor, low: Shape, high: Shape, interior: Shape, value: float) -> Tensor:
    return slice(ct, low, x.shape, [between + 1 for between in interior])


def _draw_pad(draw: Draw) -> Sample:
    x = draw.floats(draw.shape())
    widths = {name: tuple(draw.integer(0, 2) for _ in x.shape) for name in ("low", "high", "interior")}
    return Sample((x,), {**widths, "value": draw.choice((0, 1) if not draw.dtype.is_float else (0.0, 1.5))})


PAD = define(
    "pad",
    takes=(ANY,),
    infer=_pad_type,
    numpy=_pad,
    vjp=(_pad_back,),
    kernel=Native(pad_loops, pad_units),
    samples=_draw_pad,
)


@method
def pad(
    x: TensorLike,
    widths: int | Sequence[int] | Sequence[Sequence[int]],
    value: float = 0.0,
    *,
    interior: int | Sequence[int] | None = None,
    mode: Literal["constant", "reflect", "edge", "wrap"] = "constant",
) -> Tensor:
    """The tensor with more elements before, after and between its own.

    Args:
        x: the tensor, of any data type.
        widths: (before, after) for each axis, or one such pair for all axes, or one number for all sides.
        value: what the new elements are, in the mode "constant".
        interior: how many new elements stand between two neighbours, for each axis or for all; "constant" only.
        mode: "constant"; "edge" repeats the outermost element; "reflect" mirrors at the outermost element, which is
            not repeated; "wrap" goes on at the other end.

    Raises `ShapeError` if widths are negative, do not fit the axes, or ask for more elements than the mode can take
    from an axis (n - 1 for "reflect", n for "wrap"), and `DtypeError` if an integer tensor cannot hold `value`.

    >>> pad([1, 2, 3], (2, 1))
    tensor([0, 0, 1, 2, 3, 0], i64[6])
    >>> pad([1, 2, 3], 0, 9, interior=1)
    tensor([1, 9, 2, 9, 3], i64[5])
    >>> pad([1, 2, 3], (2, 1), mode="reflect")
    tensor([3, 2, 1, 2, 3, 2], i64[6])
    """
    x = as_tensor(x)
    sides = _pairs(widths, x.ndim)
    between = (
        (interior or 0,) * x.ndim if interior is None or isinstance(interior, (int, np.integer)) else tuple(interior)
    )
    if mode == "constant":
        low, high = tuple(before for before, _ in sides), tuple(after for _, after in sides)
        fill = _fitting(value, x.dtype)
        return apply(PAD, x, low=low, high=high, interior=between, value=fill) if any((*low, *high, *between)) else x
    if mode not in ("reflect", "edge", "wrap"):
        raise ShapeError(f"pad: the modes are constant, reflect, edge and wrap, not {mode!r}")
    if any(between):
        raise ShapeError(f"pad: interior is for the mode 'constant', not for {mode!r}")
    out: Tensor = x
    for axis, (before, after) in enumerate(sides):
        if before or after:
            lead, trail = _beyond(out, axis, before, after, mode)
            out = FUNCTIONS["concat"]([lead, out, trail], axis)  # by name, as it is made of slices itself
    return out


def _pairs(widths: Any, ndim: int) -> list[tuple[int, int]]:
    """Widths in any of the forms that `pad` takes, as a pair for each axis."""
    try:
        given: Array = np.broadcast_to(np.asarray(widths if ndim else 0), (ndim, 2))
    except ValueError:
        given = np.empty(0)  # of no use, as its type says
    if given.dtype.kind not in "iu":
        raise ShapeError(
            f"pad: widths are one number, or (before, after) for all or each of {ndim} axes, not {widths!r}"
        )
    return [(int(before), int(after)) for before, after in given]


def _fitting(value: float, dtype: DType) -> float:
    """The value as a Python number of a data type's kind. Raises `DtypeError` if it does not fit."""
    if dtype.is_float:
        return float(value)
    whole = int(value) if np.isfinite(value) else None
    low, high = (0, 1) if dtype is bool_ else (np.iinfo(dtype.numpy).min, np.iinfo(dtype.numpy).max)
    if whole is None or whole != value or not low <= whole <= high:
        raise DtypeError(f"pad: a tensor of type {dtype} cannot hold {value}")
    return whole


def _beyond(x: Tensor, axis: int, before: int, after: int, mode: str) -> tuple[Tensor, Tensor]:
    """What stands before and after one axis in a mode of `pad`."""
    n = x.shape[axis]
    most = {"reflect": max(n - 1, 0), "wrap": n, "edge": max(before, after) if n else 0}[mode]
    if min(before, after) < 0 or max(before, after) > most:
        raise ShapeError(
            f"pad: widths {before} and {after} for axis {axis} of {x.type}, mode {mode!r}: 0 to {most} will do"
        )

    def part(start: int, size: int) -> Tensor:
        rest = x.ndim - axis - 1
        return slice(x, (*(0,) * axis, start, *(0,) * rest), _resized(x, axis, size))

    if mode == "reflect":
        return flip(part(1, before), axis), flip(part(n - 1 - after, after), axis)
    if mode == "wrap":
        return part(n - before, before), part(0, after)
    lead, trail = (
        broadcast_to(part(start, 1), _resized(x, axis, size)) for start, size in ((0, before), (n - 1, after))
    )
    return lead, trail


def _resized(x: Tensor, axis: int, size: int) -> Shape:
    return (*x.shape[:axis], size, *x.shape[axis + 1 :])


def _draw_flip(draw: Draw) -> Sample:
    x = draw.floats(draw.shape())
    return Sample((x,), {"axes": tuple(a for a in range(x.ndim) if draw.choice((True, False)))})


def _flip_view(place: Strided, axes: tuple[int, ...]) -> Strided:
    last = sum((place.shape[a] - 1) * place.strides[a] for a in axes)
    strides = [-step if a in axes else step for a, step in enumerate(place.strides)]
    return strided(place.shape, strides, place.offset + last)


FLIP = define(
    "flip",
    takes=(ANY,),
    infer=lambda x, axes: x,
    numpy=lambda x, axes: np.flip(x, axes),
    vjp=(lambda ct, out, x, axes: flip(ct, axes),),
    kernel=View(_flip_view),
    samples=_draw_flip,
)


@method
def flip(x: TensorLike, axis: int | Sequence[int] | None = None) -> Tensor:
    """The elements in reverse order along some axes, or along all of them. No data are moved.

    Raises `ShapeError` for an axis that does not exist or is named twice.

    >>> flip([[1, 2, 3], [4, 5, 6]], axis=1)
    tensor([[3, 2, 1],
            [6, 5, 4]], i64[2, 3])
    """
    x = as_tensor(x)
    axes = normalize_axes(axis, x.ndim)
    return apply(FLIP, x, axes=axes) if axes else x
