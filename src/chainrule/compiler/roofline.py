"""The picture of a profile: operations a second against operations a byte, under what the machine attains at best."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import NamedTuple, TypeAlias

from chainrule.compiler.report import magnitude
from chainrule.drawing.parts import text_width
from chainrule.drawing.style import DARK, FONTS, LIGHT, scoped

Roof: TypeAlias = tuple[str, float]
"""A name, and operations or bytes a second."""

WIDTH, HEIGHT = 880.0, 560.0
LEFT, RIGHT, TOP, BOTTOM = 78.0, 26.0, 58.0, 92.0
SMALLEST, LARGEST = 4.0, 20.0
"""Radii of dots."""

LABELS = 8
"""So many dots are labelled at most: those that take longest, if they take a hundredth of the time."""

TEXT, TITLE = 11.0, 15.0
COLOURS = {"product": "input", "rows": "parameter", "map": "output", "native": "backward", "copy": "constant"}
"""Kinds of kernels, and whose colours of other drawings they have."""

NAME = "chainrule-roofline"


@dataclass(frozen=True)
class Dot:
    """A kernel: its label, its kind, where it stands, its share of the time, and what it tells on hover."""

    label: str
    kind: str
    intensity: float
    speed: float
    share: float
    tooltip: str

    @property
    def radius(self) -> float:
        """Its area grows with its share."""
        return max(SMALLEST, LARGEST * math.sqrt(min(self.share, 1.0)))


class Scale(NamedTuple):
    """From values to places, on a logarithmic axis."""

    low: float
    high: float
    start: float
    end: float

    def place(self, value: float) -> float:
        return self.start + math.log(value / self.low) / math.log(self.high / self.low) * (self.end - self.start)

    def ticks(self) -> list[float]:
        """Powers of ten."""
        return [10.0**i for i in range(math.ceil(math.log10(self.low)), math.floor(math.log10(self.high)) + 1)]


class Box(NamedTuple):
    left: float
    top: float
    right: float
    bottom: float

    def meets(self, other: Box) -> bool:
        return (
            self.left < other.right and other.left < self.right and self.top < other.bottom and other.top < self.bottom
        )


def roofline(dots: Sequence[Dot], arithmetic: Sequence[Roof], memory: Sequence[Roof], title: str) -> str:
    """The text of an SVG document that stands alone and follows the reader's light or dark colours."""
    peak = max(speed for _, speed in arithmetic)
    ridges = [peak / speed for _, speed in memory]
    x = Scale(
        _below(min([0.1, *(dot.intensity / 1.6 for dot in dots)])),
        max([4 * max(ridges), *(dot.intensity * 2.5 for dot in dots)]),
        LEFT,
        WIDTH - RIGHT,
    )
    slowest = min([peak / 1e3, *(dot.speed / 1.6 for dot in dots)])
    y = Scale(_below(slowest), peak * 1.8, HEIGHT - BOTTOM, TOP)
    roofs, names = _roofs(arithmetic, memory, x, y)
    labels = _labels(dots, x, y, names)
    largest_first = sorted(dots, key=lambda dot: -dot.share)
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" class="{NAME}" role="graphics-document" '
            f'viewBox="0 0 {WIDTH:g} {HEIGHT:g}" width="{WIDTH:g}" height="{HEIGHT:g}">',
            f"<title>{escape(title)}</title>",
            f"<desc>{len(dots)} kernels; {escape(', '.join(_told(*roof, 'FLOP/s') for roof in arithmetic))}</desc>",
            f"<style>{_style()}</style>",
            '<rect class="paper" width="100%" height="100%"/>',
            _text(title, "title", LEFT, 32),
            *_frame(x, y),
            *roofs,
            *[_dot(dot, x, y) for dot in largest_first],
            *labels,
            *_legend([kind for kind in COLOURS if any(dot.kind == kind for dot in dots)]),
            "</svg>\n",
        ]
    )


def _below(value: float) -> float:
    """The next smaller number of the form 1, 2 or 5 times a power of ten."""
    power = 10.0 ** math.floor(math.log10(value))
    return max(unit * power for unit in (1, 2, 5) if unit * power <= value * 1.001)


def _frame(x: Scale, y: Scale) -> list[str]:
    """Grid, ticks and the names of the axes."""
    parts: list[str] = []
    for tick in x.ticks():
        at = x.place(tick)
        parts.append(f'<path class="grid" d="M{at:.1f},{y.start}V{y.end}"/>')
        parts.append(_text(f"{tick:g}", "tick middle", at, y.start + 18))
    for tick in y.ticks():
        at = y.place(tick)
        parts.append(f'<path class="grid" d="M{x.start},{at:.1f}H{x.end}"/>')
        round_number = magnitude(tick).replace(".00", "").replace(".0", "").strip()
        parts.append(_text(round_number, "tick end", x.start - 8, at + 4))
    parts.append(f'<path class="axis" d="M{x.start},{y.end}V{y.start}H{x.end}"/>')
    parts.append(_text("FLOPs a byte", "tick end", x.end, y.start + 36))
    parts.append(_text("FLOP/s", "tick end", x.start - 8, y.end - 8))
    return parts


def _roofs(arithmetic: Sequence[Roof], memory: Sequence[Roof], x: Scale, y: Scale) -> tuple[list[str], list[Box]]:
    """What is attainable, level where arithmetic bounds and rising where memory does; and where its names stand."""
    peak, fastest = max(speed for _, speed in arithmetic), max(speed for _, speed in memory)
    left = {speed: max(x.low, y.low / speed) for _, speed in memory}

    def line(bandwidth: float, top: float) -> str:
        """From the left or lower edge up to the roof, and along it."""
        begin, ridge = left[bandwidth], max(top / bandwidth, x.low)
        start = f"M{x.place(begin):.1f},{y.place(min(begin * bandwidth, top)):.1f}"
        return f"{start}L{x.place(ridge):.1f},{y.place(top):.1f}H{x.end}"

    whole = line(fastest, peak)
    parts = [f'<path class="under" d="{whole}V{y.start}H{x.place(left[fastest]):.1f}Z"/>']
    parts += [f'<path class="roof lower" d="{line(fastest, speed)}"/>' for _, speed in arithmetic if speed != peak]
    parts += [f'<path class="roof lower" d="{line(speed, peak)}"/>' for _, speed in memory if speed != fastest]
    parts.append(f'<path class="roof" d="{whole}"/>')
    level = y.place(peak)
    taken = [Box(x.place(max(peak / fastest, x.low)), level - 1, x.end, level + 1)]
    for name, speed in arithmetic:
        told, at, up = _told(name, speed, "FLOP/s"), x.place(max(speed / fastest, x.low)) + 6, y.place(speed) - 7
        parts.append(_text(told, "roofname", at, up))
        taken.append(Box(at, up - 11, at + text_width(told, TEXT), up + 4))
    across, rise = x.place(10) - x.place(1), y.place(1) - y.place(10)
    slope = math.atan2(rise, across)
    for name, speed in memory:
        told, begin = _told(name, speed, "B/s"), left[speed] * 1.12
        at, up = x.place(begin), y.place(begin * speed)
        turn = f'transform="rotate({-math.degrees(slope):.1f} {at:.1f} {up:.1f})"'
        parts.append(f'<text class="roofname" x="{at:.1f}" y="{up - 4:.1f}" {turn}>{escape(told)}</text>')
        width = text_width(told, TEXT)
        for step in range(4):  # a slanted text, as a staircase of boxes
            here, there = (width * i / 4 for i in (step, step + 1))
            taken.append(
                Box(
                    at + here * math.cos(slope) - 6,
                    up - 16 - there * math.sin(slope),
                    at + there * math.cos(slope),
                    up - here * math.sin(slope),
                )
            )
    return parts, taken


def _dot(dot: Dot, x: Scale, y: Scale) -> str:
    return (
        f'<circle class="dot {COLOURS.get(dot.kind, "constant")}" cx="{x.place(dot.intensity):.1f}" '
        f'cy="{y.place(dot.speed):.1f}" r="{dot.radius:.1f}"><title>{escape(dot.tooltip)}</title></circle>'
    )


def _labels(dots: Sequence[Dot], x: Scale, y: Scale, names: Sequence[Box]) -> list[str]:
    """Names beside the dots that take longest, wherever there is room beside or above them."""
    taken = [*names, *(_around(dot, x, y) for dot in dots)]
    parts: list[str] = []
    named = [dot for dot in sorted(dots, key=lambda dot: -dot.share)[:LABELS] if dot.share >= 0.01]
    for dot in named:
        at, up, r = x.place(dot.intensity), y.place(dot.speed), dot.radius
        text = f"{dot.label}  {dot.share:.0%}"
        width = text_width(text, TEXT)
        places = [
            ("", at + r + 5, up + 4, at + r + 5),
            ("end", at - r - 5, up + 4, at - r - 5 - width),
            *(("middle", at, up - r - 6 - further, at - width / 2) for further in (0, 8, 16)),
            *(("middle", at, up + r + 14 + further, at - width / 2) for further in (0, 8, 16)),
        ]
        for anchor, left, base, begin in places:
            box = Box(begin, base - 10, begin + width, base + 3)
            inside = begin > LEFT + 2 and begin + width < WIDTH - RIGHT and base - 10 > TOP and base < HEIGHT - BOTTOM
            if inside and not any(box.meets(other) for other in taken):
                taken.append(box)
                parts.append(_text(text, f"label {anchor}".strip(), left, base))
                break
    return parts


def _around(dot: Dot, x: Scale, y: Scale) -> Box:
    at, up, r = x.place(dot.intensity), y.place(dot.speed), dot.radius
    return Box(at - r, up - r, at + r, up + r)


def _legend(kinds: Sequence[str]) -> list[str]:
    parts: list[str] = []
    at = LEFT
    for kind in kinds:
        parts.append(f'<circle class="dot {COLOURS[kind]}" cx="{at + 5:.1f}" cy="{HEIGHT - 24}" r="5"/>')
        parts.append(_text(kind, "tick", at + 16, HEIGHT - 20))
        at += 16 + text_width(kind, TEXT) + 20
    if kinds:
        parts.append(_text("area: share of the time", "tick end", WIDTH - RIGHT, HEIGHT - 20))
    return parts


def _told(name: str, speed: float, unit: str) -> str:
    return f"{name} {magnitude(speed)}{unit}"


def _text(text: str, style: str, x: float, y: float) -> str:
    return f'<text class="{style}" x="{x:.1f}" y="{y:.1f}">{escape(text)}</text>'


def _style() -> str:
    shapes = f"""
text {{ font: {TEXT}px {FONTS}; white-space: pre; }}
.title {{ font-size: {TITLE}px; font-weight: 600; }}
.middle {{ text-anchor: middle; }}
.end {{ text-anchor: end; }}
.grid {{ fill: none; stroke-width: 1; }}
.axis {{ fill: none; stroke-width: 1.25; }}
.roof {{ fill: none; stroke-width: 2.25; stroke-linejoin: round; }}
.lower {{ stroke-width: 1.25; stroke-dasharray: 5 4; }}
.under {{ stroke: none; }}
.label {{ stroke-width: 4; paint-order: stroke; stroke-linejoin: round; }}
.dot {{ stroke-width: 1.5; fill-opacity: 0.45; }}
.dot:hover {{ stroke-width: 3; fill-opacity: 0.8; }}
"""
    light = _scheme(False, "#ffffff", "#1c2330", "#525d6e", "#e8ebf0", "#f6f8fc")
    dark = _scheme(True, "#12161d", "#e6eaf0", "#a3adbb", "#252c38", "#171d27")
    return (
        f"{scoped(shapes, NAME)}\n{scoped(light, NAME)}\n"
        f"@media (prefers-color-scheme: dark) {{\n{scoped(dark, NAME)}\n}}\n"
    )


def _scheme(dark: bool, paper: str, ink: str, faint: str, grid: str, under: str) -> str:
    scheme = DARK if dark else LIGHT
    dots = "\n".join(
        f".{kind} {{ fill: {colours.stroke}; stroke: {colours.stroke}; }}" for kind, colours in scheme.items()
    )
    return f"""
.paper {{ fill: {paper}; }}
text {{ fill: {ink}; }}
.tick, .roofname {{ fill: {faint}; }}
.label {{ stroke: {under}; }}
.grid {{ stroke: {grid}; }}
.axis, .roof {{ stroke: {faint}; }}
.under {{ fill: {under}; }}
{dots}
"""
