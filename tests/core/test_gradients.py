"""The backward pass."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from chainrule.apply import apply, apply_several
from chainrule.errors import GradientError
from chainrule.gradients import gradients
from chainrule.interpret import interpret
from chainrule.op import JointRule, Recompute
from chainrule.ops import stop_gradient, tanh
from chainrule.state import no_grad
from chainrule.tensor import Tensor, tensor
from chainrule.trace import trace

X = np.array([0.5, -1.0, 2.0])


def leaf(value=X):
    return tensor(np.asarray(value, float), requires_grad=True)


def pull(y, *wrt, ct=None):
    found = gradients([y], [tensor(np.ones(y.shape) if ct is None else ct)], wrt)
    return [None if g is None else g.numpy() for g in found]


def test_cotangents_add_up_where_paths_meet():
    x = leaf()
    (got,) = pull(x * x + x * 3.0, x)
    np.testing.assert_allclose(got, 2 * X + 3)


def test_several_outputs_are_pulled_back_together():
    x, y = leaf(), leaf(2 * X)
    a, b = x * y, x + y
    found = gradients([a, b], [tensor(X), tensor(10 * X)], [x, y])
    np.testing.assert_allclose(found[0].numpy(), X * (2 * X) + 10 * X)
    np.testing.assert_allclose(found[1].numpy(), X * X + 10 * X)


def test_an_output_listed_twice_counts_twice_and_an_input_as_output_gets_its_cotangent():
    x = leaf()
    y = x * 2.0
    (found,) = gradients([y, y, x], [tensor(X), tensor(X), tensor(X)], [x])
    np.testing.assert_allclose(found.numpy(), 5 * X)


def test_what_no_output_depends_on_gets_none():
    x, y = leaf(), leaf()
    assert pull(x * 2.0, y) == [None]
    assert pull(x * stop_gradient(y), y) == [None]
    np.testing.assert_allclose(pull(x * 2.0, x, x)[1], [2.0, 2.0, 2.0])


def test_the_variables_are_independent():
    """Asked for x and for y = f(x), the part that flows through y belongs to y alone."""
    x = leaf()
    y = x * x
    z = y * x
    by_x, by_y = pull(z, x, y)
    np.testing.assert_allclose(by_x, X * X)
    np.testing.assert_allclose(by_y, X)


def test_gradients_of_gradients_are_gradients():
    x = leaf()
    y = x * x * x
    for expected in (3 * X**2, 6 * X, np.full(3, 6.0)):
        (y,) = gradients([y], [tensor(np.ones(3))], [x])
        np.testing.assert_allclose(y.numpy(), expected)
    assert gradients([y], [tensor(np.ones(3))], [x]) == [None]


def test_nodes_of_the_backward_pass_name_the_forward_line():
    x = leaf()
    y = tanh(x)
    (found,) = gradients([y], [leaf()], [x])
    assert found.source == y.source._replace(backward=True)
    assert str(found.source).endswith(", backward")


def test_only_what_lies_between_is_visited(counted):
    op, calls = counted
    x, other = leaf(), leaf()
    y = apply(op, x) * apply(op, other)
    pull(y, x)
    assert len(calls) == 1 and calls[0].inputs == (x,)


def test_each_node_is_pulled_once_whatever_the_number_of_paths(counted):
    op, calls = counted
    x = leaf()
    y = x
    for _ in range(20):
        y = apply(op, y)
        y = y + y
    pull(y, x)
    assert len(calls) == len({id(node) for node in calls}) == 20


def test_a_diamond_of_depth_200_is_exact_and_does_not_take_forever(counted):
    op, calls = counted
    x = leaf(1.0)
    y = x
    for _ in range(200):
        y = y + y
    assert y.item() == 2.0**200
    assert pull(y, x) == [2.0**200]
    z = apply(op, y)
    pull(z + z, x)
    assert len(calls) == 1


def test_a_chain_of_ten_thousand_operations_runs_and_is_traced_printed_and_interpreted(counted):
    op, calls = counted

    def chain(x):
        for _ in range(10_000):
            x = apply(op, x)
        return x

    x = leaf(0.5)
    (slope,) = pull(chain(x), x)
    assert len(calls) == 10_000 and 0 < slope < 1
    graph = trace(chain)(x)
    graph.verify()
    assert str(graph).count("counted") == 10_000
    assert interpret(graph, [np.array(0.5)])[0] == chain(x).item()
    (back,) = trace(lambda x: gradients([chain(x)], [tensor(1.0, "float64")], [x]))(x).outputs
    assert str(back.type) == "f64[]"


def test_traced_gradients_are_those_of_the_eager_function():
    def f(x, y):
        return gradients([tanh(x) * y], [x], [x, y])

    graph = trace(f)(leaf(), leaf())
    graph.verify()
    eager = f(leaf(), leaf(X + 1))
    for got, wanted in zip(interpret(graph, [X, X + 1]), eager, strict=True):
        np.testing.assert_array_equal(got, wanted.numpy())


def test_a_part_under_no_grad_is_constant_eagerly_and_traced():
    def f(x):
        with no_grad():
            c = x * x
        return gradients([c * x], [tensor(np.ones(3))], [x])

    (eager,) = f(leaf())
    np.testing.assert_allclose(eager.numpy(), X * X)
    np.testing.assert_allclose(interpret(trace(f)(leaf()), [X])[0], X * X)


def test_outputs_of_one_node_arrive_together(halves):
    x = leaf([1.0, 2.0, 3.0, 4.0])
    low, high = apply_several(halves, x)
    np.testing.assert_allclose(pull(low * 2.0 + high * low, x)[0], [2 + 3, 2 + 4, 1, 2])
    np.testing.assert_allclose(pull(high, x)[0], [0, 0, 1, 1])


def test_a_joint_rule_may_return_none_for_zero():
    op = dataclasses.replace((leaf() * leaf()).op, name="first", vjp=JointRule(lambda ct, out, x, y: [ct * y, None]))
    x, y = leaf(), leaf()
    by_x, by_y = pull(apply(op, x, y), x, y)
    np.testing.assert_allclose(by_x, X)
    assert by_y is None


def test_a_rule_that_is_none_is_a_zero_derivative():
    x = leaf()
    op = dataclasses.replace(tanh(x).op, name="steps", numpy=np.floor, vjp=(None,))
    y = apply(op, x)
    assert y.requires_grad and pull(y, x) == [None]


def test_a_recomputed_operation_is_differentiated_through_nodes_made_again(halves):
    def again(x):
        v = tensor(x, requires_grad=True)
        made.append(v)
        return [v * v, v * 3.0], [v]

    made = []
    op = dataclasses.replace(
        halves,
        name="again",
        infer=lambda x: (x, x),
        numpy=lambda x: (x * x, x * 3.0),
        vjp=Recompute(again),
    )
    x = leaf()
    square, triple = apply_several(op, x)
    np.testing.assert_allclose(pull(square + triple + x, x)[0], 2 * X + 4)
    assert len(made) == 1
    np.testing.assert_allclose(pull(triple, x)[0], [3.0, 3.0, 3.0])


def test_a_freed_graph_says_where_it_was_freed_and_what_to_do():
    x = leaf()
    y = tanh(x)
    y.inputs = ()
    with pytest.raises(GradientError) as caught:
        pull(y * y, x)
    assert "at the node made by tanh at test_gradients.py:" in str(caught.value)
    assert "retain_graph=True" in str(caught.value)


def test_a_tensor_that_was_assigned_after_its_use_is_an_error_and_before_it_is_not():
    w = tensor(X, requires_grad=True, name="w")
    w.assign(w * 2.0)
    y = w * w
    np.testing.assert_allclose(pull(y, w)[0], 4 * X)
    w.assign(w * 2.0)
    with pytest.raises(
        GradientError, match=r"a tensor f64\[3\], w, was assigned a new value after it was used at test_"
    ):
        pull(y, w)


def test_outputs_and_cotangents_must_pair_up():
    x = leaf()
    with pytest.raises(ValueError):
        gradients([x * 2.0], [], [x])


def test_a_chain_is_freed_without_recursion():
    x = leaf(1.0)
    for _ in range(30_000):
        x = -x
    assert isinstance(x, Tensor)
    del x
