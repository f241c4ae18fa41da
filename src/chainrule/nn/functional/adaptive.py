"""Pooling to a given output size, with windows that divide the input as evenly as can be.

Window i of o over n elements goes from floor(i n / o) to ceil((i + 1) n / o): windows may overlap by one element, and
differ in size by one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, TypeAlias, overload

import numpy as np

from chainrule import ops
from chainrule.errors import ShapeError
from chainrule.nn.functional.axes import along_axis, check_axes
from chainrule.ops.reduce import real
from chainrule.tensor import Tensor, TensorLike
from chainrule.types import Array, Shape

OutputSize: TypeAlias = int | Sequence[int | None] | None


def _sizes(name: str, x: Tensor, output_size: OutputSize, axes: int) -> tuple[Shape, Shape]:
    """Sizes before and after. None stays as it is."""
    given = tuple(output_size) if isinstance(output_size, Sequence) else (output_size,) * axes
    before = x.shape[x.ndim - axes :]
    after = tuple(n if o is None else o for n, o in zip(before, given, strict=False))
    if len(given) != axes or min(after) < 1:
        raise ShapeError(f"{name}: output_size is a number or None, or one for each of {axes} axes, not {output_size}")
    if 0 in before:
        raise ShapeError(f"{name}: there are no elements to pool in {x.type}")
    return before, after


def _bounds(n: int, count: int) -> tuple[Array, Array]:
    """Where windows begin and end on an axis."""
    i = np.arange(count)
    return i * n // count, -(-(i + 1) * n // count)


def _adaptive_avg_pool(axes: int, x: TensorLike, output_size: OutputSize) -> Tensor:
    name = f"adaptive_avg_pool{axes}d"
    x = real(check_axes(name, x, axes))
    before, after = _sizes(name, x, output_size, axes)
    if set(after) == {1}:
        return ops.mean(x, tuple(range(-axes, 0)), keepdims=True)
    if not any(n % o for n, o in zip(before, after, strict=True)):
        return ops.avg_pool(x, tuple(n // o for n, o in zip(before, after, strict=True)))
    for axis, (n, o) in enumerate(zip(before, after, strict=True), -axes):
        start, end = _bounds(n, o)
        inside = (np.arange(n) >= start[:, None]) & (np.arange(n) < end[:, None])
        x = along_axis(x, inside / (end - start)[:, None], axis) if n != o else x
    return x


def _adaptive_max_pool(
    axes: int, x: TensorLike, output_size: OutputSize, return_indices: bool
) -> Tensor | tuple[Tensor, Tensor]:
    name = f"adaptive_max_pool{axes}d"
    x = check_axes(name, x, axes)
    before, after = _sizes(name, x, output_size, axes)
    places, window = np.zeros((), np.int64), list[int]()  # where what is pooled stands in the input
    for axis, (n, o) in enumerate(zip(before, after, strict=True), -axes):
        start, end = _bounds(n, o)
        most = int((end - start).max())
        found = np.minimum(start[:, None] + np.arange(most), end[:, None] - 1).reshape(-1)  # the last one once more
        if len(found) != n or (found != np.arange(n)).any():
            x = ops.take(x, found, axis)
        places = np.add.outer(places * n, found)
        window.append(most)
    if not return_indices:
        return ops.max_pool(x, window)
    values, indices = ops.max_pool_with_indices(x, window)
    return values, ops.take(places.reshape(-1), indices)


def adaptive_avg_pool1d(x: TensorLike, output_size: OutputSize) -> Tensor:
    """The mean of each of as many windows over one axis as are wanted; see `nn.AdaptiveAvgPool1d`.

    >>> adaptive_avg_pool1d([[1.0, 2.0, 3.0]], 2)
    tensor([[1.5, 2.5]], f32[1, 2])
    """
    return _adaptive_avg_pool(1, x, output_size)


def adaptive_avg_pool2d(x: TensorLike, output_size: OutputSize) -> Tensor:
    """The mean of each of as many windows over height and width as are wanted; see `nn.AdaptiveAvgPool2d`.

    >>> adaptive_avg_pool2d([[[1.0, 2.0], [4.0, 3.0]]], (1, None))
    tensor([[[2.5, 2.5]]], f32[1, 1, 2])
    """
    return _adaptive_avg_pool(2, x, output_size)


def adaptive_avg_pool3d(x: TensorLike, output_size: OutputSize) -> Tensor:
    """The mean of each of as many windows over three axes as are wanted; see `nn.AdaptiveAvgPool3d`.

    >>> adaptive_avg_pool3d(ops.zeros((1, 2, 5, 6, 7)), (3, 2, 1)).shape
    (1, 2, 3, 2, 1)
    """
    return _adaptive_avg_pool(3, x, output_size)


@overload
def adaptive_max_pool1d(x: TensorLike, output_size: OutputSize, return_indices: Literal[False] = False) -> Tensor: ...


@overload
def adaptive_max_pool1d(
    x: TensorLike, output_size: OutputSize, return_indices: Literal[True]
) -> tuple[Tensor, Tensor]: ...


def adaptive_max_pool1d(
    x: TensorLike, output_size: OutputSize, return_indices: bool = False
) -> Tensor | tuple[Tensor, Tensor]:
    """The largest element of each of as many windows over one axis as are wanted; see `nn.AdaptiveMaxPool1d`.

    >>> adaptive_max_pool1d([[1.0, 2.0, 3.0]], 2, return_indices=True)
    (tensor([[2., 3.]], f32[1, 2]), tensor([[1, 2]], i64[1, 2]))
    """
    return _adaptive_max_pool(1, x, output_size, return_indices)


@overload
def adaptive_max_pool2d(x: TensorLike, output_size: OutputSize, return_indices: Literal[False] = False) -> Tensor: ...


@overload
def adaptive_max_pool2d(
    x: TensorLike, output_size: OutputSize, return_indices: Literal[True]
) -> tuple[Tensor, Tensor]: ...


def adaptive_max_pool2d(
    x: TensorLike, output_size: OutputSize, return_indices: bool = False
) -> Tensor | tuple[Tensor, Tensor]:
    """The largest element of each of as many windows over height and width as are wanted; see `nn.AdaptiveMaxPool2d`.

    >>> adaptive_max_pool2d([[[1.0, 2.0], [4.0, 3.0]]], (1, None))
    tensor([[[4., 3.]]], f32[1, 1, 2])
    """
    return _adaptive_max_pool(2, x, output_size, return_indices)


@overload
def adaptive_max_pool3d(x: TensorLike, output_size: OutputSize, return_indices: Literal[False] = False) -> Tensor: ...


@overload
def adaptive_max_pool3d(
    x: TensorLike, output_size: OutputSize, return_indices: Literal[True]
) -> tuple[Tensor, Tensor]: ...


def adaptive_max_pool3d(
    x: TensorLike, output_size: OutputSize, return_indices: bool = False
) -> Tensor | tuple[Tensor, Tensor]:
    """The largest element of each of as many windows over three axes as are wanted; see `nn.AdaptiveMaxPool3d`.

    >>> adaptive_max_pool3d(ops.zeros((1, 2, 5, 6, 7)), (3, 2, 1)).shape
    (1, 2, 3, 2, 1)
    """
    return _adaptive_max_pool(3, x, output_size, return_indices)
