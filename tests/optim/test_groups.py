"""Groups of parameters: each with its own options, kept in the state, part of compiled steps."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule import nn, optim
from chainrule.errors import DefinitionError, StateError
from chainrule.nn import Parameter
from chainrule.optim import Optimizer
from chainrule.tensor import Tensor, tensor


def parameters(count: int = 3) -> list[Tensor]:
    return [Parameter(np.arange(1.0, i + 2.0), "float64", name=f"w{i}") for i in range(count)]


def stepping(optimizer: Optimizer) -> Callable[[], None]:
    """A step with gradients that are the parameters themselves."""

    def step() -> None:
        optimizer.zero_grad()
        sum((w * w).sum() * 0.5 for w in optimizer.parameters).backward()
        optimizer.step()

    return step


def test_each_group_is_trained_with_its_own_options() -> None:
    a, b, c = parameters()
    optimizer = optim.SGD([{"params": a}, {"params": [b, c], "lr": 0.5, "weight_decay": 1.0}], lr=0.25)
    stepping(optimizer)()
    np.testing.assert_array_equal(a.numpy(), [0.75])
    np.testing.assert_array_equal(b.numpy(), [0.0, 0.0])
    np.testing.assert_array_equal(c.numpy(), [0.0, 0.0, 0.0])
    assert [group["weight_decay"] for group in optimizer.param_groups] == [0.0, 1.0]
    assert [len(group["params"]) for group in optimizer.param_groups] == [1, 2]


def test_named_parameters_keep_their_names() -> None:
    model = nn.Linear(2, 1)
    optimizer = optim.Adam(model.named_parameters())
    assert optimizer.param_groups[0]["param_names"] == ["weight", "bias"]
    assert optimizer.parameters == [model.weight, model.bias]


def test_a_group_can_be_added_after_steps() -> None:
    a, b = parameters(2)
    optimizer = optim.SGD([a], lr=0.5, momentum=0.5)
    step = stepping(optimizer)
    step()
    optimizer.add_param_group({"params": [b], "momentum": 0.0})
    step()
    np.testing.assert_array_equal(a.numpy(), [0.5 - 0.5 * (0.5 + 0.5)])
    np.testing.assert_array_equal(b.numpy(), [0.5, 1.0])


def test_a_compiled_step_follows_every_rate_without_a_new_trace() -> None:
    a, b = parameters(2)
    optimizer = optim.SGD([{"params": [a]}, {"params": [b], "lr": 0.5}], lr=0.25)
    step = cr.compile(stepping(optimizer))
    step()
    for group in optimizer.param_groups:
        group["lr"] = 1.0
    step()
    assert a.tolist() == [0.0] and b.tolist() == [0.0, 0.0]
    assert sum(map(len, step.variants.values())) == 1


def test_a_rate_can_be_set_within_a_compiled_step() -> None:
    [a] = parameters(1)
    optimizer = optim.SGD([a], lr=0.5)

    @cr.compile
    def step() -> None:
        stepping(optimizer)()
        optimizer.param_groups[0]["lr"] = optimizer.param_groups[0]["lr"] * 0.5

    step()
    step()
    assert a.tolist() == [0.375] and optimizer.lr == 0.125


def test_another_option_that_is_set_means_a_new_trace_and_counts_at_once() -> None:
    [a] = parameters(1)
    optimizer = optim.SGD([a], lr=0.5)
    step = cr.compile(stepping(optimizer))
    step()
    optimizer.param_groups[0]["weight_decay"] = 1.0
    step()
    assert a.tolist() == [0.0]
    assert sum(map(len, step.variants.values())) == 2
    optimizer.param_groups[0]["weight_decay"] = 1.0  # as it is: nothing to be done
    step()
    assert sum(map(len, step.variants.values())) == 2


def test_a_group_that_is_added_means_a_new_trace() -> None:
    a, b = parameters(2)
    optimizer = optim.SGD([a], lr=0.5)
    step = cr.compile(stepping(optimizer))
    step()
    optimizer.add_param_group({"params": [b]})
    step()
    assert a.tolist() == [0.25] and b.tolist() == [0.5, 1.0]


def test_an_option_given_as_a_tensor_changes_without_a_new_trace() -> None:
    [a] = parameters(1)
    optimizer = optim.SGD([a], lr=0.5, momentum=tensor(0.0))
    step = cr.compile(stepping(optimizer))
    step()
    optimizer.param_groups[0]["momentum"] = 0.5
    step()
    assert a.tolist() == [0.0]
    assert sum(map(len, step.variants.values())) == 1
    assert [*optimizer.state_dict()] == ["lr", "momentum", "0.momentum_buffer"]


def test_momentum_that_is_set_later_gets_its_state() -> None:
    [a] = parameters(1)
    optimizer = optim.SGD([a], lr=0.5)
    stepping(optimizer)()
    optimizer.param_groups[0]["momentum"] = 0.5
    assert [*optimizer.state[0]] == ["momentum_buffer"]
    stepping(optimizer)()
    assert a.tolist() == [0.25]


def test_the_state_names_the_rates_of_all_groups() -> None:
    a, b = parameters(2)
    state = optim.SGD([{"params": [a]}, {"params": [b], "lr": 0.5}], lr=0.25, momentum=0.9).state_dict()
    assert [*state] == ["groups", "lr", "lr.1", "0.momentum_buffer", "1.momentum_buffer"]
    assert state["groups"].tolist() == [1, 1] and state["lr.1"] == 0.5


def test_a_saved_optimizer_with_groups_goes_on_bit_for_bit() -> None:
    def make(lr: float) -> Optimizer:
        a, b, c = parameters()
        return optim.AdamW([{"params": [a]}, {"params": [b, c], "lr": 10 * lr}], lr=lr)

    first, second = make(0.1), make(0.2)
    stepping(first)()
    second.load_state_dict(first.state_dict())
    for x, y in zip(first.parameters, second.parameters, strict=True):
        y.assign(x)
    stepping(first)()
    stepping(second)()
    for x, y in zip(first.parameters, second.parameters, strict=True):
        np.testing.assert_array_equal(x.numpy(), y.numpy())


def test_a_state_of_other_groups_is_refused_and_loads_nothing() -> None:
    a, b, c = parameters()
    state = optim.SGD([{"params": [a, b]}, {"params": [c]}], lr=0.5).state_dict()
    optimizer = optim.SGD([{"params": [a]}, {"params": [b, c]}], lr=0.25)
    with pytest.raises(StateError, match=r"\[2, 1\] parameters in the groups of the state, \[1, 2\] here"):
        optimizer.load_state_dict(state)
    with pytest.raises(StateError, match=r"unexpected  groups: int64\[2\]\n  unexpected  lr\.1"):
        optim.SGD([a, b, c]).load_state_dict(state)
    with pytest.raises(StateError, match=r"missing     lr\.1"):
        optimizer.load_state_dict(optim.SGD([a, b, c]).state_dict())
    assert [group["lr"].item() for group in optimizer.param_groups] == [0.25, 0.25]


def test_a_wrong_option_leaves_the_group_as_it_was() -> None:
    [a] = parameters(1)
    group = optim.SGD([a], lr=0.5, momentum=0.9, nesterov=True).param_groups[0]
    for name, value in [("momentum", -1.0), ("momentum", 0.0), ("lr", -1.0), ("lr", float("nan"))]:
        with pytest.raises(DefinitionError):
            group[name] = value
    assert group["momentum"] == 0.9 and group["lr"].item() == 0.5


def test_repr_shows_all_rates() -> None:
    a, b = parameters(2)
    assert repr(optim.SGD([{"params": [a]}, {"params": [b], "lr": 1}], lr=0.5)) == "SGD(lr=[0.5, 1], 3 parameters)"


A, B = parameters(2)


def traced_setting() -> None:
    optimizer = optim.SGD([A], lr=0.5, momentum=0.5)

    @cr.compile
    def step() -> None:
        optimizer.param_groups[0]["momentum"] = optimizer.learning_rate * 0.5

    step()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: optim.SGD([{"lr": 0.1}]), 'SGD: a group must be a dict with the key "params"'),
        (lambda: optim.SGD({"params": [A]}), "a list of parameters is needed"),
        (lambda: optim.SGD([{"params": []}]), "there are no parameters to train"),
        (lambda: optim.SGD([{"params": [A], "weight_decy": 0.1}]), "no option 'weight_decy'; there are lr, momentum, "),
        (lambda: optim.SGD([{"params": [A]}, {"params": [A]}]), "the parameter w0 is in more than one group"),
        (lambda: optim.SGD([{"params": [A], "momentum": -1}]), "momentum must be"),
        (lambda: optim.Adam([{"params": [A], "betas": (0.9,)}]), r"betas must be 2 numbers, not \(0\.9,\)"),
        (lambda: optim.Adam([A], betas=0.9), "betas must be 2 numbers"),
        (lambda: optim.Adam([A], amsgrad=1), "amsgrad must be True or False, not 1"),
        (lambda: optim.SGD([A]).param_groups[0].update(params=[B]), "add_param_group takes further ones"),
        (lambda: optim.SGD([{"params": [A]}, {"params": [B]}]).lr, "SGD has 2 groups of parameters"),
        (lambda: setattr(optim.SGD([{"params": [A]}, {"params": [B]}]), "lr", 1.0), "SGD has 2 groups of parameters"),
        (traced_setting, r"momentum is a number and a constant .* momentum=chainrule\.tensor"),
    ],
)
def test_bad_groups_are_refused(make: Callable[[], Any], message: str) -> None:
    with pytest.raises(DefinitionError, match=message):
        make()


def test_a_group_that_is_refused_is_not_added() -> None:
    optimizer = optim.Muon([Parameter([[1.0]])])
    with pytest.raises(DefinitionError, match=r"only matrices can be made orthogonal, not w1 f64\[2\]"):
        optimizer.add_param_group({"params": [B]})
    assert len(optimizer.param_groups) == len(optimizer.parameters) == len(optimizer.state) == 1
