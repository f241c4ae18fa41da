"""Time one side at one workload, in a process of its own: python -m benchmarks.measure SIDE MODE WORKLOAD DATA SECONDS.

Prints one line of JSON: seconds of the first call, figures to compare with other sides, seconds a step in several
windows, and peak memory.
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
from benchmarks.workloads import WORKLOADS, Network, load_data

STEPS_COMPARED = 20
WINDOWS = 5


class Measurement(TypedDict):
    first: float
    figures: list[float]
    windows: list[float]
    memory: int


def measure(work: Work, compared: int | None, seconds: float) -> Measurement:
    """Time the first call, keep the figures of the first steps (or all of one call), then time many steps."""
    started = time.perf_counter()
    figures = work.numbers(work.call()).tolist()
    first = time.perf_counter() - started
    while compared and len(figures) < compared:
        figures += work.numbers(work.call()).tolist()
    windows = timed(work, seconds) if seconds else []
    return Measurement(first=first, figures=figures[:compared], windows=windows, memory=peak_memory())


def timed(work: Work, seconds: float) -> list[float]:
    """Seconds a step in each window; the first window only tells how many calls fill one."""
    span = seconds / WINDOWS
    calls, windows = 1, []
    while True:
        started = time.perf_counter()
        for _ in range(calls - 1):
            work.call()
        last = work.call()
        work.wait(last)
        taken = time.perf_counter() - started
        if not windows and taken < span / 2:
            calls = max(2 * calls, min(10 * calls, round(calls * span / taken)))
            continue
        windows.append(taken / (calls * work.steps))
        if len(windows) > WINDOWS:
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
    side, mode, name, data, seconds = sys.argv[1:]
    workload = WORKLOADS[name]
    module = importlib.import_module(f"benchmarks.sides.{side}_side")
    is_network = isinstance(workload, Network)
    work = (module.network if is_network else module.product)(mode, workload, load_data(Path(data)))
    print(json.dumps(measure(work, STEPS_COMPARED if is_network else None, float(seconds))))


if __name__ == "__main__":
    main()
