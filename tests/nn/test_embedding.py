"""Vectors for symbols."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from chainrule import compile, losses, nn, optim
from chainrule.errors import DefinitionError, IndexingError, ShapeError, StateError
from chainrule.random import seed
from chainrule.tensor import Tensor, tensor
from chainrule.testing import check_gradients
from chainrule.trace import trace
from tests.nn.compiling import check_layer


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


class Tied(nn.Module):
    """Symbols in, one number for each symbol out, with one table for both."""

    def __init__(self, dtype: str = "float64") -> None:
        self.token = nn.Embedding(5, 3, dtype=dtype)
        self.head = nn.Linear(3, 5, bias=False, dtype=dtype)
        self.head.weight = self.token.weight

    def forward(self, indices: Tensor) -> Tensor:
        return self.head(self.token(indices))


def test_a_weight_that_two_layers_share_is_one_parameter_whose_gradients_add_up() -> None:
    model, indices = Tied(), np.array([1, 1, 4])
    assert [name for name, _ in model.named_parameters()] == ["token.weight"] == list(model.state_dict())
    weight, ct = model.token.weight.numpy(), np.arange(15.0).reshape(3, 5)
    (model(indices) * ct).sum().backward()
    expected = ct.T @ weight[indices]
    np.add.at(expected, indices, ct @ weight)
    assert model.token.weight.grad is not None
    np.testing.assert_allclose(model.token.weight.grad.numpy(), expected, rtol=1e-14)


def test_a_shared_weight_is_trained_once_in_a_compiled_step_too() -> None:
    seed(0)
    models = [Tied("float32"), Tied("float32")]
    models[1].load_state_dict(models[0].state_dict())
    indices, classes = np.array([1, 1, 4]), np.array([0, 2, 4])

    def train(model: Tied, wrap: Callable[..., Any]) -> Any:
        optimizer = optim.SGD(model.parameters(), lr=0.1, momentum=0.9)

        def step(indices: Tensor, classes: Tensor) -> None:
            optimizer.zero_grad()
            losses.cross_entropy(model(indices), classes).backward()
            optimizer.step()

        run = wrap(step)
        for _ in range(3):
            run(tensor(indices), tensor(classes))
        return model.token.weight.numpy()

    np.testing.assert_allclose(train(models[0], compile), train(models[1], lambda f: f), rtol=1e-5, atol=1e-6)
    assert models[0].head.weight is models[0].token.weight


def test_a_state_may_name_a_shared_weight_by_any_of_its_paths() -> None:
    model, value = Tied(), np.ones((5, 3))
    for names in (["token.weight"], ["head.weight"], ["token.weight", "head.weight"]):
        model.token.weight.assign(np.zeros((5, 3)))
        model.load_state_dict(dict.fromkeys(names, value))
        np.testing.assert_array_equal(model.head.weight.numpy(), value)
    with pytest.raises(StateError, match=r"token\.weight and head\.weight are one tensor of Tied\(\), but differ"):
        model.load_state_dict({"token.weight": value, "head.weight": 2 * value})
    np.testing.assert_array_equal(model.head.weight.numpy(), value)


def test_vectors_that_are_too_long_are_shortened_when_they_are_looked_at() -> None:
    layer = nn.Embedding(
        3, 2, max_norm=1.0, initializer=lambda shape, dtype: tensor([[3.0, 4.0], [0.3, 0.4], [6.0, 8.0]])
    )
    np.testing.assert_allclose(layer([0, 1, 0]).numpy(), [[0.6, 0.8], [0.3, 0.4], [0.6, 0.8]], rtol=1e-6)
    np.testing.assert_allclose(layer.weight.numpy(), [[0.6, 0.8], [0.3, 0.4], [6.0, 8.0]], rtol=1e-6)
    layer([2, 2]).sum().backward()
    assert layer.weight.grad is not None and layer.weight.grad.tolist() == [[0, 0], [0, 0], [2, 2]]
    taxicab = nn.Embedding(1, 2, max_norm=1.0, norm_type=1.0, initializer=lambda shape, dtype: tensor([[3.0, 1.0]]))
    np.testing.assert_allclose(taxicab([0]).numpy(), [[0.75, 0.25]], rtol=1e-6)


ROWS = np.array([[1.0, -1.0], [2.0, 5.0], [3.0, -3.0], [0.5, 0.25]])
EXPECTED = {  # of the bags (0, 1), (), (2, 2, 3)
    "sum": [[3.0, 4.0], [0.0, 0.0], [6.5, -5.75]],
    "mean": [[1.5, 2.0], [0.0, 0.0], [6.5 / 3, -5.75 / 3]],
    "max": [[2.0, 5.0], [0.0, 0.0], [3.0, 0.25]],
}


def bags(mode: Any, **options: Any) -> nn.EmbeddingBag:
    made = nn.EmbeddingBag(4, 2, mode=mode, dtype="float64", **options)
    made.weight.assign(ROWS)
    return made


@pytest.mark.parametrize("mode", EXPECTED)
def test_bags_of_any_size_begin_at_offsets(mode: str) -> None:
    symbols = [0, 1, 2, 2, 3]
    np.testing.assert_allclose(bags(mode)(symbols, [0, 2, 2]).numpy(), EXPECTED[mode], rtol=1e-15)
    last = bags(mode, include_last_offset=True)(symbols, [0, 2, 2, 5])
    np.testing.assert_allclose(last.numpy(), EXPECTED[mode], rtol=1e-15)
    padded = bags(mode, padding_idx=-1)([0, 3, 1, 3, 2], [0, 3, 4])
    expected = [EXPECTED[mode][0], [0.0, 0.0], ROWS[2]]
    np.testing.assert_allclose(padded.numpy(), expected, rtol=1e-15)


@pytest.mark.parametrize("mode", EXPECTED)
def test_bags_of_equal_size_are_rows(mode: str) -> None:
    np.testing.assert_allclose(bags(mode)([[0, 1]]).numpy(), EXPECTED[mode][:1], rtol=1e-15)
    padded = bags(mode, padding_idx=3)([[0, 1, 3], [3, 3, 3]]).numpy()
    np.testing.assert_allclose(padded, EXPECTED[mode][:2], rtol=1e-15)


def test_vectors_in_a_bag_may_be_weighted() -> None:
    for symbols, offsets in (([[0, 1]], None), ([0, 1], [0])):
        weights = np.reshape([2.0, -1.0], np.shape(symbols))
        np.testing.assert_array_equal(bags("sum")(symbols, offsets, weights).numpy(), [[0.0, -7.0]])
    with pytest.raises(DefinitionError, match='per_sample_weights are for mode "sum"'):
        bags("mean")([[0, 1]], None, [[2.0, -1.0]])
    with pytest.raises(ShapeError, match=r"per_sample_weights .* must have the shape of"):
        bags("sum")([[0, 1]], None, [2.0])


@pytest.mark.parametrize("mode", EXPECTED)
def test_derivatives_of_bags_are_right(mode: str) -> None:
    check_gradients(lambda layer: layer([0, 1, 2, 3, 1], [0, 2, 2]), (bags(mode, padding_idx=3),))
    check_gradients(lambda layer: layer([[0, 1], [3, 2]]), (bags(mode, padding_idx=3),))


def test_bags_say_what_they_need() -> None:
    with pytest.raises(ShapeError, match=r"indices \[B, N\], or \[N\] with offsets, are needed, not i64\[2\]"):
        bags("sum")([0, 1])
    with pytest.raises(ShapeError, match=r"offsets \[B\] that begin with 0 are needed, not \[1\]"):
        bags("sum")([0, 1], [1])
    with pytest.raises(DefinitionError, match='mode must be "sum", "mean" or "max"'):
        bags("median")
    with pytest.raises(IndexingError, match="EmbeddingBag: symbol 4 is not among 4 symbols"):
        bags("sum")([[4]])
    assert repr(bags("max")) == "EmbeddingBag(4, 2, mode='max')  8 parameters"


def test_compiled_lookups_are_the_same() -> None:
    symbols = np.array([[0, 1, 3], [2, 2, 3]])
    check_layer(nn.Embedding(4, 5, padding_idx=3), symbols)
    for mode in EXPECTED:
        check_layer(nn.EmbeddingBag(4, 5, mode=mode), symbols)  # type: ignore[arg-type]
        check_layer(nn.EmbeddingBag(4, 5, mode=mode), symbols.ravel(), np.array([0, 1, 1]))  # type: ignore[arg-type]
