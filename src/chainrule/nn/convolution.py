"""Layers that slide kernels over their input, and their transposes, which enlarge it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import sqrt
from typing import Literal, TypeAlias

from chainrule import ops
from chainrule.errors import DefinitionError, ShapeError
from chainrule.nn.checks import whole, wholes, written
from chainrule.nn.functional.axes import batched
from chainrule.nn.functional.convolution import ConvPadding
from chainrule.nn.functional.padding import pad
from chainrule.nn.initializers import fans, uniform
from chainrule.nn.module import Module, Parameter
from chainrule.ops.window import PerAxis, per_axis, spans
from chainrule.tensor import Tensor, TensorLike
from chainrule.types import DTypeLike, Shape, float32

PaddingMode: TypeAlias = Literal["zeros", "reflect", "replicate", "circular"]


class _Convolution(Module):
    """What convolutions and their transposes have in common; subclasses say over how many axes they go."""

    axes: int = 0

    def _prepare(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: PerAxis,
        stride: PerAxis,
        dilation: PerAxis,
        groups: int,
    ) -> None:
        self.in_channels = whole("in_channels", in_channels)
        self.out_channels = whole("out_channels", out_channels)
        self.kernel_size = wholes("kernel_size", kernel_size, self.axes)
        self.stride = wholes("stride", stride, self.axes)
        self.dilation = wholes("dilation", dilation, self.axes)
        self.groups = whole("groups", groups)
        if in_channels % groups or out_channels % groups:
            raise DefinitionError(
                f"{type(self).__name__}: {in_channels} and {out_channels} channels cannot be split into {groups} groups"
            )

    def _make_parameters(
        self, channels: Shape, bias: bool, dtype: DTypeLike, initializer: Callable[..., Tensor] | None
    ) -> None:
        shape = (*channels, *self.kernel_size)
        bound = 1.0 / sqrt(fans(shape)[0])
        weight = uniform(shape, -bound, bound, dtype=dtype) if initializer is None else initializer(shape, dtype=dtype)
        self.weight = Parameter(weight, name="weight")
        first = uniform((self.out_channels,), -bound, bound, dtype=dtype) if bias else None
        self.bias = None if first is None else Parameter(first, name="bias")

    def _finish(self, out: Tensor) -> Tensor:
        return out if self.bias is None else out + self.bias.reshape((-1, *(1,) * self.axes))

    def _check(self, x: Tensor) -> None:
        if x.shape[1] != self.in_channels:
            raise ShapeError(f"{self.describe()}: an input of {self.in_channels} channels is needed, not {x.type}")


class Conv(_Convolution):
    """Convolution (cross-correlation) with a bias for each channel; subclasses say over how many axes.

        out[b, o, p] = bias[o] + sum over c, k of x[b, c, p * stride + k * dilation - padding] weight[o, c, k]

    where p and k are places in space and c runs over the channels of the group of o. LeCun et al., "Gradient-based
    learning applied to document recognition" (1998).

    Args:
        in_channels: channels of the input.
        out_channels: channels of the output, one kernel each.
        kernel_size: size of the kernels, for each axis or for all.
        stride: distance between neighbouring places of the kernel, for each axis or for all.
        padding: elements to add at both ends of each axis; "valid" is none, and "same" as many as it takes for sizes
            to stay as they are, for a stride of 1.
        dilation: distance between neighbouring elements of the kernel, for each axis or for all.
        groups: into how many groups channels are split, each group of outputs seeing one group of inputs; as many as
            there are input channels makes a depthwise convolution.
        bias: whether there is a bias.
        padding_mode: what the added elements are: "zeros"; "reflect", mirrored at the outermost element; "replicate",
            that element; "circular", what stands at the other end.
        dtype: data type of the parameters.
        initializer: makes the weight, one of `nn.initializers`. By default both weight and bias are uniform in
            ±1/sqrt(in_channels / groups * kernel's size), which is PyTorch's default.

    Parameters: `weight` [out_channels, in_channels / groups, *kernel_size], `bias` [out_channels].
    Shapes: [batch, in_channels, *sizes] to [batch, out_channels, *positions], with
    (size + 2 padding - dilation (kernel_size - 1) - 1) // stride + 1 positions; or the same without the batch axis.

    Raises `DefinitionError` for numbers that are too small or do not fit each other, `ShapeError` for an input of other
    axes or channels, or one smaller than the kernel.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: PerAxis,
        stride: PerAxis = 1,
        padding: ConvPadding = 0,
        dilation: PerAxis = 1,
        groups: int = 1,
        bias: bool = True,
        padding_mode: PaddingMode = "zeros",
        *,
        dtype: DTypeLike = float32,
        initializer: Callable[..., Tensor] | None = None,
    ) -> None:
        self._prepare(in_channels, out_channels, kernel_size, stride, dilation, groups)
        if padding_mode not in ("zeros", "reflect", "replicate", "circular"):
            raise DefinitionError(
                f"padding_mode must be 'zeros', 'reflect', 'replicate' or 'circular', not {padding_mode!r}"
            )
        if isinstance(padding, str) and padding not in ("same", "valid"):
            raise DefinitionError(f"padding must be numbers, 'same' or 'valid', not {padding!r}")
        if padding == "same" and set(self.stride) != {1}:
            raise DefinitionError(f"padding 'same' is for a stride of 1, not {stride}")
        self.padding: ConvPadding = padding if isinstance(padding, str) else wholes("padding", padding, self.axes, 0)
        self.padding_mode: PaddingMode = padding_mode
        self._make_parameters((out_channels, in_channels // groups), bias, dtype, initializer)

    def forward(self, x: TensorLike) -> Tensor:
        """x, convolved with the weight, plus the bias."""
        return batched(self.describe(), x, self.axes, self._convolved)

    def _convolved(self, x: Tensor) -> Tensor:
        self._check(x)
        padding: ConvPadding = self.padding
        if self.padding_mode != "zeros":
            x, padding = pad(x, self._widths(), self.padding_mode), 0
        out = ops.conv(x, self.weight, stride=self.stride, padding=padding, dilation=self.dilation, groups=self.groups)
        return self._finish(out)

    def _widths(self) -> Shape:
        """Elements to add before and after each axis, the last axis first."""
        if self.padding == "valid":
            return (0, 0) * self.axes
        if self.padding == "same":
            both = [(n // 2, n - n // 2) for n in (span - 1 for span in spans(self.kernel_size, self.dilation))]
        else:
            both = [(n, n) for n in per_axis("padding", self.padding, self.axes)]
        return tuple(n for pair in reversed(both) for n in pair)

    def options(self) -> str:
        return written(
            self.in_channels,
            self.out_channels,
            self.kernel_size,
            stride=(self.stride, 1),
            padding=(self.padding, 0),
            dilation=(self.dilation, 1),
            groups=(self.groups, 1),
            bias=(self.bias is not None, True),
            padding_mode=(self.padding_mode, "zeros"),
        )


class Conv1d(Conv):
    """Convolution over one axis; see `Conv`.

    >>> from chainrule.random import normal
    >>> Conv1d(4, 8, 3)(normal((16, 4, 20))).shape
    (16, 8, 18)
    """

    axes = 1


class Conv2d(Conv):
    """Convolution over the height and width of images; see `Conv`.

    >>> from chainrule.random import normal
    >>> Conv2d(3, 8, 3, stride=2, padding=1)(normal((16, 3, 32, 32))).shape
    (16, 8, 16, 16)
    >>> Conv2d(8, 8, 3, padding="same", groups=8, bias=False)
    Conv2d(8, 8, 3, padding='same', groups=8, bias=False)  72 parameters
    """

    axes = 2


class Conv3d(Conv):
    """Convolution over three axes, such as those of films or volumes; see `Conv`.

    >>> from chainrule.random import normal
    >>> Conv3d(1, 4, (1, 3, 3))(normal((2, 1, 5, 8, 8))).shape
    (2, 4, 5, 6, 6)
    """

    axes = 3


class ConvTranspose(_Convolution):
    """Transposed convolution with a bias for each channel; subclasses say over how many axes.

        out[b, o, p * stride + k * dilation - padding] += x[b, c, p] weight[c, o, k], for every b, c, o, p, k

    from the bias on: what a convolution with the same arguments does to its gradient. Zeiler et al., "Deconvolutional
    networks" (2010); Dumoulin & Visin, "A guide to convolution arithmetic for deep learning" (2016), ch. 4.

    Args:
        in_channels: channels of the input.
        out_channels: channels of the output.
        kernel_size: size of the kernels, for each axis or for all.
        stride: distance between the places that neighbouring inputs go to, for each axis or for all.
        padding: elements to leave out at both ends of each axis of the result.
        output_padding: elements to add at the high end of each axis, less than the stride.
        groups: into how many groups channels are split.
        bias: whether there is a bias.
        dilation: distance between neighbouring elements of the kernel, for each axis or for all.
        padding_mode: only "zeros".
        dtype: data type of the parameters.
        initializer: makes the weight, one of `nn.initializers`. By default both weight and bias are uniform in
            ±1/sqrt(out_channels / groups * kernel's size), which is PyTorch's default.

    Parameters: `weight` [in_channels, out_channels / groups, *kernel_size], `bias` [out_channels].
    Shapes: [batch, in_channels, *sizes] to [batch, out_channels, *larger], with sizes
    (size - 1) stride - 2 padding + dilation (kernel_size - 1) + output_padding + 1; or the same without the batch axis.

    Raises `DefinitionError` for numbers that are too small or do not fit each other, `ShapeError` for an input of other
    axes or channels.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: PerAxis,
        stride: PerAxis = 1,
        padding: PerAxis = 0,
        output_padding: PerAxis = 0,
        groups: int = 1,
        bias: bool = True,
        dilation: PerAxis = 1,
        padding_mode: Literal["zeros"] = "zeros",
        *,
        dtype: DTypeLike = float32,
        initializer: Callable[..., Tensor] | None = None,
    ) -> None:
        self._prepare(in_channels, out_channels, kernel_size, stride, dilation, groups)
        if padding_mode != "zeros":  # pyright: ignore[reportUnnecessaryComparison]
            raise DefinitionError(f"{type(self).__name__}: padding_mode can only be 'zeros', not {padding_mode!r}")
        self.padding = wholes("padding", padding, self.axes, 0)
        self.output_padding = wholes("output_padding", output_padding, self.axes, 0)
        self._make_parameters((in_channels, out_channels // groups), bias, dtype, initializer)

    def forward(self, x: TensorLike, output_size: Sequence[int] | None = None) -> Tensor:
        """x, enlarged.

        Args:
            x: the input.
            output_size: sizes of the result, with or without those of the batch and channel axes, in place of
                `output_padding`: several sizes of input give a convolution's output the same size.

        Raises `ShapeError` for sizes that cannot be.
        """
        return batched(self.describe(), x, self.axes, lambda x: self._enlarged(x, output_size))

    def _enlarged(self, x: Tensor, output_size: Sequence[int] | None) -> Tensor:
        self._check(x)
        out = ops.conv_transpose(
            x,
            self.weight,
            stride=self.stride,
            padding=self.padding,
            output_padding=self.output_padding if output_size is None else self._missing(x, tuple(output_size)),
            dilation=self.dilation,
            groups=self.groups,
        )
        return self._finish(out)

    def _missing(self, x: Tensor, output_size: Shape) -> Shape:
        """The output padding that gives an output size."""
        wanted = output_size[-self.axes :]
        reach = spans(self.kernel_size, self.dilation)
        parts = zip(x.shape[2:], self.stride, self.padding, reach, strict=True)
        least = [(n - 1) * step - 2 * low + span for n, step, low, span in parts]
        most = [n + step - 1 for n, step in zip(least, self.stride, strict=True)]
        if not self.axes <= len(output_size) <= self.axes + 2 or any(
            not low <= n <= high for low, n, high in zip(least, wanted, most, strict=True)
        ):
            raise ShapeError(
                f"{self.describe()}: output_size {list(output_size)} must be from {least} to {most} for {x.type}"
            )
        return tuple(n - low for n, low in zip(wanted, least, strict=True))

    def options(self) -> str:
        return written(
            self.in_channels,
            self.out_channels,
            self.kernel_size,
            stride=(self.stride, 1),
            padding=(self.padding, 0),
            output_padding=(self.output_padding, 0),
            groups=(self.groups, 1),
            bias=(self.bias is not None, True),
            dilation=(self.dilation, 1),
        )


class ConvTranspose1d(ConvTranspose):
    """Transposed convolution over one axis; see `ConvTranspose`.

    >>> from chainrule.random import normal
    >>> ConvTranspose1d(4, 8, 3, stride=2)(normal((16, 4, 20))).shape
    (16, 8, 41)
    """

    axes = 1


class ConvTranspose2d(ConvTranspose):
    """Transposed convolution over height and width; see `ConvTranspose`.

    >>> from chainrule.random import normal
    >>> layer = ConvTranspose2d(8, 3, 3, stride=2, padding=1)
    >>> layer(normal((16, 8, 16, 16))).shape, layer(normal((16, 8, 16, 16)), output_size=(32, 32)).shape
    ((16, 3, 31, 31), (16, 3, 32, 32))
    """

    axes = 2


class ConvTranspose3d(ConvTranspose):
    """Transposed convolution over three axes; see `ConvTranspose`.

    >>> from chainrule.random import normal
    >>> ConvTranspose3d(4, 1, 2, stride=2)(normal((2, 4, 3, 4, 4))).shape
    (2, 1, 6, 8, 8)
    """

    axes = 3
