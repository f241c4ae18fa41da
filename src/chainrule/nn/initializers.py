"""First values of parameters.

A weight has the shape [outputs, inputs] or, of a convolution, [outputs, inputs, *kernel]. Its fan-in is the number of
inputs that enter one output, its fan-out the number of outputs that one input enters: both times the kernel's size.

    LeCun et al.       keeps the size of activations          variance gain^2 / fan-in
    He et al.          the same, with the gain of ReLU        variance gain^2 / fan-in
    Glorot & Bengio    that of activations and of gradients   variance gain^2 2 / (fan-in + fan-out)
    Saxe et al.        orthogonal rows or columns             W W^T = gain^2 I or W^T W = gain^2 I

LeCun, Bottou, Orr & Müller, "Efficient BackProp" (1998); Glorot & Bengio, "Understanding the difficulty of training
deep feedforward neural networks", AISTATS 2010; He, Zhang, Ren & Sun, "Delving deep into rectifiers", ICCV 2015; Saxe,
McClelland & Ganguli, "Exact solutions to the nonlinear dynamics of learning in deep linear neural networks", ICLR 2014.

All take the shape first and draw from `generator`, or from the default one. The gain is that of `activation` unless it
is given. What they return is no parameter yet.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod, sqrt

import numpy as np

from chainrule.errors import DefinitionError, ShapeError
from chainrule.ops import full
from chainrule.random import Generator, normal, uniform
from chainrule.tensor import Tensor, tensor
from chainrule.types import DTypeLike, float32

__all__ = [
    "constant",
    "fans",
    "gain",
    "glorot_normal",
    "glorot_uniform",
    "he_normal",
    "he_uniform",
    "lecun_normal",
    "lecun_uniform",
    "normal",
    "ones",
    "orthogonal",
    "uniform",
    "zeros",
]

_GAINS = {  # 1 / sqrt(mean of f(z)^2) for normal z, which keeps the size of activations; customary for the first three
    "linear": 1.0,
    "sigmoid": 1.0,
    "tanh": 5.0 / 3.0,
    "relu": sqrt(2.0),
    "elu": 1.245198,
    "selu": 1.0,
    "gelu": 1.533531,
    "silu": 1.676531,
    "mish": 1.486848,
}


def gain(activation: str, slope: float = 0.01) -> float:
    """The factor by which weights are to be larger so that the activation that follows does not shrink its input.

    Args:
        activation: "linear", "sigmoid", "tanh", "relu", "leaky_relu", "elu", "selu", "gelu", "silu" or "mish".
        slope: of "leaky_relu" for negative inputs: the gain is sqrt(2 / (1 + slope^2)).

    Raises `DefinitionError` for another name.

    >>> gain("relu"), gain("leaky_relu", 1.0)
    (1.4142135623730951, 1.0)
    """
    if activation == "leaky_relu":
        return sqrt(2.0 / (1.0 + slope * slope))
    if activation not in _GAINS:
        raise DefinitionError(
            f"gain: no activation is called {activation!r}; known are leaky_relu, {', '.join(_GAINS)}"
        )
    return _GAINS[activation]


def fans(shape: Sequence[int]) -> tuple[int, int]:
    """Fan-in and fan-out of a weight. Raises `ShapeError` for fewer than two axes.

    >>> fans((512, 784)), fans((8, 3, 5, 5))
    ((784, 512), (75, 200))
    """
    if len(shape) < 2:
        raise ShapeError(f"a weight of shape {list(shape)} has no fan-in: it needs the axes [outputs, inputs, ...]")
    return shape[1] * prod(shape[2:]), shape[0] * prod(shape[2:])


def constant(shape: Sequence[int], value: float, *, dtype: DTypeLike = float32) -> Tensor:
    """One number everywhere.

    >>> constant((2,), 0.5)
    tensor([0.5, 0.5], f32[2])
    """
    return tensor(full(shape, value, dtype))


def zeros(shape: Sequence[int], *, dtype: DTypeLike = float32) -> Tensor:
    """Zeros.

    >>> zeros((2,))
    tensor([0., 0.], f32[2])
    """
    return constant(shape, 0.0, dtype=dtype)


def ones(shape: Sequence[int], *, dtype: DTypeLike = float32) -> Tensor:
    """Ones.

    >>> ones((2,))
    tensor([1., 1.], f32[2])
    """
    return constant(shape, 1.0, dtype=dtype)


def _gain(given: float | None, activation: str) -> float:
    return gain(activation) if given is None else given


def glorot_uniform(
    shape: Sequence[int],
    *,
    generator: Generator | None = None,
    gain: float | None = None,
    activation: str = "linear",
    dtype: DTypeLike = float32,
) -> Tensor:
    """Uniform in ±gain sqrt(6 / (fan-in + fan-out)): Glorot & Bengio 2010, (16).

    >>> glorot_uniform((512, 784)).shape
    (512, 784)
    """
    std = _gain(gain, activation) * sqrt(2.0 / sum(fans(shape)))
    return uniform(shape, -sqrt(3.0) * std, sqrt(3.0) * std, generator=generator, dtype=dtype)


def glorot_normal(
    shape: Sequence[int],
    *,
    generator: Generator | None = None,
    gain: float | None = None,
    activation: str = "linear",
    dtype: DTypeLike = float32,
) -> Tensor:
    """Normal with standard deviation gain sqrt(2 / (fan-in + fan-out)): Glorot & Bengio 2010, (12).

    >>> glorot_normal((512, 784)).shape
    (512, 784)
    """
    std = _gain(gain, activation) * sqrt(2.0 / sum(fans(shape)))
    return normal(shape, 0.0, std, generator=generator, dtype=dtype)


def he_uniform(
    shape: Sequence[int],
    *,
    generator: Generator | None = None,
    gain: float | None = None,
    activation: str = "relu",
    dtype: DTypeLike = float32,
) -> Tensor:
    """Uniform in ±gain sqrt(3 / fan-in), for rectifiers: He et al. 2015, (10).

    >>> he_uniform((512, 784)).shape
    (512, 784)
    """
    std = _gain(gain, activation) * sqrt(1.0 / fans(shape)[0])
    return uniform(shape, -sqrt(3.0) * std, sqrt(3.0) * std, generator=generator, dtype=dtype)


def he_normal(
    shape: Sequence[int],
    *,
    generator: Generator | None = None,
    gain: float | None = None,
    activation: str = "relu",
    dtype: DTypeLike = float32,
) -> Tensor:
    """Normal with standard deviation gain / sqrt(fan-in), for rectifiers: He et al. 2015, (10).

    >>> he_normal((512, 784)).shape
    (512, 784)
    """
    std = _gain(gain, activation) * sqrt(1.0 / fans(shape)[0])
    return normal(shape, 0.0, std, generator=generator, dtype=dtype)


def lecun_uniform(
    shape: Sequence[int],
    *,
    generator: Generator | None = None,
    gain: float | None = None,
    activation: str = "linear",
    dtype: DTypeLike = float32,
) -> Tensor:
    """Uniform in ±gain sqrt(3 / fan-in): LeCun et al. 1998, (16).

    >>> lecun_uniform((512, 784)).shape
    (512, 784)
    """
    std = _gain(gain, activation) * sqrt(1.0 / fans(shape)[0])
    return uniform(shape, -sqrt(3.0) * std, sqrt(3.0) * std, generator=generator, dtype=dtype)


def lecun_normal(
    shape: Sequence[int],
    *,
    generator: Generator | None = None,
    gain: float | None = None,
    activation: str = "linear",
    dtype: DTypeLike = float32,
) -> Tensor:
    """Normal with standard deviation gain / sqrt(fan-in): LeCun et al. 1998, (16); goes with SELU.

    >>> lecun_normal((512, 784)).shape
    (512, 784)
    """
    std = _gain(gain, activation) * sqrt(1.0 / fans(shape)[0])
    return normal(shape, 0.0, std, generator=generator, dtype=dtype)


def orthogonal(
    shape: Sequence[int],
    *,
    generator: Generator | None = None,
    gain: float | None = None,
    activation: str = "linear",
    dtype: DTypeLike = float32,
) -> Tensor:
    """A random matrix with orthogonal rows, or columns if there are more rows, times the gain: Saxe et al. 2014.

    All axes but the first count as columns. With the signs of the QR factors fixed, no such matrix is more likely than
    another (Mezzadri, "How to generate random matrices from the classical compact groups", 2007).

    >>> w = orthogonal((2, 5)).numpy()
    >>> np.round(w @ w.T, 5) + 0.0
    array([[1., 0.],
           [0., 1.]], dtype=float32)
    """
    fans(shape)
    rows, columns = shape[0], prod(shape[1:])
    drawn = normal((max(rows, columns), min(rows, columns)), generator=generator, dtype="float64").numpy()
    q, r = np.linalg.qr(drawn)
    q = q * np.where(np.diag(r) < 0, -1.0, 1.0)
    return tensor((_gain(gain, activation) * (q if rows >= columns else q.T)).reshape(shape), dtype)
