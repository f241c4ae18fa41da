"""Run folders: a trained model and its story as plain files, written whole or not at all, and read back with care.

runs/patients-diagnosis/
  model.safetensors   the weights
  run.json            all else that it takes to predict, and what there is to know about the training
  history.csv         the figures of each epoch
  report.html         the same for the eye
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
from collections.abc import Generator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load, save

from chainrule.data.fields import Fields
from chainrule.data.files import write_atomically
from chainrule.data.preprocess import Preprocessor
from chainrule.data.schema import Schema
from chainrule.data.target import TargetEncoder, target_from_json
from chainrule.data.wording import near, one_line, quoted
from chainrule.errors import DataError, RunError, StateError
from chainrule.training.report import report
from chainrule.training.tabular import Codec, TableModel, TableRun, network_for, widths_of
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
        raise RunError(f"{_shown(folder)}: is there already; choose another --name, or replace it with --overwrite")
    if not _is_run(folder):
        raise RunError(f"{_shown(folder)}: is no run folder and is not overwritten; choose another --name")


def check_writable(runs: Path) -> None:
    """Raise a RunError if no run can be saved in a folder, which need not be there yet; nothing is left behind."""
    above = runs
    while not os.path.lexists(above):
        above = above.parent
    with _refusals(runs):
        probe = above / f".{secrets.token_hex(8)}.tmp"
        probe.mkdir()
        probe.rmdir()


def save_run(run: TableRun, folder: Path, *, source: str, overwrite: bool = False) -> Path:
    """Save a run as a folder, which appears whole or not at all; returns the folder.

    Args:
        run: what `train_table` returned.
        folder: where; a number is added to the name if it is taken.
        source: name of the file that the table was read from.
        overwrite: replace the run of that name instead; a folder that is no run is never replaced.

    Raises `RunError` for what the system refuses: no permission, a full disk.
    """
    weights = save(run.model.network.state_dict(), metadata={"format": "chainrule"})
    record = describe_run(run, source) | {"sha256": {WEIGHTS: hashlib.sha256(weights).hexdigest()}}
    temporary = folder.with_name(f".{secrets.token_hex(8)}.tmp")
    with _refusals(folder):
        made = [above for above in folder.parents if not os.path.lexists(above)]
        try:
            temporary.mkdir(parents=True)
            write_atomically(temporary / WEIGHTS, weights)
            write_atomically(temporary / RECORD, json.dumps(record, indent=2, ensure_ascii=False) + "\n")
            write_atomically(temporary / HISTORY, run.history.to_csv())
            place = folder if overwrite and _is_run(folder) else _free(folder)
            write_atomically(temporary / REPORT, report(run, record, place))
            _move(temporary, place)
        except BaseException:
            shutil.rmtree(temporary, ignore_errors=True)
            for above in made:
                with contextlib.suppress(OSError):
                    above.rmdir()
            raise
    return place


def load_run(folder: str | os.PathLike[str]) -> TableModel:
    """The model of a run folder, after checking everything.

    Raises `RunError`, naming the file and the field, for a folder that is missing, incomplete, damaged or written by a
    newer version of the library.
    """
    place = Path(folder)
    _check_folder(place)
    document = _document(place / RECORD)
    try:
        digest = Fields(document, "run").object("sha256").text(WEIGHTS)
        model = _parts(document)
    except RunError as error:
        raise RunError(f"{_shown(place / RECORD)}: {error}") from None
    tensors = _tensors(place / WEIGHTS, digest)
    return _with_weights(model, tensors, _shown(place / WEIGHTS))


def describe_run(run: TableRun, source: str) -> dict[str, Any]:
    """All about a run but its weights, as it stands in run.json; figures that are no number become null."""
    model, history = run.model, run.history
    names = ("train", "validation", "test")
    return {
        "format": FORMAT,
        "made_by": {"chainrule": version("chainrule"), "numpy": np.__version__, "python": platform.python_version()},
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "data": {"file": source, "rows": {name: len(rows) for name, rows in zip(names, run.rows, strict=True)}},
        "schema": model.schema.to_json(),
        "preprocessor": model.preprocessor.to_json(),
        "target": model.codec.to_json(),
        "network": {
            "inputs": model.widths[0],
            "hidden": list(model.hidden),
            "outputs": model.widths[-1],
            "dropout": model.dropout,
        },
        "settings": {name: _plain(value) for name, value in asdict(run.settings).items()},
        "training": {"epochs": len(history), "best_epoch": history.best_epoch, "stopped": history.stopped},
        "test": {name: _plain(value) for name, value in run.test.items()},
        "baseline": {name: _plain(value) for name, value in run.baseline.items()},
        "notices": list(run.notices),
    }


def _plain(value: Any) -> Any:
    """The value as JSON has it: numbers that are not finite are null."""
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _shown(path: Path) -> str:
    return one_line(str(path))


@contextlib.contextmanager
def _refusals(path: Path) -> Generator[None]:
    """What the system refuses, as a RunError about `path`."""
    try:
        yield
    except (DataError, OSError) as error:
        refusal = error.__cause__ if isinstance(error.__cause__, OSError) else error
        words = (refusal.strerror if isinstance(refusal, OSError) else None) or str(refusal) or repr(refusal)
        raise RunError(f"{_shown(path)}: cannot be written: {one_line(words[0].lower() + words[1:])}") from error


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
    shown = _shown(folder)
    if not folder.is_dir():
        if folder.exists():
            raise RunError(f"{shown}: is a file; give the run folder that chainrule train made")
        others = sorted(p.parent.name for p in folder.parent.glob(f"*/{RECORD}"))
        raise RunError(f"{shown}: there is no such run folder{near(folder.name, others)}")
    for name in (RECORD, WEIGHTS):
        if not (folder / name).is_file():
            raise RunError(f"{shown}: is not a whole run folder: {name} is missing")


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise RunError(f"{_shown(path)}: cannot be read: {one_line(error.strerror or str(error))}") from None


def _document(path: Path) -> dict[str, Any]:
    """What run.json holds, if it is of a version that can be read."""
    shown, content = _shown(path), _read(path)
    try:
        document = json.loads(content)
    except json.JSONDecodeError as error:
        at, words = f"line {error.lineno:,}, column {error.colno:,}", error.msg[0].lower() + error.msg[1:]
        raise RunError(f"{shown}: {at}: not valid JSON ({words}); the file is damaged") from None
    except (RecursionError, ValueError):
        raise RunError(f"{shown}: is no JSON text; the file is damaged") from None
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
        raise RunError(f"{shown}: {error}") from None
    return document


@dataclass(frozen=True)
class _Parts:
    """A model as run.json describes it, before there is a network."""

    schema: Schema
    preprocessor: Preprocessor
    codec: Codec
    hidden: tuple[int, ...]
    dropout: float

    @property
    def widths(self) -> tuple[int, ...]:
        return widths_of(self.preprocessor, self.hidden, self.codec)


def _parts(document: dict[str, Any]) -> _Parts:
    record = Fields(document, "run")
    schema = Schema.from_json(document.get("schema"))
    preprocessor = Preprocessor.from_json(document.get("preprocessor"))
    codec = target_from_json(document.get("target"))
    network = record.object("network")
    parts = _Parts(schema, preprocessor, codec, tuple(network.items("hidden", int)), network.number("dropout"))
    if preprocessor.columns != schema.features:
        raise record.fault("preprocessor", "its columns are not those of the schema")
    if codec.name != schema.target.name or isinstance(codec, TargetEncoder) != (schema.task == "classification"):
        raise record.fault("target", "does not fit the schema")
    if any(n < 1 for n in parts.hidden):
        raise network.fault("hidden", "should be widths of at least 1")
    if not 0 <= parts.dropout < 1:
        raise network.fault("dropout", "should be in [0, 1)")
    for name, width in (("inputs", parts.widths[0]), ("outputs", parts.widths[-1])):
        if network.number(name) != width:
            raise network.fault(name, f"should be {width}, by the columns and the target")
    return parts


def _tensors(path: Path, digest: str) -> dict[str, Array]:
    """The arrays of a safetensors file, which must be the one that the run saved."""
    content = _read(path)
    if hashlib.sha256(content).hexdigest() != digest:
        raise RunError(
            f"{_shown(path)}: is damaged, or not the file that this run saved (its SHA-256 is not the one in {RECORD})"
        )
    try:
        return load(content)
    except SafetensorError as error:
        raise RunError(f"{_shown(path)}: is no safetensors file ({one_line(str(error))})") from None


def _with_weights(parts: _Parts, tensors: dict[str, Array], shown: str) -> TableModel:
    # Sizes first, so that a damaged width is an error and not a network that fills the memory.
    wanted, held = sum((n + 1) * m for n, m in itertools.pairwise(parts.widths)), sum(x.size for x in tensors.values())
    if wanted != held:
        raise RunError(f"{shown}: holds {held:,} weights, but the network in {RECORD} has {wanted:,}")
    network = network_for(parts.widths[0], parts.widths[-1], parts.hidden, parts.dropout, seed=0)
    try:
        network.load_state_dict(tensors)
    except StateError as error:
        raise RunError(f"{shown}: the weights do not fit the network in {RECORD}: {_one_line_of(error)}") from None
    network.eval()
    return TableModel(parts.schema, parts.preprocessor, parts.codec, parts.hidden, parts.dropout, network)


def _one_line_of(error: StateError) -> str:
    """The problems that a StateError lists, without its headline."""
    return "; ".join(" ".join(line.split()) for line in str(error).splitlines()[1:])
