"""Run folders as such: names, writing them whole or not at all, and reading them back with care.

What a run folder holds is told in `runs`.
"""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import json
import math
import os
import platform
import re
import secrets
import shutil
from collections.abc import Callable, Generator, Mapping
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load, save

from chainrule.data.fields import Fields
from chainrule.data.files import write_atomically
from chainrule.data.wording import near, one_line, quoted
from chainrule.errors import DataError, RunError, StateError
from chainrule.nn import Module
from chainrule.types import Array

FORMAT = 1
"""The version of the layout of run folders; it grows when older versions of the library can no longer read new runs."""

WEIGHTS = "model.safetensors"
RECORD = "run.json"
HISTORY = "history.csv"
REPORT = "report.html"
LONGEST_NAME = 200
"""Bytes; file systems take 255, and a number may have to be added."""


def run_name(text: str) -> str:
    """The text as the name of a folder: letters, digits, dots, dashes and underscores.

    >>> run_name("heart data (2024)-is ill?")
    'heart-data-2024-is-ill'
    """
    name = re.sub(r"[^\w.-]+", "-", text).strip("-.")
    return re.sub(r"-{2,}", "-", name)[:60] or "run"


def check_name(runs: Path, name: str, *, overwrite: bool) -> None:
    """Raise a RunError if a run of this name cannot be made: the name is no plain folder name, or is taken."""
    plain = name == os.path.basename(name) and "\\" not in name and name.isprintable()
    if not plain or name.startswith(".") or not name.strip() or len(os.fsencode(name)) > LONGEST_NAME:
        raise RunError(f"name {quoted(name)}: must be the plain name of a folder, such as {quoted(run_name(name))}")
    folder = runs / name
    if not os.path.lexists(folder):
        return
    if not overwrite:
        raise RunError(f"{shown(folder)}: is there already; choose another --name, or replace it with --overwrite")
    if not _is_run(folder):
        raise RunError(f"{shown(folder)}: is no run folder and is not overwritten; choose another --name")


def check_writable(runs: Path) -> None:
    """Raise a RunError if no run can be saved in a folder, which need not be there yet; nothing is left behind."""
    above = runs
    while not os.path.lexists(above):
        above = above.parent
    with _refusals(runs):
        probe = above / f".{secrets.token_hex(8)}.tmp"
        probe.mkdir()
        probe.rmdir()


def write_folder(
    folder: Path, weights: Mapping[str, Array], files: Callable[[Path, str], Mapping[str, str]], *, overwrite: bool
) -> Path:
    """Write a run folder, which appears whole or not at all; returns where it stands.

    Args:
        folder: where; a number is added to the name if it is taken.
        weights: arrays by name.
        files: from the place where the folder will stand, and the checksum of the weights, the texts of all other
            files by their names.
        overwrite: replace a run of that name instead; a folder that is no run is never replaced.

    Raises `RunError` for what the system refuses: no permission, a full disk.
    """
    content = save(dict(weights), metadata={"format": "chainrule"})
    temporary = folder.with_name(f".{secrets.token_hex(8)}.tmp")
    with _refusals(folder):
        made = [above for above in folder.parents if not os.path.lexists(above)]
        try:
            temporary.mkdir(parents=True)
            place = folder if overwrite and _is_run(folder) else _free(folder)
            write_atomically(temporary / WEIGHTS, content)
            for name, text in files(place, hashlib.sha256(content).hexdigest()).items():
                write_atomically(temporary / name, text)
            _move(temporary, place)
        except BaseException:
            shutil.rmtree(temporary, ignore_errors=True)
            for above in made:
                with contextlib.suppress(OSError):
                    above.rmdir()
            raise
    return place


def read_folder(folder: str | os.PathLike[str]) -> tuple[Path, dict[str, Any]]:
    """The place of a run folder and what its run.json holds, if it is of a version that can be read.

    Raises `RunError`, naming the file, for a folder that is missing, incomplete, damaged or of a newer version.
    """
    place = Path(folder)
    _check_folder(place)
    return place, _document(place / RECORD)


def to_json(record: Mapping[str, Any]) -> str:
    """The text of a JSON file."""
    return json.dumps(record, indent=2, ensure_ascii=False) + "\n"


def made_now() -> dict[str, Any]:
    """What every run.json begins with: the format, by what it was made, and when."""
    return {
        "format": FORMAT,
        "made_by": {"chainrule": version("chainrule"), "numpy": np.__version__, "python": platform.python_version()},
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def plain(value: Any) -> Any:
    """A value as JSON has it: numbers that are not finite are null."""
    return None if isinstance(value, float) and not math.isfinite(value) else value


def shown(path: Path) -> str:
    """A path as messages name it."""
    return one_line(str(path))


@contextlib.contextmanager
def _refusals(path: Path) -> Generator[None]:
    """What the system refuses, as a RunError about `path`."""
    try:
        yield
    except (DataError, OSError) as error:
        refusal = error.__cause__ if isinstance(error.__cause__, OSError) else error
        words = (refusal.strerror if isinstance(refusal, OSError) else None) or str(refusal) or repr(refusal)
        raise RunError(f"{shown(path)}: cannot be written: {one_line(words[0].lower() + words[1:])}") from error


def _is_run(folder: Path) -> bool:
    return (folder / RECORD).is_file()


def _free(folder: Path) -> Path:
    """The folder, or where there is one of that name already, the same with the first number that is free."""
    numbered = (folder.with_name(f"{folder.name}-{n}") for n in itertools.count(2))
    return next(place for place in itertools.chain([folder], numbered) if not os.path.lexists(place))


def _move(temporary: Path, folder: Path) -> None:
    """Give a finished folder its name; one that had the name is removed once the new one stands in its place."""
    if not os.path.lexists(folder):
        os.rename(temporary, folder)
        return
    old = folder.with_name(f".{secrets.token_hex(8)}.old")
    os.rename(folder, old)
    try:
        os.rename(temporary, folder)
    except BaseException:
        os.rename(old, folder)
        raise
    shutil.rmtree(old, ignore_errors=True)


def _check_folder(folder: Path) -> None:
    words = shown(folder)
    if not folder.is_dir():
        if folder.exists():
            raise RunError(f"{words}: is a file; give the run folder that chainrule train made")
        others = sorted(p.parent.name for p in folder.parent.glob(f"*/{RECORD}"))
        raise RunError(f"{words}: there is no such run folder{near(folder.name, others)}")
    for name in (RECORD, WEIGHTS):
        if not (folder / name).is_file():
            raise RunError(f"{words}: is not a whole run folder: {name} is missing")


def read_file(path: Path) -> bytes:
    """All of a file. Raises `RunError` if it cannot be read."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise RunError(f"{shown(path)}: cannot be read: {one_line(error.strerror or str(error))}") from None


def _document(path: Path) -> dict[str, Any]:
    """What run.json holds, if it is of a version that can be read."""
    words, content = shown(path), read_file(path)
    try:
        document = json.loads(content)
    except json.JSONDecodeError as error:
        at, reason = f"line {error.lineno:,}, column {error.colno:,}", error.msg[0].lower() + error.msg[1:]
        raise RunError(f"{words}: {at}: not valid JSON ({reason}); the file is damaged") from None
    except (RecursionError, ValueError):
        raise RunError(f"{words}: is no JSON text; the file is damaged") from None
    try:
        fields = Fields(document, "run")
        version = fields.number("format")
        if version > FORMAT:
            raise RunError(
                f"was written by a newer version of chainrule (format {version:g}, this one reads {FORMAT}); "
                f"upgrade with: pip install --upgrade chainrule"
            )
        if version != FORMAT:
            raise fields.fault("format", f"should be {FORMAT}, but is {version:g}")
    except RunError as error:
        raise RunError(f"{words}: {error}") from None
    return document


def read_weights(path: Path, digest: str) -> dict[str, Array]:
    """The arrays of a safetensors file, which must be the one that the run saved."""
    content = read_file(path)
    if hashlib.sha256(content).hexdigest() != digest:
        raise RunError(
            f"{shown(path)}: is damaged, or not the file that this run saved (its SHA-256 is not the one in {RECORD})"
        )
    try:
        return load(content)
    except SafetensorError as error:
        raise RunError(f"{shown(path)}: is no safetensors file ({one_line(str(error))})") from None


def fit_weights(network: Module, tensors: Mapping[str, Array], path: Path) -> None:
    """Give a network the weights that were read from a file. Raises `RunError` if they do not fit."""
    try:
        network.load_state_dict(tensors)
    except StateError as error:
        raise RunError(f"{shown(path)}: the weights do not fit the network in {RECORD}: {_problems(error)}") from None
    network.eval()


def check_size(wanted: int, tensors: Mapping[str, Array], path: Path) -> None:
    """Raise a `RunError` if there is not the wanted number of weights.

    It comes before a network is made, so that a damaged width is an error and not a network that fills the memory.
    """
    held = sum(x.size for x in tensors.values())
    if wanted != held:
        raise RunError(f"{shown(path)}: holds {held:,} weights, but the network in {RECORD} has {wanted:,}")


def _problems(error: StateError) -> str:
    """The problems that a StateError lists, without its headline."""
    return "; ".join(" ".join(line.split()) for line in str(error).splitlines()[1:])
