"""Keys and values that a model has seen, kept while it makes a sequence step by step."""

from __future__ import annotations

from chainrule import ops
from chainrule.errors import IndexingError, ShapeError
from chainrule.nn.checks import whole
from chainrule.nn.initializers import zeros
from chainrule.nn.module import Module
from chainrule.ops.gather import known_value
from chainrule.state import no_grad
from chainrule.tensor import Tensor, TensorLike, as_tensor, tensor
from chainrule.types import DTypeLike, float32


class KeyValueCache(Module):
    """The keys and values of all steps so far, in buffers of a fixed length, and the number of these steps.

    Attention over a sequence that grows by a step reads the keys and values of earlier steps here instead of working
    them out again. Sizes never change, and the position is a tensor: a compiled step is one program for all positions.

    Args:
        batch_size: number of sequences N.
        num_heads: number of heads H.
        max_length: number of steps S that there is room for.
        head_dim: size E of a key.
        value_dim: size of a value; by default E.
        dtype: data type of the buffers.

    Buffers: `keys` [N, H, S, E], `values` [N, H, S, value_dim], `position`, an integer.

    >>> cache = KeyValueCache(1, 1, 4, 2)
    >>> keys, values, mask = cache.update([[[[1.0, 2.0]]]], [[[[3.0, 4.0]]]])
    >>> keys.shape, mask, cache.position
    ((1, 1, 4, 2), tensor([[ True, False, False, False]], bool[1, 4]), tensor(1, i64[]))
    """

    def __init__(
        self,
        batch_size: int,
        num_heads: int,
        max_length: int,
        head_dim: int,
        value_dim: int | None = None,
        *,
        dtype: DTypeLike = float32,
    ) -> None:
        self.max_length = whole("max_length", max_length)
        shape = (whole("batch_size", batch_size), whole("num_heads", num_heads), self.max_length)
        self.keys = zeros((*shape, whole("head_dim", head_dim)), dtype=dtype)
        self.values = zeros((*shape, whole("value_dim", head_dim if value_dim is None else value_dim)), dtype=dtype)
        self.position = tensor(0)

    def update(self, keys: TensorLike, values: TensorLike) -> tuple[Tensor, Tensor, Tensor]:
        """Write the keys and values [N, H, L, E] of the next L steps.

        Returns all keys, all values, and a mask [L, S] that says which of them each of the new steps may attend to:
        those up to itself. No gradient reaches what was written by earlier calls.

        Raises `ShapeError` for keys or values of another shape, and `IndexingError` if there is no room for L more
        steps; in compiled code as well.
        """
        pairs = [(self.keys, as_tensor(keys)), (self.values, as_tensor(values))]
        steps = pairs[0][1].shape[-2] if pairs[0][1].ndim == 4 else 0
        for kept, new in pairs:
            if new.shape != (*kept.shape[:2], steps, kept.shape[-1]):
                raise ShapeError(
                    f"KeyValueCache: {new.type} does not fit buffers {kept.type}: only axis 2, the steps, may differ"
                )
        at = self._places(steps)
        offset = ops.arange(self.max_length) - at[0]
        is_new, source = (offset >= 0) & (offset < steps), ops.clip(offset, 0, steps - 1)
        whole_keys, whole_values = (self._written(kept, new, is_new, source) for kept, new in pairs)
        with no_grad():
            self.keys.assign(whole_keys.detach())
            self.values.assign(whole_values.detach())
            self.position.assign(self.position + steps)
        return whole_keys, whole_values, ops.arange(self.max_length) <= at.expand_dims(-1)

    def _places(self, steps: int) -> Tensor:
        """Where the next steps go. Reading from a table makes sure that there are such places."""
        now = known_value(self.position)
        if now is not None and now + steps > self.max_length:
            raise IndexingError(f"KeyValueCache: {steps} steps from {now} on do not fit into {self.max_length}")
        return ops.take(ops.arange(self.max_length), self.position + ops.arange(steps))

    def _written(self, kept: Tensor, new: Tensor, is_new: Tensor, source: Tensor) -> Tensor:
        spread = new if new.shape[2] == 1 else ops.take(new, source, axis=2)
        return ops.where(is_new.expand_dims(-1), spread.cast(kept.dtype), kept)

    def reset(self) -> None:
        """Start again from position 0."""
        self.position.assign(0)

    def options(self) -> str:
        batch, heads, length, size = self.keys.shape
        return f"{batch}, {heads}, {length}, {size}"
