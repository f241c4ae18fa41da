"""The SVG: a layout in, text out."""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Iterable, Sequence
from html import escape

from chainrule.drawing.layout import Direction, Route, layout
from chainrule.drawing.parts import (
    HEAD_HEIGHT,
    KINDS,
    LABEL_SIZE,
    LINE_HEIGHT,
    LINE_SIZE,
    PADDING_Y,
    TITLE_SIZE,
    Arrow,
    Box,
    Point,
    Size,
    shorten,
    size_of,
    text_width,
    verify,
)
from chainrule.drawing.style import style_sheet

MARGIN = 20
TITLE_HEIGHT = 32
UNDER = 6  # how far an arrow begins below its box, so that no gap shows at a round corner
LEGEND_WIDTH, LEGEND_HEIGHT, SWATCH_WIDTH, SWATCH_HEIGHT, LEGEND_GAP = 320, 22, 22, 12, 16

KEPT = "kept for the backward pass"


def draw(boxes: Iterable[Box], arrows: Iterable[Arrow], *, title: str = "", direction: Direction = "down") -> str:
    """The picture of a directed graph as the text of an SVG document.

    Boxes stand in layers, so that arrows point `direction` wherever the graph has no circle. The document stands alone
    (no scripts, no files beside it), may be placed within an HTML page, and follows the reader's light or dark colours.

        >>> picture = draw(
        ...     [Box("x", ["x", "f32[3]"], "input"), Box("y", ["tanh", "f32[3]"])],
        ...     [Arrow("x", "y")],
        ...     title="y = tanh(x)",
        ... )
        >>> picture.startswith("<svg"), "tanh" in picture
        (True, True)

    Raises `DefinitionError` where two boxes share an id, an arrow leads to no box or a kind is unknown, and
    `ChainruleError` where the extra `draw` is not installed or the graph has more than 2,000 boxes.
    """
    boxes, arrows = list(boxes), list(arrows)
    verify(boxes, arrows)
    sizes = [size_of(box) for box in boxes]
    placed = layout(boxes, arrows, sizes, direction)
    by_id = {box.id: box for box in boxes}
    content = [
        draw_arrow(arrow, by_id[arrow.source], by_id[arrow.target], route)
        for arrow, route in zip(arrows, placed.routes, strict=True)
    ]
    content += [draw_box(*each) for each in zip(boxes, placed.centres, sizes, strict=True)]
    legend, (legend_width, legend_height) = draw_legend(boxes, arrows, max(placed.width, LEGEND_WIDTH))
    heading = title or ("" if boxes else "an empty graph")

    top = MARGIN + (TITLE_HEIGHT if heading else 0)
    width = max(placed.width, legend_width, text_width(heading, TITLE_SIZE)) + 2 * MARGIN
    height = top + placed.height + MARGIN + legend_height
    return "\n".join(
        [
            '<svg xmlns="http://www.w3.org/2000/svg" class="chainrule-drawing" role="graphics-document" '
            f'viewBox="0 0 {number(width)} {number(height)}" width="{number(width)}" height="{number(height)}">',
            f"<title>{clean(heading) or 'a directed graph'}</title>",
            f"<desc>{counted(boxes, 'box', 'boxes')}, {counted(arrows, 'arrow', 'arrows')}</desc>",
            f"<style>{style_sheet()}</style>",
            '<rect class="paper" width="100%" height="100%"/>',
            text(heading, "title", width / 2, MARGIN + TITLE_SIZE - 4),
            group("graph", (width - placed.width) / 2, top, content),
            group("legend", (width - legend_width) / 2, height - legend_height, legend),
            "</svg>\n",
        ]
    )


def draw_box(box: Box, centre: Point, size: Size) -> str:
    """A box with its text: round where a value comes in from outside, nearly square where one is computed."""
    (x, y), (width, height) = centre, size
    left, top = x - width / 2, y - height / 2
    radius = 14 if box.kind in ("input", "constant", "parameter") else 6
    baseline = top + PADDING_Y + HEAD_HEIGHT - 5
    parts = [
        f'<g class="box {box.kind}" data-id="{clean(box.id)}">',
        f"<title>{tooltip(*box.text, box.tooltip)}</title>",
        f'<rect x="{number(left)}" y="{number(top)}" width="{number(width)}" height="{number(height)}" rx="{radius}"/>',
    ]
    for position, line in enumerate(box.text):
        parts.append(text(shorten(line), "detail" if position else "head", x, baseline + LINE_HEIGHT * position))
    return "".join([*parts, "</g>"])


def draw_arrow(arrow: Arrow, source: Box, target: Box, route: Route) -> str:
    """An arrow, coloured by what flows along it: a value, a gradient, or a value kept for the backward pass."""
    flow = "kept" if arrow.kept else "gradient" if source.kind == "backward" else "value"
    curve, tip, label = route
    (x, y), (x1, y1), *_ = curve
    reach = UNDER / (math.dist(curve[0], curve[1]) or 1)
    begin = (x - (x1 - x) * reach, y - (y1 - y) * reach)
    base = curve[-1]
    across, along = (tip[1] - base[1]) * 0.42, (tip[0] - base[0]) * 0.42
    head = [tip, (base[0] - across, base[1] + along), (base[0] + across, base[1] - along)]
    parts = [
        f'<g class="arrow {flow}">',
        f"<title>{tooltip(f'{source.text[0]} → {target.text[0]}', arrow.label, KEPT if arrow.kept else '')}</title>",
        f'<path class="line" d="M{path([begin])}L{path(curve[:1])}C{path(curve[1:])}"/>',
        f'<path class="tip" d="M{path(head)}Z"/>',
    ]
    if label:
        parts.append(text(shorten(arrow.label), "label", label[0], label[1] + LABEL_SIZE * 0.35))
    return "".join([*parts, "</g>"])


def draw_legend(boxes: list[Box], arrows: list[Arrow], width: float) -> tuple[list[str], Size]:
    """What the colours mean, in rows of at most `width`, and the legend's own size; nothing where there is one kind."""
    kinds = {box.kind for box in boxes}
    entries: list[str] = [kind for kind in KINDS if kind in kinds]
    if any(arrow.kept for arrow in arrows):
        entries.append(KEPT)
    if len(entries) < 2:
        return [], (0, 0)
    parts: list[str] = []
    x, row, widest = 0.0, 0, 0.0
    for entry in entries:
        needed = SWATCH_WIDTH + 6 + text_width(entry, LINE_SIZE)
        if x and x + needed > width:
            x, row = 0.0, row + 1
        y = row * LEGEND_HEIGHT
        if entry == KEPT:
            middle = y + SWATCH_HEIGHT / 2
            swatch = f'<g class="arrow kept"><path class="line" d="M{number(x)} {middle}h{SWATCH_WIDTH}"/></g>'
        else:
            size = f'width="{SWATCH_WIDTH}" height="{SWATCH_HEIGHT}" rx="4"'
            swatch = f'<g class="{entry}"><rect x="{number(x)}" y="{y}" {size}/></g>'
        parts.append(swatch + text(entry, "entry", x + SWATCH_WIDTH + 6, y + SWATCH_HEIGHT - 2))
        widest = max(widest, x + needed)
        x += needed + LEGEND_GAP
    return parts, (widest, (row + 1) * LEGEND_HEIGHT + 8)


def group(name: str, x: float, y: float, content: list[str]) -> str:
    return "\n".join([f'<g class="{name}" transform="translate({number(x)} {number(y)})">', *content, "</g>"])


def text(line: str, name: str, x: float, y: float) -> str:
    return f'<text class="{name}" x="{number(x)}" y="{number(y)}">{clean(line)}</text>'


def tooltip(*texts: str) -> str:
    return "\n".join(clean(line) for text in texts for line in text.splitlines() if line)


def clean(line: str) -> str:
    """Text as XML holds it."""
    return escape(legal(line))


def legal(line: str) -> str:
    """The line with spaces for line breaks and tabs, and the replacement character for what XML forbids."""
    return "".join(" " if char.isspace() else char if is_legal(char) else "\ufffd" for char in line)


def is_legal(char: str) -> bool:
    return unicodedata.category(char) not in ("Cc", "Cs", "Cn")


def path(points: list[Point]) -> str:
    return " ".join(f"{number(x)} {number(y)}" for x, y in points)


def number(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")


def counted(things: Sequence[object], one: str, many: str) -> str:
    return f"{len(things)} {one if len(things) == 1 else many}"
