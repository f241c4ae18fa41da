"""Walking over tensors: fewer and longer axes, shares of the work, and lanes that fit an axis exactly."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import ExitStack, contextmanager

from chainrule.native.code import Function, Index
from chainrule.native.lanes import Lanes
from chainrule.native.operand import Operand, Strided
from chainrule.types import DType, Shape, TensorType, bool_, size_of, uint8

SHARE = 1 << 15
"""Bytes of a piece of work that is worth being handed to a thread."""

STRAIGHT = 4
"""Up to so many vectors are handled one after the other without a loop."""

Strides = tuple[int, ...]


def raw(dtype: DType) -> DType:
    """The type as which elements are moved and compared: truth values are bytes."""
    return uint8 if dtype is bool_ else dtype


def type_of(x: Operand) -> TensorType:
    """Data type and shape."""
    return TensorType(x.dtype, x.shape)


def merged(shape: Shape, *strides: Strides) -> tuple[Shape, list[Strides]]:
    """The same elements on fewer axes: those of size one go, neighbours that step alike in all tensors become one.

    >>> merged((4, 1, 3, 2), (6, 9, 2, 1), (1, 0, 8, 4))
    ((4, 6), [(6, 1), (1, 4)])
    """
    sizes: list[int] = []
    steps: list[Strides] = []
    for axis, n in enumerate(shape):
        here = tuple(s[axis] for s in strides)
        if n == 1:
            continue
        if sizes and steps[-1] == tuple(n * step for step in here):
            sizes[-1], steps[-1] = sizes[-1] * n, here
        else:
            sizes.append(n)
            steps.append(here)
    return tuple(sizes), [tuple(step[i] for step in steps) for i in range(len(strides))]


def lines(shape: Shape, *strides: Strides) -> tuple[Shape, int, list[Strides]]:
    """As `merged`, with the last axis on its own: (the other axes, its size, strides)."""
    sizes, steps = merged(shape, *strides)
    if not sizes:
        return (), 1, [(0,)] * len(strides)
    return sizes[:-1], sizes[-1], steps


def view(x: Operand, shape: Shape, strides: Strides) -> Operand:
    """The same memory as a tensor of another form, moved as bytes if it holds truth values."""
    return Operand(x.f, x.pointer, raw(x.dtype), Strided(shape, strides, x.place.offset))


def without(items: Strides, axis: int) -> Strides:
    """All entries but that of one axis."""
    return items[:axis] + items[axis + 1 :]


def units_of(size: int, most: int) -> int:
    """Into how many pieces work of `size` bytes is cut; no more than `most`."""
    return min(most, -(-size // SHARE))


def position(f: Function, number: Index, shape: Shape) -> list[Index]:
    """Where the element of a number stands, counted in row-major order."""
    found: list[Index] = []
    for n in reversed(shape[1:]):
        found.insert(0, f.rem(number, n))
        number = f.div(number, n)
    return [number, *found] if shape else []


@contextmanager
def nest(f: Function, shape: Shape) -> Generator[list[Index]]:
    """Loops over all positions of a shape, the last axis innermost."""
    with ExitStack() as stack:
        yield [stack.enter_context(f.loop(0, n)).index for n in shape]


def part(f: Function, number: Index, parts: int, size: int, step: int = 1) -> tuple[Index, Index]:
    """From where to where one of several even parts of 0..size goes; all but the end are multiples of `step`."""
    if parts == 1:
        return 0, size
    steps = -(-size // step)

    def edge(i: Index) -> Index:
        return f.min(f.mul(f.div(f.mul(i, steps), parts), step), size)

    return edge(number), edge(f.add(number, 1))


def share(
    f: Function, unit: Index, units: int, rows: Shape, n: int, lanes: int
) -> tuple[tuple[Index, Index], tuple[Index, Index]]:
    """What of rows of n elements a unit of work has: which rows, counted in row-major order, and what of each.

    With fewer rows than units each row is cut; units that are left over have no rows.
    """
    count = size_of(rows)
    if units <= count:
        return part(f, unit, units, count), (0, n)
    cuts = units // count
    row = f.div(unit, cuts)
    return (f.min(row, count), f.min(f.add(row, 1), count)), part(f, f.rem(unit, cuts), cuts, n, lanes)


def along(f: Function, lanes: int, n: int, begin: Index, end: Index, body: Callable[[Lanes, Index], None]) -> None:
    """`body(v, at)` for the elements from begin to end of an axis of n, each of them once.

    There are `lanes` lanes (a power of two) on `v` as long as that many are left, then fewer, so that no mask is
    needed. Begin is a multiple of `lanes`, and end one as well unless it is n.
    """
    whole, everything = n // lanes * lanes, (begin, end) == (0, n)
    if everything and whole <= STRAIGHT * lanes:
        for at in range(0, whole, lanes):
            body(Lanes(f, lanes), at)
    else:
        with f.loop(begin, f.min(end, whole), lanes) as loop:
            body(Lanes(f, lanes), loop.index)
    if whole == n:
        return
    with ExitStack() as stack:
        if not everything:  # the rest belongs to the piece that goes to the end
            stack.enter_context(f.when(f.compare("eq", end, n)))
            stack.enter_context(f.when(f.compare("slt", begin, n)))
        at = whole
        while at < n:
            count = 1 << ((n - at).bit_length() - 1)
            body(Lanes(f, count), at)
            at += count


def lanes_for(f: Function, *dtypes: DType) -> int:
    """How many lanes suit work with several data types: a register of the widest, of at least four bytes."""
    return f.target.lanes(max(4, *(dtype.itemsize for dtype in dtypes)))
