"""Columns at the left and right edge of a result, in which taps look beside the image.

Zeros around the image would be multiplied there. In small images that is much of the work: of 13 columns that are made
of 11, with kernels 3 wide, a seventh. So these columns can be computed for themselves, with the taps that meet the
image only, by tiles that go down a column instead of along a row.
"""

from __future__ import annotations

from dataclasses import dataclass

from chainrule.native.convolution.sweep import Sweep


@dataclass(frozen=True)
class Edge:
    """A column of q in which only the taps from `first` to `stop` meet the image."""

    column: int
    first: int
    stop: int


@dataclass(frozen=True)
class Columns:
    """The q of a phase along the last axis: from `first` to `stop` all taps meet the image; the others are edges."""

    first: int
    stop: int
    edges: tuple[Edge, ...]


def columns(s: Sweep, number: int) -> Columns:
    """The columns of a phase."""
    phase = s.phases[number]
    offsets = sorted({tap.offset[-1] for tap in phase.taps})
    met: list[tuple[int, int]] = []
    for q in range(phase.count[-1]):
        inside = [i for i, o in enumerate(offsets) if 0 <= q * s.stride[-1] + o < s.sizes[-1]]
        met.append((inside[0], inside[-1] + 1) if inside else (0, 0))
    whole = [q for q, taps in enumerate(met) if taps == (0, len(offsets))]
    if not whole:
        return Columns(0, len(met), ())
    first, stop = whole[0], whole[-1] + 1
    return Columns(first, stop, tuple(Edge(q, *met[q]) for q in (*range(first), *range(stop, len(met)))))
