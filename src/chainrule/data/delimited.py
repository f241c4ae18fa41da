"""CSV and TSV files, read by DuckDB; what it refuses is read again, slowly and exactly, to name the line at fault."""

from __future__ import annotations

import contextlib
import csv
import gzip
import io
import tempfile
import zlib
from collections import Counter
from collections.abc import Collection, Generator, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, TextIO, cast

from chainrule.data.engine import Engine, EngineError, literal
from chainrule.data.sniff import Guess, guess_kinds, stripped
from chainrule.data.table import Values
from chainrule.data.wording import counted, listing, one_line
from chainrule.errors import DataError

DELIMITERS = (",", ";", "\t", "|")
DAMAGED = (EOFError, zlib.error, gzip.BadGzipFile)
"""What a damaged gzip file raises."""

_LONGEST_LINE = 2**27
_LONGEST_FIELD = 2**31 - 1


@dataclass(frozen=True)
class Header:
    """The column names, what separates them, and whether the table starts right below the first line."""

    names: tuple[str, ...]
    delimiter: str
    plain: bool


def read_delimited(
    path: Path, delimiter: str | None, missing: Collection[str], texts: Collection[str]
) -> tuple[dict[str, Values], list[str]]:
    """Columns and notices of a CSV file, gzipped where its name ends in .gz; `texts` names columns to keep as text."""
    header = _header(path, delimiter)
    with Engine() as engine:
        # One column is left to the exact reader: there an empty line may be a row without a value, or no row at all.
        if header.plain and len(header.names) > 1:
            try:
                return _load(engine, path, path, header, missing, texts)
            except EngineError:
                pass
        with tempfile.TemporaryDirectory(prefix="chainrule-") as folder:
            clean = Path(folder) / "clean.csv"
            _rewrite(path, clean, header)
            return _load(engine, clean, path, Header(header.names, ",", True), missing, texts)


def open_file(path: Path) -> BinaryIO:
    """The bytes of a file, unpacked where its name ends in .gz."""
    return cast(BinaryIO, gzip.open(path, "rb")) if path.suffix.lower() == ".gz" else path.open("rb")


def utf8_fault(path: Path) -> DataError:
    """The error that names the first line and byte that are not UTF-8."""
    shown, offset = one_line(str(path)), 0
    with open_file(path) as file:
        for number, line in enumerate(file, 1):
            if number == 1 and line[:2] in (b"\xff\xfe", b"\xfe\xff"):
                return DataError(f"{shown}: is UTF-16 text, not UTF-8; save it as UTF-8")
            try:
                line.decode()
            except UnicodeDecodeError as error:
                byte, at = line[error.start], offset + error.start
                return DataError(
                    f"{shown}: line {number:,}: byte 0x{byte:02x} at offset {at:,} is not UTF-8 text; save it as UTF-8"
                )
            offset += len(line)
    return DataError(f"{shown}: is not UTF-8 text; save it as UTF-8")


@contextlib.contextmanager
def open_text(path: Path) -> Generator[TextIO]:
    """The text of a file, without a byte order mark; what is not UTF-8 or not whole becomes a DataError."""
    try:
        with open_file(path) as file, io.TextIOWrapper(file, "utf-8-sig", newline="") as text:
            yield text
    except UnicodeDecodeError:
        raise utf8_fault(path) from None
    except DAMAGED as error:
        shown = one_line(str(path))
        raise DataError(f"{shown}: is not a whole gzip file ({one_line(str(error))}); make or fetch it again") from None


def _records(text: TextIO, path: Path, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    """Line number and values of each record; empty lines are none."""
    shown, line = one_line(str(path)), 1
    usual = csv.field_size_limit(_LONGEST_FIELD)
    reader = csv.reader(text, delimiter=delimiter, strict=True, skipinitialspace=True)
    try:
        for record in reader:
            if record:
                yield line, record
            line = reader.line_num + 1
    except csv.Error as error:
        if "end of data" in str(error):
            raise DataError(f'{shown}: line {line:,}: a quote (") is opened and never closed; close it') from None
        raise DataError(
            f"{shown}: line {line:,}: a quoted value goes on after its closing quote; "
            f'write a quote within quotes twice ("")'
        ) from None
    finally:
        csv.field_size_limit(usual)


def _header(path: Path, delimiter: str | None) -> Header:
    shown = one_line(str(path))
    separator = delimiter or _delimiter(path)
    with open_text(path) as text:
        line, cells = next(_records(text, path, separator), (1, [""]))
    if not any(cell.strip() for cell in cells):
        raise DataError(f"{shown}: is empty; its first line should name the columns")
    names = tuple(cell.strip() or f"Unnamed: {i}" for i, cell in enumerate(cells))
    twice = [name for name, times in Counter(names).items() if times > 1]
    if twice:
        raise DataError(
            f"{shown}: line {line:,}: {'these names stand' if len(twice) > 1 else 'this name stands'} over more than "
            f"one column: {listing(twice)}; give each column a name of its own"
        )
    return Header(names, separator, line == 1)


def _delimiter(path: Path) -> str:
    """The separator that stands most often outside the quotes of the first record."""
    if ".tsv" in [suffix.lower() for suffix in path.suffixes[-2:]]:
        return "\t"
    first = ""
    with open_text(path) as text:
        for line in text:
            first += line
            if first.strip() and first.count('"') % 2 == 0:
                break
    outside = "".join(first.split('"')[::2])
    return max(DELIMITERS, key=outside.count)


def _rewrite(path: Path, clean: Path, header: Header) -> None:
    """Copy to a plain, fully quoted, comma-separated file, or name the first record of a wrong length."""
    wanted = len(header.names)
    with open_text(path) as text, clean.open("w", encoding="utf-8", newline="") as out:
        writer = csv.writer(out, quoting=csv.QUOTE_ALL, lineterminator="\n")
        for at, (line, record) in enumerate(_records(text, path, header.delimiter)):
            if len(record) != wanted:
                fix = "add the missing values" if len(record) < wanted else "quote values that hold a separator"
                raise DataError(
                    f"{one_line(str(path))}: line {line:,}: {counted(len(record), 'value')} where the header names "
                    f"{counted(wanted, 'column')}; {fix} or take the line out"
                )
            # Whatever the names hold, DuckDB's search for the kind of line ends is not to meet it.
            writer.writerow(record if at else [f"c{i}" for i in range(wanted)])


def _load(
    engine: Engine, path: Path, origin: Path, header: Header, missing: Collection[str], texts: Collection[str]
) -> tuple[dict[str, Values], list[str]]:
    """The columns of a file whose records all have the right length; an EngineError where they have not."""
    columns = dict(zip(header.names, (f"c{i}" for i in range(len(header.names))), strict=True))
    source, place = _source(columns.values(), header.delimiter, path, missing), str(path)
    guesses = {name: Guess("category", stripped(column, missing)) for name, column in columns.items() if name in texts}
    guesses |= _numeric(engine, source, place, {n: c for n, c in columns.items() if n not in guesses})
    rest = {name: column for name, column in columns.items() if name not in guesses}
    guesses |= guess_kinds(engine, source, place, rest, missing)
    arrays = engine.arrays([guesses[name].sql for name in columns], source, place)
    rows = len(arrays[0])
    if path == origin:
        _check_delimiters(engine, source, path, header, rows, guesses)
    if rows == 0:
        raise DataError(f"{one_line(str(origin))}: holds column names and no rows; add rows below the names")
    table = {name: guesses[name].values(array) for name, array in zip(columns, arrays, strict=True)}
    return table, [note for name, guess in guesses.items() for note in guess.notices(name, table[name])]


def _numeric(engine: Engine, source: str, place: str, columns: Mapping[str, str]) -> dict[str, Guess]:
    """The columns that hold nothing but numbers: found apart, because that is quick and most columns are."""
    tests = ("count({})", "count(try_cast({} as double))", "count_if(contains({}, '.'))", "count_if(contains({}, '_'))")
    counts = engine.counts(tests, columns.values(), source, place)
    return {
        name: Guess("number", f"try_cast({column} as double)", whole=not points)
        for (name, column), (present, numbers, points, underscores) in zip(columns.items(), counts, strict=True)
        if 0 < present == numbers and not underscores
    }


def _source(columns: Iterable[str], delimiter: str, path: Path, missing: Collection[str]) -> str:
    """SQL: all columns as text, strictly; nothing is detected, padded or skipped."""
    types = ", ".join(f"{column}: 'VARCHAR'" for column in columns)
    marks = ", ".join(literal(mark) for mark in sorted({*missing, ""}))
    packed = "gzip" if path.suffix.lower() == ".gz" else "none"
    return (
        f"read_csv(?, auto_detect=false, header=true, columns={{{types}}}, delim={literal(delimiter)}, quote='\"', "
        f"escape='\"', nullstr=[{marks}], strict_mode=true, null_padding=false, ignore_errors=false, "
        f"hive_partitioning=false, compression='{packed}', max_line_size={_LONGEST_LINE})"
    )


def _check_delimiters(
    engine: Engine, source: str, path: Path, header: Header, rows: int, guesses: dict[str, Guess]
) -> None:
    """Raise an EngineError unless the file holds as many separators as its rows and values account for.

    DuckDB reads the record `1,2,` as two values. Here such a record shows as one separator too many.
    """
    mark, seen, has_quotes = header.delimiter.encode(), 0, False
    try:
        with open_file(path) as file:
            while block := file.read(2**24):
                seen += block.count(mark)
                has_quotes = has_quotes or b'"' in block
    except DAMAGED as error:
        raise EngineError(str(error)) from None
    expected = (rows + 1) * (len(header.names) - 1)
    if has_quotes and seen != expected:
        sign = literal(header.delimiter)
        texts = [f"c{i}" for i, name in enumerate(header.names) if guesses[name].kind == "category"]
        sums = [f"coalesce(sum(length({text}) - length(replace({text}, {sign}, ''))), 0)" for text in texts]
        expected += sum(int(n) for n in engine.row(sums, source, str(path))) if sums else 0
        expected += sum(name.count(header.delimiter) for name in header.names)
    if seen != expected:
        raise EngineError(f"{seen} separators where {expected} were expected")
