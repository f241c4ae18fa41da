"""Initialisers: their spread against the papers' formulas, and what they keep."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from scipy import integrate, special

from chainrule.errors import DefinitionError, ShapeError
from chainrule.nn import initializers as init
from chainrule.random import Generator

SHAPE = (200, 300)
LINEAR, CONV = (300, 200), (8 * 9, 5 * 9)


@pytest.mark.parametrize(
    ("make", "variance"),
    [
        (init.glorot_uniform, 2 / 500),
        (init.glorot_normal, 2 / 500),
        (init.he_uniform, 2 / 300),
        (init.he_normal, 2 / 300),
        (init.lecun_uniform, 1 / 300),
        (init.lecun_normal, 1 / 300),
    ],
)
def test_the_variance_is_that_of_the_paper(make: Callable[..., Any], variance: float) -> None:
    values = make(SHAPE, generator=Generator(1), dtype="float64").numpy()
    assert abs(values.mean()) < 0.01 * np.sqrt(variance) * 2
    assert values.var() == pytest.approx(variance, rel=0.02)
    if "uniform" in make.__name__:
        assert np.abs(values).max() <= np.sqrt(3 * variance) < np.abs(values).max() * 1.001
    twice = make(SHAPE, generator=Generator(1), gain=2.0 * init.gain("relu" if "he" in make.__name__ else "linear"))
    np.testing.assert_allclose(twice.numpy(), 2 * make(SHAPE, generator=Generator(1)).numpy(), rtol=1e-6)


def test_the_activation_chooses_the_gain() -> None:
    chosen = init.glorot_normal(SHAPE, generator=Generator(2), activation="tanh")
    given = init.glorot_normal(SHAPE, generator=Generator(2), gain=5 / 3)
    np.testing.assert_array_equal(chosen.numpy(), given.numpy())


@pytest.mark.parametrize(
    ("name", "function"),
    [
        ("relu", lambda x: max(x, 0.0)),
        ("leaky_relu", lambda x: x if x > 0 else 0.01 * x),
        ("elu", lambda x: x if x > 0 else np.expm1(x)),
        ("selu", lambda x: 1.0507009873554805 * (x if x > 0 else 1.6732632423543772 * np.expm1(x))),
        ("gelu", lambda x: x * special.ndtr(x)),
        ("silu", lambda x: x * special.expit(x)),
        ("mish", lambda x: x * np.tanh(np.logaddexp(0, x))),
        ("linear", lambda x: x),
    ],
)
def test_a_gain_restores_the_mean_square_of_normal_inputs(name: str, function: Callable[[float], float]) -> None:
    def weighted(z: float) -> float:
        return function(z) ** 2 * np.exp(-z * z / 2) / np.sqrt(2 * np.pi)

    mean_square = integrate.quad(weighted, -12, 0)[0] + integrate.quad(weighted, 0, 12)[0]
    assert init.gain(name) == pytest.approx(1 / np.sqrt(mean_square), rel=1e-6)


def test_customary_gains() -> None:
    assert (init.gain("tanh"), init.gain("sigmoid"), init.gain("leaky_relu", 1.0)) == (5 / 3, 1.0, 1.0)


def test_an_unknown_activation_is_named() -> None:
    with pytest.raises(DefinitionError, match=r"no activation is called 'rleu'; known are leaky_relu, linear"):
        init.he_normal((2, 2), activation="rleu")


def test_fans_of_linear_and_convolution_weights() -> None:
    assert init.fans((200, 300)) == LINEAR and init.fans((5, 8, 3, 3)) == CONV
    with pytest.raises(ShapeError, match=r"\[3\] has no fan-in"):
        init.lecun_normal((3,))


@pytest.mark.parametrize("shape", [(4, 7), (7, 4), (5, 5), (6, 2, 3)])
def test_orthogonal_rows_or_columns(shape: tuple[int, ...]) -> None:
    made = init.orthogonal(shape, gain=2.0, generator=Generator(0), dtype="float64")
    w = made.numpy().reshape(shape[0], -1)
    product = w @ w.T if w.shape[0] <= w.shape[1] else w.T @ w
    assert made.shape == shape
    np.testing.assert_allclose(product, 4 * np.eye(len(product)), atol=1e-12)


def test_orthogonal_matrices_have_signs_of_both_kinds() -> None:
    generator = Generator(0)
    first = [np.sign(init.orthogonal((3, 3), generator=generator).numpy()[0, 0]) for _ in range(40)]
    assert 10 < first.count(1.0) < 30


@pytest.mark.parametrize("make", [init.orthogonal, init.he_uniform, init.glorot_normal, init.normal, init.uniform])
def test_the_same_generator_gives_the_same_values(make: Callable[..., Any]) -> None:
    first, second = (make((3, 4), generator=Generator(9)).numpy() for _ in range(2))
    np.testing.assert_array_equal(first, second)
    assert first.dtype == np.float32


def test_constants() -> None:
    assert init.zeros((2, 0)).shape == (2, 0)
    assert init.ones((2,), dtype="float64").numpy().dtype == np.float64
    assert init.constant((1, 2), -3).tolist() == [[-3.0, -3.0]]
