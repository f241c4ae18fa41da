"""First and second derivatives of elementwise functions, compared with the formulas of the textbooks.

For each function of one variable: the formulas of its first and second derivative, and where to try them. The second
derivative goes through the rule of the rule, so that it proves what a Hessian needs.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from scipy import special

from chainrule.gradients import gradients
from chainrule.ops import arithmetic, piecewise, powers, rounding, transcendental, trigonometric
from chainrule.ops import special as error_functions
from chainrule.ops.comparison import where
from chainrule.tensor import Tensor, tensor

Formula = Callable[[Any], Any]

ALL = np.array([-2.3, -0.7, 0.4, 1.9])
POSITIVE = np.array([0.3, 1.0, 2.6])
INNER = np.array([-0.8, -0.2, 0.1, 0.7])

ROOT_PI = math.sqrt(math.pi)


def logistic(x: Any) -> Any:
    return special.expit(x)


def zero(x: Any) -> Any:
    return np.zeros_like(x)


ONE_VARIABLE: dict[str, tuple[Callable[..., Tensor], Formula, Formula, Any]] = {
    "negative": (arithmetic.negative, lambda x: -np.ones_like(x), zero, ALL),
    "square": (powers.square, lambda x: 2 * x, lambda x: 2 + 0 * x, ALL),
    "reciprocal": (powers.reciprocal, lambda x: -1 / x**2, lambda x: 2 / x**3, ALL),
    "sqrt": (powers.sqrt, lambda x: 0.5 * x**-0.5, lambda x: -0.25 * x**-1.5, POSITIVE),
    "rsqrt": (powers.rsqrt, lambda x: -0.5 * x**-1.5, lambda x: 0.75 * x**-2.5, POSITIVE),
    "cube": (lambda x: powers.power(x, 3), lambda x: 3 * x**2, lambda x: 6 * x, ALL),
    "power -2": (lambda x: powers.power(x, -2), lambda x: -2 * x**-3, lambda x: 6 * x**-4, ALL),
    "power 2.5": (lambda x: powers.power(x, 2.5), lambda x: 2.5 * x**1.5, lambda x: 3.75 * x**0.5, POSITIVE),
    "power 0": (lambda x: powers.power(x, 0), zero, zero, ALL),
    "exp": (transcendental.exp, np.exp, np.exp, ALL),
    "expm1": (transcendental.expm1, np.exp, np.exp, ALL),
    "log": (transcendental.log, lambda x: 1 / x, lambda x: -1 / x**2, POSITIVE),
    "log1p": (transcendental.log1p, lambda x: 1 / (1 + x), lambda x: -1 / (1 + x) ** 2, INNER),
    "log2": (transcendental.log2, lambda x: 1 / x / np.log(2), lambda x: -1 / x**2 / np.log(2), POSITIVE),
    "log10": (transcendental.log10, lambda x: 1 / x / np.log(10), lambda x: -1 / x**2 / np.log(10), POSITIVE),
    "sinh": (transcendental.sinh, np.cosh, np.sinh, ALL),
    "cosh": (transcendental.cosh, np.sinh, np.cosh, ALL),
    "tanh": (transcendental.tanh, lambda x: np.cosh(x) ** -2, lambda x: -2 * np.tanh(x) * np.cosh(x) ** -2, ALL),
    "sigmoid": (
        transcendental.sigmoid,
        lambda x: logistic(x) * logistic(-x),
        lambda x: logistic(x) * logistic(-x) * (1 - 2 * logistic(x)),
        ALL,
    ),
    "softplus": (transcendental.softplus, logistic, lambda x: logistic(x) * logistic(-x), ALL),
    "sin": (trigonometric.sin, np.cos, lambda x: -np.sin(x), ALL),
    "cos": (trigonometric.cos, lambda x: -np.sin(x), lambda x: -np.cos(x), ALL),
    "tan": (trigonometric.tan, lambda x: np.cos(x) ** -2, lambda x: 2 * np.tan(x) * np.cos(x) ** -2, INNER),
    "asin": (trigonometric.asin, lambda x: (1 - x**2) ** -0.5, lambda x: x * (1 - x**2) ** -1.5, INNER),
    "acos": (trigonometric.acos, lambda x: -((1 - x**2) ** -0.5), lambda x: -x * (1 - x**2) ** -1.5, INNER),
    "atan": (trigonometric.atan, lambda x: 1 / (1 + x**2), lambda x: -2 * x / (1 + x**2) ** 2, ALL),
    "erf": (
        error_functions.erf,
        lambda x: 2 / ROOT_PI * np.exp(-(x**2)),
        lambda x: -4 * x / ROOT_PI * np.exp(-(x**2)),
        ALL,
    ),
    "erfinv": (
        error_functions.erfinv,
        lambda x: ROOT_PI / 2 * np.exp(special.erfinv(x) ** 2),
        lambda x: np.pi / 2 * special.erfinv(x) * np.exp(2 * special.erfinv(x) ** 2),
        INNER,
    ),
    "ndtr": (
        error_functions.ndtr,
        lambda x: np.exp(-(x**2) / 2) / math.sqrt(2 * math.pi),
        lambda x: -x * np.exp(-(x**2) / 2) / math.sqrt(2 * math.pi),
        ALL,
    ),
    "abs": (piecewise.abs, np.sign, zero, ALL),
    "sign": (piecewise.sign, zero, zero, ALL),
    "relu": (piecewise.relu, lambda x: (x > 0).astype(float), zero, ALL),
    "floor": (rounding.floor, zero, zero, ALL),
    "clip": (lambda x: piecewise.clip(x, -1.0, 1.0), lambda x: (np.abs(x) <= 1).astype(float), zero, ALL),
}


def derivative(out: Tensor, x: Tensor) -> Tensor:
    """The derivative of an elementwise function; 0 where the result does not depend on x."""
    (found,) = gradients([out], [tensor(np.ones(out.shape))], [x])
    return tensor(np.zeros(x.shape)) if found is None else found


@pytest.mark.parametrize("name", ONE_VARIABLE)
def test_derivatives_of_one_variable(name: str) -> None:
    function, first, second, points = ONE_VARIABLE[name]
    x = tensor(points, requires_grad=True)
    once = derivative(function(x), x)
    assert once.type == x.type
    np.testing.assert_allclose(once.numpy(), first(points), rtol=1e-13, atol=1e-300)
    np.testing.assert_allclose(derivative(once, x).numpy(), second(points), rtol=1e-12, atol=1e-15)


X, Y = np.array([-2.3, -0.7, 0.4, 1.9]), np.array([1.3, -0.6, 0.9, -2.2])
BASE, EXPONENT = np.abs(X), Y

# function: the points, both first derivatives, and the second derivatives xx, xy, yy
TWO_VARIABLES: dict[str, tuple[Callable[..., Tensor], Any, Any, list[Callable[[Any, Any], Any]]]] = {
    "add": (arithmetic.add, X, Y, [lambda x, y: 1, lambda x, y: 1] + [lambda x, y: 0] * 3),
    "subtract": (arithmetic.subtract, X, Y, [lambda x, y: 1, lambda x, y: -1] + [lambda x, y: 0] * 3),
    "multiply": (
        arithmetic.multiply, X, Y,
        [lambda x, y: y, lambda x, y: x, lambda x, y: 0, lambda x, y: 1, lambda x, y: 0],
    ),
    "divide": (
        arithmetic.divide, X, Y,
        [lambda x, y: 1 / y, lambda x, y: -x / y**2, lambda x, y: 0, lambda x, y: -1 / y**2, lambda x, y: 2 * x / y**3],
    ),
    "remainder": (
        arithmetic.remainder, X, Y,
        [lambda x, y: 1, lambda x, y: -np.floor(x / y)] + [lambda x, y: 0] * 3,
    ),
    "floor_divide": (arithmetic.floor_divide, X, Y, [lambda x, y: 0] * 5),
    "power": (
        powers.power, BASE, EXPONENT,
        [
            lambda x, y: y * x ** (y - 1),
            lambda x, y: x**y * np.log(x),
            lambda x, y: y * (y - 1) * x ** (y - 2),
            lambda x, y: x ** (y - 1) * (1 + y * np.log(x)),
            lambda x, y: x**y * np.log(x) ** 2,
        ],
    ),
    "atan2": (
        trigonometric.atan2, X, Y,
        [
            lambda x, y: y / (x**2 + y**2),
            lambda x, y: -x / (x**2 + y**2),
            lambda x, y: -2 * x * y / (x**2 + y**2) ** 2,
            lambda x, y: (x**2 - y**2) / (x**2 + y**2) ** 2,
            lambda x, y: 2 * x * y / (x**2 + y**2) ** 2,
        ],
    ),
    "maximum": (piecewise.maximum, X, Y, [lambda x, y: x > y, lambda x, y: x < y] + [lambda x, y: 0] * 3),
    "minimum": (piecewise.minimum, X, Y, [lambda x, y: x < y, lambda x, y: x > y] + [lambda x, y: 0] * 3),
    "where": (
        lambda x, y: where(x > y, x, y), X, Y,
        [lambda x, y: x > y, lambda x, y: x <= y] + [lambda x, y: 0] * 3,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", TWO_VARIABLES)
def test_derivatives_of_two_variables(name: str) -> None:
    function, left, right, formulas = TWO_VARIABLES[name]
    x, y = tensor(left, requires_grad=True), tensor(right, requires_grad=True)
    out = function(x, y)
    by_x, by_y = derivative(out, x), derivative(out, y)
    found = [by_x, by_y, derivative(by_x, x), derivative(by_x, y), derivative(by_y, y)]
    for ct, formula in zip(found, formulas, strict=True):
        np.testing.assert_allclose(ct.numpy(), formula(left, right) + np.zeros(4), rtol=1e-12, atol=1e-15)
    np.testing.assert_allclose(derivative(by_y, x).numpy(), found[3].numpy(), rtol=1e-12, atol=1e-15)


def test_the_gradient_of_a_broadcast_input_is_summed() -> None:
    x, y = tensor(np.ones((2, 3)), requires_grad=True), tensor(np.full(3, 2.0), requires_grad=True)
    found = gradients([x * y], [tensor(np.ones((2, 3)))], [x, y])
    assert [ct.tolist() for ct in found if ct is not None] == [[[2.0] * 3] * 2, [2.0] * 3]


def test_a_power_whose_exponent_is_a_tensor_has_all_derivatives_at_base_zero() -> None:
    x, out = tensor(np.array([0.0]), requires_grad=True), None
    found: list[float] = []
    out = powers.power(x, np.array([2.0]))
    for _ in range(4):
        out = derivative(out, x)
        found.append(out.tolist()[0])
    assert found == [0.0, 2.0, 0.0, 0.0]


def test_derivatives_of_a_product_of_exponents_mix_at_exponent_zero() -> None:
    """d/dx d/dy x^y = (1 + y log x) x^(y - 1) is 1/x at y = 0, though d/dx x^0 is 0."""
    x, y = tensor(np.array([2.0]), requires_grad=True), tensor(np.array([0.0]), requires_grad=True)
    by_x = derivative(powers.power(x, y), x)
    assert by_x.tolist() == [0.0]
    assert derivative(by_x, y).tolist() == [0.5]
