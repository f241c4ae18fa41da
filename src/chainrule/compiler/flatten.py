"""Elementwise operations after a product of matrices, done on the matrix itself.

`x @ w` for x of three axes or more is a product of matrices, seen in another shape. What follows it elementwise, bias
and activation and their derivatives, can join the product only if it has the product's own axes:

    f(reshape(a), reshape(b), broadcast(c))     ->     reshape(f(a, b, broadcast(c')))

for matrices a and b with the last axis of the result, and for c that is broadcast over all other axes or over none.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from chainrule.compiler.ir import Node
from chainrule.types import Shape

if TYPE_CHECKING:
    from chainrule.compiler.simplify import Made


def on_matrix(call: Made) -> Node | None:
    """An elementwise operation as one on matrices, seen in its own shape; None if it is not about a matrix."""
    shape = call.type.shape
    if len(shape) < 3 or not call.type.size:
        return None
    matrix = (call.type.size // shape[-1], shape[-1])
    if not any(_is_matrix(x, matrix) for x in call.inputs):
        return None
    found: list[Node] = []
    for x in call.inputs:
        flat = x.inputs[0] if _is_matrix(x, matrix) else _flat_broadcast(call, x, matrix)
        if flat is None:
            return None
        found.append(flat)
    made = call.again(call.name, tuple(found), call.type.with_shape(matrix), **call.attributes)
    return call.again("reshape", (made,), call.type, shape=shape)


def _is_matrix(x: Node, shape: Shape) -> bool:
    return x.op is not None and x.op.name == "reshape" and x.inputs[0].type.shape == shape


def _flat_broadcast(call: Made, x: Node, matrix: Shape) -> Node | None:
    """What is broadcast to the result's shape, broadcast to a matrix."""
    if x.op is None or x.op.name != "broadcast_to":
        return None
    source, shape = x.inputs[0], x.type.shape
    *lead, last = (1,) * (len(shape) - source.type.ndim) + source.type.shape
    if any(n != 1 for n in lead) and tuple(lead) != shape[:-1]:
        return None
    rows = 1 if all(n == 1 for n in lead) else matrix[0]
    column = call.again("reshape", (source,), source.type.with_shape((rows, last)), shape=(rows, last))
    return call.again("broadcast_to", (column,), x.type.with_shape(matrix), shape=matrix)
