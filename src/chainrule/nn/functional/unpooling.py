"""Max pooling undone: values put back to where they came from, among zeros."""

from __future__ import annotations

from collections.abc import Sequence

from chainrule import ops
from chainrule.errors import ShapeError
from chainrule.nn.functional.axes import check_axes
from chainrule.ops.window import PerAxis, per_axis
from chainrule.tensor import Tensor, TensorLike, as_tensor
from chainrule.types import size_of


def _max_unpool(
    axes: int,
    x: TensorLike,
    indices: TensorLike,
    kernel_size: PerAxis,
    stride: PerAxis | None,
    padding: PerAxis,
    output_size: Sequence[int] | None,
) -> Tensor:
    name = f"max_unpool{axes}d"
    x, places = check_axes(name, x, axes), as_tensor(indices)
    if x.shape != places.shape:
        raise ShapeError(f"{name}: an index is needed for each value of {x.type}, not {places.type}")
    window = per_axis(f"{name}: kernel_size", kernel_size, axes)
    every = window if stride is None else per_axis(f"{name}: stride", stride, axes)
    around = per_axis(f"{name}: padding", padding, axes)
    lead, before = x.shape[: x.ndim - axes], x.shape[x.ndim - axes :]
    parts = zip(before, window, every, around, strict=True)
    usual = tuple((n - 1) * step - 2 * low + k for n, k, step, low in parts)
    size = usual if output_size is None else tuple(output_size)[-axes:]
    if len(size) != axes or any(abs(n - m) >= step for n, m, step in zip(size, usual, every, strict=True)):
        raise ShapeError(
            f"{name}: output_size {output_size} must be nearer to {list(usual)} than the stride {list(every)}"
        )
    flat = (*lead, size_of(before))
    zeros = ops.zeros((*lead, size_of(size)), dtype=x.dtype)
    out: Tensor = ops.add_along_axis(zeros, places.reshape(flat), x.reshape(flat), -1)
    return out.reshape((*lead, *size))


def max_unpool1d(
    x: TensorLike,
    indices: TensorLike,
    kernel_size: PerAxis,
    stride: PerAxis | None = None,
    padding: PerAxis = 0,
    output_size: Sequence[int] | None = None,
) -> Tensor:
    """Values put back to the places that `max_pool1d` found them at, over one axis; see `nn.MaxUnpool1d`.

    >>> max_unpool1d([[3.0, 5.0]], [[1, 3]], 2)
    tensor([[0., 3., 0., 5.]], f32[1, 4])
    """
    return _max_unpool(1, x, indices, kernel_size, stride, padding, output_size)


def max_unpool2d(
    x: TensorLike,
    indices: TensorLike,
    kernel_size: PerAxis,
    stride: PerAxis | None = None,
    padding: PerAxis = 0,
    output_size: Sequence[int] | None = None,
) -> Tensor:
    """Values put back to the places that `max_pool2d` found them at, over height and width; see `nn.MaxUnpool2d`.

    >>> max_unpool2d([[[4.0]]], [[[2]]], 2)
    tensor([[[0., 0.],
             [4., 0.]]], f32[1, 2, 2])
    """
    return _max_unpool(2, x, indices, kernel_size, stride, padding, output_size)


def max_unpool3d(
    x: TensorLike,
    indices: TensorLike,
    kernel_size: PerAxis,
    stride: PerAxis | None = None,
    padding: PerAxis = 0,
    output_size: Sequence[int] | None = None,
) -> Tensor:
    """Values put back to the places that `max_pool3d` found them at, over three axes; see `nn.MaxUnpool3d`.

    >>> max_unpool3d(ops.ones((1, 2, 2, 2, 2)), ops.zeros((1, 2, 2, 2, 2), dtype="int64"), 2).shape
    (1, 2, 4, 4, 4)
    """
    return _max_unpool(3, x, indices, kernel_size, stride, padding, output_size)
