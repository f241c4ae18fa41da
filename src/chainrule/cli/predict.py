"""`chainrule predict RUN DATA`."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from numpy.typing import NDArray

from chainrule.cli.console import command_line, one_line_errors, warn
from chainrule.data import Kind, Table, Values, read_table, write_csv
from chainrule.data.images import images_in
from chainrule.data.wording import counted, listing, one_line, quoted
from chainrule.data.write import csv_blocks
from chainrule.errors import DataError, RunError
from chainrule.training.images import ImageModel
from chainrule.training.language import LanguageModel
from chainrule.training.runs import load_run
from chainrule.training.tabular import TableModel
from chainrule.training.wording import figure

app = command_line()


@app.command()
def predict(
    run: Annotated[Path, typer.Argument(help="Folder of the run, as chainrule train named it.", show_default=False)],
    data: Annotated[
        list[Path],
        typer.Argument(
            help="Table with the columns of training: CSV, TSV, Parquet or JSON; of a run on images, PNG and JPEG "
            "files, and folders of them.",
            show_default=False,
        ),
    ],
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="CSV file to write; without it, the terminal.", show_default=False),
    ] = None,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
) -> None:
    """Predict for the rows of a table, or for images, with a trained network.

    Writes a CSV row for each row of the table, or for each image, in its order: the prediction and, for classes, the
    probability of each. What is odd about the data is told beside it (on stderr), and so are the figures of the
    predictions where the truth is known: the table holds the target as well, or images stand in folders named by class.

    Examples:

        chainrule predict runs/patients-diagnosis new.csv -o out.csv
        chainrule predict runs/patients-diagnosis new.csv | head
        chainrule predict runs/flowers new-images/ rose.jpg -o out.csv
    """
    with one_line_errors(debug):
        run_prediction(run, data, output)


def run_prediction(run: Path, data: Sequence[Path], output: Path | None) -> None:
    """Load, read, predict and write."""
    model = load_run(run)
    if output is not None and output.exists() and any(x.exists() and os.path.samefile(output, x) for x in data):
        what = "the table itself" if isinstance(model, TableModel) else "one of the images"
        raise DataError(f"{one_line(str(output))}: is {what}; choose another file for the predictions")
    if isinstance(model, LanguageModel):
        raise RunError(f"{one_line(str(run))}: is a run of a language model; use chainrule generate")
    if isinstance(model, ImageModel):
        columns, compared = _of_images(model, data)
    elif len(data) > 1:
        raise DataError(f"one table at a time, not {counted(len(data), 'file')}")
    else:
        columns, compared = _of_table(model, data[0])
    # Before anything is written, so that Ctrl-C leaves nothing behind.
    if output is None or str(output) == "-":
        for block in csv_blocks({name: Values.of(values) for name, values in columns.items()}):
            typer.echo(block.encode(), nl=False)
    else:
        write_csv(output, columns)
        typer.echo(f"{counted(len(columns['prediction']), 'prediction')} in {output}", err=True)
    if compared:
        typer.echo(compared, err=True)


def _of_table(model: TableModel, data: Path) -> tuple[dict[str, NDArray[Any]], str]:
    """Columns of predictions, and how good they are, if that is known."""
    target = model.schema.target
    # A target that is there for once must not stand in the way, whatever it holds; only text has to be kept as it is.
    kinds: dict[str, Kind] = {
        name: kind for name, kind in model.schema.kinds.items() if name != target.name or kind == "category"
    }
    table = read_table(data, kinds=kinds)
    columns, notices = model.predict(table)
    compared = _comparison(model, table) if target.name in table.columns else ""
    for notice in (*table.notices, *notices):
        warn(notice)
    return columns, compared


def _of_images(model: ImageModel, data: Sequence[Path]) -> tuple[dict[str, NDArray[Any]], str]:
    """The same for images."""
    files: list[Path] = []
    for place in data:
        if not place.exists():
            raise DataError(f"{one_line(str(place))}: there is no such file or folder; check the name")
        files += images_in(place) if place.is_dir() else [place]
    if not files:
        raise DataError(f"no PNG or JPEG file in {listing(data)}")
    pixels, kept, notices = model.read(files)
    columns = {"image": np.array([str(path) for path in kept], object)} | model.predict(pixels)
    for notice in notices:
        warn(notice)
    known = [i for i, path in enumerate(kept) if path.parent.name in model.classes]
    right = sum(columns["prediction"][i] == kept[i].parent.name for i in known)
    compared = f"compared with the folders of {counted(len(known), 'image')}: accuracy " if known else ""
    return columns, compared and compared + figure("accuracy", right / len(known))


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
