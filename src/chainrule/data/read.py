"""Tables from files: CSV, TSV, Parquet and JSON, whole and exact, or one clear line that says what is wrong."""

from __future__ import annotations

import os
import stat
from collections.abc import Collection, Mapping
from dataclasses import replace
from pathlib import Path

from chainrule.data.convert import as_kind
from chainrule.data.delimited import read_delimited
from chainrule.data.engine import EngineError
from chainrule.data.sniff import MISSING
from chainrule.data.table import Kind, Table
from chainrule.data.typed import read_json, read_parquet
from chainrule.data.wording import one_line
from chainrule.errors import DataError

EXTENSIONS = (".csv", ".csv.gz", ".json", ".jsonl", ".ndjson", ".parquet", ".tsv", ".tsv.gz")


def read_table(
    path: str | os.PathLike[str],
    *,
    delimiter: str | None = None,
    missing: Collection[str] = MISSING,
    kinds: Mapping[str, Kind] | None = None,
) -> Table:
    """Read a file into a `Table`; the name's ending says what it is (`EXTENSIONS`). Nothing is skipped or padded.

    **CSV and TSV** (plain or gzipped) are UTF-8, with or without a byte order mark, and name their columns in the first
    line. Values are separated by whichever of comma, semicolon, tab and bar stands most often in that line, unless
    `delimiter` says so; they may be quoted, and quoted values may hold anything. Empty lines are no rows. Blanks around
    names and values are not part of them. A column without a name is called "Unnamed: 0", by its position. Which kind a
    column is, is found from all its values (`sniff.guess_kinds`).
    **Parquet** has kinds of its own. **JSON** is one object a line, or one array of objects; strings that are all ISO
    dates become dates.

    Args:
        path: the file; it is read as it stands, `data[1].csv` is one file of that name.
        delimiter: what separates the values of a CSV file, one character.
        missing: the texts that stand for a missing value in CSV.
        kinds: the kinds that columns must have, those of training for instance (`Schema.kinds`). Columns that are of
            kind category there keep the text of the file, "007" too. Names that the file does not hold are ignored.

    Raises:
        DataError: for every file that cannot be read, in one line that says where and what to do.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = Path(f"{folder}/towns.csv").write_text("town,people,coast\\nOslo,709037,true\\nBern,?,false\\n")
    ...     towns = read_table(f"{folder}/towns.csv")
    >>> [(name, values.kind) for name, values in towns.columns.items()]
    [('town', 'category'), ('people', 'integer'), ('coast', 'boolean')]
    >>> towns["people"].missing.tolist()
    [False, True]
    """
    shown = one_line(str(path))
    kinds = kinds or {}
    if delimiter is not None and (len(delimiter.encode()) != 1 or delimiter in '"\n\r\0 '):
        raise DataError(f"delimiter {delimiter!r}: must be one plain character, such as a comma")
    place, ending = _checked(path)
    try:
        if ending == "parquet":
            columns, notices = read_parquet(place)
        elif ending in ("csv", "tsv"):
            columns, notices = read_delimited(
                place, delimiter, missing, {n for n, k in kinds.items() if k == "category"}
            )
        else:
            columns, notices = read_json(place, missing)
    except DataError as error:
        raise DataError(str(error).replace(one_line(str(place)), shown, 1)) from None
    except EngineError as error:
        raise DataError(f"{shown}: cannot be read: {one_line(str(error))}") from None
    except OSError as error:
        raise DataError(f"{shown}: cannot be read: {one_line(error.strerror or str(error))}") from None
    table = Table(columns, shown, tuple(notices))
    wanted: dict[str, Kind] = {name: kind for name, kind in kinds.items() if name in columns}
    return replace(table, columns=columns | {n: as_kind(columns[n], kind, n, shown) for n, kind in wanted.items()})


def _checked(path: str | os.PathLike[str]) -> tuple[Path, str]:
    """The absolute path of a file that is there and can be opened, and which of the formats its name tells."""
    shown = one_line(str(path))
    # Absolute, so that DuckDB takes no "https:" or "~" for what it is not.
    place = Path(os.path.abspath(path))
    try:
        status = place.stat()
        if stat.S_ISDIR(status.st_mode):
            raise DataError(f"{shown}: is a folder; give the name of a file in it")
        if not stat.S_ISREG(status.st_mode):
            # A pipe can be read once only, and one that nobody writes into would be waited for without end.
            raise DataError(f"{shown}: is a pipe or a device; save the table as a file, and give its name")
        suffixes = [suffix.lower() for suffix in place.suffixes[-2:]]
        packed = suffixes[-1:] == [".gz"]
        ending = "".join(suffixes[-2:] if packed else suffixes[-1:])
        if ending not in EXTENSIONS:
            raise DataError(f"{shown}: unknown kind of file; its name should end in one of {', '.join(EXTENSIONS)}")
        with place.open("rb") as file:
            if not file.read(1):
                raise DataError(f"{shown}: is empty")
    except FileNotFoundError:
        raise DataError(f"{shown}: there is no such file; check the name and the folder") from None
    except PermissionError:
        raise DataError(f"{shown}: may not be read; ask for permission to read it") from None
    except OSError as error:
        raise DataError(f"{shown}: cannot be read: {one_line(error.strerror or str(error))}") from None
    return place, ending.split(".")[1]
