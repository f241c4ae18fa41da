"""Layers that undo max pooling."""

from __future__ import annotations

from collections.abc import Sequence

from chainrule.nn.checks import wholes, written
from chainrule.nn.functional.unpooling import max_unpool1d, max_unpool2d, max_unpool3d
from chainrule.nn.module import Module
from chainrule.ops.window import PerAxis
from chainrule.tensor import Tensor, TensorLike


class MaxUnpool(Module):
    """Values put back to the places that `MaxPool` found them at, all else 0; subclasses say over how many axes.

    Where windows overlapped and several values have one place, they are added. Zeiler & Fergus, "Visualizing and
    understanding convolutional networks", ECCV 2014.

    Args:
        kernel_size: size of the windows of the pooling, for each axis or for all.
        stride: distance between neighbouring windows; the window's size where it is not given.
        padding: elements that were added at both ends of each axis.

    Shapes: [batch, channels, *positions] to [batch, channels, *sizes], with sizes
    (position - 1) stride - 2 padding + kernel_size; or the same without the batch axis.

    Raises `DefinitionError` for numbers that are too small, `ShapeError` for indices of another shape or sizes that
    cannot be, and `IndexingError` for an index outside of them.
    """

    axes: int = 0

    def __init__(self, kernel_size: PerAxis, stride: PerAxis | None = None, padding: PerAxis = 0) -> None:
        self.kernel_size = wholes("kernel_size", kernel_size, self.axes)
        self.stride = self.kernel_size if stride is None else wholes("stride", stride, self.axes)
        self.padding = wholes("padding", padding, self.axes, 0)

    def forward(self, x: TensorLike, indices: TensorLike, output_size: Sequence[int] | None = None) -> Tensor:
        """The values among zeros.

        Args:
            x: the values.
            indices: where each of them goes, in the result with its axes in space flattened.
            output_size: sizes of the result, with or without those of the batch and channel axes, since pooling gives
                several sizes of input the same size.
        """
        unpool = (max_unpool1d, max_unpool2d, max_unpool3d)[self.axes - 1]
        return unpool(x, indices, self.kernel_size, self.stride, self.padding, output_size)

    def options(self) -> str:
        return written(self.kernel_size, stride=(self.stride, self.kernel_size), padding=(self.padding, 0))


class MaxUnpool1d(MaxUnpool):
    """Max pooling over one axis undone; see `MaxUnpool`.

    >>> MaxUnpool1d(2)([[3.0, 5.0]], [[1, 3]])
    tensor([[0., 3., 0., 5.]], f32[1, 4])
    """

    axes = 1


class MaxUnpool2d(MaxUnpool):
    """Max pooling over height and width undone; see `MaxUnpool`.

    >>> MaxUnpool2d(2)([[[4.0]]], [[[2]]], output_size=(3, 2))
    tensor([[[0., 0.],
             [4., 0.],
             [0., 0.]]], f32[1, 3, 2])
    """

    axes = 2


class MaxUnpool3d(MaxUnpool):
    """Max pooling over three axes undone; see `MaxUnpool`.

    >>> MaxUnpool3d((1, 1, 2))([[[[5.0]]]], [[[[1]]]])
    tensor([[[[0., 5.]]]], f32[1, 1, 1, 2])
    """

    axes = 3
