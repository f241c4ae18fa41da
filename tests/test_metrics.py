"""Metrics against scikit-learn."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from sklearn import metrics as reference

from chainrule import metrics
from chainrule.errors import DataError

RNG = np.random.default_rng(0)
N = 200
CLASSES = RNG.integers(0, 4, N)
GUESSES = np.where(RNG.random(N) < 0.6, CLASSES, RNG.integers(0, 5, N))
PROBABILITIES = RNG.dirichlet(np.ones(4), N)
BINARY = RNG.integers(0, 2, N)
SCORES = np.round(BINARY * 0.5 + RNG.normal(size=N), 1)  # with ties
NUMBERS = RNG.normal(size=(N, 3)) * [1.0, 10.0, 0.1] + 5.0
ESTIMATES = NUMBERS + RNG.normal(size=(N, 3))
WEIGHTS = RNG.integers(0, 4, N).astype(float)

weighted = pytest.mark.parametrize("weights", [None, WEIGHTS], ids=["plain", "weighted"])


@weighted
@pytest.mark.parametrize("kind", [int, str])
@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (metrics.accuracy, reference.accuracy_score),
        (metrics.balanced_accuracy, reference.balanced_accuracy_score),
        (metrics.f1_macro, lambda y, p, **kw: reference.f1_score(y, p, average="macro", **kw)),
    ],
)
@pytest.mark.filterwarnings("ignore:y_pred contains classes not in y_true")
def test_class_metrics_are_scikit_learns(
    ours: Callable[..., float], theirs: Callable[..., Any], kind: type, weights: Any
) -> None:
    predicted, actual = GUESSES.astype(kind), CLASSES.astype(kind)
    assert ours(predicted, actual, sample_weight=weights) == pytest.approx(
        theirs(actual, predicted, sample_weight=weights), abs=1e-14
    )


def test_scores_stand_for_their_largest_column() -> None:
    assert metrics.accuracy(PROBABILITIES, CLASSES) == metrics.accuracy(PROBABILITIES.argmax(1), CLASSES)


def test_a_class_whose_rows_all_weigh_nothing_does_not_count() -> None:
    assert metrics.balanced_accuracy([0, 1], [0, 0], sample_weight=[1, 0]) == 1.0
    assert metrics.balanced_accuracy([0, 0], [0, 1], sample_weight=[1, 0]) == 1.0
    assert metrics.f1_macro([0, 1], [0, 1], sample_weight=[1, 0]) == 0.5


@weighted
def test_log_loss_is_scikit_learns(weights: Any) -> None:
    ours = metrics.log_loss(PROBABILITIES, CLASSES, sample_weight=weights)
    assert ours == pytest.approx(reference.log_loss(CLASSES, PROBABILITIES, sample_weight=weights), rel=1e-13)
    p = RNG.random(N)
    assert metrics.log_loss(p, BINARY) == pytest.approx(reference.log_loss(BINARY, p), rel=1e-13)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_log_loss_of_a_certain_mistake_is_finite(dtype: str) -> None:
    p = np.array([[1.0, 0.0], [0.0, 1.0]], dtype)
    assert metrics.log_loss(p, [1, 1]) == pytest.approx(reference.log_loss([1, 1], p, labels=[0, 1]), rel=1e-6)
    assert metrics.log_loss(p, [0, 1]) < 1e-6


@weighted
def test_roc_auc_is_scikit_learns(weights: Any) -> None:
    expected = reference.roc_auc_score(BINARY, SCORES, sample_weight=weights)
    assert metrics.roc_auc(SCORES, BINARY, sample_weight=weights) == pytest.approx(expected, rel=1e-13)
    both = np.stack([-SCORES, SCORES], axis=1)
    assert metrics.roc_auc(both, BINARY == 1, sample_weight=weights) == pytest.approx(expected, rel=1e-13)


def test_roc_auc_of_one_class_or_of_nan_has_no_value() -> None:
    assert np.isnan(metrics.roc_auc([0.1, 0.2], [1, 1]))
    assert np.isnan(metrics.roc_auc([0.1, np.nan], [0, 1]))


@weighted
@pytest.mark.parametrize("columns", [0, slice(None)])
@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (metrics.mae, reference.mean_absolute_error),
        (metrics.rmse, reference.root_mean_squared_error),
        (metrics.r2, reference.r2_score),
    ],
)
def test_regression_metrics_are_scikit_learns(
    ours: Callable[..., float], theirs: Callable[..., Any], columns: Any, weights: Any
) -> None:
    predicted, actual = ESTIMATES[:, columns], NUMBERS[:, columns]
    assert ours(predicted, actual, sample_weight=weights) == pytest.approx(
        theirs(actual, predicted, sample_weight=weights), rel=1e-12
    )


@pytest.mark.parametrize(("prediction", "expected"), [([2.0, 2.0], 1.0), ([2.0, 3.0], 0.0)])
def test_r2_of_a_constant_target_is_one_or_zero(prediction: list[float], expected: float) -> None:
    assert metrics.r2(prediction, [2.0, 2.0]) == expected == reference.r2_score([2.0, 2.0], prediction)


def test_r2_of_one_row_has_no_value() -> None:
    assert np.isnan(metrics.r2([1.0], [1.0]))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: metrics.accuracy([], []), "there are no rows"),
        (lambda: metrics.accuracy([1, 2], [1]), "must have the same rows"),
        (lambda: metrics.accuracy(1, 1), "must have the same rows"),
        (lambda: metrics.accuracy([[1], [2]], [1, 2]), r"classes \[n\] are needed"),
        (lambda: metrics.accuracy(["a"], [1]), "cannot be compared"),
        (lambda: metrics.accuracy([1], [1], sample_weight=[-1]), "none negative"),
        (lambda: metrics.accuracy([1], [1], sample_weight=[0]), "not all zero"),
        (lambda: metrics.accuracy([1], [1], sample_weight=[[1]]), "must hold 1 numbers"),
        (lambda: metrics.log_loss([0.5], [0.0]), "integer classes"),
        (lambda: metrics.log_loss([0.5], [2]), "must be from 0 to 1, not 2 to 2"),
        (lambda: metrics.log_loss([1.5], [1]), "probabilities must be from 0 to 1"),
        (lambda: metrics.log_loss([[0.5, 0.1]], [1]), "add up to 1"),
        (lambda: metrics.roc_auc([0.5, 0.1], [1, 2]), "targets .* that are 0 or 1"),
        (lambda: metrics.roc_auc([[0.5], [0.1]], [1, 0]), r"scores \[n\]"),
        (lambda: metrics.mae([[1.0], [2.0]], [1.0, 2.0]), "must have one shape"),
        (lambda: metrics.rmse(["a"], [1.0]), "numbers are needed"),
        (lambda: metrics.r2([], []), "there are no rows"),
    ],
)
def test_inputs_that_make_no_sense_are_refused(call: Callable[[], Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        call()
