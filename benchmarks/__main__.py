"""The command line: python -m benchmarks [--workload NAME] [--peer NAME] ..., or make bench WORKLOAD=NAME PEER=NAME."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from rich.console import Console

from benchmarks.comparison import Comparison, load, save
from benchmarks.harness import compare, use_first_cores
from benchmarks.picture import picture
from benchmarks.report import LEGEND, markdown, tables
from benchmarks.variants import VARIANTS, chosen
from benchmarks.workloads import WORKLOADS

RESULTS = Path(__file__).parent / "results"
BUSY = 0.7
"""The system's load above which there is a warning."""


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Time chainrule and its peers in turn.")
    add = parser.add_argument
    add("--workload", action="append", choices=WORKLOADS, help="may be repeated (default: all)")
    add("--peer", action="append", metavar="NAME", help=f"of: {', '.join(x.name for x in VARIANTS)} (default: all)")
    add("--rounds", type=int, default=5, help="how often each is measured (default: %(default)s)")
    add("--seconds", type=float, default=1.0, help="time of each measurement (default: %(default)s)")
    add("--output", type=Path, help="folder of the results (default: benchmarks/results, if all peers take part)")
    chosen_arguments = parser.parse_args()
    try:
        chosen_arguments.variants = chosen(chosen_arguments.peer or [])
    except ValueError as error:
        parser.error(str(error))
    return chosen_arguments


def keep(comparison: Comparison, folder: Path) -> None:
    """Write these figures; the tables and the picture also show workloads that were measured before."""
    save(comparison, folder)
    kept = [load(path) for name in WORKLOADS if (path := folder / f"{name}.json").exists()]
    (folder / "README.md").write_text(markdown(kept), encoding="utf-8")
    (folder / "speed.svg").write_text(picture(kept), encoding="utf-8")


def main() -> int:
    told = arguments()
    folder = told.output or (None if told.peer else RESULTS)
    use_first_cores()
    console = Console()
    if (busy := os.getloadavg()[0]) > BUSY:
        console.print(f"Other programs keep {busy:.1f} cores busy: these figures will be worth little.", style="yellow")
    comparisons: list[Comparison] = []
    with console.status("starting") as status:
        for name in told.workload or WORKLOADS:
            comparison = compare(WORKLOADS[name], told.variants, told.rounds, told.seconds, status.update)
            comparisons.append(comparison)
            if folder:
                keep(comparison, folder)
    for table in tables(comparisons):
        console.print(table)
    console.print(LEGEND, highlight=False)
    if folder:
        console.print(f"Results are in {folder}", highlight=False)
    problems = [problem for comparison in comparisons for problem in comparison.problems()]
    for problem in problems:
        console.print(problem, style="red", markup=False, soft_wrap=True)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
