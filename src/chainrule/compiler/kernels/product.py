"""Products of matrices, with all that is computed from their elements before these are stored."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from chainrule.compiler.group import Group
from chainrule.compiler.ir import Node
from chainrule.compiler.kernels.body import Access, Body, fetch, read_once, reads, writes
from chainrule.compiler.products import Product, product_of
from chainrule.kernel import Contract
from chainrule.native.code import Index, Module, Value
from chainrule.native.contraction import Contraction, Plan, emit
from chainrule.native.contraction import plan as fresh_plan
from chainrule.native.lanes import Lanes
from chainrule.native.target import LINE, Target

MANY = 4
"""So many buffers that an epilogue walks along make it worth to finish rows of tiles."""

SMALLEST_CUT, PIECES = 8, 4
"""Rows of the smallest unit of work, and into how many units rows are cut at most."""

DEAREST_CUT = 1.5
"""How many times as long a product may take in units that save waiting for other threads."""


@functools.cache
def plan(contraction: Contraction, target: Target, axis: str | None = None, block: int | None = None) -> Plan:
    """How a contraction is done; worked out once for equal ones."""
    return fresh_plan(contraction, target, axis=axis, block=block)  # type: ignore[arg-type]


@dataclass
class ProductFrame:
    """How a product runs.

    Attributes:
        product: the contraction.
        plan: how it is done.
        cut: the axis of the group that units of work are cut along, or -1.
        block: how many elements of it a unit holds.
        rows, columns: the axes of the group that the contraction's m and n are; -1 where they are of size one.
    """

    product: Product
    plan: Plan
    cut: int
    block: int
    rows: int
    columns: int

    def units(self, group: Group) -> int:
        """The number of units of work."""
        return self.plan.units


def product_frame(group: Group, target: Target, wanted: Sequence[tuple[int, int]]) -> ProductFrame:
    """The frame of a product, cut as wanted if that can be."""
    root = group.root
    product = product_of(root, root.place)
    rows, columns = group.where[root][-2:]
    if product.turned:
        rows, columns = columns, rows
    names = {rows: "m", columns: "n"}
    for axis, block in wanted:
        if axis in names and axis >= 0:
            chosen = plan(product.contraction, target, axis=names[axis], block=block)
            dear = chosen.cycles > DEAREST_CUT * plan(product.contraction, target).cycles
            if chosen.units > 1 and chosen.block == block and not dear:
                return ProductFrame(product, chosen, axis, block, rows, columns)
    for axis in _surviving_axes(group):
        if axis in names and axis >= 0:
            size, lanes = group.axes[axis], target.lanes(root.type.dtype.itemsize)
            block = lanes if names[axis] == "n" and size < 4 * lanes else 2 * lanes
            chosen = plan(product.contraction, target, axis=names[axis], block=block)
            if chosen.units > 1:
                return ProductFrame(product, chosen, axis, chosen.block, rows, columns)
    chosen = _apart(product.contraction, target)
    cut = {"m": rows, "n": columns}.get(chosen.axis, -1)
    return ProductFrame(product, chosen, cut if chosen.units > 1 else -1, chosen.block, rows, columns)


def _apart(contraction: Contraction, target: Target) -> Plan:
    """A plan by which threads write to cache lines of their own: where columns of short rows would be cut, rows are."""
    found = plan(contraction, target)
    size = contraction.out.itemsize
    shared = found.axis == "n" and ((contraction.c[1] * size) % LINE or found.block * size < 2 * LINE)
    if not shared or contraction.m < 2 * SMALLEST_CUT:
        return found
    block = max(SMALLEST_CUT, contraction.m // PIECES // SMALLEST_CUT * SMALLEST_CUT)
    rows = plan(contraction, target, axis="m", block=block)
    return rows if rows.units > 1 and rows.cycles <= 1.5 * found.cycles else found


def _surviving_axes(group: Group) -> list[int]:
    """Axes that other products keep which read what this group stores: cut along these, they need not wait for all."""
    votes: dict[int, int] = {}
    for node in group.stored:
        strides = {s: axis for s, axis in zip(node.place.strides, group.where[node], strict=True) if axis >= 0}
        for user, x in _readers(node):
            if user.op is not None and isinstance(user.op.kernel, Contract):
                kept = x.place.strides[-2] if x is user.inputs[0] else x.place.strides[-1]
                if kept in strides:
                    votes[strides[kept]] = votes.get(strides[kept], 0) + 1
    return sorted(votes, key=lambda axis: -votes[axis])


def _readers(node: Node) -> list[tuple[Node, Node]]:
    """Who reads a node, through which view."""
    found: list[tuple[Node, Node]] = []
    stack = [node]
    while stack:
        x = stack.pop()
        for user in x.users:
            if user.base is node:
                stack.append(user)
            else:
                found.append((user, x))
    return found


def product_reads(group: Group) -> list[Access]:
    """Where the two operands are read: the left one along rows of the result, the right one along its columns."""
    root = group.root
    found: list[Access] = []
    for x, axis, own in zip(root.inputs, group.where[root][-2:], (-2, -1), strict=True):
        strides = [0] * len(group.axes)
        if axis >= 0:
            strides[axis] = x.place.strides[own]
        found.append(Access(x.base, tuple(strides), x.place.offset))
    return found


def emit_product(module: Module, group: Group, shape: ProductFrame, arguments: Mapping[Node, int]) -> None:
    """The kernel: its own arguments come first (see `native.contraction`), then all buffers of the group."""
    first = shape.plan.arguments
    positions = {node: first + i for node, i in arguments.items()}
    root, product = group.root, shape.product
    batch_axes = [a for a in group.where[root][:-2] if a >= 0]
    near = read_once(group, shape.columns, (shape.rows,))

    with module.kernel() as f:

        def point_of(b: Index, m: Index, n: Index) -> dict[int, Index]:
            point: dict[int, Index] = {shape.rows: m, shape.columns: n}
            for axis in reversed(batch_axes):
                point[axis] = f.rem(b, group.axes[axis])
                b = f.div(b, group.axes[axis])
            return point

        def ahead(b: Index, m: Index, n: Index) -> None:
            fetch(f, near, positions, point_of(b, m, n))

        def epilogue(v: Lanes, value: Value, b: Index, m: Index, n: Index, mask: Value | None) -> None:
            point = point_of(b, m, n)
            if shape.columns < 0:
                v, value, mask = Lanes(f, 1), v.lane(value, 0), None
            body = Body(f, group, positions, point, v, shape.columns, mask, {root: value})
            for node in group.stored:
                body.evaluate(node)
            for node in group.stored:
                body.store(node)

        places = (*(at for _, at in reads(group)), *writes(group)) if shape.columns >= 0 else ()
        wide = [at for at in places if at.strides[shape.columns]]
        plain, beside = group.stored == [root], len(wide) >= MANY
        emit(f, product.contraction, shape.plan, None if plain else epilogue, ahead if near else None, beside=beside)
