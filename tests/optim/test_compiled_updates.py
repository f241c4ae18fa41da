"""Every optimizer in a compiled step does what it does eagerly, and is compiled once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule import losses, nn, optim
from chainrule.optim import Optimizer
from chainrule.tensor import Tensor

X = np.random.default_rng(0).normal(size=(8, 3))
Y = np.array([0, 1, 2, 0, 1, 2, 0, 1])
CASES: list[tuple[Callable[..., Optimizer], dict[str, Any]]] = [
    (optim.SGD, {"momentum": 0.9, "dampening": 0.1, "weight_decay": 0.1, "maximize": True}),
    (optim.SGD, {"momentum": 0.9, "nesterov": True}),
    (optim.Adam, {"amsgrad": True, "weight_decay": 0.1}),
    (optim.AdamW, {"maximize": True}),
    (optim.Adam, {"decoupled_weight_decay": True, "weight_decay": 0.1}),
    (optim.NAdam, {"weight_decay": 0.1, "decoupled_weight_decay": True}),
    (optim.RAdam, {"betas": (0.9, 0.9), "weight_decay": 0.1}),
    (optim.Adamax, {"weight_decay": 0.1}),
    (optim.LAMB, {}),
    (optim.RMSprop, {"momentum": 0.9, "centered": True, "maximize": True}),
    (optim.Adagrad, {"lr_decay": 0.1, "maximize": True}),
    (optim.Adadelta, {"weight_decay": 0.1}),
    (optim.Lion, {"weight_decay": 0.1}),
    (optim.Rprop, {}),
    (optim.Muon, {}),
    (optim.Muon, {"nesterov": False, "adjust_lr_fn": "match_rms_adamw"}),
]
IDS = [f"{make.__name__} {' '.join(options)}".strip() for make, options in CASES]


def training(make: Callable[..., Optimizer], options: dict[str, Any]) -> tuple[nn.Module, Optimizer, Any]:
    model = nn.Sequential(nn.Linear(3, 5, dtype="float64"), nn.Tanh(), nn.Linear(5, 3, dtype="float64"))
    rng = np.random.default_rng(1)
    for x in model.parameters():
        x.assign(rng.normal(size=x.shape))
    first, *rest = [x for x in model.parameters() if x.ndim == 2 or make is not optim.Muon]
    optimizer = make([{"params": [first], "lr": 0.02}, {"params": rest}], lr=0.05, **options)

    def step() -> Tensor:
        loss = losses.cross_entropy(model(X), Y)
        model.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    return model, optimizer, step


@pytest.mark.parametrize(("make", "options"), CASES, ids=IDS)
def test_a_compiled_step_does_what_an_eager_one_does(make: Any, options: dict[str, Any]) -> None:
    eager, _, step = training(make, options)
    model, optimizer, function = training(make, options)
    compiled = cr.compile(function)
    before = [x.numpy().copy() for x in model.parameters()]
    for i in range(6):
        for group in optimizer.param_groups if i == 3 else ():
            group["lr"] = group["lr"] * 1.0
        np.testing.assert_allclose(compiled().numpy(), step().numpy(), rtol=1e-9)
    for old, x, y in zip(before, model.parameters(), eager.parameters(), strict=True):
        np.testing.assert_allclose(x.numpy(), y.numpy(), rtol=1e-9, atol=1e-12)
        assert x.ndim != 2 or not np.allclose(x.numpy(), old)
    assert sum(map(len, compiled.variants.values())) == 1


@pytest.mark.parametrize("make", [optim.SGD, optim.Adam, optim.NAdam, optim.Adadelta, optim.Lion, optim.RMSprop])
def test_maximizing_is_minimizing_the_opposite(make: Any) -> None:
    a, b = nn.Parameter([1.0, -2.0], "float64"), nn.Parameter([1.0, -2.0], "float64")
    up, down = make([a], lr=0.1, weight_decay=0.1, maximize=True), make([b], lr=0.1, weight_decay=0.1)
    for _ in range(3):
        a.grad, b.grad = cr.tensor([0.5, 1.0], "float64"), cr.tensor([-0.5, -1.0], "float64")
        up.step()
        down.step()
    np.testing.assert_array_equal(a.numpy(), b.numpy())


def test_amsgrad_divides_by_the_largest_mean_of_squares() -> None:
    w = nn.Parameter([0.0], "float64")
    optimizer = optim.Adam([w], lr=1.0, betas=(0.0, 0.5), eps=0.0, amsgrad=True)
    for g in (4.0, 1.0):
        w.grad = cr.tensor([g], "float64")
        optimizer.step()
    # v = 8, 4.5; the largest stays 8, and is corrected by 1 - 0.5^t
    np.testing.assert_allclose(w.numpy(), [-4.0 / np.sqrt(8.0 / 0.5) - 1.0 / np.sqrt(8.0 / 0.75)], rtol=1e-12)


def test_muon_brings_singular_values_near_one() -> None:
    w = nn.Parameter(np.zeros((6, 4)), "float64")
    optimizer = optim.Muon([w], lr=1.0, weight_decay=0.0)
    w.grad = cr.tensor(np.random.default_rng(0).normal(size=(6, 4)))
    optimizer.step()
    values = np.linalg.svd(w.numpy(), compute_uv=False) / np.sqrt(6 / 4)
    assert values.min() > 0.6 and values.max() < 1.3


def test_lamb_moves_each_tensor_by_a_share_of_its_length() -> None:
    w = nn.Parameter([[3.0, 4.0]], "float64")
    optimizer = optim.LAMB([w], lr=0.1, weight_decay=0.0)
    for scale in (1.0, 100.0):
        before = w.numpy().copy()
        w.grad = cr.tensor([[scale, -2.0 * scale]], "float64")
        optimizer.step()
        np.testing.assert_allclose(np.linalg.norm(w.numpy() - before), 0.1 * np.linalg.norm(before), rtol=1e-6)


def test_a_step_can_be_given_a_closure() -> None:
    w = nn.Parameter([2.0])
    optimizer = optim.SGD([w], lr=0.25)

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = (w * w).sum()
        loss.backward()
        return loss

    assert optimizer.step(closure).item() == 4.0
    assert cr.compile(lambda: optimizer.step(closure))().item() == 1.0
    assert w.tolist() == [0.5]
