"""Shapes: broadcasting, reshaping, reordering axes. None of these moves data on its own."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from chainrule.apply import apply
from chainrule.errors import ShapeError
from chainrule.kernel import View
from chainrule.native.loops.axes import merged
from chainrule.native.operand import Strided, row_major, strided
from chainrule.op import FUNCTIONS, define, method
from chainrule.samples import Draw, Sample
from chainrule.tensor import Tensor, TensorLike, as_tensor
from chainrule.types import (
    ANY,
    Shape,
    TensorType,
    broadcast_shapes,
    normalize_axes,
    normalize_axis,
    size_of,
)


def _broadcast_type(x: TensorType, shape: Shape) -> TensorType:
    if min(shape, default=0) < 0 or broadcast_shapes(x.shape, shape) != shape:
        raise ShapeError(f"{list(x.shape)} does not broadcast to {list(shape)}")
    return x.with_shape(shape)


def _draw_broadcast(draw: Draw) -> Sample:
    shape = draw.shape()
    kept = tuple(1 if draw.choice((True, False)) else n for n in shape)
    return Sample((draw.floats(kept),), {"shape": (*draw.choice(((), (2,), (3, 1))), *shape)})


def _broadcast_view(place: Strided, shape: Shape) -> Strided:
    strides = [0 if n == 1 else step for n, step in zip(place.shape, place.strides, strict=True)]
    return strided(shape, [0] * (len(shape) - len(strides)) + strides, place.offset)


BROADCAST_TO = define(
    "broadcast_to",
    takes=(ANY,),
    infer=_broadcast_type,
    numpy=lambda x, shape: np.broadcast_to(x, shape),
    vjp=(lambda ct, out, x, shape: sum_to(ct, x.shape).cast(x.dtype),),
    kernel=View(_broadcast_view),
    samples=_draw_broadcast,
)


@method
def broadcast_to(x: TensorLike, shape: Sequence[int]) -> Tensor:
    """Repeat along new leading axes and axes of size one, by NumPy's rule; no data are copied.

    Raises `ShapeError` if the shapes do not fit.

    >>> broadcast_to([1.0, 2.0], (2, 2))
    tensor([[1., 2.],
            [1., 2.]], f32[2, 2])
    """
    x, wanted = as_tensor(x), tuple(int(n) for n in shape)
    return x if x.shape == wanted else apply(BROADCAST_TO, x, shape=wanted)


@method
def sum_to(x: TensorLike, shape: Sequence[int]) -> Tensor:
    """The transpose of `broadcast_to`: the sum over every axis along which `shape` would be repeated.

    >>> sum_to([[1.0, 2.0], [3.0, 4.0]], (1, 2))
    tensor([[4., 6.]], f32[1, 2])
    """
    x, shape = as_tensor(x), tuple(shape)
    extra = x.ndim - len(shape)
    axes = [a for a in range(x.ndim) if a < extra or (shape[a - extra] == 1 and x.shape[a] != 1)]
    return reshape(FUNCTIONS["sum"](x, axes), shape) if axes else reshape(x, shape)


def _reshape_type(x: TensorType, shape: Shape) -> TensorType:
    if min(shape, default=0) < 0 or size_of(shape) != x.size:
        raise ShapeError(f"{x.size} elements of {list(x.shape)} do not fill {list(shape)}")
    return x.with_shape(shape)


def _draw_reshape(draw: Draw) -> Sample:
    shape = draw.shape()
    return Sample((draw.floats(shape),), {"shape": draw.choice(((size_of(shape),), shape[::-1], (1, *shape)))})


def _reshape_view(place: Strided, shape: Shape) -> Strided | None:
    """Axes that step alike are merged, and each of these is cut into the new axes that it holds, the last one first."""
    if 0 in shape:
        return row_major(shape)
    sizes, (steps,) = merged(place.shape, place.strides)
    parts = list(zip(sizes, steps, strict=True))
    strides: list[int] = []
    left, step = 1, 1
    for n in reversed(shape):
        if parts and left == 1 and n > 1:
            left, step = parts.pop()
        if n > 1 and left % n:
            return None
        strides.insert(0, step)
        left, step = left // n, step * n
    return strided(shape, strides, place.offset)


RESHAPE = define(
    "reshape",
    takes=(ANY,),
    infer=_reshape_type,
    numpy=lambda x, shape: np.reshape(x, shape),
    vjp=(lambda ct, out, x, shape: reshape(ct, x.shape),),
    kernel=View(_reshape_view),
    samples=_draw_reshape,
)


@method
def reshape(x: TensorLike, shape: int | Sequence[int]) -> Tensor:
    """The same elements, last axis fastest, in another shape; one size may be -1 and is then worked out.

    Raises `ShapeError` if the number of elements differs.

    >>> reshape([1, 2, 3, 4], (2, -1))
    tensor([[1, 2],
            [3, 4]], i64[2, 2])
    """
    x = as_tensor(x)
    wanted = (int(shape),) if isinstance(shape, (int, np.integer)) else tuple(int(n) for n in shape)
    if wanted.count(-1) == 1:
        rest = size_of(n for n in wanted if n != -1)
        if rest == 0 or x.size % rest:
            raise ShapeError(f"reshape: {x.size} elements of {list(x.shape)} do not fill {list(wanted)}")
        wanted = tuple(x.size // rest if n == -1 else n for n in wanted)
    return x if wanted == x.shape else apply(RESHAPE, x, shape=wanted)


def _permute_type(x: TensorType, axes: tuple[int, ...]) -> TensorType:
    return x.with_shape(x.shape[a] for a in axes)


def _draw_permute(draw: Draw) -> Sample:
    x = draw.floats(draw.shape())
    return Sample((x,), {"axes": tuple(int(a) for a in draw.rng.permutation(x.ndim))})


def _permute_view(place: Strided, axes: tuple[int, ...]) -> Strided:
    return strided(tuple(place.shape[a] for a in axes), [place.strides[a] for a in axes], place.offset)


PERMUTE_DIMS = define(
    "permute_dims",
    takes=(ANY,),
    infer=_permute_type,
    numpy=lambda x, axes: np.transpose(x, axes),
    vjp=(lambda ct, out, x, axes: permute_dims(ct, sorted(range(x.ndim), key=axes.__getitem__)),),
    kernel=View(_permute_view),
    samples=_draw_permute,
)


@method
def permute_dims(x: TensorLike, axes: Sequence[int]) -> Tensor:
    """The axes in another order: axis i of the result is axis `axes[i]` of x. No data are moved.

    Raises `ShapeError` if `axes` is no permutation of the axes.

    >>> permute_dims([[1, 2, 3]], (1, 0)).shape
    (3, 1)
    """
    x = as_tensor(x)
    order = tuple(normalize_axis(int(a), x.ndim) for a in axes)
    if sorted(order) != list(range(x.ndim)):
        raise ShapeError(f"permute_dims: {tuple(axes)} is no order of the {x.ndim} axes of {x.type}")
    return x if order == tuple(range(x.ndim)) else apply(PERMUTE_DIMS, x, axes=order)


@method
def matrix_transpose(x: TensorLike, *, ndim: int | None = None) -> Tensor:
    """The last two axes swapped.

    Raises `ShapeError` for fewer than two axes, or for another number of axes than `ndim`.

    >>> matrix_transpose([[1, 2, 3]]).shape
    (3, 1)
    """
    x = as_tensor(x)
    if x.ndim < 2 or ndim not in (None, x.ndim):
        raise ShapeError(f"the transpose needs {ndim or 'two or more'} axes, not {x.type}; `mT` swaps the last two")
    return permute_dims(x, (*range(x.ndim - 2), x.ndim - 1, x.ndim - 2))


@method
def moveaxis(x: TensorLike, source: int | Sequence[int], destination: int | Sequence[int]) -> Tensor:
    """Some axes moved to other places; the others keep their order.

    Raises `ShapeError` for axes that do not exist or are named twice, or if their numbers differ.

    >>> moveaxis(np.ones((2, 3, 4)), 0, -1).shape
    (3, 4, 2)
    """
    x = as_tensor(x)
    old, new = ([a] if isinstance(a, (int, np.integer)) else list(a) for a in (source, destination))
    if len(normalize_axes(old, x.ndim)) != len(normalize_axes(new, x.ndim)):
        raise ShapeError(f"moveaxis: {len(old)} axes cannot go to {len(new)} places")
    old = [normalize_axis(a, x.ndim) for a in old]
    order = [a for a in range(x.ndim) if a not in old]
    for place, axis in sorted(zip((normalize_axis(a, x.ndim) for a in new), old, strict=True)):
        order.insert(place, axis)
    return permute_dims(x, order)


@method
def expand_dims(x: TensorLike, axis: int | Sequence[int] = 0) -> Tensor:
    """New axes of size one, at these places of the result.

    Raises `ShapeError` for a place outside the result or one named twice.

    >>> expand_dims([1, 2], (0, 2)).shape
    (1, 2, 1)
    """
    x = as_tensor(x)
    places = normalize_axes(axis, x.ndim + (1 if isinstance(axis, (int, np.integer)) else len(axis)))
    sizes = iter(x.shape)
    return reshape(x, [1 if a in places else next(sizes) for a in range(x.ndim + len(places))])


@method
def squeeze(x: TensorLike, axis: int | Sequence[int] | None = None) -> Tensor:
    """Without these axes of size one, or without all axes of size one.

    Raises `ShapeError` for an axis of another size.

    >>> squeeze([[[1], [2]]]).shape, squeeze([[[1], [2]]], axis=0).shape
    ((2,), (2, 1))
    """
    x = as_tensor(x)
    axes = [a for a, n in enumerate(x.shape) if n == 1] if axis is None else normalize_axes(axis, x.ndim)
    for a in axes:
        if x.shape[a] != 1:
            raise ShapeError(f"squeeze: axis {a} of {x.type} has size {x.shape[a]}, not 1")
    return reshape(x, [n for a, n in enumerate(x.shape) if a not in axes])


@method
def flatten(x: TensorLike, start: int = 0, end: int = -1) -> Tensor:
    """The axes from `start` to `end`, both included, merged into one. A tensor without axes gets one of size one.

    Raises `ShapeError` if there are no such axes, or if `end` stands before `start`.

    >>> flatten(np.ones((2, 3, 4)), start=1).shape
    (2, 12)
    """
    x = as_tensor(x)
    if not x.ndim:
        return reshape(x, 1)
    first, last = normalize_axis(start, x.ndim), normalize_axis(end, x.ndim)
    if last < first:
        raise ShapeError(f"flatten: axis {last} stands before axis {first} of {x.type}")
    return reshape(x, (*x.shape[:first], size_of(x.shape[first : last + 1]), *x.shape[last + 1 :]))


def broadcast_arrays(*tensors: TensorLike) -> list[Tensor]:
    """The tensors broadcast to their common shape; data types are left as they are.

    Raises `ShapeError` if the shapes do not fit.

    >>> [x.shape for x in broadcast_arrays([1, 2], [[1.0], [2.0]])]
    [(2, 2), (2, 2)]
    """
    found = [as_tensor(x) for x in tensors]
    shape = broadcast_shapes(*(x.shape for x in found))
    return [x if x.shape == shape else broadcast_to(x, shape) for x in found]
