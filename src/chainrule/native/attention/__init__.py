"""Attention as code: products, softmax and their derivatives tile by tile, without a matrix of all scores."""

from chainrule.native.attention.backward import backward_loops, backward_micro, backward_scratch, backward_units
from chainrule.native.attention.forward import forward_loops, forward_micro, forward_scratch, forward_units

__all__ = [
    "backward_loops",
    "backward_micro",
    "backward_scratch",
    "backward_units",
    "forward_loops",
    "forward_micro",
    "forward_scratch",
    "forward_units",
]
