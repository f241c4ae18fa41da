"""PyTorch: eager, and compiled.

Eager is at its best with the fused Adam. Compiled, it is fastest on these networks when the whole step (forward pass,
gradients and update) is one graph.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.func import functional_call, grad_and_value
from torch.nn import functional

from benchmarks.work import Work, batches_of, in_turn, norms
from benchmarks.workloads import LEARNING_RATE, THREADS, Activation, Arrays, Layer, Linear, Network, Product

torch.set_num_threads(THREADS)

FUNCTIONS = {"relu": nn.ReLU, "tanh": nn.Tanh}
BETA1, BETA2, EPSILON = 0.9, 0.999, 1e-8


def module_of(layer: Layer) -> nn.Module:
    match layer:
        case Linear(inputs, outputs):
            return nn.Linear(inputs, outputs)
        case Activation(function):
            return FUNCTIONS[function]()


def network(mode: str, workload: Network, data: Arrays) -> Work:
    model = nn.Sequential(*map(module_of, workload.layers))
    model.load_state_dict({name: torch.from_numpy(data[name]) for name in model.state_dict()})
    batches = [(torch.from_numpy(x), torch.from_numpy(y)) for x, y in batches_of(workload, data)]
    step = eager_step(model) if mode == "eager" else compiled_step(model)
    return Work(in_turn(step, batches), lambda loss: loss.detach().numpy().reshape(1))


def eager_step(model: nn.Module) -> Callable[[Tensor, Tensor], Tensor]:
    optimizer = torch.optim.Adam(model.parameters(), lr=LEARNING_RATE, fused=True)

    def step(x: Tensor, y: Tensor) -> Tensor:
        loss = functional.cross_entropy(model(x), y)
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
        return functional.cross_entropy(functional_call(model, parameters, (x,)), y)

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
    if workload.kind == "matmul":
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


def figures(outputs: tuple[Tensor, ...]):
    return norms([output.detach().numpy() for output in outputs])
