"""What users do wrong, and what the system refuses: one clear line, and no file left behind."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

QUICK = ("--target", "kind", "--epochs", "2", "--hidden", "4")
MAIN = "from chainrule.cli import main; main()"
Fails = Callable[..., str]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "data.csv: is empty"),
        (b"a,kind\n", "data.csv: holds column names and no rows"),
        (b"a,kind\n1,x\n2,y,z\n3,x\n", "line 3"),
        (b"a,kind\n1,caf\xe9\n2,y\n", "data.csv: line 2: byte 0xe9 at offset 12 is not UTF-8 text; save it as UTF-8"),
        (b"a,kin\n1,x\n2,y\n", 'data.csv: no target called "kind" (did you mean "kin"?)'),
        (b"a,kind\n1,x\n2,x\n", 'target "kind" has the one value "x" in all rows; there is nothing to tell apart'),
        (b"a,kind\n1,\n2,\n", 'target "kind" has no value in any row'),
        (b"a,b,kind\n" + b"1,,x\n2,,y\n" * 9, 'column "b" has no value in any row'),
        (b"a,kind\n1,x\n2,y\n3,z\n4,w\n", '"kind" has 4 classes in 4 rows, too many'),
        (b"kind\nx\ny\nx\ny\nx\ny\n", 'no column is left to learn "kind" from'),
    ],
)
def test_a_table_that_cannot_be_learned_from(fails: Fails, here: Path, content: bytes, words: str) -> None:
    Path("data.csv").write_bytes(content)
    assert words in fails("train", "data.csv", *QUICK)


def test_a_file_that_is_not_there(fails: Fails) -> None:
    assert fails("train", "nix.csv", *QUICK) == "nix.csv: there is no such file; check the name and the folder"


def test_a_target_that_nobody_named(fails: Fails) -> None:
    said = fails("train", "flowers.csv")
    assert said == (
        'no target: name the column to predict with --target (there are "length", "width", "colour", "kind")'
    )


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--epochs", "ten"), "Invalid value for '--epochs'"),
        (("--epochs", "0"), "epochs must be a whole number from 1, not 0"),
        (("--lr", "-1"), "lr must be a positive number, not -1.0"),
        (("--lr", "nan"), "lr must be a positive number, not nan"),
        (("--dropout", "1"), "dropout must be in [0, 1), not 1.0"),
        (("--hidden", "8,x"), 'hidden must be widths such as 64,64, not "8,x"'),
        (("--hidden", "0"), "hidden must be a tuple of widths from 1"),
        (("--optimizer", "magic"), "optimizer must be one of adagrad, adam"),
        (("--task", "sorting"), 'task must be classification or regression, not "sorting"'),
        (("--batch-size", "0"), "batch_size must be a whole number from 1"),
        (("--time-limit", "0"), "time_limit must be more than 0 seconds"),
        (("--seed", "-1"), "seed must be from 0"),
        (("--drop", "lenght"), 'no column to drop called "lenght" (did you mean "length"?)'),
        (("--keep", "size"), 'no column to keep called "size"'),
        (("--speed", "9"), "No such option: --speed"),
        (("more.csv",), "unexpected extra argument"),
    ],
)
def test_an_option_that_cannot_be(fails: Fails, options: tuple[str, ...], words: str) -> None:
    assert words in fails("train", "flowers.csv", "--target", "kind", *options)


def test_a_command_without_its_arguments(fails: Fails) -> None:
    assert "Missing argument 'data'" in fails("train").replace("DATA", "data")
    assert "(see chainrule predict --help)" in fails("predict")


def full_disk(*arguments: Any) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.parametrize("function", ["fsync", "rename"])
def test_a_disk_that_fills_up_while_saving(
    chainrule: Callable[..., Any], here: Path, monkeypatch: pytest.MonkeyPatch, function: str
) -> None:
    monkeypatch.setattr(os, function, full_disk)
    result = chainrule("train", "flowers.csv", *QUICK)
    assert result.exit_code == 2
    assert result.stderr.endswith("error: runs/flowers-kind: cannot be written: no space left on device\n")
    assert os.listdir() == ["flowers.csv"]


def test_a_failed_overwrite_keeps_the_old_run(
    chainrule: Callable[..., Any], here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chainrule("train", "flowers.csv", *QUICK)
    before = {path: path.read_bytes() for path in Path("runs").rglob("*.*")}
    rename = os.rename

    def refuses_the_new(source: Path, target: Path) -> None:
        if str(source).endswith(".tmp"):
            full_disk()
        rename(source, target)

    monkeypatch.setattr(os, "rename", refuses_the_new)
    assert chainrule("train", "flowers.csv", *QUICK, "--overwrite").exit_code == 2
    assert {path: path.read_bytes() for path in Path("runs").rglob("*.*")} == before


def test_a_limit_on_the_size_of_files(here: Path) -> None:
    limit = (
        "import atexit, resource as r, signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN); "
        "old = r.getrlimit(r.RLIMIT_FSIZE); r.setrlimit(r.RLIMIT_FSIZE, (2000, old[1])); "
        "atexit.register(r.setrlimit, r.RLIMIT_FSIZE, old); "
    )
    program = [sys.executable, "-B", "-c", limit + MAIN, "train", "flowers.csv", *QUICK]
    result = subprocess.run(program, capture_output=True, text=True, check=False)
    assert result.returncode == 2
    assert result.stderr.endswith("error: runs/flowers-kind: cannot be written: file too large\n")
    assert os.listdir() == ["flowers.csv"]


def test_predictions_into_a_full_disk(here: Path, trained: Path) -> None:
    program = [sys.executable, "-c", MAIN, "predict", str(trained), "flowers.csv"]
    with Path("/dev/full").open("w") as full:
        result = subprocess.run(program, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert (result.returncode, result.stderr) == (2, "error: No space left on device\n")


def test_a_place_for_runs_that_cannot_be_a_folder_is_found_before_the_training(fails: Fails) -> None:
    said = fails("train", "flowers.csv", *QUICK, "--runs-dir", "flowers.csv/runs")
    assert said == "flowers.csv/runs: cannot be written: not a directory"


def test_a_folder_without_permission_is_found_before_the_training(
    fails: Fails, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: Path, mode: int = 0o777) -> None:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr(os, "mkdir", refuse)
    assert fails("train", "flowers.csv", *QUICK) == "runs: cannot be written: permission denied"


def test_memory_that_runs_out(fails: Fails, here: Path, trained: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def greedy(*arguments: Any, **options: Any) -> None:
        raise MemoryError

    monkeypatch.setattr("chainrule.cli.predict.read_table", greedy)
    assert fails("predict", trained, "flowers.csv") == "not enough memory; take fewer rows, or a smaller network"


def test_what_the_system_refuses_names_the_file(fails: Fails, trained: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*arguments: Any, **options: Any) -> None:
        raise OSError(errno.EIO, "Input/output error", "flowers.csv")

    monkeypatch.setattr("chainrule.cli.predict.read_table", broken)
    assert fails("predict", trained, "flowers.csv") == "flowers.csv: Input/output error"


def test_debug_shows_the_traceback(chainrule: Callable[..., Any], here: Path) -> None:
    result = chainrule("train", "nix.csv", *QUICK, "--debug")
    assert type(result.exception).__name__ == "DataError"
