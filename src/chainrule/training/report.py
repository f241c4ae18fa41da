"""A run as one page of HTML that says what was trained on what, how well it does, and how to go on."""

from __future__ import annotations

from html import escape
from pathlib import Path
from typing import Any

from chainrule.data.encoders import BooleanEncoder, CategoryEncoder, DateEncoder, Encoder, NumberEncoder
from chainrule.data.target import TargetEncoder
from chainrule.data.wording import counted, quoted
from chainrule.training import parts
from chainrule.training.charts import scatter_chart
from chainrule.training.page import page, section, table
from chainrule.training.tabular import TableModel, TableRun
from chainrule.training.wording import baseline_words, duration, ending, figure, predict_command

PREDICTING = "The folder of this page holds all that it takes; the new rows need the columns below, in any order."


def report(run: TableRun, record: dict[str, Any], folder: Path) -> str:
    """The page about a run.

    Args:
        run: what `train_table` returned.
        record: the same as run.json holds it.
        folder: where the run will stand.
    """
    schema, file = run.model.schema, str(record["data"]["file"])
    guess = baseline_words(schema.task)
    lead = (
        f"A network for {schema.task} that predicts <b>{escape(schema.target.name)}</b> from "
        f"{counted(len(schema.features), 'column')} of {escape(file)}, trained on {parts.when(record)}. "
        f"Training stopped {escape(ending(run.history))}."
    )
    title = f"{schema.target.name} from {file}"
    body = [
        f"<h1>{escape(title)}</h1>\n<p class='soft'>{lead}</p>\n",
        parts.tiles(_tiles(run, guess)),
        section("Results on rows the network never saw", parts.results(run.test, run.baseline, guess)),
        '<div class="cards">',
        parts.curves(run.history),
        _mistakes(run),
        section("Predict with it", parts.commands(PREDICTING, predict_command(folder))),
        "</div>",
        parts.notices(run.notices),
        '<div class="cards">',
        section("Network", parts.layers(run.model.network)),
        section("Settings", parts.settings(record)),
        "</div>",
        section("Columns, and what the network sees of them", _columns(run.model)),
    ]
    return page(title, "".join(body))


def _tiles(run: TableRun, guess: str) -> list[tuple[str, str]]:
    """The few figures to see first."""
    tiles: list[tuple[str, str]] = []
    if run.test:
        name, value = next(iter(run.test.items()))
        tiles.append((figure(name, value), f"test {name} ({guess}: {figure(name, run.baseline[name])})"))
    train, validation, test = map(len, run.rows)
    rows = train + validation + test
    tiles.append((f"{rows:,}", f"rows: {train:,} to train, {validation:,} to validate, {test:,} to test"))
    tiles.append(parts.epochs_tile(run.history))
    tiles.append((duration(run.history.rows[-1]["seconds"]), "of training"))
    return tiles


def _mistakes(run: TableRun) -> str:
    """The confusion matrix of the test rows, or their predicted against their true values."""
    codec, true, predicted = run.model.codec, run.expected, run.predicted
    if not len(true):
        return ""
    if not isinstance(codec, TargetEncoder):
        heading = "Predicted against true values"
        return section(heading, scatter_chart(heading, "true", "predicted", true, predicted))
    return parts.confusion([str(name) for name in codec.classes], true, predicted)


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
