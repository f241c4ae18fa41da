"""Winograd's algorithm does what the convolution of NumPy does, and so do both of its derivatives."""

from __future__ import annotations

import numpy as np
import pytest

from chainrule.native.convolution import WinogradPlan, forward, sweep_plan
from chainrule.ops.convolution import CONVOLUTION, CONVOLUTION_TRANSPOSE, CONVOLUTION_WEIGHT
from chainrule.types import float32, float64
from tests.native.convolution.sweeping import channels_last, placed, swept
from tests.native.convolution.test_sweep import close, drawn
from tests.native.harness import HOST, TARGETS
from tests.native.one_op import Batch

# batch, channels, kernels, sizes, padding at both ends of both axes
SHAPES = [
    (5, 32, 32, (8, 8), ((1, 1), (1, 1))),
    (2, 32, 64, (26, 26), ((0, 0), (0, 0))),
    (3, 17, 19, (7, 9), ((1, 1), (1, 1))),
    (1, 64, 32, (9, 300), ((1, 1), (1, 1))),  # parts of lines
    (9, 64, 64, (4, 4), ((1, 1), (1, 1))),  # lines of several images
    (4, 40, 48, (12, 11), ((2, 0), (0, 2))),
]


def attributes_of(padding):
    return {"stride": (1, 1), "padding": padding, "dilation": (1, 1), "groups": 1}


def planned(x, w, y, dtype, target, padding):
    sweep = forward(placed(x), placed(w), placed(y), dtype, (1, 1), padding, (1, 1), 1)
    return sweep_plan(sweep, target)


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.cpu)
@pytest.mark.parametrize("dtype", [float32, float64], ids=str)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_forward_and_backward(shape, dtype, target):
    batch, channels, made, sizes, padding = shape
    attributes = attributes_of(padding)
    x, w = drawn(np.random.default_rng(0), batch, channels, sizes, made, 1, (3, 3), dtype, True)
    y = CONVOLUTION.numpy(x, w, **attributes)
    found = swept(x, w, y.shape, dtype, target, turned=False, **attributes)
    assert isinstance(planned(x, w, found, dtype, target, padding), WinogradPlan)
    close(found, y)
    expected = CONVOLUTION_TRANSPOSE.numpy(y, w, **attributes, size=sizes)
    close(swept(found, w, x.shape, dtype, target, turned=True, **attributes), expected)


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.cpu)
@pytest.mark.parametrize("dtype", [float32, float64], ids=str)
def test_derivative_by_kernels(dtype, target):
    random, cases = np.random.default_rng(0), []
    for batch, channels, made, sizes, padding in [*SHAPES, (70, 16, 16, (2, 2), ((1, 1), (1, 1)))]:
        for last in (True, False):
            attributes = attributes_of(padding)
            x, w = drawn(random, batch, channels // 8 * 8, sizes, made // 16 * 16, 1, (3, 3), dtype, last)
            shape = CONVOLUTION.numpy(x, w, **attributes).shape
            y, _ = drawn(random, batch, w.shape[0], shape[2:], 1, 1, (), dtype, last)
            cases.append(((x, y), {**attributes, "kernel": (3, 3)}))
    running = Batch(target)
    runs = [running.add(CONVOLUTION_WEIGHT, inputs, attributes) for inputs, attributes in cases]
    running.compile()
    for run, (inputs, attributes) in zip(runs, cases, strict=True):
        close(run(), CONVOLUTION_WEIGHT.numpy(*inputs, **attributes))


def test_images_of_which_a_part_is_seen():
    whole = channels_last((4, 48, 9, 9), np.dtype(np.float32))
    whole[...] = np.random.default_rng(0).standard_normal(whole.shape)
    x, w = whole[:, 16:], np.random.default_rng(1).standard_normal((32, 32, 3, 3)).astype(np.float32)
    attributes = attributes_of(((1, 1), (1, 1)))
    y = CONVOLUTION.numpy(x, w, **attributes)
    found = swept(x, w, y.shape, float32, HOST, turned=False, **attributes)
    assert isinstance(planned(x, w, found, float32, HOST, attributes["padding"]), WinogradPlan)
    close(found, y)
    running = Batch(HOST)
    run = running.add(CONVOLUTION_WEIGHT, (x, y), {**attributes, "kernel": (3, 3)})
    running.compile()
    close(run(), CONVOLUTION_WEIGHT.numpy(x, y, **attributes, kernel=(3, 3)))


def test_small_whole_numbers_give_exact_results():
    random = np.random.default_rng(0)
    x = channels_last((4, 32, 10, 10), np.dtype(np.float32))
    x[...] = random.integers(-8, 9, x.shape)
    w = random.integers(-8, 9, (32, 32, 3, 3)).astype(np.float32)
    attributes = attributes_of(((1, 1), (1, 1)))
    y = CONVOLUTION.numpy(x, w, **attributes)
    np.testing.assert_array_equal(swept(x, w, y.shape, float32, HOST, turned=False, **attributes), y)


def test_results_depend_on_what_they_look_at_alone():
    random = np.random.default_rng(0)
    x = channels_last((4, 32, 10, 10), np.dtype(np.float32))
    x[...] = random.standard_normal(x.shape)
    x[0, 3, 4, 4] = np.inf
    x[1, 5, 7, 2] = np.nan
    w = random.standard_normal((32, 32, 3, 3)).astype(np.float32)
    attributes = attributes_of(((1, 1), (1, 1)))
    y = CONVOLUTION.numpy(x, w, **attributes)
    found = swept(x, w, y.shape, float32, HOST, turned=False, **attributes)
    np.testing.assert_array_equal(np.isfinite(found), np.isfinite(y))


@pytest.mark.parametrize("stride, channels", [((2, 2), 32), ((1, 1), 3)])
def test_others_are_computed_by_the_definition(stride, channels):
    x, w = drawn(np.random.default_rng(0), 4, channels, (9, 9), 32, 1, (3, 3), float32, True)
    sizes = (1 + 8 // stride[0],) * 2
    y = channels_last((4, 32, *sizes), x.dtype)
    sweep = forward(placed(x), placed(w), placed(y), float32, stride, ((1, 1), (1, 1)), (1, 1), 1)
    assert not isinstance(sweep_plan(sweep, HOST), WinogradPlan)
