"""How work is timed, and how processes report what came of it."""

from __future__ import annotations

import json
import sys
import types
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks import harness, measure
from benchmarks.comparison import Result
from benchmarks.harness import Failure, Runs, compare, note
from benchmarks.variants import BY_NAME
from benchmarks.work import Work
from benchmarks.workloads import WORKLOADS

FIGURES = np.array([2.0, 1.0])


def clock(monkeypatch: pytest.MonkeyPatch, seconds: float) -> Work:
    """Work whose calls take so many seconds of a clock that stands still otherwise."""
    now = [0.0]
    monkeypatch.setattr(measure.time, "perf_counter", lambda: now[0])

    def call() -> np.ndarray:
        now[0] += seconds
        return FIGURES

    return Work(call, np.asarray, steps=2)


def test_quick_work_is_called_often_enough_to_fill_each_window(monkeypatch: pytest.MonkeyPatch) -> None:
    windows = measure.timed(clock(monkeypatch, 0.001), 1.0)
    assert windows == pytest.approx([0.0005] * measure.WINDOWS)


def test_slow_work_gets_fewer_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    assert measure.timed(clock(monkeypatch, 2.0), 1.0) == pytest.approx([1.0])
    assert measure.timed(clock(monkeypatch, 1.0), 1.0) == pytest.approx([0.5] * 3)


def test_figures_are_those_of_the_first_steps() -> None:
    work = Work(lambda: FIGURES, np.asarray, steps=2)
    assert measure.measure(work, 5, 0.0).get("figures") == [2.0, 1.0, 2.0, 1.0, 2.0]
    assert measure.measure(work, 0, 0.0).get("figures") == []
    assert measure.measure(work, None, 0.0).get("figures") == [2.0, 1.0]


def test_a_layer_that_fails_does_not_take_the_others_along(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    def layer(mode: str, workload: Any, data: Any) -> Work:
        if workload.name == "softmax":
            raise ValueError("no\nmore")
        return Work(lambda: FIGURES, np.asarray)

    monkeypatch.setitem(sys.modules, "benchmarks.sides.odd_side", types.SimpleNamespace(layer=layer))
    monkeypatch.setattr(measure, "load_data", lambda path: {})
    monkeypatch.setattr(sys, "argv", ["measure", "odd", "step", "0", "20", "softmax=a.npz", "layer-norm=b.npz"])
    measure.main()
    failed, done = map(json.loads, capsys.readouterr().out.splitlines())
    assert failed == {"error": "ValueError: no"}
    assert done["figures"] == [2.0, 1.0]


def test_first_calls_are_cold_with_empty_caches_and_warm_with_full_ones() -> None:
    compiled, eager = Result(), Result()
    for turn in range(3):
        measured = measure.Measured(first=1.0 + turn, figures=[0.5] * (turn == 0), windows=[0.1], memory=turn)
        note(compiled, measured, warm=turn > 0)
        note(eager, measured, warm=False)
    assert (compiled.cold, compiled.warm) == ([1.0], [2.0, 3.0])
    assert (eager.cold, eager.warm) == ([1.0, 2.0, 3.0], [])
    assert compiled.figures == [0.5] and compiled.windows == [0.1] * 3 and compiled.memory == 2


def fake_processes(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """Let processes return at once; the list holds the arguments of each. PyTorch's break down."""
    started: list[list[str]] = []

    def output_of(module: str, *arguments: str, told: dict[str, str]) -> list[str]:
        if module == "peak":
            return ["500.0"]
        started.append(list(arguments))
        if arguments[0] == "torch":
            raise Failure("out of memory")
        result = measure.Measured(first=1.0, figures=[0.5], windows=[0.1], memory=1)
        return ["a warning", *[json.dumps(result)] * len(arguments[4:])]

    monkeypatch.setattr(harness, "output_of", output_of)
    monkeypatch.setattr(harness, "versions", dict[str, str])
    return started


def test_variants_take_turns_and_compare_losses_in_the_first_round(monkeypatch: pytest.MonkeyPatch) -> None:
    started = fake_processes(monkeypatch)
    variants = [BY_NAME["chainrule-step"], BY_NAME["torch-eager"]]
    (comparison,) = compare([WORKLOADS["tabular"]], variants, 3, 1.0, lambda words: None)
    turns = [(side, compared) for side, _, _, compared, _ in started]
    assert turns == [("chainrule", "20"), ("torch", "20"), ("chainrule", "0"), ("chainrule", "0")]
    assert comparison.results["torch-eager"].error == "out of memory"
    own = comparison.results["chainrule-step"]
    assert (own.cold, own.warm, comparison.peak) == ([1.0], [1.0, 1.0], 500.0)


def test_layers_of_a_kind_are_measured_in_one_process(monkeypatch: pytest.MonkeyPatch) -> None:
    started = fake_processes(monkeypatch)
    layers = [WORKLOADS["softmax"], WORKLOADS["layer-norm"]]
    comparisons = compare(layers, [BY_NAME["jax-step"]], 1, 1.0, lambda words: None)
    (arguments,) = started
    assert [pair.split("=")[0] for pair in arguments[4:]] == ["softmax", "layer-norm"]
    assert [x.results["jax-step"].windows for x in comparisons] == [[0.1], [0.1]]


def test_data_is_written_once_for_all_processes(tmp_path: Path) -> None:
    runs = Runs([WORKLOADS["tabular"]], tmp_path, 1.0)
    assert runs.data == {"tabular": tmp_path / "tabular.npz"} and runs.data["tabular"].exists()
