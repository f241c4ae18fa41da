"""Activations as modules. Each applies the function of its name to every element; see `nn.functional` and `ops`."""

from __future__ import annotations

from typing import Literal

from chainrule import ops
from chainrule.errors import DefinitionError
from chainrule.nn import functional
from chainrule.nn.checks import number
from chainrule.nn.module import Module
from chainrule.tensor import Tensor, TensorLike


class ReLU(Module):
    """max(x, 0).

    >>> ReLU()([-1.0, 2.0])
    tensor([0., 2.], f32[2])
    """

    def forward(self, x: TensorLike) -> Tensor:
        """max(x, 0)."""
        return ops.relu(x)


class LeakyReLU(Module):
    """x where it is positive, else `negative_slope` x."""

    def __init__(self, negative_slope: float = 0.01) -> None:
        self.negative_slope = number("negative_slope", negative_slope)

    def forward(self, x: TensorLike) -> Tensor:
        """The leaky rectifier."""
        return functional.leaky_relu(x, self.negative_slope)

    def options(self) -> str:
        return f"{self.negative_slope:g}"


class ELU(Module):
    """x where it is positive, else `alpha` (exp(x) - 1)."""

    def __init__(self, alpha: float = 1.0) -> None:
        self.alpha = number("alpha", alpha)

    def forward(self, x: TensorLike) -> Tensor:
        """The exponential linear unit."""
        return functional.elu(x, self.alpha)

    def options(self) -> str:
        return f"{self.alpha:g}"


class SELU(Module):
    """The self-normalising `ELU`; initialise the weights before it with `lecun_normal`."""

    def forward(self, x: TensorLike) -> Tensor:
        """The scaled exponential linear unit."""
        return functional.selu(x)


class GELU(Module):
    """x times the normal distribution function of x; with `approximate="tanh"`, nearly so."""

    def __init__(self, approximate: Literal["none", "tanh"] = "none") -> None:
        if approximate not in ("none", "tanh"):
            raise DefinitionError(f'GELU: approximate must be "none" or "tanh", not {approximate!r}')
        self.approximate: Literal["none", "tanh"] = approximate

    def forward(self, x: TensorLike) -> Tensor:
        """The Gaussian error linear unit."""
        return functional.gelu(x, self.approximate)

    def options(self) -> str:
        return '"tanh"' if self.approximate == "tanh" else ""


class SiLU(Module):
    """x sigmoid(x)."""

    def forward(self, x: TensorLike) -> Tensor:
        """x sigmoid(x)."""
        return functional.silu(x)


class Mish(Module):
    """x tanh(softplus(x))."""

    def forward(self, x: TensorLike) -> Tensor:
        """x tanh(softplus(x))."""
        return functional.mish(x)


class Softplus(Module):
    """log(1 + exp(beta x)) / beta: a smooth rectifier."""

    def __init__(self, beta: float = 1.0) -> None:
        self.beta = number("beta", beta)
        if self.beta == 0.0:
            raise DefinitionError("Softplus: beta must not be 0")

    def forward(self, x: TensorLike) -> Tensor:
        """log(1 + exp(beta x)) / beta."""
        return ops.softplus(x) if self.beta == 1.0 else ops.softplus(ops.multiply(x, self.beta)) / self.beta

    def options(self) -> str:
        return "" if self.beta == 1.0 else f"{self.beta:g}"


class Tanh(Module):
    """The hyperbolic tangent."""

    def forward(self, x: TensorLike) -> Tensor:
        """tanh(x)."""
        return ops.tanh(x)


class Sigmoid(Module):
    """1 / (1 + exp(-x))."""

    def forward(self, x: TensorLike) -> Tensor:
        """1 / (1 + exp(-x))."""
        return ops.sigmoid(x)


class Softmax(Module):
    """exp(x) / sum(exp(x)) along an axis. Losses take logits: put this at the end of no model that is to be trained."""

    def __init__(self, dim: int = -1) -> None:
        self.dim = dim

    def forward(self, x: TensorLike) -> Tensor:
        """The probabilities."""
        return functional.softmax(x, self.dim)

    def options(self) -> str:
        return "" if self.dim == -1 else str(self.dim)


class LogSoftmax(Module):
    """x - log(sum(exp(x))) along an axis."""

    def __init__(self, dim: int = -1) -> None:
        self.dim = dim

    def forward(self, x: TensorLike) -> Tensor:
        """The logarithms of the probabilities."""
        return functional.log_softmax(x, self.dim)

    def options(self) -> str:
        return "" if self.dim == -1 else str(self.dim)


class Hardtanh(Module):
    """x between two bounds, else the nearer bound."""

    def __init__(self, min_val: float = -1.0, max_val: float = 1.0) -> None:
        if not min_val < max_val:
            raise DefinitionError(f"Hardtanh: min_val must be less than max_val, not {min_val} and {max_val}")
        self.min_val = min_val
        self.max_val = max_val

    def forward(self, x: TensorLike) -> Tensor:
        """x, clipped."""
        return functional.hardtanh(x, self.min_val, self.max_val)

    def options(self) -> str:
        return "" if (self.min_val, self.max_val) == (-1.0, 1.0) else f"{self.min_val:g}, {self.max_val:g}"
