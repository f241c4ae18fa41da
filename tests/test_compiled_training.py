"""Compiled training: bits do not depend on threads, runs or interruptions, and losses are those of eager training."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule import losses, nn, optim
from chainrule.compiled import compile
from chainrule.random import default_generator, seed
from chainrule.tensor import Tensor
from chainrule.types import Array

Network = Callable[[], nn.Module]


def chain(sizes: list[int], activation: type[nn.Module], *extra: Callable[[int], nn.Module]) -> nn.Sequential:
    layers: list[nn.Module] = []
    for n, m in itertools.pairwise(sizes[:-1]):
        layers += [nn.Linear(n, m), *(make(m) for make in extra), activation()]
    return nn.Sequential(*layers, nn.Linear(sizes[-2], sizes[-1]))


NETWORKS: dict[str, tuple[Network, int]] = {
    "tabular": (lambda: chain([30, 64, 64, 2], nn.ReLU), 32),
    "deep": (lambda: chain([64, *[64] * 20, 10], nn.Tanh), 32),
    "mlp": (lambda: chain([200, 128, 96, 10], nn.ReLU), 96),
    "normalised": (
        lambda: chain([30, 48, 48, 3], nn.GELU, nn.BatchNorm1d, nn.LayerNorm, lambda n: nn.Dropout(0.1)),
        20,
    ),
}


@pytest.fixture(autouse=True)
def as_many_threads_as_before() -> Iterator[None]:
    before = cr.get_threads()
    yield
    cr.set_threads(before)


class Training:
    """A network in training, its data drawn from what is in it to be learned."""

    def __init__(self, name: str, *, compiled: bool = True, lr: float = 1e-3) -> None:
        seed(0)
        make, self.batch = NETWORKS[name]
        self.model = make()
        self.optimizer = optim.AdamW(self.model.parameters(), lr)
        first, *_, last = [x for x in self.model.modules() if isinstance(x, nn.Linear)]
        rng = np.random.default_rng(0)
        self.x = rng.normal(size=(8, self.batch, first.weight.shape[1])).astype(np.float32)
        self.y = (self.x @ rng.normal(size=(first.weight.shape[1], last.weight.shape[0]))).argmax(-1)
        self.step: Callable[[Any, Any], Tensor] = compile(self.update) if compiled else self.update

    def update(self, x: Tensor, y: Tensor) -> Tensor:
        loss = losses.cross_entropy(self.model(x), y)
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        return loss

    def run(self, start: int, stop: int) -> list[float]:
        return [self.step(self.x[i % 8], self.y[i % 8]).item() for i in range(start, stop)]

    def state(self) -> dict[str, Array]:
        found = {**self.model.state_dict(), **self.optimizer.state_dict()}
        return found | {"generator": default_generator().state.numpy().copy()}


def assert_same_bits(first: dict[str, Array], second: dict[str, Array]) -> None:
    assert first.keys() == second.keys()
    for name, value in first.items():
        assert np.asarray(value).tobytes() == np.asarray(second[name]).tobytes(), name


@pytest.mark.parametrize("name", NETWORKS)
def test_fifty_steps_give_the_same_bits_on_any_number_of_threads_and_again(name: str) -> None:
    outcomes: list[tuple[list[float], dict[str, Array]]] = []
    for threads in (1, 2, 4, 2):
        cr.set_threads(threads)
        training = Training(name)
        outcomes.append((training.run(0, 50), training.state()))
    for found, state in outcomes[1:]:
        assert found == outcomes[0][0]
        assert_same_bits(state, outcomes[0][1])


@pytest.mark.parametrize("name", NETWORKS)
def test_training_that_was_stopped_goes_on_with_the_same_bits(name: str) -> None:
    whole = Training(name)
    expected = whole.run(0, 50)
    final = whole.state()
    first = Training(name)
    found = first.run(0, 23)
    model, optimizer, generator = first.model.state_dict(), first.optimizer.state_dict(), first.state()["generator"]
    second = Training(name)
    second.run(0, 1)  # something else, which is then replaced
    second.model.load_state_dict(model)
    second.optimizer.load_state_dict(optimizer)
    default_generator().state.assign(generator)
    found += second.run(23, 50)
    assert found == expected
    assert_same_bits(second.state(), final)


@pytest.mark.parametrize("name", NETWORKS)
def test_losses_are_those_of_eager_training(name: str) -> None:
    # In small steps: at large ones a deep network is chaotic, and a first difference of one bit grows a thousandfold.
    lr = 1e-4 if name == "deep" else 1e-3
    eager = Training(name, compiled=False, lr=lr).run(0, 100)
    found = Training(name, lr=lr).run(0, 100)
    assert eager[-1] < eager[0]
    np.testing.assert_allclose(found, eager, rtol=1e-5, atol=1e-5)


def test_switching_between_compiled_and_eager_steps() -> None:
    mixed, eager = Training("tabular"), Training("tabular", compiled=False)
    expected = eager.run(0, 30)
    found = mixed.run(0, 10)
    compiled, mixed.step = mixed.step, mixed.update
    found += mixed.run(10, 20)
    mixed.step = compiled
    found += mixed.run(20, 30)
    np.testing.assert_allclose(found, expected, rtol=1e-5)
