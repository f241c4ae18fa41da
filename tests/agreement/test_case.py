"""What the comparison with PyTorch rests on: declarations fix their numbers, and no wrong element goes unseen."""

from __future__ import annotations

import numpy as np
import pytest

from tests.agreement.case import FunctionCase, LayerCase, OptimizerCase, exactly, floats, grid, probabilities, vary
from tests.agreement.recordings import WHOLE, condensed


def test_a_declaration_is_written_without_what_is_at_its_default() -> None:
    case = LayerCase("Linear", {"in_features": 2}, [floats(3, 2, gradient=False)])
    draw = "Draw(kind='floats', shape=(3, 2))"
    assert case.text == f"LayerCase(name='Linear', arguments={{in_features: 2}}, inputs=({draw}))"


def test_numbers_follow_from_the_declaration_and_from_what_they_are_for() -> None:
    one, same, other = (FunctionCase("losses.mse", options) for options in ({}, {}, {"reduction": "sum"}))
    drawn = one.draw("input.0", (2, 3))
    np.testing.assert_array_equal(drawn, same.draw("input.0", (2, 3)))
    assert not np.any(drawn == one.draw("input.1", (2, 3))) and not np.any(drawn == other.draw("input.0", (2, 3)))
    assert one.fingerprint == same.fingerprint != other.fingerprint


def test_what_is_drawn_is_what_was_asked_for() -> None:
    case = OptimizerCase("SGD")
    np.testing.assert_allclose(case.draw("p", probabilities(4, 3, 2)).sum(1), np.ones((4, 2)))
    np.testing.assert_array_equal(case.draw("x", exactly([[1, 2], [3, 4]])), [[1, 2], [3, 4]])
    bounded = case.draw("x", floats(100, low=-2.0, high=3.0))
    assert -2.0 <= bounded.min() < -1.0 and 2.0 < bounded.max() < 3.0


def test_peers_arguments_take_the_place_of_ours() -> None:
    case = FunctionCase("f", {"axis": 1, "eps": 2.0}, peer="g", peer_arguments={"axis": None, "dim": 1})
    assert case.of_peer == ("g", {"eps": 2.0, "dim": 1})


def test_alternatives_are_combined_or_varied_one_by_one() -> None:
    assert grid(a=[1, 2], b=[3, 4]) == [{"a": 1, "b": 3}, {"a": 1, "b": 4}, {"a": 2, "b": 3}, {"a": 2, "b": 4}]
    assert vary(a=[1, 2], b=[3, 4]) == [{"a": 1, "b": 3}, {"a": 2, "b": 3}, {"a": 1, "b": 4}]


@pytest.mark.parametrize("size", [1, WHOLE, WHOLE + 1, 500])
def test_an_error_in_any_one_element_shows(size: int) -> None:
    x = np.random.default_rng(0).normal(size=size)
    kept = condensed(x)
    assert kept.size <= WHOLE
    for i in range(size):
        wrong = x.copy()
        wrong[i] += 1e-6
        assert not np.allclose(condensed(wrong), kept, rtol=1e-9, atol=1e-12)
