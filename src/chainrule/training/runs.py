"""Run folders: a trained model and its story as plain files, written whole or not at all, and read back with care.

runs/patients-diagnosis/
  model.safetensors   the weights
  run.json            all else that it takes to predict, and what there is to know about the training
  history.csv         the figures of each epoch
  report.html         the same for the eye

A language model has its tokenizer.json as well, and samples.txt, what it wrote.
"""

from __future__ import annotations

import os
from pathlib import Path
from types import ModuleType
from typing import Any, TypeAlias

from chainrule.data.fields import Fields
from chainrule.errors import RunError
from chainrule.training import image_record, language_record, table_record
from chainrule.training.folders import (
    HISTORY,
    RECORD,
    REPORT,
    WEIGHTS,
    made_now,
    read_folder,
    read_weights,
    shown,
    to_json,
    write_folder,
)
from chainrule.training.image_report import image_report
from chainrule.training.images import ImageModel, ImageRun
from chainrule.training.language import LanguageModel, LanguageRun
from chainrule.training.language_report import language_report
from chainrule.training.report import report
from chainrule.training.tabular import TableModel, TableRun

Run: TypeAlias = "TableRun | ImageRun | LanguageRun"
Model: TypeAlias = "TableModel | ImageModel | LanguageModel"

RECORDS: dict[str, ModuleType] = {"table": table_record, "images": image_record, "text": language_record}
"""Who reads and writes what is particular to a kind of run."""


def save_run(run: Run, folder: Path, *, source: str, overwrite: bool = False) -> Path:
    """Save a run as a folder, which appears whole or not at all; returns the folder.

    Args:
        run: what `train_table`, `train_images` or `train_text` returned.
        folder: where; a number is added to the name if it is taken.
        source: name of the file or folder that the data were read from.
        overwrite: replace the run of that name instead; a folder that is no run is never replaced.

    Raises `RunError` for what the system refuses: no permission, a full disk.
    """
    described = describe_run(run, source)

    def files(place: Path, digest: str) -> dict[str, str]:
        record = described | {"sha256": {WEIGHTS: digest}}
        texts = {RECORD: to_json(record), HISTORY: run.history.to_csv(), REPORT: _page(run, record, place)}
        return texts | (language_record.files(run) if isinstance(run, LanguageRun) else {})

    return write_folder(folder, run.model.network.state_dict(), files, overwrite=overwrite)


def load_run(folder: str | os.PathLike[str]) -> Model:
    """The model of a run folder, after checking everything.

    Raises `RunError`, naming the file and the field, for a folder that is missing, incomplete, damaged or written by a
    newer version of the library.
    """
    place, document = read_folder(folder)
    try:
        fields = Fields(document, "run")
        kind = fields.text("kind", tuple(RECORDS)) if "kind" in document else "table"
        digest = fields.object("sha256").text(WEIGHTS)
        parts = RECORDS[kind].read(document, place)
    except RunError as error:
        raise RunError(f"{shown(place / RECORD)}: {error}") from None
    return parts.with_weights(read_weights(place / WEIGHTS, digest), place / WEIGHTS)


def describe_run(run: Run, source: str) -> dict[str, Any]:
    """All about a run but its weights, as it stands in run.json; figures that are no number become null."""
    kind = "table" if isinstance(run, TableRun) else "images" if isinstance(run, ImageRun) else "text"
    return made_now() | {"kind": kind} | RECORDS[kind].describe(run, source)


def _page(run: Run, record: dict[str, Any], place: Path) -> str:
    if isinstance(run, TableRun):
        return report(run, record, place)
    return image_report(run, record, place) if isinstance(run, ImageRun) else language_report(run, record, place)
