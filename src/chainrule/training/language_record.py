"""What the run folder of a language model holds beside the weights, and the model that it describes."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from chainrule.data.fields import Fields
from chainrule.data.text import Tokenizer, tokenizer_from_json
from chainrule.errors import DefinitionError, RunError
from chainrule.training.folders import RECORD, check_size, fit_weights, plain, read_file
from chainrule.training.language import LanguageModel, LanguageRun, LanguageSettings, network_for, network_size
from chainrule.types import Array

TOKENIZER = "tokenizer.json"
SAMPLES = "samples.txt"
BETWEEN = "\n" + "-" * 72 + "\n"

COUNTS = ("context", "width", "layers", "heads")


def files(run: LanguageRun) -> dict[str, str]:
    """The tokenizer, and what the model wrote."""
    tokenizer = json.dumps(run.model.tokenizer.to_json(), ensure_ascii=False)
    return {TOKENIZER: tokenizer + "\n", SAMPLES: BETWEEN.join(run.samples) + "\n"}


def describe(run: LanguageRun, source: str) -> dict[str, Any]:
    """All about a run but its weights, its tokenizer and its samples."""
    history = run.history
    steps = int(history.rows[-1]["step"]) if len(history) else 0
    return {
        "data": {"file": source, **run.sizes},
        "network": {
            "tokens": run.model.tokenizer.size,
            **{name: getattr(run.settings, name) for name in COUNTS},
            "tokenizer_sha256": _digest(files(run)[TOKENIZER].encode()),
        },
        "settings": {name: plain(value) for name, value in asdict(run.settings).items()},
        "training": {"steps": steps, "best_step": history.best_epoch, "stopped": history.stopped},
        "validation": {name: plain(value) for name, value in run.validation.items()},
        "baseline": {name: plain(value) for name, value in run.baseline.items()},
        "notices": list(run.notices),
    }


@dataclass(frozen=True)
class Parts:
    """A model as its run folder describes it, before there is a network."""

    tokenizer: Tokenizer
    settings: LanguageSettings

    def with_weights(self, tensors: dict[str, Array], path: Path) -> LanguageModel:
        """The model, with the weights that were read from a file."""
        check_size(network_size(self.tokenizer.size, self.settings), tensors, path)
        network = network_for(self.tokenizer.size, self.settings)
        fit_weights(network, tensors, path)
        return LanguageModel(self.tokenizer, network)


def read(document: dict[str, Any], folder: Path) -> Parts:
    """The model that run.json and the tokenizer describe. Raises `RunError` about a field that is wrong."""
    network = Fields(document, "run").object("network")
    context, width, layers, heads = (int(network.number(name)) for name in COUNTS)
    try:
        settings = LanguageSettings(context=context, width=width, layers=layers, heads=heads)
    except DefinitionError as error:
        raise network.fault(str(error).split()[0], str(error)) from None
    content = read_file(folder / TOKENIZER)
    if _digest(content) != network.text("tokenizer_sha256"):
        raise RunError(
            f"{TOKENIZER} is damaged, or not the file that this run saved (its SHA-256 is not the one in {RECORD})"
        )
    tokenizer = tokenizer_from_json(json.loads(content))
    if network.number("tokens") != tokenizer.size:
        raise network.fault("tokens", f"should be {tokenizer.size}, by {TOKENIZER}")
    return Parts(tokenizer, settings)


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
