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

INTERRUPTED = 130
"""Exit status after Ctrl-C where nothing could be kept: 128 and the number of the signal, as shells have it."""


def command_line() -> typer.Typer:
    """An app for commands, or for one."""
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
    except KeyboardInterrupt:
        complain("interrupted; nothing was written")
        raise typer.Exit(INTERRUPTED) from None
    except (ChainruleError, OSError, MemoryError) as error:
        if debug or (isinstance(error, OSError) and error.errno == errno.EPIPE):
            raise  # a reader that has seen enough closes its pipe; typer ends the command in silence
        complain(_words(error))
        raise typer.Exit(FAILED) from None


def say(words: str) -> None:
    """A line of stdout."""
    typer.echo(words)


def complain(words: str) -> None:
    """An error, as one line of stderr."""
    typer.echo(f"error: {' '.join(words.split())}", err=True)


def warn(words: str) -> None:
    """Something odd about the data, on stderr, so that results can be piped on."""
    typer.echo(f"warning: {words}", err=True)


def _words(error: BaseException) -> str:
    if isinstance(error, MemoryError):
        return "not enough memory; take fewer rows, or a smaller network"
    if isinstance(error, OSError):
        where = f"{error.filename}: " if error.filename else ""
        return f"{where}{error.strerror or error}"
    return str(error)
