"""Vectors for symbols."""

from __future__ import annotations

from collections.abc import Callable
from math import inf
from typing import Literal

from chainrule import ops
from chainrule.errors import DefinitionError, IndexingError, ShapeError
from chainrule.nn.checks import number, whole
from chainrule.nn.initializers import normal
from chainrule.nn.module import Module, Parameter
from chainrule.ops.gather import as_indices, known_value
from chainrule.state import no_grad
from chainrule.tensor import Tensor, TensorLike, as_tensor, tensor
from chainrule.types import DTypeLike, float32


class _Table(Module):
    """A trained vector for each of a number of symbols, and how it is looked at."""

    def __init__(
        self,
        num_embeddings: int,
        embedding_dim: int,
        padding_idx: int | None,
        max_norm: float | None,
        norm_type: float,
        dtype: DTypeLike,
        initializer: Callable[..., Tensor],
    ) -> None:
        self.num_embeddings = whole("num_embeddings", num_embeddings)
        self.embedding_dim = whole("embedding_dim", embedding_dim)
        if padding_idx is not None and not -num_embeddings <= padding_idx < num_embeddings:
            raise IndexingError(
                f"{type(self).__name__}: padding_idx {padding_idx} is not among {num_embeddings} symbols"
            )
        self.padding_idx = None if padding_idx is None else padding_idx % num_embeddings
        self.max_norm = None if max_norm is None else number("max_norm", max_norm, 0.0)
        self.norm_type = number("norm_type", norm_type)
        if self.norm_type <= 0.0:
            raise DefinitionError(f"norm_type must be positive, not {norm_type!r}")
        first = initializer((num_embeddings, embedding_dim), dtype=dtype)
        if self.padding_idx is not None:
            rows = first.numpy().copy()
            rows[self.padding_idx] = 0
            first = tensor(rows, first.dtype)
        self.weight = Parameter(first, name="weight")

    def _look_up(self, indices: Tensor) -> Tensor:
        """The vectors at the indices; that of the padding passes no gradient on."""
        value = known_value(indices)
        if value is not None and (outside := (value < 0) | (value >= self.num_embeddings)).any():
            raise IndexingError(
                f"{type(self).__name__}: symbol {value[outside].flat[0]} is not among {self.num_embeddings} symbols"
            )
        if self.max_norm is not None:
            with no_grad():
                self.weight.assign(self._shortened(indices, self.max_norm))
        out = ops.take(self.weight, indices, axis=0)
        return out if self.padding_idx is None else ops.where(self._is_padding(indices), out.detach(), out)

    def _is_padding(self, indices: Tensor) -> Tensor:
        return (indices == self.padding_idx).expand_dims(-1)

    def _shortened(self, indices: Tensor, max_norm: float) -> Tensor:
        """The weight, with those of its rows that are looked at brought to a norm of `max_norm` if it is larger."""
        asked = ops.scatter_add(ops.zeros((self.num_embeddings,)), indices, ops.ones(indices.shape)) > 0.0
        norm = (ops.abs(self.weight) ** self.norm_type).sum(1) ** (1.0 / self.norm_type)
        scale = ops.where(asked & (norm > max_norm), max_norm / (norm + 1e-7), 1.0)
        return (self.weight * scale.expand_dims(1)).cast(self.weight.dtype)

    def options(self) -> str:
        padding = "" if self.padding_idx is None else f", padding_idx={self.padding_idx}"
        return f"{self.num_embeddings}, {self.embedding_dim}{padding}"


class Embedding(_Table):
    """out[..., :] = weight[indices[...], :]: a trained vector for each of a number of symbols.

    Args:
        num_embeddings: how many symbols there are.
        embedding_dim: size of a vector.
        padding_idx: a symbol whose vector starts as zero and is never trained; negative ones count from the end.
        max_norm: whenever vectors are asked for, those of a larger norm are scaled to this one, in `weight` itself.
        norm_type: p of that norm, (sum of |x|^p)^(1/p).
        dtype: data type of the vectors.
        initializer: makes the weight; by default it is drawn from the standard normal distribution.

    Parameters: `weight` [num_embeddings, embedding_dim]. To use the same weight in the last layer of a model, assign
    it: `model.head.weight = model.tokens.weight`.
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
        max_norm: float | None = None,
        norm_type: float = 2.0,
        *,
        dtype: DTypeLike = float32,
        initializer: Callable[..., Tensor] = normal,
    ) -> None:
        super().__init__(num_embeddings, embedding_dim, padding_idx, max_norm, norm_type, dtype, initializer)

    def forward(self, indices: TensorLike) -> Tensor:
        """The vectors at the indices."""
        return self._look_up(as_indices(indices))


class EmbeddingBag(_Table):
    """The sum, mean or largest elements of the vectors of several symbols, a bag.

    Args:
        num_embeddings: how many symbols there are.
        embedding_dim: size of a vector.
        max_norm: as for `Embedding`.
        norm_type: as for `Embedding`.
        mode: "sum", "mean" or "max", for each element of the vectors.
        include_last_offset: whether the last of the offsets says where the last bag ends, rather than where it begins.
        padding_idx: a symbol that counts as if it were not there.
        dtype: data type of the vectors.
        initializer: makes the weight; by default it is drawn from the standard normal distribution.

    Parameters: `weight` [num_embeddings, embedding_dim].
    Shapes: integers [B, N], bags of equal size, or [N] with offsets [B], where each bag begins; to [B, embedding_dim].
    A bag of nothing gives zeros.

    Raises `ShapeError` for other shapes, `DefinitionError` for another mode, `IndexingError` as `Embedding` does.

    >>> bags = EmbeddingBag(3, 2, mode="sum", initializer=lambda shape, dtype: ops.ones(shape, dtype=dtype))
    >>> bags([0, 1, 2, 2], offsets=[0, 3]).tolist()
    [[3.0, 3.0], [1.0, 1.0]]
    """

    def __init__(
        self,
        num_embeddings: int,
        embedding_dim: int,
        max_norm: float | None = None,
        norm_type: float = 2.0,
        *,
        mode: Literal["sum", "mean", "max"] = "mean",
        include_last_offset: bool = False,
        padding_idx: int | None = None,
        dtype: DTypeLike = float32,
        initializer: Callable[..., Tensor] = normal,
    ) -> None:
        if mode not in ("sum", "mean", "max"):
            raise DefinitionError(f'EmbeddingBag: mode must be "sum", "mean" or "max", not {mode!r}')
        super().__init__(num_embeddings, embedding_dim, padding_idx, max_norm, norm_type, dtype, initializer)
        self.mode = mode
        self.include_last_offset = include_last_offset

    def forward(
        self,
        indices: TensorLike,
        offsets: TensorLike | None = None,
        per_sample_weights: TensorLike | None = None,
    ) -> Tensor:
        """The bags; with `per_sample_weights` of the indices' shape, sums in which each vector has a weight."""
        found = as_indices(indices)
        if found.ndim != 2 - (offsets is not None):
            raise ShapeError(f"EmbeddingBag: indices [B, N], or [N] with offsets, are needed, not {found.type}")
        rows = self._look_up(found)
        if per_sample_weights is not None:
            rows = rows * self._weights(per_sample_weights, found).expand_dims(-1)
        counted = ops.ones(found.shape, dtype="bool") if self.padding_idx is None else found != self.padding_idx
        if offsets is None:
            return self._joined(rows, counted)
        begins = as_indices(offsets)
        begins = begins[:-1] if self.include_last_offset else begins
        known = known_value(begins)
        if known is not None and (begins.ndim != 1 or known[:1].any()):
            raise ShapeError(f"EmbeddingBag: offsets [B] that begin with 0 are needed, not {known.tolist()}")
        bag = (begins <= ops.arange(found.shape[0], dtype=begins.dtype).expand_dims(1)).sum(1) - 1
        if self.mode == "max":
            own = bag == ops.arange(begins.shape[0]).expand_dims(1)
            return self._joined(rows.expand_dims(0), own & counted)
        weights = ops.cast(counted, rows.dtype)
        total = ops.scatter_add(
            ops.zeros((begins.shape[0], self.embedding_dim), dtype=rows.dtype), bag, rows * weights.expand_dims(1)
        )
        if self.mode == "sum":
            return total
        count = ops.scatter_add(ops.zeros(begins.shape, dtype=rows.dtype), bag, weights)
        return total / ops.maximum(count, 1.0).expand_dims(1)

    def _joined(self, rows: Tensor, counted: Tensor) -> Tensor:
        """[B or 1, N, D] to [B, D], of what counts in each bag."""
        mask = counted.expand_dims(-1)
        if self.mode == "max":
            largest = ops.where(mask, rows, -inf).max(1)
            return ops.where(counted.any(1, keepdims=True), largest, 0.0)
        total = ops.where(mask, rows, 0.0).sum(1)
        return total if self.mode == "sum" else total / ops.maximum(mask.cast(rows.dtype).sum(1), 1.0)

    def _weights(self, given: TensorLike, indices: Tensor) -> Tensor:
        if self.mode != "sum":
            raise DefinitionError(f'EmbeddingBag: per_sample_weights are for mode "sum", not {self.mode!r}')
        weights = as_tensor(given, self.weight.dtype)
        if weights.shape != indices.shape:
            raise ShapeError(f"EmbeddingBag: per_sample_weights {weights.type} must have the shape of {indices.type}")
        return weights

    def options(self) -> str:
        return f"{super().options()}, mode={self.mode!r}"
