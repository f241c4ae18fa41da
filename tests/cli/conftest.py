"""A small table, a run trained on it, and the command line without a new process."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from chainrule.cli.app import app

Run = Callable[..., Result]


def flowers(rows: int = 60) -> str:
    """A CSV text: two classes that length and colour tell apart, and a column of numbers that do not matter."""
    lines = ["length,width,colour,kind"]
    for i in range(rows):
        kind = "iris" if i % 2 else "rose"
        length = (3 if i % 2 else 6) + (i % 7) / 10
        lines.append(f"{length:.1f},{(i * 37 % 11) / 10 + 1:.2f},{'blue' if i % 3 * (i % 2) else 'red'},{kind}")
    return "\n".join(lines) + "\n"


@pytest.fixture
def chainrule() -> Run:
    """Call the command line: `chainrule("train", path, "--target", "kind")`."""

    def call(*arguments: object) -> Result:
        return CliRunner().invoke(app, [str(argument) for argument in arguments])

    return call


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder, which holds flowers.csv and nothing else."""
    folder = tmp_path / "here"
    folder.mkdir()
    (folder / "flowers.csv").write_text(flowers())
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run on flowers.csv; not to be changed."""
    folder = tmp_path_factory.mktemp("trained")
    data = folder / "flowers.csv"
    data.write_text(flowers())
    arguments = ["train", data, "--target", "kind", "--epochs", 30, "--hidden", "8", "--lr", 0.02, "--runs-dir", folder]
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert result.exit_code == 0, result.output
    return folder / "flowers-kind"


@pytest.fixture
def run(trained: Path, here: Path) -> Path:
    """A copy of the trained run, to be changed."""
    return Path(shutil.copytree(trained, here / "run"))


@pytest.fixture
def fails(chainrule: Run, here: Path) -> Callable[..., str]:
    """Call the command line, which must fail with status 2 and one line, and leave no file behind; gives the line."""

    def call(*arguments: object) -> str:
        before = tree(here)
        result = chainrule(*arguments)
        assert result.exit_code == 2, result.output
        assert tree(here) == before
        assert result.stdout == ""
        assert result.stderr.startswith("error: ") and result.stderr.count("\n") == 1, result.stderr
        return result.stderr.removeprefix("error: ").rstrip("\n")

    return call


def tree(folder: Path) -> dict[str, bytes]:
    """Every file and folder below a folder, with contents."""
    return {str(p.relative_to(folder)): p.read_bytes() if p.is_file() else b"" for p in sorted(folder.rglob("*"))}
