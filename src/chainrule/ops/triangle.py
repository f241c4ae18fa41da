"""The triangles of matrices."""

from __future__ import annotations

import numpy as np

from chainrule.errors import ShapeError
from chainrule.op import method
from chainrule.ops.cast import cast
from chainrule.ops.comparison import where
from chainrule.tensor import Tensor, TensorLike, as_tensor
from chainrule.types import Array


@method
def tril(x: TensorLike, k: int = 0) -> Tensor:
    """The lower triangle of each matrix in the last two axes: elements with column > row + k become 0.

    Raises `ShapeError` for fewer than two axes.

    >>> tril([[1, 2], [3, 4]])
    tensor([[1, 0],
            [3, 4]], i64[2, 2])
    """
    found = as_tensor(x)
    return _kept(found, _lower("tril", found, k))


@method
def triu(x: TensorLike, k: int = 0) -> Tensor:
    """The upper triangle of each matrix in the last two axes: elements with column < row + k become 0.

    Raises `ShapeError` for fewer than two axes.

    >>> triu([[1, 2], [3, 4]])
    tensor([[1, 2],
            [0, 4]], i64[2, 2])
    """
    found = as_tensor(x)
    return _kept(found, ~_lower("triu", found, k - 1))


def _lower(name: str, x: Tensor, k: int) -> Array:
    """Where the lower triangle is."""
    if x.ndim < 2:
        raise ShapeError(f"{name}: a triangle needs two axes or more, not {x.type}")
    rows, columns = x.shape[-2:]
    return np.tri(rows, columns, k, dtype=np.bool_)


def _kept(x: Tensor, mask: Array) -> Tensor:
    return cast(where(mask, x, as_tensor(0, x.dtype)), x.dtype)
