"""Tensors set side by side, taken apart and repeated, against NumPy."""

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
from chainrule.ops.join import concat, repeat, roll, split, stack, tile, unstack
from chainrule.tensor import Tensor, tensor

Array: TypeAlias = np.ndarray[Any, np.dtype[Any]]
Check: TypeAlias = Callable[..., None]

SHAPES = hnp.array_shapes(min_dims=1, max_dims=3, min_side=0, max_side=4)


def count_up(shape: tuple[int, ...]) -> Array:
    return np.arange(float(np.prod(shape))).reshape(shape)


@given(shape=SHAPES, sizes=st.lists(st.integers(0, 3), min_size=1, max_size=4), data=st.data())
def test_concat_is_that_of_numpy(shape: tuple[int, ...], sizes: list[int], data: st.DataObject) -> None:
    axis = data.draw(st.integers(-len(shape), len(shape) - 1))
    parts = [count_up((*shape[: axis % len(shape)], n, *shape[axis % len(shape) + 1 :])) + 10 * n for n in sizes]
    np.testing.assert_array_equal(concat(parts, axis).numpy(), np.concatenate(parts, axis))


def test_concat_hands_every_part_its_share_of_the_gradient() -> None:
    x, y = tensor([[1.0], [2.0]], requires_grad=True), tensor([[3.0, 4.0], [5.0, 6.0]], requires_grad=True)
    back = gradients([concat([x, y, x], 1)], [tensor([[1.0, 2.0, 3.0, 4.0], [5.0, 6.0, 7.0, 8.0]])], [x, y])
    assert [ct.tolist() for ct in back if ct is not None] == [[[5.0], [13.0]], [[2.0, 3.0], [6.0, 7.0]]]


def test_concat_without_an_axis_flattens() -> None:
    assert concat([[[1, 2], [3, 4]], 5, np.ones((0, 2), np.int64)], axis=None).tolist() == [1, 2, 3, 4, 5]


@pytest.mark.parametrize(
    ("dtypes", "result"),
    [
        (("int32", "float32"), "float32"),
        (("float32", "float64"), "float64"),
        (("bool", "uint8"), "uint8"),
        (("bfloat16", "bfloat16"), "bfloat16"),
        (("bfloat16", "float32"), "float32"),
    ],
)
def test_concat_brings_data_types_together(dtypes: tuple[str, ...], result: str) -> None:
    out = concat([tensor([1, 0], dtype=dtype) for dtype in dtypes])
    assert out.dtype.name == result
    assert out.tolist() == [1, 0, 1, 0]


def test_concat_of_one_tensor_is_that_tensor() -> None:
    x = tensor([1.0])
    assert concat([x]) is x


def test_concat_refuses_what_does_not_fit() -> None:
    with pytest.raises(ShapeError, match="concat: at least one tensor"):
        concat([])
    with pytest.raises(ShapeError, match=r"f32\[1, 3\] does not fit f32\[1, 2\]: only the sizes of axis 0 may differ"):
        concat([np.ones((1, 2), np.float32), np.ones((1, 3), np.float32)])
    with pytest.raises(ShapeError, match=r"i64\[1, 1\] does not fit i64\[1\]"):
        concat([[1], [[1]]])
    with pytest.raises(ShapeError, match="axis 0 is outside"):
        concat([1.0, 2.0])


@given(shape=hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4), count=st.integers(1, 3), data=st.data())
def test_stack_is_that_of_numpy_and_unstack_its_inverse(
    shape: tuple[int, ...], count: int, data: st.DataObject
) -> None:
    axis = data.draw(st.integers(-len(shape) - 1, len(shape)))
    parts = [count_up(shape) + 100 * i for i in range(count)]
    out = stack(parts, axis)
    np.testing.assert_array_equal(out.numpy(), np.stack(parts, axis))
    found = unstack(out, axis)
    assert len(found) == count
    for part, expected in zip(found, parts, strict=True):
        np.testing.assert_array_equal(part.numpy(), expected)


def test_stack_refuses_different_shapes_and_nothing() -> None:
    with pytest.raises(ShapeError, match=r"stack: tensors must have one shape, not \[1\] and \[2\]"):
        stack([[1.0], [1.0, 2.0]])
    with pytest.raises(ShapeError, match="stack: at least one"):
        stack([])


def test_stack_brings_data_types_together() -> None:
    assert stack([1, 2.5]).tolist() == [1.0, 2.5]


@pytest.mark.parametrize(("sections", "sizes"), [(3, [2, 2, 2]), (1, [6]), ([1, 5], [1, 5]), ([0, 6, 0], [0, 6, 0])])
@pytest.mark.parametrize("axis", [0, -1])
def test_split_cuts_into_parts_that_concat_joins(sections: int | list[int], sizes: list[int], axis: int) -> None:
    x = count_up((6, 6))
    parts = split(x, sections, axis)
    assert [part.shape[axis] for part in parts] == sizes
    np.testing.assert_array_equal(concat(parts, axis).numpy(), x)


def test_split_of_an_empty_axis_gives_empty_parts() -> None:
    assert [part.shape for part in split(np.ones((0, 2)), 2)] == [(0, 2), (0, 2)]
    assert split(np.ones((0, 2)), []) == []
    assert unstack(np.ones((0, 2))) == ()


def test_split_carries_the_gradient_of_each_part_to_its_place() -> None:
    x = tensor([1.0, 2.0, 3.0], requires_grad=True)
    _, tail = split(x, [1, 2])
    assert gradients([tail], [tensor([5.0, 6.0])], [x])[0].tolist() == [0.0, 5.0, 6.0]  # pyright: ignore[reportOptionalMemberAccess]


@pytest.mark.parametrize(
    ("sections", "message"),
    [
        (4, "cannot be cut into 4 equal parts"),
        (0, "cannot be cut into 0 equal parts"),
        ([1, 2], r"sizes \[1, 2\] do not add up to axis 0"),
        ([7, -1], r"sizes \[7, -1\] do not add up"),
    ],
)
def test_split_refuses_parts_that_do_not_add_up(sections: int | list[int], message: str) -> None:
    with pytest.raises(ShapeError, match=message):
        split(np.ones(6), sections)


@given(shape=SHAPES, repeats=st.integers(0, 3), data=st.data())
def test_repeat_is_that_of_numpy(
    assert_transposed: Check, shape: tuple[int, ...], repeats: int, data: st.DataObject
) -> None:
    x = count_up(shape)
    axis = data.draw(st.none() | st.integers(-x.ndim, x.ndim - 1))
    np.testing.assert_array_equal(repeat(x, repeats, axis).numpy(), np.repeat(x, repeats, axis))
    assert_transposed(lambda v: repeat(v, repeats, axis), x)


def test_repeat_of_a_number_gives_an_axis_and_a_negative_count_is_refused() -> None:
    assert repeat(3.0, 2).tolist() == [3.0, 3.0]
    with pytest.raises(ShapeError, match="repeat: -1"):
        repeat([1.0], -1)


@given(
    shape=hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=3),
    times=st.integers(0, 3) | st.lists(st.integers(0, 3), max_size=4),
)
def test_tile_is_that_of_numpy(assert_transposed: Check, shape: tuple[int, ...], times: int | list[int]) -> None:
    x = count_up(shape)
    np.testing.assert_array_equal(tile(x, times).numpy(), np.tile(x, times))
    assert_transposed(lambda v: tile(v, times), x)


def test_tile_refuses_negative_counts() -> None:
    with pytest.raises(ShapeError, match=r"tile: \[2, -1\]"):
        tile([1.0], (2, -1))


@given(shape=SHAPES, data=st.data())
def test_roll_is_that_of_numpy(assert_transposed: Check, shape: tuple[int, ...], data: st.DataObject) -> None:
    x = count_up(shape)
    axis = data.draw(st.none() | st.lists(st.integers(-x.ndim, x.ndim - 1), max_size=3))
    shift: Any = data.draw(st.integers(-9, 9))
    if axis is not None and data.draw(st.booleans()):
        shift = data.draw(st.tuples(*[st.integers(-9, 9)] * len(axis)))
    expected = np.roll(x, shift, axis if axis is None else tuple(axis))
    np.testing.assert_array_equal(roll(x, shift, axis).numpy(), expected)
    assert_transposed(lambda v: roll(v, shift, axis), x)


def test_roll_refuses_another_number_of_shifts_than_axes() -> None:
    with pytest.raises(ShapeError, match="roll: 2 shifts for 1 axes"):
        roll([1.0], (1, 2), 0)


def test_roll_by_nothing_makes_no_node() -> None:
    x: Tensor = tensor([1.0, 2.0])
    assert roll(x, 2, 0) is x


def test_numbers_of_parts_and_shifts_may_be_numpy_integers():
    x, n = tensor([1, 2, 3, 4]), np.int64
    assert [part.tolist() for part in split(x, n(2))] == [[1, 2], [3, 4]]
    assert tile(x, n(2)).shape == (8,) and roll(x, n(1), n(0)).tolist() == [4, 1, 2, 3]
