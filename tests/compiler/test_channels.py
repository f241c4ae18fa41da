"""Images with their channels last are taken and given as they are."""

from collections.abc import Callable

import numpy as np
import pytest

import chainrule as cr
from chainrule import losses, nn, optim
from chainrule.compiled import Compiled
from chainrule.compiler.channels import arranged, channels_last, is_channels_last
from chainrule.testing.rounding import same_bits
from chainrule.trees import flatten
from chainrule.types import Array

RNG = np.random.default_rng(0)
X = RNG.normal(size=(6, 16, 9, 10)).astype(np.float32)
W = RNG.normal(size=(16, 16, 3, 3)).astype(np.float32)


def turned(x: Array) -> Array:
    """The same elements, stored with channels last."""
    order = channels_last(x.ndim)
    return np.ascontiguousarray(x.transpose(order)).transpose(np.argsort(order))


def kinds(step: Compiled) -> list[str]:
    return [kernel.kind for kernel in step.kernels]


@pytest.mark.parametrize("shape", [(5, 3, 4), (5, 3, 4, 5), (5, 3, 2, 2, 5)])
def test_which_arrays_have_their_channels_last(shape: tuple[int, ...]) -> None:
    x = np.zeros(shape)
    assert is_channels_last(turned(x)) and arranged(turned(x)).strides == turned(x).strides
    assert not is_channels_last(x) and arranged(x) is x
    for other in (np.asfortranarray(x), turned(x)[::2], turned(x)[..., ::-1], turned(np.zeros((2, 1, 4)))):
        assert not is_channels_last(other)
        assert arranged(other).flags.c_contiguous and np.array_equal(arranged(other), other)


def test_nothing_is_copied_for_images_with_their_channels_last() -> None:
    @cr.compile
    def step(x: cr.Tensor, w: cr.Tensor) -> cr.Tensor:
        return cr.relu(cr.conv(x, w, padding=1))

    found = step(turned(X), W).numpy()
    assert kinds(step) == ["sweep"]
    assert is_channels_last(found)
    again = step(step(turned(X), W), W)
    assert kinds(step) == ["sweep"] and is_channels_last(again.numpy())
    plain = step(X, W).numpy()
    assert kinds(step) == ["copy", "sweep"]
    assert same_bits(plain, found).all()
    np.testing.assert_allclose(found, step.function(cr.tensor(X), cr.tensor(W)).numpy(), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    "function",
    [
        lambda x: x * 2.0,
        lambda x: x,
        lambda x: x.permute_dims((0, 2, 3, 1)),
        lambda x: x.sum(axis=(2, 3)),
        lambda x: x.max(axis=1),
        lambda x: nn.functional.max_pool2d(x, 2),
        lambda x: x.reshape((6, -1)),
        lambda x: x[:, 3:7, ::-1],
        lambda x: cr.concat([x, x], axis=1),
        lambda x: cr.take(x, np.array([3, 1, 1]), axis=0),
        lambda x: cr.take(x, np.array([3, 1, 1]), axis=1),
        lambda x: cr.take_along_axis(x, np.zeros((6, 16, 9, 2), np.int64), axis=3),
        lambda x: cr.sort(x, axis=1),
        lambda x: cr.scan(lambda c, row: (c + row, c), cr.zeros((16, 9, 10)), x),
        lambda x: x @ x.mT,
    ],
)
def test_every_kind_of_kernel_reads_them(function: Callable[..., object]) -> None:
    compiled = cr.compile(function)
    found, plain = (flatten(compiled(x))[0] for x in (turned(X), X))
    for a, b in zip(found, plain, strict=True):
        np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=1e-5, atol=1e-5)
    assert len(compiled.variants) == 2


def test_small_images_are_one_signature_however_they_lie() -> None:
    step = cr.compile(lambda x: x * 2.0)
    small = X[:1, :, :3]
    assert same_bits(step(small.copy()).numpy(), step(turned(small)).numpy()).all()
    assert len(step.variants) == 1


def test_results_are_not_written_over_while_somebody_holds_them() -> None:
    step = cr.compile(lambda x, w: cr.conv(x, w, padding=1))
    first = step(turned(X), W)
    kept = first.numpy().copy()
    step(turned(-X), W)
    step(-X, W)
    assert same_bits(first.numpy(), kept).all()


def test_calls_in_turn_with_both_orders() -> None:
    step = cr.compile(lambda x: x + 1.0)
    for x in (X, turned(X), X, turned(X), X[:, ::-1], np.asfortranarray(X)):
        assert same_bits(step(x).numpy(), np.ascontiguousarray(x + 1)).all()
    assert len(step.variants) == 2


def test_an_epoch_gathers_rows_from_either_order() -> None:
    def trained(x: Array) -> list[Array]:
        cr.random.seed(0)
        model = nn.Sequential(nn.Conv2d(16, 8, 3), nn.ReLU(), nn.Flatten(), nn.Linear(8 * 7 * 8, 2))
        optimizer = optim.SGD(model.parameters(), lr=0.1)

        @cr.compile
        def step(x: cr.Tensor, y: cr.Tensor) -> tuple[cr.Tensor, cr.Tensor]:
            logits = model(x)
            loss = losses.cross_entropy(logits, y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            return loss, x * 2.0

        y = np.arange(6) % 2
        found = cr.epoch(step, (x, y), [5, 3, 1, 0, 2, 2], batch_size=2)
        return [*found, *(p.numpy() for p in model.parameters())]

    for a, b in zip(trained(X), trained(turned(X)), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)
