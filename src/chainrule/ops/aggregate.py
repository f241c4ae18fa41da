"""Aggregates over axes that are put together from other operations: spread, products, log-sum-exp, softmax."""

from __future__ import annotations

import builtins
from collections.abc import Sequence

import numpy as np

from chainrule.op import method
from chainrule.ops.cast import stop_gradient
from chainrule.ops.comparison import isfinite, where
from chainrule.ops.layout import permute_dims, reshape
from chainrule.ops.powers import sqrt
from chainrule.ops.reduce import count_of, max, mean, real, reduced, sum, summable
from chainrule.ops.slicing import pad, slice
from chainrule.ops.transcendental import exp, log
from chainrule.tensor import Tensor, TensorLike, as_tensor
from chainrule.types import normalize_axes


@method
def var(
    x: TensorLike, axis: int | Sequence[int] | None = None, *, keepdims: bool = False, correction: float = 0.0
) -> Tensor:
    """Variance over axes, or over all of them: the sum of (x - mean(x))^2, divided by n - correction.

    In two passes, so that a mean which is large beside the spread costs no accuracy. A correction of 1 gives the
    unbiased estimate from a sample (Bessel). Integers become float32. NaN where n - correction is 0 or less.

    >>> var([1.0, 2.0, 3.0, 4.0]), var([1.0, 2.0, 3.0, 4.0], correction=1)
    (tensor(1.25, f32[]), tensor(1.6666666, f32[]))
    """
    found = real(x)
    apart = found - mean(found, axis, keepdims=True)
    return sum(apart * apart, axis, keepdims=keepdims) / builtins.max(count_of(found, axis) - float(correction), 0.0)


@method
def std(
    x: TensorLike, axis: int | Sequence[int] | None = None, *, keepdims: bool = False, correction: float = 0.0
) -> Tensor:
    """Standard deviation over axes, or over all of them: the square root of `var`.

    Where all elements are equal the derivative does not exist; the gradient there is 0, as in PyTorch.

    >>> std([1.0, 2.0, 3.0, 4.0])
    tensor(1.118034, f32[])
    """
    spread = var(x, axis, keepdims=keepdims, correction=correction)
    constant = spread == 0.0
    return where(constant, 0.0, sqrt(where(constant, 1.0, spread)))  # no root of 0, whose slope is infinite


@method
def prod(x: TensorLike, axis: int | Sequence[int] | None = None, *, keepdims: bool = False) -> Tensor:
    """Product over axes, or over all of them; 1 of nothing. Truth values and small integers become int64.

    Halves are multiplied with each other until one element is left: there is no division, so derivatives of every
    order are exact, whatever elements are 0.

    >>> prod([[1.0, 2.0], [3.0, 4.0]], axis=0)
    tensor([3., 8.], f32[2])
    """
    found = summable(x)
    axes = normalize_axes(axis, found.ndim)
    kept = [a for a in range(found.ndim) if a not in axes]
    rest, count = [found.shape[a] for a in kept], count_of(found, axes)
    out: Tensor = reshape(permute_dims(found, (*axes, *kept)), (count, *rest))
    size = 1 << builtins.max(count - 1, 0).bit_length()  # the next power of two
    out = pad(out, [(0, size - count), *[(0, 0)] * len(rest)], 1)
    while size > 1:
        size //= 2
        low, high = ([start] + [0] * len(rest) for start in (0, size))
        out = slice(out, low, (size, *rest)) * slice(out, high, (size, *rest))
    return reshape(out, reduced(found.shape, axes, keepdims=keepdims))


@method
def logsumexp(x: TensorLike, axis: int | Sequence[int] | None = None, *, keepdims: bool = False) -> Tensor:
    """log(sum(exp(x))) over axes, or over all of them, without overflow: the maximum is taken out first.

    -inf for elements that are all -inf, and of nothing; the gradient is then 0. Integers become float32.

    Source: Blanchard, Higham & Higham, "Accurately computing the log-sum-exp and softmax functions", IMA Journal of
    Numerical Analysis 41 (2021).

    >>> logsumexp([1000.0, 1000.0])
    tensor(1000.6932, f32[])
    """
    found = real(x)
    axes = normalize_axes(axis, found.ndim)
    top: Tensor = max(found, axes, keepdims=True) if count_of(found, axes) else as_tensor(0.0, found.dtype)
    top = stop_gradient(where(isfinite(top), top, 0.0))
    total = sum(exp(found - top), axes, keepdims=True)
    nothing = total == 0.0
    out = where(nothing, -np.inf, log(where(nothing, 1.0, total)) + top)
    return reshape(out, reduced(found.shape, axes, keepdims=keepdims))


def softmax(x: TensorLike, axis: int = -1) -> Tensor:
    """exp(x) / sum(exp(x)) along an axis; the largest element is taken off first, so that nothing overflows.

    >>> softmax([0.0, 0.0])
    tensor([0.5, 0.5], f32[2])
    """
    powers = exp(_below_zero(real(x), axis))
    return powers / sum(powers, axis, keepdims=True)


def log_softmax(x: TensorLike, axis: int = -1) -> Tensor:
    """x - log(sum(exp(x))) along an axis: the logarithm of `softmax`, exact where that is nearly 0 or 1.

    >>> log_softmax([0.0, 1e4])
    tensor([-10000.,      0.], f32[2])
    """
    shifted = _below_zero(real(x), axis)
    return shifted - log(sum(exp(shifted), axis, keepdims=True))


def _below_zero(x: Tensor, axis: int) -> Tensor:
    """x less its largest element, which neither function depends on: no gradient passes through it."""
    return x - max(x.detach(), axis, keepdims=True)
