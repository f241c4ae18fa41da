"""Columns written to a CSV file that every reader reads alike."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from chainrule.data.files import atomic_file
from chainrule.data.table import Kind, Values
from chainrule.data.wording import counted, one_line, quoted
from chainrule.errors import DataError

_ROWS_AT_ONCE = 2**16
_NEEDS_QUOTES = re.compile(r'[",\r\n]|^\s|\s$|^$')


def write_csv(path: str | os.PathLike[str], columns: Mapping[str, Any]) -> None:
    """Write columns as UTF-8 CSV (RFC 4180) with a header, whole or not at all (`files.atomic_file`).

    Columns are arrays or sequences as `Values.of` takes them, or `Values`. Numbers are written with as many digits as
    bring the same float64 back, truths as `true` and `false`, dates as `2024-01-31` and `2024-01-31T10:30:00`, missing
    values as nothing. Names and text with commas, quotes, line ends or outer blanks are quoted.

    Raises:
        DataError: for no columns or columns of different lengths, text that has no UTF-8, and what the system refuses.

    >>> import pathlib, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_csv(f"{folder}/out.csv", {"town, country": ["Oslo", None], "people": [709037.0, 0.5]})
    ...     print(pathlib.Path(f"{folder}/out.csv").read_text(), end="")
    "town, country",people
    Oslo,709037.0
    ,0.5
    """
    shown = one_line(str(path))
    if not columns:
        raise DataError(f"{shown}: there are no columns to write")
    values = {name: v if isinstance(v, Values) else Values.of(v, name) for name, v in columns.items()}
    rows = len(next(iter(values.values())))
    for name, column in values.items():
        if len(column) != rows:
            first = next(iter(values))
            raise DataError(
                f"{shown}: column {quoted(first)} has {counted(rows, 'row')} and column {quoted(name)} has "
                f"{len(column):,}; all columns need equal lengths"
            )
    with atomic_file(path) as file:
        try:
            for block in csv_blocks(values):
                file.write(block.encode())
        except UnicodeEncodeError as error:
            raise DataError(f"{shown}: text that cannot be written as UTF-8 ({error.reason})") from None


def csv_blocks(values: Mapping[str, Values]) -> Iterator[str]:
    """The text that `write_csv` writes, in blocks of many lines; the columns must be of equal length.

    >>> list(csv_blocks({"town": Values.of(["Oslo", None])}))
    ['town\\n', 'Oslo\\n""\\n']
    """
    rows = len(next(iter(values.values())))
    yield ",".join(_quote(name) for name in values) + "\n"
    for start in range(0, rows, _ROWS_AT_ONCE):
        cells = [_cells(column.take(slice(start, start + _ROWS_AT_ONCE))) for column in values.values()]
        # A lone empty value needs its quotes, else its line would be an empty line, which is no row.
        lines = [cell or '""' for cell in cells[0]] if len(cells) == 1 else map(",".join, zip(*cells, strict=True))
        yield "\n".join(lines) + "\n"


def _cells(column: Values) -> list[str]:
    spell = _SPELLING.get(column.kind, str)
    if column.kind in ("date", "timestamp"):
        texts = [spell(text) for text in np.datetime_as_string(column.values).tolist()]
    else:
        texts = [spell(value) for value in column.values.tolist()]
    for row in np.flatnonzero(column.missing):
        texts[row] = ""
    return texts


def _quote(text: str) -> str:
    return '"' + text.replace('"', '""') + '"' if _NEEDS_QUOTES.search(text) else text


def _truth(value: bool) -> str:
    return "true" if value else "false"


def _moment(text: str) -> str:
    return text.removesuffix("000").removesuffix("000").removesuffix(".")


_SPELLING: dict[Kind, Any] = {"boolean": _truth, "category": _quote, "timestamp": _moment}
