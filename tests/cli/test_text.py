from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from chainrule.cli.progress import StepBar, StepLines, step_reporter
from chainrule.training import language

Call = Callable[..., Any]
SMALL = ("--context", 16, "--width", 16, "--layers", 1, "--heads", 2, "--batch-size", 8)
MAIN = "from chainrule.cli import main; main()"


@pytest.fixture(autouse=True)
def short_samples(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(language, "SAMPLE_LENGTH", 10)


@pytest.fixture
def corpus(here: Path) -> Path:
    (here / "numbers.txt").write_text("one two three four five six seven eight nine ten.\n" * 40)
    return here / "numbers.txt"


def test_a_text_in_one_command_and_more_of_its_kind(chainrule: Call, corpus: Path) -> None:
    result = chainrule("train", "numbers.txt", *SMALL, "--steps", 60, "--lr", 0.01)
    assert result.exit_code == 0, result.output
    for words in (
        "numbers.txt: 2,000 characters",
        "17 characters; 1,800 to train, 200 to validate",
        "GPT, 1 block of width 16 with 2 heads, 3,",
        "adamw, learning rate 0.01, 8 x 16 tokens an update, 60 steps",
        "after step 60: all 60 steps were done",
        "bits per character",
        "It writes:\n",
        "The run is in runs/numbers\n",
        "chainrule generate runs/numbers --length 1000",
    ):
        assert words in result.stdout, words
    assert "step 1 of 60: training loss " in result.stderr and " tokens/s, at most " in result.stderr
    assert "samples.txt" in os.listdir("runs/numbers")

    texts = [
        chainrule("generate", "runs/numbers", "--prompt", "one t", "--length", 30, "--seed", seed).stdout
        for seed in (1, 1, 2)
    ]
    assert texts[0] == texts[1] != texts[2]
    assert texts[0].startswith("one t") and len(texts[0]) == 36
    sure = [
        chainrule("generate", "runs/numbers", "--prompt", "one", "--length", 9, *more).stdout
        for more in (("--temperature", 0), ("--top-k", 1), ("--top-p", 1e-9))
    ]
    assert len(set(sure)) == 1
    for arguments, words in (
        (("--prompt", "ONE"), "characters that are not in the text of training"),
        (("--temperature", -1), "temperature must be a number of at least 0"),
        (("--seed", -1), "seed must be at least 0"),
        (("--length", -1), "length must be a whole number of at least 0"),
    ):
        failed = chainrule("generate", "runs/numbers", *arguments)
        assert failed.exit_code == 2 and words in failed.stderr and failed.stdout == ""
    assert "use chainrule generate" in chainrule("predict", "runs/numbers", "numbers.txt").stderr


@pytest.mark.parametrize(
    ("content", "arguments", "words"),
    [
        (b"", (), "data.txt: is empty"),
        (b"\xff\xfe", (), "data.txt: byte 0 is not UTF-8 text"),
        (b"too short", (), "are too few for a context of 64"),
        (b"abc " * 200, ("--hidden", "8"), "hidden is an option for a table, and the data are a text"),
        (b"abc " * 200, ("--heads", "3"), "heads must be a divisor of the width 128"),
        (b"abc " * 200, ("--tokenizer", "word"), "tokenizer must be one of char, bpe"),
    ],
)
def test_a_text_that_cannot_be_learned_from(
    fails: Callable[..., str], here: Path, content: bytes, arguments: tuple[str, ...], words: str
) -> None:
    Path("data.txt").write_bytes(content)
    assert words in fails("train", "data.txt", *arguments)


def test_a_text_that_is_not_there(fails: Callable[..., str]) -> None:
    assert fails("train", "nix.txt") == "nix.txt: there is no such file; check the name and the folder"


def test_ctrl_c_keeps_the_best_weights_and_saves_the_run(corpus: Path) -> None:
    options = [str(x) for x in (*SMALL, "--steps", 10_000_000)]
    with subprocess.Popen(
        [sys.executable, "-c", MAIN, "train", "numbers.txt", *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stderr is not None
        assert process.stderr.readline().startswith("step ")
        process.send_signal(signal.SIGINT)
        stdout, stderr = process.communicate(timeout=300)
    assert process.returncode == 0, stderr
    assert ": interrupted; the weights of step " in stdout and "The run is in runs/numbers\n" in stdout
    assert json.loads(Path("runs/numbers/run.json").read_text())["training"]["stopped"] == "interrupted"


def test_a_terminal_gets_a_bar_that_fits() -> None:
    assert isinstance(step_reporter(Console(file=io.StringIO())), StepLines)
    file = io.StringIO()
    bar = step_reporter(Console(file=file, force_terminal=True, width=80, color_system=None))
    assert isinstance(bar, StepBar)
    bar.on_start(2000, 1024)
    bar.on_steps(1000, 1.25)
    bar.on_evaluation({"step": 1000, "loss": 1.25, "val_loss": 1.5, "seconds": 1.0})
    bar.due, bar.start, bar.busy = 0.0, bar.start - 1000, 30.0
    bar.on_steps(1500, 1.2)
    bar.on_end()
    text = file.getvalue()
    assert "step 1500/2000" in text and "loss 1.200, val 1.500, " in text and "tokens/s, " in text
    assert "…" not in text
