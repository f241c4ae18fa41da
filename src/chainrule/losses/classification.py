"""Losses for classes: cross-entropies and negative log-likelihood."""

from __future__ import annotations

from chainrule import ops
from chainrule.errors import DataError, DefinitionError, ShapeError
from chainrule.losses.common import Reduction, class_axis, class_weight, element_weight, looked_up, pair, reduced
from chainrule.ops.aggregate import log_softmax
from chainrule.ops.gather import known_value
from chainrule.ops.reduce import real
from chainrule.tensor import Tensor, TensorLike, as_tensor


def binary_cross_entropy(
    prediction: TensorLike,
    target: TensorLike,
    *,
    weight: TensorLike | None = None,
    reduction: Reduction = "mean",
    sample_weight: TensorLike | None = None,
) -> Tensor:
    """-target log(p) - (1 - target) log(1 - p) for probabilities p; each logarithm is at least -100.

    Where a logarithm is cut off, no gradient passes: a model is better trained by its logits, before the sigmoid, with
    `binary_cross_entropy_with_logits`.

    Args:
        prediction: p, of any shape.
        target: 1 or 0, or a probability, of the same shape.
        weight: by which each element's loss is multiplied: a number, one for each column, or for each element. Unlike
            a `sample_weight` it is no part of the mean's divisor.
        reduction: see the package.
        sample_weight: likewise.

    Raises `ShapeError` if the shapes do not fit. A prediction outside [0, 1] is a `DataError`; while a function is
    traced values are not known, and it gives NaN.

    >>> binary_cross_entropy([0.25], [1.0])
    tensor(1.3862944, f32[])
    """
    p, target = pair("binary_cross_entropy", prediction, target)
    value = known_value(p)
    if value is not None and (outside := (value < 0) | (value > 1)).any():
        raise DataError(
            f"binary_cross_entropy: {value[outside].flat[0]:g} is no probability; "
            "for logits, which are not yet probabilities, there is binary_cross_entropy_with_logits"
        )
    loss = -(target * _bounded_log(p) + (1.0 - target) * _bounded_log(1.0 - p))
    if weight is not None:
        loss = loss * element_weight("binary_cross_entropy", weight, p)
    return reduced("binary_cross_entropy", loss, reduction, sample_weight)


def _bounded_log(p: Tensor) -> Tensor:
    """log(p), but at least -100; the derivative at 0 is 0."""
    is_zero = p == 0.0
    return ops.where(is_zero, -100.0, ops.maximum(ops.log(ops.where(is_zero, 1.0, p)), -100.0))


def binary_cross_entropy_with_logits(
    logits: TensorLike,
    target: TensorLike,
    *,
    weight: TensorLike | None = None,
    reduction: Reduction = "mean",
    pos_weight: TensorLike | None = None,
    sample_weight: TensorLike | None = None,
) -> Tensor:
    """-w target log(sigmoid(x)) - (1 - target) log(1 - sigmoid(x)), exact for logits x of any size.

    Args:
        logits: x, of any shape.
        target: 1 or 0, or a probability, of the same shape.
        weight: as in `binary_cross_entropy`.
        reduction: see the package.
        pos_weight: w, by which the loss of positive targets is multiplied: a number, or one for each column. It is no
            part of the mean's divisor.
        sample_weight: see the package.

    Raises `ShapeError` if the shapes do not fit.

    >>> binary_cross_entropy_with_logits([0.0, 1e4], [1.0, 0.0], reduction="none")
    tensor([6.931472e-01, 1.000000e+04], f32[2])
    """
    name = "binary_cross_entropy_with_logits"
    x, target = pair(name, logits, target)
    positive = target * ops.softplus(-x)
    if pos_weight is not None:
        positive = positive * element_weight(name, pos_weight, x, "pos_weight")
    loss = positive + (1.0 - target) * ops.softplus(x)
    if weight is not None:
        loss = loss * element_weight(name, weight, x)
    return reduced(name, loss, reduction, sample_weight)


def cross_entropy(
    logits: TensorLike,
    target: TensorLike,
    *,
    weight: TensorLike | None = None,
    ignore_index: int = -100,
    reduction: Reduction = "mean",
    label_smoothing: float = 0.0,
    sample_weight: TensorLike | None = None,
) -> Tensor:
    """-log(softmax(logits)) at the target's class, or its mean over the classes' probabilities.

    Args:
        logits: [N, C], [N, C, ...] or [C]: C numbers that need be no probabilities.
        target: classes, integers from 0 to C - 1, of the logits' shape without C; or probabilities, floats of the
            logits' shape.
        weight: [C], a weight for each class. With integer targets, the mean is divided by the sum of the targets'
            weights; with probabilities, by their number.
        ignore_index: an integer target that counts for nothing. If all are ignored, the mean is 0 / 0 = NaN.
        reduction: see the package.
        label_smoothing: e in [0, 1]: the target becomes (1 - e) target + e / C (Szegedy et al., CVPR 2016).
        sample_weight: see the package.

    Raises `ShapeError` if the shapes do not fit. A class outside 0 ... C - 1 is an `IndexingError`; while a function
    is traced values are not known, and the loss of such a class is NaN.

    >>> cross_entropy([[2.0, 1.0], [0.0, 1e4]], [0, 0], reduction="none")
    tensor([3.1326166e-01, 1.0000000e+04], f32[2])
    """
    if not 0.0 <= label_smoothing <= 1.0:
        raise DefinitionError(f"cross_entropy: label_smoothing must be from 0 to 1, not {label_smoothing}")
    logits, target = real(logits), as_tensor(target)
    axis = class_axis("cross_entropy", logits)
    log_p = log_softmax(logits, axis)
    if not target.dtype.is_float:
        return _at_classes(
            "cross_entropy", log_p, target, weight, ignore_index, label_smoothing, reduction, sample_weight
        )
    if target.shape != logits.shape:
        hint = "; classes must be integers" if target.ndim < logits.ndim else ""
        raise ShapeError(
            f"cross_entropy: probabilities {target.type} do not have the shape of the logits {logits.type}{hint}"
        )
    p = target.cast(logits.dtype) * (1.0 - label_smoothing) + label_smoothing / logits.shape[axis]
    return reduced("cross_entropy", -_weighted_sum("cross_entropy", p * log_p, weight, axis), reduction, sample_weight)


def nll(
    log_probabilities: TensorLike,
    target: TensorLike,
    *,
    weight: TensorLike | None = None,
    ignore_index: int = -100,
    reduction: Reduction = "mean",
    sample_weight: TensorLike | None = None,
) -> Tensor:
    """Negative log-likelihood: -log_probabilities at the target's class. Arguments are those of `cross_entropy`.

    >>> nll([[-0.5, -1.0]], [1])
    tensor(1., f32[])
    """
    return _at_classes(
        "nll", real(log_probabilities), as_tensor(target), weight, ignore_index, 0.0, reduction, sample_weight
    )


def _at_classes(
    name: str,
    log_p: Tensor,
    target: Tensor,
    weight: TensorLike | None,
    ignore_index: int,
    label_smoothing: float,
    reduction: Reduction,
    sample_weight: TensorLike | None,
) -> Tensor:
    """The loss for targets that are classes."""
    axis = class_axis(name, log_p)
    safe, inside, ignored = looked_up(name, target, log_p, axis, ignore_index)
    loss = -ops.take_along_axis(log_p, safe.expand_dims(axis), axis).squeeze(axis)
    weights = ops.cast(~ignored, log_p.dtype)
    if weight is not None:
        of_target = ops.take(class_weight(name, weight, log_p, axis), safe)
        loss, weights = loss * of_target, weights * of_target
    if label_smoothing:
        spread = -_weighted_sum(name, log_p, weight, axis)
        loss = (1.0 - label_smoothing) * loss + (label_smoothing / log_p.shape[axis]) * spread
    loss = ops.where(ignored, 0.0, ops.where(inside, loss, float("nan")))
    return reduced(name, loss, reduction, sample_weight, weights)


def _weighted_sum(name: str, terms: Tensor, weight: TensorLike | None, axis: int) -> Tensor:
    """The sum over classes, each times its weight."""
    if weight is not None:
        terms = terms * class_weight(name, weight, terms, axis).reshape((-1, *(1,) * (terms.ndim - axis - 1)))
    return terms.sum(axis)
