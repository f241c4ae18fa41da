"""Derivatives of functions, against formulas known by hand."""

from __future__ import annotations

import numpy as np
import pytest

from chainrule import nn, ops
from chainrule.autodiff import grad, gradient_graph, hessian, hvp, jacobian, jvp, value_and_grad, vjp
from chainrule.errors import DtypeError, GradientError, ShapeError
from chainrule.interpret import interpret
from chainrule.state import no_grad
from chainrule.tensor import Tensor, tensor
from chainrule.trace import trace

X = np.array([0.5, -1.0, 2.0])


def cubic(x):
    return (x * x * x).sum()


def test_backward_fills_grad_of_leaves_and_adds_to_what_is_there():
    w = tensor(X, requires_grad=True)
    cubic(w).backward()
    np.testing.assert_allclose(w.grad.numpy(), 3 * X**2)
    cubic(w).backward()
    np.testing.assert_allclose(w.grad.numpy(), 6 * X**2)


def test_a_second_backward_says_that_the_graph_was_freed():
    w = tensor(X, requires_grad=True)
    loss = cubic(w)
    loss.backward()
    with pytest.raises(GradientError, match=r"freed by an earlier backward.*\n.*retain_graph=True"):
        loss.backward()


def test_a_retained_graph_can_be_walked_again():
    w = tensor(X, requires_grad=True)
    loss = cubic(w)
    loss.backward(retain_graph=True)
    loss.backward()
    np.testing.assert_allclose(w.grad.numpy(), 6 * X**2)


def test_backward_from_a_shared_and_freed_part_is_an_error():
    w = tensor(X, requires_grad=True)
    shared = w * w
    shared.sum().backward()
    with pytest.raises(GradientError, match="freed"):
        (shared * 2.0).sum().backward()


def test_backward_of_a_vector_needs_a_cotangent_of_its_type():
    w = tensor(X, requires_grad=True)
    with pytest.raises(GradientError, match="one element"):
        (w * w).backward()
    with pytest.raises(ShapeError, match="does not fit"):
        (w * w).backward(np.ones(2))
    with pytest.raises(DtypeError, match="does not fit"):
        (w * w).backward(np.ones(3, np.float32))
    (w * w).backward(np.array([1.0, 0.0, 2.0]))
    np.testing.assert_allclose(w.grad.numpy(), [1.0, 0.0, 8.0])


def test_backward_without_anything_to_differentiate_by_is_an_error():
    with pytest.raises(GradientError, match="requires_grad=True"):
        tensor(1.0).backward()


def test_nothing_is_recorded_under_no_grad():
    w = tensor(X, requires_grad=True)
    with no_grad():
        y = w * w
    assert not y.requires_grad and not y.inputs


def test_detach_cuts_the_path():
    w = tensor(X, requires_grad=True)
    (w * w.detach()).sum().backward()
    np.testing.assert_allclose(w.grad.numpy(), X)


def test_grad_of_nested_containers_has_their_structure():
    params = {"w": np.array([1.0, 2.0]), "rest": [3.0, (np.array([4.0]), None)]}
    found = grad(lambda p: (p["w"] ** 2).sum() + p["rest"][0] * 2.0 + (p["rest"][1][0] * 5.0).sum())(params)
    np.testing.assert_allclose(found["w"].numpy(), [2.0, 4.0])
    assert found["rest"][0].item() == 2.0 and found["rest"][1][0].item() == 5.0 and found["rest"][1][1] is None


def test_grad_by_several_arguments_returns_a_tuple_and_keywords_pass_through():
    value, found = value_and_grad(lambda x, y, *, k: (x * y * k).sum(), argnums=(0, -1))(X, 2.0 * X, k=3.0)
    np.testing.assert_allclose(value.item(), 6 * (X**2).sum())
    np.testing.assert_allclose(found[0].numpy(), 6 * X)
    np.testing.assert_allclose(found[1].numpy(), 3 * X)


def test_auxiliary_results_are_handed_through():
    (value, aux), found = value_and_grad(lambda x: (cubic(x), {"twice": x * 2.0}), has_aux=True)(X)
    np.testing.assert_allclose(aux["twice"].numpy(), 2 * X)
    found_only, same = grad(lambda x: (cubic(x), "kept"), has_aux=True)(X)
    assert same == "kept" and value.item() == pytest.approx((X**3).sum())
    np.testing.assert_array_equal(found.numpy(), found_only.numpy())


def test_integers_in_an_argument_get_none():
    assert grad(lambda p: (p[0] * p[1]).sum())([X, np.array([1, 2, 3])])[1] is None


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: grad(lambda x: x)(X), GradientError, "one float of one element"),
        (lambda: grad(lambda x: x)(3), DtypeError, "holds integers"),
        (lambda: grad(lambda x: x)("text"), GradientError, "holds no tensor"),
        (lambda: grad(lambda x: x, argnums=2)(1.0), GradientError, "argnums=2"),
        (lambda: jvp(lambda x: x, [1.0], []), ShapeError, "0 tangents"),
        (lambda: vjp(lambda x: (x, x), 1.0)[1](1.0), ShapeError, "1 cotangents given for 2"),
        (lambda: vjp(lambda x: x * X, X)[1](np.ones(2)), ShapeError, "does not fit"),
    ],
)
def test_wrong_uses_say_what_is_wrong(call, error, words):
    with pytest.raises(error, match=words):
        call()


def test_results_hold_no_graph_when_nothing_outside_wants_one():
    value, found = value_and_grad(cubic)(X)
    assert not value.requires_grad and not found.requires_grad and not found.inputs


def test_an_outer_gradient_flows_through_an_inner_one_by_arguments_and_by_closure():
    np.testing.assert_allclose(grad(lambda x: grad(cubic)(x).sum())(X).numpy(), 6 * X)
    found = grad(lambda a: grad(lambda x: (a * x * x).sum())(X).sum())(np.array([1.0, 2.0, 3.0]))
    np.testing.assert_allclose(found.numpy(), 2 * X)


def test_perturbations_are_not_confused():
    # d/dx (x * d/dy (x + y)) = 1, not 2: Siskind & Pearlmutter (2005)
    assert grad(lambda x: x * grad(lambda y: x + y)(1.0))(3.0).item() == 1.0


def test_backward_flows_through_grad():
    w = tensor(X, requires_grad=True)
    grad(cubic)(w).sum().backward()
    np.testing.assert_allclose(w.grad.numpy(), 6 * X)


def test_jvp_is_the_transpose_of_vjp():
    rng = np.random.default_rng(0)
    a, u, v = rng.normal(size=(4, 3)), rng.normal(size=4), rng.normal(size=3)
    f = lambda x: ops.tanh(a @ x) * ops.exp(x).sum()  # noqa: E731
    value, pushed = jvp(f, [X], [v])
    same, pullback = vjp(f, X)
    np.testing.assert_array_equal(value.numpy(), same.numpy())
    np.testing.assert_allclose(u @ pushed.numpy(), pullback(u)[0].numpy() @ v)


def test_jvp_is_zero_where_nothing_depends_and_can_be_differentiated():
    value, pushed = jvp(lambda x: [x * 2.0, np.ones(2)], [X], [X])
    np.testing.assert_array_equal(pushed[1].numpy(), np.zeros(2))
    np.testing.assert_array_equal(value[0].numpy(), 2 * X)
    second = grad(lambda t: jvp(cubic, [X], [t])[1])(np.ones(3))
    np.testing.assert_allclose(second.numpy(), 3 * X**2)


def test_jacobian_of_nested_outputs():
    found = jacobian(lambda p: {"y": p["w"] * p["b"], "n": (p["w"] ** 2).sum()})({"w": X, "b": np.array(2.0)})
    np.testing.assert_allclose(found["y"]["w"].numpy(), 2 * np.eye(3))
    np.testing.assert_allclose(found["y"]["b"].numpy(), X)
    np.testing.assert_allclose(found["n"]["w"].numpy(), 2 * X)


def test_jacobian_of_an_empty_output_is_empty():
    assert jacobian(lambda x: x[:0])(X).shape == (0, 3)


def test_hessian_and_its_product_with_a_vector():
    rng = np.random.default_rng(1)
    a, v = rng.normal(size=(3, 3)), rng.normal(size=3)
    f = lambda x: (x * (a @ x)).sum()  # noqa: E731
    np.testing.assert_allclose(hessian(f)(X).numpy(), a + a.T)
    np.testing.assert_allclose(hvp(f, [X], [v])[0].numpy(), (a + a.T) @ v)


def test_the_graph_of_a_gradient_can_be_run_and_differentiated_again():
    graph = trace(cubic)(X)
    first = gradient_graph(graph)
    first.verify()
    value, slope = interpret(first, [X])
    np.testing.assert_allclose(slope, 3 * X**2)
    second = gradient_graph(first)  # of two outputs: their cotangents are inputs
    second.verify()
    *_, curvature = interpret(second, [X, np.array(0.0), np.ones(3)])
    np.testing.assert_allclose(curvature, 6 * X)
    assert value == pytest.approx((X**3).sum())


def test_the_graph_of_a_gradient_is_by_default_that_of_what_requires_one():
    w = tensor(X, requires_grad=True, name="w")
    graph = gradient_graph(trace(lambda x: (x * w).sum())(X))
    np.testing.assert_allclose(interpret(graph, [X, X])[1], X)
    assert len(graph.outputs) == 2
    by_name = gradient_graph(trace(lambda x: (x * w).sum())(X), wrt=["x", "w"])
    assert len(by_name.outputs) == 3
    with pytest.raises(GradientError, match="no float tensor called 'z'"):
        gradient_graph(trace(lambda x: (x * w).sum())(X), wrt=["z"])
    with pytest.raises(GradientError, match="no input is a float"):
        gradient_graph(trace(lambda x: x + 1)(np.arange(3)))


def test_a_traced_backward_gives_the_gradient_as_a_node_and_leaves_the_parameter_alone():
    w = tensor(X, requires_grad=True)

    def step(x) -> Tensor | None:
        (w * w * x).sum().backward()
        return w.grad

    graph = trace(step)(2.0)
    np.testing.assert_allclose(interpret(graph, [np.float32(2.0), X])[0], 4 * X, rtol=1e-6)
    assert w.grad is None


def test_a_step_of_gradient_descent_traces_to_an_assignment():
    w = tensor(X, requires_grad=True)

    def step():
        with no_grad():
            w.assign(w - 0.5 * grad(cubic)(w))
        return w * 1.0

    graph = trace(step)()
    after, assigned = interpret(graph, [X])
    np.testing.assert_allclose(after, X - 1.5 * X**2)
    np.testing.assert_array_equal(after, assigned)
    np.testing.assert_array_equal(w.numpy(), X)


def test_no_gradient_flows_through_a_part_traced_under_no_grad():
    def f(x):
        with no_grad():
            frozen = x * x
        return (frozen * x).sum()

    np.testing.assert_allclose(grad(f)(X).numpy(), X**2)
    np.testing.assert_allclose(interpret(gradient_graph(trace(f)(X)), [X])[1], X**2)


def test_a_chain_of_ten_thousand_operations_and_a_diamond_of_depth_200_finish():
    w = tensor(0.3, "float64", requires_grad=True)
    chain = w
    for _ in range(10_000):
        chain = chain * 1.0001
    chain.backward()
    assert w.grad.item() == pytest.approx(1.0001**10_000)
    w.grad = None
    diamond = w
    for _ in range(200):
        diamond = diamond + diamond
    diamond.backward()
    assert w.grad.item() == 2.0**200


def test_two_updates_in_one_trace_do_what_two_updates_do():
    def step(w):
        (w * w * w).sum().backward()
        with no_grad():
            w.assign(w - 0.1 * w.grad)
        w.grad = None

    def twice(w):
        step(w)
        step(w)
        return w * 1.0

    w, v = tensor(X, requires_grad=True), tensor(X, requires_grad=True)
    graph = trace(lambda: twice(w))()
    twice(v)
    np.testing.assert_array_equal(interpret(graph, [X])[0], v.numpy())
    assert w.grad is None


def test_a_parameter_assigned_between_forward_and_backward_is_an_error():
    w = tensor(X, requires_grad=True, name="w")
    loss = cubic(w)
    w.assign(w * 2.0)
    with pytest.raises(GradientError, match=r"w, was assigned a new value after it was used"):
        loss.backward()


def test_buffers_of_a_module_are_updated_and_get_no_gradient():
    norm = nn.BatchNorm1d(3)
    x = np.random.default_rng(0).normal(size=(5, 3)).astype(np.float32) + 2.0
    found = grad(lambda m: (m(x) ** 3).sum())(norm)
    assert found.running_mean is None and found.weight.shape == (3,)
    np.testing.assert_allclose(norm.running_mean.numpy(), 0.1 * x.mean(0), rtol=1e-5)
    assert jacobian(lambda m: m(x).sum(0))(norm).running_var is None


def test_cotangents_and_tangents_in_a_dict_may_come_in_any_order():
    def f(d):
        return {"p": d["a"] * 2.0, "q": d["b"] * 3.0}

    point = {"a": 1.0, "b": 1.0}
    _, pullback = vjp(f, point)
    assert {k: x.item() for k, x in pullback({"q": 1.0, "p": 10.0})[0].items()} == {"a": 20.0, "b": 3.0}
    _, pushed = jvp(f, [point], [{"b": 1.0, "a": 10.0}])
    assert {k: x.item() for k, x in pushed.items()} == {"p": 20.0, "q": 3.0}


def test_without_the_pair_that_has_aux_promises_there_is_an_error():
    with pytest.raises(GradientError, match="must return a pair"):
        value_and_grad(lambda x: x * x, has_aux=True)(2.0)
