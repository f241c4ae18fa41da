"""Rows dealt out to training, validation and test, or to folds: exact, disjoint, by chance, the same for a seed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from chainrule.data.wording import counted
from chainrule.errors import DataError

Rows = NDArray[np.int64]


class Split(NamedTuple):
    """Row indices, int64, rising, of the three parts."""

    train: Rows
    validation: Rows
    test: Rows


def split(
    n: int,
    fractions: tuple[float, float, float] = (0.7, 0.15, 0.15),
    *,
    seed: int = 0,
    stratify: ArrayLike | None = None,
) -> Split:
    """Deal the rows 0 to n-1 out to three parts; each row goes to exactly one.

    The sizes differ by less than one from `fractions` times n, and no part that was asked for is empty where that
    leaves room for it. With labels to `stratify` by, each class is divided in the same proportions as exactly as whole
    rows allow; a class of three rows or more has a row in every part, unless a part has fewer rows than there are
    classes. Training gets a row of every class before the other parts do.

    Args:
        n: how many rows.
        fractions: the shares of training, validation and test; they add up to 1.
        seed: the same seed gives the same parts.
        stratify: one label [n] a row, of any kind that can be compared.

    Raises:
        DataError: for fractions that are negative or do not add up to 1, or labels whose number is not n.

    >>> parts = split(20, seed=1, stratify=[0] * 15 + [1] * 5)
    >>> [len(part) for part in parts], [int((part >= 15).sum()) for part in parts]
    ([14, 3, 3], [3, 1, 1])
    """
    if len(fractions) != 3 or not all(f >= 0 for f in fractions) or not math.isclose(sum(fractions), 1, abs_tol=1e-9):
        raise DataError(f"fractions {fractions}: must be three shares, none negative, that add up to 1")
    if n < 0:
        raise DataError(f"a split of {n} rows: the number must not be negative")
    sizes = _sizes(n, fractions)
    return Split(*_deal(n, sizes, seed, stratify, first=True))


def folds(n: int, k: int, *, seed: int = 0, stratify: ArrayLike | None = None) -> list[tuple[Rows, Rows]]:
    """The k pairs (training rows, validation rows) of cross-validation: each row validates in exactly one of them.

    Fold sizes differ by at most one, and with labels to `stratify` by so do the rows of each class in them, within one
    more for the sake of the sizes.

    Raises:
        DataError: for fewer than two folds, more folds than rows, or labels whose number is not n.

    >>> [len(validation) for _, validation in folds(10, 4)]
    [3, 3, 2, 2]
    """
    if not 2 <= k <= n:
        raise DataError(
            f"{counted(k, 'fold')} of {counted(n, 'row')}: there must be at least 2, and not more than rows"
        )
    parts = _deal(n, _sizes(n, [1 / k] * k), seed, stratify, first=False)
    everything = np.arange(n, dtype=np.int64)
    return [(np.setdiff1d(everything, part, assume_unique=True), part) for part in parts]


def _sizes(n: int, fractions: Sequence[float]) -> NDArray[np.int64]:
    """Whole sizes that add up to n, each less than one away from its share of n."""
    asks = np.array([f * n for f in fractions])
    sizes = np.floor(asks + 1e-9).astype(np.int64)
    # What is left goes to parts that would be empty, then to those that are furthest below their share.
    order = np.lexsort((-(asks - sizes), -((sizes == 0) & (asks > 1e-9)).astype(int)))
    sizes[order[: n - int(sizes.sum())]] += 1
    return sizes


def _deal(n: int, sizes: NDArray[np.int64], seed: int, stratify: ArrayLike | None, *, first: bool) -> list[Rows]:
    if not 0 <= seed < 2**64:
        raise DataError(f"seed {seed}: must be from 0 to 2^64 - 1")
    generator = np.random.Generator(np.random.Philox(seed))
    order = generator.permutation(n)
    if stratify is None:
        parts = np.repeat(np.arange(len(sizes)), sizes)
    else:
        codes = _codes(stratify, n)[order]
        order = order[np.argsort(codes, kind="stable")]
        table = _allocate(np.bincount(codes), sizes, first=first)
        parts = np.repeat(np.tile(np.arange(len(sizes)), len(table)), table.ravel())
    return [np.sort(order[parts == part]).astype(np.int64) for part in range(len(sizes))]


def _codes(labels: ArrayLike, n: int) -> NDArray[np.int64]:
    """Labels as numbers from 0, in the order of the labels, so that they alone decide."""
    array: NDArray[Any] = np.asarray(labels)
    if array.shape != (n,):
        raise DataError(f"labels of shape {list(array.shape)} for {counted(n, 'row')}; there must be one a row")
    if array.dtype != object:
        return np.unique(array, return_inverse=True)[1].astype(np.int64)
    values: list[Any] = array.tolist()
    code = {value: i for i, value in enumerate(sorted(set(values), key=lambda v: (type(v).__name__, v)))}
    return np.fromiter(map(code.__getitem__, values), np.int64, n)


def _allocate(counts: NDArray[np.int64], sizes: NDArray[np.int64], *, first: bool) -> NDArray[np.int64]:
    """How many rows of each class go to each part, [classes, parts]: row sums `counts`, column sums `sizes`."""
    asks = counts[:, None] * (sizes / max(1, int(sizes.sum())))
    table = np.floor(asks).astype(np.int64)
    lacking = counts - table.sum(axis=1)
    rank = np.argsort(np.argsort(table - asks, axis=1, kind="stable"), axis=1, kind="stable")
    table += rank < lacking[:, None]
    parts = np.flatnonzero(sizes)
    enough = counts >= len(parts)
    floor = np.zeros_like(table)
    floor[:, parts] = enough[:, None]
    if first and sizes[0]:
        floor[:, 0] = 1
    everyone = np.arange(len(table))
    for part in parts:  # a class that has rows enough gives a row of its largest share to each part without one
        poor = table[:, part] < floor[:, part]
        giver = np.argmax(table, axis=1)
        table[everyone[poor], giver[poor]] -= 1
        table[poor, part] += 1
    for least in (floor, floor * (np.arange(len(sizes)) == 0), np.zeros_like(floor)):
        _balance(table, asks, sizes, least)
    return table


def _balance(
    table: NDArray[np.int64], asks: NDArray[np.float64], sizes: NDArray[np.int64], least: NDArray[np.int64]
) -> None:
    """Move rows between parts, where it hurts least, until the parts have their sizes or no class may move."""
    while True:
        excess = table.sum(axis=0) - sizes
        moved = 0
        for give in np.flatnonzero(excess > 0):
            for take in np.flatnonzero(excess < 0):
                k = min(int(excess[give]), -int(excess[take]))
                movable = np.flatnonzero(table[:, give] > least[:, give])
                gain = (table - asks)[movable, give] - (table - asks)[movable, take]
                chosen = movable[np.argsort(-gain, kind="stable")[:k]]
                table[chosen, give] -= 1
                table[chosen, take] += 1
                excess[give] -= len(chosen)
                excess[take] += len(chosen)
                moved += len(chosen)
        if not moved:
            return
