"""Graphs: order, checking, printing, replaying."""

from __future__ import annotations

import dataclasses
import html
from xml.etree import ElementTree

import numpy as np
import pytest

from chainrule.apply import apply_several
from chainrule.errors import ShapeError, TraceError
from chainrule.graph import Graph, constant_text, names_of, topological
from chainrule.ops import matmul, tanh
from chainrule.state import no_grad
from chainrule.tensor import Tensor, tensor
from chainrule.trace import trace
from chainrule.types import TensorType, float32


def layer(x, w):
    return tanh(x @ w)


def test_order_has_inputs_before_users_and_every_node_once():
    x = tensor([1.0], requires_grad=True)
    y = x * x
    z = y + x * y
    order = topological([z, y])
    assert len(order) == len({id(n) for n in order}) == 4
    assert order[0] is x and order[-1] is z
    for place, node in enumerate(order):
        assert all(any(i is n for n in order[:place]) for i in node.inputs)


def test_nothing_is_looked_for_behind_a_stop():
    x = tensor([1.0], requires_grad=True)
    y = x * x
    z = y + y
    assert [id(n) for n in topological([z], stop={id(y)})] == [id(y), id(z)]


def test_a_printed_graph_shows_types_calls_and_source_lines():
    text = str(trace(layer)(np.ones((4, 3)), np.ones((3, 2))))
    lines = text.splitlines()
    assert lines[0] == "graph(x: f64[4, 3], w: f64[3, 2])"
    assert lines[1].startswith("  %0   f64[4, 2]    = matmul(x, w)  # test_graph.py:")
    assert lines[2].startswith("  %1   f64[4, 2]    = tanh(%0)")
    assert lines[2].endswith("return tanh(x @ w)")
    assert lines[3] == "  return %1"


def test_attributes_constants_captured_and_assigned_tensors_are_printed():
    w, steps = tensor(np.ones((3, 2)), name="w"), tensor(0, name="steps")
    big = np.arange(6.0).reshape(3, 2)

    def f(x):
        steps.assign(steps + 1)
        return (x @ (w * big)).sum(0) + 2.0

    lines = str(trace(f)(np.ones((4, 3)))).splitlines()
    assert lines[1:3] == ["  reads   steps: i64[]", "  reads   w: f64[3, 2]"]
    assert any("multiply(w, constant f64[3, 2])" in line for line in lines)
    assert any("sum(%" in line and "axes=(0,)" in line for line in lines)
    assert any("broadcast_to(2., shape=(2,))" in line for line in lines)
    assert any(line.startswith("  assigns steps = %") for line in lines)


def test_what_is_assigned_without_being_read_is_printed_too():
    last, unnamed = tensor(np.zeros(2), name="last"), tensor(np.zeros(2))

    def f(x):
        last.assign(x + x)
        unnamed.assign(x)
        return x

    lines = str(trace(f)(np.ones(2))).splitlines()
    assert lines[-3:] == ["  assigns last = %0", "  assigns a tensor f64[2] = x", "  return x"]


def test_names_are_unique():
    w = tensor(np.ones(2), name="x")
    graph = trace(lambda x, y: x * w + y)(np.ones(2), np.ones(2))
    assert sorted(names_of(graph).values()) == ["%0", "%1", "x", "x_2", "y"]
    unnamed = Graph(tuple(Tensor(TensorType(float32, ()), None) for _ in range(2)), ())
    assert [*names_of(unnamed).values()] == ["x0", "x1"]


def test_a_graph_inside_an_attribute_is_printed_inside():
    inner = trace(lambda h: h + h)(np.ones(2))
    op = dataclasses.replace(tanh(tensor([1.0], requires_grad=True)).op, name="twice", infer=lambda x, body: x)
    with_body = trace(lambda x: x)(np.ones(2))
    x = with_body.inputs[0]
    node = Tensor(x.type, None, op=op, inputs=(x,), attributes={"body": inner}, source=x.source)
    lines = str(Graph((x,), (node,))).splitlines()
    assert lines[1].split("#")[0].rstrip() == "  %0   f64[2]       = twice(x)"
    assert [line.split("#")[0].rstrip() for line in lines[2:6]] == [
        "    body:",
        "      graph(h: f64[2])",
        "        %0   f64[2]       = add(h, h)",
        "        return %0",
    ]


def test_several_outputs_are_printed_with_all_their_types(halves):
    graph = trace(lambda x: apply_several(halves, x))(np.ones(4))
    text = str(graph)
    assert "(f64[2], f64[2]) = halves(x)" in text and "pick(%0, index=1)" in text
    graph.verify()


def test_a_constant_prints_as_its_value_if_it_is_short():
    assert constant_text(tensor([1.0, 2.0])) == "[1., 2.]"
    assert constant_text(tensor([[1, 2], [3, 4]])) == "[[1, 2], [3, 4]]"
    assert constant_text(tensor(np.zeros(5))) == "constant f64[5]"
    assert constant_text(Tensor(TensorType(float32, (2,)), None)) == "<f32[2] of another trace>"


def test_a_picture_shows_every_node_with_its_name_type_and_line():
    w = tensor(np.ones((3, 2)), requires_grad=True, name="w")
    picture = trace(lambda x: tanh(x @ w) * np.arange(6.0).reshape(3, 2))(np.ones((3, 3))).draw("a layer")
    words = html.unescape(" ".join(ElementTree.fromstring(picture).itertext()))
    for said in ("a layer", "matmul", "tanh", "f64[3, 2]", "test_graph.py:", "constant", "w", "x"):
        assert said in words


def test_replaying_makes_the_same_nodes_from_other_inputs():
    graph = trace(layer)(np.ones((4, 3)), np.ones((3, 2)))
    x, w = tensor(np.full((4, 3), 0.5)), tensor(np.ones((3, 2)), requires_grad=True)
    (out,) = graph.replay([x, w])
    np.testing.assert_array_equal(out.numpy(), layer(x, w).numpy())
    assert out.requires_grad and out.source == graph.outputs[0].source


def test_replaying_keeps_constants_and_stopped_gradients():
    def f(x):
        with no_grad():
            scale = x * 2.0
        return x * scale

    w = tensor([3.0], requires_grad=True)
    (out,) = trace(f)(w).replay([w])
    out.backward()
    assert w.grad.tolist() == [6.0]


def test_replaying_needs_a_value_for_every_parameter():
    graph = trace(layer)(np.ones((4, 3)), np.ones((3, 2)))
    with pytest.raises(ValueError):
        graph.replay([tensor(np.ones((4, 3)))])


def test_a_type_that_the_rule_does_not_give_is_found():
    graph = trace(layer)(np.ones((4, 3)), np.ones((3, 2)))
    graph.verify()
    graph.outputs[0].type = graph.outputs[0].type.with_shape((2, 4))
    with pytest.raises(ShapeError, match=r"tanh at test_graph.py:\d+ says f64\[2, 4\], its rule says otherwise"):
        graph.verify()


def test_a_leaf_without_a_value_that_is_no_parameter_is_found():
    graph = trace(layer)(np.ones((4, 3)), np.ones((3, 2)))
    loose = Graph(graph.inputs[:1], graph.outputs)
    with pytest.raises(TraceError, match="has leaked into this graph"):
        loose.verify()
    assert "matmul(x, <f64[3, 2] of another trace>)" in str(loose)


def test_parameters_and_results_list_arguments_and_state():
    w = tensor(np.ones((3, 2)))

    def f(x):
        w.assign(w * 2.0)
        return matmul(x, w)

    graph = trace(f)(np.ones((4, 3)))
    assert [str(x.type) for x in graph.parameters] == ["f64[4, 3]", "f64[3, 2]"]
    assert [str(x.type) for x in graph.results] == ["f64[4, 2]", "f64[3, 2]"]
    assert w.tolist() == np.ones((3, 2)).tolist()
