"""What the fuzzer runs: random programs with their gradients, some of which change tensors in place."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from chainrule.apply import apply_several
from chainrule.gradients import gradients
from chainrule.graph import Graph
from chainrule.op import REGISTRY
from chainrule.state import Tracing, recording, tracing
from chainrule.tensor import Tensor
from chainrule.testing import random_graph, random_inputs
from chainrule.trace import trace
from chainrule.types import Array
from tests.fuzz.images import image_program
from tests.fuzz.networks import training_step

LONGEST = (4, 4, 4, 20, 40, 70, 200)


@dataclass
class Case:
    """A program, what it is given, and how it is run."""

    graph: Graph
    inputs: list[Array]
    threads: int = 1
    loop: int = 0  # of how many iterations it is then made a loop
    interleave: int = 0  # seed of an order in which one thread does after the other's part what it can
    guard: str = ""  # "end" or "start": on which side of every buffer memory that must not be touched lies

    def with_graph(self, graph: Graph, inputs: list[Array]) -> Case:
        """Another program, run in the same way."""
        return replace(self, graph=graph, inputs=inputs)


# What networks are made of, more often than chance would have it.
COMMON = (
    "add", "broadcast_to", "cast", "divide", "exp", "matmul", "maximum",
    "multiply", "negative", "permute_dims", "relu", "reshape", "rsqrt", "slice",
    "sqrt", "square", "subtract", "sum", "max", "tanh", "where",
)  # fmt: skip


def case_of(seed: int) -> Case:
    """The case with a number."""
    rng = np.random.default_rng([seed, 1])
    if rng.random() < 0.15:
        graph, inputs = training_step(rng)
    else:
        graph, inputs = random_program(seed, rng)
    loop = int(rng.choice((0, 0, 2, 3)))
    guard = str(rng.choice(["", "end", "end", "start"]))
    return Case(graph, inputs, int(rng.integers(1, 5)), loop, int(rng.integers(1, 9)), guard)


def random_program(seed: int, rng: np.random.Generator) -> tuple[Graph, list[Array]]:
    """A program of any operations, or of such as are done to images, with loops, gradients and tensors that change."""
    if rng.random() < 0.4:
        graph, inputs = image_program(rng)
    else:
        longest = int(rng.choice(LONGEST))
        ops = COMMON if rng.random() < 0.3 else None
        graph = random_graph(seed, size=int(rng.integers(2, 16 if longest < 100 else 6)), longest=longest, ops=ops)
        inputs = random_inputs(graph, seed)
    kind = rng.random()
    if kind < 0.2:
        graph, inputs = in_a_loop(graph, inputs, rng)
    elif kind < 0.3:
        graph = in_a_checkpoint(graph)
    if rng.random() < 0.5:
        graph = with_gradients(graph, inputs, rng)
    if rng.random() < 0.4:
        graph, inputs = with_assignments(graph, inputs, rng)
    return graph, inputs


def in_a_loop(graph: Graph, inputs: list[Array], rng: np.random.Generator) -> tuple[Graph, list[Array]]:
    """A scan whose body is the program."""
    length = int(rng.integers(0, 4))
    nodes = [x for x in graph.nodes if hasattr(x.type, "shape")]
    roles: list[tuple[list[Tensor], list[Array], list[Tensor]]] = [([], [], []) for _ in range(3)]
    new: list[Tensor] = []
    for x, value in zip(graph.inputs, inputs, strict=True):
        fitting = [y for y in nodes if y.type == x.type]
        role = int(rng.choice(3, p=(0.5, 0.25, 0.25)))
        if role == 0:
            new.append(fitting[int(rng.integers(len(fitting)))])
        if role == 1:
            value = np.stack([value] * length) if length else np.empty((0, *value.shape), value.dtype)
        roles[role][0].append(x)
        roles[role][1].append(value)
        roles[role][2].append(Tensor(x.type.with_shape(value.shape), None))
    (carried, _, _), (scanned, _, _), (constant, _, _) = roles
    body = Graph((*carried, *scanned), (*new, *graph.outputs), tuple((Tensor(x.type, None), x) for x in constant))
    given = [x for _, _, outside in roles for x in outside]
    attributes = {
        "carries": len(carried), "scanned": len(scanned), "length": length, "reverse": bool(rng.random() < 0.5),
        "history": True,
    }  # fmt: skip
    with tracing(Tracing()), recording(True):
        stand_ins = [Tensor(x.type, None) for x in given]
        outputs = apply_several(REGISTRY["scan"], *stand_ins, graph=body, **attributes)
    return Graph(tuple(stand_ins), tuple(outputs)), [v for _, values, _ in roles for v in values]


def in_a_checkpoint(graph: Graph) -> Graph:
    """The program as one node whose values are made again for its gradients."""
    with tracing(Tracing()), recording(True):
        stand_ins = [Tensor(x.type, None) for x in graph.inputs]
        outputs = apply_several(REGISTRY["checkpoint"], *stand_ins, graph=graph)
    return Graph(tuple(stand_ins), tuple(outputs))


def with_gradients(graph: Graph, inputs: list[Array], rng: np.random.Generator) -> Graph:
    """The program, and the gradients of a weighted sum of its results."""

    def both(*given: Tensor) -> list[Tensor]:
        outputs = graph.replay(given)
        floats = [y for y in outputs if y.dtype.is_float and y.dtype.name != "bfloat16"]
        weights = [Tensor(y.type, rng.standard_normal(y.shape).astype(y.dtype.numpy)) for y in floats]
        wrt = [x for x in given if x.dtype.is_float]
        return [*outputs, *(ct for ct in gradients(floats, weights, wrt) if ct is not None)]

    examples = [
        Tensor(x.type, v, requires_grad=x.dtype.is_float) for x, v in zip(graph.parameters, inputs, strict=True)
    ]
    return trace(both)(*examples)


def with_assignments(graph: Graph, inputs: list[Array], rng: np.random.Generator) -> tuple[Graph, list[Array]]:
    """The program with some inputs as tensors from outside, to some of which it assigns nodes of the same type."""
    chosen = [bool(rng.random() < 0.6) for _ in graph.inputs]
    order = sorted(range(len(chosen)), key=lambda i: chosen[i])
    captured = [graph.inputs[i] for i in order if chosen[i]]
    nodes = [x for x in graph.nodes if hasattr(x.type, "shape")]
    outside = {id(x): Tensor(x.type, None) for x in captured}
    assigned: list[tuple[Tensor, Tensor]] = []
    for x in captured:
        fitting = [y for y in nodes if y.type == x.type and y is not x]
        if fitting and rng.random() < 0.8:
            assigned.append((outside[id(x)], fitting[int(rng.integers(len(fitting)))]))
    if graph.outputs and rng.random() < 0.2:
        new = graph.outputs[0]
        assigned.append((Tensor(new.type, None), new))  # assigned, but never read
    made = Graph(
        tuple(x for x, c in zip(graph.inputs, chosen, strict=True) if not c),
        graph.outputs,
        tuple((outside[id(x)], x) for x in captured),
        tuple(assigned),
    )
    return made, [inputs[i] for i in order]
