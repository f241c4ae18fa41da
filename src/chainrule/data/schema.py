"""What a model learns from: the columns of a table, which of them is the target, and what task that makes."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from chainrule.data.convert import whole_numbers
from chainrule.data.fields import Fields
from chainrule.data.screen import screen
from chainrule.data.table import DTYPES, Kind, Table, Values
from chainrule.data.wording import counted, listing, near, quoted
from chainrule.errors import DataError

Task = Literal["classification", "regression"]

MOST_CLASSES = 20
"""Whole numbers with more distinct values than this are taken for a quantity."""

ROWS_PER_CLASS = 10
"""So many rows there must be on average for each of three or more whole numbers to be taken for classes."""

FEWEST_ROWS = 3
"""Rows that every class needs: one each to train, to validate and to test."""

WIDEST = 1e150
"""The largest quantity, and one over the smallest spread, whose squares float64 can hold."""

_LIKE_NUMBER = re.compile(r"[-+]?[.,]?\d")


@dataclass(frozen=True)
class Column:
    """A column's name and kind."""

    name: str
    kind: Kind

    def to_json(self) -> dict[str, Any]:
        return {"name": self.name, "kind": self.kind}

    @classmethod
    def from_json(cls, fields: Fields) -> Column:
        kind: Any = fields.text("kind", among=tuple(DTYPES))
        return cls(fields.text("name"), kind)


@dataclass(frozen=True)
class Schema:
    """The columns that a model learns from (`features`), the one it learns to tell (`target`), and the task.

    >>> schema = Schema((Column("age", "integer"),), Column("ill", "boolean"), "classification")
    >>> Schema.from_json(schema.to_json()) == schema
    True
    >>> schema.kinds
    {'age': 'integer', 'ill': 'boolean'}
    """

    features: tuple[Column, ...]
    target: Column
    task: Task

    @property
    def kinds(self) -> dict[str, Kind]:
        """The kind of every column, the target's too, as `read_table` takes them."""
        return {column.name: column.kind for column in (*self.features, self.target)}

    def to_json(self) -> dict[str, Any]:
        """Plain dictionaries, lists and texts."""
        return {
            "features": [column.to_json() for column in self.features],
            "target": self.target.to_json(),
            "task": self.task,
        }

    @classmethod
    def from_json(cls, document: Any) -> Schema:
        """The schema of what `to_json` gave; a RunError names the field that is missing or wrong."""
        fields = Fields(document, "schema")
        task: Any = fields.text("task", among=get_args(Task))
        features = tuple(fields.objects("features", Column.from_json))
        return cls(features, Column.from_json(fields.object("target")), task)


@dataclass(frozen=True, eq=False)
class Inferred:
    """A schema found from a table, the rows [n] that have a target, and what the user should be told."""

    schema: Schema
    rows: NDArray[np.int64]
    notices: tuple[str, ...]


def infer_task(target: Values) -> Task:
    """Whether a target asks for a class or for a number.

    Text and truth values are classes. Whole numbers (written with a decimal point or not) are classes when there are at
    most two of them, or at most 20 with ten rows each on average: 0 and 1 always are, marks from 1 to 6 in a hundred
    rows are, ages and prices are not. All else is a number.

    >>> infer_task(Values.of(["yes", "no"])), infer_task(Values.of([0, 1, 1])), infer_task(Values.of([31, 18, 77]))
    ('classification', 'classification', 'regression')
    """
    if target.kind in ("boolean", "category"):
        return "classification"
    if target.kind in ("date", "timestamp") or (target.kind == "number" and whole_numbers(target) is None):
        return "regression"
    distinct = len(target.tally())
    few = distinct <= MOST_CLASSES and distinct * ROWS_PER_CLASS <= len(target.present)
    return "classification" if distinct <= 2 or few else "regression"


def infer_schema(
    table: Table, target: str, *, task: Task | None = None, drop: Sequence[str] = (), keep: Sequence[str] = ()
) -> Inferred:
    """Choose features and task for a target, after checking that the table can be learned from.

    Rows without a target are left out, and so are columns that look like row numbers or identifiers, and columns that
    never change (`screen.screen` has the rules); each time a notice says so.

    Args:
        table: the data.
        target: the name of the column to learn.
        task: overrides `infer_task`.
        drop: columns not to learn from.
        keep: columns to learn from whatever they look like.

    Raises:
        DataError: for a name that is not there; a target without values, with one value only, of dates, with infinite
            values, or with classes of fewer than three rows; a task that the target's kind does not allow; feature
            columns without any value; and when no feature is left.

    >>> table = Table.from_columns({"id": [1, 2, 3, 4, 5, 6], "x": [3, 5, 3, 8, 4, 9], "y": list("aabbab")})
    >>> found = infer_schema(table, "y")
    >>> found.schema.task, [column.name for column in found.schema.features], found.notices
    ('classification', ['x'], ('column "id" counts the rows and is left out (keep it with --keep id)',))
    """
    where = table.source
    _check_names(table, target, drop, keep)
    values = table[target]
    rows = np.flatnonzero(~values.missing)
    if not len(rows):
        raise DataError(f"{where}: target {quoted(target)} has no value in any row; choose another target")
    notices: list[str] = []
    if len(rows) < table.rows:
        lost = table.rows - len(rows)
        notices.append(f"{counted(lost, 'row')} of {table.rows:,} left out: target {quoted(target)} has no value there")
    chosen = task or infer_task(values)
    _check_target(values, target, chosen, where)
    if task is None and chosen == "classification" and values.kind in ("integer", "number"):
        n = counted(len(values.tally()), "different number")
        notices.append(f"target {quoted(target)}: {n} taken for classes (--task regression takes them for quantities)")
    candidates = {name: table[name].take(rows) for name in table.names if name != target and name not in drop}
    features, more = screen(candidates, where, keep, rows)
    if not features:
        raise DataError(f"{where}: no column is left to learn {quoted(target)} from" + "".join(f"; {n}" for n in more))
    columns = tuple(Column(name, table[name].kind) for name in features)
    return Inferred(Schema(columns, Column(target, values.kind), chosen), rows, (*notices, *more))


def _check_names(table: Table, target: str, drop: Sequence[str], keep: Sequence[str]) -> None:
    for what, names in (("target", [target]), ("column to drop", drop), ("column to keep", keep)):
        for name in names:
            if name not in table.columns:
                raise DataError(f"{table.source}: no {what} called {quoted(name)}{near(name, table.names)}")
    if target in drop:
        raise DataError(f"{table.source}: column {quoted(target)} is the target and cannot be dropped as well")
    both = [name for name in keep if name in drop]
    if both:
        raise DataError(f"{table.source}: column {quoted(both[0])} cannot be both dropped and kept")


def _check_target(values: Values, name: str, task: Task, where: str) -> None:
    target, kind = f"{where}: target {quoted(name)}", values.kind
    if kind in ("date", "timestamp"):
        raise DataError(f"{target} holds dates, which cannot be learned; choose a column of numbers, text or truths")
    if task == "regression" and kind in ("boolean", "category"):
        held = "text" if kind == "category" else "truth values"
        example = values.spelled(values.present[0])
        raise DataError(
            f"{target} holds {held} ({quoted(example)}), which regression cannot learn; use --task classification"
        )
    if kind == "number" and not bool(np.all(np.isfinite(values.present))):
        row = int(np.flatnonzero(np.isinf(values.values))[0])
        raise DataError(f"{target} is infinite in row {row + 1:,}; correct the value or leave it empty")
    tally = values.tally()
    n, rows = len(tally), len(values.present)
    if n == 1:
        only = quoted(values.spelled(next(iter(tally))))
        raise DataError(f"{target} has the one value {only} in all rows; there is nothing to tell apart")
    if task == "regression":
        low, high = float(values.present.min()), float(values.present.max())
        if max(-low, high) > WIDEST or high - low < 1 / WIDEST:
            raise DataError(f"{target} goes from {low:g} to {high:g}, too far or too near to compute with; scale it")
    rare = [values.spelled(name) for name, count in tally.items() if count < FEWEST_ROWS]
    if task == "classification" and len(rare) * 2 > n:
        other = " or --task regression" if kind in ("integer", "number") else _stray(values)
        raise DataError(
            f"{target} has {counted(n, 'class', 'classes')} in {counted(rows, 'row')}, too many: each needs at "
            f"least {FEWEST_ROWS} rows (to train, validate and test); choose another target{other}"
        )
    if task == "classification" and rare:
        raise DataError(
            f"{target}: {counted(len(rare), 'class', 'classes')} with fewer than {FEWEST_ROWS} rows ({listing(rare)}); "
            f"each needs one to train, validate and test; add rows, or take out or merge these"
        )


def _stray(values: Values) -> str:
    """Of text that mostly looks like numbers, a word on the first that is none."""
    texts = [(row, str(values.values[row])) for row in np.flatnonzero(~values.missing)]
    if values.kind != "category" or 2 * sum(bool(_LIKE_NUMBER.match(text)) for _, text in texts) <= len(texts):
        return ""
    first = next(((row, text) for row, text in texts if not _is_number(text)), None)
    return f"; it is text, because {quoted(first[1])} in row {first[0] + 1:,} is no number" if first else ""


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
