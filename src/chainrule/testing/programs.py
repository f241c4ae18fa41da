"""Random graphs, on which executors are compared.

They are made of the operations' own samples: one operation after the other draws a sample, whose arrays are then
replaced by nodes that the graph has already, or by new inputs. Where an operation must not be given just any number
(the logarithm of a negative one, say) is found by trying: the node is then brought into the sample's range first.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from chainrule.apply import Bundle, apply, outputs_of
from chainrule.errors import DefinitionError
from chainrule.graph import Graph, topological
from chainrule.op import FUNCTIONS, REGISTRY, Op
from chainrule.ops.cast import cast
from chainrule.ops.layout import broadcast_to, reshape
from chainrule.samples import Draw, Sample, readable, to_bfloat16, type_of
from chainrule.state import Tracing, recording, tracing
from chainrule.tensor import Tensor
from chainrule.testing.operations import listed, main_types
from chainrule.types import DTYPES, FLOATS, Array, Shape, TensorType, bfloat16, bool_, float32, int32, uint8

LARGEST = 128  # elements of a node, if axes are short
TAME = 4.0  # up to this size numbers are handed on as they are


def random_graph(seed: int, *, size: int = 20, ops: Iterable[str] | None = None, longest: int = 4) -> Graph:
    """A random program over the operations of the registry; the same for the same seed and operations.

    Shapes have axes of size 0 and 1 among them. Values stay away from NaN and infinity for inputs such as
    `random_inputs` gives. Everything that is computed leads to an output.

    Args:
        seed: of the random choices.
        size: number of operations, apart from those that fit one to the next.
        ops: names of the operations to choose from; by default all that are defined.
        longest: the largest size of most axes.

    Raises `DefinitionError` for an operation that is not defined.

    >>> graph = random_graph(7, size=5, ops=["add", "exp", "sum"])
    >>> graph.verify()
    >>> {node.op.name for node in graph.nodes if node.op is not None} >= {"add", "exp", "sum"}
    True
    """
    names = sorted(REGISTRY if ops is None else ops)
    unknown = [name for name in names if name not in REGISTRY]
    if unknown or not names:
        raise DefinitionError(f"random_graph: no operations called {', '.join(unknown) or 'anything'} are defined")
    builder = _Builder(np.random.default_rng(seed), longest)
    chosen = [REGISTRY[name] for name in names]
    for _ in range(10 * size):
        if builder.steps == size:
            break
        builder.step(chosen[builder.rng.integers(len(chosen))])
    return builder.graph()


def random_inputs(graph: Graph, seed: int) -> list[Array]:
    """Arrays for a graph's `parameters`: floats from -2 to 2, integers from 0 to 3.

    >>> graph = random_graph(0, size=3)
    >>> [x.shape for x in random_inputs(graph, 0)] == [x.shape for x in graph.parameters]
    True
    """
    rng = np.random.default_rng(seed)
    return [_draw_input(x.type, rng) for x in graph.parameters]


def _draw_input(type: TensorType, rng: np.random.Generator) -> Array:
    if type.dtype.is_float:
        return _filled(type, rng.uniform(-2, 2, type.shape))
    return _filled(type, rng.integers(0, 2 if type.dtype is bool_ else 4, type.shape))


def _filled(type: TensorType, numbers: Array | float) -> Array:
    """An array of a type, holding numbers or copies of one."""
    values = np.broadcast_to(np.asarray(numbers), type.shape)
    return to_bfloat16(values.astype(np.float32)) if type.dtype is bfloat16 else values.astype(type.dtype.numpy)


@dataclass
class _LinkedDraw(Draw):
    """A draw that mostly proposes shapes which the graph has already, so that samples fit existing nodes."""

    known: Sequence[Shape] = ()

    def shape(self, ndim: int | None = None, *, least: int = 0, most: int = 3) -> Shape:
        fresh = super().shape(ndim, least=least, most=most)
        special = {"empty": 0, "one": 1}.get(self.sizes) if fresh else None
        fitting = [s for s in self.known if len(s) == len(fresh) and (0 not in s if special is None else special in s)]
        return self.choice(fitting) if fitting and self.rng.random() < 0.75 else fresh


class _Builder:
    """A graph in the making, with a value of every node for one choice of inputs."""

    def __init__(self, rng: np.random.Generator, longest: int = 4) -> None:
        self.rng = rng
        self.longest = longest
        self.largest = LARGEST if longest <= 4 else LARGEST * longest
        self.context = Tracing()
        self.inputs: list[Tensor] = []
        self.made: list[Tensor] = []
        self.steps = 0
        self.values: dict[int, Any] = {}  # by serial number

    def step(self, op: Op) -> None:
        """Add an operation, unless its result would be large or not finite."""
        allowed = [t for t in DTYPES if t in main_types(op)]
        dtype = float32 if float32 in allowed and self.rng.random() < 0.6 else allowed[self.rng.integers(len(allowed))]
        sizes = ("plain", "one", "scalar", "empty")[int(self.rng.choice(4, p=(0.7, 0.15, 0.1, 0.05)))]
        known = [x.shape for x in [*self.inputs, *self.made]]
        sample = op.samples(_LinkedDraw(self.rng, dtype, sizes, longest=self.longest, known=known))
        if any(x.size > self.largest for x in sample.inputs):
            return
        with tracing(self.context), recording(True):
            inputs = [self.operand(op, sample, i) for i in range(len(sample.inputs))]
            node = apply(op, *inputs, **sample.attributes)
            outputs = outputs_of(node) if isinstance(node, Bundle) else [node]
        if all(x.size <= self.largest and self.is_finite(x) for x in outputs):
            self.made += outputs
            self.steps += 1

    def graph(self) -> Graph:
        """The program whose outputs are all nodes that no other uses, and one that another uses."""
        used = {id(x) for node in topological(self.made) for x in node.inputs}
        inner = [x for x in self.made if id(x) in used]
        outputs = [x for x in self.made if id(x) not in used]
        outputs += [inner[self.rng.integers(len(inner))]] if inner else []
        reached = {id(x) for x in topological(outputs)}
        return Graph(tuple(x for x in self.inputs if id(x) in reached), tuple(outputs))

    def operand(self, op: Op, sample: Sample, position: int) -> Tensor:
        """A node in the place of one of a sample's arrays."""
        array = sample.inputs[position]
        type = type_of(array)
        free = _takes_anything(op, sample, position)
        if self.rng.random() < 0.1 or not (free or type.dtype in FLOATS):
            return Tensor(type, np.ascontiguousarray(array).reshape(array.shape))
        x = self.existing(type)
        if type.dtype in FLOATS and not (free and self.is_tame(x)):
            low, high = (-TAME, TAME) if free else _range(array)
            return (low + high) / 2 + (high - low) / 2 * FUNCTIONS["tanh"](x)
        return x

    def existing(self, type: TensorType) -> Tensor:
        """A node of a type: one that is there, one that is made from it, or a new input."""
        pool = [*self.inputs, *self.made]
        if pool and self.rng.random() < 0.85:
            same = [x for x in pool if x.type == type]
            if same and self.rng.random() < 0.6:
                return self.choice(same)
            near = [x for x in pool if _converts(x.type, type)]
            if near:
                return _converted(self.choice(near), type)
        return self.new_input(type)

    def choice(self, nodes: Sequence[Tensor]) -> Tensor:
        """One of several nodes, the last ones more often, so that long chains come up."""
        return nodes[int(self.rng.integers(len(nodes), size=2).max())]

    def new_input(self, type: TensorType) -> Tensor:
        """A new parameter of the graph."""
        new = Tensor(type, None)
        self.values[new.serial] = _draw_input(type, self.rng)
        self.inputs.append(new)
        return new

    def value_of(self, x: Tensor) -> Any:
        """What a node is for the values that were drawn for the inputs."""
        for node in topological([x]):
            if node.serial not in self.values:
                given = [self.values[y.serial] for y in node.inputs]
                with np.errstate(all="ignore"):
                    value = node.value if node.op is None else node.op.numpy(*given, **node.attributes)
                self.values[node.serial] = value if isinstance(value, tuple) else np.asarray(value)
        return self.values[x.serial]

    def is_finite(self, x: Tensor) -> bool:
        """Whether a node's value is finite."""
        return bool(np.isfinite(readable(self.value_of(x))).all())

    def is_tame(self, x: Tensor) -> bool:
        """Whether a node's value is small enough to be handed on."""
        return float(np.abs(self.value_of(x)).max(initial=0)) <= TAME


def _takes_anything(op: Op, sample: Sample, position: int) -> bool:
    """Whether an operation accepts any numbers at all in the place of one of its inputs: found by trying extreme ones.

    Floats of ordinary size must give finite results. Huge ones must be valid, which they are not where floats become
    integers: what does not fit these comes out differently on different machines.
    """
    array = sample.inputs[position]
    type = type_of(array)
    ordinary = {"bool": (0, 1), "int": (0, 200, -1000), "float": (0, TAME, -TAME, np.linspace(-TAME, TAME, array.size))}

    def run(numbers: Any) -> tuple[Array, ...]:
        filled = _filled(type, np.reshape(numbers, array.shape) if np.size(numbers) > 1 else numbers)
        inputs = [*sample.inputs[:position], filled, *sample.inputs[position + 1 :]]
        return listed(op.numpy(*inputs, **sample.attributes))

    try:
        with np.errstate(invalid="raise", divide="raise", over="ignore", under="ignore"):
            found = [y for numbers in ordinary[type.dtype.kind] for y in run(numbers)]
            if type.dtype.is_float:
                run(1e20)
    except (ArithmeticError, ValueError, IndexError):
        return False
    return all(np.isfinite(readable(y)).all() for y in found)


def _range(example: Array) -> tuple[float, float]:
    """From where to where numbers lie, or the positive ones if there are such: there may be a hole at zero."""
    values = example[example > 0] if (example > 0).any() else example
    return (float(values.min()), float(values.max())) if values.size else (1.0, 1.0)


def _converts(x: TensorType, wanted: TensorType) -> bool:
    """Whether a node of one type can be made into another by a cast without loss of range and by a new shape."""
    widens = x.dtype.kind != "float" or wanted.dtype.is_float
    if not widens or (wanted.dtype in (uint8, int32, bool_) and x.dtype is not wanted.dtype):
        return False
    return x.size == wanted.size or _broadcasts(x.shape, wanted.shape)


def _broadcasts(shape: Shape, to: Shape) -> bool:
    fits = zip(shape[::-1], to[::-1], strict=False)
    return len(shape) <= len(to) and all(n in (1, m) for n, m in fits)


def _converted(x: Tensor, wanted: TensorType) -> Tensor:
    x = cast(x, wanted.dtype)
    if x.shape == wanted.shape:
        return x
    return broadcast_to(x, wanted.shape) if _broadcasts(x.shape, wanted.shape) else reshape(x, wanted.shape)
