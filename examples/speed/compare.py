"""`chainrule train` beside scikit-learn's multilayer perceptron, end to end: from the start of the process to a result.

    pip install -e '.[examples]'
    python examples/speed/compare.py

Both start a new Python, read examples/data/breast-cancer.csv, train and score rows that they have not seen. chainrule
runs with its defaults; scikit-learn then trains a network of the same widths with Adam, as many epochs on as many rows
in batches of the same size. What chainrule does beyond that counts against it: dropout, a validation loss in each
epoch, and a run folder with the weights, the history and a report.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

from rich import box
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

DATA = Path(__file__).resolve().parents[1] / "data" / "breast-cancer.csv"
TARGET = "diagnosis"

THEIRS = Path(__file__).with_name("scikit_learn.py")


class Outcome(NamedTuple):
    seconds: float
    accuracy: float


def timed(command: list[str]) -> tuple[float, str]:
    """Seconds from the start of a process to its end, and what it printed."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("OPENBLAS_")}
    started = time.perf_counter()
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return time.perf_counter() - started, done.stdout


def ours(folder: Path) -> tuple[Outcome, dict[str, Any]]:
    """`chainrule train` with its defaults, and what its run folder says of the training."""
    program = str(Path(sys.executable).with_name("chainrule"))
    command = [
        program,
        "train",
        str(DATA),
        "--target",
        TARGET,
        "--runs-dir",
        str(folder),
        "--name",
        "run",
        "--overwrite",
    ]
    seconds, _ = timed(command)
    run = json.loads((folder / "run" / "run.json").read_text(encoding="utf-8"))
    return Outcome(seconds, run["test"]["accuracy"]), run


def theirs(run: dict[str, Any]) -> Outcome:
    """scikit-learn with the widths, batches, epochs and numbers of rows of a run."""
    rows = run["data"]["rows"]
    hidden = ",".join(map(str, run["network"]["hidden"]))
    sizes = run["settings"]["batch_size"], run["training"]["epochs"], rows["train"], rows["test"]
    command = [sys.executable, str(THEIRS), str(DATA), hidden, *map(str, sizes)]
    seconds, printed = timed(command)
    return Outcome(seconds, float(printed))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5, help="how often each is run (default: %(default)s)")
    rounds = parser.parse_args().rounds
    outcomes: dict[str, list[Outcome]] = {"chainrule train": [], "scikit-learn": []}
    run: dict[str, Any] = {}
    with Progress(transient=True) as progress, tempfile.TemporaryDirectory() as folder:
        for _ in progress.track(range(rounds), description="training in turn"):
            own, run = ours(Path(folder))
            outcomes["chainrule train"].append(own)
            outcomes["scikit-learn"].append(theirs(run))
    shape = "-".join(map(str, (run["network"]["inputs"], *run["network"]["hidden"], run["network"]["outputs"])))
    title = f"Start to result, {run['training']['epochs']} epochs of {shape}"
    table = Table(title=title, box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    for heading in ("", "median", "fastest", "slowest", "test accuracy"):
        table.add_column(heading, justify="right" if heading else "left", no_wrap=True)
    for name, list_of in outcomes.items():
        seconds = [outcome.seconds for outcome in list_of]
        figures = (f"{x:.2f} s" for x in (median(seconds), min(seconds), max(seconds)))
        table.add_row(name, *figures, f"{median(outcome.accuracy for outcome in list_of):.4f}")
    Console().print(table)


if __name__ == "__main__":
    main()
