"""The options of a training from three places: the command line over a TOML file over the defaults."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Literal, TypeAlias, TypeVar, cast, get_args

from chainrule.data.schema import Task
from chainrule.data.wording import near, one_line, quoted
from chainrule.errors import DataError, DefinitionError
from chainrule.training.folders import check_name, check_writable, run_name
from chainrule.training.image_settings import ImageSettings
from chainrule.training.language import LanguageSettings
from chainrule.training.settings import Settings

Made = TypeVar("Made", Settings, ImageSettings, LanguageSettings)

RUNS_DIR = "runs"
"""The folder of all runs, where none is named."""


Kind: TypeAlias = Literal["table", "images", "text"]
"""What a network can be trained on."""

TEXT_ENDINGS = (".txt", ".text", ".md")

WORDS: dict[Kind, str] = {"table": "a table", "images": "a folder of images", "text": "a text"}


def kind_of(data: Path) -> Kind:
    """A folder holds images, a file whose name ends in .txt, .text or .md a text; anything else is a table.

    >>> kind_of(Path("corpus.txt")), kind_of(Path("patients.csv"))
    ('text', 'table')
    """
    if data.is_dir():
        return "images"
    return "text" if data.suffix.lower() in TEXT_ENDINGS else "table"


def _is_integer(value: Any) -> bool:
    return type(value) is int


def _is_flag(value: Any) -> bool:
    return type(value) is bool


def _is_number(value: Any) -> bool:
    return type(value) in (int, float)


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _are_integers(value: Any) -> bool:
    return isinstance(value, list) and all(map(_is_integer, cast("list[Any]", value)))


def _are_texts(value: Any) -> bool:
    return isinstance(value, list) and all(map(_is_text, cast("list[Any]", value)))


_FLAG = (_is_flag, "true or false")
_INTEGER = (_is_integer, "a whole number")
_NUMBER = (_is_number, "a number")
_TEXT = (_is_text, "a text")
_TEXTS = (_are_texts, 'a list of texts, such as ["age", "city"]')

KEYS: dict[str, tuple[Callable[[Any], bool], str]] = {
    "batch_size": _INTEGER,
    "channels": _INTEGER,
    "colour": _FLAG,
    "context": _INTEGER,
    "crop": _FLAG,
    "cutout": _FLAG,
    "drop": _TEXTS,
    "dropout": _NUMBER,
    "epochs": _INTEGER,
    "flip": _FLAG,
    "heads": _INTEGER,
    "hidden": (_are_integers, "a list of whole numbers, such as [64, 64]"),
    "keep": _TEXTS,
    "label_smoothing": _NUMBER,
    "layers": _INTEGER,
    "lr": _NUMBER,
    "mixup": _FLAG,
    "model": _TEXT,
    "name": _TEXT,
    "optimizer": _TEXT,
    "patience": _INTEGER,
    "runs_dir": _TEXT,
    "seed": _INTEGER,
    "size": _INTEGER,
    "steps": _INTEGER,
    "target": _TEXT,
    "task": _TEXT,
    "time_limit": _NUMBER,
    "tokenizer": _TEXT,
    "validation": _NUMBER,
    "vocab_size": _INTEGER,
    "width": _INTEGER,
}
"""What a configuration file may say: for each key, how to tell its type, and the type in words."""


def read_config(path: str | os.PathLike[str]) -> dict[str, Any]:
    """The options in a TOML file, each of the right type.

    Raises `DataError` for a file that cannot be read or is no TOML, `DefinitionError` for a key that is unknown or of
    another type.
    """
    shown = one_line(str(path))
    try:
        document = tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise DataError(f"{shown}: cannot be read: {one_line(error.strerror or str(error))}") from None
    except UnicodeDecodeError:
        raise DataError(f"{shown}: is not UTF-8 text; save it as UTF-8") from None
    except tomllib.TOMLDecodeError as error:
        raise DataError(f"{shown}: is not valid TOML: {one_line(str(error))}") from None
    for key, value in document.items():
        if key not in KEYS:
            raise DefinitionError(f"{shown}: no option is called {quoted(key)}{near(key, list(KEYS))}")
        fits, words = KEYS[key]
        if not fits(value):
            raise DefinitionError(f"{shown}: {key} must be {words}, not {one_line(repr(value)):.40}")
    return document


ALWAYS = {"name", "runs_dir"}
SETTINGS: dict[Kind, type[Settings | ImageSettings | LanguageSettings]] = {
    "table": Settings,
    "images": ImageSettings,
    "text": LanguageSettings,
}
OPTIONS: dict[Kind, set[str]] = {kind: ALWAYS | {x.name for x in fields(made)} for kind, made in SETTINGS.items()}
OPTIONS["table"] |= {"target", "task", "drop", "keep"}


@dataclass(frozen=True)
class RunPlace:
    """Where a run will stand.

    Attributes:
        name: name of the run folder, or None for one that fits.
        runs_dir: folder of all runs.
        overwrite: whether a run of that name is replaced.
    """

    name: str | None
    runs_dir: Path
    overwrite: bool

    def named(self, fitting: str) -> str:
        """The name of the folder, after looking whether there may be one of that name. Raises `RunError` if not."""
        if self.name is None and self.overwrite:
            check_name(self.runs_dir, run_name(fitting), overwrite=True)
        return self.name or run_name(fitting)


def chosen_options(given: Mapping[str, Any], config: Mapping[str, Any], kind: Kind) -> dict[str, Any]:
    """The options that were given, and for what was not the configuration's.

    Raises `DefinitionError` for one that the kind of data has no use for.

    >>> chosen_options({"epochs": 5, "lr": None}, {"epochs": 9, "target": "ill"}, "table")
    {'epochs': 5, 'target': 'ill'}
    >>> chosen_options({"steps": 5}, {}, "table")
    Traceback (most recent call last):
    chainrule.errors.DefinitionError: steps is an option for a text, and the data are a table
    """
    chosen = dict(config) | {
        name: value for name, value in given.items() if name in KEYS and value not in (None, [], ())
    }
    for name in chosen:
        if name not in OPTIONS[kind]:
            fitting = " or ".join(WORDS[other] for other, names in OPTIONS.items() if name in names)
            raise DefinitionError(f"{name} is an option for {fitting}, and the data are {WORDS[kind]}")
    return dict(sorted(chosen.items()))


def settings_of(made: type[Made], chosen: Mapping[str, Any]) -> Made:
    """Settings of a kind from the options; the defaults where nothing was chosen.

    >>> settings_of(Settings, {"epochs": 5, "hidden": "16,8"}).hidden
    (16, 8)
    """
    known = {x.name for x in fields(made)}
    values = {name: value for name, value in chosen.items() if name in known}
    if "hidden" in values:
        values["hidden"] = _widths(values["hidden"])
    return made(**values)


def place_of(chosen: Mapping[str, Any], overwrite: bool) -> RunPlace:
    """Where the run will stand, after looking whether it can be written there. Raises `RunError` if not."""
    place = RunPlace(chosen.get("name"), Path(chosen.get("runs_dir", RUNS_DIR)), overwrite)
    check_writable(place.runs_dir)
    if place.name is not None:
        check_name(place.runs_dir, place.name, overwrite=overwrite)
    return place


def task_of(chosen: Mapping[str, Any]) -> Task | None:
    """The task that was chosen. Raises `DefinitionError` for one that is none."""
    task = chosen.get("task")
    if task not in (None, *get_args(Task)):
        raise DefinitionError(f"task must be {' or '.join(get_args(Task))}, not {quoted(task)}")
    return task


def _widths(hidden: str | list[int]) -> tuple[int, ...]:
    """Widths of layers, from "64,32" or a list."""
    try:
        return tuple(int(n) for n in (hidden.split(",") if isinstance(hidden, str) else hidden))
    except ValueError:
        raise DefinitionError(f"hidden must be widths such as 64,64, not {quoted(hidden)}") from None
