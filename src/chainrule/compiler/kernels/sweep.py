"""Convolutions, with all that is computed from their elements before these are stored."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from chainrule.compiler.group import Group
from chainrule.compiler.ir import Node
from chainrule.compiler.kernels.body import Access, Body, fetch, read_once
from chainrule.kernel import Convolve
from chainrule.native.code import Index, Module, Value
from chainrule.native.convolution import Sweep, SweepPlan, WinogradPlan, emit_sweep, sweep_plan
from chainrule.native.lanes import Lanes
from chainrule.native.target import Target

plan = functools.cache(sweep_plan)
"""How a sweep is done; worked out once for equal ones."""


@dataclass
class SweepFrame:
    """How a convolution runs.

    Attributes:
        sweep: what is computed.
        plan: how it is done.
        cut: the axis of the group that units of work are cut along, or -1.
        block: how many elements of it a unit holds.
    """

    sweep: Sweep
    plan: SweepPlan | WinogradPlan
    cut: int
    block: int

    def units(self, group: Group) -> int:
        """The number of units of work."""
        return self.plan.units


def sweep_frame(group: Group, target: Target, wanted: Sequence[tuple[int, int]]) -> SweepFrame:
    """The frame of a convolution, cut along the batch as wanted if that can be."""
    root = group.root
    assert root.op is not None and isinstance(root.op.kernel, Convolve)
    x, w = root.inputs
    sweep = root.op.kernel.sweep(x.place, w.place, root.place, root.type.dtype, **root.attributes)
    batch = group.where[root][0]
    chosen = plan(sweep, target)
    if chosen.axis == "batch":
        for axis, block in wanted:
            if axis == batch:
                chosen = plan(sweep, target, "batch", block)
                break
    cut = {"batch": batch, "rows": -1}[chosen.axis]
    return SweepFrame(sweep, chosen, cut if chosen.units > 1 else -1, chosen.block)


def sweep_reads(group: Group) -> list[Access]:
    """Where images and kernels are read: the former along the batch, all else by every unit of work."""
    x, w = group.root.inputs
    strides = [0] * len(group.axes)
    batch = group.where[group.root][0]
    if batch >= 0:
        strides[batch] = x.place.strides[0]
    return [Access(x.base, tuple(strides), x.place.offset), Access(w.base, (0,) * len(group.axes), w.place.offset)]


def emit_convolution(module: Module, group: Group, shape: SweepFrame, arguments: Mapping[Node, int]) -> None:
    """The kernel: its own arguments come first (see `native.convolution`), then all buffers of the group."""
    first = shape.plan.arguments
    positions = {node: first + i for node, i in arguments.items()}
    root = group.root
    axes = group.where[root]
    near = read_once(group, axes[1], axes[2:])

    with module.kernel() as f:

        def point_of(b: Index, channel: Index, place: Sequence[Index]) -> dict[int, Index]:
            there = (b, channel, *place[len(place) - (len(axes) - 2) :])
            return {axis: i for axis, i in zip(axes, there, strict=True) if axis >= 0}

        def ahead(b: Index, channel: Index, place: Sequence[Index]) -> None:
            fetch(f, near, positions, point_of(b, channel, place))

        def epilogue(
            v: Lanes, value: Value, b: Index, channel: Index, place: Sequence[Index], mask: Value | None
        ) -> None:
            point = point_of(b, channel, place)
            if axes[1] < 0:
                v, value, mask = Lanes(f, 1), v.lane(value, 0), None
            body = Body(f, group, positions, point, v, axes[1], mask, {root: value})
            for node in group.stored:
                body.evaluate(node)
            for node in group.stored:
                body.store(node)

        alone = group.stored == [root]
        emit_sweep(f, shape.sweep, shape.plan, None if alone else epilogue, ahead if near else None)
