"""Convolution: the sliding dot product of an image, or of anything with axes in space, with small kernels.

All three operations come from one trilinear form (y is what a convolution of x with w gives, or its cotangent),

    sum over b, o, c, p, k of  y[b, o, p]  w[o, c, k]  x[b, c, p * stride + k * dilation - low]

each being its derivative by one of the three factors. So each one's derivatives are the other two, to any order.
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np

from chainrule.apply import apply
from chainrule.errors import ShapeError
from chainrule.kernel import Convolve, Native
from chainrule.native.convolution import backward, forward
from chainrule.native.convolution.weights import weight_loops, weight_micro, weight_scratch, weight_units
from chainrule.op import define
from chainrule.ops.window import (
    Padding,
    PaddingLike,
    PerAxis,
    add_windows,
    padding_pairs,
    per_axis,
    positions,
    spans,
    windows_of,
)
from chainrule.samples import Draw, Sample
from chainrule.tensor import Tensor, TensorLike, operands
from chainrule.types import FLOATS, Array, Shape, TensorType, float32, size_of


def _convolution_type(
    x: TensorType, w: TensorType, stride: Shape, padding: Padding, dilation: Shape, groups: int
) -> TensorType:
    if x.ndim < 3 or x.ndim != w.ndim or x.dtype is not w.dtype:
        raise ShapeError(f"[batch, channels, *sizes] and [out, in, *kernel] of one type are needed, not {x} and {w}")
    if groups < 1 or w.shape[0] % groups or x.shape[1] != w.shape[1] * groups:
        raise ShapeError(
            f"{w.shape[0]} kernels over {w.shape[1]} channels each, in {groups} groups, "
            f"do not fit an input of {x.shape[1]} channels"
        )
    if len(padding) != x.ndim - 2:
        raise ShapeError(f"padding {list(padding)} must have one pair for each of the sizes {list(x.shape[2:])}")
    sizes = tuple(n + low + high for n, (low, high) in zip(x.shape[2:], padding, strict=True))
    return x.with_shape((x.shape[0], w.shape[0], *positions(sizes, w.shape[2:], stride, dilation)))


def _windows(x: Array, kernel: Shape, stride: Shape, padding: Padding, dilation: Shape) -> Array:
    """[batch, channels, *positions, *kernel]."""
    return windows_of(np.pad(x, ((0, 0), (0, 0), *padding)), kernel, stride, dilation)


def _axes(n: int) -> tuple[range, range]:
    """Of windows over n axes, those of the positions and those of the kernel."""
    return range(2, 2 + n), range(2 + n, 2 + 2 * n)


def _convolution(x: Array, w: Array, stride: Shape, padding: Padding, dilation: Shape, groups: int) -> Array:
    """For each image and group a matrix product [out, in * kernel] @ [in * kernel, positions]."""
    out, depth = w.shape[0] // groups, size_of(w.shape[1:])
    over, within = _axes(x.ndim - 2)
    windows = _windows(x, w.shape[2:], stride, padding, dilation).transpose(0, 1, *within, *over)
    places = windows.shape[x.ndim :]
    columns = windows.reshape(x.shape[0], groups, depth, size_of(places))
    return np.matmul(w.reshape(groups, out, depth), columns).reshape(x.shape[0], w.shape[0], *places)


def _transpose_type(y: TensorType, w: TensorType, size: Shape, groups: int, **geometry: Any) -> TensorType:
    if y.ndim != w.ndim or y.ndim < 3:
        raise ShapeError(f"[batch, channels, *sizes] and [out, in, *kernel] are needed, not {y} and {w}")
    x = y.with_shape((y.shape[0], w.shape[1] * groups, *size))
    _must_give(y, _convolution_type(x, w, groups=groups, **geometry), x, w)
    return x


def _must_give(y: TensorType, expected: TensorType, x: TensorType, w: TensorType) -> None:
    if y != expected:
        raise ShapeError(f"a convolution of {x} with {w} gives {expected}, not {y}")


def _convolution_transpose(
    y: Array, w: Array, stride: Shape, padding: Padding, dilation: Shape, groups: int, size: Shape
) -> Array:
    """For each image and group a matrix product [in * kernel, out] @ [out, positions]; windows that overlap add up."""
    out, depth = w.shape[0] // groups, size_of(w.shape[1:])
    within, over = _axes(y.ndim - 2)
    turned = w.reshape(groups, out, depth).swapaxes(1, 2)
    columns = np.matmul(turned, y.reshape(y.shape[0], groups, out, size_of(y.shape[2:])))
    windows = columns.reshape(y.shape[0], groups * w.shape[1], *w.shape[2:], *y.shape[2:])
    padded = tuple(n + low + high for n, (low, high) in zip(size, padding, strict=True))
    inside = tuple(slice(low, low + n) for n, (low, _) in zip(size, padding, strict=True))
    return add_windows(windows.transpose(0, 1, *over, *within), padded, stride, dilation)[(..., *inside)]


def _weight_type(x: TensorType, y: TensorType, kernel: Shape, groups: int, **geometry: Any) -> TensorType:
    if x.ndim != y.ndim or x.ndim < 3:
        raise ShapeError(f"[batch, channels, *sizes] and [batch, out, *positions] are needed, not {x} and {y}")
    w = x.with_shape((y.shape[1], x.shape[1] // max(groups, 1), *kernel))
    _must_give(y, _convolution_type(x, w, groups=groups, **geometry), x, w)
    return w


def _convolution_weight(
    x: Array, y: Array, stride: Shape, padding: Padding, dilation: Shape, groups: int, kernel: Shape
) -> Array:
    """For each group a matrix product [out, batch * positions] @ [batch * positions, in * kernel]."""
    out, each, places = y.shape[1] // groups, x.shape[1] // groups, y.shape[0] * size_of(y.shape[2:])
    over, within = _axes(x.ndim - 2)
    windows = _windows(x, kernel, stride, padding, dilation).transpose(1, *within, 0, *over)
    columns = windows.reshape(groups, each * size_of(kernel), places)
    rows = y.swapaxes(0, 1).reshape(groups, out, places)
    return np.matmul(rows, columns.swapaxes(1, 2)).reshape(y.shape[1], each, *kernel)


def _draw(draw: Draw) -> tuple[Array, Array, Array, dict[str, Any]]:
    """Input, kernels, output and attributes of a random convolution."""
    axes, groups = draw.integer(1, 2), draw.choice((1, 2))
    kernel, stride, dilation = (tuple(draw.integer(1, 3) for _ in range(axes)) for _ in range(3))
    padding = tuple((draw.integer(0, 2), draw.integer(0, 2)) for _ in range(axes))
    least = [span - low - high for span, (low, high) in zip(spans(kernel, dilation), padding, strict=True)]
    batch, each = draw.shape(2)
    x = draw.floats((batch, each * groups, *(max(n, 1) + draw.integer(0, 2) for n in least)))
    w = draw.floats((groups * draw.integer(1, 2), each, *kernel))
    attributes: dict[str, Any] = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
    return x, w, draw.floats(_convolution(x, w, **attributes).shape), attributes


def _draw_convolution(draw: Draw) -> Sample:
    x, w, _, attributes = _draw(draw)
    return Sample((x, w), attributes)


def _draw_transpose(draw: Draw) -> Sample:
    x, w, y, attributes = _draw(draw)
    return Sample((y, w), {**attributes, "size": x.shape[2:]})


def _draw_weight(draw: Draw) -> Sample:
    x, w, y, attributes = _draw(draw)
    return Sample((x, y), {**attributes, "kernel": w.shape[2:]})


def _convolution_flops(x: TensorType, w: TensorType, y: TensorType, **attributes: Any) -> int:
    """Each element of y meets each element of one kernel; so it is in all three."""
    return 2 * y.size * size_of(w.shape[1:])


def _transpose_flops(y: TensorType, w: TensorType, x: TensorType, **attributes: Any) -> int:
    return _convolution_flops(x, w, y)


def _weight_flops(x: TensorType, y: TensorType, w: TensorType, **attributes: Any) -> int:
    return _convolution_flops(x, w, y)


def _convolution_by_x(ct: Tensor, out: Tensor, x: Tensor, w: Tensor, **attributes: Any) -> Tensor:
    return apply(CONVOLUTION_TRANSPOSE, ct, w, **attributes, size=x.shape[2:])


def _convolution_by_w(ct: Tensor, out: Tensor, x: Tensor, w: Tensor, **attributes: Any) -> Tensor:
    return apply(CONVOLUTION_WEIGHT, x, ct, **attributes, kernel=w.shape[2:])


CONVOLUTION = define(
    "convolution",
    takes=(FLOATS,),
    infer=_convolution_type,
    numpy=_convolution,
    vjp=(_convolution_by_x, _convolution_by_w),
    kernel=Convolve(forward, _convolution_flops),
    samples=_draw_convolution,
)


def _transpose_by_y(ct: Tensor, out: Tensor, y: Tensor, w: Tensor, size: Shape, **attributes: Any) -> Tensor:
    return apply(CONVOLUTION, ct, w, **attributes)


def _transpose_by_w(ct: Tensor, out: Tensor, y: Tensor, w: Tensor, size: Shape, **attributes: Any) -> Tensor:
    return apply(CONVOLUTION_WEIGHT, ct, y, **attributes, kernel=w.shape[2:])


CONVOLUTION_TRANSPOSE = define(
    "convolution_transpose",
    takes=(FLOATS,),
    infer=_transpose_type,
    numpy=_convolution_transpose,
    vjp=(_transpose_by_y, _transpose_by_w),
    kernel=Convolve(backward, _transpose_flops),
    samples=_draw_transpose,
)


def _weight_by_x(ct: Tensor, out: Tensor, x: Tensor, y: Tensor, kernel: Shape, **attributes: Any) -> Tensor:
    return apply(CONVOLUTION_TRANSPOSE, y, ct, **attributes, size=x.shape[2:])


def _weight_by_y(ct: Tensor, out: Tensor, x: Tensor, y: Tensor, kernel: Shape, **attributes: Any) -> Tensor:
    return apply(CONVOLUTION, x, ct, **attributes)


CONVOLUTION_WEIGHT = define(
    "convolution_weight",
    takes=(FLOATS,),
    infer=_weight_type,
    numpy=_convolution_weight,
    vjp=(_weight_by_x, _weight_by_y),
    kernel=Native(weight_loops, weight_units, weight_scratch, flops=_weight_flops, images=True, micro=weight_micro),
    samples=_draw_weight,
)


def conv(
    x: TensorLike,
    w: TensorLike,
    *,
    stride: PerAxis = 1,
    padding: PaddingLike | Literal["same", "valid"] = 0,
    dilation: PerAxis = 1,
    groups: int = 1,
) -> Tensor:
    """Convolution over any number of axes in space, as a cross-correlation (the kernel is not flipped).

        out[b, o, p] = sum over c, k of x[b, c, p * stride + k * dilation - low] w[o, c, k]

    where p and k are places in space, `low` is the padding at the low end, elements outside of x are 0, and c runs over
    the channels of the group of o. LeCun et al., "Gradient-based learning applied to document recognition" (1998);
    Dumoulin & Visin, "A guide to convolution arithmetic for deep learning" (2016).

    Args:
        x: inputs [batch, in_channels, *sizes], with at least one axis in space.
        w: kernels [out_channels, in_channels / groups, *kernel].
        stride: distance between neighbouring places of the kernel, for each axis or for all.
        padding: zeros at both ends of each axis; or (low, high) for each; "valid" is none, and "same" as many as it
            takes for sizes to stay as they are (of an odd number one more at the high end), for a stride of 1.
        dilation: distance between neighbouring elements of the kernel, for each axis or for all.
        groups: into how many groups channels are split; each group of outputs sees one group of inputs.

    Returns [batch, out_channels, *(size + low + high - (kernel - 1) * dilation - 1) // stride + 1].

    Raises `ShapeError` if channels and groups do not fit, or the kernel is larger than the padded input.

    >>> conv([[[1.0, 2.0, 4.0, 8.0]]], [[[1.0, -1.0]]])
    tensor([[[-1., -2., -4.]]], f32[1, 1, 3])
    """
    x, w = _image_and_kernels("conv", x, w)
    axes = x.ndim - 2
    every, apart = per_axis("conv: stride", stride, axes), per_axis("conv: dilation", dilation, axes)
    if isinstance(padding, str):
        pairs = _named_padding(padding, w.shape[2:], every, apart)
    else:
        pairs = padding_pairs("conv: padding", padding, axes)
    return apply(CONVOLUTION, x, w, stride=every, padding=pairs, dilation=apart, groups=groups)


def conv_transpose(
    x: TensorLike,
    w: TensorLike,
    *,
    stride: PerAxis = 1,
    padding: PaddingLike = 0,
    output_padding: PerAxis = 0,
    dilation: PerAxis = 1,
    groups: int = 1,
) -> Tensor:
    """Transposed convolution: what `conv` with the same arguments does to its gradient, used as a layer that enlarges.

        out[b, o, p * stride + k * dilation - low] += x[b, c, p] w[c, o, k], for every b, c, o, p, k

    where `low` is the padding at the low end, and c runs over the channels of the group of o. Zeiler et al.,
    "Deconvolutional networks" (2010); Dumoulin & Visin, "A guide to convolution arithmetic for deep learning" (2016),
    ch. 4.

    Args:
        x: inputs [batch, in_channels, *sizes], with at least one axis in space.
        w: kernels [in_channels, out_channels / groups, *kernel].
        stride: distance between the places that neighbouring inputs go to, for each axis or for all.
        padding: elements to leave out at both ends of each axis of the result; or (low, high) for each.
        output_padding: elements to add at the high end of the result: less than the stride, since for `conv` several
            sizes of input give one size of output.
        dilation: distance between neighbouring elements of the kernel, for each axis or for all.
        groups: into how many groups channels are split.

    Returns [batch, out_channels, *(size - 1) * stride - low - high + (kernel - 1) * dilation + 1 + output_padding].

    Raises `ShapeError` if channels and groups do not fit, or nothing is left of the result.

    >>> conv_transpose([[[1.0, 2.0]]], [[[1.0, 10.0, 100.0]]], stride=2)
    tensor([[[  1.,  10., 102.,  20., 200.]]], f32[1, 1, 5])
    """
    x, w = _image_and_kernels("conv_transpose", x, w)
    axes = x.ndim - 2
    every = per_axis("conv_transpose: stride", stride, axes)
    apart = per_axis("conv_transpose: dilation", dilation, axes)
    more = per_axis("conv_transpose: output_padding", output_padding, axes)
    pairs = padding_pairs("conv_transpose: padding", padding, axes)
    if groups < 1 or x.shape[1] != w.shape[0] or w.shape[0] % groups:
        raise ShapeError(
            f"conv_transpose: kernels for {w.shape[0]} channels in {groups} groups do not fit an input of "
            f"{x.shape[1]} channels; kernels are [in_channels, out_channels / groups, *kernel]"
        )
    if any(not 0 <= m < s for m, s in zip(more, every, strict=True)):
        raise ShapeError(f"conv_transpose: output_padding {list(more)} must be less than the stride {list(every)}")
    parts = zip(x.shape[2:], every, pairs, spans(w.shape[2:], apart), more, strict=True)
    size = tuple((n - 1) * step - low - high + span + m for n, step, (low, high), span, m in parts)
    if min(size) < 1:
        raise ShapeError(f"conv_transpose: a result of {list(size)} is left of {x.type}, {w.type}, padding {padding}")
    attributes: dict[str, Any] = {"stride": every, "padding": pairs, "dilation": apart, "groups": groups}
    return apply(CONVOLUTION_TRANSPOSE, x, w, **attributes, size=size)


def _image_and_kernels(name: str, x: TensorLike, w: TensorLike) -> tuple[Tensor, Tensor]:
    """Both inputs as floats of one type. Raises `ShapeError` if their axes do not match."""
    x, w = operands(x, w)
    if x.dtype not in FLOATS:
        x, w = operands(x, w, dtype=float32)
    if w.ndim >= 3 and x.ndim == w.ndim - 1:
        raise ShapeError(f"{name}: the input needs a batch axis, [batch, channels, *sizes], and is {x.type}")
    if w.ndim < 3 or x.ndim != w.ndim:
        raise ShapeError(
            f"{name}: the input [batch, channels, *sizes] and the kernels [channels, channels, *kernel] must have "
            f"equally many axes, three or more, not {x.type} and {w.type}"
        )
    return x, w


def _named_padding(padding: str, kernel: Shape, stride: Shape, dilation: Shape) -> Padding:
    if padding == "valid":
        return ((0, 0),) * len(kernel)
    if padding != "same":
        raise ShapeError(f"conv: padding is a number, numbers, 'same' or 'valid', not {padding!r}")
    if any(step != 1 for step in stride):
        raise ShapeError(f"conv: padding 'same' is for a stride of 1, not {list(stride)}")
    extra = [span - 1 for span in spans(kernel, dilation)]
    return tuple((n // 2, n - n // 2) for n in extra)
