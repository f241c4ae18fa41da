"""Where the time of a compiled function goes: kernel by kernel, beside what the machine could do at best.

The roofline model of Williams, Waterman and Patterson (2009, *Roofline: An Insightful Visual Performance Model*): a
kernel that does F operations on B bytes takes at least max(F / peak arithmetic, B / peak bandwidth).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from chainrule.compiler.peak import LEVELS, Peaks, peaks
from chainrule.compiler.pool import Launch, the_runner
from chainrule.compiler.program import Program
from chainrule.compiler.report import Kernel, aligned_columns, kernels_of, magnitude, three_digits
from chainrule.compiler.roofline import Dot, roofline
from chainrule.compiler.runner import END
from chainrule.compiler.threads import get_threads
from chainrule.types import Array

BUDGET = 0.5
"""Seconds in which a profile repeats a function, if not told how often."""

FEWEST, MOST = 5, 200

SHOWN = 0.01
"""Kernels of a kind of floats that take so much of the time make its peak appear in the picture."""

HEADER = ("", "kind", "computes", "shape", "FLOPs", "bytes", "time", "share", "of peak", "bound by", "source")


@dataclass(frozen=True)
class Timing:
    """A kernel, or all that are equal and come from the same line, and their time.

    Attributes:
        kernel: what it does; `count` says how many there are.
        seconds: how long all of them take in one run, on average over the threads.
        share: of the time of all kernels and of waiting.
        flops, bytes: of all of them in one run.
        peak: how near they come to the machine's peak: 1 is as fast as it can be.
        bound: what bounds them, "float32", "float64" or one of the levels of memory; empty if they neither compute
            floats nor move anything.
    """

    kernel: Kernel
    seconds: float
    share: float
    flops: int
    bytes: int
    peak: float
    bound: str


@dataclass(frozen=True)
class Profile:
    """What a compiled function spends its time on; `str()` makes a table, `draw()` a picture.

    Attributes:
        rows: kernels, those that take longest first.
        waiting: seconds that threads wait for each other in one run, on average.
        seconds: what a run takes from start to end without being measured inside.
        repeats: how often it was run.
        peaks: what the machine does at best on as many threads.
    """

    rows: tuple[Timing, ...]
    waiting: float
    seconds: float
    repeats: int
    peaks: Peaks

    def __iter__(self) -> Iterator[Timing]:
        return iter(self.rows)

    def __len__(self) -> int:
        return len(self.rows)

    def __str__(self) -> str:
        lines = [HEADER, *(_line(row) for row in self.rows)]
        if self.waiting:
            total = sum(row.seconds for row in self.rows) + self.waiting
            lines.append(("", "", "waiting", "", "", "", _time(self.waiting), f"{self.waiting / total:.1%}", *[""] * 3))
        threads = f"{self.peaks.threads} thread{'s' if self.peaks.threads > 1 else ''}"
        flops = sum(row.flops for row in self.rows)
        return "\n".join(
            [
                aligned_columns(lines, "><<<>>>>><<"),
                "",
                f"one run: {_time(self.seconds)} on {threads} (middle of {self.repeats}), "
                f"{magnitude(flops)}FLOPs, {magnitude(flops / self.seconds)}FLOP/s",
                f"peaks: {_peaks(self.peaks)}",
            ]
        )

    __repr__ = __str__

    def draw(self, title: str = "") -> str:
        """The roofline as the text of an SVG file: what is attainable, and a dot for each kernel.

        Upwards is faster. A dot is the larger the more of the time its kernels take; where the pointer rests, it tells
        which they are. Kernels without arithmetic have no place in it.
        """
        dots = [
            Dot(
                f"{row.kernel.computes.split()[0]} {row.kernel.shape}",
                row.kernel.kind,
                row.flops / row.bytes,
                row.flops / row.seconds,
                row.share,
                f"{row.kernel.title}\n{row.kernel.shape}, {row.kernel.source}\n"
                f"{_time(row.seconds)}, {row.share:.1%} of the time, {row.peak:.0%} of peak ({row.bound})",
            )
            for row in self.rows
            if row.flops and row.bytes and row.seconds
        ]
        wide = sum(row.share for row in self.rows if row.kernel.wide)
        narrow = sum(row.share for row in self.rows if not row.kernel.wide)
        arithmetic = [("float64", self.peaks.float64)] if wide > SHOWN else []
        if narrow > SHOWN or not arithmetic:
            arithmetic.append(("float32", self.peaks.float32))
        memory = list(zip(LEVELS, self.peaks.bandwidths, strict=True))
        return roofline(dots, arithmetic, memory, title or f"Roofline, {_time(self.seconds)} a run")


def profiled(program: Program, names: Sequence[str], prepare: Callable[[], None], repeats: int | None) -> Profile:
    """Run a program again and again, and measure.

    Args:
        names: of its parameters.
        prepare: is called before each run, and is not measured.
        repeats: how often; by default as often as about half a second allows.
    """
    threads, second = get_threads(), the_runner().ticks_per_second()
    tables = program.on(threads)
    found = [(kernel, call) for kernel, call in kernels_of(program.blueprint, names) if isinstance(kernel, Kernel)]
    position = {id(call): i for i, (_, call) in enumerate(found)}
    words = [np.array([word for word, _ in sites], np.int64) for sites in tables.sites]
    which = [np.array([position[id(call)] for _, call in sites], np.int64) for sites in tables.sites]
    counters = [np.zeros(size, np.int64) for size in tables.sizes]
    addresses = [x.ctypes.data for x in counters]

    nothing = np.array([END], np.int64)
    wake = Launch([nothing.ctypes.data] * threads)

    def run(measured: bool) -> float:
        prepare()
        wake()  # so that nobody is asleep, as in training, where one step follows the other
        started = time.perf_counter()
        program.measured(threads, addresses if measured else ())
        return time.perf_counter() - started

    warm = min(run(False), run(True), run(False))
    count = repeats or int(min(max(BUDGET / 2 / max(warm, 1e-6), FEWEST), MOST))
    whole, waiting, spent = np.zeros(count), np.zeros(count), np.zeros((count, len(found)))
    for i in range(count):
        for x in counters:
            x[:] = 0
        whole[i] = run(False)
        run(True)
        for counter, at, kernel in zip(counters, words, which, strict=True):
            spent[i] += np.bincount(kernel, counter[at], len(found))
            waiting[i] += counter.sum() - counter[at].sum()
    seconds = _middle(spent) / second / threads
    kernels = [(kernel, float(s)) for (kernel, _), s in zip(found, seconds, strict=True)]
    waited, best = float(_middle(waiting)) / second / threads, peaks(threads)
    return Profile(_timings(kernels, waited, best), waited, float(_middle(whole)), count, best)


def _middle(measured: Array) -> Array:
    """The mean of the middle half of all runs: like the median, but finer than the steps of the clock."""
    ordered, quarter = np.sort(measured, axis=0), len(measured) // 4
    return ordered[quarter : len(measured) - quarter].mean(axis=0)


def _timings(kernels: Sequence[tuple[Kernel, float]], waiting: float, best: Peaks) -> tuple[Timing, ...]:
    """Equal kernels together, those that take longest first."""
    alike: dict[tuple[object, ...], list[tuple[Kernel, float]]] = {}
    for kernel, seconds in kernels:
        key = (kernel.code, kernel.kind, kernel.shape, kernel.source, kernel.times, kernel.flops, kernel.bytes)
        alike.setdefault(key, []).append((kernel, seconds))
    total = max(sum(seconds for _, seconds in kernels) + waiting, 1e-12)
    made: list[Timing] = []
    for group in alike.values():
        first, seconds = group[0][0], sum(s for _, s in group)
        times = len(group) * first.times
        flops, moved = first.flops * times, first.bytes * times
        bound, least = _least(first, best)
        peak = least * times / seconds if seconds else 0.0
        made.append(Timing(replace(first, count=len(group)), seconds, seconds / total, flops, moved, peak, bound))
    return tuple(sorted(made, key=lambda row: -row.seconds))


def _least(kernel: Kernel, best: Peaks) -> tuple[str, float]:
    """What bounds a kernel, and how many seconds it takes at least."""
    level = best.level(kernel.bytes)
    moving = kernel.bytes / best.bandwidths[level]
    computing = kernel.flops / best.arithmetic(kernel.wide)
    if computing > moving:
        return "float64" if kernel.wide else "float32", computing
    return (LEVELS[level] if moving else ""), moving


def _line(row: Timing) -> tuple[str, ...]:
    kernel = row.kernel
    return (
        f"{kernel.count} x" if kernel.count > 1 else "",
        kernel.kind,
        kernel.title,
        kernel.shape,
        magnitude(row.flops),
        f"{magnitude(row.bytes)}B",
        _time(row.seconds),
        f"{row.share:.1%}",
        f"{row.peak:.0%}",
        row.bound,
        kernel.source,
    )


def _time(seconds: float) -> str:
    for unit, size in (("s", 1.0), ("ms", 1e-3), ("us", 1e-6)):
        if seconds >= 0.9995 * size:
            return f"{three_digits(seconds / size)} {unit}"
    return f"{seconds * 1e9:.0f} ns"


def _peaks(best: Peaks) -> str:
    memory = ", ".join(f"{level} {magnitude(x)}B/s" for level, x in zip(LEVELS, best.bandwidths, strict=True))
    return f"float32 {magnitude(best.float32)}FLOP/s, float64 {magnitude(best.float64)}FLOP/s, {memory}"
