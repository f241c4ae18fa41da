"""Shapes and orders of axes, against NumPy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from chainrule.errors import ShapeError
from chainrule.ops.layout import (
    broadcast_arrays,
    broadcast_to,
    expand_dims,
    flatten,
    matrix_transpose,
    moveaxis,
    permute_dims,
    reshape,
    squeeze,
    sum_to,
)
from chainrule.ops.triangle import tril, triu
from chainrule.tensor import tensor

Array: TypeAlias = np.ndarray[Any, np.dtype[Any]]
Check: TypeAlias = Callable[..., None]

SHAPES = hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=4)


def count_up(shape: tuple[int, ...]) -> Array:
    return np.arange(float(np.prod(shape))).reshape(shape)


@given(shapes=hnp.mutually_broadcastable_shapes(num_shapes=1, base_shape=(3, 1, 2)))
def test_broadcast_to_is_that_of_numpy(assert_transposed: Check, shapes: hnp.BroadcastableShapes) -> None:
    x, shape = count_up(shapes.input_shapes[0]), shapes.result_shape
    np.testing.assert_array_equal(broadcast_to(x, shape).numpy(), np.broadcast_to(x, shape))
    assert_transposed(lambda v: broadcast_to(v, shape), x)


@pytest.mark.parametrize("shape", [(3,), (2, 3), (), (-1, 2), (2, 1)])
def test_broadcast_to_refuses_a_shape_that_does_not_fit(shape: tuple[int, ...]) -> None:
    with pytest.raises(ShapeError, match="broadcast"):
        broadcast_to([1.0, 2.0], shape)


@pytest.mark.parametrize("shape", [(2, 3), (1, 3), (2, 1), (3,), (1,), (), (1, 2, 3)[1:]])
def test_sum_to_is_the_transpose_of_broadcast_to(assert_transposed: Check, shape: tuple[int, ...]) -> None:
    x = count_up((2, 3))
    assert_transposed(lambda v: sum_to(v, shape), x)
    assert np.sum(sum_to(x, shape).numpy()) == np.sum(x)


@pytest.mark.parametrize(
    ("wanted", "shape"), [(6, (6,)), (-1, (6,)), ((3, 2), (3, 2)), ([-1, 2], (3, 2)), ((1, 6, -1), (1, 6, 1))]
)
def test_reshape_keeps_the_order_of_elements(assert_transposed: Check, wanted: Any, shape: tuple[int, ...]) -> None:
    x = count_up((2, 3))
    np.testing.assert_array_equal(reshape(x, wanted).numpy(), x.reshape(shape))
    assert_transposed(lambda v: reshape(v, wanted), x)


@pytest.mark.parametrize("shape", [(4,), (-1, 4), (-1, -1, 6), (-2, -3), (0, -1), ()])
def test_reshape_refuses_another_number_of_elements(shape: tuple[int, ...]) -> None:
    with pytest.raises(ShapeError, match=r"6 elements of \[2, 3\] do not fill"):
        reshape(np.ones((2, 3)), shape)


def test_reshape_to_the_same_shape_is_the_tensor_itself() -> None:
    x = tensor([1.0, 2.0])
    assert reshape(x, (2,)) is x
    assert permute_dims(x, (0,)) is x


@given(shape=SHAPES, data=st.data())
def test_permute_dims_is_that_of_numpy(assert_transposed: Check, shape: tuple[int, ...], data: st.DataObject) -> None:
    x = count_up(shape)
    axes = data.draw(st.permutations(range(x.ndim)))
    np.testing.assert_array_equal(permute_dims(x, axes).numpy(), np.transpose(x, axes))
    assert_transposed(lambda v: permute_dims(v, axes), x)


@pytest.mark.parametrize("axes", [(0,), (0, 0), (0, 1, 2)])
def test_permute_dims_refuses_what_is_no_order_of_the_axes(axes: tuple[int, ...]) -> None:
    with pytest.raises(ShapeError, match=r"is no order of the 2 axes|axis 2 is outside"):
        permute_dims([[1.0]], axes)


def test_matrix_transpose_swaps_the_last_two_axes() -> None:
    x = count_up((2, 3, 4))
    np.testing.assert_array_equal(matrix_transpose(x).numpy(), x.swapaxes(1, 2))
    with pytest.raises(ShapeError, match="needs two or more axes"):
        matrix_transpose([1.0])
    with pytest.raises(ShapeError, match="needs 2 axes"):
        matrix_transpose(x, ndim=2)


@given(shape=SHAPES, data=st.data())
def test_moveaxis_is_that_of_numpy(shape: tuple[int, ...], data: st.DataObject) -> None:
    x = count_up(shape)
    axes = st.permutations(range(x.ndim))
    count = data.draw(st.integers(0, x.ndim))
    source, destination = ([a - data.draw(st.sampled_from([0, x.ndim])) for a in data.draw(axes)[:count]] for _ in "sd")
    np.testing.assert_array_equal(moveaxis(x, source, destination).numpy(), np.moveaxis(x, source, destination))


def test_moveaxis_takes_single_axes_and_refuses_what_does_not_match() -> None:
    assert moveaxis(count_up((2, 3, 4)), 0, -1).shape == (3, 4, 2)
    with pytest.raises(ShapeError, match="moveaxis: 2 axes cannot go to 1 places"):
        moveaxis(count_up((2, 3)), (0, 1), 0)
    with pytest.raises(ShapeError, match="twice"):
        moveaxis(count_up((2, 3)), (0, 1), (0, -2))


@pytest.mark.parametrize("axis", [0, 1, -1, (0, 2), (-1, 0), (0, 1, 2), ()])
def test_expand_dims_is_that_of_numpy_and_squeeze_its_inverse(axis: Any) -> None:
    x = count_up((2, 3))
    out = expand_dims(x, axis)
    np.testing.assert_array_equal(out.numpy(), np.expand_dims(x, axis))
    np.testing.assert_array_equal(squeeze(out, axis).numpy(), x)


def test_expand_dims_refuses_places_that_do_not_exist() -> None:
    with pytest.raises(ShapeError, match="axis 2 is outside"):
        expand_dims([1.0], 2)
    with pytest.raises(ShapeError, match="twice"):
        expand_dims([1.0], (0, 0))


def test_squeeze_without_axes_drops_all_of_size_one() -> None:
    assert squeeze(count_up((1, 2, 1, 3))).shape == (2, 3)
    assert squeeze(count_up((1, 1))).shape == ()


def test_squeeze_refuses_an_axis_of_another_size() -> None:
    with pytest.raises(ShapeError, match=r"squeeze: axis 1 of f64\[1, 2\] has size 2, not 1"):
        squeeze(count_up((1, 2)), (0, 1))


@pytest.mark.parametrize(
    ("start", "end", "shape"), [(0, -1, (24,)), (1, 2, (2, 12)), (-2, -1, (2, 12)), (1, 1, (2, 3, 4)), (0, 1, (6, 4))]
)
def test_flatten_merges_axes(start: int, end: int, shape: tuple[int, ...]) -> None:
    x = count_up((2, 3, 4))
    np.testing.assert_array_equal(flatten(x, start, end).numpy(), x.reshape(shape))


def test_flatten_gives_a_number_an_axis_and_keeps_empty_ones() -> None:
    assert flatten(3.0).shape == (1,)
    assert flatten(np.ones((2, 0, 3)), 1).shape == (2, 0)


def test_flatten_refuses_an_end_before_the_start() -> None:
    with pytest.raises(ShapeError, match="flatten: axis 0 stands before axis 1"):
        flatten(np.ones((2, 3)), 1, 0)


def test_broadcast_arrays_brings_tensors_to_one_shape() -> None:
    wide, tall = broadcast_arrays([1, 2], [[1.5], [2.5]])
    assert wide.tolist() == [[1, 2], [1, 2]] and tall.tolist() == [[1.5, 1.5], [2.5, 2.5]]
    assert wide.dtype.name == "int64" and tall.dtype.name == "float32"
    with pytest.raises(ShapeError, match="do not broadcast"):
        broadcast_arrays([1, 2], [1, 2, 3])


@given(
    shape=hnp.array_shapes(min_dims=2, max_dims=4, min_side=0, max_side=4),
    k=st.integers(-5, 5),
    functions=st.sampled_from([(tril, np.tril), (triu, np.triu)]),
)
def test_triangles_are_those_of_numpy(assert_transposed: Check, shape: tuple[int, ...], k: int, functions: Any) -> None:
    x = count_up(shape) + 1
    ours, theirs = functions
    np.testing.assert_array_equal(ours(x, k=k).numpy(), theirs(x, k))
    assert_transposed(lambda v: ours(v, k=k), x)


def test_triangles_leave_no_trace_of_what_they_drop() -> None:
    x = tensor([[1.0, np.inf], [np.nan, 2.0]])
    assert triu(x).tolist() == [[1.0, np.inf], [0.0, 2.0]]
    assert tril(triu(x)).tolist() == [[1.0, 0.0], [0.0, 2.0]]


@pytest.mark.parametrize("dtype", ["bool", "uint8", "int32", "int64", "bfloat16", "float32", "float64"])
def test_triangles_keep_the_data_type(dtype: str) -> None:
    x = tensor([[1, 1], [1, 1]], dtype=dtype)
    assert tril(x).type == x.type
    assert tril(x).tolist() == [[1, 0], [1, 1]]


def test_triangles_need_a_matrix() -> None:
    with pytest.raises(ShapeError, match="triu: a triangle needs two axes or more"):
        triu([1.0])


def test_sizes_and_axes_may_be_numpy_integers():
    x, n = tensor(np.ones((2, 3))), np.int64
    assert reshape(x, n(6)).shape == x.reshape(n(6)).shape == (6,)
    assert [type(size) for size in reshape(x, n(6)).shape] == [int]
    assert expand_dims(x, n(0)).shape == (1, 2, 3) and moveaxis(x, n(0), n(1)).shape == (3, 2)
