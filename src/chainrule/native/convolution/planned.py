"""What the two ways to compute a sweep have in common: by the definition, and by fewer multiplications."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from chainrule.native.contraction.micro import MicroKernel


@dataclass(frozen=True)
class Planned:
    """How a sweep is computed.

    Attributes:
        axis: which axis the units of work cut: "batch", or "rows", the first one of the result in space.
        block: how many indices along it a unit has.
        units: how many there are.
        rows, vectors: the size of a tile of products.
        kernels: the micro-kernels that are called; their addresses are arguments from the fourth on.
        areas: bytes that a thread needs, for each of its purposes.
        cycles: what all units together will take, about.
    """

    axis: str
    block: int
    units: int
    rows: int
    vectors: int
    kernels: Sequence[MicroKernel]
    areas: tuple[int, ...]
    cycles: float

    @property
    def scratch(self) -> int:
        """Bytes that a thread needs."""
        return sum(self.areas)

    @property
    def arguments(self) -> int:
        """The position of the first argument that is free."""
        return 4 + len(self.kernels)

    @property
    def text(self) -> str:
        """For reports: "tiles of 14 places by 2 vectors, image copied, batch cut by 8"."""
        raise NotImplementedError
