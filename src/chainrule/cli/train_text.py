"""Training on a text."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.console import Console

from chainrule.cli.config import place_of, settings_of
from chainrule.cli.console import say
from chainrule.cli.progress import step_reporter
from chainrule.cli.results import say_run, show_figures
from chainrule.data.text import CharTokenizer, read_text
from chainrule.data.wording import counted, one_line
from chainrule.training.language import LanguageSettings, PreparedText, prepare_text
from chainrule.training.language_report import GUESS
from chainrule.training.runs import save_run
from chainrule.training.wording import duration, ending, generate_command


def run_training(data: Path, chosen: Mapping[str, Any], overwrite: bool) -> None:
    """Read, train, show and save."""
    settings = settings_of(LanguageSettings, chosen)
    place = place_of(chosen, overwrite)
    name = place.named(data.stem)
    prepared = prepare_text(read_text(data), settings)
    _introduce(data, prepared)
    start = time.monotonic()
    run = prepared.train([step_reporter(Console(stderr=True), settings.time_limit)])
    say(f"\nStopped after {duration(time.monotonic() - start)} {ending(run.history)}.")
    show_figures("on unseen text", run.validation, run.baseline, GUESS)
    say(f"\nIt writes:\n{run.samples[0]}")
    folder = save_run(run, place.runs_dir / name, source=one_line(data.name), overwrite=overwrite)
    say_run(folder, "write", generate_command(folder))


def _introduce(data: Path, prepared: PreparedText) -> None:
    """What was read, and what will be trained."""
    model, settings, sizes = prepared.model, prepared.settings, prepared.sizes
    say(f"{one_line(str(data))}: {counted(sizes['characters'], 'character')}")
    for notice in prepared.notices:
        say(f"  note: {notice}")
    kind = "characters" if isinstance(model.tokenizer, CharTokenizer) else "byte pairs"
    say(f"  tokens   {model.tokenizer.size:,} {kind}; {sizes['train']:,} to train, {sizes['validation']:,} to validate")
    blocks = f"{counted(settings.layers, 'block')} of width {settings.width} with {counted(settings.heads, 'head')}"
    say(f"  network  GPT, {blocks}, {sum(x.size for x in model.network.parameters()):,} parameters")
    size = f"{settings.batch_size} x {settings.context} tokens an update"
    say(f"  updates  adamw, learning rate {settings.lr:g}, {size}, {counted(settings.steps, 'step')}")
