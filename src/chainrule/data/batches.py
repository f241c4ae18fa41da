"""Minibatches: each row once an epoch, in an order that seed and epoch decide."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chainrule.data.wording import counted
from chainrule.errors import DataError


def shuffled(n: int, seed: int, epoch: int) -> NDArray[np.int64]:
    """The order [n] of the rows in an epoch: a permutation that depends on seed and epoch alone.

    An epoch's order needs none of the orders before it, so that a run that is resumed goes on as if it had not stopped.
    The generator is Philox with (seed, epoch) as its key (Salmon et al. 2011, *Parallel random numbers: as easy as 1,
    2, 3*).

    Raises:
        DataError: for a number that is negative, or a seed or epoch of 2^64 and more.

    >>> sorted(shuffled(5, seed=1, epoch=0).tolist()), (shuffled(5, 1, 0) == shuffled(5, 1, 0)).all().item()
    ([0, 1, 2, 3, 4], True)
    """
    for name, value in (("n", n), ("seed", seed), ("epoch", epoch)):
        if not 0 <= value < 2**64:
            raise DataError(f"{name} {value}: must be from 0 to 2^64 - 1")
    key = np.array([seed, epoch], dtype=np.uint64)
    return np.random.Generator(np.random.Philox(key=key)).permutation(n)


def batches(order: NDArray[np.int64], batch_size: int) -> Iterator[NDArray[np.int64]]:
    """The order in pieces of `batch_size` rows; the last piece may be smaller. No piece is empty.

    Raises:
        DataError: for a batch size below 1.

    >>> [batch.tolist() for batch in batches(np.arange(5), 2)]
    [[0, 1], [2, 3], [4]]
    """
    if batch_size < 1:
        raise DataError(f"batch size {batch_size}: must be 1 or more")
    return (order[start : start + batch_size] for start in range(0, len(order), batch_size))


@dataclass(frozen=True, eq=False)
class Arrays:
    """Inputs and targets of equal length along the first axis, and weights [rows] if rows count differently.

    Raises:
        DataError: when lengths differ, an array has no axis, or there is not one weight a row, finite and not negative.

    >>> data = Arrays(np.zeros((3, 2), np.float32), np.array([0, 1, 0]))
    >>> len(data), data.take(np.array([2, 0])).y.tolist()
    (3, [0, 0])
    """

    x: NDArray[Any]
    y: NDArray[Any]
    weights: NDArray[Any] | None = None

    def __post_init__(self) -> None:
        if self.x.ndim < 1 or self.y.ndim < 1:
            raise DataError("x and y need a first axis, one entry a row")
        if len(self.x) != len(self.y):
            raise DataError(f"x has {counted(len(self.x), 'row')} and y has {len(self.y):,}; they need equal lengths")
        if self.weights is None:
            return
        if self.weights.shape != (len(self.x),):
            shape = list(self.weights.shape)
            raise DataError(f"weights of shape {shape} for {counted(len(self.x), 'row')}; there must be one a row")
        if not bool(np.all(np.isfinite(self.weights) & (self.weights >= 0))):
            raise DataError("weights must be finite and not negative")

    def __len__(self) -> int:
        return len(self.x)

    def take(self, rows: NDArray[Any]) -> Arrays:
        """The entries of some rows, by index or mask."""
        return Arrays(self.x[rows], self.y[rows], None if self.weights is None else self.weights[rows])
