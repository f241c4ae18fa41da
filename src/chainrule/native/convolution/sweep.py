"""What is to be computed: a kernel that is swept over images.

    y[b, o, q * step + start] = sum over taps and c of  x[b, c, q * stride + offset(tap)]  w[o, c, kernel(tap)]

A convolution is one phase of this, with a step of 1 and a tap for each element of the kernel. Its derivative by the
image has a phase for each remainder of places by the stride: these meet the same elements of the kernel, and none in
between, so that nothing is multiplied by zeros.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

from chainrule.native.operand import Strided
from chainrule.types import DType, Shape

Padding = Sequence[tuple[int, int]]


@dataclass(frozen=True)
class Tap:
    """An element of the kernel: how far from q * stride it looks, and which one it is."""

    offset: Shape
    kernel: Shape


@dataclass(frozen=True)
class Phase:
    """Places of the result that meet the same taps: `start`, `start` + step, ... along each axis, `count` of them."""

    start: Shape
    count: Shape
    taps: tuple[Tap, ...]


@dataclass(frozen=True)
class Sweep:
    """A kernel that is swept over images.

    Attributes:
        dtype: of all three tensors.
        batch: how many images there are.
        groups: into how many groups channels are split.
        summed, made: channels of a group of the image, which are summed over, and of the result.
        sizes, results: sizes of the images and of the results in space: two axes at least.
        stride, step: how far neighbouring q are apart in the image, and in the result.
        phases: what is computed where.
        x: strides of the images, in elements: of images, channels, and each axis.
        w: strides of the kernels: of groups, made channels, summed channels, and each axis.
        y: strides of the results: of images, channels, and each axis.
    """

    dtype: DType
    batch: int
    groups: int
    summed: int
    made: int
    sizes: Shape
    results: Shape
    stride: Shape
    step: Shape
    phases: tuple[Phase, ...]
    x: tuple[int, ...]
    w: tuple[int, ...]
    y: tuple[int, ...]

    @property
    def is_depthwise(self) -> bool:
        """Whether each channel has a kernel of its own, so that lanes are groups."""
        return self.groups > 1 and self.summed == self.made == 1

    @property
    def sets(self) -> int:
        """How many sets of channels are worked on one after the other: groups, unless these are on lanes."""
        return 1 if self.is_depthwise else self.groups

    @property
    def across(self) -> int:
        """Channels of results in a set, side by side."""
        return self.groups if self.is_depthwise else self.made

    @property
    def low(self) -> Shape:
        """The smallest offset along each axis."""
        return tuple(min((t.offset[i] for p in self.phases for t in p.taps), default=0) for i in self._axes)

    @property
    def window(self) -> Shape:
        """How many places of the image one q of all phases can meet along each axis."""
        high = [max((t.offset[i] for p in self.phases for t in p.taps), default=0) for i in self._axes]
        return tuple(h - low + 1 for h, low in zip(high, self.low, strict=True))

    @property
    def count(self) -> Shape:
        """The most q along each axis."""
        return tuple(max(p.count[i] for p in self.phases) for i in self._axes)

    @property
    def spanned(self) -> Shape:
        """How many places of the image all q meet along each axis, with those outside of it."""
        return tuple((n - 1) * s + w for n, s, w in zip(self.count, self.stride, self.window, strict=True))

    @property
    def is_inside(self) -> bool:
        """Whether no tap looks outside of the image."""
        ends = zip(self.low, self.spanned, self.sizes, strict=True)
        return all(low >= 0 and low + n <= size for low, n, size in ends)

    @property
    def _axes(self) -> range:
        return range(len(self.sizes))


def forward(
    x: Strided, w: Strided, y: Strided, dtype: DType, stride: Shape, padding: Padding, dilation: Shape, groups: int
) -> Sweep:
    """A convolution of images x [batch, channels, *sizes] with kernels w [made, summed, *kernel], stored in y."""
    results = y.shape[2:]
    per_axis = [
        [Tap((k * apart - low,), (k,)) for k in range(n)]
        for n, apart, (low, _) in zip(w.shape[2:], dilation, padding, strict=True)
    ]
    phase = Phase((0,) * len(results), results, _grid(per_axis))
    made = w.shape[0] // groups
    ws = (w.strides[0] * made, w.strides[0], w.strides[1], *w.strides[2:])
    found = Sweep(
        dtype, x.shape[0], groups, w.shape[1], made, x.shape[2:], results, stride, (1,) * len(results), (phase,),
        x.strides, ws, y.strides,
    )  # fmt: skip
    return _with_two_axes(found)


def backward(
    y: Strided, w: Strided, x: Strided, dtype: DType, stride: Shape, padding: Padding, dilation: Shape, groups: int,
    size: Shape = (),
) -> Sweep:  # fmt: skip
    """The derivative of a convolution by its images x, of the cotangent y [batch, channels, *places] and the kernels.

    `size` is that of x in space; x says it as well.
    """
    results = x.shape[2:]
    starts = itertools.product(*[range(min(s, n)) for s, n in zip(stride, results, strict=True)])
    phases: list[Phase] = []
    for start in starts:
        per_axis = [
            sorted(
                (Tap(((r + low - k * apart) // s,), (k,)) for k in range(n) if (r + low - k * apart) % s == 0),
                key=lambda tap: tap.offset,
            )
            for r, n, s, apart, (low, _) in zip(start, w.shape[2:], stride, dilation, padding, strict=True)
        ]
        count = tuple(-(-(n - r) // s) for n, r, s in zip(results, start, stride, strict=True))
        phases.append(Phase(start, count, _grid(per_axis)))
    summed = w.shape[0] // groups
    ws = (w.strides[0] * summed, w.strides[1], w.strides[0], *w.strides[2:])
    found = Sweep(
        dtype, y.shape[0], groups, summed, w.shape[1], y.shape[2:], results, (1,) * len(results), stride,
        tuple(phases), y.strides, ws, x.strides,
    )  # fmt: skip
    return _with_two_axes(found)


def _grid(per_axis: Sequence[Sequence[Tap]]) -> tuple[Tap, ...]:
    """All combinations, the last axis running fastest."""
    return tuple(
        Tap(tuple(t.offset[0] for t in taps), tuple(t.kernel[0] for t in taps)) for taps in itertools.product(*per_axis)
    )


def _with_two_axes(s: Sweep) -> Sweep:
    """The same with an axis of size one in front, if there is only one."""
    if len(s.sizes) > 1:
        return s
    phases = tuple(
        Phase((0, *p.start), (1, *p.count), tuple(Tap((0, *t.offset), (0, *t.kernel)) for t in p.taps))
        for p in s.phases
    )
    return Sweep(
        s.dtype, s.batch, s.groups, s.summed, s.made, (1, *s.sizes), (1, *s.results), (1, *s.stride), (1, *s.step),
        phases, (*s.x[:2], 0, *s.x[2:]), (*s.w[:3], 0, *s.w[3:]), (*s.y[:2], 0, *s.y[2:]),
    )  # fmt: skip
