"""Shapes beyond those of random graphs: many units of work, long reductions, vectors that do not come out even."""

from __future__ import annotations

from collections.abc import Callable, Generator

import numpy as np
import pytest

import chainrule as cr
from chainrule import losses, nn

SHAPES = [(1, 3000), (3000, 1), (37, 1000), (1000, 37), (300, 300), (257, 513), (2, 5000), (5, 7, 1100), (600, 3, 9)]


@pytest.fixture(autouse=True, params=[1, 2, 3])
def threads(request: pytest.FixtureRequest) -> Generator[None]:
    before = cr.get_threads()
    cr.set_threads(request.param)
    yield
    cr.set_threads(before)


def softmax(x: cr.Tensor) -> cr.Tensor:
    return nn.functional.softmax(x, -1)


def standardised(x: cr.Tensor) -> cr.Tensor:
    centred = x - x.mean(-1, keepdims=True)
    return centred / cr.sqrt((centred * centred).mean(-1, keepdims=True) + 1e-5)


def over_rows(x: cr.Tensor) -> tuple[cr.Tensor, ...]:
    return x.sum(0), x.max(0), x.mean(0) * 2.0 + x[0]


def over_columns(x: cr.Tensor) -> tuple[cr.Tensor, ...]:
    return x.sum(-1), x.min(-1), cr.exp(-x.mean(-1)) + x[..., 0]


def over_all(x: cr.Tensor) -> tuple[cr.Tensor, ...]:
    return x.sum(), (x * x).mean(), x.max() - x.min()


def transposed(x: cr.Tensor) -> tuple[cr.Tensor, ...]:
    last = (*range(1, x.ndim), 0)
    return cr.permute_dims(x, last) * 2.0, cr.reshape(cr.permute_dims(x, last), (-1,)) + 1.0


def gradient(x: cr.Tensor) -> cr.Tensor:
    return cr.grad(lambda x: (softmax(x) * cr.sin(x)).sum() + (standardised(x) ** 3).mean())(x)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize(
    "function",
    [softmax, standardised, over_rows, over_columns, over_all, transposed, gradient],
    ids=lambda f: f.__name__,
)
def test_compiled_is_as_interpreted(function: Callable[..., object], shape: tuple[int, ...]) -> None:
    x = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    compiled, eager = cr.compile(function)(x), function(cr.tensor(x, dtype="float64"))
    for found, expected in zip(
        compiled if isinstance(compiled, tuple) else (compiled,),
        eager if isinstance(eager, tuple) else (eager,),
        strict=True,
    ):
        wanted = expected.numpy()
        np.testing.assert_allclose(found.numpy(), wanted, rtol=2e-5, atol=2e-5 * max(1.0, np.abs(wanted).max()))


@pytest.mark.parametrize(("rows", "classes"), [(64, 10), (300, 1000), (33, 257), (1000, 3)])
def test_cross_entropy_and_its_gradient(rows: int, classes: int) -> None:
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=(rows, classes)).astype(np.float32), rng.integers(0, classes, rows)
    y[::7] = -100
    step = cr.value_and_grad(losses.cross_entropy)
    loss, slope = cr.compile(step)(x, y)
    expected, wanted = step(cr.tensor(x, dtype="float64"), y)
    assert loss.item() == pytest.approx(expected.item(), rel=1e-5)
    np.testing.assert_allclose(slope.numpy(), wanted.numpy(), rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize(
    ("m", "k", "n"), [(128, 784, 512), (300, 70, 33), (1, 900, 700), (700, 900, 1), (65, 2000, 129)]
)
def test_a_layer_and_all_its_gradients(m: int, k: int, n: int) -> None:
    rng = np.random.default_rng(2)
    x, w, b = (rng.normal(size=s).astype(np.float32) for s in ((m, k), (n, k), (n,)))
    run = cr.grad(lambda x, w, b: (cr.relu(x @ w.mT + b) ** 2).mean(), argnums=(0, 1, 2))
    for found, expected in zip(
        cr.compile(run)(x, w, b), run(*(cr.tensor(v, dtype="float64") for v in (x, w, b))), strict=True
    ):
        wanted = expected.numpy()
        np.testing.assert_allclose(found.numpy(), wanted, rtol=1e-3, atol=1e-4 * np.abs(wanted).max())
