"""In which order kernels run: nothing is read before it is written, nor after it has been overwritten."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule import nn
from chainrule.compiler.blueprint import Blueprint, Call, Repeat, assigned_parameters
from chainrule.compiler.layout import laid_out
from chainrule.compiler.schedule import Schedule, scheduled
from chainrule.compiler.simplify import simplified
from chainrule.graph import Graph
from chainrule.nn.functional import softmax
from chainrule.tensor import tensor
from chainrule.testing.compiled import run_compiled
from tests.compiler.programs import V3, V4, calls_of, floats, graph_of, plan_of
from tests.fuzz.cases import case_of


def schedule_of(graph: Graph, target: Any = V3) -> Schedule:
    ir = laid_out(simplified(graph), target)
    return scheduled(ir, assigned_parameters(graph, ir), target)


def written_by(plan: Schedule) -> dict[Any, int]:
    """For each buffer that is written, the place of its last writer."""
    return {node: i for i, (_, work) in enumerate(plan.works) for node in work.group.stored}


@pytest.mark.parametrize("target", [V3, V4], ids=lambda t: t.cpu)
@pytest.mark.parametrize("first", range(0, 160, 40))
def test_random_programs_are_in_order(first: int, target: Any) -> None:
    for seed in range(first, first + 40):
        plan = schedule_of(case_of(seed).graph, target)
        phases = [phase for phase, _ in plan.works]
        assert phases == sorted(phases)
        done: set[Any] = set()
        replaced: set[Any] = set()
        for _, work in plan.works:
            for node in work.arguments:
                base = node.base
                if node not in work.group.stored and base.op is not None and base.op.name != "pick":
                    assert base in done, seed
                assert base not in replaced or node in work.group.stored, seed
            done |= set(work.group.stored)
            replaced |= {plan.homes[node] for node in work.group.stored if node in plan.homes}


@pytest.mark.parametrize("first", range(0, 120, 40))
def test_kernels_of_one_phase_touch_no_part_that_another_thread_writes(first: int) -> None:
    for seed in range(first, first + 40):
        plan = schedule_of(case_of(seed).graph)
        touched: dict[tuple[int, Any], list[Any]] = {}
        for phase, work in plan.works:
            for base, writes, cut in work.touches(plan.homes):
                for other, wrote, its_cut in touched.setdefault((phase, base), []):
                    if other is not work and (writes or wrote):
                        assert cut == its_cut, seed
                        assert cut.units <= 1 or cut.stride, seed
                touched[phase, base].append((work, writes, cut))


def homes_of(function: Callable[..., Any], *examples: Any) -> int:
    """How many of the tensors that a function assigns are updated where they are, without a copy."""
    plan = schedule_of(graph_of(function, *examples))
    return sum(node.op is None or node.op.name != "identity" for node in plan.homes)


A, B = tensor(floats(40, 40)), tensor(floats(40, 40))


def updates(*pairs: tuple[Any, Callable[..., Any]]) -> Callable[..., Any]:
    def step(x: Any) -> Any:
        new = [(target, make(x)) for target, make in pairs]
        for target, value in new:
            target.assign(value)
        return (x * 0.5).sum()

    return step


@pytest.mark.parametrize(
    ("step", "least"),
    [
        (updates((A, lambda x: A - 0.1 * x)), 1),
        (updates((A, lambda x: A * 0.9 + x.T)), 1),
        (updates((A, lambda x: A - 0.1 * (x @ x))), 1),
        (updates((A, lambda x: A.T * 2.0)), 0),
        (updates((A, lambda x: A[::-1] * 2.0)), 0),
        (updates((A, lambda x: A @ x)), 0),
        (updates((A, lambda x: x @ A + A)), 0),
        (updates((A, lambda x: A - A.mean(axis=0))), 0),
        (updates((A, lambda x: cr.argsort(A, axis=0).cast("float32"))), 0),
        (updates((A, lambda x: cr.concat([x[:20], x[20:]]))), 1),
        (updates((A, lambda x: B * 1.5), (B, lambda x: A * 2.5)), 1),
        (updates((A, lambda x: B), (B, lambda x: A)), 0),
        (updates((A, lambda x: x * 2.0), (B, lambda x: x * 2.0)), 1),
        (updates((A, lambda x: A + 1.0), (B, lambda x: B + A)), 2),
    ],
)
def test_tensors_are_updated_in_place_where_that_is_right(step: Any, least: int) -> None:
    x = floats(40, 40) * 3
    assert homes_of(step, x) >= least
    graph = graph_of(step, x)
    inputs = [x, *(outside.numpy() for outside, _ in graph.captured)]
    eager = [A.numpy(), B.numpy()]
    try:
        expected = [step(tensor(x)).numpy(), *(t.numpy() for t, _ in graph.assigned)]
    finally:
        A.assign(eager[0])
        B.assign(eager[1])
    for threads in (1, 3):
        for found, plain in zip(run_compiled(graph, inputs, threads=threads), expected, strict=True):
            np.testing.assert_allclose(found, plain, rtol=1e-4, atol=1e-4)


def test_a_chain_of_layers_meets_less_often_than_it_has_kernels() -> None:
    def layers(x: Any, *weights: Any) -> Any:
        for w in weights:
            x = cr.tanh(x @ w)
        return x

    plan = plan_of(layers, floats(64, 64), *(floats(64, 64) for _ in range(10)))
    calls = [*calls_of(plan.calls)]
    assert len(calls) == 10 and calls[-1].phase == 0  # each thread keeps to its own rows


def test_a_product_is_not_cut_into_single_rows_to_save_a_barrier() -> None:
    plan = schedule_of(graph_of(lambda x, w: softmax(x) @ w, floats(200, 512), floats(512, 512)))
    rows, product = (work for _, work in plan.works)
    assert rows.units == 200 and product.group.kind == "product" and product.units <= 25


def test_loops_are_cut_along_the_slowest_axis_if_that_makes_enough_units() -> None:
    (loops,) = (work for _, work in schedule_of(graph_of(cr.exp, floats(16, 28, 28, 32))).works)
    assert loops.units == 16 and loops.shape is not None and loops.shape.cut == 0
    (loops,) = (work for _, work in schedule_of(graph_of(cr.exp, floats(3, 28, 28, 32))).works)
    assert loops.units > 3


def test_many_rows_are_cut_into_blocks_that_products_can_share() -> None:
    plan = schedule_of(graph_of(lambda x, w: softmax(x) @ w, floats(768, 512), floats(512, 512)))
    rows, product = (work for _, work in plan.works)
    assert rows.units == product.units == 48 and len({phase for phase, _ in plan.works}) == 1


def test_images_are_not_normalised_in_two_halves_of_their_channels_to_save_a_barrier() -> None:
    plan = schedule_of(graph_of(nn.BatchNorm2d(32), floats(16, 32, 28, 28)))
    assert [work.units for _, work in plan.works if len(work.group.axes) == 4] == [16, 16]


def total_phases(plan: Blueprint) -> int:
    return len({call.phase for call in plan.calls})


def test_numbers_need_no_barriers_among_themselves() -> None:
    def numbers(x: Any) -> Any:
        for n in range(10):
            x = cr.tanh(x + float(n))
        return x

    assert total_phases(plan_of(numbers, 1.0)) == 1


def test_a_loop_is_a_phase_of_its_own() -> None:
    plan = plan_of(lambda x: cr.scan(lambda c, row: (c * 0.5 + row, c), x[0] * 2.0, x + 1.0), floats(5, 8))
    loops = [call for call in plan.calls if isinstance(call, Repeat)]
    (loop,) = loops
    assert loop.count == 5 and loop.depth == 0 and all(isinstance(call, Call) for call in loop.calls)
    before = {call.phase for call in plan.calls[: plan.calls.index(loop)] if "add" in call.effort.title}  # type: ignore[union-attr]
    assert all(phase < loop.phase for phase in before)
