"""Training on a folder of images."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console

from chainrule.cli.config import place_of, settings_of
from chainrule.cli.console import say
from chainrule.cli.progress import reading, reporter
from chainrule.cli.results import say_run, show_figures
from chainrule.data.wording import counted, one_line, quoted
from chainrule.training.image_settings import ImageSettings
from chainrule.training.images import PreparedImages, prepare_images
from chainrule.training.runs import save_run
from chainrule.training.wording import baseline_words, duration, ending, predict_command

CHANGES = ("flip", "crop", "colour", "cutout", "mixup")


def run_training(data: Path, chosen: Mapping[str, Any], overwrite: bool) -> None:
    """Read, train, show and save."""
    settings = settings_of(ImageSettings, chosen)
    place = place_of(chosen, overwrite)
    source = data.resolve().name
    name = place.named(source)
    console = Console(stderr=True)
    with reading(console) as progress:
        prepared = prepare_images(data, settings, progress=progress)
    _introduce(data, prepared)
    start = time.monotonic()
    run = prepared.train([reporter(console, settings.time_limit)])
    say(f"\nStopped after {duration(time.monotonic() - start)} {ending(run.history)}.")
    heading, guess = f"on {counted(len(run.expected), 'test image')}", baseline_words("classification")
    show_figures(heading, run.test, run.baseline, guess)
    folder = save_run(run, place.runs_dir / name, source=one_line(source), overwrite=overwrite)
    say_run(folder, "predict", predict_command(folder, "new-images"))


def _introduce(data: Path, prepared: PreparedImages) -> None:
    """What was read, and what will be trained."""
    model, settings, parts = prepared.model, prepared.settings, prepared.parts
    images = sum(map(len, parts))
    say(f"{one_line(str(data))}: {counted(images, 'image')} of {counted(len(model.classes), 'class', 'classes')}")
    for notice in prepared.notices:
        say(f"  note: {notice}")
    counts: NDArray[np.int64] = np.bincount(parts[0].y, minlength=len(model.classes))
    order: list[int] = np.argsort(-counts, kind="stable").tolist()
    told = [f"{quoted(model.classes[i])} {100 * counts[i] / counts.sum():.1f} %" for i in order]
    more = f" and {len(told) - 5} more" if len(told) > 5 else ""
    say(f"  classes  {', '.join(told[:5])}{more}")
    kind = "grey" if model.channels == 1 else "colour"
    changed = ", ".join(name for name in CHANGES if getattr(settings, name)) or "nothing"
    say(f"  images   seen in {kind} at {model.size} x {model.size} pixels; changed at random: {changed}")
    say("  parts    {:,} to train, {:,} to validate, {:,} to test".format(*map(len, parts)))
    say(f"  network  {model.name}, {sum(x.size for x in model.network.parameters()):,} parameters")
    rate, size = f"learning rate {settings.lr:g}", f"{settings.batch_size} images an update"
    say(f"  updates  {settings.optimizer}, {rate}, {size}, at most {counted(settings.epochs, 'epoch')}")
