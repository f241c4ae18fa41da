"""Reading and adding at indices as native loops: the bits of the NumPy functions, and no harm from wrong indices."""

from __future__ import annotations

import itertools
from typing import Any, get_args

import numpy as np
import pytest

from chainrule.op import REGISTRY
from chainrule.samples import Layout, Sizes
from chainrule.testing.operations import draw_case, main_types
from chainrule.types import ANY, DTYPES, NUMBERS, bool_, float32, float64
from tests.native.harness import HOST, TARGETS
from tests.native.one_native import NativeOp, run_native

Array = np.ndarray[Any, np.dtype[Any]]
INDEXING = ("take", "scatter_add", "take_along_axis", "add_along_axis")
LOOPS = (*INDEXING, "argsort", "argmax", "argmin", "cumulative_sum", "random_bits")
LAYOUTS, SIZES = get_args(Layout), get_args(Sizes)


def assert_same_bits(found: Array, expected: Any) -> None:
    expected = np.asarray(expected)
    assert (found.dtype, found.shape) == (expected.dtype, expected.shape)
    assert found.tobytes() == expected.tobytes(), f"\n{found}\nis not\n{expected}"


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", LOOPS)
def test_loops_give_the_bits_of_numpy(name, size):
    op = REGISTRY[name]
    for dtype in main_types(op):
        for layout in LAYOUTS:
            for seed in range(2 if size == "plain" else 1):
                sample = draw_case(op, seed, dtype, size, layout).sample
                found = run_native(op, sample.inputs, sample.attributes, HOST, quick=True)
                assert_same_bits(found, op.numpy(*sample.inputs, **sample.attributes))


@pytest.mark.parametrize("target", TARGETS[1:], ids=lambda target: target.cpu)
@pytest.mark.parametrize("name", LOOPS)
def test_loops_give_the_same_bits_on_plain_processors(name, target):
    op = REGISTRY[name]
    for i, dtype in enumerate(t for t in DTYPES if t in main_types(op)):
        sample = draw_case(op, 10 + i, dtype, "plain", LAYOUTS[i % 4]).sample
        found = run_native(op, sample.inputs, sample.attributes, target, quick=i > 1)
        assert_same_bits(found, op.numpy(*sample.inputs, **sample.attributes))


def values(rng: np.random.Generator, dtype: Any, shape: tuple[int, ...]) -> Array:
    if dtype is bool_:
        return rng.random(shape) < 0.5
    if dtype in (float32, float64):
        return (rng.normal(size=shape) * 10.0 ** rng.integers(-3, 4, shape)).astype(dtype.numpy)
    limits = np.iinfo(dtype.numpy)
    return rng.integers(limits.min, limits.max, shape, dtype.numpy, endpoint=True)


def laid_out(rng: np.random.Generator, x: Array) -> Array:
    """The same values with axes in another order in memory, some of them backwards, and gaps between elements."""
    order = rng.permutation(x.ndim)
    gaps = [int(rng.integers(1, 3)) for _ in range(x.ndim)]
    memory = np.zeros([x.shape[a] * g for a, g in zip(order, gaps, strict=True)], x.dtype)
    found = memory[(..., *(slice(g - 1, None, g) for g in gaps))].transpose(np.argsort(order))
    found = found[(..., *(slice(None, None, int(rng.choice((-1, 1)))) for _ in range(x.ndim)))]
    found[...] = x
    return found


def large_case(rng: np.random.Generator, name: str) -> tuple[list[Array], int]:
    """Inputs whose axes are longer than vectors, and uneven; and the axis of the indices."""
    dtypes = sorted(ANY if name.startswith("take") else NUMBERS, key=DTYPES.index)
    dtype = dtypes[int(rng.integers(len(dtypes)))]
    shape = tuple(int(n) for n in rng.choice((1, 2, 5, 17, 33, 70), int(rng.integers(1, 4))))
    axis = int(rng.integers(len(shape)))
    if "along" in name:
        at = result = (*shape[:axis], int(rng.choice((1, 3, 40))), *shape[axis + 1 :])
    else:
        at = tuple(int(n) for n in rng.choice((1, 3, 40), int(rng.integers(0, 3))))
        result = (*shape[:axis], *at, *shape[axis + 1 :])
    indices = rng.integers(-shape[axis], shape[axis], at, rng.choice((np.int32, np.int64)))
    inputs = [values(rng, dtype, shape), indices]
    if "add" in name:
        inputs.append(values(rng, dtype, result))
    return [laid_out(rng, x) if rng.random() < 0.5 else x for x in inputs], axis


@pytest.mark.parametrize("name", INDEXING)
def test_large_and_uneven_axes_in_any_layout_give_the_bits_of_numpy(name):
    rng, op = np.random.default_rng(1), REGISTRY[name]
    for i in range(27):
        inputs, axis = large_case(rng, name)
        found = run_native(op, inputs, {"axis": axis}, TARGETS[i % 3], quick=i > 14)
        assert_same_bits(found, op.numpy(*inputs, axis=axis))


def everyday_cases() -> dict[str, tuple[str, list[Array], int]]:
    rng = np.random.default_rng(2)
    floats, zero = rng.normal(size=(300, 130)).astype(np.float32), np.float32(0)
    tokens, updates = rng.integers(0, 65, (12, 64)), rng.normal(size=(12, 64, 128)).astype(np.float32)
    skewed = np.minimum(rng.geometric(0.2, 3000), 999)
    return {
        "minibatch": ("take", [rng.integers(0, 256, (5000, 28, 28), np.uint8), rng.integers(0, 5000, 128)], 0),
        "labels": ("take", [rng.integers(0, 10, 5000), rng.integers(0, 5000, 129)], 0),
        "one long slice": ("take", [rng.normal(size=(3, 100_001)), np.array(-1)], 0),
        "columns": ("take", [floats, rng.permutation(130)], 1),
        "embedding gradient": ("scatter_add", [np.broadcast_to(zero, (65, 128)), tokens, updates], 0),
        "some rows are frequent": (
            "scatter_add",
            [np.broadcast_to(zero, (1000, 72)), skewed, rng.normal(size=(3000, 72)).astype(np.float32)],
            0,
        ),
        "a result larger than a cache": (
            "scatter_add",
            [np.broadcast_to(zero, (17_000, 128)), rng.integers(0, 17_000, 500), np.ones((500, 128), np.float32)],
            0,
        ),
        "a histogram": ("scatter_add", [np.zeros(50), rng.integers(0, 50, 20_000), rng.normal(size=20_000)], 0),
        "a pick from each row": ("take_along_axis", [floats, rng.integers(0, 130, (300, 1))], 1),
        "its gradient": (
            "add_along_axis",
            [np.broadcast_to(zero, (300, 130)), rng.integers(0, 130, (300, 1)), floats[:, :1]],
            1,
        ),
        "indices for each column": ("add_along_axis", [floats, rng.integers(0, 300, (700, 130)), floats[[0] * 700]], 0),
    }


EVERYDAY = everyday_cases()


@pytest.mark.parametrize("case", EVERYDAY)
def test_an_everyday_case_gives_the_bits_of_numpy_in_any_number_of_pieces(case):
    name, inputs, axis = EVERYDAY[case]
    op = REGISTRY[name]
    expected = op.numpy(*inputs, axis=axis)
    made, rng = NativeOp(op, inputs, {"axis": axis}, HOST), np.random.default_rng(3)
    for _ in range(3):
        cuts = sorted({0, made.units, *(int(n) for n in rng.integers(0, made.units + 1, 5))})
        pieces = list(itertools.pairwise(cuts))
        found, status = made(inputs, [pieces[i] for i in rng.permutation(len(pieces))])
        assert status == 0
        assert_same_bits(found, expected)


WRONG = (7, -8, 2**31 - 1, -(2**31), 2**63 - 1, -(2**63), 2**40)


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.cpu)
@pytest.mark.parametrize("shape", [(7, 40), (7,), (7, 3)], ids=str)
def test_a_wrong_index_is_noted_and_does_no_harm(shape, target):
    rng = np.random.default_rng(4)
    x, right = values(rng, float64, shape), rng.integers(-7, 7, 37)
    updates = values(rng, float64, (37, *shape[1:]))
    reading = NativeOp(REGISTRY["take"], [x, right], {"axis": 0}, target)
    adding = NativeOp(REGISTRY["scatter_add"], [x, right, updates], {"axis": 0}, target)
    for wrong in WRONG:
        indices, place = right.copy(), int(rng.integers(37))
        indices[place] = wrong
        kept = np.arange(37) != place
        found, status = reading([x, indices])
        assert status == 1
        assert_same_bits(found[kept], x[right[kept]])
        found, status = adding([x, indices, updates])
        assert status == 1
        assert_same_bits(found, REGISTRY["scatter_add"].numpy(x, right[kept], updates[kept], axis=0))


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.cpu)
@pytest.mark.parametrize("columns", [1, 3, 40])
def test_a_wrong_index_of_a_single_element_is_noted_and_does_no_harm(columns, target):
    rng = np.random.default_rng(5)
    x, right = values(rng, float32, (7, columns)), rng.integers(-7, 7, (5, columns))
    updates = values(rng, float32, (5, columns))
    reading = NativeOp(REGISTRY["take_along_axis"], [x, right], {"axis": 0}, target)
    adding = NativeOp(REGISTRY["add_along_axis"], [x, right, updates], {"axis": 0}, target)
    for wrong in WRONG:
        indices, place = right.copy(), (int(rng.integers(5)), int(rng.integers(columns)))
        indices[place] = wrong
        kept = np.ones_like(right, bool)
        kept[place] = False
        found, status = reading([x, indices])
        assert status == 1
        assert_same_bits(found[kept], np.take_along_axis(x, right, 0)[kept])
        found, status = adding([x, indices, updates])
        expected = x.copy()
        for row, column in np.argwhere(kept):
            expected[right[row, column], column] += updates[row, column]
        assert status == 1
        assert_same_bits(found, expected)


@pytest.mark.parametrize("name", INDEXING)
@pytest.mark.parametrize("shape", [(0, 3), (4, 0)], ids=str)
def test_where_there_is_nothing_to_read_or_add_to_an_index_is_wrong_all_the_same(name, shape):
    x, indices = np.zeros(shape), np.full((2, shape[1]) if "along" in name else 2, 9)
    updates = [np.zeros((2, shape[1]))] if "add" in name else []
    made = NativeOp(REGISTRY[name], [x, indices, *updates], {"axis": 0}, HOST)
    assert made([x, indices, *updates])[1] == (1 if indices.size else 0)


@pytest.mark.parametrize("name", ["scatter_add", "add_along_axis"])
def test_updates_of_one_element_are_added_in_the_order_of_their_indices(name):
    updates = np.array([1e8, 1.0, -1e8, 1.0, 3.0], np.float32)
    inputs = [np.array([0.5, 0.0], np.float32), np.array([0, 0, -2, 0, 1]), updates]
    found = run_native(REGISTRY[name], inputs, {"axis": 0}, HOST)
    assert found.tolist() == [1.0, 3.0]
