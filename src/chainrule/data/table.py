"""A table in memory: named columns of NumPy values, each with a mask that says which values are missing."""

from __future__ import annotations

import datetime
import decimal
import numbers
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, cast

import numpy as np
from numpy.typing import NDArray

from chainrule.data.wording import counted, near, quoted
from chainrule.errors import DataError

Kind = Literal["boolean", "category", "date", "integer", "number", "timestamp"]

# The dtype of the values of each kind, and what stands where a value is missing.
DTYPES: dict[Kind, np.dtype[Any]] = {
    "boolean": np.dtype(np.bool_),
    "category": np.dtype(object),
    "date": np.dtype("datetime64[D]"),
    "integer": np.dtype(np.int64),
    "number": np.dtype(np.float64),
    "timestamp": np.dtype("datetime64[us]"),
}
BLANKS: dict[Kind, Any] = {
    "boolean": False,
    "category": "",
    "date": np.datetime64("NaT"),
    "integer": 0,
    "number": np.nan,
    "timestamp": np.datetime64("NaT"),
}

# Whole numbers up to here are exact in float64.
EXACT = 2**53


@dataclass(frozen=True, eq=False)
class Values:
    """The values of one column: `values` [rows] of the dtype of `kind`, and `missing` [rows] of bool.

    Where `missing` is true, `values` holds nan, NaT, 0, False or an empty text. Text is an array of `str` objects.

    >>> ages = Values.of([41, None, 7])
    >>> ages.kind, ages.values.tolist(), ages.missing.tolist()
    ('integer', [41, 0, 7], [False, True, False])
    """

    kind: Kind
    values: NDArray[Any]
    missing: NDArray[np.bool_]

    @classmethod
    def make(cls, kind: Kind, values: Any, missing: Any = None) -> Values:
        """Values of a known kind: cast to its dtype, with nan and NaT taken as missing, and blanks where missing."""
        array = np.array(np.ma.getdata(values), dtype=DTYPES[kind])
        absent = np.ma.getmaskarray(values).copy() if missing is None else np.array(missing, dtype=np.bool_)
        if kind == "number":
            absent |= np.isnan(array)
        elif kind in ("date", "timestamp"):
            absent |= np.isnat(array)
        array[absent] = BLANKS[kind]
        return cls(kind, array, absent)

    @classmethod
    def of(cls, values: Any, name: str = "values") -> Values:
        """Values of an array or a sequence, the kind taken from what it holds. None, nan, NaT and masked are missing.

        Raises:
            DataError: if there is not exactly one axis, or the values are of no kind, or of kinds that do not mix.
        """
        array = cast(NDArray[Any], np.asanyarray(values) if hasattr(values, "__array__") else _to_array(values))
        if array.ndim != 1:
            raise DataError(f"column {quoted(name)}: {array.ndim} axes where a column has one")
        code = array.dtype.kind
        if code == "b":
            return cls.make("boolean", array)
        if code in "iu":
            return cls.make("number" if code == "u" and array.dtype.itemsize == 8 else "integer", array)
        if code == "f":
            return cls.make("number", array)
        if code == "M":
            days = np.datetime_data(array.dtype)[0] in ("Y", "M", "W", "D")
            return cls.make("date" if days else "timestamp", array)
        if code in "UT":
            return cls.make("category", array)
        if code == "O":
            return _of_objects(array, name)
        raise DataError(f"column {quoted(name)}: values of {array.dtype} are neither numbers, text nor dates")

    def __len__(self) -> int:
        return len(self.values)

    @property
    def present(self) -> NDArray[Any]:
        """The values that are not missing."""
        return self.values[~self.missing]

    def tally(self) -> dict[Any, int]:
        """How often each value occurs: Python values in rising order, without what is missing.

        >>> Values.of(["b", "a", None, "b"]).tally()
        {'a': 1, 'b': 2}
        """
        if self.kind == "category":  # many times faster than to sort the text of all rows
            texts: list[str] = self.present.tolist()
            return dict(sorted(Counter(texts).items()))
        found, counts = np.unique(self.present, return_counts=True)
        return dict(zip(found.tolist(), counts.tolist(), strict=True))

    def spelled(self, value: Any) -> str:
        """A value of this column as it stands in a file: booleans in small letters.

        >>> Values.of([True]).spelled(True)
        'true'
        """
        return str(value).lower() if self.kind == "boolean" else str(value)

    def take(self, rows: Any) -> Values:
        """The values of some rows, by index or mask."""
        return Values(self.kind, self.values[rows], self.missing[rows])


def _to_array(values: Any) -> NDArray[Any]:
    """An array of a sequence, with None kept as an object and text as `str`."""
    items = list(values)
    array = np.empty(len(items), dtype=object)
    for i, item in enumerate(items):
        array[i] = item
    return array


def _is_absent(value: Any) -> bool:
    if value is None or value is np.ma.masked or type(value).__name__ in ("NAType", "NaTType"):
        return True
    return isinstance(value, numbers.Number | np.datetime64) and bool(value != value)


def _without_zone(value: Any) -> Any:
    """A moment in UTC, as NumPy keeps it."""
    zoned = isinstance(value, datetime.datetime) and value.tzinfo is not None
    return value.astimezone(datetime.UTC).replace(tzinfo=None) if zoned else value


_KINDS_OF: tuple[tuple[tuple[type, ...], Kind], ...] = (
    ((bool, np.bool_), "boolean"),
    ((int, np.integer), "integer"),
    ((numbers.Real, decimal.Decimal), "number"),
    ((str,), "category"),
    ((datetime.datetime, np.datetime64), "timestamp"),
    ((datetime.date,), "date"),
)


def _of_objects(array: NDArray[Any], name: str) -> Values:
    missing = np.ma.getmaskarray(array) | np.fromiter((_is_absent(v) for v in array), np.bool_, len(array))
    kinds: set[Kind] = set()
    types: set[type] = {type(value) for value in array[~missing]}
    for value_type in types:
        kind: Kind | None = next((kind for parents, kind in _KINDS_OF if issubclass(value_type, parents)), None)
        if kind is None:
            raise DataError(f"column {quoted(name)}: a {value_type.__name__} is neither a number, a text nor a date")
        kinds.add(kind)
    if kinds == {"integer", "number"}:
        kinds = {"number"}
    if kinds == {"date", "timestamp"}:
        kinds = {"timestamp"}
    if len(kinds) > 1:
        raise DataError(f"column {quoted(name)}: mixes {' and '.join(sorted(kinds))} values; make them all of one kind")
    kind = kinds.pop() if kinds else "category"
    clean = array.copy()
    clean[missing] = BLANKS[kind]
    if kind == "timestamp":
        clean = np.array([_without_zone(value) for value in clean], dtype=object)
    try:
        return Values.make(kind, clean, missing)
    except OverflowError:
        return Values.make("number", clean, missing)


@dataclass(frozen=True, eq=False)
class Table:
    """Columns of equal length by name, where they came from, and what a reader should be told about them.

    >>> table = Table.from_columns({"age": [41, None], "city": ["Oslo", "Rome"]})
    >>> table.rows, table.names, table["age"].kind
    (2, ('age', 'city'), 'integer')
    """

    columns: Mapping[str, Values]
    source: str = "table"
    notices: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        lengths = {name: len(values) for name, values in self.columns.items()}
        if not lengths:
            raise DataError(f"{self.source}: no columns")
        if len(set(lengths.values())) > 1:
            first, *_, last = sorted(lengths, key=lengths.__getitem__)
            raise DataError(
                f"{self.source}: column {quoted(first)} has {counted(lengths[first], 'row')} "
                f"and column {quoted(last)} has {lengths[last]:,}; all columns need equal lengths"
            )

    @classmethod
    def from_columns(cls, columns: Mapping[str, Any], source: str = "table") -> Table:
        """A table of arrays or sequences, one a column; the kinds are taken from the values, see `Values.of`."""
        return cls({name: Values.of(values, name) for name, values in columns.items()}, source)

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self.columns)

    @property
    def rows(self) -> int:
        return len(next(iter(self.columns.values())))

    def __getitem__(self, name: str) -> Values:
        """The values of a column; a DataError with near names where there is none of that name."""
        if name not in self.columns:
            raise DataError(f"{self.source}: no column {quoted(name)}{near(name, self.names)}")
        return self.columns[name]

    def take(self, rows: Any) -> Table:
        """The table of some rows, by index or mask."""
        return Table({name: values.take(rows) for name, values in self.columns.items()}, self.source, self.notices)

    def select(self, names: Sequence[str]) -> Table:
        """The table of some columns, in the given order."""
        return Table({name: self[name] for name in names}, self.source, self.notices)
