"""Linear, Sequential, Embedding, Dropout, Flatten."""

from __future__ import annotations

import numpy as np
import pytest

from chainrule import nn
from chainrule.autodiff import grad
from chainrule.errors import DefinitionError, IndexingError, ShapeError
from chainrule.random import Generator, seed
from chainrule.tensor import tensor
from chainrule.testing import check_gradients
from chainrule.trace import trace

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


def test_sequential_gives_layers_by_position_name_and_slice() -> None:
    a, b, c = nn.Linear(1, 1), nn.ReLU(), nn.Linear(1, 1)
    model = nn.Sequential({"first": a, "act": b}).append(c)
    assert model.first is a and model[-1] is c and len(model) == 3 and list(model) == [a, b, c]
    part = model[:2]
    assert isinstance(part, nn.Sequential) and list(part) == [a, b] and part.act is b
    assert [name for name, _ in model.named_parameters()] == ["first.weight", "first.bias", "2.weight", "2.bias"]


def test_an_empty_sequential_passes_its_input_on() -> None:
    x = tensor(1.0)
    assert nn.Sequential()(x) is x


def test_sequential_refuses_what_is_no_module() -> None:
    with pytest.raises(DefinitionError, match=r"layer 1 is .* no module; wrap a function"):
        nn.Sequential(nn.ReLU(), np.tanh)
    with pytest.raises(DefinitionError, match=r"layer 0 is 3, which is no module$"):
        nn.Sequential(3)


@pytest.mark.parametrize("name", ["", "a.b", "forward", "training"])
def test_sequential_refuses_names_that_cannot_be_attributes(name: str) -> None:
    with pytest.raises(DefinitionError, match="cannot be called"):
        nn.Sequential({name: nn.ReLU()})


def test_sequential_says_how_many_layers_there_are() -> None:
    with pytest.raises(IndexingError, match="there is no layer 2 among 1"):
        nn.Sequential(nn.ReLU())[2]


def test_flatten_merges_all_axes_but_the_first() -> None:
    x = np.arange(24.0).reshape(2, 3, 4)
    np.testing.assert_array_equal(nn.Flatten()(x).numpy(), x.reshape(2, 12))
    assert nn.Flatten(0, 1)(x).shape == (6, 4)
    assert repr(nn.Flatten(0, 1)) == "Flatten(0, 1)" and repr(nn.Flatten()) == "Flatten()"


def test_embedding_reads_rows() -> None:
    layer, indices = nn.Embedding(5, 3), np.array([[0, 4], [2, 2]])
    np.testing.assert_array_equal(layer(indices).numpy(), layer.weight.numpy()[indices])


def test_embedding_gradients_add_up_and_never_reach_the_padding() -> None:
    layer = nn.Embedding(4, 2, padding_idx=-1)
    assert layer.weight.tolist()[3] == [0.0, 0.0] and repr(layer) == "Embedding(4, 2, padding_idx=3)  8 parameters"
    layer([1, 1, 3, 0]).sum().backward()
    assert layer.weight.grad is not None
    assert layer.weight.grad.tolist() == [[1.0, 1.0], [2.0, 2.0], [0.0, 0.0], [0.0, 0.0]]


@pytest.mark.parametrize("index", [-1, 4])
def test_embedding_refuses_symbols_that_it_does_not_have(index: int) -> None:
    with pytest.raises(IndexingError, match=f"symbol {index} is not among 4 symbols"):
        nn.Embedding(4, 2)([0, index])


def test_embedding_refuses_floats_and_a_padding_that_it_does_not_have() -> None:
    with pytest.raises(IndexingError, match="indices must be integers"):
        nn.Embedding(4, 2)([0.0])
    with pytest.raises(IndexingError, match="padding_idx 4"):
        nn.Embedding(4, 2, padding_idx=4)


def test_a_traced_embedding_takes_indices_that_are_not_known() -> None:
    graph = trace(nn.Embedding(4, 2))(np.array([0, 1]))
    assert graph.outputs[0].shape == (2, 2)


def test_dropout_zeroes_the_share_p_and_scales_the_rest() -> None:
    layer = nn.Dropout(0.25, generator=Generator(3))
    y = layer(np.ones(20_000)).numpy()
    assert set(np.unique(y)) == {0.0, 1.0 / 0.75}
    assert abs((y == 0).mean() - 0.25) < 0.02


def test_dropout_passes_gradients_where_it_passed_values() -> None:
    layer = nn.Dropout(0.5, generator=Generator(3))
    y = layer(np.ones(50)).numpy()
    layer.generator = Generator(3)
    np.testing.assert_array_equal(grad(lambda x: layer(x).sum())(np.ones(50)).numpy(), y)


def test_dropout_draws_anew_each_time_and_repeats_with_its_seed() -> None:
    seed(5)
    layer = nn.Dropout()
    first, second = layer(np.ones(64)).tolist(), layer(np.ones(64)).tolist()
    seed(5)
    assert first != second and layer(np.ones(64)).tolist() == first


def test_dropout_in_evaluation_or_with_p_zero_is_the_identity() -> None:
    x = tensor([1.0, np.nan])
    assert nn.Dropout(0.5).eval()(x) is x and nn.Dropout(0.0)(x) is x


def test_dropout_with_p_one_gives_zeros() -> None:
    assert nn.Dropout(1.0)([1.0, np.nan]).tolist() == [0.0, 0.0]
    assert repr(nn.Dropout(1.0)) == "Dropout(1)"


@pytest.mark.parametrize("p", [-0.1, 1.1, float("nan"), "half", None])
def test_dropout_refuses_what_is_no_probability(p: float) -> None:
    with pytest.raises(DefinitionError, match="p must be a number of at least 0 and at most 1"):
        nn.Dropout(p)


def test_a_traced_dropout_assigns_its_generator() -> None:
    generator = Generator(0)
    graph = trace(nn.Dropout(0.5, generator=generator))(np.ones(3))
    assert [outside for outside, _ in graph.assigned] == [generator.state]
