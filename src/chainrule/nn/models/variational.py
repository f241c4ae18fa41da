"""A network that learns the distribution of its inputs, and can draw from it.

Kingma & Welling, "Auto-encoding variational Bayes", ICLR 2014.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from chainrule import losses, ops
from chainrule.errors import DefinitionError
from chainrule.nn.activations import Tanh
from chainrule.nn.checks import whole
from chainrule.nn.models.autoencoder import layers
from chainrule.nn.module import Module
from chainrule.random import Generator, normal
from chainrule.tensor import Tensor, TensorLike, as_tensor
from chainrule.types import DTypeLike, float32


class VariationalAutoencoder(Module):
    """An autoencoder whose code is drawn: z = mean + exp(log_variance / 2) noise, with a normal distribution as prior.

        loss = E[-log p(x | z)] + KL(q(z | x) || N(0, 1))
        KL   = 1/2 sum(mean^2 + exp(log_variance) - 1 - log_variance)

    Since the noise does not depend on the weights, gradients pass through z to the encoder: the reparametrisation.

    Args:
        features: size of the input.
        widths: sizes of the layers on the way down; those on the way up are the same in reverse.
        latent: size of the code.
        likelihood: p(x | z): "bernoulli" for features from 0 to 1, of which the decoder makes the logits; "gaussian",
            of variance 1, for real numbers, of which it makes the mean.
        dtype: data type of the parameters.
        generator: draws the noise; by default the generator that all layers share.

    Layers are linear, with tanh between them.

    Parameters: 815,824 with one layer of 500 units and 20 numbers as a code, as in the paper for images of 28 x 28.
    Shapes: [batch, features] to [batch, features], and a mean and a log-variance [batch, latent].

    Raises `DefinitionError` for another likelihood or sizes below 1, `ShapeError` for an input of another size.

    >>> model = VariationalAutoencoder(8, widths=[6], latent=2)
    >>> [y.shape for y in model(ops.zeros((5, 8)))]
    [(5, 8), (5, 2), (5, 2)]
    >>> model.generate(3).shape
    (3, 8)
    """

    def __init__(
        self,
        features: int = 784,
        widths: Sequence[int] = (500,),
        latent: int = 20,
        likelihood: Literal["bernoulli", "gaussian"] = "bernoulli",
        *,
        dtype: DTypeLike = float32,
        generator: Generator | None = None,
    ) -> None:
        if likelihood not in ("bernoulli", "gaussian"):
            raise DefinitionError(f'likelihood must be "bernoulli" or "gaussian", not {likelihood!r}')
        self.likelihood = likelihood
        self.latent = whole("latent", latent)
        self.generator = generator
        sizes = [whole("features", features), *(whole("widths", n) for n in widths)]
        self.encoder = layers([*sizes, 2 * latent], Tanh, dtype=dtype)
        self.decoder = layers([latent, *sizes[::-1]], Tanh, dtype=dtype)

    def encode(self, x: TensorLike) -> tuple[Tensor, Tensor]:
        """Mean and log-variance of the code of x."""
        found = self.encoder(x)
        return found[..., : self.latent], found[..., self.latent :]

    def decode(self, z: TensorLike) -> Tensor:
        """The input that a code stands for: probabilities, or the mean."""
        return self._expected(self.decoder(z))

    def forward(self, x: TensorLike) -> tuple[Tensor, Tensor, Tensor]:
        """What the decoder makes of a code that is drawn, and the code's mean and log-variance."""
        mean, log_variance = self.encode(x)
        noise = normal(mean.shape, dtype=mean.dtype, generator=self.generator)
        return self.decoder(mean + ops.exp(0.5 * log_variance) * noise), mean, log_variance

    def loss(self, x: TensorLike) -> Tensor:
        """The mean over the batch of -log p(x | z) + KL, for one z that is drawn; the Gaussian's constant left out."""
        x = as_tensor(x)
        made, mean, log_variance = self(x)
        if self.likelihood == "bernoulli":
            restored = losses.binary_cross_entropy_with_logits(made, x, reduction="sum")
        else:
            restored = 0.5 * losses.mse(made, x, reduction="sum")
        divergence = 0.5 * (mean**2 + ops.exp(log_variance) - 1.0 - log_variance).sum()
        return (restored + divergence) / x.shape[0]

    def reconstruct(self, x: TensorLike) -> Tensor:
        """x, restored from the mean of its code: probabilities, or the mean."""
        return self.decode(self.encode(x)[0])

    def generate(self, n: int) -> Tensor:
        """n new inputs [n, features], from codes that are drawn from the prior: probabilities, or the mean."""
        like = self.decoder.parameters()[0]
        return self.decode(normal((n, self.latent), dtype=like.dtype, generator=self.generator))

    def _expected(self, made: Tensor) -> Tensor:
        return ops.sigmoid(made) if self.likelihood == "bernoulli" else made

    def options(self) -> str:
        return f"latent={self.latent}, likelihood={self.likelihood!r}"
