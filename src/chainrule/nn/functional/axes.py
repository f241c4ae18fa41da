"""What functions over the last axes of images have in common."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from chainrule import ops
from chainrule.errors import ShapeError
from chainrule.tensor import Tensor, TensorLike, as_tensor
from chainrule.types import Array


def check_axes(name: str, x: TensorLike, axes: int) -> Tensor:
    """The input, if it is [batch, channels, *sizes] or [channels, *sizes]; else a `ShapeError` with the name."""
    x = as_tensor(x)
    if x.ndim not in (axes + 1, axes + 2):
        sizes = ("length", "height, width", "depth, height, width")[axes - 1]
        raise ShapeError(f"{name}: an input [batch, channels, {sizes}] or [channels, {sizes}] is needed, not {x.type}")
    return x


def batched(name: str, x: TensorLike, axes: int, compute: Callable[[Tensor], Tensor]) -> Tensor:
    """What is computed from [batch, channels, *sizes], also for a single example without the batch axis."""
    x = check_axes(name, x, axes)
    return compute(x) if x.ndim == axes + 2 else compute(x.expand_dims(0)).squeeze(0)


def along_axis(x: Tensor, matrix: Array, axis: int) -> Tensor:
    """out[..., i, ...] = sum over j of matrix[i, j] x[..., j, ...], for i and j on one axis."""
    weights = np.ascontiguousarray(matrix.T, x.dtype.numpy)
    return ops.moveaxis(ops.moveaxis(x, axis, -1) @ weights, -1, axis)
