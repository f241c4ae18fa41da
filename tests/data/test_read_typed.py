"""Parquet and JSON: their own types, names as the file has them, and one line for every fault."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import duckdb
import numpy as np
import pytest

from chainrule.data import typed
from chainrule.data.engine import EngineError
from chainrule.data.read import read_table
from chainrule.data.table import Table
from chainrule.errors import DataError


def parquet(path: Path, query: str) -> Path:
    with duckdb.connect() as connection:
        connection.execute(f"copy ({query}) to '{str(path).replace(chr(39), chr(39) * 2)}' (format parquet)")
    return path


def read_json(folder: Path, text: str | bytes, name: str = "rows.jsonl") -> Table:
    (folder / name).write_bytes(text.encode() if isinstance(text, str) else text)
    return read_table(folder / name)


def fault(path: Path, content: str | bytes | None = None) -> str:
    if content is not None:
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    with pytest.raises(DataError) as caught:
        read_table(path)
    message = str(caught.value)
    assert len(message.splitlines()) == 1
    assert message.startswith(f"{path}: ")
    return message.removeprefix(f"{path}: ")


@pytest.mark.parametrize(
    ("sql", "kind", "values"),
    [
        ("1::tinyint", "integer", [1, 0]),
        ("5::uinteger", "integer", [5, 0]),
        ("18446744073709551615::ubigint", "number", [2.0**64, np.nan]),
        ("1.5::float", "number", [1.5, np.nan]),
        ("2.25::decimal(10,2)", "number", [2.25, np.nan]),
        ("1e300", "number", [1e300, np.nan]),
        ("'nan'::double", "number", [np.nan, np.nan]),
        ("true", "boolean", [True, False]),
        ("'NA'", "category", ["NA", ""]),
        ("time '10:30:00'", "category", ["10:30:00", ""]),
        ("'p'::enum('p', 'q')", "category", ["p", ""]),
        ("uuid '123e4567-e89b-12d3-a456-426614174000'", "category", ["123e4567-e89b-12d3-a456-426614174000", ""]),
        ("'{\"a\": 1}'::json", "category", ['{"a": 1}', ""]),
        ("date '2024-01-31'", "date", [np.datetime64("2024-01-31"), np.datetime64("NaT")]),
        ("timestamp '2024-01-31 10:30:00'", "timestamp", [np.datetime64("2024-01-31T10:30"), np.datetime64("NaT")]),
        ("timestamp_ns '2024-01-31 10:30:00'", "timestamp", [np.datetime64("2024-01-31T10:30"), np.datetime64("NaT")]),
        (
            "timestamptz '2024-01-31 10:30:00+00'",
            "timestamp",
            [np.datetime64("2024-01-31T10:30"), np.datetime64("NaT")],
        ),
    ],
)
def test_parquet_types_become_kinds(tmp_path: Path, sql: str, kind: str, values: list[object]) -> None:
    table = read_table(parquet(tmp_path / "t.parquet", f"select {sql} as x union all by name select null as x"))
    order = np.argsort(table["x"].missing, kind="stable")
    assert table["x"].kind == kind
    np.testing.assert_array_equal(table["x"].values[order], np.array(values, dtype=table["x"].values.dtype))
    if "nan" not in sql:
        assert table["x"].missing[order].tolist() == [False, True]


def renamed(path: Path, old: bytes, new: bytes) -> Path:
    """A Parquet file with a name that DuckDB itself would not write."""
    path.write_bytes(path.read_bytes().replace(old, new))
    return path


def test_parquet_names_may_differ_in_case_only_and_hold_quotes(tmp_path: Path) -> None:
    path = parquet(tmp_path / "it's[1].parquet", 'select 1 as name, 2 as "NAMX", 3 as "say ""x""", 4 as "ü y"')
    table = read_table(renamed(path, b"NAMX", b"NAME"))
    assert table.names == ("name", "NAME", 'say "x"', "ü y")
    assert [int(values.values[0]) for values in table.columns.values()] == [1, 2, 3, 4]


def test_parquet_names_that_stand_twice(tmp_path: Path) -> None:
    path = renamed(parquet(tmp_path / "t.parquet", "select 1 as name, 2 as namx"), b"namx", b"name")
    assert fault(path) == 'more than one column is called "name"; give each a name of its own'


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("select 1 as a, [1] as b", 'column "b" holds lists or objects; give each row one plain value a column'),
        ("select 1 as a, {'x': 1} as b", 'column "b" holds lists or objects; give each row one plain value a column'),
        (
            "select 1 as a, map {'x': 1} as b",
            'column "b" holds lists or objects; give each row one plain value a column',
        ),
        ("select 'x'::blob as b", 'column "b" holds blob values; give each row one plain value a column'),
        ("select 1 as a where false", "holds no rows"),
    ],
)
def test_parquet_that_is_no_plain_table(tmp_path: Path, query: str, message: str) -> None:
    assert fault(parquet(tmp_path / "t.parquet", query)) == message


@pytest.mark.parametrize("damage", [lambda b: b[:-5], lambda b: b"hello", lambda b: b[:4] + b"\xff" * len(b) + b[-12:]])
def test_damaged_parquet(tmp_path: Path, damage: object) -> None:
    content = parquet(tmp_path / "t.parquet", "select 1 as a").read_bytes()
    message = fault(tmp_path / "t.parquet", damage(content))  # type: ignore[operator]
    assert message.startswith("is not a whole Parquet file (")
    assert message.endswith("); make or fetch it again")
    assert str(tmp_path) not in message


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ('{"a": 1, "b": "x"}\n{"a": 2.5, "b": null}\n', "rows.jsonl"),
        ('{"a": 1, "b": "x"}\r\n\r\n{"a": 2.5}', "rows.ndjson"),
        ('{"a": 1, "b": "x"}\n{"a": 2.5}', "rows.json"),
        ('\n[{"a": 1, "b": "x"},\n {"a": 2.5, "b": null}]\n', "rows.json"),
        ('[{"a": 1, "b": "x"}, {"a": 2.5, "b": null}]', "rows.jsonl"),
        ('{"a": 1,\n "b": "x"}\n{"a": 2.5,\n "b": null}', "rows.json"),
        ('\ufeff{"a": 1, "b": "x"}\n{"a": 2.5}', "rows.jsonl"),
        ('\ufeff[{"a": 1, "b": "x"},{"a": 2.5}]', "rows.json"),
    ],
)
def test_json_rows_come_one_a_line_or_in_an_array(tmp_path: Path, text: str, name: str) -> None:
    table = read_json(tmp_path, text, name)
    assert table["a"].kind == "number"
    assert table["a"].values.tolist() == [1.0, 2.5]
    assert table["b"].values.tolist() == ["x", ""]
    assert table["b"].missing.tolist() == [False, True]


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ([1, 2], "integer"),
        ([1, None, 2.5], "number"),
        ([2**63, 1], "number"),
        ([10**20, 1], "number"),
        ([True, None], "boolean"),
        (["5", "6"], "category"),
        ([None, None], "category"),
        (["2024-01-31", None], "date"),
        (["2024-01-31T10:30:00", "2024-01-31T10:30:00Z"], "timestamp"),
        (["1-2-3", "4-5-6"], "category"),
        (["10:30:00", "11:00:00"], "category"),
        (["123e4567-e89b-12d3-a456-426614174000"], "category"),
        ([1, "x", True], "category"),
        ([1, True], "category"),
        ([1, "2", None], "integer"),
    ],
)
def test_json_values_have_kinds(tmp_path: Path, values: list[object], kind: str) -> None:
    table = read_json(tmp_path, "".join(json.dumps({"x": value, "y": 0}) + "\n" for value in values))
    assert table["x"].kind == kind
    assert table["x"].missing.tolist() == [value is None for value in values]


def test_json_names_may_hold_anything(tmp_path: Path) -> None:
    names = ["two\nlines", 'say "x"', "it's", "größe", " ", "a_1", "json"]
    row = dict(zip(names, range(7), strict=True)) | {"d'ay": "2024-01-31", 'mi"x': 1}
    table = read_json(tmp_path, json.dumps(row) + "\n" + json.dumps(row | {'mi"x': "text"}))
    assert table.names == tuple(row)
    assert [values.values[0] for values in table.columns.values()][:7] == list(range(7))
    assert (table["d'ay"].kind, table['mi"x'].kind) == ("date", "category")


@pytest.mark.parametrize("text", ['{"json": 1}\n{"json": 2}', '[{"json": 1}, {"json": 2}]'])
def test_a_json_column_may_be_called_json(tmp_path: Path, text: str) -> None:
    assert read_json(tmp_path, text)["json"].values.tolist() == [1, 2]


def test_packed_json_is_not_read(tmp_path: Path) -> None:
    assert fault(tmp_path / "x.json.gz", gzip.compress(b"{}")).startswith("unknown kind of file")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"a":1}\n{"a":2,\n', "line 2, column 8: not valid JSON (expecting property name enclosed in double quotes);"),
        ('[{"a":1},\n{"a" 2}]', "line 2, column 6: not valid JSON (expecting ':' delimiter); correct it there"),
        ('{"a":1,"a":2}\n', 'line 1: key "a" stands twice in one object; rename one of them'),
        ('{"a":1}\n2\n', 'line 2: no object; write each row as {"name": value, ...}'),
        ('{"a":1}\n\n[1]\n', 'line 3: no object; write each row as {"name": value, ...}'),
        ("[[1,2],[3,4]]", 'line 1: no object; write each row as {"name": value, ...}'),
        ("{}\n{}\n", 'line 1: an object without names; write each row as {"name": value, ...}'),
        ('{"":1}\n', 'line 1: an object without names; write each row as {"name": value, ...}'),
        ("[]", "is not rows of JSON"),
        (b'{"a":"\xff"}\n', "line 1: byte 0xff at offset 6 is not UTF-8 text; save it as UTF-8"),
        ('{"a":[1,2],"b":1}', 'column "a" holds lists or objects; give each row one plain value a column'),
        ('{"a":{"x":1}}', 'column "a" holds lists or objects; give each row one plain value a column'),
        ('{"a":{"x":1}}\n{"a":1}', 'column "a" holds lists or objects; give each row one plain value a column'),
        ('{"a":1,"A":2}\n', 'keys "a" and "A" differ only in case; rename one of them'),
    ],
)
def test_the_fault_of_a_json_file_is_named(tmp_path: Path, text: str | bytes, message: str) -> None:
    assert fault(tmp_path / "rows.json", text).startswith(message)


def test_an_error_of_the_engine_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise EngineError("out of\x07 memory")

    monkeypatch.setattr(typed, "_load_json", refuse)
    assert fault(tmp_path / "rows.json", '{"a": 1}') == "is not rows of JSON: out of\\x07 memory"
