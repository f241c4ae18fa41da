"""Random samples: shapes, layouts and values that declarations of operations rely on."""

from __future__ import annotations

from typing import get_args

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chainrule.samples import Draw, Layout, Sizes, floats, from_bfloat16, readable, to_bfloat16, type_of
from chainrule.types import DTYPES, bfloat16, bool_, float32, float64, int64, uint8

SEEDS = range(30)


def draws(**fields):
    return [Draw(np.random.default_rng(seed), **fields) for seed in SEEDS]


@pytest.mark.parametrize("sizes", get_args(Sizes))
@pytest.mark.parametrize(("least", "most"), [(0, 3), (1, 2), (2, 4)])
def test_shapes_keep_to_the_number_of_axes_and_the_kind_of_sizes(sizes, least, most):
    for draw in draws(sizes=sizes):
        shape = draw.shape(least=least, most=most)
        special = {"empty": [0], "one": [1]}.get(sizes, [])
        assert len(shape) == least if sizes == "scalar" else max(least, 1) <= len(shape) <= most
        assert [n for n in shape if not 2 <= n <= 4] == (special if shape else [])


def test_a_number_of_axes_can_be_demanded():
    assert all(len(draw.shape(2)) == 2 for draw in draws(sizes="scalar"))
    assert all(draw.shape(0) == () for draw in draws(sizes="empty"))


@pytest.mark.parametrize("layout", get_args(Layout))
@pytest.mark.parametrize("shape", [(), (1,), (3,), (2, 3), (2, 0), (3, 1, 2)])
def test_a_layout_keeps_shape_and_data_type(layout, shape):
    array = np.arange(np.prod(shape, dtype=int), dtype=np.float32).reshape(shape)
    laid = Draw(np.random.default_rng(0), layout=layout).lay(array)
    assert (laid.shape, laid.dtype) == (array.shape, array.dtype)
    if layout == "broadcast" and shape:
        np.testing.assert_array_equal(laid, np.broadcast_to(array[:1], shape))
    else:
        np.testing.assert_array_equal(laid, array)


def test_layouts_are_what_they_are_called():
    array = np.arange(6.0).reshape(2, 3)
    strides = {layout: Draw(np.random.default_rng(0), layout=layout).lay(array).strides for layout in get_args(Layout)}
    assert strides == {
        "plain": (24, 8), "negative strides": (-24, -8), "transposed": (8, 16), "broadcast": (0, 8),
    }  # fmt: skip


@pytest.mark.parametrize("dtype", DTYPES, ids=repr)
def test_numbers_have_the_data_type_that_is_asked_for(dtype):
    for draw in draws(dtype=dtype):
        x = draw.floats((3, 2), -1.4, 2.4)
        assert type_of(x).dtype is dtype
        assert type_of(draw.distinct((3, 2))).dtype is dtype
        assert readable(x).min() >= -1.5 and readable(x).max() <= 2.5


def test_numbers_stay_away_from_where_they_must_not_be():
    for draw in draws():
        assert np.abs(draw.floats((50,), -1, 1, away_from=0.25) - 0.25).min() >= 0.1


@pytest.mark.parametrize(("dtype", "least"), [(float64, 0.1), (float32, 0.1), (bfloat16, 0.1), (int64, 1), (uint8, 1)])
@pytest.mark.parametrize("layout", get_args(Layout))
def test_distinct_numbers_are_apart_in_every_layout(dtype, least, layout):
    for draw in draws(dtype=dtype, layout=layout):
        values = np.sort(readable(draw.distinct((4, 3, 3))).astype(float).ravel())
        assert np.diff(values).min() >= least


def test_integers_choices_and_truth_values():
    for draw in draws():
        assert draw.integer(2, 3) in (2, 3)
        assert draw.choice("ab") in "ab"
        assert draw.bools((2, 2)).dtype == bool
    assert {draw.integer(2, 3) for draw in draws()} == {2, 3}


@pytest.mark.parametrize("dtype", ["int32", "int64"])
def test_indices_lie_in_their_axis_and_some_are_negative(dtype):
    found = np.concatenate([draw.indices((4,), 3, dtype) for draw in draws()])
    assert found.dtype == dtype
    assert set(found) == {-3, -2, -1, 0, 1, 2}


def test_an_empty_axis_has_no_indices():
    assert Draw(np.random.default_rng(0)).indices((4, 2), 0).shape == (0, 2)
    assert Draw(np.random.default_rng(0)).indices((), 0).shape == (0,)


def test_samples_of_floats_have_equal_types():
    sample = floats(1, 2, inputs=3)(Draw(np.random.default_rng(0), dtype=float32))
    assert len(sample.inputs) == 3 and sample.attributes == {}
    assert len({type_of(x) for x in sample.inputs}) == 1
    assert all(x.min() >= 1 and x.max() <= 2 for x in sample.inputs)


def test_truth_values_are_drawn_from_the_sign():
    x = Draw(np.random.default_rng(0), dtype=bool_).convert(np.array([-1.0, 0.0, 2.0]))
    assert x.tolist() == [False, False, True]


@given(st.floats(width=32, allow_nan=False))
def test_bfloat16_is_the_nearest_of_the_numbers_with_8_bits(number):
    x = np.array([number], np.float32)
    got = from_bfloat16(to_bfloat16(x))
    low = (x.view(np.uint32) & 0xFFFF0000).view(np.float32)
    high = from_bfloat16(((x.view(np.uint32) >> 16) + 1).astype(np.uint16))
    assert got.view(np.uint32)[0] & 0xFFFF == 0
    if np.isfinite(got).all() and np.isfinite(high).all():
        nearest = min(abs(float(low[0]) - number), abs(float(high[0]) - number))
        assert abs(float(got[0]) - number) == nearest


def test_bfloat16_ties_go_to_even_and_nan_and_infinity_stay():
    x = np.array([1 + 2**-8, 1 + 3 * 2**-8, np.nan, np.inf, -np.inf, 3.4e38, -0.0], np.float32)
    np.testing.assert_array_equal(
        from_bfloat16(to_bfloat16(x)), [1, 1 + 4 * 2**-8, np.nan, np.inf, -np.inf, np.inf, -0.0]
    )
    quiet = np.array([0x7F800001], np.uint32).view(np.float32)  # a NaN whose upper half alone is an infinity
    assert np.isnan(from_bfloat16(to_bfloat16(quiet))).all()


@pytest.mark.parametrize("shape", [(), (0,), (2, 3)])
def test_bfloat16_keeps_shapes(shape):
    x = np.asfortranarray(np.ones(shape, np.float32)).reshape(shape)
    assert to_bfloat16(x).shape == from_bfloat16(to_bfloat16(x)).shape == shape
