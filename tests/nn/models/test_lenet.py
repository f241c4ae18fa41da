"""LeNet5."""

from __future__ import annotations

import numpy as np
import pytest

from chainrule import losses
from chainrule.errors import DefinitionError, ShapeError
from chainrule.nn.models import LeNet5
from chainrule.ops import zeros
from tests.nn.models.learning import check_slope, learn, size

RNG = np.random.default_rng(0)


def strokes(n: int = 16) -> tuple[np.ndarray, np.ndarray]:
    """Images [n, 1, 28, 28] of upright, lying and slanting strokes at any place."""
    x, y = RNG.normal(size=(n, 1, 28, 28)).astype(np.float32) * 0.2, RNG.integers(0, 3, n)
    along = np.arange(10)
    for image, kind in zip(x, y, strict=True):
        row, column = RNG.integers(0, 18, 2)
        image[0, row + along * (kind != 1), column + along * (kind != 0)] += 2.0
    return x, y


@pytest.mark.parametrize(("modern", "steps"), [(True, 80), (False, 250)])
def test_it_learns_to_tell_strokes_apart(modern: bool, steps: int) -> None:
    model = LeNet5(3, modern=modern)
    first, last = learn(model, lambda x, y: losses.cross_entropy(model(x), y), strokes, steps, 3e-3)
    assert last < 0.3 < 0.9 < first
    x, y = strokes(64)
    assert (model.eval()(x).numpy().argmax(1) == y).mean() > 0.9


def test_it_has_the_size_of_lenet_5_with_all_maps_connected() -> None:
    assert size(LeNet5()) == size(LeNet5(modern=False)) == 61_706
    sizes = {name.split(".")[0]: 0 for name, _ in LeNet5().named_parameters()}
    for name, x in LeNet5().named_parameters():
        sizes[name.split(".")[0]] += x.size
    assert sizes == {"conv1": 156, "conv2": 2_416, "fc1": 48_120, "fc2": 10_164, "fc3": 850}


def test_a_small_image_is_a_large_one_with_a_margin_of_zeros() -> None:
    model, x = LeNet5(), RNG.normal(size=(2, 1, 28, 28)).astype(np.float32)
    larger = np.pad(x, ((0, 0), (0, 0), (2, 2), (2, 2)))
    np.testing.assert_array_equal(model(x).numpy(), model(larger).numpy())


@pytest.mark.parametrize("modern", [True, False])
def test_gradients_are_right(modern: bool) -> None:
    x, y = strokes(2)
    model = LeNet5(3, modern=modern, dtype="float64")
    check_slope(model, lambda: losses.cross_entropy(model(x.astype(np.float64)), y))


def test_bad_sizes_are_refused() -> None:
    with pytest.raises(ShapeError, match=r"32, 32\] or 28 x 28 are needed, not f32\[2, 1, 30, 28\]"):
        LeNet5()(zeros((2, 1, 30, 28)))
    with pytest.raises(DefinitionError, match="num_classes must be a whole number"):
        LeNet5(0)
