"""Layers that normalise each example on its own: layer, root-mean-square and group normalisation."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from chainrule import ops
from chainrule.errors import DefinitionError, ShapeError
from chainrule.nn.checks import number, whole
from chainrule.nn.initializers import ones, zeros
from chainrule.nn.module import Module, Parameter
from chainrule.nn.moments import group_moments, moments, normalised
from chainrule.ops.reduce import real
from chainrule.tensor import Tensor, TensorLike, as_tensor
from chainrule.types import DTypeLike, Shape, float32


class LayerNorm(Module):
    """y = (x - mean) / sqrt(variance + eps) weight + bias, over the last axes of each example on its own.

    The variance is the mean of the squared deviations. Ba, Kiros & Hinton, "Layer normalization", 2016.

    Args:
        normalized_shape: sizes of the last axes, those that are normalised together.
        eps: keeps the quotient finite where all elements are equal.
        elementwise_affine: whether there are a trained weight and bias.
        bias: whether there is a bias beside the weight.
        dtype: data type of the parameters.

    Parameters: `weight` and `bias` of `normalized_shape`.
    Shapes: [..., *normalized_shape] to the same.

    >>> LayerNorm(2, eps=0.0)([[1.0, 3.0]])
    tensor([[-1.,  1.]], f32[1, 2])
    """

    def __init__(
        self,
        normalized_shape: int | Sequence[int],
        eps: float = 1e-5,
        elementwise_affine: bool = True,
        bias: bool = True,
        *,
        dtype: DTypeLike = float32,
    ) -> None:
        sizes = self.normalized_shape = _sizes(normalized_shape)
        self.eps = number("eps", eps, 0.0)
        self.weight = Parameter(ones(sizes, dtype=dtype), name="weight") if elementwise_affine else None
        self.bias = Parameter(zeros(sizes, dtype=dtype), name="bias") if elementwise_affine and bias else None

    def forward(self, x: TensorLike) -> Tensor:
        """x, normalised over its last axes."""
        x = as_tensor(x)
        axes = _last_axes("LayerNorm", x, self.normalized_shape)
        mean, variance = moments(x, axes)
        out = (x - mean) * ops.rsqrt(variance + self.eps)
        out = out if self.weight is None else out * self.weight
        return out if self.bias is None else out + self.bias

    def options(self) -> str:
        return _sizes_text(self.normalized_shape)


class RMSNorm(Module):
    """y = x / sqrt(mean(x^2) + eps) weight, over the last axes of each example on its own.

    `LayerNorm` without the shift. Zhang & Sennrich, "Root mean square layer normalization", NeurIPS 2019.

    Args:
        normalized_shape: sizes of the last axes, those that are normalised together.
        eps: keeps the quotient finite where all elements are zero; by default the distance from 1 to the next number of
            the input's data type.
        elementwise_affine: whether there is a trained weight.
        dtype: data type of the weight.

    Parameters: `weight` of `normalized_shape`.
    Shapes: [..., *normalized_shape] to the same.

    >>> RMSNorm(2, eps=0.0)([[1.0, 7.0]])
    tensor([[0.2, 1.4]], f32[1, 2])
    """

    def __init__(
        self,
        normalized_shape: int | Sequence[int],
        eps: float | None = None,
        elementwise_affine: bool = True,
        *,
        dtype: DTypeLike = float32,
    ) -> None:
        sizes = self.normalized_shape = _sizes(normalized_shape)
        self.eps = None if eps is None else number("eps", eps, 0.0)
        self.weight = Parameter(ones(sizes, dtype=dtype), name="weight") if elementwise_affine else None

    def forward(self, x: TensorLike) -> Tensor:
        """x, scaled over its last axes."""
        x = real(x)
        axes = _last_axes("RMSNorm", x, self.normalized_shape)
        eps = float(np.finfo(x.dtype.numpy).eps) if self.eps is None else self.eps
        out = x * ops.rsqrt(ops.mean(ops.square(x), axes, keepdims=True) + eps)
        return out if self.weight is None else out * self.weight

    def options(self) -> str:
        return _sizes_text(self.normalized_shape)


class GroupNorm(Module):
    """y = (x - mean) / sqrt(variance + eps) weight + bias, over groups of channels of each example on its own.

    Wu & He, "Group normalization", ECCV 2018. With one group all channels are normalised together, with as many groups
    as channels each by itself.

    Args:
        num_groups: number of groups; channels that stand side by side make one.
        num_channels: number of channels, axis 1 of the input, a multiple of `num_groups`.
        eps: keeps the quotient finite where all elements are equal.
        affine: whether there are a trained weight and bias for each channel.
        dtype: data type of the parameters.

    Parameters: `weight`, `bias` [num_channels].
    Shapes: [N, num_channels, ...] to the same.

    Raises `DefinitionError` if the groups cannot be of equal size, `ShapeError` for an input of other channels.

    >>> GroupNorm(1, 2, eps=0.0)([[1.0, 3.0]])
    tensor([[-1.,  1.]], f32[1, 2])
    """

    def __init__(
        self,
        num_groups: int,
        num_channels: int,
        eps: float = 1e-5,
        affine: bool = True,
        *,
        dtype: DTypeLike = float32,
    ) -> None:
        self.num_groups = whole("num_groups", num_groups)
        self.num_channels = whole("num_channels", num_channels)
        if num_channels % num_groups:
            raise DefinitionError(
                f"GroupNorm: num_channels must be a multiple of num_groups, and {num_channels} is none of {num_groups}"
            )
        self.eps = number("eps", eps, 0.0)
        self.weight = Parameter(ones((num_channels,), dtype=dtype), name="weight") if affine else None
        self.bias = Parameter(zeros((num_channels,), dtype=dtype), name="bias") if affine else None

    def forward(self, x: TensorLike) -> Tensor:
        """x, normalised in groups of channels."""
        x = as_tensor(x)
        if x.ndim < 2 or x.shape[1] != self.num_channels:
            raise ShapeError(f"{self.describe()}: an input [N, {self.num_channels}, ...] is needed, not {x.type}")
        return normalised(x, *group_moments(x, self.num_groups), self.eps, self.weight, self.bias)

    def options(self) -> str:
        return f"{self.num_groups}, {self.num_channels}"


def _sizes(normalized_shape: int | Sequence[int]) -> Shape:
    sizes = normalized_shape if isinstance(normalized_shape, Sequence) else (normalized_shape,)
    return tuple(whole("normalized_shape", n) for n in sizes)


def _sizes_text(sizes: Shape) -> str:
    return str(sizes[0] if len(sizes) == 1 else sizes)


def _last_axes(name: str, x: Tensor, sizes: Shape) -> tuple[int, ...]:
    """The axes to normalise over. Raises `ShapeError` if x has other sizes there."""
    if x.shape[max(x.ndim - len(sizes), 0) :] != sizes:
        raise ShapeError(f"{name}: an input [..., {', '.join(map(str, sizes))}] is needed, not {x.type}")
    return tuple(range(-len(sizes), 0))
