"""Stacks of layers of attention, and two of them together: Vaswani et al., "Attention is all you need", NIPS 2017."""

from __future__ import annotations

from collections.abc import Sequence
from math import inf
from typing import Any, TypeVar

import numpy as np

from chainrule.errors import DefinitionError
from chainrule.nn.cache import KeyValueCache
from chainrule.nn.checks import whole
from chainrule.nn.initializers import glorot_uniform
from chainrule.nn.module import Module
from chainrule.nn.normalization import LayerNorm
from chainrule.nn.transformer_layers import Activation, TransformerDecoderLayer, TransformerEncoderLayer
from chainrule.random import Generator
from chainrule.tensor import Tensor, TensorLike, as_tensor, tensor
from chainrule.trees import map_tree
from chainrule.types import DTypeLike, float32

M = TypeVar("M", bound=Module)


class TransformerEncoder(Module):
    """Encoder layers one after the other.

    Args:
        encoder_layer: what each of the layers is a copy of; all start with its values.
        num_layers: how many there are.
        norm: applied to the output of the last one, if given.

    Parameters: those of `layers.0`, `layers.1`, ..., and `norm`.

    >>> from chainrule.random import normal
    >>> encoder = TransformerEncoder(TransformerEncoderLayer(8, 2, 16, batch_first=True), num_layers=2)
    >>> encoder(normal((2, 5, 8))).shape
    (2, 5, 8)
    """

    def __init__(self, encoder_layer: TransformerEncoderLayer, num_layers: int, norm: Module | None = None) -> None:
        self.layers = [_copy(encoder_layer) for _ in range(whole("num_layers", num_layers))]
        self.norm = norm

    def forward(
        self,
        src: TensorLike,
        mask: TensorLike | None = None,
        src_key_padding_mask: TensorLike | None = None,
        is_causal: bool = False,
        *,
        caches: Sequence[KeyValueCache] | None = None,
    ) -> Tensor:
        """The sequence after all layers.

        Args:
            src: the sequence.
            mask: see `MultiheadAttention.forward`, `attn_mask`.
            src_key_padding_mask: likewise.
            is_causal: likewise.
            caches: one for each layer; then `src` are the steps that follow those before.
        """
        x = as_tensor(src)
        for layer, cache in zip(self.layers, _for_each(self.layers, caches), strict=True):
            x = layer(x, mask, src_key_padding_mask, is_causal, cache=cache)
        return x if self.norm is None else self.norm(x)

    def options(self) -> str:
        return f"num_layers={len(self.layers)}"


class TransformerDecoder(Module):
    """Decoder layers one after the other, all with the same memory.

    Args:
        decoder_layer: what each of the layers is a copy of; all start with its values.
        num_layers: how many there are.
        norm: applied to the output of the last one, if given.

    Parameters: those of `layers.0`, `layers.1`, ..., and `norm`.

    >>> from chainrule.random import normal
    >>> decoder = TransformerDecoder(TransformerDecoderLayer(8, 2, 16, batch_first=True), num_layers=2)
    >>> decoder(normal((2, 5, 8)), normal((2, 3, 8))).shape
    (2, 5, 8)
    """

    def __init__(self, decoder_layer: TransformerDecoderLayer, num_layers: int, norm: Module | None = None) -> None:
        self.layers = [_copy(decoder_layer) for _ in range(whole("num_layers", num_layers))]
        self.norm = norm

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
        caches: Sequence[KeyValueCache] | None = None,
    ) -> Tensor:
        """The target after all layers; see `TransformerDecoderLayer.forward`, and `TransformerEncoder` for caches."""
        x, memory = as_tensor(tgt), as_tensor(memory)
        masks = (tgt_mask, memory_mask, tgt_key_padding_mask, memory_key_padding_mask)
        for layer, cache in zip(self.layers, _for_each(self.layers, caches), strict=True):
            x = layer(x, memory, *masks, tgt_is_causal, memory_is_causal, cache=cache)
        return x if self.norm is None else self.norm(x)

    def options(self) -> str:
        return f"num_layers={len(self.layers)}"


class Transformer(Module):
    """An encoder that reads a sequence, and a decoder that makes another one of it.

    Args:
        d_model: see `nn.transformer_layers`, as for all that is not listed here.
        nhead: likewise.
        num_encoder_layers: how many layers the encoder has.
        num_decoder_layers: how many layers the decoder has.
        custom_encoder: used in place of the encoder.
        custom_decoder: used in place of the decoder.

    Parameters: those of `encoder` and `decoder`, both of which end with a layer norm. Matrices start as in
    `glorot_uniform`.
    Shapes: a source [S, N, E] and a target [L, N, E], or [N, S, E] and [N, L, E] if `batch_first`, to the target's.

    >>> from chainrule.random import normal
    >>> Transformer(8, 2, 1, 1, 16, batch_first=True)(normal((2, 3, 8)), normal((2, 5, 8)), tgt_is_causal=True).shape
    (2, 5, 8)
    """

    def __init__(
        self,
        d_model: int = 512,
        nhead: int = 8,
        num_encoder_layers: int = 6,
        num_decoder_layers: int = 6,
        dim_feedforward: int = 2048,
        dropout: float = 0.1,
        activation: Activation = "relu",
        custom_encoder: Module | None = None,
        custom_decoder: Module | None = None,
        layer_norm_eps: float = 1e-5,
        batch_first: bool = False,
        norm_first: bool = False,
        bias: bool = True,
        *,
        dtype: DTypeLike = float32,
        generator: Generator | None = None,
    ) -> None:
        sizes = (d_model, nhead, dim_feedforward, dropout, activation, layer_norm_eps, batch_first, norm_first, bias)

        def norm() -> LayerNorm:
            return LayerNorm(d_model, layer_norm_eps, bias=bias, dtype=dtype)

        if custom_encoder is None:
            encoder_layer = TransformerEncoderLayer(*sizes, dtype=dtype, generator=generator)
            custom_encoder = TransformerEncoder(encoder_layer, num_encoder_layers, norm())
        if custom_decoder is None:
            decoder_layer = TransformerDecoderLayer(*sizes, dtype=dtype, generator=generator)
            custom_decoder = TransformerDecoder(decoder_layer, num_decoder_layers, norm())
        self.encoder = custom_encoder
        self.decoder = custom_decoder
        for x in self.parameters():
            if x.ndim > 1:
                x.assign(glorot_uniform(x.shape, dtype=x.dtype))

    def forward(
        self,
        src: TensorLike,
        tgt: TensorLike,
        src_mask: TensorLike | None = None,
        tgt_mask: TensorLike | None = None,
        memory_mask: TensorLike | None = None,
        src_key_padding_mask: TensorLike | None = None,
        tgt_key_padding_mask: TensorLike | None = None,
        memory_key_padding_mask: TensorLike | None = None,
        src_is_causal: bool = False,
        tgt_is_causal: bool = False,
        memory_is_causal: bool = False,
    ) -> Tensor:
        """The target after the decoder, whose memory is the source after the encoder."""
        memory = self.encoder(src, src_mask, src_key_padding_mask, src_is_causal)
        masks = (tgt_mask, memory_mask, tgt_key_padding_mask, memory_key_padding_mask)
        return self.decoder(tgt, memory, *masks, tgt_is_causal, memory_is_causal)

    @staticmethod
    def generate_square_subsequent_mask(sz: int, dtype: DTypeLike = float32) -> Tensor:
        """Numbers [sz, sz] to be added to scores, which let each place attend to itself and those before it.

        >>> Transformer.generate_square_subsequent_mask(2)
        tensor([[  0., -inf],
                [  0.,   0.]], f32[2, 2])
        """
        return tensor(np.where(np.tri(sz, dtype=np.bool_), 0.0, -inf), dtype)


def _for_each(layers: Sequence[Module], caches: Sequence[KeyValueCache] | None) -> Sequence[KeyValueCache | None]:
    if caches is not None and len(caches) != len(layers):
        raise DefinitionError(f"a cache for each of {len(layers)} layers is needed, not {len(caches)}")
    return [None] * len(layers) if caches is None else caches


def _copy(module: M) -> M:
    """The module with tensors of its own, which have the same values."""

    def copied(x: Any) -> Tensor:
        return tensor(x, requires_grad=x.requires_grad, name=x.name)

    return map_tree(copied, module)
