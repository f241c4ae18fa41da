"""Layers over sequences: RNN, LSTM and GRU, several on top of each other and in both directions."""

from __future__ import annotations

from collections.abc import Sequence
from math import sqrt
from typing import Any, ClassVar, Literal

import numpy as np

from chainrule import ops
from chainrule.control import scan
from chainrule.errors import DefinitionError, ShapeError
from chainrule.native.cells import CELLS
from chainrule.nn.checks import number, whole
from chainrule.nn.dropout import Dropout
from chainrule.nn.initializers import uniform
from chainrule.nn.module import Module, Parameter
from chainrule.ops.gather import as_indices, known_value
from chainrule.recurrence import recurrence, step
from chainrule.tensor import Tensor, TensorLike, as_tensor, operands
from chainrule.types import DTypeLike, float32


class _Recurrent(Module):
    """What recurrent layers have in common; a kind of cell makes the difference."""

    _names: ClassVar[tuple[str, ...]] = ("h",)  # of the states

    def __init__(
        self,
        cell: str,
        input_size: int,
        hidden_size: int,
        num_layers: int,
        bias: bool,
        batch_first: bool,
        dropout: float,
        bidirectional: bool,
        dtype: DTypeLike,
        proj_size: int = 0,
    ) -> None:
        self._cell = cell
        self.input_size = whole("input_size", input_size)
        self.hidden_size = whole("hidden_size", hidden_size)
        self.num_layers = whole("num_layers", num_layers)
        self.bias = bias
        self.batch_first = batch_first
        self.dropout = number("dropout", dropout, 0.0, 1.0)
        self.bidirectional = bidirectional
        self.proj_size = whole("proj_size", proj_size, 0)
        if self.proj_size >= self.hidden_size:
            raise DefinitionError(f"proj_size must be less than hidden_size, {hidden_size}, not {proj_size}")
        out, gates = self.proj_size or self.hidden_size, CELLS[cell].gates * self.hidden_size
        bound = 1.0 / sqrt(self.hidden_size)
        for layer in range(self.num_layers):
            entering = out * len(self._directions) if layer else self.input_size
            for direction in self._directions:
                shapes: dict[str, tuple[int, ...]] = {"weight_ih": (gates, entering), "weight_hh": (gates, out)}
                if bias:
                    shapes |= {"bias_ih": (gates,), "bias_hh": (gates,)}
                if self.proj_size:
                    shapes["weight_hr"] = (out, self.hidden_size)
                for name, shape in shapes.items():
                    full = f"{name}_l{layer}{direction}"
                    setattr(self, full, Parameter(uniform(shape, -bound, bound, dtype=dtype), name=full))

    @property
    def _directions(self) -> tuple[str, ...]:
        """How the names of parameters end, for each direction."""
        return ("", "_reverse") if self.bidirectional else ("",)

    def _run(
        self, given: TensorLike, starts: Sequence[TensorLike] | None, lengths: TensorLike | None
    ) -> tuple[Tensor, list[Tensor]]:
        """The output, and the last states of all layers and directions."""
        x = self._checked(as_tensor(given))
        batched = x.ndim == 3
        if not batched:
            x = x.expand_dims(1)
        elif self.batch_first:
            x = x.permute_dims(1, 0, 2)
        steps, batch, _ = x.shape
        states = self._first_states(x, starts, batched)
        known = None if lengths is None else _lengths(lengths, steps, batch, batched)
        last: list[list[Tensor]] = []
        for layer in range(self.num_layers):
            if layer and self.dropout:
                x = Dropout(self.dropout).train(self.training)(x)
            found: list[Tensor] = []
            for direction in self._directions:
                out, ends = self._walk(x, [s[len(last)] for s in states], f"_l{layer}{direction}", known)
                found.append(out)
                last.append(ends)
            x = ops.concat(found, -1) if len(found) > 1 else found[0]
        ends = [ops.stack(column) for column in zip(*last, strict=True)]
        if not batched:
            return x.squeeze(1), [s.squeeze(1) for s in ends]
        return (x.permute_dims(1, 0, 2) if self.batch_first else x), ends

    def _walk(
        self, x: Tensor, starts: list[Tensor], suffix: str, lengths: Tensor | None
    ) -> tuple[Tensor, list[Tensor]]:
        """One layer in one direction: what it makes of each step, and its last states."""
        is_reverse = suffix.endswith("_reverse")
        steps, batch, entering = x.shape
        projected = x.reshape(steps * batch, entering) @ getattr(self, "weight_ih" + suffix).T
        if self.bias:  # before the steps are told apart, so that it is added where the product is made
            projected = projected + getattr(self, "bias_ih" + suffix)
        projected = projected.reshape(steps, batch, projected.shape[-1])
        if is_reverse:  # after the product, whose operands stay as they are
            projected = _reversed(projected, lengths)
        bias = getattr(self, "bias_hh" + suffix) if self.bias else ops.zeros(projected.shape[-1:], projected.dtype)
        projected, weight, bias, *starts = operands(projected, getattr(self, "weight_hh" + suffix), bias, *starts)
        if self.proj_size:
            found = _projecting(projected, weight, bias, getattr(self, "weight_hr" + suffix), starts)
        else:
            found = recurrence(self._cell, projected, weight, bias, starts)
        if lengths is None:
            last = [s[-1] for s in found]
        else:
            end = (lengths - 1).reshape(1, -1, 1)
            last = [ops.take_along_axis(s, end, 0).squeeze(0) for s in found]
        out = _reversed(found[0], lengths) if is_reverse else found[0]
        return (out if lengths is None else ops.where(_inside(out, lengths), out, 0.0)), last

    def _checked(self, x: Tensor) -> Tensor:
        if x.ndim not in (2, 3) or x.shape[-1] != self.input_size:
            n = self.input_size
            with_batch = f"[batch, steps, {n}]" if self.batch_first else f"[steps, batch, {n}]"
            raise ShapeError(f"{type(self).__name__}: an input {with_batch} or [steps, {n}] is needed, not {x.type}")
        steps = x.shape[1] if x.ndim == 3 and self.batch_first else x.shape[0]
        if not steps:
            raise ShapeError(f"{type(self).__name__}: a sequence needs at least one step, but the input is {x.type}")
        return x

    def _first_states(self, x: Tensor, starts: Sequence[TensorLike] | None, batched: bool) -> list[Tensor]:
        """The states before the first step, [layers * directions, batch, size]; zeros if they are not given."""
        count, batch = self.num_layers * len(self._directions), x.shape[1]
        sizes = [self.proj_size or self.hidden_size, self.hidden_size][: len(self._names)]
        shapes = [(count, batch, size) for size in sizes]
        if starts is None:
            return [ops.zeros(shape, x.dtype) for shape in shapes]
        if not isinstance(starts, (list, tuple)) or len(starts) != len(self._names):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise ShapeError(f"{type(self).__name__}: the first states must be a pair ({', '.join(self._names)})")
        found = [as_tensor(s) for s in starts]
        for name, s, shape in zip(self._names, found, shapes, strict=True):
            wanted = shape if batched else (shape[0], shape[2])
            if s.shape != wanted:
                raise ShapeError(
                    f"{type(self).__name__}: the first state {name} must have shape {list(wanted)}, not {s.type}"
                )
        return found if batched else [s.expand_dims(1) for s in found]

    def options(self) -> str:
        shown = [str(self.input_size), str(self.hidden_size)]
        for name, default in _DEFAULTS.items():
            value = getattr(self, name)
            shown += [f"{name}={value:g}" if isinstance(value, float) else f"{name}={value}"] * (value != default)
        return ", ".join(shown)


_DEFAULTS: dict[str, Any] = {
    "num_layers": 1,
    "bias": True,
    "batch_first": False,
    "dropout": 0.0,
    "bidirectional": False,
    "proj_size": 0,
}


def _lengths(lengths: TensorLike, steps: int, batch: int, batched: bool) -> Tensor:
    """The lengths of the sequences as integers, [batch]."""
    found = as_indices(lengths)
    if found.shape != (batch,) or not batched:
        raise ShapeError(f"lengths must be one for each of {batch} sequences of a batch, [{batch}], not {found.type}")
    value = known_value(found)
    if value is not None and (outside := (value < 1) | (value > steps)).any():
        raise ShapeError(f"a length of {value[outside].flat[0]} is not from 1 to {steps}, the number of steps")
    return found


def _reversed(x: Tensor, lengths: Tensor | None) -> Tensor:
    """Each sequence from its own last step to its first; what is beyond stays where it is."""
    if lengths is None:
        return ops.flip(x, 0)
    t = as_tensor(np.arange(x.shape[0]).reshape(-1, 1)).cast(lengths.dtype)
    back = ops.where(t < lengths, lengths - 1 - t, t)
    return ops.take_along_axis(x, back.expand_dims(-1), 0)


def _inside(x: Tensor, lengths: Tensor) -> Tensor:
    """Which steps belong to their sequence, [steps, batch, 1]."""
    t = as_tensor(np.arange(x.shape[0]).reshape(-1, 1)).cast(lengths.dtype)
    return (t < lengths).expand_dims(-1)


def _projecting(
    projected: Tensor, weight: Tensor, bias: Tensor, weight_hr: Tensor, starts: list[Tensor]
) -> list[Tensor]:
    """The states of an LSTM that hands a projection of h on."""

    def forward(states: list[Tensor], x: Tensor) -> tuple[list[Tensor], list[Tensor]]:
        (h, c), _ = step("lstm", x, states[0] @ weight.T + bias, states)
        new = [h @ weight_hr.T, c]
        return new, new

    return scan(forward, starts, projected)[1]


class RNN(_Recurrent):
    """h_t = tanh(W_ih x_t + b_ih + W_hh h_{t-1} + b_hh): the plain recurrent layer, over a sequence.

    Elman, "Finding structure in time", Cognitive Science 14 (1990).

    Args:
        input_size: size of the last axis of the input.
        hidden_size: size of the state h.
        num_layers: how many are on top of each other, each reading what the one below it makes.
        nonlinearity: "tanh" or "relu".
        bias: whether b_ih and b_hh are added.
        batch_first: whether the batch is the first axis of input and output, and not the second. Say True, as in all
            other layers; False is PyTorch's default. The states are not concerned.
        dropout: probability of `Dropout` between layers; with one layer there is no place for it.
        bidirectional: whether each layer also walks back in time; the results of both directions stand side by side.
        dtype: data type of the parameters.

    Parameters, for each layer k: `weight_ih_l{k}` [hidden, inputs], `weight_hh_l{k}` [hidden, hidden], `bias_ih_l{k}`
    and `bias_hh_l{k}` [hidden], the same with `_reverse` for the other direction; all uniform in ±1/sqrt(hidden_size).

    Called with `(input, hx=None, *, lengths=None)`:
        input: [steps, batch, input_size], [batch, steps, input_size] if `batch_first`, or a single [steps, input_size].
        hx: the first state of each layer and direction, [layers * directions, batch, hidden]; zeros if it is not given.
        lengths: how many steps of each sequence count, integers [batch], in any order. Results beyond are zero, last
            states are those at the length, and the other direction starts there.

    Returns the result for each step, [..., directions * hidden], and the last states, like `hx`.

    Raises `DefinitionError` for arguments out of range, `ShapeError` for an input or states of other shapes and for
    lengths that no sequence has, as far as values are known: while a function is traced they are not.

    >>> layer = RNN(3, 5, batch_first=True)
    >>> out, h = layer(uniform((2, 4, 3)), lengths=[4, 1])
    >>> out.shape, h.shape, out[1, 1:].tolist() == [[0.0] * 5] * 3
    ((2, 4, 5), (1, 2, 5), True)
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        nonlinearity: Literal["tanh", "relu"] = "tanh",
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        *,
        dtype: DTypeLike = float32,
    ) -> None:
        check_nonlinearity(nonlinearity)
        self.nonlinearity = nonlinearity
        super().__init__(
            nonlinearity, input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional, dtype
        )

    def forward(
        self, input: TensorLike, hx: TensorLike | None = None, *, lengths: TensorLike | None = None
    ) -> tuple[Tensor, Tensor]:
        """Results for each step, and the last states."""
        out, (h,) = self._run(input, None if hx is None else [hx], lengths)
        return out, h

    def options(self) -> str:
        return super().options() + (f", nonlinearity={self.nonlinearity!r}" if self.nonlinearity != "tanh" else "")


def check_nonlinearity(nonlinearity: str) -> None:
    """Raises `DefinitionError` unless it is one of the two."""
    if nonlinearity not in ("tanh", "relu"):
        raise DefinitionError(f'nonlinearity must be "tanh" or "relu", not {nonlinearity!r}')


class LSTM(_Recurrent):
    """Long short-term memory over a sequence: gates decide what enters, stays in and leaves a state c.

        i, f, g, o = W_ih x_t + b_ih + W_hh h_{t-1} + b_hh,  in four parts
        c_t = sigmoid(f) c_{t-1} + sigmoid(i) tanh(g)
        h_t = sigmoid(o) tanh(c_t)

    Hochreiter & Schmidhuber, "Long short-term memory", Neural Computation 9 (1997); Gers, Schmidhuber & Cummins,
    "Learning to forget: continual prediction with LSTM", Neural Computation 12 (2000).

    Args: as of `RNN`, and
        proj_size: if it is not 0, h_t is W_hr times the above, of this size. Sak, Senior & Beaufays, "Long short-term
            memory based recurrent neural network architectures for large vocabulary speech recognition", 2014.

    Parameters, for each layer k: `weight_ih_l{k}` [4 * hidden, inputs], `weight_hh_l{k}` [4 * hidden, hidden],
    `bias_ih_l{k}` and `bias_hh_l{k}` [4 * hidden], with `proj_size` also `weight_hr_l{k}` [proj_size, hidden].

    Called like `RNN`, but with a pair of states (h, c), and returns results and such a pair. Raises what `RNN` raises.

    >>> layer = LSTM(3, 5, num_layers=2, bidirectional=True, batch_first=True)
    >>> out, (h, c) = layer(uniform((2, 7, 3)))
    >>> out.shape, h.shape, c.shape
    ((2, 7, 10), (4, 2, 5), (4, 2, 5))
    """

    _names = ("h", "c")

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        proj_size: int = 0,
        *,
        dtype: DTypeLike = float32,
    ) -> None:
        super().__init__(
            "lstm", input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional, dtype, proj_size
        )

    def forward(
        self,
        input: TensorLike,
        hx: tuple[TensorLike, TensorLike] | None = None,
        *,
        lengths: TensorLike | None = None,
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """Results for each step, and the last states."""
        out, (h, c) = self._run(input, hx, lengths)
        return out, (h, c)


class GRU(_Recurrent):
    """Gated recurrent units over a sequence: a gate z mixes the old state and a new one, which r lets see the old one.

        r, z = sigmoid(W_ih x_t + b_ih + W_hh h_{t-1} + b_hh),  the first two of three parts
        n    = tanh(W_in x_t + b_in + r (W_hn h_{t-1} + b_hn)),  of the third part
        h_t  = (1 - z) n + z h_{t-1}

    Cho et al., "Learning phrase representations using RNN encoder-decoder for statistical machine translation", EMNLP
    2014, with r after the product, as in PyTorch and cuDNN.

    Args: as of `RNN`, without `nonlinearity`.

    Parameters, for each layer k: `weight_ih_l{k}` [3 * hidden, inputs], `weight_hh_l{k}` [3 * hidden, hidden],
    `bias_ih_l{k}` and `bias_hh_l{k}` [3 * hidden].

    Called like `RNN`, and raises what that raises.

    >>> out, h = GRU(3, 5, batch_first=True)(uniform((2, 7, 3)))
    >>> out.shape, h.shape
    ((2, 7, 5), (1, 2, 5))
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        *,
        dtype: DTypeLike = float32,
    ) -> None:
        super().__init__("gru", input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional, dtype)

    def forward(
        self, input: TensorLike, hx: TensorLike | None = None, *, lengths: TensorLike | None = None
    ) -> tuple[Tensor, Tensor]:
        """Results for each step, and the last states."""
        out, (h,) = self._run(input, None if hx is None else [hx], lengths)
        return out, h
