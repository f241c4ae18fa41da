"""Values and tables made of arrays and sequences, and values read as another kind."""

from __future__ import annotations

import datetime
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from chainrule.data.convert import as_kind
from chainrule.data.table import Table, Values
from chainrule.errors import DataError

NAT = np.datetime64("NaT")


class Absent:
    """Stands for the missing value of a library that is not loaded here."""


Absent.__name__ = "NAType"


@pytest.mark.parametrize(
    ("values", "kind", "stored", "missing"),
    [
        ([True, None], "boolean", [True, False], [False, True]),
        (np.array([True, False]), "boolean", [True, False], [False, False]),
        ([1, None, 3], "integer", [1, 0, 3], [False, True, False]),
        (np.array([1, 2], np.uint8), "integer", [1, 2], [False, False]),
        (np.array([1, 2**64 - 1], np.uint64), "number", [1.0, 2.0**64], [False, False]),
        ([2**70, 1], "number", [2.0**70, 1.0], [False, False]),
        (np.ma.masked_array([1, 2], [True, False]), "integer", [0, 2], [True, False]),
        ([1, 2.5, Decimal("0.5"), Fraction(1, 4)], "number", [1.0, 2.5, 0.5, 0.25], [False] * 4),
        (np.array([1.5, np.nan], np.float32), "number", [1.5, np.nan], [False, True]),
        ([1, float("nan")], "integer", [1, 0], [False, True]),
        ([1, Decimal("nan"), Absent()], "integer", [1, 0, 0], [False, True, True]),
        (["a", None, np.str_("c")], "category", ["a", "", "c"], [False, True, False]),
        (np.array(["a", "bc"]), "category", ["a", "bc"], [False, False]),
        (np.array(["a", "bc"], np.dtypes.StringDType()), "category", ["a", "bc"], [False, False]),
        ([None, None], "category", ["", ""], [True, True]),
        ([], "category", [], []),
        ([datetime.date(2024, 1, 31), None], "date", [np.datetime64("2024-01-31"), NAT], [False, True]),
        (np.array(["2024-01", "NaT"], "M8[M]"), "date", [np.datetime64("2024-01-01"), NAT], [False, True]),
        (np.array(["2024-01-31T10"], "M8[h]"), "timestamp", [np.datetime64("2024-01-31T10:00")], [False]),
        (
            [datetime.datetime(2024, 1, 31, 10), datetime.date(2024, 2, 1), NAT],
            "timestamp",
            [np.datetime64("2024-01-31T10:00"), np.datetime64("2024-02-01T00:00"), NAT],
            [False, False, True],
        ),
        (
            [datetime.datetime(2024, 1, 31, 10, tzinfo=datetime.timezone(datetime.timedelta(hours=2)))],
            "timestamp",
            [np.datetime64("2024-01-31T08:00")],
            [False],
        ),
    ],
)
def test_the_kind_of_values_is_what_they_hold(values: Any, kind: str, stored: list[Any], missing: list[bool]) -> None:
    found = Values.of(values)
    assert (found.kind, found.missing.tolist()) == (kind, missing)
    np.testing.assert_array_equal(found.values, np.array(stored, dtype=found.values.dtype))
    assert len(found) == len(stored)
    assert len(found.present) == len(stored) - sum(missing)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (np.zeros((2, 2)), 'column "x": 2 axes where a column has one'),
        (np.zeros(2, complex), 'column "x": values of complex128 are neither numbers, text nor dates'),
        ([1, "a"], 'column "x": mixes category and integer values; make them all of one kind'),
        ([True, 1], 'column "x": mixes boolean and integer values; make them all of one kind'),
        ([1, b"a"], 'column "x": a bytes is neither a number, a text nor a date'),
        ([[1], [2]], 'column "x": a list is neither a number, a text nor a date'),
    ],
)
def test_what_is_no_column(values: Any, message: str) -> None:
    with pytest.raises(DataError) as caught:
        Values.of(values, "x")
    assert str(caught.value) == message


def test_values_do_not_change_with_the_array_they_were_made_of() -> None:
    array = np.array([1, 2])
    values = Values.of(array)
    array[0] = 9
    assert values.values.tolist() == [1, 2]


def test_a_table_takes_rows_and_columns() -> None:
    table = Table.from_columns({"a": [1, 2, 3], "b": ["x", None, "z"]}, "here")
    part = table.take(np.array([2, 0])).select(["b", "a"])
    assert (part.names, part.rows, part.source) == (("b", "a"), 2, "here")
    assert part["b"].values.tolist() == ["z", "x"]
    assert table.take(table["b"].missing)["a"].values.tolist() == [2]


def test_faults_of_a_table() -> None:
    with pytest.raises(DataError, match=r"^table: no columns$"):
        Table.from_columns({})
    with pytest.raises(DataError) as caught:
        Table.from_columns({"a": [1, 2], "b": [1], "c": [1, 2]}, "x.csv")
    assert str(caught.value) == ('x.csv: column "b" has 1 row and column "c" has 2; all columns need equal lengths')
    with pytest.raises(DataError) as caught:
        Table.from_columns({"Age": [1], "city": [1]})["age "]
    assert str(caught.value) == 'table: no column "age " (did you mean "Age"?)'


@pytest.mark.parametrize(
    ("values", "kind", "expected"),
    [
        ([1, None], "number", [1, 0]),
        ([1.5, None], "integer", [1.5, np.nan]),
        ([True, None], "number", [1.0, np.nan]),
        ([True, None], "integer", [1, 0]),
        (["1", " -2.5e3 ", None], "number", [1.0, -2500.0, np.nan]),
        (["1", "2", None], "integer", [1, 2, 0]),
        (["1", "2.5"], "integer", [1.0, 2.5]),
        (["TRUE", "false", "1", None], "boolean", [True, False, True, False]),
        ([1, 0, None], "boolean", [True, False, False]),
        ([1.0, 0.0], "boolean", [True, False]),
        ([1, None], "category", ["1", ""]),
        ([1.5, 2.0], "category", ["1.5", "2.0"]),
        ([True, None], "category", ["true", ""]),
        ([datetime.date(2024, 1, 31), None], "category", ["2024-01-31", ""]),
        (["2024-01-31", None], "date", [np.datetime64("2024-01-31"), NAT]),
        (["2024-01-31T10:30:00Z"], "timestamp", [np.datetime64("2024-01-31T10:30:00")]),
        (["2024/1/31 9:30:00.25 +02:00"], "timestamp", [np.datetime64("2024-01-31T09:30:00.25")]),
        (["31.1.2024", "2024/1/31"], "date", [np.datetime64("2024-01-31")] * 2),
        ([datetime.date(2024, 1, 31), None], "timestamp", [np.datetime64("2024-01-31"), NAT]),
        ([datetime.datetime(2024, 1, 31, 10)], "date", [np.datetime64("2024-01-31")]),
        ([None, None], "date", [NAT, NAT]),
        ([None], "integer", [0]),
    ],
)
def test_values_read_as_another_kind(values: list[Any], kind: Any, expected: list[Any]) -> None:
    given = Values.of(values)
    found = as_kind(given, kind, "x")
    np.testing.assert_array_equal(found.values, np.array(expected, dtype=found.values.dtype))
    np.testing.assert_array_equal(found.missing, given.missing)
    assert found.kind == kind or {found.kind, kind} == {"integer", "number"}


@pytest.mark.parametrize(
    ("values", "kind", "row", "value", "noun"),
    [
        (["1", None, "ten"], "number", 3, "ten", "a number"),
        (["1", "1_0"], "integer", 2, "1_0", "a number"),
        (["true", "maybe"], "boolean", 2, "maybe", "true or false"),
        ([1, 2], "boolean", 2, "2", "true or false"),
        (["2024-01-31", "31/1/24"], "date", 2, "31/1/24", "a date"),
        (["2024-01-31", "2024-13-31"], "timestamp", 2, "2024-13-31", "a date and time"),
        (["today"], "date", 1, "today", "a date"),
        ([None, 5], "date", 2, "5", "a date"),
        ([True], "date", 1, "true", "a date"),
        ([datetime.date(2024, 1, 31)], "number", 1, "2024-01-31", "a number"),
        ([datetime.date(2024, 1, 31)], "boolean", 1, "2024-01-31", "true or false"),
        (["a\nb"], "number", 1, "a\\nb", "a number"),
    ],
)
def test_a_value_that_cannot_be_read_so_is_named(values: list[Any], kind: Any, row: int, value: str, noun: str) -> None:
    with pytest.raises(DataError) as caught:
        as_kind(Values.of(values), kind, "x", "new.csv")
    assert str(caught.value) == (
        f'new.csv: row {row}, column "x": "{value}" is not {noun}, as this column should hold; '
        f"correct the value or leave it empty"
    )
