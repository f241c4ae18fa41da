"""Splits and folds are exact, disjoint, stratified and the same for a seed."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chainrule.data.split import folds, split
from chainrule.errors import DataError

FRACTIONS = [(0.7, 0.15, 0.15), (0.8, 0.2, 0.0), (1.0, 0.0, 0.0), (0.0, 0.5, 0.5), (1 / 3, 1 / 3, 1 / 3)]


@settings(max_examples=200)
@given(st.integers(0, 300), st.sampled_from(FRACTIONS), st.integers(0, 2**64 - 1))
def test_each_row_goes_to_one_part_of_the_right_size(n: int, fractions: Any, seed: int) -> None:
    parts = split(n, fractions, seed=seed)
    assert sorted(np.concatenate(parts).tolist()) == list(range(n))
    for part, fraction in zip(parts, fractions, strict=True):
        assert abs(len(part) - fraction * n) < 1
        assert part.dtype == np.int64
        assert (np.diff(part) > 0).all()


@settings(max_examples=200)
@given(st.lists(st.integers(1, 40), min_size=1, max_size=12), st.sampled_from(FRACTIONS), st.integers(0, 5))
def test_classes_are_divided_like_the_whole(counts: list[int], fractions: Any, seed: int) -> None:
    labels = np.random.default_rng(seed).permutation(np.repeat(np.arange(len(counts)), counts))
    parts = split(len(labels), fractions, seed=seed, stratify=labels)
    assert sorted(np.concatenate(parts).tolist()) == list(range(len(labels)))
    sizes = np.array([len(part) for part in parts])
    np.testing.assert_array_less(np.abs(sizes - np.array(fractions) * len(labels)), 1)
    table = np.array([np.bincount(labels[part], minlength=len(counts)) for part in parts]).T
    asked = np.flatnonzero(sizes)
    if (sizes[asked] >= len(counts)).all():
        for count, row in zip(counts, table, strict=True):
            assert count < len(asked) or (row[asked] > 0).all()
    if sizes[0] >= len(counts):
        assert (table[:, 0] > 0).all()


def test_large_classes_are_divided_exactly() -> None:
    labels = np.repeat([0, 1, 2], [100, 60, 40])
    for part, share in zip(split(200, stratify=labels), (0.7, 0.15, 0.15), strict=True):
        np.testing.assert_allclose(np.bincount(labels[part]), share * np.array([100, 60, 40]), atol=1)


def test_three_rows_of_a_class_go_to_three_parts() -> None:
    labels = ["common"] * 47 + ["rare"] * 3
    for part in split(50, stratify=labels):
        assert sum(labels[i] == "rare" for i in part) == 1


def test_where_classes_are_more_than_a_part_holds_the_sizes_win() -> None:
    labels = np.repeat(np.arange(100), 3)
    parts = split(300, stratify=labels)
    assert [len(part) for part in parts] == [210, 45, 45]
    assert set(labels[parts.train]) == set(range(100))


def test_more_classes_than_training_rows() -> None:
    assert [len(part) for part in split(20, (0.1, 0.1, 0.8), stratify=np.arange(20))] == [2, 2, 16]


def test_many_classes_are_quick_to_deal() -> None:
    labels = np.arange(90_000) % 30_000
    parts = split(len(labels), stratify=labels)
    assert [len(part) for part in parts] == [63_000, 13_500, 13_500]


@pytest.mark.parametrize("stratify", [None, list("ab" * 25), np.arange(50) % 3])
def test_the_seed_decides(stratify: Any) -> None:
    first, again, other = (split(50, seed=seed, stratify=stratify) for seed in (1, 1, 2))
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    assert not np.array_equal(first.train, other.train)


def test_only_the_classes_matter_not_what_they_are_called() -> None:
    numbers = split(60, seed=3, stratify=np.arange(60) % 2)
    objects = split(60, seed=3, stratify=np.array(["no", "yes"] * 30, dtype=object))
    mixed = split(60, seed=3, stratify=np.array([1, "x"] * 30, dtype=object))
    for parts in (objects, mixed):
        assert all(np.array_equal(a, b) for a, b in zip(numbers, parts, strict=True))


@settings(max_examples=100)
@given(st.lists(st.integers(0, 3), min_size=2, max_size=60), st.integers(2, 6), st.booleans())
def test_each_row_validates_in_one_fold(labels: list[int], k: int, stratified: bool) -> None:
    n = len(labels)
    if k > n:
        return
    found = folds(n, k, seed=7, stratify=labels if stratified else None)
    assert len(found) == k
    assert sorted(np.concatenate([validation for _, validation in found]).tolist()) == list(range(n))
    assert {len(validation) for _, validation in found} <= {n // k, -(-n // k)}
    for train, validation in found:
        assert sorted([*train, *validation]) == list(range(n))
        for label in set(labels) if stratified else ():
            count = labels.count(label)
            share = sum(labels[i] == label for i in validation)
            assert abs(share - count / k) < 2
            assert count < k or share > 0 or n // k < len(set(labels))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: split(5, (0.5, 0.6, -0.1)), r"^fractions \(0\.5, 0\.6, -0\.1\): must be three shares"),
        (lambda: split(5, (0.5, 0.6, 0.1)), r"none negative, that add up to 1$"),
        (lambda: split(5, (0.5, float("nan"), 0.5)), r"^fractions \(0\.5, nan"),
        (lambda: split(-1), r"^a split of -1 rows: the number must not be negative$"),
        (lambda: split(3, seed=-1), r"^seed -1: must be from 0 to 2\^64 - 1$"),
        (lambda: split(3, stratify=[1, 2]), r"^labels of shape \[2\] for 3 rows; there must be one a row$"),
        (lambda: folds(3, 4), r"^4 folds of 3 rows: there must be at least 2, and not more than rows$"),
        (lambda: folds(3, 1), r"^1 fold of 3 rows: "),
    ],
)
def test_what_cannot_be_split(call: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        call()
