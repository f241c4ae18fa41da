"""Type rules and the broadcasting front that elementwise operations share."""

from __future__ import annotations

from contextlib import suppress

import numpy as np

from chainrule.apply import apply
from chainrule.errors import ShapeError
from chainrule.op import FUNCTIONS, Op
from chainrule.state import current_tracing
from chainrule.tensor import Tensor, TensorLike, operands
from chainrule.types import Shape, TensorType, bool_, broadcast_shapes, float32, int64


def same_type(x: TensorType, *others: TensorType) -> TensorType:
    """All inputs have one type, and the output has it, too."""
    for other in others:
        if other != x:
            broadcast_shapes(x.shape, *(o.shape for o in others))  # if this is what is wrong, it says so
            raise ShapeError(f"inputs must have one type, not {x} and {other}")
    return x


def to_bool(x: TensorType, *others: TensorType) -> TensorType:
    """All inputs have one type; the output is bool of their shape."""
    return same_type(x, *others).with_dtype(bool_)


def elementwise(op: Op, *values: TensorLike) -> Tensor:
    """Apply an elementwise operation after bringing all inputs to one data type that it takes, and to one shape.

    Integers and truth values become float32 for an operation on real numbers, truth values int64 for one on numbers,
    and numbers become truth values (is it not 0?) for one on truth values.
    Inside a graph nothing broadcasts: `broadcast_to` nodes are inserted here, and no derivative rule un-broadcasts.

    Raises `ShapeError` if the shapes do not broadcast.
    """
    found = operands(*values)
    if found[0].dtype not in op.takes[0]:
        lifted = next(t for t in (int64, float32, bool_) if t in op.takes[0])
        found = operands(*found, dtype=lifted)
    return broadcasting(op, *found)


def broadcasting(op: Op, *inputs: Tensor) -> Tensor:
    """Apply an elementwise operation after bringing all inputs to one shape.

    Raises `ShapeError` if the shapes do not broadcast.
    """
    with suppress(ShapeError):  # the type rule raises it again, and says for which inputs of which operation
        inputs = together(*inputs)
    return apply(op, *inputs)


def together(*inputs: Tensor) -> tuple[Tensor, ...]:
    """The inputs broadcast to their common shape."""
    shapes = [x.type.shape for x in inputs]
    if all([s == shapes[0] for s in shapes]):
        return inputs
    shape = broadcast_shapes(*shapes)
    return tuple([x if s == shape else _spread(x, shape) for x, s in zip(inputs, shapes, strict=True)])


def _spread(x: Tensor, shape: Shape) -> Tensor:
    """One input broadcast. A number that is a constant is spread without a node where none would be kept anyway."""
    if x.type.shape or x.requires_grad or x.value is None or current_tracing() is not None:
        return FUNCTIONS["broadcast_to"](x, shape)
    value = np.ndarray(shape, x.value.dtype, x.value.tobytes(), strides=(0,) * len(shape))
    return Tensor(x.type.with_shape(shape), value, source=x.source)
