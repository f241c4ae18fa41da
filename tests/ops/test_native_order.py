"""Sorting, largest and smallest elements, running sums and random bits as native loops, where it gets difficult."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

from chainrule.native.loops.sorting import sorting_network
from chainrule.op import REGISTRY
from chainrule.types import bool_, dtype_of, float32, float64, int32, int64, uint8
from tests.native.harness import HOST, TARGETS
from tests.native.one_native import NativeOp, run_native

Array = np.ndarray[Any, np.dtype[Any]]
COMPARED = (bool_, uint8, int32, int64, float32, float64)
on_every_target = pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.cpu)


def bits_of(x: Array) -> Array:
    return np.ascontiguousarray(x).view(f"u{x.dtype.itemsize}")


def difficult(rng: np.random.Generator, name: str, shape: tuple[int, ...]) -> Array:
    """Values with many equal ones and all that is special: both zeros, infinities, NaN of many kinds, extremes."""
    dtype = dtype_of(name).numpy
    if name == "bool":
        return rng.random(shape) < 0.5
    if dtype.kind != "f":
        limits = np.iinfo(dtype)
        return rng.choice(np.array([limits.min, limits.min + 1, 0, 1, 2, limits.max - 1, limits.max], dtype), shape)
    tiny = np.finfo(dtype).smallest_subnormal
    found = rng.choice(np.array([0.0, -0.0, 1.0, -1.0, 1.5, np.inf, -np.inf, tiny, -tiny], dtype), shape)
    payload = np.array([np.nan, -np.nan], dtype).view(f"u{dtype.itemsize}") + np.array([0, 5], f"u{dtype.itemsize}")
    return np.where(rng.random(shape) < 0.1, rng.choice(payload.view(dtype), shape), found)


@pytest.mark.parametrize("size", range(1, 9))
def test_the_network_sorts_all_zeros_and_ones_and_hence_everything(size):
    for values in itertools.product((0, 1), repeat=size):
        found = list(values)
        for low, high in sorting_network(size):
            found[low], found[high] = min(found[low], found[high]), max(found[low], found[high])
        assert found == sorted(values)


@pytest.mark.parametrize("name", [t.name for t in COMPARED])
@pytest.mark.parametrize("descending", [False, True])
def test_sorting_keeps_the_order_of_equal_elements_and_puts_nan_last(name, descending):
    rng, op = np.random.default_rng(0), REGISTRY["argsort"]
    for i, size in enumerate((1, 2, 3, 7, 8, 9, 17, 31, 32, 33, 100, 1000)):
        x = difficult(rng, name, (3, size))
        x = x if i % 2 else np.asfortranarray(x[:, ::-1])
        found = run_native(op, [x], {"axis": 1, "descending": descending}, TARGETS[i % 3], quick=i > 2)
        np.testing.assert_array_equal(found, op.numpy(x, axis=1, descending=descending), strict=True)


@on_every_target
@pytest.mark.parametrize("pattern", ["equal", "sorted", "backwards", "random", "sawtooth"])
def test_a_long_axis_is_sorted_as_numpy_sorts_it(pattern, target):
    n = np.arange(5_003)
    x = {
        "equal": 0 * n,
        "sorted": n,
        "backwards": -n,
        "random": np.random.default_rng(1).integers(-(2**63), 2**63 - 1, n.size),
        "sawtooth": n % 7,
    }[pattern]
    for values in (x, x.astype(np.float32)):
        attributes, quick = {"axis": 0, "descending": False}, pattern != "random"
        found = run_native(REGISTRY["argsort"], [values], attributes, target, quick=quick)
        np.testing.assert_array_equal(found, np.argsort(values, stable=True), strict=True)


def test_lines_are_sorted_along_any_axis_in_any_number_of_pieces():
    x, op = np.random.default_rng(2).integers(0, 50, (40, 30, 20)).astype(np.int32), REGISTRY["argsort"]
    for axis in range(3):
        made = NativeOp(op, [x], {"axis": axis, "descending": True}, HOST)
        assert made.units > 3
        found, _ = made([x], [(3, made.units), (0, 2), (2, 3)])
        np.testing.assert_array_equal(found, op.numpy(x, axis=axis, descending=True), strict=True)


@pytest.mark.parametrize("name", [t.name for t in COMPARED])
@pytest.mark.parametrize("which", ["argmax", "argmin"])
def test_the_first_of_equal_extremes_is_found_and_nan_beats_all(name, which):
    rng, op = np.random.default_rng(3), REGISTRY[which]
    for i, size in enumerate((1, 2, 15, 16, 17, 70, 255, 256, 257, 1100)):
        for axis, shape in enumerate(((size, 19), (19, size))):
            x = difficult(rng, name, shape)
            if i % 2 and x.dtype.kind == "f":
                x = np.nan_to_num(x)
            found = run_native(op, [x], {"axis": axis}, TARGETS[i % 3], quick=True)
            np.testing.assert_array_equal(found, op.numpy(x, axis=axis), strict=True)


@on_every_target
@pytest.mark.parametrize("which", ["argmax", "argmin"])
def test_a_long_line_of_equal_elements_gives_its_beginning_and_a_single_extreme_its_place(which, target):
    x = np.zeros(10_007, np.float32)
    made = NativeOp(REGISTRY[which], [x], {"axis": 0}, target)
    assert made([x])[0] == 0
    for place in (0, 1, 15, 16, 9_999, 10_000, 10_006):
        for value in (1.0 if which == "argmax" else -1.0, np.nan):
            one = x.copy()
            one[place] = value
            assert made([one])[0] == place


@pytest.mark.parametrize("name", ["uint8", "int32", "int64", "float32", "float64"])
def test_running_sums_are_added_from_first_to_last(name):
    rng, op = np.random.default_rng(4), REGISTRY["cumulative_sum"]
    dtype = dtype_of(name).numpy
    for i, shape in enumerate(((0, 3), (1, 1), (2, 33), (50, 17), (7, 130), (129, 2, 3), (2000,))):
        x = (rng.normal(size=shape) * 10.0 ** rng.integers(0, 6, shape)).astype(np.int64).astype(dtype)
        if dtype.kind == "f":
            x = np.copysign(x * dtype.type(0.1), rng.normal(size=shape)).astype(dtype)  # zeros of both signs
        for axis in range(x.ndim):
            found = run_native(op, [x], {"axis": axis}, TARGETS[i % 3], quick=axis > 0)
            np.testing.assert_array_equal(bits_of(found), bits_of(op.numpy(x, axis=axis)), strict=True)


@pytest.mark.parametrize("bits", [1, 24, 31, 32, 33, 53, 63, 64])
@on_every_target
def test_random_bits_are_those_of_the_eager_function(bits, target):
    op, top = REGISTRY["random_bits"], 2**63
    states = [(0, 0), (-1, -1), (2**32 - 1, 2**32 - 3), (-top, top - 1), (123, -5), (-(2**32), 2**32 - 700)]
    for size in (1, 33, 4097, 8192 + 31):
        made = NativeOp(op, [np.zeros(2, np.int64)], {"shape": (size,), "bits": bits}, target, quick=size != 4097)
        assert made.units == -(-size // 4096)
        for state in states:  # the second one is the counter: some of them pass 2^32 or 2^64
            words = np.array(state)
            found, _ = made([words], [(i, i + 1) for i in reversed(range(made.units))])
            np.testing.assert_array_equal(found, op.numpy(words, shape=(size,), bits=bits), strict=True)


def test_the_state_of_random_bits_may_lie_anywhere():
    op, attributes = REGISTRY["random_bits"], {"shape": (3, 5), "bits": 53}
    for state in (np.array([7, 8])[::-1], np.arange(6)[1::4], np.broadcast_to(np.array(5), 2)):
        found = run_native(op, [state], attributes, HOST)
        np.testing.assert_array_equal(found, op.numpy(state, **attributes), strict=True)


@pytest.mark.parametrize("name", ["take", "scatter_add", "argsort", "argmax", "cumulative_sum", "random_bits"])
def test_large_work_is_cut_into_pieces_for_many_threads_and_small_work_is_not(name):
    op = REGISTRY[name]
    for size, many in ((2, False), (1000, True)):
        x, indices = np.zeros((size, 600), np.float32), np.zeros(size, np.int64)
        inputs, attributes = {
            "take": ([x, indices], {"axis": 0}),
            "scatter_add": ([x, indices, x], {"axis": 0}),
            "random_bits": ([np.zeros(2, np.int64)], {"shape": x.shape, "bits": 24}),
            "argsort": ([x], {"axis": 1, "descending": False}),
        }.get(name, ([x], {"axis": 1}))
        made = NativeOp(op, inputs, attributes, HOST, quick=True)
        assert (made.units >= 4) if many else (made.units == 1)
