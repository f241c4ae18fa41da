"""How the derivative of a convolution by its kernels is cut: strips of images, and units of work."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

from chainrule.native.convolution.parts import Parts, evenly
from chainrule.native.target import LINE, whole_lines
from chainrule.types import DType, Shape, TensorType

CHANNELS = 6  # most channels of images in a unit of work
FEW = 3  # channels of images that are too few for a tile
PLACES = 256  # about so many places are in a strip
NEAR = 128  # the same for depthwise work: all taps find them in a core's first cache
WIDEST = 4 * 64  # bytes of the widest row of a tile


@dataclass(frozen=True)
class Geometry:
    """Sizes, with two axes in space at least, and how work is cut by them alone, for any processor."""

    dtype: DType
    batch: int
    groups: int
    depth: int  # channels of images in a group
    made: int  # kernels in a group
    sizes: Shape
    places: Shape
    kernel: Shape
    stride: Shape
    low: Shape
    dilation: Shape

    @property
    def is_depthwise(self) -> bool:
        """Whether each channel has a kernel of its own, so that lanes are groups."""
        return self.groups > 1 and self.depth == self.made == 1

    @property
    def joins(self) -> bool:
        """Whether elements of a row of the kernel are taken together with channels, which alone would be too few rows
        of a tile: as they lie in an image with its channels last, one row's are neighbours.
        """
        return self.groups == 1 and 0 < self.depth <= FEW and self.kernel[-1] > 1 and self.dilation[-1] == 1

    @property
    def sides(self) -> int:
        """Into how many parts the channels of cotangents are cut for units of work: a line of memory each."""
        return -(-self.made * self.dtype.itemsize // LINE) if self.joins else 1

    @property
    def sets(self) -> int:
        """How many sets of channels are worked on one after the other: groups, unless these are on lanes."""
        return 1 if self.is_depthwise else self.groups

    @property
    def across(self) -> int:
        """Channels of cotangents in a set, side by side."""
        return self.groups if self.is_depthwise else self.made

    @property
    def blocks(self) -> Parts:
        """Rows of tiles in a set, cut for units of work: channels of the images, each for a whole row of the kernel if
        that is joined.
        """
        if self.is_depthwise:
            return evenly(self.groups, LINE // self.dtype.itemsize)
        return evenly(self.depth * (self.kernel[-1] if self.joins else 1), CHANNELS)

    @property
    def taps(self) -> Shape:
        """Elements of the kernel, as they are cut for units of work: the last axis may not be."""
        return (*self.kernel[:-1], 1) if self.is_depthwise or self.joins else self.kernel

    @property
    def units(self) -> int:
        """How many units of work there are."""
        return self.sets * self.sides * prod(self.taps) * self.blocks.count

    @property
    def lines(self) -> int:
        """How many places along the first axis a strip has."""
        most = NEAR if self.is_depthwise else PLACES
        return max(1, min(self.places[0], most // max(prod(self.places[1:]), 1)))

    @property
    def images(self) -> int:
        """How many images are in a strip: more than one only if they are whole."""
        whole = self.lines == self.places[0]
        return max(1, min(self.batch, PLACES // max(prod(self.places), 1))) if whole else 1

    @property
    def spanned(self) -> Shape:
        """How many places of the image a strip meets along each axis."""
        counts = (self.lines, *self.places[1:])
        parts = zip(counts, self.stride, self.kernel, self.dilation, strict=True)
        return tuple((n - 1) * s + (k - 1) * apart + 1 for n, s, k, apart in parts)

    @property
    def areas(self) -> tuple[int, int, int]:
        """Bytes for sums, for panels of cotangents, and for a strip of images, for any processor."""
        size = self.dtype.itemsize
        made = self.sets * (self.across * size + WIDEST)
        sums = prod(self.kernel) * self.depth * made
        panels = self.images * self.lines * prod(self.places[1:]) * made
        strip = self.images * prod(self.spanned) * self.groups * self.depth * size + LINE
        return whole_lines(sums), whole_lines(panels), whole_lines(strip)


def geometry(
    x: TensorType, y: TensorType, stride: Shape, padding: Sequence[Sequence[int]], dilation: Shape, groups: int,
    kernel: Shape,
) -> Geometry:  # fmt: skip
    found = Geometry(
        x.dtype, x.shape[0], groups, x.shape[1] // groups, y.shape[1] // groups, x.shape[2:], y.shape[2:], kernel,
        stride, tuple(low for low, _ in padding), dilation,
    )  # fmt: skip
    if x.ndim > 3:
        return found
    return Geometry(
        x.dtype, found.batch, groups, found.depth, found.made, (1, *found.sizes), (1, *found.places), (1, *kernel),
        (1, *stride), (0, *found.low), (1, *dilation),
    )  # fmt: skip
