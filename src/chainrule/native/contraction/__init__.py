"""Matrix products as code: micro-kernels, and the loops that call them."""

from chainrule.native.contraction.loops import Epilogue, emit
from chainrule.native.contraction.micro import Dots, MicroKernel, Swept, Tile, Turning, call, micro_module
from chainrule.native.contraction.plan import Plan, cost, lines_kept, plan
from chainrule.native.contraction.problem import Contraction, Strides3

__all__ = [
    "Contraction",
    "Dots",
    "Epilogue",
    "MicroKernel",
    "Plan",
    "Strides3",
    "Swept",
    "Tile",
    "Turning",
    "call",
    "cost",
    "emit",
    "lines_kept",
    "micro_module",
    "plan",
]
