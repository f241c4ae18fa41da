"""Slices, padding and mirrored axes, against NumPy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from chainrule.errors import DtypeError, ShapeError
from chainrule.gradients import gradients
from chainrule.ops import sum as total
from chainrule.ops.slicing import flip, pad, slice
from chainrule.tensor import tensor

Array: TypeAlias = np.ndarray[Any, np.dtype[Any]]
Check: TypeAlias = Callable[..., None]

ARRAYS = hnp.arrays(
    np.float64, hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=5), elements=st.integers(-9, 9)
)


@st.composite
def slices(draw: st.DrawFn) -> tuple[Array, list[tuple[int, int, int]]]:
    """An array, and for each axis the first place, the number of places and the step."""
    x = draw(ARRAYS)
    places: list[tuple[int, int, int]] = []
    for n in x.shape:
        start, step = draw(st.integers(0, n)), draw(st.integers(1, 4))
        places.append((start, draw(st.integers(0, len(range(start, n, step)))), step))
    return x, places


@given(case=slices())
def test_slice_reads_the_places_that_python_reads(
    assert_transposed: Check, case: tuple[Array, list[tuple[int, int, int]]]
) -> None:
    x, places = case
    start, size, step = zip(*places, strict=True) if places else ((), (), ())
    expected = (
        x[np.ix_(*([first + every * i for i in range(count)] for first, count, every in places))] if places else x
    )
    found = slice(x, start, size, step)
    np.testing.assert_array_equal(found.numpy(), expected)
    assert found.shape == size
    assert_transposed(lambda v: slice(v, start, size, step), x)


def test_slice_without_a_step_takes_neighbours() -> None:
    assert slice([1, 2, 3, 4], [1], [2]).tolist() == [2, 3]


def test_slice_of_everything_is_the_tensor_itself() -> None:
    x = tensor([[1.0, 2.0]])
    assert slice(x, (0, 0), (1, 2)) is x


@pytest.mark.parametrize(
    ("start", "size", "step"),
    [([1], [3], [1]), ([-1], [1], [1]), ([0], [2], [3]), ([0], [1], [0]), ([0], [-1], [1]), ([4], [0], [1])],
)
def test_slice_outside_of_the_tensor_is_refused(start: list[int], size: list[int], step: list[int]) -> None:
    with pytest.raises(ShapeError, match=r"slice: .* do not lie within axis 0 of f32\[3\]"):
        slice([1.0, 2.0, 3.0], start, size, step)


def test_slice_needs_one_entry_an_axis() -> None:
    with pytest.raises(ShapeError, match="must have one entry an axis"):
        slice([[1.0]], [0], [1])


def test_slice_moves_no_data() -> None:
    x = tensor(np.arange(6.0))
    assert np.shares_memory(slice(x, [1], [2], [2]).numpy(), x.numpy())


@given(x=ARRAYS, data=st.data())
def test_pad_with_a_constant_is_that_of_numpy(assert_transposed: Check, x: Array, data: st.DataObject) -> None:
    widths = [(data.draw(st.integers(0, 3)), data.draw(st.integers(0, 3))) for _ in x.shape]
    np.testing.assert_array_equal(pad(x, widths, 1.5).numpy(), np.pad(x, widths or 0, constant_values=1.5))
    assert_transposed(lambda v: pad(v, widths), x)


@given(x=ARRAYS, data=st.data())
def test_pad_in_between_is_undone_by_a_slice(assert_transposed: Check, x: Array, data: st.DataObject) -> None:
    numbers = st.tuples(*[st.integers(0, 3)] * x.ndim)
    low, high, interior = data.draw(numbers), data.draw(numbers), data.draw(numbers)
    padded = pad(x, list(zip(low, high, strict=True)), 7.0, interior=interior)
    kept = slice(padded, low, x.shape, [n + 1 for n in interior])
    np.testing.assert_array_equal(kept.numpy(), x)
    assert np.sum(padded.numpy()) == np.sum(x) + 7.0 * (padded.size - x.size)
    assert_transposed(lambda v: pad(v, list(zip(low, high, strict=True)), interior=interior), x)


def test_pad_takes_one_interior_for_all_axes() -> None:
    assert pad([[1, 2], [3, 4]], 0, interior=1).tolist() == [[1, 0, 2], [0, 0, 0], [3, 0, 4]]


@pytest.mark.parametrize("widths", [2, (1, 2), ((1, 2),), [(1, 2), (0, 3)], np.array([[1, 2], [0, 3]])])
def test_pad_takes_widths_in_all_forms_of_numpy(widths: Any) -> None:
    x = np.arange(6.0).reshape(2, 3)
    np.testing.assert_array_equal(pad(x, widths).numpy(), np.pad(x, widths))


def test_pad_of_no_axes_changes_nothing() -> None:
    assert pad(3.0, 2).tolist() == 3.0
    assert pad(3.0, []).tolist() == 3.0


@pytest.mark.parametrize("widths", [[(1, 2), (3,)], [(1, 2)] * 3, [1, 2, 3], 1.5, [(0.5, 1)]])
def test_pad_refuses_widths_that_do_not_fit(widths: Any) -> None:
    with pytest.raises(ShapeError, match="pad: widths are"):
        pad(np.ones((2, 2)), widths)


@pytest.mark.parametrize(("widths", "interior"), [((-1, 0), None), ((0, -1), None), (0, -1)])
def test_pad_refuses_negative_widths(widths: Any, interior: int | None) -> None:
    with pytest.raises(ShapeError, match="must not be negative"):
        pad([1.0, 2.0], widths, interior=interior)


def test_pad_needs_one_interior_an_axis() -> None:
    with pytest.raises(ShapeError, match="must have one entry an axis"):
        pad([1.0, 2.0], 1, interior=[1, 1])


@pytest.mark.parametrize(
    ("dtype", "value"),
    [("int32", 0.5), ("int64", np.inf), ("uint8", -1), ("uint8", 256), ("bool", 2), ("int32", np.nan)],
)
def test_pad_refuses_a_value_that_the_data_type_cannot_hold(dtype: str, value: float) -> None:
    with pytest.raises(DtypeError, match=f"{dtype} cannot hold"):
        pad(tensor([1, 0], dtype=dtype), 1, value)


def test_pad_keeps_the_data_type() -> None:
    for dtype in ("bool", "uint8", "int32", "int64", "bfloat16", "float32", "float64"):
        padded = pad(tensor([1, 0], dtype=dtype), 1, 1)
        assert padded.dtype.name == dtype
        assert padded.tolist() == [1, 1, 0, 1]
    assert pad(tensor([1.0], dtype="bfloat16"), (0, 2), -np.inf).tolist() == [1.0, -np.inf, -np.inf]


@given(x=ARRAYS, mode=st.sampled_from(["reflect", "edge", "wrap"]), data=st.data())
def test_pad_modes_are_those_of_numpy(assert_transposed: Check, x: Array, mode: Any, data: st.DataObject) -> None:
    most = {"reflect": -1, "edge": 3, "wrap": 0}[mode]
    widths = [tuple(data.draw(st.integers(0, max(n + most, 0) if n else 0)) for _ in range(2)) for n in x.shape]
    np.testing.assert_array_equal(pad(x, widths, mode=mode).numpy(), np.pad(x, widths or 0, mode=mode))
    assert_transposed(lambda v: pad(v, widths, mode=mode), x)


def test_elements_that_padding_repeats_collect_the_gradient_of_every_copy() -> None:
    x = tensor([1.0, 2.0, 3.0], requires_grad=True)
    out = pad(x, (2, 1), mode="edge")
    assert gradients([total(out)], [tensor(1.0)], [x])[0].tolist() == [3.0, 1.0, 2.0]  # pyright: ignore[reportOptionalMemberAccess]


@pytest.mark.parametrize(("mode", "widths"), [("reflect", (3, 0)), ("wrap", (0, 4)), ("edge", (-1, 0))])
def test_pad_refuses_more_than_a_mode_can_take(mode: Any, widths: tuple[int, int]) -> None:
    with pytest.raises(ShapeError, match=f"axis 0 of f32\\[3\\], mode '{mode}'"):
        pad([1.0, 2.0, 3.0], widths, mode=mode)


@pytest.mark.parametrize("mode", ["edge", "reflect", "wrap"])
def test_pad_cannot_take_elements_from_an_empty_axis(mode: Any) -> None:
    with pytest.raises(ShapeError, match="0 to 0 will do"):
        pad(np.ones(0), 1, mode=mode)
    assert pad(np.ones((0, 2)), [(0, 0), (1, 1)], mode=mode).shape == (0, 4)


def test_pad_refuses_an_unknown_mode_and_interior_without_a_constant() -> None:
    with pytest.raises(ShapeError, match="modes are constant, reflect, edge and wrap"):
        pad([1.0, 2.0], 0, mode="mirror")  # pyright: ignore[reportArgumentType]
    with pytest.raises(ShapeError, match="interior is for the mode 'constant'"):
        pad([1.0, 2.0], 1, mode="wrap", interior=1)


@given(x=ARRAYS, data=st.data())
def test_flip_is_that_of_numpy(assert_transposed: Check, x: Array, data: st.DataObject) -> None:
    axes = data.draw(
        st.none() | st.lists(st.integers(-x.ndim, x.ndim - 1), unique_by=lambda a: a % x.ndim) if x.ndim else st.none()
    )
    expected = np.flip(x, axes if axes is None else tuple(axes))
    np.testing.assert_array_equal(flip(x, axes).numpy(), expected)
    assert_transposed(lambda v: flip(v, axes), x)


def test_flip_refuses_axes_that_do_not_exist_or_stand_twice() -> None:
    with pytest.raises(ShapeError, match="axis 1 is outside"):
        flip([1.0], 1)
    with pytest.raises(ShapeError, match="twice"):
        flip([1.0], (0, -1))


def test_second_derivatives_pass_through_slices_and_padding() -> None:
    x = tensor([1.0, 2.0, 3.0, 4.0], requires_grad=True)
    inner = slice(x, [1], [2])
    (first,) = gradients([total(inner * inner * inner)], [tensor(1.0)], [x])
    assert first is not None
    (second,) = gradients([total(first * first)], [tensor(1.0)], [x])
    assert second is not None
    assert second.tolist() == [0.0, 36 * 2.0**3, 36 * 3.0**3, 0.0]  # of the sum of (3 x^2)^2
