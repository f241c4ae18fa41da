"""`chainrule predict RUN DATA`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from chainrule.cli.console import command, one_line_errors, warn
from chainrule.data import Values, read_table, write_csv
from chainrule.data.write import csv_blocks
from chainrule.training.runs import load_run

app = command()


@app.command()
def predict(
    run: Annotated[Path, typer.Argument(help="Folder of the run, as chainrule train named it.", show_default=False)],
    data: Annotated[
        Path, typer.Argument(help="Table with the columns of training: CSV, TSV, Parquet or JSON.", show_default=False)
    ],
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="CSV file to write; by default the terminal.", show_default=False),
    ] = None,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of errors.")] = False,
) -> None:
    """Predict for the rows of a table.

    Writes one row for each row of the table, in its order: the prediction and, for classes, the probability of each
    class. Where the table holds the target as well, the figures of the predictions are shown.
    """
    with one_line_errors(debug):
        _predict(run, data, output)


def _predict(run: Path, data: Path, output: Path | None) -> None:
    model = load_run(run)
    table = read_table(data, kinds=model.schema.kinds)
    columns, notices = model.predict(table)
    for notice in (*table.notices, *notices):
        warn(notice)
    if output is None or str(output) == "-":
        for block in csv_blocks({name: Values.of(values) for name, values in columns.items()}):
            typer.echo(block.encode(), nl=False)
    else:
        write_csv(output, columns)
        typer.echo(f"{output}: {table.rows:,} predictions", err=True)
