"""A small convolutional network for images.

Simonyan & Zisserman, "Very deep convolutional networks for large-scale image recognition", ICLR 2015; with batch norm
(Ioffe & Szegedy, ICML 2015) and the mean over space before the last layer (Lin, Chen & Yan, "Network in network", ICLR
2014).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from itertools import pairwise
from math import sqrt

from chainrule import ops
from chainrule.errors import DefinitionError, ShapeError
from chainrule.nn.batch_normalization import BatchNorm2d
from chainrule.nn.checks import whole
from chainrule.nn.containers import Sequential
from chainrule.nn.convolution import Conv2d
from chainrule.nn.dropout import Dropout
from chainrule.nn.initializers import he_normal, uniform
from chainrule.nn.linear import Linear
from chainrule.nn.module import Module
from chainrule.random import Generator
from chainrule.tensor import Tensor, TensorLike, as_tensor


class ConvBlock(Module):
    """relu(norm(conv(x))) with kernels of 3 x 3, which leave the size as it is."""

    def __init__(self, inputs: int, outputs: int, *, generator: Generator | None = None) -> None:
        draw = partial(he_normal, generator=generator)
        self.conv = Conv2d(inputs, outputs, 3, padding=1, bias=False, initializer=draw)
        self.norm = BatchNorm2d(outputs)

    def forward(self, x: Tensor) -> Tensor:
        """For x [batch, inputs, height, width]."""
        return ops.relu(self.norm(self.conv(x)))


class ConvNet(Module):
    """Stages of convolutions of 3 x 3 with batch norm and ReLU, each but the last followed by max pooling of 2 x 2.

    After the last stage come the mean over space, dropout and a linear layer.

    Args:
        num_classes: size of the output.
        in_channels: of the images.
        widths: channels of the convolutions of each stage.
        dropout: probability before the last layer.
        generator: draws the first weights, He's normal distribution for convolutions, and what is dropped.

    Shapes: [batch, in_channels, height, width] to [batch, num_classes].

    Raises `DefinitionError` for widths that are none, `ShapeError` for images too small to be halved so often.

    >>> model = ConvNet(10, in_channels=1)
    >>> model(ops.zeros((2, 1, 28, 28))).shape
    (2, 10)
    """

    def __init__(
        self,
        num_classes: int = 10,
        in_channels: int = 3,
        widths: Sequence[Sequence[int]] = ((16, 16), (32, 32), (64, 64)),
        dropout: float = 0.0,
        *,
        generator: Generator | None = None,
    ) -> None:
        if not widths or not all(widths):
            raise DefinitionError(f"ConvNet: widths such as ((16, 16), (32, 32)) are needed, not {widths!r}")
        inputs = whole("in_channels", in_channels)
        self.stages: list[Sequential] = []
        for stage in widths:
            sizes = [inputs, *(whole("widths", width) for width in stage)]
            self.stages.append(Sequential(*(ConvBlock(n, m, generator=generator) for n, m in pairwise(sizes))))
            inputs = sizes[-1]
        self.dropout = Dropout(dropout, generator=generator)
        self.head = Linear(inputs, whole("num_classes", num_classes))
        for x in self.head.parameters():
            x.assign(uniform(x.shape, -1.0 / sqrt(inputs), 1.0 / sqrt(inputs), generator=generator))

    def forward(self, x: TensorLike) -> Tensor:
        """Logits of the classes."""
        x = as_tensor(x)
        halvings = len(self.stages) - 1
        if x.ndim != 4 or min(x.shape[2:]) < 2**halvings:
            raise ShapeError(f"ConvNet: images of at least {2**halvings} pixels are needed, not {x.type}")
        for i, stage in enumerate(self.stages):
            x = stage(ops.max_pool(x, 2) if i else x)
        return self.head(self.dropout(ops.mean(x, (2, 3))))
