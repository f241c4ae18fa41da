"""Turning a square of values, held in as many vectors as a vector has lanes, on its diagonal."""

from __future__ import annotations

from chainrule.native.code import Value
from chainrule.native.lanes import Lanes


def transposed(v: Lanes, rows: list[Value]) -> list[Value]:
    """Rows become columns, in steps that are single instructions on x86.

    First squares within 128 bits, by interleaving rows that are half a square apart; then the 128-bit parts of whole
    rows, by dividing neighbours into parts with even and odd numbers.
    """
    n = v.count
    inner = min(n, 16 // rows[0].dtype.itemsize)
    squares = [_interleaved(v, rows[i : i + inner]) for i in range(0, n, inner)]
    columns = [_divided(v, [square[i] for square in squares], inner) for i in range(inner)]
    return [columns[i % inner][i // inner] for i in range(n)]


def _interleaved(v: Lanes, rows: list[Value]) -> list[Value]:
    half = len(rows) // 2
    low = [
        lane for start in range(0, v.count, 2 * half) for i in range(half) for lane in (start + i, start + i + v.count)
    ]
    high = [lane + half for lane in low]
    for _ in range(half.bit_length()):
        rows = [v.shuffle(rows[i], rows[i + half], order) for i in range(half) for order in (low, high)]
    return rows


def _divided(v: Lanes, rows: list[Value], part: int) -> list[Value]:
    even = [lane for start in range(0, 2 * v.count, 2 * part) for lane in range(start, start + part)]
    odd = [lane + part for lane in even]
    for _ in range(len(rows).bit_length() - 1):
        pairs = list(zip(rows[::2], rows[1::2], strict=True))
        rows = [v.shuffle(x, y, order) for order in (even, odd) for x, y in pairs]
    return rows
