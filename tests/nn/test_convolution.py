"""Convolution layers and their transposes: values by hand, by loops, first weights, and what they refuse."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

from chainrule import nn
from chainrule.autodiff import grad
from chainrule.compiled import compile
from chainrule.errors import DefinitionError, ShapeError
from chainrule.nn import functional as F
from chainrule.random import seed
from chainrule.testing import check_gradients
from chainrule.types import Array

RNG = np.random.default_rng(0)
CONVS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
TRANSPOSES = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)
SIZES = (6, 5, 4)
MODES = {"zeros": "constant", "reflect": "reflect", "replicate": "edge", "circular": "wrap"}


def convolved(x: Array, w: Array, bias: Array, stride: int, dilation: int, groups: int) -> Array:
    """A convolution without padding, by loops over the output."""
    axes = x.ndim - 2
    counts = [(n - (k - 1) * dilation - 1) // stride + 1 for n, k in zip(x.shape[2:], w.shape[2:], strict=True)]
    out = np.empty((x.shape[0], w.shape[0], *counts))
    each = w.shape[0] // groups
    for o, *place in itertools.product(range(w.shape[0]), *map(range, counts)):
        channels = slice(o // each * w.shape[1], (o // each + 1) * w.shape[1])
        window = tuple(
            slice(p * stride, p * stride + (k - 1) * dilation + 1, dilation)
            for p, k in zip(place, w.shape[2:], strict=True)
        )
        seen = x[(slice(None), channels, *window)] * w[o]
        out[(slice(None), o, *place)] = seen.sum(axis=tuple(range(1, axes + 2))) + bias[o]
    return out


@pytest.mark.parametrize("axes", [1, 2, 3])
@pytest.mark.parametrize("padding_mode", MODES)
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"stride": 2, "padding": 1},
        {"padding": 2, "groups": 2},
        {"padding": "same", "dilation": 2},
        {"padding": "valid", "groups": 4, "bias": False},
    ],
)
def test_a_convolution_is_the_sum_of_windows_times_kernels(
    axes: int, padding_mode: Any, options: dict[str, Any]
) -> None:
    layer = CONVS[axes - 1](4, 8, 2, **options, padding_mode=padding_mode, dtype="float64")
    stride, dilation, groups = (options.get(name, 1) for name in ("stride", "dilation", "groups"))
    assert layer.weight.shape == (8, 4 // groups, *(2,) * axes)
    padding = {"same": (dilation // 2, dilation - dilation // 2), "valid": (0, 0)}.get(options.get("padding", 0))
    if padding is None:
        padding = (options.get("padding", 0),) * 2
    x = RNG.normal(size=(2, 4, *SIZES[:axes]))
    padded = np.pad(x, ((0, 0), (0, 0), *(padding,) * axes), mode=MODES[padding_mode])  # type: ignore[call-overload]
    bias = np.zeros(8) if layer.bias is None else layer.bias.numpy()
    expected = convolved(padded, layer.weight.numpy(), bias, stride, dilation, groups)
    np.testing.assert_allclose(layer(x).numpy(), expected, atol=1e-13)
    np.testing.assert_allclose(layer(x[0]).numpy(), expected[0], atol=1e-13)


@pytest.mark.parametrize("axes", [1, 2, 3])
@pytest.mark.parametrize("options", [{}, {"stride": 2, "padding": 1, "groups": 2}, {"stride": 3, "dilation": 2}])
def test_a_transposed_convolution_is_the_gradient_of_a_convolution(axes: int, options: dict[str, Any]) -> None:
    up = TRANSPOSES[axes - 1](4, 6, 3, **options, dtype="float64", bias=False)
    down = CONVS[axes - 1](6, 4, 3, **options, dtype="float64", bias=False)
    down.load_state_dict({"weight": up.weight.numpy()})
    y = RNG.normal(size=(2, 4, *SIZES[:axes]))
    found = up(y)
    expected = grad(lambda x: (down(x) * y).sum())(np.zeros(found.shape))
    np.testing.assert_allclose(found.numpy(), expected.numpy(), atol=1e-13)


def test_transposed_convolution_by_hand() -> None:
    layer = nn.ConvTranspose1d(1, 1, 3, stride=2, padding=1, output_padding=1)
    layer.load_state_dict({"weight": np.float32([[[1, 10, 100]]]), "bias": np.float32([0.5])})
    assert layer([[[1.0, 2.0]]]).tolist() == [[[10.5, 102.5, 20.5, 200.5]]]


@pytest.mark.parametrize("given", [(8, 11), (3, 8, 11), (1, 3, 8, 11)])
def test_an_output_size_takes_the_place_of_the_output_padding(given: tuple[int, ...]) -> None:
    layer = nn.ConvTranspose2d(2, 3, 3, stride=(2, 3), padding=1)
    x = RNG.normal(size=(1, 2, 4, 4)).astype(np.float32)
    assert layer(x).shape == (1, 3, 7, 10)
    assert layer(x, output_size=given).shape == (1, 3, 8, 11)
    expected = F.conv_transpose2d(x, layer.weight, layer.bias, stride=(2, 3), padding=1, output_padding=1)
    assert layer(x, output_size=given).tolist() == expected.tolist()
    with pytest.raises(ShapeError, match=r"output_size \[9, 10\] must be from \[7, 10\] to \[8, 12\]"):
        layer(x, output_size=(9, 10))


@pytest.mark.parametrize("layer", [nn.Conv2d(3, 40, 3, groups=1), nn.ConvTranspose2d(40, 9, (3, 1), groups=1)])
def test_first_weights_are_uniform_within_one_over_the_root_of_the_fan_in(layer: Any) -> None:
    """Of [40, 3, 3, 3] and of [40, 9, 3, 1], whose fan-in is counted as that of [outputs, inputs, ...]."""
    seed(0)
    values = type(layer)(layer.in_channels, layer.out_channels, layer.kernel_size).weight.numpy()
    bound = 1 / np.sqrt(27)
    assert values.dtype == np.float32 and 0.98 * bound < np.abs(values).max() <= bound
    assert abs(values.std() - bound / np.sqrt(3)) < 0.02
    assert np.abs(layer.bias.numpy()).max() <= bound


def test_a_layer_takes_an_initializer_for_its_weight() -> None:
    assert nn.Conv1d(1, 1, 2, initializer=nn.initializers.ones).weight.tolist() == [[[1.0, 1.0]]]


@pytest.mark.parametrize("mode", ["zeros", "reflect"])
def test_derivatives_of_convolutions_are_right(mode: Any) -> None:
    model = nn.Sequential(
        nn.Conv2d(1, 2, 2, padding=1, padding_mode=mode, dtype="float64"),
        nn.Tanh(),
        nn.ConvTranspose2d(2, 2, (1, 2), stride=2, groups=2, dtype="float64"),
    )
    check_gradients(lambda model, x: model(x), (model, RNG.normal(size=(1, 1, 2, 2))))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_compiled_layers_and_their_gradients_do_what_eager_ones_do(dtype: Any) -> None:
    layers = [
        nn.Conv2d(4, 8, 3, stride=2, padding=1, dtype=dtype),
        nn.ReLU(),
        nn.MaxPool2d(3, 2, 1),
        nn.Conv2d(8, 8, 3, padding="same", groups=8, padding_mode="circular", dtype=dtype),
        nn.ConvTranspose2d(8, 2, 2, stride=2, dtype=dtype),
        nn.Upsample(scale_factor=2, mode="bilinear"),
        nn.AvgPool2d(3, 2, 1),
    ]
    model = nn.Sequential(*layers)

    def loss(x: Any) -> Any:
        return (model(x.permute_dims((0, 3, 1, 2))) ** 2).sum()

    x = RNG.normal(size=(2, 9, 11, 4)).astype(dtype)
    expected, found = grad(loss)(x), compile(grad(loss))(x)
    np.testing.assert_allclose(found.numpy(), expected.numpy(), rtol=1e-3 if dtype == "float32" else 1e-11, atol=1e-5)


def test_layers_are_written_as_in_code() -> None:
    assert repr(nn.Conv2d(3, 8, 3)) == "Conv2d(3, 8, 3)  224 parameters"
    text = "Conv1d(4, 8, 3, stride=2, padding='valid', dilation=3, groups=2, bias=False, padding_mode='reflect')"
    layer = nn.Conv1d(4, 8, 3, 2, "valid", 3, 2, bias=False, padding_mode="reflect")
    assert layer.describe() == text
    layer = nn.ConvTranspose2d(4, 8, (3, 5), (2, 3), 1, (0, 1), groups=2, bias=False, dilation=2)
    assert layer.describe() == (
        "ConvTranspose2d(4, 8, (3, 5), stride=(2, 3), padding=1, output_padding=(0, 1), groups=2, "
        "bias=False, dilation=2)"
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((0, 1, 1), "in_channels must be a whole number of at least 1, not 0"),
        ((1, 1, 0), "kernel_size must be a whole number of at least 1, not 0"),
        ((1, 1, (2, 2, 2)), "kernel_size is one whole number, or one for each of 2 axes"),
        ((1, 1, 1, 1.5), "stride must be a whole number"),
        ((1, 1, 1, 1, -1), "padding must be a whole number of at least 0, not -1"),
        ((1, 1, 1, 1, "full"), "padding must be numbers, 'same' or 'valid', not 'full'"),
        ((1, 1, 1, 2, "same"), "padding 'same' is for a stride of 1, not 2"),
        ((4, 6, 1, 1, 0, 1, 4), "4 and 6 channels cannot be split into 4 groups"),
        ((1, 1, 1, 1, 0, 1, 1, True, "edge"), "padding_mode must be 'zeros', 'reflect', 'replicate' or 'circular'"),
    ],
)
def test_a_convolution_refuses_what_does_not_fit(arguments: Any, message: str) -> None:
    with pytest.raises(DefinitionError, match=message):
        nn.Conv2d(*arguments)


def test_a_transposed_convolution_pads_with_zeros_only() -> None:
    with pytest.raises(DefinitionError, match="padding_mode can only be 'zeros', not 'reflect'"):
        nn.ConvTranspose1d(1, 1, 1, padding_mode="reflect")  # type: ignore[arg-type]


def test_layers_say_which_input_they_need() -> None:
    with pytest.raises(ShapeError, match=r"Conv2d\(3, 8, 3\): an input of 3 channels is needed, not f64\[2, 4, 5, 5\]"):
        nn.Conv2d(3, 8, 3)(np.ones((2, 4, 5, 5)))
    with pytest.raises(ShapeError, match=r"\[batch, channels, height, width\] or \[channels, height, width\]"):
        nn.Conv2d(3, 8, 3)(np.ones((3, 4)))
    with pytest.raises(ShapeError, match="conv1d: a weight with 3 axes is needed"):
        F.conv1d(np.ones((1, 1, 3)), np.ones((1, 3)))


@pytest.mark.parametrize("options", [{}, {"stride": 2}, {"padding": 1, "dilation": 2}])
def test_folding_is_the_transpose_of_unfolding(options: dict[str, Any]) -> None:
    x = RNG.normal(size=(2, 3, 5, 6))
    columns = F.unfold(x, (2, 3), **options)
    assert columns.shape[1] == 3 * 2 * 3
    weights = RNG.normal(size=columns.shape)
    expected = grad(lambda x: (F.unfold(x, (2, 3), **options) * weights).sum())(x)
    found = nn.Fold((5, 6), (2, 3), **options)(weights)
    np.testing.assert_allclose(found.numpy(), expected.numpy(), atol=1e-14)
    np.testing.assert_array_equal(nn.Unfold((2, 3), **options)(x[0]).numpy(), columns.numpy()[0])


def test_a_convolution_is_a_product_with_unfolded_images() -> None:
    x, w = RNG.normal(size=(2, 3, 5, 6)), RNG.normal(size=(4, 3, 2, 2))
    product = w.reshape(4, -1) @ F.unfold(x, 2).numpy()
    np.testing.assert_allclose(F.conv2d(x, w).numpy(), product.reshape(2, 4, 4, 5), atol=1e-13)


def test_fold_says_how_many_columns_it_needs() -> None:
    with pytest.raises(ShapeError, match=r"fold: 4 rows a channel and 4 columns are needed for images \[3, 3\]"):
        F.fold(np.ones((1, 4, 5)), 3, 2)
