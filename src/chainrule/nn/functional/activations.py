"""Activations that are made of several operations, as functions.

`relu`, `sigmoid`, `tanh` and `softplus` are operations. At kinks the derivative is the one that PyTorch takes. GELU and
SiLU have rules of their own, cotangent * slope, so that a backward pass needs one tensor, the slope.
"""

from __future__ import annotations

from math import pi, sqrt
from typing import Literal

from chainrule import ops
from chainrule.calls import custom_vjp
from chainrule.errors import DefinitionError, ShapeError
from chainrule.ops.aggregate import log_softmax as log_softmax
from chainrule.ops.aggregate import softmax as softmax
from chainrule.tensor import Tensor, TensorLike, as_tensor
from chainrule.types import normalize_axis

_SELU_ALPHA = 1.6732632423543772848170429916717
_SELU_SCALE = 1.0507009873554804934193349852946


def softmin(x: TensorLike, axis: int = -1) -> Tensor:
    """exp(-x) / sum(exp(-x)) along an axis: large where x is small.

    >>> softmin([0.0, 0.0])
    tensor([0.5, 0.5], f32[2])
    """
    return softmax(ops.negative(x), axis)


def leaky_relu(x: TensorLike, negative_slope: float = 0.01) -> Tensor:
    """x where it is positive, else negative_slope x. Maas, Hannun & Ng, ICML 2013.

    >>> leaky_relu([-1.0, 2.0])
    tensor([-0.01,  2.  ], f32[2])
    """
    x = as_tensor(x)
    return ops.where(x > 0, x, x * negative_slope)


def prelu(x: TensorLike, weight: TensorLike) -> Tensor:
    """x where it is positive, else weight x. He, Zhang, Ren & Sun, ICCV 2015.

    Args:
        x: any shape, [N, C, ...] if there are several weights.
        weight: one number, or one for each channel C.

    Raises `ShapeError` for another number of weights.

    >>> prelu([[-1.0, -1.0, 2.0]], [0.1, 0.2, 0.3])
    tensor([[-0.1, -0.2,  2. ]], f32[1, 3])
    """
    x, weight = as_tensor(x), as_tensor(weight)
    channels = x.shape[1] if x.ndim > 1 else 1
    if weight.size not in (1, channels):
        raise ShapeError(
            f"prelu: one weight or one for each of {channels} channels of {x.type} is needed, not {weight.type}"
        )
    per_channel = weight.reshape((-1, *(1,) * (x.ndim - 2)) if weight.size > 1 else ())
    return ops.where(x > 0, x, x * per_channel)


def elu(x: TensorLike, alpha: float = 1.0) -> Tensor:
    """x where it is positive, else alpha (exp(x) - 1). Clevert, Unterthiner & Hochreiter, ICLR 2016.

    >>> elu([-1.0, 2.0])
    tensor([-0.63212055,  2.        ], f32[2])
    """
    x = as_tensor(x)
    positive = x > 0
    return ops.where(positive, x, alpha * ops.expm1(ops.where(positive, 0.0, x)))  # exp of a large x is never taken


def celu(x: TensorLike, alpha: float = 1.0) -> Tensor:
    """x where it is positive, else alpha (exp(x / alpha) - 1): an `elu` whose slope does not jump. Barron, 2017.

    >>> celu([-1.0, 2.0], 0.5)
    tensor([-0.43233237,  2.        ], f32[2])
    """
    x = as_tensor(x)
    positive = x > 0
    return ops.where(positive, x, alpha * ops.expm1(ops.where(positive, 0.0, x) / alpha))


def selu(x: TensorLike) -> Tensor:
    """`elu` scaled such that layers keep mean 0 and variance 1. Klambauer, Unterthiner, Mayr & Hochreiter, NIPS 2017.

    >>> selu([-1.0, 2.0])
    tensor([-1.1113307,  2.101402 ], f32[2])
    """
    return _SELU_SCALE * elu(x, _SELU_ALPHA)


def gelu(x: TensorLike, approximate: Literal["none", "tanh"] = "none") -> Tensor:
    """x times the probability that a standard normal variable is below x. Hendrycks & Gimpel, 2016.

    Args:
        x: any shape.
        approximate: "none" for x ndtr(x), "tanh" for the paper's approximation
            x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))) / 2.

    >>> gelu([-1.0, 2.0]), gelu([-1.0, 2.0], "tanh")
    (tensor([-0.15865526,  1.9544997 ], f32[2]), tensor([-0.158808 ,  1.9545977], f32[2]))
    """
    if approximate not in ("none", "tanh"):
        raise DefinitionError(f'gelu: approximate must be "none" or "tanh", not {approximate!r}')
    return _gelu_tanh(as_tensor(x)) if approximate == "tanh" else _gelu(as_tensor(x))


def _gelu_slope(ct: Tensor, out: Tensor, x: Tensor) -> Tensor:
    density = ops.exp(x * x * -0.5) * (1.0 / sqrt(2.0 * pi))  # written as in `ndtr`, to be the same exponential
    return ct * (ops.ndtr(x) + x * density)


@custom_vjp(_gelu_slope)
def _gelu(x: Tensor) -> Tensor:
    return x * ops.ndtr(x)


def _bent(x: Tensor) -> Tensor:
    return ops.tanh(sqrt(2.0 / pi) * (x + 0.044715 * x * x * x))


def _gelu_tanh_slope(ct: Tensor, out: Tensor, x: Tensor) -> Tensor:
    bent = _bent(x)
    steepness = sqrt(2.0 / pi) * (1.0 + 3 * 0.044715 * x * x)
    return ct * (0.5 * (1.0 + bent) + 0.5 * x * (1.0 - bent * bent) * steepness)


@custom_vjp(_gelu_tanh_slope)
def _gelu_tanh(x: Tensor) -> Tensor:
    return x * (0.5 * (1.0 + _bent(x)))


def silu(x: TensorLike) -> Tensor:
    """x sigmoid(x), also known as swish. Elfwing, Uchibe & Doya, Neural Networks 107 (2018).

    >>> silu([-1.0, 2.0])
    tensor([-0.2689414,  1.761594 ], f32[2])
    """
    return _silu(as_tensor(x))


def _silu_slope(ct: Tensor, out: Tensor, x: Tensor) -> Tensor:
    s = ops.sigmoid(x)
    return ct * (s + x * s * (1.0 - s))


@custom_vjp(_silu_slope)
def _silu(x: Tensor) -> Tensor:
    return x * ops.sigmoid(x)


def mish(x: TensorLike) -> Tensor:
    """x tanh(softplus(x)). Misra, 2019.

    >>> mish([-1.0, 2.0])
    tensor([-0.30340147,  1.9439589 ], f32[2])
    """
    x = as_tensor(x)
    return x * ops.tanh(ops.softplus(x))


def hardtanh(x: TensorLike, min_val: float = -1.0, max_val: float = 1.0) -> Tensor:
    """x between two bounds, else the nearer bound; at and beyond the bounds the derivative is zero.

    >>> hardtanh([-3.0, 0.5, 2.0])
    tensor([-1. ,  0.5,  1. ], f32[3])
    """
    x = as_tensor(x)
    return ops.where((x <= min_val) | (x >= max_val), ops.clip(x.detach(), min_val, max_val), x)


def relu6(x: TensorLike) -> Tensor:
    """x between 0 and 6, else the nearer bound. Howard et al., "MobileNets", 2017.

    >>> relu6([-1.0, 2.0, 7.0])
    tensor([0., 2., 6.], f32[3])
    """
    return hardtanh(x, 0.0, 6.0)


def hardsigmoid(x: TensorLike) -> Tensor:
    """relu6(x + 3) / 6: straight lines in the place of `sigmoid`. Howard et al., "MobileNetV3", ICCV 2019.

    >>> hardsigmoid([-4.0, 0.0, 1.5])
    tensor([0.  , 0.5 , 0.75], f32[3])
    """
    return relu6(as_tensor(x) + 3.0) / 6.0


def hardswish(x: TensorLike) -> Tensor:
    """x hardsigmoid(x). Howard et al., "MobileNetV3", ICCV 2019.

    >>> hardswish([-4.0, 1.0, 4.0])
    tensor([-0.       ,  0.6666667,  4.       ], f32[3])
    """
    x = as_tensor(x)
    return x * hardsigmoid(x)


def threshold(x: TensorLike, threshold: float, value: float) -> Tensor:
    """x where it is above a threshold, else a value.

    >>> threshold([0.5, 1.5], 1.0, -2.0)
    tensor([-2. ,  1.5], f32[2])
    """
    x = as_tensor(x)
    return ops.where(x <= threshold, value, x)


def hardshrink(x: TensorLike, lambd: float = 0.5) -> Tensor:
    """x, but 0 from -lambd to lambd.

    >>> hardshrink([-1.0, 0.3, 2.0])
    tensor([-1.,  0.,  2.], f32[3])
    """
    x = as_tensor(x)
    return ops.where((x >= -lambd) & (x <= lambd), 0.0, x)


def softshrink(x: TensorLike, lambd: float = 0.5) -> Tensor:
    """x moved by lambd towards 0, and 0 from -lambd to lambd.

    >>> softshrink([-1.0, 0.3, 2.0])
    tensor([-0.5,  0. ,  1.5], f32[3])
    """
    x = as_tensor(x)
    return ops.where((x >= -lambd) & (x <= lambd), 0.0, x - ops.clip(x.detach(), -lambd, lambd))


def softsign(x: TensorLike) -> Tensor:
    """x / (1 + |x|).

    >>> softsign([-1.0, 3.0])
    tensor([-0.5 ,  0.75], f32[2])
    """
    x = as_tensor(x)
    return x / (1.0 + ops.abs(x))


def logsigmoid(x: TensorLike) -> Tensor:
    """log(1 / (1 + exp(-x))), exact for x of any size.

    >>> logsigmoid([-1e4, 0.0])
    tensor([-1.000000e+04, -6.931472e-01], f32[2])
    """
    return -ops.softplus(-as_tensor(x))


def tanhshrink(x: TensorLike) -> Tensor:
    """x - tanh(x).

    >>> tanhshrink([0.0, 2.0])
    tensor([0.       , 1.0359724], f32[2])
    """
    x = as_tensor(x)
    return x - ops.tanh(x)


def glu(x: TensorLike, axis: int = -1) -> Tensor:
    """a sigmoid(b) for the halves a, b of x along an axis. Dauphin, Fan, Auli & Grangier, ICML 2017.

    Raises `ShapeError` for an axis of odd size.

    >>> glu([3.0, 0.0])
    tensor([1.5], f32[1])
    """
    a, b = _halves("glu", x, axis)
    return a * ops.sigmoid(b)


def swiglu(x: TensorLike, axis: int = -1) -> Tensor:
    """silu(a) b for the halves a, b of x along an axis. Shazeer, "GLU variants improve transformer", 2020.

    The gate is the first half, where that of `glu` is the second. Raises `ShapeError` for an axis of odd size.

    >>> swiglu([2.0, 3.0])
    tensor([5.2847824], f32[1])
    """
    a, b = _halves("swiglu", x, axis)
    return silu(a) * b


def _halves(name: str, x: TensorLike, axis: int) -> list[Tensor]:
    x = as_tensor(x)
    if not x.ndim or x.shape[axis := normalize_axis(axis, x.ndim)] % 2:
        raise ShapeError(f"{name}: an axis of even size is needed, and axis {axis} of {x.type} has none")
    return ops.split(x, 2, axis)
