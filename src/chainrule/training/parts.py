"""The parts that the pages about runs have in common."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from functools import partial
from html import escape
from typing import Any

from numpy.typing import NDArray

from chainrule.nn import Module
from chainrule.training.charts import Series, line_chart
from chainrule.training.history import History
from chainrule.training.page import matrix, section, table
from chainrule.training.wording import figure, spelled

MOST_CLASSES = 16
"""More classes than these are too many for a matrix; their most frequent mistakes are listed instead."""

MEANING = {
    "accuracy": "share of {rows} whose class is right; higher is better",
    "balanced accuracy": "the same, with every class counting alike; higher is better",
    "macro F1": "precision and recall in one, mean over classes; 1 is best",
    "log loss": "how surprised the probabilities are by the truth; 0 is best",
    "ROC AUC": "chance that {a row} of the second class gets the higher probability; 0.5 is guessing, 1 is best",
    "R2": "share of the variance that is explained; 1 is best",
    "RMSE": "typical error in the target's unit, large errors counting more; 0 is best",
    "MAE": "mean error in the target's unit; 0 is best",
    "loss": "mean of -log p of the token that comes next; lower is better",
    "perplexity": "among how many equally likely tokens the network hesitates; 1 is best",
    "bits per character": "what it would take to write the text down with it; compares tokenizers; lower is better",
}


def when(record: Mapping[str, Any]) -> str:
    """The date of a run."""
    return datetime.fromisoformat(record["date"]).strftime("%Y-%m-%d %H:%M UTC")


def tiles(pairs: Sequence[tuple[str, str]]) -> str:
    """The few figures to see first: each large, with words below."""
    cells = "".join(f'<div class="tile"><b>{escape(big)}</b><span>{escape(small)}</span></div>' for big, small in pairs)
    return f'<div class="tiles">{cells}</div>\n'


def epochs_tile(history: History) -> tuple[str, str]:
    """How many epochs there were, and which was the best."""
    best, epochs = history.best_epoch, len(history)
    return f"{epochs:,}", "epoch" if epochs == 1 else f"epochs{f', the best is {best:,}' if best else ''}"


def results(
    found: Mapping[str, float], baseline: Mapping[str, float], guess: str, rows: tuple[str, str] = ("a row", "rows")
) -> str:
    """A table of figures beside those of a baseline, or nothing; `rows` is what is counted, one and many."""
    told = {"a row": rows[0], "rows": rows[1]}
    lines = [
        (name, figure(name, value), figure(name, baseline[name]), MEANING.get(name, "").format_map(told))
        for name, value in found.items()
    ]
    return table(("", "this network", guess, "what it says"), lines, numbers=(1, 2), strong=1) if lines else ""


def curves(history: History) -> str:
    """A chart of the loss, and one for each further figure."""
    unit = "step" if "step" in history else "epoch"
    at = [int(row[unit]) for row in history.rows]
    names = [name.removeprefix("val_") for name in history.names if name not in ("epoch", "step", "seconds")]
    sections = ""
    for name in dict.fromkeys(names):
        sides = (("training", "train", name), ("validation", "validation", f"val_{name}"))
        series = [Series(word, style, history[key]) for word, style, key in sides if key in history.names]
        heading = spelled(name).removeprefix("training ").capitalize() + f" by {unit}"
        chart = line_chart(heading, series, history.best_epoch, _shower(name), unit=unit, at=at)
        sections += section(heading, chart)
    return sections


def _shower(name: str) -> Callable[[float], str]:
    return partial(figure, name)


def confusion(names: Sequence[str], true: NDArray[Any], predicted: NDArray[Any], rows: str = "rows") -> str:
    """A section on which classes are taken for which."""
    pairs: Counter[tuple[int, int]] = Counter(zip(true.tolist(), predicted.tolist(), strict=True))
    if len(names) <= MOST_CLASSES:
        counts = [[pairs[i, j] for j in range(len(names))] for i in range(len(names))]
        words = '<p class="soft">Rows are the true classes, columns the predicted ones.</p>'
        return section("Which classes are taken for which", words + matrix(names, counts, rows))
    wrong = [(names[i], names[j], f"{n:,}") for (i, j), n in pairs.most_common() if i != j][:MOST_CLASSES]
    return section("Most frequent mistakes", table(("true", "predicted", rows), wrong, numbers=(2,)) if wrong else "")


def layers(network: Module) -> str:
    """A table of all layers that have parameters, or nothing below them."""
    rows = [
        (path, layer.describe(), f"{size:,}" if (size := sum(x.size for x in layer.parameters())) else "")
        for path, layer in network.named_modules()
        if path and not layer.children()
    ]
    total = sum(x.size for x in network.parameters())
    return table(("layer", "kind", "parameters"), [*rows, ("", "all", f"{total:,}")], numbers=(2,))


def settings(record: Mapping[str, Any]) -> str:
    """A table of the settings and the versions."""
    rows = [(name, _setting(value)) for name, value in record["settings"].items()]
    rows += [(f"{name} version", value) for name, value in record["made_by"].items()]
    return table((), rows)


def _setting(value: Any) -> str:
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value))  # pyright: ignore[reportUnknownArgumentType]
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "none" if value is None else str(value)


def notices(found: Sequence[str]) -> str:
    """A section on what to know about the data."""
    items = "".join(f"<li>{escape(notice)}</li>" for notice in found)
    return section("What to know about the data", f"<ul>{items}</ul>" if items else "")


def commands(words: str, *lines: str) -> str:
    """Words, and lines to be typed."""
    return f"<p>{escape(words)}</p>\n<pre>{escape(chr(10).join(lines))}</pre>"
