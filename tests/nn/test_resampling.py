"""Interpolation and the layers that move channels into space, against NumPy and by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from chainrule import nn
from chainrule.errors import DefinitionError, ShapeError
from chainrule.nn.functional import channel_shuffle, interpolate, pixel_shuffle, pixel_unshuffle
from chainrule.testing import check_compiled, check_gradients
from chainrule.trace import trace

RNG = np.random.default_rng(0)
LINEAR: tuple[Any, ...] = ("linear", "bilinear", "trilinear")


@pytest.mark.parametrize("axes", [1, 2, 3])
def test_nearest_with_a_whole_factor_repeats_every_element(axes: int) -> None:
    x = RNG.normal(size=(2, 3, *(2, 3, 4)[:axes]))
    expected = x
    for axis in range(2, axes + 2):
        expected = expected.repeat(3, axis)
    for mode in ("nearest", "nearest-exact"):
        np.testing.assert_array_equal(interpolate(x, scale_factor=3, mode=mode).numpy(), expected)  # type: ignore[arg-type]


def test_nearest_rounds_down_and_nearest_exact_looks_at_the_middle() -> None:
    x = np.arange(5.0).reshape(1, 1, 5)
    assert interpolate(x, size=3).tolist() == [[[0.0, 1.0, 3.0]]]
    assert interpolate(x, size=3, mode="nearest-exact").tolist() == [[[0.0, 2.0, 4.0]]]


@pytest.mark.parametrize("axes", [1, 2, 3])
@pytest.mark.parametrize("align_corners", [False, True])
def test_linear_interpolation_of_a_linear_function_is_that_function(axes: int, align_corners: bool) -> None:
    sizes, after = (4, 5, 3)[:axes], (7, 3, 6)[:axes]

    def places(n: int, o: int) -> Any:
        i = np.arange(o)
        return i * (n - 1) / (o - 1) if align_corners else np.clip((i + 0.5) * n / o - 0.5, 0, n - 1)

    def plane(at: list[Any]) -> Any:
        return sum(factor * grid for factor, grid in zip((2, -3, 5), np.meshgrid(*at, indexing="ij"), strict=False))

    x = plane([np.arange(n) for n in sizes])[None, None]
    found = interpolate(x.astype(float), size=after, mode=LINEAR[axes - 1], align_corners=align_corners)
    expected = plane([places(n, o) for n, o in zip(sizes, after, strict=True)])[None, None]
    np.testing.assert_allclose(found.numpy(), expected, atol=1e-13)


def test_bicubic_interpolation_by_hand() -> None:
    """A single spike spreads by Keys' kernel with a = -3/4, at a quarter and at three quarters."""

    def kernel(t: float) -> float:
        t, a = abs(t), -0.75
        if t <= 1:
            return (a + 2) * t**3 - (a + 3) * t**2 + 1
        return a * t**3 - 5 * a * t**2 + 8 * a * t - 4 * a if t < 2 else 0.0

    x = np.zeros((1, 1, 1, 7))
    x[..., 3] = 1.0
    expected = [kernel((i + 0.5) / 2 - 0.5 - 3) for i in range(14)]
    found = interpolate(x, size=(1, 14), mode="bicubic")
    np.testing.assert_allclose(found.numpy()[0, 0, 0], expected, atol=1e-15)


def test_a_given_factor_counts_though_sizes_are_rounded() -> None:
    x = np.arange(5.0).reshape(1, 1, 5)
    given = interpolate(x, scale_factor=1.5, mode="linear")
    assert given.shape == (1, 1, 7)
    np.testing.assert_allclose(given.numpy()[0, 0], np.clip((np.arange(7) + 0.5) / 1.5 - 0.5, 0, 4), atol=1e-14)
    again = interpolate(x, scale_factor=1.5, mode="linear", recompute_scale_factor=True)
    np.testing.assert_array_equal(again.numpy(), interpolate(x, size=7, mode="linear").numpy())


def test_area_is_the_mean_of_what_a_new_element_covers() -> None:
    x = RNG.normal(size=(2, 3, 4, 6))
    found = interpolate(x, size=(2, 2), mode="area")
    np.testing.assert_allclose(found.numpy(), x.reshape(2, 3, 2, 2, 2, 3).mean((3, 5)), atol=1e-15)


@pytest.mark.parametrize("mode", ["nearest", "bilinear", "bicubic", "area"])
def test_derivatives_of_interpolation_are_right(mode: Any) -> None:
    check_gradients(lambda x: interpolate(x, size=(5, 2), mode=mode) ** 2, (RNG.normal(size=(1, 2, 3, 3)),))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("mode", ["nearest", "bilinear", "bicubic"])
def test_compiled_interpolation_does_what_the_interpreter_does(mode: Any, dtype: Any) -> None:
    x = RNG.normal(size=(2, 3, 4, 5)).astype(dtype)
    graph = trace(lambda x: interpolate(x, size=(8, 7), mode=mode))(x)
    check_compiled(graph, [x])
    assert graph.results[0].dtype.name == dtype


def test_pixels_are_shuffled_row_by_row() -> None:
    x = RNG.normal(size=(2, 12, 3, 4))
    found = pixel_shuffle(x, 2).numpy()
    assert found.shape == (2, 3, 6, 8)
    for c, h, w, i, j in np.ndindex(3, 3, 4, 2, 2):
        np.testing.assert_array_equal(found[:, c, 2 * h + i, 2 * w + j], x[:, 4 * c + 2 * i + j, h, w])
    np.testing.assert_array_equal(pixel_unshuffle(found, 2).numpy(), x)
    np.testing.assert_array_equal(nn.PixelUnshuffle(2)(nn.PixelShuffle(2)(x[0])).numpy(), x[0])


def test_channels_are_shuffled_between_groups() -> None:
    x = np.arange(6.0).reshape(1, 6, 1) + np.zeros((2, 6, 3))
    assert nn.ChannelShuffle(3)(x).numpy()[1, :, 2].tolist() == [0, 2, 4, 1, 3, 5]


def test_unflatten_splits_an_axis() -> None:
    x = RNG.normal(size=(2, 12, 3))
    for dim, sizes in ((1, (3, 4)), (-2, (3, -1)), (1, (3, 2, 2))):
        expected = x.reshape(2, *(4 if n == -1 else n for n in sizes), 3)
        np.testing.assert_array_equal(nn.Unflatten(dim, sizes)(x).numpy(), expected)
    for sizes in ((3, 5), (-1, 5), (-1, -1)):
        with pytest.raises(ShapeError, match="cannot become"):
            nn.Unflatten(1, sizes)(x)


def test_layers_are_written_as_in_code() -> None:
    assert repr(nn.Upsample(scale_factor=2.0, mode="bilinear")) == "Upsample(scale_factor=2.0, mode='bilinear')"
    assert repr(nn.PixelShuffle(3)) == "PixelShuffle(3)" and repr(nn.PixelUnshuffle(3)) == "PixelUnshuffle(3)"
    assert repr(nn.ChannelShuffle(2)) == "ChannelShuffle(2)" and repr(nn.Unflatten(1, (2, 3))) == "Unflatten(1, (2, 3))"
    assert repr(nn.Unfold((2, 3), padding=1)) == "Unfold((2, 3), padding=1)"
    assert repr(nn.Fold(5, (2, 3), stride=2)) == "Fold(5, (2, 3), stride=2)"


@pytest.mark.parametrize(
    ("options", "kind", "message"),
    [
        ({}, ShapeError, "give either size or scale_factor"),
        ({"size": 2, "scale_factor": 2}, ShapeError, "give either size or scale_factor"),
        ({"size": (1, 2, 3)}, ShapeError, "size is one whole number, or one for each of 2 axes"),
        ({"scale_factor": (1.0, -1.0)}, ShapeError, "scale_factor is one positive number"),
        ({"scale_factor": 0.1}, ShapeError, r"cannot become \[0, 0\] in space"),
        ({"size": 2, "mode": "linear"}, DefinitionError, "mode 'linear' is not for 2 axes in space"),
        ({"size": 2, "mode": "cubic"}, DefinitionError, "mode 'cubic' is not for 2 axes in space"),
        ({"size": 2, "align_corners": True}, DefinitionError, "align_corners is not for mode 'nearest'"),
    ],
)
def test_interpolation_says_what_does_not_fit(options: dict[str, Any], kind: Any, message: str) -> None:
    with pytest.raises(kind, match=message):
        interpolate(np.ones((1, 1, 2, 2)), **options)


def test_other_shapes_that_do_not_fit() -> None:
    with pytest.raises(ShapeError, match="with 1 to 3 sizes is needed"):
        interpolate(np.ones((1, 2)), size=2)
    with pytest.raises(DefinitionError, match="give either size or scale_factor"):
        nn.Upsample()
    for call in (lambda: pixel_shuffle(np.ones((6, 2, 2)), 2), lambda: pixel_unshuffle(np.ones((1, 3, 2)), 2)):
        with pytest.raises(ShapeError, match="is needed"):
            call()
    with pytest.raises(ShapeError, match="cannot be split into 4 groups"):
        channel_shuffle(np.ones((1, 6)), 4)
