from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from chainrule.data import read_table
from chainrule.training.runs import load_run
from chainrule.training.tabular import TableModel

Call = Callable[..., Any]
HEADER = "prediction,probability of iris,probability of rose\n"


def test_each_row_gets_its_prediction_in_order(chainrule: Call, here: Path, trained: Path) -> None:
    rows = Path("flowers.csv").read_text().splitlines()
    Path("new.csv").write_text("\n".join([rows[0], *rows[:0:-1]]) + "\n")
    result = chainrule("predict", trained, "new.csv", "-o", "out.csv")
    assert (result.exit_code, result.stdout) == (0, "")
    made = read_table("out.csv")
    assert made.names == ("prediction", "probability of iris", "probability of rose")
    expected, _ = load_run(trained).predict(read_table("new.csv"))
    for name in made.names:
        np.testing.assert_array_equal(made[name].values, expected[name])
    known = read_table("new.csv")["kind"].values
    assert np.mean(made["prediction"].values == known) > 0.9
    assert "60 predictions in out.csv\n" in result.stderr


@pytest.mark.parametrize("output", [(), ("-o", "-")])
def test_without_a_file_predictions_are_printed_and_nothing_else(
    chainrule: Call, here: Path, trained: Path, output: tuple[str, ...]
) -> None:
    Path("new.csv").write_text("colour,length,width\nred,6.1,1.5\n")
    result = chainrule("predict", trained, "new.csv", *output)
    assert result.stdout.startswith(HEADER + "rose,")
    assert result.stdout.count("\n") == 2
    assert result.stderr == ""
    assert sorted(os.listdir()) == ["flowers.csv", "new.csv"]


def test_a_run_folder_can_be_moved(chainrule: Call, here: Path, run: Path) -> None:
    (run / "report.html").unlink()
    (run / "history.csv").unlink()
    run.rename("anywhere else")
    assert chainrule("predict", "anywhere else", "flowers.csv").exit_code == 0


def test_predictions_of_a_quantity_are_in_its_own_unit(chainrule: Call, here: Path) -> None:
    chainrule("train", "flowers.csv", "--target", "length", "--epochs", 30, "--name", "length")
    chainrule("predict", "runs/length", "flowers.csv", "-o", "out.csv")
    made = read_table("out.csv")
    assert made.names == ("prediction",)
    assert 2 < made["prediction"].values.min() < made["prediction"].values.max() < 8


def test_values_never_seen_are_warned_of_and_get_the_unknown_code(chainrule: Call, here: Path, trained: Path) -> None:
    Path("new.csv").write_text("length,width,colour\n6.1,1.5,green\n6.1,1.5,purple\n")
    result = chainrule("predict", trained, "new.csv")
    assert result.exit_code == 0
    assert result.stderr.startswith('warning: column "colour": 2 rows with values never seen in training')
    _, green, purple = result.stdout.splitlines()
    assert green == purple


def test_figures_are_shown_where_the_truth_is_known(chainrule: Call, here: Path, trained: Path) -> None:
    Path("new.csv").write_text("length,width,colour,kind\n6.1,1.5,red,rose\n3.2,1.4,blue,iris\n6.0,1.2,red,\n")
    result = chainrule("predict", trained, "new.csv")
    assert result.stdout.count("\n") == 4
    assert 'compared with column "kind" in 2 rows: accuracy 100.0 %' in result.stderr


def test_ctrl_c_while_comparing_leaves_nothing(
    chainrule: Call, here: Path, trained: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(TableModel, "score", interrupted)
    result = chainrule("predict", trained, "flowers.csv", "-o", "out.csv")
    assert (result.exit_code, result.stderr) == (130, "error: interrupted; nothing was written\n")
    assert not Path("out.csv").exists()


def test_a_target_without_values_is_no_truth(chainrule: Call, here: Path, trained: Path) -> None:
    Path("new.csv").write_text("length,width,colour,kind\n6.1,1.5,red,\n")
    result = chainrule("predict", trained, "new.csv")
    assert (result.exit_code, result.stderr) == (0, "")


def test_a_class_that_training_did_not_have_is_no_obstacle(chainrule: Call, here: Path, trained: Path) -> None:
    Path("new.csv").write_text("length,width,colour,kind\n6.1,1.5,red,tulip\n")
    result = chainrule("predict", trained, "new.csv")
    assert result.exit_code == 0
    assert 'warning: column "kind" holds values that training did not know' in result.stderr


def test_lacking_columns_are_named(fails: Callable[..., str], here: Path, trained: Path) -> None:
    Path("new.csv").write_text("length,color\n6.1,red\n")
    said = fails("predict", trained, "new.csv")
    assert said.startswith('new.csv: 2 columns of training not there: "width", "colour"; is "color" for "colour"')


def test_a_value_of_another_kind_is_named(fails: Callable[..., str], here: Path, trained: Path) -> None:
    Path("new.csv").write_text("length,width,colour\n6.1,1,red\nlong,1,red\n")
    assert 'new.csv: row 2, column "length": "long" is not a number' in fails("predict", trained, "new.csv")


def test_the_table_itself_is_never_overwritten(fails: Callable[..., str], trained: Path) -> None:
    said = fails("predict", trained, "flowers.csv", "-o", "./flowers.csv")
    assert said == "flowers.csv: is the table itself; choose another file for the predictions"


def test_a_place_that_cannot_be_written(fails: Callable[..., str], trained: Path) -> None:
    assert "there is no folder" in fails("predict", trained, "flowers.csv", "-o", "none/out.csv")


@pytest.mark.parametrize("name", ["run.json", "model.safetensors"])
def test_a_run_folder_that_lacks_a_file(fails: Callable[..., str], run: Path, name: str) -> None:
    (run / name).unlink()
    assert fails("predict", "run", "flowers.csv") == f"run: is not a whole run folder: {name} is missing"


@pytest.mark.parametrize(
    ("name", "damage", "words"),
    [
        ("run.json", lambda b: b[:500], "run/run.json: line "),
        (
            "run.json",
            lambda b: b.replace(b'"format": 1', b'"format": 2'),
            "was written by a newer version of chainrule",
        ),
        (
            "run.json",
            lambda b: b.replace(b'"mean"', b'"meen"', 1),
            "run/run.json: preprocessor.columns[0].encoder.mean",
        ),
        ("model.safetensors", lambda b: b[:-20], "run/model.safetensors: is damaged"),
        ("model.safetensors", lambda b: b[:-1] + bytes([b[-1] ^ 1]), "run/model.safetensors: is damaged"),
    ],
)
def test_a_damaged_run_folder(
    fails: Callable[..., str], run: Path, name: str, damage: Callable[[bytes], bytes], words: str
) -> None:
    (run / name).write_bytes(damage((run / name).read_bytes()))
    assert words in fails("predict", "run", "flowers.csv")


def test_a_run_folder_that_is_not_there(fails: Callable[..., str], run: Path) -> None:
    assert fails("predict", "runn", "flowers.csv") == 'runn: there is no such run folder (did you mean "run"?)'


def test_a_reader_that_has_seen_enough_ends_it_in_silence(here: Path, trained: Path) -> None:
    rows = Path("flowers.csv").read_text().splitlines()
    Path("long.csv").write_text("\n".join([rows[0].removesuffix(",kind"), *(["6.1,1.5,red"] * 20_000)]))
    program = [sys.executable, "-c", "from chainrule.cli import main; main()", "predict", str(trained), "long.csv"]
    with subprocess.Popen(program, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None and process.stderr is not None
        assert process.stdout.readline().decode() == HEADER
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 1
