"""What losses accept, and what they say of inputs that make no sense."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest

from chainrule import losses
from chainrule.errors import ChainruleError, DataError, DefinitionError, IndexingError, ShapeError
from chainrule.interpret import interpret
from chainrule.tensor import tensor
from chainrule.trace import trace

PAIRED = [
    losses.mse,
    losses.mae,
    losses.huber,
    losses.binary_cross_entropy,
    losses.binary_cross_entropy_with_logits,
    losses.kl_div,
    losses.smooth_l1_loss,
    losses.poisson_nll_loss,
    partial(losses.gaussian_nll_loss, var=1.0),
    losses.hinge_embedding_loss,
    losses.soft_margin_loss,
    partial(losses.sigmoid_focal_loss, reduction="mean"),
    losses.dice_loss,
]
NAMES = [getattr(loss, "func", loss).__name__ for loss in PAIRED]
X = np.zeros((4, 3))


@pytest.mark.parametrize(("loss", "name"), list(zip(PAIRED, NAMES, strict=True)), ids=NAMES)
def test_a_column_against_a_vector_is_an_error_that_says_what_to_do(loss: Callable[..., Any], name: str) -> None:
    with pytest.raises(ShapeError) as caught:
        loss(np.zeros((4, 1), np.float32), np.zeros(4, np.float32))
    assert str(caught.value) == (
        f"{name}: prediction f32[4, 1] and target f32[4] must have one shape; "
        "nothing broadcasts in a loss: reshape one of them, `prediction.reshape([4])`"
    )


@pytest.mark.parametrize("loss", PAIRED)
def test_shapes_of_other_sizes_are_an_error(loss: Callable[..., Any]) -> None:
    with pytest.raises(ShapeError, match=r"must have one shape$"):
        loss(np.zeros((4, 3)), np.zeros(3))


@pytest.mark.parametrize("loss", PAIRED)
def test_the_loss_has_the_data_type_of_the_prediction(loss: Callable[..., Any]) -> None:
    assert loss(np.zeros(3, np.float32), np.zeros(3)).numpy().dtype == np.float32
    assert loss(np.zeros(3), np.zeros(3, np.int64)).numpy().dtype == np.float64
    assert loss(tensor([0.0], "bfloat16"), [True]).numpy().dtype == np.float32


def test_cross_entropy_takes_integers_of_any_size_and_weights_of_any_type() -> None:
    found = losses.cross_entropy(np.zeros((2, 2), np.float32), np.array([0, 1], np.uint8), weight=np.array([1, 3]))
    assert found.item() == pytest.approx(np.log(2)) and found.numpy().dtype == np.float32


@pytest.mark.parametrize(
    ("call", "kind", "message"),
    [
        (
            lambda: losses.mse(X, X, reduction="avg"),
            DefinitionError,
            'mse: reduction must be "mean", "sum" or "none", not \'avg\'',
        ),
        (lambda: losses.mse(X, X, reduction="batchmean"), DefinitionError, "reduction must be"),
        (
            lambda: losses.mse(X, X, sample_weight=np.ones(3)),
            ShapeError,
            r"sample_weight of shape \[3\] does not fit a loss of \[4, 3\]",
        ),
        (lambda: losses.mse(X, X, sample_weight=np.ones((4, 1))), ShapeError, r"sample_weight of shape \[4, 1\]"),
        (lambda: losses.huber(X, X, delta=0.0), DefinitionError, "delta must be positive, not 0.0"),
        (lambda: losses.smooth_l1_loss(X, X, beta=-1.0), DefinitionError, "beta must not be negative, but is -1.0"),
        (lambda: losses.poisson_nll_loss(X, X, eps=0.0), DefinitionError, "poisson_nll_loss: eps must be positive"),
        (lambda: losses.gaussian_nll_loss(X, X, X, eps=-1.0), DefinitionError, "gaussian_nll_loss: eps must be"),
        (lambda: losses.gaussian_nll_loss(X, X, X - 1.0), DataError, "-1 is no variance, which cannot be negative"),
        (
            lambda: losses.gaussian_nll_loss(X, X, [1.0] * 3),
            ShapeError,
            r"a var of shape \[3\] does not fit f64\[4, 3\]",
        ),
        (lambda: losses.gaussian_nll_loss(X, X, [[1.0]]), ShapeError, r"a var of shape \[1, 1\] does not fit"),
        (lambda: losses.gaussian_nll_loss(X[0], X[0], X[0][:, None]), ShapeError, r"a var of shape \[3, 1\] does not"),
        (
            lambda: losses.binary_cross_entropy(X, X, weight=np.ones((4, 2))),
            ShapeError,
            r"binary_cross_entropy: a weight of shape \[4, 2\] does not fit f64\[4, 3\]",
        ),
        (
            lambda: losses.binary_cross_entropy_with_logits(X[:, :1], X[:, :1], weight=np.ones(4)),
            ShapeError,
            r"a weight of shape \[4\] does not fit f64\[4, 1\]",
        ),
        (lambda: losses.binary_cross_entropy(X + 1.5, X), DataError, "1.5 is no probability; for logits"),
        (lambda: losses.binary_cross_entropy(X - 0.5, X), DataError, "-0.5 is no probability"),
        (
            lambda: losses.binary_cross_entropy_with_logits(X, X, pos_weight=np.ones((2, 4, 3))),
            ShapeError,
            r"a pos_weight of shape \[2, 4, 3\] does not fit f64\[4, 3\]",
        ),
        (lambda: losses.cross_entropy(X, [0, 1, 2, 3]), IndexingError, "class 3 is not among 3 classes, 0 to 2"),
        (lambda: losses.cross_entropy(X, [0, 1, 2, -1]), IndexingError, "class -1 is not among 3 classes"),
        (lambda: losses.nll(X, [0, 1, 2, 7]), IndexingError, "nll: class 7"),
        (lambda: losses.cross_entropy(X, [True] * 4), IndexingError, "indices must be integers"),
        (
            lambda: losses.cross_entropy(X, [[0], [1], [2], [0]]),
            ShapeError,
            r"classes i64\[4, 1\] do not fit f64\[4, 3\]; a shape of \[4\]",
        ),
        (
            lambda: losses.cross_entropy(X, np.zeros(4)),
            ShapeError,
            "do not have the shape of the logits .*; classes must be integers",
        ),
        (lambda: losses.cross_entropy(X, np.zeros((4, 2))), ShapeError, r"f64\[4, 3\]$"),
        (lambda: losses.cross_entropy(1.0, 0), ShapeError, r"an axis of classes is needed"),
        (
            lambda: losses.cross_entropy(X, [0] * 4, weight=[1.0]),
            ShapeError,
            r"a weight for each of 3 classes is needed, not f64\[1\]",
        ),
        (lambda: losses.cross_entropy(X, X, weight=[1.0]), ShapeError, "a weight for each of 3 classes"),
        (
            lambda: losses.cross_entropy(X, X, label_smoothing=1.5),
            DefinitionError,
            "label_smoothing must be from 0 to 1, not 1.5",
        ),
    ],
)
def test_inputs_that_make_no_sense_are_refused(
    call: Callable[[], Any], kind: type[ChainruleError], message: str
) -> None:
    with pytest.raises(kind, match=message):
        call()


def test_a_class_out_of_range_gives_nan_where_values_are_not_known() -> None:
    graph = trace(lambda x, t: losses.cross_entropy(x, t, reduction="none"))(X, np.array([0, 1, 2, 0]))
    found = interpret(graph, [X, np.array([0, 3, -1, -100])])[0]
    assert np.isfinite(found[[0, 3]]).all() and np.isnan(found[[1, 2]]).all()


def test_a_number_that_is_no_probability_gives_nan_where_values_are_not_known() -> None:
    graph = trace(lambda p, t: losses.binary_cross_entropy(p, t, reduction="none"))(np.ones(3), np.ones(3))
    assert np.isnan(interpret(graph, [np.array([0.5, 1.5, -0.5]), np.ones(3)])[0]).tolist() == [False, True, True]


@pytest.mark.parametrize("loss", PAIRED)
def test_the_mean_over_nothing_is_nan(loss: Callable[..., Any]) -> None:
    assert np.isnan(loss(np.zeros(0), np.zeros(0)).item())
