from __future__ import annotations

import json
import shutil
import signal
from math import log
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from chainrule.errors import DataError, DefinitionError, RunError
from chainrule.training import language
from chainrule.training.language import LanguageModel, LanguageRun, LanguageSettings, prepare_text, train_text
from chainrule.training.runs import load_run, save_run
from chainrule.training.steps import StepWatcher

TEXT = "one two three four five six seven eight nine ten.\n" * 40
SMALL = {"context": 16, "width": 16, "layers": 1, "heads": 2, "batch_size": 8}


class Log(StepWatcher):
    """Keeps what it is told, and presses Ctrl-C at a step if that is asked for."""

    def __init__(self, interrupt: int | None = None) -> None:
        self.told: list[Any] = []
        self.interrupt = interrupt

    def on_start(self, steps: int, tokens: int) -> None:
        self.told.append(("start", steps, tokens))

    def on_steps(self, done: int, loss: float) -> None:
        self.told.append((done, loss))
        if self.interrupt is not None and done >= self.interrupt:
            signal.raise_signal(signal.SIGINT)
            self.interrupt = None

    def on_evaluation(self, row: dict[str, float]) -> None:
        self.told.append(row)

    def on_end(self) -> None:
        self.told.append("end")


@pytest.fixture(autouse=True)
def short_samples(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(language, "SAMPLE_LENGTH", 10)


@pytest.fixture(scope="module")
def run() -> LanguageRun:
    return train_text(TEXT, LanguageSettings(**SMALL, steps=150, lr=0.01))


@pytest.fixture(scope="module")
def saved(run: LanguageRun, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_run(run, tmp_path_factory.mktemp("runs") / "counting", source="counting.txt")


def test_it_learns_to_write_on(run: LanguageRun) -> None:
    assert run.validation["loss"] < 1.2 < 2.5 < run.baseline["loss"]
    assert run.validation["bits per character"] == pytest.approx(run.validation["loss"] / log(2))
    assert run.sizes == {"characters": 2000, "train": 1800, "validation": 200}
    assert len(run.samples) == 3 and all(len(sample) == 400 for sample in run.samples)
    rows = run.history.rows
    assert [row["step"] for row in rows] == [*range(7, 148, 7), 150]
    assert set(rows[0]) == {"step", "loss", "val_loss", "seconds"}
    assert run.history.best_epoch == min(rows, key=lambda row: row["val_loss"])["step"]
    assert run.history.stopped == "all 150 steps were done"


def test_byte_pairs_are_learned_and_any_prompt_can_be_given() -> None:
    run = train_text(TEXT, LanguageSettings(**SMALL, tokenizer="bpe", vocab_size=280, steps=3, dropout=0.1))
    assert run.model.tokenizer.size == 280
    assert isinstance("".join(run.model.generate("日本 ", 5, seed=0)), str)
    few = prepare_text("ab " * 500, LanguageSettings(**SMALL, tokenizer="bpe"))
    assert "and not 1,024" in few.notices[0] and "the text is short" in few.notices[1]


def test_a_loaded_model_writes_the_same(run: LanguageRun, saved: Path) -> None:
    model = load_run(saved)
    assert isinstance(model, LanguageModel)
    written = ["".join(m.generate("one", 60, seed=3, top_k=5)) for m in (model, run.model)]
    assert written[0] == written[1] and len(written[0]) == 60
    with pytest.raises(DataError, match="characters that are not in the text of training"):
        model.generate("ONE", 5)


def test_an_empty_prompt_is_the_start_of_a_line() -> None:
    prepared = prepare_text("abc " * 50, LanguageSettings(**SMALL))
    assert len("".join(prepared.model.generate("", 4, seed=0))) == 4


def test_a_run_folder_holds_tokenizer_samples_and_a_page(run: LanguageRun, saved: Path) -> None:
    files = ["history.csv", "model.safetensors", "report.html", "run.json", "samples.txt", "tokenizer.json"]
    assert sorted(path.name for path in saved.iterdir()) == files
    record = json.loads((saved / "run.json").read_text())
    assert record["kind"] == "text" and record["training"]["steps"] == 150
    assert record["data"] == {"file": "counting.txt", "characters": 2000, "train": 1800, "validation": 200}
    assert run.samples[2] in (saved / "samples.txt").read_text()
    html = (saved / "report.html").read_text()
    for words in ("Text like counting.txt", "What it writes", "Loss by step", "best step, ", "chainrule generate "):
        assert words in html


def edited(saved: Path, tmp_path: Path, **network: Any) -> Path:
    folder = Path(shutil.copytree(saved, tmp_path / "run"))
    record = json.loads((folder / "run.json").read_text())
    record["network"] |= network
    (folder / "run.json").write_text(json.dumps(record))
    return folder


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"heads": 3}, "run.network.heads: heads must be a divisor of the width 16"),
        ({"layers": 2}, "model.safetensors: holds .* weights, but the network in run.json has"),
        ({"width": 2**30}, "model.safetensors: holds .* weights, but"),
        ({"tokens": 9}, "run.network.tokens: should be"),
        ({"tokenizer_sha256": "0"}, "tokenizer.json is damaged"),
    ],
)
def test_a_damaged_field_is_named(saved: Path, tmp_path: Path, change: dict[str, Any], words: str) -> None:
    with pytest.raises(RunError, match=words):
        load_run(edited(saved, tmp_path, **change))


def test_a_missing_or_damaged_tokenizer_is_named(saved: Path, tmp_path: Path) -> None:
    folder = edited(saved, tmp_path)
    (folder / "tokenizer.json").write_text('{"kind": "char", "characters": "ab"}')
    with pytest.raises(RunError, match=r"tokenizer.json is damaged"):
        load_run(folder)
    (folder / "tokenizer.json").unlink()
    with pytest.raises(RunError, match=r"tokenizer.json: cannot be read"):
        load_run(folder)


def test_watchers_are_told_how_far_it_is() -> None:
    log = Log()
    train_text(TEXT, LanguageSettings(**SMALL, steps=4), watchers=[log])
    assert log.told[0] == ("start", 4, 128) and log.told[-1] == "end"
    assert [row["step"] for row in log.told if isinstance(row, dict)] == [1, 2, 3, 4]
    looks = [told for told in log.told[1:-1] if isinstance(told, tuple)]
    assert looks[-1][0] == 4 and all(1.0 < loss < 4.0 for _, loss in looks)


def test_ctrl_c_ends_the_training_between_two_steps_and_keeps_the_best_weights() -> None:
    log = Log(interrupt=3)
    run = train_text(TEXT, LanguageSettings(**SMALL, steps=200_000), watchers=[log])
    assert run.history.stopped == "interrupted"
    last = run.history.rows[-1]
    assert 3 <= last["step"] < 200_000 and "val_loss" in last and log.told[-1] == "end"


def test_the_time_limit_ends_a_training() -> None:
    run = train_text(TEXT, LanguageSettings(**SMALL, steps=200_000, time_limit=1e-3))
    assert run.history.stopped == "the time limit of 0.001 s was reached"


def test_a_loss_that_is_no_number_is_an_error_unless_weights_were_kept() -> None:
    with pytest.raises(DefinitionError, match=r"the loss became .*try a smaller learning rate"):
        train_text(TEXT, LanguageSettings(**SMALL, steps=20, lr=1e38, validation=0.0))


def test_without_validation_text_the_last_weights_are_kept() -> None:
    run = train_text(TEXT, LanguageSettings(**SMALL, steps=2, validation=0.0))
    assert run.validation == {} and run.history.best_epoch is None and "val_loss" not in run.history


def test_the_same_seed_makes_the_same_weights() -> None:
    states = [
        train_text(TEXT, LanguageSettings(**SMALL, steps=3, dropout=0.2, seed=seed)).model.network.state_dict()
        for seed in (1, 1, 2)
    ]
    name = "transformer.h.0.mlp.c_fc.weight"
    np.testing.assert_array_equal(states[0][name], states[1][name])
    assert not np.array_equal(states[0][name], states[2][name])


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"tokenizer": "word"}, "tokenizer must be one of char, bpe, not 'word'"),
        ({"vocab_size": 255}, "vocab_size must be a whole number from 256"),
        ({"heads": 3}, "heads must be a divisor of the width 128"),
        ({"steps": 0}, "steps must be a whole number from 1"),
        ({"validation": 1.0}, "validation must be in"),
        ({"seed": -1}, "seed must be from 0"),
    ],
)
def test_settings_that_cannot_be_are_refused(settings: dict[str, Any], words: str) -> None:
    with pytest.raises(DefinitionError, match=words):
        LanguageSettings(**settings)
