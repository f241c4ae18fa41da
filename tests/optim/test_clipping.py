"""Gradients are clipped by norms of any kind, by value, and not at all if a norm is not finite and that is an error."""

from __future__ import annotations

from collections.abc import Callable
from math import inf
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule.errors import DefinitionError, GradientError, TraceError
from chainrule.nn import Parameter
from chainrule.optim import clip_grad_norm, clip_grad_value
from chainrule.tensor import Tensor, tensor


def pair() -> list[Tensor]:
    a, b = Parameter([0.0, 0.0], "float64"), Parameter(0.0, "float64")
    a.grad, b.grad = tensor([3.0, -4.0], "float64"), tensor(12.0, "float64")
    return [a, b]


@pytest.mark.parametrize(
    ("norm_type", "norm"), [(1.0, 19.0), (2.0, 13.0), (3.0, (27 + 64 + 1728) ** (1 / 3)), (inf, 12.0)]
)
def test_a_norm_is_that_of_all_elements_as_one_vector(norm_type: float, norm: float) -> None:
    a, b = pair()
    found = clip_grad_norm([a, b], 2.0, norm_type)
    factor = 2.0 / (norm + 1e-6)
    np.testing.assert_allclose(found.numpy(), norm, rtol=1e-12)
    np.testing.assert_allclose([*a.grad.numpy(), b.grad.numpy()], np.array([3.0, -4.0, 12.0]) * factor, rtol=1e-12)


def test_a_norm_that_is_not_finite_is_an_error_if_that_is_asked_for() -> None:
    a, b = pair()
    b.grad = tensor(inf, "float64")
    with pytest.raises(GradientError, match="the norm of the gradients is inf; nothing was scaled"):
        clip_grad_norm([a, b], 1.0, error_if_nonfinite=True)
    assert a.grad.tolist() == [3.0, -4.0]
    assert clip_grad_norm([a, b], 1.0).item() == inf


def test_a_compiled_step_cannot_have_that_error() -> None:
    w = Parameter([1.0])

    @cr.compile
    def step() -> Tensor:
        w.grad = None
        (w * w).sum().backward()
        return clip_grad_norm([w], 1.0, error_if_nonfinite=True)

    with pytest.raises(TraceError, match="asked for"):
        step()


def test_values_are_brought_into_a_range_eagerly_and_compiled() -> None:
    a, b = pair()
    clip_grad_value([a, b, Parameter(1.0)], 3.5)
    assert a.grad.tolist() == [3.0, -3.5] and b.grad.item() == 3.5
    w = Parameter([1.0, 10.0])

    @cr.compile
    def step() -> Tensor:
        w.grad = None
        (w * w).sum().backward()
        clip_grad_value([w], 4.0)
        return w.grad

    assert step().tolist() == [2.0, 4.0]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: clip_grad_norm(pair(), 1.0, 0.0), "norm_type must be above 0"),
        (lambda: clip_grad_norm(pair(), 1.0, -inf), "norm_type must be"),
        (lambda: clip_grad_value(pair(), -1.0), "clip_value must be"),
        (lambda: clip_grad_value(pair()[0], 1.0), "clip_grad_value: a list of parameters is needed"),
    ],
)
def test_bad_arguments_are_refused(call: Callable[[], Any], message: str) -> None:
    with pytest.raises(DefinitionError, match=message):
        call()
