"""Accuracy on four small data sets beside scikit-learn's multilayer perceptron, in the same five folds.

    pip install -e '.[examples]'
    python examples/accuracy/compare.py                # a few minutes; name data sets to do only these

Both sides run with their default settings. scikit-learn's features are standardised; chainrule does that by itself, and
keeps 15 % of each fold's training rows aside to stop by. scikit-learn warns that 200 epochs, its default, are too few
for diabetes, so a second column gives it 2,000.
"""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from rich import box
from rich.console import Console
from rich.progress import Progress
from rich.table import Table as Printed
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits, load_wine
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import KFold, StratifiedKFold, cross_val_score
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from chainrule.data import Table
from chainrule.training import train_table

DATA: dict[str, Callable[[], Any]] = {
    "digits": load_digits,
    "breast cancer": load_breast_cancer,
    "wine": load_wine,
    "diabetes": load_diabetes,
}
FOLDS = 5


def ours(x: np.ndarray, y: np.ndarray, folds: Any, task: Any) -> Iterator[float]:
    """The score of each fold: accuracy, or R2."""
    table = Table.from_columns({f"x{i}": column for i, column in enumerate(x.T)} | {"y": y})
    for train, test in folds.split(x, y):
        run = train_table(table.take(train), "y", task=task, fractions=(0.85, 0.15, 0.0))
        yield run.model.score(table.take(test))["accuracy" if task == "classification" else "R2"]


def theirs(x: np.ndarray, y: np.ndarray, folds: Any, task: Any, epochs: int) -> np.ndarray:
    """The same of scikit-learn."""
    kind = MLPClassifier if task == "classification" else MLPRegressor
    model = make_pipeline(StandardScaler(), kind(random_state=0, max_iter=epochs))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return cross_val_score(model, x, y, cv=folds)


def figure(scores: Any) -> str:
    return f"{np.mean(scores):.4f} ± {np.std(scores):.4f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of: {', '.join(DATA)}")
    names = parser.parse_args().names or list(DATA)
    if unknown := [name for name in names if name not in DATA]:
        parser.error(f"no data set is called {unknown[0]!r}; there are {', '.join(DATA)}")
    title = f"Mean test accuracy of {FOLDS} folds, default settings"
    printed = Printed(title=title, box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    for heading in ("data", "rows", "chainrule", "scikit-learn", "2,000 epochs"):
        printed.add_column(heading, justify="left" if heading == "data" else "right", no_wrap=True)
    with Progress(transient=True) as progress:
        bar = progress.add_task("training", total=len(names) * FOLDS)
        for name in names:
            x, y = DATA[name](return_X_y=True)
            task = "regression" if name == "diabetes" else "classification"
            folds = (KFold if task == "regression" else StratifiedKFold)(FOLDS, shuffle=True, random_state=0)
            scores: list[float] = []
            for score in ours(x, y, folds, task):
                scores.append(score)
                progress.advance(bar)
            peers = [theirs(x, y, folds, task, epochs) for epochs in (200, 2000)]
            shown = f"{name}, R2" if task == "regression" else name
            printed.add_row(shown, f"{len(x):,}", figure(scores), *map(figure, peers))
    Console().print(printed)


if __name__ == "__main__":
    main()
