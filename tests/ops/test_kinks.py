"""What stands in for the derivative where there is none: one table of conventions, those of PyTorch."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from chainrule.gradients import gradients
from chainrule.ops.arithmetic import divide, floor_divide, remainder
from chainrule.ops.comparison import where
from chainrule.ops.piecewise import abs, clip, maximum, minimum, relu, sign
from chainrule.ops.powers import power, reciprocal, rsqrt, sqrt
from chainrule.ops.rounding import ceil, floor, round, trunc
from chainrule.ops.special import erfinv
from chainrule.ops.transcendental import log, log1p
from chainrule.ops.trigonometric import acos, asin, atan2
from chainrule.tensor import Tensor, tensor

INF, NAN = math.inf, math.nan

# name, function, point, gradient for each argument
CONVENTIONS: list[tuple[str, Callable[..., Tensor], tuple[float, ...], tuple[float, ...]]] = [
    ("relu at 0", relu, (0.0,), (0.0,)),
    ("relu at -0", relu, (-0.0,), (0.0,)),
    ("relu of NaN", relu, (NAN,), (1.0,)),
    ("abs at 0", abs, (0.0,), (0.0,)),
    ("sign at 0", sign, (0.0,), (0.0,)),
    ("floor at a whole number", floor, (1.0,), (0.0,)),
    ("ceil at a whole number", ceil, (1.0,), (0.0,)),
    ("trunc at a whole number", trunc, (1.0,), (0.0,)),
    ("round at a half", round, (0.5,), (0.0,)),
    ("maximum of equals", maximum, (1.0, 1.0), (0.5, 0.5)),
    ("minimum of equals", minimum, (1.0, 1.0), (0.5, 0.5)),
    ("maximum of equal infinities", maximum, (INF, INF), (0.5, 0.5)),
    ("maximum with NaN", maximum, (NAN, 1.0), (1.0, 1.0)),
    ("minimum with NaN", minimum, (1.0, NAN), (1.0, 1.0)),
    ("clip at the lower bound", clip, (-1.0, -1.0, 1.0), (1.0, 0.0, 0.0)),
    ("clip at the upper bound", clip, (1.0, -1.0, 1.0), (1.0, 0.0, 0.0)),
    ("clip below", clip, (-2.0, -1.0, 1.0), (0.0, 1.0, 0.0)),
    ("clip above", clip, (2.0, -1.0, 1.0), (0.0, 0.0, 1.0)),
    ("clip with crossed bounds", clip, (0.0, 1.0, -1.0), (0.0, 0.0, 1.0)),
    ("clip of NaN", clip, (NAN, -1.0, 1.0), (0.0, 0.0, 0.0)),
    ("sqrt at 0", sqrt, (0.0,), (INF,)),
    ("rsqrt at 0", rsqrt, (0.0,), (-INF,)),
    ("reciprocal at 0", reciprocal, (0.0,), (-INF,)),
    ("divide at 0", divide, (1.0, 0.0), (INF, -INF)),
    ("floor_divide at a jump", floor_divide, (4.0, 2.0), (0.0, 0.0)),
    ("remainder at a jump", remainder, (4.0, 2.0), (1.0, -2.0)),
    ("log at 0", log, (0.0,), (INF,)),
    ("log1p at -1", log1p, (-1.0,), (INF,)),
    ("asin at 1", asin, (1.0,), (INF,)),
    ("acos at -1", acos, (-1.0,), (-INF,)),
    ("atan2 at the origin", atan2, (0.0, 0.0), (0.0, 0.0)),
    ("erfinv at 1", erfinv, (1.0,), (INF,)),
    ("x ** 2 at 0", lambda x: power(x, 2), (0.0,), (0.0,)),
    ("x ** 1 at 0", lambda x: power(x, 1) * 1.0, (0.0,), (1.0,)),
    ("x ** 0 at 0", lambda x: power(x, 0), (0.0,), (0.0,)),
    ("x ** 0.5 at 0", lambda x: power(x, 0.5), (0.0,), (INF,)),
    ("x ** 3 below 0", lambda x: power(x, 3), (-2.0,), (12.0,)),
    ("x ** y at (0, 0)", power, (0.0, 0.0), (0.0, 0.0)),
    ("x ** y at (NaN, 0)", power, (NAN, 0.0), (0.0, NAN)),
    ("x ** y at (0, 1)", power, (0.0, 1.0), (1.0, 0.0)),
    ("x ** y at (0, 2)", power, (0.0, 2.0), (0.0, 0.0)),
    ("x ** y at (0, 0.5)", power, (0.0, 0.5), (INF, 0.0)),
    ("x ** y at (0, -1)", power, (0.0, -1.0), (-INF, -INF)),
    ("x ** y at (2, 0)", power, (2.0, 0.0), (0.0, math.log(2))),
    ("x ** y at (-2, 2)", power, (-2.0, 2.0), (-4.0, NAN)),
    ("where, chosen and not", lambda x, y: where(x >= y, x, y), (1.0, 1.0), (1.0, 0.0)),
]


@pytest.mark.parametrize(("name", "function", "point", "expected"), CONVENTIONS, ids=[row[0] for row in CONVENTIONS])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_convention(
    name: str, function: Callable[..., Tensor], point: tuple[float, ...], expected: tuple[float, ...], dtype: str
) -> None:
    variables = [tensor(value, dtype, requires_grad=True) for value in point]
    found = gradients([function(*variables)], [tensor(1.0, dtype)], variables)
    values = [0.0 if ct is None else ct.item() for ct in found]
    np.testing.assert_allclose(values, expected, rtol=1e-6, err_msg=name)


def shown(values: tuple[float, ...]) -> str:
    return ", ".join("NaN" if math.isnan(v) else f"{v:.4g}" for v in values)


def test_the_documentation_has_the_same_table() -> None:
    page = (Path(__file__).parents[2] / "docs" / "derivatives.md").read_text(encoding="utf-8")
    table = [f"| {name} | {shown(point)} | {shown(gradient)} |" for name, _, point, gradient in CONVENTIONS]
    assert "\n".join(table) in page


def test_the_gradient_that_is_not_wanted_is_not_lost_in_an_infinite_derivative() -> None:
    """The way to differentiate sqrt at 0 through a choice: choose the argument, not the result."""
    x = tensor([0.0, 4.0], requires_grad=True)
    safe = where(x > 0, sqrt(where(x > 0, x, 1.0)), 0.0)
    (found,) = gradients([safe], [tensor([1.0, 1.0])], [x])
    assert found is not None and found.tolist() == [0.0, 0.25]
