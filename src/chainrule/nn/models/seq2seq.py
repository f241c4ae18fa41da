"""A transformer that reads a sequence of tokens and writes another one, as from one language to another.

Vaswani, Shazeer, Parmar, Uszkoreit, Jones, Gomez, Kaiser & Polosukhin, "Attention is all you need", NIPS 2017.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from math import sqrt

import numpy as np

from chainrule import losses, ops
from chainrule.compiled import compile
from chainrule.errors import DefinitionError, IndexingError, ShapeError
from chainrule.nn.cache import KeyValueCache
from chainrule.nn.checks import whole
from chainrule.nn.dropout import Dropout
from chainrule.nn.embedding import Embedding
from chainrule.nn.initializers import glorot_uniform, normal
from chainrule.nn.linear import Linear
from chainrule.nn.module import Module, evaluating
from chainrule.nn.normalization import LayerNorm
from chainrule.nn.positions import SinusoidalPositions
from chainrule.nn.transformer import TransformerDecoder, TransformerEncoder
from chainrule.nn.transformer_layers import TransformerDecoderLayer, TransformerEncoderLayer
from chainrule.random import Generator
from chainrule.state import no_grad
from chainrule.tensor import Tensor, TensorLike, as_tensor
from chainrule.types import DTypeLike, float32


class Seq2SeqTransformer(Module):
    """Vectors of tokens with waves of their positions, an encoder, a decoder that sees it, and a head that scores.

    Args:
        source_vocab: number of tokens of the sequence that is read.
        target_vocab: number of tokens of the sequence that is written.
        d_model: size of the vector of a token.
        nhead: number of heads of attention.
        num_encoder_layers: number of layers that read.
        num_decoder_layers: number of layers that write.
        dim_feedforward: size of the hidden layer at each place.
        dropout: probability after the embeddings, and within all layers.
        norm_first: whether layers are x + f(norm(x)), with a norm after the last one, rather than norm(x + f(x)).
        share_embeddings: whether source, target and head have one matrix, as in section 3.4 of the paper.
        max_length: how long sequences may be.
        dtype: data type of the parameters.
        generator: draws what is dropped; by default the generator that all layers share.

    The vectors are multiplied by sqrt(d_model), and start with a standard deviation of 1 / sqrt(d_model).

    Parameters: 63,082,496 with 37,000 shared tokens and the paper's base sizes, which are the defaults (65 million in
    its table 3); 214,245,376 with its big ones (213 million there).
    Shapes: integers [batch, S] and [batch, T] to logits [batch, T, target_vocab].

    Raises `DefinitionError` for sizes that do not fit, `ShapeError` for tokens of other axes, `IndexingError` for more
    than `max_length` of them.

    >>> model = Seq2SeqTransformer(11, 13, d_model=8, nhead=2, num_encoder_layers=1, num_decoder_layers=1)
    >>> model([[3, 1, 4, 1]], [[1, 5, 9]]).shape
    (1, 3, 13)
    >>> [len(tokens) <= 5 for tokens in model.generate([[3, 1, 4, 1], [2, 7, 0, 0]], 1, 2, 5, source_lengths=[4, 2])]
    [True, True]
    """

    def __init__(
        self,
        source_vocab: int,
        target_vocab: int,
        d_model: int = 512,
        nhead: int = 8,
        num_encoder_layers: int = 6,
        num_decoder_layers: int = 6,
        dim_feedforward: int = 2048,
        dropout: float = 0.1,
        norm_first: bool = False,
        share_embeddings: bool = False,
        max_length: int = 1024,
        *,
        dtype: DTypeLike = float32,
        generator: Generator | None = None,
    ) -> None:
        self.d_model, self.nhead, self.max_length = whole("d_model", d_model), nhead, whole("max_length", max_length)
        if share_embeddings and source_vocab != target_vocab:
            raise DefinitionError(
                f"Seq2SeqTransformer: vocabularies of {source_vocab} and {target_vocab} tokens cannot share embeddings"
            )
        draw = partial(normal, std=1.0 / sqrt(d_model))
        self.source_embedding = Embedding(source_vocab, d_model, dtype=dtype, initializer=draw)
        self.target_embedding = self.source_embedding
        self.head = None
        if not share_embeddings:
            self.target_embedding = Embedding(target_vocab, d_model, dtype=dtype, initializer=draw)
            self.head = Linear(d_model, target_vocab, bias=False, dtype=dtype, initializer=glorot_uniform)
        self.positions = SinusoidalPositions(max_length, d_model)
        self.dropout = Dropout(dropout, generator=generator)
        sizes = (d_model, nhead, dim_feedforward, dropout, "relu", 1e-5, True, norm_first)
        reader = TransformerEncoderLayer(*sizes, dtype=dtype, generator=generator)
        writer = TransformerDecoderLayer(*sizes, dtype=dtype, generator=generator)
        norms = [LayerNorm(d_model, dtype=dtype) if norm_first else None for _ in range(2)]
        self.encoder = TransformerEncoder(reader, num_encoder_layers, norms[0])
        self.decoder = TransformerDecoder(writer, num_decoder_layers, norms[1])
        for x in [*self.encoder.parameters(), *self.decoder.parameters()]:
            if x.ndim > 1:
                x.assign(glorot_uniform(x.shape, dtype=dtype))

    def forward(self, source: TensorLike, target: TensorLike, source_lengths: TensorLike | None = None) -> Tensor:
        """Logits of what follows each token of the target.

        Args:
            source: what is read.
            target: what is written, of which each token sees those before it.
            source_lengths: how many tokens of each source count, [batch].
        """
        memory, padding = self.encode(source, source_lengths)
        return self._decode(self._tokens(target), memory, padding)

    def encode(self, source: TensorLike, lengths: TensorLike | None = None) -> tuple[Tensor, Tensor | None]:
        """What the decoder sees of a source, [batch, S, d_model], and which of it is none, [batch, S]."""
        source, padding = self._tokens(source), None
        if lengths is not None:
            padding = ops.arange(source.shape[1]) >= as_tensor(lengths).expand_dims(-1)
        x = self._placed(self.source_embedding(source))
        return self.encoder(x, src_key_padding_mask=padding), padding

    def loss(
        self,
        source: TensorLike,
        target: TensorLike,
        source_lengths: TensorLike | None = None,
        target_lengths: TensorLike | None = None,
        label_smoothing: float = 0.0,
    ) -> Tensor:
        """The mean cross-entropy of each token of the target but the first, given those before it.

        The paper smooths labels by 0.1. What lies beyond the lengths does not count.
        """
        target = self._tokens(target)
        logits, wanted = self(source, target[:, :-1], source_lengths), target[:, 1:]
        if target_lengths is not None:
            inside = ops.arange(1, target.shape[1]) < as_tensor(target_lengths).expand_dims(-1)
            wanted = ops.where(inside, wanted, -100)
        return losses.cross_entropy(logits.permute_dims((0, 2, 1)), wanted, label_smoothing=label_smoothing)

    def generate(
        self, source: TensorLike, start: int, end: int, length: int, *, source_lengths: TensorLike | None = None
    ) -> list[list[int]]:
        """For each source the likeliest token, again and again: greedy decoding.

        Keys and values of the tokens so far are kept, so that a token costs one pass over itself alone.

        Args:
            source: what is read, [batch, S].
            start: the token before the first; it is not returned.
            end: the token after the last; it is not returned.
            length: how many tokens to write at most.
            source_lengths: how many tokens of each source count, [batch].

        Raises `IndexingError` for a length above `max_length`.
        """
        if whole("length", length) > self.max_length:
            raise IndexingError(
                f"Seq2SeqTransformer: {length} tokens do not fit into a max_length of {self.max_length}"
            )
        size, dtype = self.d_model // self.nhead, self.source_embedding.weight.dtype
        source = self._tokens(source)
        count, layers = source.shape[0], len(self.decoder.layers)
        caches = [KeyValueCache(count, self.nhead, length, size, dtype=dtype) for _ in range(layers)]

        @compile
        def step(tokens: Tensor, memory: Tensor, padding: Tensor | None) -> Tensor:
            return ops.argmax(self._decode(tokens, memory, padding, caches)[:, 0], -1)

        written, done = [np.full(count, start)], np.zeros(count, np.bool_)
        with evaluating(self), no_grad():
            memory, padding = self.encode(source, source_lengths)
            while len(written) <= length and not done.all():
                written.append(step(written[-1][:, None], memory, padding).numpy())
                done |= written[-1] == end
        rows = [[int(token) for token in row[1:]] for row in np.stack(written, 1)]
        return [row[: row.index(end)] if end in row else row for row in rows]

    def _decode(
        self, target: Tensor, memory: Tensor, padding: Tensor | None, caches: Sequence[KeyValueCache] | None = None
    ) -> Tensor:
        x = self._placed(self.target_embedding(target), 0 if caches is None else caches[0].position)
        x = self.decoder(x, memory, memory_key_padding_mask=padding, tgt_is_causal=caches is None, caches=caches)
        return x @ self.source_embedding.weight.T if self.head is None else self.head(x)

    def _placed(self, vectors: Tensor, position: TensorLike = 0) -> Tensor:
        return self.dropout(self.positions(vectors * sqrt(self.d_model), position))

    def _tokens(self, tokens: TensorLike) -> Tensor:
        found = as_tensor(tokens)
        if found.ndim != 2:
            raise ShapeError(f"Seq2SeqTransformer: tokens [batch, time] are needed, not {found.type}")
        return found

    def options(self) -> str:
        return f"{self.source_embedding.num_embeddings}, {self.target_embedding.num_embeddings}, {self.d_model}"
