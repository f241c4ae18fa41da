"""Kernels where it is difficult: special values, long axes, uneven rests, many inputs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from chainrule.op import REGISTRY
from chainrule.ops.cast import CAST
from chainrule.ops.join import CONCAT
from chainrule.ops.slicing import PAD
from chainrule.ops.window import OVERLAP_ADD, windows_of
from chainrule.samples import Sample
from chainrule.testing.operations import main_types
from chainrule.types import DTYPES, NUMBERS, DType, bfloat16, bool_, float32, float64
from tests.native.harness import HOST, TARGETS
from tests.ops.test_native_kernels import ELEMENTWISE, assert_close, assert_same, check

Array = np.ndarray[Any, np.dtype[Any]]
on_every_target = pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.cpu)


def special(dtype: DType) -> Array:
    """Values of a data type among which are all that need care."""
    if dtype is bool_:
        return np.array([False, True])
    if not dtype.is_float:
        limits = np.iinfo(dtype.numpy)
        found = {limits.min, limits.min + 1, -7, -2, -1, 0, 1, 2, 7, 100, limits.max - 1, limits.max}
        return np.array(sorted(n for n in found if n >= limits.min), dtype.numpy)
    limits = np.finfo(dtype.numpy)
    positive = [0.0, 0.1, 0.5, 1.0, 1.5, 2.5, 3.0, 1e10, np.inf, np.nan]
    positive += [limits.max, limits.tiny, limits.smallest_subnormal, 7 * limits.smallest_subnormal, 1 - limits.epsneg]
    return np.array([*positive, *(-x for x in positive)], dtype.numpy)


def bits(rng: np.random.Generator, dtype: DType, count: int) -> Array:
    """Numbers of any size."""
    return rng.integers(0, 256, count * dtype.itemsize, np.uint8).view(dtype.numpy)


def pairs(x: Array, rng: np.random.Generator, dtype: DType) -> list[Array]:
    """Every value with every other, and some of any size."""
    more = [np.zeros(0, dtype.numpy)] * 2 if dtype is bool_ else [bits(rng, dtype, 500) for _ in range(2)]
    return [np.concatenate([a.ravel(), b]) for a, b in zip(np.meshgrid(x, x), more, strict=True)]


@pytest.mark.parametrize("name", [name for name in ELEMENTWISE if name != "cast"])
def test_an_elementwise_kernel_gives_the_bits_of_numpy_for_special_values(name):
    op, rng = REGISTRY[name], np.random.default_rng(0)
    drawn: list[Sample] = []
    for dtype in (t for t in DTYPES if t in main_types(op) and t is not bfloat16):
        x, y = pairs(special(dtype), rng, dtype)
        count = op.numpy.nin if isinstance(op.numpy, np.ufunc) else {"where": 3, "clip": 3}.get(name, 1)
        inputs = (x > y, x, y) if name == "where" else (x, y, np.roll(x, 1))[:count]
        drawn.append(Sample(inputs))
    check(op, drawn, HOST, assert_same)


@on_every_target
@pytest.mark.parametrize("name", ["floor_divide", "remainder", "maximum", "round"])
def test_special_values_on_every_processor(name, target):
    op, rng = REGISTRY[name], np.random.default_rng(1)
    count = 1 if name == "round" else 2
    drawn = [Sample(tuple(pairs(special(t), rng, t)[:count])) for t in DTYPES if t in NUMBERS]
    check(op, drawn, target, assert_same)


@on_every_target
def test_casts_give_the_bits_of_numpy(target):
    rng = np.random.default_rng(2)
    drawn: list[Sample] = []
    for source in DTYPES:
        x = np.arange(2**16, dtype=np.uint16) if source is bfloat16 else pairs(special(source), rng, source)[0]
        for dtype in DTYPES:
            fits = x
            if source.is_float and dtype.kind == "int":  # what a float that does not fit becomes depends on the machine
                fits = np.array([0, -0.0, 0.9, 1.5, 2.5, 100.7, 254.999, 1e9][: 7 if dtype.name == "uint8" else 8])
                fits = fits.astype(np.float32) if source is bfloat16 else fits
                fits = np.concatenate([fits, -fits]) if dtype.name != "uint8" else fits
                fits = CAST.numpy(fits, source=float32 if source is bfloat16 else float64, dtype=source)
            drawn.append(Sample((fits,), {"source": source, "dtype": dtype}))
    check(CAST, drawn, target, assert_same)


def floats(rng: np.random.Generator, *shape: int, dtype: Any = np.float32) -> Array:
    return rng.standard_normal(shape).astype(dtype)


@on_every_target
def test_concat_of_many_and_large_inputs(target):
    rng = np.random.default_rng(3)
    alike = tuple(floats(rng, 3, 5) for _ in range(7))
    drawn = [
        Sample(alike, {"axis": 0}),
        Sample(alike, {"axis": 1}),
        Sample(tuple(x[:, :1] for x in alike), {"axis": 1}),
        Sample((floats(rng, 70, 300), floats(rng, 70, 1), floats(rng, 70, 300), floats(rng, 70, 300)), {"axis": 1}),
        Sample((floats(rng, 3, 0), floats(rng, 3, 20000).T.copy().T), {"axis": 1}),
        Sample((floats(rng, 40000), floats(rng, 33333)[::-1]), {"axis": 0}),
        Sample((rng.random((9, 100, 37)) < 0.5, rng.random((9, 1, 37)) < 0.5), {"axis": 1}),
    ]
    check(CONCAT, drawn, target, assert_same)


@on_every_target
def test_pads_of_every_form(target):
    rng = np.random.default_rng(4)

    def sample(x: Array, low: Sequence[int], high: Sequence[int], interior: Sequence[int], value: Any = 0.1) -> Sample:
        return Sample((x,), {"low": (*low,), "high": (*high,), "interior": (*interior,), "value": value})

    image = floats(rng, 2, 3, 28, 30)
    drawn = [
        sample(image, (0, 0, 2, 1), (0, 0, 2, 3), (0, 0, 0, 0)),
        sample(image, (0, 0, 2, 1), (0, 0, 2, 3), (0, 0, 1, 2)),
        sample(image.transpose(0, 2, 3, 1), (0, 2, 1, 0), (0, 1, 1, 0), (0, 0, 1, 0), -np.inf),
        sample(image[:, :, ::-1, ::2], (1, 0, 0, 1), (0, 2, 0, 1), (3, 0, 0, 0), np.nan),
        sample(floats(rng, 30000), (10,), (20000,), (0,)),
        sample(floats(rng, 0, 4), (2, 0), (1, 0), (5, 0)),
        sample(floats(rng, 1, 1), (2, 3), (1, 0), (5, 2)),
        sample(np.arange(300).astype(np.uint16).reshape(3, 100), (0, 5), (1, 70), (0, 0)),  # bfloat16
        sample(rng.random((40, 41)) < 0.5, (1, 1), (1, 1), (0, 1), 1),
    ]
    check(PAD, drawn, target, assert_same)


@on_every_target
def test_windows_that_overlap_are_added_up(target):
    rng = np.random.default_rng(5)
    drawn: list[Sample] = []
    for size, window, stride, dilation in (
        ((40,), (3,), (1,), (1,)),
        ((40,), (2,), (2,), (1,)),
        ((41,), (4,), (3,), (5,)),
        ((28, 30), (2, 2), (2, 2), (1, 1)),
        ((17, 19), (3, 2), (2, 1), (2, 3)),
        ((9, 8, 35), (2, 3, 3), (2, 2, 1), (1, 2, 1)),
    ):
        y = windows_of(np.zeros((2, 3, *size)), window, stride, dilation).shape
        geometry = {"size": size, "stride": stride, "dilation": dilation}
        drawn += [Sample((floats(rng, *y, dtype=t.numpy),), geometry) for t in (float32, float64)]
        drawn.append(Sample((floats(rng, *y[::-1]).T,), geometry))
    check(OVERLAP_ADD, drawn, target, assert_same)


CONVOLUTIONS = (
    # batch, in, out, groups, sizes, kernel, stride, padding, dilation
    (2, 3, 8, 1, (28, 28), (3, 3), (1, 1), ((1, 1), (1, 1)), (1, 1)),
    (2, 16, 12, 1, (9, 35), (3, 5), (2, 2), ((1, 0), (2, 2)), (1, 2)),
    (1, 6, 10, 2, (7, 64), (1, 1), (1, 1), ((0, 0), (0, 0)), (1, 1)),
    (3, 5, 5, 5, (13, 17), (3, 3), (1, 1), ((1, 1), (1, 1)), (1, 1)),
    (2, 4, 7, 1, (100,), (7,), (3,), ((5, 4),), (2,)),
    (1, 2, 4, 1, (5, 6, 33), (2, 3, 3), (1, 2, 3), ((0, 1), (1, 1), (0, 2)), (2, 1, 1)),
    (2, 3, 4, 1, (3, 3), (3, 3), (1, 1), ((0, 0), (0, 0)), (1, 1)),
)


@pytest.mark.parametrize(
    ("target", "dtype", "transposed"),
    [(HOST, float64, False), (HOST, float32, True), *((target, float32, False) for target in TARGETS)],
    ids=["float64", "columns first", *(target.cpu for target in TARGETS)],
)
def test_convolutions_of_every_form(target, dtype, transposed):
    rng = np.random.default_rng(6)
    drawn: dict[str, list[Sample]] = {"convolution": [], "convolution_transpose": [], "convolution_weight": []}
    for batch, inner, outer, groups, sizes, kernel, stride, padding, dilation in CONVOLUTIONS:
        geometry = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
        x, w = floats(rng, batch, inner, *sizes), floats(rng, outer, inner // groups, *kernel)
        y = floats(rng, *REGISTRY["convolution"].numpy(x, w, **geometry).shape)
        if transposed:
            x, w, y = (np.asfortranarray(a) for a in (x, w, y))
        x, w, y = (value.astype(dtype.numpy, order="K") for value in (x, w, y))
        drawn["convolution"].append(Sample((x, w), geometry))
        drawn["convolution_transpose"].append(Sample((y, w), {**geometry, "size": sizes}))
        drawn["convolution_weight"].append(Sample((x, y), {**geometry, "kernel": kernel}))
    for name, listed in drawn.items():
        check(REGISTRY[name], listed, target, assert_close)
