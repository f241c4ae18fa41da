"""What a function was compiled to, as a table: its kernels in order, its loops, and its memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from chainrule.compiler.blueprint import VARIABLE, Blueprint, Call, Repeat

MOST_COLUMNS = 48
"""A longer description is cut in the table."""

KERNEL_HEADER = ("", "#", "phase", "kind", "computes", "shape", "FLOPs", "bytes", "units", "source")


@dataclass(frozen=True)
class Kernel:
    """A kernel of a compiled function, or several equal ones in a row.

    Attributes:
        number: its place in the program, from 1 on.
        phase: threads meet between phases, not within them.
        kind: "product" (of matrices), "rows" (loops with reductions), "map" (without), "copy", or "native" (loops of
            its own, such as a convolution).
        computes: the operations in it.
        updates: the names of tensors from outside that it gives new values.
        shape: what it runs over; of a product rows, summands and columns, "32x64x30".
        plan: how a product is cut into tiles and units, and what is copied first.
        flops, bytes: floating-point operations, and bytes read and written at least, in one run of one of them.
        wide: whether it computes in float64.
        units: into how many pieces its work is cut, to share it among threads.
        source: the user's line.
        code: the name of its code; kernels of the same name share it.
        count: how many there are in a row.
        times: how often loops run it in one run, of an epoch in one step.
        depth: how many loops it is in.
    """

    number: int
    phase: int
    kind: str
    computes: str
    updates: tuple[str, ...]
    shape: str
    plan: str
    flops: int
    bytes: int
    wide: bool
    units: int
    source: str
    code: str
    count: int = 1
    times: int = 1
    depth: int = 0

    @property
    def title(self) -> str:
        """What it computes, and what it updates, in a few words."""
        return _cut(self.computes, self.updates)

    def is_like(self, other: Kernel) -> bool:
        """Whether two kernels differ only in their place and in which tensors they update."""
        return other == replace(self, number=other.number, phase=other.phase, count=other.count, updates=other.updates)


@dataclass(frozen=True)
class Loop:
    """A loop over the kernels that stand below it and deeper: one of `scan`, or an epoch, whose `count` is -1."""

    count: int
    depth: int


@dataclass(frozen=True)
class KernelTable:
    """The kernels of a compiled function, and its memory; `str()` makes a readable table.

    Attributes:
        rows: kernels in order, with loops before what is in them.
        barriers: how often threads meet in one run.
        arena: bytes that all intermediate tensors share.
        tensors: bytes that they would take without sharing.
        constants: bytes of constants.
        scratch: bytes that every thread has for itself.
    """

    rows: tuple[Kernel | Loop, ...]
    barriers: int
    arena: int
    tensors: int
    constants: int
    scratch: int

    def __iter__(self) -> Iterator[Kernel]:
        return (row for row in self.rows if isinstance(row, Kernel))

    def __len__(self) -> int:
        """How many kernels there are; equal ones count each."""
        return sum(kernel.count for kernel in self)

    @property
    def distinct(self) -> int:
        """How many differ in their code."""
        return len({kernel.code for kernel in self})

    def __str__(self) -> str:
        lines = [KERNEL_HEADER, *(_line(row) for row in self.rows)]
        memory = f"arena of {magnitude(self.arena)}B for tensors of {magnitude(self.tensors)}B"
        if self.constants:
            memory += f", constants of {magnitude(self.constants)}B"
        if self.scratch:
            memory += f", {magnitude(self.scratch)}B for each thread"
        counted = f"{_many(len(self), 'kernel')} ({self.distinct} distinct), {_many(self.barriers, 'barrier')}"
        return f"{aligned_columns(lines, '<>><<<>>><')}\n\n{counted}\nmemory: {memory}"

    __repr__ = __str__


def kernel_table(blueprint: Blueprint, names: Sequence[str]) -> KernelTable:
    """The table of a program whose parameters have these names."""
    rows = [row for row, _ in kernels_of(blueprint, names)]
    joined: list[Kernel | Loop] = []
    for row in rows:
        last = joined[-1] if joined else None
        if isinstance(row, Kernel) and isinstance(last, Kernel) and row.is_like(last):
            joined[-1] = replace(last, count=last.count + 1)
        else:
            joined.append(row)
    memory = blueprint.memory
    constants = sum(x.nbytes for x in blueprint.constants)
    return KernelTable(
        tuple(joined), _barriers(blueprint.calls), memory.size, memory.total, constants, blueprint.scratch
    )


def kernels_of(blueprint: Blueprint, names: Sequence[str]) -> list[tuple[Kernel | Loop, Call | Repeat]]:
    """All kernels and loops in order, each with what it stands for."""
    found: list[tuple[Kernel | Loop, Call | Repeat]] = []
    number = 0

    def visit(calls: Sequence[Call | Repeat], times: int, depth: int) -> None:
        nonlocal number
        for call in calls:
            if isinstance(call, Repeat):
                found.append((Loop(call.count, depth), call))
                visit(call.calls, times * max(call.count, 1), depth + 1)  # of an epoch one step
                continue
            number += 1
            about = call.effort
            # The forward pass meets a weight before the optimizer meets what it keeps for it: hence its name is first.
            updates = tuple(names[i] for i in sorted(call.updates))
            made = Kernel(
                number, call.phase, about.kind, about.title, updates, about.shape, about.plan, about.flops,
                about.bytes, about.wide, call.units, call.source, call.kernel, 1, times, depth,
            )  # fmt: skip
            found.append((made, call))

    visit(blueprint.calls, 1, 0)
    return found


def _barriers(calls: Sequence[Call | Repeat]) -> int:
    """How often several threads meet; in an epoch, in each of its steps."""
    found, phase = 0, calls[0].phase if calls else 0
    for call in calls:
        found += call.phase != phase
        phase = call.phase
        if isinstance(call, Repeat):
            found += 1 + (_barriers(call.calls) + 1) * (1 if call.count == VARIABLE else call.count)
    return found


def _line(row: Kernel | Loop) -> tuple[str, ...]:
    if isinstance(row, Loop):
        often = "each step of an epoch" if row.count == VARIABLE else f"{row.count:,} times"
        return ("", "", "", "", f"{'  ' * row.depth}{often}:", *[""] * 5)
    return (
        f"{row.count} x" if row.count > 1 else "",
        str(row.number),
        str(row.phase),
        row.kind,
        "  " * row.depth + row.title,
        row.shape,
        magnitude(row.flops),
        f"{magnitude(row.bytes)}B",
        str(row.units),
        row.source,
    )


def _cut(computes: str, updates: tuple[str, ...]) -> str:
    """The operations, as many as there is room for, and the tensors that are updated."""
    more = f" (+{len(updates) - 1})" if len(updates) > 1 else ""
    result = f" -> {updates[0]}{more}" if updates else ""
    room = MOST_COLUMNS - len(result)
    return (computes if len(computes) <= room else computes[: room - 3].rsplit(" ", 1)[0] + " ...") + result


def magnitude(number: float) -> str:
    """A number with three digits and the prefix of its unit.

    >>> magnitude(102_891_520), magnitude(28), magnitude(0)
    ('103 M', '28 ', '0 ')
    """
    for prefix, unit in (("T", 1e12), ("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if number >= 0.9995 * unit:
            return f"{three_digits(number / unit)} {prefix}"
    return f"{number:.3g} "


def three_digits(number: float) -> str:
    """A number from 1 to 999 with three digits.

    >>> three_digits(1.234), three_digits(99.96), three_digits(100)
    ('1.23', '100', '100')
    """
    return f"{number:.{2 if number < 9.995 else 1 if number < 99.95 else 0}f}"


def aligned_columns(lines: Sequence[Sequence[str]], alignment: str) -> str:
    """Lines as a table, each column as wide as needed and aligned by "<" or ">"; the first line is its head."""
    widths = [max(len(line[i]) for line in lines) for i in range(len(alignment))]
    kept = [i for i, width in enumerate(widths) if width]
    return "\n".join("  ".join(f"{line[i]:{alignment[i]}{widths[i]}}" for i in kept).rstrip() for line in lines)


def _many(count: int, what: str) -> str:
    return f"{count:,} {what}{'' if count == 1 else 's'}"
