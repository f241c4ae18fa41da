"""Losses for classes of which one is rare: focal losses look at what is still wrong, dice loss at overlaps."""

from __future__ import annotations

from collections.abc import Sequence

from chainrule import ops
from chainrule.errors import DefinitionError
from chainrule.losses.common import Reduction, class_axis, class_weight, looked_up, pair, power, reduced
from chainrule.ops.aggregate import log_softmax
from chainrule.ops.reduce import real
from chainrule.tensor import Tensor, TensorLike


def sigmoid_focal_loss(
    logits: TensorLike,
    target: TensorLike,
    *,
    alpha: float = 0.25,
    gamma: float = 2.0,
    reduction: Reduction = "none",
    sample_weight: TensorLike | None = None,
) -> Tensor:
    """-a (1 - q)^gamma log(q) for the probability q of what is the case: binary cross-entropy less the easy cases.

    Lin, Goyal, Girshick, He & Dollar, "Focal loss for dense object detection", ICCV 2017.

    Args:
        logits: x, of any shape; q is sigmoid(x) for target 1 and 1 - sigmoid(x) for target 0.
        target: 1 or 0, of the same shape; t between them mixes both probabilities and both cross-entropies.
        alpha: a is alpha for target 1 and 1 - alpha for target 0; if it is negative, a is 1.
        gamma: how strongly easy cases are passed over, at least 0.
        reduction: see the package, but the default is the loss of every element, as in torchvision.
        sample_weight: likewise.

    Raises `ShapeError` if the shapes differ, `DefinitionError` for an alpha above 1 or a negative gamma.

    >>> sigmoid_focal_loss([0.0, 0.0], [1.0, 0.0])
    tensor([0.0433217, 0.1299651], f32[2])
    """
    name = "sigmoid_focal_loss"
    _check_gamma(name, gamma)
    if not alpha <= 1.0:
        raise DefinitionError(f"{name}: alpha must be at most 1, not {alpha}")
    x, t = pair(name, logits, target)
    loss = t * ops.softplus(-x) + (1.0 - t) * ops.softplus(x)
    loss = loss * power(t * ops.sigmoid(-x) + (1.0 - t) * ops.sigmoid(x), gamma)
    if alpha >= 0.0:
        loss = loss * (alpha * t + (1.0 - alpha) * (1.0 - t))
    return reduced(name, loss, reduction, sample_weight)


def softmax_focal_loss(
    logits: TensorLike,
    target: TensorLike,
    *,
    alpha: TensorLike | None = None,
    gamma: float = 2.0,
    ignore_index: int = -100,
    reduction: Reduction = "none",
    sample_weight: TensorLike | None = None,
) -> Tensor:
    """-a (1 - q)^gamma log(q) for the probability q = softmax(logits) of the target's class; see `sigmoid_focal_loss`.

    Args:
        logits: [N, C], [N, C, ...] or [C].
        target: classes, of the logits' shape without C.
        alpha: [C], the factor a of each class; no part of the mean's divisor.
        gamma: how strongly easy cases are passed over, at least 0.
        ignore_index: a target that counts for nothing, nor in the mean's divisor.
        reduction: as in `sigmoid_focal_loss`.
        sample_weight: see the package.

    Raises `ShapeError` if the shapes do not fit, `DefinitionError` for a negative gamma. A class outside 0 ... C - 1 is
    an `IndexingError`; while a function is traced values are not known, and the loss of such a class is NaN.

    >>> softmax_focal_loss([[0.0, 0.0]], [0])
    tensor([0.1732868], f32[1])
    """
    name = "softmax_focal_loss"
    _check_gamma(name, gamma)
    x = real(logits)
    axis = class_axis(name, x)
    safe, inside, ignored = looked_up(name, target, x, axis, ignore_index)
    log_q = ops.take_along_axis(log_softmax(x, axis), safe.expand_dims(axis), axis).squeeze(axis)
    loss = -log_q * power(-ops.expm1(log_q), gamma)
    if alpha is not None:
        loss = loss * ops.take(class_weight(name, alpha, x, axis), safe)
    loss = ops.where(ignored, 0.0, ops.where(inside, loss, float("nan")))
    return reduced(name, loss, reduction, sample_weight, ops.cast(~ignored, x.dtype))


def dice_loss(
    prediction: TensorLike,
    target: TensorLike,
    *,
    axis: int | Sequence[int] | None = None,
    smooth: float = 1.0,
    reduction: Reduction = "mean",
    sample_weight: TensorLike | None = None,
) -> Tensor:
    """1 - (2 sum(p g) + smooth) / (sum(p^2) + sum(g^2) + smooth): how little a predicted region overlaps with the true.

    Milletari, Navab & Ahmadi, "V-Net: fully convolutional neural networks for volumetric medical image segmentation",
    3DV 2016.

    Args:
        prediction: probabilities p that an element is in the region, [N, ...].
        target: g, 1 inside the region and 0 outside, of the same shape.
        axis: the axes that are summed over; all but the first, if none are given, for one loss an example. With
            (2, 3), each class of [N, C, H, W] has its own.
        smooth: a positive number; the loss of an empty region that is predicted to be empty is 0.
        reduction: over what the sums leave; see the package.
        sample_weight: likewise.

    Raises `ShapeError` if the shapes differ or there is no such axis, `DefinitionError` unless smooth is positive.

    >>> dice_loss([[1.0, 0.5, 0.0]], [[1.0, 1.0, 0.0]])
    tensor(0.05882353, f32[])
    """
    if not smooth > 0.0:
        raise DefinitionError(f"dice_loss: smooth must be positive, not {smooth}")
    p, g = pair("dice_loss", prediction, target)
    axes = tuple(range(1, p.ndim)) if axis is None else axis
    apart, both = ops.square(p - g).sum(axes), (p * g).sum(axes)
    # As p^2 + g^2 = (p - g)^2 + 2 p g, this is the formula, without its difference of nearly equal numbers.
    return reduced("dice_loss", apart / (apart + 2.0 * both + smooth), reduction, sample_weight)


def _check_gamma(name: str, gamma: float) -> None:
    if not gamma >= 0.0:
        raise DefinitionError(f"{name}: gamma must not be negative, but is {gamma}")
