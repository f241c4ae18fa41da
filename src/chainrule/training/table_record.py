"""What run.json says of a run on a table, and the model that it describes."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from chainrule.data.fields import Fields
from chainrule.data.preprocess import Preprocessor
from chainrule.data.schema import Schema
from chainrule.data.target import TargetEncoder, target_from_json
from chainrule.training.folders import check_size, fit_weights, plain
from chainrule.training.tabular import Codec, TableModel, TableRun, network_for, widths_of
from chainrule.types import Array


def describe(run: TableRun, source: str) -> dict[str, Any]:
    """All about a run but its weights."""
    model, history = run.model, run.history
    names = ("train", "validation", "test")
    return {
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
        "settings": {name: plain(value) for name, value in asdict(run.settings).items()},
        "training": {"epochs": len(history), "best_epoch": history.best_epoch, "stopped": history.stopped},
        "test": {name: plain(value) for name, value in run.test.items()},
        "baseline": {name: plain(value) for name, value in run.baseline.items()},
        "notices": list(run.notices),
    }


@dataclass(frozen=True)
class Parts:
    """A model as run.json describes it, before there is a network."""

    schema: Schema
    preprocessor: Preprocessor
    codec: Codec
    hidden: tuple[int, ...]
    dropout: float

    def with_weights(self, tensors: dict[str, Array], path: Path) -> TableModel:
        """The model, with the weights that were read from a file."""
        widths = widths_of(self.preprocessor, self.hidden, self.codec)
        check_size(sum((n + 1) * m for n, m in pairwise(widths)), tensors, path)
        network = network_for(widths[0], widths[-1], self.hidden, self.dropout, seed=0)
        fit_weights(network, tensors, path)
        return TableModel(self.schema, self.preprocessor, self.codec, self.hidden, self.dropout, network)


def read(document: dict[str, Any], folder: Path) -> Parts:
    """The model that run.json describes. Raises `RunError` about a field that is wrong."""
    record = Fields(document, "run")
    schema = Schema.from_json(document.get("schema"))
    preprocessor = Preprocessor.from_json(document.get("preprocessor"))
    codec = target_from_json(document.get("target"))
    network = record.object("network")
    parts = Parts(schema, preprocessor, codec, tuple(network.items("hidden", int)), network.number("dropout"))
    if preprocessor.columns != schema.features:
        raise record.fault("preprocessor", "its columns are not those of the schema")
    if codec.name != schema.target.name or isinstance(codec, TargetEncoder) != (schema.task == "classification"):
        raise record.fault("target", "does not fit the schema")
    if any(n < 1 for n in parts.hidden):
        raise network.fault("hidden", "should be widths of at least 1")
    if not 0 <= parts.dropout < 1:
        raise network.fault("dropout", "should be in [0, 1)")
    widths = widths_of(preprocessor, parts.hidden, codec)
    for name, width in (("inputs", widths[0]), ("outputs", widths[-1])):
        if network.number(name) != width:
            raise network.fault(name, f"should be {width}, by the columns and the target")
    return parts
