"""Contractions: matrix products and what is lowered onto them."""

from __future__ import annotations

import numpy as np

from chainrule.errors import ShapeError
from chainrule.op import define, method
from chainrule.ops.layout import broadcast_to, reshape
from chainrule.samples import Draw, Sample
from chainrule.tensor import Tensor, TensorLike, apply, operands
from chainrule.types import NUMBERS, TensorType, broadcast_shapes, size_of


def _matmul_type(x: TensorType, y: TensorType) -> TensorType:
    if x.shape[-1] != y.shape[-2]:
        raise ShapeError(f"inner sizes differ ({x.shape[-1]} and {y.shape[-2]})")
    if x.shape[:-2] != y.shape[:-2] or x.dtype is not y.dtype:
        raise ShapeError(f"inputs must have equal leading axes and data types, not {x} and {y}")
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
    samples=_draw_matmul,
)


@method
def matmul(x: TensorLike, y: TensorLike) -> Tensor:
    """Matrix product over the last two axes: out[..., i, j] = sum over k of x[..., i, k] y[..., k, j].

    Leading axes broadcast. A vector on the left is a row, on the right a column, and its axis is dropped again.

    Raises `ShapeError` if the inner sizes differ or an input has no axes.

    >>> matmul([[1.0, 2.0]], [[3.0], [4.0]])
    tensor([[11.]], f32[1, 1])
    >>> matmul([1.0, 2.0], [3.0, 4.0])
    tensor(11., f32[])
    """
    x, y = operands(x, y)
    if not x.ndim or not y.ndim:
        raise ShapeError(f"matmul: both inputs need at least one axis, not {x.type} and {y.type}")
    if x.ndim == 1:
        out = matmul(reshape(x, (1, x.size)), y)
        return reshape(out, (*out.shape[:-2], out.shape[-1]) if y.ndim > 1 else ())
    if y.ndim == 1:
        out = matmul(x, reshape(y, (y.size, 1)))
        return reshape(out, out.shape[:-1])
    if y.ndim == 2 and x.ndim > 2 and x.shape[-1] == y.shape[0]:  # one large product instead of many small ones
        out = apply(MATMUL, reshape(x, (size_of(x.shape[:-1]), x.shape[-1])), y)
        return reshape(out, (*x.shape[:-1], y.shape[-1]))
    batch = broadcast_shapes(x.shape[:-2], y.shape[:-2])
    return apply(MATMUL, *(v if v.shape[:-2] == batch else broadcast_to(v, (*batch, *v.shape[-2:])) for v in (x, y)))
