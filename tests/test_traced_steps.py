"""Training steps as graphs: run again and again, with what they assign fed back, they train as the eager code does.

This is what a compiler relies on, so everything is compared bit by bit: what a step returns, parameters, buffers,
optimizer states, and where the random generator stands. Compiled, they give the same up to rounding.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from chainrule import losses, nn, ops, optim
from chainrule.autodiff import grad
from chainrule.calls import checkpoint
from chainrule.compiled import compile
from chainrule.control import scan
from chainrule.interpret import interpret
from chainrule.optim import Adagrad, Adam, AdamW, RMSprop
from chainrule.random import default_generator, normal, permutation, seed
from chainrule.state import no_grad
from chainrule.tensor import Tensor, tensor
from chainrule.trace import trace
from chainrule.trees import flatten

RNG = np.random.default_rng(0)
X = RNG.normal(size=(32, 5)).astype(np.float32)
Y = RNG.integers(0, 3, 32)
BATCHES = [(X[i : i + 8], Y[i : i + 8]) for i in range(0, 32, 8)]
Step = Callable[..., Any]
Built = tuple[Step, list[Any]]


def network() -> nn.Sequential:
    return nn.Sequential(nn.Linear(5, 8, bias=False), nn.BatchNorm1d(8), nn.Tanh(), nn.Dropout(0.3), nn.Linear(8, 3))


def update(optimizer: optim.Optimizer, loss: Tensor) -> Tensor:
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss


def run_graph(step: Step, calls: list[tuple[Any, ...]]) -> list[Any]:
    """What a step returns at each call, when it is traced once and its graph is run with NumPy."""
    graph = trace(step)(*calls[0])
    graph.verify()
    returned: list[Any] = []
    for arguments in calls:
        results = interpret(graph, [*arguments, *(outside.value for outside, _ in graph.captured)])
        returned += results[: len(graph.outputs)]
        for (outside, _), value in zip(graph.assigned, results[len(graph.outputs) :], strict=True):
            outside.assign(Tensor(outside.type, value))
    return returned


def run_eagerly(step: Step, calls: list[tuple[Any, ...]]) -> list[Any]:
    """What a step returns at each call."""
    return [x.numpy() for arguments in calls for x in flatten(step(*arguments))[0]]


def run_compiled(step: Step, calls: list[tuple[Any, ...]]) -> list[Any]:
    """What a step returns at each call of native code."""
    return run_eagerly(compile(step), calls)


def assert_trains_alike(build: Callable[[], Built], calls: list[tuple[Any, ...]]) -> None:
    outcomes: list[list[Any]] = []
    for run in (run_eagerly, run_graph, run_compiled):
        seed(1)
        step, owners = build()
        given = run(step, calls)
        states = [array for owner in owners for array in owner.state_dict().values()]
        outcomes.append([*given, *states, default_generator().state.numpy().copy()])
    for eager, from_graph, compiled in zip(*outcomes, strict=True):
        np.testing.assert_array_equal(from_graph, eager)
        exact = np.asarray(eager).dtype.kind != "f"
        np.testing.assert_allclose(compiled, eager, rtol=0 if exact else 1e-4, atol=0 if exact else 1e-5)


@pytest.mark.parametrize(
    "optimizer",
    [
        lambda p: optim.SGD(p, 0.1, momentum=0.9, dampening=0.1, weight_decay=0.01),
        lambda p: optim.SGD(p, 0.1, momentum=0.9, nesterov=True),
        lambda p: Adam(p, 0.05, weight_decay=0.01),
        lambda p: AdamW(p, 0.05),
        lambda p: RMSprop(p, 0.01, momentum=0.9, centered=True),
        lambda p: Adagrad(p, 0.1, lr_decay=0.1),
    ],
)
def test_a_step_of_every_optimizer(optimizer: Callable[[Any], optim.Optimizer]) -> None:
    def build() -> Built:
        model = network()
        chosen = optimizer(model.parameters())

        def step(x: Any, y: Any) -> Tensor:
            loss = losses.cross_entropy(model(x), y)
            chosen.zero_grad()
            loss.backward()
            optim.clip_grad_norm(model.parameters(), 0.5)
            chosen.step()
            return loss

        return step, [model, chosen]

    assert_trains_alike(build, BATCHES)


def with_checkpoints(model: nn.Sequential) -> Step:
    front, back = model[:3], model[3:]
    return lambda x, y: losses.cross_entropy(checkpoint(lambda x: back(checkpoint(front)(x)))(x), y)


def with_a_scan(model: nn.Sequential) -> Step:
    part = checkpoint(lambda x, y: losses.cross_entropy(model(x), y))

    def total(x: Any, y: Any) -> Tensor:
        halves = x.reshape(2, 4, 5), y.reshape(2, 4)
        return scan(lambda c, half: (c + part(*half), None), np.float32(0), halves)[0]

    return total


def with_second_derivatives(model: nn.Sequential) -> Step:
    def penalty(x: Any, y: Any) -> Tensor:
        slope = grad(lambda x: losses.cross_entropy(model(x), y))(x)
        return losses.cross_entropy(model(x), y) + (slope * slope).sum()

    return penalty


@pytest.mark.parametrize("loss_of", [with_checkpoints, with_a_scan, with_second_derivatives])
def test_a_step_with(loss_of: Callable[[nn.Sequential], Step]) -> None:
    def build() -> Built:
        model = network()
        optimizer, loss = Adam(model.parameters(), 0.05), loss_of(model)
        return lambda x, y: update(optimizer, loss(x, y)), [model, optimizer]

    assert_trains_alike(build, BATCHES)


def test_several_updates_in_one_step_and_a_look_in_evaluation_mode() -> None:
    def build() -> Built:
        model = network()
        optimizer = Adam(model.parameters(), 0.05)

        def step(x: Any, y: Any) -> Any:
            found = [update(optimizer, losses.cross_entropy(model(x), y)) for _ in range(2)]
            model.eval()
            with no_grad():
                found.append(losses.cross_entropy(model(x), y))
            model.train()
            return found

        return step, [model, optimizer]

    assert_trains_alike(build, BATCHES)


def test_two_models_against_each_other() -> None:
    def build() -> Built:
        maker, judge = nn.Linear(4, 5), nn.Sequential(nn.Linear(5, 8), nn.LeakyReLU(), nn.Linear(8, 1))
        of_maker, of_judge = Adam(maker.parameters(), 0.01), Adam(judge.parameters(), 0.01)

        def step(x: Any, y: Any) -> Any:
            made = maker(normal((8, 4)))
            real, fake = np.ones((8, 1), np.float32), np.zeros((8, 1), np.float32)
            loss = losses.binary_cross_entropy_with_logits
            first = update(of_judge, loss(judge(x), real) + loss(judge(made.detach()), fake))
            return first, update(of_maker, loss(judge(made), real))

        return step, [maker, judge, of_maker, of_judge]

    assert_trains_alike(build, BATCHES)


def test_state_kept_by_hand_a_schedule_and_parameters_changed_in_place() -> None:
    def build() -> Built:
        model, average, count = nn.Linear(5, 3), tensor(np.zeros((3, 5), np.float32)), tensor(0)
        optimizer = optim.SGD([model.weight], 0.1)

        def step(x: Any, y: Any) -> Tensor:
            loss = update(optimizer, losses.cross_entropy(model(x), y))
            with no_grad():
                bias = model.bias
                bias -= 0.1 * bias.grad
                bias.grad = None
            average.assign(0.9 * average + 0.1 * model.weight)
            count.assign(count + 1)
            optimizer.lr = 0.1 / (1.0 + count.cast("float64"))
            return ops.stack([loss, average.sum(), count.cast("float32")])

        return step, [model, optimizer]

    assert_trains_alike(build, BATCHES)


def test_epochs_as_a_scan_of_steps_over_shuffled_batches() -> None:
    def build() -> Built:
        model = network()
        optimizer, rows, labels = Adam(model.parameters(), 0.05), tensor(X), tensor(Y)

        def step(total: Tensor, chosen: Tensor) -> Any:
            return total + update(optimizer, losses.cross_entropy(model(rows[chosen]), labels[chosen])), None

        def epoch(total: Tensor, _: Any) -> Any:
            found, _ = scan(step, total, permutation(32).reshape(4, 8))
            return found, found

        return lambda: scan(epoch, np.float32(0), length=2)[1], [model, optimizer]

    assert_trains_alike(build, [(), ()])
