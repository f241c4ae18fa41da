"""Random networks, and a step of their training as a program."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from chainrule import losses, nn, ops, optim
from chainrule.calls import checkpoint
from chainrule.graph import Graph
from chainrule.nn.functional import softmax
from chainrule.tensor import Tensor
from chainrule.trace import trace
from chainrule.types import Array

Layer = Callable[[Tensor], Tensor]


@dataclass
class Network:
    """Layers in the making, for inputs [batch, *shape]; after all of them there are `width` features.

    Attributes:
        batch: the number of examples.
        shape: of one example.
        width: how many features, or channels, the last layer gives.
        symbols: if an example consists of symbols, how many there are.
        layers: the layers.
    """

    batch: int
    shape: tuple[int, ...]
    width: int
    symbols: int = 0
    layers: list[Layer] = field(default_factory=list["Layer"])


def training_step(rng: np.random.Generator) -> tuple[Graph, list[Array]]:
    """Forward pass, loss, backward pass and update of a network for vectors, images, or sequences."""
    network = (_for_vectors, _for_images, _for_sequences)[int(rng.choice(3, p=(0.5, 0.35, 0.15)))](rng)
    classes = int(rng.choice((1, 2, 5, 16, 17, 33)))
    layers = [*network.layers, nn.Linear(network.width, classes + 1)]
    modules = [x for x in layers if isinstance(x, nn.Module)]
    parameters = [p for m in modules for p in m.parameters()]
    optimizer = _optimizer(rng, parameters)
    by_class, clipped = rng.random() < 0.5, rng.random() < 0.3
    again = rng.random() < 0.2

    def forward(x: Tensor) -> Tensor:
        for layer in layers:
            x = checkpoint(layer)(x) if again and isinstance(layer, nn.Residual) else layer(x)
        return x

    def step(x: Tensor, y: Tensor) -> Tensor:
        x = forward(x)
        loss = losses.cross_entropy(x, y) if by_class else losses.mse(x, y)
        optimizer.zero_grad()
        loss.backward()
        if clipped:
            optim.clip_grad_norm(parameters, 0.5)
        optimizer.step()
        return loss

    shape = (network.batch, *network.shape)
    x = rng.integers(network.symbols, size=shape) if network.symbols else rng.standard_normal(shape).astype(np.float32)
    labels = rng.integers(0, classes + 1, network.batch)
    y = labels if by_class else rng.standard_normal((network.batch, classes + 1)).astype(np.float32)
    graph = trace(step)(x, y)
    held = [
        rng.uniform(0, 1, t.shape).astype(t.dtype.numpy) if t.dtype.is_float else t.numpy() for t, _ in graph.captured
    ]
    return graph, [x, y, *held]


# ---- vectors --------------------------------------------------------------------------------------------------------


def _for_vectors(rng: np.random.Generator) -> Network:
    batch, features = (int(rng.choice((1, 2, 5, 16, 17, 33))) for _ in range(2))
    network = Network(batch, (features,), features)
    for _ in range(int(rng.integers(1, 5))):
        layer, network.width = _layer(rng, network.width, batch)
        network.layers.append(layer)
    return network


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
        return nn.Residual(nn.Sequential(nn.Linear(width, wide), nn.GELU(), nn.Linear(wide, width))), width
    if kind == 7:
        return lambda x: softmax(x @ x.T / width**0.5, axis=-1) @ x, width
    return _activation(rng), width


def _activation(rng: np.random.Generator) -> nn.Module:
    found: Any = rng.choice([nn.ReLU, nn.Tanh, nn.Sigmoid, nn.SiLU, nn.LeakyReLU, nn.ELU])
    return found()


# ---- images ---------------------------------------------------------------------------------------------------------


def _for_images(rng: np.random.Generator) -> Network:
    """Convolutions, residual blocks and pooling; in the end all places, or their means, are features."""
    batch, channels, size = int(rng.choice((2, 4, 7, 16))), int(rng.choice((1, 2, 3, 8))), int(rng.integers(3, 13))
    network = Network(batch, (channels, size, size), channels)
    if rng.random() < 0.3:  # channels come last
        network.shape = (size, size, channels)
        network.layers.append(lambda x: ops.permute_dims(x, (0, 3, 1, 2)))
    for _ in range(int(rng.integers(1, 4))):
        size = _block(rng, network, size)
    if rng.random() < 0.5:
        network.layers += [nn.AdaptiveAvgPool2d(1), nn.Flatten()]
    else:
        network.layers.append(nn.Flatten())
        network.width *= size * size
    return network


def _block(rng: np.random.Generator, network: Network, size: int) -> int:
    """Add layers for images, and return the size of what they give."""
    kind, channels = int(rng.integers(6)), network.width
    made = int(rng.choice((1, 3, 4, 8, 16, 17)))
    if kind <= 1:
        kernel, stride = int(rng.choice((1, 3))), int(rng.choice((1, 1, 2)))
        network.layers.append(
            nn.Conv2d(channels, made, kernel, stride=stride, padding=kernel // 2, bias=bool(rng.random() < 0.5))
        )
        network.layers += [nn.BatchNorm2d(made)] if rng.random() < 0.6 else []
        network.layers.append(_activation(rng))
        network.width, size = made, (size - 1) // stride + 1
    elif kind == 2:
        inner = [nn.Conv2d(channels, made, 3, padding=1, bias=False), nn.BatchNorm2d(made), nn.ReLU()]
        inner += [nn.Conv2d(made, channels, 3, padding=1), nn.BatchNorm2d(channels)]
        network.layers += [nn.Residual(nn.Sequential(*inner)), nn.ReLU()]
    elif kind == 3:  # one kernel for each channel, between two that mix channels
        wide = channels * int(rng.choice((1, 2, 4)))
        inner = [nn.Conv2d(channels, wide, 1), nn.BatchNorm2d(wide), nn.ReLU()]
        inner += [nn.Conv2d(wide, wide, 3, padding=1, groups=wide), nn.BatchNorm2d(wide), nn.SiLU()]
        network.layers.append(nn.Residual(nn.Sequential(*inner, nn.Conv2d(wide, channels, 1))))
    elif kind == 4 and size >= 2:
        network.layers.append(nn.MaxPool2d(2) if rng.random() < 0.6 else nn.AvgPool2d(2))
        size //= 2
    elif kind == 5 and size <= 6:
        network.layers += [nn.ConvTranspose2d(channels, made, 2, stride=2), _activation(rng)]
        network.width, size = made, 2 * size
    else:
        network.layers.append(nn.GroupNorm(1, channels))
    return size


# ---- sequences ------------------------------------------------------------------------------------------------------


def _for_sequences(rng: np.random.Generator) -> Network:
    """Layers of a transformer, or of a network that reads symbols; in the end the mean over the sequence is the
    features.
    """
    batch, length, heads = (int(rng.choice(n)) for n in ((1, 2, 5, 8), (1, 3, 9, 17), (1, 2, 4)))
    width = heads * int(rng.choice((2, 4, 8)))
    network = Network(batch, (length, width), width)
    if rng.random() < 0.4:
        _of_symbols(rng, network)
    for _ in range(int(rng.integers(1, 3))):
        layer = nn.TransformerEncoderLayer(
            width, heads, int(rng.choice((8, 24))), float(rng.choice((0.0, 0.1))), str(rng.choice(("relu", "gelu"))),
            batch_first=True, norm_first=bool(rng.random() < 0.5),
        )  # fmt: skip
        causal = bool(rng.random() < 0.5)
        network.layers.append(_Attending(layer, causal))
    network.layers.append(lambda x: ops.mean(x, axis=1))
    return network


def _of_symbols(rng: np.random.Generator, network: Network) -> None:
    """Read symbols, which are embedded and then multiplied, or given to a recurrent layer."""
    network.symbols, network.shape = int(rng.choice((1, 3, 9, 40))), network.shape[:1]
    size = int(rng.choice((3, 16, 33)))
    network.layers.append(nn.Embedding(network.symbols, size))
    kind: Any = rng.choice([nn.Linear, nn.LSTM, nn.GRU])
    if kind is nn.Linear:
        network.layers.append(nn.Linear(size, network.width, bias=bool(rng.random() < 0.7)))
    else:
        network.layers.append(_Outputs(kind(size, network.width, batch_first=True)))


class _Outputs(nn.Module):
    """A recurrent layer without its last states."""

    def __init__(self, layer: nn.Module) -> None:
        self.layer = layer

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x)[0]


class _Attending(nn.Module):
    """A transformer's layer, in which places see those before them only, if so wanted."""

    def __init__(self, layer: nn.Module, causal: bool) -> None:
        self.layer, self.causal = layer, causal

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x, is_causal=self.causal)


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
