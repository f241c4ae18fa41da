"""`chainrule train DATA --target COLUMN`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from rich.console import Console
from rich.table import Table as Grid

from chainrule.cli.config import TrainOptions, read_config, train_options
from chainrule.cli.console import command, one_line_errors, say
from chainrule.cli.progress import reporter
from chainrule.data import Table, TargetEncoder, read_table
from chainrule.data.wording import counted, near, one_line, quoted
from chainrule.errors import DefinitionError
from chainrule.training.runs import REPORT, check_name, check_writable, run_name, save_run
from chainrule.training.tabular import OPTIMIZERS, Prepared, Settings, TableRun, prepare_table
from chainrule.training.wording import duration, ending, figure

app = command()

DEFAULT = Settings()
OPTIMIZER_NAMES = "|".join(sorted(OPTIMIZERS))


@app.command()
def train(
    context: typer.Context,
    data: Annotated[
        Path, typer.Argument(help="Table to learn from: CSV, TSV, Parquet or JSON.", show_default=False)
    ],
    target: Annotated[str | None, typer.Option(help="Column to predict.", metavar="COLUMN")] = None,
    task: Annotated[
        str | None,
        typer.Option(help="Classes or quantities? By default, what the target looks like.", metavar="classification|regression"),
    ] = None,
    drop: Annotated[
        list[str] | None, typer.Option(help="Column not to learn from; may be repeated.", metavar="COLUMN")
    ] = None,
    keep: Annotated[
        list[str] | None,
        typer.Option(help="Column to learn from, whatever it looks like; may be repeated.", metavar="COLUMN"),
    ] = None,
    epochs: Annotated[
        int | None, typer.Option(help="Most passes over the training rows.", show_default=str(DEFAULT.epochs))
    ] = None,
    patience: Annotated[
        int | None,
        typer.Option(help="Epochs without a better validation loss to stop after.", show_default=str(DEFAULT.patience)),
    ] = None,
    time_limit: Annotated[
        float | None, typer.Option(help="Most seconds to train.", metavar="SECONDS", show_default="none")
    ] = None,
    hidden: Annotated[
        str | None,
        typer.Option(help="Widths of the hidden layers.", metavar="64,64", show_default="two, by the columns"),
    ] = None,
    dropout: Annotated[
        float | None,
        typer.Option(help="Share of hidden units dropped in training.", show_default=f"{DEFAULT.dropout:g}"),
    ] = None,
    optimizer: Annotated[
        str | None, typer.Option(help="Rule of the updates.", metavar=OPTIMIZER_NAMES, show_default=DEFAULT.optimizer)
    ] = None,
    lr: Annotated[float | None, typer.Option(help="Learning rate.", show_default=f"{DEFAULT.lr:g}")] = None,
    batch_size: Annotated[
        int | None, typer.Option(help="Rows of an update.", show_default="32 to 256, by the rows")
    ] = None,
    seed: Annotated[
        int | None,
        typer.Option(help="Decides all that is left to chance.", show_default=str(DEFAULT.seed)),
    ] = None,
    name: Annotated[
        str | None, typer.Option(help="Name of the run folder.", show_default="file and target")
    ] = None,
    runs_dir: Annotated[
        str | None, typer.Option(help="Folder of all runs.", metavar="FOLDER", show_default="runs")
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a run of the same name.")] = False,
    config: Annotated[
        Path | None,
        typer.Option(help="TOML file of options, as in: batch_size = 64", metavar="FILE", show_default=False),
    ] = None,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
) -> None:
    """Train a network to predict a column of a table from the others.

    The rows are split into parts to train, to validate and to test; training stops when the validation loss gets no
    better, and the best weights are kept. Ctrl-C stops early and keeps the best so far as well (exit status 0).

    Options on the command line come before those of a configuration file, and these before the defaults.

    chainrule train patients.csv --target diagnosis

    chainrule train houses.parquet --target price --drop id --hidden 128,64 --time-limit 60
    """
    with one_line_errors(debug):
        options = train_options(context.params, read_config(config) if config else {})
        run_training(data, options, overwrite)


def run_training(data: Path, options: TrainOptions, overwrite: bool) -> None:
    """Read, train, show and save."""
    if options.name is not None:
        check_name(options.runs_dir, options.name, overwrite=overwrite)
    table = read_table(data)
    if options.target is None:
        raise DefinitionError(f"no target: name the column to predict with --target{near('', table.names)}")
    check_writable(options.runs_dir)
    prepared = prepare_table(
        table, options.target, options.settings, task=options.task, drop=options.drop, keep=options.keep
    )
    _introduce(table, prepared)
    name = options.name or run_name(f"{Path(data.name.removesuffix('.gz')).stem}-{options.target}")
    if overwrite:
        check_name(options.runs_dir, name, overwrite=True)
    run = prepared.train([reporter(Console(stderr=True))])
    folder = save_run(run, options.runs_dir / name, source=data.name, overwrite=overwrite)
    _conclude(run, folder)


def _introduce(table: Table, prepared: Prepared) -> None:
    """What was read, and what will be trained."""
    model, settings = prepared.model, prepared.settings
    say(f"{table.source}: {counted(table.rows, 'row')}, {counted(len(table.columns), 'column')}")
    for notice in (*table.notices, *prepared.notices):
        say(f"  note: {notice}")
    sizes = [len(part) for part in prepared.parts]
    features = len(model.preprocessor.feature_names)
    layers = " -> ".join(str(n) for n in (features, *model.hidden, *_outputs(prepared)))
    parameters = sum(x.size for x in model.network.parameters())
    say(f"  target   {one_line(model.schema.target.name)}: {_target_words(prepared)}")
    say(f"  columns  {len(model.schema.features)} to learn from, made into {counted(features, 'feature')}")
    say("  rows     {:,} to train, {:,} to validate, {:,} to test".format(*sizes))
    say(f"  network  {layers}: {parameters:,} parameters")
    say(f"  updates  {settings.optimizer}, learning rate {settings.lr:g}, {settings.batch_size} rows each")


def _outputs(prepared: Prepared) -> list[int]:
    return [len(prepared.model.network.parameters()[-1].shape and prepared.model.network.parameters()[-1].numpy())]


def _target_words(prepared: Prepared) -> str:
    """The classes and their shares, or the spread of the quantity."""
    codec = prepared.model.codec
    if not isinstance(codec, TargetEncoder):
        return f"a quantity, {codec.mean:.4g} on average, standard deviation {codec.std:.4g}"
    counts = np.bincount(prepared.parts[0].y, minlength=len(codec.classes))
    shares = sorted(zip(counts / counts.sum(), map(str, codec.classes), strict=True), key=lambda pair: -pair[0])
    told = [f"{quoted(name)} {share:.1%}" for share, name in shares[:5]]
    rest = len(shares) - len(told)
    return f"{len(shares)} classes, " + ", ".join(told) + (f" and {rest} more" if rest else "")
