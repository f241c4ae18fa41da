"""Loops and choices as operations."""

from __future__ import annotations

import numpy as np
import pytest

from chainrule.autodiff import grad, gradient_graph
from chainrule.control import cond, scan
from chainrule.errors import DefinitionError, DtypeError, ShapeError
from chainrule.interpret import interpret
from chainrule.random import Generator
from chainrule.tensor import tensor
from chainrule.testing import check_gradients
from chainrule.trace import trace

RNG = np.random.default_rng(0)
W, XS, H = RNG.normal(size=(3, 3)) / 2, RNG.normal(size=(5, 3)), RNG.normal(size=3)


def cell(h, x, w):
    h = (h @ w + x).tanh()
    return h, h * x


def unrolled(w, h, xs, *, reverse=False):
    ys = [None] * len(xs)
    for i in reversed(range(len(xs))) if reverse else range(len(xs)):
        h = np.tanh(h @ w + xs[i])
        ys[i] = h * xs[i]
    return h, np.array(ys)


@pytest.mark.parametrize("reverse", [False, True])
def test_scan_does_what_a_python_loop_does(reverse):
    last, ys = scan(lambda h, x: cell(h, x, tensor(W)), H, XS, reverse=reverse)
    expected = unrolled(W, H, XS, reverse=reverse)
    np.testing.assert_allclose(last.numpy(), expected[0])
    np.testing.assert_allclose(ys.numpy(), expected[1])


@pytest.mark.parametrize("reverse", [False, True])
def test_gradients_through_time_hold_to_second_order(reverse):
    check_gradients(lambda w, h, xs: scan(lambda c, x: cell(c, x, w), h, xs, reverse=reverse), (W, H, XS), order=2)


def test_a_traced_scan_and_its_gradient_run_in_the_interpreter():
    graph = trace(lambda w: scan(lambda c, x: cell(c, x, w), H, XS)[1].sum())(W)
    graph.verify()
    both = gradient_graph(graph)
    both.verify()
    value, slope = interpret(both, [W])
    eager = grad(lambda w: scan(lambda c, x: cell(c, x, w), H, XS)[1].sum())(W)
    np.testing.assert_array_equal(slope, eager.numpy())
    assert value == pytest.approx(unrolled(W, H, XS)[1].sum())


def test_backward_reaches_parameters_that_the_body_reads():
    w = tensor(W, requires_grad=True)
    scan(lambda c, x: cell(c, x, w), H, XS)[1].sum().backward()
    expected = grad(lambda v: scan(lambda c, x: cell(c, x, v), H, XS)[1].sum())(W)
    np.testing.assert_array_equal(w.grad.numpy(), expected.numpy())


def test_carries_and_inputs_may_be_trees_with_integers():
    def body(carry, x):
        return {"n": carry["n"] + 1, "s": carry["s"] + x["v"] * x["k"].cast("float64")}, (carry["n"], None)

    xs = {"v": np.array([1.0, 2.0, 3.0]), "k": np.array([1, 2, 3])}
    last, (counts, nothing) = scan(body, {"n": 0 * np.int64(1), "s": np.float64(0.0)}, xs)
    assert last["s"].item() == 14.0 and last["n"].item() == 3 and nothing is None
    np.testing.assert_array_equal(counts.numpy(), [0, 1, 2])
    slope = grad(lambda v: scan(body, {"n": np.int64(0), "s": np.float64(0.0)}, {"v": v, "k": xs["k"]})[0]["s"])(
        xs["v"]
    )
    np.testing.assert_array_equal(slope.numpy(), [1.0, 2.0, 3.0])


def test_what_the_body_assigns_is_carried_and_assigned():
    total, generator, twin = tensor(0.0), Generator(3), Generator(3)

    def body(carry, _):
        total.assign(total + carry)
        return carry + 1.0, generator.uniform(())

    _, drawn = scan(body, 1.0, length=4)
    assert total.item() == 10.0
    np.testing.assert_array_equal(drawn.numpy(), [twin.uniform(()).item() for _ in range(4)])
    np.testing.assert_array_equal(generator.state.numpy(), twin.state.numpy())


def test_a_scan_of_no_steps_returns_the_carry_and_empty_outputs():
    last, ys = scan(lambda c, x: (c * x, c), 2.0, np.zeros((0,), np.float32))
    assert last.item() == 2.0 and ys.shape == (0,)


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: scan(lambda c, x: c, 1.0, XS), DefinitionError, "must return a pair"),
        (lambda: scan(lambda c, x: (c, x), 1.0), ShapeError, "`length` is needed"),
        (lambda: scan(lambda c, x: (c, x), 1.0, (XS, XS[:2])), ShapeError, r"must agree, not \[2, 5\]"),
        (lambda: scan(lambda c, x: (c, x), 1.0, length=-1), ShapeError, "-1 steps"),
        (lambda: scan(lambda c, x: (c, x), 1.0, 2.0), ShapeError, "first axis"),
        (lambda: scan(lambda c, x: (c + x, x), 1.0, XS), ShapeError, r"carry: f32\[\] became f64\[3\]"),
        (lambda: scan(lambda c, x: ((c, c), x), 1.0, XS), ShapeError, "2 tensors, but was given 1"),
        (lambda: cond(1.0, lambda: 1.0, lambda: 2.0), DtypeError, "single truth value"),
        (lambda: trace(lambda p: cond(p, lambda: X2, lambda: 1.0))(np.bool_(True)), ShapeError, "same types"),
    ],
)
def test_wrong_uses_say_what_is_wrong(call, error, words):
    with pytest.raises(error, match=words):
        call()


X2 = np.ones(2)


def test_cond_runs_one_side_eagerly_and_chooses_between_both_when_traced():
    seen = []

    def side(name, factor):
        def run(x):
            seen.append(name)
            return x * factor

        return run

    f = lambda p, x: cond(p, side("yes", 2.0), side("no", 3.0), x)  # noqa: E731
    assert f(np.bool_(False), tensor(1.0)).item() == 3.0 and seen == ["no"]
    graph = trace(f)(np.bool_(True), X2)
    np.testing.assert_array_equal(interpret(graph, [np.bool_(True), X2])[0], 2 * X2)
    np.testing.assert_array_equal(interpret(graph, [np.bool_(False), X2])[0], 3 * X2)


def test_a_scan_in_a_trace_reads_state_when_the_graph_runs():
    total, factor = tensor(0.0), tensor(1.0)

    def body(c, x):
        total.assign(total + factor * x)
        return c, total

    graph = trace(lambda xs: scan(body, 0.0, xs)[1])(np.ones(2, np.float32))
    values = {id(total): np.float32(10.0), id(factor): np.float32(3.0)}
    ys, last = interpret(graph, [np.array([1.0, 2.0], np.float32), *(values[id(t)] for t, _ in graph.captured)])
    assert ys.tolist() == [13.0, 19.0] and last == 19.0


def test_a_carry_in_a_dict_may_come_back_in_any_order():
    def body(c, x):
        return {"b": c["b"] * x, "a": c["a"] + x}, None

    last, _ = scan(body, {"a": 0.0, "b": 1.0}, np.array([2.0, 3.0], np.float32))
    assert {name: x.item() for name, x in last.items()} == {"a": 5.0, "b": 6.0}


def test_an_integer_in_a_carry_that_changes_is_an_error():
    with pytest.raises(DefinitionError, match=r"makes 1 of 0 in its carry.*tensor\(0\)"):
        scan(lambda c, x: (c + 1, x), 0, XS)
    (last, kept), _ = scan(lambda c, x: ((c[0] + c[1], c[1]), None), (tensor(0), 2), length=3)
    assert (last.item(), kept) == (6, 2)
