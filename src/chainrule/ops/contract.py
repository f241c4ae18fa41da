"""Contractions: the matrix product, and other products of two tensors that are lowered onto it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from chainrule.apply import apply
from chainrule.errors import ShapeError
from chainrule.kernel import Contract
from chainrule.op import define, method
from chainrule.ops.cast import cast
from chainrule.ops.layout import broadcast_to, permute_dims, reshape
from chainrule.ops.reduce import sum
from chainrule.samples import Draw, Sample
from chainrule.tensor import Tensor, TensorLike, operands
from chainrule.types import NUMBERS, TensorType, broadcast_shapes, normalize_axis, size_of


def _matmul_type(x: TensorType, y: TensorType) -> TensorType:
    if not x.ndim or not y.ndim:
        raise ShapeError(f"both inputs need at least one axis, not {x} and {y}")
    inner = x.shape[-1], y.shape[-min(y.ndim, 2)]
    if inner[0] != inner[1]:
        raise ShapeError(f"inner sizes differ ({inner[0]} and {inner[1]})")
    if min(x.ndim, y.ndim) < 2 or x.shape[:-2] != y.shape[:-2] or x.dtype is not y.dtype:
        raise ShapeError(f"leading axes or data types do not fit: {x} and {y}")
    return x.with_shape((*x.shape[:-1], y.shape[-1]))


def _draw_matmul(draw: Draw) -> Sample:
    *batch, m, k, n = draw.shape(draw.choice((3, 4)))
    return Sample((draw.floats((*batch, m, k)), draw.floats((*batch, k, n))))


MATMUL = define(
    "matmul",
    takes=(NUMBERS,),
    infer=_matmul_type,
    numpy=np.matmul,
    vjp=(lambda ct, out, x, y: ct @ y.mT, lambda ct, out, x, y: x.mT @ ct),
    kernel=Contract(),
    samples=_draw_matmul,
)


@method
def matmul(x: TensorLike, y: TensorLike) -> Tensor:
    """Matrix product over the last two axes: out[..., i, j] = sum over k of x[..., i, k] y[..., k, j].

    Leading axes broadcast. A vector on the left is a row, on the right a column, and its axis is dropped again.
    Integers give integers; a sum of nothing is 0.

    Raises `ShapeError` if the inner sizes differ, leading axes do not broadcast or an input has no axes, and
    `DtypeError` for two inputs of truth values.

    >>> matmul([[1.0, 2.0]], [[3.0], [4.0]])
    tensor([[11.]], f32[1, 1])
    >>> matmul([1.0, 2.0], [3.0, 4.0])
    tensor(11., f32[])
    """
    x, y = operands(x, y)
    if not _fit(x, y):
        return apply(MATMUL, x, y)  # its type rule says what is wrong, and where the inputs come from
    if x.ndim == 1 or y.ndim == 1:
        row = reshape(x, (1, x.size)) if x.ndim == 1 else x
        column = reshape(y, (y.size, 1)) if y.ndim == 1 else y
        leading = x.shape[:-1] if y.ndim == 1 else y.shape[:-2]
        return reshape(matmul(row, column), leading if y.ndim == 1 else (*leading, y.shape[-1]))
    if y.ndim == 2 and x.ndim > 2:  # one large product instead of many small ones
        out = apply(MATMUL, reshape(x, (size_of(x.shape[:-1]), x.shape[-1])), y)
        return reshape(out, (*x.shape[:-1], y.shape[-1]))
    batch = broadcast_shapes(x.shape[:-2], y.shape[:-2])
    return apply(MATMUL, *(v if v.shape[:-2] == batch else broadcast_to(v, (*batch, *v.shape[-2:])) for v in (x, y)))


def _fit(x: Tensor, y: Tensor) -> bool:
    """Whether a matrix product of two tensors exists."""
    if not x.ndim or not y.ndim or x.shape[-1] != y.shape[-min(y.ndim, 2)]:
        return False
    leading = zip(reversed(x.shape[:-2]), reversed(y.shape[:-2]), strict=False)
    return all(m == n or 1 in (m, n) for m, n in leading)


def tensordot(x: TensorLike, y: TensorLike, axes: int | tuple[Sequence[int], Sequence[int]] = 2) -> Tensor:
    """The sum of products over pairs of axes; what is left are the other axes of x, then those of y.

    Args:
        x: a tensor.
        y: another.
        axes: two lists of equal length, the axes of x and those of y; or a number n, which stands for the last n axes
            of x and the first n of y, in order. With none, every element of x meets every element of y.

    Raises `ShapeError` if axes that meet differ in size, do not exist or are named twice.

    >>> x = np.ones((2, 3, 4))
    >>> tensordot(x, np.ones((4, 3, 5)), ([1, 2], [1, 0])).shape, tensordot(x, x, 0).shape
    ((2, 5), (2, 3, 4, 2, 3, 4))
    """
    x, y = operands(x, y)
    if isinstance(axes, (int, np.integer)):
        if not 0 <= axes <= min(x.ndim, y.ndim):
            raise ShapeError(f"tensordot: {x.type} and {y.type} do not have {axes} axes each to sum over")
        over_x, over_y = list(range(x.ndim - axes, x.ndim)), list(range(axes))
    else:
        over_x, over_y = ([normalize_axis(a, v.ndim) for a in listed] for v, listed in zip((x, y), axes, strict=True))
    sizes_x, sizes_y = tuple(x.shape[a] for a in over_x), tuple(y.shape[a] for a in over_y)
    if sizes_x != sizes_y or len({*over_x}) < len(over_x) or len({*over_y}) < len(over_y):
        raise ShapeError(
            f"tensordot: axes {over_x} of {x.type} and {over_y} of {y.type} do not pair up: "
            f"their sizes are {list(sizes_x)} and {list(sizes_y)}, and each may be named once"
        )
    kept_x = [a for a in range(x.ndim) if a not in over_x]
    kept_y = [a for a in range(y.ndim) if a not in over_y]
    left, right = [x.shape[a] for a in kept_x], [y.shape[a] for a in kept_y]
    inner = size_of(sizes_x)
    rows = reshape(permute_dims(x, kept_x + over_x), (size_of(left), inner))
    columns = reshape(permute_dims(y, over_y + kept_y), (inner, size_of(right)))
    return reshape(matmul(rows, columns), left + right)


def vecdot(x: TensorLike, y: TensorLike, *, axis: int = -1) -> Tensor:
    """Scalar products of the vectors along an axis: out[...] = sum over k of x[..., k] y[..., k].

    The other axes broadcast. Raises `ShapeError` if the vectors differ in length.

    >>> vecdot([[1.0, 2.0], [3.0, 4.0]], [10.0, 1.0])
    tensor([12., 34.], f32[2])
    """
    x, y = operands(x, y)
    x, y = (_axis_last(v, axis) for v in (x, y))
    if x.shape[-1] != y.shape[-1]:
        raise ShapeError(f"vecdot: vectors of {x.shape[-1]} and {y.shape[-1]} elements, along axis {axis}")
    product: Tensor = x * y
    return cast(sum(product, -1), product.dtype)


def _axis_last(x: Tensor, axis: int) -> Tensor:
    axis = normalize_axis(axis, x.ndim)
    return permute_dims(x, [*(a for a in range(x.ndim) if a != axis), axis])


def outer(x: TensorLike, y: TensorLike) -> Tensor:
    """Every product of an element of one vector with one of another: out[i, j] = x[i] y[j].

    Raises `ShapeError` unless both have one axis.

    >>> outer([1, 2], [3, 4, 5])
    tensor([[ 3,  4,  5],
            [ 6,  8, 10]], i64[2, 3])
    """
    x, y = operands(x, y)
    if x.ndim != 1 or y.ndim != 1:
        raise ShapeError(f"outer: two vectors are needed, not {x.type} and {y.type}")
    return reshape(x, (x.size, 1)) * y
