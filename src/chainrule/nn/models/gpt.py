"""A decoder-only transformer that predicts the next token of a text.

Radford et al., "Language models are unsupervised multitask learners" (2019), known as GPT-2; Vaswani et al., "Attention
is all you need", NIPS 2017.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from math import sqrt

import numpy as np

from chainrule import ops
from chainrule.compiled import compile
from chainrule.errors import DefinitionError, IndexingError, ShapeError
from chainrule.nn.cache import KeyValueCache
from chainrule.nn.checks import whole
from chainrule.nn.dropout import Dropout
from chainrule.nn.embedding import Embedding
from chainrule.nn.functional import gelu, scaled_dot_product_attention
from chainrule.nn.initializers import normal
from chainrule.nn.linear import Linear
from chainrule.nn.models.sampling import check_sampling, sample
from chainrule.nn.module import Module, evaluating
from chainrule.nn.normalization import LayerNorm
from chainrule.random import Generator
from chainrule.state import no_grad
from chainrule.tensor import Tensor, TensorLike, as_tensor
from chainrule.types import Array


class CausalSelfAttention(Module):
    """Attention of each token to itself and those before it: softmax(Q K^T / sqrt(size)) V, in each of the heads."""

    def __init__(self, width: int, heads: int, drop: Dropout, bias: bool) -> None:
        self.heads = heads
        self.c_attn = Linear(width, 3 * width, bias)
        self.c_proj = Linear(width, width, bias)
        self.drop = drop

    def forward(self, x: Tensor, cache: KeyValueCache | None = None) -> Tensor:
        """For x [batch, time, width]; with a cache, x comes after what is in it."""
        batch, time, width = x.shape
        parts = self.c_attn(x).reshape((batch, time, 3, self.heads, width // self.heads))
        q, k, v = ops.unstack(parts.permute_dims((2, 0, 3, 1, 4)))
        k, v, seen = (k, v, None) if cache is None else cache.update(k, v)
        dropped = self.drop.p if self.drop.training else 0.0
        out = scaled_dot_product_attention(
            q, k, v, seen, dropped, is_causal=cache is None, generator=self.drop.generator
        )
        return self.drop(self.c_proj(out.permute_dims((0, 2, 1, 3)).reshape((batch, time, width))))


class MLP(Module):
    """A hidden layer of four times the width, with GELU, for each token on its own."""

    def __init__(self, width: int, drop: Dropout, bias: bool) -> None:
        self.c_fc = Linear(width, 4 * width, bias)
        self.c_proj = Linear(4 * width, width, bias)
        self.drop = drop

    def forward(self, x: Tensor) -> Tensor:
        """For x [batch, time, width]."""
        return self.drop(self.c_proj(gelu(self.c_fc(x), "tanh")))


class Block(Module):
    """h = x + attention(norm(x)); out = h + mlp(norm(h))."""

    def __init__(self, width: int, heads: int, drop: Dropout, bias: bool) -> None:
        self.ln_1 = LayerNorm(width, bias=bias)
        self.attn = CausalSelfAttention(width, heads, drop, bias)
        self.ln_2 = LayerNorm(width, bias=bias)
        self.mlp = MLP(width, drop, bias)

    def forward(self, x: Tensor, cache: KeyValueCache | None = None) -> Tensor:
        """For x [batch, time, width]."""
        h = x + self.attn(self.ln_1(x), cache)
        return h + self.mlp(self.ln_2(h))


class Transformer(Module):
    """Vectors of tokens and of their positions, then the blocks and a norm."""

    def __init__(
        self, vocab_size: int, context: int, width: int, layers: int, heads: int, drop: Dropout, bias: bool
    ) -> None:
        self.wte = Embedding(vocab_size, width)
        self.wpe = Embedding(context, width)
        self.drop = drop
        self.h = [Block(width, heads, drop, bias) for _ in range(layers)]
        self.ln_f = LayerNorm(width, bias=bias)

    def forward(self, tokens: Tensor, caches: Sequence[KeyValueCache] = ()) -> Tensor:
        """Integers [batch, time] to vectors [batch, time, width]; with a cache for each block, they come after it."""
        first = caches[0].position if caches else 0
        x = self.drop(self.wte(tokens) + self.wpe(ops.arange(tokens.shape[1]) + first))
        for i, block in enumerate(self.h):
            x = block(x, caches[i] if caches else None)
        return self.ln_f(x)


class GPT(Module):
    """Vectors of tokens and positions, pre-norm blocks of attention and MLP, and a head that scores the next token.

    Args:
        vocab_size: number of tokens.
        context: how many tokens it sees at most.
        width: size of the vector of a token.
        layers: number of blocks.
        heads: of attention in each block; they share the width.
        dropout: probability after the embeddings, in attention, and after attention and MLP.
        bias: whether linear layers and norms have one.
        tied: whether the head multiplies by the vectors of the tokens instead of a weight of its own (Press & Wolf,
            "Using the output embedding to improve language models", EACL 2017).
        generator: draws what dropout drops, and the first weights: normal with standard deviation 0.02, and for the
            last layer of attention and MLP 0.02 / sqrt(2 layers), since so many of them add up; biases are zero.

    Parameters are named as in GPT-2: `transformer.wte` (tokens), `transformer.wpe` (positions),
    `transformer.h.0.attn.c_attn` (queries, keys, values), ...; a tied head has none. Weights are [out, in].
    Shapes: integers [batch, time] to logits [batch, time, vocab_size].

    Raises `DefinitionError` for sizes below 1 or a width that the heads cannot share, `ShapeError` for more tokens than
    the context.

    >>> model = GPT(vocab_size=65, context=8, width=16, layers=2, heads=2)
    >>> model([[1, 2, 3]]).shape, len(model.parameters())
    ((1, 3, 65), 28)
    >>> len(list(model.generate([1, 2, 3], 9)))
    9
    """

    def __init__(
        self,
        vocab_size: int,
        context: int,
        width: int = 128,
        layers: int = 4,
        heads: int = 4,
        dropout: float = 0.0,
        *,
        bias: bool = True,
        tied: bool = True,
        generator: Generator | None = None,
    ) -> None:
        self.vocab_size, self.context = whole("vocab_size", vocab_size), whole("context", context)
        self.width, self.layers, self.heads = whole("width", width), whole("layers", layers), whole("heads", heads)
        if width % heads:
            raise DefinitionError(f"GPT: {heads} heads cannot share a width of {width}")
        drop = Dropout(dropout, generator=generator)
        self.transformer = Transformer(vocab_size, context, width, layers, heads, drop, bias)
        self.lm_head = None if tied else Linear(width, vocab_size, bias=False)
        for name, x in self.named_parameters():
            if x.ndim == 2:
                std = 0.02 / sqrt(2 * layers) if name.endswith("c_proj.weight") else 0.02
                x.assign(normal(x.shape, std=std, generator=generator))
            elif name.endswith("bias"):
                x.assign(ops.zeros_like(x))

    def forward(self, tokens: TensorLike) -> Tensor:
        """Logits of what follows each of the tokens [batch, time]."""
        tokens = as_tensor(tokens)
        if tokens.ndim != 2 or not 0 < tokens.shape[1] <= self.context:
            raise ShapeError(f"GPT: tokens [batch, 1 to {self.context}] are needed, not {tokens.type}")
        return self._head(self.transformer(tokens))

    def _head(self, x: Tensor) -> Tensor:
        return x @ self.transformer.wte.weight.T if self.lm_head is None else self.lm_head(x)

    def generate(
        self,
        prompt: Sequence[int],
        length: int,
        *,
        temperature: float = 1.0,
        top_k: int | None = None,
        top_p: float | None = None,
        seed: int | None = None,
    ) -> Iterator[int]:
        """The tokens that follow a prompt, one after the other, each as soon as it is drawn.

        Keys and values of the tokens so far are kept, so that a token costs one pass over itself alone. When the
        context is full, its later half is read again, at new positions.

        Args:
            prompt: at least one token, of which the last `context` are seen.
            length: how many tokens to draw.
            temperature: logits are divided by it; 0 always takes the likeliest token.
            top_k: only so many of the likeliest tokens are drawn.
            top_p: only the likeliest tokens are drawn, as few as have this probability together (Holtzman et al., "The
                curious case of neural text degeneration", ICLR 2020).
            seed: of what is drawn; None for one that is never the same.

        Raises `DefinitionError` for a setting that cannot be, `IndexingError` for an empty prompt or an unknown token.
        """
        check_sampling(temperature, top_k, top_p)
        tokens = [int(token) for token in prompt]
        if not tokens or min(tokens) < 0 or max(tokens) >= self.vocab_size:
            raise IndexingError(f"GPT: a prompt of tokens from 0 to {self.vocab_size - 1} is needed, not {tokens}")
        generator = np.random.default_rng(seed)
        return self._generate(
            tokens, whole("length", length, 0), lambda logits: sample(logits, temperature, top_k, top_p, generator)
        )

    def _generate(self, tokens: list[int], length: int, choose: Callable[[Array], int]) -> Iterator[int]:
        size = self.width // self.heads
        caches = [KeyValueCache(1, self.heads, self.context, size) for _ in range(self.layers)]

        @compile
        def step(token: Tensor) -> Tensor:
            return self._head(self.transformer(token.reshape((1, 1)), caches))[0, 0]

        tokens, read = tokens[-self.context :], 0
        for _ in range(length):
            if len(tokens) > self.context:
                tokens, read = tokens[-max(self.context // 2, 1) :], 0
                for cache in caches:
                    cache.reset()
            with evaluating(self), no_grad():
                scores = [step(np.int64(token)).numpy() for token in tokens[read:]]
            read = len(tokens)
            tokens.append(choose(scores[-1]))
            yield tokens[-1]
