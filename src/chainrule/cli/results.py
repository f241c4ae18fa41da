"""What is told at the end of a training."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from rich import box
from rich.console import Console
from rich.table import Table as Grid

from chainrule.cli.console import say
from chainrule.training.folders import REPORT
from chainrule.training.wording import figure


def say_run(folder: Path, what: str, command: str) -> None:
    """Where a run is, and what can be done with it."""
    say(f"\nThe run is in {folder}")
    say(f"  look     open {folder / REPORT} in a browser")
    say(f"  {what:8} {command}")


def show_figures(heading: str, found: Mapping[str, float], baseline: Mapping[str, float], guess: str) -> None:
    """The figures of a network beside those of a baseline, if there are any."""
    if not found:
        return
    grid = Grid(box=box.SIMPLE_HEAD, pad_edge=False)
    grid.add_column(heading)
    grid.add_column("this network", justify="right", style="bold")
    grid.add_column(guess, justify="right")
    for name, value in found.items():
        grid.add_row(name, figure(name, value), figure(name, baseline[name]))
    Console().print(grid)
