"""What the machine can do at best: arithmetic on registers alone, and reading of memory, near and far.

Measured on the threads that programs run on, once for each number of them, in about a tenth of a second.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np

from chainrule.compiler.jit import Code, build
from chainrule.compiler.machine import host_target
from chainrule.compiler.memory import aligned
from chainrule.compiler.pool import Launch, the_runner
from chainrule.compiler.runner import BARRIER, CALL, END
from chainrule.native.code import Function, Index, Module, Value
from chainrule.native.lanes import Lanes
from chainrule.native.target import Target
from chainrule.types import Array, DType, float32, float64

ITERATIONS = 100_000
REPEATS = 5
MEBIBYTE = 2**20
LEVELS = ("L1", "L2", "L3", "memory")
SIZES = (MEBIBYTE // 64, MEBIBYTE // 4, 4 * MEBIBYTE, 64 * MEBIBYTE)
"""Caches, and bytes that fit into those of almost any machine, and into none; the last ones for all threads together,
the others for each."""

PAGE = 4096
TRAFFIC = 8 * MEBIBYTE
"""Bytes that are read from caches in one measurement."""

STREAMS = 8
"""Vectors that are read in one turn, each into a sum of its own."""


@dataclass(frozen=True)
class Peaks:
    """What some threads can do together.

    Attributes:
        threads: how many.
        float32, float64: floating-point operations a second.
        bandwidths: bytes a second that are read from each of the LEVELS of memory.
    """

    threads: int
    float32: float
    float64: float
    bandwidths: tuple[float, ...]

    def arithmetic(self, wide: bool) -> float:
        """Floating-point operations a second, in float64 or float32."""
        return self.float64 if wide else self.float32

    def level(self, bytes: float) -> int:
        """The smallest level of memory that holds what each thread touches, if all together touch so many bytes."""
        fits = [bytes / self.threads <= 2 * size for size in SIZES[:-1]]
        return fits.index(True) if True in fits else len(fits)


@functools.cache
def peaks(threads: int) -> Peaks:
    """What so many threads can do together; measured when it is first asked for."""
    target = host_target()
    code = build([_sums(float32, target), _sums(float64, target), _reading(target)], list(NAMES), target)
    sizes = (*SIZES[:-1], max(SIZES[-1] // threads // PAGE * PAGE, SIZES[-2]))
    data = aligned(threads * sizes[-1] // 8, np.float64).reshape(threads, -1)
    data[...] = 1.0  # written, so that it is there

    def best(name: str, count: int, size: int, work: float) -> float:
        arguments = [np.array([data[i].ctypes.data, size], np.int64) for i in range(threads)]
        return max(_rate(code, name, count, arguments, work) for _ in range(REPEATS))

    operations = 2 * ITERATIONS * _chains(target)
    passes = [max(TRAFFIC // size, 1) for size in sizes]
    return Peaks(
        threads,
        best(NAMES[0], ITERATIONS, 0, operations * target.lanes(4)),
        best(NAMES[1], ITERATIONS, 0, operations * target.lanes(8)),
        tuple(best(NAMES[2], n, size, n * size) for n, size in zip(passes, sizes, strict=True)),
    )


NAMES = ("peak_f32", "peak_f64", "peak_reading")


def _rate(code: Code, name: str, count: int, arguments: list[Array], work: float) -> float:
    """Work a second of all threads, who start together."""
    begin = [BARRIER] if len(arguments) > 1 else []
    tables = [np.array([*begin, CALL, code[name], x.ctypes.data, 0, count, END], np.int64) for x in arguments]
    counters = [np.zeros(len(table), np.int64) for table in tables]
    Launch([x.ctypes.data for x in tables]).profiled([x.ctypes.data for x in counters])
    ticks = [int(x[len(begin)]) for x in counters]
    return sum(work / max(t, 1) for t in ticks) * the_runner().ticks_per_second()


def _chains(target: Target) -> int:
    """Sums at the same time: more than an addition takes cycles, and as many as fit into registers."""
    return target.registers * 3 // 4


def _sums(dtype: DType, target: Target) -> str:
    """Sums in registers, each of whose steps multiplies and adds."""
    module = Module(NAMES[0] if dtype is float32 else NAMES[1], target)
    with module.kernel() as f:
        v = Lanes(f, target.lanes(dtype.itemsize))
        x = v.load(dtype, f.pointer(0))
        half = v.multiply(x, 0.5)
        with f.loop(f.begin, f.end, carried=[x] * _chains(target)) as loop:
            loop.next = [v.fma(a, half, half) if target.has_fma else a * half + half for a in loop.values]
        _keep(f, v, loop.results)
    return module.text()


def _reading(target: Target) -> str:
    """Reads all of its memory, as often as asked."""
    module = Module(NAMES[2], target)
    with module.kernel() as f:
        v = Lanes(f, target.lanes(4))
        zero = v.constant(float32, 0.0)

        def read(start: Index, sums: list[Value]) -> list[Value]:
            return [a + v.load(float32, f.pointer(0), f.add(start, i * v.count)) for i, a in enumerate(sums)]

        turn = STREAMS * v.count
        with f.loop(f.begin, f.end, carried=[zero] * STREAMS) as passes:
            with f.loop(0, f.div(f.integer(1), 4), turn, carried=passes.values) as loop:
                loop.next = read(loop.index, loop.values)
            passes.next = loop.results
        _keep(f, v, passes.results)
    return module.text()


def _keep(f: Function, v: Lanes, values: list[Value]) -> None:
    """Use values, so that they are not left out."""
    memory = f.stack(len(values) * 64)
    for i, x in enumerate(values):
        f.line(f"store volatile {x}, {f.at(memory, i, 64)}, align {x.dtype.itemsize}")
