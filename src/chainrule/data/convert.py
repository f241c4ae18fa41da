"""Values of one kind read as another, as new data needs when it looks different from the data of training."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chainrule.data.table import BLANKS, DTYPES, EXACT, Kind, Values
from chainrule.data.wording import quoted
from chainrule.errors import DataError

NOUNS: dict[Kind, str] = {
    "boolean": "true or false",
    "category": "a text",
    "date": "a date",
    "integer": "a number",
    "number": "a number",
    "timestamp": "a date and time",
}
_ISO = re.compile(
    r"(?P<year>\d{4})[-/](?P<month>\d{1,2})[-/](?P<day>\d{1,2})"
    r"([T ](?P<time>\d{1,2}:\d{2}(:\d{2}(\.\d{1,9})?)?)( ?(Z|UTC|[+-]\d{2}(:?\d{2})?))?)?"
)
_DOTTED = re.compile(r"(?P<day>\d{1,2})\.(?P<month>\d{1,2})\.(?P<year>\d{4})")
_TRUTHS = {"true": True, "false": False, "1": True, "0": False, "1.0": True, "0.0": False}


def as_kind(values: Values, kind: Kind, name: str, source: str = "table") -> Values:
    """The values as another kind, every one of them or an error.

    Numbers may be whole or not, text may spell a number, a truth or an ISO date, and everything can be written as text;
    what is missing stays missing. Whole numbers are asked for as `integer`, but others are let through as `number`.

    >>> as_kind(Values.of(["1.5", None]), "number", "height").values.tolist()
    [1.5, nan]

    Raises:
        DataError: naming source, column, row (the first is 1) and value of the first value that is not of the kind.
    """
    if values.kind == kind or {values.kind, kind} == {"integer", "number"}:
        return values
    if kind == "category":
        return Values.make(kind, _texts(values), values.missing)
    if {values.kind, kind} == {"date", "timestamp"}:
        return Values.make(kind, values.values, values.missing)
    if values.kind == "boolean" and kind in ("integer", "number"):
        return Values.make(kind, values.values, values.missing)
    if kind == "integer":
        numbers = as_kind(values, "number", name, source)
        return whole_numbers(numbers) or numbers
    return Values.make(kind, _parsed(values, kind, name, source), values.missing)


def whole_numbers(values: Values) -> Values | None:
    """Numbers as integers, where all of them are whole and exact in float64, else None.

    >>> whole_numbers(Values.of([1.0, 2.0])).values.dtype, whole_numbers(Values.of([1.5]))
    (dtype('int64'), None)
    """
    present = values.present
    if not bool(np.all(np.isfinite(present) & (np.abs(present) <= EXACT) & (np.floor(present) == present))):
        return None
    return Values.make("integer", np.where(values.missing, 0.0, values.values), values.missing)


def _parsed(values: Values, kind: Kind, name: str, source: str) -> NDArray[Any]:
    """The values [rows] read from their text; every one that is not missing must be of the kind."""
    dated = ("date", "timestamp")
    readable = values.kind == "category" or (values.kind not in dated and kind not in dated)
    parse = _number if kind == "number" else _truth if kind == "boolean" else _date
    texts = values.values if values.kind == "category" else _texts(values)
    out = np.full(len(values), BLANKS[kind], DTYPES[kind])
    for row in np.flatnonzero(~values.missing):
        text: str = texts[row]
        try:
            if not readable:
                raise ValueError
            out[row] = parse(text.strip())
        except (KeyError, ValueError):
            raise DataError(
                f"{source}: row {row + 1:,}, column {quoted(name)}: {quoted(text)} is not {NOUNS[kind]}, "
                f"as this column should hold; correct the value or leave it empty"
            ) from None
    return out


def _number(text: str) -> float:
    if "_" in text:
        raise ValueError
    return float(text)


def _truth(text: str) -> bool:
    return _TRUTHS[text.casefold()]


def _date(text: str) -> np.datetime64:
    """Read the dates that a CSV file may hold; an offset from UTC is left unread there as here."""
    match = _ISO.fullmatch(text) or _DOTTED.fullmatch(text)
    if match is None:
        raise ValueError
    parts = match.groupdict()
    day = f"{parts['year']}-{int(parts['month']):02}-{int(parts['day']):02}"
    hour, colon, rest = (parts.get("time") or "0:00").partition(":")
    return np.datetime64(f"{day}T{int(hour):02}{colon}{rest}", "us")


def _texts(values: Values) -> NDArray[Any]:
    """Each value as it would stand in a file."""
    if values.kind == "boolean":
        return np.where(values.values, "true", "false").astype(object)
    if values.kind in ("date", "timestamp"):
        return np.datetime_as_string(values.values).astype(object)
    return np.array([str(value) for value in values.values.tolist()], dtype=object)
