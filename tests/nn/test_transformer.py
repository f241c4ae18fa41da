"""Layers of attention and networks, stacks of them, and both stacks together."""

from __future__ import annotations

from math import erf, sqrt
from typing import Any

import numpy as np
import pytest

from chainrule import nn, ops
from chainrule.autodiff import grad
from chainrule.compiled import compile
from chainrule.errors import DefinitionError
from chainrule.random import Generator, normal
from chainrule.testing import check_gradients
from chainrule.trees import flatten

RNG = np.random.default_rng(0)
Array = np.ndarray[Any, np.dtype[Any]]


def layer_norm(state: dict[str, Array], name: str, x: Array) -> Array:
    centred = x - x.mean(-1, keepdims=True)
    scaled = centred / np.sqrt((centred**2).mean(-1, keepdims=True) + 1e-5) * state[f"{name}.weight"]
    return scaled + state.get(f"{name}.bias", 0.0)


def attention(state: dict[str, Array], name: str, x: Array, y: Array, bias: Array | float) -> Array:
    """Two heads, of [N, L, E]."""
    e = x.shape[-1]
    biases = state.get(f"{name}.in_proj_bias", np.zeros(3 * e)).reshape(3, e)
    weights = state[f"{name}.in_proj_weight"].reshape(3, e, e)
    q, k, v = (z @ w.T + b for z, w, b in zip((x, y, y), weights, biases, strict=True))
    heads: list[Array] = []
    for part in (slice(0, e // 2), slice(e // 2, e)):
        powers = np.exp(q[..., part] @ np.swapaxes(k[..., part], -1, -2) / sqrt(e // 2) + bias)
        heads.append(powers / powers.sum(-1, keepdims=True) @ v[..., part])
    joined = np.concatenate(heads, -1) @ state[f"{name}.out_proj.weight"].T
    return joined + state.get(f"{name}.out_proj.bias", 0.0)


def network(state: dict[str, Array], x: Array, activation: str) -> Array:
    h = x @ state["linear1.weight"].T + state.get("linear1.bias", 0.0)
    h = np.maximum(h, 0.0) if activation == "relu" else h * (1.0 + np.vectorize(erf)(h / sqrt(2.0))) / 2.0
    return h @ state["linear2.weight"].T + state.get("linear2.bias", 0.0)


def by_hand(
    state: dict[str, Array], x: Array, memory: Array | None, bias: Array, first: bool, activation: str
) -> Array:
    blocks = [lambda x: attention(state, "self_attn", x, x, bias)]
    if memory is not None:
        blocks.append(lambda x: attention(state, "multihead_attn", x, memory, 0.0))
    blocks.append(lambda x: network(state, x, activation))
    for i, block in enumerate(blocks):
        name = f"norm{i + 1}"
        x = x + block(layer_norm(state, name, x)) if first else layer_norm(state, name, x + block(x))
    return x


def shaken(module: Any) -> Any:
    """The module with other values everywhere."""
    module.load_state_dict({name: RNG.normal(size=x.shape) for name, x in module.state_dict().items()})
    return module


@pytest.mark.parametrize("first", [True, False])
@pytest.mark.parametrize("activation", ["relu", "gelu"])
@pytest.mark.parametrize("batch_first", [True, False])
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("decodes", [True, False])
def test_a_layer_is_the_formula(first: bool, activation: str, batch_first: bool, bias: bool, decodes: bool) -> None:
    options = {"dropout": 0.0, "activation": activation, "batch_first": batch_first, "norm_first": first, "bias": bias}
    kind = nn.TransformerDecoderLayer if decodes else nn.TransformerEncoderLayer
    layer, x, memory = shaken(kind(8, 2, 12, dtype="float64", **options)), *RNG.normal(size=(2, 3, 4, 8))
    causal = np.where(np.tri(4, dtype=bool), 0.0, -np.inf)
    wanted = by_hand(layer.state_dict(), x, memory if decodes else None, causal, first, activation)
    given = [z if batch_first else np.swapaxes(z, 0, 1) for z in ((x, memory) if decodes else (x,))]
    for found in (layer(*given, causal), layer(*given, **{"tgt_is_causal" if decodes else "is_causal": True})):
        value = found.numpy() if batch_first else np.swapaxes(found.numpy(), 0, 1)
        np.testing.assert_allclose(value, wanted, atol=1e-11)


@pytest.mark.parametrize("first", [True, False])
def test_gradients_of_layers_are_right_and_stay_the_same_when_compiled(first: bool) -> None:
    layer = nn.TransformerDecoderLayer(4, 2, 6, 0.0, "gelu", batch_first=True, norm_first=first, dtype="float64")
    inputs = (layer, *RNG.normal(size=(2, 1, 3, 4)))

    def decode(layer: Any, x: Any, memory: Any) -> Any:
        return layer(x, memory, tgt_is_causal=True)

    check_gradients(lambda *others: decode(layer, *others), inputs[1:], order=1)
    gradients = grad(lambda *inputs: (decode(*inputs) ** 3).sum(), argnums=(0, 1, 2))
    for found, wanted in zip(flatten(compile(gradients)(*inputs))[0], flatten(gradients(*inputs))[0], strict=True):
        np.testing.assert_allclose(found.numpy(), wanted.numpy(), atol=1e-11)


def test_masks_reach_the_attention_that_they_are_for() -> None:
    layer = nn.TransformerDecoderLayer(8, 2, 12, 0.0, batch_first=True, dtype="float64")
    x, memory = RNG.normal(size=(2, 1, 4, 8))
    last = np.array([[False, False, False, True]])
    other_x, other_memory = x.copy(), memory.copy()
    other_x[:, 3], other_memory[:, 3] = 0.0, 0.0
    masked = layer(x, memory, tgt_key_padding_mask=last, memory_key_padding_mask=last).numpy()
    again = layer(other_x, other_memory, tgt_key_padding_mask=last, memory_key_padding_mask=last).numpy()
    np.testing.assert_allclose(masked[:, :3], again[:, :3], atol=1e-13)
    attn = np.repeat(last, 4, 0)
    np.testing.assert_allclose(layer(x, memory, attn, attn).numpy(), masked, atol=1e-13)
    causal = ~np.tri(4, dtype=bool)
    wanted = layer(x, memory, causal, causal).numpy()
    np.testing.assert_allclose(layer(x, memory, tgt_is_causal=True, memory_is_causal=True).numpy(), wanted, atol=1e-13)


@pytest.mark.parametrize("activation", [ops.tanh, nn.Tanh()])
def test_an_activation_can_be_a_function_or_a_module(activation: Any) -> None:
    layer = nn.TransformerEncoderLayer(8, 2, 12, 0.0, activation, batch_first=True, norm_first=True, dtype="float64")
    state, x = shaken(layer).state_dict(), RNG.normal(size=(1, 4, 8))
    middle = x + attention(state, "self_attn", *(layer_norm(state, "norm1", x),) * 2, 0.0)
    h = np.tanh(layer_norm(state, "norm2", middle) @ state["linear1.weight"].T + state["linear1.bias"])
    wanted = middle + h @ state["linear2.weight"].T + state["linear2.bias"]
    np.testing.assert_allclose(layer(x).numpy(), wanted, atol=1e-12)


def test_another_activation_is_refused() -> None:
    with pytest.raises(DefinitionError, match="activation must be"):
        nn.TransformerEncoderLayer(8, 2, activation="swish")


def test_dropout_is_for_training_and_repeats_with_its_seed() -> None:
    x = normal((2, 4, 8), dtype="float64")
    layer = nn.TransformerEncoderLayer(8, 2, 12, 0.5, batch_first=True, dtype="float64", generator=Generator(0))
    names = {m.describe() for m in layer.modules()}
    assert "Dropout(0.5)" in names and layer.self_attn.dropout == 0.5
    assert layer(x).tolist() != layer(x).tolist()
    assert layer.eval()(x).tolist() == layer(x).tolist()


def test_a_stack_starts_with_equal_layers_that_are_trained_apart() -> None:
    first = nn.TransformerEncoderLayer(8, 2, 12, 0.0, batch_first=True, dtype="float64")
    encoder = nn.TransformerEncoder(first, 3, nn.LayerNorm(8, dtype="float64"))
    names = [name for name, _ in encoder.named_parameters()]
    assert names[0] == "layers.0.self_attn.in_proj_weight" and names[-1] == "norm.bias" and len(names) == 3 * 12 + 2
    one, two = encoder.layers[0].linear1.weight, encoder.layers[1].linear1.weight
    assert one is not two and one.tolist() == two.tolist() == first.linear1.weight.tolist()
    x = RNG.normal(size=(1, 4, 8))
    wanted = x
    for _ in range(3):
        wanted = first(wanted)
    np.testing.assert_allclose(encoder(x).numpy(), layer_norm(encoder.state_dict(), "norm", wanted.numpy()), atol=1e-12)
    assert all(x.requires_grad for x in encoder.parameters()) and first.train(False) and encoder.layers[0].training
    assert repr(encoder).startswith("TransformerEncoder(num_layers=3)")


def test_both_stacks_together() -> None:
    model = nn.Transformer(8, 2, 2, 1, 12, 0.0, batch_first=True, dtype="float64")
    src, tgt = RNG.normal(size=(2, 3, 4, 8))
    padding = np.array([[False] * 4, [False] * 3 + [True], [False] * 4])
    mask = nn.Transformer.generate_square_subsequent_mask(4, dtype="float64")
    out = model(src, tgt, tgt_mask=mask, src_key_padding_mask=padding, memory_key_padding_mask=padding)
    memory = model.encoder(src, None, padding)
    wanted = model.decoder(tgt, memory, memory_key_padding_mask=padding, tgt_is_causal=True)
    np.testing.assert_allclose(out.numpy(), wanted.numpy(), atol=1e-13)
    weight = model.encoder.layers[1].linear1.weight.numpy()
    assert np.abs(weight).max() <= sqrt(6 / 20)
    assert weight.tolist() != model.encoder.layers[0].linear1.weight.tolist()


def test_stacks_of_ones_own_can_be_used() -> None:
    class Passing(nn.Module):
        def forward(self, x: Any, *others: Any) -> Any:
            return ops.negative(x)

    x = RNG.normal(size=(2, 2, 4))
    model = nn.Transformer(4, 2, custom_encoder=Passing(), custom_decoder=Passing())
    np.testing.assert_array_equal(model(x, 2 * x).numpy(), -2 * x)
