"""Sliding windows and their transpose, against loops over windows."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chainrule.apply import apply
from chainrule.errors import DtypeError, ShapeError
from chainrule.gradients import gradients
from chainrule.op import Op
from chainrule.ops.window import OVERLAP_ADD, SLIDING_WINDOWS, overlap_add, sliding_windows
from chainrule.tensor import as_tensor, tensor
from chainrule.testing import check_gradients, check_op
from chainrule.types import Array, Shape

Geometry = dict[str, Shape]


def places(sizes: Shape, window: Shape, stride: Shape, dilation: Shape) -> Iterator[tuple[Shape, Any]]:
    """Each position, and the index of its window within the array."""
    starts = [range(0, n - (k - 1) * d, s) for n, k, s, d in zip(sizes, window, stride, dilation, strict=True)]
    for position in itertools.product(*(range(len(axis)) for axis in starts)):
        first = [axis[p] for axis, p in zip(starts, position, strict=True)]
        yield position, np.ix_(*(range(f, f + k * d, d) for f, k, d in zip(first, window, dilation, strict=True)))


def slow_windows(x: Array, window: Shape, stride: Shape, dilation: Shape) -> Array:
    sizes = x.shape[x.ndim - len(window) :]
    found = {position: x[(..., *index)] for position, index in places(sizes, window, stride, dilation)}
    counts = np.array([*found]).max(axis=0) + 1
    out = np.empty((*x.shape[: x.ndim - len(window)], *counts, *window), x.dtype)
    for position, values in found.items():
        out[(..., *position, *(slice(None) for _ in window))] = values
    return out


@st.composite
def cases(draw: st.DrawFn) -> tuple[Array, Geometry]:
    axes = draw(st.integers(1, 3))
    window, stride, dilation = (tuple(draw(st.integers(1, 3)) for _ in range(axes)) for _ in range(3))
    sizes = [(k - 1) * d + 1 + draw(st.integers(0, 4)) for k, d in zip(window, dilation, strict=True)]
    lead = draw(st.lists(st.integers(0, 2), max_size=2))
    x = np.random.default_rng(draw(st.integers(0, 100))).uniform(-1, 1, (*lead, *sizes))
    return x, {"window": window, "stride": stride, "dilation": dilation}


@given(cases())
def test_windows_are_copies_of_what_they_stand_over(case: tuple[Array, Geometry]) -> None:
    x, geometry = case
    np.testing.assert_array_equal(sliding_windows(x, **geometry).numpy(), slow_windows(x, **geometry))


@given(cases())
def test_overlap_add_is_the_transpose_of_windows(case: tuple[Array, Geometry]) -> None:
    x, geometry = case
    window, steps = geometry["window"], {"stride": geometry["stride"], "dilation": geometry["dilation"]}
    sizes = x.shape[x.ndim - len(window) :]
    y = np.random.default_rng(0).uniform(-1, 1, slow_windows(x, **geometry).shape)
    expected = np.zeros(x.shape)
    for position, index in places(sizes, **geometry):
        expected[(..., *index)] += y[(..., *position, *(slice(None) for _ in window))]
    np.testing.assert_allclose(overlap_add(y, sizes, **steps).numpy(), expected, atol=1e-12)


def test_windows_share_the_memory_of_their_array() -> None:
    x = np.arange(10.0)
    assert np.shares_memory(sliding_windows(x, 3).numpy(), x)


@pytest.mark.parametrize("dtype", ["bool", "uint8", "int32", "bfloat16", "float64"])
def test_windows_keep_any_data_type(dtype: str) -> None:
    found = sliding_windows(tensor([0.0, 1.0, 2.0], dtype=dtype), 2)
    assert found.dtype.name == dtype
    np.testing.assert_array_equal(found.numpy(), np.array([[0, 1], [1, 2]]) if dtype != "bool" else [[0, 1], [1, 1]])


def test_overlap_add_of_other_types() -> None:
    assert overlap_add(np.ones((2, 2), np.uint8), 3).tolist() == [1, 2, 1]
    assert overlap_add(tensor(np.ones((2, 2)), dtype="bfloat16"), 3).dtype.name == "float32"
    with pytest.raises(DtypeError, match="overlap_add: input 1 is bool"):
        overlap_add(np.ones((2, 2), bool), 3)


def test_the_gradient_of_windows_has_the_type_of_their_array() -> None:
    x = tensor([1.0, 2.0, 3.0], dtype="bfloat16", requires_grad=True)
    y = sliding_windows(x, 2)
    (ct,) = gradients([y], [tensor(np.ones((2, 2)), dtype="bfloat16")], [x])
    assert ct is not None
    assert (ct.dtype.name, ct.tolist()) == ("bfloat16", [1.0, 2.0, 1.0])


@pytest.mark.parametrize(
    ("shape", "geometry"),
    [
        ((7,), {"window": 3, "stride": 2}),
        ((2, 5), {"window": (2,), "dilation": 2}),
        ((2, 5, 4), {"window": (3, 2), "stride": (1, 2)}),
    ],
)
def test_derivatives_of_windows_and_of_their_transpose(shape: Shape, geometry: dict[str, Any]) -> None:
    x = np.random.default_rng(0).uniform(-1, 1, shape)
    check_gradients(lambda x: sliding_windows(x, **geometry), (x,), order=2)
    y = sliding_windows(x, **geometry).numpy()
    steps = {name: value for name, value in geometry.items() if name != "window"}
    size = shape[-1] if isinstance(geometry["window"], int) else shape[-len(geometry["window"]) :]
    check_gradients(lambda y: overlap_add(y, size, **steps), (y,), order=2)


@pytest.mark.parametrize(
    ("shape", "options", "message"),
    [
        ((4,), {"window": 5}, r"reaches over \[5\] elements does not fit into \[4\]"),
        ((4,), {"window": 3, "dilation": 2}, r"reaches over \[5\]"),
        ((4,), {"window": (2, 2)}, "has more axes than"),
        ((4,), {"window": ()}, "at least one axis"),
        ((4,), {"window": 1.5}, "window is one whole number"),
        ((4,), {"window": 0}, "must be 1 or more"),
        ((4,), {"window": 2, "stride": 0}, "must be 1 or more"),
        ((4,), {"window": 2, "stride": (1, 1)}, "stride is one whole number, or one for each of 1 axes"),
        ((4,), {"window": 2, "dilation": (1, 1)}, "dilation is one whole number"),
    ],
)
def test_windows_that_do_not_fit_are_an_error(shape: Shape, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ShapeError, match=f"sliding_windows: .*{message}"):
        sliding_windows(np.ones(shape), **options)


@pytest.mark.parametrize(
    ("shape", "size", "message"),
    [
        ((2, 3), 5, r"has windows at \[2\] positions, but there are \[3\] in \[5\]"),
        ((3,), 5, "too few axes"),
        ((2, 3), (), "at least one axis"),
        ((2, 6), 5, "does not fit"),
    ],
)
def test_overlap_add_takes_exactly_the_windows_of_its_size(shape: Shape, size: int | Shape, message: str) -> None:
    with pytest.raises(ShapeError, match=f"overlap_add: .*{message}"):
        overlap_add(np.ones(shape), size)


def test_the_operations_themselves_check_their_attributes() -> None:
    with pytest.raises(ShapeError, match="one entry for each"):
        apply(SLIDING_WINDOWS, as_tensor(np.ones(4)), window=(2,), stride=(1, 1), dilation=(1,))
    with pytest.raises(ShapeError, match="one entry for each"):
        apply(OVERLAP_ADD, as_tensor(np.ones((3, 2))), size=(4,), stride=(1, 1), dilation=(1,))


@pytest.mark.parametrize("op", [SLIDING_WINDOWS, OVERLAP_ADD], ids=str)
def test_the_declaration_keeps_its_promises(op: Op) -> None:
    check_op(op, seeds=range(2))
