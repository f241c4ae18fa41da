"""The backward pass: walk back once over what lies between, making more nodes.

    x --f--> y --g--> loss          forward
    x' <-f'- y' <-g'- 1             backward: each cotangent is the vjp of the node before it

It works on eager and on traced nodes alike, and on nodes that it made itself, so that gradients of gradients come free.
Rumelhart, Hinton & Williams, "Learning representations by back-propagating errors", Nature 323 (1986); Griewank &
Walther, "Evaluating Derivatives" (2008), ch. 3.
"""

from __future__ import annotations

from collections.abc import Sequence

from chainrule.errors import GradientError
from chainrule.graph import topological
from chainrule.op import FUNCTIONS, JointRule, NonDifferentiable
from chainrule.tensor import Bundle, Tensor, source_line

Cotangents = dict[int, "Tensor | dict[int, Tensor]"]


def gradients(outputs: Sequence[Tensor], cotangents: Sequence[Tensor], wrt: Sequence[Tensor]) -> list[Tensor | None]:
    """Pull cotangents of the outputs back to `wrt`: the vector-Jacobian product of the program between them.

    Every node is visited once, whatever the number of paths through it. A tensor of `wrt` on which no output depends
    gets None.

    Raises `GradientError` if part of the graph was freed by an earlier `backward`.
    """
    order = topological(outputs)
    between = {id(x) for x in wrt}
    for node in order:
        if node.requires_grad and any(id(x) in between for x in node.inputs):
            between.add(id(node))
        if node.requires_grad and node.op is not None and not node.inputs:
            raise GradientError(
                f"the graph was freed by an earlier backward(), at the node made by {node.op.name} at {node.source}\n"
                "  call backward(retain_graph=True) the first time, or run the forward pass again"
            )
    found: dict[int, Tensor] = {}
    slots: dict[int, dict[int, Tensor]] = {}  # of nodes with several outputs: output -> cotangent
    for x, ct in zip(outputs, cotangents, strict=True):
        _accumulate(found, id(x), ct)
    for node in reversed(order):
        arrived = slots.get(id(node)) if isinstance(node, Bundle) else found.get(id(node))
        if arrived is None or node.op is None or id(node) not in between:
            continue
        needed = [id(x) in between for x in node.inputs]
        with source_line(node.source._replace(backward=True)):
            for x, ct in zip(node.inputs, _pull(node, arrived, needed), strict=True):
                if ct is None or id(x) not in between:
                    continue
                if isinstance(x, Bundle):
                    _accumulate(slots.setdefault(id(x), {}), node.attributes["index"], ct)
                else:
                    _accumulate(found, id(x), ct)
    return [found.get(id(x)) for x in wrt]


def _accumulate(totals: dict[int, Tensor], key: int, ct: Tensor) -> None:
    totals[key] = FUNCTIONS["add"](totals[key], ct) if key in totals else ct


def _pull(node: Tensor, arrived: Tensor | dict[int, Tensor], needed: Sequence[bool]) -> Sequence[Tensor | None]:
    """The cotangents of a node's inputs, where they are needed."""
    assert node.op is not None
    vjp = node.op.vjp
    if isinstance(vjp, NonDifferentiable):
        return [None] * len(needed)
    if isinstance(vjp, JointRule):
        given = arrived if isinstance(arrived, Tensor) else [arrived.get(i) for i in range(len(node.type))]  # pyright: ignore
        return vjp.rule(given, node, *node.inputs, **node.attributes)
    return [
        rule(arrived, node, *node.inputs, **node.attributes) if rule is not None and need else None
        for rule, need in zip(vjp, needed, strict=True)
    ]
