"""Attention, backward: weights are made again from scores and the logarithm of their divisor, tile by tile.

With P = exp(scores - logsumexp) and delta = the sum over features of cotangent times output, less the cotangent of
logsumexp:

    dV = P^T dO        dS = P * (dO V^T - delta)        dQ = scale dS K        dK = scale dS^T Q

A head is one unit of work: block by block of keys, and within it panel by panel of queries, so that every sum is formed
in one order. Dao, "FlashAttention-2", ICLR 2024, algorithm 2.
"""

from __future__ import annotations

from collections.abc import Sequence

from chainrule.native.attention.tiles import (
    KEYS,
    VECTORS,
    WIDEST,
    Rows,
    Tiles,
    micro_kernels,
    row_bytes,
)
from chainrule.native.code import Index
from chainrule.native.contraction import MicroKernel
from chainrule.native.job import Job
from chainrule.native.loops.axes import position
from chainrule.native.target import Target
from chainrule.native.vecmath.exponential import exp
from chainrule.types import TensorType, size_of


def backward_units(q: TensorType, *others: TensorType, causal: bool, scale: float) -> int:
    """Heads."""
    return size_of(q.shape[:-2])


def backward_scratch(
    q: TensorType, k: TensorType, v: TensorType, *others: TensorType, causal: bool, scale: float
) -> int:
    """Turned queries and cotangents of a head, two blocks of scores, numbers for each query, sums, and copies."""
    lanes, line = WIDEST // q.dtype.itemsize, VECTORS * WIDEST
    panels = -(-q.shape[-2] // (VECTORS * lanes))
    features, width = row_bytes(q.shape[-1], q.dtype), row_bytes(v.shape[-1], v.dtype)
    turned = panels * line * (max(q.shape[-1], lanes) + max(v.shape[-1], lanes) + 2)
    sums = (panels * VECTORS * lanes + KEYS) * features + KEYS * width
    copies = k.shape[-2] * (2 * features + width) + q.shape[-2] * (features + width)
    return turned + 2 * KEYS * line + sums + copies + 32 * WIDEST


def backward_micro(
    target: Target, q: TensorType, k: TensorType, v: TensorType, *others: TensorType, causal: bool, scale: float
) -> list[MicroKernel]:
    """The micro-kernels that are called."""
    return micro_kernels(target, q.dtype, k.shape[-2], (q.shape[-1], v.shape[-1]), q.shape[-1])


def backward_loops(job: Job, causal: bool, scale: float) -> None:
    """Cotangents of q, k and v, given q, k, v, logsumexp, delta, the output's cotangent and perhaps a bias."""
    with job.f.when(job.f.compare("slt", job.f.begin, job.f.end)):
        _Backward(job, causal, scale).make()


class _Backward(Tiles):
    def __init__(self, job: Job, causal: bool, scale: float) -> None:
        super().__init__(job)
        self.causal, self.scale = causal, scale
        self.logsumexp, self.delta, self.ct = job.inputs[3:6]
        self.add = job.inputs[6] if len(job.inputs) > 6 else None
        features, width = self.q.shape[-1], self.v.shape[-1]
        self.panels = -(-self.queries // self.width)
        self.steps = [max(n, self.lanes.count) * self.line for n in (features, width)]
        self.turned = [self.area(self.panels * step) for step in self.steps]
        self.weights, self.products = self.area(KEYS * self.line), self.area(KEYS * self.line)
        self.shifts, self.deltas = (self.area(self.panels * self.line) for _ in range(2))
        self.dq = self._sums(self.panels * self.width, features)
        self.dk, self.dv = self._sums(KEYS, features), self._sums(KEYS, width)

    def _sums(self, rows: int, columns: int) -> Rows:
        step = row_bytes(columns, self.dtype)
        return Rows(self.area(rows * step), step, columns)

    def make(self) -> None:
        """All heads."""
        f, copies = self.f, self._next
        with f.loop(f.begin, f.end) as unit:
            self._next = copies
            head = position(f, unit.index, self.q.shape[:-2])
            self.left_k, self.right_k = (self.matrix(self.k, head, right=right) for right in (False, True))
            self.left_v = self.matrix(self.v, head, right=False)
            self.right_q, self.right_ct = (self.matrix(x, head, right=True) for x in (self.q, self.ct))
            with f.loop(0, self.panels) as panel:
                self._prepare(head, panel.index)
            with f.loop(0, self.keys, KEYS) as block:
                self._block(head, block.index, f.min(f.sub(self.keys, block.index), KEYS))
            if self.keys:
                factor = self.lanes.constant(self.dtype, self.scale)
                self.write(self.dq, self.queries, self.job.outputs[0], head, 0, factor)
            else:
                self._write_zeros(head)

    def _prepare(self, head: Sequence[Index], panel: Index) -> None:
        """Queries and cotangents of a panel, turned, and the numbers of each of its queries."""
        f, v, first = self.f, self.lanes, self.f.mul(panel, self.width)
        for x, to, step, factor in zip((self.q, self.ct), self.turned, self.steps, (self.scale, 1.0), strict=True):
            self.turn(x, head, first, f.at(to, f.mul(panel, step), 1), factor)
        for part in range(VECTORS):
            start = f.add(first, part * v.count)
            inside = v.first(f.sub(self.queries, start))
            shift = self.unless_nothing(self.logsumexp.load(v, (*head, start), -1, inside))
            v.store(shift, self.shifts, start)
            v.store(self.delta.load(v, (*head, start), -1, inside), self.deltas, start)

    def _block(self, head: Sequence[Index], key: Index, keys: Index) -> None:
        """Everything with a block of keys."""
        f, v = self.f, self.lanes
        for sums in (self.dk, self.dv):
            with f.loop(0, keys) as row:
                for _, at in self.pieces(sums.columns):
                    v.store(v.constant(self.dtype, 0), sums.at(f, row.index, at * self.size))
        first = f.div(key, self.width) if self.causal else 0  # the panel of the first query that sees such a key
        with f.loop(first, self.panels) as panel:
            self._panel(head, panel.index, key, keys)
        for sums, out, factor in zip((self.dk, self.dv), self.job.outputs[1:], (self.scale, 1.0), strict=True):
            self.write(sums, keys, out, head, key, v.constant(self.dtype, factor))

    def _panel(self, head: Sequence[Index], panel: Index, key: Index, keys: Index) -> None:
        """A panel of queries with a block of keys."""
        f, first = self.f, self.f.mul(panel, self.width)
        count = f.min(f.sub(self.queries, first), self.width)
        ahead = f.sub(first, key)  # so many keys of the block are before the first query
        if self.causal:
            keys = f.min(keys, f.add(ahead, self.width))
        queries, cts = (f.at(x, f.mul(panel, step), 1) for x, step in zip(self.turned, self.steps, strict=True))
        self.times_panel(self.left_k, key, keys, queries, self.weights)
        self.times_panel(self.left_v, key, keys, cts, self.products)
        free = f.min(f.add(ahead, 1), keys) if self.causal else keys
        self._derivatives(head, first, key, (0, free), masked=False)
        if self.causal:
            self._derivatives(head, first, key, (free, keys), masked=True)
        right_ct = Rows(self.right_ct.at(f, first), self.right_ct.step, self.right_ct.columns)
        right_q = Rows(self.right_q.at(f, first), self.right_q.step, self.right_q.columns)
        self.add_by_key(self.weights, key, keys, right_ct, count, self.dv)
        self.add_by_key(self.products, key, keys, right_q, count, self.dk)

        def depth(query: Index) -> Index:
            return f.min(keys, f.add(f.add(ahead, query), self.rows)) if self.causal else keys

        right_k = Rows(self.right_k.at(f, key), self.right_k.step, self.right_k.columns)
        out = Rows(self.dq.at(f, first), self.dq.step, self.dq.columns)
        self.add_by_query(self.products, count, right_k, depth, out, f.choose(f.compare("sgt", key, 0), 1, 0))

    def _derivatives(
        self, head: Sequence[Index], first: Index, key: Index, rows: tuple[Index, Index], *, masked: bool
    ) -> None:
        """Scores become weights, and the cotangents of weights those of scores."""
        f, v = self.f, self.lanes
        numbers = [
            [v.load(self.dtype, x, f.add(first, part * v.count)) for x in (self.shifts, self.deltas)]
            for part in range(VECTORS)
        ]
        with f.loop(*rows) as row:
            for part, (shift, delta) in enumerate(numbers):
                at = f.add(f.mul(row.index, self.width), part * v.count)
                score = v.load(self.dtype, self.weights, at)
                if self.add is not None:
                    score = score + self.bias(self.add, head, first, part, f.add(key, row.index))
                weight = exp(v, score - shift)  # a given logarithm may be below the scores
                if masked:
                    seen = self.is_seen(f.add(key, row.index), f.add(first, part * v.count))
                    weight = v.select(seen, weight, 0.0)
                v.store(weight, self.weights, at)
                v.store(weight * (v.load(self.dtype, self.products, at) - delta), self.products, at)

    def _write_zeros(self, head: Sequence[Index]) -> None:
        """What there is where there are no keys."""
        v = self.lanes
        with self.f.loop(0, self.queries) as row:
            for mask, at in self.pieces(self.q.shape[-1]):
                self.job.outputs[0].store(v.constant(self.dtype, 0), (*head, row.index, at), -1, mask)
