"""The options of a training from three places: the command line over a TOML file over the defaults."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, cast, get_args

from chainrule.data.schema import Task
from chainrule.data.wording import near, one_line, quoted
from chainrule.errors import DataError, DefinitionError
from chainrule.training.settings import Settings

RUNS_DIR = "runs"
"""The folder of all runs, where none is named."""


@dataclass(frozen=True)
class TrainOptions:
    """What a training is asked to be, beside the data.

    Attributes:
        target: name of the column to predict, or None where nobody named one.
        task: "classification" or "regression", or None for what the target looks like.
        drop: columns not to learn from.
        keep: columns to learn from, whatever they look like.
        name: name of the run folder, or None for one that fits.
        runs_dir: folder of all runs.
        settings: of the training itself.
    """

    target: str | None
    task: Task | None
    drop: tuple[str, ...]
    keep: tuple[str, ...]
    name: str | None
    runs_dir: Path
    settings: Settings


def _is_integer(value: Any) -> bool:
    return type(value) is int


def _is_number(value: Any) -> bool:
    return type(value) in (int, float)


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _are_integers(value: Any) -> bool:
    return isinstance(value, list) and all(map(_is_integer, cast("list[Any]", value)))


def _are_texts(value: Any) -> bool:
    return isinstance(value, list) and all(map(_is_text, cast("list[Any]", value)))


_INTEGER = (_is_integer, "a whole number")
_NUMBER = (_is_number, "a number")
_TEXT = (_is_text, "a text")
_TEXTS = (_are_texts, 'a list of texts, such as ["age", "city"]')

KEYS: dict[str, tuple[Callable[[Any], bool], str]] = {
    "batch_size": _INTEGER,
    "drop": _TEXTS,
    "dropout": _NUMBER,
    "epochs": _INTEGER,
    "hidden": (_are_integers, "a list of whole numbers, such as [64, 64]"),
    "keep": _TEXTS,
    "label_smoothing": _NUMBER,
    "lr": _NUMBER,
    "name": _TEXT,
    "optimizer": _TEXT,
    "patience": _INTEGER,
    "runs_dir": _TEXT,
    "seed": _INTEGER,
    "target": _TEXT,
    "task": _TEXT,
    "time_limit": _NUMBER,
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


def train_options(given: Mapping[str, Any], config: Mapping[str, Any]) -> TrainOptions:
    """The options that were given, and for what was not the configuration's and then the defaults.

    Raises `DefinitionError` for a value that cannot be.

    >>> options = train_options({"epochs": 5, "hidden": "16,8"}, {"epochs": 9, "target": "ill"})
    >>> options.target, options.settings.epochs, options.settings.hidden
    ('ill', 5, (16, 8))
    """
    chosen = dict(config) | {name: value for name, value in given.items() if name in KEYS and value not in (None, [])}
    task = chosen.get("task")
    if task not in (None, *get_args(Task)):
        raise DefinitionError(f"task must be {' or '.join(get_args(Task))}, not {quoted(task)}")
    if "hidden" in chosen:
        chosen["hidden"] = _widths(chosen["hidden"])
    names = [field.name for field in fields(Settings)]
    return TrainOptions(
        target=chosen.get("target"),
        task=task,
        drop=tuple(chosen.get("drop", ())),
        keep=tuple(chosen.get("keep", ())),
        name=chosen.get("name"),
        runs_dir=Path(chosen.get("runs_dir", RUNS_DIR)),
        settings=Settings(**{name: chosen[name] for name in names if name in chosen}),
    )


def _widths(hidden: str | list[int]) -> tuple[int, ...]:
    """Widths of layers, from "64,32" or a list."""
    try:
        return tuple(int(n) for n in (hidden.split(",") if isinstance(hidden, str) else hidden))
    except ValueError:
        raise DefinitionError(f"hidden must be widths such as 64,64, not {quoted(hidden)}") from None
