"""Time one side in a process of its own: python -m benchmarks.measure SIDE MODE SECONDS COMPARED WORKLOAD=DATA ...

Prints a line of JSON for each workload: seconds of the first call, figures to compare with other sides, seconds a step
in several windows, and peak memory; or the error that there was.
"""

from __future__ import annotations

import importlib
import json
import resource
import sys
import time
from pathlib import Path
from typing import TypedDict

from benchmarks.work import Work
from benchmarks.workloads import WORKLOADS, load_data

WINDOWS = 5
PATIENCE = 3
"""How many times the wanted time a measurement may last before it is content with fewer windows."""


class Measured(TypedDict, total=False):
    """What is printed of a workload: the error, or all else."""

    error: str
    first: float
    figures: list[float]
    windows: list[float]
    memory: int


def measure(work: Work, compared: int | None, seconds: float) -> Measured:
    """Time the first call, keep the figures of the first steps (or all of one call), then time many steps."""
    started = time.perf_counter()
    figures = work.numbers(work.call()).tolist()
    first = time.perf_counter() - started
    while compared and len(figures) < compared:
        figures += work.numbers(work.call()).tolist()
    windows = timed(work, seconds) if seconds else []
    return Measured(first=first, figures=figures[:compared], windows=windows, memory=peak_memory())


def timed(work: Work, seconds: float) -> list[float]:
    """Seconds a step in each window; the first window only tells how many calls fill one."""
    span = seconds / WINDOWS
    calls, windows = 1, []
    begun = time.perf_counter()
    while True:
        started = time.perf_counter()
        for _ in range(calls - 1):
            work.call()
        last = work.call()
        work.wait(last)
        now = time.perf_counter()
        taken = now - started
        if not windows and taken < span / 2:
            calls = max(2 * calls, min(10 * calls, round(calls * span / taken)))
            continue
        windows.append(taken / (calls * work.steps))
        if len(windows) > WINDOWS or (len(windows) > 1 and now - begun > PATIENCE * seconds):
            return windows[1:]


def peak_memory() -> int:
    """Most bytes that this process has held. Linux counts it afresh for a new program only in /proc."""
    status = Path("/proc/self/status")
    if status.exists():
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) * 1024
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def main() -> None:
    side, mode, seconds, compared, *workloads = sys.argv[1:]
    module = importlib.import_module(f"benchmarks.sides.{side}_side")
    for name, data in (pair.split("=", 1) for pair in workloads):
        workload = WORKLOADS[name]
        steps = int(compared) if workload.kind == "network" else None
        try:
            work = getattr(module, workload.kind)(mode, workload, load_data(Path(data)))
            measured = measure(work, steps, float(seconds))
        except Exception as error:
            words = str(error).strip().splitlines() or [""]
            measured = Measured(error=f"{type(error).__name__}: {words[0]}")
        print(json.dumps(measured), flush=True)


if __name__ == "__main__":
    main()
