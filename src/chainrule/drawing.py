"""Pictures of directed graphs: boxes and arrows in, one self-contained SVG out.

The layout is Graphviz's `dot` (Gansner, Koutsofios, North and Vo 1993, *A Technique for Drawing Directed Graphs*), the
standard of layered drawing: no other library routes curves round boxes and labels as well. It comes through PyGraphviz,
which is permissively licensed (BSD-3-Clause), long and actively kept, and whose wheels for Linux, macOS and Windows carry
Graphviz with them and call it in process, so that nothing has to be installed on the system.

Only positions come from Graphviz. Sizes are reckoned here from the number of characters, so that a picture is the same
on every machine whatever fonts it has, and the SVG is written here: readable in light and in dark, with tooltips, a
legend and a description for screen readers. Nothing in this module knows about tensors.
"""

from __future__ import annotations

import importlib
import threading
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, TypeAlias, get_args
from xml.sax.saxutils import escape, quoteattr

from chainrule.errors import ChainruleError, DefinitionError

__all__ = ["Arrow", "Box", "Kind", "draw"]

Kind: TypeAlias = Literal["input", "parameter", "constant", "operation", "backward", "output"]
"""What a box stands for; it decides the colours."""

MAX_BOXES = 5_000  # more could exhaust Graphviz's stack, and no eye finds anything among them
QUICK_FROM = 400  # boxes and arrows from which the layout trades a little beauty for a lot of time

MISSING = 'drawing needs PyGraphviz, an optional part. Install it with:  pip install "chainrule[draw]"'

# Sizes in pixels. A column is the width of one character of a monospace font as a share of the font's size: 0.60 in
# most, a little more here so that text stays within its box in any of them.
COLUMN = 0.62
HEAD_SIZE, LINE_SIZE, LABEL_SIZE, TITLE_SIZE = 13, 11, 10.5, 15
HEAD_HEIGHT, LINE_HEIGHT, LABEL_HEIGHT = 18, 15, 15
PADDING_X, PADDING_Y = 14, 8
MARGIN = 20
LEGEND_HEIGHT, LEGEND_SWATCH, LEGEND_GAP = 20, 14, 18
MAX_COLUMNS = 48  # a longer line is cut; the tooltip has all of it


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

STYLE = """
{root} {{ font-family: ui-monospace, "SF Mono", Menlo, Consolas, "DejaVu Sans Mono", monospace; }}
{root} text {{ fill: {text}; font-size: {line}px; white-space: pre; }}
{root} .head {{ font-size: {head}px; font-weight: 600; }}
{root} .title {{ font-size: {title}px; font-weight: 600; }}
{root} .detail, {root} .label, {root} .legend text {{ fill: {muted}; }}
{root} .label {{ font-size: {label}px; stroke: {paper}; stroke-width: 4; paint-order: stroke; stroke-linejoin: round; }}
{root} .paper {{ fill: {paper}; }}
{root} .box rect, {root} .legend rect {{ stroke-width: 1.25; }}
{root} .constant rect {{ stroke-dasharray: 4 3; }}
{root} .output rect {{ stroke-width: 2.25; }}
{root} .arrow .line {{ fill: none; stroke-width: 1.25; }}
{root} .kept .line {{ stroke-dasharray: 5 3.5; }}
{root} .arrow:hover .line, {root} .box:hover rect {{ stroke-width: 2.75; }}
"""
SCHEME = """
{root} text {{ fill: {text}; }}
{root} .detail, {root} .label, {root} .legend text {{ fill: {muted}; }}
{root} .label {{ stroke: {paper}; }}
{root} .paper {{ fill: {paper}; }}
"""


@dataclass(frozen=True, slots=True)
class Box:
    """One node of a picture.

    `id` is what arrows refer to. The first of `lines` is the heading, the others stand below it in small print.
    `tooltip` is added to the lines where the pointer rests.
    """

    id: str
    lines: Sequence[str]
    kind: Kind = "operation"
    tooltip: str = ""


@dataclass(frozen=True, slots=True)
class Arrow:
    """One edge of a picture, from the box `source` to the box `target`; several may join the same two boxes."""

    source: str
    target: str
    label: str = ""


Point: TypeAlias = tuple[float, float]


class Placed(NamedTuple):
    """Where `dot` put everything, in pixels from the top left corner."""

    width: float
    height: float
    boxes: list[Point]  # centres
    curves: list[list[Point]]  # the tip of the arrow, then the control points of cubic Bézier curves
    labels: list[Point | None]


def draw(
    boxes: Iterable[Box], arrows: Iterable[Arrow], *, title: str = "", direction: Literal["down", "right"] = "down"
) -> str:
    """The picture of a directed graph as the text of an SVG document.

    Boxes stand in layers, so that arrows point `direction` wherever the graph has no circle. An arrow that leads from
    the forward pass into a box of kind `"backward"` is dashed: a value kept for the backward pass. The document stands
    alone (no scripts, no files beside it), may be placed within an HTML page, and follows the reader's light or dark
    colour scheme.

        >>> picture = draw(
        ...     [Box("x", ["x", "f32[3]"], "input"), Box("y", ["tanh", "f32[3]"])],
        ...     [Arrow("x", "y")],
        ...     title="y = tanh(x)",
        ... )
        >>> picture.startswith("<svg"), "tanh" in picture
        (True, True)

    Raises `DefinitionError` where two boxes share an id, an arrow leads to no box or a kind is unknown, and
    `ChainruleError` where the extra `draw` is not installed or the graph has more than 5,000 boxes.
    """
    boxes, arrows = list(boxes), list(arrows)
    verify(boxes, arrows)
    sizes = [box_size(box) for box in boxes]
    placed = layout(boxes, arrows, sizes, direction)
    kinds = {box.id: box.kind for box in boxes}

    heading = MARGIN + TITLE_SIZE if title else 0
    shown = [kind for kind in get_args(Kind) if kind in kinds.values()]
    passes = {arrow_pass(kinds[arrow.source], kinds[arrow.target]) for arrow in arrows}
    legend, legend_width, legend_height = draw_legend(shown, max(placed.width, 320), kept="kept" in passes)

    width = max(placed.width, legend_width, text_width(title, TITLE_SIZE)) + 2 * MARGIN
    height = heading + placed.height + 2 * MARGIN + legend_height
    left = (width - placed.width) / 2
    summary = f"A directed graph of {counted(len(boxes), 'box', 'boxes')} and {counted(len(arrows), 'arrow', 'arrows')}."

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" class="chainrule-drawing" role="graphics-document" '
        f'viewBox="0 0 {number(width)} {number(height)}" width="{number(width)}" height="{number(height)}">',
        f"<title>{clean(title) or 'graph'}</title>",
        f"<desc>{summary}</desc>",
        f"<style>{style_sheet()}</style>",
        '<rect class="paper" width="100%" height="100%"/>',
    ]
    if title:
        parts.append(f'<text class="title" x="{MARGIN}" y="{MARGIN + TITLE_SIZE - 3}">{clean(title)}</text>')
    parts.append(f'<g transform="translate({number(left)} {number(MARGIN + heading)})">')
    for arrow, curve, label in zip(arrows, placed.curves, placed.labels, strict=True):
        parts.append(draw_arrow(arrow, curve, label, arrow_pass(kinds[arrow.source], kinds[arrow.target])))
    for box, centre, size in zip(boxes, placed.boxes, sizes, strict=True):
        parts.append(draw_box(box, centre, size))
    if not boxes:
        parts.append(f'<text class="detail" x="0" y="{LINE_SIZE}">an empty graph</text>')
    parts.append("</g>")
    parts.append(f'<g class="legend" transform="translate({MARGIN} {number(height - legend_height - 6)})">{legend}</g>')
    parts.append("</svg>")
    return "\n".join(parts) + "\n"


def verify(boxes: list[Box], arrows: list[Arrow]) -> None:
    """Raise where the description of a graph is not one."""
    if len(boxes) > MAX_BOXES:
        raise ChainruleError(f"a graph of {len(boxes):,} boxes is too large to draw (at most {MAX_BOXES:,}): draw a part")
    seen: set[str] = set()
    for box in boxes:
        if box.id in seen:
            raise DefinitionError(f"two boxes have the id {box.id!r}")
        if box.kind not in get_args(Kind):
            raise DefinitionError(f"box {box.id!r}: unknown kind {box.kind!r}; known are {', '.join(get_args(Kind))}")
        seen.add(box.id)
    for arrow in arrows:
        for end in (arrow.source, arrow.target):
            if end not in seen:
                raise DefinitionError(f"the arrow from {arrow.source!r} to {arrow.target!r}: there is no box {end!r}")
