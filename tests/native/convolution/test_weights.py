"""The derivative of a convolution by its kernels does what NumPy does."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from chainrule.ops.convolution import CONVOLUTION, CONVOLUTION_WEIGHT
from chainrule.types import float32, float64
from tests.native.convolution.sweeping import channels_last
from tests.native.convolution.test_sweep import CHANNELS, GEOMETRIES, close, drawn
from tests.native.harness import HOST, TARGETS
from tests.native.one_op import Batch

LARGE = ((40, 33), (3, 3), (1, 1), ((1, 1), (1, 1)), (1, 1))  # several strips
FEW = [(2, 1, 33, 1), (3, 3, 16, 1), (1, 2, 7, 1)]  # channels that are taken together with rows of the kernel
DEPTHWISE = [(2, 32, 32, 32), (1, 40, 40, 40), (9, 5, 5, 5)]


def cases(geometries, channels, dtype):
    random = np.random.default_rng(0)
    for geometry, (batch, inner, made, groups), last in itertools.product(geometries, channels, (True, False)):
        sizes, kernel, stride, padding, dilation = geometry
        attributes = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
        x, w = drawn(random, batch, inner, sizes, made, groups, kernel, dtype, last)
        shape = CONVOLUTION.numpy(x, w, **attributes).shape
        y, _ = drawn(random, batch, made, shape[2:], 1, 1, (), dtype, last)
        yield (x, y), {**attributes, "kernel": kernel}


def check(drawn_cases, target):
    batch, listed = Batch(target), list(drawn_cases)
    runs = [batch.add(CONVOLUTION_WEIGHT, inputs, attributes) for inputs, attributes in listed]
    batch.compile()
    for run, (inputs, attributes) in zip(runs, listed, strict=True):
        close(run(), CONVOLUTION_WEIGHT.numpy(*inputs, **attributes))


@pytest.mark.parametrize("geometry", [*GEOMETRIES, LARGE], ids=str)
def test_all_geometries(geometry):
    check(cases([geometry], [*CHANNELS, *FEW, *DEPTHWISE], float32), HOST)


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.cpu)
@pytest.mark.parametrize("dtype", [float32, float64], ids=str)
def test_all_targets(dtype, target):
    check(cases([GEOMETRIES[2], LARGE], [(2, 5, 21, 1), *FEW, *DEPTHWISE], dtype), target)


def test_images_of_which_a_part_is_seen():
    whole = channels_last((2, 48, 9, 9), np.dtype(np.float32))
    whole[...] = np.random.default_rng(0).standard_normal(whole.shape)
    x, y = whole[:, :32], np.ones((2, 32, 7, 7), np.float32)
    geometry = {"stride": (1, 1), "padding": ((0, 0),) * 2, "dilation": (1, 1), "groups": 32, "kernel": (3, 3)}
    check([((x, y), geometry)], HOST)
