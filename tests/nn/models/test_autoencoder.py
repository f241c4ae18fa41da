"""Autoencoder, VariationalAutoencoder."""

from __future__ import annotations

import numpy as np
import pytest

from chainrule import losses
from chainrule.errors import DefinitionError
from chainrule.nn.models import Autoencoder, VariationalAutoencoder
from chainrule.random import Generator
from chainrule.tensor import Tensor
from tests.nn.models.learning import check_slope, learn, size

RNG = np.random.default_rng(0)


def hills(n: int = 32) -> tuple[np.ndarray]:
    """Rows [n, 16] that hold one hill each, of any place and height: two numbers say all."""
    place, height = RNG.uniform(3, 12, (n, 1)), RNG.uniform(0.3, 1.0, (n, 1))
    return ((height * np.exp(-0.5 * ((np.arange(16) - place) / 1.5) ** 2)).astype(np.float32),)


def patterns(n: int = 32) -> tuple[np.ndarray]:
    """Rows [n, 12] of zeros and ones: four ones in a row, at any of three places."""
    return (np.repeat(np.eye(3, dtype=np.float32)[RNG.integers(0, 3, n)], 4, axis=1),)


def test_an_autoencoder_learns_to_restore_hills_from_three_numbers() -> None:
    model = Autoencoder(16, [32, 16], 3)
    first, last = learn(model, lambda x: losses.mse(model(x), x), hills, 500, 5e-3)
    assert last < 0.15 * first
    (x,) = hills(64)
    variance = float(((x - x.mean(0)) ** 2).mean())
    assert losses.mse(model(x), x).item() < 0.15 * variance
    assert model.encode(x).shape == (64, 3)


def test_autoencoders_have_the_papers_sizes() -> None:
    model = Autoencoder()
    assert size(model) == 2_837_314
    assert [x.shape[0] for x in model.parameters() if x.ndim == 2] == [1000, 500, 250, 30, 250, 500, 1000, 784]
    assert size(VariationalAutoencoder()) == 815_824
    assert size(VariationalAutoencoder(784, [400], 20)) == 652_824


def test_a_variational_autoencoder_learns_patterns_and_draws_them() -> None:
    model = VariationalAutoencoder(12, [16], 2, generator=Generator(0))
    first, last = learn(model, model.loss, patterns, 400, 1e-2)
    assert last < 3.5 < 8.0 < first  # ln 3 = 1.1 is the least that can be
    drawn = model.generate(200).numpy().reshape(200, 3, 4)
    kinds = drawn.mean(2).argmax(1)
    clear = np.abs(drawn - np.eye(3)[kinds][:, :, None]).max((1, 2)) < 0.5
    assert clear.mean() > 0.7 and set(kinds[clear]) == {0, 1, 2}
    (x,) = patterns()
    np.testing.assert_array_equal(model.reconstruct(x).numpy() > 0.5, x > 0.5)


def test_a_variational_autoencoder_learns_real_numbers() -> None:
    model = VariationalAutoencoder(16, [32], 2, "gaussian", generator=Generator(0))

    def scaled() -> tuple[np.ndarray]:
        return (hills()[0] * 10.0,)

    first, last = learn(model, model.loss, scaled, 500, 5e-3)
    assert last < 0.3 * first
    assert model.generate(3).shape == (3, 16)


def test_the_divergence_is_that_of_two_normal_distributions() -> None:
    model = VariationalAutoencoder(4, [3], 2, "gaussian", dtype="float64")
    for x in model.decoder.parameters():
        x.assign(np.zeros(x.shape))
    x = RNG.normal(size=(5, 4))
    mean, log_variance = (y.numpy() for y in model.encode(x))
    std, grid = np.exp(0.5 * log_variance), np.linspace(-12.0, 12.0, 20_001)
    q = np.exp(-0.5 * ((grid - mean[..., None]) / std[..., None]) ** 2) / (std[..., None] * np.sqrt(2 * np.pi))
    log_p = -0.5 * grid**2 - 0.5 * np.log(2 * np.pi)
    divergence = (q * (np.log(np.maximum(q, 1e-300)) - log_p)).sum(-1) * (grid[1] - grid[0])
    expected = (0.5 * x**2).sum(1) + divergence.sum(1)
    np.testing.assert_allclose(model.loss(x).item(), expected.mean(), rtol=1e-9)


def test_codes_are_drawn_with_the_mean_and_variance_of_the_encoder() -> None:
    model = VariationalAutoencoder(2, [], 2, "gaussian", dtype="float64", generator=Generator(0))
    weight, bias = model.decoder.parameters()
    weight.assign(np.eye(2))
    bias.assign(np.zeros(2))
    codes, mean, log_variance = model(np.tile([[0.7, -1.3]], (20_000, 1)))
    np.testing.assert_allclose(codes.numpy().mean(0), mean.numpy()[0], atol=0.03)
    np.testing.assert_allclose(codes.numpy().var(0), np.exp(log_variance.numpy()[0]), rtol=0.04)


@pytest.mark.parametrize("likelihood", ["bernoulli", "gaussian"])
def test_gradients_pass_through_the_drawn_code(likelihood: str) -> None:
    generator = Generator(0)
    model = VariationalAutoencoder(4, [3], 2, likelihood, dtype="float64", generator=generator)  # pyright: ignore[reportArgumentType]
    x = RNG.uniform(size=(3, 4))

    def loss() -> Tensor:
        generator.seed(1)  # the same noise each time
        return model.loss(x)

    check_slope(model, loss)
    assert all(x.grad is not None and x.grad.numpy().any() for x in model.encoder.parameters())


def test_bad_arguments_are_refused() -> None:
    with pytest.raises(DefinitionError, match='likelihood must be "bernoulli" or "gaussian", not \'poisson\''):
        VariationalAutoencoder(likelihood="poisson")  # pyright: ignore[reportArgumentType]
    with pytest.raises(DefinitionError, match="widths must be a whole number of at least 1, not 0"):
        Autoencoder(4, [0])
    with pytest.raises(DefinitionError, match="latent must be a whole number"):
        VariationalAutoencoder(4, [3], 0)
