"""Networks for images that cost little: convolutions within channels, and of 1 x 1 between them.

Sandler, Howard, Zhu, Zhmoginov & Chen, "MobileNetV2: inverted residuals and linear bottlenecks", CVPR 2018. Parameters
have the names that torchvision gives them.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from chainrule import ops
from chainrule.errors import DefinitionError, ShapeError
from chainrule.nn.batch_normalization import BatchNorm2d
from chainrule.nn.checks import number, whole
from chainrule.nn.containers import Sequential
from chainrule.nn.convolution import Conv2d
from chainrule.nn.dropout import Dropout
from chainrule.nn.initializers import normal, zeros
from chainrule.nn.linear import Linear
from chainrule.nn.models.resnet import by_outputs
from chainrule.nn.module import Module, Parameter
from chainrule.nn.piecewise import ReLU6
from chainrule.random import Generator
from chainrule.tensor import Tensor, TensorLike, as_tensor
from chainrule.types import DTypeLike, float32

SETTING = (
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)
"""Table 2 of the paper: expansion, channels, number of blocks, and stride of the first of them."""


def rounded_channels(channels: float, divisor: int = 8) -> int:
    """The multiple of the divisor that is nearest, but at least the divisor and at least 90 % of the number.

    >>> rounded_channels(24.0), rounded_channels(22.4), rounded_channels(11.2)
    (24, 24, 16)
    """
    found = max(divisor, int(channels + divisor / 2) // divisor * divisor)
    return found + divisor if found < 0.9 * channels else found


class ConvNormActivation(Sequential):
    """relu6(norm(conv(x))), with padding such that a stride of 1 leaves the size as it is."""

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel_size: int = 3,
        stride: int = 1,
        groups: int = 1,
        *,
        dtype: DTypeLike = float32,
        generator: Generator | None = None,
    ) -> None:
        draw = partial(by_outputs, generator=generator)
        padding = (kernel_size - 1) // 2
        conv = Conv2d(
            inputs, outputs, kernel_size, stride, padding, 1, groups, bias=False, dtype=dtype, initializer=draw
        )
        super().__init__(conv, BatchNorm2d(outputs, dtype=dtype), ReLU6())


class InvertedResidual(Module):
    """To many channels by 1 x 1, a convolution of 3 x 3 within each, back to few by 1 x 1 without activation.

    x is added where it has the shape of the result. "Inverted", since the shortcut joins the narrow ends.

    Args:
        inputs: channels of x.
        outputs: channels of the result.
        stride: of the convolution within channels: 1 or 2.
        expand_ratio: how many times as many channels as x has are in the middle; with 1, the first step is left out.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        stride: int,
        expand_ratio: int,
        *,
        dtype: DTypeLike = float32,
        generator: Generator | None = None,
    ) -> None:
        if stride not in (1, 2):
            raise DefinitionError(f"InvertedResidual: stride must be 1 or 2, not {stride!r}")
        block = partial(ConvNormActivation, dtype=dtype, generator=generator)
        draw = partial(by_outputs, generator=generator)
        hidden = inputs * whole("expand_ratio", expand_ratio)
        self.conv = Sequential(
            *([] if expand_ratio == 1 else [block(inputs, hidden, 1)]),
            block(hidden, hidden, 3, stride, hidden),
            Conv2d(hidden, outputs, 1, bias=False, dtype=dtype, initializer=draw),
            BatchNorm2d(outputs, dtype=dtype),
        )
        self.adds_input = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        """For x [batch, inputs, height, width]."""
        return x + self.conv(x) if self.adds_input else self.conv(x)


class MobileNetV2(Module):
    """A convolution of 3 x 3 with stride 2, inverted residuals, a convolution of 1 x 1, the mean over space, a head.

    Args:
        num_classes: size of the output.
        width_mult: by which all numbers of channels are multiplied, but that before the head only if it is above 1.
        inverted_residual_setting: expansion, channels, number of blocks and stride of the first, for each group of
            blocks; by default those of the paper, `SETTING`.
        round_nearest: numbers of channels are multiples of it.
        dropout: probability before the head.
        in_channels: of the images.
        dtype: data type of the parameters.
        generator: draws the first weights, see `by_outputs`, normal with standard deviation 0.01 for the head; and what
            is dropped.

    Parameters: 3,504,872 for a thousand classes; 1,968,680 with a width of 0.5, 6,108,776 with 1.4.
    Shapes: [batch, in_channels, height, width] to [batch, num_classes]; the paper's images are 224 x 224.

    Raises `DefinitionError` for a setting that cannot be, `ShapeError` for an input that is no batch of images.

    >>> model = MobileNetV2(10, inverted_residual_setting=[(1, 16, 1, 1), (6, 24, 2, 2)])
    >>> model(ops.zeros((2, 3, 32, 32))).shape
    (2, 10)
    """

    def __init__(
        self,
        num_classes: int = 1000,
        width_mult: float = 1.0,
        inverted_residual_setting: Sequence[Sequence[int]] | None = None,
        round_nearest: int = 8,
        dropout: float = 0.2,
        *,
        in_channels: int = 3,
        dtype: DTypeLike = float32,
        generator: Generator | None = None,
    ) -> None:
        setting = SETTING if inverted_residual_setting is None else inverted_residual_setting
        if not setting or any(len(group) != 4 for group in setting):
            raise DefinitionError(
                "MobileNetV2: expansion, channels, number and stride are needed for each group of blocks, "
                f"such as [(1, 16, 1, 1), (6, 24, 2, 2)], not {setting!r}"
            )
        self.width_mult = number("width_mult", width_mult, 0.0)
        divisor = whole("round_nearest", round_nearest)
        block = partial(ConvNormActivation, dtype=dtype, generator=generator)
        channels = rounded_channels(32 * width_mult, divisor)
        features: list[Module] = [block(whole("in_channels", in_channels), channels, 3, 2)]
        for expansion, width, count, stride in setting:
            outputs = rounded_channels(whole("channels", width) * width_mult, divisor)
            for i in range(whole("number", count)):
                once = stride if i == 0 else 1
                features.append(InvertedResidual(channels, outputs, once, expansion, dtype=dtype, generator=generator))
                channels = outputs
        last = rounded_channels(1280 * max(1.0, width_mult), divisor)
        self.features = Sequential(*features, block(channels, last, 1))
        draw = partial(normal, std=0.01, generator=generator)
        head = Linear(last, whole("num_classes", num_classes), dtype=dtype, initializer=draw)
        head.bias = Parameter(zeros((num_classes,), dtype=dtype), name="bias")
        self.classifier = Sequential(Dropout(dropout, generator=generator), head)

    def forward(self, x: TensorLike) -> Tensor:
        """Logits of the classes."""
        x = as_tensor(x)
        if x.ndim != 4:
            raise ShapeError(f"MobileNetV2: images [batch, channels, height, width] are needed, not {x.type}")
        return self.classifier(ops.mean(self.features(x), (2, 3)))

    def options(self) -> str:
        return f"width_mult={self.width_mult:g}"
