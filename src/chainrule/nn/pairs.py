"""Layers of two inputs: how alike or far apart they are, and products of their elements."""

from __future__ import annotations

from math import inf, sqrt

from chainrule import ops
from chainrule.errors import DefinitionError, ShapeError
from chainrule.nn import functional
from chainrule.nn.checks import number, whole
from chainrule.nn.initializers import uniform
from chainrule.nn.module import Module, Parameter
from chainrule.tensor import Tensor, TensorLike, as_tensor
from chainrule.types import DTypeLike, float32


class CosineSimilarity(Module):
    """sum(x1 x2) / (|x1| |x2|) along an axis; see `nn.functional.cosine_similarity`."""

    def __init__(self, dim: int = 1, eps: float = 1e-8) -> None:
        self.dim = dim
        self.eps = number("eps", eps, 0.0)
        if self.eps == 0.0:
            raise DefinitionError("CosineSimilarity: eps must be positive")

    def forward(self, x1: TensorLike, x2: TensorLike) -> Tensor:
        """The cosine of the angle between x1 and x2."""
        return functional.cosine_similarity(x1, x2, self.dim, self.eps)

    def options(self) -> str:
        return f"dim={self.dim}"


class PairwiseDistance(Module):
    """(sum of |x1 - x2 + eps|^p)^(1/p) along the last axis; see `nn.functional.pairwise_distance`."""

    def __init__(self, p: float = 2.0, eps: float = 1e-6, keepdim: bool = False) -> None:
        self.p = inf if p == inf else number("p", p)
        if self.p <= 0.0:
            raise DefinitionError(f"PairwiseDistance: p must be positive, not {p!r}")
        self.eps = number("eps", eps)
        self.keepdim = keepdim

    def forward(self, x1: TensorLike, x2: TensorLike) -> Tensor:
        """The distances of x1 from x2."""
        return functional.pairwise_distance(x1, x2, self.p, self.eps, self.keepdim)

    def options(self) -> str:
        return f"{self.p:g}"


class Bilinear(Module):
    """y = x1^T W x2 + b: every product of an element of x1 and one of x2, with a weight for each output.

    Args:
        in1_features: size of the last axis of x1.
        in2_features: size of the last axis of x2.
        out_features: size of the last axis of the output.
        bias: whether b is added.
        dtype: data type of the parameters.

    Parameters: `weight` [out_features, in1_features, in2_features], `bias` [out_features], uniform in
    ±1/sqrt(in1_features) at first.
    Shapes: [..., in1_features] and [..., in2_features] to [..., out_features].

    Raises `DefinitionError` for a size below one, `ShapeError` for inputs of other sizes.

    >>> Bilinear(3, 4, 2)(uniform((5, 3)), uniform((5, 4))).shape
    (5, 2)
    """

    def __init__(
        self,
        in1_features: int,
        in2_features: int,
        out_features: int,
        bias: bool = True,
        *,
        dtype: DTypeLike = float32,
    ) -> None:
        self.in1_features = whole("in1_features", in1_features)
        self.in2_features = whole("in2_features", in2_features)
        self.out_features = whole("out_features", out_features)
        bound = 1.0 / sqrt(in1_features)
        shape = (out_features, in1_features, in2_features)
        self.weight = Parameter(uniform(shape, -bound, bound, dtype=dtype), name="weight")
        self.bias = Parameter(uniform((out_features,), -bound, bound, dtype=dtype), name="bias") if bias else None

    def forward(self, x1: TensorLike, x2: TensorLike) -> Tensor:
        """x1^T W x2 + b."""
        x1, x2 = as_tensor(x1), as_tensor(x2)
        sizes = (self.in1_features, self.in2_features)
        if not x1.ndim or x1.shape[:-1] != x2.shape[:-1] or (x1.shape[-1], x2.shape[-1]) != sizes:
            raise ShapeError(
                f"Bilinear: inputs [..., {sizes[0]}] and [..., {sizes[1]}] are needed, not {x1.type} and {x2.type}"
            )
        columns = self.weight.permute_dims((1, 0, 2)).reshape((self.in1_features, -1))
        products = (x1 @ columns).reshape((*x1.shape[:-1], self.out_features, self.in2_features))
        out = ops.sum(products * x2.expand_dims(-2), -1)
        return out if self.bias is None else out + self.bias

    def options(self) -> str:
        bias = "" if self.bias is not None else ", bias=False"
        return f"{self.in1_features}, {self.in2_features}, {self.out_features}{bias}"
