"""Gradients vanish, explode and are kept as theory says, in the example that shows it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest

FOLDER = Path(__file__).parents[2] / "examples" / "gradient_flow"
NAMES = ("layers", "picture", "steps", "theory", "training")


@pytest.fixture(scope="module")
def example() -> Iterator[dict[str, ModuleType]]:
    """The modules of the example, which are found only from inside its folder."""
    sys.path.insert(0, str(FOLDER))
    try:
        yield {name: import_module(name) for name in NAMES}
    finally:
        sys.path.remove(str(FOLDER))
        for name in NAMES:
            del sys.modules[name]


def design(module: ModuleType, name: str) -> Any:
    return next(x for x in module.DESIGNS if x.name == name)


def by_layer(example: dict[str, ModuleType], name: str) -> np.ndarray:
    layers = example["layers"]
    (x, y), _ = layers.digits()
    layers.cr.random.seed(0)
    return layers.gradient_by_layer(layers.Network(design(layers, name)), x[:50], y[:50])


def by_step(example: dict[str, ModuleType], name: str) -> np.ndarray:
    steps = example["steps"]
    steps.cr.random.seed(0)
    return steps.gradient_by_step(steps.Network(design(steps, name)), *steps.sequences(50, 0))


def test_sigmoid_layers_lose_three_quarters_of_the_gradient_even_with_the_best_weights(
    example: dict[str, ModuleType],
) -> None:
    found = by_layer(example, "sigmoid, Glorot")
    assert found[0] < 0.25**29 * 10
    assert (found[:-5] < found[5:] * 0.3**5).all()


@pytest.mark.parametrize("name", ["tanh", "relu", "plain, Glorot"])
def test_small_weights_make_the_gradient_vanish(example: dict[str, ModuleType], name: str) -> None:
    assert by_layer(example, name)[0] < 1e-6


@pytest.mark.parametrize("name", ["tanh, Glorot", "relu, He", "sigmoid, batch norm", "tanh, layer norm"])
def test_first_weights_and_norms_keep_the_gradient(example: dict[str, ModuleType], name: str) -> None:
    found = by_layer(example, name)
    assert found.min() > 0.05 and found.max() < 20


def test_residuals_keep_the_gradient_of_a_hundred_layers_if_they_are_normalised(
    example: dict[str, ModuleType],
) -> None:
    assert by_layer(example, "residual")[0] > 1e10
    found = by_layer(example, "residual, layer norm")
    assert found.min() > 0.5 and found.max() < 20


def test_measured_gradients_are_as_predicted(example: dict[str, ModuleType]) -> None:
    for x in example["layers"].DESIGNS:
        found, predicted = np.log(by_layer(example, x.name)), np.log(x.predicted())
        assert abs(found - predicted).max() < 1 + 0.1 * abs(predicted).max(), x.name


def test_gates_decide_how_much_of_the_gradient_a_step_keeps(example: dict[str, ModuleType]) -> None:
    assert by_step(example, "RNN, tanh")[0] < 1e-15
    assert by_step(example, "LSTM, half forgotten")[0] == pytest.approx(0.5**99, rel=0.2)
    assert by_step(example, "LSTM, 1 % forgotten")[0] == pytest.approx(np.exp(-1), rel=0.2)
    assert by_step(example, "RNN, relu, 1.05 I")[0] > 20


def test_clipping_lets_a_network_learn_that_explodes_without_it(example: dict[str, ModuleType]) -> None:
    steps = example["steps"]
    wild, clipped = (steps.outcome(design(steps, x), 150) for x in ("RNN, relu, 1.05 I", "RNN, clipped to 1"))
    assert not np.isfinite(wild.losses[-1]) and clipped.accuracy > 0.9


def test_a_picture_shows_every_network(example: dict[str, ModuleType]) -> None:
    layers, steps = example["layers"], example["steps"]
    small = [layers.outcome(design(layers, name), 2) for name in ("sigmoid", "relu, He")]
    small += [steps.outcome(design(steps, name), 2) for name in ("RNN, relu, 1.05 I", "RNN, clipped to 1")]
    words = [x.text for x in ElementTree.fromstring(example["picture"].picture(small)).iter() if x.text]
    for x in small:
        assert any(word.startswith(f"{x.name} (") for word in words), x.name
