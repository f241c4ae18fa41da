"""Losses that are negative log-likelihoods of a distribution, or compare two distributions."""

from __future__ import annotations

from math import log, pi
from typing import Literal

from chainrule import ops
from chainrule.errors import DataError, DefinitionError, ShapeError
from chainrule.losses.common import Reduction, pair, reduced
from chainrule.ops.gather import known_value
from chainrule.tensor import Tensor, TensorLike, as_tensor


def kl_div(
    log_prediction: TensorLike,
    target: TensorLike,
    *,
    reduction: Reduction | Literal["batchmean"] = "mean",
    log_target: bool = False,
    sample_weight: TensorLike | None = None,
) -> Tensor:
    """target (log(target) - log_prediction), 0 where the target is 0: the terms of Kullback & Leibler's divergence.

    Args:
        log_prediction: logarithms of the predicted probabilities.
        target: probabilities of the same shape, or their logarithms if `log_target`.
        reduction: as everywhere, the mean is over all elements; "batchmean" sums over all but the first axis and
            takes the mean over that, which is the divergence proper.
        log_target: see `target`.
        sample_weight: see the package.

    Raises `ShapeError` if the shapes differ.

    >>> kl_div(ops.log([[0.5, 0.5]]), [[1.0, 0.0]], reduction="batchmean")
    tensor(0.6931472, f32[])
    """
    log_q, target = pair("kl_div", log_prediction, target)
    if log_target:
        loss = ops.exp(target) * (target - log_q)
    else:
        is_zero = target == 0.0
        loss = ops.where(is_zero, 0.0, target * (ops.log(ops.where(is_zero, 1.0, target)) - log_q))
    if reduction == "batchmean":
        return reduced("kl_div", loss.sum(tuple(range(1, loss.ndim))), "mean", sample_weight)
    return reduced("kl_div", loss, reduction, sample_weight)


def poisson_nll_loss(
    prediction: TensorLike,
    target: TensorLike,
    *,
    log_input: bool = True,
    full: bool = False,
    eps: float = 1e-8,
    reduction: Reduction = "mean",
    sample_weight: TensorLike | None = None,
) -> Tensor:
    """rate - target log(rate) + log(target!): how unlikely a count is under a Poisson distribution of that rate.

    Args:
        prediction: log(rate), or the rate itself without `log_input`.
        target: counts, of the same shape.
        log_input: see `prediction`.
        full: whether to add log(target!), which no prediction changes, by Stirling's formula
            target log(target) - target + log(2 pi target) / 2; it is taken as 0 for counts up to 1.
        eps: added to the rate, without `log_input`, before its logarithm is taken.
        reduction: see the package.
        sample_weight: likewise.

    Raises `ShapeError` if the shapes differ, `DefinitionError` unless eps is positive.

    >>> poisson_nll_loss([0.0, 0.0], [2.0, 1.0], full=True, reduction="none")
    tensor([1.6518065, 1.       ], f32[2])
    """
    _check_eps("poisson_nll_loss", eps)
    prediction, target = pair("poisson_nll_loss", prediction, target)
    rate, log_rate = (ops.exp(prediction), prediction) if log_input else (prediction, ops.log(prediction + eps))
    loss = rate - target * log_rate
    if full:
        several = target > 1.0
        count = ops.where(several, target, 1.0)
        log_factorial = count * ops.log(count) - count + 0.5 * ops.log(2.0 * pi * count)
        loss = loss + ops.where(several, log_factorial, 0.0)
    return reduced("poisson_nll_loss", loss, reduction, sample_weight)


def gaussian_nll_loss(
    prediction: TensorLike,
    target: TensorLike,
    var: TensorLike,
    *,
    full: bool = False,
    eps: float = 1e-6,
    reduction: Reduction = "mean",
    sample_weight: TensorLike | None = None,
) -> Tensor:
    """(log(var) + (prediction - target)^2 / var) / 2: how unlikely a number is under a normal distribution.

    Nix & Weigend, "Estimating the mean and variance of the target probability distribution", ICNN 1994.

    Args:
        prediction: the mean.
        target: of the same shape.
        var: the variance: a number, or of the prediction's shape, or of that shape without the last axis, or with one
            axis of size 1.
        full: whether to add log(2 pi) / 2.
        eps: what a smaller variance is taken as; the gradient passes as if it had been added.
        reduction: see the package.
        sample_weight: likewise.

    Raises `ShapeError` if the shapes do not fit, `DefinitionError` unless eps is positive, and `DataError` for a
    negative variance; while a function is traced values are not known, and it counts as `eps`.

    >>> gaussian_nll_loss([1.0, 2.0], [1.0, 4.0], [1.0, 4.0], reduction="none")
    tensor([0.       , 1.1931472], f32[2])
    """
    _check_eps("gaussian_nll_loss", eps)
    prediction, target = pair("gaussian_nll_loss", prediction, target)
    var = as_tensor(var, prediction.dtype)
    known = known_value(var)
    if known is not None and (known < 0).any():
        raise DataError(f"gaussian_nll_loss: {known[known < 0].flat[0]:g} is no variance, which cannot be negative")
    variance = _per_element(var.cast(prediction.dtype), prediction)
    variance = ops.where(variance < eps, eps + (variance - variance.detach()), variance)
    loss = 0.5 * (ops.log(variance) + ops.square(prediction - target) / variance)
    if full:
        loss = loss + 0.5 * log(2.0 * pi)
    return reduced("gaussian_nll_loss", loss, reduction, sample_weight)


def _per_element(var: Tensor, prediction: Tensor) -> Tensor:
    """The variance of every element."""
    wanted = prediction.shape
    if var.ndim and var.shape == wanted[:-1]:
        var = var.expand_dims(-1)
    other = [n for n, size in zip(var.shape, wanted, strict=False) if n != size]
    if var.ndim and (var.ndim != prediction.ndim or other not in ([], [1])):
        raise ShapeError(
            f"gaussian_nll_loss: a var of shape {list(var.shape)} does not fit {prediction.type}; it must be a number, "
            "or have that shape, that shape without the last axis, or that shape with one axis of size 1"
        )
    return var.broadcast_to(wanted)


def _check_eps(name: str, eps: float) -> None:
    if not eps > 0.0:
        raise DefinitionError(f"{name}: eps must be positive, not {eps}")
