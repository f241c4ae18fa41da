"""Compare compiled code with the interpreter on random programs: see `make fuzz`."""

from __future__ import annotations

import argparse
import itertools
import os
import queue
import random
import sys
import threading
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from tests.fuzz.cases import case_of
from tests.fuzz.printing import text_of
from tests.fuzz.shrinking import shrunk
from tests.fuzz.workers import Worker

TARGETS = ("host", "host", "x86-64-v3", "x86-64-v2")
SHOWN = 8


def main() -> int:
    """Run so many cases, show what failed, and return whether anything did."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("count", nargs="?", type=int, default=5000, help="number of programs")
    parser.add_argument("--target", help="compile for this processor; by default for each kind in turn")
    parser.add_argument("--seed", type=int, help="the number of the first program; by default a random one")
    parser.add_argument("--jobs", type=int, default=len(os.sched_getaffinity(0)), help="number of processes")
    parser.add_argument("--as-is", action="store_true", help="do not make failing programs smaller")
    parser.add_argument("--folder", type=Path, default=Path("runs/fuzz"), help="where failing programs are written")
    asked = parser.parse_args()
    first = random.SystemRandom().randrange(10**9) if asked.seed is None else asked.seed
    seeds, failures = queue.SimpleQueue[int](), list[tuple[int, str, str]]()
    for seed in range(first, first + asked.count):
        seeds.put(seed)
    console = Console()
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console) as progress:
        task = progress.add_task(f"programs from {first} on", total=asked.count)

        def work() -> None:
            with Worker() as worker:
                while True:
                    try:
                        seed = seeds.get_nowait()
                    except queue.Empty:
                        return
                    target = asked.target or TARGETS[seed % len(TARGETS)]
                    wrong = worker.run(seed=seed, target=target)
                    if wrong is not None:
                        failures.append((seed, target, wrong))
                        console.print(f"{seed} for {target}: {wrong[:600]}", markup=False, highlight=False)
                    progress.advance(task)

        threads = [threading.Thread(target=work, daemon=True) for _ in range(asked.jobs)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    folder: Path = asked.folder
    folder.mkdir(parents=True, exist_ok=True)
    for seed, target, _ in itertools.islice(sorted(failures), 0 if asked.as_is else SHOWN):
        path = folder / f"fuzz_{seed}_{target}.py"
        path.write_text(smaller(seed, target), encoding="utf-8")
        console.print(f"the program of {seed} for {target}, made smaller: {path}", soft_wrap=True)
    console.print(f"{len(failures)} of {asked.count} programs failed: {sorted(seed for seed, _, _ in failures)[:100]}")
    return 1 if failures else 0


def smaller(seed: int, target: str) -> str:
    """A failing program as a test, as small as it can be made."""
    with Worker() as worker:
        found = shrunk(case_of(seed), lambda case: worker.run(text=text_of(case), target=target) is not None)
        wrong = worker.run(text=text_of(found), target=target)
    return f'{text_of(found)}\n\n# {str(wrong)[:400]!r}\ntest_found_by_fuzzing("{target}")\n'


if __name__ == "__main__":
    sys.exit(main())
