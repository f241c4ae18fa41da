"""What the benchmark suite makes of its measurements."""

from __future__ import annotations

import io
import json
import xml.etree.ElementTree as ET
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from benchmarks.comparison import Comparison, Result, Spread, difference, load, losers_first, save, spread
from benchmarks.picture import picture, time_bars, time_scale
from benchmarks.report import markdown, tables
from benchmarks.variants import chosen
from benchmarks.work import Work
from benchmarks.workloads import WORKLOADS


def comparison(name: str = "tabular", **times: float) -> Comparison:
    """Results with the given seconds a step; names of variants with _ for -."""
    workload = WORKLOADS[name]
    results = {x.replace("_", "-"): Result([t] * 3, [1.0], [0.5], 2**20, [0.7, 0.6]) for x, t in times.items()}
    versions = {"numpy": "2.4"}
    return Comparison(
        name, workload.title, workload.kind, workload.flops, "a machine", versions, "2026-01-31", 500.0, 1e-4, results
    )


def test_spread_is_median_and_quartiles() -> None:
    assert spread([5.0, 1.0, 2.0, 3.0, 4.0]) == Spread(3.0, 2.0, 4.0)
    assert spread([7.0]) == Spread(7.0, 7.0, 7.0)
    assert spread([]) is None


def test_difference_is_relative_above_one_and_absolute_below() -> None:
    assert difference([2.0, 0.5], [2.0, 0.4]) == pytest.approx(0.1)
    assert difference([20.0], [10.0]) == pytest.approx(1.0)


def test_lead_is_the_best_way_of_chainrule_against_the_fastest_peer() -> None:
    measured = comparison(chainrule_epoch=1.0, chainrule_step=2.0, jax_scan=3.0, torch_eager=9.0)
    assert measured.fastest(peers=True) == "jax-scan"
    assert measured.lead == pytest.approx(3.0)
    assert measured.speed("torch-eager") == pytest.approx(1 / 3)


def test_without_chainrule_or_without_peers_there_is_no_lead() -> None:
    assert comparison(jax_scan=1.0).lead is None
    assert comparison(chainrule_epoch=1.0).lead is None


def test_losers_come_first() -> None:
    won = comparison("tabular", chainrule_epoch=1.0, jax_scan=2.0)
    lost = comparison("deep", chainrule_epoch=2.0, jax_scan=1.0)
    unmeasured = comparison("mnist-mlp", jax_scan=1.0)
    assert losers_first([won, lost, unmeasured]) == [unmeasured, lost, won]


def test_other_losses_than_the_plainest_peer_are_a_problem() -> None:
    measured = comparison(chainrule_epoch=1.0, jax_scan=2.0, torch_eager=3.0)
    assert measured.reference == "torch-eager"
    assert measured.problems() == []
    measured.results["chainrule-epoch"].figures = [0.7, 0.6002]
    assert measured.problems() == ["tabular: chainrule-epoch is 2.0e-04 away from torch-eager, more than 0.0001"]
    measured.results["chainrule-epoch"].figures = [0.7, float("nan")]
    assert len(measured.problems()) == 1


def test_a_failed_variant_is_a_problem_and_has_no_time() -> None:
    measured = comparison(chainrule_epoch=1.0, jax_scan=2.0)
    measured.results["jax-scan"].error = "ValueError: no"
    assert measured.problems() == ["tabular: jax-scan failed: ValueError: no"]
    assert measured.lead is None


def test_gflops_are_those_of_the_products() -> None:
    measured = comparison("matmul", numpy=2 * 1024**3 / 100e9)
    assert measured.gflops("numpy") == pytest.approx(100.0)


def test_what_is_saved_is_loaded_again(tmp_path: Path) -> None:
    measured = comparison(chainrule_epoch=1.0, jax_scan=2.0)
    save(measured, tmp_path)
    assert load(tmp_path / "tabular.json") == measured
    stored = json.loads((tmp_path / "tabular.json").read_text())
    assert stored["lead"] == 2.0
    assert stored["results"]["jax-scan"]["step"] == {"median": 2.0, "low": 2.0, "high": 2.0}


def test_peers_are_chosen_by_library_or_exactly() -> None:
    names = [variant.name for variant in chosen(["jax"])]
    assert names == ["chainrule-epoch", "chainrule-step", "jax-scan", "jax-step"]
    assert "jax-step" not in [variant.name for variant in chosen(["jax-scan"])]
    assert "chainrule-eager" not in [variant.name for variant in chosen([])]
    assert "chainrule-eager" in [variant.name for variant in chosen(["chainrule-eager"])]
    with pytest.raises(ValueError, match="no peer is called 'theano'; there are chainrule, "):
        chosen(["theano"])


def test_work_that_is_done_when_it_returns_needs_no_wait() -> None:
    work = Work(lambda: 1.0, np.atleast_1d)
    assert work.wait(work.call()) is None


def test_tables_show_every_variant_and_say_what_failed() -> None:
    network = comparison(chainrule_epoch=1e-5, jax_scan=2e-5, torch_eager=1.0)
    network.results["torch-eager"].error = "RuntimeError"
    product = comparison("matmul", chainrule_step=0.005, numpy=0.01)
    console = Console(width=80, record=True, file=io.StringIO())
    for table in tables([network, product]):
        console.print(table)
    shown = console.export_text()
    for words in ("chainrule, epoch", "10.0 µs", "2.0x", "failed", "86%"):
        assert words in shown
    assert "…" not in shown


def test_markdown_has_a_row_a_workload() -> None:
    text = markdown([comparison(chainrule_epoch=1e-5, jax_scan=2e-5), comparison("matmul", numpy=0.01)])
    assert "| tabular | 10.0 µs (10.0 to 10.0 µs) | 20.0 µs (20.0 to 20.0 µs) | - | 2.0x |" in text
    assert "| matmul | - | - | 215 GFLOP/s, 43% | - |" in text


def test_single_layers_share_a_table_with_the_worst_first() -> None:
    won = comparison("conv-3x3", chainrule_step=0.001, jax_step=0.002, torch_eager=0.004)
    lost = comparison("softmax", chainrule_step=0.002, jax_step=0.003, torch_eager=0.001)
    text = markdown([won, comparison("tabular", jax_scan=1.0), lost])
    table = text[text.index("## Single layers") : text.index("## The first call")].splitlines()
    assert table[-3].startswith("| softmax: ") and table[-3].endswith(" | 2.00 ms | 3.00 ms | 1.00 ms | 0.50x |")
    assert table[-2].startswith("| conv-3x3: ") and table[-2].endswith(" | 1.00 ms | 2.00 ms | 4.00 ms | 2.0x |")
    assert "softmax" not in text[: text.index("## Single layers")] + text[text.index("## The first call") :]
    console = Console(width=80, record=True, file=io.StringIO())
    for shown in tables([won, lost]):
        console.print(shown)
    words = console.export_text()
    assert words.count("single layers") == 1
    assert words.index("softmax") < words.index("conv-3x3")


def test_single_layers_are_kept_in_a_folder_of_their_own(tmp_path: Path) -> None:
    measured = comparison("softmax", chainrule_step=0.002, jax_step=0.003)
    save(measured, tmp_path)
    assert load(tmp_path / "layers" / "softmax.json") == measured


def test_the_picture_is_xml_with_a_bar_for_each_variant() -> None:
    drawn = [comparison(chainrule_epoch=1e-5, jax_scan=2e-5), comparison("matmul", chainrule_step=0.005, numpy=0.01)]
    root = ET.fromstring(picture(drawn))
    words = {text.text for text in root.iter("{http://www.w3.org/2000/svg}text")}
    assert words >= {"tabular", "chainrule, epoch", "10.0 µs", "2.0x as fast as the best peer", "429"}
    bars = [x for x in root.iter("{http://www.w3.org/2000/svg}rect") if x.get("class") == "bar"]
    assert len(bars) == 4
    own, peer = (float(bar.get("width", "0")) for bar in bars[:2])
    assert 0 < own < peer


def test_nothing_measured_gives_an_empty_picture() -> None:
    ET.fromstring(picture([]))


def test_ticks_of_time_are_round_and_on_the_scale() -> None:
    measured = comparison(chainrule_epoch=1e-5, torch_eager=1e-3)
    scale = time_scale(time_bars(measured))
    assert [words for _, words in scale.ticks] == ["10 µs", "100 µs", "1 ms"]
    assert all(0.0 <= scale.at(value) <= 1.0 for value, _ in scale.ticks)
