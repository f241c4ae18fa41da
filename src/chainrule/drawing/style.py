"""Fonts and colours of a picture, in light and in dark."""

from __future__ import annotations

from typing import NamedTuple

from chainrule.drawing.parts import HEAD_SIZE, LABEL_SIZE, LINE_SIZE, TITLE_SIZE, Kind


class Colours(NamedTuple):
    fill: str
    stroke: str


LIGHT: dict[Kind, Colours] = {
    "input": Colours("#dcebff", "#2a66c8"),
    "parameter": Colours("#ece5ff", "#7446d1"),
    "constant": Colours("#f1f2f4", "#7b8494"),
    "operation": Colours("#fbfcfe", "#566275"),
    "backward": Colours("#ffeada", "#cf5a12"),
    "output": Colours("#d9f5e2", "#19884a"),
}
DARK: dict[Kind, Colours] = {
    "input": Colours("#16294a", "#6ba4ff"),
    "parameter": Colours("#2a1e4c", "#a98bf5"),
    "constant": Colours("#23272f", "#7f8998"),
    "operation": Colours("#1b212b", "#98a5b8"),
    "backward": Colours("#3b2013", "#f59355"),
    "output": Colours("#11321f", "#4fcb82"),
}

FONTS = 'ui-monospace, "SF Mono", Menlo, Consolas, "DejaVu Sans Mono", monospace'
SHAPES = f"""
text {{ font: {LINE_SIZE}px {FONTS}; text-anchor: middle; white-space: pre; }}
.head {{ font-size: {HEAD_SIZE}px; font-weight: 600; }}
.title {{ font-size: {TITLE_SIZE}px; font-weight: 600; }}
.entry {{ text-anchor: start; }}
.label {{ font-size: {LABEL_SIZE}px; stroke-width: 4; paint-order: stroke; stroke-linejoin: round; }}
rect {{ stroke-width: 1.25; }}
.constant rect {{ stroke-dasharray: 4 3; }}
.output rect {{ stroke-width: 2.25; }}
.line {{ fill: none; stroke-width: 1.25; }}
.kept .line {{ stroke-dasharray: 5 3.5; }}
.graph .kept .line {{ stroke-dashoffset: 2.5; }}
.box:hover rect, .arrow:hover .line {{ stroke-width: 2.75; }}
"""


def style_sheet() -> str:
    """Fonts and colours, light and dark, scoped to this picture so that they leave the rest of a page alone."""
    light, dark = scheme(LIGHT, "#ffffff", "#1c2330", "#525d6e"), scheme(DARK, "#12161d", "#e6eaf0", "#a3adbb")
    return f"{scoped(SHAPES)}\n{scoped(light)}\n@media (prefers-color-scheme: dark) {{\n{scoped(dark)}\n}}\n"


def scheme(colours: dict[Kind, Colours], paper: str, ink: str, faint: str) -> str:
    """The rules that colour a picture."""
    forward, backward = colours["operation"].stroke, colours["backward"].stroke
    boxes = "\n".join(f".{kind} rect {{ fill: {fill}; stroke: {stroke}; }}" for kind, (fill, stroke) in colours.items())
    return f"""
.paper {{ fill: {paper}; stroke: none; }}
text {{ fill: {ink}; }}
.detail, .label, .entry {{ fill: {faint}; }}
.label {{ stroke: {paper}; }}
.line {{ stroke: {forward}; }}
.tip {{ fill: {forward}; }}
.kept .line, .gradient .line {{ stroke: {backward}; }}
.kept .tip, .gradient .tip {{ fill: {backward}; }}
{boxes}
"""


def scoped(rules: str, name: str = "chainrule-drawing") -> str:
    """The same rules, one a line, for what is inside a picture of this class only."""
    split = (rule.split("{", 1) for rule in rules.strip().splitlines())
    return "\n".join(
        ", ".join(f".{name} {selector.strip()}" for selector in selectors.split(",")) + " {" + declarations
        for selectors, declarations in split
    )
