"""Each operation's kernel does what its NumPy function does: for all data types, sizes and memory layouts."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import Any, Literal, get_args

import numpy as np
import pytest

from chainrule.kernel import Convolve, Map, Native, Reduce, View
from chainrule.native.target import Target
from chainrule.op import REGISTRY, Op
from chainrule.ops import (
    arithmetic,
    cast,
    comparison,
    join,
    max_pooling,
    mean_pooling,
    piecewise,
    rounding,
    slicing,
    window,
)
from chainrule.samples import Layout, Sample, Sizes, from_bfloat16, type_of
from chainrule.testing.operations import draw_case, main_types
from chainrule.types import DTYPES, FLOATS
from tests.native.harness import HOST, TARGETS
from tests.native.one_op import Batch, seen

Array = np.ndarray[Any, np.dtype[Any]]
OTHERS = TARGETS[1:]
SEEDS = (0, 1)


def of_kind(kind: type, *modules: Any) -> list[str]:
    """Operations with a kernel of a kind: those of some modules, or all."""
    found = [op for op in REGISTRY.values()] if not modules else [x for m in modules for x in vars(m).values()]
    return sorted({op.name for op in found if isinstance(op, Op) and isinstance(op.kernel, kind)})


ELEMENTWISE = of_kind(Map, arithmetic, cast, comparison, piecewise, rounding)
VIEWS, REDUCTIONS = of_kind(View), of_kind(Reduce)
LOOPS = of_kind(Native, join, max_pooling, mean_pooling, slicing, window) + of_kind(Convolve)


def samples(op: Op, seeds: Sequence[int] = SEEDS, sizes: Any = Sizes, layouts: Any = Layout) -> Iterator[Sample]:
    dtypes = [t for t in DTYPES if t in main_types(op)]
    for dtype, size, layout, seed in itertools.product(dtypes, get_args(sizes), get_args(layouts), seeds):
        found = draw_case(op, seed, dtype, size, layout).sample
        yield Sample(tuple(map(np.asarray, found.inputs)), found.attributes)


def expected_of(op: Op, sample: Sample) -> Any:
    """What NumPy gives: an array, or a tuple of arrays."""
    with np.errstate(all="ignore"):
        found = op.numpy(*sample.inputs, **sample.attributes)
    return tuple(map(np.asarray, found)) if isinstance(found, tuple) else np.asarray(found)


def numbers(x: Array) -> Array:
    return from_bfloat16(x) if x.dtype == np.uint16 else x


def assert_same(found: Array, expected: Array) -> None:
    """Equal bit for bit, but for the payload of NaN."""
    assert found.dtype == expected.dtype and found.shape == expected.shape
    same = np.ascontiguousarray(found).view(f"u{found.itemsize}") == np.ascontiguousarray(expected).view(
        f"u{found.itemsize}"
    )
    if type_of(expected).dtype.is_float:
        same |= np.isnan(numbers(found)) & np.isnan(numbers(expected))
    assert same.all(), (found[~same], expected[~same])


def assert_close(found: Array, expected: Array) -> None:
    """Equal, for floats up to the rounding of sums."""
    if type_of(expected).dtype not in FLOATS:
        return assert_same(found, expected)
    assert found.dtype == expected.dtype and found.shape == expected.shape
    unit = np.finfo(found.dtype).eps
    np.testing.assert_allclose(found, expected, rtol=16 * unit, atol=16 * unit * np.abs(expected).max(initial=0))


def check(op: Op, drawn: Sequence[Sample], target: Target, compare: Any) -> None:
    batch = Batch(target)
    runs = [batch.add(op, sample.inputs, sample.attributes) for sample in drawn]
    batch.compile()
    for run, sample in zip(runs, drawn, strict=True):
        found, expected = run(), expected_of(op, sample)
        several = isinstance(expected, tuple)
        for x, y in zip(found if several else [found], expected if several else [expected], strict=True):
            compare(x, y)


@pytest.mark.parametrize("name", ELEMENTWISE)
def test_an_elementwise_kernel_gives_the_bits_of_numpy(name):
    check(REGISTRY[name], list(samples(REGISTRY[name])), HOST, assert_same)


@pytest.mark.parametrize("name", REDUCTIONS)
def test_a_reduction_kernel_folds_what_numpy_folds(name):
    check(REGISTRY[name], list(samples(REGISTRY[name])), HOST, assert_close)


@pytest.mark.parametrize("name", LOOPS)
def test_loops_do_what_numpy_does(name):
    check(REGISTRY[name], list(samples(REGISTRY[name], SEEDS[:1])), HOST, assert_close)


@pytest.mark.parametrize("target", OTHERS, ids=lambda target: target.cpu)
@pytest.mark.parametrize("name", [*ELEMENTWISE, *REDUCTIONS, *LOOPS])
def test_kernels_do_the_same_on_plain_processors(name, target):
    op = REGISTRY[name]
    exact = isinstance(op.kernel, Map)
    drawn = list(samples(op, SEEDS[:1], sizes=Literal["plain"], layouts=Literal["plain", "transposed"]))
    check(op, drawn, target, assert_same if exact else assert_close)


@pytest.mark.parametrize("name", VIEWS)
def test_a_view_sees_what_numpy_returns(name):
    op = REGISTRY[name]
    for sample in samples(op, range(6)):
        x, expected = sample.inputs[0], expected_of(op, sample)
        found = seen(x, op, sample.attributes)
        if found is None:
            assert not np.shares_memory(x, expected), "NumPy does not copy here"
            found = seen(np.ascontiguousarray(x), op, sample.attributes)
        assert found is not None
        assert_same(found, expected)
