"""How an operation is compiled: one of a few kinds of kernel, as part of its declaration.

Map       elementwise: an expression on lanes, fused with its neighbours          kernel=Map(lambda v, x, y: x + y)
View      another way to look at the same memory: never code of its own           kernel=View(_broadcast_view)
Reduce    axes folded by an associative operation                                 kernel=Reduce(...)
Contract  sums of products: the matrix product                                    kernel=Contract()
Convolve  a kernel swept over images: convolution, and its derivative by images   kernel=Convolve(forward)
Native    loops of its own, such as gathering, sorting or drawing random bits     kernel=Native(...)
Inline    the nodes of a graph in its place                                       kernel=Inline()
Loop      a graph run again and again: scan                                       kernel=Loop()
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from chainrule.native.code import Number, Value
from chainrule.native.contraction import MicroKernel
from chainrule.native.convolution import Sweep
from chainrule.native.lanes import Lanes
from chainrule.native.operand import Strided
from chainrule.types import DType

# Spelled out, so that a lambda in a declaration is checked with types.
Body: TypeAlias = (
    Callable[[Lanes, Value], Value]
    | Callable[[Lanes, Value, Value], Value]
    | Callable[[Lanes, Value, Any, Any], Value]
    | Callable[..., Value]
)


@dataclass(frozen=True, slots=True)
class Map:
    """An elementwise operation.

    Args:
        body: `body(v, *xs, **attributes)` gives the result on lanes `v` for inputs on the same lanes, each of the
            inferred types. It must not trap on lanes that are not used, where inputs are 0.
        cost: roughly how many simple operations it is worth, so that cheap ones are made again rather than stored.
    """

    body: Body
    cost: int = 1


@dataclass(frozen=True, slots=True)
class View:
    """Another way to look at the same memory.

    Args:
        body: `body(place, **attributes)` says where the result's elements are, given where the input's are; None where
            that cannot be said with strides, so that the input must be copied into row-major order first.
    """

    body: Callable[..., Strided | None]


@dataclass(frozen=True, slots=True)
class Reduce:
    """Axes folded by an associative operation; the attribute `axes` says which.

    Args:
        start: `start(dtype)` is the number to begin with, which changes nothing.
        combine: `combine(v, x, y)` joins two partial results on lanes.
    """

    start: Callable[[DType], Number]
    combine: Callable[[Lanes, Value, Value], Value]


@dataclass(frozen=True, slots=True)
class Contract:
    """A batched matrix product over the last two axes."""


Units: TypeAlias = Callable[..., int]


@dataclass(frozen=True, slots=True)
class Convolve:
    """A kernel [out, in, *kernel] that is swept over images [batch, channels, *sizes].

    Args:
        sweep: `sweep(*places of the inputs, place of the output, data type, **attributes)` says what is computed.
        flops: `flops(*types of the inputs, type of the output, **attributes)` is the number of its floating-point
            operations.
    """

    sweep: Callable[..., Sweep]
    flops: Units


@dataclass(frozen=True, slots=True)
class Native:
    """An operation with loops of its own.

    Args:
        body: `body(job, **attributes)` writes the loops.
        units: `units(*types of the inputs, **attributes)` says into how many independent pieces the work can be cut.
            Each element of the output is written by one piece, in the same order whoever does it.
        scratch: `scratch(*types, **attributes)` is the number of bytes that a thread needs besides.
        flops: `flops(*types of the inputs, type of the output, **attributes)` is the number of floating-point
            operations; without it there are none that count.
        picks: whether of the first input only as many elements are read as the output has.
        follows: the input whose order of axes in memory the outputs take, if they have as many axes; without it, and
            all others, outputs are in row-major order.
        together: whether other inputs of as many axes are copied if they are in another order than that.
        images: whether inputs are images [batch, channels, ...] that had better have their channels last.
        micro: `micro(target, *types of the inputs, **attributes)` names the micro-kernels of matrix products that the
            body calls: their addresses are in `job.micro`.
    """

    body: Callable[..., None]
    units: Units
    scratch: Units | None = None
    flops: Units | None = None
    picks: bool = False
    follows: int | None = None
    together: bool = False
    images: bool = False
    micro: Callable[..., Sequence[MicroKernel]] | None = None


@dataclass(frozen=True, slots=True)
class Inline:
    """The nodes of the attribute `graph`, in place of this one."""


@dataclass(frozen=True, slots=True)
class Loop:
    """The attribute `graph`, run `length` times: `scan`."""


Kernel: TypeAlias = Map | View | Reduce | Contract | Convolve | Native | Inline | Loop
