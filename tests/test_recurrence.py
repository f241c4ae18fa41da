"""Recurrent cells over a sequence as one operation: against a loop over steps, and in native code."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from chainrule.autodiff import gradient_graph
from chainrule.errors import ShapeError
from chainrule.gradients import gradients
from chainrule.graph import Graph
from chainrule.native.cells import CELLS
from chainrule.native.target import Target
from chainrule.ops import flip, ones, split, stack
from chainrule.recurrence import RECURRENCE, RECURRENCE_BACK, recurrence, step
from chainrule.tensor import Tensor, tensor
from chainrule.testing import check_compiled
from chainrule.testing.compiled import run_compiled
from chainrule.trace import trace
from tests.native.harness import HOST, TARGETS
from tests.native.one_op import Batch

Array = np.ndarray[Any, np.dtype[Any]]
OPS = {"forward": RECURRENCE, "back": RECURRENCE_BACK}


def drawn(cell: str, steps: int, batch: int, hidden: int, dtype: str = "float64", seed: int = 0) -> list[Array]:
    """The products of an input, a weight, a bias and first states."""
    rng, kind = np.random.default_rng(seed), CELLS[cell]
    width = kind.gates * hidden
    shapes = [(steps, batch, width), (width, hidden), (width,), *[(batch, hidden)] * kind.states]
    scales = [1.0, 1.0 / np.sqrt(hidden), *[0.5] * (1 + kind.states)]
    return [(s * rng.normal(size=shape)).astype(dtype) for s, shape in zip(scales, shapes, strict=True)]


def loop_over_steps(cell: str, projected: Tensor, weight: Tensor, bias: Tensor, states: list[Tensor]) -> list[Tensor]:
    rows: list[list[Tensor]] = []
    for t in range(projected.shape[0]):
        states, _ = step(cell, projected[t], states[0] @ weight.T + bias, states)
        rows.append(states)
    return [stack(column) for column in zip(*rows, strict=True)]


def run(cell: str, *inputs: Any) -> list[Tensor]:
    projected, weight, bias, *starts = inputs
    return recurrence(cell, projected, weight, bias, starts)


def with_gradients(cell: str, inputs: list[Array]) -> Graph:
    """The states after each step, and the gradients of their weighted sum by all inputs."""

    def loss(*xs: Tensor) -> Any:
        states = run(cell, *xs)
        return sum((s * np.arange(1, s.shape[-1] + 1).astype(s.dtype.numpy)).sum() for s in states)

    return gradient_graph(trace(loss)(*inputs))


def back_inputs(cell: str, inputs: list[Array]) -> list[Array]:
    """What the derivative is given, with cotangents for everything."""
    _, weight, _, *starts = inputs
    known = RECURRENCE.numpy(*inputs, cell=cell)
    rng = np.random.default_rng(1)
    return [weight, *starts, *known, *(rng.normal(size=x.shape).astype(x.dtype) for x in known)]


@pytest.mark.parametrize("cell", CELLS)
def test_a_sequence_is_one_step_after_the_other(cell: str) -> None:
    variables = [tensor(x, requires_grad=True) for x in drawn(cell, 4, 3, 5)]
    projected, weight, bias, *starts = variables
    one, other = recurrence(cell, projected, weight, bias, starts), loop_over_steps(cell, *variables[:3], starts)
    weights = [tensor(np.random.default_rng(2).normal(size=x.shape)) for x in one]
    for found, expected in zip(one, other, strict=True):
        np.testing.assert_allclose(found.numpy(), expected.numpy(), rtol=1e-12)
    pairs = [gradients(states, weights, variables) for states in (one, other)]
    for found, expected in zip(*pairs, strict=True):
        assert found is not None and expected is not None
        np.testing.assert_allclose(found.numpy(), expected.numpy(), rtol=1e-10, atol=1e-12)


SIZES = [  # steps, batch and hidden units: parts of tiles and panels, several panels, several blocks of rows and sums
    ("tanh", 1, 1, 1),
    ("relu", 3, 6, 8),
    ("gru", 2, 5, 3),
    ("gru", 2, 9, 50),
    ("lstm", 3, 4, 17),
    ("lstm", 1, 2, 100),
    ("tanh", 2, 55, 20),
]


@pytest.mark.parametrize("target", TARGETS, ids=lambda t: t.cpu)
@pytest.mark.parametrize("direction", OPS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_native_loops_do_what_numpy_does(target: Target, direction: str, dtype: str) -> None:
    compiled = Batch(target)
    runs: list[tuple[Any, Any]] = []
    for cell, *sizes in SIZES:
        inputs = drawn(cell, *sizes, dtype)
        inputs = back_inputs(cell, inputs) if direction == "back" else inputs
        op = OPS[direction]
        runs.append((compiled.add(op, inputs, {"cell": cell}), op.numpy(*inputs, cell=cell)))
    compiled.compile()
    for made, expected in runs:
        found = made()
        for x, y in zip(found if isinstance(found, tuple) else (found,), expected, strict=True):
            unit = np.finfo(dtype).eps * np.abs(y).max(initial=0)
            np.testing.assert_allclose(x, y, rtol=0, atol=500 * unit)


@pytest.mark.parametrize("cell", CELLS)
def test_sums_over_more_than_a_block_go_on_where_they_stopped(cell: str) -> None:
    inputs = drawn(cell, 2, 3, 400, "float32")
    compiled = Batch(HOST)
    pairs = [(RECURRENCE, inputs), (RECURRENCE_BACK, back_inputs(cell, inputs))]
    runs = [compiled.add(op, given, {"cell": cell}) for op, given in pairs]
    compiled.compile()
    for made, (op, given) in zip(runs, pairs, strict=True):
        found, expected = made(), op.numpy(*given, cell=cell)
        for x, y in zip(found if isinstance(found, tuple) else (found,), expected, strict=True):
            np.testing.assert_allclose(x, y, rtol=0, atol=2e-5 * np.abs(y).max())


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_compiled_it_does_what_it_does_eagerly_with_its_gradients(cell: str, dtype: str) -> None:
    inputs = drawn(cell, 3, 5, 9, dtype)
    check_compiled(with_gradients(cell, inputs), inputs)


@pytest.mark.parametrize("cell", CELLS)
def test_operands_may_lie_anywhere(cell: str) -> None:
    inputs = drawn(cell, 3, 5, 9, "float32")
    kind = CELLS[cell]

    def program(x: Tensor, weight: Tensor, bias: Tensor, start: Tensor) -> list[Tensor]:
        starts = [start.reshape(1, -1).broadcast_to((5, 9)), flip(start.reshape(9, 1) * ones((1, 5), "float32"), 0).T]
        by_column = x.permute_dims(2, 0, 1).permute_dims(1, 2, 0)
        found = run(cell, flip(by_column, 0), weight.T, bias, *starts[: kind.states])
        return [part for s in found for part in split(s, 3, 0)]

    given = [inputs[0].copy(), np.ascontiguousarray(inputs[1].T), inputs[2], inputs[3][0]]
    graph = trace(program)(*given)
    check_compiled(graph, given)


@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_results_have_the_same_bits_for_any_number_of_threads(cell: str) -> None:
    inputs = drawn(cell, 3, 11, 40, "float32")
    graph = with_gradients(cell, inputs)
    one, *others = [run_compiled(graph, inputs, threads=n) for n in (1, 2, 3)]
    assert all(x.tobytes() == y.tobytes() for other in others for x, y in zip(one, other, strict=True))


def test_second_derivatives_compile() -> None:
    inputs = drawn("gru", 2, 2, 3)

    def penalty(*xs: Tensor) -> Tensor:
        (h,) = run("gru", *xs)
        (slope,) = gradients([h], [h], [xs[0]])
        assert slope is not None
        return (slope * slope).sum()

    check_compiled(gradient_graph(trace(penalty)(*inputs)), inputs)


@pytest.mark.parametrize(
    ("shapes", "message"),
    [
        ([(3, 2, 8), (8, 3), (8,), (2, 2), (2, 2)], r"must be f64\[8, 2\], f64\[8\], f64\[2, 2\], f64\[2, 2\]"),
        ([(3, 2, 9), (8, 2), (8,), (2, 2), (2, 2)], r"\[steps, batch, 4 \* hidden\], not f64\[3, 2, 9\]"),
        ([(0, 2, 8), (8, 2), (8,), (2, 2), (2, 2)], r"\[steps, batch, 4 \* hidden\]"),
        ([(3, 2, 8), (8, 2), (8,), (2, 2)], r"must be f64\[8, 2\]"),
    ],
)
def test_it_says_which_shapes_it_needs(shapes: list[tuple[int, ...]], message: str) -> None:
    with pytest.raises(ShapeError, match=message):
        run("lstm", *(tensor(np.zeros(s)) for s in shapes))
