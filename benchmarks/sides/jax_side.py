"""JAX: the whole step under one `jit`, called for each batch ("step") or scanned over an epoch's batches ("scan").

XLA takes as many threads as the process may run on. Images are stored channels last, and weights as its CPU code likes
them best.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
import optax

from benchmarks.sides import jax_layers
from benchmarks.sides.jax_layers import Statistics, Weights
from benchmarks.work import Work, batches_of, in_turn, norms
from benchmarks.workloads import LEARNING_RATE, Arrays, Network, Product, Single, inputs_of

State: TypeAlias = tuple[Weights, Statistics, Any]


class Trained:
    """A network with its running statistics and its optimizer's state, and the step that updates them."""

    def __init__(self, workload: Network, data: Arrays) -> None:
        self.layers = workload.layers
        self.optimizer = optax.adam(LEARNING_RATE)
        weights, statistics = jax_layers.start(workload.layers, workload.rows, data)
        self.state: State = weights, statistics, self.optimizer.init(weights)

    def loss(
        self, weights: Weights, statistics: Statistics, x: jax.Array, y: jax.Array
    ) -> tuple[jax.Array, Statistics]:
        logits, statistics = jax_layers.chain(self.layers, weights, statistics, x)
        return optax.softmax_cross_entropy_with_integer_labels(logits, y).mean(), statistics

    def update(self, state: State, batch: tuple[jax.Array, jax.Array]) -> tuple[State, jax.Array]:
        weights, statistics, averages = state
        of_weights = jax.value_and_grad(self.loss, has_aux=True)
        (loss, statistics), gradients = of_weights(weights, statistics, *batch)
        updates, averages = self.optimizer.update(gradients, averages, weights)
        return (optax.apply_updates(weights, updates), statistics, averages), loss


def network(mode: str, workload: Network, data: Arrays) -> Work:
    trained = Trained(workload, data)
    place = jax_layers.place_of_axis_1(workload)
    if mode == "step":
        step = jax.jit(lambda state, x, y: trained.update(state, (x, y)), donate_argnums=0)

        def one(x: jax.Array, y: jax.Array) -> jax.Array:
            trained.state, loss = step(trained.state, x, y)
            return loss

        batches = [(jax_layers.restored(x, place), jnp.array(y)) for x, y in batches_of(workload, data)]
        return Work(in_turn(one, batches), lambda loss: np.asarray(loss).reshape(1), wait=jax.block_until_ready)

    x, y = jax_layers.restored(data["x"], place), jnp.array(data["y"])
    order = jnp.array(data["order"].reshape(workload.batches, workload.batch))
    epoch = jax.jit(lambda state, x, y, rows: jax.lax.scan(trained.update, state, (x[rows], y[rows])), donate_argnums=0)

    def all_batches() -> jax.Array:
        trained.state, losses = epoch(trained.state, x, y, order)
        return losses

    return Work(all_batches, np.asarray, workload.batches, jax.block_until_ready)


def product(mode: str, workload: Product, data: Arrays) -> Work:
    arrays = {name: jnp.array(array) for name, array in data.items()}
    if workload.arithmetic == "matmul":
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


def layer(mode: str, workload: Single, data: Arrays) -> Work:
    own, place = workload.layer, jax_layers.place_of_axis_1(workload)
    *inputs, cotangent = (jax_layers.restored(x, place) for x in [*inputs_of(data), data["cotangent"]])
    weights, statistics = jax_layers.start((own,), workload.rows, {f"0.{name}": x for name, x in data.items()})
    fixed = [x for x in inputs if not jnp.issubdtype(x.dtype, jnp.floating)]
    moving = [x for x in inputs if jnp.issubdtype(x.dtype, jnp.floating)]

    @jax.jit
    def call(weights: Any, moving: Any, fixed: Any, statistics: Any, cotangent: jax.Array) -> Any:
        def forward(weights: Any, moving: Any) -> Any:
            return jax_layers.apply(own, weights["0"], statistics["0"], *fixed, *moving)

        y, pullback, new_statistics = jax.vjp(forward, weights, moving, has_aux=True)
        of_weights, of_inputs = pullback(cotangent)
        return y, of_inputs, of_weights, new_statistics

    def numbers(outputs: Any) -> np.ndarray:
        y, of_inputs, of_weights, _ = outputs
        arrays = [np.asarray(x) for x in (y, *of_inputs)]
        return norms([*(np.moveaxis(x, place, 1) for x in arrays), *jax_layers.as_in_pytorch(own, of_weights["0"])])

    return Work(lambda: jax.block_until_ready(call(weights, moving, fixed, statistics, cotangent)), numbers)
