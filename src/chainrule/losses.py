"""Losses: one number that says how far predictions are from their targets.

All take (prediction, target), compute in the prediction's data type, and have two arguments in common:

    reduction       "mean", "sum", or "none" for the loss of every element
    sample_weight   a number for each row, or for each element, by which its loss is multiplied;
                    the mean is then sum(weight * loss) / sum(weight), so that a row of weight 2 counts like two rows

Nothing broadcasts between prediction and target: [n, 1] against [n] would compare every prediction with every target.
Definitions and defaults are PyTorch's.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

from chainrule import ops
from chainrule.errors import DataError, DefinitionError, IndexingError, ShapeError
from chainrule.nn.functional import log_softmax
from chainrule.ops.gather import as_indices, known_value
from chainrule.tensor import Tensor, TensorLike, as_tensor
from chainrule.types import FLOATS, float32

Reduction: TypeAlias = Literal["mean", "sum", "none"]


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
    prediction, target = _pair("mse", prediction, target)
    return _reduce("mse", ops.square(prediction - target), reduction, sample_weight)


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
    prediction, target = _pair("mae", prediction, target)
    return _reduce("mae", ops.abs(prediction - target), reduction, sample_weight)


def huber(
    prediction: TensorLike,
    target: TensorLike,
    *,
    delta: float = 1.0,
    reduction: Reduction = "mean",
    sample_weight: TensorLike | None = None,
) -> Tensor:
    """d^2 / 2 for an error d = |prediction - target| up to delta, and delta (d - delta / 2) beyond. Huber 1964.

    Raises `ShapeError` if the shapes differ, `DefinitionError` unless delta is positive.

    >>> huber([1.0, 2.0], [1.5, 5.0], reduction="none")
    tensor([0.125, 2.5  ], f32[2])
    """
    if not delta > 0.0:
        raise DefinitionError(f"huber: delta must be positive, not {delta}")
    prediction, target = _pair("huber", prediction, target)
    distance = ops.abs(prediction - target)
    near = ops.minimum(distance, delta)
    return _reduce("huber", near * (distance - 0.5 * near), reduction, sample_weight)


def binary_cross_entropy(
    prediction: TensorLike,
    target: TensorLike,
    *,
    reduction: Reduction = "mean",
    sample_weight: TensorLike | None = None,
) -> Tensor:
    """-target log(p) - (1 - target) log(1 - p) for probabilities p; each logarithm is at least -100.

    Where a logarithm is cut off, no gradient passes: a model is better trained by its logits, before the sigmoid, with
    `binary_cross_entropy_with_logits`.

    Raises `ShapeError` if the shapes differ. A prediction outside [0, 1] is a `DataError`; while a function is traced
    values are not known, and it gives NaN.

    >>> binary_cross_entropy([0.25], [1.0])
    tensor(1.3862944, f32[])
    """
    p, target = _pair("binary_cross_entropy", prediction, target)
    value = known_value(p)
    if value is not None and (outside := (value < 0) | (value > 1)).any():
        raise DataError(
            f"binary_cross_entropy: {value[outside].flat[0]:g} is no probability; "
            "for logits, which are not yet probabilities, there is binary_cross_entropy_with_logits"
        )
    loss = -(target * _bounded_log(p) + (1.0 - target) * _bounded_log(1.0 - p))
    return _reduce("binary_cross_entropy", loss, reduction, sample_weight)


def _bounded_log(p: Tensor) -> Tensor:
    """log(p), but at least -100; the derivative at 0 is 0."""
    is_zero = p == 0.0
    return ops.where(is_zero, -100.0, ops.maximum(ops.log(ops.where(is_zero, 1.0, p)), -100.0))


def binary_cross_entropy_with_logits(
    logits: TensorLike,
    target: TensorLike,
    *,
    pos_weight: TensorLike | None = None,
    reduction: Reduction = "mean",
    sample_weight: TensorLike | None = None,
) -> Tensor:
    """-w target log(sigmoid(x)) - (1 - target) log(1 - sigmoid(x)), exact for logits x of any size.

    Args:
        logits: x, of any shape.
        target: 1 or 0, or a probability, of the same shape.
        pos_weight: w, by which the loss of positive targets is multiplied: a number, or one for each column. It is no
            part of the mean's divisor.
        reduction: see the head of this module.
        sample_weight: likewise.

    Raises `ShapeError` if the shapes do not fit.

    >>> binary_cross_entropy_with_logits([0.0, 1e4], [1.0, 0.0], reduction="none")
    tensor([6.931472e-01, 1.000000e+04], f32[2])
    """
    name = "binary_cross_entropy_with_logits"
    x, target = _pair(name, logits, target)
    positive = target * ops.softplus(-x)
    if pos_weight is not None:
        positive = positive * as_tensor(pos_weight, x.dtype).cast(x.dtype)
        if positive.shape != x.shape:
            raise ShapeError(f"{name}: a pos_weight of shape {list(as_tensor(pos_weight).shape)} does not fit {x.type}")
    return _reduce(name, positive + (1.0 - target) * ops.softplus(x), reduction, sample_weight)


def cross_entropy(
    logits: TensorLike,
    target: TensorLike,
    *,
    weight: TensorLike | None = None,
    ignore_index: int = -100,
    label_smoothing: float = 0.0,
    reduction: Reduction = "mean",
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
        label_smoothing: e in [0, 1]: the target becomes (1 - e) target + e / C (Szegedy et al., CVPR 2016).
        reduction: see the head of this module.
        sample_weight: likewise.

    Raises `ShapeError` if the shapes do not fit. A class outside 0 ... C - 1 is an `IndexingError`; while a function
    is traced values are not known, and the loss of such a class is NaN.

    >>> cross_entropy([[2.0, 1.0], [0.0, 1e4]], [0, 0], reduction="none")
    tensor([3.1326166e-01, 1.0000000e+04], f32[2])
    """
    if not 0.0 <= label_smoothing <= 1.0:
        raise DefinitionError(f"cross_entropy: label_smoothing must be from 0 to 1, not {label_smoothing}")
    logits, target = _real(logits), as_tensor(target)
    axis = _class_axis("cross_entropy", logits)
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
    return _reduce("cross_entropy", -_weighted_sum("cross_entropy", p * log_p, weight, axis), reduction, sample_weight)


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
        "nll", _real(log_probabilities), as_tensor(target), weight, ignore_index, 0.0, reduction, sample_weight
    )


def kl_div(
    log_prediction: TensorLike,
    target: TensorLike,
    *,
    log_target: bool = False,
    reduction: Reduction | Literal["batchmean"] = "mean",
    sample_weight: TensorLike | None = None,
) -> Tensor:
    """target (log(target) - log_prediction), 0 where the target is 0: the terms of Kullback & Leibler's divergence.

    Args:
        log_prediction: logarithms of the predicted probabilities.
        target: probabilities of the same shape, or their logarithms if `log_target`.
        log_target: see `target`.
        reduction: as everywhere, the mean is over all elements; "batchmean" sums over all but the first axis and
            takes the mean over that, which is the divergence proper.
        sample_weight: see the head of this module.

    Raises `ShapeError` if the shapes differ.

    >>> kl_div(ops.log([[0.5, 0.5]]), [[1.0, 0.0]], reduction="batchmean")
    tensor(0.6931472, f32[])
    """
    log_q, target = _pair("kl_div", log_prediction, target)
    if log_target:
        loss = ops.exp(target) * (target - log_q)
    else:
        is_zero = target == 0.0
        loss = ops.where(is_zero, 0.0, target * (ops.log(ops.where(is_zero, 1.0, target)) - log_q))
    if reduction == "batchmean":
        return _reduce("kl_div", loss.sum(tuple(range(1, loss.ndim))), "mean", sample_weight)
    return _reduce("kl_div", loss, reduction, sample_weight)


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
    axis = _class_axis(name, log_p)
    classes, rest = log_p.shape[axis], (*log_p.shape[:axis], *log_p.shape[axis + 1 :])
    if target.shape != rest:
        raise ShapeError(f"{name}: classes {target.type} do not fit {log_p.type}; a shape of {list(rest)} is needed")
    target = as_indices(target)
    ignored, inside = target == ignore_index, (target >= 0) & (target < classes)
    known = known_value(target)
    if known is not None and (wrong := (known != ignore_index) & ((known < 0) | (known >= classes))).any():
        raise IndexingError(f"{name}: class {known[wrong].flat[0]} is not among {classes} classes, 0 to {classes - 1}")
    safe = ops.where(inside, target, 0)
    loss = -ops.take_along_axis(log_p, safe.expand_dims(axis), axis).squeeze(axis)
    weights = ops.cast(~ignored, log_p.dtype)
    if weight is not None:
        of_target = ops.take(_class_weight(name, weight, log_p, axis), safe)
        loss, weights = loss * of_target, weights * of_target
    if label_smoothing:
        spread = -_weighted_sum(name, log_p, weight, axis)
        loss = (1.0 - label_smoothing) * loss + (label_smoothing / classes) * spread
    loss = ops.where(ignored, 0.0, ops.where(inside, loss, float("nan")))
    return _reduce(name, loss, reduction, sample_weight, weights)


def _class_axis(name: str, logits: Tensor) -> int:
    if not logits.ndim:
        raise ShapeError(f"{name}: an axis of classes is needed, [N, C] or [C], not {logits.type}")
    return min(1, logits.ndim - 1)


def _class_weight(name: str, weight: TensorLike, like: Tensor, axis: int) -> Tensor:
    found = as_tensor(weight, like.dtype).cast(like.dtype)
    if found.shape != (like.shape[axis],):
        raise ShapeError(f"{name}: a weight for each of {like.shape[axis]} classes is needed, not {found.type}")
    return found


def _weighted_sum(name: str, terms: Tensor, weight: TensorLike | None, axis: int) -> Tensor:
    """The sum over classes, each times its weight."""
    if weight is not None:
        terms = terms * _class_weight(name, weight, terms, axis).reshape((-1, *(1,) * (terms.ndim - axis - 1)))
    return terms.sum(axis)


def _real(x: TensorLike) -> Tensor:
    """As numbers that can be computed with: integers and bfloat16 become float32."""
    x = as_tensor(x)
    return x if x.dtype in FLOATS else x.cast(float32)


def _pair(name: str, prediction: TensorLike, target: TensorLike) -> tuple[Tensor, Tensor]:
    """Prediction and target in one data type. Raises `ShapeError` if their shapes differ."""
    prediction = _real(prediction)
    target = as_tensor(target, prediction.dtype)
    if prediction.shape != target.shape:
        message = f"{name}: prediction {prediction.type} and target {target.type} must have one shape"
        if prediction.size == target.size:
            message += (
                f"; nothing broadcasts in a loss: reshape one of them, `prediction.reshape({list(target.shape)})`"
            )
        raise ShapeError(message)
    return prediction, target.cast(prediction.dtype)


def _reduce(
    name: str,
    loss: Tensor,
    reduction: str,
    sample_weight: TensorLike | None,
    weights: Tensor | None = None,
) -> Tensor:
    """The reduced loss. `weights` are already in the loss; the mean is divided by their sum."""
    if sample_weight is not None:
        given = as_tensor(sample_weight, loss.dtype).cast(loss.dtype)
        if given.shape != loss.shape[: given.ndim]:
            raise ShapeError(
                f"{name}: a sample_weight of shape {list(given.shape)} does not fit a loss of {list(loss.shape)}"
            )
        rows = given.reshape((*given.shape, *(1,) * (loss.ndim - given.ndim))).broadcast_to(loss.shape)
        loss, weights = loss * rows, rows if weights is None else weights * rows
    if reduction == "none":
        return loss
    if reduction == "sum":
        return loss.sum()
    if reduction != "mean":
        raise DefinitionError(f'{name}: reduction must be "mean", "sum" or "none", not {reduction!r}')
    return loss.mean() if weights is None else loss.sum() / weights.sum()
