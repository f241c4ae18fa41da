"""Tensors from nothing, against NumPy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule.errors import DefinitionError, DtypeError, ShapeError

CASES: list[tuple[Callable[..., cr.Tensor], Callable[..., Any], tuple[Any, ...]]] = [
    (cr.zeros, np.zeros, ((2, 0, 3),)),
    (cr.ones, np.ones, (4,)),
    (cr.zeros, np.zeros, ((),)),
    (cr.eye, np.eye, (3, 4, -1)),
    (cr.eye, np.eye, (0,)),
    (cr.linspace, np.linspace, (0, 1, 7)),
    (cr.linspace, np.linspace, (3, 1, 0)),
    (cr.arange, np.arange, (5, 0, -2)),
    (cr.arange, np.arange, (0.5, 3)),
    (cr.full, np.full, ((2, 2), True)),
]


@pytest.mark.parametrize(("ours", "theirs", "arguments"), CASES)
def test_values_are_those_of_numpy(ours: Any, theirs: Any, arguments: Any) -> None:
    expected = theirs(*arguments)
    found = ours(*arguments)
    assert (
        found.shape == expected.shape
        and found.dtype.kind == {"f": "float", "i": "int", "b": "bool"}[expected.dtype.kind]
    )
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-6)


@pytest.mark.parametrize("dtype", ["float64", "int32", "bool", "bfloat16", "uint8"])
def test_any_data_type_can_be_asked_for(dtype: str) -> None:
    made = [
        cr.zeros(2, dtype),
        cr.ones(2, dtype),
        cr.eye(2, dtype=dtype),
        cr.arange(2, dtype=dtype),
        cr.full(2, 1, dtype),
    ]
    assert {x.dtype.name for x in made} == {dtype} and made[1].tolist() == [1, 1]


def test_like_takes_shape_and_type_but_no_gradient() -> None:
    x = cr.tensor([[1.0, 2.0]], "float64", requires_grad=True)
    for made, value in ((cr.zeros_like(x), 0.0), (cr.ones_like(x), 1.0), (cr.full_like(x, 3), 3.0)):
        assert made.type == x.type and not made.requires_grad and made.tolist() == [[value, value]]
    assert cr.ones_like(x, "int64").dtype is cr.int64


def test_the_filling_may_be_a_tensor_with_a_gradient() -> None:
    assert cr.grad(lambda v: cr.full((2, 3), v).sum())(2.0).item() == 6.0


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: cr.zeros((2, -1)), ShapeError, "no negative sizes"),
        (lambda: cr.arange(1, 2, 0), DefinitionError, "step must not be 0"),
        (lambda: cr.linspace(0, 1, -1), DefinitionError, "there cannot be -1 numbers"),
        (lambda: cr.full(2, 300, "uint8"), DtypeError, "300 does not fit uint8"),
    ],
)
def test_wrong_uses_say_what_is_wrong(call: Any, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        call()
