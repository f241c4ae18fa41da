"""Attention, forward: panel by panel of queries, with a running softmax over blocks of keys.

Rabe & Staats, "Self-attention does not need O(n^2) memory", 2021; Dao, Fu, Ermon, Rudra & Ré, "FlashAttention",
NeurIPS 2022. With m the largest score so far and l the sum of e^(score - m), a new block with a larger score m' scales
what is there by e^(m - m').
"""

from __future__ import annotations

from collections.abc import Sequence
from math import inf

from chainrule.native import vecmath
from chainrule.native.attention.tiles import (
    KEYS,
    VECTORS,
    WIDEST,
    Rows,
    Tiles,
    micro_kernels,
    row_bytes,
)
from chainrule.native.code import Index, Value
from chainrule.native.contraction import MicroKernel
from chainrule.native.job import Job
from chainrule.native.lanes import Lanes
from chainrule.native.loops.axes import position
from chainrule.native.target import Target
from chainrule.native.vecmath.exponential import EXPONENTIAL, exp_small, reduce
from chainrule.native.vecmath.parts import power_of_two, shared
from chainrule.types import TensorType, float32, size_of

QUERIES = 64  # in a unit of work; a multiple of all panels


def forward_units(q: TensorType, *others: TensorType, causal: bool, scale: float) -> int:
    """Blocks of queries of all heads."""
    return size_of(q.shape[:-2]) * -(-q.shape[-2] // QUERIES)


def forward_scratch(
    q: TensorType, k: TensorType, v: TensorType, *others: TensorType, causal: bool, scale: float
) -> int:
    """A turned panel, its scores, its output and a few numbers for each query; copies of keys and values."""
    line = VECTORS * WIDEST
    lanes = WIDEST // q.dtype.itemsize
    panel = max(q.shape[-1], lanes) * line + KEYS * line + lanes * VECTORS * row_bytes(v.shape[-1], v.dtype)
    copies = k.shape[-2] * (row_bytes(k.shape[-1], k.dtype) + row_bytes(v.shape[-1], v.dtype))
    return panel + 3 * line + copies + 16 * WIDEST


def forward_micro(
    target: Target, q: TensorType, k: TensorType, v: TensorType, *others: TensorType, causal: bool, scale: float
) -> list[MicroKernel]:
    """The micro-kernels that are called."""
    return micro_kernels(target, q.dtype, k.shape[-2], (), v.shape[-1])


def forward_loops(job: Job, causal: bool, scale: float) -> None:
    """out = softmax(scale q k^T + bias) v, and the logarithm of the softmax's divisor."""
    with job.f.when(job.f.compare("slt", job.f.begin, job.f.end)):
        _Forward(job, causal, scale).make()


@shared
def exp_of_negative(v: Lanes, x: Value) -> Value:
    """e^x for x that is not above 0: nothing but a normal number, or 0."""
    n, r = reduce(v, x)
    found = exp_small(v, r, EXPONENTIAL[x.dtype]) * power_of_two(v, n, x.dtype)
    return v.select(v.less(x, -87.0 if x.dtype is float32 else -708.0), 0.0, found)


class _Forward(Tiles):
    def __init__(self, job: Job, causal: bool, scale: float) -> None:
        super().__init__(job)
        self.causal, self.scale = causal, scale
        self.add = job.inputs[3] if len(job.inputs) > 3 else None
        self.out, self.logsumexp = job.outputs
        bytes_ = row_bytes(self.v.shape[-1], self.dtype)
        self.panel = self.area(max(self.q.shape[-1], self.lanes.count) * self.line)
        self.scores = self.area(KEYS * self.line)
        self.sums = Rows(self.area(self.width * bytes_), bytes_, self.v.shape[-1])
        self.largest, self.total, self.factor = (self.area(self.line) for _ in range(3))

    def make(self) -> None:
        """All units of work."""
        f, lead = self.f, self.q.shape[:-2]
        blocks, copies = -(-self.queries // QUERIES), self._next
        with f.loop(f.begin, f.end) as unit:
            self._next = copies
            head = position(f, f.div(unit.index, blocks), lead)
            keys, values = self.matrix(self.k, head, right=False), self.matrix(self.v, head, right=True)
            start = f.mul(f.rem(unit.index, blocks), QUERIES)
            with f.loop(start, f.min(f.add(start, QUERIES), self.queries), self.width) as panel:
                self._panel(head, panel.index, keys, values)

    def _panel(self, head: Sequence[Index], first: Index, keys: Rows, values: Rows) -> None:
        f, v = self.f, self.lanes
        count = f.min(f.sub(self.queries, first), self.width)
        self.turn(self.q, head, first, self.panel, self.scale)
        for part in range(VECTORS):
            v.store(v.constant(self.dtype, -inf), self.largest, part * v.count)
            v.store(v.constant(self.dtype, 0), self.total, part * v.count)
        if not self.keys:
            with f.loop(0, self.width) as row:
                for _, at in self.pieces(values.columns):
                    v.store(v.constant(self.dtype, 0), self.sums.at(f, row.index, at * self.size))
        stop = f.min(f.add(first, count), self.keys) if self.causal else self.keys
        with f.loop(0, stop, KEYS) as block:
            self._block(head, first, count, block.index, f.min(f.sub(stop, block.index), KEYS), keys, values)
        self._finish(head, first, count)

    def _block(
        self, head: Sequence[Index], first: Index, count: Index, key: Index, keys: Index, left: Rows, values: Rows
    ) -> None:
        """Scores of a panel with a block of keys, and what they add to its sums."""
        f = self.f
        self.times_panel(left, key, keys, self.panel, self.scores)
        largest = self._largest(head, first, key, keys)
        self._weights(largest, keys)
        with f.when(f.compare("sgt", key, 0)), f.loop(0, count) as row:
            by = self.lanes.load_one(self.dtype, self.factor, row.index)
            for _, at in self.pieces(values.columns):
                there = self.sums.at(f, row.index, at * self.size)
                self.lanes.store(self.lanes.load(self.dtype, there) * by, there)

        def depth(query: Index) -> Index:
            return f.min(keys, f.sub(f.add(f.add(first, query), self.rows), key)) if self.causal else keys

        block = Rows(values.at(f, key), values.step, values.columns)
        self.add_by_query(self.scores, count, block, depth, self.sums, f.choose(f.compare("sgt", key, 0), 1, 0))

    def _largest(self, head: Sequence[Index], first: Index, key: Index, keys: Index) -> list[Value]:
        """The largest scores so far, after the bias has been added and what is not seen been taken out."""
        f, v = self.f, self.lanes

        def step(row: Index, largest: Sequence[Value], masked: bool) -> list[Value]:
            found: list[Value] = []
            for part, before in enumerate(largest):
                at = f.add(f.mul(row, self.width), part * v.count)
                score = v.load(self.dtype, self.scores, at)
                if self.add is not None:
                    score = score + self.bias(self.add, head, first, part, f.add(key, row))
                if masked:
                    seen = self.is_seen(f.add(key, row), f.add(first, part * v.count))
                    score = v.select(seen, score, -inf)
                if masked or self.add is not None:
                    v.store(score, self.scores, at)
                found.append(v.select(v.greater(before, score), before, score))  # NaN shows in the weights
            return found

        start = [v.load(self.dtype, self.largest, part * v.count) for part in range(VECTORS)]
        free = keys
        if self.causal:  # keys up to the first query are seen by all
            free = f.min(f.sub(f.add(first, 1), key), keys)
        with f.loop(0, free, carried=start) as loop:
            loop.next = step(loop.index, loop.values, masked=False)
        if not self.causal:
            return loop.results
        with f.loop(free, keys, carried=loop.results) as rest:
            rest.next = step(rest.index, rest.values, masked=True)
        return rest.results

    def _weights(self, largest: Sequence[Value], keys: Index) -> None:
        """Scores become e^(score - largest), and sums are brought up to date."""
        f, v = self.f, self.lanes
        shift = [self.unless_nothing(x) for x in largest]
        totals: list[Value] = []
        for part, (x, by) in enumerate(zip(largest, shift, strict=True)):
            factor = exp_of_negative(v, v.load(self.dtype, self.largest, part * v.count) - by)
            totals.append(v.load(self.dtype, self.total, part * v.count) * factor)
            v.store(factor, self.factor, part * v.count)
            v.store(x, self.largest, part * v.count)
        with f.loop(0, keys, carried=totals) as loop:
            for part, by in enumerate(shift):
                at = f.add(f.mul(loop.index, self.width), part * v.count)
                weight = exp_of_negative(v, v.load(self.dtype, self.scores, at) - by)
                v.store(weight, self.scores, at)
                loop.next.append(loop.values[part] + weight)
        for part, total in enumerate(loop.results):
            v.store(total, self.total, part * v.count)

    def _finish(self, head: Sequence[Index], first: Index, count: Index) -> None:
        """Sums divided by the sum of weights, and the logarithm of that; zeros where there was no key."""
        f, v = self.f, self.lanes
        for part in range(VECTORS):
            total = v.load(self.dtype, self.total, part * v.count)
            v.store(v.select(v.equal(total, 0.0), 0.0, 1.0 / total), self.factor, part * v.count)
            shift = self.unless_nothing(v.load(self.dtype, self.largest, part * v.count))
            start = f.add(first, part * v.count)
            inside = v.first(f.sub(self.queries, start))
            self.logsumexp.store(shift + vecmath.log(v, total), (*head, start), -1, inside)
        self.write(self.sums, count, self.out, head, first, self.factor)
