"""What the machine can do for which code is made: its name for the compiler, vector width and registers."""

from __future__ import annotations

from dataclasses import dataclass

from chainrule.errors import DefinitionError

LINE = 64
"""Bytes that caches and memory move together."""


def whole_lines(size: int) -> int:
    """Bytes, rounded up to whole lines."""
    return -(-size // LINE) * LINE


@dataclass(frozen=True)
class Target:
    """A kind of processor.

    Attributes:
        cpu: its name in LLVM.
        features: what it can do, in LLVM's notation, "+avx2,-avx512f,...".
        vector_bytes: size of a vector register.
        registers: number of vector registers.
    """

    cpu: str
    features: str
    vector_bytes: int
    registers: int

    def lanes(self, itemsize: int) -> int:
        """How many elements of a size a vector register holds."""
        return self.vector_bytes // itemsize

    @property
    def has_fma(self) -> bool:
        """Whether it multiplies and adds with one rounding: AVX2 came with it, and every NEON has it."""
        return self.vector_bytes > 16 or self.registers == 32


def target_of(cpu: str, features: str) -> Target:
    """A target with the vector width that follows from its features; at least SSE2 or NEON is assumed."""
    wide = {name[1:] for name in features.split(",") if name.startswith("+")}
    if "avx512f" in wide and "avx512vl" in wide and "avx512bw" in wide and "avx512dq" in wide:
        return Target(cpu, features, 64, 32)
    if "avx2" in wide:
        return Target(cpu, features, 32, 16)
    return Target(cpu, features, 16, 32 if "neon" in wide else 16)


LEVELS: dict[str, Target] = {
    "x86-64-v2": Target("x86-64-v2", "", 16, 16),
    "x86-64-v3": Target("x86-64-v3", "", 32, 16),
    "x86-64-v4": Target("x86-64-v4", "", 64, 32),
}
"""Plain processors that code can be made for on any x86-64 machine that has at least their abilities."""


def named_target(name: str) -> Target:
    """One of `LEVELS`. Raises `DefinitionError` for another name."""
    if name not in LEVELS:
        raise DefinitionError(f"no target is called {name!r}; there are 'host', {', '.join(map(repr, LEVELS))}")
    return LEVELS[name]
