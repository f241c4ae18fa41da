"""How alike or far apart two vectors are."""

from __future__ import annotations

from math import inf

from chainrule import ops
from chainrule.ops.reduce import real
from chainrule.tensor import Tensor, TensorLike


def cosine_similarity(x1: TensorLike, x2: TensorLike, axis: int = 1, eps: float = 1e-8) -> Tensor:
    """sum(x1 x2) / (|x1| |x2|) along an axis: the cosine of the angle between vectors. A norm counts as eps at least.

    >>> cosine_similarity([[1.0, 0.0]], [[1.0, 1.0]])
    tensor([0.70710677], f32[1])
    """
    return ops.sum(_unit(real(x1), axis, eps) * _unit(real(x2), axis, eps), axis)


def _unit(x: Tensor, axis: int, eps: float) -> Tensor:
    """x / max(|x|, eps) along an axis."""
    squares = ops.sum(ops.square(x), axis, keepdims=True)
    short = squares <= eps * eps
    return x * ops.where(short, 1.0 / eps, ops.rsqrt(ops.where(short, 1.0, squares)))


def pairwise_distance(
    x1: TensorLike, x2: TensorLike, p: float = 2.0, eps: float = 1e-6, keepdims: bool = False
) -> Tensor:
    """(sum of |x1 - x2 + eps|^p)^(1/p) along the last axis; for p = infinity, the largest difference.

    Where two vectors differ by nothing at all, eps included, the gradient is 0.

    >>> pairwise_distance([[3.0, 4.0]], [[0.0, 0.0]], eps=0.0)
    tensor([5.], f32[1])
    """
    apart = ops.abs(real(x1) - real(x2) + eps)
    if p == inf:
        return ops.max(apart, -1, keepdims=keepdims)
    if p == 1.0:
        return ops.sum(apart, -1, keepdims=keepdims)
    powers = ops.sum(ops.square(apart) if p == 2.0 else apart**p, -1, keepdims=keepdims)
    equal = powers == 0.0
    safe = ops.where(equal, 1.0, powers)
    return ops.where(equal, 0.0, ops.sqrt(safe) if p == 2.0 else safe ** (1.0 / p))
