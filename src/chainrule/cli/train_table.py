"""Training on a table."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from chainrule.cli.config import place_of, settings_of, task_of
from chainrule.cli.console import say
from chainrule.cli.progress import reporter
from chainrule.cli.results import say_run, show_figures
from chainrule.data import Table, TargetEncoder, read_table
from chainrule.data.wording import counted, near, one_line, quoted
from chainrule.errors import DefinitionError
from chainrule.training.runs import save_run
from chainrule.training.settings import Settings
from chainrule.training.tabular import Prepared, prepare_table
from chainrule.training.wording import baseline_words, duration, ending, predict_command


def run_training(data: Path, chosen: Mapping[str, Any], overwrite: bool) -> None:
    """Read, train, show and save."""
    settings, task, target = settings_of(Settings, chosen), task_of(chosen), chosen.get("target")
    place = place_of(chosen, overwrite)
    table = read_table(data)
    if target is None:
        raise DefinitionError(f"no target: name the column to predict with --target{near('', table.names)}")
    name = place.named(f"{Path(data.name.removesuffix('.gz')).stem}-{target}")
    drop, keep = chosen.get("drop", ()), chosen.get("keep", ())
    prepared = prepare_table(table, target, settings, task=task, drop=drop, keep=keep)
    _introduce(table, prepared)
    start = time.monotonic()
    run = prepared.train([reporter(Console(stderr=True), settings.time_limit)])
    say(f"\nStopped after {duration(time.monotonic() - start)} {ending(run.history)}.")
    guess = baseline_words(run.model.schema.task)
    show_figures(f"on {counted(len(run.rows.test), 'test row')}", run.test, run.baseline, guess)
    folder = save_run(run, place.runs_dir / name, source=one_line(data.name), overwrite=overwrite)
    say_run(folder, "predict", predict_command(folder))


def _introduce(table: Table, prepared: Prepared) -> None:
    """What was read, and what will be trained."""
    model, settings = prepared.model, prepared.settings
    say(f"{table.source}: {counted(table.rows, 'row')}, {counted(len(table.columns), 'column')}")
    for notice in prepared.notices:
        say(f"  note: {notice}")
    say(f"  target   {one_line(model.schema.target.name)}: {_target_words(prepared)}")
    learned_from = counted(len(model.schema.features), "column")
    say(f"  columns  learning from {learned_from}, made into {counted(model.widths[0], 'feature')}")
    say("  rows     {:,} to train, {:,} to validate, {:,} to test".format(*map(len, prepared.parts)))
    parameters = sum(x.size for x in model.network.parameters())
    say(f"  network  {' -> '.join(map(str, model.widths))}, {parameters:,} parameters")
    rate, size = f"learning rate {settings.lr:g}", f"{settings.batch_size} rows an update"
    say(f"  updates  {settings.optimizer}, {rate}, {size}, at most {counted(settings.epochs, 'epoch')}")


def _target_words(prepared: Prepared) -> str:
    """The classes and their shares, or the spread of the quantity."""
    codec = prepared.model.codec
    if not isinstance(codec, TargetEncoder):
        return f"a quantity, mean {codec.mean:.4g}, standard deviation {codec.std:.4g}"
    counts = np.bincount(prepared.parts[0].y, minlength=len(codec.classes))
    shares = [(float(counts[i] / counts.sum()), str(codec.classes[i])) for i in np.argsort(-counts, kind="stable")]
    told = [f"{quoted(name)} {100 * share:.1f} %" for share, name in shares[:5]]
    more = f" and {len(shares) - 5} more" if len(shares) > 5 else ""
    return f"{len(shares)} classes, {', '.join(told)}{more}"
