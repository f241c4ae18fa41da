"""L-BFGS finds minima, its line search keeps the Wolfe conditions, and its memory can be saved."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule import optim
from chainrule.errors import DefinitionError, StateError, TraceError
from chainrule.nn import Parameter
from chainrule.optim.line_search import Point, strong_wolfe
from chainrule.tensor import Tensor
from chainrule.types import Array


def rosenbrock(w: Tensor) -> Tensor:
    return (1.0 - w[0]) ** 2 + 100.0 * (w[1] - w[0] ** 2) ** 2


def problem(**options: Any) -> tuple[Tensor, optim.LBFGS, Callable[[], Tensor], list[float]]:
    w = Parameter([-1.2, 1.0], "float64")
    optimizer = optim.LBFGS([w], **options)
    seen: list[float] = []

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = rosenbrock(w)
        loss.backward()
        seen.append(loss.item())
        return loss

    return w, optimizer, closure, seen


def test_a_hard_valley_is_descended_to_its_end() -> None:
    w, optimizer, closure, seen = problem(line_search_fn="strong_wolfe", max_iter=60)
    assert optimizer.step(closure).item() == seen[0]
    np.testing.assert_allclose(w.numpy(), [1.0, 1.0], atol=1e-4)
    assert len(seen) < 75 and optimizer.memory.evaluations == len(seen)


def test_a_square_bowl_is_solved_in_as_many_steps_as_it_has_axes() -> None:
    rng = np.random.default_rng(0)
    half = rng.normal(size=(4, 4))
    bowl, low = half @ half.T + np.eye(4), rng.normal(size=4)
    w = Parameter(np.zeros(4), "float64")
    optimizer = optim.LBFGS([w], line_search_fn="strong_wolfe", max_iter=30, tolerance_change=0.0)

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = (w - low) @ bowl @ (w - low)
        loss.backward()
        return loss

    optimizer.step(closure)
    np.testing.assert_allclose(w.numpy(), low, atol=1e-7)


def test_the_first_step_without_a_search_is_along_minus_the_gradient() -> None:
    w = Parameter([3.0, -1.0], "float64")
    optimizer = optim.LBFGS([w], lr=0.5, max_iter=1)

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = (w * w).sum()
        loss.backward()
        return loss

    optimizer.step(closure)  # gradient (6, -2), whose elements add up to 8
    np.testing.assert_allclose(w.numpy(), [3.0 - 0.5 * 6 / 8, -1.0 + 0.5 * 2 / 8])


def test_a_compiled_closure_returns_its_gradients() -> None:
    w, _, closure, _ = problem(line_search_fn="strong_wolfe")
    twin = Parameter(w.numpy().copy(), "float64")
    first, second = (optim.LBFGS([x], line_search_fn="strong_wolfe") for x in (w, twin))

    @cr.compile
    def compiled() -> tuple[Tensor, list[Tensor | None]]:
        second.zero_grad()
        loss = rosenbrock(twin)
        loss.backward()
        return loss, [twin.grad]

    first.step(closure)
    second.step(compiled)
    np.testing.assert_allclose(twin.numpy(), w.numpy(), rtol=1e-6)
    assert sum(map(len, compiled.variants.values())) == 1


def test_a_float32_parameter_stays_float32() -> None:
    w = Parameter([3.0], "float32")
    optimizer = optim.LBFGS([w])

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = ((w - 1.0) ** 2).sum()
        loss.backward()
        return loss

    optimizer.step(closure)
    assert w.dtype is cr.float32
    np.testing.assert_allclose(w.numpy(), [1.0], atol=1e-4)


@pytest.mark.parametrize("history_size", [100, 2])
def test_a_saved_memory_goes_on_bit_for_bit(history_size: int) -> None:
    w, optimizer, closure, _ = problem(max_iter=4, history_size=history_size, lr=0.1)
    twin, other, again, _ = problem(max_iter=4, history_size=history_size)
    optimizer.step(closure)
    twin.assign(w)
    other.load_state_dict(optimizer.state_dict())
    optimizer.step(closure)
    other.step(again)
    np.testing.assert_array_equal(twin.numpy(), w.numpy())
    assert other.lr == 0.1 and len(other.memory.changes) <= history_size


def test_a_memory_of_other_parameters_is_refused() -> None:
    _, optimizer, closure, _ = problem()
    optimizer.step(closure)
    other = optim.LBFGS([Parameter([1.0], "float64")])
    with pytest.raises(StateError, match=r"shape       d: \[2\] in the state, \[1\] here"):
        other.load_state_dict(optimizer.state_dict())
    assert other.memory.iterations == 0


@pytest.mark.parametrize("length", [1e-3, 0.1, 1.0, 50.0])
def test_the_line_search_ends_where_the_wolfe_conditions_hold(length: float) -> None:
    def loss(t: float) -> Point:
        return Point(t, -t / (t * t + 2.0), np.zeros(1), (t * t - 2.0) / (t * t + 2.0) ** 2)

    start = loss(0.0)
    point, count = strong_wolfe(loss, start, length, 1.0, 1e-9, 25)
    assert point.loss <= start.loss + 1e-4 * point.at * start.slope
    assert abs(point.slope) <= 0.9 * abs(start.slope)
    assert 1 <= count <= 15


def test_a_line_search_that_runs_out_of_tries_returns_the_best_point() -> None:
    tried: list[float] = []

    def loss(t: float) -> Point:
        tried.append(t)
        gradient: Array = np.zeros(1)
        return Point(t, -t, gradient, -1.0)  # falls for ever

    point, count = strong_wolfe(loss, loss(0.0), 1.0, 1.0, 1e-9, 3)
    assert count == 4 and point.at == max(tried)


W = Parameter([1.0])


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: optim.LBFGS([W], line_search_fn="armijo"), DefinitionError, "line_search_fn must be one of None"),
        (lambda: optim.LBFGS([W], max_iter=0), DefinitionError, "max_iter must be"),
        (lambda: optim.LBFGS([{"params": [W]}, {"params": [Parameter(1.0)]}]), DefinitionError, "one group"),
        (lambda: optim.LBFGS([W]).step(), DefinitionError, "step needs a closure"),
        (lambda: cr.compile(lambda: optim.LBFGS([W]).step(lambda: W.sum()))(), TraceError, "compile the closure"),
    ],
)
def test_bad_uses_are_refused(call: Callable[[], Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        call()
