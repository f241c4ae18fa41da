"""Losses with margins, for classes, embeddings and rankings: derivatives, weights, and what they refuse.

Their values and first derivatives are compared with PyTorch's in `tests/agreement`.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from math import inf
from typing import Any

import numpy as np
import pytest

from chainrule import losses, ops
from chainrule.autodiff import grad
from chainrule.errors import ChainruleError, DefinitionError, IndexingError, ShapeError
from chainrule.interpret import interpret
from chainrule.testing import check_gradients
from chainrule.trace import trace

RNG = np.random.default_rng(0)
X, Y, Z = RNG.normal(size=(3, 4, 5))
SIGNS, CLASSES = np.where(RNG.normal(size=(4, 5)) > 0, 1.0, -1.0), np.array([0, 4, 1, 2])
LABELS = np.array([[3, 0, -1, 1, 1], [-1, 2, 2, 2, 0], [0, 1, 2, 3, 4], [4, 4, 2, -1, -1]])

OF_ROWS: dict[str, tuple[Callable[..., Any], tuple[Any, ...]]] = {
    "cosine": (lambda x, y, **kw: losses.cosine_embedding_loss(x, y, SIGNS[:, 0], **kw), (X, Y)),
    "multi": (lambda x, **kw: losses.multi_margin_loss(x, CLASSES, **kw), (X,)),
    "multi squared": (lambda x, **kw: losses.multi_margin_loss(x, CLASSES, p=2, **kw), (X,)),
    "multilabel": (lambda x, **kw: losses.multilabel_margin_loss(x, LABELS, **kw), (X,)),
    "multilabel soft": (lambda x, **kw: losses.multilabel_soft_margin_loss(x, SIGNS > 0, **kw), (X,)),
    "triplet": (losses.triplet_margin_loss, (X, Y, Z)),
    "triplet 1": (partial(losses.triplet_margin_loss, p=1.0, swap=True), (X, Y, Z)),
    "triplet 3": (partial(losses.triplet_margin_loss, p=3.0), (X, Y, Z)),
    "triplet inf": (partial(losses.triplet_margin_loss, p=inf), (X, Y, Z)),
    "triplet distance": (partial(losses.triplet_margin_with_distance_loss, swap=True), (X, Y, Z)),
}


@pytest.mark.parametrize("name", OF_ROWS)
def test_derivatives_and_weights_of_rows(name: str) -> None:
    loss, inputs = OF_ROWS[name]
    rows, weights = loss(*inputs, reduction="none").numpy(), np.array([1.0, 0.0, 2.0, 3.0])
    assert rows.shape == (4,) and rows.any()
    assert loss(*inputs).item() == pytest.approx(rows.mean(), rel=1e-12)
    weighted = loss(*inputs, sample_weight=weights).item()
    assert weighted == pytest.approx((rows * weights).sum() / weights.sum(), rel=1e-12)
    check_gradients(loss, inputs, components=4)


@pytest.mark.parametrize("loss", [losses.hinge_embedding_loss, losses.soft_margin_loss])
def test_derivatives_of_losses_of_elements(loss: Callable[..., Any]) -> None:
    check_gradients(lambda x: loss(x, SIGNS), (X,))
    check_gradients(lambda x: loss(x, SIGNS, sample_weight=[1.0, 2.0, 0.0, 1.0]), (X,))


def test_a_confident_prediction_of_any_size_has_an_exact_soft_margin() -> None:
    x, t = np.array([1e4, -1e4, 40.0], np.float32), [1.0, 1.0, 1.0]
    assert losses.soft_margin_loss(x, t, reduction="none").numpy() == pytest.approx([0.0, 1e4, np.exp(-40.0)], rel=1e-5)
    assert grad(lambda x: losses.soft_margin_loss(x, t, reduction="sum"))(x).tolist()[:2] == [0.0, -1.0]


def test_vectors_that_are_equal_or_zero_have_finite_gradients() -> None:
    zero = np.zeros((1, 3))
    for p in (0.5, 1.0, 1.5, 2.0, inf):
        slopes = grad(partial(losses.triplet_margin_loss, p=p, eps=0.0), (0, 1, 2))(zero, zero, zero)
        assert all(np.isfinite(x.numpy()).all() for x in slopes)
    slopes = grad(losses.cosine_embedding_loss, (0, 1))(np.float32(zero), np.float32(zero), [1])
    assert all(np.isfinite(x.numpy()).all() for x in slopes)


def test_any_distance_may_be_compared() -> None:
    def manhattan(a: Any, b: Any) -> Any:
        return ops.abs(a - b + 1e-6).sum(-1)

    found = losses.triplet_margin_with_distance_loss(X, Y, Z, distance_function=manhattan).item()
    assert found == losses.triplet_margin_loss(X, Y, Z, p=1.0).item()


def test_a_class_out_of_range_gives_nan_where_values_are_not_known() -> None:
    graph = trace(lambda t: losses.multi_margin_loss(X, t, reduction="none"))(CLASSES)
    assert np.isnan(interpret(graph, [np.array([0, 5, -1, 4])])[0]).tolist() == [False, True, True, False]
    graph = trace(lambda t: losses.multilabel_margin_loss(X, t, reduction="none"))(LABELS)
    wrong = LABELS.copy()
    wrong[0, 0], wrong[3, 4] = 5, -2
    assert np.isnan(interpret(graph, [wrong])[0]).tolist() == [True, False, False, True]


@pytest.mark.parametrize(
    ("call", "kind", "message"),
    [
        (lambda: losses.multi_margin_loss(X, CLASSES, p=3), DefinitionError, "p must be 1 or 2, not 3"),
        (lambda: losses.multi_margin_loss(X, CLASSES + 1), IndexingError, "class 5 is not among 5 classes"),
        (lambda: losses.multi_margin_loss(X, CLASSES[:, None]), ShapeError, r"a shape of \[4\] is needed"),
        (lambda: losses.multi_margin_loss(X[None], CLASSES), ShapeError, r"\[N, C\] or \[C\] of at least one class"),
        (lambda: losses.multi_margin_loss(X[:, :0], CLASSES), ShapeError, r"at least one class are needed"),
        (lambda: losses.multi_margin_loss(X, CLASSES, weight=[1.0]), ShapeError, "a weight for each of 5 classes"),
        (lambda: losses.multilabel_margin_loss(X, LABELS[:, :4]), ShapeError, "do not have the shape of the scores"),
        (lambda: losses.multilabel_margin_loss(X, LABELS + 1), IndexingError, "class 5 is not among 5 classes, nor -1"),
        (lambda: losses.multilabel_margin_loss(X, LABELS * 1.0), IndexingError, "indices must be integers"),
        (lambda: losses.multilabel_soft_margin_loss(1.0, 1.0), ShapeError, "an axis of classes is needed"),
        (
            lambda: losses.multilabel_soft_margin_loss(X, SIGNS, weight=[1.0, 2.0]),
            ShapeError,
            r"a weight of shape \[2\] does not fit f64\[4, 5\]",
        ),
        (lambda: losses.margin_ranking_loss(X, X[:, :1], SIGNS), ShapeError, r"input1 .* and input2 f64\[4, 1\] must"),
        (lambda: losses.margin_ranking_loss(X, Y, SIGNS[0]), ShapeError, r"input1 .* and target f64\[5\] must"),
        (
            lambda: losses.cosine_embedding_loss(X, Y, SIGNS[:, :1]),
            ShapeError,
            r"cosine f64\[4\] and target f64\[4, 1\] must have one shape; nothing broadcasts",
        ),
        (lambda: losses.cosine_embedding_loss(1.0, 1.0, 1), ShapeError, "vectors are needed"),
        (lambda: losses.triplet_margin_loss(X, Y, Z[:1]), ShapeError, r"anchor .* and negative f64\[1, 5\] must"),
        (lambda: losses.triplet_margin_loss(X, Y[0], Z), ShapeError, r"anchor .* and positive f64\[5\] must"),
        (lambda: losses.triplet_margin_loss(X, Y, Z, margin=0.0), DefinitionError, "margin must be positive, not 0.0"),
        (lambda: losses.triplet_margin_loss(X, Y, Z, p=-1.0), DefinitionError, "p must be positive, not -1.0"),
    ],
)
def test_inputs_that_make_no_sense_are_refused(
    call: Callable[[], Any], kind: type[ChainruleError], message: str
) -> None:
    with pytest.raises(kind, match=message):
        call()
