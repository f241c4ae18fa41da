"""A rate that falls when a figure no longer improves: counted by hand, eagerly and in compiled steps."""

from __future__ import annotations

from math import nan
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule import optim
from chainrule.errors import DefinitionError
from chainrule.nn import Parameter
from chainrule.optim import Optimizer, ReduceLROnPlateau

# Options, figures, and the rate after each.
BY_HAND: list[tuple[dict[str, Any], list[float], list[float]]] = [
    ({"patience": 1}, [5, 4, 4, 4, 4, 4], [1, 1, 1, 0.5, 0.5, 0.25]),
    ({"patience": 0}, [5, 4.5, nan, 4], [1, 1, 0.5, 0.5]),
    ({"patience": 0, "threshold": 0.1}, [10, 9.1, 8.9, 8.1], [1, 0.5, 0.5, 0.25]),
    ({"patience": 0, "threshold": 0.1, "threshold_mode": "abs"}, [10, 9.95, 9.85], [1, 0.5, 0.5]),
    ({"patience": 0, "mode": "max"}, [1, 2, 1, 3], [1, 1, 0.5, 0.5]),
    ({"patience": 0, "mode": "max", "threshold": 0.5, "threshold_mode": "abs"}, [1, 1.4, 1.6], [1, 0.5, 0.5]),
    ({"patience": 0, "cooldown": 2}, [1, 1, 1, 1, 1, 1], [1, 0.5, 0.5, 0.5, 0.25, 0.25]),
    ({"patience": 0, "min_lr": 0.4}, [1, 1, 1, 1], [1, 0.5, 0.4, 0.4]),
    ({"patience": 0, "eps": 0.3}, [1, 1, 1, 1], [1, 0.5, 0.5, 0.5]),
]


def optimizer_of() -> Optimizer:
    return optim.SGD([{"params": Parameter([1.0])}, {"params": Parameter([1.0]), "lr": 2.0}], lr=1.0)


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize(("options", "figures", "rates"), BY_HAND)
def test_the_rate_falls_as_counted_by_hand(
    options: dict[str, Any], figures: list[float], rates: list[float], compiled: bool
) -> None:
    scheduler = ReduceLROnPlateau(optimizer_of(), factor=0.5, **options)
    step = cr.compile(lambda figure: scheduler.step(figure)) if compiled else scheduler.step
    seen: list[float] = []
    for figure in figures:
        step(np.array(figure, np.float64))
        seen.append(scheduler.get_last_lr()[0])
    np.testing.assert_allclose(seen, rates, rtol=1e-12)
    assert scheduler.last_epoch.item() == len(figures)


def test_each_group_may_have_a_lowest_rate_of_its_own() -> None:
    scheduler = ReduceLROnPlateau(optimizer_of(), factor=0.1, patience=0, min_lr=[0.5, 0.25])
    scheduler.step(1.0)
    scheduler.step(1.0)
    assert scheduler.get_last_lr() == [0.5, 0.25]


def test_what_it_remembers_is_saved() -> None:
    first, second = (ReduceLROnPlateau(optimizer_of(), patience=1) for _ in range(2))
    for figure in (2.0, 3.0):
        first.step(figure)
    second.load_state_dict(first.state_dict())
    second.step(3.0)
    assert second.get_last_lr() == [0.1, 0.2]
    assert repr(second) == "ReduceLROnPlateau(step 3, best 2, lr 0.1, 0.2)"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"mode": "low"}, "mode must be one of 'min', 'max', not 'low'"),
        ({"factor": 1.0}, "factor must be a number of at least 0 and below 1"),
        ({"patience": -1}, "patience must be a whole number of at least 0"),
        ({"threshold_mode": "share"}, "threshold_mode must be one of 'rel', 'abs'"),
        ({"min_lr": [0.1]}, "min_lr has 1 values for 2 groups"),
    ],
)
def test_bad_arguments_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(DefinitionError, match=message):
        ReduceLROnPlateau(optimizer_of(), **options)
