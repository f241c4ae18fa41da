"""Vanishing and exploding gradients, what helps against them, and what theory says of both, in one table and picture.

    pip install -e '.[examples]'
    python examples/gradient_flow/compare.py           # a minute; writes gradient_flow.svg

Deep networks learn the digits of scikit-learn, recurrent ones to remember the first of 100 steps. Before each is
trained, the norm of the gradient at every layer or step is measured and compared with the prediction of theory.py.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import layers
import numpy as np
import steps
from picture import picture
from rich import box
from rich.console import Console
from rich.progress import Progress
from rich.table import Table
from training import Outcome

HERE = Path(__file__).parent


def outcomes(names: list[str], updates: int) -> list[Outcome]:
    """All networks that are named, or all, trained in turn."""
    designs = [(kind, design) for kind in (layers, steps) for design in kind.DESIGNS]
    chosen = [(kind, design) for kind, design in designs if not names or design.name in names]
    with Progress(transient=True) as progress:
        tracked = progress.track(chosen, description="training in turn")
        return [kind.outcome(design, updates) for kind, design in tracked]


def table(found: list[Outcome]) -> Table:
    """What became of each, and how its first gradient relates to the last."""
    title = "Gradient at the first layer or step as a multiple of that at the last"
    made = Table(title=title, box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    for heading in ("network", "of", "measured", "theory", "final loss", "accuracy"):
        made.add_column(heading, justify="left" if heading in ("network", "of") else "right", no_wrap=True)
    remedy = None
    for x in found:
        if x.remedy != remedy:
            made.add_section()
            remedy = x.remedy
        final = f"{np.mean(x.losses[-50:]):.3f}"
        made.add_row(x.name, x.size, f"{x.measured[0]:.1e}", f"{x.predicted[0]:.1e}", final, f"{x.accuracy:.3f}")
    return made


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help="networks, such as 'tanh, Glorot'; by default all")
    parser.add_argument("--updates", type=int, default=600, help="of each network (default: %(default)s)")
    parser.add_argument("--picture", type=Path, default=HERE / "gradient_flow.svg", help="default: %(default)s")
    given = parser.parse_args()
    known = [design.name for kind in (layers, steps) for design in kind.DESIGNS]
    if unknown := [name for name in given.names if name not in known]:
        parser.error(f"no network is called {unknown[0]!r}; there are {'; '.join(known)}")
    found = outcomes(given.names, given.updates)
    Console(width=100).print(table(found))
    given.picture.write_text(picture(found), encoding="utf-8")


if __name__ == "__main__":
    main()
