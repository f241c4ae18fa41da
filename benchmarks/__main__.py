"""The command line: python -m benchmarks [--workload NAME] [--peer NAME] ..., or make bench WORKLOAD=NAME PEER=NAME."""

from __future__ import annotations

import argparse
import itertools
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from benchmarks.comparison import Comparison, load, path_of, save
from benchmarks.harness import compare, use_first_cores
from benchmarks.picture import picture
from benchmarks.report import LEGEND, markdown, tables
from benchmarks.variants import VARIANTS, chosen
from benchmarks.workloads import NETWORKS, PRODUCTS, SINGLES, WORKLOADS, Single, Workload

RESULTS = Path(__file__).parent / "results"
GROUPS = {"networks": NETWORKS, "products": PRODUCTS, "layers": SINGLES}
SHARE_OF_A_LAYER = 0.4
"""Of the time that a network is measured for."""

BUSY = 0.7
"""The system's load above which there is a warning."""


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Time chainrule and its peers in turn.")
    add = parser.add_argument
    add(
        "--workload",
        action="append",
        choices=[*GROUPS, *WORKLOADS],
        metavar="NAME",
        help=f"{', '.join(GROUPS)}, or one of: {', '.join(WORKLOADS)}; may be repeated (default: all)",
    )
    add("--peer", action="append", metavar="NAME", help=f"of: {', '.join(x.name for x in VARIANTS)} (default: all)")
    add("--rounds", type=int, default=3, help="how often each is measured (default: %(default)s)")
    add("--seconds", type=float, default=1.0, help="time of each measurement (default: %(default)s)")
    add("--output", type=Path, help="folder of the results (default: benchmarks/results, if all peers take part)")
    chosen_arguments = parser.parse_args()
    try:
        chosen_arguments.variants = chosen(chosen_arguments.peer or [])
    except ValueError as error:
        parser.error(str(error))
    return chosen_arguments


def together(names: Sequence[str]) -> list[list[Workload]]:
    """The workloads of these names, or all: networks and products each alone, layers of a kind together."""
    wanted = {x.name for name in names or GROUPS for x in GROUPS.get(name) or [WORKLOADS[name]]}
    ordered = [x for x in WORKLOADS.values() if x.name in wanted]
    by_kind = itertools.groupby(ordered, lambda x: type(x.layer) if isinstance(x, Single) else x.name)
    return [list(group) for _, group in by_kind]


def keep(comparisons: Sequence[Comparison], folder: Path) -> None:
    """Write these figures; the tables and the picture also show workloads that were measured before."""
    for comparison in comparisons:
        save(comparison, folder)
    paths = [path_of(workload.kind, name, folder) for name, workload in WORKLOADS.items()]
    kept = [load(path) for path in paths if path.exists()]
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
        for workloads in together(told.workload or []):
            seconds = told.seconds * (SHARE_OF_A_LAYER if workloads[0].kind == "layer" else 1.0)
            new = compare(workloads, told.variants, told.rounds, seconds, status.update)
            comparisons += new
            if folder:
                keep(new, folder)
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
