"""The backward pass: walk back once over what lies between, making more nodes.

    x --f--> y --g--> loss          forward
    x' <-f'- y' <-g'- 1             backward: each cotangent is the vjp of the node before it

It works on eager and on traced nodes alike, and on nodes that it made itself, so that gradients of gradients come free.
Rumelhart, Hinton & Williams, "Learning representations by back-propagating errors", Nature 323 (1986); Griewank &
Walther, "Evaluating Derivatives" (2008), ch. 3.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from chainrule.apply import Bundle
from chainrule.errors import GradientError
from chainrule.graph import topological
from chainrule.op import FUNCTIONS, JointRule, NonDifferentiable, Recompute
from chainrule.state import source_line
from chainrule.tensor import Tensor


def gradients(outputs: Sequence[Tensor], cotangents: Sequence[Tensor], wrt: Sequence[Tensor]) -> list[Tensor | None]:
    """Pull cotangents of the outputs back to `wrt`: the vector-Jacobian product of the program between them.

    The tensors of `wrt` are taken as independent variables: what they were computed from does not matter. Every node
    is visited once, whatever the number of paths through it. A variable on which no output depends gets None.

    Raises `GradientError` if part of the graph was freed by an earlier `backward`.
    """
    totals = _Totals()
    for x, ct in zip(outputs, cotangents, strict=True):
        totals.add(x, ct)
    _walk(outputs, wrt, totals)
    return [totals.of.get(id(x)) for x in wrt]


@dataclass
class _Totals:
    """The cotangents that have arrived so far, added up where paths meet."""

    of: dict[int, Tensor] = field(default_factory=dict[int, Tensor])
    slots: dict[int, dict[int, Tensor]] = field(default_factory=dict[int, dict[int, Tensor]])  # of several outputs

    def add(self, x: Tensor, ct: Tensor, index: int = 0) -> None:
        totals, key = (self.slots.setdefault(id(x), {}), index) if isinstance(x, Bundle) else (self.of, id(x))
        if key in totals:
            ct = FUNCTIONS["cast"](FUNCTIONS["add"](totals[key], ct), ct.dtype)  # bfloat16 is added in float32
        totals[key] = ct

    def take(self, x: Tensor) -> Tensor | dict[int, Tensor] | None:
        """What has arrived at a node; it is not needed any more, and its memory can be used again."""
        return self.slots.pop(id(x), None) if isinstance(x, Bundle) else self.of.pop(id(x), None)


def _walk(outputs: Sequence[Tensor], wrt: Sequence[Tensor], totals: _Totals) -> None:
    """Push the totals of the outputs back to `wrt`, through the nodes between them and no others."""
    variables = {id(x) for x in wrt}
    order = topological(outputs, stop=variables)
    between = set(variables)
    for node in order:
        if id(node) not in variables:
            _check(node)
        carries = not node.no_grad and (isinstance(node, Bundle) or node.dtype.is_float)
        if carries and any(id(x) in between for x in node.inputs):
            between.add(id(node))
    for node in reversed(order):
        if node.op is None or id(node) not in between or id(node) in variables:
            continue
        arrived = totals.take(node)
        if arrived is None:
            continue
        with source_line(node.source._replace(backward=True)):
            if isinstance(node.op.vjp, Recompute):
                _walk_again(node, node.op.vjp, arrived, between, totals)
                continue
            needed = [id(x) in between for x in node.inputs]
            for x, ct in zip(node.inputs, _pull(node, arrived, needed), strict=True):
                if ct is not None and id(x) in between:
                    totals.add(x, ct, node.attributes.get("index", 0))


def _check(node: Tensor) -> None:
    """A node that can still be walked through has its inputs, and they have the values that it was made from."""
    if node.requires_grad and node.op is not None and not node.inputs:
        raise GradientError(
            f"the graph was freed by an earlier backward(), at the node made by {node.op.name} at {node.source}\n"
            "  call backward(retain_graph=True) the first time, or run the forward pass again"
        )
    for x in node.inputs:
        if x.changed > node.serial and x.requires_grad:
            name = x.name or f"made at {x.source}"
            raise GradientError(
                f"a tensor {x.type}, {name}, was assigned a new value after it was used at {node.source}\n"
                "  call backward() before the update, or run the forward pass again"
            )


def _pull(node: Tensor, arrived: Tensor | dict[int, Tensor], needed: Sequence[bool]) -> Sequence[Tensor | None]:
    """The cotangents of a node's inputs, where they are needed."""
    assert node.op is not None
    vjp = node.op.vjp
    if isinstance(vjp, tuple):
        assert isinstance(arrived, Tensor), "rules for single inputs belong to operations with one output"
        return [
            rule(arrived, node, *node.inputs, **node.attributes) if rule is not None and need else None
            for rule, need in zip(vjp, needed, strict=True)
        ]
    if isinstance(vjp, JointRule):
        given = _listed(node, arrived) if isinstance(node, Bundle) else arrived
        return vjp.rule(given, node, *node.inputs, **node.attributes)
    assert isinstance(vjp, NonDifferentiable)
    return [None] * len(needed)


def _listed(node: Bundle, arrived: Tensor | dict[int, Tensor]) -> list[Tensor | None]:
    assert isinstance(arrived, dict)
    return [arrived.get(i) for i in range(len(node.types))]


def _walk_again(
    node: Tensor, vjp: Recompute, arrived: Tensor | dict[int, Tensor], between: set[int], totals: _Totals
) -> None:
    """Go back through a forward pass made again. The totals of the inputs are carried on, in the same order as if the
    nodes had been there from the start, so that the result is the same to the last bit."""
    assert isinstance(node, Bundle)
    outputs, variables = vjp.rule(*node.inputs, **node.attributes)
    inner = _Totals()
    pairs = [(x, v) for x, v in zip(node.inputs, variables, strict=True) if id(x) in between]
    for x, v in pairs:
        if id(x) in totals.of:
            inner.of[id(v)] = totals.of[id(x)]
    given = [(out, ct) for out, ct in zip(outputs, _listed(node, arrived), strict=True) if ct is not None]
    for out, ct in given:
        inner.add(out, ct)
    _walk([out for out, _ in given], [v for _, v in pairs], inner)
    for x, v in pairs:
        if id(v) in inner.of:
            totals.of[id(x)] = inner.of[id(v)]
