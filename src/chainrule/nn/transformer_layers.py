"""Layers of attention and of a network at each place.

Vaswani et al., "Attention is all you need", NIPS 2017; with `norm_first` as in Xiong et al., "On layer normalization in
the transformer architecture", ICML 2020. Both kinds of layer take these arguments:

    d_model           number of features E of a place
    nhead             number of heads
    dim_feedforward   number of features between both products of the network
    dropout           the probability that a weight of attention, or a feature on its way to be added, is dropped
    activation        of the network: "relu", "gelu", or a function of a tensor
    layer_norm_eps    eps of the layer norms
    batch_first       whether inputs are [N, L, E] rather than [L, N, E]; without N for a single sequence
    norm_first        whether x + f(norm(x)) is computed rather than norm(x + f(x))
    bias              whether products and norms have a bias
    dtype             data type of the parameters
    generator         where the randomness of dropout comes from; by default the generator that all layers share

Masks are those of `MultiheadAttention`: where one is true, nothing is attended to.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from chainrule import ops
from chainrule.errors import DefinitionError
from chainrule.nn import functional
from chainrule.nn.attention import MultiheadAttention
from chainrule.nn.cache import KeyValueCache
from chainrule.nn.dropout import Dropout
from chainrule.nn.linear import Linear
from chainrule.nn.module import Module
from chainrule.nn.normalization import LayerNorm
from chainrule.random import Generator
from chainrule.tensor import Tensor, TensorLike, as_tensor
from chainrule.types import DTypeLike, float32

Activation: TypeAlias = "str | Callable[[Tensor], Tensor]"


class TransformerEncoderLayer(Module):
    """Attention of a sequence to itself, then a network at each place; each is added to its input, and normalised.

    Args: see the head of this module.

    Parameters: those of `self_attn`, `linear1`, `linear2`, `norm1` and `norm2`.
    Shapes: [L, N, E], or [N, L, E] if `batch_first`, to the same.

    >>> from chainrule.random import normal
    >>> TransformerEncoderLayer(8, 2, 16, batch_first=True)(normal((2, 5, 8)), is_causal=True).shape
    (2, 5, 8)
    """

    def __init__(
        self,
        d_model: int,
        nhead: int,
        dim_feedforward: int = 2048,
        dropout: float = 0.1,
        activation: Activation = "relu",
        layer_norm_eps: float = 1e-5,
        batch_first: bool = False,
        norm_first: bool = False,
        bias: bool = True,
        *,
        dtype: DTypeLike = float32,
        generator: Generator | None = None,
    ) -> None:
        self.self_attn = MultiheadAttention(
            d_model, nhead, dropout, bias, batch_first=batch_first, dtype=dtype, generator=generator
        )
        self.linear1 = Linear(d_model, dim_feedforward, bias, dtype=dtype)
        self.dropout = Dropout(dropout, generator=generator)
        self.linear2 = Linear(dim_feedforward, d_model, bias, dtype=dtype)
        self.norm_first = norm_first
        self.norm1 = LayerNorm(d_model, layer_norm_eps, bias=bias, dtype=dtype)
        self.norm2 = LayerNorm(d_model, layer_norm_eps, bias=bias, dtype=dtype)
        self.dropout1 = Dropout(dropout, generator=generator)
        self.dropout2 = Dropout(dropout, generator=generator)
        self.activation = _activation(activation)

    def forward(
        self,
        src: TensorLike,
        src_mask: TensorLike | None = None,
        src_key_padding_mask: TensorLike | None = None,
        is_causal: bool = False,
        *,
        cache: KeyValueCache | None = None,
    ) -> Tensor:
        """The sequence after the layer; see `MultiheadAttention.forward`."""

        def attend(x: Tensor) -> Tensor:
            out, _ = self.self_attn(x, x, x, src_key_padding_mask, False, src_mask, is_causal=is_causal, cache=cache)
            return self.dropout1(out)

        x = _around(attend, self.norm1, as_tensor(src), norm_first=self.norm_first)
        return _around(self._network, self.norm2, x, norm_first=self.norm_first)

    def _network(self, x: Tensor) -> Tensor:
        return self.dropout2(self.linear2(self.dropout(self.activation(self.linear1(x)))))

    def options(self) -> str:
        return _options(self.self_attn, self.linear1)


class TransformerDecoderLayer(Module):
    """Attention of a sequence to itself, then to another one, the memory; then a network at each place.

    Args: see the head of this module.

    Parameters: those of `self_attn`, `multihead_attn`, `linear1`, `linear2`, `norm1`, `norm2` and `norm3`.
    Shapes: a target [L, N, E] and a memory [S, N, E], or [N, L, E] and [N, S, E] if `batch_first`, to the target's.

    >>> from chainrule.random import normal
    >>> TransformerDecoderLayer(8, 2, 16, batch_first=True)(normal((2, 5, 8)), normal((2, 3, 8))).shape
    (2, 5, 8)
    """

    def __init__(
        self,
        d_model: int,
        nhead: int,
        dim_feedforward: int = 2048,
        dropout: float = 0.1,
        activation: Activation = "relu",
        layer_norm_eps: float = 1e-5,
        batch_first: bool = False,
        norm_first: bool = False,
        bias: bool = True,
        *,
        dtype: DTypeLike = float32,
        generator: Generator | None = None,
    ) -> None:
        self.self_attn = MultiheadAttention(
            d_model, nhead, dropout, bias, batch_first=batch_first, dtype=dtype, generator=generator
        )
        self.multihead_attn = MultiheadAttention(
            d_model, nhead, dropout, bias, batch_first=batch_first, dtype=dtype, generator=generator
        )
        self.linear1 = Linear(d_model, dim_feedforward, bias, dtype=dtype)
        self.dropout = Dropout(dropout, generator=generator)
        self.linear2 = Linear(dim_feedforward, d_model, bias, dtype=dtype)
        self.norm_first = norm_first
        self.norm1 = LayerNorm(d_model, layer_norm_eps, bias=bias, dtype=dtype)
        self.norm2 = LayerNorm(d_model, layer_norm_eps, bias=bias, dtype=dtype)
        self.norm3 = LayerNorm(d_model, layer_norm_eps, bias=bias, dtype=dtype)
        self.dropout1 = Dropout(dropout, generator=generator)
        self.dropout2 = Dropout(dropout, generator=generator)
        self.dropout3 = Dropout(dropout, generator=generator)
        self.activation = _activation(activation)

    def forward(
        self,
        tgt: TensorLike,
        memory: TensorLike,
        tgt_mask: TensorLike | None = None,
        memory_mask: TensorLike | None = None,
        tgt_key_padding_mask: TensorLike | None = None,
        memory_key_padding_mask: TensorLike | None = None,
        tgt_is_causal: bool = False,
        memory_is_causal: bool = False,
        *,
        cache: KeyValueCache | None = None,
    ) -> Tensor:
        """The target after the layer; see `MultiheadAttention.forward`. A cache is one of the target's steps."""
        memory = as_tensor(memory)

        def attend(x: Tensor) -> Tensor:
            out, _ = self.self_attn(
                x, x, x, tgt_key_padding_mask, False, tgt_mask, is_causal=tgt_is_causal, cache=cache
            )
            return self.dropout1(out)

        def attend_to_memory(x: Tensor) -> Tensor:
            out, _ = self.multihead_attn(
                x, memory, memory, memory_key_padding_mask, False, memory_mask, is_causal=memory_is_causal
            )
            return self.dropout2(out)

        x = _around(attend, self.norm1, as_tensor(tgt), norm_first=self.norm_first)
        x = _around(attend_to_memory, self.norm2, x, norm_first=self.norm_first)
        return _around(self._network, self.norm3, x, norm_first=self.norm_first)

    def _network(self, x: Tensor) -> Tensor:
        return self.dropout3(self.linear2(self.dropout(self.activation(self.linear1(x)))))

    def options(self) -> str:
        return _options(self.self_attn, self.linear1)


def _activation(given: Activation) -> Callable[[Tensor], Tensor]:
    known: dict[str, Callable[[Tensor], Tensor]] = {"relu": ops.relu, "gelu": functional.gelu}
    if not isinstance(given, str):
        return given
    if given not in known:
        raise DefinitionError(f'activation must be "relu", "gelu" or a function of a tensor, not {given!r}')
    return known[given]


def _around(block: Callable[[Tensor], Tensor], norm: LayerNorm, x: Tensor, *, norm_first: bool) -> Tensor:
    return x + block(norm(x)) if norm_first else norm(x + block(x))


def _options(attention: MultiheadAttention, first: Linear) -> str:
    return f"{attention.embed_dim}, {attention.num_heads}, {first.out_features}" + (
        ", batch_first=True" if attention.batch_first else ""
    )
