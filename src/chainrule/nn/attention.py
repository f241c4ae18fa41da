"""Attention with several heads."""

from __future__ import annotations

from math import inf

import numpy as np

from chainrule import ops
from chainrule.errors import DefinitionError, ShapeError
from chainrule.nn.cache import KeyValueCache
from chainrule.nn.checks import number, whole
from chainrule.nn.functional.attention import attention_weights, dropout, scaled_dot_product_attention
from chainrule.nn.initializers import glorot_normal, glorot_uniform, zeros
from chainrule.nn.linear import Linear
from chainrule.nn.module import Module, Parameter
from chainrule.random import Generator
from chainrule.tensor import Tensor, TensorLike, as_tensor
from chainrule.types import DTypeLike, bool_, float32


class MultiheadAttention(Module):
    """Queries, keys and values projected to several heads, attention in each, and a projection of all heads together.

    Vaswani et al., "Attention is all you need", NIPS 2017; see `nn.functional.scaled_dot_product_attention`.

    Args:
        embed_dim: number of features E of queries and of the output.
        num_heads: number of heads H; each has E / H features.
        dropout: the probability that a weight is dropped, in training.
        bias: whether projections have biases.
        add_bias_kv: whether a trained key and value come after all others.
        add_zero_attn: whether a key and a value of zeros come after all others.
        kdim: number of features of keys; by default E.
        vdim: number of features of values; by default E.
        batch_first: whether inputs are [N, L, E] rather than [L, N, E].
        dtype: data type of the parameters.
        generator: where the randomness of dropout comes from; by default the generator that all layers share.

    Parameters: `in_proj_weight` [3 E, E], or `q_proj_weight` [E, E], `k_proj_weight` [E, kdim] and `v_proj_weight`
    [E, vdim] if these differ; `in_proj_bias` [3 E]; `out_proj.weight` [E, E], `out_proj.bias` [E]; `bias_k`, `bias_v`
    [1, 1, E].

    Raises `DefinitionError` if E is no multiple of H.

    >>> from chainrule.random import normal
    >>> x = normal((2, 5, 8))
    >>> out, weights = MultiheadAttention(8, 2, batch_first=True)(x, x, x)
    >>> out.shape, weights.shape
    ((2, 5, 8), (2, 5, 5))
    """

    def __init__(
        self,
        embed_dim: int,
        num_heads: int,
        dropout: float = 0.0,
        bias: bool = True,
        add_bias_kv: bool = False,
        add_zero_attn: bool = False,
        kdim: int | None = None,
        vdim: int | None = None,
        batch_first: bool = False,
        *,
        dtype: DTypeLike = float32,
        generator: Generator | None = None,
    ) -> None:
        self.embed_dim = e = whole("embed_dim", embed_dim)
        self.num_heads = whole("num_heads", num_heads)
        self.kdim = e if kdim is None else whole("kdim", kdim)
        self.vdim = e if vdim is None else whole("vdim", vdim)
        self.head_dim = e // num_heads
        if e % num_heads:
            raise DefinitionError(f"MultiheadAttention: {e} features cannot be divided among {num_heads} heads")
        self.dropout = number("dropout", dropout, 0.0, 1.0)
        self.add_zero_attn = add_zero_attn
        self.batch_first = batch_first
        self.generator = generator

        def weight(name: str, rows: int, columns: int) -> Tensor:
            return Parameter(glorot_uniform((rows, columns), dtype=dtype), name=name)

        if self.kdim == self.vdim == e:
            self.in_proj_weight = weight("in_proj_weight", 3 * e, e)
        else:
            self.q_proj_weight = weight("q_proj_weight", e, e)
            self.k_proj_weight = weight("k_proj_weight", e, self.kdim)
            self.v_proj_weight = weight("v_proj_weight", e, self.vdim)
        self.in_proj_bias = Parameter(zeros((3 * e,), dtype=dtype), name="in_proj_bias") if bias else None
        self.out_proj = Linear(e, e, bias, dtype=dtype)
        if self.out_proj.bias is not None:
            self.out_proj.bias = Parameter(zeros((e,), dtype=dtype), name="bias")
        self.bias_k = Parameter(glorot_normal((1, 1, e), dtype=dtype), name="bias_k") if add_bias_kv else None
        self.bias_v = Parameter(glorot_normal((1, 1, e), dtype=dtype), name="bias_v") if add_bias_kv else None

    def forward(
        self,
        query: TensorLike,
        key: TensorLike,
        value: TensorLike,
        key_padding_mask: TensorLike | None = None,
        need_weights: bool = True,
        attn_mask: TensorLike | None = None,
        average_attn_weights: bool = True,
        is_causal: bool = False,
        *,
        cache: KeyValueCache | None = None,
    ) -> tuple[Tensor, Tensor | None]:
        """The output of all heads, and the weights.

        Args:
            query: [L, N, E], or [N, L, E] if `batch_first`; [L, E] for a single sequence.
            key: [S, N, kdim], likewise.
            value: [S, N, vdim], likewise.
            key_padding_mask: [N, S], for a single sequence [S]: truth values that say which keys are not to be attended
                to, or numbers that are added to the scores.
            need_weights: whether weights are returned. Without them no matrix of weights is ever stored.
            attn_mask: [L, S] or [N H, L, S]: the same for each pair of a query and a key.
            average_attn_weights: whether weights are the mean over all heads.
            is_causal: whether query i attends to keys 0 to i only. Then `attn_mask` is not read: it may be left out,
                and if it is there, it should say the same.
            cache: keys and values of earlier steps, to which those given here are added. Each query attends to those
                of all steps up to its own, and to no others; the masks must be left out.

        Returns the output, of the query's shape, and None or the weights [N, L, S], or [N, H, L, S] of each head. A
        query that may attend to no key gets zeros as weights.

        Raises `ShapeError` for inputs or masks that do not fit, `DefinitionError` for masks beside a cache.
        """
        tensors = {id(x): as_tensor(x) for x in (query, key, value)}
        query, key, value = self._checked(*(tensors[id(x)] for x in (query, key, value)))
        single = query.ndim == 2
        queries, keys, values = (self._heads(x, single) for x in self._projected(query, key, value))
        more_keys = self.bias_k is not None or self.add_zero_attn
        if is_causal:
            attn_mask = ~np.tri(queries.shape[2], keys.shape[2], dtype=np.bool_) if more_keys else None
        mask = self._mask(queries, keys, key_padding_mask, attn_mask, single)
        if more_keys:
            keys, values, mask = self._with_added(keys, values, mask)
        if cache is not None:
            if mask is not None or more_keys:
                raise DefinitionError(f"{self.describe()}: with a cache there are neither masks nor added keys")
            keys, values, mask = cache.update(keys, values)
        is_causal = is_causal and not more_keys and cache is None
        rate = self.dropout if self.training else 0.0
        weights = None
        if need_weights:
            weights = dropout(attention_weights(queries, keys, mask, is_causal=is_causal), rate, self.generator)
            out = weights @ values
            weights = ops.mean(weights, 1) if average_attn_weights else weights
            weights = weights.squeeze(0) if single else weights
        else:
            out = scaled_dot_product_attention(queries, keys, values, mask, rate, is_causal, generator=self.generator)
        order = (0, 2, 1, 3) if self.batch_first or single else (2, 0, 1, 3)
        return self.out_proj(out.permute_dims(order).reshape(query.shape)), weights

    def _checked(self, query: Tensor, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The inputs, the same ones still the same. Raises `ShapeError` if they do not fit."""
        sizes = (self.embed_dim, self.kdim, self.vdim)
        found, axes = (query, key, value), query.ndim
        fits = axes in (2, 3) and all(x.ndim == axes and x.shape[-1] == n for x, n in zip(found, sizes, strict=True))
        if not fits or key.shape[:-1] != value.shape[:-1]:
            n = ["N, S", "N, L"] if self.batch_first else ["S, N", "L, N"]
            raise ShapeError(
                f"{self.describe()}: a query [{n[1]}, {sizes[0]}], a key [{n[0]}, {sizes[1]}] and a value [{n[0]}, "
                f"{sizes[2]}] are needed, all of them without N for a single sequence, not {query.type}, {key.type} "
                f"and {value.type}"
            )
        batch = 0 if self.batch_first else 1
        if axes == 3 and query.shape[batch] != key.shape[batch]:
            raise ShapeError(
                f"{self.describe()}: {query.shape[batch]} sequences of queries {query.type} meet {key.shape[batch]} "
                f"of keys {key.type}; batch_first={self.batch_first}"
            )
        return query, key, value

    def _projected(self, query: Tensor, key: Tensor, value: Tensor) -> list[Tensor]:
        """Inputs times weights plus biases; of one input, or a key that is the value, in one product."""
        bias, e = self.in_proj_bias, self.embed_dim
        if self.kdim == self.vdim == e:
            if query is key and key is value:
                return ops.split(_affine(query, self.in_proj_weight, bias), 3, -1)
            first, rest = ops.split(self.in_proj_weight, [e, 2 * e])
            first_bias, rest_bias = (None, None) if bias is None else ops.split(bias, [e, 2 * e])
            if key is value:
                return [_affine(query, first, first_bias), *ops.split(_affine(key, rest, rest_bias), 2, -1)]
            weights = [first, *ops.split(rest, 2)]
        else:
            weights = [self.q_proj_weight, self.k_proj_weight, self.v_proj_weight]
        biases = [None] * 3 if bias is None else ops.split(bias, 3)
        return [_affine(*each) for each in zip((query, key, value), weights, biases, strict=True)]

    def _heads(self, x: Tensor, single: bool) -> Tensor:
        """[L, N, E], [N, L, E] or [L, E] as [N, H, L, E / H]: the same memory, looked at in another way."""
        x = x.expand_dims(0) if single else x
        parts = x.reshape((*x.shape[:2], self.num_heads, self.head_dim))
        return parts.permute_dims((0, 2, 1, 3) if self.batch_first or single else (1, 2, 0, 3))

    def _mask(
        self, query: Tensor, key: Tensor, padding: TensorLike | None, mask: TensorLike | None, single: bool
    ) -> Tensor | None:
        """Both masks as one that `scaled_dot_product_attention` takes."""
        n, h, q, k = (*query.shape[:3], key.shape[2])
        found: list[Tensor] = []
        if mask is not None:
            given = as_tensor(mask)
            if given.shape not in ((q, k), (n * h, q, k)):
                raise ShapeError(
                    f"{self.describe()}: an attn_mask [{q}, {k}] or [{n * h}, {q}, {k}] is needed, not {given.type}"
                )
            found.append(given if given.ndim == 2 else given.reshape((n, h, q, k)))
        if padding is not None:
            given = as_tensor(padding)
            if given.shape != ((k,) if single else (n, k)):
                wanted = [k] if single else [n, k]
                raise ShapeError(f"{self.describe()}: a key_padding_mask {wanted} is needed, not {given.type}")
            found.append(given.reshape((n, 1, 1, k)))
        if not found:
            return None
        if all(x.dtype is bool_ for x in found):
            return ~(found[0] if len(found) == 1 else found[0] | found[1])
        numbers = [ops.where(x, -inf, as_tensor(0.0, query.dtype)) if x.dtype is bool_ else x for x in found]
        return numbers[0] if len(numbers) == 1 else numbers[0] + numbers[1]

    def _with_added(self, keys: Tensor, values: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor, Tensor | None]:
        """Keys, values and mask with those at the end that every query may attend to."""
        n, h, _, d = keys.shape
        nothing = ops.zeros(self.embed_dim, keys.dtype) if self.add_zero_attn else None
        for pair in ((self.bias_k, self.bias_v), (nothing, nothing)):
            last = [x.reshape((1, h, 1, d)).broadcast_to((n, h, 1, d)) for x in pair if x is not None]
            if not last:
                continue
            keys, values = ops.concat([keys, last[0]], 2), ops.concat([values, last[1]], 2)
            if mask is not None:
                mask = ops.pad(mask, [(0, 0)] * (mask.ndim - 1) + [(0, 1)], value=mask.dtype is bool_)
        return keys, values, mask

    def options(self) -> str:
        return f"{self.embed_dim}, {self.num_heads}" + (", batch_first=True" if self.batch_first else "")


def _affine(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    out = x @ weight.T
    return out if bias is None else out + bias
