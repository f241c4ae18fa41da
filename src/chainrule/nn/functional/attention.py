"""Scaled dot-product attention."""

from __future__ import annotations

from math import inf, sqrt

import numpy as np

from chainrule import ops
from chainrule.errors import ShapeError
from chainrule.nn.checks import number
from chainrule.random import Generator, default_generator
from chainrule.tensor import Tensor, TensorLike, as_tensor, operands
from chainrule.types import FLOATS, bool_, broadcast_shapes, float32


def scaled_dot_product_attention(
    query: TensorLike,
    key: TensorLike,
    value: TensorLike,
    attn_mask: TensorLike | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
    *,
    generator: Generator | None = None,
) -> Tensor:
    """softmax(query key^T scale + mask) value: for each query, a mean of the values, weighted by how well keys match.

    Vaswani et al., "Attention is all you need", NIPS 2017. Without dropout, no matrix of weights is stored: see
    `ops.attention`.

    Args:
        query: [..., L, E].
        key: [..., S, E].
        value: [..., S, Ev].
        attn_mask: broadcasts to [..., L, S]: truth values that say which keys a query may attend to, or numbers that
            are added to the scores.
        dropout_p: the probability that a weight is dropped; always, as a function does not know whether it trains.
        is_causal: whether query i attends to keys 0 to i only, and of these to those that the mask allows.
        scale: by default 1 / sqrt(E).
        enable_gqa: whether keys and values may have fewer heads, on axis -3, than queries: each then serves several
            neighbouring heads (Ainslie et al., "GQA", EMNLP 2023).
        generator: where the randomness of dropout comes from; by default the generator that all layers share.

    Returns [..., L, Ev]. A query that may attend to no key gets zeros.

    Raises `ShapeError` if the shapes do not fit, `DefinitionError` for a dropout_p outside of [0, 1].

    >>> scaled_dot_product_attention([[1.0, 0.0]], [[9.0, 0.0], [0.0, 9.0]], [[1.0], [2.0]], scale=1.0)
    tensor([[1.0001234]], f32[1, 1])
    """
    query, key, value = _together(query, key, value)
    mask = None if attn_mask is None else as_tensor(attn_mask, query.dtype)
    if enable_gqa:
        query, key, value, mask = _grouped(query, key, value, mask)
    if dropout_p == 0.0:
        out, _ = ops.attention(query, key, value, _bias(mask, query, key), causal=is_causal, scale=scale)
    else:
        weights = attention_weights(query, key, mask, is_causal=is_causal, scale=scale)
        out = dropout(weights, dropout_p, generator) @ value
    return out.flatten(-4, -3) if enable_gqa else out


def attention_weights(
    query: Tensor, key: Tensor, mask: Tensor | None = None, *, is_causal: bool = False, scale: float | None = None
) -> Tensor:
    """softmax(query key^T scale + mask) [..., L, S]; zeros for a query that may attend to no key."""
    bias = _bias(mask, query, key)
    scores = (query @ key.mT) * (1.0 / sqrt(max(query.shape[-1], 1)) if scale is None else scale)
    scores = scores if bias is None else scores + bias
    if is_causal:
        scores = ops.where(np.tri(*scores.shape[-2:], dtype=np.bool_), scores, -inf)
    largest = ops.max(scores.detach(), -1, keepdims=True) if scores.shape[-1] else 0.0
    powers = ops.exp(scores - ops.where(ops.equal(largest, -inf), 0.0, largest))
    total = ops.sum(powers, -1, keepdims=True)
    return powers / ops.where(total == 0.0, 1.0, total)


def dropout(x: Tensor, p: float, generator: Generator | None) -> Tensor:
    """x with each element zero with probability p, and else divided by 1 - p."""
    p = number("dropout_p", p, 0.0, 1.0)
    if p in (0.0, 1.0):
        return x if p == 0.0 else ops.where(False, x, 0.0)
    kept = (generator or default_generator()).bernoulli(1.0 - p, x.shape)
    return ops.where(kept, x / (1.0 - p), 0.0)


def _together(*inputs: TensorLike) -> tuple[Tensor, ...]:
    """Query, key and value as floats of one type. Raises `ShapeError` if their last two axes do not fit."""
    found = operands(*inputs)
    query, key, value = found if found[0].dtype in FLOATS else operands(*found, dtype=float32)
    problem = ""
    if min(query.ndim, key.ndim, value.ndim) < 2:
        problem = "[..., L, E], [..., S, E] and [..., S, Ev] are needed"
    elif query.shape[-1] != key.shape[-1]:
        problem = f"queries of {query.shape[-1]} features do not meet keys of {key.shape[-1]}"
    elif key.shape[-2] != value.shape[-2]:
        problem = f"there are {key.shape[-2]} keys for {value.shape[-2]} values"
    if problem:
        raise ShapeError(
            f"scaled_dot_product_attention: {problem}: query {query.type}, key {key.type}, value {value.type}"
        )
    return query, key, value


def _bias(mask: Tensor | None, query: Tensor, key: Tensor) -> Tensor | None:
    """A mask as numbers to be added to scores. Raises `ShapeError` if it does not broadcast to them."""
    if mask is None:
        return None
    scores = (*broadcast_shapes(query.shape[:-2], key.shape[:-2]), query.shape[-2], key.shape[-2])
    try:
        fits = broadcast_shapes(mask.shape, scores) == scores
    except ShapeError:
        fits = False
    if not fits:
        raise ShapeError(f"a mask {mask.type} does not broadcast to scores {list(scores)}, [..., queries, keys]")
    return ops.where(mask, as_tensor(0.0, query.dtype), -inf) if mask.dtype is bool_ else mask.cast(query.dtype)


def _grouped(
    query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None
) -> tuple[Tensor, Tensor, Tensor, Tensor | None]:
    """Heads as groups [..., G, H / G, L, E] that share a key and a value [..., G, 1, S, E]."""
    heads, groups = (x.shape[-3] if x.ndim > 2 else 0 for x in (query, key))
    if not groups or heads % groups or min(value.ndim, 3) < 3 or value.shape[-3] != groups:
        raise ShapeError(
            f"scaled_dot_product_attention: {heads} heads of queries {query.type} cannot share the heads, on axis -3, "
            f"of keys {key.type} and values {value.type}"
        )

    def divided(x: Tensor) -> Tensor:
        return x.reshape((*x.shape[:-3], groups, heads // groups, *x.shape[-2:]))

    if mask is not None and mask.ndim > 2:
        mask = divided(mask) if mask.shape[-3] == heads else mask.expand_dims(-3)
    return divided(query), key.expand_dims(-3), value.expand_dims(-3), mask
