"""What JAX makes of layers: functions of dicts of weights, which are stored as XLA's CPU code is fastest with."""

from __future__ import annotations

from typing import Any, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks import layers
from benchmarks.layers import Layer, Shape
from benchmarks.workloads import Arrays, Network, Single

Weights: TypeAlias = dict[str, Any]
Statistics: TypeAlias = dict[str, Any]

FUNCTIONS = {"relu": jax.nn.relu, "tanh": jnp.tanh, "gelu": lambda x: jax.nn.gelu(x, approximate=False)}
EPSILON, MOMENTUM = 1e-5, 0.1


def place_of_axis_1(workload: Network | Single) -> int:
    """Where the channels of images are stored, and the heads of attention."""
    is_attention = isinstance(workload, Single) and isinstance(workload.layer, layers.Attention)
    return 2 if is_attention else -1 if workload.has_images else 1


def restored(x: np.ndarray, place: int) -> jax.Array:
    """An array with axis 1 moved to its place in memory."""
    return jnp.array(np.ascontiguousarray(np.moveaxis(x, 1, place)) if place != 1 else x)


def start(kinds: tuple[Layer, ...], shape: Shape, data: Arrays, prefix: str = "") -> tuple[Weights, Statistics]:
    """Weights and running statistics of layers one after the other, by position."""
    weights, statistics, before = {}, {}, None
    for i, layer in enumerate(kinds):
        path = f"{prefix}{i}."
        own = {name.removeprefix(path): x for name, x in data.items() if name.startswith(path)}
        weights[str(i)], statistics[str(i)] = start_of(layer, own, shape, before)
        before, shape = (shape if isinstance(layer, layers.Flatten) else None), layer.output(shape)
    return weights, statistics


def start_of(layer: Layer, own: Arrays, shape: Shape, flattened: Shape | None) -> tuple[Weights, Statistics]:
    """Weights and running statistics of a layer; `flattened` is what was made flat before a linear layer."""
    match layer:
        case layers.Residual(inner, shortcut):
            parts = {"inner": start(inner, shape, own, "inner."), "shortcut": start(shortcut, shape, own, "shortcut.")}
            return {way: x for way, (x, _) in parts.items()}, {way: x for way, (_, x) in parts.items()}
        case layers.BatchNormalisation(channels):
            statistics = {"mean": jnp.zeros(channels), "variance": jnp.ones(channels)}
        case _:
            statistics = {}
    named = {name: own[name] for name in layer.parameters()}
    if isinstance(layer, layers.Linear) and flattened:
        images = named["weight"].reshape(layer.outputs, *flattened)
        named["weight"] = np.moveaxis(images, 1, -1).reshape(layer.outputs, -1)
    return {name: jnp.array(stored(layer, x)) for name, x in named.items()}, statistics


def stored(layer: Layer, weight: np.ndarray) -> np.ndarray:
    """Matrices are [in, out]: XLA's CPU code is faster with them than with a transpose. Kernels are [H, W, in, out]."""
    match layer:
        case layers.Linear() | layers.Recurrent() | layers.SelfAttention() if weight.ndim == 2:
            return weight.T
        case layers.Convolution(transposed=transposed) if weight.ndim == 4:
            return weight.transpose(2, 3, 0, 1) if transposed else weight.transpose(2, 3, 1, 0)
    return weight


def as_in_pytorch(layer: Layer, weights: Weights) -> list[np.ndarray]:
    """A layer's weights, or their gradients, as they are declared and in that order."""
    arrays = [np.asarray(weights[name]) for name in layer.parameters()]
    match layer:
        case layers.Convolution(transposed=transposed):
            order = (2, 3, 0, 1) if transposed else (3, 2, 0, 1)
            return [x.transpose(order) if x.ndim == 4 else x for x in arrays]
    return [stored(layer, x) for x in arrays]


def chain(
    kinds: tuple[Layer, ...], weights: Weights, statistics: Statistics, x: jax.Array
) -> tuple[jax.Array, Statistics]:
    """Layers one after the other."""
    new = {}
    for i, layer in enumerate(kinds):
        x, new[str(i)] = apply(layer, weights[str(i)], statistics[str(i)], x)
    return x, new


def apply(layer: Layer, own: Weights, statistics: Statistics, *inputs: jax.Array) -> tuple[jax.Array, Statistics]:
    """The output of a layer, and its running statistics after it."""
    x = inputs[0]
    match layer:
        case layers.BatchNormalisation():
            return batch_normalised(own, statistics, x)
        case layers.Residual(inner, shortcut):
            right, of_inner = chain(inner, own["inner"], statistics["inner"], x)
            left, of_shortcut = chain(shortcut, own["shortcut"], statistics["shortcut"], x)
            return right + left, {"inner": of_inner, "shortcut": of_shortcut}
        case layers.Attention():
            return jax.nn.dot_product_attention(*inputs, is_causal=True), {}
    return plain(layer, own, x), {}


def plain(layer: Layer, own: Weights, x: jax.Array) -> jax.Array:
    """Layers of one input that keep nothing."""
    match layer:
        case layers.Linear(bias=bias):
            return x @ own["weight"] + own["bias"] if bias else x @ own["weight"]
        case layers.Activation(function):
            return FUNCTIONS[function](x)
        case layers.Softmax():
            return jax.nn.softmax(x)
        case layers.Convolution(bias=bias):
            return convolved(layer, own["weight"], x) + own["bias"] if bias else convolved(layer, own["weight"], x)
        case layers.LayerNormalisation():
            mean = x.mean(-1, keepdims=True)
            variance = jnp.square(x - mean).mean(-1, keepdims=True)
            return (x - mean) * jax.lax.rsqrt(variance + EPSILON) * own["weight"] + own["bias"]
        case layers.MaxPool(size):
            window = (1, size, size, 1)
            return jax.lax.reduce_window(x, -jnp.inf, jax.lax.max, window, window, "VALID")
        case layers.GlobalAveragePool():
            return x.mean((1, 2))
        case layers.Flatten():
            return x.reshape(len(x), -1)
        case layers.Embedding():
            return own["weight"][x]
        case layers.Position():
            return x + own["weight"]
        case layers.Recurrent():
            return recurrent(layer, own, x)
        case layers.SelfAttention(size, heads):
            parts = jnp.split(x @ own["inputs.weight"] + own["inputs.bias"], 3, -1)
            q, k, v = (part.reshape(*x.shape[:2], heads, size // heads) for part in parts)
            attended = jax.nn.dot_product_attention(q, k, v, is_causal=True)
            return attended.reshape(x.shape) @ own["output.weight"] + own["output.bias"]
    raise TypeError(f"JAX's side has no {layer}")


def batch_normalised(own: Weights, old: Statistics, x: jax.Array) -> tuple[jax.Array, Statistics]:
    mean = x.mean((0, 1, 2))
    variance = jnp.square(x - mean).mean((0, 1, 2))
    y = (x - mean) * (jax.lax.rsqrt(variance + EPSILON) * own["weight"]) + own["bias"]
    count = x.size // x.shape[-1]
    seen = jax.lax.stop_gradient({"mean": mean, "variance": variance * (count / (count - 1))})
    return y, {name: (1.0 - MOMENTUM) * old[name] + MOMENTUM * seen[name] for name in old}


def convolved(layer: layers.Convolution, kernel: jax.Array, x: jax.Array) -> jax.Array:
    names, dilation = ("NHWC", "HWIO", "NHWC"), (layer.dilation,) * 2
    if layer.transposed:
        edge = layer.dilation * (layer.kernel - 1) - layer.padding
        return jax.lax.conv_general_dilated(
            x, kernel[::-1, ::-1], (1, 1), [(edge, edge)] * 2, (layer.stride,) * 2, dilation, names
        )
    edges = [(layer.padding, layer.padding)] * 2
    return jax.lax.conv_general_dilated(
        x, kernel, (layer.stride,) * 2, edges, rhs_dilation=dilation, dimension_numbers=names,
        feature_group_count=layer.groups,
    )  # fmt: skip


def recurrent(layer: layers.Recurrent, own: Weights, x: jax.Array) -> jax.Array:
    """One product for the inputs of all steps, then a scan over time."""
    projected = (x @ own["weight_ih_l0"] + own["bias_ih_l0"]).transpose(1, 0, 2)
    weight, bias = own["weight_hh_l0"], own["bias_hh_l0"]

    def lstm(state: tuple[jax.Array, jax.Array], step: jax.Array) -> Any:
        h, c = state
        i, f, g, o = jnp.split(step + h @ weight + bias, 4, -1)
        c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
        h = jax.nn.sigmoid(o) * jnp.tanh(c)
        return (h, c), h

    def gru(h: jax.Array, step: jax.Array) -> Any:
        r, z, n = jnp.split(step, 3, -1)
        own_r, own_z, own_n = jnp.split(h @ weight + bias, 3, -1)
        n = jnp.tanh(n + jax.nn.sigmoid(r + own_r) * own_n)
        z = jax.nn.sigmoid(z + own_z)
        h = (1.0 - z) * n + z * h
        return h, h

    zeros = jnp.zeros((len(x), layer.units))
    _, outputs = (
        jax.lax.scan(lstm, (zeros, zeros), projected) if layer.kind == "lstm" else jax.lax.scan(gru, zeros, projected)
    )
    return outputs.transpose(1, 0, 2)
