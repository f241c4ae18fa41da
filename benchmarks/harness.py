"""Run all variants in turn, each time in a new process, several rounds: whatever slows the machine slows all alike."""

from __future__ import annotations

import datetime
import json
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from importlib.metadata import version
from pathlib import Path

from benchmarks.comparison import Comparison, Result
from benchmarks.measure import Measured
from benchmarks.variants import Variant
from benchmarks.workloads import THREADS, Workload, save_data

STEPS_COMPARED = 20
TIMEOUT = 900
LIBRARIES = ("chainrule", "jax", "llvmlite", "numpy", "optax", "torch")
ROOT = Path(__file__).resolve().parents[1]


class Failure(Exception):
    """A process that ended without a result."""


def use_first_cores() -> None:
    """Keep this process, and those it starts, on as many cores as there are threads."""
    if sys.platform == "linux":
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:THREADS])


def environment(cache: Path) -> dict[str, str]:
    """What a process is told: threads, and where to cache code.

    OPENBLAS_CORETYPE would keep NumPy from the code that is best for this machine.
    """
    kept = {name: value for name, value in os.environ.items() if not name.startswith("OPENBLAS_")}
    threads = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
    caches = ("CHAINRULE_CACHE_DIR", "TORCHINDUCTOR_CACHE_DIR", "JAX_COMPILATION_CACHE_DIR")
    told = kept | dict.fromkeys(threads, str(THREADS)) | {name: str(cache / name.lower()) for name in caches}
    told |= {"JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0", "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1"}
    return told


def output_of(module: str, *arguments: str, told: dict[str, str]) -> list[str]:
    """The lines that a module prints in a process of its own. Raises `Failure` if it ends in an error."""
    command = [sys.executable, "-m", f"benchmarks.{module}", *arguments]
    try:
        done = subprocess.run(command, cwd=ROOT, env=told, capture_output=True, text=True, timeout=TIMEOUT, check=False)
    except subprocess.TimeoutExpired as error:
        raise Failure(f"not finished after {TIMEOUT} seconds") from error
    if done.returncode:
        lines = done.stderr.strip().splitlines() or [f"exit status {done.returncode}"]
        raise Failure(next((line for line in reversed(lines) if "Error" in line), lines[-1]))
    return done.stdout.strip().splitlines()


class Runs:
    """Some workloads: their data, and the processes that do them."""

    def __init__(self, workloads: Sequence[Workload], folder: Path, seconds: float) -> None:
        self.folder = folder
        self.seconds = seconds
        self.data = {workload.name: save_data(workload, folder) for workload in workloads}

    def measure(self, variant: Variant, names: Sequence[str], compared: int) -> dict[str, Measured]:
        """By workload, with the caches that this variant has filled before. All share the error that ends a process."""
        work = [f"{name}={self.data[name]}" for name in names]
        arguments = variant.side, variant.mode, str(self.seconds), str(compared), *work
        try:
            lines = output_of("measure", *arguments, told=environment(self.folder / variant.name))
        except Failure as error:
            return {name: Measured(error=str(error)) for name in names}
        return dict(zip(names, map(json.loads, lines[-len(names) :]), strict=True))

    def peak(self) -> float:
        """The machine's float32 peak in GFLOP/s."""
        return float(output_of("peak", str(THREADS), told=environment(self.folder))[-1])


def compare(
    workloads: Sequence[Workload], variants: Sequence[Variant], rounds: int, seconds: float, tell: Callable[[str], None]
) -> list[Comparison]:
    """All variants in turn, round after round; `tell` is told what comes next.

    Several workloads share a process. A variant that fails takes no part in later rounds.
    """
    comparisons = [started(workload, variants) for workload in workloads]
    with tempfile.TemporaryDirectory() as folder:
        runs = Runs(workloads, Path(folder), seconds)
        for turn in range(rounds):
            peak = runs.peak()
            for comparison in comparisons:
                comparison.peak = max(comparison.peak or 0.0, peak)
            for variant in variants:
                own = {x.name: x.results[variant.name] for x in comparisons if variant.name in x.results}
                own = {name: result for name, result in own.items() if result.error is None}
                if own:
                    tell(f"{', '.join(own)}: {variant.title}, round {turn + 1} of {rounds}")
                    for name, measured in runs.measure(variant, list(own), 0 if turn else STEPS_COMPARED).items():
                        note(own[name], measured, warm=variant.compiles and turn > 0)
    return comparisons


def started(workload: Workload, variants: Sequence[Variant]) -> Comparison:
    """A comparison without results yet, of the variants that do the workload."""
    results = {variant.name: Result() for variant in variants if variant.does(workload)}
    return Comparison(
        workload.name,
        workload.title,
        workload.kind,
        workload.flops,
        machine(),
        versions(),
        str(datetime.date.today()),
        tolerance=workload.tolerance,
        results=results,
    )


def note(result: Result, measured: Measured, *, warm: bool) -> None:
    """Add what was measured in a round: with the caches of an earlier one, or else in a cold start."""
    if "error" in measured:
        result.error = measured["error"]
        return
    (result.warm if warm else result.cold).append(measured["first"])
    result.windows += measured["windows"]
    result.memory = max(result.memory, measured["memory"])
    result.figures = result.figures or measured["figures"]


def machine() -> str:
    """The processor and the threads used, in words."""
    return f"{processor()}, {THREADS} threads, {platform.system()}"


def processor() -> str:
    """Its name, as far as the system tells."""
    return next(names_in(Path("/proc/cpuinfo")), platform.processor() or platform.machine())


def names_in(path: Path) -> Iterator[str]:
    if path.exists():
        for line in path.read_text(encoding="utf-8").splitlines():
            key, _, value = line.partition(":")
            if key.strip() == "model name":
                yield value.strip()


def versions() -> dict[str, str]:
    """Of Python and the libraries."""
    return {"python": platform.python_version(), **{name: version(name) for name in LIBRARIES}}
