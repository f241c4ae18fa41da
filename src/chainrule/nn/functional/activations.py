"""Activations that are made of several operations, as functions; `relu`, `sigmoid`, `tanh`, `softplus` are operations.

At kinks the derivative is the one that PyTorch takes.
"""

from __future__ import annotations

from math import pi, sqrt
from typing import Literal

from chainrule import ops
from chainrule.errors import DefinitionError
from chainrule.ops.aggregate import log_softmax as log_softmax
from chainrule.ops.aggregate import softmax as softmax
from chainrule.tensor import Tensor, TensorLike, as_tensor

_SELU_ALPHA = 1.6732632423543772848170429916717
_SELU_SCALE = 1.0507009873554804934193349852946


def leaky_relu(x: TensorLike, negative_slope: float = 0.01) -> Tensor:
    """x where it is positive, else negative_slope x. Maas, Hannun & Ng, ICML 2013.

    >>> leaky_relu([-1.0, 2.0])
    tensor([-0.01,  2.  ], f32[2])
    """
    x = as_tensor(x)
    return ops.where(x > 0, x, x * negative_slope)


def elu(x: TensorLike, alpha: float = 1.0) -> Tensor:
    """x where it is positive, else alpha (exp(x) - 1). Clevert, Unterthiner & Hochreiter, ICLR 2016.

    >>> elu([-1.0, 2.0])
    tensor([-0.63212055,  2.        ], f32[2])
    """
    x = as_tensor(x)
    positive = x > 0
    return ops.where(positive, x, alpha * ops.expm1(ops.where(positive, 0.0, x)))  # exp of a large x is never taken


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
        approximate: "none" for x (1 + erf(x / sqrt 2)) / 2, "tanh" for the paper's approximation
            x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))) / 2.

    >>> gelu([-1.0, 2.0]), gelu([-1.0, 2.0], "tanh")
    (tensor([-0.15865526,  1.9544997 ], f32[2]), tensor([-0.158808 ,  1.9545977], f32[2]))
    """
    x = as_tensor(x)
    if approximate == "tanh":
        return 0.5 * x * (1.0 + ops.tanh(sqrt(2.0 / pi) * (x + 0.044715 * x * x * x)))
    if approximate != "none":
        raise DefinitionError(f'gelu: approximate must be "none" or "tanh", not {approximate!r}')
    return 0.5 * x * (1.0 + ops.erf(x * sqrt(0.5)))


def silu(x: TensorLike) -> Tensor:
    """x sigmoid(x), also known as swish. Elfwing, Uchibe & Doya, Neural Networks 107 (2018).

    >>> silu([-1.0, 2.0])
    tensor([-0.2689414,  1.761594 ], f32[2])
    """
    x = as_tensor(x)
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
