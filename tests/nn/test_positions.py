"""Positions as waves, as trained vectors, and as angles."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from chainrule import nn
from chainrule.compiled import compile
from chainrule.errors import DefinitionError, IndexingError, ShapeError
from chainrule.tensor import tensor
from chainrule.testing import check_gradients

RNG = np.random.default_rng(0)


def every_kind(axis: int = -2) -> list[Any]:
    return [
        nn.SinusoidalPositions(9, 6, axis),
        nn.LearnedPositions(9, 6, axis, dtype="float64"),
        nn.RotaryPositions(9, 6, axis=axis),
        nn.RotaryPositions(9, 6, base=100.0, interleaved=True, axis=axis),
    ]


@pytest.mark.parametrize("size", [6, 5])
def test_waves_are_the_formula(size: int) -> None:
    found = nn.SinusoidalPositions(9, size)(np.zeros((9, size))).numpy()
    for p in range(9):
        for i in range(size):
            wave = np.cos if i % 2 else np.sin
            assert abs(found[p, i] - wave(p / 10000 ** ((i - i % 2) / size))) < 1e-14


@pytest.mark.parametrize("interleaved", [True, False])
def test_pairs_are_turned_by_the_formula(interleaved: bool) -> None:
    x = RNG.normal(size=(9, 6))
    found = nn.RotaryPositions(9, 6, base=100.0, interleaved=interleaved)(x).numpy()
    for i in range(3):
        first, second = (2 * i, 2 * i + 1) if interleaved else (i, i + 3)
        turned = (x[:, first] + 1j * x[:, second]) * np.exp(1j * np.arange(9) / 100.0 ** (2 * i / 6))
        np.testing.assert_allclose(found[:, first] + 1j * found[:, second], turned, atol=1e-14)


def test_products_of_turned_vectors_depend_on_distances_alone() -> None:
    rotary, (q, k) = nn.RotaryPositions(20, 6), RNG.normal(size=(2, 1, 6))
    products = [(rotary(q, at).numpy() * rotary(k, at + 3).numpy()).sum() for at in range(5)]
    np.testing.assert_allclose(products, products[0])


def test_vectors_are_trained_where_there_is_input() -> None:
    layer = nn.LearnedPositions(9, 6)
    layer(np.zeros((2, 4, 6), np.float32), 1).sum().backward()
    assert layer.weight.grad is not None
    np.testing.assert_array_equal(layer.weight.grad.numpy()[:, 0], [0, 2, 2, 2, 2, 0, 0, 0, 0])


@pytest.mark.parametrize("kind", range(4))
def test_a_position_can_be_a_number_or_a_tensor(kind: int) -> None:
    layer, x = every_kind()[kind], RNG.normal(size=(2, 9, 6))
    whole = layer(x).numpy()
    np.testing.assert_array_equal(layer(x[:, 4:], 4).numpy(), whole[:, 4:])
    np.testing.assert_array_equal(layer(x[:, 4:], tensor(4)).numpy(), whole[:, 4:])


def test_one_program_serves_all_positions() -> None:
    layers, x = every_kind(), RNG.normal(size=(2, 9, 6))
    step = compile(lambda x, position: [layer(x, position) for layer in layers])
    for at in (0, 5):
        for layer, found in zip(layers, step(x[:, at : at + 1], tensor(at)), strict=True):
            np.testing.assert_allclose(found.numpy(), layer(x).numpy()[:, at : at + 1], atol=1e-14)


@pytest.mark.parametrize("kind", range(4))
@pytest.mark.parametrize("axis", [0, 1, -2])
def test_places_run_along_the_axis_that_is_named(kind: int, axis: int) -> None:
    x = RNG.normal(size=(2, 3, 9, 6))
    plain, moved = every_kind()[kind], every_kind(axis)[kind]
    if kind == 1:
        moved.load_state_dict(plain.state_dict())
    found = moved(np.moveaxis(x, -2, axis)).numpy()
    np.testing.assert_array_equal(np.moveaxis(found, axis, -2), plain(x).numpy())


@pytest.mark.parametrize("kind", range(4))
def test_derivatives_of_positions_are_right(kind: int) -> None:
    check_gradients(lambda layer, x: layer(x, 2), (every_kind()[kind], RNG.normal(size=(2, 3, 6))))


@pytest.mark.parametrize("kind", range(4))
def test_positions_that_do_not_exist_and_other_features_are_refused(kind: int) -> None:
    layer = every_kind()[kind]
    for position in (-1, 7):
        with pytest.raises(IndexingError, match="3 positions from"):
            layer(np.zeros((3, 6)), position)
    with pytest.raises(IndexingError, match="outside axis 0 of size 9"):
        layer(np.zeros((3, 6)), tensor(7))
    with pytest.raises(ShapeError, match=r"an input \[\.\.\., T, 6\] is needed"):
        layer(np.zeros((3, 5)))


def test_an_odd_number_of_features_cannot_be_turned() -> None:
    with pytest.raises(DefinitionError, match="head_dim must be even, not 5"):
        nn.RotaryPositions(9, 5)
    assert repr(nn.RotaryPositions(9, 6, interleaved=True)) == "RotaryPositions(9, 6, interleaved=True)"
