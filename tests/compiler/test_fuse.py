"""What becomes one kernel."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule import losses, nn, optim
from chainrule.compiler.blueprint import blueprint
from chainrule.compiler.fuse import Fusion
from chainrule.compiler.group import Group
from chainrule.compiler.kernels.loops import phases
from chainrule.compiler.layout import laid_out
from chainrule.compiler.simplify import simplified
from chainrule.kernel import Map, Reduce
from chainrule.nn import functional as F
from chainrule.nn.functional import softmax
from chainrule.tensor import tensor
from chainrule.testing import check_compiled
from tests.compiler.programs import V3, calls_of, floats, graph_of, kinds, plan_of
from tests.fuzz.cases import case_of

X, W, B = floats(32, 48), floats(48, 40), floats(40)


def groups_of(function: Callable[..., Any], *examples: Any) -> list[Group]:
    return Fusion(laid_out(simplified(graph_of(function, *examples)), V3)).run()


def layer_norm(x: Any) -> Any:
    mean = x.mean(axis=-1, keepdims=True)
    centred = x - mean
    return centred * cr.rsqrt((centred * centred).mean(axis=-1, keepdims=True) + 1e-5) * 2.0 + 1.0


@pytest.mark.parametrize(
    ("function", "examples", "expected"),
    [
        (lambda x: softmax(x, axis=-1), (X,), ["loops"]),
        (lambda x: softmax(x, axis=0), (X,), ["loops"]),
        (layer_norm, (X,), ["loops"]),
        (lambda x: x.exp().sum(), (X,), ["loops"]),
        (lambda x, y: (x.sum(axis=1), (x * y).sum(axis=1)), (X, X), ["loops"]),
        (lambda x: (x.sum(axis=0), x.sum(axis=1)), (X,), ["loops", "loops"]),
        (lambda x: (x - x.mean()) * 2.0, (X,), ["loops", "loops"]),
        (lambda x, w: x @ w, (X, W), ["product"]),
        (lambda x, w, b: cr.relu(x @ w + b), (X, W, B), ["product"]),
        (lambda x, w, b, r: cr.tanh(x @ w.T + b) * 2.0 + r, (X, floats(40, 48), B, floats(32, 40)), ["product"]),
        (lambda x, w: (x @ w).sum(axis=1), (X, W), ["product", "loops"]),
        (lambda x, w, v: cr.relu(x @ w) @ v, (X, W, floats(40, 7)), ["product", "product"]),
        (lambda x: (x.T[::-1, 2:] * 2.0).sum(axis=0), (X,), ["loops"]),
        (lambda x: cr.argsort(x, axis=1), (X,), ["native"]),
        (lambda x: softmax(x @ x.T / 7.0, axis=-1) @ x, (X,), ["product", "loops", "product"]),
    ],
)
def test_what_is_computed_together(function: Callable[..., Any], examples: Any, expected: list[str]) -> None:
    found = [g.kind for g in groups_of(function, *examples)]
    assert found in (expected, expected[:-1])


def test_softmax_has_three_phases_and_keeps_nothing_outside() -> None:
    (group,) = groups_of(lambda x: softmax(x, axis=-1), X)
    assert phases(group).count == 3 and len(group.stored) == 1 and len(group.inner) == 1


def test_an_update_of_adam_is_one_kernel_for_each_parameter() -> None:
    parameters = [tensor(floats(*shape), requires_grad=True) for shape in ((40, 48), (40, 48), (40,), (7,))]
    optimizer = optim.Adam(parameters)

    def step(*gradients: Any) -> None:
        for p, g in zip(parameters, gradients, strict=True):
            p.grad = g
        optimizer.step()

    plan = plan_of(step, *(floats(*p.shape) for p in parameters))
    updates = [call for call in calls_of(plan.calls) if " sqrt" in call.effort.title]
    assert len(updates) == 4
    assert len(plan.calls) <= 4 + 4  # and the numbers that depend on the counts of steps


def test_a_step_of_a_network_is_two_products_and_an_update_a_layer() -> None:
    model = nn.Sequential(nn.Linear(48, 40), nn.ReLU(), nn.Linear(40, 10))
    optimizer = optim.SGD(model.parameters(), 0.1)

    def step(x: Any, y: Any) -> Any:
        loss = losses.cross_entropy(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    plan = plan_of(step, X, np.zeros(32, np.int64))
    assert kinds(plan).count("product") == 5  # two forward, two for the weights, one between the layers
    assert len(kinds(plan)) <= 5 + 7  # and what the loss is made of, and the two biases


def check_groups(groups: list[Group], function: str) -> None:
    """What must hold for any distribution of nodes over groups."""
    owner = {}
    for group in groups:
        for node in group.stored:
            assert node not in owner, function
            owner[node] = group
    for position, group in enumerate(groups):
        assert group.number == position
        seen = set()
        for node in group.nodes:
            assert node.op is not None and node not in seen
            for x in node.inputs:
                base = x.base
                if base.op is None or base in seen:
                    continue  # a parameter or a constant, or made here before
                assert base in owner and owner[base].number < group.number, (function, node, base)
            seen.add(node)
            if group.kind == "loops":
                kernel = node.op.kernel
                assert isinstance(kernel, Map | Reduce)
                if isinstance(kernel, Map):
                    sizes = [1 if a < 0 else group.axes[a] for a in group.where[node]]
                    assert sizes == list(node.type.shape)


@pytest.mark.parametrize("first", range(0, 160, 40))
def test_groups_of_random_programs_hang_together(first: int) -> None:
    for seed in range(first, first + 40):
        ir = laid_out(simplified(case_of(seed).graph), V3)
        groups = Fusion(ir).run()
        check_groups(groups, f"seed {seed}")
        stored = {node for group in groups for node in group.stored}
        assert set(ir.results) <= stored, seed


def test_a_long_chain_is_one_kernel_and_takes_no_recursion() -> None:
    def chain(x: Any) -> Any:
        for n in range(3000):
            x = x * 0.5 + float(n % 3)
        return x

    (group,) = groups_of(chain, floats(3))
    assert len(group.nodes) == 6000


def test_kernels_of_deep_residual_networks_do_not_grow_with_the_depth() -> None:
    def network(depth: int) -> Callable[..., Any]:
        def function(x: Any, w: Any) -> Any:
            for _ in range(depth):
                x = x + layer_norm(x) @ w
            return (x * x).sum()

        return lambda x, w: cr.grad(function, argnums=(0, 1))(x, w)

    few, many = (groups_of(network(depth), X, floats(48, 48)) for depth in (4, 12))
    assert max(len(g.nodes) for g in many) == max(len(g.nodes) for g in few)
    check_compiled(graph_of(network(4), X, floats(48, 48)), [X, floats(48, 48)])


def test_an_expensive_node_is_computed_once() -> None:
    groups = groups_of(lambda x: (x.exp().reshape(-1) * 2.0, x.exp().T.reshape(-1) + 1.0), X)
    assert sum(node.op.name == "exp" for g in groups for node in g.nodes if node.op is not None) == 1


def test_kernels_of_equal_shape_share_their_code() -> None:
    def layers(x: Any, *weights: Any) -> Any:
        for w in weights:
            x = cr.tanh(x @ w)
        return x

    calls = [*calls_of(plan_of(layers, floats(32, 64), *(floats(64, 64) for _ in range(6))).calls)]
    assert len(calls) == 6 and len({call.kernel for call in calls}) <= 2


def test_kernels_that_read_the_same_numbers_the_other_way_round_do_not_share_their_code() -> None:
    def sums(x: Any, y: Any) -> Any:
        spread = [cr.broadcast_to(v, (2, 1, 1)) for v in (-x, x)]
        return [cr.where(a < b, 0.0, y).sum() for a, b in (spread, spread[::-1])]

    x, y = np.float32([2.0]), np.ones((2, 1, 1), np.float32)
    graph = graph_of(sums, x, y)
    check_compiled(graph, [x, y])
    check_compiled(graph, [-x, y])


@pytest.mark.parametrize(
    ("function", "examples", "asked"),
    [
        (lambda x, w, y: x @ w + y, (X, W, floats(32, 40)), True),
        (lambda x, w, b: x @ w + b, (X, W, B), False),
        (
            lambda x, w, y: F.conv2d(x, w, padding=1) * y,
            (floats(4, 8, 9, 9), floats(8, 8, 3, 3), floats(4, 8, 9, 9)),
            True,
        ),
        (lambda x, w, b: F.conv2d(x, w, b), (floats(4, 8, 9, 9), floats(8, 8, 3, 3), floats(8)), False),
    ],
)
def test_what_is_read_once_is_asked_for_early(function: Callable[..., Any], examples: Any, asked: bool) -> None:
    made = blueprint(graph_of(function, *examples), V3)
    texts = [text for text in made.modules.values() if "call void %" in text]
    assert texts and any("llvm.prefetch" in text for text in texts) is asked
