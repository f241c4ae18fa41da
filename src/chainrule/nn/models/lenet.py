"""The network that read digits on cheques: convolutions, pooling, and three layers on top.

LeCun, Bottou, Bengio & Haffner, "Gradient-based learning applied to document recognition", Proceedings of the IEEE 86
(1998), section II B.
"""

from __future__ import annotations

from chainrule import ops
from chainrule.errors import ShapeError
from chainrule.nn.checks import whole
from chainrule.nn.convolution import Conv2d
from chainrule.nn.linear import Linear
from chainrule.nn.module import Module
from chainrule.tensor import Tensor, TensorLike, as_tensor
from chainrule.types import DTypeLike, float32


class LeNet5(Module):
    """LeNet-5: two convolutions of 5 x 5, each followed by pooling of 2 x 2, and three linear layers.

        image 32 x 32 -> 6 maps 28 x 28 -> 14 x 14 -> 16 maps 10 x 10 -> 5 x 5 -> 120 -> 84 -> classes

    Args:
        num_classes: size of the output.
        in_channels: of the images.
        modern: ReLU and max pooling, as one would write it today; else 1.7159 tanh(2 x / 3), as in the paper's
            appendix, and the mean of each window.
        dtype: data type of the parameters.

    Three things differ from the paper, as they do wherever LeNet-5 is built now: every map of the second convolution
    sees all maps of the first, pooling has no parameters, and the last layer is linear, for `losses.cross_entropy`.

    Parameters: 61,706 for ten classes and one channel.
    Shapes: [batch, in_channels, 32, 32] to [batch, num_classes]; images of 28 x 28 get a margin of zeros.

    Raises `ShapeError` for images of another size.

    >>> model = LeNet5()
    >>> model(ops.zeros((2, 1, 28, 28))).shape, sum(x.size for x in model.parameters())
    ((2, 10), 61706)
    """

    def __init__(
        self, num_classes: int = 10, in_channels: int = 1, modern: bool = True, *, dtype: DTypeLike = float32
    ) -> None:
        self.modern = modern
        self.conv1 = Conv2d(in_channels, 6, 5, dtype=dtype)
        self.conv2 = Conv2d(6, 16, 5, dtype=dtype)
        self.fc1 = Linear(16 * 5 * 5, 120, dtype=dtype)
        self.fc2 = Linear(120, 84, dtype=dtype)
        self.fc3 = Linear(84, whole("num_classes", num_classes), dtype=dtype)

    def forward(self, x: TensorLike) -> Tensor:
        """Logits of the classes."""
        x = as_tensor(x)
        if x.ndim != 4 or x.shape[2:] not in ((28, 28), (32, 32)):
            raise ShapeError(f"LeNet5: images [batch, channels, 32, 32] or 28 x 28 are needed, not {x.type}")
        if x.shape[2] == 28:
            x = ops.pad(x, ((0, 0), (0, 0), (2, 2), (2, 2)))
        pool = ops.max_pool if self.modern else ops.avg_pool
        x = pool(self._activation(self.conv1(x)), 2)
        x = pool(self._activation(self.conv2(x)), 2)
        x = self._activation(self.fc1(x.flatten(1)))
        return self.fc3(self._activation(self.fc2(x)))

    def _activation(self, x: Tensor) -> Tensor:
        return ops.relu(x) if self.modern else 1.7159 * ops.tanh(x * (2.0 / 3.0))

    def options(self) -> str:
        return f"{self.fc3.out_features}, {self.conv1.in_channels}" + ("" if self.modern else ", modern=False")
