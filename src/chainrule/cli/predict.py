"""`chainrule predict RUN DATA`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from chainrule.cli.console import command_line, one_line_errors, warn
from chainrule.data import Kind, Table, Values, read_table, write_csv
from chainrule.data.wording import counted, one_line, quoted
from chainrule.data.write import csv_blocks
from chainrule.errors import DataError
from chainrule.training.runs import load_run
from chainrule.training.tabular import TableModel
from chainrule.training.wording import figure

app = command_line()


@app.command()
def predict(
    run: Annotated[Path, typer.Argument(help="Folder of the run, as chainrule train named it.", show_default=False)],
    data: Annotated[
        Path, typer.Argument(help="Table with the columns of training: CSV, TSV, Parquet or JSON.", show_default=False)
    ],
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="CSV file to write; without it, the terminal.", show_default=False),
    ] = None,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
) -> None:
    """Predict for the rows of a table with a trained network.

    Writes a CSV row for each row of the table, in its order: the prediction and, for classes, the probability of each.
    What is odd about the rows is told beside it (on stderr), and so are the figures of the predictions where the table
    holds the target as well.

    Examples:

        chainrule predict runs/patients-diagnosis new.csv -o out.csv
        chainrule predict runs/patients-diagnosis new.csv | head
    """
    with one_line_errors(debug):
        run_prediction(run, data, output)


def run_prediction(run: Path, data: Path, output: Path | None) -> None:
    """Load, read, predict and write."""
    model = load_run(run)
    if output is not None and output.exists() and data.exists() and os.path.samefile(output, data):
        raise DataError(f"{one_line(str(output))}: is the table itself; choose another file for the predictions")
    target = model.schema.target
    # A target that is there for once must not stand in the way, whatever it holds; only text has to be kept as it is.
    kinds: dict[str, Kind] = {
        name: kind for name, kind in model.schema.kinds.items() if name != target.name or kind == "category"
    }
    table = read_table(data, kinds=kinds)
    columns, notices = model.predict(table)
    # Before anything is written, so that Ctrl-C leaves nothing behind.
    compared = _comparison(model, table) if target.name in table.columns else ""
    for notice in (*table.notices, *notices):
        warn(notice)
    if output is None or str(output) == "-":
        for block in csv_blocks({name: Values.of(values) for name, values in columns.items()}):
            typer.echo(block.encode(), nl=False)
    else:
        write_csv(output, columns)
        typer.echo(f"{counted(table.rows, 'prediction')} in {output}", err=True)
    if compared:
        typer.echo(compared, err=True)


def _comparison(model: TableModel, table: Table) -> str:
    """How good the predictions are where the truth is known, in words; none where it is not known."""
    name = model.schema.target.name
    known = table.take(~table[name].missing)
    if not known.rows:
        return ""
    try:
        figures = model.score(known)
    except DataError:
        trouble = "holds values that training did not know; the predictions are not compared with it"
        return f"warning: column {quoted(name)} {trouble}"
    told = ", ".join(f"{figure_name} {figure(figure_name, value)}" for figure_name, value in figures.items())
    return f"compared with column {quoted(name)} in {counted(known.rows, 'row')}: {told}"
