"""Where boxes and arrows go: the one place that speaks with Graphviz."""

from __future__ import annotations

import importlib
import math
import threading
from contextlib import closing
from typing import Any, Literal, NamedTuple, TypeAlias

from chainrule.drawing.parts import LABEL_HEIGHT, LABEL_SIZE, Arrow, Box, Point, Size, shorten, text_width
from chainrule.errors import ChainruleError

Direction: TypeAlias = Literal["down", "right"]

MISSING = 'drawing needs PyGraphviz, an optional part. Install it with:  pip install "chainrule[draw]"'
MAX_BOXES = 2_000  # more takes minutes, in the end exhausts Graphviz's stack, and no eye finds anything among them
# Up to so many boxes and arrows, these limits: a large graph trades some beauty for a lot of time. Fewer rounds of
# improvement first, then straight arrows too, since routing curves is what takes longest.
EFFORT: tuple[tuple[float, dict[str, str]], ...] = (
    (400, {}),
    (1_500, {"nslimit": "2", "mclimit": "0.5"}),
    (math.inf, {"nslimit": "0.1", "nslimit1": "0.2", "mclimit": "0.05", "splines": "line"}),
)
POINTS = 72  # to the inch, in which Graphviz takes sizes
LOCK = threading.Lock()  # Graphviz keeps its state in globals: one layout at a time


class Route(NamedTuple):
    """The way of an arrow: the control points of a chain of cubic Bézier curves, its tip, the middle of its label."""

    curve: list[Point]
    tip: Point
    label: Point | None


class Placed(NamedTuple):
    """Where `dot` put everything, in pixels from the top left corner."""

    width: float
    height: float
    centres: list[Point]
    routes: list[Route]


def layout(boxes: list[Box], arrows: list[Arrow], sizes: list[Size], direction: Direction) -> Placed:
    """Let `dot` place boxes of the given sizes, and route the arrows between them."""
    if not boxes:
        return Placed(0, 0, [], [])
    if len(boxes) > MAX_BOXES:
        raise ChainruleError(
            f"a graph of {len(boxes):,} boxes is too large to draw (at most {MAX_BOXES:,}): draw a part of it"
        )
    try:
        pygraphviz = importlib.import_module("pygraphviz")
    except ImportError as error:
        raise ChainruleError(MISSING) from error
    names = {box.id: f"n{position}" for position, box in enumerate(boxes)}
    with LOCK, closing(pygraphviz.AGraph(strict=False, directed=True)) as graph:
        graph.graph_attr.update(rankdir="TB" if direction == "down" else "LR", nodesep="0.3", ranksep="0.42")
        graph.graph_attr.update(next(limits for most, limits in EFFORT if len(boxes) + len(arrows) <= most))
        graph.node_attr.update(shape="box", label="", fixedsize="true")
        graph.edge_attr.update(arrowsize="0.8")
        for name, (width, height) in zip(names.values(), sizes, strict=True):
            graph.add_node(name, width=width / POINTS, height=height / POINTS)
        for position, arrow in enumerate(arrows):
            graph.add_edge(names[arrow.source], names[arrow.target], key=position, label=label_space(arrow.label))
        graph.layout("dot")
        _, _, width, height = (float(part) for part in graph.graph_attr["bb"].split(","))
        routes = [
            route(graph.get_edge(names[arrow.source], names[arrow.target], key=position).attr, height)
            for position, arrow in enumerate(arrows)
        ]
        centres = [point(graph.get_node(name).attr["pos"], height) for name in names.values()]
        return Placed(width, height, centres, routes)


def label_space(label: str) -> str:
    """An empty table of the size of a label: `dot` keeps the place free, and needs no font to measure it."""
    if not label:
        return ""
    size = f'WIDTH="{text_width(shorten(label), LABEL_SIZE) + 8:.0f}" HEIGHT="{LABEL_HEIGHT}"'
    return f'<<TABLE BORDER="0" FIXEDSIZE="TRUE" {size}><TR><TD></TD></TR></TABLE>>'


def point(position: str, height: float) -> Point:
    """A point as Graphviz writes it, "x,y" with y upwards, as one with y downwards."""
    x, y = position.split(",")
    return float(x), height - float(y)


def route(attributes: Any, height: float) -> Route:
    """The way of an arrow from what Graphviz writes: "e,tip point point point ...", and "x,y" for the label."""
    end, *points = attributes["pos"].split()
    label = attributes["lp"]
    curve = [point(position, height) for position in points]
    return Route(curve, point(end.removeprefix("e,"), height), point(label, height) if label else None)
