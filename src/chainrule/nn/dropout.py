"""Noise against overfitting."""

from __future__ import annotations

from math import sqrt
from typing import ClassVar

from chainrule import ops
from chainrule.errors import ShapeError
from chainrule.nn.checks import number
from chainrule.nn.module import Module
from chainrule.random import Generator, default_generator
from chainrule.tensor import Tensor, TensorLike, as_tensor
from chainrule.types import Shape

_LEAST = -1.7580993408473766
"""What `selu` tends to for small x: minus its scale times its alpha."""


class _Dropout(Module):
    """What all kinds have in common: a probability, and where randomness comes from."""

    def __init__(self, p: float = 0.5, *, generator: Generator | None = None) -> None:
        self.p = number("p", p, 0.0, 1.0)
        self.generator = generator

    def forward(self, x: TensorLike) -> Tensor:
        """x with elements dropped."""
        x = as_tensor(x)
        if not self.training or self.p == 0.0:
            return x
        shape = self._drawn(x)
        if self.p == 1.0:
            return ops.where(False, x, 0.0)
        kept = (self.generator or default_generator()).bernoulli(1.0 - self.p, shape)
        return self._chosen(ops.broadcast_to(kept, x.shape), x)

    def _drawn(self, x: Tensor) -> Shape:
        """The shape of what is drawn."""
        return x.shape

    def _chosen(self, kept: Tensor, x: Tensor) -> Tensor:
        """x where it is kept, and something else elsewhere."""
        return ops.where(kept, x / (1.0 - self.p), 0.0)

    def options(self) -> str:
        return f"{self.p:g}"


class Dropout(_Dropout):
    """In training, each element is zero with probability p, else divided by 1 - p, so that its mean stays the same.

    In evaluation the input passes unchanged. Srivastava, Hinton, Krizhevsky, Sutskever & Salakhutdinov, "Dropout: a
    simple way to prevent neural networks from overfitting", JMLR 15 (2014).

    Args:
        p: the probability, from 0 to 1.
        generator: where randomness comes from; by default the generator that all layers share.

    Raises `DefinitionError` for a probability outside [0, 1].

    >>> Dropout(0.5).eval()([1.0, 2.0])
    tensor([1., 2.], f32[2])
    """


class _ChannelDropout(_Dropout):
    """Whole channels at once. Subclasses say which axes an input can have."""

    layouts: ClassVar[tuple[str, ...]]

    def _drawn(self, x: Tensor) -> Shape:
        for layout in self.layouts:
            if x.ndim == len(layout):
                channels = layout.index("C") + 1
                return (*x.shape[:channels], *(1,) * (x.ndim - channels))
        wanted = " or ".join(f"[{', '.join(layout)}]" for layout in self.layouts)
        raise ShapeError(f"{self.describe()}: an input {wanted} is needed, not {x.type}")


class Dropout1d(_ChannelDropout):
    """`Dropout` of whole channels of [N, C, L] or [C, L]: neighbours are too much alike to be dropped one by one.

    Tompson, Goroshin, Jain, LeCun & Bregler, "Efficient object localization using convolutional networks", CVPR 2015.
    Raises `ShapeError` for an input of other axes.

    >>> Dropout1d(0.5).eval()([[1.0, 2.0]])
    tensor([[1., 2.]], f32[1, 2])
    """

    layouts = ("NCL", "CL")


class Dropout2d(_ChannelDropout):
    """`Dropout` of whole channels of [N, C, H, W] or [N, C, L]; see `Dropout1d`."""

    layouts = ("NCHW", "NCL")


class Dropout3d(_ChannelDropout):
    """`Dropout` of whole channels of [N, C, D, H, W] or [C, D, H, W]; see `Dropout1d`."""

    layouts = ("NCDHW", "CDHW")


class AlphaDropout(_Dropout):
    """`Dropout` for layers of `SELU`: mean 0 and variance 1 stay what they are.

    What is dropped becomes a = -1.758, the least value of `selu`, and all is then scaled and shifted:

        y = s (x or a) + b,   s = 1 / sqrt((1 - p) (1 + p a^2)),   b = -s p a

    Klambauer, Unterthiner, Mayr & Hochreiter, "Self-normalizing neural networks", NIPS 2017. Arguments are those of
    `Dropout`.

    >>> AlphaDropout(0.5).eval()([1.0, 2.0])
    tensor([1., 2.], f32[2])
    """

    def _chosen(self, kept: Tensor, x: Tensor) -> Tensor:
        scale = 1.0 / sqrt((1.0 - self.p) * (1.0 + self.p * _LEAST**2))
        return ops.where(kept, x, _LEAST) * scale - scale * self.p * _LEAST


class FeatureAlphaDropout(AlphaDropout):
    """`AlphaDropout` of whole channels of [N, C, ...].

    Raises `ShapeError` for an input of fewer axes.
    """

    def _drawn(self, x: Tensor) -> Shape:
        if x.ndim < 2:
            raise ShapeError(f"{self.describe()}: an input [N, C, ...] is needed, not {x.type}")
        return (*x.shape[:2], *(1,) * (x.ndim - 2))
