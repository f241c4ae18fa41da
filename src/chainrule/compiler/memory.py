"""Memory: everything that is neither argument nor result shares one arena, planned before the first run."""

from __future__ import annotations

from bisect import insort
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from chainrule.types import Array

ALIGN = 64


def aligned(size: int, dtype: np.dtype[np.generic] | type = np.uint8) -> Array:
    """An uninitialised array of `size` elements that starts at a cache line."""
    item = np.dtype(dtype).itemsize
    raw = np.empty(size * item + ALIGN, np.uint8)
    start = -raw.ctypes.data % ALIGN
    return raw[start : start + size * item].view(dtype)


@dataclass(frozen=True)
class Lifetime:
    """A buffer of some bytes that is needed from one phase to another, both included."""

    size: int
    first: int
    last: int


@dataclass(frozen=True)
class Plan:
    """Where buffers are in the arena, its size, and what the buffers would take without sharing."""

    offsets: list[int]
    size: int
    total: int

    def __str__(self) -> str:
        return f"arena of {self.size:,} bytes for tensors of {self.total:,} bytes"


def planned(lifetimes: Iterable[Lifetime]) -> Plan:
    """Places for buffers so that no two that are needed at the same time overlap: large ones first, each as low as it
    can be.

    >>> planned([Lifetime(100, 0, 1), Lifetime(50, 1, 2), Lifetime(90, 2, 3)]).size
    192
    """
    buffers = list(lifetimes)
    offsets = [0] * len(buffers)
    sizes = [_rounded(b.size) for b in buffers]
    placed: list[tuple[int, int, int, int]] = []  # start, stop, first, last, in order
    top = 0
    for i in sorted(range(len(buffers)), key=lambda i: (-buffers[i].size, i)):
        size, first, last = sizes[i], buffers[i].first, buffers[i].last
        at = 0
        for start, stop, begin, end in placed:
            if begin <= last and first <= end:
                if at + size <= start:
                    break
                at = max(at, stop)
        offsets[i] = at
        insort(placed, (at, at + size, first, last))
        top = max(top, at + size)
    return Plan(offsets, top, sum(sizes))


def _rounded(size: int) -> int:
    return -(-max(size, 1) // ALIGN) * ALIGN
