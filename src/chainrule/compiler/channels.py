"""Arrays [N, C, ...] whose channels lie side by side in memory, as [N, ..., C]: taken and given as they are.

Everything else comes and goes in row-major order, for which it is copied if need be.
"""

from __future__ import annotations

import numpy as np

from chainrule.types import Array

Order = tuple[int, ...]
"""Axes from the slowest to the fastest."""


def channels_last(ndim: int) -> Order:
    """The order of axes with the second one fastest.

    >>> channels_last(4)
    (0, 2, 3, 1)
    """
    return (0, *range(2, ndim), 1)


def is_channels_last(x: Array) -> bool:
    """Whether an array of three axes or more lies without gaps and with its channels side by side."""
    return x.ndim > 2 and not x.flags.c_contiguous and x.transpose(channels_last(x.ndim)).flags.c_contiguous


def arranged(x: Array) -> Array:
    """The array, or a copy in row-major order if it lies in neither of the two."""
    return x if x.flags.c_contiguous or is_channels_last(x) else np.ascontiguousarray(x)
