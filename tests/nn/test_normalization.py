"""LayerNorm and BatchNorm1d against formulas in NumPy."""

from __future__ import annotations

import numpy as np
import pytest

from chainrule import nn
from chainrule.errors import DefinitionError, ShapeError
from chainrule.testing import check_gradients
from chainrule.trace import trace

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


@pytest.mark.parametrize("shape", [(6, 3), (4, 3, 5)])
def test_batch_norm_normalises_by_the_batch_in_training(shape: tuple[int, ...]) -> None:
    x = RNG.normal(2.0, 3.0, shape)
    layer = nn.BatchNorm1d(3, dtype="float64")
    assert layer.weight is not None and layer.bias is not None
    layer.weight.assign(np.array([1.0, 2.0, 3.0]))
    layer.bias.assign(np.array([0.0, -1.0, 5.0]))
    axes, per_channel = tuple(a for a in range(x.ndim) if a != 1), (3, *[1] * (x.ndim - 2))
    expected = (x - x.mean(axes, keepdims=True)) / np.sqrt(x.var(axes, keepdims=True) + 1e-5)
    expected = expected * np.reshape([1.0, 2.0, 3.0], per_channel) + np.reshape([0.0, -1.0, 5.0], per_channel)
    np.testing.assert_allclose(layer(x).numpy(), expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("momentum", [0.1, 0.5, None])
def test_batch_norm_keeps_running_averages_with_the_unbiased_variance(momentum: float | None) -> None:
    layer = nn.BatchNorm1d(2, momentum=momentum, dtype="float64")
    mean, variance = np.zeros(2), np.ones(2)
    for count in range(1, 4):
        x = RNG.normal(count, count, (5, 2))
        layer(x)
        share = 1.0 / count if momentum is None else momentum
        mean = (1 - share) * mean + share * x.mean(0)
        variance = (1 - share) * variance + share * x.var(0, ddof=1)
    np.testing.assert_allclose(layer.running_mean.numpy(), mean, rtol=1e-12)
    np.testing.assert_allclose(layer.running_var.numpy(), variance, rtol=1e-12)
    assert layer.num_batches_tracked.item() == 3


def test_batch_norm_uses_running_averages_in_evaluation_and_leaves_them() -> None:
    layer = nn.BatchNorm1d(2, dtype="float64").eval()
    layer.running_mean.assign(np.array([1.0, 2.0]))
    layer.running_var.assign(np.array([4.0, 9.0]))
    x = RNG.normal(size=(3, 2))
    np.testing.assert_allclose(layer(x).numpy(), (x - [1.0, 2.0]) / np.sqrt(np.array([4.0, 9.0]) + 1e-5), rtol=1e-12)
    assert layer.running_mean.tolist() == [1.0, 2.0] and layer.num_batches_tracked.item() == 0


def test_batch_norm_without_running_averages_always_uses_the_batch() -> None:
    layer = nn.BatchNorm1d(2, affine=False, track_running_stats=False).eval()
    assert layer.state_dict() == {}
    x = RNG.normal(3.0, 1.0, (4, 2))
    np.testing.assert_allclose(layer(x).numpy().mean(0), 0.0, atol=1e-6)


def test_batch_norm_keeps_the_type_of_its_averages_for_inputs_of_another() -> None:
    layer = nn.BatchNorm1d(2)
    layer(RNG.normal(size=(4, 2)))
    assert layer.state_dict()["running_var"].dtype == np.float32


def test_batch_norm_statistics_are_no_part_of_the_recorded_graph() -> None:
    layer = nn.BatchNorm1d(2)
    layer(RNG.normal(size=(4, 2)).astype(np.float32)).sum().backward()
    assert not layer.running_mean.requires_grad and layer.running_mean.op is None
    assert [name for name, _ in layer.named_buffers()] == ["running_mean", "running_var", "num_batches_tracked"]


def test_a_traced_batch_norm_assigns_its_averages() -> None:
    layer = nn.BatchNorm1d(2)
    graph = trace(layer)(np.ones((4, 2), np.float32))
    assert {id(outside) for outside, _ in graph.assigned} == {id(x) for _, x in layer.named_buffers()}
    assert layer.num_batches_tracked.item() == 0


def test_a_single_value_per_channel_is_an_error_in_training_only() -> None:
    layer = nn.BatchNorm1d(2)
    with pytest.raises(ShapeError, match="training needs more than one value per channel"):
        layer(np.ones((1, 2)))
    assert layer.eval()(np.ones((1, 2))).shape == (1, 2)


@pytest.mark.parametrize("shape", [(4, 3), (2,), (4, 2, 3, 3)])
def test_batch_norm_says_which_input_it_needs(shape: tuple[int, ...]) -> None:
    with pytest.raises(ShapeError, match=r"BatchNorm1d\(2\): an input \[N, 2\] or \[N, 2, L\] is needed"):
        nn.BatchNorm1d(2)(np.ones(shape))


def test_normalisation_refuses_numbers_out_of_range() -> None:
    with pytest.raises(DefinitionError, match="momentum must be a number of at least 0 and at most 1, not 2"):
        nn.BatchNorm1d(2, momentum=2)
    with pytest.raises(DefinitionError, match="normalized_shape"):
        nn.LayerNorm((2, 0))


def test_derivatives_of_normalisation_are_right() -> None:
    x = RNG.normal(size=(4, 3, 2))
    plain = nn.BatchNorm1d(3, track_running_stats=False)
    check_gradients(lambda layer, x: layer(x), (plain, x))
    check_gradients(lambda layer, x: layer(x), (nn.LayerNorm((3, 2)), x))
