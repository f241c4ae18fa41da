"""Activations against SciPy and NumPy formulas, their derivatives, and their behaviour at kinks and extremes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from scipy import special

from chainrule import nn, ops
from chainrule.autodiff import grad
from chainrule.errors import DefinitionError, ShapeError
from chainrule.nn import Module, functional
from chainrule.tensor import Tensor
from chainrule.testing import check_gradients
from tests.nn.compiling import check_layer

X = np.array([-30.0, -3.0, -1.5, -0.4, -1e-3, 1e-3, 0.3, 0.9, 2.5, 4.0, 30.0])
SELU_ALPHA, SELU_SCALE = 1.6732632423543772, 1.0507009873554805

CASES: list[tuple[Module, Callable[[Any], Any]]] = [
    (nn.ReLU(), lambda x: np.maximum(x, 0)),
    (nn.LeakyReLU(), lambda x: np.where(x > 0, x, 0.01 * x)),
    (nn.LeakyReLU(0.3), lambda x: np.where(x > 0, x, 0.3 * x)),
    (nn.ELU(), lambda x: np.where(x > 0, x, np.expm1(x))),
    (nn.ELU(2.0), lambda x: np.where(x > 0, x, 2 * np.expm1(x))),
    (nn.CELU(), lambda x: np.where(x > 0, x, np.expm1(x))),
    (nn.CELU(0.5), lambda x: np.where(x > 0, x, 0.5 * np.expm1(x / 0.5))),
    (nn.SELU(), lambda x: SELU_SCALE * np.where(x > 0, x, SELU_ALPHA * np.expm1(x))),
    (nn.GELU(), lambda x: x * (1 + special.erf(x / np.sqrt(2))) / 2),
    (nn.GELU("tanh"), lambda x: x / 2 * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3)))),
    (nn.SiLU(), lambda x: x * special.expit(x)),
    (nn.Mish(), lambda x: x * np.tanh(np.logaddexp(0, x))),
    (nn.Softplus(), lambda x: np.logaddexp(0, x)),
    (nn.Softplus(3.0), lambda x: np.logaddexp(0, 3 * x) / 3),
    (nn.Tanh(), np.tanh),
    (nn.Sigmoid(), special.expit),
    (nn.LogSigmoid(), special.log_expit),
    (nn.Softsign(), lambda x: x / (1 + np.abs(x))),
    (nn.Tanhshrink(), lambda x: x - np.tanh(x)),
    (nn.PReLU(init=0.5), lambda x: np.where(x > 0, x, 0.5 * x)),
    (nn.Softmin(), lambda x: special.softmax(-x)),
    (nn.Softmax(), special.softmax),
    (nn.LogSoftmax(), special.log_softmax),
    (nn.Hardtanh(), lambda x: np.clip(x, -1, 1)),
    (nn.Hardtanh(-2.0, 0.5), lambda x: np.clip(x, -2, 0.5)),
    (nn.ReLU6(), lambda x: np.clip(x, 0, 6)),
    (nn.Hardsigmoid(), lambda x: np.clip(x + 3, 0, 6) / 6),
    (nn.Hardswish(), lambda x: x * np.clip(x + 3, 0, 6) / 6),
    (nn.Threshold(0.5, -2.0), lambda x: np.where(x > 0.5, x, -2)),
    (nn.Hardshrink(), lambda x: np.where(np.abs(x) > 0.5, x, 0)),
    (nn.Hardshrink(1.0), lambda x: np.where(np.abs(x) > 1, x, 0)),
    (nn.Softshrink(), lambda x: np.sign(x) * np.maximum(np.abs(x) - 0.5, 0)),
    (nn.Softshrink(2.0), lambda x: np.sign(x) * np.maximum(np.abs(x) - 2, 0)),
]
NAMES = [module.describe() for module, _ in CASES]


@pytest.mark.parametrize(("module", "oracle"), CASES, ids=NAMES)
def test_values_are_those_of_the_formula(module: Module, oracle: Callable[[Any], Any]) -> None:
    np.testing.assert_allclose(module(X).numpy(), oracle(X), rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("module", [module for module, _ in CASES], ids=NAMES)
def test_derivatives_are_right(module: Module) -> None:
    check_gradients(module, (X[1:-1] + 0.01,))


@pytest.mark.parametrize("module", [module for module, _ in CASES], ids=NAMES)
def test_float32_stays_float32_and_finite_at_extremes(module: Module) -> None:
    x = np.array([-1e4, -100.0, 100.0, 1e4], np.float32)
    y, slope = module(x).numpy(), grad(lambda x: (module(x) * np.arange(4.0, dtype=np.float32)).sum())(x).numpy()
    assert y.dtype == np.float32 and np.isfinite(y).all() and np.isfinite(slope).all()


@pytest.mark.parametrize(
    ("module", "at", "slope"),
    [
        (nn.ReLU(), 0.0, 0.0),
        (nn.LeakyReLU(0.25), 0.0, 0.25),
        (nn.ELU(2.0), 0.0, 2.0),
        (nn.Hardtanh(), 1.0, 0.0),
        (nn.Hardtanh(), -1.0, 0.0),
        (nn.Hardtanh(), np.nan, 1.0),
        (nn.ReLU6(), 0.0, 0.0),
        (nn.ReLU6(), 6.0, 0.0),
        (nn.CELU(2.0), 0.0, 1.0),
        (nn.PReLU(init=0.5), 0.0, 0.5),
        (nn.Hardsigmoid(), -3.0, 0.0),
        (nn.Hardsigmoid(), 3.0, 0.0),
        (nn.Hardswish(), -3.0, 0.0),
        (nn.Hardswish(), 3.0, 1.0),
        (nn.Threshold(0.5, -2.0), 0.5, 0.0),
        (nn.Hardshrink(), 0.5, 0.0),
        (nn.Hardshrink(), -0.5, 0.0),
        (nn.Softshrink(), 0.5, 0.0),
        (nn.Softshrink(0.0), 0.0, 0.0),
        (nn.Softsign(), 0.0, 1.0),
    ],
)
def test_the_derivative_at_a_kink_is_pytorchs(module: Module, at: float, slope: float) -> None:
    assert grad(lambda x: module(x))(at).item() == slope


@pytest.mark.parametrize("axis", [0, 1, -1])
@pytest.mark.parametrize("oracle", [special.softmax, special.log_softmax])
def test_softmax_works_along_any_axis_and_for_huge_inputs(oracle: Callable[..., Any], axis: int) -> None:
    x = np.random.default_rng(0).normal(size=(3, 4)) * 1e4
    function = getattr(functional, oracle.__name__)
    np.testing.assert_allclose(function(x, axis).numpy(), oracle(x, axis=axis), rtol=1e-12, atol=1e-300)


def test_softmax_of_minus_infinity_is_zero() -> None:
    assert functional.softmax([0.0, -np.inf]).tolist() == [1.0, 0.0]


def test_derivatives_of_softmax_along_an_axis_are_right() -> None:
    x = np.random.default_rng(0).normal(size=(3, 4))
    check_gradients(lambda x: (functional.softmax(x, 0), functional.log_softmax(x, 0)), (x,))


@pytest.mark.parametrize(
    ("module", "text"),
    [
        (nn.ELU(2.0), "ELU(2)"),
        (nn.LeakyReLU(), "LeakyReLU(0.01)"),
        (nn.GELU("tanh"), 'GELU("tanh")'),
        (nn.Softplus(3.0), "Softplus(3)"),
        (nn.Softmax(1), "Softmax(1)"),
        (nn.LogSoftmax(1), "LogSoftmax(1)"),
        (nn.Hardtanh(0.0, 6.0), "Hardtanh(0, 6)"),
    ],
)
def test_repr_shows_what_was_chosen(module: Module, text: str) -> None:
    assert repr(module) == text


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: nn.GELU("fast"), 'approximate must be "none" or "tanh"'),
        (lambda: functional.gelu(1.0, "fast"), 'approximate must be "none" or "tanh"'),
        (lambda: nn.Softplus(0.0), "beta must not be 0"),
        (lambda: nn.Hardtanh(1.0, 1.0), "min_val must be less than max_val"),
        (lambda: nn.ELU(float("inf")), "alpha must be a finite number, not inf"),
        (lambda: nn.LeakyReLU("x"), "negative_slope must be a finite number, not 'x'"),
    ],
)
def test_bad_options_are_refused(make: Callable[[], Any], message: str) -> None:
    with pytest.raises(DefinitionError, match=message):
        make()


def test_softmax_of_small_integers_does_not_wrap_around():
    x = np.array([1, 5, 9], np.uint8)
    np.testing.assert_allclose(functional.softmax(x).numpy(), special.softmax(x.astype(float)), rtol=1e-5)
    np.testing.assert_allclose(functional.log_softmax(x).numpy(), special.log_softmax(x.astype(float)), rtol=1e-5)


@pytest.mark.parametrize("axis", [0, 1, -1])
def test_glu_and_swiglu_multiply_a_half_by_the_gate_that_is_the_other(axis: int) -> None:
    x = np.random.default_rng(0).normal(size=(4, 6))
    a, b = np.split(x, 2, axis)
    np.testing.assert_allclose(nn.GLU(axis)(x).numpy(), a * special.expit(b), rtol=1e-14)
    np.testing.assert_allclose(nn.SwiGLU(axis)(x).numpy(), a * special.expit(a) * b, rtol=1e-14)
    check_gradients(lambda x: (functional.glu(x, axis), functional.swiglu(x, axis)), (x,), components=4)


def test_gates_need_an_even_axis() -> None:
    with pytest.raises(ShapeError, match="glu: an axis of even size is needed"):
        nn.GLU()(np.ones((2, 3)))
    with pytest.raises(ShapeError, match="swiglu: an axis of even size is needed"):
        nn.SwiGLU()(1.0)


@pytest.mark.parametrize("shape", [(2, 3), (2, 3, 4), (2, 3, 2, 2)])
def test_prelu_has_a_slope_for_each_channel(shape: tuple[int, ...]) -> None:
    x, slopes = np.random.default_rng(0).normal(size=shape), np.array([0.1, 0.2, 0.3])
    layer = nn.PReLU(3, dtype="float64")
    assert layer.weight.tolist() == [0.25] * 3 and repr(layer) == "PReLU(3)  3 parameters"
    layer.weight.assign(slopes)
    expected = np.where(x > 0, x, x * slopes.reshape(3, *[1] * (len(shape) - 2)))
    np.testing.assert_array_equal(layer(x).numpy(), expected)
    check_gradients(lambda layer, x: layer(x), (layer, x))


def test_prelu_says_how_many_slopes_it_needs() -> None:
    for x in (np.ones(3), np.ones((3, 2))):
        with pytest.raises(ShapeError, match="prelu: one weight or one for each of"):
            nn.PReLU(3)(x)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: nn.CELU(0.0), "CELU: alpha must not be 0"),
        (lambda: nn.Softshrink(-1.0), "lambd must be a number of at least 0"),
        (lambda: nn.Threshold(np.inf, 0.0), "threshold must be a finite number"),
        (lambda: nn.PReLU(0), "num_parameters must be a whole number of at least 1"),
    ],
)
def test_arguments_that_make_no_sense_are_refused(make: Callable[[], Module], message: str) -> None:
    with pytest.raises(DefinitionError, match=message):
        make()


def test_compiled_activations_are_the_same() -> None:
    x = np.random.default_rng(0).normal(size=(5, 6)).astype(np.float32)
    check_layer(Every([module for module, _ in CASES] + [nn.GLU(), nn.SwiGLU(), nn.PReLU(6)]), x)


class Every(Module):
    """What each of several modules makes of an input, side by side."""

    def __init__(self, layers: list[Module]) -> None:
        self.layers = layers

    def forward(self, x: Tensor) -> Tensor:
        return ops.concat([layer(x) for layer in self.layers], 1)
