"""Layers that keep one number for each window of the last axes.

Inputs are [batch, channels, *sizes], or [channels, *sizes] for a single example.
"""

from __future__ import annotations

from chainrule.errors import DefinitionError
from chainrule.nn.checks import number, whole, wholes, written
from chainrule.nn.functional.pooling import (
    avg_pool1d,
    avg_pool2d,
    avg_pool3d,
    lp_pool1d,
    lp_pool2d,
    lp_pool3d,
    max_pool1d,
    max_pool2d,
    max_pool3d,
)
from chainrule.nn.module import Module
from chainrule.ops.window import PerAxis
from chainrule.tensor import Tensor, TensorLike


class MaxPool(Module):
    """The largest element of each window; subclasses say over how many axes.

    The gradient goes to the largest element, of equal ones to the first. Padding is smaller than any number.

    Args:
        kernel_size: size of the windows, for each axis or for all.
        stride: distance between neighbouring windows; the window's size where it is not given.
        padding: elements to add at both ends of each axis, at most half of a window.
        dilation: distance between neighbouring elements of a window.
        return_indices: whether the places of the largest elements are returned as well: their indices in the input
            with its axes in space flattened.
        ceil_mode: whether there is one more window where a last one would reach over the end of the axis.

    Shapes: [batch, channels, *sizes] to [batch, channels, *positions], with
    (size + 2 padding - dilation (kernel_size - 1) - 1) // stride + 1 positions; or the same without the batch axis.

    Raises `DefinitionError` for numbers that are too small, `ShapeError` for an input of other axes, or a window that
    does not fit.
    """

    axes: int = 0

    def __init__(
        self,
        kernel_size: PerAxis,
        stride: PerAxis | None = None,
        padding: PerAxis = 0,
        dilation: PerAxis = 1,
        return_indices: bool = False,
        ceil_mode: bool = False,
    ) -> None:
        self.kernel_size = wholes("kernel_size", kernel_size, self.axes)
        self.stride = self.kernel_size if stride is None else wholes("stride", stride, self.axes)
        self.padding = wholes("padding", padding, self.axes, 0)
        self.dilation = wholes("dilation", dilation, self.axes)
        self.return_indices = return_indices
        self.ceil_mode = ceil_mode

    def forward(self, x: TensorLike) -> Tensor | tuple[Tensor, Tensor]:
        """The largest elements, with their indices if these are wanted."""
        pool = (max_pool1d, max_pool2d, max_pool3d)[self.axes - 1]
        geometry = self.kernel_size, self.stride, self.padding, self.dilation, self.ceil_mode
        return pool(x, *geometry, return_indices=True) if self.return_indices else pool(x, *geometry)

    def options(self) -> str:
        return written(
            self.kernel_size,
            stride=(self.stride, self.kernel_size),
            padding=(self.padding, 0),
            dilation=(self.dilation, 1),
            return_indices=(self.return_indices, False),
            ceil_mode=(self.ceil_mode, False),
        )


class MaxPool1d(MaxPool):
    """Max pooling over one axis; see `MaxPool`.

    >>> MaxPool1d(2)([[1.0, 3.0, 2.0, 5.0]])
    tensor([[3., 5.]], f32[1, 2])
    """

    axes = 1


class MaxPool2d(MaxPool):
    """Max pooling over height and width; see `MaxPool`.

    >>> MaxPool2d(2, return_indices=True)([[[1.0, 2.0], [4.0, 3.0]]])
    (tensor([[[4.]]], f32[1, 1, 1]), tensor([[[2]]], i64[1, 1, 1]))
    """

    axes = 2


class MaxPool3d(MaxPool):
    """Max pooling over three axes; see `MaxPool`.

    >>> MaxPool3d(1, stride=2)([[[[1.0, 2.0]]]])
    tensor([[[[1.]]]], f32[1, 1, 1, 1])
    """

    axes = 3


class AvgPool(Module):
    """The mean of each window; subclasses say over how many axes.

    Args:
        kernel_size: size of the windows, for each axis or for all.
        stride: distance between neighbouring windows; the window's size where it is not given.
        padding: zeros to add at both ends of each axis, at most half of a window.
        ceil_mode: whether there is one more window where a last one would reach over the end of the axis.
        count_include_pad: whether zeros that were added count as elements of the mean.
        divisor_override: what sums are divided by in place of the number of elements.

    Shapes: [batch, channels, *sizes] to [batch, channels, *positions], with
    (size + 2 padding - kernel_size) // stride + 1 positions; or the same without the batch axis.

    Raises `DefinitionError` for numbers that are too small, `ShapeError` for an input of other axes, or a window that
    does not fit.
    """

    axes: int = 0

    def __init__(
        self,
        kernel_size: PerAxis,
        stride: PerAxis | None = None,
        padding: PerAxis = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
        divisor_override: int | None = None,
    ) -> None:
        self.kernel_size = wholes("kernel_size", kernel_size, self.axes)
        self.stride = self.kernel_size if stride is None else wholes("stride", stride, self.axes)
        self.padding = wholes("padding", padding, self.axes, 0)
        self.ceil_mode = ceil_mode
        self.count_include_pad = count_include_pad
        self.divisor_override = None if divisor_override is None else whole("divisor_override", divisor_override)

    def forward(self, x: TensorLike) -> Tensor:
        """The means."""
        geometry = self.kernel_size, self.stride, self.padding, self.ceil_mode, self.count_include_pad
        if self.axes == 1:
            return avg_pool1d(x, *geometry)
        return (avg_pool2d, avg_pool3d)[self.axes - 2](x, *geometry, self.divisor_override)

    def options(self) -> str:
        return written(
            self.kernel_size,
            stride=(self.stride, self.kernel_size),
            padding=(self.padding, 0),
            ceil_mode=(self.ceil_mode, False),
            count_include_pad=(self.count_include_pad, True),
            divisor_override=(self.divisor_override, None),
        )


class AvgPool1d(AvgPool):
    """Average pooling over one axis; see `AvgPool`. It has no `divisor_override`.

    >>> AvgPool1d(2)([[1.0, 3.0, 2.0, 5.0]])
    tensor([[2. , 3.5]], f32[1, 2])
    """

    axes = 1

    def __init__(
        self,
        kernel_size: PerAxis,
        stride: PerAxis | None = None,
        padding: PerAxis = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
    ) -> None:
        super().__init__(kernel_size, stride, padding, ceil_mode, count_include_pad)


class AvgPool2d(AvgPool):
    """Average pooling over height and width; see `AvgPool`.

    >>> AvgPool2d(2)([[[1.0, 2.0], [4.0, 3.0]]])
    tensor([[[2.5]]], f32[1, 1, 1])
    """

    axes = 2


class AvgPool3d(AvgPool):
    """Average pooling over three axes; see `AvgPool`.

    >>> AvgPool3d((1, 1, 2))([[[[1.0, 2.0]]]])
    tensor([[[[1.5]]]], f32[1, 1, 1, 1])
    """

    axes = 3


class LPPool(Module):
    """(sum of x^p)^(1/p) of each window; subclasses say over how many axes. For p = 1 these are sums.

    Args:
        norm_type: p.
        kernel_size: size of the windows, for each axis or for all.
        stride: distance between neighbouring windows; the window's size where it is not given.
        ceil_mode: whether there is one more window where a last one would reach over the end of the axis; its sum is
            scaled to the size of a whole window.

    The gradient where a sum is 0 is 0. Shapes are those of `MaxPool`.

    Raises `DefinitionError` for numbers that are too small, `ShapeError` for an input of other axes, or a window that
    does not fit.
    """

    axes: int = 0

    def __init__(
        self, norm_type: float, kernel_size: PerAxis, stride: PerAxis | None = None, ceil_mode: bool = False
    ) -> None:
        self.norm_type = number("norm_type", norm_type)
        if not self.norm_type:
            raise DefinitionError("norm_type must not be 0")
        self.kernel_size = wholes("kernel_size", kernel_size, self.axes)
        self.stride = self.kernel_size if stride is None else wholes("stride", stride, self.axes)
        self.ceil_mode = ceil_mode

    def forward(self, x: TensorLike) -> Tensor:
        """The norms."""
        pool = (lp_pool1d, lp_pool2d, lp_pool3d)[self.axes - 1]
        return pool(x, self.norm_type, self.kernel_size, self.stride, self.ceil_mode)

    def options(self) -> str:
        stride = (self.stride, self.kernel_size)
        return f"{self.norm_type:g}, {written(self.kernel_size, stride=stride, ceil_mode=(self.ceil_mode, False))}"


class LPPool1d(LPPool):
    """Pooling by the p-norm over one axis; see `LPPool`.

    >>> LPPool1d(2, 2)([[3.0, 4.0, 0.0, 0.0]])
    tensor([[5., 0.]], f32[1, 2])
    """

    axes = 1


class LPPool2d(LPPool):
    """Pooling by the p-norm over height and width; see `LPPool`.

    >>> LPPool2d(1, 2)([[[1.0, 2.0], [3.0, 4.0]]])
    tensor([[[10.]]], f32[1, 1, 1])
    """

    axes = 2


class LPPool3d(LPPool):
    """Pooling by the p-norm over three axes; see `LPPool`.

    >>> LPPool3d(2, (1, 1, 2))([[[[3.0, 4.0]]]])
    tensor([[[[5.]]]], f32[1, 1, 1, 1])
    """

    axes = 3
