"""Whole networks, compiled: bits do not depend on threads, runs or checkpoints, and steps are as in eager training."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule import losses, nn, ops, optim
from chainrule.calls import checkpoint
from chainrule.compiled import compile
from chainrule.compiler.blueprint import blueprint
from chainrule.compiler.machine import target_named
from chainrule.control import scan
from chainrule.nn.functional import scaled_dot_product_attention
from chainrule.random import seed
from chainrule.tensor import Tensor
from chainrule.trace import trace
from chainrule.types import Array, DType, float32, float64

STEPS = 3


class Part(nn.Module):
    """A part of a network, whose values are made again for the backward pass, or kept."""

    def __init__(self, again: bool, inner: nn.Module) -> None:
        self.again, self.inner = again, inner

    def forward(self, x: Tensor) -> Tensor:
        return (checkpoint(self.inner) if self.again else self.inner)(x)


def convolutional(dtype: DType, again: bool) -> nn.Module:
    def twice(channels: int, made: int) -> nn.Module:
        first, second = (nn.Conv2d(n, made, 3, padding=1, dtype=dtype) for n in (channels, made))
        return Part(again, nn.Sequential(first, nn.ReLU(), second, nn.ReLU(), nn.MaxPool2d(2)))

    return nn.Sequential(
        twice(1, 8),
        twice(8, 16),
        nn.Flatten(),
        Part(again, nn.Sequential(nn.Linear(144, 32, dtype=dtype), nn.ReLU())),
        nn.Linear(32, 10, dtype=dtype),
    )


def residual(dtype: DType, again: bool) -> nn.Module:
    def convolved(channels: int, made: int, kernel: int, stride: int) -> list[nn.Module]:
        layer = nn.Conv2d(channels, made, kernel, stride=stride, padding=kernel // 2, bias=False, dtype=dtype)
        return [layer, nn.BatchNorm2d(made, dtype=dtype)]

    def block(channels: int, made: int, stride: int) -> nn.Module:
        inner = [*convolved(channels, made, 3, stride), nn.ReLU(), *convolved(made, made, 3, 1)]
        shortcut = nn.Sequential(*convolved(channels, made, 1, stride)) if stride > 1 else None
        return Part(again, nn.Sequential(nn.Residual(nn.Sequential(*inner), shortcut), nn.ReLU()))

    first = Part(again, nn.Sequential(*convolved(3, 8, 3, 1), nn.ReLU()))
    return nn.Sequential(
        first, block(8, 8, 1), block(8, 16, 2), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, 10, dtype=dtype)
    )


def depthwise(dtype: DType, again: bool) -> nn.Module:
    def convolved(channels: int, made: int, kernel: int, stride: int, groups: int) -> list[nn.Module]:
        layer = nn.Conv2d(
            channels, made, kernel, stride=stride, padding=kernel // 2, groups=groups, bias=False, dtype=dtype
        )
        return [layer, nn.BatchNorm2d(made, dtype=dtype)]

    def block(channels: int, made: int, stride: int) -> nn.Module:
        wide = 3 * channels
        layers = [*convolved(channels, wide, 1, 1, 1), nn.Hardswish(), *convolved(wide, wide, 3, stride, wide)]
        inner = nn.Sequential(*layers, nn.Hardswish(), *convolved(wide, made, 1, 1, 1))
        return Part(again, nn.Residual(inner) if (channels, stride) == (made, 1) else inner)

    first = Part(again, nn.Sequential(*convolved(3, 8, 3, 2, 1), nn.Hardswish()))
    return nn.Sequential(
        first, block(8, 8, 1), block(8, 12, 2), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(12, 10, dtype=dtype)
    )


class Recurrent(nn.Module):
    """A long short-term memory as a scan over time, read after the last step."""

    def __init__(self, dtype: DType, again: bool) -> None:
        self.embedding = nn.Embedding(20, 12, dtype=dtype)
        self.of_input = nn.Linear(12, 64, dtype=dtype)
        self.of_state = nn.Linear(16, 64, bias=False, dtype=dtype)
        self.out = nn.Linear(16, 10, dtype=dtype)
        self.over_time = checkpoint(self.run) if again else self.run

    def run(self, x: Tensor) -> Tensor:
        def cell(carry: tuple[Tensor, Tensor], gates: Tensor) -> tuple[tuple[Tensor, Tensor], Tensor]:
            h, c = carry
            i, f, g, o = ops.split(gates + self.of_state(h), 4, axis=1)
            c = ops.sigmoid(f) * c + ops.sigmoid(i) * ops.tanh(g)
            h = ops.sigmoid(o) * ops.tanh(c)
            return (h, c), h

        start = ops.zeros((x.shape[0], 16), dtype=x.dtype)
        (h, _), _ = scan(cell, (start, start), ops.permute_dims(self.of_input(x), (1, 0, 2)))
        return h

    def forward(self, x: Tensor) -> Tensor:
        return self.out(self.over_time(self.embedding(x)))


class Transformer(nn.Module):
    """Blocks of causal attention and a network at each place; the last place is read."""

    def __init__(self, dtype: DType, again: bool) -> None:
        self.token = nn.Embedding(20, 16, dtype=dtype)
        self.place = nn.Embedding(12, 16, dtype=dtype)
        self.blocks = nn.Sequential(*(Part(again, Block(16, 2, dtype)) for _ in range(2)))
        self.norm, self.out = nn.LayerNorm(16, dtype=dtype), nn.Linear(16, 10, bias=False, dtype=dtype)

    def forward(self, x: Tensor) -> Tensor:
        h = self.token(x) + self.place(np.arange(x.shape[1]))
        return self.out(self.norm(self.blocks(h))[:, -1])


class Block(nn.Module):
    def __init__(self, width: int, heads: int, dtype: DType) -> None:
        self.heads = heads
        self.norm1, self.norm2 = nn.LayerNorm(width, dtype=dtype), nn.LayerNorm(width, dtype=dtype)
        self.qkv, self.joined = nn.Linear(width, 3 * width, dtype=dtype), nn.Linear(width, width, dtype=dtype)
        self.wide, self.narrow = nn.Linear(width, 4 * width, dtype=dtype), nn.Linear(4 * width, width, dtype=dtype)

    def forward(self, x: Tensor) -> Tensor:
        batch, length, width = x.shape
        parts = ops.split(self.qkv(self.norm1(x)), 3, axis=2)
        q, k, v = (y.reshape(batch, length, self.heads, -1).permute_dims((0, 2, 1, 3)) for y in parts)
        attended = scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.joined(attended.permute_dims((0, 2, 1, 3)).reshape(batch, length, width))
        return x + self.narrow(nn.functional.gelu(self.wide(self.norm2(x)), "tanh"))


def pictures(channels: int, size: int) -> Callable[[np.random.Generator, DType], Array]:
    return lambda rng, dtype: rng.normal(size=(16, channels, size, size)).astype(dtype.numpy)


def words(rng: np.random.Generator, dtype: DType) -> Array:
    return rng.integers(0, 20, (16, 12))


NETWORKS: dict[str, tuple[Callable[[DType, bool], nn.Module], Callable[[np.random.Generator, DType], Array]]] = {
    "convolutional": (convolutional, pictures(1, 12)),
    "residual": (residual, pictures(3, 9)),
    "depthwise": (depthwise, pictures(3, 12)),
    "recurrent": (Recurrent, words),
    "transformer": (Transformer, words),
}


class Training:
    """A network in training."""

    def __init__(self, name: str, dtype: DType = float32, *, again: bool = False) -> None:
        seed(0)
        make, draw = NETWORKS[name]
        self.model = make(dtype, again)
        self.optimizer = optim.AdamW(self.model.parameters(), 1e-3)
        rng = np.random.default_rng(0)
        self.x = [draw(rng, dtype) for _ in range(STEPS)]
        self.y = [rng.integers(0, 10, 16) for _ in range(STEPS)]

    def update(self, x: Tensor, y: Tensor) -> Tensor:
        loss = losses.cross_entropy(self.model(x), y)
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        return loss

    def run(self, step: Callable[[Any, Any], Tensor]) -> list[Array]:
        """Losses, and the network's state in the end."""
        found = [step(x, y).numpy() for x, y in zip(self.x, self.y, strict=True)]
        return found + [np.array(x) for x in self.model.state_dict().values()]


@pytest.fixture(autouse=True)
def as_many_threads_as_before() -> Iterator[None]:
    before = cr.get_threads()
    yield
    cr.set_threads(before)


def assert_same_bits(first: list[Array], second: list[Array]) -> None:
    assert len(first) == len(second)
    for i, (x, y) in enumerate(zip(first, second, strict=True)):
        assert x.tobytes() == y.tobytes(), i


@pytest.mark.parametrize("name", NETWORKS)
def test_steps_give_the_same_bits_on_any_number_of_threads_and_again(name: str) -> None:
    found: list[list[Array]] = []
    for threads in (1, 2, 4, 4):
        cr.set_threads(threads)
        training = Training(name)
        found.append(training.run(compile(training.update)))
    for other in found[1:]:
        assert_same_bits(other, found[0])


@pytest.mark.parametrize("name", NETWORKS)
def test_steps_are_those_of_eager_training(name: str) -> None:
    eager, compiled = Training(name, float64), Training(name, float64)
    for x, y in zip(compiled.run(compile(compiled.update)), eager.run(eager.update), strict=True):
        np.testing.assert_allclose(x, y, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("name", NETWORKS)
def test_what_is_made_again_by_checkpoints_has_the_same_bits(name: str) -> None:
    kept, again = Training(name), Training(name, again=True)
    assert_same_bits(again.run(compile(again.update)), kept.run(compile(kept.update)))


def memory(function: Callable[..., Any], *examples: Array) -> int:
    """The size of the arena that a compiled function needs."""
    return blueprint(trace(function)(*examples), target_named("host")).memory.size


@pytest.mark.parametrize("name", NETWORKS)
def test_checkpoints_save_memory(name: str) -> None:
    kept, again = Training(name), Training(name, again=True)
    assert memory(again.update, again.x[0], again.y[0]) < memory(kept.update, kept.x[0], kept.y[0])


def test_checkpoints_save_much_memory_in_deep_networks() -> None:
    sizes: list[int] = []
    for again in (False, True):
        blocks = [nn.Sequential(nn.Linear(64, 64), nn.Tanh(), nn.Linear(64, 64), nn.Tanh()) for _ in range(24)]
        model = nn.Sequential(*(Part(again, block) for block in blocks))

        def gradients(x: Tensor, model: nn.Module = model) -> list[Tensor | None]:
            model(x).square().sum().backward()
            return [p.grad for p in model.parameters()]

        sizes.append(memory(gradients, np.ones((256, 64), np.float32)))
    assert sizes[1] < 0.6 * sizes[0], sizes
