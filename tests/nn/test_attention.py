"""Scaled dot-product attention, and attention with several heads."""

from __future__ import annotations

from math import sqrt
from typing import Any

import numpy as np
import pytest

from chainrule import nn
from chainrule.autodiff import grad
from chainrule.compiled import compile
from chainrule.errors import DefinitionError, ShapeError
from chainrule.nn.functional import scaled_dot_product_attention
from chainrule.random import Generator
from chainrule.tensor import tensor
from chainrule.testing import check_gradients
from chainrule.trace import trace
from chainrule.trees import flatten

RNG = np.random.default_rng(0)
Array = np.ndarray[Any, np.dtype[Any]]


def drawn(*shapes: tuple[int, ...]) -> list[Array]:
    return [RNG.normal(size=shape) for shape in shapes]


def expected(q: Array, k: Array, v: Array, bias: Array | float = 0.0, scale: float | None = None) -> Array:
    """The formula, query by query."""
    scores = q @ np.swapaxes(k, -1, -2) * (1 / sqrt(q.shape[-1]) if scale is None else scale) + bias
    out = np.zeros((*scores.shape[:-1], v.shape[-1]))
    values = np.broadcast_to(v, (*scores.shape[:-2], *v.shape[-2:]))
    for place in np.ndindex(*scores.shape[:-1]):
        row = scores[place]
        if (row > -np.inf).any():
            powers = np.exp(row - row.max())
            out[place] = powers @ values[place[:-1]] / powers.sum()
    return out


SHAPES = [((), 3, 4, 5, 6), ((2,), 4, 4, 3, 3), ((2, 3), 7, 5, 4, 4), ((1, 2), 37, 70, 16, 16)]


@pytest.mark.parametrize(("leading", "queries", "keys", "size", "width"), SHAPES)
@pytest.mark.parametrize("kind", ["none", "causal", "truth", "numbers", "both", "of keys", "nothing"])
def test_attention_is_the_formula(
    leading: tuple[int, ...], queries: int, keys: int, size: int, width: int, kind: str
) -> None:
    q, k, v = drawn((*leading, queries, size), (*leading, keys, size), (*leading, keys, width))
    causal = np.where(np.tri(queries, keys, dtype=bool), 0.0, -np.inf)
    truth = RNG.random((queries, keys)) < 0.7
    truth[:, 0] = True
    numbers, of_keys = RNG.normal(size=(*leading, queries, keys)), np.arange(keys) < keys - 1
    truth_bias = np.where(truth, 0.0, -np.inf)
    mask, is_causal, bias = {
        "none": (None, False, 0.0),
        "causal": (None, True, causal),
        "truth": (truth, False, truth_bias),
        "numbers": (numbers, False, numbers),
        "both": (truth, True, truth_bias + causal),
        "of keys": (of_keys, False, np.where(of_keys, 0.0, -np.inf)),
        "nothing": (np.zeros((queries, keys), bool), False, -np.inf),
    }[kind]

    def attend(q: Any, k: Any, v: Any) -> Any:
        return scaled_dot_product_attention(q, k, v, mask, is_causal=is_causal)

    np.testing.assert_allclose(attend(q, k, v).numpy(), expected(q, k, v, bias), atol=1e-13)
    if size == 16:
        np.testing.assert_allclose(compile(attend)(q, k, v).numpy(), expected(q, k, v, bias), atol=1e-13)
    if not leading:
        check_gradients(attend, (q, k, v), order=1)


def test_a_mask_of_numbers_is_trained() -> None:
    q, k, v, mask = drawn((2, 3, 4), (2, 5, 4), (2, 5, 4), (3, 5))
    check_gradients(scaled_dot_product_attention, (q, k, v, mask))


def test_a_query_without_keys_has_zeros_and_no_gradient() -> None:
    q, k, v = drawn((3, 4), (5, 4), (5, 4))
    mask = np.ones((3, 5), bool)
    mask[1] = False
    assert scaled_dot_product_attention(q, k, v, mask).tolist()[1] == [0.0] * 4
    found = grad(lambda q: scaled_dot_product_attention(q, k, v, mask).sum())(q).numpy()
    assert np.isfinite(found).all() and (found[1] == 0.0).all() and (found[0] != 0.0).any()


def test_the_scale_can_be_chosen() -> None:
    q, k, v = drawn((3, 4), (5, 4), (5, 4))
    np.testing.assert_allclose(
        scaled_dot_product_attention(q, k, v, scale=0.1).numpy(), expected(q, k, v, scale=0.1), atol=1e-14
    )


def test_leading_axes_broadcast() -> None:
    q, k, v = drawn((2, 3, 4, 5), (3, 6, 5), (1, 1, 6, 5))
    np.testing.assert_allclose(scaled_dot_product_attention(q, k, v).numpy(), expected(q, k, v), atol=1e-14)


@pytest.mark.parametrize("mask_shape", [None, (4, 5), (2, 1, 4, 5), (2, 6, 4, 5)])
def test_heads_share_keys_and_values(mask_shape: tuple[int, ...] | None) -> None:
    q, k, v = drawn((2, 6, 4, 8), (2, 2, 5, 8), (2, 2, 5, 3))
    mask = None if mask_shape is None else RNG.normal(size=mask_shape)
    found = scaled_dot_product_attention(q, k, v, mask, enable_gqa=True).numpy()
    bias = 0.0 if mask is None else mask
    np.testing.assert_allclose(found, expected(q, np.repeat(k, 3, 1), np.repeat(v, 3, 1), bias), atol=1e-14)


def test_heads_that_cannot_be_shared_are_refused() -> None:
    q, k, v = drawn((5, 4, 8), (2, 5, 8), (2, 5, 8))
    with pytest.raises(ShapeError, match="5 heads of queries"):
        scaled_dot_product_attention(q, k, v, enable_gqa=True)


def test_dropout_drops_weights_and_scales_the_rest() -> None:
    q, k = drawn((50, 8), (40, 8))
    weights = scaled_dot_product_attention(q, k, np.eye(40), dropout_p=0.25, generator=Generator(0)).numpy()
    whole = scaled_dot_product_attention(q, k, np.eye(40)).numpy()
    dropped = weights == 0.0
    assert abs(dropped.mean() - 0.25) < 0.03
    np.testing.assert_allclose(weights[~dropped], whole[~dropped] / 0.75, atol=1e-14)
    assert (scaled_dot_product_attention(q, k, np.eye(40), dropout_p=1.0).numpy() == 0.0).all()
    with pytest.raises(DefinitionError, match="dropout_p must be"):
        scaled_dot_product_attention(q, k, k, dropout_p=1.5)


@pytest.mark.parametrize(
    ("shapes", "message"),
    [
        (((4,), (5, 4), (5, 4)), r"\[\.\.\., L, E\], \[\.\.\., S, E\] and"),
        (((3, 4), (5, 6), (5, 4)), "queries of 4 features do not meet keys of 6"),
        (((3, 4), (5, 4), (6, 4)), "there are 5 keys for 6 values"),
        (((2, 3, 4), (3, 5, 4), (3, 5, 4)), "leading axes"),
    ],
)
def test_inputs_that_do_not_fit_are_refused(shapes: tuple[tuple[int, ...], ...], message: str) -> None:
    with pytest.raises(ShapeError, match=message):
        scaled_dot_product_attention(*drawn(*shapes))


@pytest.mark.parametrize("shape", [(4, 5), (2, 3, 5), (5, 3)])
def test_a_mask_that_does_not_fit_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ShapeError, match="does not broadcast to scores"):
        scaled_dot_product_attention(*drawn((3, 4), (5, 4), (5, 4)), np.ones(shape, bool))


# ---- several heads --------------------------------------------------------------------------------------------------


def heads_by_hand(m: nn.MultiheadAttention, q: Array, k: Array, v: Array, bias: Array | float = 0.0) -> Array:
    """Inputs [N, L, E], head by head."""
    e, state = m.embed_dim, m.state_dict()
    if "in_proj_weight" in state:
        weights = [state["in_proj_weight"][i * e : (i + 1) * e] for i in range(3)]
    else:
        weights = [state[f"{name}_proj_weight"] for name in "qkv"]
    biases = state.get("in_proj_bias", np.zeros(3 * e)).reshape(3, e)
    q, k, v = (x @ w.T + b for x, w, b in zip((q, k, v), weights, biases, strict=True))
    parts = [np.s_[..., i * m.head_dim : (i + 1) * m.head_dim] for i in range(m.num_heads)]
    joined = np.concatenate([expected(q[part], k[part], v[part], bias) for part in parts], -1)
    return joined @ state["out_proj.weight"].T + state.get("out_proj.bias", 0.0)


def random_heads(**options: Any) -> nn.MultiheadAttention:
    m = nn.MultiheadAttention(8, 2, dtype="float64", **options)
    m.load_state_dict({name: RNG.normal(size=x.shape) for name, x in m.state_dict().items()})
    return m


@pytest.mark.parametrize("batch_first", [True, False])
@pytest.mark.parametrize("need_weights", [True, False])
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize(("kdim", "vdim"), [(None, None), (5, 7)])
def test_several_heads_are_attention_in_each(
    batch_first: bool, need_weights: bool, bias: bool, kdim: int | None, vdim: int | None
) -> None:
    m = random_heads(batch_first=batch_first, bias=bias, kdim=kdim, vdim=vdim)
    q, k, v = drawn((2, 3, 8), (2, 4, kdim or 8), (2, 4, vdim or 8))
    given = (q, k, v) if batch_first else tuple(np.swapaxes(x, 0, 1) for x in (q, k, v))
    out, weights = m(*given, need_weights=need_weights)
    found = out.numpy() if batch_first else np.swapaxes(out.numpy(), 0, 1)
    np.testing.assert_allclose(found, heads_by_hand(m, q, k, v), atol=1e-12)
    assert (weights is not None) == need_weights
    if weights is not None:
        assert weights.shape == (2, 3, 4)
        np.testing.assert_allclose(weights.sum(-1).numpy(), 1.0)
        assert m(*given, average_attn_weights=False)[1].shape == (2, 2, 3, 4)


def test_one_input_is_projected_in_one_product_with_the_same_result() -> None:
    m, (x, y) = random_heads(batch_first=True), drawn((2, 3, 8), (2, 4, 8))
    np.testing.assert_allclose(m(x, x, x)[0].numpy(), heads_by_hand(m, x, x, x), atol=1e-12)
    np.testing.assert_allclose(m(x, y, y)[0].numpy(), heads_by_hand(m, x, y, y), atol=1e-12)
    graph = trace(lambda x: m(x, x, x)[0])(x)
    assert sum(node.op is not None and node.op.name == "matmul" for node in graph.nodes) == 4


@pytest.mark.parametrize("need_weights", [True, False])
@pytest.mark.parametrize("kind", ["attn", "padding", "both", "numbers", "of heads", "causal"])
def test_masks_say_where_nothing_is_attended_to(need_weights: bool, kind: str) -> None:
    m, (x,) = random_heads(batch_first=True), drawn((2, 4, 8))
    attn, padding = ~np.tri(4, dtype=bool), np.array([[False] * 4, [False, False, True, True]])
    bias = np.where(attn, -np.inf, 0.0)
    numbers = RNG.normal(size=(4, 4))
    of_padding = np.where(padding, -np.inf, 0.0)[:, None]
    options, by_hand = {
        "attn": ({"attn_mask": attn}, bias),
        "padding": ({"key_padding_mask": padding}, of_padding),
        "both": ({"attn_mask": attn, "key_padding_mask": padding}, bias + of_padding),
        "numbers": ({"attn_mask": numbers, "key_padding_mask": padding}, numbers + of_padding),
        "of heads": ({"attn_mask": np.repeat(attn[None], 4, 0)}, bias),
        "causal": ({"is_causal": True}, bias),
    }[kind]
    out, _ = m(x, x, x, need_weights=need_weights, **options)
    np.testing.assert_allclose(out.numpy(), heads_by_hand(m, x, x, x, by_hand), atol=1e-12)


def test_masks_of_another_shape_are_refused() -> None:
    m, (x,) = random_heads(batch_first=True), drawn((2, 4, 8))
    with pytest.raises(ShapeError, match=r"an attn_mask \[4, 4\] or \[4, 4, 4\] is needed, not bool\[4, 3\]"):
        m(x, x, x, attn_mask=np.ones((4, 3), bool))
    with pytest.raises(ShapeError, match=r"a key_padding_mask \[2, 4\] is needed, not bool\[4\]"):
        m(x, x, x, key_padding_mask=np.ones(4, bool))


def test_a_single_sequence_needs_no_batch() -> None:
    m, (x,) = random_heads(), drawn((4, 8))
    out, weights = m(x, x, x, key_padding_mask=np.array([False, False, False, True]))
    assert out.shape == (4, 8) and weights is not None and weights.shape == (4, 4)
    bias = np.array([0.0, 0.0, 0.0, -np.inf])
    np.testing.assert_allclose(out.numpy(), heads_by_hand(m, x[None], x[None], x[None], bias)[0], atol=1e-12)


@pytest.mark.parametrize("is_causal", [True, False])
def test_added_keys_are_attended_to_by_every_query(is_causal: bool) -> None:
    m, (x,) = random_heads(batch_first=True, add_bias_kv=True, add_zero_attn=True), drawn((2, 3, 8))
    assert m.bias_k is not None and m.bias_k.shape == (1, 1, 8)
    weights = m(x, x, x, is_causal=is_causal)[1]
    assert weights is not None and weights.shape == (2, 3, 5) and (weights.numpy()[..., 3:] > 0.0).all()
    assert (weights.numpy()[:, 0, 1:3] == 0.0).all() == is_causal
    masked = m(x, x, x, key_padding_mask=np.ones((2, 3), bool))[1]
    np.testing.assert_allclose(masked.numpy()[..., 3:].sum(-1), 1.0)


def test_gradients_of_several_heads_are_right_and_stay_the_same_when_compiled() -> None:
    m, (x,) = random_heads(batch_first=True), drawn((1, 3, 8))

    def attend(m: nn.MultiheadAttention, x: Any) -> Any:
        return m(x, x, x, need_weights=False, is_causal=True)[0]

    check_gradients(attend, (m, x), order=1)
    gradients = grad(lambda m, x: (attend(m, x) ** 2).sum(), argnums=(0, 1))
    for found, wanted in zip(flatten(compile(gradients)(m, x))[0], flatten(gradients(m, x))[0], strict=True):
        np.testing.assert_allclose(found.numpy(), wanted.numpy(), atol=1e-12)


def test_weights_are_dropped_in_training_alone() -> None:
    m = nn.MultiheadAttention(8, 2, dropout=0.5, batch_first=True, generator=Generator(0))
    x = tensor(RNG.normal(size=(2, 10, 8)), "float32")
    weights = m(x, x, x, average_attn_weights=False)[1].numpy()
    assert 0.3 < (weights == 0.0).mean() < 0.7
    assert m(x, x, x, need_weights=False)[0].tolist() != m(x, x, x, need_weights=False)[0].tolist()
    assert (m.eval()(x, x, x, average_attn_weights=False)[1].numpy() > 0.0).all()


def test_the_first_values_are_glorots_and_biases_are_zero() -> None:
    m = nn.MultiheadAttention(64, 4)
    bound = sqrt(6 / (64 + 3 * 64))
    weight = m.in_proj_weight.numpy()
    assert weight.shape == (192, 64) and np.abs(weight).max() <= bound and np.abs(weight).max() > 0.95 * bound
    assert not m.in_proj_bias.numpy().any() and not m.out_proj.bias.numpy().any()
    assert repr(m).startswith("MultiheadAttention(64, 4)  16,640 parameters")


def test_features_that_heads_cannot_share_are_refused() -> None:
    with pytest.raises(DefinitionError, match="10 features cannot be divided among 4 heads"):
        nn.MultiheadAttention(10, 4)


@pytest.mark.parametrize(
    "shapes", [((2, 3, 7),) * 3, ((2, 3, 8), (2, 3, 8), (2, 4, 8)), ((3, 8), (2, 3, 8), (2, 3, 8))]
)
def test_inputs_of_several_heads_that_do_not_fit_are_refused(shapes: tuple[tuple[int, ...], ...]) -> None:
    with pytest.raises(ShapeError, match=r"a query \[N, L, 8\], a key \[N, S, 8\] and a value \[N, S, 8\] are needed"):
        nn.MultiheadAttention(8, 2, batch_first=True, dtype="float64")(*drawn(*shapes))


def test_different_numbers_of_sequences_are_refused() -> None:
    with pytest.raises(ShapeError, match=r"2 sequences of queries .* meet 3 of keys .*; batch_first=True"):
        nn.MultiheadAttention(8, 2, batch_first=True, dtype="float64")(*drawn((2, 3, 8), (3, 3, 8), (3, 3, 8)))
