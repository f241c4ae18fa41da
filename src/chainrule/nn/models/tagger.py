"""A network that gives each token of a text a tag.

Graves & Schmidhuber, "Framewise phoneme classification with bidirectional LSTM and other neural network architectures",
Neural Networks 18 (2005); Huang, Xu & Yu, "Bidirectional LSTM-CRF models for sequence tagging", 2015, of which this is
the BI-LSTM.
"""

from __future__ import annotations

from chainrule import losses, ops
from chainrule.errors import ShapeError
from chainrule.nn.checks import whole
from chainrule.nn.dropout import Dropout
from chainrule.nn.embedding import Embedding
from chainrule.nn.linear import Linear
from chainrule.nn.module import Module
from chainrule.nn.recurrent import LSTM
from chainrule.random import Generator
from chainrule.tensor import Tensor, TensorLike, as_tensor
from chainrule.types import DTypeLike, float32


class BiLSTMTagger(Module):
    """Vectors of tokens, an LSTM that reads them in both directions, and a linear layer that scores the tags.

    Args:
        vocab_size: number of tokens.
        num_tags: number of tags.
        embedding_dim: size of the vector of a token.
        hidden_size: size of the state of the LSTM in each direction.
        num_layers: of the LSTM.
        dropout: probability before and after the LSTM, and between its layers.
        dtype: data type of the parameters.
        generator: draws what is dropped before and after the LSTM.

    Texts of several lengths share a batch: all are filled up to the longest, and `lengths` says how many tokens of each
    count. The others change neither the logits of those nor the loss.

    Parameters: vocab_size embedding_dim + 8 hidden_size (embedding_dim + hidden_size + 2) for one layer
    + (2 hidden_size + 1) num_tags; 263,409 with 1,000 tokens, 9 tags and the other sizes as they are.
    Shapes: integers [batch, time] to logits [batch, time, num_tags].

    Raises `ShapeError` for tokens of other axes, or lengths that do not fit.

    >>> model = BiLSTMTagger(vocab_size=50, num_tags=5, embedding_dim=8, hidden_size=6)
    >>> model([[3, 1, 4], [1, 5, 0]], lengths=[3, 2]).shape
    (2, 3, 5)
    """

    def __init__(
        self,
        vocab_size: int,
        num_tags: int,
        embedding_dim: int = 100,
        hidden_size: int = 100,
        num_layers: int = 1,
        dropout: float = 0.0,
        *,
        dtype: DTypeLike = float32,
        generator: Generator | None = None,
    ) -> None:
        between = dropout if num_layers > 1 else 0.0
        self.embedding = Embedding(vocab_size, embedding_dim, dtype=dtype)
        self.dropout = Dropout(dropout, generator=generator)
        self.lstm = LSTM(
            embedding_dim, hidden_size, num_layers, batch_first=True, dropout=between, bidirectional=True, dtype=dtype
        )
        self.head = Linear(2 * hidden_size, whole("num_tags", num_tags), dtype=dtype)

    def forward(self, tokens: TensorLike, lengths: TensorLike | None = None) -> Tensor:
        """Logits of the tags of each token; those beyond a length mean nothing."""
        tokens = as_tensor(tokens)
        if tokens.ndim != 2:
            raise ShapeError(f"BiLSTMTagger: tokens [batch, time] are needed, not {tokens.type}")
        x, _ = self.lstm(self.dropout(self.embedding(tokens)), lengths=lengths)
        return self.head(self.dropout(x))

    def loss(self, tokens: TensorLike, tags: TensorLike, lengths: TensorLike | None = None) -> Tensor:
        """The cross-entropy of the tags [batch, time], averaged over the tokens within the lengths."""
        logits, tags = self(tokens, lengths), as_tensor(tags)
        if lengths is not None:
            inside = ops.arange(tags.shape[-1]) < as_tensor(lengths).expand_dims(-1)
            tags = ops.where(inside, tags, -100)
        return losses.cross_entropy(logits.permute_dims((0, 2, 1)), tags, ignore_index=-100)
