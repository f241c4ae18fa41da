"""The gradient by layer or step in small panels, one for each remedy, as SVG: points are measured, lines are theory.

Colours are those of Okabe & Ito, which people tell apart who see red and green alike.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from itertools import groupby

import numpy as np
from training import Outcome

from chainrule.training.charts import Axis, linear_axis, log_axis

UNCLIPPED = "RNN, relu, 1.05 I"
"""What the network that is clipped would be without that."""

WIDTH, MARGIN, GUTTER = 920, 20, 34
COLUMNS = 3
PANEL = (WIDTH - 2 * MARGIN - (COLUMNS - 1) * GUTTER) / COLUMNS
LABELS, HEAD, PLOT, FOOT, LINE = 36.0, 28.0, 190.0, 40.0, 17.0
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7")
FONTS = 'system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif'
STYLE = f"""
text {{ font: 12px {FONTS}; fill: #1c2330; }}
.name {{ font-size: 14px; font-weight: 600; }}
.faint, .tick {{ font-size: 11px; fill: #5d6878; }}
.grid {{ stroke: #e4e8ee; }}
.one {{ stroke: #9aa5b5; }}
.theory {{ fill: none; stroke-width: 1.6; stroke-opacity: 0.75; }}
.paper {{ fill: #ffffff; }}
"""
WORDS = (
    "The norm of the gradient at each layer or step as a multiple of that at the last, on a logarithmic scale.",
    "Points: measured before training. Lines: what theory predicts. In brackets: accuracy after training.",
)
FIRST = 100
"""So many updates are drawn, where gradients are."""

LEAST = 1e-8
DEEPEST = 1e-30
"""Smaller norms are left out by update, and drawn at the lower edge by layer."""


def picture(found: Sequence[Outcome]) -> str:
    """All outcomes, as SVG."""
    panels = [(title, list(part)) for title, part in groupby(found, key=lambda x: x.remedy)]
    parts: list[str] = []
    y = float(MARGIN)
    for start in range(0, len(panels), COLUMNS):
        row = panels[start : start + COLUMNS]
        for column, (title, part) in enumerate(row):
            x = MARGIN + column * (PANEL + GUTTER)
            clipped = title == "Clipping"
            before = [o for o in found if o.name == UNCLIPPED] if clipped else []
            parts += by_update(title, [*before, *part], x, y) if clipped else by_depth(title, part, x, y)
        y += HEAD + PLOT + FOOT + LINE * max(1 + len(part) for _, part in row)
    for line in WORDS:
        parts.append(text(MARGIN, y + 4, line, "faint"))
        y += LINE
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {y + MARGIN:g}" width="{WIDTH}"'
            f' height="{y + MARGIN:g}" role="img">',
            "<title>Gradient by layer or step, and what keeps it</title>",
            f"<style>{STYLE}</style>",
            '<rect width="100%" height="100%" rx="6" class="paper"/>',
            *parts,
            "</svg>\n",
        ]
    )


def by_depth(title: str, found: Sequence[Outcome], x: float, y: float) -> list[str]:
    """The gradient at each layer or step as a multiple of that at the last."""
    count = len(found[0].measured)
    left, top = x + LABELS, y + HEAD
    across = linear_axis(1, count, left, x + PANEL)
    values = np.concatenate([np.concatenate([o.measured, o.predicted]) for o in found])
    values = values[np.isfinite(values)]
    down = log_axis(max(values.min(), DEEPEST) / 3, values.max() * 3, top + PLOT, top)
    unit = found[0].size.split()[1]
    parts = frame(title, unit[:-1], across, down, x, y)
    for colour, o in zip(COLOURS, found, strict=False):
        points = [(across.place(i + 1), down.place(max(v, DEEPEST))) for i, v in enumerate(o.predicted)]
        line = "L".join(f"{a:.1f},{b:.1f}" for a, b in points)
        parts.append(f'<path d="M{line}" class="theory" stroke="{colour}"/>')
        every = max(1, count // 15)
        parts += [
            f'<circle cx="{across.place(i + 1):.1f}" cy="{down.place(max(v, DEEPEST)):.1f}" r="2.8" fill="{colour}"/>'
            for i, v in list(enumerate(o.measured))[::every]
            if np.isfinite(v)
        ]
    return parts + legend(found, x, top + PLOT + FOOT)


def by_update(title: str, found: Sequence[Outcome], x: float, y: float) -> list[str]:
    """The norm of the whole gradient at the first updates, before it is clipped, and where it is a number no more."""
    left, top = x + LABELS, y + HEAD
    shown = [o.norms[:FIRST] for o in found]
    values = np.concatenate([norms[np.isfinite(norms) & (norms > LEAST)] for norms in shown])
    across = linear_axis(1, max(map(len, shown)), left, x + PANEL)
    down = log_axis(values.min() / 3, values.max() * 1e4, top + PLOT, top)  # room for words
    parts = frame(title, "update", across, down, x, y, "norm of the whole gradient")
    for colour, norms in zip(COLOURS[::-3], shown, strict=False):
        finite = np.isfinite(norms)
        at = [(across.place(i + 1), down.place(v)) for i, v in enumerate(norms) if finite[i] and v > LEAST]
        parts += [f'<circle cx="{a:.1f}" cy="{b:.1f}" r="2.8" fill="{colour}"/>' for a, b in at]
        if not finite.all():
            last = int(finite.argmin()) + 1
            a, b = across.place(last), top + 26
            parts.append(f'<path d="M{a - 4:.1f} {b - 4}l8 8m0 -8l-8 8" stroke="{colour}" stroke-width="2"/>')
            parts.append(text(a + 9, b + 4, f"not a number from update {last}", "faint"))
    return parts + legend(found, x, top + PLOT + FOOT, COLOURS[::-3])


def frame(title: str, name: str, across: Axis, down: Axis, x: float, y: float, what: str = "") -> list[str]:
    """Title, axes, grid and ticks; a stronger line where the gradient is as large as at the last layer."""
    left, right, top, bottom = x + LABELS, x + PANEL, y + HEAD, y + HEAD + PLOT
    parts = [text(x, y + 13, title, "name")]
    for tick in down.ticks:
        at = down.place(tick)
        parts.append(f'<path d="M{left:.1f} {at:.1f}H{right:.1f}" class="{"one" if tick == 1 else "grid"}"/>')
        parts.append(text(left - 5, at + 4, power(tick), "tick", "end"))
    for tick in across.ticks:
        parts.append(text(across.place(tick), bottom + 15, f"{tick:g}", "tick", "middle"))
    parts.append(text(right, bottom + 29, name, "faint", "end"))
    if what:
        parts.append(text(left + 4, top + 10, what, "faint"))
    return parts


def power(value: float) -> str:
    """A power of ten in short.

    >>> power(1e-7), power(1.0), power(0.5)
    ('10⁻⁷', '1', '0.5')
    """
    exponent = round(np.log10(value))
    if 0 <= exponent < 2 or not np.isclose(value, 10.0**exponent, rtol=1e-6):
        return f"{value:g}"
    return "10" + str(exponent).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))


def legend(found: Sequence[Outcome], x: float, y: float, colours: Sequence[str] = COLOURS) -> list[str]:
    """Names, colours and accuracies."""
    parts: list[str] = []
    for i, (colour, o) in enumerate(zip(colours, found, strict=False)):
        at = y + LINE * i
        parts.append(f'<circle cx="{x + LABELS + 5:.1f}" cy="{at - 4:.1f}" r="4" fill="{colour}"/>')
        parts.append(text(x + LABELS + 15, at, f"{o.name} ({o.accuracy:.0%})", "label"))
    return parts


def text(x: float, y: float, words: str, kind: str, anchor: str = "start") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" class="{kind}">{escape(words)}</text>'
