"""Connectionist temporal classification, against an enumeration of all alignments."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from scipy import special

from chainrule import losses
from chainrule.autodiff import grad
from chainrule.errors import ChainruleError, DefinitionError, IndexingError, ShapeError
from chainrule.interpret import interpret
from chainrule.nn.functional import log_softmax
from chainrule.testing import check_gradients
from chainrule.trace import trace

RNG = np.random.default_rng(0)
LOG_P = special.log_softmax(RNG.normal(size=(4, 3, 3)), axis=2)
PADDED, CONCATENATED = np.array([[1, 2, 1], [2, 2, 0], [1, 0, 0]]), np.array([1, 2, 1, 2, 2, 1])
STEPS, LENGTHS = np.array([4, 3, 2]), np.array([3, 2, 1])


def enumerated(log_p: Any, target: Sequence[int], blank: int = 0) -> float:
    """The loss of one row: all sequences of classes that come to the target without repetitions and blanks."""
    total = 0.0
    for path in itertools.product(range(log_p.shape[1]), repeat=len(log_p)):
        merged = [c for c, _ in itertools.groupby(path) if c != blank]
        if merged == list(target):
            total += np.exp(sum(log_p[t, c] for t, c in enumerate(path)))
    return -np.log(total) if total else np.inf


@pytest.mark.parametrize("blank", [0, 1, 2])
@pytest.mark.parametrize("length", [0, 1, 2, 3])
def test_it_is_the_sum_over_all_alignments(blank: int, length: int) -> None:
    log_p = special.log_softmax(RNG.normal(size=(4, 3)), axis=1)
    for target in itertools.product([c for c in range(3) if c != blank], repeat=length):
        found = losses.ctc_loss(log_p, np.array(target, int), 4, length, blank=blank, reduction="sum").item()
        assert found == pytest.approx(enumerated(log_p, target, blank), rel=1e-12)


@pytest.mark.parametrize("targets", [PADDED, CONCATENATED], ids=["padded", "concatenated"])
def test_every_reduction_of_rows_of_unequal_lengths(targets: Any) -> None:
    rows = [enumerated(LOG_P[:n, i], PADDED[i, :s]) for i, (n, s) in enumerate(zip(STEPS, LENGTHS, strict=True))]
    for reduction, expected in (("none", rows), ("sum", sum(rows)), ("mean", np.mean(rows / LENGTHS))):
        found = losses.ctc_loss(LOG_P, targets, STEPS, LENGTHS, reduction=reduction).numpy()
        np.testing.assert_allclose(found, expected, rtol=1e-12)
    weights = np.array([1.0, 0.0, 3.0])
    found = losses.ctc_loss(LOG_P, targets, STEPS, LENGTHS, sample_weight=weights).item()
    assert found == pytest.approx((weights * rows / LENGTHS).sum() / 4.0, rel=1e-12)


def test_a_single_sequence_needs_no_axis_of_rows() -> None:
    batch = losses.ctc_loss(LOG_P[:, :1], PADDED[:1], [4], [3], reduction="none")
    single = losses.ctc_loss(LOG_P[:, 0], PADDED[0], 4, 3, reduction="none")
    assert batch.shape == (1,) and single.shape == () and batch.item() == single.item()
    assert losses.ctc_loss(LOG_P[:, 0], PADDED[0], [4], [3]).item() == single.item() / 3


def test_first_derivatives() -> None:
    check_gradients(lambda x: losses.ctc_loss(log_softmax(x, 2), PADDED, STEPS, LENGTHS), (LOG_P + 0.3,), order=1)
    check_gradients(lambda x: losses.ctc_loss(x, CONCATENATED, STEPS, LENGTHS, reduction="none"), (LOG_P,), order=1)


def test_second_derivatives() -> None:
    check_gradients(lambda x: losses.ctc_loss(x, [[1, 1], [2, 0]], [3, 2], [2, 1]), (LOG_P[:3, :2],), components=3)


def test_steps_and_targets_beyond_the_lengths_count_for_nothing() -> None:
    slopes = grad(lambda x: losses.ctc_loss(x, PADDED, STEPS, LENGTHS))(LOG_P).numpy()
    assert not slopes[3:, 1].any() and not slopes[2:, 2].any() and slopes[:2].any()
    np.testing.assert_allclose(slopes[:2].sum(2), -1 / (3 * np.tile(LENGTHS, (2, 1))), rtol=1e-12)
    other = PADDED.copy()
    other[1, 2:], other[2, 1:] = 99, -1
    assert losses.ctc_loss(LOG_P, other, STEPS, LENGTHS).item() == losses.ctc_loss(LOG_P, PADDED, STEPS, LENGTHS).item()


@pytest.mark.parametrize("zero_infinity", [False, True])
def test_a_target_that_needs_more_steps_has_no_gradient(zero_infinity: bool) -> None:
    def loss(x: Any) -> Any:
        return losses.ctc_loss(x, [[1, 1], [1, 2]], [2, 2], [2, 2], reduction="none", zero_infinity=zero_infinity)

    x = LOG_P[:2, :2]
    assert loss(x).numpy()[0] == (0.0 if zero_infinity else np.inf)
    assert loss(x).numpy()[1] == pytest.approx(enumerated(x[:, 1], [1, 2]), rel=1e-12)
    slopes = grad(lambda x: loss(x).sum())(x).numpy()
    assert not slopes[:, 0].any() and np.isfinite(slopes).all() and slopes[:, 1].any()


def test_classes_of_probability_zero_leave_gradients_finite() -> None:
    log_p = LOG_P[:, 0].copy()
    log_p[1, 2], log_p[2, 1] = -np.inf, -np.inf
    assert losses.ctc_loss(log_p, [1, 2], 4, 2, reduction="sum").item() == pytest.approx(
        enumerated(log_p, [1, 2]), rel=1e-12
    )
    assert np.isfinite(grad(lambda x: losses.ctc_loss(x, [1, 2], 4, 2))(log_p).numpy()).all()


def test_a_long_sequence_does_not_underflow_in_float32() -> None:
    log_p = np.full((1000, 1, 4), np.log(0.25), np.float32)
    found = losses.ctc_loss(log_p, np.tile([[1, 2, 3]], (1, 20)), [1000], [60], reduction="sum")
    alignments = special.gammaln(1061) - special.gammaln(121) - special.gammaln(941)  # of 60 labels, no two alike
    assert found.item() == pytest.approx(1000 * np.log(4) - alignments, rel=1e-5)
    assert found.numpy().dtype == np.float32


def test_no_time_and_no_target() -> None:
    none = np.zeros((0, 2, 3))
    assert losses.ctc_loss(none, [[1], [0]], [0, 0], [1, 0], reduction="none").tolist() == [np.inf, 0.0]
    assert losses.ctc_loss(LOG_P, np.zeros(0, int), STEPS, [0, 0, 0], reduction="none").numpy() == pytest.approx(
        [-LOG_P[:n, i, 0].sum() for i, n in enumerate(STEPS)], rel=1e-12
    )


@pytest.mark.parametrize("targets", [PADDED, CONCATENATED], ids=["padded", "concatenated"])
def test_lengths_may_be_known_only_when_it_runs(targets: Any) -> None:
    graph = trace(lambda *inputs: losses.ctc_loss(*inputs, reduction="none"))(LOG_P, targets, STEPS, LENGTHS)
    found = interpret(graph, [LOG_P, targets, STEPS, LENGTHS])[0]
    np.testing.assert_allclose(
        found, losses.ctc_loss(LOG_P, targets, STEPS, LENGTHS, reduction="none").numpy(), rtol=1e-12
    )


def test_a_wrong_target_gives_nan_where_values_are_not_known() -> None:
    graph = trace(lambda t: losses.ctc_loss(LOG_P, t, STEPS, LENGTHS, reduction="none"))(PADDED)
    found = interpret(graph, [np.array([[1, 2, 0], [2, 3, 0], [1, -5, 9]])])[0]
    assert np.isnan(found).tolist() == [True, True, False]


@pytest.mark.parametrize(
    ("arguments", "options", "kind", "message"),
    [
        ((LOG_P[0, 0], PADDED, STEPS, LENGTHS), {}, ShapeError, r"log_probs \[T, N, C\] or \[T, C\] .* not f64\[3\]"),
        ((LOG_P, PADDED, STEPS, LENGTHS), {"blank": 3}, DefinitionError, "one of 3 classes, 0 to 2, not 3"),
        ((LOG_P, PADDED, STEPS[:2], LENGTHS), {}, ShapeError, r"input_lengths must be \[3\]"),
        ((LOG_P, PADDED, STEPS + 1, LENGTHS), {}, ShapeError, "input_lengths must be from 0 to 4, not 5"),
        ((LOG_P, PADDED, STEPS, LENGTHS[:, None]), {}, ShapeError, r"target_lengths must be \[3\]"),
        ((LOG_P, PADDED, STEPS, LENGTHS - 2), {}, ShapeError, "target_lengths must be from 0 to 3, not -1"),
        ((LOG_P, CONCATENATED, STEPS, [1, 2, 1]), {}, ShapeError, "sum to 4, but there are 6 targets"),
        ((LOG_P, PADDED[:2], STEPS, LENGTHS), {}, ShapeError, r"targets \[3, S\] or \[sum of target_lengths\]"),
        ((LOG_P, PADDED + 1, STEPS, LENGTHS), {}, IndexingError, "target 3 is not among 3 classes, 0 to 2"),
        ((LOG_P, PADDED, STEPS, [3, 3, 1]), {}, IndexingError, "target 0 is the blank"),
        ((LOG_P, PADDED * 1.0, STEPS, LENGTHS), {}, IndexingError, "indices must be integers"),
    ],
)
def test_inputs_that_make_no_sense_are_refused(
    arguments: Any, options: Any, kind: type[ChainruleError], message: str
) -> None:
    with pytest.raises(kind, match=message):
        losses.ctc_loss(*arguments, **options)
