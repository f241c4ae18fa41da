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
from benchmarks.measure import Measurement
from benchmarks.variants import Variant
from benchmarks.workloads import THREADS, Product, Workload, save_data

COLD_ROUNDS = 2
TIMEOUT = 900
LIBRARIES = ("chainrule", "jax", "llvmlite", "numpy", "optax", "torch")
ROOT = Path(__file__).resolve().parents[1]


class Failure(Exception):
    """A process that ended without a result."""


def use_first_cores() -> None:
    """Keep this process, and those it starts, on as many cores as there are threads."""
    if sys.platform == "linux":
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:THREADS])


def environment(cache: Path, *, cold: bool) -> dict[str, str]:
    """What a process is told: threads, where to cache code, and for a cold start that the peers must not.

    OPENBLAS_CORETYPE would keep NumPy from the code that is best for this machine.
    """
    kept = {name: value for name, value in os.environ.items() if not name.startswith("OPENBLAS_")}
    threads = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
    caches = ("CHAINRULE_CACHE_DIR", "TORCHINDUCTOR_CACHE_DIR", "JAX_COMPILATION_CACHE_DIR")
    told = kept | dict.fromkeys(threads, str(THREADS)) | {name: str(cache / name.lower()) for name in caches}
    told |= {"JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0", "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1"}
    if cold:
        told |= {"TORCHINDUCTOR_FORCE_DISABLE_CACHES": "1", "JAX_ENABLE_COMPILATION_CACHE": "false"}
    return told


def output_of(module: str, *arguments: str, told: dict[str, str]) -> str:
    """The last line that a module prints in a process of its own. Raises `Failure` if it ends in an error."""
    command = [sys.executable, "-m", f"benchmarks.{module}", *arguments]
    try:
        done = subprocess.run(command, cwd=ROOT, env=told, capture_output=True, text=True, timeout=TIMEOUT, check=False)
    except subprocess.TimeoutExpired as error:
        raise Failure(f"not finished after {TIMEOUT} seconds") from error
    if done.returncode:
        lines = done.stderr.strip().splitlines() or [f"exit status {done.returncode}"]
        raise Failure(next((line for line in reversed(lines) if "Error" in line), lines[-1]))
    return done.stdout.strip().splitlines()[-1]


class Runs:
    """One workload: its data, and the processes that do it."""

    def __init__(self, workload: Workload, folder: Path, seconds: float) -> None:
        self.workload = workload
        self.folder = folder
        self.seconds = seconds
        self.data = save_data(workload, folder)

    def cold(self, variant: Variant) -> Measurement:
        """The first steps alone, with empty caches."""
        with tempfile.TemporaryDirectory(dir=self.folder) as cache:
            return self._measure(variant, Path(cache), 0.0, cold=True)

    def warm(self, variant: Variant) -> Measurement:
        """Everything, with the caches that this variant has filled before."""
        return self._measure(variant, self.folder / variant.name, self.seconds, cold=False)

    def _measure(self, variant: Variant, cache: Path, seconds: float, *, cold: bool) -> Measurement:
        arguments = variant.side, variant.mode, self.workload.name, str(self.data), str(seconds)
        return json.loads(output_of("measure", *arguments, told=environment(cache, cold=cold)))

    def peak(self) -> float:
        """The machine's float32 peak in GFLOP/s."""
        return float(output_of("peak", str(THREADS), told=environment(self.folder, cold=False)))


def compare(
    workload: Workload, variants: Sequence[Variant], rounds: int, seconds: float, tell: Callable[[str], None]
) -> Comparison:
    """All variants in turn, round after round; `tell` is told what comes next.

    A variant that fails takes no part in later rounds.
    """
    flops = workload.flops if isinstance(workload, Product) else None
    comparison = Comparison(workload.name, workload.title, flops, machine(), versions(), str(datetime.date.today()))
    comparison.results = {variant.name: Result() for variant in variants if variant.does(workload)}
    with tempfile.TemporaryDirectory() as folder:
        runs = Runs(workload, Path(folder), seconds)
        for turn in range(rounds):
            if flops:
                comparison.peak = max(comparison.peak or 0.0, runs.peak())
            for variant in variants:
                result = comparison.results.get(variant.name)
                if result is not None and result.error is None:
                    tell(f"{workload.name}: {variant.title}, round {turn + 1} of {rounds}")
                    take_turn(runs, variant, turn, result)
    return comparison


def take_turn(runs: Runs, variant: Variant, turn: int, result: Result) -> None:
    """One round of one variant: a cold start if this is one of the first rounds, and the measurement."""
    try:
        if variant.compiles and turn < COLD_ROUNDS:
            result.cold.append(runs.cold(variant)["first"])
        measured = runs.warm(variant)
    except Failure as error:
        result.error = str(error)
        return
    if not variant.compiles:
        result.cold.append(measured["first"])
    elif turn:  # the first round has filled the cache
        result.warm.append(measured["first"])
    result.windows += measured["windows"]
    result.memory = max(result.memory, measured["memory"])
    result.figures = measured["figures"]


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
