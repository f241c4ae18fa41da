"""Which columns of a table are worth learning from: not row numbers, not identifiers, not what never changes."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from chainrule.data.table import Values
from chainrule.data.wording import counted, listing, quoted
from chainrule.errors import DataError

NEARLY_ALL = 0.95
"""A text column with more different values than this share of its rows is an identifier, from `ENOUGH` rows on."""

ENOUGH = 20

_INDEX_NAME = re.compile(
    r"unnamed: ?\d+|level_\d+|index|idx|row([ _.]?(names?|numbers?|num|nr|no|id))?|no\.?|nr\.?|#|(.*[ _.-])?id|uuid",
    re.IGNORECASE,
)
_CAMEL_ID = re.compile(r".*[a-z](Id|ID)")


def screen(
    columns: Mapping[str, Values], where: str, keep: Sequence[str] = (), rows: NDArray[np.int64] | None = None
) -> tuple[list[str], list[str]]:
    """The names of the columns to learn from, and a notice for each that is left out.

    Left out are, unless their names are in `keep`,

    - columns with one value in all rows;
    - text that differs (almost) from row to row;
    - whole numbers that count the rows, from 0 or 1 in steps of one, when the column comes first and others remain, or
      is called like an index ("id", "index", "rownames", "Unnamed: 0"); `rows` says which rows of a table these are,
      if they are not all;
    - whole numbers that differ from row to row and are called like an identifier ("id", "patient_id", "PassengerId").

    Raises:
        DataError: naming all columns that have no value in any row.

    >>> screen({"name": Values.of(["Ann", "Bob"]), "age": Values.of([31, 42]), "unit": Values.of([1, 1])}, "x.csv")[0]
    ['age']
    """
    empty = [name for name, values in columns.items() if bool(values.missing.all())]
    if empty:
        options = " ".join(f"--drop {_argument(name)}" for name in empty[:5])
        are = f"column {quoted(empty[0])} has" if len(empty) == 1 else f"columns {listing(empty)} have"
        raise DataError(f"{where}: {are} no value in any row; leave out what is empty with {options}")
    reasons = {name: _reason(name, values, rows, i == 0) for i, (name, values) in enumerate(columns.items())}
    reasons |= dict.fromkeys(keep, "")
    kept = [name for name in columns if not reasons[name]]
    first = next(iter(columns), "")
    if not kept and reasons.get(first) == _COUNTS and not _INDEX_NAME.fullmatch(first):
        reasons[first], kept = "", [first]  # a lone 0, 1, 2, ... may be all there is to learn from
    return kept, [
        f"column {quoted(name)} {reasons[name]} and is left out (keep it with --keep {_argument(name)})"
        for name in columns
        if reasons[name]
    ]


_COUNTS = "counts the rows"


def _reason(name: str, values: Values, rows: NDArray[np.int64] | None, first: bool) -> str:
    """Why a column should be left out, or nothing."""
    present = values.present
    if not len(values.missing) - len(present) and bool(np.all(present == present[0])):
        return f"has the one value {quoted(values.spelled(present[0]))} in all rows"
    if values.kind not in ("category", "integer") or len(present) < 2:
        return ""
    named = bool(_INDEX_NAME.fullmatch(name) or _CAMEL_ID.fullmatch(name))
    distinct = len(set(present.tolist()))
    if values.kind == "category":
        different = distinct == len(present) or (len(present) >= ENOUGH and distinct > NEARLY_ALL * len(present))
        return f"holds {counted(distinct, 'different text')} in {counted(len(present), 'row')}" if different else ""
    if (named or first) and len(present) == len(values):
        ahead = present - (np.arange(len(present)) if rows is None else rows)
        if ahead[0] in (0, 1) and bool(np.all(ahead == ahead[0])):
            return _COUNTS
    return "looks like an identifier (each row has another number)" if named and distinct == len(present) else ""


def _argument(name: str) -> str:
    """The name as one word of a command line."""
    return shlex.quote(name) if name.isprintable() else quoted(name, 80)
