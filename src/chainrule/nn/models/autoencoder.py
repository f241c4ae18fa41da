"""A network that learns to write down little about an input, and to restore the input from it.

Hinton & Salakhutdinov, "Reducing the dimensionality of data with neural networks", Science 313 (2006).
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from chainrule.nn.activations import ReLU
from chainrule.nn.checks import whole
from chainrule.nn.containers import Sequential
from chainrule.nn.linear import Linear
from chainrule.nn.module import Module
from chainrule.tensor import Tensor, TensorLike
from chainrule.types import DTypeLike, float32


def layers(sizes: Sequence[int], activation: type[Module] = ReLU, *, dtype: DTypeLike = float32) -> Sequential:
    """Linear layers from each of the sizes to the next, with an activation between them."""
    found: list[Module] = []
    for n, m in pairwise(sizes):
        found += [*([activation()] if found else []), Linear(n, m, dtype=dtype)]
    return Sequential(*found)


class Autoencoder(Module):
    """y = decoder(encoder(x)): linear layers with ReLU between them, down to a narrow code and up again.

    Args:
        features: size of the input.
        widths: sizes of the layers on the way down; those on the way up are the same in reverse.
        latent: size of the code.
        dtype: data type of the parameters.

    Neither the code nor the result passes an activation: train it with `losses.mse`, the target being the input. The
    paper has sigmoids and trains layer by layer first; with ReLU that is not needed.

    Parameters: 2,837,314 with the paper's sizes for images of 28 x 28, which are the defaults.
    Shapes: [..., features] to the same.

    Raises `DefinitionError` for sizes below 1, `ShapeError` for an input of another size.

    >>> from chainrule.ops import zeros
    >>> model = Autoencoder(8, widths=[6], latent=2)
    >>> x = zeros((5, 8))
    >>> model.encode(x).shape, model(x).shape
    ((5, 2), (5, 8))
    """

    def __init__(
        self,
        features: int = 784,
        widths: Sequence[int] = (1000, 500, 250),
        latent: int = 30,
        *,
        dtype: DTypeLike = float32,
    ) -> None:
        sizes = [whole("features", features), *(whole("widths", n) for n in widths), whole("latent", latent)]
        self.encoder = layers(sizes, dtype=dtype)
        self.decoder = layers(sizes[::-1], dtype=dtype)

    def encode(self, x: TensorLike) -> Tensor:
        """The code [..., latent]."""
        return self.encoder(x)

    def decode(self, code: TensorLike) -> Tensor:
        """The input [..., features] that a code stands for."""
        return self.decoder(code)

    def forward(self, x: TensorLike) -> Tensor:
        """x, restored from its code."""
        return self.decode(self.encode(x))
