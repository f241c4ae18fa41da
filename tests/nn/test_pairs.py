"""Layers of two inputs."""

from __future__ import annotations

import numpy as np
import pytest

from chainrule import nn
from chainrule.autodiff import grad
from chainrule.errors import DefinitionError, ShapeError
from chainrule.nn import functional
from chainrule.testing import check_gradients
from tests.nn.compiling import check_layer

RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(3, 4)), RNG.normal(size=(3, 4))


@pytest.mark.parametrize("axis", [0, 1, -1])
def test_cosine_similarity_is_the_product_of_unit_vectors(axis: int) -> None:
    expected = (X * Y).sum(axis) / np.linalg.norm(X, axis=axis) / np.linalg.norm(Y, axis=axis)
    np.testing.assert_allclose(nn.CosineSimilarity(axis)(X, Y).numpy(), expected, rtol=1e-14)
    check_gradients(nn.CosineSimilarity(axis), (X, Y))


def test_cosine_similarity_takes_a_short_vector_as_if_it_were_longer() -> None:
    assert nn.CosineSimilarity(0, eps=4.0)([3.0, 0.0], [0.0, 0.0]).item() == 0.0
    assert functional.cosine_similarity([2.0, 0.0], [8.0, 0.0], 0, eps=4.0).item() == 0.5
    slope = grad(lambda x: functional.cosine_similarity(x, [1.0, 0.0], 0, eps=0.5))(np.zeros(2))
    assert slope.tolist() == [2.0, 0.0]


@pytest.mark.parametrize("p", [1.0, 1.5, 2.0, 3.0, np.inf])
def test_pairwise_distance_is_a_norm_of_the_difference(p: float) -> None:
    expected = np.linalg.norm(X - Y + 1e-6, p, axis=-1)
    np.testing.assert_allclose(nn.PairwiseDistance(p)(X, Y).numpy(), expected, rtol=1e-14)
    assert nn.PairwiseDistance(p, keepdim=True)(X, Y).shape == (3, 1)
    apart = X + np.linspace(0.5, 1.5, 12).reshape(3, 4) * np.array([1, -1, 1, -1])  # no kink is near
    check_gradients(nn.PairwiseDistance(p), (X, apart))


@pytest.mark.parametrize("p", [1.0, 1.5, 2.0])
def test_the_distance_of_equal_vectors_is_zero_and_so_is_its_gradient(p: float) -> None:
    layer = nn.PairwiseDistance(p, eps=0.0)
    assert layer(X, X).tolist() == [0.0] * 3
    assert grad(lambda x: layer(x, X).sum())(X).tolist() == [[0.0] * 4] * 3


@pytest.mark.parametrize("shape", [(), (5,), (2, 5)])
def test_bilinear_weighs_every_product_of_two_elements(shape: tuple[int, ...]) -> None:
    layer = nn.Bilinear(3, 4, 2, dtype="float64")
    assert layer.bias is not None and layer.weight.shape == (2, 3, 4)
    x, y = RNG.normal(size=(*shape, 3)), RNG.normal(size=(*shape, 4))
    expected = np.einsum("...i,oij,...j->...o", x, layer.weight.numpy(), y) + layer.bias.numpy()
    np.testing.assert_allclose(layer(x, y).numpy(), expected, rtol=1e-12, atol=1e-14)


def test_bilinear_starts_uniform_and_can_go_without_bias() -> None:
    layer = nn.Bilinear(100, 5, 20, bias=False)
    assert repr(layer) == "Bilinear(100, 5, 20, bias=False)  10,000 parameters"
    assert 0.09 < np.abs(layer.weight.numpy()).max() <= 0.1
    check_gradients(lambda layer, x, y: layer(x, y), (nn.Bilinear(4, 4, 2), X, Y))


def test_layers_of_two_inputs_say_what_they_need() -> None:
    with pytest.raises(ShapeError, match=r"Bilinear: inputs \[\.\.\., 3\] and \[\.\.\., 4\] are needed"):
        nn.Bilinear(3, 4, 2)(X, Y)
    with pytest.raises(DefinitionError, match="p must be positive"):
        nn.PairwiseDistance(0.0)
    with pytest.raises(DefinitionError, match="eps must be positive"):
        nn.CosineSimilarity(eps=0.0)


def test_compiled_layers_of_two_inputs_are_the_same() -> None:
    x, y = X.astype(np.float32), Y.astype(np.float32)
    for layer in (nn.Bilinear(4, 4, 2), nn.CosineSimilarity(), nn.PairwiseDistance(), nn.PairwiseDistance(3.0)):
        check_layer(layer, x, y)
