"""Batch and instance normalisation against formulas in NumPy."""

from __future__ import annotations

import numpy as np
import pytest

from chainrule import nn
from chainrule.errors import DefinitionError, ShapeError
from chainrule.nn.batch_normalization import BatchNorm, InstanceNorm
from chainrule.testing import check_gradients
from chainrule.trace import trace
from chainrule.types import Array
from tests.nn.compiling import check_layer

RNG = np.random.default_rng(1)
BATCH = {2: nn.BatchNorm1d, 3: nn.BatchNorm1d, 4: nn.BatchNorm2d, 5: nn.BatchNorm3d}
INSTANCE = {3: nn.InstanceNorm1d, 4: nn.InstanceNorm2d, 5: nn.InstanceNorm3d}
SHAPES = [(6, 3), (4, 3, 5), (3, 3, 2, 4), (2, 3, 2, 1, 3)]


def normalised(x: Array, axes: tuple[int, ...]) -> Array:
    return (x - x.mean(axes, keepdims=True)) / np.sqrt(x.var(axes, keepdims=True) + 1e-5)


@pytest.mark.parametrize("shape", SHAPES)
def test_batch_norm_normalises_by_the_batch_in_training(shape: tuple[int, ...]) -> None:
    x = RNG.normal(2.0, 3.0, shape)
    layer = BATCH[x.ndim](3, dtype="float64")
    assert layer.weight is not None and layer.bias is not None
    layer.weight.assign(np.array([1.0, 2.0, 3.0]))
    layer.bias.assign(np.array([0.0, -1.0, 5.0]))
    axes, per_channel = tuple(a for a in range(x.ndim) if a != 1), (3, *[1] * (x.ndim - 2))
    expected = normalised(x, axes) * np.reshape([1.0, 2.0, 3.0], per_channel) + np.reshape(
        [0.0, -1.0, 5.0], per_channel
    )
    np.testing.assert_allclose(layer(x).numpy(), expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("momentum", [0.1, 0.5, None])
@pytest.mark.parametrize("sizes", [(), (3, 4)])
def test_batch_norm_keeps_running_averages_with_the_unbiased_variance(
    momentum: float | None, sizes: tuple[int, ...]
) -> None:
    axes = (0, *range(2, 2 + len(sizes)))
    layer = BATCH[2 + len(sizes)](2, momentum=momentum, dtype="float64")
    mean, variance = np.zeros(2), np.ones(2)
    for count in range(1, 4):
        x = RNG.normal(count, count, (5, 2, *sizes))
        layer(x)
        share = 1.0 / count if momentum is None else momentum
        mean = (1 - share) * mean + share * x.mean(axes)
        variance = (1 - share) * variance + share * x.var(axes, ddof=1)
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
def test_batch_norm_1d_says_which_input_it_needs(shape: tuple[int, ...]) -> None:
    with pytest.raises(ShapeError, match=r"BatchNorm1d\(2\): an input \[N, 2\] or \[N, 2, L\] is needed"):
        nn.BatchNorm1d(2)(np.ones(shape))


def test_batch_norm_of_images_says_which_input_it_needs() -> None:
    with pytest.raises(ShapeError, match=r"BatchNorm2d\(2\): an input \[N, 2, H, W\] is needed, not f64\[4, 2\]"):
        nn.BatchNorm2d(2)(np.ones((4, 2)))
    with pytest.raises(ShapeError, match=r"an input \[N, 2, D, H, W\] is needed"):
        nn.BatchNorm3d(2)(np.ones((4, 3, 2, 2, 2)))


@pytest.mark.parametrize("shape", SHAPES[1:])
@pytest.mark.parametrize("affine", [False, True])
def test_instance_norm_normalises_each_example_by_itself(shape: tuple[int, ...], affine: bool) -> None:
    x = RNG.normal(2.0, 3.0, shape)
    layer = INSTANCE[x.ndim](3, affine=affine, dtype="float64")
    expected = normalised(x, tuple(range(2, x.ndim)))
    if layer.weight is not None and layer.bias is not None:
        layer.weight.assign(np.array([1.0, 2.0, 3.0]))
        layer.bias.assign(np.array([0.0, -1.0, 5.0]))
        per_channel = (3, *[1] * (x.ndim - 2))
        expected = expected * np.reshape([1.0, 2.0, 3.0], per_channel) + np.reshape([0.0, -1.0, 5.0], per_channel)
    np.testing.assert_allclose(layer(x).numpy(), expected, rtol=1e-11, atol=1e-12)
    np.testing.assert_array_equal(layer(x[0]).numpy(), layer(x).numpy()[0])
    np.testing.assert_array_equal(layer.eval()(x).numpy(), layer.train()(x).numpy())


def test_instance_norm_has_nothing_to_train_or_keep_unless_asked() -> None:
    assert nn.InstanceNorm2d(3).state_dict() == {}
    names = ["weight", "bias", "running_mean", "running_var", "num_batches_tracked"]
    assert list(nn.InstanceNorm2d(3, affine=True, track_running_stats=True).state_dict()) == names


def test_instance_norm_that_keeps_averages_uses_them_in_evaluation() -> None:
    layer = nn.InstanceNorm1d(2, momentum=0.5, track_running_stats=True, dtype="float64")
    x = RNG.normal(2.0, 3.0, (4, 2, 5))
    layer(x)
    mean, variance = 0.5 * x.mean((0, 2)), 0.5 + 0.5 * x.var(2, ddof=1).mean(0)
    np.testing.assert_allclose(layer.running_mean.numpy(), mean, rtol=1e-12)
    np.testing.assert_allclose(layer.running_var.numpy(), variance, rtol=1e-12)
    expected = (x - mean[:, None]) / np.sqrt(variance + 1e-5)[:, None]
    np.testing.assert_allclose(layer.eval()(x).numpy(), expected, rtol=1e-11)


def test_instance_norm_says_which_input_it_needs() -> None:
    with pytest.raises(ShapeError, match=r"InstanceNorm2d\(2\): an input \[N, 2, H, W\] or \[2, H, W\] is needed"):
        nn.InstanceNorm2d(2)(np.ones((2, 4)))
    with pytest.raises(ShapeError, match="more than one value per channel is needed"):
        nn.InstanceNorm1d(2)(np.ones((3, 2, 1)))


@pytest.mark.parametrize("kind", [nn.BatchNorm1d, nn.InstanceNorm1d])
def test_a_momentum_that_is_no_share_is_refused(kind: type[BatchNorm | InstanceNorm]) -> None:
    with pytest.raises(DefinitionError, match="momentum must be a number of at least 0 and at most 1, not 2"):
        kind(2, momentum=2)


@pytest.mark.parametrize("shape", [(5, 3), (3, 3, 2), (2, 3, 2, 2)])
def test_derivatives_of_batch_norm_are_right(shape: tuple[int, ...]) -> None:
    layer = BATCH[len(shape)](3, track_running_stats=False)
    check_gradients(lambda layer, x: layer(x), (layer, RNG.normal(size=shape)), components=4)


def test_derivatives_of_batch_norm_in_evaluation_are_right() -> None:
    layer = nn.BatchNorm2d(3, dtype="float64").eval()
    layer(RNG.normal(size=(2, 3, 2, 2)))
    check_gradients(layer, (RNG.normal(size=(2, 3, 2, 2)),), components=4)


def test_derivatives_of_instance_norm_are_right() -> None:
    check_gradients(
        lambda layer, x: layer(x), (nn.InstanceNorm2d(3, affine=True), RNG.normal(size=(2, 3, 2, 2))), components=4
    )


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("shape", SHAPES)
def test_compiled_batch_norm_is_the_same(shape: tuple[int, ...], dtype: str) -> None:
    layer = BATCH[len(shape)](3, dtype=dtype)
    x = RNG.normal(size=shape).astype(dtype)
    check_layer(layer, x)
    check_layer(layer.eval(), x)


def test_compiled_instance_norm_is_the_same() -> None:
    layer = nn.InstanceNorm2d(3, affine=True, track_running_stats=True)
    check_layer(layer, RNG.normal(size=(2, 3, 4, 5)).astype(np.float32))
