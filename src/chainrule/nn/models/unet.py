"""A network that gives each pixel of an image a class.

Ronneberger, Fischer & Brox, "U-Net: convolutional networks for biomedical image segmentation", MICCAI 2015.
"""

from __future__ import annotations

from functools import partial

from chainrule import ops
from chainrule.errors import ShapeError
from chainrule.nn.checks import whole
from chainrule.nn.convolution import Conv2d, ConvTranspose2d
from chainrule.nn.dropout import Dropout
from chainrule.nn.initializers import he_normal
from chainrule.nn.module import Module
from chainrule.random import Generator
from chainrule.tensor import Tensor, TensorLike, as_tensor
from chainrule.types import DTypeLike, float32


class DoubleConv(Module):
    """relu(conv(relu(conv(x)))), both with kernels of 3 x 3, which leave the size as it is."""

    def __init__(
        self, inputs: int, outputs: int, *, dtype: DTypeLike = float32, generator: Generator | None = None
    ) -> None:
        draw = partial(he_normal, generator=generator)
        self.conv1 = Conv2d(inputs, outputs, 3, padding=1, dtype=dtype, initializer=draw)
        self.conv2 = Conv2d(outputs, outputs, 3, padding=1, dtype=dtype, initializer=draw)

    def forward(self, x: Tensor) -> Tensor:
        """For x [batch, inputs, height, width]."""
        return ops.relu(self.conv2(ops.relu(self.conv1(x))))


class Up(Module):
    """x at twice the size and half the channels, beside what the way down had at that size; then two convolutions."""

    def __init__(self, inputs: int, *, dtype: DTypeLike = float32, generator: Generator | None = None) -> None:
        self.up = ConvTranspose2d(inputs, inputs // 2, 2, stride=2, dtype=dtype)
        self.conv = DoubleConv(inputs, inputs // 2, dtype=dtype, generator=generator)

    def forward(self, x: Tensor, beside: Tensor) -> Tensor:
        """For x [batch, inputs, height, width] and [batch, inputs / 2, 2 height, 2 width]."""
        return self.conv(ops.concat([beside, self.up(x)], 1))


class UNet(Module):
    """Down by max pooling, up by transposed convolutions, and across, at each size, what the way down has seen.

    Args:
        in_channels: of the images.
        num_classes: number of logits of each pixel; 1 for `losses.binary_cross_entropy_with_logits`.
        width: channels at full size; each halving doubles them.
        depth: how often the size is halved.
        dropout: probability at the end of the way down.
        dtype: data type of the parameters.
        generator: draws the first weights of the convolutions of 3 x 3, He's normal distribution as in the paper, and
            what is dropped.

    Convolutions are padded, so that the result has the size of the image; in the paper it is smaller by a margin.

    Parameters: 31,030,658 with the paper's sizes, which are the defaults; 1,940,834 with a width of 16.
    Shapes: [batch, in_channels, height, width] to [batch, num_classes, height, width].

    Raises `ShapeError` for sizes that cannot be halved so often.

    >>> model = UNet(in_channels=3, num_classes=2, width=4, depth=2)
    >>> model(ops.zeros((1, 3, 16, 24))).shape
    (1, 2, 16, 24)
    """

    def __init__(
        self,
        in_channels: int = 1,
        num_classes: int = 2,
        width: int = 64,
        depth: int = 4,
        dropout: float = 0.0,
        *,
        dtype: DTypeLike = float32,
        generator: Generator | None = None,
    ) -> None:
        widths = [whole("width", width) * 2**i for i in range(whole("depth", depth) + 1)]
        double = partial(DoubleConv, dtype=dtype, generator=generator)
        self.down = [double(n, m) for n, m in zip([in_channels, *widths], widths, strict=False)]
        self.dropout = Dropout(dropout, generator=generator)
        self.up = [Up(n, dtype=dtype, generator=generator) for n in reversed(widths[1:])]
        self.head = Conv2d(width, num_classes, 1, dtype=dtype)

    def forward(self, x: TensorLike) -> Tensor:
        """Logits of the classes of each pixel."""
        x, factor = as_tensor(x), 2 ** len(self.up)
        if x.ndim != 4 or x.shape[2] % factor or x.shape[3] % factor:
            raise ShapeError(
                f"UNet: images whose height and width are multiples of {factor} are needed, not {x.type}; "
                "pad them, or choose a smaller depth"
            )
        seen: list[Tensor] = []
        for block in self.down[:-1]:
            seen.append(block(x))
            x = ops.max_pool(seen[-1], 2)
        x = self.dropout(self.down[-1](x))
        for block in self.up:
            x = block(x, seen.pop())
        return self.head(x)

    def options(self) -> str:
        first = self.down[0].conv1
        return f"{first.in_channels}, {self.head.out_channels}, width={first.out_channels}, depth={len(self.up)}"
