"""LayerNorm, RMSNorm and GroupNorm against formulas in NumPy."""

from __future__ import annotations

import numpy as np
import pytest

from chainrule import nn
from chainrule.errors import DefinitionError, ShapeError
from chainrule.testing import check_gradients
from tests.nn.compiling import check_layer

RNG = np.random.default_rng(1)


@pytest.mark.parametrize(("shape", "normalized"), [((4, 6), 6), ((2, 3, 4), (3, 4)), ((5,), (5,))])
def test_layer_norm_follows_its_formula(shape: tuple[int, ...], normalized: int | tuple[int, ...]) -> None:
    x = RNG.normal(2.0, 3.0, shape)
    layer = nn.LayerNorm(normalized, dtype="float64")
    assert layer.weight is not None and layer.bias is not None
    layer.weight.assign(RNG.normal(size=layer.weight.shape))
    layer.bias.assign(RNG.normal(size=layer.bias.shape))
    axes = tuple(range(len(shape) - len(layer.normalized_shape), len(shape)))
    expected = (x - x.mean(axes, keepdims=True)) / np.sqrt(x.var(axes, keepdims=True) + 1e-5)
    expected = expected * layer.weight.numpy() + layer.bias.numpy()
    np.testing.assert_allclose(layer(x).numpy(), expected, rtol=1e-12, atol=1e-12)


def test_layer_norm_can_go_without_bias_or_without_both() -> None:
    assert [name for name, _ in nn.LayerNorm(3, bias=False).named_parameters()] == ["weight"]
    assert nn.LayerNorm(3, elementwise_affine=False).parameters() == []
    assert repr(nn.LayerNorm((2, 3), elementwise_affine=False)) == "LayerNorm((2, 3))"


@pytest.mark.parametrize("shape", [(4, 5), (3,), ()])
def test_layer_norm_says_which_input_it_needs(shape: tuple[int, ...]) -> None:
    with pytest.raises(ShapeError, match=r"an input \[\.\.\., 2, 3\] is needed"):
        nn.LayerNorm((2, 3))(np.ones(shape))


@pytest.mark.parametrize(("shape", "normalized"), [((4, 6), 6), ((2, 3, 4), (3, 4)), ((5,), (5,))])
def test_rms_norm_divides_by_the_root_of_the_mean_square(
    shape: tuple[int, ...], normalized: int | tuple[int, ...]
) -> None:
    x = RNG.normal(2.0, 3.0, shape)
    layer = nn.RMSNorm(normalized, eps=0.1, dtype="float64")
    assert layer.weight is not None
    layer.weight.assign(RNG.normal(size=layer.weight.shape))
    axes = tuple(range(len(shape) - len(layer.normalized_shape), len(shape)))
    expected = x / np.sqrt((x * x).mean(axes, keepdims=True) + 0.1) * layer.weight.numpy()
    np.testing.assert_allclose(layer(x).numpy(), expected, rtol=1e-12, atol=1e-12)


def test_rms_norm_takes_the_inputs_precision_for_eps() -> None:
    layer = nn.RMSNorm(2, elementwise_affine=False)
    for dtype in (np.float32, np.float64):
        tiny = np.sqrt(np.finfo(dtype).eps)
        np.testing.assert_allclose(layer(np.full(2, tiny, dtype)).numpy(), np.sqrt(0.5), rtol=1e-6)
    assert layer.parameters() == [] and repr(layer) == "RMSNorm(2)"


@pytest.mark.parametrize("groups", [1, 2, 3, 6])
@pytest.mark.parametrize("shape", [(4, 6), (3, 6, 5), (2, 6, 3, 4)])
def test_group_norm_normalises_channels_of_a_group_together(groups: int, shape: tuple[int, ...]) -> None:
    x = RNG.normal(2.0, 3.0, shape)
    layer = nn.GroupNorm(groups, 6, dtype="float64")
    assert layer.weight is not None and layer.bias is not None
    layer.weight.assign(RNG.normal(size=6))
    layer.bias.assign(RNG.normal(size=6))
    grouped = x.reshape(shape[0], groups, -1)
    expected = (grouped - grouped.mean(2, keepdims=True)) / np.sqrt(grouped.var(2, keepdims=True) + 1e-5)
    per_channel = (6, *[1] * (len(shape) - 2))
    expected = expected.reshape(shape) * layer.weight.numpy().reshape(per_channel)
    np.testing.assert_allclose(layer(x).numpy(), expected + layer.bias.numpy().reshape(per_channel), rtol=1e-11)


def test_group_norm_can_go_without_weight_and_says_what_it_is() -> None:
    assert nn.GroupNorm(2, 4, affine=False).parameters() == []
    assert repr(nn.GroupNorm(2, 4)) == "GroupNorm(2, 4)  8 parameters"


def test_group_norm_refuses_groups_of_unequal_size_and_other_channels() -> None:
    with pytest.raises(DefinitionError, match="num_channels must be a multiple of num_groups, and 4 is none of 3"):
        nn.GroupNorm(3, 4)
    for shape in ((4,), (2, 3), (4, 3, 4)):
        with pytest.raises(ShapeError, match=r"GroupNorm\(2, 4\): an input \[N, 4, \.\.\.\] is needed"):
            nn.GroupNorm(2, 4)(np.ones(shape))


def test_a_mean_that_is_large_beside_the_spread_costs_no_accuracy() -> None:
    x = RNG.normal(size=(2, 4, 8, 8)).astype(np.float32)
    for layer in (nn.GroupNorm(2, 4), nn.LayerNorm((4, 8, 8)), nn.BatchNorm2d(4), nn.InstanceNorm2d(4)):
        far = (x + 1000.0).astype(np.float32)
        np.testing.assert_allclose(layer(far).numpy(), layer(far - np.float32(1000.0)).numpy(), atol=2e-4)


def test_normalisation_refuses_numbers_out_of_range() -> None:
    with pytest.raises(DefinitionError, match="normalized_shape"):
        nn.LayerNorm((2, 0))
    with pytest.raises(DefinitionError, match="eps must be a number of at least 0, not -1"):
        nn.RMSNorm(2, eps=-1)


LAYERS = [nn.LayerNorm((3, 2)), nn.RMSNorm(2), nn.GroupNorm(1, 3), nn.GroupNorm(3, 3), nn.LayerNorm((3, 2), bias=False)]


@pytest.mark.parametrize("layer", LAYERS, ids=nn.Module.describe)
def test_derivatives_are_right(layer: nn.Module) -> None:
    check_gradients(lambda layer, x: layer(x), (layer, RNG.normal(size=(4, 3, 2))), components=4)


def test_derivatives_of_group_norm_of_plain_channels_are_right() -> None:
    check_gradients(lambda layer, x: layer(x), (nn.GroupNorm(2, 6), RNG.normal(size=(4, 6))), components=4)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_compiled_normalisation_is_the_same(dtype: str) -> None:
    x = RNG.normal(size=(5, 4, 6)).astype(dtype)
    for layer in (nn.LayerNorm(6, dtype=dtype), nn.RMSNorm((4, 6), dtype=dtype), nn.GroupNorm(2, 4, dtype=dtype)):
        check_layer(layer, x)
