from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from typing import Any

import chainrule as library

MAIN = "from chainrule.cli import main; main()"


def call(*arguments: str, before: str = "", after: str = "") -> subprocess.CompletedProcess[str]:
    program = [sys.executable, "-c", f"{before}{MAIN}{after}", *arguments]
    return subprocess.run(program, capture_output=True, text=True, check=False)


def test_the_version(chainrule: Callable[..., Any]) -> None:
    result = chainrule("--version")
    assert (result.exit_code, result.stdout) == (0, f"chainrule {library.__version__}\n")


def test_help_lists_the_commands_and_shows_an_example(chainrule: Callable[..., Any]) -> None:
    result = chainrule("--help")
    assert result.exit_code == 0
    for words in ("train", "predict", "chainrule train patients.csv --target diagnosis"):
        assert words in result.stdout


def test_each_command_has_help_with_examples(chainrule: Callable[..., Any]) -> None:
    for command, option in (("train", "--target"), ("predict", "--output")):
        result = chainrule(command, "--help")
        assert result.exit_code == 0
        assert option in result.stdout and "Examples" in result.stdout


def test_without_arguments_help_is_shown() -> None:
    result = call()
    assert (result.returncode, result.stderr) == (0, "")
    assert "Usage" in result.stdout


def test_help_loads_nothing_heavy() -> None:
    report = "import sys, atexit; atexit.register(lambda: print(*sorted(sys.modules), file=sys.stderr)); "
    loaded = set(call("--help", before=report).stderr.split())
    assert "typer" in loaded
    assert not loaded & {"duckdb", "safetensors", "chainrule.data", "chainrule.training"}


def test_a_command_that_is_none_is_one_clear_line() -> None:
    result = call("trian")
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr == "error: No such command 'trian'. Did you mean 'train'? (see chainrule --help)\n"


def test_a_character_that_the_terminal_lacks_ends_nothing() -> None:
    narrow = "import sys; sys.stderr.reconfigure(encoding='cp1252'); "
    result = call("train", "\N{CYRILLIC SMALL LETTER ZHE}.csv", before=narrow)
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr == "error: \\u0436.csv: there is no such file; check the name and the folder\n"
