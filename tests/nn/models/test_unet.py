"""UNet."""

from __future__ import annotations

import numpy as np
import pytest

from chainrule import losses
from chainrule.errors import DefinitionError, ShapeError
from chainrule.nn.models import UNet, unet
from chainrule.ops import zeros
from chainrule.random import Generator
from tests.nn.models.learning import check_slope, learn, size

RNG = np.random.default_rng(0)


def frames(n: int = 4) -> tuple[np.ndarray, np.ndarray]:
    """Images [n, 1, 16, 16] of empty frames, and which pixels are within: it takes more than a pixel's surroundings."""
    x, y = RNG.normal(size=(n, 1, 16, 16)).astype(np.float32) * 0.2, np.zeros((n, 16, 16), np.int64)
    for image, inside in zip(x, y, strict=True):
        (top, left), (height, width) = RNG.integers(0, 8, 2), RNG.integers(5, 9, 2)
        inside[top : top + height, left : left + width] = 1
        edge = inside.copy()
        edge[top + 1 : top + height - 1, left + 1 : left + width - 1] = 0
        image[0] += 2.0 * edge
    return x, y


def test_it_learns_what_is_within_frames() -> None:
    model = UNet(width=6, depth=2, generator=Generator(0))
    first, last = learn(model, lambda x, y: losses.cross_entropy(model(x), y), frames, 100, 5e-3)
    assert last < 0.12 < 0.5 < first
    x, y = frames(16)
    found = model.eval()(x).numpy().argmax(1)
    assert (found & y).sum() / (found | y).sum() > 0.85


def test_it_has_the_papers_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unet, "he_normal", lambda shape, **_: zeros(shape))  # drawing takes time
    model = UNet()
    assert size(model) == 31_030_658
    assert sum(x.ndim == 4 for x in model.parameters()) == 23  # "in total the network has 23 convolutional layers"
    assert size(UNet(width=16)) == 1_940_834


def test_depth_and_width_decide_sizes() -> None:
    model = UNet(3, 5, width=4, depth=3)
    assert [block.conv2.out_channels for block in model.down] == [4, 8, 16, 32]
    assert model(zeros((1, 3, 8, 24))).shape == (1, 5, 8, 24)
    assert "UNet(3, 5, width=4, depth=3)" in repr(model)


def test_gradients_are_right() -> None:
    x, y = frames(2)
    model = UNet(width=2, depth=2, dtype="float64", generator=Generator(0))
    check_slope(model, lambda: losses.cross_entropy(model(x.astype(np.float64)), y))


def test_bad_sizes_are_refused() -> None:
    with pytest.raises(ShapeError, match=r"multiples of 4 are needed, not f32\[1, 1, 8, 6\]"):
        UNet(width=2, depth=2)(zeros((1, 1, 8, 6)))
    with pytest.raises(DefinitionError, match="depth must be a whole number of at least 1, not 0"):
        UNet(depth=0)
