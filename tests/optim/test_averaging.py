"""Averages of weights: what they are, in compiled steps, with buffers, saved, and batch statistics computed anew."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule import losses, nn, ops, optim
from chainrule.errors import DefinitionError
from chainrule.optim import AveragedModel, ExponentialMovingAverage, update_bn
from chainrule.tensor import Tensor

X = np.random.default_rng(0).normal(size=(6, 3)).astype(np.float32)
Y = np.array([0, 1, 0, 1, 1, 0])


def network() -> nn.Sequential:
    return nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 2))


def flat(model: nn.Module) -> Any:
    return np.concatenate([np.ravel(x.numpy()) for x in model.parameters()])


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize(
    ("make", "weigh"),
    [
        (AveragedModel, lambda seen: np.mean(seen, axis=0)),
        (lambda m: ExponentialMovingAverage(m, 0.75), lambda seen: np.array([0.75**2, 0.1875, 0.25]) @ np.array(seen)),
        (lambda m: AveragedModel(m, lambda a, x, n: ops.maximum(a, x)), lambda seen: np.max(seen, axis=0)),
    ],
)
def test_an_average_is_kept_by_training_steps(make: Callable[..., AveragedModel], weigh: Any, compiled: bool) -> None:
    model = network()
    average, optimizer = make(model), optim.SGD(model.parameters(), lr=0.5)

    def step() -> Tensor:
        loss = losses.cross_entropy(model(X), Y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        average.update_parameters(model)
        return loss

    run, seen = cr.compile(step) if compiled else step, []
    for _ in range(3):
        run()
        seen.append(flat(model))
    np.testing.assert_allclose(flat(average.module), weigh(seen), rtol=1e-5, atol=1e-6)
    assert average.n_averaged.item() == 3
    np.testing.assert_array_equal(average.module[1].running_mean.numpy(), model[1].running_mean.numpy())


def test_buffers_are_averaged_if_asked_for() -> None:
    model = network()
    average = AveragedModel(model, use_buffers=True)
    for value in (1.0, 3.0):
        model[1].running_mean.assign(np.full(4, value, np.float32))
        average.update_parameters(model)
    assert average.module[1].running_mean.tolist() == [2.0] * 4


def test_the_model_and_its_copy_share_nothing() -> None:
    model = nn.Linear(2, 1)
    average = ExponentialMovingAverage(model)
    before = average.module.weight.tolist()
    model.weight.assign(model.weight + 1.0)
    assert average.module.weight.tolist() == before
    assert average(np.zeros((1, 2), np.float32)).shape == (1, 1)


def test_a_saved_average_goes_on() -> None:
    model = nn.Linear(2, 1)
    first, second = AveragedModel(model), AveragedModel(nn.Linear(2, 1))
    first.update_parameters(model)
    second.load_state_dict(first.state_dict())
    assert [*first.state_dict()] == ["module.weight", "module.bias", "n_averaged"]
    model.weight.assign(model.weight + 1.0)
    first.update_parameters(model)
    second.update_parameters(model)
    np.testing.assert_array_equal(first.module.weight.numpy(), second.module.weight.numpy())


def test_a_bfloat16_parameter_is_averaged_in_float32() -> None:
    model = nn.Linear(1, 1, bias=False, dtype="bfloat16")
    average = AveragedModel(model)
    for value in (1.0, 2.0):
        model.weight.assign(cr.tensor([[value]], "bfloat16"))
        average.update_parameters(model)
    assert average.module.weight.tolist() == [[1.5]]


def test_batch_statistics_are_the_means_over_a_pass() -> None:
    model = network()
    model[0].eval()
    model[1].running_mean.assign(np.full(4, 9.0, np.float32))
    batches = [X[:3], X[3:]]
    hidden = [batch @ model[0].weight.numpy().T + model[0].bias.numpy() for batch in batches]
    update_bn([(batch, Y) for batch in batches], model)
    np.testing.assert_allclose(
        model[1].running_mean.numpy(), np.mean([h.mean(0) for h in hidden], 0), rtol=1e-5, atol=1e-6
    )
    np.testing.assert_allclose(model[1].running_var.numpy(), np.mean([h.var(0, ddof=1) for h in hidden], 0), rtol=1e-5)
    assert model[1].momentum == 0.1 and model.training and not model[0].training
    update_bn(iter([]), nn.Linear(2, 1))


def test_another_model_is_refused() -> None:
    average = AveragedModel(nn.Linear(2, 1))
    with pytest.raises(DefinitionError, match=r"not the one that was copied; look at bias: f32\[1\]"):
        average.update_parameters(nn.Linear(2, 1, bias=False))
    with pytest.raises(DefinitionError, match="decay must be"):
        ExponentialMovingAverage(nn.Linear(2, 1), decay=1.5)
