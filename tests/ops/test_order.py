"""Sorting, the largest few and running sums, against NumPy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from chainrule.errors import ShapeError
from chainrule.gradients import gradients
from chainrule.ops.order import argsort, cumulative_sum, sort, top_k
from chainrule.tensor import tensor

Array: TypeAlias = np.ndarray[Any, np.dtype[Any]]
Check: TypeAlias = Callable[..., None]

TIED = hnp.arrays(
    np.float64, hnp.array_shapes(min_dims=1, max_dims=3, min_side=0, max_side=5), elements=st.integers(-2, 2)
)
NAN, INF = float("nan"), float("inf")


@given(x=TIED, data=st.data())
def test_argsort_and_sort_are_those_of_numpy(x: Array, data: st.DataObject) -> None:
    axis = data.draw(st.integers(-x.ndim, x.ndim - 1))
    np.testing.assert_array_equal(argsort(x, axis).numpy(), np.argsort(x, axis, stable=True))
    np.testing.assert_array_equal(sort(x, axis).numpy(), np.sort(x, axis))


@given(x=TIED, data=st.data())
def test_descending_order_keeps_ties_in_order(x: Array, data: st.DataObject) -> None:
    axis = data.draw(st.integers(-x.ndim, x.ndim - 1))
    found = argsort(x, axis, descending=True)
    np.testing.assert_array_equal(found.numpy(), np.argsort(-x, axis, stable=True))
    np.testing.assert_array_equal(sort(x, axis, descending=True).numpy(), -np.sort(-x, axis))


def test_nan_sorts_as_the_largest() -> None:
    x = [1.0, NAN, INF, -INF, NAN]
    assert argsort(x).tolist() == [3, 0, 2, 1, 4]
    assert argsort(x, descending=True).tolist() == [1, 4, 2, 0, 3]


@pytest.mark.parametrize("dtype", ["bool", "uint8", "int32", "int64", "bfloat16", "float32", "float64"])
def test_sorting_keeps_the_data_type(dtype: str) -> None:
    x = tensor([1, 0, 1], dtype=dtype)
    for descending, expected in ((False, [0, 1, 1]), (True, [1, 1, 0])):
        out = sort(x, descending=descending)
        assert out.dtype is x.dtype and out.tolist() == expected
    assert argsort(x).dtype.name == "int64"
    values, indices = top_k(x, 2)
    assert values.dtype is x.dtype and indices.tolist() == [0, 2]


def test_extreme_integers_sort_in_either_direction() -> None:
    least, most = np.iinfo(np.int64).min, np.iinfo(np.int64).max
    x = np.array([0, least, most])
    assert sort(x).tolist() == [least, 0, most]
    assert sort(x, descending=True).tolist() == [most, 0, least]


def test_sort_sends_each_gradient_to_the_element_it_came_from() -> None:
    x = tensor([[3.0, 1.0, 2.0], [4.0, 6.0, 5.0]], requires_grad=True)
    ct = tensor([[10.0, 20.0, 30.0], [40.0, 50.0, 60.0]])
    assert gradients([sort(x)], [ct], [x])[0].tolist() == [[30.0, 10.0, 20.0], [40.0, 60.0, 50.0]]  # pyright: ignore[reportOptionalMemberAccess]
    values, _ = top_k(x, 1)
    back = gradients([values], [tensor([[1.0], [2.0]])], [x])[0]
    assert back is not None and back.tolist() == [[1.0, 0.0, 0.0], [0.0, 2.0, 0.0]]


@given(x=TIED, data=st.data())
def test_top_k_is_the_head_of_a_descending_sort(x: Array, data: st.DataObject) -> None:
    axis = data.draw(st.integers(-x.ndim, x.ndim - 1))
    k = data.draw(st.integers(0, x.shape[axis]))
    values, indices = top_k(x, k, axis)
    np.testing.assert_array_equal(indices.numpy(), np.take(np.argsort(-x, axis, stable=True), range(k), axis))
    np.testing.assert_array_equal(values.numpy(), np.take(-np.sort(-x, axis), range(k), axis))


@pytest.mark.parametrize("k", [-1, 3])
def test_top_k_refuses_more_elements_than_there_are(k: int) -> None:
    with pytest.raises(ShapeError, match=rf"top_k: {k} elements are not to be had from axis 1 of i64\[1, 2\]"):
        top_k([[1, 2]], k)


@pytest.mark.parametrize("function", [argsort, sort, lambda x, axis: top_k(x, 0, axis), cumulative_sum])
def test_an_axis_must_exist(function: Any) -> None:
    with pytest.raises(ShapeError, match="axis 1 is outside a tensor of 1 axes"):
        function([1.0, 2.0], axis=1)
    with pytest.raises(ShapeError, match="axis -1 is outside a tensor of 0 axes"):
        function(1.0, axis=-1)


@given(x=TIED, data=st.data())
def test_cumulative_sum_is_that_of_numpy(assert_transposed: Check, x: Array, data: st.DataObject) -> None:
    axis, include_initial = data.draw(st.integers(-x.ndim, x.ndim - 1)), data.draw(st.booleans())
    expected = np.cumulative_sum(x, axis=axis, include_initial=include_initial)
    np.testing.assert_array_equal(cumulative_sum(x, axis, include_initial=include_initial).numpy(), expected)
    assert_transposed(lambda v: cumulative_sum(v, axis, include_initial=include_initial), x)


def test_cumulative_sum_may_leave_out_the_only_axis() -> None:
    assert cumulative_sum([1.0, 2.0]).tolist() == [1.0, 3.0]
    for x in (1.0, [[1.0]]):
        with pytest.raises(ShapeError, match="cumulative_sum: say along which axis"):
            cumulative_sum(x)


@pytest.mark.parametrize(
    ("dtype", "result"), [("bool", "int64"), ("uint8", "int64"), ("bfloat16", "float32"), ("float64", "float64")]
)
def test_cumulative_sum_counts_small_types_in_larger_ones(dtype: str, result: str) -> None:
    assert cumulative_sum(tensor([1, 1], dtype=dtype)).dtype.name == result
