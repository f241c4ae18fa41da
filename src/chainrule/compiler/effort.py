"""What a kernel does, for people: its kind, its sizes, what it computes and how much it moves.

Floating-point operations are those of the mathematics: two for each product that is summed, one for each number that is
reduced. An elementwise function counts as the simple operations that it is worth (`kernel.Map.cost`), such as 20 for an
exponential. Bytes are those that have to be read and written at least: what is touched, once.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from math import prod
from typing import cast

from chainrule.compiler.group import Group
from chainrule.compiler.ir import Node
from chainrule.compiler.kernels.body import reads
from chainrule.compiler.kernels.product import ProductFrame
from chainrule.compiler.kernels.sweep import SweepFrame
from chainrule.compiler.work import Work
from chainrule.kernel import Contract, Convolve, Map, Native, Reduce
from chainrule.types import TensorType, float64

MOST_NAMES = 6
"""So many operations are named in a title."""


@dataclass(frozen=True)
class Effort:
    """What a kernel does.

    Attributes:
        kind: "product", "rows" (loops with reductions), "map" (without), "copy", or "native" (loops of its own).
        title: its operations.
        shape: what it runs over; of a product rows, summands and columns, "32x64x30".
        plan: how a product is cut, and what is copied first.
        flops, bytes: how much it computes and moves.
        wide: whether most of it is computed in float64.
    """

    kind: str
    title: str
    shape: str
    plan: str
    flops: int
    bytes: int
    wide: bool


def effort(work: Work) -> Effort:
    """The description of a kernel."""
    group = work.group
    plan = work.shape.plan.text if isinstance(work.shape, ProductFrame | SweepFrame) else ""
    flops = sum(map(_flops, group.nodes))
    return Effort(
        _kind(group),
        _title(group),
        _shape(group),
        plan,
        flops,
        _read(group) + sum(map(bytes_of, group.stored)),
        2 * sum(_flops(node) for node in group.nodes if _first_type(node).dtype is float64) > flops,
    )


def bytes_of(node: Node) -> int:
    """What a node takes in memory."""
    return node.type.size * node.type.dtype.itemsize


def _first_type(node: Node) -> TensorType:
    """The type of a node, or of the first of several outputs."""
    types = cast("TensorType | tuple[TensorType, ...]", node.type)
    return types[0] if isinstance(types, tuple) else types


def _kind(group: Group) -> str:
    if group.kind != "loops":
        return group.kind
    if group.reading:
        return "rows"
    return "copy" if _names(group) == ["copy"] else "map"


def _title(group: Group) -> str:
    names = _names(group)
    more = f" and {len(names) - MOST_NAMES} more" if len(names) > MOST_NAMES else ""
    return " ".join(names[:MOST_NAMES]) + more


def _names(group: Group) -> list[str]:
    """Its operations, each once; one that changes nothing is there to copy."""
    names = [node.op.name for node in group.nodes if node.op is not None]
    found = list(dict.fromkeys(name for name in names if name != "identity"))
    return found or ["copy"]


def _shape(group: Group) -> str:
    if group.kind == "loops":
        return _sizes(group.axes)
    root = group.root
    if group.kind != "product":
        return _sizes(_first_type(root).shape)
    *batch, m, n = root.type.shape
    each = _sizes((m, root.inputs[0].type.shape[-1], n))
    return f"{prod(batch)} of {each}" if prod(batch) != 1 else each


def _sizes(shape: Iterable[int]) -> str:
    return "x".join(map(str, shape)) or "1"


def _flops(node: Node) -> int:
    assert node.op is not None
    kernel, x = node.op.kernel, node.type
    if isinstance(kernel, Contract):
        return 2 * x.size * node.inputs[0].type.shape[-1] if x.dtype.is_float else 0
    if isinstance(kernel, Convolve | Native):
        return kernel.flops(*(y.type for y in node.inputs), x, **node.attributes) if kernel.flops else 0
    if not x.dtype.is_float or node.op.name == "identity":
        return 0
    if isinstance(kernel, Reduce):
        return node.inputs[0].type.size
    return x.size * kernel.cost if isinstance(kernel, Map) else 0


def _read(group: Group) -> int:
    """Bytes that are read: of each buffer what is touched, once."""
    touched: dict[Node, dict[tuple[tuple[int, ...], int], int]] = {}
    for _, at in reads(group):
        count = prod(n for n, stride in zip(group.axes, at.strides, strict=True) if stride)
        touched.setdefault(at.base, {})[at.strides, at.offset] = count
    if group.kind != "loops":
        assert group.root.op is not None
        kernel = group.root.op.kernel
        picked = isinstance(kernel, Native) and kernel.picks
        for i, x in enumerate(group.root.inputs):
            seen = prod(n for n, stride in zip(x.place.shape, x.place.strides, strict=True) if stride)
            count = min(seen, _first_type(group.root).size) if picked and not i else seen
            touched.setdefault(x.base, {})[x.place.strides, x.place.offset] = count
    return sum(min(x.type.size, sum(counts.values())) * x.type.dtype.itemsize for x, counts in touched.items())
