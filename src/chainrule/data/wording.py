"""How the messages about data are worded: one line each, whatever the names and values in them hold."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence


def quoted(value: object, limit: int = 40) -> str:
    """A name or value in double quotes, on one line and not longer than `limit` characters.

    >>> quoted("two\\nlines"), quoted("x" * 50, limit=8)
    ('"two\\\\nlines"', '"xxxxx..."')
    """
    text = str(value)
    if len(text) > limit:
        text = text[: limit - 3] + "..."
    return '"' + one_line(text) + '"'


def one_line(text: str) -> str:
    """The text with everything that could break or colour a line written as an escape.

    >>> print(one_line("a\\tb"))
    a\\tb
    """
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)


def listing(items: Iterable[object], limit: int = 5) -> str:
    """The first few items in quotes, and how many more there are.

    >>> listing(["a", "b", "c"], limit=2)
    '"a", "b" and 1 more'
    """
    texts = [quoted(item) for item in items]
    rest = len(texts) - limit
    return ", ".join(texts[:limit]) + (f" and {rest} more" if rest > 0 else "")


def counted(n: int, noun: str, plural: str = "") -> str:
    """A number with its noun.

    >>> counted(1, "row"), counted(1200, "row"), counted(2, "class", "classes")
    ('1 row', '1,200 rows', '2 classes')
    """
    return f"{n:,} {noun if n == 1 else plural or noun + 's'}"


def near(name: str, names: Sequence[str]) -> str:
    """What the name may have been meant to be, or what there is to choose from; starts with a space.

    >>> near("agee", ["age", "city"]), near("x", ["age", "city"])
    (' (did you mean "age"?)', ' (there are "age", "city")')
    """
    folded = {other.casefold().strip(): other for other in reversed(names)}
    close = [folded[match] for match in difflib.get_close_matches(name.casefold().strip(), folded, n=3)]
    if close:
        return f" (did you mean {' or '.join(quoted(other) for other in close)}?)"
    return f" (there are {listing(names, 10)})" if names else ""
