"""Activations as modules. Each applies the function of its name to every element; see `nn.functional` and `ops`."""

from __future__ import annotations

from typing import Literal

from chainrule import ops
from chainrule.errors import DefinitionError
from chainrule.nn import functional
from chainrule.nn.checks import number, whole
from chainrule.nn.module import Module, Parameter
from chainrule.tensor import Tensor, TensorLike
from chainrule.types import DTypeLike, float32


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


class PReLU(Module):
    """x where it is positive, else `weight` x, with a slope that is trained.

    Args:
        num_parameters: 1, or the number of channels of an input [N, C, ...], for a slope of each.
        init: the slope to start from.
        dtype: data type of the weight.

    Parameters: `weight` [num_parameters].

    >>> PReLU(init=0.5)([-1.0, 2.0]).tolist()
    [-0.5, 2.0]
    """

    def __init__(self, num_parameters: int = 1, init: float = 0.25, *, dtype: DTypeLike = float32) -> None:
        self.num_parameters = whole("num_parameters", num_parameters)
        self.weight = Parameter(ops.full((num_parameters,), number("init", init), dtype=dtype), name="weight")

    def forward(self, x: TensorLike) -> Tensor:
        """The rectifier with trained slopes."""
        return functional.prelu(x, self.weight)

    def options(self) -> str:
        return str(self.num_parameters)


class ELU(Module):
    """x where it is positive, else `alpha` (exp(x) - 1)."""

    def __init__(self, alpha: float = 1.0) -> None:
        self.alpha = number("alpha", alpha)

    def forward(self, x: TensorLike) -> Tensor:
        """The exponential linear unit."""
        return functional.elu(x, self.alpha)

    def options(self) -> str:
        return f"{self.alpha:g}"


class CELU(Module):
    """x where it is positive, else `alpha` (exp(x / alpha) - 1)."""

    def __init__(self, alpha: float = 1.0) -> None:
        self.alpha = number("alpha", alpha)
        if self.alpha == 0.0:
            raise DefinitionError("CELU: alpha must not be 0")

    def forward(self, x: TensorLike) -> Tensor:
        """The exponential linear unit whose slope does not jump."""
        return functional.celu(x, self.alpha)

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


class LogSigmoid(Module):
    """log(1 / (1 + exp(-x)))."""

    def forward(self, x: TensorLike) -> Tensor:
        """The logarithm of the sigmoid."""
        return functional.logsigmoid(x)


class Softsign(Module):
    """x / (1 + |x|)."""

    def forward(self, x: TensorLike) -> Tensor:
        """x / (1 + |x|)."""
        return functional.softsign(x)


class Tanhshrink(Module):
    """x - tanh(x)."""

    def forward(self, x: TensorLike) -> Tensor:
        """x - tanh(x)."""
        return functional.tanhshrink(x)


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


class Softmin(Module):
    """exp(-x) / sum(exp(-x)) along an axis."""

    def __init__(self, dim: int = -1) -> None:
        self.dim = dim

    def forward(self, x: TensorLike) -> Tensor:
        """The probabilities."""
        return functional.softmin(x, self.dim)

    def options(self) -> str:
        return "" if self.dim == -1 else str(self.dim)


class GLU(Module):
    """a sigmoid(b) for the halves a, b of x along an axis: a linear unit with a gate.

    >>> GLU()([3.0, 0.0])
    tensor([1.5], f32[1])
    """

    def __init__(self, dim: int = -1) -> None:
        self.dim = dim

    def forward(self, x: TensorLike) -> Tensor:
        """The first half, as far as the second lets it pass."""
        return functional.glu(x, self.dim)

    def options(self) -> str:
        return "" if self.dim == -1 else str(self.dim)


class SwiGLU(Module):
    """silu(a) b for the halves a, b of x along an axis. Shazeer, "GLU variants improve transformer", 2020.

    The two products of the paper are one layer before it, of which the gate makes the first half:

    >>> from chainrule.nn.containers import Sequential
    >>> from chainrule.nn.linear import Linear
    >>> feed_forward = Sequential(Linear(4, 2 * 8, bias=False), SwiGLU(), Linear(8, 4, bias=False))
    >>> feed_forward([[1.0, 2.0, 3.0, 4.0]]).shape
    (1, 4)
    """

    def __init__(self, dim: int = -1) -> None:
        self.dim = dim

    def forward(self, x: TensorLike) -> Tensor:
        """The second half, as far as the first lets it pass."""
        return functional.swiglu(x, self.dim)

    def options(self) -> str:
        return "" if self.dim == -1 else str(self.dim)
