"""Figures and times as people read them."""

from __future__ import annotations

import math

PERCENTAGES = ("accuracy", "balanced accuracy")
"""Figures that are told in per cent."""


def figure(name: str, value: float | None) -> str:
    """The value of a metric or loss, in four digits.

    >>> figure("accuracy", 0.97647), figure("val_loss", 0.123456), figure("R2", None)
    ('97.6 %', '0.1235', 'n/a')
    """
    if value is None or math.isnan(value):
        return "n/a"
    return f"{100 * value:.1f} %" if name.removeprefix("val_") in PERCENTAGES else f"{value:.4g}"


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


def ending(stopped: str, epochs: int, best_epoch: int | None) -> str:
    """Why a training ended, and which weights were kept.

    >>> ending("interrupted", 7, 5)
    'interrupted in epoch 7; the weights of epoch 5, the best, are kept'
    """
    when = f"{stopped} in epoch {epochs}" if stopped == "interrupted" else f"epoch {epochs}: {stopped}"
    kept = "the last weights" if best_epoch is None else f"the weights of epoch {best_epoch}, the best,"
    return f"{when}; {kept} are kept"
