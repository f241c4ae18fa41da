"""Plain JSON read back field by field: what is missing or of a wrong type is named by its place."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, TypeVar, cast

from chainrule.errors import RunError

Made = TypeVar("Made")


class Fields:
    """The fields of a JSON object, `where` being the object's place: `Fields({"mean": 1.5}, "target").number("mean")`.

    Every getter raises a RunError that names the field when it is missing or not of its type.

    >>> Fields({"name": "age"}, "schema.target").text("name")
    'age'
    """

    def __init__(self, document: Any, where: str) -> None:
        self.where = where
        if not isinstance(document, dict):
            raise RunError(f"{where}: should be an object, but is {_article(document)}; {_REMEDY}")
        self._document = cast(dict[str, Any], document)

    def fault(self, name: str, what: str) -> RunError:
        """The error about a field: "target.classes: " and what is wrong with it."""
        return RunError(f"{self.where}.{name}: {what}; {_REMEDY}")

    def _get(self, name: str, check: Callable[[Any], bool], what: str) -> Any:
        if name not in self._document:
            raise self.fault(name, "is missing")
        value = self._document[name]
        if not check(value):
            raise self.fault(name, f"should be {what}, but is {_article(value)}")
        return value

    def text(self, name: str, among: tuple[str, ...] | None = None) -> str:
        """A string, one of `among` where that is given."""
        what = "a text" if among is None else "one of " + ", ".join(among)
        return self._get(name, lambda value: isinstance(value, str) and (among is None or value in among), what)

    def number(self, name: str) -> float:
        """A finite number."""
        return float(self._get(name, _is_number, "a finite number"))

    def positive(self, name: str) -> float:
        """A finite number above zero."""
        number = self.number(name)
        if number <= 0:
            raise self.fault(name, "should be above zero")
        return number

    def flag(self, name: str) -> bool:
        """A truth value."""
        return self._get(name, lambda value: isinstance(value, bool), "true or false")

    def items(self, name: str, kind: type | None = None) -> list[Any]:
        """A list; with `kind`, a list of values of exactly that type."""

        def check(value: Any) -> bool:
            return isinstance(value, list) and all(kind in (None, type(v)) for v in cast(list[Any], value))

        return self._get(name, check, "a list" if kind is None else f"a list of {_NOUNS[kind]}s")

    def object(self, name: str) -> Fields:
        """An object within this one."""
        return Fields(self._get(name, lambda value: isinstance(value, dict), "an object"), f"{self.where}.{name}")

    def objects(self, name: str, make: Callable[[Fields], Made]) -> list[Made]:
        """A list of objects, each made into something."""
        return [make(Fields(item, f"{self.where}.{name}[{i}]")) for i, item in enumerate(self.items(name))]


_REMEDY = "the file is damaged or was made by another version"
_NOUNS: dict[type, str] = {str: "text", bool: "truth value", int: "whole number", float: "number"}


def _is_number(value: Any) -> bool:
    if isinstance(value, int):
        return not isinstance(value, bool) and abs(value) < 2**1023
    return isinstance(value, float) and math.isfinite(value)


def _article(value: Any) -> str:
    """The value's JSON type in words."""
    if value is None:
        return "null"
    if isinstance(value, dict | list):
        return "an object" if isinstance(value, dict) else "a list"
    noun = next((noun for kind, noun in _NOUNS.items() if type(value) is kind), "value")
    return f"the {noun} {value!r:.40}"
