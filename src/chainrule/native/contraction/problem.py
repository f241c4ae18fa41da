"""What is to be computed: a batch of matrix products of operands that lie anywhere."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from chainrule.types import DType, bfloat16, float32, int32, uint8

Strides3: TypeAlias = tuple[int, int, int]


@dataclass(frozen=True)
class Contraction:
    """C[b, m, n] = sum_k A[b, m, k] * B[b, k, n].

    Attributes:
        dtype: of the operands.
        out: of what is stored, or handed to the epilogue.
        batch, m, n, k: the sizes.
        a, b, c: strides in elements: of A along (batch, m, k), of B along (batch, k, n), of C along (batch, m, n).
    """

    dtype: DType
    out: DType
    batch: int
    m: int
    n: int
    k: int
    a: Strides3
    b: Strides3
    c: Strides3

    @property
    def compute(self) -> DType:
        """What sums are made in: bfloat16 is widened; bytes are too, since they wrap in the end all the same."""
        return {bfloat16: float32, uint8: int32}.get(self.dtype, self.dtype)

    @property
    def flops(self) -> int:
        """Multiplications and additions."""
        return 2 * self.batch * self.m * self.n * self.k

    def turned(self) -> Contraction:
        """The same products as C^T = B^T A^T: A and B change roles, and so do m and n."""
        (a0, a1, a2), (b0, b1, b2), (c0, c1, c2) = self.a, self.b, self.c
        return Contraction(
            self.dtype, self.out, self.batch, self.n, self.m, self.k, (b0, b2, b1), (a0, a2, a1), (c0, c2, c1)
        )
