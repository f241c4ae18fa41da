"""Tensors from nothing: filled with a number, counting, the identity matrix."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from chainrule.errors import DefinitionError, ShapeError
from chainrule.ops.cast import cast
from chainrule.ops.layout import broadcast_to
from chainrule.tensor import Tensor, TensorLike, as_tensor
from chainrule.types import DTypeLike, Shape, dtype_of, float32


def _shape(shape: int | Sequence[int]) -> Shape:
    sizes = (shape,) if isinstance(shape, int) else tuple(int(n) for n in shape)
    if any(n < 0 for n in sizes):
        raise ShapeError(f"a shape has no negative sizes: {sizes}")
    return sizes


def full(shape: int | Sequence[int], value: TensorLike, dtype: DTypeLike | None = None) -> Tensor:
    """A tensor filled with one number, of the number's data type by default.

    Raises `ShapeError` for a negative size.

    >>> full((2, 2), 7)
    tensor([[7, 7],
            [7, 7]], i64[2, 2])
    """
    filled = as_tensor(value, None if dtype is None else dtype_of(dtype))
    return broadcast_to(filled if dtype is None else cast(filled, dtype), _shape(shape))


def zeros(shape: int | Sequence[int], dtype: DTypeLike = float32) -> Tensor:
    """A tensor of zeros.

    >>> zeros(3)
    tensor([0., 0., 0.], f32[3])
    """
    return full(shape, 0, dtype)


def ones(shape: int | Sequence[int], dtype: DTypeLike = float32) -> Tensor:
    """A tensor of ones.

    >>> ones((1, 2), "int64")
    tensor([[1, 1]], i64[1, 2])
    """
    return full(shape, 1, dtype)


def full_like(x: TensorLike, value: TensorLike, dtype: DTypeLike | None = None) -> Tensor:
    """A tensor of the shape of x, and of its data type by default, filled with one number.

    >>> full_like([1.0, 2.0], 5)
    tensor([5., 5.], f32[2])
    """
    x = as_tensor(x)
    return full(x.shape, value, x.dtype if dtype is None else dtype)


def zeros_like(x: TensorLike, dtype: DTypeLike | None = None) -> Tensor:
    """Zeros of the shape of x, and of its data type by default.

    >>> zeros_like([1.0, 2.0])
    tensor([0., 0.], f32[2])
    """
    return full_like(x, 0, dtype)


def ones_like(x: TensorLike, dtype: DTypeLike | None = None) -> Tensor:
    """Ones of the shape of x, and of its data type by default.

    >>> ones_like([1.0, 2.0])
    tensor([1., 1.], f32[2])
    """
    return full_like(x, 1, dtype)


def arange(start: float, stop: float | None = None, step: float = 1, dtype: DTypeLike | None = None) -> Tensor:
    """start, start + step, ... up to `stop`, which is not reached; `arange(n)` counts from 0.

    The data type is int64 for integers, else float32. Raises `DefinitionError` for a step of 0.

    >>> arange(3), arange(1, 2, 0.25)
    (tensor([0, 1, 2], i64[3]), tensor([1.  , 1.25, 1.5 , 1.75], f32[4]))
    """
    if step == 0:
        raise DefinitionError("arange: the step must not be 0")
    first, last = (0, start) if stop is None else (start, stop)
    values = np.arange(first, last, step)
    return cast(as_tensor(values), dtype or (float32 if values.dtype.kind == "f" else "int64"))


def linspace(start: float, stop: float, num: int, dtype: DTypeLike = float32, *, endpoint: bool = True) -> Tensor:
    """`num` numbers from `start` to `stop`, equally far apart; `stop` is among them if `endpoint` is true.

    Raises `DefinitionError` for a negative number of them.

    >>> linspace(0, 1, 3)
    tensor([0. , 0.5, 1. ], f32[3])
    """
    if num < 0:
        raise DefinitionError(f"linspace: there cannot be {num} numbers")
    return cast(as_tensor(np.linspace(start, stop, num, endpoint=endpoint)), dtype)


def eye(rows: int, columns: int | None = None, k: int = 0, dtype: DTypeLike = float32) -> Tensor:
    """A matrix with ones on a diagonal, k places above the main one, and zeros elsewhere.

    Raises `ShapeError` for a negative size.

    >>> eye(2)
    tensor([[1., 0.],
            [0., 1.]], f32[2, 2])
    """
    n, m = _shape((rows, rows if columns is None else columns))
    return cast(as_tensor(np.eye(n, m, k, dtype=np.float32)), dtype)
