"""Attention, out = softmax(scale q k^T + bias) v, and its derivative, without a matrix of all scores in memory.

The forward pass keeps one number for each query, the logarithm of the softmax's divisor. From that the derivative makes
the weights again, as fast as they could be read.
"""

from __future__ import annotations

import builtins
from collections.abc import Sequence
from math import inf, sqrt
from typing import Any

import numpy as np

from chainrule.apply import apply_several, outputs_of
from chainrule.errors import ShapeError
from chainrule.kernel import Native
from chainrule.native.attention import (
    backward_loops,
    backward_micro,
    backward_scratch,
    backward_units,
    forward_loops,
    forward_micro,
    forward_scratch,
    forward_units,
)
from chainrule.op import JointRule, Recompute, define
from chainrule.ops.cast import identity
from chainrule.ops.comparison import equal, where
from chainrule.ops.contract import matmul
from chainrule.ops.creation import zeros_like
from chainrule.ops.layout import broadcast_to
from chainrule.ops.reduce import sum
from chainrule.ops.transcendental import exp
from chainrule.samples import Draw, Sample
from chainrule.state import current_tracing, recording
from chainrule.tensor import Tensor, TensorLike, operands
from chainrule.types import FLOATS, Array, TensorType, broadcast_shapes, float32, size_of


def _attention_types(
    q: TensorType, k: TensorType, v: TensorType, *bias: TensorType, causal: bool, scale: float
) -> tuple[TensorType, ...]:
    *lead, queries, features = q.shape
    expected = [q.with_shape((*lead, *k.shape[-2:-1], features)), q.with_shape((*lead, *k.shape[-2:-1], *v.shape[-1:]))]
    expected += [q.with_shape((*lead, queries, *k.shape[-2:-1]))] * len(bias)
    if [k, v, *bias] != expected or len(bias) > 1:
        raise ShapeError(f"{q}, {k}, {v} and bias {[*map(str, bias)]} do not fit")
    return q.with_shape((*lead, queries, v.shape[-1])), q.with_shape((*lead, queries))


def _scores(q: Array, k: Array, bias: Sequence[Array], causal: bool, scale: float) -> Array:
    scores = np.matmul(q, k.swapaxes(-1, -2)) * q.dtype.type(scale)
    for x in bias:
        scores = scores + x
    return np.where(np.tri(*scores.shape[-2:], dtype=np.bool_), scores, -inf).astype(q.dtype) if causal else scores


def _attention(q: Array, k: Array, v: Array, *bias: Array, causal: bool, scale: float) -> tuple[Array, Array]:
    scores = _scores(q, k, bias, causal, scale)
    largest = scores.max(-1, keepdims=True, initial=-inf)
    powers = np.exp(scores - np.where(largest == -inf, 0, largest))
    total = powers.sum(-1, keepdims=True)
    out = np.matmul(powers, v) / np.where(total == 0, 1, total)
    with np.errstate(divide="ignore"):
        logsumexp = np.where(largest == -inf, 0, largest) + np.log(total)
    return out.astype(q.dtype), logsumexp.astype(q.dtype)[..., 0]


def _draw_attention(draw: Draw) -> Sample:
    *lead, queries, keys, features = draw.shape(draw.choice((4, 5)))
    keys, width = max(keys, 1), draw.integer(1, 3)  # without keys, the logarithm is infinite
    q, k, v = (
        draw.floats((*lead, queries, features)),
        draw.floats((*lead, keys, features)),
        draw.floats((*lead, keys, width)),
    )
    bias = (draw.floats((*lead, queries, keys)),) * draw.integer(0, 1)
    return Sample((q, k, v, *bias), {"causal": draw.choice((False, True)), "scale": draw.choice((0.5, 1.0))})


def _attention_flops(q: TensorType, k: TensorType, v: TensorType, *others: Any, causal: bool, scale: float) -> int:
    """Two products for each pair of a query and a key that it sees."""
    return 2 * _pairs(q, k, causal) * (q.shape[-1] + v.shape[-1])


def _backward_flops(q: TensorType, k: TensorType, v: TensorType, *others: Any, causal: bool, scale: float) -> int:
    """Five products, one of them of the forward pass again."""
    return 2 * _pairs(q, k, causal) * (3 * q.shape[-1] + 2 * v.shape[-1])


def _pairs(q: TensorType, k: TensorType, causal: bool) -> int:
    queries, keys = q.shape[-2], k.shape[-2]
    each = builtins.sum(min(i + 1, keys) for i in range(queries)) if causal else queries * keys
    return size_of(q.shape[:-2]) * each


def _attention_back(
    cts: Sequence[Tensor | None],
    node: Tensor,
    q: Tensor,
    k: Tensor,
    v: Tensor,
    *bias: Tensor,
    causal: bool,
    scale: float,
) -> list[Tensor | None]:
    out, logsumexp = outputs_of(node)
    ct = zeros_like(out) if cts[0] is None else cts[0]
    delta = sum(ct * out, -1)
    if cts[1] is not None:
        delta = delta - cts[1]
    inputs = (q, k, v, logsumexp, delta, ct, *bias)
    found = apply_several(ATTENTION_BACKWARD, *inputs, causal=causal, scale=scale)
    if not bias or (current_tracing() is None and not bias[0].requires_grad):
        return [*found, *(None for _ in bias)]
    return [*found, _backward(*inputs, causal=causal, scale=scale)[3]]  # a matrix of all scores, like the bias itself


ATTENTION = define(
    "attention",
    takes=(FLOATS,),
    infer=_attention_types,
    numpy=_attention,
    vjp=JointRule(_attention_back),
    kernel=Native(
        forward_loops, forward_units, forward_scratch, flops=_attention_flops, micro=forward_micro, follows=0
    ),
    samples=_draw_attention,
)


def attention(
    q: TensorLike,
    k: TensorLike,
    v: TensorLike,
    bias: TensorLike | None = None,
    *,
    causal: bool = False,
    scale: float | None = None,
) -> tuple[Tensor, Tensor]:
    """softmax(scale q k^T + bias) v, and the logarithm of the softmax's divisor, the sum of e^score over keys.

    No matrix of all scores is stored, neither here nor by the derivative (Dao, Fu, Ermon, Rudra & Ré, "FlashAttention",
    NeurIPS 2022); only the gradient of a bias is one, as the bias is.

    Args:
        q: queries [..., L, E].
        k: keys [..., S, E].
        v: values [..., S, Ev].
        bias: numbers to be added to the scores, which broadcast to [..., L, S]; minus infinity where a query must not
            attend to a key.
        causal: whether query i sees keys 0 to i only.
        scale: by default 1 / sqrt(E).

    Leading axes broadcast. Returns [..., L, Ev] and [..., L]; of a query that sees no key zeros, and minus infinity.

    Raises `ShapeError` if the shapes do not fit.

    >>> out, logsumexp = attention([[1.0, 0.0]], [[9.0, 0.0], [0.0, 9.0]], [[1.0], [2.0]], scale=1.0)
    >>> out, logsumexp
    (tensor([[1.0001234]], f32[1, 1]), tensor([9.000123], f32[1]))
    """
    found = operands(q, k, v, *(() if bias is None else (bias,)))
    found = found if found[0].dtype in FLOATS else operands(*found, dtype=float32)
    if min(x.ndim for x in found[:3]) < 2:
        raise ShapeError(f"attention: matrices are needed, not {', '.join(str(x.type) for x in found[:3])}")
    try:
        lead = broadcast_shapes(*(x.shape[:-2] for x in found))
    except ShapeError:
        shown = ", ".join(str(x.type) for x in found)
        raise ShapeError(f"attention: leading axes do not broadcast: {shown}") from None
    inputs = [broadcast_to(x, (*lead, *x.shape[-2:])) for x in found[:3]]
    inputs += [broadcast_to(x, (*lead, inputs[0].shape[-2], inputs[1].shape[-2])) for x in found[3:]]
    factor = 1.0 / sqrt(max(found[0].shape[-1], 1)) if scale is None else float(scale)
    out, logsumexp = apply_several(ATTENTION, *inputs, causal=causal, scale=factor)
    return out, logsumexp


# ---- the derivative -------------------------------------------------------------------------------------------------


def _backward_types(
    q: TensorType,
    k: TensorType,
    v: TensorType,
    logsumexp: TensorType,
    delta: TensorType,
    ct: TensorType,
    *bias: TensorType,
    causal: bool,
    scale: float,
) -> tuple[TensorType, ...]:
    out, numbers = _attention_types(q, k, v, *bias, causal=causal, scale=scale)
    if (logsumexp, delta, ct) != (numbers, numbers, out):
        raise ShapeError(f"{logsumexp}, {delta} and {ct} must be {numbers}, {numbers} and {out}")
    return q, k, v


def _attention_backward(
    q: Array, k: Array, v: Array, logsumexp: Array, delta: Array, ct: Array, *bias: Array, causal: bool, scale: float
) -> tuple[Array, Array, Array]:
    scores, factor = _scores(q, k, bias, causal, scale), q.dtype.type(scale)
    weights = np.exp(scores - np.where(logsumexp == -inf, 0, logsumexp)[..., None])
    products = weights * (np.matmul(ct, v.swapaxes(-1, -2)) - delta[..., None])
    dq, dk = np.matmul(products, k) * factor, np.matmul(products.swapaxes(-1, -2), q) * factor
    dv = np.matmul(weights.swapaxes(-1, -2), ct)
    return dq.astype(q.dtype), dk.astype(q.dtype), dv.astype(q.dtype)


def _backward(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    logsumexp: Tensor,
    delta: Tensor,
    ct: Tensor,
    *bias: Tensor,
    causal: bool,
    scale: float,
) -> list[Tensor]:
    """Cotangents of q, k, v and the bias, made of other operations."""
    scores = matmul(q, k.mT) * scale
    for x in bias:
        scores = scores + x
    if causal:
        scores = where(np.tri(*scores.shape[-2:], dtype=np.bool_), scores, -inf)
    weights = exp(scores - where(equal(logsumexp, -inf), 0.0, logsumexp).expand_dims(-1))
    products = weights * (matmul(ct, v.mT) - delta.expand_dims(-1))
    return [matmul(products, k) * scale, matmul(products.mT, q) * scale, matmul(weights.mT, ct), products]


def _again(*inputs: Tensor, causal: bool, scale: float) -> tuple[Sequence[Tensor], Sequence[Tensor]]:
    """The derivative made of other operations, from variables: what second derivatives go through."""
    with recording(True):
        variables = [identity(x) for x in inputs]
        for x in variables:
            x.requires_grad = True
        return _backward(*variables, causal=causal, scale=scale)[:3], variables


def _draw_backward(draw: Draw) -> Sample:
    (q, k, v, *bias), attributes = (sample := _draw_attention(draw)).inputs, sample.attributes
    logsumexp, delta = draw.floats(q.shape[:-1]), draw.floats(q.shape[:-1])
    ct = draw.floats((*q.shape[:-1], v.shape[-1]))
    return Sample((q, k, v, logsumexp, delta, ct, *bias), attributes)


ATTENTION_BACKWARD = define(
    "attention_backward",
    takes=(FLOATS,),
    infer=_backward_types,
    numpy=_attention_backward,
    vjp=Recompute(_again),
    kernel=Native(
        backward_loops, backward_units, backward_scratch, flops=_backward_flops, micro=backward_micro, follows=0
    ),
    samples=_draw_backward,
)
