"""CSV files that are written come back as they were."""

from __future__ import annotations

import csv
import datetime
import os
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from chainrule.data import write
from chainrule.data.read import read_table
from chainrule.data.table import Values
from chainrule.data.write import write_csv
from chainrule.errors import DataError

TEXT = st.text(st.characters(codec="utf-8"), max_size=10)


@settings(max_examples=80)
@given(st.lists(st.tuples(TEXT, TEXT), max_size=6), st.tuples(TEXT, TEXT))
@example([("\r", "\n"), ('"', ","), ("", " x ")], ("a\rb", '"'))
def test_any_text_comes_back(rows: list[tuple[str, str]], names: tuple[str, str]) -> None:
    if names[0] == names[1]:
        return
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "out.csv"
        write_csv(path, {name: [row[i] for row in rows] for i, name in enumerate(names)})
        with path.open(encoding="utf-8", newline="") as file:
            assert list(csv.reader(file, strict=True)) == [list(names), *map(list, rows)]


def test_numbers_come_back_exactly(tmp_path: Path) -> None:
    numbers = np.random.default_rng(0).standard_normal(500) * 10.0 ** np.arange(-250, 250)
    write_csv(tmp_path / "out.csv", {"x": numbers, "y": np.arange(500)})
    table = read_table(tmp_path / "out.csv")
    np.testing.assert_array_equal(table["x"].values, numbers)
    np.testing.assert_array_equal(table["y"].values, np.arange(500))


@pytest.mark.parametrize("rows_at_once", [1, 2, 100])
def test_every_kind_and_its_missing_values(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rows_at_once: int) -> None:
    monkeypatch.setattr(write, "_ROWS_AT_ONCE", rows_at_once)
    columns: dict[str, Any] = {
        "truth": [True, False, None],
        "whole": Values.of([1, None, 3]),
        "real": np.array([0.5, np.nan, np.inf], np.float32),
        "text": ["a", None, 'b,"c"'],
        "day": [datetime.date(2024, 1, 31), None, datetime.date(1969, 2, 1)],
        "moment": np.array(["2024-01-31T10:30:00", "NaT", "2024-01-31T10:30:00.25"], "M8[us]"),
    }
    write_csv(tmp_path / "out.csv", columns)
    assert (tmp_path / "out.csv").read_text() == (
        "truth,whole,real,text,day,moment\n"
        "true,1,0.5,a,2024-01-31,2024-01-31T10:30:00\n"
        "false,,,,,\n"
        ',3,inf,"b,""c""",1969-02-01,2024-01-31T10:30:00.250\n'
    )
    table = read_table(tmp_path / "out.csv")
    assert [values.kind for values in table.columns.values()] == [
        "boolean",
        "integer",
        "number",
        "category",
        "date",
        "timestamp",
    ]
    assert {name: values.missing.tolist() for name, values in table.columns.items()} == {
        name: (Values.of(values) if not isinstance(values, Values) else values).missing.tolist()
        for name, values in columns.items()
    }


def test_one_column_with_missing_values_keeps_its_rows(tmp_path: Path) -> None:
    write_csv(tmp_path / "out.csv", {"x": [1, None, 3]})
    assert (tmp_path / "out.csv").read_text() == 'x\n1\n""\n3\n'
    assert read_table(tmp_path / "out.csv")["x"].missing.tolist() == [False, True, False]


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({}, "out.csv: there are no columns to write"),
        (
            {"a": [1, 2], "b": [1]},
            'out.csv: column "a" has 2 rows and column "b" has 1; all columns need equal lengths',
        ),
        ({"a": ["\ud800"]}, "out.csv: text that cannot be written as UTF-8 (surrogates not allowed)"),
        ({"a": [1, "x"]}, 'column "a": mixes category and integer values; make them all of one kind'),
    ],
)
def test_what_cannot_be_written_leaves_no_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, columns: dict[str, Any], message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataError) as caught:
        write_csv("out.csv", columns)
    assert str(caught.value) == message
    assert os.listdir(tmp_path) == []
