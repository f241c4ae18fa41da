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
from chainrule.nn.checks import whole
from chainrule.nn.dropout import Dropout
from chainrule.nn.embedding import Embedding
from chainrule.nn.functional import gelu, softmax
from chainrule.nn.initializers import normal, zeros
from chainrule.nn.linear import Linear
from chainrule.nn.models.sampling import check_sampling, sample
from chainrule.nn.module import Module, evaluating
from chainrule.nn.normalization import LayerNorm
from chainrule.random import Generator
from chainrule.state import no_grad
from chainrule.tensor import Tensor, TensorLike, as_tensor
from chainrule.types import Array


class Memory:
    """What one block remembers of the tokens so far: keys and values [batch, heads, context, size]."""

    def __init__(self, *shape: int) -> None:
        self.keys, self.values = zeros(shape), zeros(shape)

    def add(self, keys: Tensor, values: Tensor, position: Tensor) -> tuple[Tensor, Tensor]:
        """Enter the key and the value [batch, heads, 1, size] of the token at a position, and return all."""
        here = (ops.arange(self.keys.shape[2]) == position).reshape((-1, 1))
        self.keys.assign(ops.where(here, keys, self.keys))
        self.values.assign(ops.where(here, values, self.values))
        return self.keys, self.values


class CausalSelfAttention(Module):
    """Attention of each token to itself and those before it: softmax(Q K^T / sqrt(size)) V, in each of the heads."""

    def __init__(self, width: int, heads: int, drop: Dropout, bias: bool) -> None:
        self.heads = heads
        self.c_attn = Linear(width, 3 * width, bias)
        self.c_proj = Linear(width, width, bias)
        self.drop = drop

    def forward(self, x: Tensor, position: Tensor | None = None, memory: Memory | None = None) -> Tensor:
        """For x [batch, time, width]; with a memory, x is the one token at `position`."""
        batch, time, width = x.shape
        parts = self.c_attn(x).reshape((batch, time, 3, self.heads, width // self.heads))
        q, k, v = ops.unstack(parts.permute_dims((2, 0, 3, 1, 4)))
        if memory is None or position is None:
            seen = as_tensor(np.tri(time, dtype=np.bool_))
        else:
            k, v = memory.add(k, v, position)
            seen = ops.arange(k.shape[2]) <= position
        scores = q @ ops.matrix_transpose(k) * (1.0 / sqrt(q.shape[-1]))
        attention = self.drop(softmax(ops.where(seen, scores, -np.inf)))
        joined = (attention @ v).permute_dims((0, 2, 1, 3)).reshape((batch, time, width))
        return self.drop(self.c_proj(joined))


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

    def forward(self, x: Tensor, position: Tensor | None = None, memory: Memory | None = None) -> Tensor:
        """For x [batch, time, width]."""
        h = x + self.attn(self.ln_1(x), position, memory)
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

    def forward(self, tokens: Tensor, position: Tensor | None = None, memory: Sequence[Memory] = ()) -> Tensor:
        """Integers [batch, time] to vectors [batch, time, width]; with a memory for each block, time is 1."""
        places = ops.arange(tokens.shape[1]) if position is None else position.reshape((1,))
        x = self.drop(self.wte(tokens) + self.wpe(places))
        for i, block in enumerate(self.h):
            x = block(x, position, memory[i] if memory else None)
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
        memory = [Memory(1, self.heads, self.context, self.width // self.heads) for _ in range(self.layers)]

        @compile
        def step(token: Tensor, position: Tensor) -> Tensor:
            return self._head(self.transformer(token.reshape((1, 1)), position, memory))[0, 0]

        tokens, read = tokens[-self.context :], 0
        for _ in range(length):
            if len(tokens) > self.context:
                tokens, read = tokens[-max(self.context // 2, 1) :], 0
            with evaluating(self), no_grad():
                scores = [step(np.int64(tokens[i]), np.int64(i)).numpy() for i in range(read, len(tokens))]
            read = len(tokens)
            tokens.append(choose(scores[-1]))
            yield tokens[-1]
