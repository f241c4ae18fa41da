"""Indices in memory: counted from the front, checked against their axis, and used to address elements.

To the loops that read and add at indices, an operation along an axis is a set of positions, at each of which an index
says which element of the axis is meant. On axes where one index is for a whole slice the indices have stride 0.
"""

from __future__ import annotations

from collections.abc import Sequence

from chainrule.native.code import Index, Value
from chainrule.native.job import Job
from chainrule.native.lanes import Lanes
from chainrule.native.loops.axes import along, lanes_for, lines, position, share, view
from chainrule.native.operand import Operand
from chainrule.types import int64, size_of


def inside(indices: Value, size: int, begin: Index = 0, end: Index | None = None) -> tuple[Value, Value]:
    """Indices into an axis of a size as int64, counted from the front, and which of them lie in begin..end of it."""
    v = indices.lanes
    found = v.cast(indices, int64)
    found = v.select(v.less(found, 0), v.add(found, size), found)
    below = v.less(found, v.index(size if end is None else end))
    return found, v.logical_and(v.greater_equal(found, v.index(begin)), below)


def fail_unless(job: Job, valid: Value) -> None:
    """Note an error unless indices on all lanes are valid."""
    v = valid.lanes
    bad = v.logical_not(valid)
    if v.count > 1:
        name = f"llvm.vector.reduce.or.v{v.count}i1"
        v.f.module.declare(name, f"i1 @{name}({bad.type})")
        bad = v.f.new("i1", f"call i1 @{name}({bad})")
    job.fail_if(bad)


def picks(v: Lanes, x: Operand, at: Sequence[Index], indices: Value, axis: int) -> tuple[Value, Value]:
    """Where lanes find their elements of x, each at its own index of an axis, side by side along the last one.

    Given are the position of the first lane with index 0, and the indices; found are an address, and how many
    elements behind it each lane's is.
    """
    strides = x.place.strides
    start = x.f.at(x.pointer, x.index(at), x.dtype.itemsize)
    return start, v.add(v.multiply(indices, strides[axis]), v.multiply(v.numbers(), strides[-1]))


def check(job: Job, unit: Index, units: int, size: int) -> None:
    """Note an error if one of a unit's share of all indices is outside an axis of a size."""
    f, indices = job.f, job.inputs[1]
    if not size_of(indices.shape):
        return
    rows, n, (strides,) = lines(indices.shape, indices.place.strides)
    indices, lanes = view(indices, (*rows, n), strides), lanes_for(f, int64)
    (first, last), (begin, end) = share(f, unit, units, rows, n, lanes)
    with f.loop(first, last) as loop:
        row = position(f, loop.index, rows)

        def look(v: Lanes, at: Index) -> None:
            fail_unless(job, inside(indices.load(v, [*row, at], -1), size)[1])

        along(f, lanes, n, begin, end, look)
