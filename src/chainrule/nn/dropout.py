"""Noise against overfitting."""

from __future__ import annotations

from chainrule import ops
from chainrule.nn.checks import number
from chainrule.nn.module import Module
from chainrule.random import Generator, default_generator
from chainrule.tensor import Tensor, TensorLike, as_tensor


class Dropout(Module):
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

    def __init__(self, p: float = 0.5, *, generator: Generator | None = None) -> None:
        self.p = number("p", p, 0.0, 1.0)
        self.generator = generator

    def forward(self, x: TensorLike) -> Tensor:
        """x with elements dropped."""
        x = as_tensor(x)
        if not self.training or self.p == 0.0:
            return x
        if self.p == 1.0:
            return ops.where(False, x, 0.0)
        kept = (self.generator or default_generator()).bernoulli(1.0 - self.p, x.shape)
        return ops.where(kept, x / (1.0 - self.p), 0.0)

    def options(self) -> str:
        return f"{self.p:g}"
