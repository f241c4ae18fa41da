"""Layers that models need."""

from __future__ import annotations

from collections.abc import Callable
from math import sqrt

from chainrule import ops
from chainrule.nn.initializers import uniform
from chainrule.nn.module import Module, Parameter
from chainrule.nn.normalization import BatchNorm
from chainrule.tensor import Tensor


class Conv2d(Module):
    """A convolution."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int,
        stride: int = 1,
        padding: int = 0,
        *,
        bias: bool = True,
        initializer: Callable[..., Tensor] = uniform,
    ) -> None:
        bound = 1.0 / sqrt(in_channels * kernel_size * kernel_size)
        shape = (out_channels, in_channels, kernel_size, kernel_size)
        self.weight = Parameter(initializer(shape), name="weight")
        self.bias = Parameter(uniform((out_channels,), -bound, bound), name="bias") if bias else None
        self.stride, self.padding = stride, padding

    def forward(self, x: Tensor) -> Tensor:
        """The convolution."""
        out = ops.conv(x, self.weight, stride=self.stride, padding=self.padding)
        return out if self.bias is None else out + self.bias.reshape((-1, 1, 1))


class BatchNorm2d(BatchNorm):
    """Batch norm of images."""

    ranks = (4,)
