from __future__ import annotations

import inspect
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

import chainrule.cli.train as train_file
from chainrule.cli import train_table
from chainrule.cli.config import KEYS
from chainrule.training.image_settings import ImageSettings
from chainrule.training.language import LanguageSettings
from chainrule.training.runs import load_run
from chainrule.training.settings import Settings

QUICK = ("--target", "kind", "--epochs", "2", "--hidden", "4")
MAIN = [sys.executable, "-c", "from chainrule.cli import main; main()"]


def record(folder: str) -> dict[str, Any]:
    return json.loads(Path(folder, "run.json").read_text())


def test_training_tells_what_it_read_and_did_and_where_the_run_is(chainrule: Callable[..., Any], here: Path) -> None:
    result = chainrule("train", "flowers.csv", *QUICK)
    assert result.exit_code == 0
    for words in (
        "flowers.csv: 60 rows, 4 columns",
        'kind: 2 classes, "iris" 50.0 %, "rose" 50.0 %',
        "3 columns, made into 4 features",
        "42 to train, 9 to validate, 9 to test",
        "4 -> 4 -> 2, 30 parameters",
        "in epoch 2: all 2 epochs were done",
        "on 9 test rows",
        "always the most frequent",
        "The run is in runs/flowers-kind",
        "runs/flowers-kind/report.html",
        "chainrule predict runs/flowers-kind new-rows.csv -o predictions.csv",
    ):
        assert words in result.stdout
    assert "epoch 1 of at most 2: training loss" in result.stderr
    assert sorted(os.listdir("runs/flowers-kind")) == ["history.csv", "model.safetensors", "report.html", "run.json"]


def test_what_was_odd_about_the_table_is_told(chainrule: Callable[..., Any], here: Path) -> None:
    lines = Path("flowers.csv").read_text().splitlines()
    Path("odd.csv").write_text(
        "\n".join([f"id,seen,{lines[0]}", *(f"{i},1/2/2024,{r}" for i, r in enumerate(lines[1:]))])
    )
    result = chainrule("train", "odd.csv", *QUICK)
    notices = [line for line in result.stdout.splitlines() if line.startswith("  note: ")]
    assert len(notices) == 3
    assert 'day and month of "1/2/2024" cannot be told apart' in notices[0]
    assert notices[1] == '  note: column "id" counts the rows and is left out (keep it with --keep id)'
    assert [f"  note: {notice}" for notice in record("runs/odd-kind")["notices"]] == notices


def test_a_quantity_is_learned_as_such(chainrule: Callable[..., Any], here: Path) -> None:
    result = chainrule("train", "flowers.csv", "--target", "length", "--epochs", 2)
    assert "length: a quantity, mean" in result.stdout
    assert "always the mean" in result.stdout
    assert list(record("runs/flowers-length")["test"]) == ["R2", "RMSE", "MAE"]


def test_options_reach_the_training(chainrule: Callable[..., Any], here: Path) -> None:
    options = "--batch-size 16 --seed 3 --optimizer sgd --dropout 0 --label-smoothing 0.2 --patience 5 --lr 0.5"
    options += " --time-limit 99 --drop width"
    chainrule("train", "flowers.csv", "--target", "kind", "--epochs", 2, "--hidden", "6,5", *options.split())
    made = record("runs/flowers-kind")
    assert made["settings"] == {
        "hidden": [6, 5],
        "epochs": 2,
        "lr": 0.5,
        "batch_size": 16,
        "optimizer": "sgd",
        "dropout": 0.0,
        "label_smoothing": 0.2,
        "patience": 5,
        "time_limit": 99.0,
        "seed": 3,
    }
    assert [column["name"] for column in made["schema"]["features"]] == ["length", "colour"]


def test_every_setting_is_an_option_and_a_key_of_the_configuration() -> None:
    names = {field.name for made in (Settings, ImageSettings, LanguageSettings) for field in fields(made)}
    assert names <= set(KEYS) <= set(inspect.signature(train_file.train).parameters)


def test_the_same_seed_gives_the_same_weights_and_another_gives_others(
    chainrule: Callable[..., Any], here: Path
) -> None:
    for seed, name in ((1, "a"), (1, "b"), (2, "c")):
        chainrule("train", "flowers.csv", *QUICK, "--seed", seed, "--name", name)
    a, b, c = (Path("runs", name, "model.safetensors").read_bytes() for name in "abc")
    assert a == b != c


def test_a_taken_name_gets_a_number_and_nothing_is_overwritten(chainrule: Callable[..., Any], here: Path) -> None:
    chainrule("train", "flowers.csv", *QUICK)
    before = Path("runs/flowers-kind/run.json").read_bytes()
    assert "The run is in runs/flowers-kind-2\n" in chainrule("train", "flowers.csv", *QUICK).stdout
    assert "The run is in runs/flowers-kind-3\n" in chainrule("train", "flowers.csv", *QUICK).stdout
    assert Path("runs/flowers-kind/run.json").read_bytes() == before
    assert "runs/flowers-kind-2 " in Path("runs/flowers-kind-2/report.html").read_text()


def test_overwrite_replaces_a_run(chainrule: Callable[..., Any], here: Path) -> None:
    chainrule("train", "flowers.csv", *QUICK)
    chainrule("train", "flowers.csv", *QUICK, "--seed", 7, "--overwrite")
    assert os.listdir("runs") == ["flowers-kind"]
    assert record("runs/flowers-kind")["settings"]["seed"] == 7


def test_overwrite_spares_what_is_no_run(fails: Callable[..., str], here: Path) -> None:
    (here / "runs" / "thesis").mkdir(parents=True)
    said = fails("train", "flowers.csv", *QUICK, "--name", "thesis", "--overwrite")
    assert said == "runs/thesis: is no run folder and is not overwritten; choose another --name"


def test_a_name_that_was_asked_for_must_be_free(
    chainrule: Callable[..., Any], fails: Callable[..., str], here: Path
) -> None:
    chainrule("train", "flowers.csv", *QUICK, "--name", "mine")
    said = fails("train", "flowers.csv", *QUICK, "--name", "mine")
    assert said == "runs/mine: is there already; choose another --name, or replace it with --overwrite"


@pytest.mark.parametrize("name", ["a/b", "..", "", ".hidden", "a\\b", "a\nb", "long" * 60])
def test_a_name_is_a_plain_folder_name(fails: Callable[..., str], name: str) -> None:
    assert "must be the plain name of a folder" in fails("train", "flowers.csv", *QUICK, "--name", name)


def test_the_command_line_comes_before_the_configuration(chainrule: Callable[..., Any], here: Path) -> None:
    Path("options.toml").write_text(
        'target = "kind"\nepochs = 3\nhidden = [4]\nlr = 1\nruns_dir = "elsewhere"\nname = "it"\ndrop = ["width"]\n'
    )
    result = chainrule("train", "flowers.csv", "--config", "options.toml", "--epochs", 1)
    assert result.exit_code == 0, result.output
    made = record("elsewhere/it")
    assert (made["settings"]["epochs"], made["settings"]["hidden"], made["settings"]["lr"]) == (1, [4], 1)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("epoch = 3", 'no option is called "epoch" (did you mean "epochs"?)'),
        ("xyz = 3", 'no option is called "xyz" (there are "batch_size", "channels"'),
        ("epochs = 2.5", "epochs must be a whole number, not 2.5"),
        ("epochs = true", "epochs must be a whole number, not True"),
        ("lr = '0.1'", "lr must be a number, not '0.1'"),
        ("hidden = ['a']", "hidden must be a list of whole numbers, such as [64, 64], not ['a']"),
        ("drop = 'age'", "drop must be a list of texts"),
        ("name = 5", "name must be a text, not 5"),
        ("[lr]\nstart = 1", "lr must be a number, not {'start': 1}"),
        ("epochs = 0", "epochs must be a whole number from 1, not 0"),
        ("task = 'sorting'", 'task must be classification or regression, not "sorting"'),
        ("epochs 3", "options.toml: is not valid TOML: "),
    ],
)
def test_a_bad_configuration_is_named(fails: Callable[..., str], here: Path, text: str, words: str) -> None:
    Path("options.toml").write_text(text)
    assert words in fails("train", "flowers.csv", *QUICK[:2], "--config", "options.toml")


def test_a_configuration_must_be_there_and_be_text(fails: Callable[..., str], here: Path) -> None:
    assert "none.toml: cannot be read: No such file" in fails("train", "flowers.csv", "--config", "none.toml")
    Path("latin.toml").write_bytes('name = "Zoë"'.encode("latin-1"))
    assert "latin.toml: is not UTF-8 text" in fails("train", "flowers.csv", "--config", "latin.toml")


def test_ctrl_c_keeps_the_best_weights_and_saves_the_run(here: Path) -> None:
    long = ["--target", "kind", "--hidden", "4", "--epochs", "1000000", "--patience", "1000000"]
    with subprocess.Popen(
        [*MAIN, "train", "flowers.csv", *long], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr is not None
        assert process.stderr.readline().startswith("epoch 1 of at most 1000000: training loss")
        process.send_signal(signal.SIGINT)
        stdout, stderr = process.communicate(timeout=300)
    assert process.returncode == 0, stderr
    assert ": interrupted; the weights of epoch " in stdout
    assert "The run is in runs/flowers-kind\n" in stdout
    assert record("runs/flowers-kind")["training"]["stopped"] == "interrupted"
    assert load_run("runs/flowers-kind").hidden == (4,)


def test_ctrl_c_before_the_training_leaves_nothing(
    chainrule: Callable[..., Any], here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(path: Path) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(train_table, "read_table", interrupted)
    result = chainrule("train", "flowers.csv", *QUICK)
    assert (result.exit_code, result.stderr) == (130, "error: interrupted; nothing was written\n")
    assert os.listdir() == ["flowers.csv"]


def test_the_time_limit_ends_a_training(chainrule: Callable[..., Any], here: Path) -> None:
    result = chainrule("train", "flowers.csv", *QUICK[:2], "--time-limit", 1e-6)
    assert "in epoch 1: the time limit of 1e-06 s was reached" in result.stdout


def test_a_loss_that_is_no_number_from_the_start_leaves_no_run(chainrule: Callable[..., Any], here: Path) -> None:
    result = chainrule("train", "flowers.csv", "--target", "length", "--lr", 1e30, "--optimizer", "sgd")
    assert result.exit_code == 2
    assert "try a smaller learning rate" in result.stderr.splitlines()[-1]
    assert os.listdir() == ["flowers.csv"]
