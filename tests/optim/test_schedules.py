"""Schedules: rates worked out by hand, the same in compiled steps, which are never traced anew, and errors."""

from __future__ import annotations

from collections.abc import Callable
from math import cos, pi
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule import optim
from chainrule.errors import DefinitionError, StateError
from chainrule.nn import Parameter
from chainrule.optim import LRScheduler, Optimizer

Make = Callable[[Optimizer], LRScheduler]


def optimizer_of(kind: Callable[..., Optimizer] = optim.SGD, **options: Any) -> Optimizer:
    groups = [{"params": Parameter([1.0])}, {"params": Parameter([1.0]), "lr": 2.0}]
    return kind(groups, lr=1.0, **options)


def on_cosine(t: float, high: float = 1.0, low: float = 0.0) -> float:
    return low + (high - low) * (1 + cos(pi * t)) / 2


# The rates of steps 0, 1, ... of a group whose rate is 1.
BY_HAND: list[tuple[str, Make, list[float]]] = [
    ("lambda", lambda o: optim.LambdaLR(o, lambda t: 1.0 / (1 + t)), [1, 1 / 2, 1 / 3, 1 / 4]),
    ("multiplicative", lambda o: optim.MultiplicativeLR(o, lambda t: 1.0 / t), [1, 1, 1 / 2, 1 / 6]),
    ("step", lambda o: optim.StepLR(o, 2, 0.5), [1, 1, 0.5, 0.5, 0.25]),
    ("multi-step", lambda o: optim.MultiStepLR(o, [1, 3, 3], 0.5), [1, 0.5, 0.5, 0.125, 0.125]),
    ("multi-step from 0", lambda o: optim.MultiStepLR(o, [0, 2], 0.5), [0.5, 0.5, 0.25]),
    ("constant", lambda o: optim.ConstantLR(o, 0.25, 2), [0.25, 0.25, 1, 1]),
    ("linear", lambda o: optim.LinearLR(o, 0.2, 1.0, 4), [0.2, 0.4, 0.6, 0.8, 1, 1]),
    ("linear to zero", lambda o: optim.LinearLR(o, 1.0, 0.0, 2), [1, 0.5, 0, 0]),
    ("exponential", lambda o: optim.ExponentialLR(o, 0.5), [1, 0.5, 0.25, 0.125]),
    ("polynomial", lambda o: optim.PolynomialLR(o, 4, 2.0), [1, 9 / 16, 1 / 4, 1 / 16, 0, 0]),
    ("cosine", lambda o: optim.CosineAnnealingLR(o, 3, 0.1), [on_cosine(t / 3, 1.0, 0.1) for t in range(10)]),
    (
        "restarts",
        lambda o: optim.CosineAnnealingWarmRestarts(o, 2, eta_min=0.5),
        [1, 0.75, 1, 0.75, 1],
    ),
    (
        "longer restarts",
        lambda o: optim.CosineAnnealingWarmRestarts(o, 1, 2),
        [1, 1, 0.5, *(on_cosine(t / 4) for t in range(4)), *(on_cosine(t / 8) for t in range(8)), 1],
    ),
    (
        "one cycle",
        lambda o: optim.OneCycleLR(
            o, 4.0, 8, pct_start=0.5, anneal_strategy="linear", div_factor=4, final_div_factor=2
        ),
        [1, 2, 3, 4, 3.125, 2.25, 1.375, 0.5],
    ),
    (
        "one cycle in three phases",
        lambda o: optim.OneCycleLR(o, 4.0, 6, pct_start=0.5, div_factor=4, final_div_factor=2, three_phase=True),
        [1, 2.5, 4, 2.5, 1, 0.5],
    ),
    ("cycles", lambda o: optim.CyclicLR(o, 1.0, 3.0, 2, 4), [1, 2, 3, 2.5, 2, 1.5, 1, 2, 3]),
    ("lower cycles", lambda o: optim.CyclicLR(o, 1.0, 3.0, 1, mode="triangular2"), [1, 3, 1, 2, 1, 1.5, 1]),
    ("fading cycles", lambda o: optim.CyclicLR(o, 1.0, 3.0, 1, mode="exp_range", gamma=0.5), [1, 2, 1, 1.25]),
    ("own cycles", lambda o: optim.CyclicLR(o, 1.0, 3.0, 1, scale_fn=lambda n: 2.0 / n), [1, 5, 1, 3, 1]),
    ("averaging", lambda o: optim.SWALR(o, 0.2, 4, "linear"), [1, 0.8, 0.6, 0.4, 0.2, 0.2]),
    ("averaging at once", lambda o: optim.SWALR(o, 0.2, 0), [0.2, 0.2]),
    (
        "chained",
        lambda o: optim.ChainedScheduler([optim.ConstantLR(o, 0.5, 2), optim.StepLR(o, 1, 0.5)]),
        [0.5, 0.25, 0.25, 0.125],
    ),
    (
        "one after the other",
        lambda o: optim.SequentialLR(o, [optim.LinearLR(o, 0.25, total_iters=3), optim.ExponentialLR(o, 0.5)], [3]),
        [0.25, 0.5, 0.75, 1, 0.5, 0.25],
    ),
    (
        "in each other",
        lambda o: optim.ChainedScheduler(
            [
                optim.SequentialLR(o, [optim.ConstantLR(o, 0.5, 9), optim.ConstantLR(o, 0.25, 2)], [2]),
                optim.MultiStepLR(o, [3], 0.5),
            ]
        ),
        [0.5, 0.5, 0.25, 0.125, 0.5],
    ),
]
every = pytest.mark.parametrize(("make", "rates"), [x[1:] for x in BY_HAND], ids=[x[0] for x in BY_HAND])


@every
def test_the_rates_are_those_worked_out_by_hand(make: Make, rates: list[float]) -> None:
    optimizer = optimizer_of(momentum=0.9)
    scheduler, seen = make(optimizer), []
    for _ in rates:
        seen.append(scheduler.get_last_lr()[0])
        scheduler.step()
    np.testing.assert_allclose(seen, rates, rtol=1e-12, atol=1e-15)


@every
def test_a_compiled_step_goes_the_same_way_and_is_traced_once(make: Make, rates: list[float]) -> None:
    first, second = optimizer_of(momentum=0.9), optimizer_of(momentum=0.9)
    eager, traced = make(first), make(second)

    @cr.compile
    def step() -> None:
        for x in second.parameters:
            x.grad = x * 0.5
        second.step()
        traced.step()

    for _ in rates[1:]:
        for x in first.parameters:
            x.grad = x * 0.5
        first.step()
        eager.step()
        step()
        np.testing.assert_allclose(traced.get_last_lr(), eager.get_last_lr(), rtol=1e-12, atol=1e-15)
    for x, y in zip(first.parameters, second.parameters, strict=True):
        np.testing.assert_allclose(y.numpy(), x.numpy(), rtol=1e-5)
    assert sum(map(len, step.variants.values())) == 1
    assert traced.last_epoch.item() == len(rates) - 1


@every
def test_a_saved_schedule_goes_on_bit_for_bit(make: Make, rates: list[float]) -> None:
    first, second = optimizer_of(momentum=0.9), optimizer_of(momentum=0.9)
    one, other = make(first), make(second)
    one.step()
    other.load_state_dict(one.state_dict())
    second.load_state_dict(first.state_dict())
    for _ in rates[2:]:
        one.step()
        other.step()
    assert one.get_last_lr() == other.get_last_lr()
    assert repr(one) == repr(other)


def test_every_group_goes_from_its_own_rate() -> None:
    optimizer = optimizer_of()
    optim.LinearLR(optimizer, 0.5, total_iters=2).step()
    np.testing.assert_allclose([group["lr"].item() for group in optimizer.param_groups], [0.75, 1.5])
    optimizer = optimizer_of()
    scheduler = optim.LambdaLR(optimizer, [lambda t: 0.5**t, lambda t: 1.0])
    scheduler.step()
    assert scheduler.get_last_lr() == [0.5, 2.0]


def test_own_changes_of_the_rate_are_kept() -> None:
    optimizer = optimizer_of()
    scheduler = optim.ExponentialLR(optimizer, 0.5)
    optimizer.param_groups[0]["lr"] = 8.0
    scheduler.step()
    assert scheduler.get_last_lr() == [4.0, 1.0]


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("kind", [optim.SGD, optim.RMSprop, optim.Adam])
def test_the_momentum_goes_against_the_rate(kind: Any, compiled: bool) -> None:
    optimizer = optimizer_of(kind)
    scheduler, seen = optim.OneCycleLR(optimizer, 1.0, 7, pct_start=3 / 7, base_momentum=0.5, max_momentum=0.9), []
    step = cr.compile(scheduler.step) if compiled else scheduler.step
    for _ in range(7):
        group = optimizer.param_groups[1]
        seen.append((group["betas"][0] if kind is optim.Adam else group["momentum"]).item())
        step()
    np.testing.assert_allclose(seen, [0.9, 0.7, 0.5, *(on_cosine(t / 4, 0.5, 0.9) for t in range(1, 5))], rtol=1e-12)
    assert "momentum" in optimizer.state_dict() or "beta1" in optimizer.state_dict()


def test_a_cycled_momentum_reaches_a_step_that_was_compiled_before() -> None:
    w = Parameter([0.0], "float64")
    optimizer = optim.SGD([w], lr=1.0)

    @cr.compile
    def step() -> None:
        w.grad = cr.tensor([1.0], "float64")
        optimizer.step()

    step()
    optim.CyclicLR(optimizer, 1.0, 1.0, base_momentum=0.5, max_momentum=0.5)
    step()
    step()
    assert w.tolist() == [-1.0 - 1.0 - 1.5]


def test_a_schedule_is_part_of_an_epoch() -> None:
    w = Parameter([0.0], "float64")
    optimizer = optim.SGD([w], lr=1.0)
    scheduler = optim.ExponentialLR(optimizer, 0.5)

    @cr.compile
    def step(x: Any) -> Any:
        w.grad = x
        optimizer.step()
        scheduler.step()
        return w

    seen = cr.epoch(step, [np.ones(4)], [0, 1, 2, 3], batch_size=1)
    assert seen[:, 0].tolist() == [-1.0, -1.5, -1.75, -1.875]
    assert optimizer.lr == 1 / 16 and scheduler.last_epoch.item() == 4


def test_long_restarts_begin_at_exact_steps() -> None:
    optimizer = optimizer_of()
    scheduler = optim.CosineAnnealingWarmRestarts(optimizer, 3, 3)
    scheduler.last_epoch.assign(3 * (3**20 - 1) // 2 - 1)
    scheduler.step()
    assert scheduler.get_last_lr() == [1.0, 2.0]


def test_a_cycle_that_is_over_says_so() -> None:
    scheduler = optim.OneCycleLR(optimizer_of(momentum=0.9), 1.0, 2)
    scheduler.step()
    scheduler.step()
    with pytest.raises(DefinitionError, match="the cycle of 2 steps is over"):
        scheduler.step()


def test_a_state_that_does_not_fit_is_refused() -> None:
    scheduler = optim.StepLR(optimizer_of(), 2)
    state = scheduler.state_dict()
    assert [*state] == ["last_epoch", "base_lr.0", "base_lr.1"]
    del state["base_lr.1"]
    with pytest.raises(
        StateError, match=r"the state does not fit StepLR; nothing was loaded\n  missing     base_lr\.1"
    ):
        scheduler.load_state_dict(state | {"last_epoch": np.array(7)})
    assert scheduler.last_epoch.item() == 0


def added_later() -> None:
    optimizer = optimizer_of()
    scheduler = optim.StepLR(optimizer, 2)
    optimizer.add_param_group({"params": Parameter([1.0])})
    scheduler.step()


GIVEN = optimizer_of()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: optim.StepLR(Parameter([1.0]), 2), "StepLR: an optimizer is needed, not tensor"),
        (lambda: optim.StepLR(GIVEN, 0), "step_size must be a whole number of at least 1"),
        (lambda: optim.ConstantLR(GIVEN, 0.0), "factor must be above 0"),
        (lambda: optim.ConstantLR(GIVEN, 1.5), "factor must be a number of at least 0 and at most 1"),
        (lambda: optim.LinearLR(GIVEN, 0.0), "start_factor must be above 0"),
        (lambda: optim.MultiStepLR(GIVEN, [-1]), "a milestone must be a whole number of at least 0"),
        (lambda: optim.LambdaLR(GIVEN, [abs]), "lr_lambda has 1 values for 2 groups"),
        (lambda: optim.LambdaLR(GIVEN, 0.5), "LambdaLR: lr_lambda must be a function of the step, not 0.5"),
        (lambda: optim.OneCycleLR(GIVEN, 1.0), "either total_steps is needed, or epochs and steps_per_epoch"),
        (
            lambda: optim.OneCycleLR(GIVEN, 1.0, 9, anneal_strategy="sine"),
            "anneal_strategy must be one of 'cos', 'linear'",
        ),
        (lambda: optim.OneCycleLR(optimizer_of(optim.Adagrad), 1.0, 9), "Adagrad has neither momentum nor betas"),
        (lambda: optim.CyclicLR(GIVEN, 1.0, 2.0, mode="square"), "mode must be one of 'triangular'"),
        (lambda: optim.SequentialLR(GIVEN, [optim.StepLR(GIVEN, 2)], [3]), "1 schedules need one milestone less"),
        (lambda: optim.SequentialLR(GIVEN, [optim.StepLR(optimizer_of(), 2)], []), "must be of one optimizer"),
        (lambda: optim.ChainedScheduler([]), "an optimizer is needed, not None"),
        (lambda: optim.ChainedScheduler([optim.ReduceLROnPlateau(GIVEN)]), "ReduceLROnPlateau cannot be combined"),
        (lambda: LRScheduler(GIVEN).step(), "LRScheduler has no rate method"),
        (added_later, "made for 2 groups of parameters, and now there are 3"),
    ],
)
def test_bad_schedules_are_refused(make: Callable[[], Any], message: str) -> None:
    with pytest.raises(DefinitionError, match=message):
        make()
