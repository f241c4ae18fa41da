"""What is done with the results of a sweep as they are finished."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

from chainrule.native.code import Function, Index, Value
from chainrule.native.convolution.sweep import Sweep
from chainrule.native.lanes import Lanes

PlaceEpilogue: TypeAlias = Callable[[Lanes, Value, Index, Index, Sequence[Index], "Value | None"], None]
"""`epilogue(v, value, b, channel, place, mask)` is called while code is made, with a vector of finished sums: channels
from `channel` on, of image b at a place. It stores what it wants; with a mask only the lanes where that holds exist."""

PlaceAhead: TypeAlias = Callable[[Index, Index, Sequence[Index]], None]
"""`ahead(b, channel, place)` is called while code is made, where a tile begins whose epilogue will soon read channels
from `channel` on of image b at a place: it asks for a line of each of its buffers."""


def result(f: Function, s: Sweep, b: Index, channel: Index, place: Sequence[Index]) -> Value:
    """Where a result belongs, if a function's third argument points to the first one."""
    at = f.pointer(2)
    for i, stride in zip((b, channel, *place), s.y, strict=True):
        at = f.at(at, f.mul(i, stride), s.dtype.itemsize)
    return at


def storing(f: Function, s: Sweep) -> PlaceEpilogue:
    """The epilogue that stores the results, and no more."""

    def store(v: Lanes, value: Value, b: Index, channel: Index, place: Sequence[Index], mask: Value | None) -> None:
        at = result(f, s, b, channel, place)
        if s.y[1] == 1:
            v.store(value, at, 0, mask)
        else:
            v.scatter(value, at, v.multiply(v.numbers(), s.y[1]), mask)

    return store
