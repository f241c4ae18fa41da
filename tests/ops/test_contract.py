"""Matrix products and what is lowered onto them, against NumPy."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chainrule.errors import DtypeError, ShapeError
from chainrule.op import Op
from chainrule.ops.contract import MATMUL, matmul, outer, tensordot, vecdot
from chainrule.tensor import Tensor, tensor
from chainrule.testing import check_gradients, check_op
from chainrule.types import Array, Shape


def numbers(shape: Shape, dtype: str = "float64", seed: int = 0) -> Array:
    values = np.random.default_rng(seed).uniform(-3, 3, shape)
    return np.abs(np.round(values)).astype(dtype) if dtype[0] in "iu" else values.astype(dtype)


def agrees(found: Tensor, expected: Array) -> None:
    """Same shape, data type and, but for rounding, values."""
    expected = np.asarray(expected)
    assert found.shape == expected.shape
    assert found.numpy().dtype == expected.dtype
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-5 if expected.dtype == np.float32 else 1e-12, atol=1e-6)


PAIRS = [
    ((3,), (3,)),
    ((3,), (3, 4)),
    ((2, 3), (3,)),
    ((2, 3), (3, 4)),
    ((5, 2, 3), (3,)),
    ((3,), (5, 3, 4)),
    ((5, 2, 3), (3, 4)),
    ((2, 3), (5, 3, 4)),
    ((5, 2, 3), (5, 3, 4)),
    ((5, 1, 2, 3), (6, 3, 4)),
    ((1, 2, 3), (5, 3, 4)),
    ((5, 6, 2, 3), (3, 4)),
    ((5, 1, 2, 3), (1, 6, 3, 4)),
    ((5, 6, 2, 3), (3,)),
]
EMPTY = [((2, 0), (0, 4)), ((0,), (0,)), ((0, 3), (3, 4)), ((2, 3), (3, 0)), ((0, 2, 3), (3, 4)), ((5, 2, 0), (0,))]


@pytest.mark.parametrize("dtype", ["float32", "float64", "int32", "int64", "uint8"])
@pytest.mark.parametrize(("left", "right"), PAIRS + EMPTY)
def test_matmul_is_numpys(left: Shape, right: Shape, dtype: str) -> None:
    x, y = numbers(left, dtype), numbers(right, dtype, seed=1)
    agrees(matmul(x, y), np.matmul(x, y))


@given(st.data())
def test_matmul_broadcasts_any_leading_axes(data: st.DataObject) -> None:
    batch = data.draw(st.lists(st.integers(0, 3), max_size=3))
    m, k, n = data.draw(st.tuples(*[st.integers(0, 3)] * 3))
    leading = [
        tuple(data.draw(st.sampled_from((size, 1))) for size in batch[data.draw(st.integers(0, len(batch))) :])
        for _ in range(2)
    ]
    x, y = numbers((*leading[0], m, k)), numbers((*leading[1], k, n), seed=1)
    agrees(matmul(x, y), np.matmul(x, y))


def test_matmul_of_two_data_types_meets_in_the_higher() -> None:
    assert matmul(np.ones((2, 3), np.float32), np.ones((3, 2))).dtype.name == "float64"
    assert matmul(np.ones((2, 3), np.float32), np.ones((3, 2), np.int64)).dtype.name == "float32"
    assert matmul(np.ones((2, 3), np.uint8), np.ones((3, 2), np.int32)).dtype.name == "int32"


def test_matmul_of_bfloat16_is_computed_in_float32() -> None:
    x = tensor(np.arange(6.0).reshape(2, 3), dtype="bfloat16")
    assert (x @ x.mT).dtype.name == "float32"
    assert (x @ x.mT).tolist() == [[5.0, 14.0], [14.0, 50.0]]


def test_the_operator_takes_arrays_on_either_side() -> None:
    x = tensor([[1.0, 2.0]])
    assert (np.array([[3.0, 4.0]], np.float32) @ x.mT).tolist() == [[11.0]]
    assert (x @ [[1.0], [2.0]]).tolist() == [[5.0]]


@pytest.mark.parametrize(("left", "right"), PAIRS)
def test_derivatives_of_matmul(left: Shape, right: Shape) -> None:
    check_gradients(matmul, (numbers(left), numbers(right, seed=1)), order=2)


@pytest.mark.parametrize(
    ("left", "right", "message"),
    [
        ((2, 3), (4, 5), r"inner sizes differ \(3 and 4\)"),
        ((3,), (4,), r"inner sizes differ \(3 and 4\)"),
        ((2, 3), (2,), r"inner sizes differ \(3 and 2\)"),
        ((), (3,), "at least one axis"),
        ((3,), (), "at least one axis"),
        ((2, 4, 3), (3, 3, 5), "leading axes"),
    ],
)
def test_matmul_says_what_does_not_fit_and_where_it_comes_from(left: Shape, right: Shape, message: str) -> None:
    x, y = tensor(numbers(left), name="x"), tensor(numbers(right), name="weight")
    with pytest.raises(ShapeError, match=message) as error:
        _ = x @ y
    lines = str(error.value).splitlines()
    assert lines[0].startswith("matmul: ")
    assert lines[1].split()[0] == "left" and "from x, test_contract.py" in lines[1]
    assert lines[2].split()[0] == "right" and "from weight, test_contract.py" in lines[2]


def test_matmul_of_truth_values_is_an_error() -> None:
    with pytest.raises(DtypeError, match="matmul: input 1 is bool"):
        matmul(np.ones((2, 2), bool), np.ones((2, 2), bool))


@pytest.mark.parametrize("dtype", ["float32", "float64", "int32"])
@pytest.mark.parametrize(
    ("left", "right", "axes"),
    [
        ((2, 3, 4), (4, 3, 5), ([1, 2], [1, 0])),
        ((2, 3, 4), (4, 3, 5), ((-1,), (0,))),
        ((2, 3, 4), (3, 4, 5), 2),
        ((2, 3), (4,), 0),
        ((2, 3), (2, 3), 2),
        ((2, 0, 3), (3, 5), 1),
        ((2, 0), (0, 3), 1),
        ((), (2,), 0),
    ],
)
def test_tensordot_is_numpys(left: Shape, right: Shape, axes: int | tuple[list[int], list[int]], dtype: str) -> None:
    x, y = numbers(left, dtype), numbers(right, dtype, seed=1)
    agrees(tensordot(x, y, axes), np.tensordot(x, y, axes))


def test_derivatives_of_tensordot() -> None:
    x, y = numbers((2, 3, 4)), numbers((4, 3, 2), seed=1)
    check_gradients(lambda x, y: tensordot(x, y, ([1, 2], [1, 0])), (x, y), order=2)


@pytest.mark.parametrize(
    ("axes", "message"),
    [
        (([0], [0]), r"sizes are \[2\] and \[4\]"),
        (([1, 1], [1, 1]), "named once"),
        (([1], [1, 0]), "do not pair up"),
        (3, "do not have 3 axes"),
        (-1, "do not have -1 axes"),
        (([5], [0]), "axis 5 is outside"),
    ],
)
def test_tensordot_rejects_axes_that_do_not_pair_up(axes: int | tuple[list[int], list[int]], message: str) -> None:
    with pytest.raises(ShapeError, match=message):
        tensordot(np.ones((2, 3)), np.ones((4, 3)), axes)


@pytest.mark.parametrize("dtype", ["float32", "float64", "int32", "uint8"])
@pytest.mark.parametrize(
    ("left", "right", "axis"),
    [
        ((3,), (3,), -1),
        ((2, 3), (3,), -1),
        ((2, 3), (4, 1, 3), -1),
        ((3, 2), (3, 1), 0),
        ((2, 3, 4), (2, 3, 4), 1),
        ((0,), (0,), -1),
    ],
)
def test_vecdot_is_numpys(left: Shape, right: Shape, axis: int, dtype: str) -> None:
    x, y = numbers(left, dtype), numbers(right, dtype, seed=1)
    agrees(vecdot(x, y, axis=axis), np.vecdot(x, y, axis=axis))


def test_derivatives_of_vecdot() -> None:
    check_gradients(vecdot, (numbers((2, 3)), numbers((4, 1, 3), seed=1)), order=2)


def test_vecdot_does_not_broadcast_the_vectors() -> None:
    with pytest.raises(ShapeError, match="vectors of 3 and 1 elements"):
        vecdot(np.ones((2, 3)), np.ones((2, 1)))


@pytest.mark.parametrize(("m", "n"), [(2, 3), (1, 1), (0, 3)])
def test_outer_is_numpys(m: int, n: int) -> None:
    x, y = numbers((m,)), numbers((n,), seed=1)
    agrees(outer(x, y), np.outer(x, y))
    check_gradients(outer, (x, y), order=2)


def test_outer_takes_vectors_only() -> None:
    with pytest.raises(ShapeError, match="two vectors are needed"):
        outer(np.ones((2, 2)), np.ones(2))


@pytest.mark.parametrize("op", [MATMUL], ids=str)
def test_the_declaration_keeps_its_promises(op: Op) -> None:
    check_op(op, seeds=range(2))
