"""`chainrule generate RUN --prompt TEXT`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from chainrule.cli.console import INTERRUPTED, command_line, one_line_errors
from chainrule.data.wording import one_line
from chainrule.errors import DefinitionError, RunError
from chainrule.training.language import SAMPLE_LENGTH, SAMPLE_TEMPERATURE, LanguageModel
from chainrule.training.runs import load_run

app = command_line()


@app.command()
def generate(
    run: Annotated[Path, typer.Argument(help="Folder of the run, as chainrule train named it.", show_default=False)],
    prompt: Annotated[
        str, typer.Option(help="Text to go on from; by default the start of a line.", show_default=False)
    ] = "",
    length: Annotated[int, typer.Option(help="Tokens to write.")] = SAMPLE_LENGTH,
    temperature: Annotated[
        float, typer.Option(help="Above 1 bolder, below 1 safer; 0 always takes the likeliest token.")
    ] = SAMPLE_TEMPERATURE,
    top_k: Annotated[
        int | None, typer.Option(help="Take one of so many of the likeliest tokens only.", show_default=False)
    ] = None,
    top_p: Annotated[
        float | None,
        typer.Option(help="Take one of the likeliest tokens that have this probability together.", show_default=False),
    ] = None,
    seed: Annotated[
        int | None,
        typer.Option(help="The same seed writes the same text; without it, another each time.", show_default=False),
    ] = None,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
) -> None:
    """Let a trained language model go on with a text.

    The text is written as it comes, the prompt first. Ctrl-C ends it.

    Examples:

        chainrule generate runs/shakespeare --prompt "ROMEO:"
        chainrule generate runs/shakespeare --length 2000 --temperature 0.6 --seed 1 > play.txt
    """
    with one_line_errors(debug):
        model = load_run(run)
        if not isinstance(model, LanguageModel):
            raise RunError(f"{one_line(str(run))}: is no run of a language model; use chainrule predict")
        if seed is not None and seed < 0:
            raise DefinitionError(f"seed must be at least 0, not {seed}")
        pieces = model.generate(prompt, length, temperature=temperature, top_k=top_k, top_p=top_p, seed=seed)
        typer.echo(prompt, nl=False)
        try:
            for piece in pieces:
                typer.echo(piece, nl=False)
        except KeyboardInterrupt:
            typer.echo()
            raise typer.Exit(INTERRUPTED) from None
        typer.echo()
