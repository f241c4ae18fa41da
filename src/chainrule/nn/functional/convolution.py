"""Convolutions with a bias, and windows as columns of a matrix.

Inputs are [batch, channels, *sizes], or [channels, *sizes] for a single example. An array whose channels come last is
passed as `x.permute_dims((0, 3, 1, 2))`, which moves no data.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, TypeAlias

from chainrule import ops
from chainrule.errors import ShapeError
from chainrule.nn.functional.axes import batched
from chainrule.ops.reduce import computable
from chainrule.ops.window import PerAxis, per_axis, positions
from chainrule.tensor import Tensor, TensorLike, as_tensor
from chainrule.types import Shape, size_of

ConvPadding: TypeAlias = PerAxis | Literal["same", "valid"]


def _convolved(
    axes: int,
    x: TensorLike,
    weight: TensorLike,
    bias: TensorLike | None,
    convolve: Callable[[Tensor, Tensor], Tensor],
    name: str,
) -> Tensor:
    w = as_tensor(weight)
    if w.ndim != axes + 2:
        raise ShapeError(f"{name}: a weight with {axes + 2} axes is needed, two for channels, not {w.type}")
    out = batched(name, x, axes, lambda x: convolve(x, w))
    if bias is None:
        return out
    return out + as_tensor(bias).reshape((-1, *(1,) * axes))


def _conv(
    axes: int,
    x: TensorLike,
    weight: TensorLike,
    bias: TensorLike | None,
    stride: PerAxis,
    padding: ConvPadding,
    dilation: PerAxis,
    groups: int,
) -> Tensor:
    def convolve(x: Tensor, w: Tensor) -> Tensor:
        return ops.conv(x, w, stride=stride, padding=padding, dilation=dilation, groups=groups)

    return _convolved(axes, x, weight, bias, convolve, f"conv{axes}d")


def conv1d(
    x: TensorLike,
    weight: TensorLike,
    bias: TensorLike | None = None,
    stride: PerAxis = 1,
    padding: ConvPadding = 0,
    dilation: PerAxis = 1,
    groups: int = 1,
) -> Tensor:
    """Convolution over one axis with a bias for each channel; see `ops.conv` and `nn.Conv1d`.

    >>> conv1d([[[1.0, 2.0, 4.0]]], [[[1.0, -1.0]]], [0.5])
    tensor([[[-0.5, -1.5]]], f32[1, 1, 2])
    """
    return _conv(1, x, weight, bias, stride, padding, dilation, groups)


def conv2d(
    x: TensorLike,
    weight: TensorLike,
    bias: TensorLike | None = None,
    stride: PerAxis = 1,
    padding: ConvPadding = 0,
    dilation: PerAxis = 1,
    groups: int = 1,
) -> Tensor:
    """Convolution over two axes with a bias for each channel; see `ops.conv` and `nn.Conv2d`.

    >>> conv2d([[[1.0, 2.0], [3.0, 4.0]]], [[[[1.0, 1.0], [1.0, 1.0]]]], [0.5])
    tensor([[[10.5]]], f32[1, 1, 1])
    """
    return _conv(2, x, weight, bias, stride, padding, dilation, groups)


def conv3d(
    x: TensorLike,
    weight: TensorLike,
    bias: TensorLike | None = None,
    stride: PerAxis = 1,
    padding: ConvPadding = 0,
    dilation: PerAxis = 1,
    groups: int = 1,
) -> Tensor:
    """Convolution over three axes with a bias for each channel; see `ops.conv` and `nn.Conv3d`.

    >>> conv3d(ops.ones((1, 1, 4, 4, 4)), ops.ones((2, 1, 3, 3, 3))).shape
    (1, 2, 2, 2, 2)
    """
    return _conv(3, x, weight, bias, stride, padding, dilation, groups)


def _conv_transpose(
    axes: int,
    x: TensorLike,
    weight: TensorLike,
    bias: TensorLike | None,
    stride: PerAxis,
    padding: PerAxis,
    output_padding: PerAxis,
    groups: int,
    dilation: PerAxis,
) -> Tensor:
    def convolve(x: Tensor, w: Tensor) -> Tensor:
        return ops.conv_transpose(
            x, w, stride=stride, padding=padding, output_padding=output_padding, dilation=dilation, groups=groups
        )

    return _convolved(axes, x, weight, bias, convolve, f"conv_transpose{axes}d")


def conv_transpose1d(
    x: TensorLike,
    weight: TensorLike,
    bias: TensorLike | None = None,
    stride: PerAxis = 1,
    padding: PerAxis = 0,
    output_padding: PerAxis = 0,
    groups: int = 1,
    dilation: PerAxis = 1,
) -> Tensor:
    """Transposed convolution over one axis with a bias; see `ops.conv_transpose` and `nn.ConvTranspose1d`.

    >>> conv_transpose1d([[[1.0, 2.0]]], [[[1.0, 10.0]]], stride=2)
    tensor([[[ 1., 10.,  2., 20.]]], f32[1, 1, 4])
    """
    return _conv_transpose(1, x, weight, bias, stride, padding, output_padding, groups, dilation)


def conv_transpose2d(
    x: TensorLike,
    weight: TensorLike,
    bias: TensorLike | None = None,
    stride: PerAxis = 1,
    padding: PerAxis = 0,
    output_padding: PerAxis = 0,
    groups: int = 1,
    dilation: PerAxis = 1,
) -> Tensor:
    """Transposed convolution over two axes with a bias; see `ops.conv_transpose` and `nn.ConvTranspose2d`.

    >>> conv_transpose2d(ops.ones((1, 2, 4, 4)), ops.ones((2, 3, 2, 2)), stride=2).shape
    (1, 3, 8, 8)
    """
    return _conv_transpose(2, x, weight, bias, stride, padding, output_padding, groups, dilation)


def conv_transpose3d(
    x: TensorLike,
    weight: TensorLike,
    bias: TensorLike | None = None,
    stride: PerAxis = 1,
    padding: PerAxis = 0,
    output_padding: PerAxis = 0,
    groups: int = 1,
    dilation: PerAxis = 1,
) -> Tensor:
    """Transposed convolution over three axes with a bias; see `ops.conv_transpose` and `nn.ConvTranspose3d`.

    >>> conv_transpose3d(ops.ones((1, 2, 2, 2, 2)), ops.ones((2, 3, 2, 2, 2)), stride=2).shape
    (1, 3, 4, 4, 4)
    """
    return _conv_transpose(3, x, weight, bias, stride, padding, output_padding, groups, dilation)


def unfold(
    x: TensorLike, kernel_size: PerAxis, dilation: PerAxis = 1, padding: PerAxis = 0, stride: PerAxis = 1
) -> Tensor:
    """The windows of images as the columns of a matrix, [batch, channels * kernel, positions].

    A convolution is the product of its kernels, as rows, with this matrix. Shapes: [batch, channels, height, width], or
    the same without the batch axis. Raises `ShapeError` if a window does not fit.

    >>> unfold([[[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]], (2, 2))
    tensor([[1., 2.],
            [2., 3.],
            [4., 5.],
            [5., 6.]], f32[4, 2])
    """
    kernel, every, apart, around = _geometry("unfold", kernel_size, stride, dilation, padding)

    def columns(x: Tensor) -> Tensor:
        padded = ops.pad(x, [(0, 0), (0, 0), *((n, n) for n in around)])
        windows = ops.sliding_windows(padded, kernel, stride=every, dilation=apart)  # [b, c, *positions, *kernel]
        rows, places = x.shape[1] * size_of(kernel), size_of(windows.shape[2:4])
        return windows.permute_dims((0, 1, 4, 5, 2, 3)).reshape((x.shape[0], rows, places))

    return batched("unfold", x, 2, columns)


def fold(
    x: TensorLike,
    output_size: PerAxis,
    kernel_size: PerAxis,
    dilation: PerAxis = 1,
    padding: PerAxis = 0,
    stride: PerAxis = 1,
) -> Tensor:
    """Images from columns of windows, which are added where they overlap: the transpose of `unfold`.

    Shapes: [batch, channels * kernel, positions] to [batch, channels, *output_size], or the same without the batch
    axis. Raises `ShapeError` if there are not as many columns as windows.

    >>> fold([[1.0, 2.0], [2.0, 3.0], [4.0, 5.0], [5.0, 6.0]], (2, 3), (2, 2))
    tensor([[[ 1.,  4.,  3.],
             [ 4., 10.,  6.]]], f32[1, 2, 3])
    """
    kernel, every, apart, around = _geometry("fold", kernel_size, stride, dilation, padding)
    size = per_axis("fold: output_size", output_size, 2)
    padded = tuple(n + 2 * more for n, more in zip(size, around, strict=True))
    places = positions(padded, kernel, every, apart)

    def images(x: Tensor) -> Tensor:
        if x.shape[1] % size_of(kernel) or x.shape[2] != size_of(places):
            raise ShapeError(
                f"fold: {size_of(kernel)} rows a channel and {size_of(places)} columns are needed for images "
                f"{list(size)}, not {x.type}"
            )
        channels = x.shape[1] // size_of(kernel)
        windows = x.reshape((x.shape[0], channels, *kernel, *places)).permute_dims((0, 1, 4, 5, 2, 3))
        out = ops.overlap_add(windows, padded, stride=every, dilation=apart)
        return ops.slice(out, (0, 0, *around), (x.shape[0], channels, *size))

    return batched("fold", computable(x), 1, images)


def _geometry(
    name: str, kernel: PerAxis, stride: PerAxis, dilation: PerAxis, padding: PerAxis
) -> tuple[Shape, Shape, Shape, Shape]:
    """Kernel, stride, dilation and padding of images, for each axis."""
    return (
        per_axis(f"{name}: kernel_size", kernel, 2),
        per_axis(f"{name}: stride", stride, 2),
        per_axis(f"{name}: dilation", dilation, 2),
        per_axis(f"{name}: padding", padding, 2),
    )
