"""Positions in a sequence, for what does not see order by itself: attention.

All take sequences whose places run along one axis, and `position`, that of the first element: an integer, or a tensor
if it is not known until the code runs, as when a sequence is made step by step.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from chainrule import ops
from chainrule.errors import DefinitionError, IndexingError, ShapeError
from chainrule.nn.checks import number, whole
from chainrule.nn.initializers import normal
from chainrule.nn.module import Module, Parameter
from chainrule.tensor import Tensor, TensorLike, as_tensor
from chainrule.types import FLOATS, Array, DTypeLike, float32, normalize_axis


class _Positions(Module):
    """What modules that hold something for each position have in common."""

    def __init__(self, max_length: int, size: int, axis: int) -> None:
        self.max_length = whole("max_length", max_length)
        self.size = size
        self.axis = axis

    def _placed(self, x: TensorLike) -> tuple[Tensor, int]:
        """The input as floats, and the axis of its places."""
        x = as_tensor(x)
        x = x if x.dtype in FLOATS else x.cast(float32)
        if x.ndim < 2 or x.shape[-1] != self.size:
            raise ShapeError(f"{self.describe()}: an input [..., T, {self.size}] is needed, not {x.type}")
        return x, normalize_axis(self.axis, x.ndim)

    def _rows(self, table: Tensor | Array, position: TensorLike, x: Tensor, axis: int) -> Tensor:
        """The rows [T, ...] of a table from a position on, shaped such that they broadcast against the input."""
        steps = x.shape[axis]
        if isinstance(position, int):
            if not 0 <= position <= self.max_length - steps:
                raise IndexingError(
                    f"{self.describe()}: {steps} positions from {position} on are not among {self.max_length}"
                )
            rows = as_tensor(table[position : position + steps])
        else:
            rows = ops.take(table, as_tensor(position) + ops.arange(steps), axis=0)
        return rows.reshape((steps, *(1,) * (x.ndim - 2 - axis), *rows.shape[1:])).cast(x.dtype)

    def options(self) -> str:
        return f"{self.max_length}, {self.size}"


class SinusoidalPositions(_Positions):
    """x plus waves of the position p: sin(p / 10000^(2i / C)) on feature 2i, and the cosine on feature 2i + 1.

    Vaswani et al., "Attention is all you need", NIPS 2017.

    Args:
        max_length: number of positions.
        embedding_dim: number of features C, the last axis of the input.
        axis: along which the places run: -2 for [..., T, C].

    Shapes: [..., T, C] to the same.

    Raises `ShapeError` for an input of other features, `IndexingError` for a position that is not among `max_length`.

    >>> SinusoidalPositions(10, 2)([[0.0, 0.0], [0.0, 0.0]])
    tensor([[0.        , 1.        ],
            [0.84147096, 0.5403023 ]], f32[2, 2])
    """

    def __init__(self, max_length: int, embedding_dim: int, axis: int = -2) -> None:
        super().__init__(max_length, whole("embedding_dim", embedding_dim), axis)
        angles = _angles(self.max_length, embedding_dim, 10000.0)
        waves = np.stack([np.sin(angles), np.cos(angles)], -1)
        self._table = waves.reshape(self.max_length, -1)[:, :embedding_dim]

    def forward(self, x: TensorLike, position: TensorLike = 0) -> Tensor:
        """x plus the waves."""
        x, axis = self._placed(x)
        return x + self._rows(self._table.astype(x.dtype.numpy), position, x, axis)


class LearnedPositions(_Positions):
    """x plus a trained vector for each position.

    Gehring et al., "Convolutional sequence to sequence learning", ICML 2017.

    Args:
        max_length: number of positions.
        embedding_dim: number of features C, the last axis of the input.
        axis: along which the places run: -2 for [..., T, C].
        dtype: data type of the vectors.
        initializer: makes the weight; by default it is drawn from the standard normal distribution, as in `Embedding`.

    Parameters: `weight` [max_length, embedding_dim].
    Shapes: [..., T, C] to the same.

    Raises `ShapeError` for an input of other features, `IndexingError` for a position that is not among `max_length`.

    >>> from chainrule.nn.initializers import ones
    >>> LearnedPositions(10, 2, initializer=ones)([[0.0, 1.0], [2.0, 3.0]])
    tensor([[1., 2.],
            [3., 4.]], f32[2, 2])
    """

    def __init__(
        self,
        max_length: int,
        embedding_dim: int,
        axis: int = -2,
        *,
        dtype: DTypeLike = float32,
        initializer: Callable[..., Tensor] = normal,
    ) -> None:
        super().__init__(max_length, whole("embedding_dim", embedding_dim), axis)
        self.weight = Parameter(initializer((self.max_length, embedding_dim), dtype=dtype), name="weight")

    def forward(self, x: TensorLike, position: TensorLike = 0) -> Tensor:
        """x plus the vectors."""
        x, axis = self._placed(x)
        return x + self._rows(self.weight, position, x, axis)


class RotaryPositions(_Positions):
    """Pairs of features turned by angles that grow with the position p, so that products see distances alone.

    The pair i of (a, b) becomes (a cos t - b sin t, b cos t + a sin t) with t = p / base^(2i / E). Applied to queries
    and keys, but not to values. Su et al., "RoFormer: enhanced transformer with rotary position embedding", 2021.

    Args:
        max_length: number of positions.
        head_dim: number of features E, the last axis of the input; even.
        base: how much slower the last pair turns than the first.
        interleaved: whether pairs are neighbours, as in the paper, rather than features i and i + E / 2.
        axis: along which the places run: -2 for [..., T, E].

    Shapes: [..., T, E] to the same.

    Raises `DefinitionError` for an odd number of features, `ShapeError` for an input of other features,
    `IndexingError` for a position that is not among `max_length`.

    >>> RotaryPositions(10, 2)([[1.0, 0.0], [1.0, 0.0]])
    tensor([[1.        , 0.        ],
            [0.5403023 , 0.84147096]], f32[2, 2])
    """

    def __init__(
        self, max_length: int, head_dim: int, base: float = 10000.0, interleaved: bool = False, axis: int = -2
    ) -> None:
        super().__init__(max_length, whole("head_dim", head_dim), axis)
        if head_dim % 2:
            raise DefinitionError(f"RotaryPositions: head_dim must be even, not {head_dim}")
        self.base = number("base", base, 1.0)
        self.interleaved = interleaved
        angles = _angles(self.max_length, head_dim, self.base)
        self._pair = -1 if interleaved else -2  # along which axis the two of a pair stand, once it has one of its own
        self._cosines = np.stack([np.cos(angles)] * 2, self._pair)
        self._sines = np.stack([-np.sin(angles), np.sin(angles)], self._pair)

    def forward(self, x: TensorLike, position: TensorLike = 0) -> Tensor:
        """x with its features turned."""
        x, axis = self._placed(x)
        pairs = x.reshape((*x.shape[:-1], *self._cosines.shape[1:]))
        cosines, sines = (
            self._rows(table.astype(x.dtype.numpy), position, x, axis) for table in (self._cosines, self._sines)
        )
        return (pairs * cosines + ops.flip(pairs, self._pair) * sines).reshape(x.shape)

    def options(self) -> str:
        return super().options() + (", interleaved=True" if self.interleaved else "")


def _angles(length: int, size: int, base: float) -> Array:
    """p / base^(2i / size) for each position p and each pair i of features."""
    return np.arange(length)[:, None] / base ** (np.arange(0, size, 2) / size)
