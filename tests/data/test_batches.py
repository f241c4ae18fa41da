"""Minibatches hold each row once, in an order that seed and epoch decide."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chainrule.data.batches import Arrays, batches, shuffled
from chainrule.errors import DataError


@given(st.integers(0, 200), st.integers(1, 70), st.integers(0, 2**64 - 1), st.integers(0, 1000))
def test_each_row_once_an_epoch(n: int, size: int, seed: int, epoch: int) -> None:
    order = shuffled(n, seed, epoch)
    pieces = list(batches(order, size))
    assert sorted(order.tolist()) == list(range(n))
    assert [len(piece) for piece in pieces] == [size] * (n // size) + [n % size] * (n % size > 0)
    assert [row for piece in pieces for row in piece.tolist()] == order.tolist()


def test_seed_and_epoch_decide_the_order() -> None:
    assert np.array_equal(shuffled(100, 1, 5), shuffled(100, 1, 5))
    for seed, epoch in ((1, 6), (2, 5), (5, 1)):
        assert not np.array_equal(shuffled(100, 1, 5), shuffled(100, seed, epoch))


def test_the_order_of_an_epoch_stays_what_it_is() -> None:
    assert shuffled(6, seed=42, epoch=3).tolist() == [4, 5, 1, 0, 2, 3]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: shuffled(-1, 0, 0), r"^n -1: must be from 0 to 2\^64 - 1$"),
        (lambda: shuffled(1, -1, 0), r"^seed -1: must be"),
        (lambda: shuffled(1, 0, 2**64), r"^epoch 18446744073709551616: must be"),
        (lambda: batches(np.arange(3), 0), r"^batch size 0: must be 1 or more$"),
        (lambda: Arrays(np.zeros(()), np.zeros(3)), r"^x and y need a first axis, one entry a row$"),
        (lambda: Arrays(np.zeros(3), np.zeros(2)), r"^x has 3 rows and y has 2; they need equal lengths$"),
        (
            lambda: Arrays(np.zeros(3), np.zeros(3), np.ones((3, 1))),
            r"^weights of shape \[3, 1\] for 3 rows; there must be one a row$",
        ),
        (lambda: Arrays(np.zeros(1), np.zeros(1), np.array([-1.0])), r"^weights must be finite and not negative$"),
        (lambda: Arrays(np.zeros(1), np.zeros(1), np.array([np.nan])), r"^weights must be finite and not negative$"),
    ],
)
def test_what_makes_no_batches(call: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        call()


def test_arrays_take_rows_of_all_their_parts() -> None:
    data = Arrays(np.arange(6).reshape(3, 2), np.array([5, 6, 7]), np.array([1.0, 2.0, 0.0]))
    part = data.take(np.array([2, 0]))
    assert len(part) == 2
    assert part.weights is not None
    assert (part.x.tolist(), part.y.tolist(), part.weights.tolist()) == ([[4, 5], [0, 1]], [7, 5], [0.0, 1.0])
    assert Arrays(data.x, data.y).take(np.array([True, False, False])).weights is None
