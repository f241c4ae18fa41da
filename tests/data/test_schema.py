"""What is learned from a table: the task, the columns left out, and every table that cannot be learned from."""

from __future__ import annotations

import datetime
import json
from typing import Any

import numpy as np
import pytest

from chainrule.data.schema import Column, Inferred, Schema, infer_schema, infer_task
from chainrule.data.table import Table, Values
from chainrule.errors import DataError, RunError

GOOD: dict[str, Any] = {"x": [3.5, 1.0, 2.5, 4.0, 0.5, 9.0], "y": list("ababab")}


def infer(columns: dict[str, Any], target: str = "y", **options: Any) -> Inferred:
    return infer_schema(Table.from_columns(columns, "t.csv"), target, **options)


def refused(columns: dict[str, Any], target: str = "y", **options: Any) -> str:
    with pytest.raises(DataError) as caught:
        infer(columns, target, **options)
    assert len(str(caught.value).splitlines()) == 1
    return str(caught.value)


@pytest.mark.parametrize(
    ("values", "task"),
    [
        (list("abc"), "classification"),
        ([True, False], "classification"),
        ([0, 1] * 3, "classification"),
        ([0.0, 1.0, None], "classification"),
        ([1, 2, 3] * 10, "classification"),
        ([1.0, 2.0, 3.0] * 10, "classification"),
        ([1, 2, 3] * 9, "regression"),
        (list(range(20)) * 10, "classification"),
        (list(range(21)) * 10, "regression"),
        ([0.5, 1.5] * 50, "regression"),
        ([0.0, 1.0, np.inf] * 50, "regression"),
        ([datetime.date(2024, 1, 1)], "regression"),
    ],
)
def test_the_task_follows_from_the_target(values: list[Any], task: str) -> None:
    assert infer_task(Values.of(values)) == task


def test_a_schema_comes_back_from_json() -> None:
    schema = infer(GOOD).schema
    assert schema == Schema((Column("x", "number"),), Column("y", "category"), "classification")
    assert Schema.from_json(json.loads(json.dumps(schema.to_json()))) == schema
    assert schema.kinds == {"x": "number", "y": "category"}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d: d.pop("task"), "schema.task: is missing"),
        (lambda d: d.update(task="rank"), "schema.task: should be one of classification, regression, but is the text"),
        (lambda d: d.update(features={}), "schema.features: should be a list, but is an object"),
        (lambda d: d.update(features=[1]), "schema.features[0]: should be an object, but is the whole number 1"),
        (lambda d: d["features"][0].pop("name"), "schema.features[0].name: is missing"),
        (lambda d: d["features"][0].update(name=None), "schema.features[0].name: should be a text, but is null"),
        (
            lambda d: d["target"].update(kind="colour"),
            "schema.target.kind: should be one of boolean, category, date, int",
        ),
        (lambda d: d.update(target=[]), "schema.target: should be an object, but is a list"),
    ],
)
def test_a_damaged_schema_names_the_field(change: Any, message: str) -> None:
    document = infer(GOOD).schema.to_json()
    change(document)
    with pytest.raises(RunError) as caught:
        Schema.from_json(document)
    assert str(caught.value).startswith(message)
    assert str(caught.value).endswith("; the file is damaged or was made by another version")


def test_rows_without_a_target_are_left_out_with_a_notice() -> None:
    found = infer({"x": [3, 1, 2, 4, 0, 9, 7], "y": ["a", "b", "a", None, "b", "a", "b"]})
    assert found.rows.tolist() == [0, 1, 2, 4, 5, 6]
    assert found.notices == ('1 row of 7 left out: target "y" has no value there',)


def test_whole_numbers_taken_for_classes_are_told() -> None:
    found = infer({"x": GOOD["x"], "y": [0, 1] * 3})
    assert found.schema.task == "classification"
    assert found.notices == (
        'target "y": 2 different numbers taken for classes (--task regression takes them for quantities)',
    )
    assert infer({"x": GOOD["x"], "y": [0, 1] * 3}, task="classification").notices == ()
    assert infer({"x": GOOD["x"], "y": [0, 1] * 3}, task="regression").schema.task == "regression"


@pytest.mark.parametrize(
    ("name", "values", "why"),
    [
        ("z", [1, 1, 1, 1, 1, 1], 'has the one value "1" in all rows'),
        ("z", [True] * 6, 'has the one value "true" in all rows'),
        ("z", ["m"] * 6, 'has the one value "m" in all rows'),
        ("z", list("abcdef"), "holds 6 different texts in 6 rows"),
        ("z", ["a", "b", "c", "d", "e", None], "holds 5 different texts in 5 rows"),
        ("rownames", [1, 2, 3, 4, 5, 6], "counts the rows"),
        ("Unnamed: 0", [0, 1, 2, 3, 4, 5], "counts the rows"),
        ("PassengerId", [9, 7, 5, 3, 1, 2], "looks like an identifier (each row has another number)"),
        ("patient_id", [9, 7, 5, 3, 1, 2], "looks like an identifier (each row has another number)"),
        ("ID", [1, 2, 3, 4, 5, 7], "looks like an identifier (each row has another number)"),
    ],
)
def test_columns_that_teach_nothing_are_left_out(name: str, values: list[Any], why: str) -> None:
    found = infer({**GOOD, name: values})
    assert [column.name for column in found.schema.features] == ["x"]
    argument = "'Unnamed: 0'" if " " in name else name
    assert found.notices == (f'column "{name}" {why} and is left out (keep it with --keep {argument})',)
    kept = infer({**GOOD, name: values}, keep=[name])
    assert [column.name for column in kept.schema.features] == ["x", name]


def test_a_first_column_that_counts_the_rows_is_left_out() -> None:
    found = infer({"X": [1, 2, 3, 4, 5, 6], **GOOD})
    assert [column.name for column in found.schema.features] == ["x"]
    assert found.notices == ('column "X" counts the rows and is left out (keep it with --keep X)',)


def test_row_numbers_are_known_though_rows_without_a_target_are_left_out() -> None:
    found = infer({"X": range(7), "x": [3, 1, 2, 4, 0, 9, 7], "y": ["a", "b", None, "a", "b", "a", "b"]})
    assert [column.name for column in found.schema.features] == ["x"]
    assert found.notices[1].startswith('column "X" counts the rows')


def test_a_first_column_that_counts_the_rows_stays_if_it_is_all_there_is() -> None:
    found = infer({"x": [0, 1, 2, 3, 4, 5], "y": GOOD["y"], "z": [1] * 6})
    assert [column.name for column in found.schema.features] == ["x"]
    assert len(found.notices) == 1


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("z", [1, 2, 3, 4, 5, 6]),
        ("z", [1.0, 1.0, 1.0, 1.0, 1.0, None]),
        ("id", [9, 7, 5, 9, 1, 2]),
        ("humid", [1, 2, 3, 4, 5, 7]),
        ("z", ["a", "a", "b", "c", "d", "e"]),
        ("z", ["a", None, None, None, None, None]),
        ("z", [datetime.date(2024, 1, day) for day in range(1, 7)]),
    ],
)
def test_columns_that_may_teach_something_stay(name: str, values: list[Any]) -> None:
    found = infer({**GOOD, name: values})
    assert [column.name for column in found.schema.features] == ["x", name]


def test_text_that_nearly_always_differs_is_left_out() -> None:
    columns = {"x": np.arange(100.0), "z": [f"name {max(i, 4)}" for i in range(100)], "y": list("ab") * 50}
    assert infer(columns).notices == (
        'column "z" holds 96 different texts in 100 rows and is left out (keep it with --keep z)',
    )


def test_columns_are_dropped() -> None:
    assert [c.name for c in infer({**GOOD, "z": [1, 5, 2, 3, 4, 4]}, drop=["x"]).schema.features] == ["z"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"target": "Y"}, 't.csv: no target called "Y" (did you mean "y"?)'),
        ({"target": "price"}, 't.csv: no target called "price" (there are "x", "y")'),
        ({"drop": ["xx"]}, 't.csv: no column to drop called "xx" (did you mean "x"?)'),
        ({"keep": ["q"]}, 't.csv: no column to keep called "q" (there are "x", "y")'),
        ({"drop": ["y"]}, 't.csv: column "y" is the target and cannot be dropped as well'),
        ({"drop": ["x"], "keep": ["x"]}, 't.csv: column "x" cannot be both dropped and kept'),
        ({"drop": ["x"]}, 't.csv: no column is left to learn "y" from'),
        (
            {"task": "regression"},
            't.csv: target "y" holds text ("a"), which regression cannot learn; use --task classification',
        ),
    ],
)
def test_names_and_tasks_that_do_not_fit(options: dict[str, Any], message: str) -> None:
    assert refused(GOOD, **options) == message


@pytest.mark.parametrize(
    ("target", "options", "message"),
    [
        ([None] * 6, {}, 'target "y" has no value in any row; choose another target'),
        (["a"] * 6, {}, 'target "y" has the one value "a" in all rows; there is nothing to tell apart'),
        ([True] * 5 + [None], {}, 'target "y" has the one value "true" in all rows; there is nothing to tell apart'),
        ([2.5] * 6, {}, 'target "y" has the one value "2.5" in all rows; there is nothing to tell apart'),
        (
            list("abcdef"),
            {},
            'target "y" has 6 classes in 6 rows, too many: each needs at least 3 rows (to train, validate and test); '
            "choose another target",
        ),
        (
            ["1.5", "2", "n. a.", "-7", ".5", "6"],
            {},
            'target "y" has 6 classes in 6 rows, too many: each needs at least 3 rows (to train, validate and test); '
            'choose another target; it is text, because "n. a." in row 3 is no number',
        ),
        (
            ["1.5", "2", "3", "-7", ".5", "6"],
            {},
            'target "y" has 6 classes in 6 rows, too many: each needs at least 3 rows (to train, validate and test); '
            "choose another target",
        ),
        (
            [1e300, 2.5, 3.5, 4.5, 5.5, 6.5],
            {},
            'target "y" goes from 2.5 to 1e+300, too far or too near to compute with; scale it',
        ),
        (
            [1e-300, 2e-300, 3e-300, 0, 0, 0],
            {},
            'target "y" goes from 0 to 3e-300, too far or too near to compute with; scale it',
        ),
        (
            [1.5, 2.5, 3.5, 4.5, 5.5, 6.5],
            {"task": "classification"},
            'target "y" has 6 classes in 6 rows, too many: each needs at least 3 rows (to train, validate and test); '
            "choose another target or --task regression",
        ),
        (
            list("aaaabb"),
            {},
            'target "y": 1 class with fewer than 3 rows ("b"); each needs one to train, validate and test; '
            "add rows, or take out or merge these",
        ),
        (
            [datetime.date(2024, 1, 1)] * 6,
            {},
            'target "y" holds dates, which cannot be learned; choose a column of numbers, text or truths',
        ),
        (
            [True, False] * 3,
            {"task": "regression"},
            'target "y" holds truth values ("true"), which regression cannot learn; use --task classification',
        ),
        ([1.5, 2, 3, np.inf, 1, 2], {}, 'target "y" is infinite in row 4; correct the value or leave it empty'),
    ],
)
def test_targets_that_cannot_be_learned(target: list[Any], options: dict[str, Any], message: str) -> None:
    assert refused({"x": GOOD["x"], "y": target}, **options) == f"t.csv: {message}"


def test_columns_without_a_value_are_named_all_at_once() -> None:
    assert refused({**GOOD, "z": [None] * 6}) == (
        't.csv: column "z" has no value in any row; leave out what is empty with --drop z'
    )
    assert refused({**GOOD, "a b": [None] * 6, "c\nd": [None] * 6}) == (
        't.csv: columns "a b", "c\\nd" have no value in any row; '
        "leave out what is empty with --drop 'a b' --drop \"c\\nd\""
    )
    assert infer({**GOOD, "z": [None] * 6}, drop=["z"]).notices == ()


def test_no_feature_that_is_worth_it() -> None:
    assert refused({"x": [1] * 6, "y": GOOD["y"]}) == (
        't.csv: no column is left to learn "y" from; '
        'column "x" has the one value "1" in all rows and is left out (keep it with --keep x)'
    )
