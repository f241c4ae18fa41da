"""Sweeps do what the convolution of NumPy does."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from chainrule.native.convolution import SweepPlan, forward, sweep_plan
from chainrule.native.convolution.depthwise import Depthwise
from chainrule.ops.convolution import CONVOLUTION, CONVOLUTION_TRANSPOSE
from chainrule.types import float32, float64
from tests.native.convolution.sweeping import channels_last, placed, swept
from tests.native.harness import HOST, TARGETS

# sizes, kernel, stride, padding, dilation
GEOMETRIES = [
    ((5, 6), (3, 3), (1, 1), ((1, 1), (1, 1)), (1, 1)),
    ((7, 9), (3, 3), (1, 1), ((0, 0), (0, 0)), (1, 1)),
    ((9, 8), (3, 2), (2, 3), ((1, 0), (2, 1)), (1, 1)),
    ((9, 11), (3, 3), (1, 2), ((2, 2), (2, 2)), (2, 3)),
    ((6, 7), (1, 1), (1, 1), ((0, 0), (0, 0)), (1, 1)),
    ((8, 9), (1, 1), (2, 2), ((0, 0), (0, 0)), (1, 1)),
    ((17, 19), (7, 7), (2, 2), ((3, 3), (3, 3)), (1, 1)),
    ((33,), (5,), (1,), ((2, 2),), (1,)),
    ((20,), (3,), (4,), ((0, 1),), (2,)),
    ((4, 5, 6), (3, 2, 3), (1, 2, 1), ((1, 1), (0, 0), (1, 0)), (1, 1, 1)),
]
CHANNELS = [(1, 3, 5, 1), (2, 16, 16, 1), (1, 20, 37, 1), (3, 4, 8, 2), (2, 6, 6, 6), (1, 24, 24, 24), (5, 1, 9, 1)]


def close(found: np.ndarray, expected: np.ndarray) -> None:
    unit = np.finfo(found.dtype).eps
    np.testing.assert_allclose(found, expected, rtol=64 * unit, atol=64 * unit * np.abs(expected).max(initial=0))


def drawn(random, batch, channels, sizes, made, groups, kernel, dtype, last):
    x = random.standard_normal((batch, channels, *sizes)).astype(dtype.numpy)
    if last:
        held = channels_last(x.shape, x.dtype)
        held[...] = x
        x = held
    return x, random.standard_normal((made, channels // groups, *kernel)).astype(dtype.numpy)


@pytest.mark.parametrize("turned", [False, True], ids=["forward", "backward"])
@pytest.mark.parametrize("geometry", GEOMETRIES, ids=str)
def test_all_geometries(geometry, turned):
    sizes, kernel, stride, padding, dilation = geometry
    random = np.random.default_rng(0)
    for (batch, channels, made, groups), last in itertools.product(CHANNELS, (True, False)):
        attributes = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
        x, w = drawn(random, batch, channels, sizes, made, groups, kernel, float32, last)
        y = CONVOLUTION.numpy(x, w, **attributes)
        if turned:
            ct, _ = drawn(random, batch, made, y.shape[2:], 1, 1, (), float32, last)
            expected = CONVOLUTION_TRANSPOSE.numpy(ct, w, **attributes, size=sizes)
            close(swept(ct, w, x.shape, float32, HOST, turned=True, **attributes), expected)
        else:
            close(swept(x, w, y.shape, float32, HOST, turned=False, **attributes), y)


SMALL = [  # images so small that edges are much of the work
    ((5, 5), (3, 3), (1, 1), ((1, 1), (1, 1)), (1, 1)),
    ((9, 4), (3, 5), (1, 1), ((2, 0), (4, 3)), (1, 1)),
    ((7, 8), (5, 4), (2, 2), ((2, 2), (3, 3)), (1, 1)),
    ((4, 3, 6), (3, 3, 3), (1, 1, 1), ((1, 1), (1, 1), (1, 1)), (1, 1, 1)),
    ((6,), (4,), (1,), ((3, 3),), (1,)),
]


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.cpu)
@pytest.mark.parametrize("geometry", SMALL, ids=str)
def test_edges(geometry, target):
    sizes, kernel, stride, padding, dilation = geometry
    attributes = {"stride": stride, "padding": padding, "dilation": dilation, "groups": 1}
    for channels, made in ((16, 40), (3, 5)):
        x, w = drawn(np.random.default_rng(0), 6, channels, sizes, made, 1, kernel, float32, True)
        y = CONVOLUTION.numpy(x, w, **attributes)
        close(swept(x, w, y.shape, float32, target, turned=False, **attributes), y)
        expected = CONVOLUTION_TRANSPOSE.numpy(y, w, **attributes, size=sizes)
        close(swept(y, w, x.shape, float32, target, turned=True, **attributes), expected)


def test_what_looks_beside_the_image_is_left_out_if_that_pays():
    def planned(size: int, padding: int) -> int:
        x, w = channels_last((8, 32, size, size), np.dtype(np.float32)), np.ones((32, 32, 5, 5), np.float32)
        y = channels_last((8, 32, *(size + 2 * padding - 4,) * 2), x.dtype)
        around = ((padding, padding),) * 2
        plan = sweep_plan(forward(placed(x), placed(w), placed(y), float32, (1, 1), around, (1, 1), 1), HOST)
        assert isinstance(plan, SweepPlan)
        return plan.down

    assert planned(8, 2) and planned(13, 4)
    assert not planned(8, 0)


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.cpu)
@pytest.mark.parametrize("dtype", [float32, float64], ids=str)
def test_all_targets(dtype, target):
    sizes, kernel, stride, padding, dilation = GEOMETRIES[2]
    attributes = {"stride": stride, "padding": padding, "dilation": dilation, "groups": 1}
    x, w = drawn(np.random.default_rng(0), 2, 5, sizes, 21, 1, kernel, dtype, True)
    y = CONVOLUTION.numpy(x, w, **attributes)
    close(swept(x, w, y.shape, dtype, target, turned=False, **attributes), y)
    expected = CONVOLUTION_TRANSPOSE.numpy(y, w, **attributes, size=sizes)
    close(swept(y, w, x.shape, dtype, target, turned=True, **attributes), expected)


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.cpu)
@pytest.mark.parametrize("length", [1, 2, 3, 4, 5, 6, 8, 9, 31])
def test_depthwise_rows_of_any_length(length, target):
    for stride, dilation in ((1, 1), (2, 1), (3, 2)):
        geometry = {"stride": (1, stride), "padding": ((1, 0), (2, length)), "dilation": (1, dilation), "groups": 20}
        x, w = drawn(np.random.default_rng(0), 2, 20, (4, length * 2 + 9), 20, 20, (2, length), float32, True)
        y = CONVOLUTION.numpy(x, w, **geometry)
        close(swept(x, w, y.shape, float32, target, turned=False, **geometry), y)
        expected = CONVOLUTION_TRANSPOSE.numpy(y, w, **geometry, size=x.shape[2:])
        close(swept(y, w, x.shape, float32, target, turned=True, **geometry), expected)


def test_taps_of_depthwise_work_share_what_they_read():
    x, w = channels_last((4, 32, 16, 16), np.dtype(np.float32)), np.ones((32, 1, 3, 3), np.float32)
    plan = sweep_plan(forward(placed(x), placed(w), placed(x), float32, (1, 1), ((1, 1),) * 2, (1, 1), 32), HOST)
    assert {kernel.together for kernel in plan.kernels if isinstance(kernel, Depthwise)} == {3}
