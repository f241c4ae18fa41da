"""x[key] against NumPy, over basic and advanced keys of every kind."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from chainrule.errors import IndexingError, TraceError
from chainrule.gradients import gradients
from chainrule.interpret import interpret
from chainrule.ops.indexing import getitem
from chainrule.tensor import Tensor, tensor
from chainrule.trace import trace


def counting(*shape: int) -> np.ndarray:
    return np.arange(np.prod(shape, dtype=int), dtype=np.float64).reshape(shape)


def agrees(x: np.ndarray, key: Any, numpy_key: Any = None) -> None:
    found = getitem(tensor(x), key)
    expected = x[key if numpy_key is None else numpy_key]
    assert found.shape == expected.shape
    np.testing.assert_array_equal(found.numpy(), expected)


@given(st.data())
def test_basic_keys_pick_what_numpy_picks(data: st.DataObject) -> None:
    shape = data.draw(hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=4))
    agrees(counting(*shape), data.draw(hnp.basic_indices(shape, allow_newaxis=True)))


@st.composite
def mixed_cases(draw: st.DrawFn) -> tuple[np.ndarray, tuple[Any, ...]]:
    """A tensor, and a key that mixes arrays of integers and masks with integers, slices, None and `...`."""
    shape = draw(hnp.array_shapes(min_dims=1, max_dims=4, min_side=1, max_side=4))
    common = draw(hnp.array_shapes(min_dims=0, max_dims=2, min_side=1, max_side=3))
    dots, after = sorted(draw(st.tuples(*[st.integers(0, len(shape))] * 2)))  # `...` stands for the axes between
    key: list[Any] = []
    axis, elided = 0, False
    while axis < len(shape):
        if axis == dots and not elided:
            key.append(...)
            axis, elided = after, True
            continue
        size = shape[axis]
        kind = draw(st.sampled_from(["array", "array", "mask", "integer", "slice", "none"]))
        if kind == "none":
            key.append(None)
        elif kind == "mask":
            mask = np.zeros(shape[axis : draw(st.integers(axis + 1, dots if axis < dots else len(shape)))], bool)
            trues = common[-1] if common and common[-1] <= mask.size else 1  # a count that broadcasts
            mask.reshape(-1)[draw(st.permutations(range(mask.size)))[:trues]] = True
            key.append(mask)
            axis += mask.ndim
        else:
            if kind == "array":
                sizes = [draw(st.sampled_from([1, n])) for n in common]
                sizes = sizes[draw(st.integers(0, len(sizes))) :]
                dtype, low = draw(st.sampled_from([(np.int32, -size), (np.int64, -size), (np.uint8, 0)]))
                key.append(draw(hnp.arrays(dtype, tuple(sizes), elements=st.integers(low, size - 1))))
            else:
                key.append(draw(st.integers(-size, size - 1) if kind == "integer" else st.slices(size)))
            axis += 1
    return counting(*shape), tuple(key)


@given(mixed_cases())
def test_mixed_keys_pick_what_numpy_picks(case: tuple[np.ndarray, tuple[Any, ...]]) -> None:
    agrees(*case)


@given(mixed_cases())
def test_a_traced_key_of_unknown_arrays_picks_the_same(case: tuple[np.ndarray, tuple[Any, ...]]) -> None:
    x, key = case
    arrays = [part for part in key if isinstance(part, np.ndarray) and part.dtype != bool]

    def pick(x: Tensor, arrays: list[Tensor]) -> Tensor:
        unknown = iter(arrays)
        return x[tuple(next(unknown) if isinstance(part, np.ndarray) and part.dtype != bool else part for part in key)]

    graph = trace(pick)(x, arrays)
    graph.verify()
    np.testing.assert_array_equal(interpret(graph, [x, *arrays])[0], x[key])


@given(mixed_cases())
def test_the_gradient_counts_how_often_a_place_is_picked(case: tuple[np.ndarray, tuple[Any, ...]]) -> None:
    values, key = case
    x = tensor(values, requires_grad=True)
    out = x[key]
    weights = np.arange(1.0, out.size + 1).reshape(out.shape)
    (gradient,) = gradients([out], [tensor(weights)], [x])
    expected = np.zeros_like(values)
    np.add.at(expected, key, weights)
    assert gradient is not None
    np.testing.assert_array_equal(gradient.numpy(), expected)


@pytest.mark.parametrize(
    ("key", "numpy_key"),
    [
        (tensor(1), 1),
        (tensor([1, 0]), np.array([1, 0])),
        (tensor([True, False, True]), np.array([True, False, True])),
        (np.int32(-1), None),
        (np.array(2), None),
        ([0, 2], None),
        ([], None),
        ([True, False, True], None),
        (range(2), None),
        (slice(tensor(1), None), slice(1, None)),
        (([0, 1], [[1], [2]]), None),
        ((0, slice(None), [1, 2]), None),
        ((0, ..., [1, 2]), None),
        ((slice(None), 0, [1, 2]), None),
        (np.zeros((3, 4), bool), None),
        ((), None),
    ],
)
def test_every_kind_of_entry_means_what_it_means_in_numpy(key: Any, numpy_key: Any) -> None:
    agrees(counting(3, 4, 5), key, numpy_key)


def test_an_empty_axis_can_be_indexed_by_nothing() -> None:
    agrees(counting(3, 0), (slice(None), []))
    agrees(counting(0, 3), ([], [0]))
    agrees(counting(3, 0), np.zeros((3, 0), bool))


@pytest.mark.parametrize("dtype", ["bool", "uint8", "int32", "bfloat16", "float32"])
def test_every_data_type_can_be_indexed(dtype: str) -> None:
    x = tensor([[1, 0, 1], [0, 0, 1]], dtype=dtype)
    found = x[[1, 0], 1:]
    assert found.dtype is x.dtype
    np.testing.assert_array_equal(found.numpy(), x.numpy()[[1, 0], 1:])


def test_keys_without_arrays_make_no_copy() -> None:
    x = tensor(counting(3, 4, 5))
    assert np.shares_memory(x[1, ..., None, ::-2].numpy(), x.numpy())
    assert x[...] is x


def test_iterating_gives_the_rows() -> None:
    assert [row.tolist() for row in tensor([[1, 2], [3, 4]])] == [[1, 2], [3, 4]]


@pytest.mark.parametrize(
    ("key", "message"),
    [
        (3, "index 3 is outside axis 0 of size 3"),
        (2**70, "index 1180591620717411303424 is outside axis 0 of size 3"),
        ((slice(None), -5), "index -5 is outside axis 1 of size 4"),
        ((0, [1, 4]), "index 4 is outside axis 1 of size 4"),
        (([0, 1], [0, -9]), "index -9 is outside axis 1 of size 4"),
        ((0, 0, 0), "too many indices: 3 for the 2 axes of f64\\[3, 4\\]"),
        ((..., 0, ...), "only once, not 2 times"),
        (1.5, "indices must be integers, not f32\\[\\]"),
        ([0.5], "indices must be integers, not f32\\[1\\]"),
        ("a", "'a' is no index"),
        ([[0], [1, 2]], "is no index: .*ragged"),
        (slice(0, 1.5), "slice indices must be integers"),
        (slice(None, None, 0), "step cannot be zero"),
        (True, "a single truth value is no index"),
        (np.ones(2, bool), "a mask of shape \\[2\\] does not fit f64\\[3, 4\\] from axis 0 on"),
        ((0, np.ones((4, 1), bool)), "too many indices: 3"),
        (([0, 1], [0, 1, 2]), "arrays of indices: shapes do not broadcast"),
    ],
)
def test_a_wrong_key_is_an_error_that_says_what_is_wrong(key: Any, message: str) -> None:
    with pytest.raises(IndexingError, match=message):
        tensor(counting(3, 4))[key]


def test_a_mask_of_unknown_value_points_to_where() -> None:
    with pytest.raises(TraceError, match=r"use where\(mask, x, 0\)"):
        trace(lambda x: x[x > 0])(np.ones(3))


def test_a_mask_from_outside_is_not_frozen_into_a_graph() -> None:
    mask = tensor([True, False])
    with pytest.raises(TraceError, match="where"):
        trace(lambda x: x[mask])(np.ones(2))


@pytest.mark.parametrize("indices", [([1], [3]), ([2], [0]), ([0], [-4]), ([-3], [2])])
def test_unknown_indices_outside_their_axis_are_an_error_when_the_graph_runs(indices: Any) -> None:
    graph = trace(lambda x, i, j: x[i, j])(counting(2, 3), *map(np.array, indices))
    with pytest.raises(IndexingError, match="outside axis 0 of size 6"):
        interpret(graph, [counting(2, 3), *map(np.array, indices)])
