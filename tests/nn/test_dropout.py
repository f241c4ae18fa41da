"""Dropout of elements and of channels."""

from __future__ import annotations

import numpy as np
import pytest

from chainrule import nn
from chainrule.autodiff import grad
from chainrule.errors import DefinitionError, ShapeError
from chainrule.random import Generator, seed
from chainrule.tensor import tensor
from chainrule.trace import trace
from tests.nn.compiling import check_layer


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


@pytest.mark.parametrize(
    ("kind", "shape", "channels"),
    [
        (nn.Dropout1d, (40, 30, 5), 2),
        (nn.Dropout1d, (1200, 5), 1),
        (nn.Dropout2d, (40, 30, 2, 3), 2),
        (nn.Dropout2d, (40, 30, 5), 2),
        (nn.Dropout3d, (40, 30, 1, 2, 3), 2),
        (nn.Dropout3d, (1200, 1, 2, 3), 1),
    ],
)
def test_channels_are_dropped_as_a_whole(kind: type[nn.Dropout1d], shape: tuple[int, ...], channels: int) -> None:
    y = kind(0.25, generator=Generator(3))(np.ones(shape)).numpy().reshape(*shape[:channels], -1)
    assert set(np.unique(y)) == {0.0, 1.0 / 0.75} and (y == y[..., :1]).all()
    assert abs((y == 0).mean() - 0.25) < 0.05


def test_channel_dropout_says_which_input_it_needs() -> None:
    with pytest.raises(ShapeError, match=r"Dropout2d\(0.5\): an input \[N, C, H, W\] or \[N, C, L\] is needed"):
        nn.Dropout2d()(np.ones((2, 3)))
    with pytest.raises(ShapeError, match=r"an input \[N, C, ...\] is needed"):
        nn.FeatureAlphaDropout()(np.ones(2))
    assert nn.Dropout2d().eval()(np.ones((2, 3))).shape == (2, 3)


def test_alpha_dropout_keeps_mean_and_variance() -> None:
    x = np.random.default_rng(0).normal(size=200_000)
    y = nn.AlphaDropout(0.3, generator=Generator(1))(x).numpy()
    assert abs(y.mean()) < 0.01 and abs(y.var() - 1.0) < 0.01


def test_alpha_dropout_of_ones_gives_two_known_numbers() -> None:
    for layer in (nn.AlphaDropout(0.3, generator=Generator(1)), nn.FeatureAlphaDropout(0.3, generator=Generator(1))):
        y = layer(np.ones((20, 10, 3))).numpy()
        np.testing.assert_allclose(np.unique(y), [-1.0595482, 1.3150447], rtol=1e-6)
        assert abs((y < 0).mean() - 0.3) < 0.1
    assert (y == y[..., :1]).all()
    assert nn.AlphaDropout(1.0)(np.ones(3)).tolist() == [0.0] * 3


def test_compiled_dropout_draws_the_same() -> None:
    x = np.random.default_rng(0).normal(size=(4, 3, 5)).astype(np.float32)
    for layer in (nn.Dropout(0.3), nn.Dropout1d(0.3), nn.AlphaDropout(0.3), nn.FeatureAlphaDropout(0.3)):
        layer.generator = Generator(0)
        check_layer(layer, x)
