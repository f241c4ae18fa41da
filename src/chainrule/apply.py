"""Making a node: check the types, compute the value unless a function is being traced, remember how it was made."""

from __future__ import annotations

from typing import Any, cast

import numpy as np

from chainrule.errors import ChainruleError, DtypeError
from chainrule.op import NON_DIFFERENTIABLE, Op
from chainrule.samples import floats
from chainrule.sources import user_line
from chainrule.state import current
from chainrule.tensor import Tensor
from chainrule.types import ANY, Array, TensorType


def apply(op: Op, *inputs: Tensor, **attributes: Any) -> Tensor:
    """Make the node of an operation, and compute its value unless a function is being traced.

    Raises what the operation's type rule raises, with the types of the inputs and the lines that they come from.
    """
    if current.tracing is not None:
        inputs = tuple([current.tracing.read(x) for x in inputs])
    types = infer(op, inputs, attributes)
    several = isinstance(types, tuple)
    value: Any = None
    if current.tracing is None:
        values = [x.known() if x.value is None else x.value for x in inputs]  # `known` says why there is no value
        with np.errstate(all="ignore"):
            value = op.numpy(*values, **attributes)
        if any([type(x.changed) is not int for x in inputs]) and not several:
            value = _kept(np.asarray(value), values)
    wanted = current.recording and op.vjp is not NON_DIFFERENTIABLE
    wanted = wanted and any([x.requires_grad for x in inputs]) and (several or types.dtype.is_float)
    keep = wanted or current.tracing is not None
    node = Bundle if several else Tensor
    return node(
        types,  # pyright: ignore[reportArgumentType]
        value if several or value is None else np.asarray(value),
        op=op if keep else None,
        inputs=inputs if keep else (),
        attributes=attributes if keep else None,
        requires_grad=wanted,
        source=current.source,
    )


def _kept(value: Array, inputs: list[Array]) -> Array:
    """A result that stays as it is: a copy of a view of what a compiled function changes in place."""
    return value.copy() if any(np.may_share_memory(value, x) for x in inputs) else value


class Bundle(Tensor):
    """The node of an operation with several outputs: a tuple of types and of values, read through `PICK`."""

    __slots__ = ()

    @property
    def types(self) -> tuple[TensorType, ...]:
        """The type of each output."""
        return self.type  # pyright: ignore[reportReturnType]


def _pick_type(types: Any, index: int) -> TensorType:
    return types[index]


def _pick(values: Any, index: int) -> Array:
    return values[index]


PICK = Op(  # structure rather than operation, hence in no registry: one output of a node that has several
    "pick",
    takes=(ANY,),
    infer=_pick_type,
    numpy=_pick,
    vjp=(lambda ct, out, bundle, index: ct,),
    samples=floats(),
    kernel=None,
    is_own=True,
)


def outputs_of(node: Tensor) -> list[Tensor]:
    """The outputs of a node that has several."""
    return [apply(PICK, node, index=i) for i in range(len(cast(Bundle, node).types))]


def apply_several(op: Op, *inputs: Tensor, **attributes: Any) -> list[Tensor]:
    """Make the node of an operation with several outputs, and return these."""
    return outputs_of(apply(op, *inputs, **attributes))


def infer(op: Op, inputs: tuple[Tensor, ...], attributes: dict[str, Any]) -> TensorType | tuple[TensorType, ...]:
    """The type of an operation's output. Errors say what the inputs are and where they come from."""
    types = [x.type for x in inputs]
    for position, type_ in enumerate(types):
        allowed = op.takes[position] if position < len(op.takes) else op.takes[-1]
        if not isinstance(inputs[position], Bundle) and type_.dtype not in allowed:
            names = ", ".join(t.name for t in sorted(allowed, key=lambda t: t.name))
            raise DtypeError(_explain(f"{op.name}: input {position + 1} is {type_.dtype}; it takes {names}", inputs))
    try:
        return op.infer(*types, **attributes)
    except ChainruleError as error:
        raise type(error)(_explain(f"{op.name}: {error}", inputs)) from None


def _explain(message: str, inputs: tuple[Tensor, ...]) -> str:
    labels = ("left", "right") if len(inputs) == 2 else tuple(f"input {i + 1}" for i in range(len(inputs)))
    rows = [
        (label, str(x.type), f"from {x.name + ', ' if x.name else ''}{x.source}")
        for label, x in zip(labels, inputs, strict=True)
    ]
    line = current.source or user_line()
    rows.append(("in", str(line), line.text))
    wide = [max(len(row[i]) for row in rows) for i in (0, 1)]
    return "\n".join([message, *(f"  {a:{wide[0]}}  {b:{wide[1]}}  {c}".rstrip() for a, b, c in rows)])
