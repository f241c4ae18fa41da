"""Losses for numbers: squared and absolute errors, and what lies between the two."""

from __future__ import annotations

from chainrule import ops
from chainrule.errors import DefinitionError
from chainrule.losses.common import Reduction, pair, reduced
from chainrule.tensor import Tensor, TensorLike


def mse(
    prediction: TensorLike,
    target: TensorLike,
    *,
    reduction: Reduction = "mean",
    sample_weight: TensorLike | None = None,
) -> Tensor:
    """Squared error, (prediction - target)^2.

    Raises `ShapeError` if the shapes differ.

    >>> mse([1.0, 2.0], [1.0, 4.0])
    tensor(2., f32[])
    """
    prediction, target = pair("mse", prediction, target)
    return reduced("mse", ops.square(prediction - target), reduction, sample_weight)


def mae(
    prediction: TensorLike,
    target: TensorLike,
    *,
    reduction: Reduction = "mean",
    sample_weight: TensorLike | None = None,
) -> Tensor:
    """Absolute error, |prediction - target|.

    Raises `ShapeError` if the shapes differ.

    >>> mae([1.0, 2.0], [1.0, 4.0])
    tensor(1., f32[])
    """
    prediction, target = pair("mae", prediction, target)
    return reduced("mae", ops.abs(prediction - target), reduction, sample_weight)


def huber(
    prediction: TensorLike,
    target: TensorLike,
    *,
    reduction: Reduction = "mean",
    delta: float = 1.0,
    sample_weight: TensorLike | None = None,
) -> Tensor:
    """d^2 / 2 for an error d = |prediction - target| up to delta, and delta (d - delta / 2) beyond. Huber 1964.

    Raises `ShapeError` if the shapes differ, `DefinitionError` unless delta is positive.

    >>> huber([1.0, 2.0], [1.5, 5.0], reduction="none")
    tensor([0.125, 2.5  ], f32[2])
    """
    if not delta > 0.0:
        raise DefinitionError(f"huber: delta must be positive, not {delta}")
    prediction, target = pair("huber", prediction, target)
    return reduced("huber", _rounded_off(prediction - target, delta), reduction, sample_weight)


def smooth_l1_loss(
    prediction: TensorLike,
    target: TensorLike,
    *,
    reduction: Reduction = "mean",
    beta: float = 1.0,
    sample_weight: TensorLike | None = None,
) -> Tensor:
    """d^2 / (2 beta) for an error d = |prediction - target| up to beta, and d - beta / 2 beyond.

    This is `huber` divided by its delta = beta, so that the slope is 1 far from the target; with beta = 0 it is `mae`.
    Girshick, "Fast R-CNN", ICCV 2015.

    Raises `ShapeError` if the shapes differ, `DefinitionError` if beta is negative.

    >>> smooth_l1_loss([1.0, 2.0], [1.5, 5.0], beta=2.0, reduction="none")
    tensor([0.0625, 2.    ], f32[2])
    """
    if not beta >= 0.0:
        raise DefinitionError(f"smooth_l1_loss: beta must not be negative, but is {beta}")
    prediction, target = pair("smooth_l1_loss", prediction, target)
    error = prediction - target
    loss = _rounded_off(error, beta) / beta if beta else ops.abs(error)
    return reduced("smooth_l1_loss", loss, reduction, sample_weight)


def _rounded_off(error: Tensor, width: float) -> Tensor:
    """width |error|, with a parabola in the place of the kink."""
    distance = ops.abs(error)
    near = ops.minimum(distance, width)
    return near * (distance - 0.5 * near)
