"""Pictures: what is said is drawn, nothing overlaps, nothing leaves the paper."""

from __future__ import annotations

import itertools
import random
import re
import sys
import xml.etree.ElementTree as ElementTree
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chainrule.drawing import Arrow, Box, Kind, draw
from chainrule.drawing.layout import MAX_BOXES
from chainrule.drawing.parts import COLUMN, HEAD_SIZE, KINDS, LINE_SIZE, MAX_COLUMNS, columns
from chainrule.drawing.style import DARK, LIGHT
from chainrule.errors import ChainruleError, DefinitionError

SVG = "{http://www.w3.org/2000/svg}"

STEP = (
    [
        Box("x", ["x", "f32[32, 784]"], "input"),
        Box("w", ["model.0.weight", "f32[512, 784]"], "parameter"),
        Box("one", ["1.0"], "constant"),
        Box("mm", ["matmul", "f32[32, 512]", "train.py:12  h = x @ w"], tooltip="25.7 MFLOP"),
        Box("loss", ["mean", "f32[]"], "output"),
        Box("dmm", ["broadcast_to", "f32[32, 512]"], "backward"),
        Box("dw", ["matmul", "f32[512, 784]"], "backward"),
    ],
    [
        Arrow("x", "mm", "left"),
        Arrow("w", "mm", "right"),
        Arrow("mm", "loss"),
        Arrow("one", "dmm"),
        Arrow("dmm", "dw"),
        Arrow("x", "dw", kept=True),
    ],
)


class Rect(NamedTuple):
    left: float
    top: float
    right: float
    bottom: float


def parse(picture: str) -> ElementTree.Element:
    return ElementTree.fromstring(picture)


def of_class(root: ElementTree.Element, name: str) -> list[ElementTree.Element]:
    return [element for element in root.iter() if name in element.get("class", "").split()]


def rect(element: ElementTree.Element) -> Rect:
    x, y, width, height = (float(element.get(name, "")) for name in ("x", "y", "width", "height"))
    return Rect(x, y, x + width, y + height)


def boxes_of(root: ElementTree.Element) -> dict[str, Rect]:
    """Where each box is drawn, by its id."""
    return {group.get("data-id", ""): rect(next(group.iter(f"{SVG}rect"))) for group in of_class(root, "box")}


def texts(element: ElementTree.Element) -> list[str]:
    return [text.text or "" for text in element.iter(f"{SVG}text")]


def random_graph(count: int, seed: int) -> tuple[list[Box], list[Arrow]]:
    """A graph as training steps have it: mostly chains, some values used again much later."""
    draws = random.Random(seed)
    boxes = [Box(f"%{n}", [f"op{n}", "f32[32, 32]"], draws.choice(KINDS)) for n in range(count)]
    arrows = [Arrow(f"%{max(n - draws.choice((1, 1, 2, 3)), 0)}", f"%{n}") for n in range(1, count)]
    arrows += [Arrow(f"%{draws.randrange(n)}", f"%{n}", kept=True) for n in range(1, count, 5)]
    return boxes, arrows


def assert_well_laid_out(picture: str) -> None:
    root = parse(picture)
    _, _, width, height = (float(part) for part in root.get("viewBox", "").split())
    (graph,) = of_class(root, "graph")
    found = re.fullmatch(r"translate\((\S+) (\S+)\)", graph.get("transform", ""))
    assert found
    dx, dy = float(found[1]), float(found[2])
    places = boxes_of(root)
    for place in places.values():
        assert place.left + dx >= 0
        assert place.top + dy >= 0
        assert place.right + dx <= width
        assert place.bottom + dy <= height
    for (one, a), (other, b) in itertools.combinations(places.items(), 2):
        apart = a.right <= b.left or b.right <= a.left or a.bottom <= b.top or b.bottom <= a.top
        assert apart, f"{one} and {other} overlap"


def test_everything_said_is_drawn() -> None:
    root = parse(draw(*STEP, title="one step"))
    boxes, arrows = STEP
    assert list(boxes_of(root)) == [box.id for box in boxes]
    for box, group in zip(boxes, of_class(root, "box"), strict=True):
        assert texts(group) == list(box.lines)
        assert box.kind in group.get("class", "").split()
    assert len(of_class(root, "arrow")) == len(arrows) + 1  # one in the legend
    assert [element.text for element in of_class(root, "label")] == ["left", "right"]
    assert [element.text for element in of_class(root, "title")] == ["one step"]


@pytest.mark.parametrize("direction", ["down", "right"])
def test_boxes_neither_overlap_nor_leave_the_paper(direction: str) -> None:
    assert_well_laid_out(draw(*STEP, title="one step", direction="right" if direction == "right" else "down"))


def test_arrows_point_down_or_right() -> None:
    boxes, arrows = [Box("a"), Box("b"), Box("c")], [Arrow("a", "b"), Arrow("b", "c"), Arrow("a", "c")]
    down, right = (boxes_of(parse(draw(boxes, arrows, direction=way))) for way in ("down", "right"))
    for arrow in arrows:
        assert down[arrow.source].bottom < down[arrow.target].top
        assert right[arrow.source].right < right[arrow.target].left


def test_an_arrow_runs_from_box_to_box() -> None:
    root = parse(draw([Box("a"), Box("b")], [Arrow("a", "b")]))
    places = boxes_of(root)
    line, tip = (element.get("d", "") for name in ("line", "tip") for element in of_class(root, name))
    start_x, start_y = (float(part) for part in re.findall(r"-?[\d.]+", line)[:2])
    tip_x, tip_y = (float(part) for part in re.findall(r"-?[\d.]+", tip)[:2])
    assert places["a"].left < start_x < places["a"].right
    assert places["a"].top < start_y < places["a"].bottom
    assert places["b"].left < tip_x < places["b"].right
    assert tip_y == pytest.approx(places["b"].top, abs=1)


def test_text_fits_its_box() -> None:
    boxes = [
        Box("wide", ["W" * 30, "M" * 46]),
        Box("long", ["x" * 200, "one word " * 40]),
        Box("broad", ["誤差逆伝播法" * 9, "勾配"]),
        Box("short", ["i"]),
    ]
    root = parse(draw(boxes, []))
    places = boxes_of(root)
    for group in of_class(root, "box"):
        place = places[group.get("data-id", "")]
        for position, line in enumerate(texts(group)):
            size = LINE_SIZE if position else HEAD_SIZE
            assert columns(line) <= MAX_COLUMNS
            assert columns(line) * size * COLUMN < place.right - place.left


def test_a_long_line_is_cut_and_shown_in_full_in_the_tooltip() -> None:
    line = "train.py:12  " + "h + " * 50
    (group,) = of_class(parse(draw([Box("a", ["add", line], tooltip="12 FLOP")], [])), "box")
    assert texts(group)[1].endswith("…")
    assert group.findtext(f"{SVG}title") == f"add\n{line}\n12 FLOP"


def test_a_tooltip_tells_what_an_arrow_joins() -> None:
    root = parse(draw(*STEP))
    tooltips = [element.findtext(f"{SVG}title") for element in of_class(root, "arrow")]
    assert "x → matmul\nleft" in tooltips
    assert "x → matmul\nkept for the backward pass" in tooltips


def test_markup_in_texts_is_escaped() -> None:
    nasty = '<script>&amp; "it\'s" ]]>'
    picture = draw(
        [Box(nasty, [nasty, nasty], tooltip=nasty), Box("b")], [Arrow(nasty, "b", nasty, kept=True)], title=nasty
    )
    assert "<script>" not in picture
    root = parse(picture)
    assert nasty in boxes_of(root)
    assert [element.text for name in ("title", "head", "detail", "label") for element in of_class(root, name)] == [
        nasty,
        nasty,
        "b",
        nasty,
        nasty,
    ]


@given(
    lines=st.lists(st.lists(st.text(max_size=70), max_size=3), min_size=1, max_size=6),
    label=st.text(max_size=70),
    kind=st.sampled_from(KINDS),
)
@settings(max_examples=50)
def test_any_text_gives_a_well_formed_picture(lines: list[list[str]], label: str, kind: Kind) -> None:
    boxes = [Box(f"{position}", line, kind, tooltip=label) for position, line in enumerate(lines)]
    picture = draw(boxes, [Arrow("0", box.id, label) for box in boxes], title=label)
    picture.encode()
    assert_well_laid_out(picture)


def test_what_xml_forbids_is_replaced_and_line_breaks_become_spaces() -> None:
    (group,) = of_class(
        parse(draw([Box("a", ["one\ntwo\tthree", "bell \x07 \ud800 \uffff"], tooltip="p\nq")], [])), "box"
    )
    assert texts(group) == ["one two three", "bell \ufffd \ufffd \ufffd"]
    assert group.findtext(f"{SVG}title") == "one\ntwo\tthree\nbell \ufffd \ufffd \ufffd\np\nq".replace("\t", " ")


def test_a_box_without_lines_shows_its_id() -> None:
    assert texts(parse(draw([Box("hidden")], []))) == ["", "hidden"]


def test_an_empty_graph_says_so() -> None:
    root = parse(draw([], []))
    assert texts(root) == ["an empty graph"]
    assert root.findtext(f"{SVG}desc") == "0 boxes, 0 arrows"


def test_circles_loops_and_parallel_arrows_are_drawn() -> None:
    arrows = [Arrow("a", "b"), Arrow("a", "b", "again"), Arrow("b", "a"), Arrow("a", "a", "self")]
    picture = draw([Box("a"), Box("b"), Box("alone")], arrows)
    assert_well_laid_out(picture)
    assert len(of_class(parse(picture), "arrow")) == len(arrows)


@pytest.mark.parametrize("count", [300, 500, 900])
def test_a_large_graph_is_well_laid_out(count: int) -> None:
    assert_well_laid_out(draw(*random_graph(count, seed=count)))


def test_a_legend_names_the_kinds_that_occur() -> None:
    (legend,) = of_class(parse(draw(*STEP)), "legend")
    assert texts(legend) == [*KINDS, "kept for the backward pass"]
    (legend,) = of_class(parse(draw([Box("a"), Box("b")], [Arrow("a", "b")])), "legend")
    assert texts(legend) == []


def test_an_arrow_tells_what_flows_along_it() -> None:
    flows = [element.get("class") for element in of_class(parse(draw(*STEP)), "arrow")]
    assert flows[:6] == ["arrow value"] * 4 + ["arrow gradient", "arrow kept"]


def test_a_picture_is_described_for_screen_readers() -> None:
    root = parse(draw(*STEP, title="one step"))
    assert root.get("role") == "graphics-document"
    assert root.findtext(f"{SVG}title") == "one step"
    assert root.findtext(f"{SVG}desc") == "7 boxes, 6 arrows"


def contrast(one: str, other: str) -> float:
    """The contrast ratio of two colours by the Web Content Accessibility Guidelines 2.2."""

    def luminance(colour: str) -> float:
        channels = (int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5))
        red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels)
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue

    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def test_text_and_outlines_can_be_read_in_light_and_in_dark() -> None:
    for colours, paper, inks in (
        (LIGHT, "#ffffff", ("#1c2330", "#525d6e")),
        (DARK, "#12161d", ("#e6eaf0", "#a3adbb")),
    ):
        picture = draw([], [])
        assert all(colour in picture for colour in (paper, *inks))
        for fill, stroke in colours.values():
            assert all(contrast(ink, fill) >= 4.5 for ink in inks)
            assert contrast(stroke, paper) >= 3
            assert contrast(stroke, fill) >= 3


def test_styles_stay_within_the_picture() -> None:
    style = parse(draw(*STEP)).findtext(f"{SVG}style") or ""
    rules = [line for line in style.splitlines() if line.strip() not in ("", "}") and not line.startswith("@media")]
    for rule in rules:
        assert all(selector.strip().startswith(".chainrule-drawing ") for selector in rule.split("{")[0].split(","))


def test_the_same_graph_gives_the_same_picture_also_from_many_threads() -> None:
    graph = random_graph(40, seed=1)
    with ThreadPoolExecutor(4) as pool:
        pictures = list(pool.map(lambda _: draw(*graph), range(8)))
    assert set(pictures) == {draw(*graph)}


def test_nothing_is_printed(capfd: pytest.CaptureFixture[str]) -> None:
    draw(*STEP)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("boxes", "arrows", "message"),
    [
        ([Box("a"), Box("a")], [], "two boxes have the id 'a'"),
        ([Box("a")], [Arrow("a", "b")], "the arrow from 'a' to 'b': there is no box 'b'"),
        ([Box("a")], [Arrow("b", "a")], "the arrow from 'b' to 'a': there is no box 'b'"),
        ([Box("a", kind="gate")], [], "box 'a': unknown kind 'gate'; known are input, parameter, constant, operation"),  # type: ignore[arg-type]
    ],
)
def test_a_graph_that_is_none_is_refused(boxes: list[Box], arrows: list[Arrow], message: str) -> None:
    with pytest.raises(DefinitionError, match=re.escape(message)):
        draw(boxes, arrows)


def test_a_graph_too_large_to_see_is_refused() -> None:
    with pytest.raises(ChainruleError, match=r"a graph of 2,001 boxes is too large to draw \(at most 2,000\)"):
        draw([Box(f"{position}") for position in range(MAX_BOXES + 1)], [])


def test_without_the_extra_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pygraphviz", None)
    with pytest.raises(ChainruleError, match=r'pip install "chainrule\[draw\]"'):
        draw([Box("a")], [])
