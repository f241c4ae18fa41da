"""Layers that change the size of images, or move channels into space and back."""

from __future__ import annotations

from collections.abc import Sequence

from chainrule.errors import DefinitionError
from chainrule.nn.checks import whole, wholes, written
from chainrule.nn.functional.convolution import fold, unfold
from chainrule.nn.functional.resampling import (
    Factor,
    Mode,
    channel_shuffle,
    interpolate,
    pixel_shuffle,
    pixel_unshuffle,
)
from chainrule.nn.module import Module
from chainrule.ops.window import PerAxis
from chainrule.tensor import Tensor, TensorLike


class Upsample(Module):
    """Images of another size; see `nn.functional.interpolate`.

    Args:
        size: the new sizes, for each axis or for all.
        scale_factor: by how much to enlarge, in place of `size`.
        mode: "nearest", "nearest-exact", "linear", "bilinear", "bicubic", "trilinear" or "area".
        align_corners: whether the outermost elements keep their places, in the linear and cubic modes.
        recompute_scale_factor: whether the sizes, rounded down, count rather than the factor.

    Shapes: [batch, channels, *sizes] to [batch, channels, *new sizes].

    Raises `DefinitionError` unless one of size and factor is given, and what `interpolate` raises.

    >>> Upsample(scale_factor=2, mode="bilinear", align_corners=True)([[[[0.0, 3.0]]]])
    tensor([[[[0., 1., 2., 3.],
              [0., 1., 2., 3.]]]], f32[1, 1, 2, 4])
    """

    def __init__(
        self,
        size: PerAxis | None = None,
        scale_factor: Factor | None = None,
        mode: Mode = "nearest",
        align_corners: bool | None = None,
        recompute_scale_factor: bool | None = None,
    ) -> None:
        if (size is None) == (scale_factor is None):
            raise DefinitionError("Upsample: give either size or scale_factor")
        self.size = tuple(size) if isinstance(size, Sequence) else size
        self.scale_factor = tuple(scale_factor) if isinstance(scale_factor, Sequence) else scale_factor
        self.mode: Mode = mode
        self.align_corners = align_corners
        self.recompute_scale_factor = recompute_scale_factor

    def forward(self, x: TensorLike) -> Tensor:
        """x of another size."""
        return interpolate(x, self.size, self.scale_factor, self.mode, self.align_corners, self.recompute_scale_factor)

    def options(self) -> str:
        return written(
            size=(self.size, None),
            scale_factor=(self.scale_factor, None),
            mode=(self.mode, "nearest"),
            align_corners=(self.align_corners, None),
            recompute_scale_factor=(self.recompute_scale_factor, None),
        )


class PixelShuffle(Module):
    """Channels moved into space, [..., C r^2, H, W] to [..., C, H r, W r]; see `nn.functional.pixel_shuffle`.

    >>> PixelShuffle(2)([[[1.0]], [[2.0]], [[3.0]], [[4.0]]])
    tensor([[[1., 2.],
             [3., 4.]]], f32[1, 2, 2])
    """

    def __init__(self, upscale_factor: int) -> None:
        self.upscale_factor = whole("upscale_factor", upscale_factor)

    def forward(self, x: TensorLike) -> Tensor:
        """x with fewer channels and more elements in space."""
        return pixel_shuffle(x, self.upscale_factor)

    def options(self) -> str:
        return str(self.upscale_factor)


class PixelUnshuffle(Module):
    """Space moved into channels, [..., C, H r, W r] to [..., C r^2, H, W]: the inverse of `PixelShuffle`.

    >>> PixelUnshuffle(2)([[[1.0, 2.0], [3.0, 4.0]]]).shape
    (4, 1, 1)
    """

    def __init__(self, downscale_factor: int) -> None:
        self.downscale_factor = whole("downscale_factor", downscale_factor)

    def forward(self, x: TensorLike) -> Tensor:
        """x with more channels and fewer elements in space."""
        return pixel_unshuffle(x, self.downscale_factor)

    def options(self) -> str:
        return str(self.downscale_factor)


class ChannelShuffle(Module):
    """Channels of groups mixed; see `nn.functional.channel_shuffle`.

    >>> ChannelShuffle(2)([[1, 2, 3, 4]])
    tensor([[1, 3, 2, 4]], i64[1, 4])
    """

    def __init__(self, groups: int) -> None:
        self.groups = whole("groups", groups)

    def forward(self, x: TensorLike) -> Tensor:
        """x with its channels in another order."""
        return channel_shuffle(x, self.groups)

    def options(self) -> str:
        return str(self.groups)


class Unfold(Module):
    """The windows of images as the columns of a matrix; see `nn.functional.unfold`.

    Shapes: [batch, channels, height, width] to [batch, channels * kernel, positions].

    >>> Unfold((2, 3))([[[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]]).tolist()
    [[1.0], [2.0], [3.0], [4.0], [5.0], [6.0]]
    """

    def __init__(self, kernel_size: PerAxis, dilation: PerAxis = 1, padding: PerAxis = 0, stride: PerAxis = 1) -> None:
        self.kernel_size = wholes("kernel_size", kernel_size, 2)
        self.dilation = wholes("dilation", dilation, 2)
        self.padding = wholes("padding", padding, 2, 0)
        self.stride = wholes("stride", stride, 2)

    def forward(self, x: TensorLike) -> Tensor:
        """The columns."""
        return unfold(x, self.kernel_size, self.dilation, self.padding, self.stride)

    def options(self) -> str:
        return written(
            self.kernel_size, dilation=(self.dilation, 1), padding=(self.padding, 0), stride=(self.stride, 1)
        )


class Fold(Module):
    """Images from columns of windows, which are added where they overlap; see `nn.functional.fold`.

    Shapes: [batch, channels * kernel, positions] to [batch, channels, *output_size].

    >>> Fold((1, 3), (1, 2))([[1.0, 2.0], [10.0, 20.0]]).tolist()
    [[[1.0, 12.0, 20.0]]]
    """

    def __init__(
        self,
        output_size: PerAxis,
        kernel_size: PerAxis,
        dilation: PerAxis = 1,
        padding: PerAxis = 0,
        stride: PerAxis = 1,
    ) -> None:
        self.output_size = wholes("output_size", output_size, 2)
        self.kernel_size = wholes("kernel_size", kernel_size, 2)
        self.dilation = wholes("dilation", dilation, 2)
        self.padding = wholes("padding", padding, 2, 0)
        self.stride = wholes("stride", stride, 2)

    def forward(self, x: TensorLike) -> Tensor:
        """The images."""
        return fold(x, self.output_size, self.kernel_size, self.dilation, self.padding, self.stride)

    def options(self) -> str:
        return written(
            self.output_size,
            self.kernel_size,
            dilation=(self.dilation, 1),
            padding=(self.padding, 0),
            stride=(self.stride, 1),
        )
