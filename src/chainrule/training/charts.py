"""Charts as inline SVG, small and readable: axes with round numbers, words on hover, colours left to the page's CSS.

The classes that the page gives colours to are `axis`, `grid`, `tick`, `mark`, `dots`, `train`, `validation`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

WIDTH, HEIGHT = 560.0, 300.0
LEFT, RIGHT, TOP, BOTTOM = 62.0, 14.0, 30.0, 44.0
MOST_POINTS = 400
"""So many epochs are drawn one by one; of more, evenly spaced ones."""

MOST_DOTS = 1500
LOG_SPAN = 50.0
"""Figures that span more than this factor are drawn on a logarithmic axis."""


@dataclass(frozen=True)
class Series:
    """A line: its name, its CSS class and a value, or none, for each epoch."""

    name: str
    style: str
    values: Sequence[float | None]


@dataclass(frozen=True)
class Axis:
    """From values to places in the picture, with the values of the ticks."""

    place: Callable[[float], float]
    ticks: Sequence[float]


def round_ticks(low: float, high: float, most: int = 6, least_step: float = 0.0) -> list[float]:
    """Round numbers, 1, 2 or 5 times a power of ten apart, that lie between two values; at most `most`.

    >>> round_ticks(0.13, 0.94)
    [0.2, 0.4, 0.6, 0.8]
    >>> round_ticks(1, 3, least_step=1)
    [1.0, 2.0, 3.0]
    """
    power = 10.0 ** math.floor(math.log10((high - low) / most))
    step = next(unit * power for unit in (1, 2, 5, 10, 20) if unit * power * most >= high - low)
    step = max(step, least_step)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [float(f"{i * step:.12g}") for i in range(first, last + 1)]


def log_ticks(low: float, high: float) -> list[float]:
    """Powers of ten between two positive values, and where these are few, twice and five times them as well.

    >>> log_ticks(0.003, 0.7)
    [0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5]
    """
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    units = (1, 2, 5) if len(powers) <= 4 else (1,)
    ticks = [float(f"{unit}e{power}") for power in powers for unit in units]
    kept = [tick for tick in ticks if low * (1 - 1e-9) <= tick <= high * (1 + 1e-9)]
    return kept[:: math.ceil(len(kept) / 8)] if kept else [low]


def linear_axis(low: float, high: float, start: float, end: float, least_step: float = 0.0) -> Axis:
    """An axis on which equal distances are equal differences."""
    if high - low < 1e-9 * max(abs(low), abs(high), 1e-300):
        margin = max(abs(low) * 0.1, 1e-6 if low else 1.0)
        low, high = low - margin, high + margin
    return Axis(
        lambda value: start + (value - low) / (high - low) * (end - start),
        round_ticks(low, high, least_step=least_step),
    )


def log_axis(low: float, high: float, start: float, end: float) -> Axis:
    """An axis on which equal distances are equal factors."""
    span = math.log(high / low)
    return Axis(lambda value: start + math.log(value / low) / span * (end - start), log_ticks(low, high))


def line_chart(
    title: str,
    series: Sequence[Series],
    best: int | None,
    show: Callable[[float], str],
    *,
    unit: str = "epoch",
    at: Sequence[int] | None = None,
) -> str:
    """Figures by epoch, the first being epoch 1, or by what `unit` says and `at` lists, with a mark at the best.

    `show` writes a value out.
    """
    epochs = max(len(line.values) for line in series)
    xs = range(1, epochs + 1) if at is None else at
    values = [v for line in series for v in line.values if v is not None and math.isfinite(v)]
    if not values or not math.isfinite(max(values) - min(values)):
        return ""
    x = linear_axis(xs[0], max(xs[-1], xs[0] + 1), LEFT, WIDTH - RIGHT, least_step=1)
    low, high = min(values), max(values)
    logarithmic = low > 0 and high / low > LOG_SPAN
    margin = 0.04 * (high - low)
    y = (
        log_axis(low, high, HEIGHT - BOTTOM, TOP)
        if logarithmic
        else linear_axis(low - (0 if low == 0 else margin), high + margin, HEIGHT - BOTTOM, TOP)
    )
    chosen = sorted({*range(0, epochs, math.ceil(epochs / MOST_POINTS)), epochs - 1, xs.index(best or xs[-1])})
    places = [(i, x.place(xs[i])) for i in chosen]
    parts = [_frame(x, y, unit, "logarithmic" if logarithmic else "")]
    parts += [_line(line, places, y) for line in series]
    keys = [(line.name, f"line {line.style}") for line in series]
    if best:
        parts.append(f'<path class="mark" d="M{x.place(best):.1f},{TOP}V{HEIGHT - BOTTOM}"/>')
        keys.append((f"best {unit}, {best}", "mark"))
    parts.append(_hover(series, places, [f"{unit} {xs[i]}" for i in chosen], show))
    parts.append(_legend(keys))
    last = ", ".join(f"{line.name} {_last(line.values, show)}" for line in series)
    return _svg(title, f"{title} over {xs[-1]} {unit}s; at the end {last}.", parts)


def scatter_chart(title: str, x_name: str, y_name: str, xs: NDArray[np.float64], ys: NDArray[np.float64]) -> str:
    """Points (x, y) against the line x = y, both axes alike."""
    finite = np.isfinite(xs) & np.isfinite(ys)
    xs, ys = xs[finite], ys[finite]
    if not len(xs):
        return ""
    low, high = min(float(xs.min()), float(ys.min())), max(float(xs.max()), float(ys.max()))
    if not math.isfinite(1.1 * (high - low)):
        return ""
    margin = 0.04 * (high - low)
    x = linear_axis(low - margin, high + margin, LEFT, WIDTH - RIGHT)
    y = linear_axis(low - margin, high + margin, HEIGHT - BOTTOM, TOP)
    ends = [f"{x.place(v):.1f},{y.place(v):.1f}" for v in (low, high)]
    dots = [
        f'<circle cx="{x.place(a):.1f}" cy="{y.place(b):.1f}" r="3.2"><title>{x_name} {a:,.6g}, {y_name} {b:,.6g}'
        f"</title></circle>"
        for a, b in zip(xs[:: math.ceil(len(xs) / MOST_DOTS)], ys[:: math.ceil(len(xs) / MOST_DOTS)], strict=True)
    ]
    parts = [
        _frame(x, y, x_name, y_name),
        f'<path class="mark" d="M{ends[0]}L{ends[1]}"/>',
        f'<g class="dots">{"".join(dots)}</g>',
    ]
    return _svg(title, f"{title}: {len(xs):,} points; on the line both are equal.", parts)


def _frame(x: Axis, y: Axis, x_name: str, y_name: str) -> str:
    """Axes, grid, ticks and names."""
    bottom, right = HEIGHT - BOTTOM, WIDTH - RIGHT
    parts = [f'<path class="axis" d="M{LEFT},{bottom}H{right}"/>']
    for tick in x.ticks:
        at = x.place(tick)
        parts.append(f'<path class="axis" d="M{at:.1f},{bottom}v4"/>')
        parts.append(f'<text class="tick" x="{at:.1f}" y="{bottom + 17}" text-anchor="middle">{_number(tick)}</text>')
    for tick in y.ticks:
        at = y.place(tick)
        parts.append(f'<path class="grid" d="M{LEFT},{at:.1f}H{right}"/>')
        parts.append(f'<text class="tick" x="{LEFT - 7}" y="{at + 4:.1f}" text-anchor="end">{_number(tick)}</text>')
    parts.append(f'<text class="tick" x="{right}" y="{HEIGHT - 8}" text-anchor="end">{escape(x_name)}</text>')
    parts.append(f'<text class="tick" x="{LEFT}" y="{TOP - 12}">{escape(y_name)}</text>' if y_name else "")
    return "".join(parts)


def _line(line: Series, places: Sequence[tuple[int, float]], y: Axis) -> str:
    """A line through the values at places, interrupted where there is none; a lone value is a dot."""
    path, pen_down = "", False
    for i, at in places:
        value = line.values[i]
        if value is None or not math.isfinite(value):
            pen_down = False
            continue
        path += f"{'L' if pen_down else 'M'}{at:.1f},{y.place(value):.1f}" + ("" if pen_down else "h0")
        pen_down = True
    dot = "" if "L" in path else " dot"
    return f'<path class="line {line.style}{dot}" d="{path}"/>'


def _hover(
    series: Sequence[Series], places: Sequence[tuple[int, float]], names: Sequence[str], show: Callable[[float], str]
) -> str:
    """An invisible strip for each place that tells its figures."""
    edges = [LEFT, *((a + b) / 2 for (_, a), (_, b) in pairwise(places)), WIDTH - RIGHT]
    strips: list[str] = []
    for (i, _), name, (start, end) in zip(places, names, pairwise(edges), strict=True):
        told = [f"{line.name}: {show(v)}" for line in series if (v := line.values[i]) is not None]
        words = escape("\n".join([name, *told]))
        strips.append(
            f'<rect x="{start:.1f}" y="{TOP}" width="{end - start:.1f}" height="{HEIGHT - BOTTOM - TOP}">'
            f"<title>{words}</title></rect>"
        )
    return f'<g class="hover">{"".join(strips)}</g>'


def _legend(keys: Sequence[tuple[str, str]]) -> str:
    """Names and CSS classes of lines, from the right."""
    parts: list[str] = []
    at = WIDTH - RIGHT
    for name, style in reversed(keys):
        parts.append(f'<text class="tick" x="{at}" y="{TOP - 12}" text-anchor="end">{escape(name)}</text>')
        at -= 6.4 * len(name) + 6
        parts.append(f'<path class="{style}" d="M{at:.1f},{TOP - 16}h-18"/>')
        at -= 34
    return "".join(parts)


def _last(values: Sequence[float | None], show: Callable[[float], str]) -> str:
    present = [v for v in values if v is not None]
    return show(present[-1]) if present else "n/a"


def _number(value: float) -> str:
    return f"{value:,.6g}".replace("-", "\N{MINUS SIGN}") if 1e-4 <= abs(value) < 1e7 or not value else f"{value:.0e}"


def _svg(title: str, description: str, parts: Sequence[str]) -> str:
    return (
        f'<svg viewBox="0 0 {WIDTH:g} {HEIGHT:g}" role="img" aria-label="{escape(title)}">'
        f"<desc>{escape(description)}</desc>{''.join(parts)}</svg>"
    )
