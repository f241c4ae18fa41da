"""`chainrule train DATA --target COLUMN`."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from rich import box
from rich.console import Console
from rich.table import Table as Grid

from chainrule.cli.config import RUNS_DIR, TrainOptions, read_config, train_options
from chainrule.cli.console import command_line, one_line_errors, say
from chainrule.cli.progress import reporter
from chainrule.data import Table, TargetEncoder, read_table
from chainrule.data.wording import counted, near, one_line, quoted
from chainrule.errors import DefinitionError
from chainrule.training.runs import REPORT, check_name, check_writable, run_name, save_run
from chainrule.training.settings import OPTIMIZERS, Settings
from chainrule.training.tabular import Prepared, TableRun, prepare_table
from chainrule.training.wording import baseline_words, duration, ending, figure, predict_command

app = command_line()

DEFAULT = Settings()


def option(words: str, default: object = None, metavar: str | None = None) -> Any:
    """An option without a value of its own, so that a configuration file can be told from the command line."""
    told = words if default is None else f"{words} (default: {default})"
    return typer.Option(help=told, metavar=metavar, show_default=False)


@app.command()
def train(
    context: typer.Context,
    data: Annotated[Path, typer.Argument(help="Table to learn from: CSV, TSV, Parquet or JSON.", show_default=False)],
    target: Annotated[str | None, option("Column to predict.", metavar="COLUMN")] = None,
    task: Annotated[
        str | None, option("Classes or quantities?", "what the target looks like", "classification|regression")
    ] = None,
    drop: Annotated[list[str] | None, option("Column not to learn from; may be repeated.", metavar="COLUMN")] = None,
    keep: Annotated[
        list[str] | None, option("Column to learn from whatever it looks like; may be repeated.", metavar="COLUMN")
    ] = None,
    epochs: Annotated[int | None, option("Most passes over the training rows", DEFAULT.epochs)] = None,
    patience: Annotated[
        int | None, option("Epochs without a better validation loss to stop after", DEFAULT.patience)
    ] = None,
    time_limit: Annotated[float | None, option("Most seconds to train", "none", "SECONDS")] = None,
    hidden: Annotated[
        str | None, option("Widths of the hidden layers, as in 64,64", "one or two layers, by the table", "WIDTHS")
    ] = None,
    dropout: Annotated[
        float | None, option("Share of hidden units dropped in training", "0.1 or 0.3, by the rows")
    ] = None,
    label_smoothing: Annotated[
        float | None, option("Share of a class handed to all classes", DEFAULT.label_smoothing)
    ] = None,
    optimizer: Annotated[
        str | None, option("Rule of the updates", DEFAULT.optimizer, "|".join(sorted(OPTIMIZERS)))
    ] = None,
    lr: Annotated[float | None, option("Learning rate", DEFAULT.lr)] = None,
    batch_size: Annotated[int | None, option("Rows of an update", "32 to 256, by the rows")] = None,
    seed: Annotated[int | None, option("Decides all that is left to chance", DEFAULT.seed)] = None,
    name: Annotated[str | None, option("Name of the run folder", "by file and target")] = None,
    runs_dir: Annotated[str | None, option("Folder of all runs", RUNS_DIR, "FOLDER")] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a run of the same name.")] = False,
    config: Annotated[
        Path | None, option("TOML file of options, written as in: batch_size = 64", metavar="FILE")
    ] = None,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
) -> None:
    """Train a network to predict a column of a table from the others.

    The rows are split into parts to train, to validate and to test. Training stops when the validation loss gets no
    better, and the best weights are kept. Ctrl-C stops early and keeps the best weights so far (exit status 0).
    Options on the command line come before those of a configuration file, and these before the defaults.

    Examples:

        chainrule train patients.csv --target diagnosis
        chainrule train houses.parquet --target price --drop id --hidden 128,64 --time-limit 60
    """
    with one_line_errors(debug):
        options = train_options(context.params, read_config(config) if config else {})
        run_training(data, options, overwrite)


def run_training(data: Path, options: TrainOptions, overwrite: bool) -> None:
    """Read, train, show and save."""
    check_writable(options.runs_dir)
    if options.name is not None:
        check_name(options.runs_dir, options.name, overwrite=overwrite)
    table = read_table(data)
    if options.target is None:
        raise DefinitionError(f"no target: name the column to predict with --target{near('', table.names)}")
    name = options.name or run_name(f"{Path(data.name.removesuffix('.gz')).stem}-{options.target}")
    if overwrite:
        check_name(options.runs_dir, name, overwrite=True)
    prepared = prepare_table(
        table, options.target, options.settings, task=options.task, drop=options.drop, keep=options.keep
    )
    _introduce(table, prepared)
    start = time.monotonic()
    run = prepared.train([reporter(Console(stderr=True), options.settings.time_limit)])
    say(f"\nStopped after {duration(time.monotonic() - start)} {ending(run.history)}.")
    _show_results(run)
    folder = save_run(run, options.runs_dir / name, source=one_line(data.name), overwrite=overwrite)
    say(f"\nThe run is in {folder}")
    say(f"  look     open {folder / REPORT} in a browser")
    say(f"  predict  {predict_command(folder)}")


def _introduce(table: Table, prepared: Prepared) -> None:
    """What was read, and what will be trained."""
    model, settings = prepared.model, prepared.settings
    say(f"{table.source}: {counted(table.rows, 'row')}, {counted(len(table.columns), 'column')}")
    for notice in prepared.notices:
        say(f"  note: {notice}")
    say(f"  target   {one_line(model.schema.target.name)}: {_target_words(prepared)}")
    learned_from = counted(len(model.schema.features), "column")
    say(f"  columns  learning from {learned_from}, made into {counted(model.widths[0], 'feature')}")
    say("  rows     {:,} to train, {:,} to validate, {:,} to test".format(*map(len, prepared.parts)))
    parameters = sum(x.size for x in model.network.parameters())
    say(f"  network  {' -> '.join(map(str, model.widths))}, {parameters:,} parameters")
    rate, size = f"learning rate {settings.lr:g}", f"{settings.batch_size} rows an update"
    say(f"  updates  {settings.optimizer}, {rate}, {size}, at most {counted(settings.epochs, 'epoch')}")


def _target_words(prepared: Prepared) -> str:
    """The classes and their shares, or the spread of the quantity."""
    codec = prepared.model.codec
    if not isinstance(codec, TargetEncoder):
        return f"a quantity, mean {codec.mean:.4g}, standard deviation {codec.std:.4g}"
    counts = np.bincount(prepared.parts[0].y, minlength=len(codec.classes))
    shares = [(float(counts[i] / counts.sum()), str(codec.classes[i])) for i in np.argsort(-counts, kind="stable")]
    told = [f"{quoted(name)} {100 * share:.1f} %" for share, name in shares[:5]]
    more = f" and {len(shares) - 5} more" if len(shares) > 5 else ""
    return f"{len(shares)} classes, {', '.join(told)}{more}"


def _show_results(run: TableRun) -> None:
    """The figures of the test rows beside those of the baseline."""
    grid = Grid(box=box.SIMPLE_HEAD, pad_edge=False)
    grid.add_column(f"on {counted(len(run.rows.test), 'test row')}")
    grid.add_column("this network", justify="right", style="bold")
    grid.add_column(baseline_words(run.model.schema.task), justify="right")
    for name, value in run.test.items():
        grid.add_row(name, figure(name, value), figure(name, run.baseline[name]))
    Console().print(grid)
