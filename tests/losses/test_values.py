"""The values and derivatives of losses, against formulas in NumPy, SciPy and scikit-learn."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest
from scipy import special, stats
from sklearn import metrics as reference

from chainrule import losses
from chainrule.autodiff import grad
from chainrule.testing import check_gradients

RNG = np.random.default_rng(0)
P, T = RNG.normal(size=(5, 3)), RNG.normal(size=(5, 3))
COUNTS, SPREAD = RNG.integers(0, 5, (5, 3)).astype(float), RNG.uniform(0.5, 2, (5, 3))
PROBABILITY, BINARY = RNG.uniform(0.05, 0.95, (5, 3)), RNG.integers(0, 2, (5, 3)).astype(float)
ROWS = np.array([1.0, 0.0, 2.0, 0.5, 3.0])
LOGITS, CLASSES = RNG.normal(size=(5, 4)) * 3, np.array([0, 3, 1, 1, 2])
SOFT = RNG.dirichlet(np.ones(4), 5)
CLASS_WEIGHT = np.array([1.0, 0.5, 2.0, 0.0])


def huber(p: Any, t: Any, delta: float = 1.0) -> Any:
    d = np.abs(p - t)
    return np.where(d <= delta, d * d / 2, delta * (d - delta / 2))


def bce(p: Any, t: Any) -> Any:
    return -(t * np.log(p) + (1 - t) * np.log(1 - p))


def poisson(rate: Any, count: Any) -> Any:
    n = np.maximum(count, 1.0)
    factorial = np.where(count > 1, n * np.log(n) - n + np.log(2 * np.pi * n) / 2, 0.0)
    return rate - count * np.log(rate + 1e-8) + factorial


ELEMENTWISE: list[tuple[Callable[..., Any], Callable[..., Any], Any, Any]] = [
    (losses.mse, lambda p, t: (p - t) ** 2, P, T),
    (losses.mae, lambda p, t: np.abs(p - t), P, T),
    (losses.huber, huber, P, T),
    (lambda p, t, **kw: losses.huber(p, t, delta=0.3, **kw), lambda p, t: huber(p, t, 0.3), P, T),
    (losses.binary_cross_entropy, bce, PROBABILITY, BINARY),
    (losses.binary_cross_entropy_with_logits, lambda x, t: bce(special.expit(x), t), P, BINARY),
    (losses.kl_div, lambda q, t: special.rel_entr(t, np.exp(q)), np.log(PROBABILITY), BINARY * PROBABILITY[::-1]),
    (
        lambda q, t, **kw: losses.kl_div(q, t, log_target=True, **kw),
        lambda q, t: special.rel_entr(np.exp(t), np.exp(q)), P, T,
    ),
    (partial(losses.smooth_l1_loss, beta=0.3), lambda p, t: huber(p, t, 0.3) / 0.3, P, T),
    (losses.poisson_nll_loss, lambda p, t: np.exp(p) - t * p, P, COUNTS),
    (partial(losses.poisson_nll_loss, log_input=False, full=True), poisson, PROBABILITY, COUNTS),
    (partial(losses.gaussian_nll_loss, var=SPREAD), lambda p, t: (np.log(SPREAD) + (p - t) ** 2 / SPREAD) / 2, P, T),
    (
        partial(losses.gaussian_nll_loss, var=ROWS + 0.5, full=True),
        lambda p, t: -stats.norm(p, np.sqrt(ROWS + 0.5)[:, None]).logpdf(t), P, T,
    ),
]  # fmt: skip
each = pytest.mark.parametrize(
    ("ours", "oracle", "p", "t"),
    ELEMENTWISE,
    ids=[
        "mse",
        "mae",
        "huber",
        "huber.3",
        "bce",
        "logits",
        "kl",
        "kl log",
        "smooth",
        "poisson",
        "rate",
        "gauss",
        "rows",
    ],
)


@each
def test_every_reduction_of_an_elementwise_loss(ours: Any, oracle: Any, p: Any, t: Any) -> None:
    expected = oracle(p, t)
    np.testing.assert_allclose(ours(p, t, reduction="none").numpy(), expected, rtol=1e-12, atol=1e-15)
    np.testing.assert_allclose(ours(p, t, reduction="sum").item(), expected.sum(), rtol=1e-12)
    np.testing.assert_allclose(ours(p, t).item(), expected.mean(), rtol=1e-12)


@each
def test_sample_weights_of_rows_or_elements(ours: Any, oracle: Any, p: Any, t: Any) -> None:
    expected, elements = oracle(p, t), RNG.uniform(0, 2, p.shape)
    for weight, full in ((ROWS, np.repeat(ROWS[:, None], 3, axis=1)), (elements, elements)):
        mean = ours(p, t, sample_weight=weight).item()
        np.testing.assert_allclose(mean, (expected * full).sum() / full.sum(), rtol=1e-12)
        none = ours(p, t, sample_weight=weight, reduction="none").numpy()
        np.testing.assert_allclose(none, expected * full, rtol=1e-12, atol=1e-15)


@each
def test_derivatives_of_an_elementwise_loss(ours: Any, oracle: Any, p: Any, t: Any) -> None:
    check_gradients(lambda p: ours(p, t, sample_weight=ROWS), (p,))


def test_a_row_of_weight_two_counts_like_two_rows() -> None:
    twice = losses.cross_entropy(LOGITS[[0, 1, 1]], CLASSES[[0, 1, 1]]).item()
    assert losses.cross_entropy(LOGITS[:2], CLASSES[:2], sample_weight=[1.0, 2.0]).item() == pytest.approx(
        twice, rel=1e-12
    )


def test_huber_at_its_joint_has_the_slope_delta() -> None:
    assert grad(lambda p: losses.huber(p, 0.0, delta=0.5))(0.5).item() == 0.5
    assert grad(lambda p: losses.huber(p, 0.0, delta=0.5))(np.float64(-1e300)).item() == -0.5


def test_binary_cross_entropy_is_bounded_where_a_probability_is_zero_or_one() -> None:
    p, t = np.array([0.0, 1.0, 0.0, 1.0]), np.array([1.0, 0.0, 0.0, 1.0])
    assert losses.binary_cross_entropy(p, t, reduction="none").tolist() == [100.0, 100.0, 0.0, 0.0]
    slopes = grad(lambda p: losses.binary_cross_entropy(p, t, reduction="sum"))(p)
    assert slopes.tolist() == [0.0, 0.0, 1.0, -1.0]


def test_logits_of_ten_thousand_give_exact_losses_and_gradients() -> None:
    x, t = np.array([1e4, -1e4, 1e4, -1e4], np.float32), np.array([1, 1, 0, 0], np.float32)
    loss = losses.binary_cross_entropy_with_logits(x, t, reduction="none")
    assert loss.tolist() == [0.0, 1e4, 1e4, 0.0] and loss.numpy().dtype == np.float32
    slopes = grad(lambda x: losses.binary_cross_entropy_with_logits(x, t, reduction="sum"))(x)
    assert slopes.tolist() == [0.0, -1.0, 1.0, 0.0]


@pytest.mark.parametrize("target", [0.0, 1.0])
def test_a_confident_logit_keeps_its_small_loss_in_float32(target: float) -> None:
    x = np.float32(40.0 if target else -40.0)
    assert losses.binary_cross_entropy_with_logits(x, target).item() == pytest.approx(np.exp(-40.0), rel=1e-5)


@pytest.mark.parametrize("weight", [3.0, [0.5, 1.0, 4.0]])
def test_element_weights_are_no_part_of_the_divisor(weight: Any) -> None:
    for loss, x in ((losses.binary_cross_entropy, PROBABILITY), (losses.binary_cross_entropy_with_logits, P)):
        expected = (loss(x, BINARY, reduction="none").numpy() * weight).mean()
        assert loss(x, BINARY, weight=weight).item() == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("weight", [3.0, [0.5, 1.0, 4.0]])
def test_pos_weight_multiplies_the_loss_of_positive_targets(weight: Any) -> None:
    expected = np.mean(
        -np.asarray(weight) * BINARY * np.log(special.expit(P)) - (1 - BINARY) * np.log(special.expit(-P))
    )
    assert losses.binary_cross_entropy_with_logits(P, BINARY, pos_weight=weight).item() == pytest.approx(
        expected, rel=1e-12
    )


def test_cross_entropy_is_scikit_learns_log_loss() -> None:
    expected = reference.log_loss(CLASSES, special.softmax(LOGITS, axis=1), sample_weight=ROWS)
    assert losses.cross_entropy(LOGITS, CLASSES, sample_weight=ROWS).item() == pytest.approx(expected, rel=1e-12)


def test_nll_of_log_softmax_is_cross_entropy() -> None:
    log_p = special.log_softmax(LOGITS, axis=1)
    options = {"weight": CLASS_WEIGHT, "sample_weight": ROWS}
    expected = losses.cross_entropy(LOGITS, CLASSES, **options).item()
    assert losses.nll(log_p, CLASSES, **options).item() == pytest.approx(expected, rel=1e-12)
    assert losses.nll(log_p, CLASSES, reduction="none").numpy() == pytest.approx(-log_p[np.arange(5), CLASSES])


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 1.0])
@pytest.mark.parametrize("weight", [None, CLASS_WEIGHT])
@pytest.mark.parametrize("rows", [None, ROWS])
def test_cross_entropy_of_classes_divides_by_the_weights_of_the_targets(
    smoothing: float, weight: Any, rows: Any
) -> None:
    w, r = np.ones(4) if weight is None else weight, np.ones(5) if rows is None else rows
    p = (1 - smoothing) * np.eye(4)[CLASSES] * w[CLASSES][:, None] + smoothing / 4 * w
    loss = -(p * special.log_softmax(LOGITS, axis=1)).sum(1) * r
    options: dict[str, Any] = {"weight": weight, "label_smoothing": smoothing, "sample_weight": rows}
    found = losses.cross_entropy(LOGITS, CLASSES, reduction="none", **options)
    np.testing.assert_allclose(found.numpy(), loss, rtol=1e-12, atol=1e-15)
    expected = loss.sum() / (w[CLASSES] * r).sum()
    assert losses.cross_entropy(LOGITS, CLASSES, **options).item() == pytest.approx(expected, rel=1e-12)
    check_gradients(lambda x: losses.cross_entropy(x, CLASSES, **options), (LOGITS,))


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("weight", [None, CLASS_WEIGHT])
@pytest.mark.parametrize("rows", [None, ROWS])
def test_cross_entropy_of_probabilities_divides_by_the_rows(smoothing: float, weight: Any, rows: Any) -> None:
    w, r = np.ones(4) if weight is None else weight, np.ones(5) if rows is None else rows
    p = (1 - smoothing) * SOFT + smoothing / 4
    expected = (-(p * w * special.log_softmax(LOGITS, axis=1)).sum(1) * r).sum() / r.sum()
    options: dict[str, Any] = {"weight": weight, "label_smoothing": smoothing, "sample_weight": rows}
    assert losses.cross_entropy(LOGITS, SOFT, **options).item() == pytest.approx(expected, rel=1e-12)
    check_gradients(lambda x: losses.cross_entropy(x, SOFT, **options), (LOGITS,))


@pytest.mark.parametrize("shape", [(4,), (2, 4, 3), (2, 4, 3, 2)])
@pytest.mark.parametrize("soft", [False, True])
@pytest.mark.parametrize("weight", [None, CLASS_WEIGHT])
def test_classes_are_axis_one(shape: tuple[int, ...], soft: bool, weight: Any) -> None:
    axis = min(1, len(shape) - 1)
    x = RNG.normal(size=shape)
    classes = RNG.integers(0, 3, shape[:axis] + shape[axis + 1 :])
    one_hot = np.moveaxis(np.eye(4)[classes], -1, axis)
    w = np.moveaxis(np.ones((*classes.shape, 4)) * (1 if weight is None else weight), -1, axis)
    loss = -(w * one_hot * special.log_softmax(x, axis=axis)).sum(axis)
    expected = loss.mean() if soft else loss.sum() / (w * one_hot).sum()
    target = one_hot if soft else classes
    assert losses.cross_entropy(x, target, weight=weight).item() == pytest.approx(expected, rel=1e-12)


def test_rows_of_a_sequence_can_be_weighted() -> None:
    x, classes, rows = RNG.normal(size=(2, 4, 3)), RNG.integers(0, 4, (2, 3)), np.array([1.0, 3.0])
    each = losses.cross_entropy(x, classes, reduction="none").numpy()
    expected = (each * rows[:, None]).sum() / (3 * rows.sum())
    assert losses.cross_entropy(x, classes, sample_weight=rows).item() == pytest.approx(expected, rel=1e-12)


def test_ignored_targets_count_for_nothing() -> None:
    target = CLASSES.copy()
    target[[1, 3]] = -100
    kept = [0, 2, 4]
    for weight in (None, np.array([1.0, 0.5, 2.0, 3.0])):
        expected = losses.cross_entropy(LOGITS[kept], CLASSES[kept], weight=weight, label_smoothing=0.1).item()
        found = losses.cross_entropy(LOGITS, target, weight=weight, label_smoothing=0.1).item()
        assert found == pytest.approx(expected, rel=1e-12)
    slopes = grad(lambda x: losses.cross_entropy(x, target))(LOGITS).numpy()
    assert not slopes[[1, 3]].any() and slopes[kept].all()


def test_a_class_can_be_ignored_even_where_its_loss_is_infinite() -> None:
    log_p = np.array([[-np.inf, 0.0], [0.0, -np.inf]])
    assert losses.nll(log_p, [0, 0], ignore_index=0, reduction="none").tolist() == [0.0, 0.0]
    assert losses.nll(log_p, [1, 0], reduction="sum").item() == 0.0


def test_the_mean_over_ignored_targets_alone_is_nan() -> None:
    assert np.isnan(losses.cross_entropy(LOGITS[:2], [-100, -100]).item())
    assert losses.cross_entropy(LOGITS[:2], [-100, -100], reduction="sum").item() == 0.0


def test_cross_entropy_of_logits_of_ten_thousand_is_exact() -> None:
    x = np.array([[1e4, -1e4, 0.0], [1e4, -1e4, 0.0]], np.float32)
    loss = losses.cross_entropy(x, [0, 1], reduction="none")
    assert loss.tolist() == [0.0, 2e4] and loss.numpy().dtype == np.float32
    slopes = grad(lambda x: losses.cross_entropy(x, [0, 1], reduction="sum"))(x)
    assert slopes.tolist() == [[0.0, 0.0, 0.0], [1.0, -1.0, 0.0]]


def test_batchmean_is_the_divergence_between_distributions() -> None:
    expected = special.rel_entr(SOFT, special.softmax(LOGITS, axis=1)).sum(1)
    log_q = special.log_softmax(LOGITS, axis=1)
    assert losses.kl_div(log_q, SOFT, reduction="batchmean").item() == pytest.approx(expected.mean(), rel=1e-12)
    weighted = losses.kl_div(log_q, SOFT, reduction="batchmean", sample_weight=ROWS).item()
    assert weighted == pytest.approx((expected * ROWS).sum() / ROWS.sum(), rel=1e-12)


def test_gradients_also_reach_targets() -> None:
    check_gradients(lambda t: losses.kl_div(LOGITS, t, reduction="sum"), (SOFT + 0.2,))
    check_gradients(lambda t: losses.cross_entropy(LOGITS, t), (SOFT,))


def test_smooth_l1_without_width_is_the_absolute_error() -> None:
    assert losses.smooth_l1_loss(P, T, beta=0.0).item() == losses.mae(P, T).item()
    assert grad(lambda p: losses.smooth_l1_loss(p, 0.0, beta=0.0))(0.0).item() == 0.0


def test_the_gradient_of_a_small_variance_passes_as_if_it_were_raised() -> None:
    def loss(v: Any) -> Any:
        return losses.gaussian_nll_loss([1.0], [1.5], v, eps=0.25)

    assert loss([0.0]).item() == loss([0.25]).item() == pytest.approx((np.log(0.25) + 1.0) / 2)
    assert grad(loss)(np.zeros(1)).item() == grad(loss)(np.full(1, 0.25)).item() == 0.0
    assert grad(lambda v: losses.gaussian_nll_loss([1.0], [1.0], v))(np.zeros(1)).item() == 5e5


def test_counts_of_zero_have_finite_gradients() -> None:
    slopes = grad(lambda p, t: losses.poisson_nll_loss(p, t, full=True), (0, 1))(np.zeros(2), np.array([0.0, 1.0]))
    assert [x.tolist() for x in slopes] == [[0.5, 0.0], [0.0, 0.0]]
