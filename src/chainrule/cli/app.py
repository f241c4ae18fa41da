"""The commands, and what they have in common: `chainrule --help`, `chainrule --version`."""

from __future__ import annotations

import io
import sys
from importlib import import_module
from typing import Annotated

import typer

import chainrule
from chainrule.cli.console import command_line, run

app = command_line()

# A command's own file reads its arguments, and is loaded only when the command is called, so that help is quick.
PASS_ON = {"allow_extra_args": True, "ignore_unknown_options": True, "allow_interspersed_args": False}


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"chainrule {chainrule.__version__}")
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Train neural networks on tables, images and texts, and predict with them.

    A table, a folder of images by class, or a text:

        chainrule train patients.csv --target diagnosis
        chainrule predict runs/patients-diagnosis new.csv -o out.csv

        chainrule train flowers/
        chainrule predict runs/flowers new/ -o out.csv

        chainrule train shakespeare.txt
        chainrule generate runs/shakespeare --prompt "ROMEO:"

    `chainrule COMMAND --help` tells all about a command.
    """


@app.command(context_settings=PASS_ON, add_help_option=False)
def train(context: typer.Context) -> None:
    """Train a network on a table, a folder of images, or a text."""
    _call(context)


@app.command(context_settings=PASS_ON, add_help_option=False)
def predict(context: typer.Context) -> None:
    """Predict for the rows of a table, or for images, with a trained network."""
    _call(context)


@app.command(context_settings=PASS_ON, add_help_option=False)
def generate(context: typer.Context) -> None:
    """Let a trained language model go on with a text."""
    _call(context)


def _call(context: typer.Context) -> None:
    name = str(context.info_name)
    run(import_module(f"chainrule.cli.{name}").app, context.args, f"chainrule {name}")


def main() -> None:
    """What the console script `chainrule` runs."""
    # A name that the terminal cannot show must not end a training.
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    run(app, sys.argv[1:] or ["--help"], "chainrule")
