"""Focal and dice losses, against formulas in NumPy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import special

from chainrule import losses
from chainrule.autodiff import grad
from chainrule.errors import ChainruleError, DefinitionError, IndexingError, ShapeError
from chainrule.testing import check_gradients

RNG = np.random.default_rng(0)
X, HARD, SOFT = RNG.normal(size=(4, 3)) * 2, RNG.integers(0, 2, (4, 3)), RNG.uniform(0, 1, (4, 3))
CLASSES, ALPHA = np.array([2, 0, 1, 1]), np.array([0.2, 0.5, 0.3])
MASKS = RNG.uniform(0, 1, (2, 3, 4, 5)), RNG.integers(0, 2, (2, 3, 4, 5)).astype(float)


@pytest.mark.parametrize("target", [HARD, SOFT], ids=["hard", "soft"])
@pytest.mark.parametrize("alpha", [0.25, -1.0, 0.0, 1.0])
@pytest.mark.parametrize("gamma", [2.0, 0.0, 0.5])
def test_sigmoid_focal_loss(target: Any, alpha: float, gamma: float) -> None:
    p = special.expit(X)
    q = p * target + (1 - p) * (1 - target)
    expected = -(target * np.log(p) + (1 - target) * np.log(1 - p)) * (1 - q) ** gamma
    if alpha >= 0:
        expected *= alpha * target + (1 - alpha) * (1 - target)
    found = losses.sigmoid_focal_loss(X, target, alpha=alpha, gamma=gamma)
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-12)
    check_gradients(lambda x: losses.sigmoid_focal_loss(x, target, alpha=alpha, gamma=gamma), (X,), components=3)


@pytest.mark.parametrize("alpha", [None, ALPHA], ids=["plain", "weighted"])
@pytest.mark.parametrize("gamma", [2.0, 0.0, 0.5])
def test_softmax_focal_loss(alpha: Any, gamma: float) -> None:
    q = special.softmax(X, axis=1)[np.arange(4), CLASSES]
    expected = -((1 - q) ** gamma) * np.log(q) * (1.0 if alpha is None else alpha[CLASSES])
    found = losses.softmax_focal_loss(X, CLASSES, alpha=alpha, gamma=gamma)
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-12)
    check_gradients(lambda x: losses.softmax_focal_loss(x, CLASSES, alpha=alpha, gamma=gamma), (X,), components=3)


def test_without_gamma_the_softmax_focal_loss_is_cross_entropy() -> None:
    x, classes = RNG.normal(size=(2, 3, 4)), RNG.integers(0, 3, (2, 4))
    classes[0, 1] = -100
    found = losses.softmax_focal_loss(x, classes, gamma=0.0, reduction="mean").item()
    assert found == pytest.approx(losses.cross_entropy(x, classes).item(), rel=1e-12)


@pytest.mark.parametrize("gamma", [0.5, 1.0, 2.0])
def test_certain_cases_have_finite_losses_and_gradients(gamma: float) -> None:
    x, t = np.array([1e4, -1e4, 1e4, -1e4], np.float32), np.array([1.0, 1.0, 0.0, 0.0], np.float32)
    expected = {"alpha": -1.0, "gamma": gamma}
    assert losses.sigmoid_focal_loss(x, t, **expected).tolist() == [0.0, 1e4, 1e4, 0.0]
    slopes = grad(lambda x: losses.sigmoid_focal_loss(x, t, **expected).sum())(x)
    assert slopes.tolist() == [0.0, -1.0, 1.0, 0.0]
    rows = np.array([[1e4, 0.0], [0.0, 1e4]], np.float32)
    assert losses.softmax_focal_loss(rows, [0, 0], gamma=gamma).tolist() == [0.0, 1e4]
    assert grad(lambda x: losses.softmax_focal_loss(x, [0, 0], gamma=gamma).sum())(rows).tolist() == [[0, 0], [-1, 1]]


def test_an_easy_case_keeps_its_small_loss_in_float32() -> None:
    q = np.exp(-20.0)
    expected = pytest.approx(q**2 * q, rel=1e-5)
    assert losses.sigmoid_focal_loss(np.float32(20.0), 1.0, alpha=-1.0).item() == expected
    assert losses.softmax_focal_loss(np.array([20.0, 0.0]), 0).item() == expected


@pytest.mark.parametrize(("axis", "kept"), [(None, (2,)), ((2, 3), (2, 3)), ((0, 2, 3), (3,)), (-1, (2, 3, 4))])
def test_dice_loss(axis: Any, kept: Any) -> None:
    p, g = MASKS
    axes = (1, 2, 3) if axis is None else axis
    above, below = 2 * (p * g).sum(axes) + 0.5, (p**2).sum(axes) + (g**2).sum(axes) + 0.5
    found = losses.dice_loss(p, g, axis=axis, smooth=0.5, reduction="none")
    assert found.shape == kept
    np.testing.assert_allclose(found.numpy(), 1 - above / below, rtol=1e-12)
    check_gradients(lambda p: losses.dice_loss(p, g, axis=axis), (p,), components=4)


def test_the_dice_loss_of_what_is_equal_is_zero_even_if_it_is_empty() -> None:
    assert losses.dice_loss(MASKS[1], MASKS[1]).item() == 0.0
    assert losses.dice_loss(np.zeros((2, 3)), np.zeros((2, 3))).item() == 0.0
    assert losses.dice_loss([[1.0, 0.0]], [[0.0, 1.0]], smooth=1e-9).item() == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("call", "kind", "message"),
    [
        (lambda: losses.sigmoid_focal_loss(X, HARD, gamma=-1.0), DefinitionError, "gamma must not be negative"),
        (lambda: losses.sigmoid_focal_loss(X, HARD, alpha=2.0), DefinitionError, "alpha must be at most 1, not 2.0"),
        (lambda: losses.softmax_focal_loss(X, CLASSES, gamma=-1.0), DefinitionError, "gamma must not be negative"),
        (lambda: losses.softmax_focal_loss(X, CLASSES, alpha=[1.0]), ShapeError, "a weight for each of 3 classes"),
        (lambda: losses.softmax_focal_loss(X, CLASSES + 1), IndexingError, "class 3 is not among 3 classes"),
        (lambda: losses.softmax_focal_loss(X, HARD), ShapeError, r"a shape of \[4\] is needed"),
        (lambda: losses.dice_loss(*MASKS, smooth=0.0), DefinitionError, "smooth must be positive, not 0.0"),
        (lambda: losses.dice_loss(*MASKS, axis=4), ShapeError, "axis 4"),
    ],
)
def test_inputs_that_make_no_sense_are_refused(call: Any, kind: type[ChainruleError], message: str) -> None:
    with pytest.raises(kind, match=message):
        call()
