"""Pooling: one number for each window of the last axes.

Inputs are [batch, channels, *sizes], or [channels, *sizes] for a single example. An array whose channels come last is
passed as `x.permute_dims((0, 3, 1, 2))`, which moves no data.
"""

from __future__ import annotations

from typing import Literal, TypeAlias, overload

from chainrule import ops
from chainrule.nn.functional.axes import check_axes
from chainrule.ops.reduce import real
from chainrule.ops.window import PerAxis, per_axis
from chainrule.tensor import Tensor, TensorLike
from chainrule.types import size_of

WithIndices: TypeAlias = tuple[Tensor, Tensor]


def _max_pool(
    axes: int,
    x: TensorLike,
    kernel_size: PerAxis,
    stride: PerAxis | None,
    padding: PerAxis,
    dilation: PerAxis,
    ceil_mode: bool,
    return_indices: bool,
) -> Tensor | WithIndices:
    name = f"max_pool{axes}d"
    x, pool = check_axes(name, x, axes), ops.max_pool_with_indices if return_indices else ops.max_pool
    window = per_axis(f"{name}: kernel_size", kernel_size, axes)
    return pool(x, window, stride=stride, padding=padding, dilation=dilation, ceil_mode=ceil_mode)


@overload
def max_pool1d(
    x: TensorLike,
    kernel_size: PerAxis,
    stride: PerAxis | None = None,
    padding: PerAxis = 0,
    dilation: PerAxis = 1,
    ceil_mode: bool = False,
    return_indices: Literal[False] = False,
) -> Tensor: ...


@overload
def max_pool1d(
    x: TensorLike,
    kernel_size: PerAxis,
    stride: PerAxis | None = None,
    padding: PerAxis = 0,
    dilation: PerAxis = 1,
    ceil_mode: bool = False,
    *,
    return_indices: Literal[True],
) -> WithIndices: ...


def max_pool1d(
    x: TensorLike,
    kernel_size: PerAxis,
    stride: PerAxis | None = None,
    padding: PerAxis = 0,
    dilation: PerAxis = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Tensor | WithIndices:
    """The largest element of each window over one axis; see `ops.max_pool` and `nn.MaxPool1d`.

    >>> max_pool1d([[1.0, 3.0, 2.0, 5.0]], 2)
    tensor([[3., 5.]], f32[1, 2])
    """
    return _max_pool(1, x, kernel_size, stride, padding, dilation, ceil_mode, return_indices)


@overload
def max_pool2d(
    x: TensorLike,
    kernel_size: PerAxis,
    stride: PerAxis | None = None,
    padding: PerAxis = 0,
    dilation: PerAxis = 1,
    ceil_mode: bool = False,
    return_indices: Literal[False] = False,
) -> Tensor: ...


@overload
def max_pool2d(
    x: TensorLike,
    kernel_size: PerAxis,
    stride: PerAxis | None = None,
    padding: PerAxis = 0,
    dilation: PerAxis = 1,
    ceil_mode: bool = False,
    *,
    return_indices: Literal[True],
) -> WithIndices: ...


def max_pool2d(
    x: TensorLike,
    kernel_size: PerAxis,
    stride: PerAxis | None = None,
    padding: PerAxis = 0,
    dilation: PerAxis = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Tensor | WithIndices:
    """The largest element of each window over height and width; see `ops.max_pool` and `nn.MaxPool2d`.

    >>> max_pool2d([[[1.0, 2.0], [4.0, 3.0]]], 2, return_indices=True)
    (tensor([[[4.]]], f32[1, 1, 1]), tensor([[[2]]], i64[1, 1, 1]))
    """
    return _max_pool(2, x, kernel_size, stride, padding, dilation, ceil_mode, return_indices)


@overload
def max_pool3d(
    x: TensorLike,
    kernel_size: PerAxis,
    stride: PerAxis | None = None,
    padding: PerAxis = 0,
    dilation: PerAxis = 1,
    ceil_mode: bool = False,
    return_indices: Literal[False] = False,
) -> Tensor: ...


@overload
def max_pool3d(
    x: TensorLike,
    kernel_size: PerAxis,
    stride: PerAxis | None = None,
    padding: PerAxis = 0,
    dilation: PerAxis = 1,
    ceil_mode: bool = False,
    *,
    return_indices: Literal[True],
) -> WithIndices: ...


def max_pool3d(
    x: TensorLike,
    kernel_size: PerAxis,
    stride: PerAxis | None = None,
    padding: PerAxis = 0,
    dilation: PerAxis = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Tensor | WithIndices:
    """The largest element of each window over three axes; see `ops.max_pool` and `nn.MaxPool3d`.

    >>> max_pool3d(ops.zeros((1, 2, 4, 4, 4)), 2).shape
    (1, 2, 2, 2, 2)
    """
    return _max_pool(3, x, kernel_size, stride, padding, dilation, ceil_mode, return_indices)


def _avg_pool(
    axes: int,
    x: TensorLike,
    kernel_size: PerAxis,
    stride: PerAxis | None,
    padding: PerAxis,
    ceil_mode: bool,
    count_include_pad: bool,
    divisor_override: float | None,
) -> Tensor:
    name = f"avg_pool{axes}d"
    return ops.avg_pool(
        check_axes(name, x, axes),
        per_axis(f"{name}: kernel_size", kernel_size, axes),
        stride=stride,
        padding=padding,
        ceil_mode=ceil_mode,
        count_include_pad=count_include_pad,
        divisor=divisor_override,
    )


def avg_pool1d(
    x: TensorLike,
    kernel_size: PerAxis,
    stride: PerAxis | None = None,
    padding: PerAxis = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
) -> Tensor:
    """The mean of each window over one axis; see `ops.avg_pool` and `nn.AvgPool1d`.

    >>> avg_pool1d([[1.0, 3.0, 2.0, 5.0]], 2)
    tensor([[2. , 3.5]], f32[1, 2])
    """
    return _avg_pool(1, x, kernel_size, stride, padding, ceil_mode, count_include_pad, None)


def avg_pool2d(
    x: TensorLike,
    kernel_size: PerAxis,
    stride: PerAxis | None = None,
    padding: PerAxis = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: float | None = None,
) -> Tensor:
    """The mean of each window over height and width; see `ops.avg_pool` and `nn.AvgPool2d`.

    >>> avg_pool2d([[[1.0, 2.0], [4.0, 3.0]]], 2)
    tensor([[[2.5]]], f32[1, 1, 1])
    """
    return _avg_pool(2, x, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override)


def avg_pool3d(
    x: TensorLike,
    kernel_size: PerAxis,
    stride: PerAxis | None = None,
    padding: PerAxis = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: float | None = None,
) -> Tensor:
    """The mean of each window over three axes; see `ops.avg_pool` and `nn.AvgPool3d`.

    >>> avg_pool3d(ops.zeros((1, 2, 4, 4, 4)), 2).shape
    (1, 2, 2, 2, 2)
    """
    return _avg_pool(3, x, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override)


def _lp_pool(
    axes: int, x: TensorLike, norm_type: float, kernel_size: PerAxis, stride: PerAxis | None, ceil_mode: bool
) -> Tensor:
    window = per_axis(f"lp_pool{axes}d: kernel_size", kernel_size, axes)
    powers = ops.power(real(x), float(norm_type))
    total = _avg_pool(axes, powers, window, stride, 0, ceil_mode, True, None) * float(size_of(window))
    nothing = total == 0.0
    return ops.where(nothing, 0.0, ops.power(ops.where(nothing, 1.0, total), 1.0 / norm_type))  # no root of 0


def lp_pool1d(
    x: TensorLike, norm_type: float, kernel_size: PerAxis, stride: PerAxis | None = None, ceil_mode: bool = False
) -> Tensor:
    """(sum of x^p)^(1/p) of each window over one axis, p being `norm_type`; see `nn.LPPool1d`.

    >>> lp_pool1d([[3.0, 4.0, 0.0, 0.0]], 2, 2)
    tensor([[5., 0.]], f32[1, 2])
    """
    return _lp_pool(1, x, norm_type, kernel_size, stride, ceil_mode)


def lp_pool2d(
    x: TensorLike, norm_type: float, kernel_size: PerAxis, stride: PerAxis | None = None, ceil_mode: bool = False
) -> Tensor:
    """(sum of x^p)^(1/p) of each window over height and width, p being `norm_type`; see `nn.LPPool2d`.

    >>> lp_pool2d(ops.ones((1, 3, 4, 4)), 2, 2)[0, 0]
    tensor([[2., 2.],
            [2., 2.]], f32[2, 2])
    """
    return _lp_pool(2, x, norm_type, kernel_size, stride, ceil_mode)


def lp_pool3d(
    x: TensorLike, norm_type: float, kernel_size: PerAxis, stride: PerAxis | None = None, ceil_mode: bool = False
) -> Tensor:
    """(sum of x^p)^(1/p) of each window over three axes, p being `norm_type`; see `nn.LPPool3d`.

    >>> lp_pool3d(ops.ones((1, 2, 2, 2, 2)), 3, 2).flatten()
    tensor([2., 2.], f32[2])
    """
    return _lp_pool(3, x, norm_type, kernel_size, stride, ceil_mode)
