"""What all commands share: one clear line for every error, and what is told beside the results."""

from __future__ import annotations

import contextlib
import errno
import sys
from collections.abc import Generator, Sequence
from typing import NoReturn

import typer

from chainrule.errors import ChainruleError

FAILED = 2
"""Exit status of a command that could not do what it was asked."""


def command() -> typer.Typer:
    """An app for one command."""
    return typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode="markdown")


def run(app: typer.Typer, arguments: Sequence[str], name: str) -> NoReturn:
    """Run a command, and end the program with its exit status; usage errors are one line."""
    try:
        status = app(list(arguments), prog_name=name, standalone_mode=False)
    except typer.TyperException as error:
        complain(f"{error.format_message()} (see {name} --help)")
        status = FAILED
    sys.exit(status or 0)


@contextlib.contextmanager
def one_line_errors(debug: bool) -> Generator[None]:
    """Inside, what goes wrong in ways that a user can mend ends the command with one line, or a traceback."""
    try:
        yield
    except (ChainruleError, OSError, MemoryError) as error:
        closed_pipe = isinstance(error, OSError) and error.errno == errno.EPIPE
        if debug or closed_pipe:
            raise
        complain(_words(error))
        raise typer.Exit(FAILED) from None


def say(words: str) -> None:
    """A line of stdout."""
    typer.echo(words)


def complain(words: str) -> None:
    """An error, as one line of stderr."""
    typer.echo("error: " + " ".join(words.split()), err=True)


def warn(words: str) -> None:
    """Something a user should know of, on stderr, so that results can be piped on."""
    typer.echo("note: " + " ".join(words.split()), err=True)


def _words(error: BaseException) -> str:
    if isinstance(error, MemoryError):
        return "not enough memory; take fewer rows, or a smaller network"
    if isinstance(error, OSError):
        where = f"{error.filename}: " if error.filename else ""
        return f"{where}{error.strerror or error}"
    return str(error)
