"""Functions with kinks, elementwise: absolute value, sign, extremes, clipping, the rectifier.

At a kink there is no derivative. What stands in for it is stated with each function; it is what PyTorch takes.
"""

from __future__ import annotations

import math

import numpy as np

from chainrule.kernel import Map
from chainrule.native.code import Value
from chainrule.native.lanes import Lanes
from chainrule.op import define, method
from chainrule.ops.comparison import where
from chainrule.ops.rules import elementwise, same_type
from chainrule.samples import Draw, Sample, floats
from chainrule.tensor import Tensor, TensorLike, as_tensor, operands
from chainrule.types import NUMBERS, Array, DType, bool_, uint8

ABS = define(
    "abs",
    takes=(NUMBERS,),
    infer=same_type,
    numpy=np.abs,
    vjp=(lambda ct, out, x: ct * sign(x),),
    kernel=Map(lambda v, x: v.abs(x)),
    samples=floats(away_from=0.0),
)


@method
def abs(x: TensorLike) -> Tensor:
    """The absolute value |x|, elementwise. The derivative at 0 is taken as 0.

    >>> abs([1.0, -2.0])
    tensor([1., 2.], f32[2])
    """
    return elementwise(ABS, x)


def _sign_lanes(v: Lanes, x: Value) -> Value:
    below = x if x.dtype is uint8 else v.select(v.less(x, 0), -1, x)  # 0 and NaN are left, and 0 has no sign
    return v.select(v.greater(x, 0), 1, v.select(v.equal(x, 0), 0, below))


SIGN = define(
    "sign",
    takes=(NUMBERS,),
    infer=same_type,
    numpy=np.sign,
    vjp=(None,),
    kernel=Map(_sign_lanes),
    samples=floats(away_from=0.0),
)


def sign(x: TensorLike) -> Tensor:
    """1 for positive, -1 for negative numbers, 0 for 0, NaN for NaN, elementwise. The derivative is 0.

    >>> sign([3.0, 0.0, -2.0])
    tensor([ 1.,  0., -1.], f32[3])
    """
    return elementwise(SIGN, x)


def _winners_share(ct: Tensor, mine: Tensor, other: Tensor, *, mine_loses: Tensor) -> Tensor:
    """What arrives at one of two inputs of which only the winner was passed on; half of it in case of a tie."""
    return where(mine == other, 0.5 * ct, where(mine_loses, 0.0, ct))


def _draw_apart(draw: Draw) -> Sample:
    """Two numbers that are not nearly equal."""
    shape = draw.shape()
    x = draw.rng.uniform(-2, 2, shape)
    y = x + draw.rng.uniform(0.2, 1.0, shape) * draw.rng.choice([-1, 1], shape)
    return Sample((draw.lay(draw.convert(x)), draw.lay(draw.convert(y))))


MAXIMUM = define(
    "maximum",
    takes=(NUMBERS,),
    infer=same_type,
    numpy=np.maximum,
    vjp=(
        lambda ct, out, x, y: _winners_share(ct, x, y, mine_loses=x < y),
        lambda ct, out, x, y: _winners_share(ct, y, x, mine_loses=y < x),
    ),
    kernel=Map(lambda v, x, y: v.maximum(x, y)),
    samples=_draw_apart,
)


@method
def maximum(x: TensorLike, y: TensorLike) -> Tensor:
    """The larger of two numbers, elementwise; NaN if one of them is. In a tie, each gets half of the gradient.

    >>> maximum([1.0, 4.0], [3.0, 2.0])
    tensor([3., 4.], f32[2])
    """
    return elementwise(MAXIMUM, x, y)


MINIMUM = define(
    "minimum",
    takes=(NUMBERS,),
    infer=same_type,
    numpy=np.minimum,
    vjp=(
        lambda ct, out, x, y: _winners_share(ct, x, y, mine_loses=x > y),
        lambda ct, out, x, y: _winners_share(ct, y, x, mine_loses=y > x),
    ),
    kernel=Map(lambda v, x, y: v.minimum(x, y)),
    samples=_draw_apart,
)


@method
def minimum(x: TensorLike, y: TensorLike) -> Tensor:
    """The smaller of two numbers, elementwise; NaN if one of them is. In a tie, each gets half of the gradient.

    >>> minimum([1.0, 4.0], [3.0, 2.0])
    tensor([1., 2.], f32[2])
    """
    return elementwise(MINIMUM, x, y)


def _clip(x: Array, low: Array, high: Array) -> Array:
    return np.minimum(np.maximum(x, low), high)


def _draw_clip(draw: Draw) -> Sample:
    """Numbers below, between and above two bounds, near to none of them."""
    shape = draw.shape()
    x = draw.rng.choice([-1.7, 0.0, 1.7], shape) + draw.rng.uniform(-0.3, 0.3, shape)
    return Sample((draw.lay(draw.convert(x)), draw.floats(shape, -1.0, -0.5), draw.floats(shape, 0.5, 1.0)))


CLIP = define(
    "clip",
    takes=(NUMBERS,),
    infer=same_type,
    numpy=_clip,
    vjp=(
        lambda ct, out, x, low, high: where((x >= low) & (x <= high), ct, 0.0),
        lambda ct, out, x, low, high: where((x < low) & (low <= high), ct, 0.0),
        lambda ct, out, x, low, high: where((x > high) | (low > high), ct, 0.0),
    ),
    kernel=Map(lambda v, x, low, high: v.minimum(v.maximum(x, low), high)),
    samples=_draw_clip,
)


@method
def clip(x: TensorLike, min: TensorLike | None = None, max: TensorLike | None = None) -> Tensor:
    """x, but `min` where it is below, and `max` where it is above, elementwise: minimum(maximum(x, min), max).

    The gradient flows to x from `min` to `max`, both included, and to the bound that was taken elsewhere. A bound
    that is None is none. NaN stays NaN.

    >>> clip([-2.0, 0.5, 2.0], -1.0, 1.0)
    tensor([-1. ,  0.5,  1. ], f32[3])
    >>> clip([-2.0, 0.5, 2.0], min=0.0)
    tensor([0. , 0.5, 2. ], f32[3])
    """
    given = [bound for bound in (min, max) if bound is not None]
    if not given:
        return as_tensor(x)
    lowest, highest = _limits(operands(x, *given)[0].dtype)
    return elementwise(CLIP, x, lowest if min is None else min, highest if max is None else max)


def _limits(dtype: DType) -> tuple[float, float]:
    """The smallest and the largest number of a data type."""
    if dtype.is_float:
        return -math.inf, math.inf
    whole = np.iinfo(np.int64 if dtype is bool_ else dtype.numpy)
    return int(whole.min), int(whole.max)


def _relu(x: Array) -> Array:
    return np.maximum(x, x.dtype.type(0))


RELU = define(
    "relu",
    takes=(NUMBERS,),
    infer=same_type,
    numpy=_relu,
    vjp=(lambda ct, out, x: where(out <= 0.0, 0.0, ct),),
    kernel=Map(lambda v, x: v.maximum(x, 0)),
    samples=floats(away_from=0.0),
)


def relu(x: TensorLike) -> Tensor:
    """max(x, 0), elementwise; NaN stays NaN. The derivative at 0 is taken as 0.

    Nair & Hinton, "Rectified linear units improve restricted Boltzmann machines", ICML 2010.

    >>> relu([1.0, -2.0])
    tensor([1., 0.], f32[2])
    """
    return elementwise(RELU, x)
