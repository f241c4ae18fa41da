"""Recurrent cells over a whole sequence as one operation.

The input's products for all steps are one large product outside of it. The loop over time is inside: the recurrent
product, gates and new states of a step, rows of the batch each on their own. Its derivative walks back in time and
gives the cotangents of the gates; that of the recurrent weight is again one large product for all steps.

Werbos, "Backpropagation through time: what it does and how to do it", Proc. IEEE 78 (1990).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from chainrule.apply import apply_several, outputs_of
from chainrule.autodiff import variables_of
from chainrule.control import scan
from chainrule.errors import ShapeError
from chainrule.gradients import gradients
from chainrule.kernel import Native
from chainrule.native.cells import CELLS, Numbers, Parts
from chainrule.native.loops.recurrence import (
    back_loops,
    back_scratch,
    forward_loops,
    forward_scratch,
    product_flops,
    row_units,
    tiles,
)
from chainrule.op import JointRule, define
from chainrule.ops.comparison import where
from chainrule.ops.creation import full_like
from chainrule.ops.join import concat, split
from chainrule.ops.piecewise import relu
from chainrule.ops.reduce import sum
from chainrule.ops.transcendental import SIGMOID, sigmoid, tanh
from chainrule.samples import Draw, Sample
from chainrule.state import recording
from chainrule.tensor import Tensor
from chainrule.types import FLOATS, Array, TensorType


class _Arrays:
    """The functions of cells, on arrays."""

    def sigmoid(self, x: Numbers) -> Numbers:
        numpy: Any = SIGMOID.numpy
        return numpy(x)

    def tanh(self, x: Numbers) -> Numbers:
        return np.tanh(x)

    def relu(self, x: Numbers) -> Numbers:
        return np.maximum(x, 0)

    def where_positive(self, x: Numbers, y: Numbers) -> Numbers:
        return np.where(x > 0, y, 0.0)


class _Tensors:
    """The functions of cells, on tensors."""

    def sigmoid(self, x: Numbers) -> Numbers:
        return sigmoid(x)

    def tanh(self, x: Numbers) -> Numbers:
        return tanh(x)

    def relu(self, x: Numbers) -> Numbers:
        return relu(x)

    def where_positive(self, x: Numbers, y: Numbers) -> Numbers:
        return where(x > 0, y, 0.0)


def step(cell: str, projected: Tensor, product: Tensor, states: Sequence[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
    """The new states after a step of a cell, and the values that its derivative needs besides.

    Args:
        cell: "tanh", "relu", "lstm" or "gru"; see `chainrule.native.cells`.
        projected: the input's product with its weight, and a bias, [..., gates * hidden].
        product: the same of the state h.
        states: h, or h and c, [..., hidden].

    >>> new, kept = step("tanh", full_like([0.0, 0.0], 0.5), full_like([0.0, 0.0], -0.5), [])
    >>> new, kept
    ([tensor([0., 0.], f32[2])], [])
    """
    kind = CELLS[cell]
    new, kept = kind.forward(_Tensors(), split(projected, kind.gates, -1), split(product, kind.gates, -1), states)
    return list(new), list(kept)


# ---- forward --------------------------------------------------------------------------------------------------------


def _forward_types(
    projected: TensorType, weight: TensorType, bias: TensorType, *starts: TensorType, cell: str
) -> tuple[TensorType, ...]:
    kind = CELLS[cell]
    if projected.ndim != 3 or not projected.shape[0] or projected.shape[2] % kind.gates:
        raise ShapeError(f"the input's products must be [steps, batch, {kind.gates} * hidden], not {projected}")
    steps, batch, width = projected.shape
    hidden = width // kind.gates
    needed = [(width, hidden), (width,), *[(batch, hidden)] * kind.states]
    found = [weight, bias, *starts]
    if [x.shape for x in found] != needed or any(x.dtype is not projected.dtype for x in found):
        shown = ", ".join(str(projected.with_shape(shape)) for shape in needed)
        raise ShapeError(
            f"beside {projected}, weight, bias and states must be {shown}, not {', '.join(map(str, found))}"
        )
    return _sequence_types(projected.with_shape((steps, batch, hidden)), cell)


def _sequence_types(h: TensorType, cell: str) -> tuple[TensorType, ...]:
    """States after each step, and what is kept."""
    kind, (*leading, hidden) = CELLS[cell], h.shape
    kept = [h.with_shape((*leading, kind.kept * hidden))] if kind.kept else []
    return (*[h] * kind.states, *kept)


def _forward(projected: Array, weight: Array, bias: Array, *starts: Array, cell: str) -> tuple[Array, ...]:
    kind, states = CELLS[cell], list(starts)
    rows: list[list[Array]] = []
    for x in projected:
        product = states[0] @ weight.T + bias
        new, kept = kind.forward(_Arrays(), np.split(x, kind.gates, -1), np.split(product, kind.gates, -1), states)
        rows.append([*new, *([np.concatenate(kept, -1)] if kept else [])])
        states = list(new)
    return tuple(np.stack(column) for column in zip(*rows, strict=True))


def _forward_as_scan(projected: Tensor, weight: Tensor, bias: Tensor, *starts: Tensor, cell: str) -> list[Tensor]:
    """The same as ordinary nodes."""

    def forward(states: list[Tensor], x: Tensor) -> tuple[list[Tensor], list[Tensor]]:
        new, kept = step(cell, x, states[0] @ weight.T + bias, states)
        return new, [*new, *([concat(kept, -1)] if kept else [])]

    return scan(forward, list(starts), projected)[1]


def _pull(
    cts: Sequence[Tensor | None],
    out: Tensor,
    projected: Tensor,
    weight: Tensor,
    bias: Tensor,
    *starts: Tensor,
    cell: str,
) -> list[Tensor]:
    outputs, kind = outputs_of(out), CELLS[cell]
    filled = [full_like(x, 0.0) if ct is None else ct for ct, x in zip(cts, outputs, strict=True)]
    found = apply_several(RECURRENCE_BACK, weight, *starts, *outputs, *filled, cell=cell)
    by_input, by_product = found[0], found[1 if kind.split else 0]
    steps, batch, width = projected.shape
    rows = by_product.reshape(steps * batch, width)
    earlier = outputs[0].reshape(steps * batch, weight.shape[1])[: (steps - 1) * batch]  # the last state enters none
    by_weight = rows[batch:].T @ earlier + rows[:batch].T @ starts[0]
    return [by_input, by_weight, sum(rows, 0), *found[-kind.states :]]


def _draw_cell(draw: Draw) -> tuple[str, int, int, int]:
    most = 2 if draw.longest <= 4 else draw.longest  # differences of second derivatives of larger ones take long
    batch, hidden = (min(n, most) for n in draw.shape(2))
    return draw.choice(tuple(CELLS)), draw.integer(1, most), batch, hidden


def _draw_forward(draw: Draw) -> Sample:
    cell, steps, batch, hidden = _draw_cell(draw)
    kind = CELLS[cell]
    width = kind.gates * hidden
    shapes = [(steps, batch, width), (width, hidden), (width,), *[(batch, hidden)] * kind.states]
    return Sample(tuple(draw.floats(shape) for shape in shapes), {"cell": cell})


RECURRENCE = define(
    "recurrence",
    takes=(FLOATS,),
    infer=_forward_types,
    numpy=_forward,
    vjp=JointRule(_pull),
    samples=_draw_forward,
    kernel=Native(forward_loops, row_units, forward_scratch, product_flops, micro=tiles),
)


def recurrence(cell: str, projected: Tensor, weight: Tensor, bias: Tensor, starts: Sequence[Tensor]) -> list[Tensor]:
    """The states of a recurrent cell after each step of a sequence.

        states[t] = cell(projected[t], states[t - 1][0] W^T + b, states[t - 1])

    Args:
        cell: "tanh", "relu", "lstm" or "gru"; see `chainrule.native.cells`.
        projected: the input's products with its weight, and a bias, [steps, batch, gates * hidden].
        weight, bias: of the products of the state h, [gates * hidden, hidden] and [gates * hidden].
        starts: h, or h and c, before the first step, [batch, hidden].

    Returns h, or h and c, [steps, batch, hidden]. Raises `ShapeError` if shapes do not fit or there is no step.

    >>> x, w, b, h = (
    ...     full_like([[[0.0]], [[0.0]]], 1.0),
    ...     full_like([[0.0]], -1.0),
    ...     full_like([0.0], 0.5),
    ...     full_like([[0.0]], 1.0),
    ... )
    >>> recurrence("relu", x, w, b, [h])[0].tolist()
    [[[0.5]], [[1.0]]]
    """
    return apply_several(RECURRENCE, projected, weight, bias, *starts, cell=cell)[: len(starts)]


# ---- back in time ---------------------------------------------------------------------------------------------------


def _back_types(weight: TensorType, *rest: TensorType, cell: str) -> tuple[TensorType, ...]:
    kind = CELLS[cell]
    h, start = rest[kind.states], rest[0]
    if h.ndim != 3 or not h.shape[0]:
        raise ShapeError(f"states must be [steps, batch, hidden], not {h}")
    known = _sequence_types(h, cell)
    needed = (*[h.with_shape(h.shape[1:])] * kind.states, *known, *known)
    width = kind.gates * h.shape[2]
    if rest != needed or weight != h.with_shape((width, h.shape[2])):
        raise ShapeError(f"a weight {weight} and {', '.join(map(str, rest))} do not fit together")
    gates = h.with_shape((*h.shape[:2], width))
    return (*[gates] * (1 + kind.split), *[start] * kind.states)


def _back(*values: Array, cell: str) -> tuple[Array, ...]:
    kind = CELLS[cell]
    (weight,), starts, after, kept, cts, ct_kept = kind.told_apart(values)
    states, product = [np.zeros_like(x) for x in starts], np.zeros_like(starts[0])
    rows: list[list[Array]] = []
    for t in reversed(range(len(after[0]))):
        parts = [[y for x in xs for y in np.split(x[t], kind.kept, -1)] for xs in (kept, ct_kept)]
        total = [ct[t] + x for ct, x in zip(cts, states, strict=True)]
        total[0] = total[0] + product
        before, new = [x[t - 1] for x in after] if t else starts, [x[t] for x in after]
        by_input, by_product, direct = kind.backward(_Arrays(), before, new, parts[0], total, parts[1])
        states = [np.zeros_like(ct) if x is None else x for x, ct in zip(direct, total, strict=True)]
        rows.insert(0, [np.concatenate(x, -1) for x in (by_input, by_product)[: 1 + kind.split]])
        product = rows[0][-1] @ weight
    return (*(np.stack(column) for column in zip(*rows, strict=True)), states[0] + product, *states[1:])


def _back_as_scan(*values: Tensor, cell: str) -> list[Tensor]:
    """The same as ordinary nodes."""
    kind = CELLS[cell]
    (weight,), starts, after, kept, cts, ct_kept = kind.told_apart(values)
    before = [concat([start.expand_dims(0), x[:-1]]) for start, x in zip(starts, after, strict=True)]

    def back(states: list[Tensor], xs: list[list[Tensor]]) -> tuple[list[Tensor], list[Tensor]]:
        before, new, kept, cts, ct_kept = xs
        total = [ct + x for ct, x in zip(cts, states, strict=True)]
        parts = [_parts(x, kind.kept) for x in (kept, ct_kept)]
        by_input, by_product, direct = kind.backward(_Tensors(), before, new, parts[0], total, parts[1])
        found = [concat(list(x), -1) for x in (by_input, by_product)[: 1 + kind.split]]
        states = [full_like(ct, 0.0) if x is None else x for x, ct in zip(direct, total, strict=True)]
        states[0] = states[0] + found[-1] @ weight
        return states, found

    start = [full_like(x, 0.0) for x in starts]
    states, found = scan(back, start, [before, after, kept, cts, ct_kept], reverse=True)
    return [*found, *states]


def _parts(kept: Sequence[Tensor], count: int) -> Parts:
    return [part for x in kept for part in split(x, count, -1)]


def _pull_back(cts: Sequence[Tensor | None], out: Tensor, *inputs: Tensor, cell: str) -> Sequence[Tensor | None]:
    with recording(True):
        variables = variables_of(inputs)
        outputs = _back_as_scan(*variables, cell=cell)
    filled = [full_like(x, 0.0) if ct is None else ct for ct, x in zip(cts, outputs, strict=True)]
    return gradients(outputs, filled, variables)


def _draw_back(draw: Draw) -> Sample:
    cell, steps, batch, hidden = _draw_cell(draw)
    kind = CELLS[cell]
    sequence = [*[(steps, batch, hidden)] * kind.states, *[(steps, batch, kind.kept * hidden)] * min(kind.kept, 1)]
    shapes = [(kind.gates * hidden, hidden), *[(batch, hidden)] * kind.states, *sequence, *sequence]
    return Sample(tuple(draw.floats(shape, away_from=0.0) for shape in shapes), {"cell": cell})


RECURRENCE_BACK = define(
    "recurrence_back",
    takes=(FLOATS,),
    infer=_back_types,
    numpy=_back,
    vjp=JointRule(_pull_back),
    samples=_draw_back,
    kernel=Native(back_loops, row_units, back_scratch, product_flops, micro=tiles),
)

MADE_OF = {"recurrence": _forward_as_scan, "recurrence_back": _back_as_scan}
"""What the operations compute, as ordinary nodes: functions of their inputs and attributes."""
