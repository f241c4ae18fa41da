"""JAX: the whole step under one `jit`, called for each batch ("step") or scanned over an epoch's batches ("scan").

XLA takes as many threads as the process may run on.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from benchmarks.work import Work, batches_of, in_turn, norms
from benchmarks.workloads import LEARNING_RATE, Activation, Arrays, Layer, Linear, Network, Product

FUNCTIONS = {"relu": jax.nn.relu, "tanh": jnp.tanh}


def parameters_of(i: int, layer: Layer, data: Arrays) -> dict[str, jax.Array]:
    """Linear weights are [in, out]: XLA's CPU code multiplies by them faster than by a transpose."""
    match layer:
        case Linear():
            return {"weight": jnp.array(data[f"{i}.weight"].T), "bias": jnp.array(data[f"{i}.bias"])}
        case Activation():
            return {}


def apply(layer: Layer, parameters: dict[str, jax.Array], x: jax.Array) -> jax.Array:
    match layer:
        case Linear():
            return x @ parameters["weight"] + parameters["bias"]
        case Activation(function):
            return FUNCTIONS[function](x)


class Trained:
    """A network with its optimizer's state, and the step that updates them."""

    def __init__(self, workload: Network, data: Arrays) -> None:
        self.layers = workload.layers
        self.optimizer = optax.adam(LEARNING_RATE)
        parameters = [parameters_of(i, layer, data) for i, layer in enumerate(self.layers)]
        self.state: Any = parameters, self.optimizer.init(parameters)

    def loss(self, parameters: list[dict[str, jax.Array]], x: jax.Array, y: jax.Array) -> jax.Array:
        for layer, own in zip(self.layers, parameters, strict=True):
            x = apply(layer, own, x)
        return optax.softmax_cross_entropy_with_integer_labels(x, y).mean()

    def update(self, state: Any, batch: Any) -> tuple[Any, jax.Array]:
        parameters, averages = state
        loss, gradients = jax.value_and_grad(self.loss)(parameters, *batch)
        updates, averages = self.optimizer.update(gradients, averages, parameters)
        return (optax.apply_updates(parameters, updates), averages), loss


def network(mode: str, workload: Network, data: Arrays) -> Work:
    trained = Trained(workload, data)
    if mode == "step":
        step = jax.jit(lambda state, x, y: trained.update(state, (x, y)), donate_argnums=0)

        def one(x: jax.Array, y: jax.Array) -> jax.Array:
            trained.state, loss = step(trained.state, x, y)
            return loss

        batches = [(jnp.array(x), jnp.array(y)) for x, y in batches_of(workload, data)]
        return Work(in_turn(one, batches), lambda loss: np.asarray(loss).reshape(1), wait=jax.block_until_ready)

    x, y = jnp.array(data["x"]), jnp.array(data["y"])
    order = jnp.array(data["order"].reshape(workload.batches, workload.batch))
    epoch = jax.jit(lambda state, x, y, rows: jax.lax.scan(trained.update, state, (x[rows], y[rows])), donate_argnums=0)

    def all_batches() -> jax.Array:
        trained.state, losses = epoch(trained.state, x, y, order)
        return losses

    return Work(all_batches, np.asarray, workload.batches, jax.block_until_ready)


def product(mode: str, workload: Product, data: Arrays) -> Work:
    arrays = {name: jnp.array(array) for name, array in data.items()}
    if workload.kind == "matmul":
        function = jax.jit(lambda a, b: (a @ b,))
    else:

        @jax.jit
        def function(x: jax.Array, w: jax.Array, bias: jax.Array, cotangent: jax.Array) -> tuple[jax.Array, ...]:
            y, pullback = jax.vjp(lambda x, w, bias: jax.nn.relu(x @ w.T + bias), x, w, bias)
            return y, *pullback(cotangent)

    return Work(
        lambda: jax.block_until_ready(function(*arrays.values())),
        lambda outputs: norms([np.asarray(output) for output in outputs]),
    )
