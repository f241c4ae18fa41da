from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from chainrule.data.augment import Augment, colour, crop, cutout, flip, mixup

X = np.random.default_rng(0).integers(0, 256, (40, 3, 16, 16)).astype(np.uint8)
GREY = X[:, :1]


@pytest.mark.parametrize("change", [flip, crop, colour, cutout])
@pytest.mark.parametrize("x", [X, GREY])
def test_the_generator_alone_decides_and_nothing_is_changed_in_place(
    change: Callable[..., np.ndarray], x: np.ndarray
) -> None:
    before = x.copy()
    made = [change(x, np.random.default_rng(seed)) for seed in (1, 1, 2)]
    np.testing.assert_array_equal(made[0], made[1])
    assert not np.array_equal(made[0], made[2]) and not np.array_equal(made[0], x)
    assert made[0].dtype == np.uint8 and made[0].shape == x.shape
    np.testing.assert_array_equal(x, before)


def test_one_image_in_two_is_flipped() -> None:
    found = flip(X, np.random.default_rng(0))
    flipped = [np.array_equal(a, b[:, :, ::-1]) for a, b in zip(found, X, strict=True)]
    same = [np.array_equal(a, b) for a, b in zip(found, X, strict=True)]
    assert all(a != b for a, b in zip(flipped, same, strict=True)) and 10 < sum(flipped) < 30


def test_images_are_moved_by_a_few_pixels_each_in_its_own_way() -> None:
    found = crop(X, np.random.default_rng(0), most=2)
    moves = set()
    for a, b in zip(found, np.pad(X, ((0, 0), (0, 0), (2, 2), (2, 2)), mode="symmetric"), strict=True):
        fits = [(i, j) for i in range(5) for j in range(5) if np.array_equal(a, b[:, i : i + 16, j : j + 16])]
        assert len(fits) == 1
        moves.add(fits[0])
    assert len(moves) > 10


def test_colours_change_brightness_contrast_and_saturation_by_the_formula() -> None:
    x, rng = X[:2], np.random.default_rng(0)
    brightness, contrast, saturation = np.random.default_rng(0).uniform(0.7, 1.3, (3, 2, 1, 1, 1))
    expected = x * brightness
    mean = expected.mean((1, 2, 3), keepdims=True)
    expected = mean + (expected - mean) * contrast
    grey = expected.mean(1, keepdims=True)
    expected = grey + (expected - grey) * saturation
    np.testing.assert_allclose(colour(x, rng), np.clip(expected, 0, 255), atol=0.51)


def test_without_strength_colours_stay() -> None:
    np.testing.assert_array_equal(colour(X, np.random.default_rng(0), strength=0.0), X)


def test_a_square_is_cut_out_of_each_image() -> None:
    found = cutout(X, np.random.default_rng(0), size=6)
    changed = (found != X).any(1)
    assert (changed.sum((1, 2)) <= 36).all() and (changed.sum((1, 2)) > 0).all()
    rows, columns = changed.any(2).sum(1), changed.any(1).sum(1)
    assert rows.max() == columns.max() == 6
    mean = X.mean((0, 2, 3)).astype(np.uint8)
    assert (found[0][:, changed[0]] == mean[:, None]).all()


def test_mixed_images_have_targets_in_the_same_shares() -> None:
    x = np.stack([np.full((1, 4, 4), 0), np.full((1, 4, 4), 200)] * 20).astype(np.uint8)
    y = np.eye(2, dtype=np.float32)[[0, 1] * 20]
    mixed, targets = mixup(x, y, np.random.default_rng(0), alpha=1.0)
    np.testing.assert_allclose(mixed[:, 0, 0, 0], 200 * targets[:, 1], atol=0.51)
    np.testing.assert_allclose(targets.sum(1), 1, atol=1e-6)
    assert targets.dtype == np.float32 and targets[:, 0].std() > 0.2


def test_what_is_switched_on_is_done() -> None:
    y = np.arange(40) % 3
    same, targets = Augment(3)(X, y, np.random.default_rng(0))
    assert same is X and targets is y
    assert not Augment(3) and Augment(3, cutout=True)
    all_of_it = Augment(3, flip=True, crop=True, colour=True, cutout=True, mixup=True)
    made, targets = all_of_it(X, y, np.random.default_rng(0))
    assert made.shape == X.shape and targets.shape == (40, 3)
