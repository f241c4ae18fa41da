"""The commands, and what they have in common: `chainrule --help`, `chainrule --version`."""

from __future__ import annotations

import sys
from importlib import import_module
from typing import Annotated

import typer

import chainrule
from chainrule.cli.console import run

HELP = """Train neural networks on tables, and predict with them.

Train on a file, then predict for other rows:

    chainrule train patients.csv --target diagnosis
    chainrule predict runs/patients-diagnosis new-patients.csv -o predictions.csv
"""

app = typer.Typer(
    help=HELP, no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, rich_markup_mode="markdown"
)

# The file of a command is loaded when the command is called, so that help is quick.
PASS_ON = {"allow_extra_args": True, "ignore_unknown_options": True, "allow_interspersed_args": False}


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"chainrule {chainrule.__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Options that stand before the command."""


@app.command(context_settings=PASS_ON, add_help_option=False)
def train(context: typer.Context) -> None:
    """Train a network on a table."""
    _call(context)


@app.command(context_settings=PASS_ON, add_help_option=False)
def predict(context: typer.Context) -> None:
    """Predict for the rows of a table."""
    _call(context)


def _call(context: typer.Context) -> None:
    name = str(context.info_name)
    run(import_module(f"chainrule.cli.{name}").app, context.args, f"chainrule {name}")


def main() -> None:
    """What the console script `chainrule` runs."""
    run(app, sys.argv[1:], "chainrule")
