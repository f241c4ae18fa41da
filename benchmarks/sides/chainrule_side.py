"""chainrule: the compiled step called from Python ("step"), its epochs run natively ("epoch"), and NumPy ("eager")."""

from __future__ import annotations

import numpy as np

import chainrule as cr
from benchmarks.work import Work, batches_of, in_turn, norms
from benchmarks.workloads import LEARNING_RATE, THREADS, Activation, Arrays, Layer, Linear, Network, Product
from chainrule import Tensor, losses, nn, optim

FUNCTIONS = {"relu": nn.ReLU, "tanh": nn.Tanh}


def module_of(layer: Layer) -> nn.Module:
    match layer:
        case Linear(inputs, outputs):
            return nn.Linear(inputs, outputs)
        case Activation(function):
            return FUNCTIONS[function]()


def network(mode: str, workload: Network, data: Arrays) -> Work:
    model = nn.Sequential(*map(module_of, workload.layers))
    for name, parameter in model.named_parameters():
        parameter.assign(data[name])
    optimizer = optim.Adam(model.parameters(), lr=LEARNING_RATE)

    def step(x: np.ndarray, y: np.ndarray) -> Tensor:
        loss = losses.cross_entropy(model(x), y)
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

    function = matmul if workload.kind == "matmul" else linear
    if mode != "eager":
        cr.set_threads(THREADS)
        function = cr.compile(function)
    return Work(lambda: function(*arrays), lambda outputs: norms([output.numpy() for output in outputs]))
