from __future__ import annotations

import xml.etree.ElementTree as ET
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from chainrule.data import Table
from chainrule.training.charts import Series, line_chart, log_ticks, round_ticks, scatter_chart
from chainrule.training.history import History
from chainrule.training.report import report
from chainrule.training.runs import describe_run
from chainrule.training.settings import Settings
from chainrule.training.tabular import TableRun, train_table
from chainrule.training.wording import duration, ending, figure

NASTY = "<script>alert(\"x\")</script> & 'co'"
VOID = {"meta", "br", "hr", "img", "link"}


class Page(HTMLParser):
    """Checks that tags are balanced, and keeps text, attributes and titles."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.text = ""
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def make(target: str, classes: int = 2, **settings: Any) -> tuple[TableRun, str]:
    rng = np.random.default_rng(1)
    rows = 12 * classes
    columns = {
        "size": np.where(np.arange(rows) % 5, rng.normal(size=rows), np.nan),
        NASTY: [f"<b>{'abc'[i % 3]}</b>" for i in range(rows)],
        "rare": ["u", "v", "w", *(["y", "z"] * rows)[: rows - 3]],
        "fresh": rng.random(rows) > 0.5,
        "day": np.datetime64("2024-01-01") + rng.integers(0, 500, rows),
        "moment": np.datetime64("2024-01-01T00:00", "us") + rng.integers(0, 10**13, rows),
        "kind": [f"<i>{i % classes}</i>" for i in range(rows)],
        "price": rng.normal(size=rows),
    }
    table = Table.from_columns(columns, "data.csv")
    run = train_table(table, target, Settings(hidden=(3,), epochs=2, **settings))
    run.notices.append(f"a notice: {NASTY}")
    return run, report(run, describe_run(run, f"{NASTY}.csv"), Path("runs/my run"))


def test_a_page_for_classes_says_what_there_is_to_know() -> None:
    run, html = make("kind")
    page = Page(html)
    for words in (
        f"kind from {NASTY}.csv",
        "Training stopped in epoch 2: all 2 epochs were done",
        "always the most frequent",
        figure("accuracy", run.test["accuracy"]),
        figure("log loss", run.baseline["log loss"]),
        "Loss by epoch",
        "Accuracy by epoch",
        "Which classes are taken for which",
        f"a notice: {NASTY}",
        "chainrule predict 'runs/my run' new-rows.csv -o predictions.csv",
        "Linear(3, 2)",
        "numpy version",
        "seed",
        'one feature a value ("<b>a</b>", "<b>b</b>", "<b>c</b>"); missing: none of these',
        ", one more for ",
        "days, standardised, and month and weekday as angles; missing: the median day",
        "and month, weekday and hour as angles",
        "0 or 1; missing: the share",
        " and a feature that says so",
    ):
        assert words in page.text


def test_a_page_stands_alone_and_runs_nothing() -> None:
    _, html = make("kind")
    page = Page(html)
    assert "script" not in page.tags and "link" not in page.tags and "img" not in page.tags
    assert not {name for name, _ in page.attributes} & {"src", "href", "onload"}
    assert "http" not in html and "url(" not in html and "@import" not in html


def test_pictures_have_titles_and_descriptions_and_are_well_formed() -> None:
    _, html = make("price")
    pictures = html.split("<svg")[1:]
    assert len(pictures) == 3
    for picture in pictures:
        root = ET.fromstring("<svg" + picture.partition("</svg>")[0] + "</svg>")
        assert root.get("role") == "img" and root.get("aria-label")
        assert root.findtext("desc")
        assert root.findall(".//title")


def test_a_page_for_a_quantity_plots_predicted_against_true_values() -> None:
    run, html = make("price")
    page = Page(html)
    assert "Predicted against true values" in page.text
    assert html.count("<circle") == len(run.expected)
    assert f"true {run.expected[0]:,.6g}, predicted {run.predicted[0]:,.6g}" in page.text


def test_the_confusion_matrix_counts_the_test_rows() -> None:
    run, html = make("kind")
    table = html.partition('class="matrix"')[2].partition("</table>")[0]
    counts = [int(cell.partition(">")[2].partition("<")[0]) for cell in table.split("<td ")[1:]]
    expected = [int(np.sum((run.expected == i) & (run.predicted == j))) for i in (0, 1) for j in (0, 1)]
    assert counts == expected
    assert "&lt;i&gt;0&lt;/i&gt; taken for &lt;i&gt;1&lt;/i&gt;" in table


def test_very_many_classes_list_their_most_frequent_mistakes() -> None:
    _, html = make("kind", classes=20)
    assert "Most frequent mistakes" in html and 'class="matrix"' not in html


def test_a_run_without_test_rows_has_a_page() -> None:
    table = Table.from_columns({"x": np.arange(30) % 7, "y": np.arange(30) % 2})
    run = train_table(table, "y", Settings(hidden=(3,), epochs=1), fractions=(1.0, 0.0, 0.0))
    page = Page(report(run, describe_run(run, "x.csv"), Path("runs/x")))
    assert "Results on" not in page.text and "the last weights are kept" in page.text


@pytest.mark.parametrize(
    ("low", "high"), [(0, 1), (0.1, 0.11), (-5, 1e-3), (1e-9, 2e-9), (-1e12, 1e12), (0.999, 1.001), (3, 3e5)]
)
def test_ticks_are_few_round_and_within(low: float, high: float) -> None:
    ticks = round_ticks(low, high)
    assert 2 <= len(ticks) <= 7
    assert all(low - 1e-9 * (high - low) <= tick <= high + 1e-9 * (high - low) for tick in ticks)
    steps = np.diff(ticks)
    np.testing.assert_allclose(steps, steps[0], rtol=1e-6)
    assert f"{steps[0]:.0e}"[0] in "125"


@pytest.mark.parametrize(("low", "high"), [(0.003, 0.7), (1e-12, 1e5), (0.5, 60), (1e-3, 1e-1)])
def test_logarithmic_ticks_are_few_and_within(low: float, high: float) -> None:
    ticks = log_ticks(low, high)
    assert 2 <= len(ticks) <= 8
    assert low * 0.999 <= ticks[0] <= ticks[-1] <= high * 1.001


def places(svg: str, style: str) -> list[tuple[float, float]]:
    """The points of a line."""
    path = svg.partition(f'class="line {style}" d="')[2].partition('"')[0].replace("h0", "")
    pairs = path.replace("L", "M").split("M")[1:]
    return [(float(x), float(y)) for x, y in (pair.split(",") for pair in pairs)]


def test_a_line_chart_draws_values_where_the_axes_say() -> None:
    svg = line_chart("Loss", [Series("training", "train", [4.0, 3.0, 2.0, 1.0])], 4, str)
    xs, ys = zip(*places(svg, "train"), strict=True)
    np.testing.assert_allclose(np.diff(xs), np.diff(xs)[0], atol=0.2)
    np.testing.assert_allclose(np.diff(ys), np.diff(ys)[0], atol=0.2)
    assert ys[0] < ys[-1]
    assert "best epoch, 4" in svg and "epoch 2\ntraining: 3.0" in svg


def test_figures_of_many_sizes_get_a_logarithmic_axis() -> None:
    svg = line_chart("Loss", [Series("training", "train", [100.0, 10.0, 1.0, 0.1])], None, str)
    assert "logarithmic" in svg and "best" not in svg
    _, ys = zip(*places(svg, "train"), strict=True)
    np.testing.assert_allclose(np.diff(ys), np.diff(ys)[0], atol=0.2)


def test_gaps_and_lone_values_are_drawn() -> None:
    svg = line_chart("Loss", [Series("validation", "validation", [None, 0.5, float("nan"), 0.25, 0.2])], 2, str)
    assert len(places(svg, "validation")) == 3


def test_a_single_epoch_is_a_dot_that_can_be_seen() -> None:
    lone = Series("training", "train", [0.5])
    assert 'class="line train dot"' in line_chart("Loss", [lone], 1, str)
    assert "dot" not in line_chart("Loss", [Series("training", "train", [0.5, 0.4])], 1, str)


@pytest.mark.parametrize("values", [[0.5], [0.0, 0.0], [1e-300, 1e-300], [-3.0, -3.0, -3.0], [1e15, 1e15 + 1]])
def test_a_figure_that_hardly_changes_is_drawn(values: list[float]) -> None:
    ET.fromstring(line_chart("Loss", [Series("training", "train", values)], 1, str))


def test_what_cannot_be_drawn_is_left_out() -> None:
    assert line_chart("Loss", [Series("training", "train", [float("nan"), None])], None, str) == ""
    assert line_chart("Loss", [Series("training", "train", [1e308, -1e308])], None, str) == ""
    nothing, huge = np.array([np.nan]), np.array([-1e308, 1e308])
    assert scatter_chart("S", "x", "y", nothing, nothing) == scatter_chart("S", "x", "y", huge, huge) == ""


def test_long_trainings_and_many_rows_are_thinned_out() -> None:
    values = np.linspace(1, 0.5, 5000).tolist()
    svg = line_chart("Loss", [Series("training", "train", values)], 4999, str)
    assert len(places(svg, "train")) < 500 and "epoch 4999\n" in svg and "epoch 5000\n" in svg
    many = np.linspace(0, 1, 10_000)
    assert scatter_chart("S", "true", "predicted", many, many).count("<circle") <= 1500


def test_times_and_ends_in_words() -> None:
    assert [duration(s) for s in (9.96, 59.7, 3599.6, 90_000)] == ["10.0 s", "1 min 0 s", "1 h 0 min", "25 h 0 min"]
    history = History([{"epoch": 1, "loss": 1.0}], "val_loss has not improved for 3 epochs", best_epoch=1)
    assert ending(history).startswith("in epoch 1: the validation loss has not improved for 3 epochs; the weights of")
