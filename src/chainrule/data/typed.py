"""Files whose columns have types of their own: Parquet and JSON."""

from __future__ import annotations

import codecs
import json
import re
import shutil
import tempfile
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Any, cast

from chainrule.data.delimited import open_file, open_text
from chainrule.data.engine import Engine, EngineError, literal
from chainrule.data.sniff import Guess, guess_kinds
from chainrule.data.table import Kind, Values
from chainrule.data.wording import listing, one_line, quoted
from chainrule.errors import DataError

# SQL types by the kind they become, and what to cast them to; the rest of a type ("DECIMAL(10,2)") is cut off.
_INTEGERS = ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "UTINYINT", "USMALLINT", "UINTEGER")
_NUMBERS = ("UBIGINT", "HUGEINT", "UHUGEINT", "FLOAT", "DOUBLE", "DECIMAL", "BIGNUM", "VARINT")
_TEXTS = ("VARCHAR", "UUID", "ENUM", "TIME", "NULL", "JSON")
_MOMENTS = ("TIMESTAMP", "TIMESTAMP_S", "TIMESTAMP_MS", "TIMESTAMP_NS", "TIMESTAMP WITH TIME ZONE")
_READING: dict[str, tuple[Kind, str]] = {
    **dict.fromkeys(_INTEGERS, ("integer", "cast({} as bigint)")),
    **dict.fromkeys(_NUMBERS, ("number", "cast({} as double)")),
    **dict.fromkeys(_TEXTS, ("category", "cast({} as varchar)")),
    **dict.fromkeys(_MOMENTS, ("timestamp", "{}")),
    "BOOLEAN": ("boolean", "{}"),
    "DATE": ("date", "{}"),
}
Columns = tuple[dict[str, Values], list[str]]


def read_parquet(path: Path) -> Columns:
    """Columns and notices of a Parquet file."""
    shown, place = one_line(str(path)), str(path)
    source = "read_parquet(?, hive_partitioning=false)"
    with Engine() as engine:
        try:
            fields = engine.columns(source, place)
            _refuse_nested(fields, shown)
            # The names as the file has them, below the root: DuckDB renames those that differ only in case.
            names = [str(name) for name in engine.arrays(["name"], "parquet_schema(?)", place)[0][1:]]
            _refuse_twins(names, shown)
            guesses = {name: _guess(field, kind) for name, (field, kind) in zip(names, fields, strict=True)}
            return _fetch(engine, source, place, guesses, shown)
        except EngineError as error:
            words = one_line(str(error)).replace(shown, path.name)
            raise DataError(f"{shown}: is not a whole Parquet file ({words}); make or fetch it again") from None


def read_json(path: Path, missing: Collection[str]) -> Columns:
    """Columns and notices of a JSON file: one object a line, or an array of objects."""
    shown = one_line(str(path))
    with tempfile.TemporaryDirectory(prefix="chainrule-") as folder:
        place = _without_mark(path, Path(folder))
        form = "array" if _first_character(path) == "[" else "auto"
        try:
            with Engine() as engine:
                return _load_json(engine, str(place), form, missing, shown)
        except EngineError as error:
            raise _json_fault(path) or DataError(f"{shown}: is not rows of JSON: {one_line(str(error))}") from None


def _load_json(engine: Engine, place: str, form: str, missing: Collection[str], shown: str) -> Columns:
    common = f"format='{form}', records=true, hive_partitioning=false"
    search = "sample_size=-1, map_inference_threshold=-1, field_appearance_threshold=0"
    fields = engine.columns(f"read_json(?, {common}, {search})", place)
    if any(not name for name, _ in fields):
        raise EngineError("a key without a name")
    _refuse_nested(fields, shown)
    _refuse_cases([name for name, _ in fields], shown)
    mixed = [name for name, kind in fields if kind == "JSON"]
    # Strings that DuckDB takes for dates are read as text, so that dates are found by the same rules as in CSV.
    strings = [name for name, kind in fields if _READING[_base(kind)][0] in ("category", "date", "timestamp")]
    types = {name: "JSON" if name in mixed else "VARCHAR" if name in strings else kind for name, kind in fields}
    spelled = ", ".join(f"{literal(name)}: {literal(kind)}" for name, kind in types.items())
    source = f"read_json(?, {common}, columns={{{spelled}}})"
    counts = engine.counts(["count_if(json_type({}) in ('OBJECT', 'ARRAY'))"], map(_identifier, mixed), source, place)
    _refuse_nested([(name, "STRUCT" if n else "JSON") for name, (n,) in zip(mixed, counts, strict=True)], shown)
    texts = {name: f"({_identifier(name)} ->> '$')" if name in mixed else _identifier(name) for name in strings}
    guesses = {name: _guess(name, kind) for name, kind in types.items()}
    for name, found in guess_kinds(engine, source, place, texts, missing).items():
        if name in mixed or found.kind in ("date", "timestamp"):
            guesses[name] = found
    return _fetch(engine, source, place, guesses, shown)


def _fetch(engine: Engine, source: str, place: str, guesses: dict[str, Guess], shown: str) -> Columns:
    arrays = engine.arrays([guess.sql for guess in guesses.values()], source, place)
    if not len(arrays[0]):
        raise DataError(f"{shown}: holds no rows")
    table = {name: guess.values(array) for (name, guess), array in zip(guesses.items(), arrays, strict=True)}
    return table, [note for name, guess in guesses.items() for note in guess.notices(name, table[name])]


def _guess(name: str, kind: str) -> Guess:
    read_as, sql = _READING[_base(kind)]
    return Guess(read_as, sql.format(_identifier(name)))


def _base(kind: str) -> str:
    return kind.partition("(")[0].strip('"')


def _identifier(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _refuse_nested(fields: Sequence[tuple[str, str]], shown: str) -> None:
    for name, kind in fields:
        if kind != "JSON" and (_base(kind) not in _READING or kind.endswith("]")):
            nested = kind.endswith("]") or _base(kind) in ("STRUCT", "MAP", "LIST", "UNION", "VARIANT")
            what = "lists or objects" if nested else one_line(kind).lower() + " values"
            raise DataError(f"{shown}: column {quoted(name)} holds {what}; give each row one plain value a column")


def _refuse_twins(names: Sequence[str], shown: str) -> None:
    twice = [name for name, times in Counter(names).items() if times > 1]
    if twice:
        raise DataError(f"{shown}: more than one column is called {listing(twice)}; give each a name of its own")


def _refuse_cases(names: Sequence[str], shown: str) -> None:
    """Of keys that differ only in case, as "a" and "A", DuckDB calls the second "A_1"; its values could be mistaken."""
    folded = {name.casefold(): name for name in names}
    for name in names:
        stem = re.sub(r"_\d+$", "", name)
        if stem != name and stem not in names and stem.casefold() in folded:
            other = folded[stem.casefold()]
            raise DataError(f"{shown}: keys {quoted(other)} and {quoted(stem)} differ only in case; rename one of them")


def _first_character(path: Path) -> str:
    with open_text(path) as text:
        return text.read(2**12).lstrip()[:1]


def _without_mark(path: Path, folder: Path) -> Path:
    """The file, or a copy of it without its byte order mark."""
    with open_file(path) as file:
        if file.read(3) != codecs.BOM_UTF8:
            return path
        clean = folder / "clean.json"
        with clean.open("wb") as out:
            shutil.copyfileobj(file, out)
    return clean


def _json_fault(path: Path) -> DataError | None:
    """The first thing wrong with a JSON file, or None."""
    shown = one_line(str(path))
    with open_text(path) as file:
        text = file.read()
    for line, row in _json_rows(text):
        if isinstance(row, json.JSONDecodeError):
            at = f"line {line + row.lineno - 1:,}, column {row.colno:,}"
            return DataError(f"{shown}: {at}: not valid JSON ({row.msg[0].lower() + row.msg[1:]}); correct it there")
        if isinstance(row, str):
            return DataError(
                f"{shown}: line {line:,}: key {quoted(row)} stands twice in one object; rename one of them"
            )
        if not isinstance(row, dict) or not row or "" in row:
            what = "an object without names" if isinstance(row, dict) else "no object"
            return DataError(f'{shown}: line {line:,}: {what}; write each row as {{"name": value, ...}}')
    return None


def _json_rows(text: str) -> Iterator[tuple[int, Any]]:
    """Line and value of each row; in place of a value, the error in it or the key that stands twice in it."""
    if text.lstrip().startswith("["):
        rows = _parsed(text)
        yield from ((1, row) for row in (cast(list[Any], rows) if isinstance(rows, list) else [rows]))
        return
    yield from ((line, _parsed(row)) for line, row in enumerate(text.split("\n"), 1) if row.strip())


def _parsed(text: str) -> Any:
    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        twice = [name for name, times in Counter(name for name, _ in pairs).items() if times > 1]
        if twice:
            raise _TwiceError(twice[0])
        return dict(pairs)

    try:
        return json.loads(text, object_pairs_hook=once)
    except json.JSONDecodeError as error:
        return error
    except _TwiceError as error:
        return str(error)


class _TwiceError(Exception):
    """A key that stands twice in one object."""
