"""Layers that pool to a given output size, whatever the size of their input."""

from __future__ import annotations

from collections.abc import Sequence

from chainrule.errors import DefinitionError
from chainrule.nn.checks import whole, written
from chainrule.nn.functional.adaptive import (
    OutputSize,
    adaptive_avg_pool1d,
    adaptive_avg_pool2d,
    adaptive_avg_pool3d,
    adaptive_max_pool1d,
    adaptive_max_pool2d,
    adaptive_max_pool3d,
)
from chainrule.nn.module import Module
from chainrule.tensor import Tensor, TensorLike


class _Adaptive(Module):
    """Pooling to a given output size; subclasses say how, and over how many axes."""

    axes: int = 0

    def __init__(self, output_size: OutputSize) -> None:
        given = output_size if isinstance(output_size, Sequence) else (output_size,) * self.axes
        if len(given) != self.axes:
            raise DefinitionError(
                f"output_size is a number or None, or one for each of {self.axes} axes, not {output_size!r}"
            )
        self.output_size = tuple(None if n is None else whole("output_size", n) for n in given)

    def options(self) -> str:
        return written(self.output_size)


class AdaptiveAvgPool(_Adaptive):
    """The mean of each of a number of windows that divide the input evenly; subclasses say over how many axes.

    Window i of o over n elements goes from floor(i n / o) to ceil((i + 1) n / o). One window an axis is global average
    pooling.

    Args:
        output_size: how many windows, for each axis or for all; None for as many as there are elements.

    Shapes: [batch, channels, *sizes] to [batch, channels, *output_size], or the same without the batch axis.

    Raises `DefinitionError` for numbers below 1, `ShapeError` for an input of other axes.
    """

    def forward(self, x: TensorLike) -> Tensor:
        """The means."""
        return (adaptive_avg_pool1d, adaptive_avg_pool2d, adaptive_avg_pool3d)[self.axes - 1](x, self.output_size)


class AdaptiveMaxPool(_Adaptive):
    """The largest element of each of a number of windows that divide the input evenly; subclasses say over which axes.

    Window i of o over n elements goes from floor(i n / o) to ceil((i + 1) n / o).

    Args:
        output_size: how many windows, for each axis or for all; None for as many as there are elements.
        return_indices: whether the places of the largest elements are returned as well: their indices in the input
            with its axes in space flattened.

    Shapes: [batch, channels, *sizes] to [batch, channels, *output_size], or the same without the batch axis.

    Raises `DefinitionError` for numbers below 1, `ShapeError` for an input of other axes.
    """

    def __init__(self, output_size: OutputSize, return_indices: bool = False) -> None:
        super().__init__(output_size)
        self.return_indices = return_indices

    def forward(self, x: TensorLike) -> Tensor | tuple[Tensor, Tensor]:
        """The largest elements, with their indices if these are wanted."""
        pool = (adaptive_max_pool1d, adaptive_max_pool2d, adaptive_max_pool3d)[self.axes - 1]
        return pool(x, self.output_size, return_indices=True) if self.return_indices else pool(x, self.output_size)

    def options(self) -> str:
        return written(self.output_size, return_indices=(self.return_indices, False))


class AdaptiveAvgPool1d(AdaptiveAvgPool):
    """Average pooling to a given size over one axis; see `AdaptiveAvgPool`.

    >>> AdaptiveAvgPool1d(2)([[1.0, 2.0, 3.0]])
    tensor([[1.5, 2.5]], f32[1, 2])
    """

    axes = 1


class AdaptiveAvgPool2d(AdaptiveAvgPool):
    """Average pooling to a given size over height and width; see `AdaptiveAvgPool`.

    >>> AdaptiveAvgPool2d((1, None))([[[1.0, 2.0], [4.0, 3.0]]])
    tensor([[[2.5, 2.5]]], f32[1, 1, 2])
    """

    axes = 2


class AdaptiveAvgPool3d(AdaptiveAvgPool):
    """Average pooling to a given size over three axes; see `AdaptiveAvgPool`.

    >>> AdaptiveAvgPool3d(1)([[[[1.0, 2.0]]]])
    tensor([[[[1.5]]]], f32[1, 1, 1, 1])
    """

    axes = 3


class AdaptiveMaxPool1d(AdaptiveMaxPool):
    """Max pooling to a given size over one axis; see `AdaptiveMaxPool`.

    >>> AdaptiveMaxPool1d(2)([[1.0, 2.0, 3.0]])
    tensor([[2., 3.]], f32[1, 2])
    """

    axes = 1


class AdaptiveMaxPool2d(AdaptiveMaxPool):
    """Max pooling to a given size over height and width; see `AdaptiveMaxPool`.

    >>> AdaptiveMaxPool2d((1, None))([[[1.0, 2.0], [4.0, 3.0]]])
    tensor([[[4., 3.]]], f32[1, 1, 2])
    """

    axes = 2


class AdaptiveMaxPool3d(AdaptiveMaxPool):
    """Max pooling to a given size over three axes; see `AdaptiveMaxPool`.

    >>> AdaptiveMaxPool3d(1)([[[[1.0, 2.0]]]])
    tensor([[[[2.]]]], f32[1, 1, 1, 1])
    """

    axes = 3
