"""A history gives back what was entered: by figure, in order, and as CSV."""

from __future__ import annotations

import csv
import io
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chainrule.training import History

ROWS: list[dict[str, float]] = [
    {"epoch": 1, "loss": 0.1 + 0.2, "seconds": 0.5},
    {"epoch": 2, "loss": math.inf, "val_loss": math.nan, "seconds": 1e-300},
]


def test_figures_are_columns_in_the_order_in_which_they_came() -> None:
    history = History(ROWS)
    assert history.names == list(history) == ["epoch", "loss", "seconds", "val_loss"]
    assert history["epoch"] == [1, 2]
    assert history["seconds"] == [0.5, 1e-300]
    assert len(history) == 2


def test_a_figure_that_is_missing_in_an_epoch_is_none() -> None:
    first, second = History(ROWS)["val_loss"]
    assert first is None
    assert second is not None
    assert math.isnan(second)


def test_a_figure_that_was_never_recorded_is_an_error_that_names_those_that_were() -> None:
    history = History(ROWS)
    assert "val_loss" in history
    assert "accuracy" not in history
    with pytest.raises(KeyError, match=r"no figure called 'accuracy'; there are \['epoch', 'loss'"):
        history["accuracy"]


def test_a_new_history_is_empty() -> None:
    history = History()
    assert (len(history), history.names, history.stopped, history.best_epoch) == (0, [], "", None)
    assert history.to_csv() == "\n"


def test_a_row_that_was_entered_does_not_change_with_the_dict() -> None:
    history, row = History(), {"loss": 1.0}
    history.add(row)
    row["loss"] = 2.0
    assert history["loss"] == [1.0]


names = st.sampled_from(["epoch", "loss", "val_R²", 'a "b", c', "two\nlines"])


@settings(max_examples=30)
@given(st.lists(st.dictionaries(names, st.floats() | st.integers(), min_size=1), min_size=1, max_size=4))
def test_csv_reads_back_exactly(rows: list[dict[str, float]]) -> None:
    read = list(csv.DictReader(io.StringIO(History(rows).to_csv(), newline="")))
    found = [{name: float(text) for name, text in row.items() if text} for row in read]
    assert repr(found) == repr([{name: float(row[name]) for name in read[0] if name in row} for row in rows])
