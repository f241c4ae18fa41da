"""Copies of pieces of the operands, in the order in which micro-kernels read them.

B becomes panels: for each k, the columns of a tile next to each other. A stays as it is where it can, else becomes rows
that do not fall on the same cache lines, or panels with, for each k, the rows of a tile next to each other.
"""

from __future__ import annotations

from chainrule.native.code import Function, Index, Value
from chainrule.native.contraction.micro import call
from chainrule.native.lanes import Lanes
from chainrule.types import DType


class Packer:
    """Copies elements of type `source` to memory of the thread, where they have type `dtype`.

    Strides are counted in elements, steps from one vector of a copy to the next in bytes.
    """

    def __init__(self, f: Function, source: DType, dtype: DType) -> None:
        self.f, self.source, self.dtype = f, source, dtype
        self.v = Lanes(f, f.target.lanes(dtype.itemsize))

    def turned(
        self, turning: Value, at: Value, stride: int, columns: Index, depth: Index, to: Value, step: Index
    ) -> None:
        """A vector's width of columns whose neighbours run along k, by the micro-kernel that turns them."""
        call(self.f, turning, at, stride * self.source.itemsize, columns, depth, to, step)

    def line(self, at: Value, stride: int, columns: Index, to: Value) -> None:
        """Values of a row of B, in whole vectors; columns that do not exist are not read."""
        f, lanes = self.f, self.v.count

        def copy(column: Index, mask: Value | None) -> None:
            x = self._line(f.at(at, f.mul(column, stride), self.source.itemsize), stride, mask)
            self.v.store(x, f.at(to, column, self.dtype.itemsize))

        whole = f.mul(f.div(columns, lanes), lanes)
        if isinstance(columns, int) and isinstance(whole, int):
            for column in range(0, whole, lanes):
                copy(column, None)
            if columns > whole:
                copy(whole, self.v.first(columns - whole))
            return
        with f.loop(0, whole, lanes) as loop:
            copy(loop.index, None)
        with f.when(f.compare("sgt", columns, whole)):
            copy(whole, self.v.first(f.sub(columns, whole)))

    def row(self, at: Value, stride: int, depth: Index, to: Value) -> None:
        """A row of A: values along k become neighbours; the last vector may overlap the one before."""
        f, lanes = self.f, self.v.count

        def copy(k: Index, mask: Value | None) -> None:
            x = self._line(f.at(at, f.mul(k, stride), self.source.itemsize), stride, mask)
            self.v.store(x, f.at(to, k, self.dtype.itemsize))

        if isinstance(depth, int) and depth < lanes:
            copy(0, self.v.first(depth))
            return
        with f.loop(0, depth, lanes) as k:
            copy(f.min(k.index, f.sub(depth, lanes)), None)

    def column(self, at: Value, rows: int, to: Value) -> None:
        """Neighbouring values of a column of A; the last vector is written whole, beyond them."""
        f, v = self.f, self.v
        for i in range(0, rows, v.count):
            mask = v.first(rows - i) if rows - i < v.count else None
            v.store(self._line(f.at(at, i, self.source.itemsize), 1, mask), f.at(to, i, self.dtype.itemsize))

    def _line(self, at: Value, stride: int, mask: Value | None) -> Value:
        """A vector of elements that are `stride` apart."""
        v = self.v
        if stride == 0:
            found = v.load_one(self.source, at)
        elif stride == 1 or v.count == 1:
            found = v.load(self.source, at, 0, mask)
        else:
            found = v.gather(self.source, at, v.multiply(v.numbers(), stride), mask)
        return v.cast(found, self.dtype)
