"""Which kind a column of text is, found by looking at every value of it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from chainrule.data.convert import whole_numbers
from chainrule.data.engine import Engine, literal
from chainrule.data.table import Kind, Values
from chainrule.data.wording import quoted

MISSING = ("", "?", "<NA>", "N/A", "NA", "NULL", "NaN", "None", "n/a", "nan", "null")
"""What stands for "no value" in a text file."""

# SQL patterns. Braces that are part of a pattern are doubled, because "{0}" stands for the column.
_DAY = r"\d{{4}}[-/]\d{{1,2}}[-/]\d{{1,2}}"
_TIME = r"[T ]\d{{1,2}}:\d{{2}}(:\d{{2}}(\.\d{{1,9}})?)?( ?(Z|UTC|[+-]\d{{2}}(:?\d{{2}})?))?"
_DATE = f"'{_DAY}'"
_MOMENT = f"'{_DAY}({_TIME})?'"
_DOTTED = r"'\d{{1,2}}\.\d{{1,2}}\.\d{{4}}'"
_SLASHED = r"'\d{{1,2}}/\d{{1,2}}/\d{{2,4}}( .*)?'"
_COMMA = r"'[-+]?\d*(\.\d+)*,\d+([.,]\d+)*'"
_AS_DATE = "try_cast({0} as date)"
_AS_MOMENT = f"try_cast(regexp_extract({{0}}, '{_DAY}([T ][0-9:.]+)?') as timestamp)"
_AS_DOTTED = "try_strptime({0}, '%d.%m.%Y')::date"


@dataclass(frozen=True)
class Guess:
    """What a text column is, and the SQL that reads it so. `whole` numbers carry no decimal point in the file."""

    kind: Kind
    sql: str
    whole: bool = False
    slashed: bool = False
    comma: bool = False
    sure: bool = False
    """No further rows can change it."""

    def values(self, array: NDArray[Any]) -> Values:
        """The values of what the SQL fetched."""
        values = Values.make(self.kind, array)
        return (whole_numbers(values) or values) if self.whole else values

    def notices(self, name: str, values: Values) -> list[str]:
        """What a reader should be told about the guess."""
        if not (self.slashed or self.comma):
            return []
        text = quoted(next(t for t in values.present if self.slashed or "," in t))
        words = (
            f"day and month of {text} cannot be told apart; read as text, not as a date; write dates as YYYY-MM-DD"
            if self.slashed
            else f"{text} has a comma; read as text, not as a number; write numbers as in 1234.5"
        )
        return [f"column {quoted(name)}: {words}"]


def stripped(column: str, missing: Collection[str]) -> str:
    """SQL: the text without the blanks around it, null where that is a mark of a missing value."""
    marks = ", ".join(literal(mark) for mark in sorted(missing)) or "null"
    bare = f"trim({column}, ' ')"
    return f"(case when {bare} in ({marks}) then null else {bare} end)"


def guess_kinds(
    engine: Engine, source: str, path: str, columns: Mapping[str, str], missing: Collection[str]
) -> dict[str, Guess]:
    """The kind of each text column; `columns` gives the SQL expression of each name.

    A column is of a kind when all its values are; the first of these that fits is taken: number (`1`, `-2.5e3`, `inf`),
    boolean (`true`, `FALSE`), date (`2024-01-31`, `2024/1/31`, `31.1.2024`), timestamp (a date and a time of day; an
    offset from UTC is left unread) and category, which takes any text and columns without values.
    """
    texts = {name: stripped(column, missing) for name, column in columns.items()}
    guesses: dict[str, Guess] = {}
    # What the first rows show to be plain text needs no look at the others; most text columns end here.
    for rows in (f"(select * from {source} limit {_FIRST_ROWS})", source):
        open_names = [name for name in texts if name not in guesses or not guesses[name].sure]
        counts = engine.counts(_TESTS, [texts[name] for name in open_names], rows, path)
        guesses |= {name: _guess(texts[name], *found) for name, found in zip(open_names, counts, strict=True)}
    return guesses


_FIRST_ROWS = 1000
_TESTS = (
    "count({0})",
    "count(try_cast({0} as double))",
    "count_if(contains({0}, '.'))",
    "count_if(contains({0}, '_'))",
    "count_if(lower({0}) in ('true', 'false'))",
    f"count_if(regexp_full_match({{0}}, {_DATE}) and {_AS_DATE} is not null)",
    f"count_if(regexp_full_match({{0}}, {_DOTTED}) and {_AS_DOTTED} is not null)",
    f"count_if(regexp_full_match({{0}}, {_MOMENT}) and {_AS_MOMENT} is not null)",
    f"count_if(regexp_full_match({{0}}, {_SLASHED}))",
    f"count_if(regexp_full_match({{0}}, {_COMMA}))",
)


def _guess(
    text: str,
    n: int,
    number: int,
    points: int,
    underscores: int,
    truth: int,
    iso: int,
    dotted: int,
    moment: int,
    slash: int,
    comma: int,
) -> Guess:
    if n == 0:
        return Guess("category", text)
    if number == n and not underscores:
        return Guess("number", f"try_cast({text} as double)", whole=not points)
    if truth == n:
        return Guess("boolean", f"lower({text}) = 'true'")
    if iso == n:
        return Guess("date", _AS_DATE.format(text))
    if dotted == n:
        return Guess("date", _AS_DOTTED.format(text))
    if moment == n:
        return Guess("timestamp", _AS_MOMENT.format(text))
    slashed, commas = slash == n, comma + number == n
    return Guess("category", text, slashed=slashed, comma=commas and comma > 0, sure=not (slashed or commas))
