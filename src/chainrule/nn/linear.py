"""Layers that multiply by a matrix, pass their input on, or flatten it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import sqrt

from chainrule.errors import ShapeError
from chainrule.nn.checks import whole
from chainrule.nn.initializers import uniform
from chainrule.nn.module import Module, Parameter
from chainrule.tensor import Tensor, TensorLike, as_tensor
from chainrule.types import DTypeLike, float32, normalize_axis, size_of


class Linear(Module):
    """y = x W^T + b: an affine map of the last axis.

    Args:
        in_features: size of the last axis of the input.
        out_features: size of the last axis of the output.
        bias: whether b is added.
        dtype: data type of the parameters.
        initializer: makes the weight, one of `nn.initializers`. By default both weight and bias are uniform in
            ±1/sqrt(in_features), which is PyTorch's default.

    Parameters: `weight` [out_features, in_features], `bias` [out_features].
    Shapes: [..., in_features] to [..., out_features].

    Raises `DefinitionError` for a size below one, `ShapeError` for an input of another size.

    >>> Linear(784, 512)(uniform((32, 784))).shape
    (32, 512)
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        bias: bool = True,
        *,
        dtype: DTypeLike = float32,
        initializer: Callable[..., Tensor] | None = None,
    ) -> None:
        self.in_features = whole("in_features", in_features)
        self.out_features = whole("out_features", out_features)
        bound = 1.0 / sqrt(in_features)
        shape = (out_features, in_features)
        weight = uniform(shape, -bound, bound, dtype=dtype) if initializer is None else initializer(shape, dtype=dtype)
        self.weight = Parameter(weight, name="weight")
        self.bias = Parameter(uniform((out_features,), -bound, bound, dtype=dtype), name="bias") if bias else None

    def forward(self, x: TensorLike) -> Tensor:
        """x W^T + b."""
        x = as_tensor(x)
        if not x.ndim or x.shape[-1] != self.in_features:
            raise ShapeError(
                f"Linear: an input of {self.in_features} features is needed, [..., {self.in_features}], not {x.type}"
            )
        out = x @ self.weight.T
        return out if self.bias is None else out + self.bias

    def options(self) -> str:
        return f"{self.in_features}, {self.out_features}" + ("" if self.bias is not None else ", bias=False")


class Identity(Module):
    """y = x: a place for a layer.

    >>> Identity()([1.0])
    tensor([1.], f32[1])
    """

    def forward(self, x: TensorLike) -> Tensor:
        """x."""
        return as_tensor(x)


class Flatten(Module):
    """The axes from `start_dim` to `end_dim`, both included, merged into one; by default all but the first.

    >>> Flatten()(uniform((8, 3, 4, 5))).shape
    (8, 60)
    """

    def __init__(self, start_dim: int = 1, end_dim: int = -1) -> None:
        self.start_dim = start_dim
        self.end_dim = end_dim

    def forward(self, x: TensorLike) -> Tensor:
        """x with its axes merged."""
        return as_tensor(x).flatten(self.start_dim, self.end_dim)

    def options(self) -> str:
        return "" if (self.start_dim, self.end_dim) == (1, -1) else f"{self.start_dim}, {self.end_dim}"


class Unflatten(Module):
    """One axis split into several, the inverse of `Flatten`.

    Args:
        dim: the axis; negative ones count from the end.
        unflattened_size: sizes of the axes in its place; one of them may be -1, for what is left.

    Raises `ShapeError` for an input whose axis has another size.

    >>> Unflatten(1, (3, -1))(uniform((8, 60))).shape
    (8, 3, 20)
    """

    def __init__(self, dim: int, unflattened_size: Sequence[int]) -> None:
        self.dim = dim
        self.unflattened_size = tuple(whole("unflattened_size", n, -1) for n in unflattened_size)

    def forward(self, x: TensorLike) -> Tensor:
        """x with its axis split."""
        x = as_tensor(x)
        axis, sizes = normalize_axis(self.dim, x.ndim), self.unflattened_size
        known = size_of(n for n in sizes if n != -1)
        unknown = sizes.count(-1)
        if unknown > 1 or (x.shape[axis] % max(known, 1) if unknown else x.shape[axis] != known):
            raise ShapeError(f"{self.describe()}: axis {axis} of {x.type} cannot become {list(sizes)}")
        rest = x.shape[axis] // max(known, 1)
        return x.reshape((*x.shape[:axis], *(rest if n == -1 else n for n in sizes), *x.shape[axis + 1 :]))

    def options(self) -> str:
        return f"{self.dim}, {self.unflattened_size}"
