"""Linear, Sequential, Embedding, Dropout, Flatten."""

from __future__ import annotations

import numpy as np
import pytest

from chainrule import nn
from chainrule.errors import DefinitionError, ShapeError
from chainrule.random import seed
from chainrule.testing import check_gradients

RNG = np.random.default_rng(0)


@pytest.mark.parametrize("shape", [(3,), (5, 3), (2, 5, 3), (0, 3)])
def test_linear_is_x_times_the_transposed_weight_plus_bias(shape: tuple[int, ...]) -> None:
    layer, x = nn.Linear(3, 2, dtype="float64"), RNG.normal(size=shape)
    assert layer.bias is not None and layer.weight.shape == (2, 3)
    np.testing.assert_allclose(layer(x).numpy(), x @ layer.weight.numpy().T + layer.bias.numpy(), atol=1e-15)


def test_linear_without_bias_has_one_parameter() -> None:
    layer = nn.Linear(3, 2, bias=False)
    assert layer.bias is None and [name for name, _ in layer.named_parameters()] == ["weight"]
    assert repr(layer) == "Linear(3, 2, bias=False)  6 parameters"


def test_linear_starts_uniform_within_one_over_the_root_of_its_inputs() -> None:
    seed(0)
    layer = nn.Linear(100, 50)
    assert layer.bias is not None
    for x in (layer.weight, layer.bias):
        values = x.numpy()
        assert values.dtype == np.float32 and np.abs(values).max() <= 0.1
        assert np.abs(values).max() > 0.09 and abs(values.std() - 0.1 / np.sqrt(3)) < 0.01


def test_linear_takes_an_initializer_for_its_weight() -> None:
    assert nn.Linear(3, 2, initializer=nn.initializers.ones).weight.tolist() == [[1.0] * 3] * 2


def test_the_same_seed_makes_the_same_layer() -> None:
    seed(7)
    first = nn.Linear(3, 2).weight.tolist()
    seed(7)
    assert nn.Linear(3, 2).weight.tolist() == first


@pytest.mark.parametrize("sizes", [(0, 1), (1, -1), (1.5, 1), (True, 1)])
def test_linear_refuses_sizes_that_are_no_positive_whole_numbers(sizes: tuple[int, int]) -> None:
    with pytest.raises(DefinitionError, match=r"_features must be a whole number of at least 1"):
        nn.Linear(*sizes)


@pytest.mark.parametrize("shape", [(4, 2), ()])
def test_linear_says_which_input_it_needs(shape: tuple[int, ...]) -> None:
    with pytest.raises(ShapeError, match=r"an input of 3 features is needed, \[\.\.\., 3\], not f64"):
        nn.Linear(3, 2)(np.ones(shape))


def test_derivatives_of_layers_are_right() -> None:
    model = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.LayerNorm(4), nn.Flatten(0), nn.Identity())
    check_gradients(lambda model, x: model(x), (model, RNG.normal(size=(2, 3))))


def test_flatten_merges_all_axes_but_the_first() -> None:
    x = np.arange(24.0).reshape(2, 3, 4)
    np.testing.assert_array_equal(nn.Flatten()(x).numpy(), x.reshape(2, 12))
    assert nn.Flatten(0, 1)(x).shape == (6, 4)
    assert repr(nn.Flatten(0, 1)) == "Flatten(0, 1)" and repr(nn.Flatten()) == "Flatten()"
