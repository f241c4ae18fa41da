"""Figures and times as people read them."""

from __future__ import annotations

import math
import shlex
from pathlib import Path

from chainrule.training.history import History

PERCENTAGES = ("accuracy", "balanced accuracy")
"""Figures that are told in per cent."""


def figure(name: str, value: float | None) -> str:
    """The value of a metric or loss, in four digits.

    >>> figure("accuracy", 0.97647), figure("val_loss", 0.123456), figure("R2", None)
    ('97.6 %', '0.1235', 'n/a')
    """
    if value is None or math.isnan(value):
        return "n/a"
    return f"{100 * value:.1f} %" if name.removeprefix("val_") in PERCENTAGES else f"{value:#.4g}".rstrip(".")


def spelled(name: str) -> str:
    """The name of a figure of the history in words.

    >>> spelled("loss"), spelled("val_loss"), spelled("val_r2")
    ('training loss', 'validation loss', 'validation R2')
    """
    part = "validation" if name.startswith("val_") else "training"
    return f"{part} {name.removeprefix('val_')}".replace("r2", "R2")


def duration(seconds: float) -> str:
    """Seconds as a time span.

    >>> duration(0.34), duration(12.3), duration(80), duration(7384)
    ('0.3 s', '12 s', '1 min 20 s', '2 h 3 min')
    """
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes, hours = whole // 60, whole // 3600
    return f"{hours} h {minutes % 60} min" if hours else f"{minutes} min {whole % 60} s"


def ending(history: History) -> str:
    """When and why a training ended, and which weights were kept.

    >>> ending(History([{"epoch": 1, "loss": 0.5}, {"epoch": 2, "loss": 0.4}], "interrupted", best_epoch=1))
    'in epoch 2: interrupted; the weights of epoch 1, the best, are kept'
    """
    why = history.stopped.replace("val_loss", "the validation loss")
    steps = "step" in history
    where, unit = (
        (f"after step {history.rows[-1]['step']:,}", "step") if steps else (f"in epoch {len(history)}", "epoch")
    )
    best = history.best_epoch
    kept = "the last weights" if best is None else f"the weights of {unit} {best:,}, the best,"
    return f"{where}: {why}; {kept} are kept"


def baseline_words(task: str) -> str:
    """What the baseline does.

    >>> baseline_words("regression")
    'always the mean'
    """
    return "always the mean" if task == "regression" else "always the most frequent"


def predict_command(folder: Path, data: str = "new-rows.csv") -> str:
    """The command that predicts with a run.

    >>> predict_command(Path("runs/my run"))
    "chainrule predict 'runs/my run' new-rows.csv -o predictions.csv"
    """
    return f"chainrule predict {shlex.quote(str(folder))} {data} -o predictions.csv"


def generate_command(folder: Path) -> str:
    """The command that lets a language model write.

    >>> generate_command(Path("runs/my run"))
    "chainrule generate 'runs/my run' --length 1000"
    """
    return f"chainrule generate {shlex.quote(str(folder))} --length 1000"
