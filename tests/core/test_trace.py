"""From Python functions to graphs."""

from __future__ import annotations

import gc
import weakref

import numpy as np
import pytest

from chainrule.errors import TraceError
from chainrule.interpret import interpret
from chainrule.ops import tanh
from chainrule.state import current_tracing, no_grad
from chainrule.tensor import Tensor, tensor
from chainrule.trace import trace, trace_tree
from chainrule.trees import unflatten

X = np.ones((2, 3))


def names(graph):
    return [x.name for x in graph.inputs]


def test_arguments_give_the_inputs_their_names():
    def f(x, *rest, scale):
        return x * scale["a"] + rest[0]

    assert names(trace(lambda x, w: x + w["weight"][0])(X, {"weight": [X]})) == ["x", "w.weight.0"]
    assert names(trace(f)(X, X, X, scale={"a": X})) == ["x0", "x1", "x2", "scale.a"]
    assert names(trace(lambda x, y=2.0: x * y)(X)) == ["x"]
    assert names(trace(lambda *, x: x + 1.0)(x=X)) == ["x"]


def test_a_function_without_a_signature_gets_numbered_inputs():
    assert names(trace(type("F", (), {"__call__": lambda self, x: x + x, "__signature__": "none"})())(X)) == ["x0"]


def test_types_flow_and_nothing_is_computed():
    calls = []

    def f(x, n):
        calls.append((x.value, current_tracing() is not None))
        return x.reshape(n, -1)

    graph = trace(f)(np.ones((4, 6), np.float32), 8)
    assert calls == [(None, True)]
    assert str(graph.outputs[0].type) == "f32[8, 3]"
    assert current_tracing() is None


def test_the_structure_of_the_result_is_kept():
    graph, structure = trace_tree(lambda x: {"twice": x + x, "rest": [x, 3, "label"]}, X)
    assert unflatten(structure, ["a", "b"]) == {"twice": "a", "rest": ["b", 3, "label"]}
    assert len(graph.outputs) == 2


def test_tensors_from_outside_are_captured_once_in_order():
    a, b = tensor(X, name="a"), tensor(X, name="b", requires_grad=True)
    graph = trace(lambda x: b * x + a * b)(X)
    assert [outside.name for outside, _ in graph.captured] == ["b", "a"]
    assert [stand_in.requires_grad for _, stand_in in graph.captured] == [True, False]
    assert all(stand_in.value is None for _, stand_in in graph.captured)


def test_arrays_and_numbers_are_constants():
    graph = trace(lambda x: x + X * 2.0)(X)
    assert graph.captured == ()
    assert sum(n.op is None and n.value is not None for n in graph.nodes) == 1


def test_an_assigned_tensor_is_read_with_its_new_value_and_stays_as_it_was():
    w = tensor([1.0])

    def f(x):
        w.assign(w + x)
        w.assign(w * x)
        return w - x

    graph = trace(f)(np.ones(1, np.float32))
    assert [n.op.name for n in graph.nodes if n.op] == ["add", "multiply", "subtract"]
    ((outside, new),) = graph.assigned
    assert outside is w and new.op.name == "multiply"
    assert w.tolist() == [1.0]


def test_an_assigned_variable_is_a_variable_again():
    """As eagerly: what it was computed from is forgotten, and a gradient ends there."""
    w = tensor([3.0], requires_grad=True)

    def f(x):
        w.assign(w * w)
        (w * x).backward()
        return w.grad

    graph = trace(f)(np.ones(1, np.float32))
    slope, new = interpret(graph, [np.array([5.0], np.float32), np.array([3.0], np.float32)])
    assert (slope.tolist(), new.tolist()) == ([5.0], [9.0])
    assert w.grad is None and w.tolist() == [3.0]


def test_a_gradient_set_while_tracing_does_not_escape():
    w = tensor([1.0], requires_grad=True)
    w.grad = tensor([5.0])
    seen = []

    def f(x):
        w.grad = x
        seen.append(w.grad)
        return x

    graph = trace(f)(np.ones(1, np.float32))
    assert seen[0] is graph.inputs[0]
    assert w.grad.tolist() == [5.0]


def test_results_that_are_not_computed_are_allowed():
    w = tensor(X)
    graph = trace(lambda x: (x, w, 2.0, X))(X)
    assert graph.outputs[0] is graph.inputs[0]
    assert graph.outputs[1] is graph.captured[0][1]
    graph.verify()


def test_a_tensor_that_leaks_from_another_trace_is_an_error():
    leaked = []
    trace(lambda x: leaked.append(x + x) or x)(X)
    with pytest.raises(TraceError, match=r"a tensor f64\[2, 3\] made at test_trace.py:\d+ .*belongs to another trace"):
        trace(lambda x: x * leaked[0])(X)
    with pytest.raises(TraceError, match="belongs to another trace"):
        trace(lambda x: leaked[0])(X)


def test_a_traced_tensor_cannot_be_used_after_the_trace():
    leaked = []
    trace(lambda x: leaked.append(x + x) or x)(X)
    with pytest.raises(TraceError, match=r"the value of a traced tensor f64\[2, 3\] was asked for"):
        _ = leaked[0] + 1.0


def test_a_trace_inside_a_trace_is_its_own():
    inner = []

    def f(x):
        inner.append(trace(tanh)(X))
        return x + x

    graph = trace(f)(X)
    assert [n.op.name for n in graph.nodes if n.op] == ["add"]
    assert [n.op.name for n in inner[0].nodes if n.op] == ["tanh"]


def test_a_trace_inside_a_trace_captures_from_all_that_enclose_it():
    captured = []

    def f(x):
        def g(y):
            captured.extend(outside for outside, _ in trace(lambda z: x + y * z)(X).captured)
            return y

        trace(g)(X)
        return x

    trace(f)(X)
    assert [outside.name for outside in captured] == ["y", "x"]


def test_an_error_while_tracing_leaves_no_trace_open():
    with pytest.raises(ZeroDivisionError):
        trace(lambda x: 1 / 0)(X)
    assert current_tracing() is None


def test_a_trace_records_also_under_no_grad():
    w = tensor(X, requires_grad=True)
    with no_grad():
        graph = trace(lambda x: x * w)(X)
    assert graph.outputs[0].requires_grad


def test_modules_of_the_trace_get_the_line_of_the_user():
    graph = trace(lambda x: tanh(x))(X)
    assert all(isinstance(n, Tensor) and n.source.file == __file__ for n in graph.nodes)


def test_what_is_left_of_a_trace_needs_no_garbage_collector():
    w = tensor(X, requires_grad=True)
    gc.disable()
    try:
        graph = trace(lambda x: w.assign(w * x) or w + x)(X)
        nodes = [weakref.ref(node) for node in graph.nodes]
        del graph
        assert [node() for node in nodes] == [None] * len(nodes)
    finally:
        gc.enable()


def test_a_traced_tensor_that_is_used_when_the_trace_is_over_says_so():
    kept = []
    trace(lambda x: kept.append(x + x) or x)(X)
    with pytest.raises(TraceError, match="return it from there"):
        kept[0] + 1.0
