"""Residual networks: layers that learn what to add to their input.

He, Zhang, Ren & Sun, "Deep residual learning for image recognition", CVPR 2016. Two families: one for small images of
about 32 pixels, and one for images of about 224, whose parameters have the names that torchvision gives them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from math import prod, sqrt

from chainrule import ops
from chainrule.errors import DefinitionError, ShapeError
from chainrule.nn.batch_normalization import BatchNorm2d
from chainrule.nn.checks import whole
from chainrule.nn.containers import Sequential
from chainrule.nn.convolution import Conv2d
from chainrule.nn.initializers import normal, uniform
from chainrule.nn.linear import Linear
from chainrule.nn.module import Module
from chainrule.random import Generator
from chainrule.tensor import Tensor, TensorLike, as_tensor
from chainrule.types import DTypeLike, float32


def by_outputs(shape: Sequence[int], *, generator: Generator | None = None, dtype: DTypeLike = float32) -> Tensor:
    """Normal with variance 2 / (out_channels x kernel), which keeps the size of gradients (He et al., ICCV 2015)."""
    return normal(shape, std=sqrt(2.0 / (shape[0] * prod(shape[2:]))), generator=generator, dtype=dtype)


class BasicBlock(Module):
    """relu(x + norm(conv(relu(norm(conv(x)))))), both with kernels of 3 x 3.

    Args:
        inputs: channels of x.
        planes: channels of the result.
        stride: of the first convolution.
        downsample: what x passes through where it has another shape than the result.
        initializer: makes the weights of the convolutions.
    """

    expansion = 1

    def __init__(
        self,
        inputs: int,
        planes: int,
        stride: int = 1,
        downsample: Module | None = None,
        *,
        initializer: Callable[..., Tensor] = by_outputs,
    ) -> None:
        conv = partial(Conv2d, bias=False, initializer=initializer)
        self.conv1 = conv(inputs, planes, 3, stride, 1)
        self.bn1 = BatchNorm2d(planes)
        self.conv2 = conv(planes, planes, 3, 1, 1)
        self.bn2 = BatchNorm2d(planes)
        self.downsample = downsample

    def forward(self, x: Tensor) -> Tensor:
        """For x [batch, inputs, height, width]."""
        out = ops.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        return ops.relu(out + (x if self.downsample is None else self.downsample(x)))


class Bottleneck(Module):
    """Convolutions of 1 x 1 to few channels, of 3 x 3, and of 1 x 1 to four times as many, added to x.

    The one in the middle has the stride, as in torchvision, not the first as in the paper.
    """

    expansion = 4

    def __init__(
        self,
        inputs: int,
        planes: int,
        stride: int = 1,
        downsample: Module | None = None,
        *,
        initializer: Callable[..., Tensor] = by_outputs,
    ) -> None:
        conv = partial(Conv2d, bias=False, initializer=initializer)
        self.conv1 = conv(inputs, planes, 1)
        self.bn1 = BatchNorm2d(planes)
        self.conv2 = conv(planes, planes, 3, stride, 1)
        self.bn2 = BatchNorm2d(planes)
        self.conv3 = conv(planes, 4 * planes, 1)
        self.bn3 = BatchNorm2d(4 * planes)
        self.downsample = downsample

    def forward(self, x: Tensor) -> Tensor:
        """For x [batch, inputs, height, width]."""
        out = ops.relu(self.bn1(self.conv1(x)))
        out = ops.relu(self.bn2(self.conv2(out)))
        out = self.bn3(self.conv3(out))
        return ops.relu(out + (x if self.downsample is None else self.downsample(x)))


class Shortcut(Module):
    """Every second row and column, and channels of zeros: a shortcut without parameters, option A of the paper."""

    def __init__(self, more: int) -> None:
        self.more = more

    def forward(self, x: Tensor) -> Tensor:
        """For x [batch, channels, height, width]."""
        return ops.pad(x[:, :, ::2, ::2], ((0, 0), (self.more // 2, self.more - self.more // 2), (0, 0), (0, 0)))


class ResNet(Module):
    """A residual network for images of about 224 pixels.

    A convolution of 7 x 7 and max pooling, each with stride 2; four stages of blocks, all but the first of which begin
    with stride 2; the mean over space; a linear layer.

    Args:
        block: `BasicBlock` or `Bottleneck`.
        layers: number of blocks in each of the four stages.
        num_classes: size of the output.
        in_channels: of the images.
        generator: draws the first weights: see `by_outputs`; the last layer starts as `nn.Linear`.

    Shapes: [batch, in_channels, height, width] to [batch, num_classes].

    >>> ResNet(BasicBlock, [1, 1, 1, 1], num_classes=10)(ops.zeros((2, 3, 32, 32))).shape
    (2, 10)
    """

    def __init__(
        self,
        block: type[BasicBlock] | type[Bottleneck],
        layers: Sequence[int],
        num_classes: int = 1000,
        in_channels: int = 3,
        *,
        generator: Generator | None = None,
    ) -> None:
        draw = partial(by_outputs, generator=generator)
        self.conv1 = Conv2d(whole("in_channels", in_channels), 64, 7, 2, 3, bias=False, initializer=draw)
        self.bn1 = BatchNorm2d(64)
        self.layer1 = _stage(block, 64, 64, layers[0], 1, draw)
        self.layer2 = _stage(block, 64 * block.expansion, 128, layers[1], 2, draw)
        self.layer3 = _stage(block, 128 * block.expansion, 256, layers[2], 2, draw)
        self.layer4 = _stage(block, 256 * block.expansion, 512, layers[3], 2, draw)
        self.fc = _head(512 * block.expansion, num_classes, generator)

    def forward(self, x: TensorLike) -> Tensor:
        """Logits of the classes."""
        x = ops.relu(self.bn1(self.conv1(as_tensor(x))))
        x = ops.max_pool(x, 3, stride=2, padding=1)
        for stage in (self.layer1, self.layer2, self.layer3, self.layer4):
            x = stage(x)
        return self.fc(ops.mean(x, (2, 3)))


def _stage(
    block: type[BasicBlock] | type[Bottleneck],
    inputs: int,
    planes: int,
    count: int,
    stride: int,
    draw: Callable[..., Tensor],
) -> Sequential:
    outputs = planes * block.expansion
    downsample = None
    if stride != 1 or inputs != outputs:
        conv = Conv2d(inputs, outputs, 1, stride, bias=False, initializer=draw)
        downsample = Sequential(conv, BatchNorm2d(outputs))
    first = block(inputs, planes, stride, downsample, initializer=draw)
    return Sequential(first, *(block(outputs, planes, initializer=draw) for _ in range(count - 1)))


def _head(inputs: int, num_classes: int, generator: Generator | None) -> Linear:
    """A linear layer that starts as all do, but from a generator."""
    head, bound = Linear(inputs, whole("num_classes", num_classes)), 1.0 / sqrt(inputs)
    for x in head.parameters():
        x.assign(uniform(x.shape, -bound, bound, generator=generator))
    return head


class SmallResNet(Module):
    """A residual network for images of about 32 pixels, as the paper has it for CIFAR-10.

    A convolution of 3 x 3; three stages of (depth - 2) / 6 blocks with `width`, 2 `width` and 4 `width` channels, the
    last two of which begin with stride 2; the mean over space; a linear layer. Shortcuts have no parameters.

    Args:
        depth: number of layers with weights: 20, 32, 44, 56 and so on.
        num_classes: size of the output.
        in_channels: of the images.
        width: channels of the first stage.
        generator: draws the first weights: see `by_outputs`; the last layer starts as `nn.Linear`.

    Shapes: [batch, in_channels, height, width] to [batch, num_classes].

    Raises `DefinitionError` for another depth, `ShapeError` for an input that is no batch of images.

    >>> model = SmallResNet(20)
    >>> model(ops.zeros((2, 3, 32, 32))).shape, sum(x.size for x in model.parameters())
    ((2, 10), 269722)
    """

    def __init__(
        self,
        depth: int = 20,
        num_classes: int = 10,
        in_channels: int = 3,
        width: int = 16,
        *,
        generator: Generator | None = None,
    ) -> None:
        if whole("depth", depth, 8) % 6 != 2:
            raise DefinitionError(f"SmallResNet: the depth must be 6 n + 2, such as 20, 32, 44 or 56, not {depth}")
        count = (depth - 2) // 6
        self.depth = depth
        draw = partial(by_outputs, generator=generator)
        channels = whole("in_channels", in_channels)
        self.conv1 = Conv2d(channels, whole("width", width), 3, 1, 1, bias=False, initializer=draw)
        self.bn1 = BatchNorm2d(width)
        self.layer1 = Sequential(*(BasicBlock(width, width, initializer=draw) for _ in range(count)))
        self.layer2 = _small_stage(width, count, draw)
        self.layer3 = _small_stage(2 * width, count, draw)
        self.fc = _head(4 * width, num_classes, generator)

    def forward(self, x: TensorLike) -> Tensor:
        """Logits of the classes."""
        x = as_tensor(x)
        if x.ndim != 4:
            raise ShapeError(f"SmallResNet: images [batch, channels, height, width] are needed, not {x.type}")
        x = ops.relu(self.bn1(self.conv1(x)))
        x = self.layer3(self.layer2(self.layer1(x)))
        return self.fc(ops.mean(x, (2, 3)))

    def options(self) -> str:
        return f"{self.depth}"


def _small_stage(inputs: int, count: int, draw: Callable[..., Tensor]) -> Sequential:
    first = BasicBlock(inputs, 2 * inputs, 2, Shortcut(inputs), initializer=draw)
    return Sequential(first, *(BasicBlock(2 * inputs, 2 * inputs, initializer=draw) for _ in range(count - 1)))


def resnet18(num_classes: int = 1000, in_channels: int = 3) -> ResNet:
    """`ResNet` with 18 layers: two basic blocks in each stage."""
    return ResNet(BasicBlock, [2, 2, 2, 2], num_classes, in_channels)


def resnet34(num_classes: int = 1000, in_channels: int = 3) -> ResNet:
    """`ResNet` with 34 layers: basic blocks."""
    return ResNet(BasicBlock, [3, 4, 6, 3], num_classes, in_channels)


def resnet50(num_classes: int = 1000, in_channels: int = 3) -> ResNet:
    """`ResNet` with 50 layers: bottlenecks."""
    return ResNet(Bottleneck, [3, 4, 6, 3], num_classes, in_channels)
