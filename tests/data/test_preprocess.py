"""Columns become features by what the training rows taught, and nothing else."""

from __future__ import annotations

import datetime
import json
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chainrule.data.encoders import CLIP, FEWEST_ROWS, MOST_LEVELS, Scale
from chainrule.data.preprocess import Preprocessor
from chainrule.data.schema import Column, Schema
from chainrule.data.table import Table
from chainrule.errors import DataError, RunError


def fit(columns: dict[str, Any], rows: Any = None) -> tuple[Preprocessor, list[str]]:
    table = Table.from_columns(columns, "train.csv")
    features = tuple(Column(name, table[name].kind) for name in columns)
    schema = Schema(features, Column("y", "category"), "classification")
    return Preprocessor.fit(table, schema, rows)


def transform(prepare: Preprocessor, columns: dict[str, Any]) -> tuple[list[list[float]], list[str]]:
    x, notices = prepare.transform(Table.from_columns(columns, "new.csv"))
    assert x.dtype == np.float32
    assert x.shape[1] == len(prepare.feature_names)
    assert np.isfinite(x).all()
    return x.tolist(), notices


EVERY_KIND: dict[str, Any] = {
    "number": [0.1, 2.5, None, 1e9],
    "integer": [1, 2, 3, 4],
    "boolean": [True, None, False, True],
    "category": ["a", "a", "b", None],
    "date": [datetime.date(2024, 1, 31), None, datetime.date(1969, 7, 20), datetime.date(2000, 2, 29)],
    "timestamp": [datetime.datetime(2024, 1, 31, 6, 30)] * 4,
}


def test_numbers_are_standardised_and_missing_ones_become_the_median() -> None:
    prepare, notices = fit({"x": [1.0, 2.0, 9.0, None]})
    assert (prepare.feature_names, notices) == (("x", "x is missing"), [])
    mean, std = 4.0, float(np.std([1, 2, 9]))
    x, notices = transform(prepare, {"x": [9.0, None]})
    np.testing.assert_allclose(x, [[(9 - mean) / std, 0], [(2 - mean) / std, 1]], rtol=1e-6)
    assert notices == []


def test_only_the_given_rows_teach() -> None:
    prepare, _ = fit({"x": [1.0, 3.0, None, 1e9], "c": ["a", "a", "b", "b"]}, rows=np.array([0, 1]))
    assert prepare.feature_names == ("x", "c=a")
    assert transform(prepare, {"x": [3.0], "c": ["a"]}) == ([[1.0, 1.0]], [])


def test_numbers_missing_for_the_first_time_are_told() -> None:
    prepare, _ = fit({"x": [1.0, 2.0, 30.0]})
    x, notices = transform(prepare, {"x": [None, 11.0, None]})
    assert x[0] == x[2]
    assert notices == ['column "x": 2 rows without a value, which training always had; the median 2 is taken']


def test_infinite_numbers_count_as_missing() -> None:
    prepare, notices = fit({"x": [1.0, np.inf, 3.0]})
    assert notices == ['column "x": 1 row with infinite values, taken as missing']
    x, notices = transform(prepare, {"x": [-np.inf, None]})
    assert x == [[0.0, 1.0], [0.0, 1.0]]
    assert notices == ['column "x": 1 row with infinite values, taken as missing']


@pytest.mark.parametrize("values", [[5.0] * 3, [0.1] * 7, [0, 0], [None, None], [1e308, 1e308], [5e-324, 5e-324]])
def test_numbers_that_do_not_vary_are_harmless(values: list[Any]) -> None:
    table = Table.from_columns({"x": values})
    schema = Schema((Column("x", "number"),), Column("y", "category"), "classification")
    prepare, _ = Preprocessor.fit(table, schema)
    assert [row[0] for row in transform(prepare, {"x": values})[0]] == pytest.approx([0.0] * len(values), abs=1e-6)


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=20), st.floats(allow_nan=False))
def test_any_numbers_make_finite_features(values: list[float], new: float) -> None:
    prepare, _ = fit({"x": values})
    x, _ = transform(prepare, {"x": [*values, new]})
    assert np.abs(x).max() <= CLIP


def test_far_values_are_held_within_ten_deviations() -> None:
    prepare, _ = fit({"x": [-1.0, 1.0]})
    assert transform(prepare, {"x": [1e6, -1e300, 9.5]})[0] == [[10.0], [-10.0], [9.5]]


def test_truths_are_zero_and_one() -> None:
    prepare, _ = fit({"b": [True, True, False, True]})
    x, notices = transform(prepare, {"b": ["true", "false", None]})
    assert x == [[1.0], [0.0], [0.75]]
    assert notices == ['column "b": 1 row without a value, which training always had; the share 0.75 of true is taken']
    assert fit({"b": [True, None]})[0].feature_names == ("b", "b is missing")


def test_a_column_of_truths_without_a_value_in_the_training_rows() -> None:
    prepare, _ = fit({"b": [True, None]}, rows=np.array([1]))
    assert transform(prepare, {"b": [None, True]})[0] == [[0.5, 1.0], [1.0, 0.0]]


def test_categories_are_one_hot_with_codes_for_other_and_missing() -> None:
    prepare, _ = fit({"c": ["b", "a", "b", "a", "rare", None]})
    assert prepare.feature_names == ("c=a", "c=b", "c is other", "c is missing")
    x, notices = transform(prepare, {"c": ["a", "b", "rare", None, "new", "new", "newer"]})
    assert x == [[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1], *[[0, 0, 1, 0]] * 3]
    assert notices == [
        'column "c": 3 rows with values never seen in training ("new", "newer"); they get the code of unknown values'
    ]


def test_codes_that_training_did_not_need_are_zeros() -> None:
    prepare, _ = fit({"c": ["b", "a", "b", "a"]})
    assert prepare.feature_names == ("c=a", "c=b")
    x, notices = transform(prepare, {"c": ["a", "new", None]})
    assert x == [[1, 0], [0, 0], [0, 0]]
    assert notices == [
        'column "c": 1 row without a value, which training always had; they get no code',
        'column "c": 1 row with values never seen in training ("new"); they get the code of unknown values',
    ]


def test_only_the_most_frequent_categories_get_a_code() -> None:
    names = [f"{i:03}" for i in range(100) for _ in range(FEWEST_ROWS + i % 2)]
    prepare, _ = fit({"c": names})
    assert len(prepare.feature_names) == MOST_LEVELS + 1
    assert {f"c={i:03}" for i in range(1, 100, 2)} < set(prepare.feature_names)
    x, notices = transform(prepare, {"c": names})
    assert notices == []
    assert set(np.sum(x, axis=1)) == {1.0}


def test_categories_that_come_as_numbers_are_read_as_text() -> None:
    prepare, _ = fit({"c": ["1", "1", "2", "2"]})
    assert transform(prepare, {"c": [2, 1]}) == ([[0, 1], [1, 0]], [])


def test_dates_are_days_and_angles() -> None:
    days = [datetime.date(2024, 1, 1), datetime.date(2024, 7, 3), None]
    prepare, _ = fit({"d": days})
    assert prepare.feature_names == (
        "d day",
        "d month sin",
        "d month cos",
        "d weekday sin",
        "d weekday cos",
        "d is missing",
    )
    x, notices = transform(prepare, {"d": days})
    wednesday = 2 * math.pi * 2 / 7
    np.testing.assert_allclose(
        x,
        [
            [-1, 0, 1, 0, 1, 0],  # a Monday in January
            [1, 0, -1, math.sin(wednesday), math.cos(wednesday), 0],
            [0, 0, 0, 0, 0, 1],
        ],
        atol=1e-6,
    )
    assert notices == []


def test_times_of_day_are_an_angle_too() -> None:
    prepare, _ = fit({"t": [datetime.datetime(2024, 1, 1, 6), datetime.datetime(2024, 1, 2, 18)]})
    assert prepare.feature_names[-2:] == ("t hour sin", "t hour cos")
    x, notices = transform(prepare, {"t": ["2024-01-01T06:00", "1969-12-31 18:00", None]})
    np.testing.assert_allclose([row[-2:] for row in x], [[1, 0], [-1, 0], [0, 0]], atol=1e-6)
    assert notices == ['column "t": 1 row without a value, which training always had; the median day is taken']


def test_columns_may_stand_in_any_order_and_among_others() -> None:
    prepare, _ = fit({"a": [1.0, 3.0], "b": [True, False]})
    assert transform(prepare, {"z": ["?"], "b": [True], "a": [3.0]}) == ([[1.0, 1.0]], [])


def test_columns_that_are_not_there_are_named_all_at_once() -> None:
    prepare, _ = fit({"age": [1.0, 3.0], "height": [1.0, 2.0], "b": [True, False]})
    with pytest.raises(DataError) as caught:
        transform(prepare, {"Age ": [1], "heigth": [1], "b": [True]})
    assert str(caught.value) == (
        'new.csv: 2 columns of training not there: "age", "height"; is "Age " for "age", "heigth" for "height" meant?'
    )
    with pytest.raises(DataError, match=r'^new\.csv: 1 column of training not there: "height"$'):
        transform(prepare, {"age": [1], "b": [True]})


def test_a_value_of_another_kind_is_named() -> None:
    prepare, _ = fit({"age": [1.0, 3.0]})
    with pytest.raises(DataError, match=r'^new\.csv: row 2, column "age": "old" is not a number, as this column'):
        transform(prepare, {"age": ["7", "old"]})


def test_there_must_be_rows_to_train_on() -> None:
    with pytest.raises(DataError, match=r"^train\.csv: there are no rows to train on$"):
        fit({"x": [1.0]}, rows=np.array([], dtype=np.int64))


def test_a_preprocessor_comes_back_exactly_from_json() -> None:
    prepare, _ = fit(EVERY_KIND)
    again = Preprocessor.from_json(json.loads(json.dumps(prepare.to_json(), allow_nan=False)))
    assert again == prepare
    assert transform(again, EVERY_KIND) == transform(prepare, EVERY_KIND)


def places(document: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The path of every field in a JSON document."""
    children = (
        document.items() if isinstance(document, dict) else enumerate(document) if path[-1:] == ("columns",) else ()
    )
    return [place for key, child in children for place in [(*path, key), *places(child, (*path, key))]]


@pytest.mark.parametrize("damage", ["missing", "wrong"])
def test_every_damaged_field_is_named(damage: str) -> None:
    prepare, _ = fit(EVERY_KIND)
    for *path, last in places(prepare.to_json()):
        document = json.loads(json.dumps(prepare.to_json()))
        inner = document
        for key in path:
            inner = inner[key]
        if damage == "wrong" or isinstance(last, int):
            inner[last] = math.nan
        else:
            del inner[last]
        with pytest.raises(RunError) as caught:
            Preprocessor.from_json(document)
        named = "preprocessor" + "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in [*path, last])
        assert str(caught.value).startswith(f"{named}: ")
        assert "is missing" in str(caught.value) or "but is the number nan" in str(caught.value)


def test_an_encoder_must_fit_its_column() -> None:
    document = fit({"b": [True, False]})[0].to_json()
    document["columns"][0]["kind"] = "number"
    with pytest.raises(RunError) as caught:
        Preprocessor.from_json(document)
    assert str(caught.value) == (
        "preprocessor.columns[0].encoder.kind: boolean does not fit a column of kind number; "
        "the file is damaged or was made by another version"
    )
    with pytest.raises(RunError, match=r"^preprocessor: should be an object, but is the text 'x'"):
        Preprocessor.from_json("x")


@given(st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=50))
def test_the_scale_is_mean_and_deviation(values: list[float]) -> None:
    x = np.array(values)
    scale = Scale.fit(x)
    assert scale.mean == pytest.approx(float(np.mean(x)), rel=1e-12, abs=1e-9)
    assert scale.std == pytest.approx(float(np.std(x)), rel=1e-6, abs=1e-5) or scale.std == 1.0
    assert scale.fill == pytest.approx(float(np.median(x)), abs=1e-300)
