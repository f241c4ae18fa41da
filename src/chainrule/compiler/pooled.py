"""What is done to the derivative of max pooling is done to its cotangents instead, of which there are fewer.

    relu'(x) * place(ct)   is   place(relu'(max_pool(x)) * ct)   if the places are those of the maxima of x
    sum(place(ct))         is   sum(ct)

The largest element of a window is its pooled value, so that each cotangent meets the same condition before it is placed
as after; and none is placed outside of the image.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from chainrule.apply import PICK
from chainrule.compiler.ir import Node

if TYPE_CHECKING:
    from chainrule.compiler.simplify import Made


def masked_before(call: Made, limit: float | None, zero: float | None) -> Node | None:
    """where(x <= limit, 0, place(ct)) with the condition on the pooled values; None if it is something else."""
    condition, _, placed = call.inputs
    pool = _pool_of(placed)
    if pool is None or limit is None or zero != 0 or condition.inputs[0] is not pool.inputs[0]:
        return None
    ct, positions = placed.inputs
    largest = call.maker.make(PICK, (pool,), {"index": 0}, ct.type, call.source)
    bounds = (largest, call.spread(condition.inputs[1], ct.type))
    low = call.again("less_equal", bounds, condition.type.with_shape(ct.type.shape))
    masked = call.again("where", (low, call.spread(call.inputs[1], ct.type), ct), ct.type)
    return call.again("window_place", (masked, positions), call.type, **placed.attributes)


def summed_before(call: Made, axes: tuple[int, ...]) -> Node | None:
    """sum(place(ct)) over all that the windows move along; None if it is something else."""
    placed = call.inputs[0]
    if _pool_of(placed) is None:
        return None
    count = len(placed.attributes["window"])
    if not set(range(placed.type.ndim - count, placed.type.ndim)) <= set(axes):
        return None
    return call.again("sum", placed.inputs[:1], call.type, axes=axes)


def _pool_of(placed: Node) -> Node | None:
    """The pooling whose maxima a `window_place` goes to."""
    if placed.op is None or placed.op.name != "window_place":
        return None
    positions = placed.inputs[1]
    if positions.op is None or positions.op.name != "pick":
        return None
    pool = positions.inputs[0]
    if pool.op is None or pool.op.name != "max_pool":
        return None
    same = all(pool.attributes[name] == placed.attributes[name] for name in ("window", "stride", "padding", "dilation"))
    return pool if same and pool.inputs[0].type == placed.type else None
