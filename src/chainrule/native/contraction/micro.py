"""The innermost loops of a matrix product. They know nothing of the program that calls them: each is compiled once,
kept, and called by its address.

`Tile`, the work-horse, keeps a tile of sums in registers while k runs:

    void name(ptr a, i64 a_step, ptr b, i64 b_step, ptr c, i64 c_step, i64 k, i64 add)

computes c[i, j] = (c[i, j] if add else 0) + sum_k a[i, k] * b[k, j] for a few rows i and a few vectors of columns j.
All steps are in bytes. The loop over k is not unrolled where a round has enough independent sums to keep the
multipliers busy: LLVM, given more, moves loads so far ahead that sums have to leave their registers. A tile with fewer
has several of each, for every second k, or third, and adds them up in the end.

`Swept` is a tile whose k runs over several pieces of the operands, as the taps of a convolution: after the arguments of
`Tile` come a table with two numbers for each piece, how many bytes after a and b it starts, and how many pieces there
are.

`Dots` takes the arguments of `Tile` and the number of columns that exist, for operands that both have their neighbours
along k and for so few rows that turning b would cost more than the products: lanes run along k, and are added in the
end.

`Turning` copies columns that have their neighbours along k into the order in which `Tile` reads b.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from chainrule.native.code import Function, Index, Module, Value
from chainrule.native.contraction.square import transposed
from chainrule.native.lanes import Lanes
from chainrule.native.target import Target
from chainrule.types import DType

BUSY = 8
"""Independent sums that keep the multipliers busy: twice as many products begin in a cycle, each takes four."""

PRODUCT = ("ptr %a", "i64 %a_step", "ptr %b", "i64 %b_step", "ptr %c", "i64 %c_step", "i64 %k", "i64 %add")
PIECES = ("ptr %table", "i64 %pieces")


@dataclass(frozen=True)
class Tile:
    """A tile of `rows` of a by `vectors` of b.

    With `along`, neighbours in memory are the values of a row of a, and `a_step` leads from row to row; else they are
    the values of a column, and `a_step` leads from one k to the next.
    """

    dtype: DType
    rows: int
    vectors: int
    along: bool

    @property
    def name(self) -> str:
        """What it is called in machine code."""
        return f"tile_{self.dtype.short}_{self.rows}x{self.vectors}_{'along' if self.along else 'across'}"

    @property
    def parameters(self) -> tuple[str, ...]:
        """What it takes."""
        return PRODUCT

    def body(self, f: Function) -> None:
        """Its code."""
        zeros = no_sums(self, f, chains(f.target, self.rows, self.vectors))
        sums = _products(self, f, Value("ptr", "%a"), Value("ptr", "%b"), zeros)
        store_sums(self, f, added_up(self, sums))


@dataclass(frozen=True)
class Swept:
    """A tile of `rows` of a by `vectors` of b, summed over several pieces of both. `along` is as in `Tile`.

    With a `step`, it is so many bytes from row to row of a (`a_step` is not looked at), and part of the code: many rows
    would need many registers for their addresses.
    """

    dtype: DType
    rows: int
    vectors: int
    along: bool
    step: int = 0

    @property
    def name(self) -> str:
        """What it is called in machine code."""
        way = ("along" if self.along else "across") + (f"_{self.step}" if self.step else "")
        return f"swept_{self.dtype.short}_{self.rows}x{self.vectors}_{way}"

    @property
    def parameters(self) -> tuple[str, ...]:
        """What it takes."""
        return (*PRODUCT, *PIECES)

    def body(self, f: Function) -> None:
        """Its code."""
        zeros = no_sums(self, f, chains(f.target, self.rows, self.vectors))
        with f.loop(0, Value("i64", "%pieces"), 1, zeros) as loop:
            loop.next = _products(self, f, *piece(f, loop.index), loop.values)
        store_sums(self, f, added_up(self, loop.results))


class Sums(Protocol):
    """A micro-kernel that keeps a tile of sums in registers."""

    @property
    def dtype(self) -> DType:
        """Of the sums."""
        ...

    @property
    def rows(self) -> int:
        """Of the tile."""
        ...

    @property
    def vectors(self) -> int:
        """In each row."""
        ...


def chains(target: Target, rows: int, vectors: int) -> int:
    """How many sums there are of each element of a tile: as many as keep multipliers busy, and registers hold."""
    each = max(rows * vectors, 1)
    return max(1, min(-(-BUSY // each), (target.registers - vectors - 1) // each))


def piece(f: Function, number: Index) -> tuple[Value, Value]:
    """Where a piece of a and one of b begin."""
    row = f.at(Value("ptr", "%table"), f.mul(number, 2), 8)
    a, b = (f.load_index(f.at(row, i, 8)) for i in range(2))
    return f.at(Value("ptr", "%a"), a, 1), f.at(Value("ptr", "%b"), b, 1)


def no_sums(tile: Sums, f: Function, times: int) -> list[Value]:
    """Zeros for each element of a tile, so many times."""
    v = Lanes(f, f.target.lanes(tile.dtype.itemsize))
    return [v.constant(tile.dtype, 0)] * (tile.rows * tile.vectors * times)


def _products(tile: Tile | Swept, f: Function, a: Value, b: Value, sums: list[Value]) -> list[Value]:
    """The sums, and all products over k: chain by chain."""
    dtype, a_step = tile.dtype, (isinstance(tile, Swept) and tile.step) or Value("i64", "%a_step")
    b_step, k = Value("i64", "%b_step"), Value("i64", "%k")
    each, next_k = tile.rows * tile.vectors, dtype.itemsize if tile.along else a_step
    v = Lanes(f, f.target.lanes(dtype.itemsize))

    def add(a: Value, b: Value, sums: list[Value]) -> list[Value]:
        found: list[Value] = []
        columns = [v.load(dtype, b, j * v.count) for j in range(tile.vectors)]
        for i in range(tile.rows):
            one = v.load_one(dtype, f.at(a, f.mul(a_step, i), 1)) if tile.along else v.load_one(dtype, a, i)
            row = sums[i * tile.vectors : (i + 1) * tile.vectors]
            found += [multiply_add(v, one, column, x) for column, x in zip(columns, row, strict=True)]
        return found

    def add_all(start: Index, stop: Index, times: int, values: list[Value]) -> list[Value]:
        """From one k to another one, so many at a time."""
        with f.loop(start, stop, times, values) as loop:
            (a, b, *sums), found = loop.values, list[Value]()
            for chain in range(times):
                found += add(a, b, sums[chain * each : (chain + 1) * each])
                a, b = f.at(a, next_k, 1), f.at(b, b_step, 1)
            loop.next = [a, b, *found, *sums[times * each :]]
        return loop.results

    times = len(sums) // each
    if times == 1:
        return add_all(0, k, 1, [a, b, *sums])[2:]
    whole = f.mul(f.div(k, times), times)
    return add_all(whole, k, 1, add_all(0, whole, times, [a, b, *sums]))[2:]


def added_up(tile: Sums, sums: list[Value]) -> list[Value]:
    """The sums of all chains."""
    each = tile.rows * tile.vectors
    total, rest = sums[:each], sums[each:]
    while rest:
        total, rest = [x + y for x, y in zip(total, rest, strict=False)], rest[each:]
    return total


def store_sums(tile: Sums, f: Function, sums: list[Value]) -> None:
    """Write the sums, or add them to what is there."""
    v = Lanes(f, f.target.lanes(tile.dtype.itemsize))
    for adding in (False, True):
        with f.when(f.compare("ne" if adding else "eq", Value("i64", "%add"), 0)):
            for i in range(tile.rows):
                row = f.at(Value("ptr", "%c"), f.mul(Value("i64", "%c_step"), i), 1)
                for j in range(tile.vectors):
                    x, at = sums[i * tile.vectors + j], j * v.count
                    v.store(v.load(tile.dtype, row, at) + x if adding else x, row, at)


@dataclass(frozen=True)
class Dots:
    """A row of a by a vector's width of columns of b; `b_step` leads from column to column."""

    dtype: DType

    @property
    def name(self) -> str:
        """What it is called in machine code."""
        return f"dots_{self.dtype.short}"

    @property
    def parameters(self) -> tuple[str, ...]:
        """What it takes."""
        return (*PRODUCT, "i64 %columns")

    def body(self, f: Function) -> None:
        """Its code: columns that do not exist are taken to be the last one."""
        v, k = Lanes(f, f.target.lanes(self.dtype.itemsize)), Value("i64", "%k")
        columns = _lines(f, Value("ptr", "%b"), Value("i64", "%b_step"), Value("i64", "%columns"), v.count)

        def step(at: Index, mask: Value | None, sums: list[Value]) -> list[Value]:
            x = v.load(self.dtype, Value("ptr", "%a"), at, mask)
            pairs = zip(columns, sums, strict=True)
            return [multiply_add(v, x, v.load(self.dtype, column, at, mask), y) for column, y in pairs]

        whole = f.mul(f.div(k, v.count), v.count)
        with f.loop(0, whole, v.count, [v.constant(self.dtype, 0)] * v.count) as loop:
            loop.next = step(loop.index, None, loop.values)
        with f.loop(whole, k, v.count, loop.results) as rest:
            rest.next = step(rest.index, v.first(f.sub(k, whole)), rest.values)
        parts = transposed(v, rest.results)
        while len(parts) > 1:
            parts = [x + y for x, y in zip(parts[::2], parts[1::2], strict=True)]
        v.store(parts[0], Value("ptr", "%c"))


@dataclass(frozen=True)
class Turning:
    """For each k one vector with a value of every column, `to_step` bytes from the next one.

    `columns` of them exist, `step` bytes apart; the others are copies of the last one. Nothing beyond `k` is read, but
    at least as many vectors are written as a vector has lanes.
    """

    source: DType
    dtype: DType

    @property
    def name(self) -> str:
        """What it is called in machine code."""
        return f"turning_{self.source.short}_{self.dtype.short}"

    @property
    def parameters(self) -> tuple[str, ...]:
        """What it takes."""
        return ("ptr %from", "i64 %step", "i64 %columns", "i64 %k", "ptr %to", "i64 %to_step")

    def body(self, f: Function) -> None:
        """Its code: squares, of which the last one overlaps the one before."""
        v, k = Lanes(f, f.target.lanes(self.dtype.itemsize)), Value("i64", "%k")
        columns = _lines(f, Value("ptr", "%from"), Value("i64", "%step"), Value("i64", "%columns"), v.count)

        def square(at: Index, mask: Value | None) -> None:
            found = [v.cast(v.load(self.source, column, at, mask), self.dtype) for column in columns]
            to = f.at(Value("ptr", "%to"), f.mul(at, Value("i64", "%to_step")), 1)
            for i, row in enumerate(transposed(v, found)):
                v.store(row, f.at(to, f.mul(Value("i64", "%to_step"), i), 1))

        with f.when(f.compare("sge", k, v.count)), f.loop(0, k, v.count) as loop:
            square(f.min(loop.index, f.sub(k, v.count)), None)
        with f.when(f.compare("slt", k, v.count)):
            square(0, v.first(k))


class MicroKernel(Protocol):
    """Any of these: equal ones have equal code. Other parts of the library have more of them."""

    @property
    def name(self) -> str:
        """What it is called in machine code."""
        ...

    @property
    def parameters(self) -> tuple[str, ...]:
        """What it takes."""
        ...

    def body(self, f: Function) -> None:
        """Make its code."""
        ...


def micro_module(key: MicroKernel, target: Target) -> Module:
    """The code of a micro-kernel, to be compiled on its own: a module with one outside function, `key.name`."""
    module = Module(key.name, target)
    with module.function(key.name, key.parameters, external=True) as f:
        key.body(f)
    return module


def call(f: Function, pointer: Value, *arguments: Index) -> None:
    """Call a micro-kernel by its address."""
    f.line(f"call void {pointer.name}({', '.join(f'i64 {x}' if isinstance(x, int) else str(x) for x in arguments)})")


def _lines(f: Function, first: Value, step: Index, exist: Index, count: int) -> list[Value]:
    last = f.sub(exist, 1)
    return [f.at(first, f.mul(f.min(i, last), step), 1) for i in range(count)]


def multiply_add(v: Lanes, x: Value, y: Value, z: Value) -> Value:
    """x * y + z, rounded once where the processor has an instruction for that."""
    return v.call("llvm.fmuladd", x, y, z) if x.dtype.is_float else z + x * y
