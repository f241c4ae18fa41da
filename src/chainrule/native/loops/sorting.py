"""Sorting along an axis: merge sort on records, whole numbers with the key above and the index below.

Records are all different, so that equal keys keep their order by themselves, and one comparison decides. A key of up to
32 bits shares an i64 with its index, a larger one an i128. Floats become integers of the same order, with one for both
zeros and one, the largest, for every NaN; in descending order all bits of a key are turned round.

An axis is filled up to r * 2^k records with r from 5 to 8 (fewer if all is that short). Runs of r are sorted by a
network of comparisons, many runs at once on lanes, and then merged in k rounds. As both runs of a merge are of equal
length, it can go from both ends at once and never runs over the end of one: it has no branches but its loop.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from chainrule.native.code import Function, Index, Value
from chainrule.native.job import Job
from chainrule.native.lanes import Lanes
from chainrule.native.loops.axes import along, lines, part, position, type_of, units_of, view, without
from chainrule.native.operand import Operand, Strided, row_major
from chainrule.types import DType, TensorType, int32, int64, size_of

RUN = 8
"""The most records that a network sorts."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How many elements are sorted as what."""

    size: int
    wide: bool  # records of 128 bits
    rounds: int  # of merging

    @property
    def runs(self) -> int:
        """How many runs there are at first."""
        return 1 << self.rounds

    @property
    def length(self) -> int:
        """How many records a run has at first."""
        return -(-self.size // self.runs)

    @property
    def bytes(self) -> int:
        """Bytes of all records."""
        return self.runs * self.length * self.record

    @property
    def record(self) -> int:
        """Bytes of one record."""
        return 16 if self.wide else 8

    @property
    def type(self) -> str:
        """The LLVM type of a record."""
        return f"i{8 * self.record}"


def plan_of(dtype: DType, size: int) -> Plan:
    """How an axis of a size is sorted.

    >>> plan_of(int32, 1000).length, plan_of(int32, 1000).runs
    (8, 128)
    """
    rounds = 0
    while size > RUN << rounds:
        rounds += 1
    return Plan(size, dtype.itemsize > 4 or size >= 1 << 31, rounds)


def argsort_units(x: TensorType, axis: int, descending: bool) -> int:
    """Into how many pieces sorting is cut: a line is never cut."""
    return units_of(8 * x.size, size_of(without(x.shape, axis)))


def argsort_scratch(x: TensorType, axis: int, descending: bool) -> int:
    """Two times the records of a line."""
    return 2 * plan_of(x.dtype, x.shape[axis]).bytes


def argsort_loops(job: Job, axis: int, descending: bool) -> None:
    """Indices that sort along an axis; see the head of this module."""
    f, x, out = job.f, job.inputs[0], job.outputs[0]
    units = argsort_units(type_of(x), axis, descending)
    if not units:
        return
    assert job.scratch is not None
    plan = plan_of(x.dtype, x.shape[axis])
    here, there = x.place.strides, row_major(x.shape).strides
    rows, n, (xs, os) = lines(without(x.shape, axis), without(here, axis), without(there, axis))
    rows = (*rows, n)
    x = view(x, (*rows, plan.size), (*xs, here[axis]))
    out = view(out, (*rows, plan.size), (*os, there[axis]))
    with f.loop(f.begin, f.end) as loop, f.loop(*part(f, loop.index, units, size_of(rows))) as each:
        line = position(f, each.index, rows)
        _first_runs(x, line, plan, job.scratch, descending)
        found = _merge_runs(f, plan, job.scratch)
        _write(out, line, plan, found)


def sorting_network(size: int) -> Iterator[tuple[int, int]]:
    """Pairs to be put in order, one after the other, so that in the end all are: Batcher's odd-even merge sort.

    K. E. Batcher, "Sorting networks and their applications", AFIPS 1968; here as in Knuth, The Art of Computer
    Programming, volume 3, algorithm 5.2.2M.

    >>> list(sorting_network(3))
    [(0, 2), (0, 1), (1, 2)]
    """
    top = 1 << max((size - 1).bit_length() - 1, 0)
    p = top
    while p:
        q, r, d = top, 0, p
        while True:
            yield from ((i, i + d) for i in range(size - d) if i & p == r)
            if q == p:
                break
            d, q, r = q - p, q // 2, p
        p //= 2


def _first_runs(x: Operand, line: list[Index], plan: Plan, scratch: Value, descending: bool) -> None:
    """Write sorted runs. As any records may form a run, those of one are as far apart as there are runs."""
    f, lanes = x.f, 1 if plan.wide else min(x.f.target.lanes(8), plan.runs)
    v, type = Lanes(f, lanes), plan.type if plan.wide or lanes == 1 else f"<{lanes} x i64>"
    with f.loop(0, plan.runs, lanes) as loop:
        records: list[Value] = []
        for i in range(plan.length):
            at = f.add(loop.index, i * plan.runs)
            full = (i + 1) * plan.runs <= plan.size
            records.append(_record(v, x, line, at, plan, descending, full=full))
        for low, high in sorting_network(plan.length):
            one, two = records[low], records[high]
            swap = f.new("i1" if lanes == 1 else f"<{lanes} x i1>", f"icmp slt {two}, {one.name}")
            records[low] = f.new(type, f"select {swap}, {two}, {one}")
            records[high] = f.new(type, f"select {swap}, {one}, {two}")
        start = f.at(scratch, f.mul(loop.index, plan.length), plan.record)
        for i, record in enumerate(records):
            if lanes == 1:
                f.line(f"store {record}, {f.at(start, i, plan.record)}, align 8")
            else:
                record.dtype, record.lanes = int64, v
                v.scatter(record, f.at(start, i, plan.record), v.multiply(v.numbers(), plan.length))


def _record(v: Lanes, x: Operand, line: list[Index], at: Index, plan: Plan, descending: bool, *, full: bool) -> Value:
    """Records of neighbouring elements; where there are no more, such as come after all others."""
    f, mask = x.f, None
    if not full:
        mask = v.less(v.add(v.index(at), v.numbers()), plan.size)
        if v.count == 1:
            at = f.min(at, plan.size - 1)
    key = key_of(v, x.load(v, [*line, at], -1, mask))
    if descending:
        key = v.logical_not(key)
    index = v.add(v.index(at), v.numbers())
    if not plan.wide:
        made = v.logical_or(v.shift_left(v.cast(key, int64), 32), index)
        return made if mask is None else v.select(mask, made, (1 << 63) - 1)
    upper = f.new("i128", f"shl i128 {f.new('i128', f'sext {key} to i128').name}, 64")
    made = f.new("i128", f"or {upper}, {f.new('i128', f'zext {index} to i128').name}")
    return made if mask is None else f.new("i128", f"select {mask}, {made}, i128 {(1 << 127) - 1}")


def key_of(v: Lanes, x: Value) -> Value:
    """Integers, int32 or int64, in the order of the elements: of both zeros 0, of NaN the largest of all."""
    if not x.dtype.is_float:
        return v.cast(x, int32) if x.dtype.itemsize < 4 else x
    integer, bits = (int64, 64) if x.dtype.itemsize == 8 else (int32, 32)
    found = v.bitcast(x + 0.0, integer)
    # Of negative numbers the larger ones have more bits set: turn them round, but not the sign.
    turned = v.logical_xor(found, v.shift_right_unsigned(v.shift_right(found, bits - 1), 1))
    return v.select(v.is_nan(x), (1 << (bits - 1)) - 1, turned)


def _merge_runs(f: Function, plan: Plan, scratch: Value) -> Value:
    """Merge pairs of runs, round by round, from one half of the scratch memory to the other; where they are then."""
    other, type = f.at(scratch, plan.bytes, 1), plan.type
    first = [scratch, other, Value("i64", str(plan.length)), Value("i64", str(plan.runs // 2))]
    if not plan.rounds:
        return scratch

    def load(base: Value, index: Index) -> Value:
        return f.new(type, f"load {type}, {f.at(base, index, plan.record)}, align 8")

    def store(record: Value, base: Value, index: Index) -> None:
        f.line(f"store {record}, {f.at(base, index, plan.record)}, align 8")

    def moved(place: Value, how: str, truth: Value) -> Value:
        return f.new("i64", f"{how} i64 {place.name}, {f.new('i64', f'zext {truth} to i64').name}")

    with f.loop(0, plan.rounds, carried=first) as level:
        source, target, length, pairs = level.values
        with f.loop(0, pairs) as pair:
            start = f.mul(f.mul(pair.index, length), 2)
            one = f.at(source, start, plan.record)
            two, into = f.at(one, length, plan.record), f.at(target, start, plan.record)
            last, end = f.new("i64", f"sub i64 {length.name}, 1"), f.sub(f.mul(length, 2), 1)
            # The next of runs one and two from below, a and b, and from above, c and d. Each has a place of its own,
            # though one follows from the other, as the processor waits for what leads to the next address.
            with f.loop(0, length, carried=[Value("i64", "0"), Value("i64", "0"), last, last], once=True) as step:
                a, b, c, d = step.values
                x, y = load(one, a), load(two, b)
                from_one, from_two = f.new("i1", f"icmp slt {x}, {y.name}"), f.new("i1", f"icmp sge {x}, {y.name}")
                store(f.new(type, f"select {from_one}, {x}, {y}"), into, step.index)
                step.next = [moved(a, "add", from_one), moved(b, "add", from_two)]
                x, y = load(one, c), load(two, d)
                from_one, from_two = f.new("i1", f"icmp sge {x}, {y.name}"), f.new("i1", f"icmp slt {x}, {y.name}")
                store(f.new(type, f"select {from_one}, {x}, {y}"), into, f.sub(end, step.index))
                step.next += [moved(c, "sub", from_one), moved(d, "sub", from_two)]
        level.next = [
            target,
            source,
            f.new("i64", f"shl i64 {length.name}, 1"),
            f.new("i64", f"lshr i64 {pairs.name}, 1"),
        ]
    return level.results[0]


def _write(out: Operand, line: list[Index], plan: Plan, found: Value) -> None:
    """Write the indices of records in order."""
    records = Operand(out.f, found, int64, Strided((plan.size,), (plan.record // 8,)))

    def write(v: Lanes, at: Index) -> None:
        index = records.load(v, [at], 0)
        out.store(index if plan.wide else v.logical_and(index, (1 << 32) - 1), [*line, at], -1)

    along(out.f, out.f.target.lanes(8), plan.size, 0, plan.size, write)
