"""The figures as a picture: bars in SVG, readable in light and in dark.

Networks on a logarithmic scale of time, each panel on its own; products as a share of the machine's peak.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from html import escape
from typing import NamedTuple

from benchmarks.comparison import Comparison, Spread
from benchmarks.report import duration, times
from benchmarks.variants import BY_NAME

WIDTH, MARGIN, GUTTER = 880, 20, 40
PANEL = (WIDTH - 2 * MARGIN - GUTTER) / 2
LABELS, VALUES = 166, 62
BAR, PITCH = 14, 22
HEAD, FOOT = 46, 30
SECTION = 36
GAP = 12
FONTS = 'system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif'
STYLE = f"""
text {{ font: 12px {FONTS}; fill: #1c2330; }}
.section {{ font-size: 14px; font-weight: 600; }}
.value {{ stroke: #ffffff; stroke-width: 4; paint-order: stroke; stroke-linejoin: round; }}
.name {{ font-size: 13px; font-weight: 600; }}
.faint {{ fill: #5d6878; }}
.tick {{ font-size: 10.5px; fill: #5d6878; text-anchor: middle; }}
.label {{ text-anchor: end; fill: #3d4757; }}
.lead {{ font-size: 13px; font-weight: 600; text-anchor: end; fill: #b94c0b; }}
.own text {{ font-weight: 600; fill: #1c2330; }}
.bar {{ fill: #a9b4c4; }}
.own .bar {{ fill: #e0701f; }}
.grid {{ stroke: #e4e8ee; }}
.spread {{ stroke: #1c2330; stroke-opacity: 0.55; }}
.paper {{ fill: #ffffff; }}
@media (prefers-color-scheme: dark) {{
text, .own text {{ fill: #e6eaf0; }}
.faint, .tick {{ fill: #9aa5b5; }}
.label {{ fill: #c3cbd6; }}
.lead {{ fill: #f59355; }}
.bar {{ fill: #56637a; }}
.own .bar {{ fill: #ef8640; }}
.grid {{ stroke: #262d38; }}
.spread {{ stroke: #e6eaf0; }}
.paper {{ fill: #12161d; }}
.value {{ stroke: #12161d; }}
}}
"""


class Bar(NamedTuple):
    """A variant's figure, its quartiles and what is written beside it."""

    variant: str
    value: Spread
    text: str


class Scale(NamedTuple):
    """From figures to the width of a panel: where a figure is, from 0 to 1, and the ticks with their words."""

    at: Callable[[float], float]
    ticks: list[tuple[float, str]]


def time_scale(bars: Sequence[Bar]) -> Scale:
    """Logarithmic, from somewhat below the shortest bar to the end of the longest."""
    low = min(bar.value.low for bar in bars) / 2
    high = max(bar.value.high for bar in bars)
    span = math.log(high / low)
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    often = (1, 2, 5) if high / low < 12 else (1, 3) if high / low < 30 else (1,)  # words must not touch each other
    ticks = [m * 10.0**e for e in decades for m in often]
    return Scale(lambda x: math.log(x / low) / span, [(x, tick_words(x)) for x in ticks if low <= x <= high])


def tick_words(seconds: float) -> str:
    """A round time.

    >>> tick_words(1e-5), tick_words(0.02), tick_words(1.0)
    ('10 µs', '20 ms', '1 s')
    """
    size, unit = next((size, unit) for size, unit in ((1.0, "s"), (1e-3, "ms"), (1e-6, "µs")) if seconds > 0.99 * size)
    return f"{round(seconds / size)} {unit}"


def share_scale() -> Scale:
    """Linear, from nothing to the peak."""
    return Scale(lambda x: x, [(x / 4, f"{x / 4:.0%}") for x in range(5)])


def time_bars(comparison: Comparison) -> list[Bar]:
    """The time of a step for each variant that has one."""
    return [
        Bar(name, result.step, duration(result.step.median))
        for name, result in comparison.results.items()
        if result.step is not None
    ]


def share_bars(comparison: Comparison) -> list[Bar]:
    """What share of the peak each variant reaches."""
    full = comparison.flops / (comparison.peak or math.inf) / 1e9
    return [
        Bar(
            bar.variant,
            Spread(*(full / x for x in bar.value)),
            f"{comparison.flops / bar.value.median / 1e9:.0f}",
        )
        for bar in time_bars(comparison)
    ]


def text(x: float, y: float, words: str, kind: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" class="{kind}">{escape(words)}</text>'


def panel(comparison: Comparison, bars: Sequence[Bar], scale: Scale, x: float, y: float) -> list[str]:
    """One workload: its name, how chainrule does, a bar for each variant, and the axis below."""
    left, width = x + LABELS, PANEL - LABELS - VALUES
    top, bottom = y + HEAD, y + HEAD + PITCH * len(bars)
    parts = [text(x, y + 14, comparison.name, "name"), text(x, y + 31, comparison.title, "faint")]
    if comparison.lead is not None:
        parts.append(text(x + PANEL, y + 14, f"{times(comparison.lead)} as fast as the best peer", "lead"))
    for value, words in scale.ticks:
        at = left + width * scale.at(value)
        parts.append(f'<path d="M{at:.1f} {top}V{bottom + 4}" class="grid"/>')
        parts.append(text(at, bottom + 17, words, "tick"))
    for row, bar in enumerate(bars):
        variant, middle = BY_NAME[bar.variant], top + PITCH * (row + 0.5)
        length, low, high = (width * scale.at(value) for value in bar.value)
        parts += [
            "<g>" if variant.is_peer else '<g class="own">',
            f"<title>{escape(f'{variant.title}: {bar.text}')}</title>",
            text(left - 8, middle + 4, variant.title, "label"),
            f'<rect x="{left:.1f}" y="{middle - BAR / 2}" width="{length:.1f}" height="{BAR}" rx="2" class="bar"/>',
            f'<path d="M{left + low:.1f} {middle}H{left + high:.1f}" class="spread"/>',
            text(left + max(length, low, high) + 6, middle + 4, bar.text, "value"),
            "</g>",
        ]
    return parts


def section(
    title: str, comparisons: Sequence[Comparison], bars: Callable[[Comparison], list[Bar]], y: float
) -> tuple[list[str], float]:
    """Panels side by side under a title, and where the next section starts."""
    parts = [text(MARGIN, y + 15, title, "section")]
    y += SECTION
    for pair in (comparisons[i : i + 2] for i in range(0, len(comparisons), 2)):
        drawn = [bars(comparison) for comparison in pair]
        for column, (comparison, own) in enumerate(zip(pair, drawn, strict=True)):
            scale = share_scale() if comparison.kind == "product" else time_scale(own)
            parts += panel(comparison, own, scale, MARGIN + column * (PANEL + GUTTER), y)
        y += HEAD + PITCH * max(map(len, drawn)) + FOOT
    return parts, y + GAP


def picture(comparisons: Sequence[Comparison]) -> str:
    """All networks and products that anything was measured at, as SVG."""
    measured = [x for x in comparisons if time_bars(x)]
    networks = [x for x in measured if x.kind == "network"]
    products = [x for x in measured if x.kind == "product" and x.peak]
    parts: list[str] = []
    y = float(MARGIN)
    if networks:
        drawn, y = section("Time of a training step, on a logarithmic scale: shorter is better", networks, time_bars, y)
        parts += drawn
    if products:
        peak = max(x.peak or 0.0 for x in products)
        title = f"Arithmetic in GFLOP/s, as a share of this machine's {peak:.0f}: longer is better"
        drawn, y = section(title, products, share_bars, y)
        parts += drawn
    if measured:
        parts.append(text(MARGIN, y + 6, footnote(measured), "faint"))
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {y + MARGIN:g}" width="{WIDTH}"'
            f' height="{y + MARGIN:g}" role="img">',
            "<title>chainrule and its peers on the same work</title>",
            f"<style>{STYLE}</style>",
            '<rect width="100%" height="100%" rx="6" class="paper"/>',
            *parts,
            "</svg>\n",
        ]
    )


def footnote(comparisons: Sequence[Comparison]) -> str:
    """Where this was measured, and with what."""
    newest = max(comparisons, key=lambda x: x.date)
    named = (("torch", "PyTorch"), ("jax", "JAX"), ("numpy", "NumPy"))
    peers = ", ".join(f"{title} {newest.versions[name]}" for name, title in named if name in newest.versions)
    return f"{newest.machine}. {peers}. {newest.date}. Thin lines: quartiles."
