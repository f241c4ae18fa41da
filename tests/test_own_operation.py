"""An operation that is declared outside of the package, here, does all that those inside do."""

from __future__ import annotations

import numpy as np
import pytest

import chainrule as cr
from chainrule import apply, define
from chainrule.kernel import Map
from chainrule.native import vecmath
from chainrule.op import REGISTRY
from chainrule.ops.rules import same_type
from chainrule.samples import floats
from chainrule.testing import check_op
from chainrule.types import FLOATS

GAUSS = define(
    "gauss",
    takes=(FLOATS,),
    infer=same_type,
    numpy=lambda x: np.exp(-x * x),
    vjp=(lambda ct, out, x: ct * (-2.0 * x * out),),
    samples=floats(-2, 2),
    kernel=Map(lambda v, x: vecmath.exp(v, -(x * x)), cost=20),
)
del REGISTRY["gauss"]  # tests of the whole registry are about the operations of the library

X = np.linspace(-2, 2, 37, dtype=np.float32)


def gauss(x: cr.Tensor) -> cr.Tensor:
    return apply(GAUSS, x)


def test_it_is_computed_eagerly() -> None:
    np.testing.assert_allclose(gauss(cr.tensor(X)).numpy(), np.exp(-(X**2)), rtol=1e-6)


def test_it_is_compiled() -> None:
    found = cr.compile(lambda x: gauss(x).sum() + gauss(2.0 * x))(X)
    np.testing.assert_allclose(found.numpy(), np.exp(-(X**2)).sum() + np.exp(-4 * X**2), rtol=1e-5)


@pytest.mark.parametrize("compiled", [False, True])
def test_it_is_differentiated_twice(compiled: bool) -> None:
    first = cr.grad(lambda x: gauss(x).sum())
    second = cr.grad(lambda x: first(x).sum())
    found = (cr.compile(second) if compiled else second)(X.astype(np.float64))
    x = X.astype(np.float64)
    np.testing.assert_allclose(found.numpy(), (4 * x**2 - 2) * np.exp(-(x**2)), rtol=1e-9, atol=1e-12)


def test_it_passes_all_checks() -> None:
    check_op(GAUSS)
