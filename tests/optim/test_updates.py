"""Every update against the formulas of its paper in NumPy, over several steps in float64."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from chainrule import optim
from chainrule.tensor import Tensor, tensor

STEPS = 6
START = np.array([0.5, -1.0, 2.0, 0.0])
GRADIENTS = np.random.default_rng(0).normal(size=(STEPS, 4)) * np.array([1.0, 10.0, 0.01, 0.0])


def sgd(
    lr: float = 1e-3, momentum: float = 0.0, dampening: float = 0.0, weight_decay: float = 0.0, nesterov: bool = False
) -> Any:
    w, v = START.copy(), None
    for g in GRADIENTS:
        g = g + weight_decay * w
        v = g if v is None else momentum * v + (1 - dampening) * g
        w = w - lr * ((g + momentum * v if nesterov else v) if momentum else g)
        yield w


def adam(
    lr: float = 1e-3,
    betas: tuple[float, float] = (0.9, 0.999),
    eps: float = 1e-8,
    weight_decay: float = 0.0,
    decoupled: bool = False,
) -> Any:
    w, m, v = START.copy(), 0.0, 0.0
    for t, g in enumerate(GRADIENTS, start=1):
        if decoupled:
            w = w - lr * weight_decay * w
        else:
            g = g + weight_decay * w
        m, v = betas[0] * m + (1 - betas[0]) * g, betas[1] * v + (1 - betas[1]) * g * g
        m_hat, v_hat = m / (1 - betas[0] ** t), v / (1 - betas[1] ** t)
        w = w - lr * m_hat / (np.sqrt(v_hat) + eps)
        yield w


def rmsprop(
    lr: float = 1e-2,
    alpha: float = 0.99,
    eps: float = 1e-8,
    weight_decay: float = 0.0,
    momentum: float = 0.0,
    centered: bool = False,
) -> Any:
    w, v, a, b = START.copy(), 0.0, 0.0, 0.0
    for g in GRADIENTS:
        g = g + weight_decay * w
        v, a = alpha * v + (1 - alpha) * g * g, alpha * a + (1 - alpha) * g
        b = momentum * b + g / (np.sqrt(v - a * a if centered else v) + eps)
        w = w - lr * b
        yield w


def adagrad(
    lr: float = 1e-2,
    lr_decay: float = 0.0,
    weight_decay: float = 0.0,
    initial_accumulator_value: float = 0.0,
    eps: float = 1e-10,
) -> Any:
    w, s = START.copy(), np.full(4, initial_accumulator_value)
    for t, g in enumerate(GRADIENTS):
        g = g + weight_decay * w
        s = s + g * g
        w = w - lr / (1 + t * lr_decay) * g / (np.sqrt(s) + eps)
        yield w


CASES: list[tuple[Callable[..., optim.Optimizer], Callable[..., Any], dict[str, Any]]] = [
    (optim.SGD, sgd, {}),
    (optim.SGD, sgd, {"lr": 0.1, "weight_decay": 0.1}),
    (optim.SGD, sgd, {"lr": 0.1, "momentum": 0.9}),
    (optim.SGD, sgd, {"lr": 0.1, "momentum": 0.9, "dampening": 0.3, "weight_decay": 0.01}),
    (optim.SGD, sgd, {"lr": 0.1, "momentum": 0.9, "nesterov": True, "weight_decay": 0.01}),
    (optim.Adam, adam, {}),
    (optim.Adam, adam, {"lr": 0.1, "betas": (0.5, 0.9), "eps": 1e-3, "weight_decay": 0.1}),
    (optim.Adam, adam, {"betas": (0.0, 0.0)}),
    (optim.AdamW, lambda weight_decay=1e-2, **kw: adam(**kw, weight_decay=weight_decay, decoupled=True), {}),
    (optim.AdamW, lambda **kw: adam(**kw, decoupled=True), {"lr": 0.1, "weight_decay": 0.5}),
    (optim.RMSprop, rmsprop, {}),
    (optim.RMSprop, rmsprop, {"alpha": 0.5, "momentum": 0.9, "weight_decay": 0.1}),
    (optim.RMSprop, rmsprop, {"alpha": 0.9, "centered": True, "eps": 1e-3}),
    (optim.RMSprop, rmsprop, {"alpha": 0.9, "centered": True, "momentum": 0.5}),
    (optim.Adagrad, adagrad, {}),
    (optim.Adagrad, adagrad, {"lr": 0.1, "lr_decay": 0.1, "weight_decay": 0.1, "initial_accumulator_value": 0.1}),
]
IDS = [f"{make.__name__} {' '.join(options)}".strip() for make, _, options in CASES]


def follow(make: Callable[..., optim.Optimizer], options: dict[str, Any], w: Tensor) -> Any:
    optimizer = make([w], **options)
    for g in GRADIENTS:
        w.grad = tensor(g, w.dtype)
        optimizer.step()
        yield w.numpy().copy()


@pytest.mark.parametrize(("make", "oracle", "options"), CASES, ids=IDS)
def test_an_update_follows_its_formula(make: Any, oracle: Any, options: dict[str, Any]) -> None:
    w = tensor(START, requires_grad=True)
    for found, expected in zip(follow(make, options, w), oracle(**options), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(("make", "oracle", "options"), CASES, ids=IDS)
def test_a_float32_parameter_stays_float32(make: Any, oracle: Any, options: dict[str, Any]) -> None:
    w = tensor(START, "float32", requires_grad=True)
    for found, expected in zip(follow(make, options, w), oracle(**options), strict=True):
        assert found.dtype == np.float32
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


def test_a_centred_mean_of_squares_below_zero_by_rounding_gives_no_nan() -> None:
    w = tensor(np.full(1000, 1.0), "float32", requires_grad=True)
    optimizer = optim.RMSprop([w], alpha=0.5, centered=True)
    for _ in range(60):  # the mean of squares and the squared mean become equal
        w.grad = tensor(np.linspace(0.1, 3.0, 1000), "float32")
        optimizer.step()
    assert np.isfinite(w.numpy()).all()
