"""Random programs around convolutions: what their kernels take in, and all that reads their results."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from chainrule import ops
from chainrule.apply import apply
from chainrule.graph import Graph, topological
from chainrule.op import REGISTRY
from chainrule.state import Tracing, recording, tracing
from chainrule.tensor import Tensor
from chainrule.types import Array, DType, Shape, TensorType, float32, float64, size_of

WORK = 400_000
"""Products that one convolution may be worth: more would take NumPy too long."""

LARGEST = 20_000
"""Elements of an image."""

Step = Callable[["_Images", Tensor], "Tensor | None"]


def image_program(rng: np.random.Generator) -> tuple[Graph, list[Array]]:
    """A program of convolutions, pooling, statistics, residuals and what is between them, and its inputs."""
    made = _Images(rng)
    for _ in range(int(rng.integers(2, 12))):
        made.step()
    return made.graph(), made.inputs


class _Images:
    """A program in the making: images [batch, channels, *sizes] that there are."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.rng = rng
        self.dtype: DType = float64 if rng.random() < 0.25 else float32
        self.context = Tracing()
        self.parameters: list[Tensor] = []
        self.inputs: list[Array] = []
        self.made: list[Tensor] = []
        self.images: list[Tensor] = []
        axes = int(rng.choice((1, 2, 2, 2, 2, 3)))
        large = rng.random() < 0.5
        self.deep = axes == 2 and rng.random() < 0.2  # many channels, and mostly kernels of 3 by 3 in steps of one
        self.work = WORK * 4 if self.deep else WORK
        most = {1: 40, 2: 15, 3: 6}[axes] if large else 4
        batch = self.pick(1, 2, 3, 5, 8, 17) if large else self.pick(0, 1, 1, 2, 3)
        channels = self.pick(1, 2, 3, 4, 5, 8, 16, 17, 24) if large else self.pick(1, 1, 2, 3, 4)
        sizes = tuple(int(n) for n in rng.integers(1, most + 1, axes))
        if self.deep:
            batch, channels = self.pick(1, 2, 4, 5), self.pick(16, 16, 19, 32)
            sizes = tuple(int(n) for n in rng.integers(1, 10, axes))
        while size_of((batch, channels, *sizes)) > LARGEST:
            sizes = tuple(max(1, n // 2) for n in sizes)
        with tracing(self.context), recording(True):
            if rng.random() < 0.3:  # channels come last
                last = self.new((batch, *sizes, channels))
                self.images.append(ops.permute_dims(last, (0, axes + 1, *range(1, axes + 1))))
            else:
                self.images.append(self.new((batch, channels, *sizes)))

    def pick(self, *choices: int) -> int:
        return int(self.rng.choice(choices))

    def chance(self, probability: float) -> bool:
        return bool(self.rng.random() < probability)

    def new(self, shape: Sequence[int], size: float = 1.0) -> Tensor:
        """A parameter, of numbers of about some size; or one of the same shape that there is."""
        type = TensorType(self.dtype, tuple(shape))
        same = [x for x in self.parameters if x.type == type]
        if same and self.chance(0.3):
            return same[int(self.rng.integers(len(same)))]
        self.parameters.append(Tensor(type, None))
        self.inputs.append((size * self.rng.standard_normal(type.shape)).astype(self.dtype.numpy))
        return self.parameters[-1]

    def step(self) -> None:
        """Add an operation, or a few that go together."""
        x = self.images[int(self.rng.integers(len(self.images), size=3).max())]
        with tracing(self.context), recording(True):
            y = STEPS[int(self.rng.integers(len(STEPS)))](self, x)
        if y is not None and y.size <= LARGEST:
            self.made.append(y)
            if y.ndim == x.ndim:
                self.images.append(y)

    def graph(self) -> Graph:
        """The program whose outputs are what no other reads, and some of what others read."""
        used = {id(x) for node in topological(self.made) for x in node.inputs}
        outputs = [x for x in self.made if id(x) not in used]
        outputs += [x for x in self.made if id(x) in used and self.chance(0.2)]
        reached = {id(x) for x in topological(outputs)}
        kept = [id(x) in reached for x in self.parameters]
        self.inputs = [v for v, keep in zip(self.inputs, kept, strict=True) if keep]
        return Graph(tuple(x for x, keep in zip(self.parameters, kept, strict=True) if keep), tuple(outputs))


def _window(to: _Images, x: Tensor) -> tuple[Shape, dict[str, Any]] | None:
    """A kernel's size and how it is moved, such that a result is left."""
    sizes = x.shape[2:]
    if to.deep and to.chance(0.7):
        padding = ((1, 1), (1, 1)) if min(sizes) < 3 or to.chance(0.7) else ((to.pick(0, 2), 0), (0, to.pick(0, 1)))
        return (3, 3), {"stride": (1, 1), "padding": padding, "dilation": (1, 1)}
    kernel = tuple(to.pick(1, 2, 3, 3, 3, 4, 5) for _ in sizes)
    if to.chance(0.2):
        kernel = tuple(1 for _ in sizes)
    stride = tuple(to.pick(1, 1, 2, 3) for _ in sizes) if to.chance(0.5) else (1,) * len(sizes)
    dilation = tuple(to.pick(1, 2, 3) for _ in sizes) if to.chance(0.2) else (1,) * len(sizes)
    if to.chance(0.5):
        padding = tuple((k // 2 * d, (k - 1) // 2 * d) for k, d in zip(kernel, dilation, strict=True))
    else:
        padding = tuple((to.pick(0, 0, 1, 2), to.pick(0, 0, 1, 4)) for _ in sizes)
    spans = [(k - 1) * d + 1 for k, d in zip(kernel, dilation, strict=True)]
    if any(n + low + high < span for n, (low, high), span in zip(sizes, padding, spans, strict=True)):
        return None
    return kernel, {"stride": stride, "padding": padding, "dilation": dilation}


def _channels(to: _Images, x: Tensor) -> tuple[int, int]:
    """Groups, and channels of a result."""
    channels = x.shape[1]
    if to.deep and to.chance(0.7):
        return 1, to.pick(16, 16, 19, 32)
    fitting = [g for g in range(1, channels + 1) if channels % g == 0]
    groups = channels if to.chance(0.25) else fitting[to.pick(0, 0, 0, *range(len(fitting)))]
    each = 1 if groups == channels and to.chance(0.7) else to.pick(1, 2, 3, 4, 7, 8, 16, 19)
    return groups, groups * each if groups > 1 else each


def _kernels(to: _Images, shape: Shape) -> Tensor:
    """Kernels [made, summed, *sizes], at times computed or seen with their axes in another order."""
    size = 1.0 / max(size_of(shape[1:]), 1) ** 0.5
    if to.chance(0.15):
        order = (*range(2, len(shape)), 1, 0)
        stored = to.new(tuple(shape[a] for a in order), size)
        return ops.permute_dims(stored, tuple(order.index(a) for a in range(len(shape))))
    w = to.new(shape, size)
    return ops.multiply(ops.tanh(w), 1.5) if to.chance(0.1) else w


def _convolution(to: _Images, x: Tensor) -> Tensor | None:
    found = _window(to, x)
    if found is None:
        return None
    (kernel, geometry), (groups, made) = found, _channels(to, x)
    shape = (made, x.shape[1] // groups, *kernel)
    if x.size * size_of(kernel) * made // groups > to.work * 4:
        return None
    y = ops.conv(x, _kernels(to, shape), groups=groups, **geometry)
    if y.size * size_of(shape[1:]) > to.work:
        return None
    return _after(to, y)


def _transposed(to: _Images, x: Tensor) -> Tensor | None:
    sizes = x.shape[2:]
    stride = tuple(to.pick(1, 1, 2, 3) for _ in sizes)
    kernel, dilation = tuple(to.pick(1, 2, 3, 4) for _ in sizes), tuple(to.pick(1, 1, 1, 2) for _ in sizes)
    groups, made = _channels(to, x)
    least = [(n - 1) * s + (k - 1) * d + 1 for n, s, k, d in zip(sizes, stride, kernel, dilation, strict=True)]
    padding = tuple((to.pick(0, 1), to.pick(0, 1)) if n > 2 else (0, 0) for n in least)
    more = tuple(int(to.rng.integers(s)) for s in stride)
    if size_of(least) * x.shape[0] * made * x.shape[1] // groups * size_of(kernel) > to.work * 4:
        return None
    w = _kernels(to, (x.shape[1], made // groups, *kernel))
    y = ops.conv_transpose(x, w, stride=stride, padding=padding, output_padding=more, dilation=dilation, groups=groups)
    return _after(to, y)


def _by_kernels(to: _Images, x: Tensor) -> Tensor | None:
    """The derivative by kernels, of an image and another one; at times the kernels' update."""
    found = _window(to, x)
    if found is None:
        return None
    (kernel, geometry), (groups, made) = found, _channels(to, x)
    w = _kernels(to, (made, x.shape[1] // groups, *kernel))
    y = ops.conv(x, w, groups=groups, **geometry)
    if y.size * size_of(w.shape[1:]) > to.work:
        return None
    ct = ops.multiply(y, 1.0 / max(y.size // made, 1)) if to.chance(0.5) else to.new(y.shape, 0.3)
    gradient = apply(REGISTRY["convolution_weight"], x, ct, groups=groups, kernel=kernel, **geometry)
    return ops.subtract(w, ops.multiply(gradient, 0.1)) if to.chance(0.6) else gradient


def _after(to: _Images, y: Tensor) -> Tensor:
    """Bias, activation, residual: what a convolution's kernel can take in."""
    for _ in range(to.pick(0, 1, 1, 2, 3)):
        found = (_bias, _activation, _residual)[to.pick(0, 1, 2)](to, y)
        if to.chance(0.15):
            to.made.append(y)
        y = y if found is None else found
    return y


def _bias(to: _Images, x: Tensor) -> Tensor:
    """A number for each channel, each image, or each place."""
    batch, channels = ((1, x.shape[1]), (1, x.shape[1]), (x.shape[0], 1), x.shape[:2], (1, 1))[to.pick(0, 1, 2, 3, 4)]
    if to.chance(0.15):
        b = to.new((batch, channels, *x.shape[2:]), 0.5)
    else:
        shape = (channels,) if batch == 1 else (batch, channels)
        b = ops.reshape(to.new(shape, 0.5), (batch, channels, *(1,) * (x.ndim - 2)))
    return x + b if to.chance(0.6) else x * b


def _activation(to: _Images, x: Tensor) -> Tensor:
    return (ops.relu, ops.tanh, ops.sigmoid, lambda v: ops.maximum(v, v * 0.1), lambda v: v * ops.sigmoid(v))[
        to.pick(0, 0, 1, 2, 3, 4)
    ](x)


def _residual(to: _Images, x: Tensor) -> Tensor | None:
    fitting = [y for y in to.images if y.shape == x.shape and y is not x]
    return x + fitting[int(to.rng.integers(len(fitting)))] if fitting else None


def _statistics(to: _Images, x: Tensor) -> Tensor | None:
    """Normalised over batch and places, over places, or over channels; then a scale and a shift."""
    if not x.size:
        return None
    axes = ((0, *range(2, x.ndim)), tuple(range(2, x.ndim)), (1,), tuple(range(1, x.ndim)))[to.pick(0, 0, 0, 1, 2, 3)]
    mean = ops.mean(x, axis=axes, keepdims=True)
    apart = x - mean
    variance = ops.mean(ops.square(apart), axis=axes, keepdims=True)
    if to.chance(0.4):
        old = to.new(mean.shape)
        to.made.append(old * 0.9 + mean * 0.1)  # running statistics
    y = apart * ops.rsqrt(variance + 0.1)
    column = (1, x.shape[1], *(1,) * (x.ndim - 2))
    y = y * ops.reshape(to.new((x.shape[1],)), column) + ops.reshape(to.new((x.shape[1],)), column)
    return ops.relu(y) if to.chance(0.5) else y


def _pooled(to: _Images, x: Tensor) -> Tensor | None:
    sizes = x.shape[2:]
    window = tuple(min(to.pick(1, 2, 2, 3), n) for n in sizes)
    stride = tuple(to.pick(1, 2, n) for n in window)
    padding = tuple((0, 0) if n < 2 or to.chance(0.6) else (to.pick(0, 1), n // 2) for n in window)
    if to.chance(0.5):
        return ops.avg_pool(x, window, stride=stride, padding=padding, count_include_pad=to.chance(0.5))
    if to.chance(0.3):
        values, places = ops.max_pool_with_indices(x, window, stride=stride, padding=padding)
        to.made.append(places)
        return values
    return ops.max_pool(x, window, stride=stride, padding=padding)


def _seen_otherwise(to: _Images, x: Tensor) -> Tensor | None:
    """Flipped, cut, padded, in other axes, joined with another image, or enlarged."""
    which = to.pick(0, 1, 2, 3, 4, 5)
    axis = to.pick(*range(2, x.ndim))
    if which == 0:
        return ops.flip(x, axis)
    if which == 1 and x.shape[axis] > 1:
        return x[(slice(None),) * axis + (slice(to.pick(0, 1), None, to.pick(1, 1, 2)),)]
    if which == 2:
        return ops.pad(x, [(0, 0), (0, 0), *((to.pick(0, 1), to.pick(0, 2)) for _ in x.shape[2:])])
    if which == 3:
        last = ops.permute_dims(x, (0, *range(2, x.ndim), 1))
        last = ops.tanh(last) if to.chance(0.5) else last + to.new((x.shape[1],), 0.5)
        return ops.permute_dims(last, (0, x.ndim - 1, *range(1, x.ndim - 1)))
    if which == 4:
        fitting = [y for y in to.images if y.shape[0] == x.shape[0] and y.shape[2:] == x.shape[2:]]
        both = [x, fitting[int(to.rng.integers(len(fitting)))]]
        return ops.concat(both, axis=1)
    if which == 5 and x.shape[1] > 1:
        half = x.shape[1] // 2
        return x[:, :half] * ops.sigmoid(x[:, -half:])
    return None


def _flattened(to: _Images, x: Tensor) -> Tensor | None:
    """A layer for vectors, of all of an image or of means over its places."""
    if not x.size:
        return None
    rows = ops.mean(x, axis=tuple(range(2, x.ndim))) if to.chance(0.3) else x.reshape((x.shape[0], -1))
    if rows.shape[1] > 2000:
        return None
    wide = to.pick(1, 3, 10, 17)
    y = rows @ to.new((wide, rows.shape[1]), rows.shape[1] ** -0.5).T + to.new((wide,))
    if to.chance(0.3):
        y = y - ops.log(ops.sum(ops.exp(y - ops.max(y, axis=1, keepdims=True)), axis=1, keepdims=True))
    return ops.relu(y) if to.chance(0.3) else y


STEPS: tuple[Step, ...] = (
    *(_convolution,) * 6, *(_transposed,) * 2, _by_kernels, *(_after,) * 2, _bias, _activation, *(_residual,) * 2,
    *(_statistics,) * 2, *(_pooled,) * 2, *(_seen_otherwise,) * 3, _flattened,
)  # fmt: skip
