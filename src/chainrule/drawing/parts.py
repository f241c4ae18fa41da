"""What a picture is made of, and how much room text takes."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

from chainrule.errors import DefinitionError

Kind: TypeAlias = Literal["input", "parameter", "constant", "operation", "backward", "output"]
"""What a box stands for; it decides the colours."""

KINDS: tuple[Kind, ...] = get_args(Kind)

Point: TypeAlias = tuple[float, float]
Size: TypeAlias = tuple[float, float]

# Sizes in pixels. A column is the width of one character of a monospace font as a share of the font's size: 0.60 in
# most, a little more here so that text stays within its box in any of them.
COLUMN = 0.62
HEAD_SIZE, LINE_SIZE, LABEL_SIZE, TITLE_SIZE = 13, 11, 10.5, 15
HEAD_HEIGHT, LINE_HEIGHT, LABEL_HEIGHT = 18, 15, 15
PADDING_X, PADDING_Y = 14, 8
MIN_WIDTH = 44
MAX_COLUMNS = 48  # a longer line is cut; the tooltip has all of it


@dataclass(frozen=True, slots=True)
class Box:
    """One node of a picture.

    `id` is what arrows refer to. The first of `lines` is the heading (without lines, the id is), the others stand below
    it in small print. Where the pointer rests, all lines are shown in full, and `tooltip` below them.
    """

    id: str
    lines: Sequence[str] = ()
    kind: Kind = "operation"
    tooltip: str = ""

    @property
    def text(self) -> Sequence[str]:
        """The lines, or the id where there are none."""
        return self.lines or (self.id,)


@dataclass(frozen=True, slots=True)
class Arrow:
    """One edge of a picture, from the box `source` to the box `target`; several may join the same two boxes.

    `kept` marks a value of the forward pass that the backward pass needs: a dashed line.
    """

    source: str
    target: str
    label: str = ""
    kept: bool = False


def verify(boxes: list[Box], arrows: list[Arrow]) -> None:
    """Raise `DefinitionError` where boxes share an id, a kind is unknown or an arrow leads to no box."""
    seen: set[str] = set()
    for box in boxes:
        if box.id in seen:
            raise DefinitionError(f"two boxes have the id {box.id!r}")
        if box.kind not in KINDS:
            raise DefinitionError(f"box {box.id!r}: unknown kind {box.kind!r}; known are {', '.join(KINDS)}")
        seen.add(box.id)
    for arrow in arrows:
        for end in (arrow.source, arrow.target):
            if end not in seen:
                raise DefinitionError(f"the arrow from {arrow.source!r} to {arrow.target!r}: there is no box {end!r}")


def size_of(box: Box) -> Size:
    """Width and height that hold the lines of a box."""
    head, *rest = [shorten(line) for line in box.text]
    width = max([text_width(head, HEAD_SIZE), *(text_width(line, LINE_SIZE) for line in rest)])
    return max(width + 2 * PADDING_X, MIN_WIDTH), HEAD_HEIGHT + LINE_HEIGHT * len(rest) + 2 * PADDING_Y


def shorten(line: str) -> str:
    """The line cut to `MAX_COLUMNS`, which a mark at its end tells."""
    if columns(line) <= MAX_COLUMNS:
        return line
    kept = [char for position, char in enumerate(line[:MAX_COLUMNS]) if columns(line[: position + 1]) < MAX_COLUMNS]
    return "".join(kept) + "…"


def columns(line: str) -> int:
    """How many columns a line takes in a monospace font: East Asian characters and pictographs take two."""
    return sum(2 if unicodedata.east_asian_width(char) in "WF" else 1 for char in line)


def text_width(line: str, size: float) -> float:
    return columns(line) * size * COLUMN
