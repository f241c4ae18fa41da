"""Padding layers and their function, against NumPy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from chainrule import nn
from chainrule.errors import DefinitionError, ShapeError
from chainrule.nn.functional import pad
from chainrule.testing import check_gradients

RNG = np.random.default_rng(0)
MODES = {"Zero": "constant", "Constant": "constant", "Reflection": "reflect", "Replication": "edge", "Circular": "wrap"}
WIDTHS = (1, 2, 0, 3, 2, 1)


@pytest.mark.parametrize("kind", MODES)
@pytest.mark.parametrize("axes", [1, 2, 3])
@pytest.mark.parametrize("lead", [(2,), (2, 3)])
def test_widths_are_for_the_last_axis_first(kind: str, axes: int, lead: tuple[int, ...]) -> None:
    value = (7.0,) if kind == "Constant" else ()
    layer = getattr(nn, f"{kind}Pad{axes}d")(WIDTHS[: 2 * axes], *value)
    x = RNG.normal(size=(*lead, *(4, 5, 6)[:axes]))
    pairs = [WIDTHS[i : i + 2] for i in range(0, 2 * axes, 2)][::-1]
    options: dict[str, Any] = {"constant_values": 7.0} if value else {}
    expected = np.pad(x, [*[(0, 0)] * len(lead), *pairs], mode=MODES[kind], **options)  # type: ignore[call-overload]
    np.testing.assert_array_equal(layer(x).numpy(), expected)


def test_one_number_is_for_all_sides() -> None:
    assert nn.ZeroPad2d(1)([[[5.0]]]).tolist() == [[[0, 0, 0], [0, 5, 0], [0, 0, 0]]]


def test_negative_widths_take_away() -> None:
    x = np.arange(5.0)
    assert pad(x, (-1, 2)).tolist() == [1, 2, 3, 4, 0, 0]
    assert pad(x, (-1, 2), "reflect").tolist() == [1, 2, 3, 4, 3, 2]
    assert pad(x, (-1, 2), "circular").tolist() == [1, 2, 3, 4, 1, 2], "what was taken away does not come back"


@pytest.mark.parametrize("mode", ["constant", "reflect", "replicate", "circular"])
def test_derivatives_of_padding_are_right(mode: Any) -> None:
    check_gradients(lambda x: pad(x, (1, 2, 2, -1), mode) ** 2, (RNG.normal(size=(2, 3, 4)),))


def test_layers_are_written_as_in_code() -> None:
    assert repr(nn.ReflectionPad1d(2)) == "ReflectionPad1d(2)"
    assert repr(nn.ConstantPad1d((1, 2), 0.5)) == "ConstantPad1d((1, 2), 0.5)"


def test_padding_says_what_does_not_fit() -> None:
    with pytest.raises(DefinitionError, match="ZeroPad2d: padding is one whole number, or 4 of them"):
        nn.ZeroPad2d((1, 2))
    with pytest.raises(ShapeError, match=r"ZeroPad2d\(1\): an input of 3 or 4 axes is needed, not f64\[2, 2\]"):
        nn.ZeroPad2d(1)(np.ones((2, 2)))
    with pytest.raises(ShapeError, match="some of the last axes"):
        pad(np.ones(3), (1, 1, 1, 1))
    with pytest.raises(ShapeError, match="the modes are constant, reflect, replicate, circular, not 'edge'"):
        pad(np.ones(3), (1, 1), "edge")  # type: ignore[arg-type]
    with pytest.raises(ShapeError, match="a value is for the mode 'constant'"):
        pad(np.ones(3), (1, 1), "reflect", 0.0)
    with pytest.raises(ShapeError, match="take more from"):
        pad(np.ones(3), (-2, -2))
    with pytest.raises(ShapeError, match="0 to 2 will do"):
        nn.ReflectionPad1d(3)(np.ones((1, 3)))
