"""What run.json says of a run on images, and the model that it describes."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from chainrule.data.fields import Fields
from chainrule.data.images import SMALLEST
from chainrule.training.folders import fit_weights, plain
from chainrule.training.image_settings import MODELS
from chainrule.training.images import ImageModel, ImageRun, network_for
from chainrule.types import Array


def describe(run: ImageRun, source: str) -> dict[str, Any]:
    """All about a run but its weights."""
    model, history = run.model, run.history
    names = ("train", "validation", "test")
    sizes = {name: len(rows) for name, rows in zip(names, run.rows, strict=True)}
    return {
        "data": {"file": source, "images": sizes, "skipped": run.skipped},
        "classes": list(model.classes),
        "network": {"model": model.name, "size": model.size, "channels": model.channels},
        "settings": {name: plain(value) for name, value in asdict(run.settings).items()},
        "training": {"epochs": len(history), "best_epoch": history.best_epoch, "stopped": history.stopped},
        "test": {name: plain(value) for name, value in run.test.items()},
        "baseline": {name: plain(value) for name, value in run.baseline.items()},
        "notices": list(run.notices),
    }


@dataclass(frozen=True)
class Parts:
    """A model as run.json describes it, before there is a network."""

    classes: tuple[str, ...]
    size: int
    channels: int
    name: str

    def with_weights(self, tensors: dict[str, Array], path: Path) -> ImageModel:
        """The model, with the weights that were read from a file."""
        ones = np.ones(self.channels)
        network = network_for(self.name, len(self.classes), self.channels, ones, ones, seed=0)
        fit_weights(network, tensors, path)
        return ImageModel(self.classes, self.size, self.channels, self.name, network)


def read(document: dict[str, Any], folder: Path) -> Parts:
    """The model that run.json describes. Raises `RunError` about a field that is wrong."""
    record = Fields(document, "run")
    classes, network = tuple(record.items("classes", str)), record.object("network")
    size, channels = network.number("size"), network.number("channels")
    if len(classes) < 2 or len(set(classes)) < len(classes):
        raise record.fault("classes", "should be two names or more, each of them once")
    if size != int(size) or size < SMALLEST:
        raise network.fault("size", f"should be a whole number from {SMALLEST}")
    if channels not in (1, 3):
        raise network.fault("channels", "should be 1 or 3")
    return Parts(classes, int(size), int(channels), network.text("model", MODELS))
