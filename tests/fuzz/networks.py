"""Random networks, and a step of their training as a program."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from chainrule import losses, nn, optim
from chainrule.graph import Graph
from chainrule.nn.functional import softmax
from chainrule.tensor import Tensor
from chainrule.trace import trace
from chainrule.types import Array

Layer = Callable[[Tensor], Tensor]


def training_step(rng: np.random.Generator) -> tuple[Graph, list[Array]]:
    """Forward pass, loss, backward pass and update of a network for vectors."""
    batch, features, classes = (int(rng.choice((1, 2, 5, 16, 17, 33))) for _ in range(3))
    layers: list[Any] = []
    width = features
    for _ in range(int(rng.integers(1, 5))):
        layer, width = _layer(rng, width, batch)
        layers.append(layer)
    layers.append(nn.Linear(width, classes + 1))
    modules = [x for x in layers if isinstance(x, nn.Module)]
    parameters = [p for m in modules for p in m.parameters()]
    optimizer = _optimizer(rng, parameters)
    by_class, clipped = rng.random() < 0.5, rng.random() < 0.3

    def step(x: Tensor, y: Tensor) -> Tensor:
        for layer in layers:
            x = layer(x)
        loss = losses.cross_entropy(x, y) if by_class else losses.mse(x, y)
        optimizer.zero_grad()
        loss.backward()
        if clipped:
            optim.clip_grad_norm(parameters, 0.5)
        optimizer.step()
        return loss

    x = rng.standard_normal((batch, features)).astype(np.float32)
    labels = rng.integers(0, classes + 1, batch)
    y = labels if by_class else rng.standard_normal((batch, classes + 1)).astype(np.float32)
    graph = trace(step)(x, y)
    held = [
        rng.uniform(0, 1, t.shape).astype(t.dtype.numpy) if t.dtype.is_float else t.numpy() for t, _ in graph.captured
    ]
    return graph, [x, y, *held]


def _layer(rng: np.random.Generator, width: int, batch: int) -> tuple[Layer, int]:
    """A layer, and how many features it gives."""
    kind = int(rng.integers(9))
    wide = int(rng.choice((1, 3, 8, 16, 31, 64)))
    if kind <= 2:
        return nn.Linear(width, wide, bias=bool(rng.random() < 0.7)), wide
    if kind == 3:
        return nn.LayerNorm(width), width
    if kind == 4 and batch > 1:
        return nn.BatchNorm1d(width), width
    if kind == 5:
        return nn.Dropout(0.3), width
    if kind == 6:
        inner = nn.Sequential(nn.Linear(width, wide), nn.GELU(), nn.Linear(wide, width))

        class Residual(nn.Module):
            def __init__(self) -> None:
                self.inner = inner

            def forward(self, x: Tensor) -> Tensor:
                return x + self.inner(x)

        return Residual(), width
    if kind == 7:
        return lambda x: softmax(x @ x.T / width**0.5, axis=-1) @ x, width
    found: Any = rng.choice([nn.ReLU, nn.Tanh, nn.Sigmoid, nn.SiLU, nn.LeakyReLU, nn.ELU])
    return found(), width


def _optimizer(rng: np.random.Generator, parameters: Any) -> optim.Optimizer:
    makers: list[Callable[[], optim.Optimizer]] = [
        lambda: optim.SGD(parameters, 0.1, momentum=0.9),
        lambda: optim.SGD(parameters, 0.1, momentum=0.9, nesterov=True),
        lambda: optim.Adam(parameters, 0.01),
        lambda: optim.AdamW(parameters, 0.01),
        lambda: optim.RMSprop(parameters, 0.01, momentum=0.9, centered=True),
        lambda: optim.Adagrad(parameters, 0.1),
    ]
    return makers[int(rng.integers(len(makers)))]()
