"""chainrule: the compiled step called from Python ("step"), its epochs run natively ("epoch"), and NumPy ("eager")."""

from __future__ import annotations

from typing import Any

import numpy as np

import chainrule as cr
from benchmarks import layers
from benchmarks.layers import Layer
from benchmarks.work import Work, batches_of, in_turn, norms
from benchmarks.workloads import LEARNING_RATE, THREADS, Arrays, Network, Product, Single, inputs_of
from chainrule import Tensor, losses, nn, optim

FUNCTIONS = {"relu": nn.ReLU, "tanh": nn.Tanh, "gelu": nn.GELU}


def module_of(layer: Layer) -> nn.Module:
    match layer:
        case layers.Linear(inputs, outputs, bias):
            return nn.Linear(inputs, outputs, bias)
        case layers.Activation(function):
            return FUNCTIONS[function]()
        case layers.Softmax():
            return nn.Softmax(-1)
        case layers.Convolution(inputs, outputs, kernel, stride, padding, dilation, groups, bias, transposed):
            kind = nn.ConvTranspose2d if transposed else nn.Conv2d
            return kind(inputs, outputs, kernel, stride, padding, dilation=dilation, groups=groups, bias=bias)
        case layers.BatchNormalisation(channels):
            return nn.BatchNorm2d(channels)
        case layers.LayerNormalisation(size):
            return nn.LayerNorm(size)
        case layers.MaxPool(size):
            return nn.MaxPool2d(size)
        case layers.GlobalAveragePool():
            return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())
        case layers.Flatten():
            return nn.Flatten()
        case layers.Residual(inner, shortcut):
            return nn.Residual(chain(inner), chain(shortcut) if shortcut else None)
        case layers.Embedding(symbols, size):
            return nn.Embedding(symbols, size)
        case layers.Position(length, size):
            return Position(length, size)
        case layers.Recurrent(kind, inputs, units):
            return Recurrent(nn.LSTM if kind == "lstm" else nn.GRU, inputs, units)
        case layers.SelfAttention(size, heads):
            return SelfAttention(size, heads)
        case layers.Attention():
            return Attention()
    raise TypeError(f"chainrule's side has no {layer}")


def chain(kinds: tuple[Layer, ...]) -> nn.Sequential:
    return nn.Sequential(*map(module_of, kinds))


class Position(nn.Module):
    def __init__(self, length: int, size: int) -> None:
        self.weight = nn.Parameter(np.zeros((length, size), np.float32))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.weight


class Recurrent(nn.Module):
    """A recurrent layer that returns its outputs and not its last state."""

    def __init__(self, kind: Any, inputs: int, units: int) -> None:
        self.cells = kind(inputs, units, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        return self.cells(x)[0]


class SelfAttention(nn.Module):
    def __init__(self, size: int, heads: int) -> None:
        self.heads = heads
        self.inputs, self.output = nn.Linear(size, 3 * size), nn.Linear(size, size)

    def forward(self, x: Tensor) -> Tensor:
        batch, time, size = x.shape
        parts = self.inputs(x).reshape((batch, time, 3, self.heads, size // self.heads))
        q, k, v = cr.unstack(cr.permute_dims(parts, (2, 0, 3, 1, 4)))
        attended = nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True)
        return self.output(cr.permute_dims(attended, (0, 2, 1, 3)).reshape((batch, time, size)))


class Attention(nn.Module):
    def forward(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        return nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True)


def with_weights(module: nn.Module, data: Arrays) -> nn.Module:
    """The module with the weights that all sides start from."""
    for name, parameter in module.named_parameters():
        parameter.assign(data[name.replace("cells.", "")])
    return module


def network(mode: str, workload: Network, data: Arrays) -> Work:
    model = with_weights(chain(workload.layers), data)
    optimizer = optim.Adam(model.parameters(), lr=LEARNING_RATE)

    def step(x: np.ndarray, y: np.ndarray) -> Tensor:
        logits = model(x)
        loss = losses.cross_entropy(logits.reshape((-1, logits.shape[-1])), y.reshape(-1))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    if mode == "eager":
        return Work(in_turn(step, batches_of(workload, data)), lambda loss: loss.numpy().reshape(1))
    cr.set_threads(THREADS)
    compiled = cr.compile(step)
    if mode == "step":
        return Work(in_turn(compiled, batches_of(workload, data)), lambda loss: loss.numpy().reshape(1))
    rows, order, batch = (data["x"], data["y"]), data["order"], workload.batch
    return Work(lambda: cr.epoch(compiled, rows, order, batch_size=batch), np.asarray, workload.batches)


def product(mode: str, workload: Product, data: Arrays) -> Work:
    arrays = list(data.values())

    def matmul(a: np.ndarray, b: np.ndarray) -> tuple[Tensor, ...]:
        return (cr.matmul(a, b),)

    def linear(x: np.ndarray, w: np.ndarray, bias: np.ndarray, cotangent: np.ndarray) -> tuple[Tensor, ...]:
        y, pullback = cr.vjp(lambda x, w, bias: cr.relu(x @ w.T + bias), x, w, bias)
        return y, *pullback(cotangent)

    return called(mode, matmul if workload.arithmetic == "matmul" else linear, arrays)


def layer(mode: str, workload: Single, data: Arrays) -> Work:
    module = with_weights(module_of(workload.layer), data)
    inputs = inputs_of(data)
    names = [name for name, _ in module.named_parameters()]

    def call(cotangent: Tensor, *inputs: Tensor) -> tuple[Tensor, ...]:
        moving = [x for x in inputs if x.dtype.is_float]
        fixed = [x for x in inputs if not x.dtype.is_float]

        def forward(module: nn.Module, *moving: Tensor) -> Tensor:
            return module(*fixed, *moving)

        y, pullback = cr.vjp(forward, module, *moving)
        of_module, *of_inputs = pullback(cotangent)
        gradients = dict([*of_module.named_parameters(), *of_module.named_buffers()])
        return y, *of_inputs, *(gradients[name] for name in names)

    arrays = [data["cotangent"], *inputs]
    return called(mode, call, [channels_last(x) for x in arrays] if workload.has_images else arrays)


def channels_last(images: np.ndarray) -> np.ndarray:
    """The same images, with their channels side by side in memory."""
    return np.ascontiguousarray(images.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2)


def called(mode: str, function: Any, arrays: list[np.ndarray]) -> Work:
    """A function of arrays that returns tensors, compiled or not."""
    if mode != "eager":
        cr.set_threads(THREADS)
        function = cr.compile(function)
    return Work(lambda: function(*arrays), lambda outputs: norms([output.numpy() for output in outputs]))
