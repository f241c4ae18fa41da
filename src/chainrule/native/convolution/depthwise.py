"""The micro-kernel of depthwise convolutions: sums over several pieces, multiplied lane by lane.

    c[i, j] = (c[i, j] if add else 0) + sum over pieces and k of  a[i * step + k * apart, j] * b[k, j]

In a convolution rows i are places of the result and k are taps; in its derivative by the kernels it is the other way
round. Neighbouring places meet the same elements of an image through different taps: where several k are taken at a
time, each of these is read once.
"""

from __future__ import annotations

from dataclasses import dataclass

from chainrule.native.code import Function, Value
from chainrule.native.contraction.micro import (
    PIECES,
    PRODUCT,
    added_up,
    chains,
    multiply_add,
    no_sums,
    piece,
    store_sums,
)
from chainrule.native.lanes import Lanes
from chainrule.types import DType


@dataclass(frozen=True)
class Depthwise:
    """A tile of `rows` by `vectors`. Takes the arguments of `Swept`, of which `a_step` is not looked at.

    Attributes:
        step, apart: bytes of a from row to row, and from k to k.
        together: so many k at a time; `k` is a multiple of it, and not 0.
    """

    dtype: DType
    rows: int
    vectors: int
    step: int
    apart: int
    together: int

    @property
    def name(self) -> str:
        """What it is called in machine code."""
        size = f"{self.rows}x{self.vectors}x{self.together}"
        return f"depthwise_{self.dtype.short}_{size}_{self.step}_{self.apart}".replace("-", "m")

    @property
    def parameters(self) -> tuple[str, ...]:
        """What it takes."""
        return (*PRODUCT, *PIECES)

    def body(self, f: Function) -> None:
        """Its code."""
        v, each = Lanes(f, f.target.lanes(self.dtype.itemsize)), self.rows * self.vectors
        parts = min(chains(f.target, self.rows, self.vectors), self.together)
        with f.loop(0, Value("i64", "%pieces"), 1, no_sums(self, f, parts)) as pieces:
            start = piece(f, pieces.index)
            with f.loop(0, Value("i64", "%k"), self.together, [*start, *pieces.values], once=True) as loop:
                a, b, *sums = loop.values
                lines = [b]
                for _ in range(self.together):
                    lines.append(f.at(lines[-1], Value("i64", "%b_step"), 1))
                for j in range(self.vectors):
                    ys = [v.load(self.dtype, line, j * v.count) for line in lines[:-1]]
                    for offset, pairs in self._met().items():
                        x = v.load(self.dtype, f.at(a, offset, 1), j * v.count)
                        for i, k in pairs:
                            at = k % parts * each + i * self.vectors + j
                            sums[at] = multiply_add(v, x, ys[k], sums[at])
                loop.next = [f.at(a, self.together * self.apart, 1), lines[-1], *sums]
            pieces.next = loop.results[2:]
        store_sums(self, f, added_up(self, pieces.results))

    def _met(self) -> dict[int, list[tuple[int, int]]]:
        """The places of a that are read, in bytes, and which rows and k meet there."""
        found: dict[int, list[tuple[int, int]]] = {}
        for k in range(self.together):
            for i in range(self.rows):
                found.setdefault(i * self.step + k * self.apart, []).append((i, k))
        return dict(sorted(found.items()))


def together(count: int, most: int) -> int:
    """How many k are taken at a time, at most, of so many: none may be left over."""
    return max(n for n in range(1, most + 1) if count % n == 0)
