"""Vectors for symbols."""

from __future__ import annotations

from collections.abc import Callable

from chainrule import ops
from chainrule.errors import IndexingError
from chainrule.nn.checks import whole
from chainrule.nn.initializers import normal
from chainrule.nn.module import Module, Parameter
from chainrule.ops.gather import as_indices, known_value
from chainrule.tensor import Tensor, TensorLike, tensor
from chainrule.types import DTypeLike, float32


class Embedding(Module):
    """out[..., :] = weight[indices[...], :]: a trained vector for each of a number of symbols.

    Args:
        num_embeddings: how many symbols there are.
        embedding_dim: size of a vector.
        padding_idx: a symbol whose vector starts as zero and is never trained; negative ones count from the end.
        dtype: data type of the vectors.
        initializer: makes the weight; by default it is drawn from the standard normal distribution.

    Parameters: `weight` [num_embeddings, embedding_dim].
    Shapes: integers [...] to [..., embedding_dim].

    Raises `IndexingError` for an index that is negative or too large, as far as values are known: while a function is
    traced they are not.

    >>> Embedding(10, 3, padding_idx=0)([0, 0]).tolist()
    [[0.0, 0.0, 0.0], [0.0, 0.0, 0.0]]
    """

    def __init__(
        self,
        num_embeddings: int,
        embedding_dim: int,
        padding_idx: int | None = None,
        *,
        dtype: DTypeLike = float32,
        initializer: Callable[..., Tensor] = normal,
    ) -> None:
        self.num_embeddings = whole("num_embeddings", num_embeddings)
        self.embedding_dim = whole("embedding_dim", embedding_dim)
        if padding_idx is not None and not -num_embeddings <= padding_idx < num_embeddings:
            raise IndexingError(f"Embedding: padding_idx {padding_idx} is not among {num_embeddings} symbols")
        self.padding_idx = None if padding_idx is None else padding_idx % num_embeddings
        first = initializer((num_embeddings, embedding_dim), dtype=dtype)
        if self.padding_idx is not None:
            rows = first.numpy().copy()
            rows[self.padding_idx] = 0
            first = tensor(rows, first.dtype)
        self.weight = Parameter(first, name="weight")

    def forward(self, indices: TensorLike) -> Tensor:
        """The vectors at the indices."""
        found = as_indices(indices)
        value = known_value(found)
        if value is not None and (outside := (value < 0) | (value >= self.num_embeddings)).any():
            raise IndexingError(
                f"Embedding: symbol {value[outside].flat[0]} is not among {self.num_embeddings} symbols"
            )
        out = ops.take(self.weight, found, axis=0)
        if self.padding_idx is None:
            return out
        is_padding = (found == self.padding_idx).expand_dims(-1)
        return ops.where(is_padding, out.detach(), out)  # the gradient passes through the other rows alone

    def options(self) -> str:
        padding = "" if self.padding_idx is None else f", padding_idx={self.padding_idx}"
        return f"{self.num_embeddings}, {self.embedding_dim}{padding}"
