"""State of compiled functions: what they read from outside, and what they change."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule.compiled import compile
from chainrule.random import Generator
from chainrule.tensor import Tensor, as_tensor, tensor

RNG = np.random.default_rng(0)


def numbers(x: Any) -> Any:
    return x.numpy().tolist()


def test_tensors_from_outside_are_read_anew_and_changed() -> None:
    w, seen = tensor([1.0, 2.0]), tensor(3.0)

    @compile
    def step(x: Tensor) -> Tensor:
        w.assign(w + seen * x)
        return w * 1.0

    assert numbers(step(np.float32(1.0))) == [4.0, 5.0]
    seen.assign(10.0)
    assert numbers(step(np.float32(1.0))) == [14.0, 15.0] == numbers(w)
    w.assign([0.0, 1.0])
    assert numbers(step(np.float32(2.0))) == [20.0, 21.0] == numbers(w)


def test_a_tensor_may_be_assigned_without_being_read() -> None:
    last = tensor(np.zeros(3))
    keep = compile(lambda x: last.assign(x * 2.0))
    for value in (1.0, 2.0):
        assert keep(np.full(3, value)) is None
        assert numbers(last) == [2 * value] * 3


def test_tensors_can_be_swapped_and_turned() -> None:
    a, b, square = tensor([1.0, 2.0]), tensor([3.0, 4.0]), tensor(np.arange(10_000.0).reshape(100, 100))

    @compile
    def swap() -> Any:
        x = a.detach()
        a.assign(b)
        b.assign(x)
        square.assign(square.T)
        return a * 1.0, b * 1.0

    for n in range(3):
        first, second = swap()
        assert [numbers(first), numbers(second)] == [numbers(a), numbers(b)]
        assert numbers(a) == ([3.0, 4.0] if n % 2 == 0 else [1.0, 2.0])
        plain = np.arange(10_000.0).reshape(100, 100)
        np.testing.assert_array_equal(square.numpy(), plain.T if n % 2 == 0 else plain)


def test_each_element_is_read_before_it_is_changed() -> None:
    x = tensor(np.arange(1000.0))

    @compile
    def roll() -> Tensor:
        old = x * 1.0
        x.assign(cr.concat([x[1:], x[:1]]))
        return old + x

    for n in range(2):
        np.testing.assert_array_equal(
            roll().numpy(), np.roll(np.arange(1000.0), -n) + np.roll(np.arange(1000.0), -n - 1)
        )


def test_what_was_assigned_from_a_tensor_stays_when_that_one_changes() -> None:
    a, b = tensor(np.zeros(3)), tensor(np.zeros(3))
    step = compile(lambda: a.assign(a + 1.0))
    step()
    b.assign(a)
    step()
    assert (numbers(a), numbers(b)) == ([2.0] * 3, [1.0] * 3)


def test_the_users_array_stays_as_it_is() -> None:
    value = np.zeros(3)
    a = as_tensor(value)
    step = compile(lambda: a.assign(a + 1.0))
    step()
    assert value.tolist() == [0.0] * 3 and numbers(a) == [1.0] * 3


@pytest.mark.parametrize("size", [3, 200])
def test_a_tensor_that_changes_may_be_an_argument(size: int) -> None:
    w = tensor(np.eye(size))

    @compile
    def late(x: Tensor) -> Tensor:
        w.assign(w * 2.0)
        twice = w @ w
        return (twice * 0.0 + x) @ twice

    late(np.eye(size))
    assert (late(w).numpy() == 32.0 * np.eye(size)).all() and (w.numpy() == 4.0 * np.eye(size)).all()


def test_several_functions_share_what_they_change() -> None:
    a = tensor(np.arange(3.0))
    add, double = compile(lambda: a.assign(a + 1.0)), compile(lambda: a.assign(a * 2.0))
    expected = np.arange(3.0)
    for _ in range(3):
        add()
        double()
        expected = (expected + 1) * 2
    assert numbers(a) == expected.tolist()


def test_generators_go_on_as_they_do_eagerly() -> None:
    eager, compiled = Generator(seed=3), Generator(seed=3)

    def draw(generator: Generator) -> Any:
        return generator.normal((5,)), generator.randint(0, 9, (4,)), generator.permutation(7), generator.uniform((2,))

    function = compile(lambda: draw(compiled))
    for _ in range(3):
        for x, y in zip(function(), draw(eager), strict=True):
            np.testing.assert_array_equal(x.numpy(), y.numpy())
    np.testing.assert_array_equal(compiled.state.numpy(), eager.state.numpy())
