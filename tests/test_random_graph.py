"""Random graphs: valid, finite, the same each time, and made of everything there is."""

from __future__ import annotations

import dataclasses
import hashlib

import numpy as np
import pytest

from chainrule.errors import DefinitionError
from chainrule.gradients import gradients
from chainrule.interpret import interpret
from chainrule.op import REGISTRY, Op
from chainrule.ops import ones_like
from chainrule.ops.rules import same_type
from chainrule.samples import Sample, floats
from chainrule.tensor import Tensor
from chainrule.testing import random_graph, random_inputs
from chainrule.trace import trace
from chainrule.types import ANY, FLOATS, TensorType

SINE = Op("sine", (FLOATS,), same_type, np.sin, (lambda ct, out, x: ct * x.cos(),), floats(), None)


GRAPHS = 200


def with_values(graph, seed):
    return [Tensor(x.type, v) for x, v in zip(graph.parameters, random_inputs(graph, seed), strict=True)]


def bits(arrays):
    return [(v.dtype, v.shape, v.tobytes()) for v in arrays]


@pytest.mark.parametrize("first", range(0, GRAPHS, 20))
def test_interpreted_and_eager_results_of_random_graphs_are_the_same_bits(first):
    for seed in range(first, first + 20):
        graph = random_graph(seed)
        graph.verify()
        values = with_values(graph, seed)
        eager = [x.value for x in graph.replay(values)]
        interpreted = interpret(graph, [x.value for x in values])
        assert bits(interpreted) == bits(eager), f"seed {seed}\n{graph}"
        assert [(v.dtype, v.shape) for v in eager] == [(y.dtype.numpy, y.shape) for y in graph.outputs]


@pytest.mark.parametrize("first", range(0, GRAPHS, 20))
def test_gradients_of_random_graphs_verify_and_are_finite(first):
    for seed in range(first, first + 20):
        graph = random_graph(seed)

        def back(*inputs, graph=graph):
            wrt = [x for x in inputs if x.dtype.is_float]
            outputs = [y for y in graph.replay(inputs) if y.dtype.is_float]
            found = gradients(outputs, [ones_like(y) for y in outputs], wrt)
            assert all(g is None or g.type == x.type for g, x in zip(found, wrt, strict=True))
            return [g for g in found if g is not None]

        values = with_values(graph, seed + 1)
        backward = trace(back)(*values)
        backward.verify()
        for result in interpret(backward, [x.value for x in values]):
            assert not np.isnan(result).any(), f"seed {seed}\n{backward}"


def test_values_of_random_graphs_stay_finite_for_other_inputs():
    for seed in range(60):
        graph = random_graph(seed)
        for inputs in (random_inputs(graph, 100 + seed), random_inputs(graph, 200 + seed)):
            for value, y in zip(interpret(graph, inputs), graph.outputs, strict=True):
                assert y.dtype.kind != "float" or np.isfinite(value).all(), f"seed {seed}\n{graph}"


def description(graph):
    """All that there is to a graph, but for the lines that made it."""
    place = {id(node): i for i, node in enumerate(graph.nodes)}
    return [
        (node.op.name, str(node.type), [place[id(x)] for x in node.inputs], node.attributes)
        if node.op is not None
        else (str(node.type), None if node.value is None else node.value.tolist())
        for node in graph.nodes
    ] + [place[id(x)] for x in (*graph.inputs, *graph.outputs)]


def test_a_seed_gives_the_same_graph_and_the_same_inputs():
    names = ["add", "broadcast_to", "exp", "matmul", "sum", "take"]
    first, second, other = (description(random_graph(seed, ops=names)) for seed in (5, 5, 6))
    assert first == second != other
    graph = random_graph(5)
    assert bits(random_inputs(graph, 1)) == bits(random_inputs(graph, 1))
    assert bits(random_inputs(graph, 1)) != bits(random_inputs(graph, 2))


def test_a_graph_is_the_same_on_every_machine(monkeypatch):
    root = dataclasses.replace(SINE, name="root", numpy=np.sqrt, samples=floats(0.5, 2.0))
    both = dataclasses.replace(
        SINE, name="both", takes=(ANY,), numpy=lambda x, y: x, vjp=(None, None), samples=floats(inputs=2)
    )
    for op in (SINE, root, both):
        monkeypatch.setitem(REGISTRY, op.name, op)
    found = [description(random_graph(seed, ops=["sine", "root", "both"])) for seed in range(10)]
    assert hashlib.sha256(repr(found).encode()).hexdigest()[:16] == "4e5dee559dd4c497"


def test_all_operations_shapes_and_kinds_of_inputs_come_up():
    graphs = [random_graph(seed) for seed in range(GRAPHS)]
    nodes = [node for graph in graphs for node in graph.nodes]
    assert set(REGISTRY) <= {node.op.name for node in nodes if node.op is not None}
    sizes = {n for node in nodes if isinstance(node.type, TensorType) for n in node.shape}
    assert {0, 1, 2, 3, 4} <= sizes
    assert {x.dtype for graph in graphs for x in graph.inputs} == ANY
    assert all(graph.outputs for graph in graphs) and sum(len(graph.outputs) > 1 for graph in graphs) > GRAPHS / 2
    constants = [n for graph in graphs for n in graph.nodes if n.op is None and n.value is not None]
    assert constants


def test_operations_are_chained():
    """The longest path is several operations long, in most graphs."""
    depths = []
    for seed in range(50):
        depth = {}
        for node in random_graph(seed).nodes:
            depth[id(node)] = 1 + max((depth[id(x)] for x in node.inputs), default=0)
        depths.append(max(depth.values()))
    assert np.median(depths) >= 8


def test_a_new_operation_takes_part_without_further_work(monkeypatch):
    monkeypatch.setitem(REGISTRY, "sine", SINE)
    assert any(node.op is SINE for node in random_graph(0, ops=["sine", "add"]).nodes)


def test_an_operation_that_fits_nowhere_does_not_loop_forever(monkeypatch):
    monkeypatch.setitem(
        REGISTRY, "huge", dataclasses.replace(SINE, name="huge", samples=lambda draw: Sample((np.ones((40, 40)),)))
    )
    assert random_graph(0, ops=["huge"]).outputs == ()


@pytest.mark.parametrize(("names", "words"), [(["add", "warp"], "called warp"), ([], "called anything")])
def test_unknown_operations_are_an_error(names, words):
    with pytest.raises(DefinitionError, match=words):
        random_graph(0, ops=names)


def test_graphs_of_the_wanted_size():
    for size in (0, 1, 30):
        graph = random_graph(3, size=size, ops=["tanh", "negative"])
        assert sum(n.op is not None and n.op.name == "negative" for n in graph.nodes) <= size
        assert (len(graph.nodes) == 0) == (size == 0)
