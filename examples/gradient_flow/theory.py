"""What theory says of the first gradients of wide networks, before anything is trained.

What enters a wide layer's activation f is a sum over many weights: z ~ N(0, v), by the central limit theorem. With
weights of variance s / width and h what a layer is given:

    block                        forward                        backward: mean square of the gradient, times
    f(W h + b)                   v = s q + t, q' = E f(z)^2      s E f'(z)^2
    f(norm(W h + b)), v = 1      q' = E f(z)^2                   s E f'(z)^2 / (s q + t)
    h + W f(h), v = q            q' = q + s E f(z)^2             1 + s E f'(z)^2
    h + W f(norm(h)), v = 1      q' = q + s E f(z)^2             1 + s E f'(z)^2 / q

where q = E h^2 and t is the variance of biases. Batch norm also takes away what all rows have in common: its divisor is
s Var f(z). The norm of the gradient is the root of the product over layers.

Glorot & Bengio (AISTATS 2010); He et al. (ICCV 2015); Schoenholz et al., "Deep information propagation" (ICLR 2017);
Yang et al., "A mean field theory of batch normalization" (ICLR 2019).
"""

from __future__ import annotations

from collections.abc import Callable
from math import sqrt

import numpy as np

Function = Callable[[np.ndarray], np.ndarray]

POINTS, WEIGHTS = np.polynomial.hermite_e.hermegauss(120)
WEIGHTS = WEIGHTS / WEIGHTS.sum()


def sigmoid(z: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-z))


FUNCTIONS: dict[str, tuple[Function, Function]] = {
    "sigmoid": (sigmoid, lambda z: sigmoid(z) * (1 - sigmoid(z))),
    "tanh": (np.tanh, lambda z: 1 - np.tanh(z) ** 2),
    "relu": (lambda z: np.maximum(z, 0), lambda z: (z > 0) * 1.0),
}
"""Activations and their derivatives."""


def mean(f: Function, v: float) -> float:
    """E f(z) for z ~ N(0, v), by Gauss-Hermite quadrature.

    >>> round(mean(lambda z: z**2, 3.0), 9)
    3.0
    """
    return float(WEIGHTS @ f(sqrt(v) * POINTS))


def gradient_norms(
    block: str, activation: str, depth: int, weights: float, biases: float = 0.0, norm: str | None = None
) -> np.ndarray:
    """The norm of the gradient at the output of each layer, as a multiple of that at the last.

    Args:
        block: "plain" or "residual".
        activation: one of `FUNCTIONS`.
        depth: number of layers.
        weights: s, the variance of a weight times the width.
        biases: t, the variance of a bias.
        norm: "batch norm" or "layer norm" of what enters the activation.

    >>> gradient_norms("plain", "relu", 4, weights=2.0).round(6).tolist()
    [1.0, 1.0, 1.0, 1.0]
    >>> gradient_norms("residual", "relu", 4, weights=2.0, norm="layer norm").round(6).tolist()
    [2.0, 1.414214, 1.154701, 1.0]
    """
    f, df = FUNCTIONS[activation]
    q, factors = 1.0, []
    for _ in range(depth):
        v = 1.0 if norm else weights * q + biases if block == "plain" else q
        slope = weights * mean(lambda z: df(z) ** 2, v)
        square = mean(lambda z: f(z) ** 2, v)
        if block == "plain":
            spread = weights * (square - mean(f, v) ** 2) if norm == "batch norm" else weights * square + biases
            factors.append(slope / spread if norm else slope)
            q = square
        else:
            factors.append(1 + (slope / q if norm else slope))
            q += weights * square
    return np.sqrt(np.cumprod([1.0, *factors[:0:-1]])[::-1])
