"""Data types, promotion and the arithmetic of shapes, against NumPy's where it has the same rules."""

from __future__ import annotations

import copy
import itertools
import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chainrule.errors import DtypeError, ShapeError
from chainrule.types import (
    ANY,
    DTYPES,
    DType,
    TensorType,
    bfloat16,
    bool_,
    broadcast_shapes,
    dtype_of,
    float32,
    float64,
    int32,
    int64,
    normalize_axes,
    normalize_axis,
    promote,
    size_of,
    uint8,
)

SHAPES = st.lists(st.integers(0, 3), max_size=4).map(tuple)
KIND = {"bool": 0, "int": 1, "float": 2}


@pytest.mark.parametrize("dtype", DTYPES, ids=repr)
def test_a_data_type_is_found_by_itself_its_names_and_its_numpy_type(dtype):
    assert dtype_of(dtype) is dtype_of(dtype.name) is dtype_of(dtype.short) is dtype
    if dtype is not bfloat16:
        assert dtype_of(dtype.numpy) is dtype_of(dtype.numpy.type) is dtype


@pytest.mark.parametrize(
    ("name", "dtype"),
    [
        (float, float32),
        (int, int64),
        (bool, bool_),
        ("float", float32),
        ("int", int64),
        (">f8", float64),
        ("f4", float32),
    ],
)
def test_python_types_and_numpys_spellings_are_understood(name, dtype):
    assert dtype_of(name) is dtype


@pytest.mark.parametrize("unknown", ["float17", np.complex64, np.uint16, object, str, "datetime64[s]"])
def test_an_unknown_data_type_is_an_error_that_lists_the_known_ones(unknown):
    with pytest.raises(DtypeError, match=r"no data type of this library; it has bool, uint8, .*bfloat16.*float64"):
        dtype_of(unknown)


def test_data_types_know_their_size_and_kind():
    assert {t.name: t.itemsize for t in DTYPES} == {
        "bool": 1, "uint8": 1, "int32": 4, "int64": 8, "bfloat16": 2, "float32": 4, "float64": 8,
    }  # fmt: skip
    assert [t for t in DTYPES if t.is_float] == [bfloat16, float32, float64]
    assert set(DTYPES) == ANY


@pytest.mark.parametrize(("x", "y"), [p for p in itertools.product(DTYPES, DTYPES) if bfloat16 not in p], ids=repr)
def test_types_of_one_kind_promote_as_in_numpy_and_the_higher_kind_keeps_its_own(x, y):
    expected = (
        dtype_of(np.promote_types(x.numpy, y.numpy)) if x.kind == y.kind else max(x, y, key=lambda t: KIND[t.kind])
    )
    assert promote([x, y]) is promote([y, x]) is expected


def test_bfloat16_computes_in_float32():
    assert promote([bfloat16]) is promote([bfloat16, uint8]) is promote([bfloat16, float32]) is float32
    assert promote([bfloat16, float64]) is float64


@given(st.lists(st.sampled_from([t for t in DTYPES if t is not bfloat16]), min_size=1, max_size=4))
def test_promotion_does_not_depend_on_the_order(dtypes):
    assert promote(dtypes) is promote(dtypes[::-1]) is promote([promote(dtypes), *dtypes])


def test_a_tensor_type_says_what_it_is():
    x = TensorType(float32, (2, 3))
    assert (x.ndim, x.size, str(x)) == (2, 6, "f32[2, 3]")
    assert str(x.with_shape([]).with_dtype(int32)) == "i32[]"
    assert x == TensorType(float32, (2, 3)) and hash(x) == hash(TensorType(float32, (2, 3)))


@pytest.mark.parametrize("dtype", DTYPES, ids=repr)
def test_a_data_type_stays_the_same_object_when_it_is_copied_or_pickled(dtype):
    assert pickle.loads(pickle.dumps(dtype)) is copy.deepcopy(dtype) is dtype


def test_data_types_are_immutable():
    with pytest.raises(AttributeError):
        float32.name = "double"
    assert isinstance(float32, DType)


@given(SHAPES)
def test_size_is_the_product(shape):
    assert size_of(shape) == int(np.prod(shape, dtype=int)) == np.empty(shape).size


@given(st.lists(SHAPES, max_size=3))
def test_shapes_broadcast_as_in_numpy(shapes):
    try:
        expected = np.broadcast_shapes(*shapes)
    except ValueError:
        with pytest.raises(ShapeError, match="shapes do not broadcast"):
            broadcast_shapes(*shapes)
    else:
        assert broadcast_shapes(*shapes) == expected


@given(st.integers(-6, 6), st.integers(0, 5))
def test_an_axis_is_counted_from_the_front(axis, ndim):
    if -ndim <= axis < ndim:
        assert normalize_axis(axis, ndim) == range(ndim)[axis]
    else:
        with pytest.raises(ShapeError, match=f"axis {axis} is outside a tensor of {ndim} axes"):
            normalize_axis(axis, ndim)


def test_axes_are_sorted_and_none_stands_for_all():
    assert normalize_axes(None, 3) == (0, 1, 2)
    assert normalize_axes(-1, 3) == (2,)
    assert normalize_axes([2, 0], 3) == (0, 2)
    assert normalize_axes((), 3) == ()


def test_axes_may_be_numpy_integers():
    assert normalize_axes(np.int64(-1), 3) == (2,)
    assert normalize_axes(np.array([0, 2]), 3) == (0, 2)


def test_an_axis_named_twice_is_an_error():
    with pytest.raises(ShapeError, match=r"axes \(0, -2\) name one axis twice"):
        normalize_axes((0, -2), 2)
