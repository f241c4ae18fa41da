"""Images changed at random so that there seem to be more of them.

All take bytes [n, channels, height, width] and a NumPy generator, and return new ones: each image is changed in its
own way, and the generator alone decides how.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]


def flip(x: Pixels, generator: np.random.Generator) -> Pixels:
    """Left and right exchanged, for one image in two."""
    chosen = generator.random(len(x)) < 0.5
    out = x.copy()
    out[chosen] = x[chosen, :, :, ::-1]
    return out


def crop(x: Pixels, generator: np.random.Generator, most: int | None = None) -> Pixels:
    """Moved by up to `most` pixels, by default an eighth of the height; what enters mirrors what is there."""
    height, width = x.shape[2:]
    reach = max(height // 8, 1) if most is None else most
    wide = np.pad(x, ((0, 0), (0, 0), (reach, reach), (reach, reach)), mode="symmetric")
    views = np.lib.stride_tricks.sliding_window_view(wide, (height, width), axis=(2, 3))
    down, right = generator.integers(0, 2 * reach + 1, (2, len(x)))
    return views[np.arange(len(x)), :, down, right]


def colour(x: Pixels, generator: np.random.Generator, strength: float = 0.3) -> Pixels:
    """Brightness, contrast and, where there are colours, saturation times factors from 1 - strength to 1 + strength."""
    n, channels = x.shape[:2]
    flat = x.reshape(n, channels, -1).astype(np.float32)
    factors = generator.uniform(1.0 - strength, 1.0 + strength, (3, n, 1, 1)).astype(np.float32)
    brightness, contrast, saturation = factors
    mean = flat.mean((1, 2), keepdims=True)
    # Away from the mean of the image, and of each pixel: together a product with one small matrix for each image.
    mixing = saturation * np.eye(channels, dtype=np.float32) + (1.0 - saturation) / channels
    out = (brightness * contrast * mixing) @ flat
    out += brightness * (1.0 - contrast) * mean + 0.5
    return np.clip(out, 0, 255, out=out).astype(np.uint8).reshape(x.shape)


def cutout(x: Pixels, generator: np.random.Generator, size: int | None = None) -> Pixels:
    """A square of `size` pixels, by default half the height, becomes the mean colour; part of it may lie outside.

    DeVries & Taylor, "Improved regularization of convolutional neural networks with cutout", 2017.
    """
    height, width = x.shape[2:]
    side = max(height // 2, 1) if size is None else size

    def within(length: int) -> NDArray[np.bool_]:
        start = generator.integers(0, length, (len(x), 1)) - side // 2
        at = np.arange(length)
        return (at >= start) & (at < start + side)

    hole = within(height)[:, None, :, None] & within(width)[:, None, None, :]
    mean = x.mean((0, 2, 3), keepdims=True).astype(np.uint8)
    return np.where(hole, mean, x)


def mixup(
    x: Pixels, y: NDArray[Any], generator: np.random.Generator, alpha: float = 0.2
) -> tuple[Pixels, NDArray[np.float32]]:
    """Each image mixed with another, and their targets, probabilities [n, classes], in the same shares.

    The share is drawn from Beta(alpha, alpha). Zhang, Cisse, Dauphin & Lopez-Paz, "mixup: beyond empirical risk
    minimization", ICLR 2018.
    """
    share = generator.beta(alpha, alpha, len(x)).astype(np.float32)
    other = generator.permutation(len(x))
    wide = share[:, None, None, None]
    mixed = x * wide + x[other] * (1.0 - wide)
    narrow = share[:, None]
    return (mixed + 0.5).astype(np.uint8), (y * narrow + y[other] * (1.0 - narrow)).astype(np.float32)


@dataclass(frozen=True)
class Augment:
    """Some of the changes of this module, in this order: what is done to the minibatches of a training.

    Attributes:
        classes: how many there are.
        flip, crop, colour, cutout, mixup: whether it is done.

    >>> augment = Augment(2, flip=True, mixup=True)
    >>> x, y = augment(np.zeros((4, 1, 8, 8), np.uint8), np.array([0, 1, 1, 0]), np.random.default_rng(0))
    >>> x.shape, y.shape
    ((4, 1, 8, 8), (4, 2))
    """

    classes: int
    flip: bool = False
    crop: bool = False
    colour: bool = False
    cutout: bool = False
    mixup: bool = False

    def __call__(self, x: Pixels, y: NDArray[Any], generator: np.random.Generator) -> tuple[Pixels, NDArray[Any]]:
        """Images and classes [n]; after mixup, targets are probabilities [n, classes]."""
        for wanted, change in ((self.flip, flip), (self.crop, crop), (self.colour, colour), (self.cutout, cutout)):
            if wanted:
                x = change(x, generator)
        if self.mixup:
            return mixup(x, np.eye(self.classes, dtype=np.float32)[y], generator)
        return x, y

    def __bool__(self) -> bool:
        return self.flip or self.crop or self.colour or self.cutout or self.mixup
