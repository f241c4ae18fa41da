"""Single steps of recurrent layers, for loops of one's own."""

from __future__ import annotations

from collections.abc import Sequence
from math import sqrt
from typing import Literal

from chainrule import ops
from chainrule.errors import ShapeError
from chainrule.native.cells import CELLS
from chainrule.nn.checks import whole
from chainrule.nn.initializers import uniform
from chainrule.nn.module import Module, Parameter
from chainrule.nn.recurrent import check_nonlinearity
from chainrule.recurrence import step
from chainrule.tensor import Tensor, TensorLike, as_tensor
from chainrule.types import DTypeLike, float32


class _Cell(Module):
    """What cells have in common; their kind makes the difference."""

    def __init__(self, cell: str, input_size: int, hidden_size: int, bias: bool, dtype: DTypeLike) -> None:
        self._cell = cell
        self.input_size = whole("input_size", input_size)
        self.hidden_size = whole("hidden_size", hidden_size)
        gates, bound = CELLS[cell].gates * self.hidden_size, 1.0 / sqrt(self.hidden_size)

        def drawn(name: str, *shape: int) -> Tensor:
            return Parameter(uniform(shape, -bound, bound, dtype=dtype), name=name)

        self.weight_ih = drawn("weight_ih", gates, self.input_size)
        self.weight_hh = drawn("weight_hh", gates, self.hidden_size)
        self.bias_ih = drawn("bias_ih", gates) if bias else None
        self.bias_hh = drawn("bias_hh", gates) if bias else None

    def _step(self, x: TensorLike, states: Sequence[TensorLike] | None) -> list[Tensor]:
        """The new states."""
        x = as_tensor(x)
        if x.ndim not in (1, 2) or x.shape[-1] != self.input_size:
            n = self.input_size
            raise ShapeError(f"{type(self).__name__}: an input [batch, {n}] or [{n}] is needed, not {x.type}")
        shape, count = (*x.shape[:-1], self.hidden_size), CELLS[self._cell].states
        found = [ops.zeros(shape, x.dtype)] * count if states is None else [as_tensor(s) for s in states]
        if [s.shape for s in found] != [shape] * count:
            shown = ", ".join(str(s.type) for s in found)
            raise ShapeError(f"{type(self).__name__}: {count} of shape {list(shape)} make the state, not {shown}")
        projected, product = x @ self.weight_ih.T, found[0] @ self.weight_hh.T
        if self.bias_ih is not None and self.bias_hh is not None:
            projected, product = projected + self.bias_ih, product + self.bias_hh
        return step(self._cell, projected, product, found)[0]

    def options(self) -> str:
        return f"{self.input_size}, {self.hidden_size}" + ("" if self.bias_ih is not None else ", bias=False")


class RNNCell(_Cell):
    """h' = tanh(W_ih x + b_ih + W_hh h + b_hh): a step of `RNN`.

    Args:
        input_size: size of the last axis of the input.
        hidden_size: size of the state.
        bias: whether b_ih and b_hh are added.
        nonlinearity: "tanh" or "relu".
        dtype: data type of the parameters.

    Parameters: `weight_ih` [hidden, inputs], `weight_hh` [hidden, hidden], `bias_ih` and `bias_hh` [hidden], uniform in
    ±1/sqrt(hidden_size).

    Called with `(input, hx=None)`, [batch, input_size] and [batch, hidden_size], or both without a batch; the state is
    zero if it is not given. Returns the new state. Raises `DefinitionError` for arguments out of range, `ShapeError`
    for an input or a state of another shape.

    >>> RNNCell(3, 5)(uniform((2, 3))).shape
    (2, 5)
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        nonlinearity: Literal["tanh", "relu"] = "tanh",
        *,
        dtype: DTypeLike = float32,
    ) -> None:
        check_nonlinearity(nonlinearity)
        self.nonlinearity = nonlinearity
        super().__init__(nonlinearity, input_size, hidden_size, bias, dtype)

    def forward(self, input: TensorLike, hx: TensorLike | None = None) -> Tensor:
        """The new state."""
        return self._step(input, None if hx is None else [hx])[0]

    def options(self) -> str:
        return super().options() + (f", nonlinearity={self.nonlinearity!r}" if self.nonlinearity != "tanh" else "")


class LSTMCell(_Cell):
    """A step of `LSTM`, whose formulas it follows.

    Args: as of `RNNCell`, without `nonlinearity`.

    Parameters: as of `RNNCell`, with 4 * hidden rows: the gates i, f, g and o.

    Called with `(input, hx=None)`, where hx is a pair of states (h, c); returns the new pair. Raises what `RNNCell`
    raises.

    >>> h, c = LSTMCell(3, 5)(uniform((2, 3)))
    >>> h.shape, c.shape
    ((2, 5), (2, 5))
    """

    def __init__(self, input_size: int, hidden_size: int, bias: bool = True, *, dtype: DTypeLike = float32) -> None:
        super().__init__("lstm", input_size, hidden_size, bias, dtype)

    def forward(self, input: TensorLike, hx: tuple[TensorLike, TensorLike] | None = None) -> tuple[Tensor, Tensor]:
        """The new states."""
        h, c = self._step(input, hx)
        return h, c


class GRUCell(_Cell):
    """A step of `GRU`, whose formulas it follows.

    Args: as of `RNNCell`, without `nonlinearity`.

    Parameters: as of `RNNCell`, with 3 * hidden rows: the gates r and z and the new state n.

    Called like `RNNCell`, and raises what that raises.

    >>> GRUCell(3, 5)(uniform((2, 3))).shape
    (2, 5)
    """

    def __init__(self, input_size: int, hidden_size: int, bias: bool = True, *, dtype: DTypeLike = float32) -> None:
        super().__init__("gru", input_size, hidden_size, bias, dtype)

    def forward(self, input: TensorLike, hx: TensorLike | None = None) -> Tensor:
        """The new state."""
        return self._step(input, None if hx is None else [hx])[0]
