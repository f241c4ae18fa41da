"""Pooling layers: values by hand and by loops, windows that divide evenly, indices, and what layers refuse."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from chainrule import nn
from chainrule.autodiff import grad
from chainrule.compiled import compile
from chainrule.errors import DefinitionError, IndexingError, ShapeError
from chainrule.nn import functional as F
from chainrule.tensor import tensor
from chainrule.testing import check_gradients
from chainrule.types import Array

RNG = np.random.default_rng(0)
SIZES = (7, 5, 6)


def evenly(x: Array, counts: tuple[int, ...], reduce: Any) -> Array:
    """Windows from floor(i n / o) to ceil((i + 1) n / o) of the last axes, by loops."""
    lead = x.ndim - len(counts)
    out = np.empty((*x.shape[:lead], *counts))
    for place in np.ndindex(*counts):
        bounds = [(i * n // o, -(-(i + 1) * n // o)) for i, n, o in zip(place, x.shape[lead:], counts, strict=True)]
        window = x[(..., *(slice(*pair) for pair in bounds))]
        out[(..., *place)] = reduce(window.reshape(*x.shape[:lead], -1), axis=-1)
    return out


@pytest.mark.parametrize("axes", [1, 2, 3])
@pytest.mark.parametrize("counts", [(1, 1, 1), (7, 5, 6), (3, 2, 4), (9, 8, 7), (1, 5, 3)])
def test_adaptive_windows_divide_the_input_evenly(axes: int, counts: tuple[int, ...]) -> None:
    x, counts = RNG.normal(size=(2, 3, *SIZES[:axes])), counts[:axes]
    mean, largest = getattr(nn, f"AdaptiveAvgPool{axes}d")(counts), getattr(nn, f"AdaptiveMaxPool{axes}d")(counts, True)
    np.testing.assert_allclose(mean(x).numpy(), evenly(x, counts, np.mean), atol=1e-14)
    values, indices = largest(x)
    np.testing.assert_array_equal(values.numpy(), evenly(x, counts, np.max))
    flat = x.reshape(2, 3, -1)
    found = np.take_along_axis(flat, indices.numpy().reshape(2, 3, -1), -1)
    np.testing.assert_array_equal(found.reshape(values.shape), values.numpy())
    np.testing.assert_array_equal(mean(x[0]).numpy(), mean(x).numpy()[0])


def test_none_stands_for_as_many_windows_as_there_are_elements() -> None:
    x = RNG.normal(size=(3, 4, 6))
    np.testing.assert_allclose(nn.AdaptiveAvgPool2d((None, 2))(x).numpy(), x.reshape(3, 4, 2, 3).mean(-1), atol=1e-15)
    assert nn.AdaptiveMaxPool2d(None)(x).tolist() == x.tolist()


@pytest.mark.parametrize("counts", [(1, 1), (2, 3), (3, 2), (5, 6)])
def test_derivatives_of_adaptive_pooling_are_right(counts: tuple[int, int]) -> None:
    x = RNG.permutation(24).reshape(1, 1, 4, 6) / 4
    check_gradients(lambda x: F.adaptive_avg_pool2d(x, counts) ** 2, (x,))
    check_gradients(lambda x: F.adaptive_max_pool2d(x, counts) ** 2, (x,))


@pytest.mark.parametrize("axes", [1, 2, 3])
@pytest.mark.parametrize("power", [1, 2, 3.5])
def test_lp_pooling_is_the_p_norm_of_windows(axes: int, power: float) -> None:
    x = np.abs(RNG.normal(size=(2, 3, *(4, 6, 2)[:axes])))
    window = (2, 3, 1)[:axes]
    found = getattr(nn, f"LPPool{axes}d")(power, window)(x)
    counts = tuple(n // k for n, k in zip(x.shape[2:], window, strict=True))
    expected = evenly(x, counts, lambda w, axis: (w**power).sum(axis) ** (1 / power))
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-12)


def test_the_gradient_of_lp_pooling_is_zero_where_the_sum_is() -> None:
    found = grad(lambda x: F.lp_pool1d(x, 2, 2).sum())(np.array([[0.0, 0.0, 3.0, 4.0]]))
    np.testing.assert_allclose(found.numpy(), [[0.0, 0.0, 0.6, 0.8]])


@pytest.mark.parametrize("axes", [1, 2, 3])
def test_layers_pool_as_their_functions_do(axes: int) -> None:
    x = RNG.normal(size=(2, 3, *SIZES[:axes]))
    largest = getattr(nn, f"MaxPool{axes}d")(3, 2, 1, 2, ceil_mode=True)
    expected = getattr(F, f"max_pool{axes}d")(x, 3, 2, 1, 2, True)
    assert largest(x).tolist() == expected.tolist()
    with_indices = getattr(nn, f"MaxPool{axes}d")(2, return_indices=True)(x)
    assert [y.shape for y in with_indices] == [(2, 3, *(n // 2 for n in SIZES[:axes]))] * 2
    mean = getattr(nn, f"AvgPool{axes}d")(3, 2, 1, True, False)
    assert mean(x).tolist() == getattr(F, f"avg_pool{axes}d")(x, 3, 2, 1, True, False).tolist()


def test_a_divisor_takes_the_place_of_the_number_of_elements() -> None:
    assert nn.AvgPool2d(2, divisor_override=2)(np.ones((1, 2, 2))).tolist() == [[[2.0]]]


def test_channels_that_come_last_are_pooled_without_a_copy() -> None:
    """Kernels read arrays as they lie in memory, and write in the same order."""
    x = tensor(RNG.normal(size=(2, 8, 6, 17)))

    def loss(x: Any) -> Any:
        out = F.max_pool2d(x.permute_dims((0, 3, 1, 2)), 2).permute_dims((0, 2, 3, 1))
        return (out * out).sum()

    step = compile(lambda x: grad(loss)(x) * 0.5)
    largest = x.numpy().reshape(2, 4, 2, 3, 2, 17).max((2, 4), keepdims=True)
    expected = np.where(x.numpy().reshape(2, 4, 2, 3, 2, 17) == largest, largest, 0.0)
    np.testing.assert_array_equal(step(x).numpy(), expected.reshape(x.shape))
    assert "window_place" in str(step.kernels) and "copy" not in str(step.kernels)


@pytest.mark.parametrize("axes", [1, 2, 3])
def test_unpooling_puts_values_back_where_pooling_found_them(axes: int) -> None:
    x = RNG.uniform(1, 2, size=(2, 3, *SIZES[:axes]))
    values, indices = getattr(nn, f"MaxPool{axes}d")(2, return_indices=True)(x)
    found = getattr(nn, f"MaxUnpool{axes}d")(2)(values, indices, output_size=x.shape).numpy()
    assert (found != 0).sum() == values.size
    np.testing.assert_array_equal(found[found != 0], x[found != 0])
    back, places = getattr(F, f"max_unpool{axes}d"), indices[:1, :1]
    check_gradients(lambda y: back(y, places, 2, output_size=x.shape), (values.numpy()[:1, :1],))


def test_unpooling_says_what_does_not_fit() -> None:
    x, indices = np.ones((1, 2, 2)), np.zeros((1, 2, 2), np.int64)
    with pytest.raises(ShapeError, match=r"max_unpool2d: output_size \(6, 4\) must be nearer to \[4, 4\] than"):
        nn.MaxUnpool2d(2)(x, indices, (6, 4))
    with pytest.raises(ShapeError, match="an index is needed for each value"):
        nn.MaxUnpool2d(2)(x, indices[:, :1])
    with pytest.raises(IndexingError):
        nn.MaxUnpool2d(2)(x, indices + 16)


def test_layers_are_written_as_in_code() -> None:
    assert repr(nn.MaxPool2d(2)) == "MaxPool2d(2)"
    assert repr(nn.MaxPool2d((2, 3), (2, 3), ceil_mode=True)) == "MaxPool2d((2, 3), ceil_mode=True)"
    assert repr(nn.AvgPool1d(3, 2, 1, count_include_pad=False)) == (
        "AvgPool1d(3, stride=2, padding=1, count_include_pad=False)"
    )
    assert repr(nn.AdaptiveAvgPool2d((None, 3))) == "AdaptiveAvgPool2d((None, 3))"
    assert repr(nn.AdaptiveMaxPool1d(3, True)) == "AdaptiveMaxPool1d(3, return_indices=True)"
    assert repr(nn.LPPool2d(2, 3, stride=1)) == "LPPool2d(2, 3, stride=1)"


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: nn.MaxPool2d(0), "kernel_size must be a whole number of at least 1, not 0"),
        (lambda: nn.MaxPool2d(2, (1, 2, 3)), "stride is one whole number, or one for each of 2 axes"),
        (lambda: nn.AvgPool2d(2, divisor_override=0), "divisor_override must be a whole number of at least 1"),
        (lambda: nn.LPPool1d(0, 2), "norm_type must not be 0"),
        (lambda: nn.AdaptiveAvgPool2d((1, 2, 3)), "output_size is a number or None, or one for each of 2 axes"),
        (lambda: nn.AdaptiveMaxPool1d(0), "output_size must be a whole number of at least 1, not 0"),
    ],
)
def test_layers_refuse_what_does_not_fit(make: Any, message: str) -> None:
    with pytest.raises(DefinitionError, match=message):
        make()


def test_pooling_says_which_input_it_needs() -> None:
    with pytest.raises(ShapeError, match=r"max_pool2d: an input \[batch, channels, height, width\] or"):
        nn.MaxPool2d(2)(np.ones((4, 4)))
    with pytest.raises(ShapeError, match=r"avg_pool: padding .* is more than half of the window"):
        nn.AvgPool2d(2, padding=2)(np.ones((1, 4, 4)))
    with pytest.raises(ShapeError, match="adaptive_avg_pool1d: output_size is a number or None"):
        F.adaptive_avg_pool1d(np.ones((1, 4)), 0)
    with pytest.raises(ShapeError, match="there are no elements to pool"):
        F.adaptive_max_pool1d(np.ones((1, 0)), 2)
