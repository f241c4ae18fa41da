"""MobileNetV2."""

from __future__ import annotations

import numpy as np
import pytest

from chainrule import losses
from chainrule.errors import DefinitionError, ShapeError
from chainrule.nn.models import InvertedResidual, MobileNetV2, mobilenet, resnet
from chainrule.ops import zeros
from chainrule.random import Generator
from chainrule.tensor import tensor
from tests.nn.models.learning import check_slope, learn, size

RNG = np.random.default_rng(0)
TINY = [(1, 8, 1, 1), (2, 8, 2, 1), (2, 16, 1, 2)]


def stripes(n: int = 16) -> tuple[np.ndarray, np.ndarray]:
    """Images [n, 1, 12, 12] with upright and with lying stripes, both of any phase."""
    y, phase = RNG.integers(0, 2, n), RNG.integers(0, 3, (n, 1))
    waves = np.where((np.arange(12) + phase) % 3 == 0, 2.0, 0.0)
    x = np.where(y[:, None, None] == 1, waves[:, :, None], waves[:, None, :])
    return (x + RNG.normal(size=x.shape) * 0.3).astype(np.float32)[:, None], y


def test_it_learns_to_tell_stripes_apart() -> None:
    model = MobileNetV2(2, 0.5, TINY, dropout=0.0, in_channels=1, generator=Generator(0))
    first, last = learn(model, lambda x, y: losses.cross_entropy(model(x), y), stripes, 40, 1e-2)
    assert last < 0.1 < 0.6 < first
    x, y = stripes(64)
    assert (model.eval()(x).numpy().argmax(1) == y).mean() > 0.9


@pytest.mark.parametrize(("width", "parameters"), [(1.0, 3_504_872), (0.5, 1_968_680), (1.4, 6_108_776)])
def test_it_has_torchvisions_sizes_and_names(width: float, parameters: int, monkeypatch: pytest.MonkeyPatch) -> None:
    for draws in (mobilenet, resnet):
        monkeypatch.setattr(draws, "normal", lambda shape, **_: zeros(shape))  # drawing takes time
    model = MobileNetV2(width_mult=width)
    assert size(model) == parameters
    state = {name: x.shape for name, x in model.state_dict().items()}
    assert len(state) == 314
    names = ["features.0.0.weight", "features.0.1.num_batches_tracked", "features.1.conv.0.0.weight"]
    names += ["features.1.conv.1.weight", "features.1.conv.2.running_var", "features.2.conv.1.0.weight"]
    names += ["features.17.conv.3.bias", "features.18.0.weight", "classifier.1.weight", "classifier.1.bias"]
    assert set(names) <= set(state)
    if width == 1.0:
        assert state["features.2.conv.1.0.weight"] == (96, 1, 3, 3)
        assert state["features.17.conv.2.weight"] == (320, 960, 1, 1)
        assert state["classifier.1.weight"] == (1000, 1280)


def test_the_width_changes_no_number_of_channels_by_more_than_a_tenth_downwards() -> None:
    assert [mobilenet.rounded_channels(32 * w) for w in (0.35, 0.5, 0.75, 1.0, 1.4)] == [16, 16, 24, 32, 48]
    assert all(mobilenet.rounded_channels(n / 8) >= 0.9 * n / 8 for n in range(1, 800))


def test_a_shortcut_is_where_shapes_agree() -> None:
    x = RNG.normal(size=(2, 8, 4, 4)).astype(np.float32)
    block = InvertedResidual(8, 8, 1, 6).eval()
    np.testing.assert_allclose(block(tensor(x)).numpy(), x + block.conv(x).numpy())
    np.testing.assert_array_equal((again := InvertedResidual(8, 8, 2, 6).eval())(tensor(x)), again.conv(x).numpy())
    assert InvertedResidual(8, 16, 1, 1)(tensor(x)).shape == (2, 16, 4, 4)


def test_gradients_are_right() -> None:
    x, y = stripes(4)
    model = MobileNetV2(2, 0.5, TINY, dropout=0.0, in_channels=1, dtype="float64", generator=Generator(0))
    check_slope(model, lambda: losses.cross_entropy(model(x.astype(np.float64)), y))


def test_a_generator_decides_the_first_weights() -> None:
    first, again = (MobileNetV2(2, 0.25, TINY, generator=Generator(3)).state_dict() for _ in range(2))
    assert all(np.array_equal(x, again[name]) for name, x in first.items())
    assert not first["classifier.1.bias"].any() and 0.005 < first["classifier.1.weight"].std() < 0.015


def test_bad_settings_are_refused() -> None:
    with pytest.raises(DefinitionError, match="stride must be 1 or 2, not 3"):
        InvertedResidual(8, 8, 3, 6)
    with pytest.raises(DefinitionError, match="expansion, channels, number and stride are needed"):
        MobileNetV2(inverted_residual_setting=[(1, 2, 3)])
    with pytest.raises(ShapeError, match=r"\[batch, channels, height, width\] are needed, not f32\[3, 8, 8\]"):
        MobileNetV2(2, 0.25, TINY)(zeros((3, 8, 8)))
