"""Metrics: numbers for people, computed with NumPy from predictions and targets.

All take (prediction, target), each with one row an example, and `sample_weight`, a number for each row. Definitions
are scikit-learn's. They raise `DataError` if there are no rows or the rows do not match, and return NaN where the
definition has no value.
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike

from chainrule.errors import DataError
from chainrule.types import Array

Weights: TypeAlias = "ArrayLike | None"


def accuracy(prediction: ArrayLike, target: ArrayLike, *, sample_weight: Weights = None) -> float:
    """Share of rows whose class is predicted.

    Args:
        prediction: classes [n] of any kind, or scores [n, classes], of which the largest counts.
        target: classes [n]; of scores, their columns.
        sample_weight: a number for each row.

    >>> accuracy([[0.9, 0.1], [0.2, 0.8], [0.6, 0.4]], [0, 1, 1])
    0.6666666666666666
    """
    predicted, actual, weights = _classes("accuracy", prediction, target, sample_weight)
    return float(np.average(predicted == actual, weights=weights))


def balanced_accuracy(prediction: ArrayLike, target: ArrayLike, *, sample_weight: Weights = None) -> float:
    """Mean over the target's classes of the share of their rows that is predicted: classes count alike, large or small.

    Arguments are those of `accuracy`.

    >>> balanced_accuracy(["a", "a", "a", "a"], ["a", "a", "a", "b"])
    0.5
    """
    predicted, actual, weights = _classes("balanced_accuracy", prediction, target, sample_weight)
    hits = predicted == actual
    shares = [np.average(hits[actual == c], weights=weights[actual == c]) for c in np.unique(actual[weights > 0])]
    return float(np.mean(shares))


def f1_macro(prediction: ArrayLike, target: ArrayLike, *, sample_weight: Weights = None) -> float:
    """Mean over all classes, predicted or true, of F1 = 2 TP / (2 TP + FP + FN).

    F1 is the harmonic mean of precision and recall.

    Arguments are those of `accuracy`.

    >>> f1_macro([0, 1, 1], [0, 1, 0])
    0.6666666666666666
    """
    predicted, actual, weights = _classes("f1_macro", prediction, target, sample_weight)
    scores: list[float] = []
    for c in np.unique(np.concatenate([predicted, actual])):
        hits = weights[(predicted == c) & (actual == c)].sum()
        both = weights[predicted == c].sum() + weights[actual == c].sum()
        scores.append(2.0 * hits / both if both else 0.0)
    return float(np.mean(scores))


def log_loss(probability: ArrayLike, target: ArrayLike, *, sample_weight: Weights = None) -> float:
    """Mean of -log(probability of the true class). A probability of 0 counts as the epsilon of its data type.

    Args:
        probability: [n], that of class 1; or [n, classes], each row adding up to 1.
        target: classes [n], integers from 0.
        sample_weight: a number for each row.

    Raises `DataError` for numbers outside [0, 1], rows that do not add up to 1, and classes out of range, too.

    >>> log_loss([0.5, 0.25], [1, 0])
    0.4904146265058631
    """
    p = _floats("log_loss", probability)
    p = np.stack([1.0 - p, p], axis=1) if p.ndim == 1 else p
    actual = np.asarray(target)
    weights = _weights("log_loss", p, actual, sample_weight)
    if p.ndim != 2 or actual.ndim != 1 or actual.dtype.kind not in "biu":
        raise DataError("log_loss: probabilities [n] or [n, classes] and integer classes [n] are needed")
    if actual.min() < 0 or actual.max() >= p.shape[1]:
        raise DataError(f"log_loss: classes must be from 0 to {p.shape[1] - 1}, not {actual.min()} to {actual.max()}")
    if (p < 0).any() or (p > 1).any() or (np.abs(p.sum(axis=1) - 1.0) > 1e-3).any():
        raise DataError("log_loss: probabilities must be from 0 to 1 and add up to 1 in each row")
    least = np.finfo(np.asarray(probability).dtype if np.asarray(probability).dtype.kind == "f" else np.float64).eps
    chosen = np.clip(p, least, 1.0 - least)[np.arange(len(p)), actual.astype(np.int64)]
    return float(np.average(-np.log(chosen), weights=weights))


def roc_auc(score: ArrayLike, target: ArrayLike, *, sample_weight: Weights = None) -> float:
    """Probability that a row of class 1 has a higher score than one of class 0. NaN if there is only one class.

    Ties count half. It is the area under the curve of true against false positive rates.

    Args:
        score: [n]; the higher, the more likely class 1. Or [n, 2], of which the second column counts.
        target: [n], 0 or 1.
        sample_weight: a number for each row.

    Fawcett, "An introduction to ROC analysis", Pattern Recognition Letters 27 (2006).

    >>> roc_auc([0.1, 0.4, 0.35, 0.8], [0, 0, 1, 1])
    0.75
    """
    scores, actual = _floats("roc_auc", score), np.asarray(target)
    scores = scores[:, 1] if scores.ndim == 2 and scores.shape[1] == 2 else scores
    weights = _weights("roc_auc", scores, actual, sample_weight)
    if scores.ndim != 1 or actual.ndim != 1 or not np.isin(actual, (0, 1)).all():
        raise DataError("roc_auc: scores [n] and targets [n] that are 0 or 1 are needed")
    if np.isnan(scores).any():
        return float("nan")
    _, level = np.unique(scores, return_inverse=True)
    positive = np.bincount(level, weights * (actual == 1))
    negative = np.bincount(level, weights * (actual == 0))
    below = np.cumsum(negative) - 0.5 * negative
    pairs = positive.sum() * negative.sum()
    return float(np.sum(positive * below) / pairs) if pairs else float("nan")


def mae(prediction: ArrayLike, target: ArrayLike, *, sample_weight: Weights = None) -> float:
    """Mean of |prediction - target|, over rows and columns.

    >>> mae([1.0, 2.0], [1.0, 4.0])
    1.0
    """
    predicted, actual, weights = _numbers("mae", prediction, target, sample_weight)
    return float(np.average(np.abs(predicted - actual), axis=0, weights=weights).mean())


def rmse(prediction: ArrayLike, target: ArrayLike, *, sample_weight: Weights = None) -> float:
    """Root of the mean of (prediction - target)^2 over rows; of several columns, the mean of their roots.

    >>> rmse([1.0, 2.0], [1.0, 4.0])
    1.4142135623730951
    """
    predicted, actual, weights = _numbers("rmse", prediction, target, sample_weight)
    return float(np.sqrt(np.average((predicted - actual) ** 2, axis=0, weights=weights)).mean())


def r2(prediction: ArrayLike, target: ArrayLike, *, sample_weight: Weights = None) -> float:
    """1 - sum of (prediction - target)^2 / sum of (target - its mean)^2; of several columns, the mean.

    1 is perfect, 0 no better than the mean. For a constant target it is 1 if the prediction is perfect, else 0; for
    a single row it is NaN.

    >>> r2([1.0, 2.0, 2.0], [1.0, 2.0, 3.0])
    0.5
    """
    predicted, actual, weights = _numbers("r2", prediction, target, sample_weight)
    if len(actual) < 2:
        return float("nan")
    mean = np.average(actual, axis=0, weights=weights)
    wrong = weights @ (predicted - actual) ** 2
    spread = weights @ (actual - mean) ** 2
    constant = np.where(wrong == 0, 1.0, 0.0)
    return float(np.where(spread == 0, constant, 1.0 - wrong / np.where(spread == 0, 1.0, spread)).mean())


def _weights(name: str, prediction: Array, target: Array, sample_weight: Weights) -> Array:
    """The weights of the rows; ones if none are given. Raises `DataError` unless there are rows, and they match."""
    if not prediction.ndim or not target.ndim or len(prediction) != len(target):
        raise DataError(
            f"{name}: predictions {list(prediction.shape)} and targets {list(target.shape)} must have the same rows"
        )
    if not len(target):
        raise DataError(f"{name}: there are no rows")
    if sample_weight is None:
        return np.ones(len(target))
    weights = np.asarray(sample_weight, np.float64)
    if weights.shape != (len(target),) or not (weights >= 0).all() or not weights.sum() > 0:
        raise DataError(f"{name}: sample_weight must hold {len(target)} numbers, none negative, not all zero")
    return weights


def _classes(name: str, prediction: ArrayLike, target: ArrayLike, sample_weight: Weights) -> tuple[Array, Array, Array]:
    predicted, actual = np.asarray(prediction), np.asarray(target)
    if predicted.ndim == 2 and predicted.shape[1] > 1:
        predicted = predicted.argmax(axis=1)
    weights = _weights(name, predicted, actual, sample_weight)
    if predicted.ndim != 1 or actual.ndim != 1:
        raise DataError(f"{name}: classes [n] are needed, not {list(predicted.shape)} and {list(actual.shape)}")
    if (predicted.dtype.kind in "US") != (actual.dtype.kind in "US") and "O" not in (
        predicted.dtype.kind,
        actual.dtype.kind,
    ):
        raise DataError(
            f"{name}: predictions of type {predicted.dtype} cannot be compared with targets of type {actual.dtype}"
        )
    return predicted, actual, weights


def _numbers(name: str, prediction: ArrayLike, target: ArrayLike, sample_weight: Weights) -> tuple[Array, Array, Array]:
    predicted, actual = _floats(name, prediction), _floats(name, target)
    if predicted.shape != actual.shape:
        raise DataError(
            f"{name}: predictions {list(predicted.shape)} and targets {list(actual.shape)} must have one shape"
        )
    return predicted, actual, _weights(name, predicted, actual, sample_weight)


def _floats(name: str, values: ArrayLike) -> Array:
    try:
        return np.asarray(values, np.float64)
    except (TypeError, ValueError) as error:
        raise DataError(f"{name}: numbers are needed: {error}") from None
