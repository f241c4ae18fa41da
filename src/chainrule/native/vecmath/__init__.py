"""Exponentials, logarithms, powers, trigonometric and error functions on lanes, for float32 and float64.

    Map(lambda v, x: x * vecmath.sigmoid(v, x))

Each is a polynomial around some point, to which all other arguments are brought by an identity; there are neither
tables nor branches on the usual way. `docs/vecmath.md` says how exact they are.
"""

from chainrule.native.vecmath.exponential import cosh, exp, expm1, sigmoid, sinh, softplus, tanh
from chainrule.native.vecmath.inverse import acos, asin, atan, atan2
from chainrule.native.vecmath.logarithm import log, log1p
from chainrule.native.vecmath.powers import constant_power, power, reciprocal, rsqrt, square
from chainrule.native.vecmath.special import erf, erfinv, ndtr
from chainrule.native.vecmath.trigonometric import cos, sin, tan

__all__ = [
    "acos",
    "asin",
    "atan",
    "atan2",
    "constant_power",
    "cos",
    "cosh",
    "erf",
    "erfinv",
    "exp",
    "expm1",
    "log",
    "log1p",
    "ndtr",
    "power",
    "reciprocal",
    "rsqrt",
    "sigmoid",
    "sin",
    "sinh",
    "softplus",
    "square",
    "tan",
    "tanh",
]
