"""Recurrent cells: what a step makes of the products that enter it, and its derivative.

The formulas are written once for numbers of any kind, arrays, tensors or vectors in registers, with the functions that
`Maths` lists. The products that they start from are x_t W_ih^T + b_ih and h W_hh^T + b_hh, cut into gates.

    rnn    h' = tanh(x + r) or relu(x + r)
    lstm   c' = f c + i g,  h' = o tanh(c')   with i, f, o = sigmoid(x + r), g = tanh(x + r)
    gru    h' = (1 - z) n + z h               with r, z = sigmoid(x + r), n = tanh(x + r_n r)

Hochreiter & Schmidhuber, "Long short-term memory", Neural Computation 9 (1997); Cho et al., "Learning phrase
representations using RNN encoder-decoder for statistical machine translation", EMNLP 2014, with the reset gate after
the product.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, Protocol, TypeAlias

Numbers: TypeAlias = Any
"""An array, a tensor or a value in registers."""


class Maths(Protocol):
    """The functions that cells need besides arithmetic."""

    def sigmoid(self, x: Numbers, /) -> Numbers:
        """1 / (1 + e^-x)."""
        ...

    def tanh(self, x: Numbers, /) -> Numbers:
        """The hyperbolic tangent."""
        ...

    def relu(self, x: Numbers, /) -> Numbers:
        """x where it is positive, else 0."""
        ...

    def where_positive(self, x: Numbers, y: Numbers, /) -> Numbers:
        """y where x is positive, else 0."""
        ...


Parts: TypeAlias = Sequence[Numbers]
Forward: TypeAlias = Callable[[Maths, Parts, Parts, Parts], tuple[Parts, Parts]]
Backward: TypeAlias = Callable[
    [Maths, Parts, Parts, Parts, Parts, Parts], tuple[Parts, Parts, Sequence[Numbers | None]]
]


@dataclass(frozen=True)
class Cell:
    """A kind of cell.

    Attributes:
        gates: how many gates there are, thus parts of either product.
        states: what is handed from step to step: h, or h and c.
        kept: how many values a step keeps for its derivative, besides states.
        split: whether the two products have different cotangents.
        forward: (maths, x, r, states) -> (new states, kept).
        backward: (maths, states, new states, kept, cotangents of new states, of kept) -> cotangents of x, of r and of
            the states, as far as these do not pass through r; None for zero.
    """

    gates: int
    states: int
    kept: int
    split: bool
    forward: Forward
    backward: Backward

    def told_apart(self, values: Sequence[Any]) -> list[list[Any]]:
        """The inputs of the derivative: weight, first states, states, kept, cotangents of states, of kept."""
        many, any_kept = self.states, min(self.kept, 1)
        taken = iter(values)
        return [list(islice(taken, n)) for n in (1, many, many, any_kept, many, any_kept)]


def _lstm(m: Maths, x: Parts, r: Parts, states: Parts) -> tuple[Parts, Parts]:
    i, f = m.sigmoid(x[0] + r[0]), m.sigmoid(x[1] + r[1])
    g, o = m.tanh(x[2] + r[2]), m.sigmoid(x[3] + r[3])
    c = f * states[1] + i * g
    return [o * m.tanh(c), c], [i, f, g, o]


def _lstm_back(
    m: Maths, before: Parts, after: Parts, kept: Parts, cts: Parts, ct_kept: Parts
) -> tuple[Parts, Parts, Sequence[Numbers | None]]:
    (i, f, g, o), t = kept, m.tanh(after[1])
    ct_i, ct_f, ct_g, ct_o = ct_kept
    ct = cts[1] + cts[0] * o * (1.0 - t * t)
    found = [
        (ct * g + ct_i) * (i * (1.0 - i)),
        (ct * before[1] + ct_f) * (f * (1.0 - f)),
        (ct * i + ct_g) * (1.0 - g * g),
        (cts[0] * t + ct_o) * (o * (1.0 - o)),
    ]
    return found, found, [None, ct * f]


def _gru(m: Maths, x: Parts, r: Parts, states: Parts) -> tuple[Parts, Parts]:
    reset, z = m.sigmoid(x[0] + r[0]), m.sigmoid(x[1] + r[1])
    n = m.tanh(x[2] + reset * r[2])
    return [(1.0 - z) * n + z * states[0]], [reset, z, n, r[2]]


def _gru_back(
    m: Maths, before: Parts, after: Parts, kept: Parts, cts: Parts, ct_kept: Parts
) -> tuple[Parts, Parts, Sequence[Numbers | None]]:
    (reset, z, n, inner), (ct,) = kept, cts
    ct_n = (ct * (1.0 - z) + ct_kept[2]) * (1.0 - n * n)
    ct_z = (ct * (before[0] - n) + ct_kept[1]) * (z * (1.0 - z))
    ct_reset = (ct_n * inner + ct_kept[0]) * (reset * (1.0 - reset))
    return [ct_reset, ct_z, ct_n], [ct_reset, ct_z, ct_n * reset + ct_kept[3]], [ct * z]


def _tanh(m: Maths, x: Parts, r: Parts, states: Parts) -> tuple[Parts, Parts]:
    return [m.tanh(x[0] + r[0])], []


def _tanh_back(
    m: Maths, before: Parts, after: Parts, kept: Parts, cts: Parts, ct_kept: Parts
) -> tuple[Parts, Parts, Sequence[Numbers | None]]:
    found = [cts[0] * (1.0 - after[0] * after[0])]
    return found, found, [None]


def _relu(m: Maths, x: Parts, r: Parts, states: Parts) -> tuple[Parts, Parts]:
    return [m.relu(x[0] + r[0])], []


def _relu_back(
    m: Maths, before: Parts, after: Parts, kept: Parts, cts: Parts, ct_kept: Parts
) -> tuple[Parts, Parts, Sequence[Numbers | None]]:
    found = [m.where_positive(after[0], cts[0])]
    return found, found, [None]


CELLS: dict[str, Cell] = {
    "tanh": Cell(1, 1, 0, False, _tanh, _tanh_back),
    "relu": Cell(1, 1, 0, False, _relu, _relu_back),
    "lstm": Cell(4, 2, 4, False, _lstm, _lstm_back),
    "gru": Cell(3, 1, 4, True, _gru, _gru_back),
}
"""All kinds of cells, by name."""
