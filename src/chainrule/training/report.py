"""A run as one page of HTML that says what was trained on what, how well it does, and how to go on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from datetime import datetime
from functools import partial
from html import escape
from pathlib import Path
from typing import Any

from chainrule.data.encoders import BooleanEncoder, CategoryEncoder, DateEncoder, Encoder, NumberEncoder
from chainrule.data.target import TargetEncoder
from chainrule.data.wording import counted, quoted
from chainrule.training.charts import Series, line_chart, scatter_chart
from chainrule.training.page import matrix, page, section, table
from chainrule.training.tabular import TableModel, TableRun
from chainrule.training.wording import baseline_words, duration, ending, figure, predict_command, spelled

MOST_CLASSES = 16
"""More classes than these are too many for a matrix; their most frequent mistakes are listed instead."""

MEANING = {
    "accuracy": "share of rows whose class is right; higher is better",
    "balanced accuracy": "the same, with every class counting alike; higher is better",
    "macro F1": "precision and recall in one, mean over classes; 1 is best",
    "log loss": "how surprised the probabilities are by the truth; 0 is best",
    "ROC AUC": "chance that a row of the second class gets the higher probability; 0.5 is guessing, 1 is best",
    "R2": "share of the variance that is explained; 1 is best",
    "RMSE": "typical error in the target's unit, large errors counting more; 0 is best",
    "MAE": "mean error in the target's unit; 0 is best",
}


def report(run: TableRun, record: dict[str, Any], folder: Path) -> str:
    """The page about a run.

    Args:
        run: what `train_table` returned.
        record: the same as run.json holds it.
        folder: where the run will stand.
    """
    schema, history = run.model.schema, run.history
    title = f"{schema.target.name} from {record['data']['file']}"
    date = datetime.fromisoformat(record["date"]).strftime("%Y-%m-%d %H:%M UTC")
    rows = sum(map(len, run.rows))
    lead = (
        f"A network for {schema.task} that predicts <b>{escape(schema.target.name)}</b> from "
        f"{counted(len(schema.features), 'column')} of {escape(record['data']['file'])}, trained on {date}. "
        f"Training stopped {escape(ending(history))}."
    )
    notices = "".join(f"<li>{escape(notice)}</li>" for notice in run.notices)
    parts = [
        f"<h1>{escape(title)}</h1>\n<p class='soft'>{lead}</p>\n",
        _tiles(run, rows),
        section("Results on rows the network never saw", _results(run)),
        '<div class="cards">',
        _curves(run),
        _mistakes(run),
        section("Predict with it", _predicting(folder)),
        "</div>",
        section("What to know about the data", f"<ul>{notices}</ul>" if notices else ""),
        '<div class="cards">',
        section("Network", _layers(run.model)),
        section("Settings", _settings(record)),
        "</div>",
        section("Columns, and what the network sees of them", _columns(run.model)),
    ]
    return page(title, "".join(parts))


def _tiles(run: TableRun, rows: int) -> str:
    """The few figures to see first."""
    tiles: list[tuple[str, str]] = []
    if run.test:
        name, value = next(iter(run.test.items()))
        baseline = f"{baseline_words(run.model.schema.task)}: {figure(name, run.baseline[name])}"
        tiles.append((figure(name, value), f"test {name} ({baseline})"))
    train, validation, test = map(len, run.rows)
    tiles.append((f"{rows:,}", f"rows: {train:,} to train, {validation:,} to validate, {test:,} to test"))
    best = run.history.best_epoch
    epochs = len(run.history)
    words = "epoch" if epochs == 1 else f"epochs{f', the best is {best:,}' if best else ''}"
    tiles.append((f"{epochs:,}", words))
    tiles.append((duration(run.history.rows[-1]["seconds"]), "of training"))
    cells = "".join(f'<div class="tile"><b>{escape(big)}</b><span>{escape(small)}</span></div>' for big, small in tiles)
    return f'<div class="tiles">{cells}</div>\n'


def _results(run: TableRun) -> str:
    head = ("", "this network", baseline_words(run.model.schema.task), "what it says")
    rows = [
        (name, figure(name, value), figure(name, run.baseline[name]), MEANING.get(name, ""))
        for name, value in run.test.items()
    ]
    return table(head, rows, numbers=(1, 2), strong=1) if rows else ""


def _curves(run: TableRun) -> str:
    """A chart of the loss, and one for each further figure."""
    history = run.history
    names = [name.removeprefix("val_") for name in history.names if name not in ("epoch", "seconds")]
    sections = ""
    for name in dict.fromkeys(names):
        sides = (("training", "train", name), ("validation", "validation", f"val_{name}"))
        series = [Series(word, style, history[key]) for word, style, key in sides if key in history.names]
        heading = spelled(name).removeprefix("training ").capitalize() + " by epoch"
        sections += section(heading, line_chart(heading, series, history.best_epoch, _shower(name)))
    return sections


def _shower(name: str) -> Callable[[float], str]:
    return partial(figure, name)


def _mistakes(run: TableRun) -> str:
    """The confusion matrix of the test rows, or their predicted against their true values."""
    codec, true, predicted = run.model.codec, run.expected, run.predicted
    if not len(true):
        return ""
    if not isinstance(codec, TargetEncoder):
        heading = "Predicted against true values"
        return section(heading, scatter_chart(heading, "true", "predicted", true, predicted))
    names = [str(name) for name in codec.classes]
    pairs: Counter[tuple[int, int]] = Counter(zip(true.tolist(), predicted.tolist(), strict=True))
    if len(names) <= MOST_CLASSES:
        counts = [[pairs[i, j] for j in range(len(names))] for i in range(len(names))]
        words = '<p class="soft">Rows are the true classes, columns the predicted ones.</p>'
        return section("Which classes are taken for which", words + matrix(names, counts))
    wrong = [(names[i], names[j], f"{n:,}") for (i, j), n in pairs.most_common() if i != j][:MOST_CLASSES]
    return section("Most frequent mistakes", table(("true", "predicted", "rows"), wrong, numbers=(2,)) if wrong else "")


def _predicting(folder: Path) -> str:
    words = "The folder of this page holds all that it takes; the new rows need the columns below, in any order."
    return f"<p>{words}</p>\n<pre>{escape(predict_command(folder))}</pre>"


def _layers(model: TableModel) -> str:
    rows = [
        (path, layer.describe(), f"{size:,}" if (size := sum(x.size for x in layer.parameters())) else "")
        for path, layer in model.network.named_modules()
        if path
    ]
    total = sum(x.size for x in model.network.parameters())
    head = ("layer", "kind", "parameters")
    return table(head, [*rows, ("", "all", f"{total:,}")], numbers=(2,))


def _settings(record: dict[str, Any]) -> str:
    rows = [(name, _setting(value)) for name, value in record["settings"].items()]
    rows += [(f"{name} version", value) for name, value in record["made_by"].items()]
    return table((), rows)


def _setting(value: Any) -> str:
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value))  # pyright: ignore[reportUnknownArgumentType]
    return "none" if value is None else str(value)


def _columns(model: TableModel) -> str:
    pairs = zip(model.preprocessor.columns, model.preprocessor.encoders, strict=True)
    rows = [(column.name, column.kind, str(len(encoder.names)), _seen(encoder)) for column, encoder in pairs]
    return f'<div class="tall">{table(("column", "kind", "features", "how it is prepared"), rows, numbers=(2,))}</div>'


def _seen(encoder: Encoder) -> str:
    """What becomes of a column, in words."""
    if isinstance(encoder, CategoryEncoder):
        shown = ", ".join(map(quoted, encoder.levels[:6])) + (", ..." if len(encoder.levels) > 6 else "")
        rest = f", one more for {counted(len(encoder.rare), 'rare value')}" if encoder.rare else ""
        missing = "a feature of its own" if encoder.indicator else "none of these"
        return f"one feature a value ({shown}){rest}; missing: {missing}"
    if isinstance(encoder, BooleanEncoder):
        words, missing, flagged = "0 or 1", f"the share {encoder.share:.2g} of true", encoder.indicator
    elif isinstance(encoder, DateEncoder):
        cycles = "month, weekday and hour" if encoder.times else "month and weekday"
        words, missing = f"days, standardised, and {cycles} as angles", "the median day"
        flagged = encoder.indicator
    else:
        assert isinstance(encoder, NumberEncoder)
        words = f"standardised: mean {encoder.scale.mean:.4g}, standard deviation {encoder.scale.std:.4g}"
        missing, flagged = f"the median {encoder.scale.fill:.4g}", encoder.indicator
    return f"{words}; missing: {missing}" + (" and a feature that says so" if flagged else "")
