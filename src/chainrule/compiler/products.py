"""Products of matrices as contractions: sizes and strides, and which order of the result is cheaper."""

from __future__ import annotations

import functools
from dataclasses import dataclass

from chainrule.compiler.ir import Node
from chainrule.native.contraction import Contraction, cost
from chainrule.native.operand import Strided
from chainrule.native.target import Target
from chainrule.types import size_of


@dataclass(frozen=True)
class Product:
    """A product as a contraction.

    Attributes:
        contraction: with rows and columns of the result swapped if it is stored column by column.
        left, right: positions of its operands among the node's inputs.
        turned: whether rows and columns are swapped.
    """

    contraction: Contraction
    left: int
    right: int
    turned: bool


def joint_axes(place: Strided) -> tuple[int, int] | None:
    """All axes but the last two as one: its size and stride; None if no single stride says where they are."""
    size, stride = 1, 0
    for n, s in reversed(list(zip(place.shape[:-2], place.strides[:-2], strict=True))):
        if n == 1:
            continue
        if size > 1 and s != stride * size:
            return None
        if size == 1:
            stride = s
        size *= n
    return size_of(place.shape[:-2]), stride


def has_joint_axes(node: Node) -> bool:
    """Whether the leading axes of both inputs can be walked along as one."""
    return all(joint_axes(x.place) is not None for x in node.inputs)


def product_of(node: Node, place: Strided) -> Product:
    """A product whose result is stored at a place."""
    x, y = (v.place for v in node.inputs)
    m, n, k = place.shape[-2], place.shape[-1], x.shape[-1]
    batches = [joint_axes(p) for p in (x, y, place)]
    assert all(b is not None for b in batches), node
    (batch, bx), (_, by), (_, bc) = (b for b in batches if b is not None)
    straight = Contraction(
        node.inputs[0].type.dtype,
        node.type.dtype,
        batch,
        m,
        n,
        k,
        (bx, x.strides[-2], x.strides[-1]),
        (by, y.strides[-2], y.strides[-1]),
        (bc, place.strides[-2], place.strides[-1]),
    )
    turned = n > 1 and m > 1 and place.strides[-1] != 1
    turned = turned or (n == 1 and m > 1 and place.strides[-2] == 1)
    if turned:
        return Product(straight.turned(), 1, 0, turned=True)
    return Product(straight, 0, 1, turned=False)


def order_cost(node: Node, place: Strided, target: Target) -> float:
    """What a product costs if its result is stored at a place."""
    if not has_joint_axes(node):
        return 0.0  # its inputs will be copied first, in either case
    return _cost(product_of(node, place).contraction, target)


@functools.cache
def _cost(contraction: Contraction, target: Target) -> float:
    return cost(contraction, target)
