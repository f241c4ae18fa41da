"""Losses for classes that ask for a margin: between the scores of right and wrong ones, or from the boundary."""

from __future__ import annotations

from chainrule import ops
from chainrule.errors import DefinitionError, IndexingError, ShapeError
from chainrule.losses.common import Reduction, class_axis, class_weight, element_weight, looked_up, pair, reduced
from chainrule.ops.gather import as_indices, known_value
from chainrule.ops.reduce import real
from chainrule.tensor import Tensor, TensorLike


def multi_margin_loss(
    prediction: TensorLike,
    target: TensorLike,
    *,
    p: int = 1,
    margin: float = 1.0,
    weight: TensorLike | None = None,
    reduction: Reduction = "mean",
    sample_weight: TensorLike | None = None,
) -> Tensor:
    """The sum over all classes j but the target y of max(0, margin - x[y] + x[j])^p, divided by their number C.

    The support vector machine for several classes: Weston & Watkins, ESANN 1999.

    Args:
        prediction: scores x, [N, C] or [C].
        target: classes y, [N] or [].
        p: 1 or 2.
        margin: by how much the target's score should be above all others.
        weight: [C], by which the loss of each target class is multiplied; no part of the mean's divisor.
        reduction: see the package.
        sample_weight: likewise.

    Raises `ShapeError` if the shapes do not fit, `DefinitionError` for another p. A class outside 0 ... C - 1 is an
    `IndexingError`; while a function is traced values are not known, and the loss of such a class is NaN.

    >>> multi_margin_loss([[0.5, 1.0, 0.0]], [1])
    tensor(0.16666667, f32[])
    """
    name = "multi_margin_loss"
    if p not in (1, 2):
        raise DefinitionError(f"{name}: p must be 1 or 2, not {p}")
    x = _rows_of_classes(name, prediction)
    safe, inside, _ = looked_up(name, target, x, x.ndim - 1)
    index = safe.expand_dims(-1)
    short = ops.relu(margin - ops.take_along_axis(x, index) + x)
    others = ops.arange(x.shape[-1]) != index
    loss = ops.where(others, short if p == 1 else ops.square(short), 0.0).mean(-1)
    if weight is not None:
        loss = loss * ops.take(class_weight(name, weight, x, x.ndim - 1), safe)
    return reduced(name, ops.where(inside, loss, float("nan")), reduction, sample_weight)


def multilabel_margin_loss(
    prediction: TensorLike,
    target: TensorLike,
    *,
    reduction: Reduction = "mean",
    sample_weight: TensorLike | None = None,
) -> Tensor:
    """The sum of max(0, 1 - (x[y] - x[j])) over all target classes y and all other classes j, divided by C.

    It takes room for N C^2 numbers.

    Args:
        prediction: scores x, [N, C] or [C].
        target: the classes of each row, of the same shape: integers, of which those from the first -1 on count for
            nothing.
        reduction: see the package.
        sample_weight: likewise.

    Raises `ShapeError` if the shapes differ. A class outside -1 ... C - 1 is an `IndexingError`; while a function is
    traced values are not known, and the loss of such a row is NaN.

    >>> multilabel_margin_loss([[0.1, 0.2, 0.4, 0.8]], [[3, 0, -1, 1]])
    tensor(0.85, f32[])
    """
    name = "multilabel_margin_loss"
    x = _rows_of_classes(name, prediction)
    labels, classes = as_indices(target), x.shape[-1]
    if labels.shape != x.shape:
        raise ShapeError(f"{name}: classes {labels.type} do not have the shape of the scores {x.type}")
    known = known_value(labels)
    if known is not None and (wrong := (known < -1) | (known >= classes)).any():
        raise IndexingError(f"{name}: class {known[wrong].flat[0]} is not among {classes} classes, nor -1 for none")
    counts = ops.cumulative_sum(labels == -1, axis=-1) == 0
    inside = (labels >= 0) & (labels < classes)
    chosen = ops.take_along_axis(x, ops.where(inside, labels, 0))
    is_label = ((labels.expand_dims(-1) == ops.arange(classes)) & counts.expand_dims(-1)).any(-2)
    short = ops.relu(1.0 - chosen.expand_dims(-1) + x.expand_dims(-2))
    loss = ops.where(counts.expand_dims(-1) & ~is_label.expand_dims(-2), short, 0.0).sum((-2, -1)) / classes
    valid = (inside | (labels == -1)).all(-1)
    return reduced(name, ops.where(valid, loss, float("nan")), reduction, sample_weight)


def multilabel_soft_margin_loss(
    prediction: TensorLike,
    target: TensorLike,
    *,
    weight: TensorLike | None = None,
    reduction: Reduction = "mean",
    sample_weight: TensorLike | None = None,
) -> Tensor:
    """`binary_cross_entropy_with_logits` of each class, and the mean over the classes, the last axis.

    Args:
        prediction: logits, [N, C], or [..., C].
        target: 1 where a class applies and 0 where it does not, of the same shape.
        weight: [C], by which each class's loss is multiplied; no part of any divisor.
        reduction: over the rows; see the package.
        sample_weight: likewise.

    Raises `ShapeError` if the shapes do not fit.

    >>> multilabel_soft_margin_loss([[0.0, 1e4]], [[1.0, 0.0]])
    tensor(5000.3467, f32[])
    """
    name = "multilabel_soft_margin_loss"
    x, target = pair(name, prediction, target)
    if not x.ndim:
        raise ShapeError(f"{name}: an axis of classes is needed, [..., C], not {x.type}")
    loss = target * ops.softplus(-x) + (1.0 - target) * ops.softplus(x)
    if weight is not None:
        loss = loss * element_weight(name, weight, x)
    return reduced(name, loss.mean(-1), reduction, sample_weight)


def soft_margin_loss(
    prediction: TensorLike,
    target: TensorLike,
    *,
    reduction: Reduction = "mean",
    sample_weight: TensorLike | None = None,
) -> Tensor:
    """log(1 + exp(-target prediction)) for targets 1 and -1: logistic regression, exact for predictions of any size.

    Raises `ShapeError` if the shapes differ.

    >>> soft_margin_loss([0.0, 1e4], [1.0, -1.0], reduction="none")
    tensor([6.931472e-01, 1.000000e+04], f32[2])
    """
    x, target = pair("soft_margin_loss", prediction, target)
    return reduced("soft_margin_loss", ops.softplus(-target * x), reduction, sample_weight)


def _rows_of_classes(name: str, prediction: TensorLike) -> Tensor:
    x = real(prediction)
    if x.ndim > 2 or not x.shape[class_axis(name, x)]:
        raise ShapeError(f"{name}: scores [N, C] or [C] of at least one class are needed, not {x.type}")
    return x
