from __future__ import annotations

import csv
import hashlib
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from chainrule.data import Table
from chainrule.errors import RunError
from chainrule.training.folders import check_name, check_writable, run_name
from chainrule.training.runs import load_run, save_run
from chainrule.training.settings import Settings
from chainrule.training.tabular import TableRun, train_table

FILES = ["history.csv", "model.safetensors", "report.html", "run.json"]


def table(rows: int = 60) -> Table:
    """Columns of every kind, and targets of both tasks."""
    rng = np.random.default_rng(0)
    size = rng.normal(size=rows)
    columns = {
        "size": np.where(np.arange(rows) % 7, size, np.nan),
        "count": rng.integers(0, 9, rows),
        "colour": [("red", "blue", None)[i % 3] for i in range(rows)],
        "fresh": rng.random(rows) > 0.5,
        "day": np.datetime64("2024-01-01") + rng.integers(0, 500, rows),
        "time": np.datetime64("2024-01-01T00:00", "us") + rng.integers(0, 10**13, rows),
        "kind": [("cat", "dog", "eel")[int(x > 0) + int(x > 1)] for x in size],
        "price": 3 * size + 10,
    }
    return Table.from_columns(columns, "animals.csv")


@pytest.fixture(scope="module")
def trained() -> TableRun:
    return train_table(table(), "kind", Settings(hidden=(5, 4), epochs=3))


@pytest.fixture(scope="module")
def saved(trained: TableRun, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_run(trained, tmp_path_factory.mktemp("runs") / "animals", source="animals.csv")


@pytest.fixture
def copy(saved: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(saved, tmp_path / "run"))


def edit(folder: Path, **changes: Any) -> None:
    """Change fields of run.json: `edit(folder, network__hidden=[3])`; None takes a field out."""
    record = json.loads((folder / "run.json").read_text())
    for path, value in changes.items():
        *above, name = path.split("__")
        fields = record
        for step in above:
            fields = fields[step]
        if value is None:
            del fields[name]
        else:
            fields[name] = value
    (folder / "run.json").write_text(json.dumps(record))


def refit(folder: Path) -> None:
    """Make the checksum that of the weights, whatever they are."""
    digest = hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()
    edit(folder, sha256={"model.safetensors": digest})


@pytest.mark.parametrize("target", ["kind", "price", "fresh", "count"])
def test_a_loaded_model_predicts_the_same_bits(tmp_path: Path, target: str) -> None:
    run = train_table(table(), target, Settings(hidden=(5,), epochs=2), drop=["kind"] if target == "price" else [])
    loaded = load_run(save_run(run, tmp_path / "runs" / "x", source="animals.csv"))
    expected, _ = run.model.predict(table())
    made, _ = loaded.predict(table())
    assert list(made) == list(expected)
    for name, values in expected.items():
        np.testing.assert_array_equal(made[name], values)
    assert loaded.schema == run.model.schema
    assert loaded.score(table()) == run.model.score(table())


def test_a_network_without_dropout_or_hidden_layers_comes_back(tmp_path: Path) -> None:
    run = train_table(table(), "kind", Settings(hidden=(1,), dropout=0, epochs=1))
    assert load_run(save_run(run, tmp_path / "x", source="x")).network.state_dict().keys() == {
        "0.weight",
        "0.bias",
        "2.weight",
        "2.bias",
    }


def test_a_run_folder_holds_the_story_of_the_training(trained: TableRun, saved: Path) -> None:
    assert sorted(os.listdir(saved)) == FILES
    record = json.loads((saved / "run.json").read_text())
    assert record["format"] == 1
    assert set(record["made_by"]) == {"chainrule", "numpy", "python"}
    assert record["date"].endswith("+00:00")
    assert record["data"] == {"file": "animals.csv", "rows": {"train": 42, "validation": 9, "test": 9}}
    assert record["network"] == {"inputs": trained.model.widths[0], "hidden": [5, 4], "outputs": 3, "dropout": 0.1}
    assert record["settings"]["seed"] == 0
    assert record["training"] == {
        "epochs": 3,
        "best_epoch": trained.history.best_epoch,
        "stopped": "all 3 epochs were done",
    }
    assert record["test"] == pytest.approx(trained.test)
    assert record["baseline"] == pytest.approx(trained.baseline)
    with (saved / "history.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [float(row["loss"]) for row in rows] == trained.history["loss"]
    weights = load_file(saved / "model.safetensors")
    assert {name: x.shape for name, x in weights.items()} == {
        name: x.shape for name, x in trained.model.network.state_dict().items()
    }


def test_figures_that_are_no_number_become_null(trained: TableRun, tmp_path: Path) -> None:
    trained.test["odd"], trained.baseline["odd"] = float("nan"), float("inf")
    try:
        folder = save_run(trained, tmp_path / "x", source="x")
    finally:
        del trained.test["odd"], trained.baseline["odd"]
    record = json.loads((folder / "run.json").read_text(), parse_constant=pytest.fail)
    assert record["test"]["odd"] is record["baseline"]["odd"] is None


def test_a_taken_name_gets_the_next_number(trained: TableRun, tmp_path: Path) -> None:
    (tmp_path / "x").mkdir()
    (tmp_path / "x-2").write_text("a file")
    assert save_run(trained, tmp_path / "x", source="x") == tmp_path / "x-3"


def test_an_overwritten_run_is_replaced_as_a_whole(trained: TableRun, tmp_path: Path) -> None:
    folder = save_run(trained, tmp_path / "x", source="first")
    (folder / "notes.txt").write_text("of the first")
    assert save_run(trained, tmp_path / "x", source="second", overwrite=True) == folder
    assert os.listdir(tmp_path) == ["x"]
    assert sorted(os.listdir(folder)) == FILES


def test_a_folder_that_is_no_run_is_not_overwritten(trained: TableRun, tmp_path: Path) -> None:
    (tmp_path / "x").mkdir()
    (tmp_path / "x" / "thesis.txt").write_text("mine")
    assert save_run(trained, tmp_path / "x", source="x", overwrite=True) == tmp_path / "x-2"
    assert (tmp_path / "x" / "thesis.txt").read_text() == "mine"


def test_interrupted_saving_leaves_nothing(trained: TableRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(source: str, target: str) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "rename", interrupted)
    with pytest.raises(KeyboardInterrupt):
        save_run(trained, tmp_path / "new" / "runs" / "x", source="x")
    assert os.listdir(tmp_path) == []


def test_the_check_before_a_training_leaves_nothing(tmp_path: Path) -> None:
    check_writable(tmp_path / "runs" / "mine")
    assert os.listdir(tmp_path) == []
    (tmp_path / "file").write_text("")
    with pytest.raises(RunError, match="file: cannot be written: not a directory"):
        check_writable(tmp_path / "file")


def test_names_of_runs(tmp_path: Path) -> None:
    assert run_name("a/b: c?") == "a-b-c"
    assert run_name("...") == "run"
    check_name(tmp_path, "fine", overwrite=False)
    check_name(tmp_path, "fine", overwrite=True)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"format": None}, "run.json: run.format: is missing"),
        ({"format": "one"}, "run.json: run.format: should be a finite number, but is the text 'one'"),
        ({"format": 0}, "run.json: run.format: should be 1, but is 0"),
        ({"format": 7}, "was written by a newer version of chainrule .format 7, this one reads 1.; upgrade with: pip"),
        ({"schema": None}, "run.json: schema: should be an object, but is null"),
        ({"schema__task": "sorting"}, "run.json: schema.task: should be one of"),
        ({"schema__features": []}, "run.json: run.preprocessor: its columns are not those of the schema"),
        ({"schema__task": "regression"}, "run.json: run.target: does not fit the schema"),
        ({"preprocessor": 5}, "run.json: preprocessor: should be an object"),
        ({"target__classes": ["cat"]}, "run.json: target.classes: should be at least two classes"),
        ({"target__classes": ["a", "b", "c", "d"]}, "run.json: run.network.outputs: should be 4"),
        ({"network": None}, "run.json: run.network: is missing"),
        ({"network__hidden": [5.5]}, "run.json: run.network.hidden: should be a list of whole numbers"),
        ({"network__hidden": [0]}, "run.json: run.network.hidden: should be widths of at least 1"),
        ({"network__hidden": [10**9, 10**9]}, "model.safetensors: holds .* weights, but the network in run.json has"),
        ({"network__inputs": 4}, "run.json: run.network.inputs: should be "),
        ({"network__dropout": 1}, "run.json: run.network.dropout: should be in"),
        ({"sha256": {}}, "run.json: run.sha256.model.safetensors: is missing"),
    ],
)
def test_a_damaged_field_is_named(copy: Path, change: dict[str, Any], words: str) -> None:
    edit(copy, **change)
    with pytest.raises(RunError, match=words) as raised:
        load_run(copy)
    assert str(copy) in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (b"", "line 1, column 1: not valid JSON .expecting value.; the file is damaged"),
        (b'{"format": 1,\n "schema": ', "line 2, column 12: not valid JSON"),
        (b"[1]", "run: should be an object, but is a list"),
        (b'{"format": "\xff"}', "is no JSON text; the file is damaged"),
        (b"[" * 100_000, "is no JSON text; the file is damaged"),
    ],
)
def test_a_record_that_is_no_json_is_named(copy: Path, text: bytes, words: str) -> None:
    (copy / "run.json").write_bytes(text)
    with pytest.raises(RunError, match=f"run.json: {words}"):
        load_run(copy)


@pytest.mark.parametrize("damage", [lambda b: b[:-1], lambda b: b + b"x", lambda b: b[:-3] + b"abc", lambda b: b""])
def test_damaged_weights_are_found_by_their_checksum(copy: Path, damage: Callable[[bytes], bytes]) -> None:
    weights = copy / "model.safetensors"
    weights.write_bytes(damage(weights.read_bytes()))
    with pytest.raises(RunError, match=r"model.safetensors: is damaged, or not the file that this run saved"):
        load_run(copy)


def test_weights_that_are_no_safetensors(copy: Path) -> None:
    (copy / "model.safetensors").write_bytes(b"junk")
    refit(copy)
    with pytest.raises(RunError, match=r"model.safetensors: is no safetensors file"):
        load_run(copy)


def test_weights_that_do_not_fit_the_network_are_listed(copy: Path) -> None:
    weights = load_file(copy / "model.safetensors")
    weights["0.weight"] = weights["0.weight"].T.copy()
    weights["9.bias"] = weights.pop("6.bias")
    save_file(weights, copy / "model.safetensors")
    refit(copy)
    with pytest.raises(
        RunError, match=r"the weights do not fit the network in run.json: shape 0.weight.*missing 6.bias"
    ):
        load_run(copy)


def test_a_folder_that_is_none(saved: Path, tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r'animal: there is no such run folder \(did you mean "animals"\?\)'):
        load_run(saved.with_name("animal"))
    with pytest.raises(RunError, match=r"run.json: is a file; give the run folder"):
        load_run(saved / "run.json")
    with pytest.raises(RunError, match=r"is not a whole run folder: run.json is missing"):
        load_run(tmp_path)


def test_a_file_that_cannot_be_read(copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path) -> bytes:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "read_bytes", refuse)
    with pytest.raises(RunError, match=r"run.json: cannot be read: Permission denied"):
        load_run(copy)
