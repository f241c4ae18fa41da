"""The reference executor."""

from __future__ import annotations

import gc
import weakref

import numpy as np
import pytest

from chainrule.apply import apply, apply_several
from chainrule.errors import ShapeError
from chainrule.interpret import interpret
from chainrule.op import NON_DIFFERENTIABLE, Op
from chainrule.ops import tanh
from chainrule.ops.rules import same_type
from chainrule.samples import floats
from chainrule.tensor import tensor
from chainrule.trace import trace
from chainrule.types import FLOATS

X = np.array([0.5, -1.0, 2.0])


def test_a_graph_computes_what_the_function_does():
    def f(x, y):
        return tanh(x) * y, x - 3.0

    graph = trace(f)(X, X)
    for got, wanted in zip(interpret(graph, [X, 2 * X]), (np.tanh(X) * (2 * X), X - 3.0), strict=True):
        np.testing.assert_array_equal(got, wanted)


def test_outputs_may_be_inputs_constants_and_the_same_node_twice():
    c = np.array([7.0])

    def f(x, y):
        z = x + y
        return x, z, z, tensor(c)

    x, z, again, constant = interpret(trace(f)(X, X), [X, X])
    assert x is X
    np.testing.assert_array_equal(z, 2 * X)
    assert again is z
    np.testing.assert_array_equal(constant, c)


def test_captured_and_assigned_tensors_are_parameters_and_results():
    w = tensor(X)

    def f(x):
        w.assign(w + x)
        return w * 2.0

    out, new = interpret(trace(f)(X), [X, 10 * X])
    np.testing.assert_array_equal(out, 22 * X)
    np.testing.assert_array_equal(new, 11 * X)
    np.testing.assert_array_equal(w.numpy(), X)


def test_operations_with_several_outputs_run(halves):
    graph = trace(lambda x: apply_several(halves, x)[::-1])(np.arange(4.0))
    high, low = interpret(graph, [np.arange(4.0)])
    assert (high.tolist(), low.tolist()) == ([2.0, 3.0], [0.0, 1.0])


def test_numbers_come_out_as_arrays_without_axes():
    (out,) = interpret(trace(lambda x: x.sum())(X), [X])
    assert isinstance(out, np.ndarray) and out.shape == ()


def test_another_number_of_values_is_an_error():
    with pytest.raises(ValueError):
        interpret(trace(tanh)(X), [X, X])


def test_warnings_of_numpy_stay_away():
    (out,) = interpret(trace(lambda x: x.log() / 0.0)(X), [np.array([0.0, -1.0, 1.0])])
    assert np.isneginf(out[0]) and np.isnan(out[1:]).all()


class Tracked(np.ndarray):
    """An array to which weak references can point."""


def test_a_value_is_dropped_as_soon_as_nothing_needs_it():
    alive = []

    def run(x):
        gc.collect()
        counts.append(sum(r() is not None for r in alive))
        made = (np.asarray(x) + 1).view(Tracked)
        alive.append(weakref.ref(made))
        return made

    counts = []
    step = Op("step", (FLOATS,), same_type, run, NON_DIFFERENTIABLE, floats())

    def chain(x):
        for _ in range(5):
            x = apply(step, x)
        return x

    graph = trace(chain)(X)
    (out,) = interpret(graph, [X])
    np.testing.assert_array_equal(np.asarray(out), X + 5)
    assert max(counts) <= 2  # what is read, and at most the one before it


def test_another_number_of_arrays_is_an_error_that_names_those_wanted():
    w = tensor([2.0], name="w")
    with pytest.raises(ShapeError, match=r"1 arrays were given, but the graph reads 2: \['x', 'w'\]"):
        interpret(trace(lambda x: x * w)(np.ones(1, np.float32)), [np.ones(1, np.float32)])
