"""PyTorch: eager, and compiled; either also with images stored channels last.

Eager is at its best with the fused Adam. Compiled, the whole step (forward pass, gradients and update) is one graph
where nothing stands in the way: batch statistics and recurrent layers do, and there it is the loss that is compiled.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn
from torch.func import functional_call, grad_and_value
from torch.nn import functional

from benchmarks import layers
from benchmarks.layers import Layer
from benchmarks.work import Work, batches_of, in_turn, norms
from benchmarks.workloads import LEARNING_RATE, THREADS, Arrays, Network, Product, Single, inputs_of

torch.set_num_threads(THREADS)

FUNCTIONS = {"relu": nn.ReLU, "tanh": nn.Tanh, "gelu": nn.GELU}
RECURRENT = {"lstm": nn.LSTM, "gru": nn.GRU}
BETA1, BETA2, EPSILON = 0.9, 0.999, 1e-8


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
            return Residual(inner, shortcut)
        case layers.Embedding(symbols, size):
            return nn.Embedding(symbols, size)
        case layers.Position(length, size):
            return Position(length, size)
        case layers.Recurrent(kind, inputs, units):
            return outputs_alone(RECURRENT[kind])(inputs, units, batch_first=True)
        case layers.SelfAttention(size, heads):
            return SelfAttention(size, heads)
        case layers.Attention():
            return Attention()
    raise TypeError(f"PyTorch's side has no {layer}")


class Residual(nn.Module):
    def __init__(self, inner: tuple[Layer, ...], shortcut: tuple[Layer, ...]) -> None:
        super().__init__()
        self.inner = nn.Sequential(*map(module_of, inner))
        self.shortcut = nn.Sequential(*map(module_of, shortcut))

    def forward(self, x: Tensor) -> Tensor:
        return self.inner(x) + self.shortcut(x)


class Position(nn.Module):
    def __init__(self, length: int, size: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(length, size))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.weight


class SelfAttention(nn.Module):
    def __init__(self, size: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.inputs, self.output = nn.Linear(size, 3 * size), nn.Linear(size, size)

    def forward(self, x: Tensor) -> Tensor:
        batch, time, size = x.shape
        parts = self.inputs(x).split(size, 2)
        q, k, v = (part.view(batch, time, self.heads, -1).transpose(1, 2) for part in parts)
        attended = functional.scaled_dot_product_attention(q, k, v, is_causal=True)
        return self.output(attended.transpose(1, 2).reshape(batch, time, size))


class Attention(nn.Module):
    def forward(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        return functional.scaled_dot_product_attention(q, k, v, is_causal=True)


def outputs_alone(kind: type[nn.Module]) -> type[nn.Module]:
    """A recurrent layer that returns its outputs and not its last state."""
    return type(kind.__name__, (kind,), {"forward": lambda self, x: kind.forward(self, x)[0]})


def with_weights(module: nn.Module, data: Arrays, mode: str) -> nn.Module:
    """The module with the weights that all sides start from, in the memory format of the mode."""
    own = {name: torch.from_numpy(data[name]) for name, _ in module.named_parameters()}
    module.load_state_dict(own, strict=False)
    return module.to(memory_format=memory_format(mode))


def memory_format(mode: str) -> torch.memory_format:
    return torch.channels_last if mode.endswith("channels-last") else torch.contiguous_format


def network(mode: str, workload: Network, data: Arrays) -> Work:
    model = with_weights(nn.Sequential(*map(module_of, workload.layers)), data, mode)
    batches = [(torch.from_numpy(x), torch.from_numpy(y)) for x, y in batches_of(workload, data)]
    if workload.has_images:
        batches = [(x.to(memory_format=memory_format(mode)), y) for x, y in batches]
    if mode.startswith("eager"):
        step = eager_step(model, loss_of(model))
    elif any(isinstance(x, nn.BatchNorm2d | nn.RNNBase) for x in model.modules()):
        step = eager_step(model, torch.compile(loss_of(model)))
    else:
        step = compiled_step(model)
    return Work(in_turn(step, batches), lambda loss: loss.detach().numpy().reshape(1))


def loss_of(model: nn.Module) -> Callable[[Tensor, Tensor], Tensor]:
    return lambda x, y: functional.cross_entropy(model(x).flatten(0, -2), y.flatten())


def eager_step(model: nn.Module, loss_of: Callable[[Tensor, Tensor], Tensor]) -> Callable[[Tensor, Tensor], Tensor]:
    optimizer = torch.optim.Adam(model.parameters(), lr=LEARNING_RATE, fused=True)

    def step(x: Tensor, y: Tensor) -> Tensor:
        loss = loss_of(x, y)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        return loss

    return step


def compiled_step(model: nn.Module) -> Callable[[Tensor, Tensor], Tensor]:
    parameters = {name: parameter.detach().clone() for name, parameter in model.named_parameters()}
    means = {name: torch.zeros_like(parameter) for name, parameter in parameters.items()}
    squares = {name: torch.zeros_like(parameter) for name, parameter in parameters.items()}
    count = torch.zeros(())

    def loss_of(parameters: dict[str, Tensor], x: Tensor, y: Tensor) -> Tensor:
        logits = functional_call(model, parameters, (x,))
        return functional.cross_entropy(logits.flatten(0, -2), y.flatten())

    @torch.compile(fullgraph=True)
    def step(
        parameters: dict[str, Tensor],
        means: dict[str, Tensor],
        squares: dict[str, Tensor],
        count: Tensor,
        x: Tensor,
        y: Tensor,
    ) -> Tensor:
        gradients, loss = grad_and_value(loss_of)(parameters, x, y)
        count.add_(1.0)
        rate, shrink = LEARNING_RATE / (1.0 - BETA1**count), (1.0 - BETA2**count).rsqrt()
        for name, gradient in gradients.items():
            mean = means[name].mul_(BETA1).add_(gradient, alpha=1.0 - BETA1)
            square = squares[name].mul_(BETA2).addcmul_(gradient, gradient, value=1.0 - BETA2)
            parameters[name].sub_(rate * mean / (square.sqrt() * shrink + EPSILON))
        return loss

    def call(x: Tensor, y: Tensor) -> Tensor:
        with torch.no_grad():
            return step(parameters, means, squares, count, x, y)

    return call


def product(mode: str, workload: Product, data: Arrays) -> Work:
    tensors = {name: torch.from_numpy(array) for name, array in data.items()}
    if workload.arithmetic == "matmul":
        a, b = tensors["a"], tensors["b"]
        out = torch.empty(len(a), b.shape[1])
        matmul = torch.compile(torch.mm) if mode == "compile" else torch.mm
        return Work(lambda: (matmul(a, b, out=out),), figures)
    inputs = [tensors[name].requires_grad_() for name in ("x", "w", "bias")]

    def forward(x: Tensor, w: Tensor, bias: Tensor) -> Tensor:
        return functional.linear(x, w, bias).relu()

    layer = torch.compile(forward) if mode == "compile" else forward

    def call() -> tuple[Tensor, ...]:
        y = layer(*inputs)
        return y, *torch.autograd.grad(y, inputs, tensors["cotangent"])

    return Work(call, figures)


def layer(mode: str, workload: Single, data: Arrays) -> Work:
    module = with_weights(module_of(workload.layer), data, mode)
    inputs = [torch.from_numpy(x) for x in inputs_of(data)]
    cotangent = torch.from_numpy(data["cotangent"])
    if workload.has_images:
        inputs = [x.to(memory_format=memory_format(mode)) for x in inputs]
        cotangent = cotangent.to(memory_format=memory_format(mode))
    wanted = [x.requires_grad_() for x in inputs if x.is_floating_point()] + list(module.parameters())
    forward = torch.compile(module) if mode.startswith("compile") else module

    def call() -> tuple[Tensor, ...]:
        y = forward(*inputs)
        return y, *torch.autograd.grad(y, wanted, cotangent)

    return Work(call, figures)


def figures(outputs: tuple[Tensor, ...]) -> np.ndarray:
    return norms([output.detach().numpy() for output in outputs])
