"""A group on its way to a kernel: how its work is cut into units, what it touches, and its code."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from chainrule.compiler.group import Group
from chainrule.compiler.ir import Node
from chainrule.compiler.kernels.body import Access, is_number, reads, writes
from chainrule.compiler.kernels.frame import FEWEST, Frame, frame, keep_expensive, weight
from chainrule.compiler.kernels.loops import emit_loops
from chainrule.compiler.kernels.own import emit_native, native_units
from chainrule.compiler.kernels.product import ProductFrame, emit_product, product_frame, product_reads
from chainrule.compiler.kernels.sweep import SweepFrame, emit_convolution, sweep_frame, sweep_reads
from chainrule.compiler.simplify import hashable
from chainrule.native.code import Module
from chainrule.native.target import Target

LARGE, CRUMB = 1 << 17, 256
"""Bytes of a tensor from which on a unit of work should have at least so many bytes of it side by side."""


@dataclass(frozen=True, slots=True)
class Cut:
    """How a buffer is cut: unit u holds what lies from u * block to (u + 1) * block along the axis with a stride.

    A stride of 0 means that every unit touches all of it. What is not cut belongs to the thread that is its `home`.
    """

    units: int
    stride: int
    block: int
    home: int = 0

    def agrees(self, other: Cut) -> bool:
        """Whether each thread touches only what it also touches in the other way."""
        return self == other and (self.units <= 1 or self.stride != 0)


@dataclass
class Work:
    """A kernel to be.

    Attributes:
        group: its nodes.
        shape: how its loops run.
        units: into how many pieces it is cut.
        arguments: the buffers that it is given, in the order of the kernel's arguments.
        home: the thread that does it if it is not cut, counted round and round.
    """

    group: Group
    shape: Frame | ProductFrame | SweepFrame | None
    units: int
    arguments: list[Node] = field(default_factory=list[Node])
    home: int = 0

    def touches(self, homes: Mapping[Node, Node]) -> list[tuple[Node, bool, Cut]]:
        """Every buffer that is read or written: whether it is written, and how it is cut."""
        group, found = self.group, list[tuple[Node, bool, Cut]]()
        if self.shape is None:
            cut = Cut(self.units, 0, 0, self.home)
            for x in group.root.inputs:
                found.append((homes.get(x.base, x.base), False, cut))
            for node in group.stored:
                found.append((homes.get(node, node), True, cut))
            return found
        shape = self.shape
        listed = [(at, False) for at in _all_reads(group)] + [(at, True) for at in writes(group)]
        for at, is_write in listed:
            stride = at.strides[shape.cut] if shape.cut >= 0 else 0
            if self.units <= 1:
                stride = 0
            cut = Cut(self.units, stride, shape.block if stride else 0, self.home)
            found.append((homes.get(at.base, at.base), is_write, cut))
        return found

    def cost(self) -> float:
        """Roughly how many simple operations it takes."""
        points = math.prod(self.group.axes)
        return sum((points if self.group.levels(n) else 1) * max(1, weight(n)) for n in self.group.nodes)

    def write(self, module: Module) -> None:
        """Make the code."""
        positions = {node: i for i, node in enumerate(self.arguments)}
        if self.shape is None:
            emit_native(module, self.group, positions)
        elif isinstance(self.shape, ProductFrame):
            emit_product(module, self.group, self.shape, positions)
        elif isinstance(self.shape, SweepFrame):
            emit_convolution(module, self.group, self.shape, positions)
        else:
            emit_loops(module, self.group, self.shape, positions)


def work_of(group: Group, target: Target, met: Mapping[Node, Cut]) -> Work:
    """A group as work, cut as the buffers that it reads are if that can be."""
    if group.kind == "native":
        return Work(group, None, native_units(group), _arguments(group))
    if group.kind == "scan":
        return Work(group, None, 2, _arguments(group))  # as if cut, and all of it touched by every thread
    shape: Frame | ProductFrame | SweepFrame
    if group.kind == "product":
        shape = product_frame(group, target, met_cuts(group, met))
    elif group.kind == "sweep":
        shape = sweep_frame(group, target, met_cuts(group, met))
    else:
        shape = _loop_frame(group, target, met_cuts(group, met))
        if keep_expensive(group, shape):
            shape = _loop_frame(group, target, met_cuts(group, met))
    return Work(group, shape, shape.units(group), _arguments(group))


def _all_reads(group: Group) -> list[Access]:
    """All that a group reads, its root's own operands included."""
    own = {"product": product_reads, "sweep": sweep_reads}.get(group.kind)
    return [at for _, at in reads(group)] + (own(group) if own else [])


def met_cuts(group: Group, met: Mapping[Node, Cut]) -> list[tuple[int, int]]:
    """Axes of a group, and blocks, that agree with how buffers are cut that it reads."""
    found: list[tuple[int, int]] = []
    for at in _all_reads(group):
        cut = met.get(at.base)
        for axis, stride in enumerate(at.strides):
            agrees = cut and stride and stride == cut.stride and -(-group.axes[axis] // cut.block) == cut.units
            if cut and agrees and (axis, cut.block) not in found:
                found.append((axis, cut.block))
    return found


def _loop_frame(group: Group, target: Target, wanted: Sequence[tuple[int, int]]) -> Frame:
    usual = frame(group, target)
    least = min(FEWEST // 2, usual.units(group))  # half as many will do to save waiting for other threads
    for cut in wanted:
        if _tears(group, *cut):
            continue
        shape = frame(group, target, cut)
        if (shape.cut, shape.block) == cut and shape.units(group) >= least:
            return shape
    return usual


def _tears(group: Group, axis: int, block: int) -> bool:
    """Whether units that are cut so would have only crumbs of each line of a large tensor."""
    for at in [*_all_reads(group), *writes(group)]:
        size = at.base.type.dtype.itemsize
        if at.base.type.size * size >= LARGE and 0 < abs(at.strides[axis]) * block * size < CRUMB:
            return True
    return False


def _arguments(group: Group) -> list[Node]:
    """The buffers that a kernel needs, each once: inputs of a product or an operation of its own come first."""
    found: dict[Node, None] = {}
    if group.kind != "loops":
        for x in group.root.inputs:
            found[x.base] = None
    for node in group.nodes:
        for x in node.inputs:
            if x.base not in group.where and not is_number(x.base):
                found[x.base] = None
    for node in group.stored:
        found[node] = None
    return list(found)


def signature(work: Work) -> Any:
    """All that the code of a kernel depends on: equal kernels have equal ones. None if that cannot be told."""
    group = work.group
    local = {node: i for i, node in enumerate(group.nodes)}
    buffers = {node: i for i, node in enumerate(work.arguments)}
    nodes: list[Any] = []
    for node in group.nodes:
        assert node.op is not None
        inputs: list[Any] = []
        for x in node.inputs:
            base = x.base
            if base in group.where:
                inputs.append(("made", local[base]))
            elif is_number(base) and base not in buffers:
                assert base.value is not None
                inputs.append((base.type.dtype.name, base.value.tobytes()))
            else:
                inputs.append(("buffer", buffers[base]))
            inputs.append((x.type, x.place.strides, x.place.offset))
        attributes = tuple((k, hashable(v)) for k, v in node.attributes.items())
        nodes.append((node.op, attributes, node.type, node.place, group.where[node], *inputs))
    reading = tuple((local[node], where) for node, where in group.reading.items())
    stored = tuple((local.get(node, -1), node.type, node.place) for node in group.stored)
    found = (group.kind, tuple(group.axes), frozenset(group.inner), tuple(nodes), reading, stored, str(work.shape))
    try:
        hash(found)
    except TypeError:
        return None
    return found
