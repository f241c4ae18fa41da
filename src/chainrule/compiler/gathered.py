"""Products of rows that were gathered from a table with fewer rows, such as embedded symbols: the table is multiplied
instead, and what falls on each of its rows is added up before products instead of after them.

With x = take(table, i), thus x[n] = table[i[n]], and s = scatter_add(0, i, ct), where s[v] is the sum of ct[n] over all
n with i[n] = v:

    x w + b                      is   take(table w + b, i)     a layer after an embedding
    x^T ct                       is   table^T s                the gradient of its weight
    scatter_add(0, i, ct w^T)    is   s w^T                    the gradient of the table

A network that reads 2,000 characters of an alphabet of 65 multiplies 65 rows instead of 2,000 in each of them. Results
are rounded differently, and a row of the table that is infinite or NaN shows in them though no index names it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from chainrule.compiler.ir import Node
from chainrule.types import FLOATS, Shape, TensorType

if TYPE_CHECKING:
    from chainrule.compiler.simplify import Made

FEWER = 2
"""So many times more rows are gathered than there are in the table."""

WORTH = 16
"""Columns that a table must have: with fewer, moving rows costs as much as multiplying them."""


class _Gathered(NamedTuple):
    """A matrix whose row n is row indices[n] of a table."""

    table: Node
    indices: Node


def product_of_gathered(call: Made) -> Node | None:
    """A product in which one side is gathered, as one with the table; None if it is something else."""
    x, y = call.inputs
    if x.type.ndim != 2 or y.type.ndim != 2 or call.type.dtype not in FLOATS:
        return None
    if (rows := _gathered(call, x)) is not None:
        type = call.type.with_shape((rows.table.type.shape[0], y.type.shape[1]))
        return call.again("take", (call.again("matmul", (rows.table, y), type), rows.indices), call.type, axis=0)
    if (rows := _gathered(call, _transposed(call, x))) is not None:
        total = _added_up(call, rows.table.type, rows.indices, y)
        return call.again("matmul", (_transposed(call, rows.table), total), call.type)
    if (rows := _gathered(call, y)) is not None:
        total = _added_up(call, rows.table.type, rows.indices, _transposed(call, x))
        return call.again("matmul", (_transposed(call, total), rows.table), call.type)
    return None


def sum_of_gathered(call: Made) -> Node | None:
    """take(x, i) + y as take(x + y, i), if y is the same for all rows; None if it is something else."""
    for x, y in (call.inputs, call.inputs[::-1]):
        spread = y.op is not None and y.op.name == "broadcast_to" and y.type.ndim == 2
        if spread and y.inputs[0].type.shape[:-1] in ((), (1,)) and (rows := _gathered(call, x)) is not None:
            type = rows.table.type
            same = call.again("broadcast_to", y.inputs, type, shape=type.shape)
            return call.again("take", (call.again("add", (rows.table, same), type), rows.indices), call.type, axis=0)
    return None


def gradient_of_gathered(call: Made) -> Node | None:
    """scatter_add(x, i, ct w) as x + scatter_add(0, i, ct) w; None if it is something else."""
    x, indices, updates = call.inputs
    product, way = _source_of_rows(updates)
    if product.op is None or product.op.name != "matmul" or product.type.ndim != 2 or call.attributes["axis"] != 0:
        return None
    if not _is_worth_it(x.type, indices.type):
        return None
    for node in way:  # back to how the rows of the product stand
        indices = _reordered(call, indices, node.inputs[0].type.shape[:-1], _inverse(_order(node)))
    ct, w = product.inputs
    found = call.again("matmul", (_added_up(call, x.type, indices, ct), w), call.type)
    return found if call.is_zero(x) else call.again("add", (x, found), call.type)


def _gathered(call: Made, x: Node) -> _Gathered | None:
    """Which rows of which table a matrix consists of; None if it is no such matrix, or if the table is no smaller."""
    found, way = _source_of_rows(x)
    if found.op is None or found.op.name != "take" or found.attributes["axis"] != 0:
        return None
    table, indices = found.inputs
    if not _is_worth_it(table.type, indices.type):
        return None
    for node in reversed(way):
        indices = _reordered(call, indices, node.type.shape[:-1], _order(node))
    return _Gathered(table, indices)


def _is_worth_it(table: TensorType, indices: TensorType) -> bool:
    return table.ndim == 2 and FEWER * table.shape[0] <= indices.size and table.shape[1] >= WORTH


def _source_of_rows(x: Node) -> tuple[Node, Sequence[Node]]:
    """Where the rows of a tensor, along its last axis, come from, and the nodes that put them into another order."""
    way: list[Node] = []
    while x.op is not None and x.op.name in ("reshape", "permute_dims"):
        source, order = x.inputs[0], _order(x)
        if x.type.shape[-1:] != source.type.shape[-1:] or (order is not None and order[-1:] != (x.type.ndim - 1,)):
            break
        way.append(x)
        x = source
    return x, way


def _order(node: Node) -> tuple[int, ...] | None:
    """The axes of a permutation; None for a reshape."""
    return node.attributes.get("axes")


def _inverse(order: tuple[int, ...] | None) -> tuple[int, ...] | None:
    return order and tuple(order.index(i) for i in range(len(order)))


def _reordered(call: Made, indices: Node, shape: Shape, order: tuple[int, ...] | None) -> Node:
    """The indices of rows, put into another order with them."""
    type = indices.type.with_shape(shape)
    if order is None:
        return call.again("reshape", (indices,), type, shape=shape)
    return call.again("permute_dims", (indices,), type, axes=order[:-1])


def _transposed(call: Made, x: Node) -> Node:
    return call.again("permute_dims", (x,), x.type.with_shape(x.type.shape[::-1]), axes=(1, 0))


def _added_up(call: Made, table: TensorType, indices: Node, ct: Node) -> Node:
    """What falls on each row of a table."""
    type = ct.type.with_shape((table.shape[0], ct.type.shape[1]))
    return call.again("scatter_add", (call.spread(call.number(0, type), type), indices, ct), type, axis=0)
