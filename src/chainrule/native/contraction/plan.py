"""How a contraction is cut: tiles, blocks that stay in a cache, what is copied first, and units of work.

Every element is a sum over k in one order, in blocks of `depth`, whatever tile it falls into and whichever thread has
it: the way the work is cut into units never changes a bit of the result.

The figures of the cost model were measured where a core multiplies two vectors a cycle and has 48 KB and 1 MB of cache
of its own; they only have to put the possible ways in the right order.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import gcd

from chainrule.native.contraction.micro import Dots, MicroKernel, Tile, Turning, chains
from chainrule.native.contraction.problem import Contraction
from chainrule.native.target import Target, whole_lines

WIDTHS = (1, 2, 3, 4, 6, 8)  # vectors in a tile's row
HIGHEST = 24  # rows in a tile
DEPTH = 1536  # k up to which it is not cut
BLOCK = 512  # k in a block, where it is
NEAR = 32 * 1024  # bytes that fit into a core's first cache
LARGE = 512 * 1024  # bytes that are too much for its second one, together with other things
CALL = 24  # cycles around a micro-kernel
KERNEL = 200  # cycles that a micro-kernel less is worth, at least
TURN = 3.0  # cycles to copy a vector of columns that have their neighbours along k
COPY = 2.0  # cycles to copy a vector as it is
SCATTER = 1.5  # cycles to read or write an element on its own


@dataclass(frozen=True)
class Plan:
    """How a contraction is computed.

    Attributes:
        axis: which axis the units of work cut, "batch", "m" or "n".
        block: how many indices along it a unit has; the last one may have fewer.
        units: how many there are.
        rows, vectors: the size of a tile.
        along: whether micro-kernels read A along k.
        copy_a: how A is copied first: "", "rows" or "panels".
        copy_b: what of B is copied first: "", "edge" (the last columns) or "all".
        m_block, n_block, depth: how much of m, n and k is worked on at a time.
        beside: panels of B that stay in the first cache together, so that tiles beside each other follow each other.
        kernels: the micro-kernels that are called; their addresses are arguments from the fourth on.
        scratch: bytes that a thread needs.
        cycles: what all units together will take, about.
    """

    axis: str
    block: int
    units: int
    rows: int
    vectors: int
    along: bool
    copy_a: str
    copy_b: str
    m_block: int
    n_block: int
    depth: int
    beside: int
    kernels: tuple[MicroKernel, ...]
    scratch: int
    cycles: float

    @property
    def arguments(self) -> int:
        """The position of the first argument that is free."""
        return 4 + len(self.kernels)

    @property
    def dots(self) -> bool:
        """Whether lanes run along k."""
        return isinstance(self.kernels[0], Dots)

    @property
    def text(self) -> str:
        """For reports: "tiles of 14 rows by 2 vectors, B packed, n cut by 64"."""
        copied = [f"{name} packed" for name, how in (("A", self.copy_a), ("B", self.copy_b == "all")) if how]
        tiles = "dot products" if self.dots else f"tiles of {self.rows} rows by {self.vectors} vectors"
        return ", ".join([tiles, *copied, f"{self.axis} cut by {self.block}"])


def plan(contraction: Contraction, target: Target, axis: str | None = None, block: int | None = None) -> Plan:
    """The best way found to compute a contraction.

    Args:
        axis: what the units are to cut, "batch", "m" or "n"; by default what copies least.
        block: indices in a unit; along n it is rounded up to whole vectors. By default about a sixteenth of the axis.
    """
    return _Planner(contraction, target, axis, block).best()


def cost(contraction: Contraction, target: Target) -> float:
    """How many cycles a contraction will take on one core, about."""
    return plan(contraction, target).cycles


class _Planner:
    def __init__(self, contraction: Contraction, target: Target, axis: str | None, block: int | None) -> None:
        self.c, self.target = contraction, target
        self.converted = contraction.compute is not contraction.dtype
        self.size = contraction.compute.itemsize
        self.lanes = target.lanes(self.size)
        self.depth = _depth(contraction.k)
        self.turns = contraction.b[1] == 1 and contraction.b[2] != 1 and contraction.n > 1
        self.strip = self._strip_cost()
        self.copy_a, self.along = self._reading_a()
        self.copy_b = self._copying_b()
        self.axis = axis or self._axis()
        self.block = -(-block // self.lanes) * self.lanes if block and self.axis == "n" else block

    def _axis(self) -> str:
        c = self.c
        if c.batch >= 8:
            return "batch"
        return "n" if c.n >= c.m or (c.n >= 2 * self.lanes and self.copy_b == "all") else "m"

    def _reading_a(self) -> tuple[str, bool]:
        """How A is copied, and whether it is then read along k.

        Copying pays where its lines fall on few sets of the caches and it is read again often.
        """
        c = self.c
        pays = c.n >= 32 * self.lanes and c.m * c.k * self.size > LARGE
        if c.a[2] == 1 or c.k == 1:
            return "rows" if self.converted or (pays and _crowded(c.a[1] * self.size)) else "", True
        if c.m == 1 and not self.converted:
            return "", False
        if c.a[1] == 1:
            crowded = c.n >= 4 * self.lanes and c.k > lines_kept(c.a[2] * self.size)
            return "panels" if self.converted or crowded else "", False
        return "rows", True

    def _copying_b(self) -> str:
        c = self.c
        if self.strip > 0:
            return "all"
        if c.m >= 32 and c.n > 2 * self.lanes and c.k > lines_kept(c.b[1] * self.size):
            return "all"
        return "edge" if c.n % self.lanes else ""

    def _strip_cost(self) -> float:
        """Cycles to copy a vector of B that has to be copied."""
        c = self.c
        if c.b[2] == 1 or c.n == 1:
            return COPY if self.converted else 0.0
        return TURN if self.turns else SCATTER * self.lanes

    def best(self) -> Plan:
        """The plan that costs least."""
        tiles = [(rows, v) for v in WIDTHS for rows in range(1, self._highest(v) + 1)]
        found = [p for rows, vectors in tiles if (p := self._tiled(rows, vectors))]
        c = self.c
        if c.m <= 8 and not self.converted and c.a[2] == 1 and self.turns:
            dots = self._plan(1, 1, (Dots(c.dtype),), self._dots_cycles())
            found += [dots] if dots else []
        return min(found, key=lambda p: p.cycles)

    def _highest(self, vectors: int) -> int:
        """Rows whose sums fit into registers, beside a row of B, a spread number and a product that waits."""
        wide, bare = self.target.vector_bytes >= 64, self.target.vector_bytes == 16 and self.target.registers == 16
        others = vectors + (0 if wide and vectors == 1 else 1) + (1 if bare else 0)
        return max(1, min((self.target.registers - others) // vectors, HIGHEST, self.c.m))

    def _tiled(self, rows: int, vectors: int) -> Plan | None:
        c = self.c
        if (vectors - 1) * self.lanes >= max(c.n, 1):
            return None
        heights = sorted({rows} if c.m % rows == 0 else {rows, c.m % rows}, reverse=True)
        widths = sorted({vectors, self._rest(vectors) or vectors}, reverse=True)
        kernels: list[MicroKernel] = [Tile(c.compute, i, j, self.along) for i in heights for j in widths]
        if self.turns:
            kernels.append(Turning(c.dtype, c.compute))
        cycles = self._cycles(rows, vectors)
        cycles += (KERNEL + cycles / 200) * len(kernels) - 4 * rows * vectors  # few kernels, and large tiles
        return self._plan(rows, vectors, tuple(kernels), cycles)

    def _plan(self, rows: int, vectors: int, kernels: tuple[MicroKernel, ...], cycles: float) -> Plan | None:
        c, width = self.c, vectors * self.lanes
        whole = {"batch": c.batch, "m": c.m, "n": c.n}[self.axis]
        tile = {"batch": 1, "m": rows, "n": width}[self.axis]
        block = self.block or -(-whole // (16 * tile)) * tile or tile
        if block < whole and block % tile:
            return None
        units = -(-whole // block) if c.batch * c.m * c.n else 0
        m_block, n_block = self._blocks(rows, width)
        made = Plan(
            self.axis, block, units, rows, vectors, self.along, self.copy_a, self.copy_b,
            m_block, n_block, self.depth, self._beside(width), kernels, 0, cycles,
        )  # fmt: skip
        if made.dots:
            made = replace(made, along=True, copy_a="", copy_b="", depth=max(c.k, 1))
        return replace(made, scratch=sum(areas(made, c, self.lanes)))

    def _blocks(self, rows: int, width: int) -> tuple[int, int]:
        """Indices along m whose part of A stays in the second cache, and along n, where B would take too much memory.

        Where k is cut, either operand is copied once for each block of the other, so that both are large.
        """
        blocked, line = self.depth < self.c.k, self.size * self.depth
        m_block = (2048 if blocked else 448) * 1024 // line // rows * rows
        n_block = (1024 if blocked else 8192) * 1024 // line // width * width
        return max(m_block, rows), max(n_block, width)

    def _beside(self, width: int) -> int:
        """Where columns are left over, these are copied for each panel anew."""
        return 1 if self.copy_b == "edge" else min(max(NEAR * 3 // 4 // (self.depth * width * self.size), 1), 8)

    def _rest(self, vectors: int) -> int:
        """Vectors in the last tile of a row, where it is narrower."""
        return -(-(self.c.n % (vectors * self.lanes)) // self.lanes)

    # Costs in cycles.

    def _cycles(self, rows: int, vectors: int) -> float:
        c = self.c
        ways = gcd(c.a[1] * self.size, 4096) / 4096 if self.along and not self.copy_a and c.k > 16 else 0.0
        far_a = self.size / 64 if c.m * self.depth * self.size > NEAR else 0.0
        far_b = 0.5 if self.depth * vectors * self.target.vector_bytes > NEAR else 0.0
        rest = self._rest(vectors)
        tiles = 0.0
        for height, count in ((rows, c.m // rows), (c.m % rows, min(c.m % rows, 1))):
            for wide, many in ((vectors, c.n // (vectors * self.lanes)), (rest, min(rest, 1))):
                step = pace(self.target, height, wide) + far_a * height + far_b * wide
                if height * ways > 8:  # rows drive each other out of the first cache
                    step *= 1.5
                tiles += count * many * (c.k * step + CALL + 2 * height * wide)
        m_block, n_block = self._blocks(rows, vectors * self.lanes)
        copies = 0.0
        if self.copy_b == "all":
            again = -(-c.m // m_block) if self.depth < c.k else 1
            copies += again * c.k * self._strips() * (self.strip or COPY)
        if self.copy_a:
            copies += -(-c.n // n_block) * c.m * c.k / self.lanes * TURN
        return c.batch * (tiles + copies) + self._stores()

    def _dots_cycles(self) -> float:
        c = self.c
        loads = 0.5 if c.k * self.target.vector_bytes <= NEAR or c.m == 1 else 1.0
        return c.batch * c.m * self._strips() * (c.k * loads + 3 * CALL) + self._stores()

    def _stores(self) -> float:
        """What is lost where C has no neighbours along n."""
        c = self.c
        return SCATTER * c.batch * c.m * c.n if c.c[2] != 1 and c.n > 1 else 0.0

    def _strips(self) -> int:
        return -(-self.c.n // self.lanes)


def pace(target: Target, rows: int, vectors: int) -> float:
    """Cycles for a k of a tile: two products or loads at a time, and sums that wait for each other.

    Without instructions that multiply by a spread number in memory, loading those costs a little more.
    """
    load = 0.5 if target.vector_bytes >= 64 else 0.61
    return max(rows * vectors / 2, (rows + vectors) * load, 4 / chains(target, rows, vectors))


def areas(p: Plan, c: Contraction, lanes: int) -> tuple[int, int, int]:
    """Bytes of a thread's memory for sums, for a piece of A and for a piece of B."""
    size, width = c.compute.itemsize, p.vectors * lanes
    m_tiles, n_tiles = -(-min(p.m_block, c.m) // p.rows), -(-min(p.n_block, c.n) // width)
    sums = p.rows * width * size
    if p.depth < c.k:
        sums *= m_tiles * n_tiles
    a = m_tiles * p.rows * row_step(p, c) if p.copy_a else 0
    b = {"all": n_tiles, "edge": 1, "": 0}[p.copy_b] * panel_size(p, c, lanes)
    return whole_lines(sums), whole_lines(a), b


def row_step(p: Plan, c: Contraction) -> int:
    """Bytes for a row of the copy of A: no power of two, and room to write a vector beyond the end."""
    return whole_lines(p.depth * c.compute.itemsize) + 64


def panel_size(p: Plan, c: Contraction, lanes: int) -> int:
    """Bytes of a panel of the copy of B."""
    return max(p.depth, lanes) * p.vectors * lanes * c.compute.itemsize


def _depth(k: int) -> int:
    """Blocks of about equal size, the last one not less than a vector."""
    if k <= DEPTH:
        return max(k, 1)
    depth = -(-k // -(-k // BLOCK) // 64) * 64
    while 0 < k % depth < 64:
        depth -= 64
    return depth


def lines_kept(step: int) -> int:
    """How many lines that are `step` bytes apart stay in a first cache of eight ways, beside other things."""
    return 6 * 4096 // gcd(step, 4096)


def _crowded(step: int) -> bool:
    """Whether lines that are `step` bytes apart fall on so few sets of a cache that they drive each other out."""
    return gcd(step, 4096) >= 512
