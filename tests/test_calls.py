"""Recomputation and derivatives given by hand."""

from __future__ import annotations

import numpy as np
import pytest

from chainrule.autodiff import grad, gradient_graph, hessian
from chainrule.calls import checkpoint, custom_vjp
from chainrule.errors import DefinitionError, GradientError, ShapeError, TraceError
from chainrule.interpret import interpret
from chainrule.random import Generator
from chainrule.tensor import tensor
from chainrule.trace import trace

X = np.array([0.5, -1.0, 2.0])


def test_checkpointed_gradients_are_the_same_bits_with_random_draws_and_shared_inputs():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(8, 5)).astype(np.float32)
    start = rng.normal(size=(5, 5)).astype(np.float32)

    def run(wrap):
        generator = Generator(7)
        w = tensor(start, requires_grad=True)

        def block(h):
            kept = generator.bernoulli(0.7, h.shape)
            return (h @ w).tanh() * kept.cast("float32") + h * w.sum()

        h = tensor(x, requires_grad=True)
        first = h
        for _ in range(3):
            h = h + wrap(block)(h)
        (h * h).mean().backward()
        return w.grad.numpy(), first.grad.numpy(), generator.state.numpy()

    for plain, again in zip(run(lambda f: f), run(checkpoint), strict=True):
        assert plain.tobytes() == again.tobytes()


def test_a_checkpoint_keeps_no_intermediate_values():
    w = tensor(X, requires_grad=True)
    out = checkpoint(lambda x: (x * x * x * x).tanh())(w)
    assert [x.op.name for x in out.inputs] == ["checkpoint"] and out.inputs[0].inputs == (w,)


def test_a_checkpoint_takes_and_returns_trees_and_differentiates_twice():
    f = checkpoint(lambda p: {"y": (p["a"] ** 3).sum(), "z": p["a"]})
    np.testing.assert_allclose(hessian(lambda a: f({"a": a})["y"])(X).numpy(), np.diag(6 * X))
    np.testing.assert_array_equal(f({"a": X})["z"].numpy(), X)


def test_a_checkpoint_inside_a_trace_is_one_node():
    graph = trace(checkpoint(lambda x: x * x))(X)
    assert [n.op.name for n in graph.nodes if n.op] == ["checkpoint", "pick"]


def test_a_checkpoint_that_branches_on_a_value_says_so():
    with pytest.raises(TraceError, match="only types are known"):
        checkpoint(lambda x: x if x.sum() > 0 else -x)(X)


def test_a_custom_rule_replaces_the_derivative_and_can_be_differentiated():
    @custom_vjp(lambda ct, out, x: ct * out * x)
    def square(x):
        return x * x

    np.testing.assert_allclose(grad(lambda x: square(x).sum())(X).numpy(), X**3)
    # its own derivative: d(x^2 * x) with d(x^2) by the rule: out * x * x + out = x^4 + x^2
    second = grad(lambda x: grad(lambda y: square(y).sum())(x).sum())(X)
    np.testing.assert_allclose(second.numpy(), X**4 + X**2)


def test_a_custom_rule_sees_trees_and_may_return_none():
    @custom_vjp(lambda ct, out, p, k: ({"a": ct["y"] * 10.0, "b": None}, None))
    def f(p, k):
        return {"y": p["a"] * p["b"], "n": k * 2.0}

    found = grad(lambda p: f(p, 2.0)["y"].sum())({"a": X, "b": X})
    np.testing.assert_array_equal(found["a"].numpy(), np.full(3, 10.0))
    np.testing.assert_array_equal(found["b"].numpy(), np.zeros(3))


@pytest.mark.parametrize(
    ("rule", "error", "words"),
    [
        (lambda ct, out, x, y: (ct,), DefinitionError, "1 cotangents for 2 arguments"),
        (lambda ct, out, x, y: (ct, [ct, ct]), DefinitionError, "a cotangent '0', which no argument has"),
        (lambda ct, out, x, y: (ct, ct.sum()), ShapeError, r"f64\[\] for an argument of f64\[3\]"),
    ],
)
def test_a_wrong_custom_rule_is_an_error(rule, error, words):
    f = custom_vjp(rule)(lambda x, y: x * y)
    with pytest.raises(error, match=words):
        grad(lambda x: f(x, X).sum())(X)


def test_a_custom_function_may_not_read_other_parameters():
    w = tensor(X, requires_grad=True)
    with pytest.raises(GradientError, match="make it an argument"):
        custom_vjp(lambda ct, out, x: ct)(lambda x: x * w)(X)


def test_a_checkpoint_in_a_trace_reads_state_when_the_graph_runs():
    """A buffer from outside, and one that was assigned earlier in the trace, are read and not frozen."""
    buffer = tensor([1.0])

    def f(x):
        before = checkpoint(lambda: x * buffer)()
        buffer.assign(buffer + 1.0)
        return before, checkpoint(lambda: checkpoint(lambda: x * buffer)())()

    graph = trace(f)(np.ones(1, np.float32))
    assert [outside for outside, _ in graph.captured] == [buffer]
    results = interpret(graph, [np.array([10.0], np.float32), np.array([5.0], np.float32)])
    assert [r.tolist() for r in results] == [[50.0], [60.0], [6.0]]


def test_what_a_rule_reads_is_captured_by_the_gradient_graph():
    factor = tensor(3.0, name="factor")
    double = custom_vjp(lambda ct, out, x: ct * factor)(lambda x: x * 2.0)
    graph = gradient_graph(trace(double)(1.0))
    graph.verify()
    assert [outside for outside, _ in graph.captured] == [factor]
    assert [float(r) for r in interpret(graph, [np.float32(1.0), np.float32(5.0)])] == [2.0, 5.0]
