"""Reading at indices and adding at indices."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from chainrule.errors import DtypeError, IndexingError, ShapeError
from chainrule.gradients import gradients
from chainrule.interpret import interpret
from chainrule.ops.gather import add_along_axis, one_hot, scatter_add, take, take_along_axis
from chainrule.tensor import Tensor, tensor
from chainrule.trace import trace

rng = np.random.default_rng(0)


@st.composite
def slices_at(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray, int]:
    """A tensor, indices of any shape, and the axis that they are for."""
    shape = draw(hnp.array_shapes(min_dims=1, max_dims=4, min_side=0, max_side=4))
    axis = draw(st.integers(0, len(shape) - 1))
    size = shape[axis]
    common = draw(hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4))
    common = common if size else (0, *common)
    dtype = draw(st.sampled_from([np.int32, np.int64]))
    indices = draw(hnp.arrays(dtype, common, elements=st.integers(-size, max(size - 1, 0))))
    return rng.normal(size=shape), indices, draw(st.sampled_from([axis, axis - len(shape)]))


@st.composite
def elements_at(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray, int]:
    """A tensor, indices that fit it on all axes but one, and that axis."""
    shape = draw(hnp.array_shapes(min_dims=1, max_dims=4, min_side=0, max_side=4))
    axis = draw(st.integers(0, len(shape) - 1))
    size = shape[axis]
    count = draw(st.integers(0, 5)) if size else 0
    fitting = (*shape[:axis], count, *shape[axis + 1 :])
    indices = draw(hnp.arrays(np.int64, fitting, elements=st.integers(-size, max(size - 1, 0))))
    return rng.normal(size=shape), indices, draw(st.sampled_from([axis, axis - len(shape)]))


@given(slices_at())
def test_take_reads_what_numpy_reads(case: tuple[np.ndarray, np.ndarray, int]) -> None:
    x, indices, axis = case
    found = take(tensor(x), tensor(indices), axis).numpy()
    np.testing.assert_array_equal(found, np.take(x, indices, axis), strict=True)


@given(elements_at())
def test_take_along_axis_reads_what_numpy_reads(case: tuple[np.ndarray, np.ndarray, int]) -> None:
    x, indices, axis = case
    found = take_along_axis(tensor(x), tensor(indices), axis).numpy()
    np.testing.assert_array_equal(found, np.take_along_axis(x, indices, axis), strict=True)


@given(slices_at())
def test_scatter_add_adds_one_slice_after_the_other(case: tuple[np.ndarray, np.ndarray, int]) -> None:
    x, indices, axis = case
    updates = rng.normal(size=np.take(x, indices, axis).shape)
    expected = np.moveaxis(x.copy(), axis, 0)
    at = axis % x.ndim
    first = np.moveaxis(updates, range(at, at + indices.ndim), range(indices.ndim))
    for place in np.ndindex(indices.shape):
        expected[indices[place]] += first[place]
    found = scatter_add(tensor(x), tensor(indices), tensor(updates), axis).numpy()
    np.testing.assert_array_equal(found, np.moveaxis(expected, 0, axis), strict=True)


@given(elements_at())
def test_add_along_axis_adds_one_element_after_the_other(case: tuple[np.ndarray, np.ndarray, int]) -> None:
    x, indices, axis = case
    updates = rng.normal(size=indices.shape)
    expected = x.copy()
    for place in np.ndindex(indices.shape):
        target = list(place)
        target[axis] = indices[place]
        expected[tuple(target)] += updates[place]
    found = add_along_axis(tensor(x), tensor(indices), tensor(updates), axis).numpy()
    np.testing.assert_array_equal(found, expected, strict=True)


Pair = tuple[Callable[..., Tensor], Callable[..., Tensor]]
PAIRS = [(take, scatter_add), (take_along_axis, add_along_axis)]


@pytest.mark.parametrize("pair", PAIRS)
@given(st.data())
def test_reading_and_adding_are_transposes_of_each_other(pair: Pair, data: st.DataObject) -> None:
    read, add = pair
    x, indices, axis = data.draw(slices_at() if read is take else elements_at())
    values, at = tensor(x, requires_grad=True), tensor(indices)
    out = read(values, at, axis)
    updates = tensor(rng.normal(size=out.shape), requires_grad=True)
    (of_read,) = gradients([out], [updates], [values])
    assert of_read is not None
    np.testing.assert_array_equal(of_read.numpy(), add(np.zeros_like(x), at, updates, axis).numpy(), strict=True)
    (back,) = gradients([of_read], [values], [updates])  # the derivative of the derivative reads again
    assert back is not None
    np.testing.assert_array_equal(back.numpy(), out.numpy(), strict=True)
    total = add(values, at, updates, axis)
    of_x, of_updates = gradients([total], [values], [values, updates])
    assert of_x is values
    assert of_updates is not None
    np.testing.assert_array_equal(of_updates.numpy(), out.numpy(), strict=True)


def test_equal_indices_add_up_in_their_order() -> None:
    updates = np.array([1e8, 1.0, -1e8, 1.0], np.float32)  # another order would give another sum
    assert scatter_add(np.zeros(2, np.float32), [1, 1, 1, -1], updates).tolist() == [0.0, 1.0]
    assert add_along_axis(np.zeros((1, 2), np.float32), [[1, 1, 1, -1]], updates[None]).tolist() == [[0.0, 1.0]]


def test_the_gradient_of_an_embedding_is_the_sum_over_equal_words() -> None:
    table = tensor(rng.normal(size=(50, 8)).astype(np.float32), requires_grad=True)
    words = rng.integers(0, 50, (20, 10))
    arriving = rng.integers(-4, 5, (20, 10, 8)).astype(np.float32)
    (found,) = gradients([take(table, words, 0)], [tensor(arriving)], [table])
    assert found is not None
    by_product = np.einsum("nv,nd->vd", np.eye(50)[words.ravel()], arriving.reshape(-1, 8))
    np.testing.assert_array_equal(found.numpy(), by_product.astype(np.float32), strict=True)


def test_inputs_are_left_as_they_are() -> None:
    x = np.zeros(3)
    scatter_add(x, [0, 1], np.ones(2))
    add_along_axis(x, [0, 1], np.ones(2))
    assert not x.any()


@pytest.mark.parametrize("dtype", ["bool", "uint8", "int32", "int64", "bfloat16", "float32", "float64"])
def test_reading_keeps_every_data_type(dtype: str) -> None:
    x = tensor([[0, 1], [1, 1]], dtype)
    assert take(x, [1], 0).dtype is x.dtype
    assert take_along_axis(x, [[1], [0]]).tolist() == [[1], [1]]


@pytest.mark.parametrize("read", [take, take_along_axis])
def test_gradients_of_bfloat16_are_added_up_in_float32(read: Callable[..., Tensor]) -> None:
    x = tensor([0.0], "bfloat16", requires_grad=True)
    (found,) = gradients([read(x, [0] * 300, 0)], [tensor([1.0] * 300, "bfloat16")], [x])
    assert found is not None
    assert found.dtype is x.dtype
    assert found.tolist() == [300.0]  # one after the other in bfloat16, the sum would stay at 256


def test_sums_meet_in_one_data_type() -> None:
    assert str(scatter_add([0, 0], [1], np.ones(1, np.float32)).type) == "f32[2]"
    assert str(add_along_axis(tensor([1.0], "bfloat16"), [0], tensor([1.0], "bfloat16")).type) == "f32[1]"


def test_take_along_axis_broadcasts_the_other_axes() -> None:
    x, indices = rng.normal(size=(3, 1, 4)), rng.integers(0, 4, (1, 2, 5))
    found = take_along_axis(x, indices).numpy()
    np.testing.assert_array_equal(found, np.take_along_axis(x, indices, -1), strict=True)


def test_take_needs_no_axis_for_a_vector() -> None:
    assert take([1, 2, 3], [[-1], [0]]).tolist() == [[3], [1]]
    with pytest.raises(ShapeError, match="take: say along which axis of i64\\[1, 1\\]"):
        take([[1]], [0])


@pytest.mark.parametrize("kind", ["plain", "uint8", "empty list"])
def test_every_kind_of_integer_is_an_index(kind: str) -> None:
    indices: Any = {"plain": 1, "uint8": np.array([1], np.uint8), "empty list": []}[kind]
    assert take([5, 6], indices).tolist() == {"plain": 6, "uint8": [6], "empty list": []}[kind]


@pytest.mark.parametrize("index", [3, -4])
def test_an_index_outside_its_axis_is_named(index: int) -> None:
    x, at = np.ones((2, 3)), [[index], [0]]
    message = f"index {index} is outside axis 1 of size 3"
    for call in (
        lambda: take(x, at, 1),
        lambda: take_along_axis(x, at),
        lambda: scatter_add(x, [0, index], np.ones((2, 2)), 1),
        lambda: add_along_axis(x, at, np.ones((2, 1))),
    ):
        with pytest.raises(IndexingError, match=message):
            call()
    graph = trace(lambda x, at: take(x, at, 1))(x, np.array(at))
    with pytest.raises(IndexingError, match=message):
        interpret(graph, [x, np.array(at)])


def test_only_integers_are_indices() -> None:
    with pytest.raises(IndexingError, match="indices must be integers, not f32\\[1\\]"):
        take([1], [0.5])
    with pytest.raises(IndexingError, match=r"not bool\[1\]; a mask goes in brackets, x\[mask\]"):
        take([1], [True])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: take(1.0, 0), "say along which axis"),
        (lambda: take([1.0], 0, axis=1), "axis 1 is outside"),
        (lambda: take_along_axis([[1.0]], [0]), "indices of shape \\[1\\] must fit f32\\[1, 1\\] on every axis but 1"),
        (lambda: take_along_axis(np.ones((2, 2)), np.zeros((3, 1), int)), "shapes do not broadcast"),
        (lambda: scatter_add([0.0], [0, 0], [1.0]), "updates must be f32\\[2\\]"),
        (lambda: add_along_axis([0.0], [0, 0], [1.0]), "updates must be f32\\[2\\]"),
        (lambda: add_along_axis(np.ones((2, 2)), [[0]], [[1.0]]), "on every axis but 1"),
    ],
)
def test_shapes_that_do_not_fit_are_an_error(call: Callable[[], Tensor], message: str) -> None:
    with pytest.raises(ShapeError, match=message):
        call()


def test_truth_values_cannot_be_added_up() -> None:
    with pytest.raises(DtypeError, match="scatter_add: input 1 is bool"):
        scatter_add([True], [0], [True])


@given(
    hnp.array_shapes(min_dims=0, max_dims=3, min_side=0),
    st.integers(1, 6),
    st.sampled_from(["float32", "int64", "bool"]),
)
def test_one_hot_is_a_row_of_the_identity_matrix(shape: tuple[int, ...], classes: int, dtype: str) -> None:
    indices = rng.integers(0, classes, shape)
    np.testing.assert_array_equal(
        one_hot(indices, classes, dtype).numpy(), np.eye(classes, dtype=dtype)[indices], strict=True
    )


@pytest.mark.parametrize("index", [-1, 3])
def test_a_class_that_does_not_exist_is_an_error_where_it_is_known(index: int) -> None:
    with pytest.raises(IndexingError, match=f"class {index} is not among 3 classes"):
        one_hot([0, index], 3)
    graph = trace(lambda i: one_hot(i, 3))(np.array([0]))
    np.testing.assert_array_equal(interpret(graph, [np.array([index])])[0], [[0, 0, 0]])
