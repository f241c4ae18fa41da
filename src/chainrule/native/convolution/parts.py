"""A whole cut into parts of nearly equal size."""

from __future__ import annotations

from dataclasses import dataclass

from chainrule.native.code import Function, Index


@dataclass(frozen=True)
class Parts:
    """A whole cut into `count` parts: the first `larger` ones have one more than `size`."""

    count: int
    size: int
    larger: int

    def place(self, f: Function, number: Index) -> tuple[Index, Index]:
        """Where a part begins, and its size."""
        if not self.larger:
            return f.mul(number, self.size), self.size
        start = f.add(f.mul(number, self.size), f.min(number, self.larger))
        return start, f.choose(f.compare("slt", number, self.larger), self.size + 1, self.size)

    @property
    def sizes(self) -> list[tuple[int, int]]:
        """The sizes that there are, and how many parts have each."""
        found = [(self.size + 1, self.larger), (self.size, self.count - self.larger)]
        return [(size, many) for size, many in found if many]


def evenly(whole: int, most: int) -> Parts:
    """A whole cut into as few parts as can be of at most `most`: equal ones, since narrow tiles are slow.

    >>> evenly(32, 6).sizes
    [(6, 2), (5, 4)]
    """
    count = -(-whole // most)
    return Parts(count, whole // max(count, 1), whole % max(count, 1))
