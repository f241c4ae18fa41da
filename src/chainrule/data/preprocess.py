"""Tables into arrays: what the training rows teach about the columns, applied alike to all rows, then and later."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chainrule.data.convert import as_kind
from chainrule.data.encoders import ENCODERS, Encoder, encoder_from_json, feature_names, spoken, widths
from chainrule.data.fields import Fields
from chainrule.data.schema import Column, Schema
from chainrule.data.table import Table
from chainrule.data.wording import counted, listing, quoted
from chainrule.errors import DataError


@dataclass(frozen=True)
class Preprocessor:
    """The features of a network, made from the columns of a table; see `encoders` for what becomes of each kind.

    >>> table = Table.from_columns({"age": [20, 40, None], "city": ["Rome", "Rome", "Oslo"]})
    >>> features = (Column("age", "integer"), Column("city", "category"))
    >>> prepare, notices = Preprocessor.fit(table, Schema(features, Column("ill", "boolean"), "classification"))
    >>> prepare.feature_names
    ('age', 'age is missing', 'city=Rome', 'city is other')
    >>> x, notices = prepare.transform(Table.from_columns({"city": ["Rome", "Oslo"], "age": [40, None]}))
    >>> x.tolist(), notices
    ([[1.0, 0.0, 1.0, 0.0], [0.0, 1.0, 0.0, 1.0]], [])
    """

    columns: tuple[Column, ...]
    encoders: tuple[Encoder, ...]

    @classmethod
    def fit(cls, table: Table, schema: Schema, rows: NDArray[np.int64] | None = None) -> tuple[Preprocessor, list[str]]:
        """Learn from the given rows (the training rows; all by default), and say what was odd about them.

        Raises:
            DataError: for no rows, a column that is missing, or a value that is not of its column's kind.
        """
        chosen = table if rows is None else table.take(rows)
        if not chosen.rows:
            raise DataError(f"{table.source}: there are no rows to train on")
        encoders: list[Encoder] = []
        notices: list[str] = []
        for column in schema.features:
            values = as_kind(chosen[column.name], column.kind, column.name, table.source)
            encoder, odd = ENCODERS[column.kind].fit(values)
            encoders.append(encoder)
            notices += spoken(column.name, odd)
        return cls(schema.features, tuple(encoders)), notices

    @property
    def feature_names(self) -> tuple[str, ...]:
        """The name of each feature: `age`, `age is missing`, `city=Rome`."""
        pairs = zip(self.columns, self.encoders, strict=True)
        return tuple(name for column, encoder in pairs for name in feature_names(column.name, encoder))

    def transform(self, table: Table) -> tuple[NDArray[np.float32], list[str]]:
        """Features [rows, features], float32, of all rows, and what the user should be told.

        Columns may come in any order and there may be more of them.

        Raises:
            DataError: naming all columns that the table lacks, or the first value that is not of its column's kind.
        """
        self._check_columns(table)
        out = np.empty((table.rows, sum(widths(self.encoders))), dtype=np.float32)
        notices: list[str] = []
        start = 0
        for column, encoder in zip(self.columns, self.encoders, strict=True):
            values = as_kind(table[column.name], column.kind, column.name, table.source)
            end = start + len(encoder.names)
            notices += spoken(column.name, encoder.encode(values, out[:, start:end]))
            start = end
        return out, notices

    def _check_columns(self, table: Table) -> None:
        lacking = [column.name for column in self.columns if column.name not in table.columns]
        if not lacking:
            return
        known = {column.name for column in self.columns}
        spare = [name for name in table.names if name not in known]
        folded = {name.casefold().strip(): name for name in reversed(spare)}
        hints: list[str] = []
        for name in lacking:
            close = difflib.get_close_matches(name.casefold().strip(), folded, n=1)
            hints += [f"{quoted(folded[close[0]])} for {quoted(name)}"] if close else []
        hint = f"; is {', '.join(hints[:5])} meant?" if hints else ""
        raise DataError(
            f"{table.source}: {counted(len(lacking), 'column')} of training not there: {listing(lacking, 20)}{hint}"
        )

    def to_json(self) -> dict[str, Any]:
        """Plain dictionaries, lists, texts, numbers and truths; floats come back exactly from their `repr`."""
        pairs = zip(self.columns, self.encoders, strict=True)
        return {"columns": [column.to_json() | {"encoder": encoder.to_json()} for column, encoder in pairs]}

    @classmethod
    def from_json(cls, document: Any) -> Preprocessor:
        """The preprocessor of what `to_json` gave; a RunError names the field that is missing or wrong."""
        made = Fields(document, "preprocessor").objects("columns", _column_from_json)
        return cls(tuple(column for column, _ in made), tuple(encoder for _, encoder in made))


def _column_from_json(fields: Fields) -> tuple[Column, Encoder]:
    column, encoder = Column.from_json(fields), encoder_from_json(fields.object("encoder"))
    if not isinstance(encoder, ENCODERS[column.kind]):
        raise fields.fault("encoder.kind", f"{encoder.kind} does not fit a column of kind {column.kind}")
    return column, encoder
