"""A compiled program as plain data: which kernels run in which phase, on which buffers. It can be kept on disk.

A buffer is an argument ("parameter", "output"), part of the program's own memory ("arena", "constant", "scratch", which
every thread has for itself, and "status"), or the address of a micro-kernel ("micro").
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, TypeAlias

from chainrule.compiler.effort import Effort, bytes_of, effort
from chainrule.compiler.ir import Ir, Node
from chainrule.compiler.kernels.own import native_micros, native_scratch
from chainrule.compiler.kernels.product import ProductFrame
from chainrule.compiler.kernels.sweep import SweepFrame
from chainrule.compiler.layout import copied, laid_out, leaves_channels_last
from chainrule.compiler.memory import Lifetime, Plan, planned
from chainrule.compiler.schedule import Schedule, copying, scheduled
from chainrule.compiler.simplify import simplified
from chainrule.compiler.work import Work, signature, work_of
from chainrule.graph import Graph
from chainrule.native.code import Module
from chainrule.native.contraction import MicroKernel, micro_module
from chainrule.native.target import Target
from chainrule.types import Array, TensorType, uint8

Kind: TypeAlias = Literal["parameter", "output", "arena", "constant", "scratch", "status", "micro"]


@dataclass(frozen=True, slots=True)
class Buffer:
    """Where an argument of a kernel is.

    Attributes:
        kind, number: which buffer.
        shift: how many bytes after its start.
        steps: pairs of a loop's depth and the bytes by which the argument moves on after each of its iterations.
    """

    kind: Kind
    number: int = 0
    shift: int = 0
    steps: tuple[tuple[int, int], ...] = ()

    def moved(self, shift: int, *steps: tuple[int, int]) -> Buffer:
        """The same buffer from another place on, moving on in further loops."""
        return Buffer(self.kind, self.number, self.shift + shift, (*self.steps, *steps))


@dataclass(frozen=True)
class Call:
    """One kernel of a program.

    Attributes:
        phase: calls of one phase need no barrier between them.
        kernel: the name of its code.
        arguments: its buffers.
        units: into how many pieces it is cut.
        home: which thread does it if it is not cut, counted round and round.
        source: the user's line.
        updates: which parameters it gives new values.
        effort: what it does.
    """

    phase: int
    kernel: str
    arguments: tuple[Buffer, ...]
    units: int
    home: int
    source: str
    updates: tuple[int, ...]
    effort: Effort


@dataclass(frozen=True)
class Repeat:
    """Calls that are made again and again, at a depth of 0 for the outermost loop."""

    phase: int
    count: int
    depth: int
    calls: tuple[Call | Repeat, ...]


VARIABLE = -1
"""How often a loop runs that is told so at each call."""


@dataclass
class Blueprint:
    """A program.

    Attributes:
        calls: in order.
        modules: the text of every kernel and micro-kernel, by name.
        micros: names of the micro-kernels that arguments refer to.
        constants: arrays that kernels read.
        memory: the plan of the arena.
        scratch: bytes of its own that every thread needs.
        leaving: which results have their channels last.
        names: the names of kernels by what they are made from.
    """

    calls: list[Call | Repeat] = field(default_factory=list["Call | Repeat"])
    modules: dict[str, str] = field(default_factory=dict[str, str])
    micros: list[str] = field(default_factory=list[str])
    constants: list[Array] = field(default_factory=list[Array])
    memory: Plan = field(default_factory=lambda: Plan([], 0, 0))
    scratch: int = 0
    leaving: list[int] = field(default_factory=list[int])
    names: dict[Any, str] = field(default_factory=dict[Any, str])


def blueprint(graph: Graph, target: Target, entering: Collection[int] = (), free: bool = False) -> Blueprint:
    """The whole way from a traced graph to a program, for one kind of processor.

    Args:
        entering: which parameters have their channels last.
        free: whether results may have them last.
    """
    ir = laid_out(simplified(graph), target, entering, len(graph.outputs) if free else 0)
    assigned = assigned_parameters(graph, ir)
    plan = scheduled(ir, assigned, target)
    buffers = {x: Buffer("parameter", i) for i, x in enumerate(ir.parameters)}
    buffers |= {x: Buffer("output", i) for i, x in enumerate(ir.results[: len(graph.outputs)])}
    made = Blueprint(leaving=[i for i, x in enumerate(ir.results[: len(graph.outputs)]) if leaves_channels_last(x)])
    drawing = _Drawing(plan, buffers, made, target)
    made.memory = drawing.plan_memory()
    made.calls = drawing.draw(Buffer("arena"), 0)
    return made


def repeated(program: Blueprint, moving: Mapping[tuple[Kind, int], int]) -> Blueprint:
    """The program in a loop, with arguments that move on by some bytes after each iteration."""

    def moved(call: Call | Repeat) -> Call | Repeat:
        if isinstance(call, Repeat):
            return replace(call, calls=tuple(map(moved, call.calls)))
        return replace(call, arguments=tuple(map(moved_buffer, call.arguments)))

    def moved_buffer(buffer: Buffer) -> Buffer:
        step = moving.get((buffer.kind, buffer.number), 0)
        return buffer.moved(0, (-1, step)) if step else buffer

    return replace(program, calls=[Repeat(0, VARIABLE, -1, tuple(map(moved, program.calls)))])


def assigned_parameters(graph: Graph, ir: Ir) -> list[tuple[Node, Node]]:
    """Pairs of a parameter and the node of its new value.

    A tensor that is assigned without having been read becomes one more parameter.
    """
    stand_ins = {id(outside): i for i, (outside, _) in enumerate(graph.captured, len(graph.inputs))}
    found: list[tuple[Node, Node]] = []
    for (outside, _), new in zip(graph.assigned, ir.results[len(graph.outputs) :], strict=True):
        position = stand_ins.get(id(outside))
        if position is None:
            position = len(ir.parameters)
            extra = Node(new.type, source=new.source, number=-1)
            extra.base, extra.place = extra, new.place
            ir.parameters.append(extra)
        found.append((ir.parameters[position], new))
    return found


class _Drawing:
    """Turns a schedule into calls, for a whole program or for the body of a loop in it."""

    def __init__(self, schedule: Schedule, buffers: dict[Node, Buffer], made: Blueprint, target: Target) -> None:
        self.target = target
        self.schedule = schedule
        self.made = made
        self.buffers = buffers
        self.inner: dict[Node, tuple[Ir, _Drawing, Node]] = {}
        self.own: list[Node] = []
        self.plan = Plan([], 0, 0)

    def draw(self, arena: Buffer, depth: int) -> list[Call | Repeat]:
        """All calls; buffers of its own are in memory that starts at `arena`."""
        for node, home in self.schedule.homes.items():
            self.buffers[node] = self.buffers[home]
        for node, offset in zip(self.own, self.plan.offsets, strict=True):
            self.buffers[node] = arena.moved(offset)
        calls: list[Call | Repeat] = []
        for phase, work in self.schedule.works:
            if work.group.kind == "scan":
                calls += self.scan(phase, work, depth)
            else:
                calls.append(self.call(phase, work))
        return calls

    def plan_memory(self) -> Plan:
        """Find out which buffers are its own, and give each its place."""
        first: dict[Node, int] = {}
        last: dict[Node, int] = {}
        for phase, work in self.schedule.works:
            if work.group.kind == "scan":
                work.arguments.append(self.plan_body(work.group.root))
            for node in work.arguments:
                if node not in self.buffers and node not in self.schedule.homes and node.value is None:
                    first.setdefault(node, phase)
                    last[node] = phase
        self.own = list(first)
        self.plan = planned(Lifetime(bytes_of(x), first[x], last[x]) for x in self.own)
        return self.plan

    def plan_body(self, root: Node) -> Node:
        """Compile the body of a loop as far as to know how much memory it needs; returns a node that stands for it."""
        graph, carries = root.attributes["graph"], root.attributes["carries"]
        ir = simplified(graph)
        if root.attributes["history"]:
            ir.results += ir.parameters[:carries]
        ir = laid_out(ir, self.target)
        plan = scheduled(ir, list(zip(ir.parameters[:carries], ir.results[:carries], strict=True)), self.target)
        known = {x: Buffer("arena") for x in (*ir.parameters, *ir.results[carries:])}  # these have their places outside
        inner = _Drawing(plan, known, self.made, self.target)
        memory = Node(TensorType(uint8, (inner.plan_memory().size,)))
        self.inner[root] = (ir, inner, memory)
        return memory

    def scan(self, phase: int, work: Work, depth: int) -> list[Call | Repeat]:
        """A loop: the carry is brought to where it ends up, and is then changed there in place."""
        root, picks = work.group.root, work.group.stored
        carries, scanned, length = (root.attributes[name] for name in ("carries", "scanned", "length"))
        ir, inner, memory = self.inner[root]
        calls: list[Call | Repeat] = [
            self.copy(phase, x, pick) for x, pick in zip(root.inputs[:carries], picks, strict=False)
        ]
        if not length:
            return calls

        def row(whole: Node, one: Node) -> Buffer:
            size = bytes_of(one)
            if root.attributes["reverse"]:
                return self.buffer(whole).moved((length - 1) * size, (depth, -size))
            return self.buffer(whole).moved(0, (depth, size))

        for i, x in enumerate(ir.parameters):
            if i < carries:
                inner.buffers[x] = self.buffer(picks[i])
            elif i < carries + scanned:
                inner.buffers[x] = row(root.inputs[i].base, x)
            elif i < len(root.inputs):
                inner.buffers[x] = self.buffer(root.inputs[i].base)
        for pick, x in zip(picks[carries:], ir.results[carries:], strict=True):
            inner.buffers[x] = row(pick, x)
        body = inner.draw(self.buffer(memory), depth + 1)
        return [*calls, Repeat(phase, length, depth, tuple(body))]

    def copy(self, phase: int, x: Node, to: Node) -> Call:
        """A copy of one buffer to another."""
        made = copied(x)
        self.buffers[made] = self.buffer(to)
        return self.call(phase, work_of(copying(made, 0), self.target, {}))

    def buffer(self, node: Node) -> Buffer:
        """The buffer of a node."""
        if node not in self.buffers:
            assert node.value is not None, node
            self.buffers[node] = Buffer("constant", len(self.made.constants))
            self.made.constants.append(node.value)
        return self.buffers[node]

    def call(self, phase: int, work: Work) -> Call:
        """One kernel."""
        arguments = [self.buffer(node) for node in work.arguments]
        if isinstance(work.shape, ProductFrame):
            product, plan = work.shape.product, work.shape.plan
            operands = [work.group.root.inputs[i] for i in (product.left, product.right)]
            arguments = self.contraction_arguments(work, operands, plan.kernels) + arguments
            scratch = plan.scratch
        elif isinstance(work.shape, SweepFrame):
            plan = work.shape.plan
            arguments = self.contraction_arguments(work, work.group.root.inputs, plan.kernels) + arguments
            scratch = plan.scratch
        elif work.shape is None:
            arguments += [Buffer("scratch"), Buffer("status"), *self.micros(native_micros(work.group, self.target))]
            scratch = native_scratch(work.group)
        else:
            scratch = 0
        self.made.scratch = max(self.made.scratch, scratch)
        name = self.kernel(work)
        root = work.group.nodes[0]
        line = str(root.source) if root.source else ""
        stored = (self.buffers[node] for node in work.group.stored)
        updates = tuple(buffer.number for buffer in stored if buffer.kind == "parameter")
        return Call(phase, name, tuple(arguments), work.units, work.home, line, updates, effort(work))

    def kernel(self, work: Work) -> str:
        """The name of a kernel's code, which is made once for equal kernels."""
        alike = signature(work)
        name = self.made.names.get(alike) if alike is not None else None
        if name is None:
            module = Module("kernel", self.target)
            work.write(module)
            name = self.enter(module)
            if alike is not None:
                self.made.names[alike] = name
        return name

    def contraction_arguments(
        self, work: Work, operands: Sequence[Node], micros: Iterable[MicroKernel]
    ) -> list[Buffer]:
        """What the code of a product or a convolution is given first; where it stores a result by itself, that too."""
        root, scratch = work.group.root, Buffer("scratch")
        result = self.buffer(root) if work.group.stored == [root] else scratch
        return [*map(self.shifted, operands), result, scratch, *self.micros(micros)]

    def micros(self, keys: Iterable[MicroKernel]) -> list[Buffer]:
        """The addresses of micro-kernels."""
        found: list[Buffer] = []
        for key in keys:
            if key.name not in self.made.micros:
                self.made.micros.append(key.name)
                self.made.modules[key.name] = micro_text(key, self.target)
            found.append(Buffer("micro", self.made.micros.index(key.name)))
        return found

    def shifted(self, x: Node) -> Buffer:
        """Where the first element of a view is."""
        return self.buffer(x.base).moved(x.place.offset * x.type.dtype.itemsize)

    def enter(self, module: Module) -> str:
        """Add the code of a kernel, unless there is an equal one; returns its name."""
        text = module.text()
        name = "k" + hashlib.sha256(text.encode()).hexdigest()[:24]
        self.made.modules[name] = text.replace("@kernel(", f"@{name}(")
        return name


@functools.cache
def micro_text(key: MicroKernel, target: Target) -> str:
    """The code of a micro-kernel."""
    return micro_module(key, target).text()
