"""Losses for sequences whose elements have no known places in time."""

from __future__ import annotations

from math import inf, nan
from typing import Any

from chainrule import ops
from chainrule.control import scan
from chainrule.errors import DefinitionError, IndexingError, ShapeError
from chainrule.losses.common import Reduction, reduced
from chainrule.ops.gather import as_indices, known_value
from chainrule.ops.reduce import real
from chainrule.tensor import Tensor, TensorLike, as_tensor


def ctc_loss(
    log_probs: TensorLike,
    targets: TensorLike,
    input_lengths: TensorLike,
    target_lengths: TensorLike,
    *,
    blank: int = 0,
    reduction: Reduction = "mean",
    zero_infinity: bool = False,
    sample_weight: TensorLike | None = None,
) -> Tensor:
    """Connectionist temporal classification: -log of the probability of a target sequence under all its alignments.

    An alignment names a class for each step of time. Equal neighbours are merged, then blanks are left out, and what
    remains must be the target. With l = (blank, target 0, blank, target 1, ..., blank), the probability a[t, s] that
    the first t steps went through l up to its place s is

        a[t, s] = (a[t - 1, s] + a[t - 1, s - 1] + a[t - 1, s - 2]) p[t, l[s]]

    without the last summand where l[s] is a blank or equals l[s - 2]; here it is its logarithm that runs over time.

    Graves, Fernandez, Gomez & Schmidhuber, "Connectionist temporal classification: labelling unsegmented sequence data
    with recurrent neural networks", ICML 2006.

    Args:
        log_probs: logarithms of the classes' probabilities, [T, N, C], or [T, C] for a single sequence.
        targets: classes without blanks, [N, S], of which those beyond a row's length count for nothing; or those of all
            rows one after the other, [sum of the lengths], which takes more room where a function is traced for lengths
            that are not known yet; or [S] for a single sequence.
        input_lengths: how many steps of each row count, [N], or a number for a single sequence.
        target_lengths: likewise for the targets.
        blank: the class that stands for nothing.
        reduction: "mean" divides each row's loss by the length of its target (at least 1) before the mean over rows;
            see the package.
        zero_infinity: whether the loss of a target for which there are too few steps is 0 rather than infinite; it has
            no gradient either way.
        sample_weight: see the package.

    Raises `ShapeError` if shapes or lengths do not fit, `DefinitionError` for a blank that is no class, and
    `IndexingError` for a target that is no class or the blank; while a function is traced values are not known, and
    the loss of such a row is NaN.

    >>> half = ops.log(ops.full((2, 2), 0.5))
    >>> ctc_loss(half, [1], 2, 1)  # three of the four alignments: 1 1, 1 blank, blank 1
    tensor(0.2876821, f32[])
    """
    log_p, single = real(log_probs), as_tensor(log_probs).ndim == 2
    labels, steps, lengths = (as_indices(x) for x in (targets, input_lengths, target_lengths))
    if single:
        log_p, labels, steps, lengths = (
            log_p.expand_dims(1), labels.expand_dims(0), steps.reshape((-1,)), lengths.reshape((-1,)),
        )  # fmt: skip
    if log_p.ndim != 3:
        raise ShapeError(f"ctc_loss: log_probs [T, N, C] or [T, C] are needed, not {log_p.type}")
    rows, classes = log_p.shape[1:]
    if not 0 <= blank < classes:
        raise DefinitionError(f"ctc_loss: blank must be one of {classes} classes, 0 to {classes - 1}, not {blank}")
    _check_lengths("input_lengths", steps, rows, log_p.shape[0])
    if labels.ndim == 1:
        labels = _in_rows(labels, lengths, rows)
    if labels.ndim != 2 or labels.shape[0] != rows:
        raise ShapeError(f"ctc_loss: targets [{rows}, S] or [sum of target_lengths] are needed, not {labels.type}")
    _check_lengths("target_lengths", lengths, rows, labels.shape[1])
    there = ops.arange(labels.shape[1]) < lengths.expand_dims(1)
    right = (labels >= 0) & (labels < classes) & (labels != blank)
    _check_labels(labels, there, right, classes)
    loss = -_log_likelihood(log_p, ops.where(there & right, labels, blank), steps, lengths, blank)
    loss = ops.where((right | ~there).all(1), loss, nan)
    if zero_infinity:
        loss = ops.where(loss == inf, 0.0, loss)
    if reduction == "mean":
        loss = loss / ops.maximum(lengths, 1)
    return reduced("ctc_loss", loss.squeeze(0) if single and reduction == "none" else loss, reduction, sample_weight)


def _log_likelihood(log_p: Tensor, labels: Tensor, steps: Tensor, lengths: Tensor, blank: int) -> Tensor:
    """The logarithm of each row's probability, [N]."""
    rows, size = labels.shape
    blanks = ops.full((rows, size + 1, 1), blank, labels.dtype)
    pairs = ops.concat([blanks[:, :size], labels.expand_dims(-1)], axis=2).reshape((rows, 2 * size))
    path = ops.concat([pairs, blanks[:, size]], axis=1)  # l, [N, 2 S + 1]
    emitted = ops.take_along_axis(log_p, path.expand_dims(0), axis=2)
    leaps = (path != blank) & (path != _delayed(path, 2, blank))
    never = ops.full(path.shape, -inf, log_p.dtype)

    def step(a: Tensor, x: Any) -> tuple[Tensor, None]:
        t, here = x
        moved = _log_sum(a, _delayed(a, 1, -inf), ops.where(leaps, _delayed(a, 2, -inf), never)) + here
        return ops.where(t < steps.expand_dims(1), moved, a), None

    start = ops.where(ops.arange(2 * size + 1) == 0, 0.0, never)  # before the first step, in front of all labels
    a, _ = scan(step, start, (ops.arange(log_p.shape[0]), emitted))
    last = 2 * lengths.expand_dims(1)
    before = ops.where(last > 0, ops.take_along_axis(a, ops.maximum(last - 1, 0)), -inf)
    return _log_sum(ops.take_along_axis(a, last), before).squeeze(1)


def _delayed(x: Tensor, places: int, filler: float) -> Tensor:
    """Moved to later places along the second axis, which keeps its size."""
    first = ops.full((x.shape[0], min(places, x.shape[1])), filler, x.dtype)
    return ops.concat([first, x[:, : x.shape[1] - first.shape[1]]], axis=1)


def _log_sum(*terms: Tensor) -> Tensor:
    """log(sum(exp(x))) of several tensors, elementwise; where all are -inf there is no gradient."""
    top = terms[0].detach()
    for x in terms[1:]:
        top = ops.maximum(top, x.detach())
    nothing = top == -inf
    top = ops.where(nothing, 0.0, top)
    total = ops.exp(terms[0] - top)
    for x in terms[1:]:
        total = total + ops.exp(x - top)
    return ops.where(nothing, -inf, ops.log(ops.where(nothing, 1.0, total)) + top)


def _in_rows(labels: Tensor, lengths: Tensor, rows: int) -> Tensor:
    """Targets that stand one after the other, as rows of equal length."""
    _check_lengths("target_lengths", lengths, rows, labels.size)
    known = known_value(lengths)
    if known is not None and known.sum() != labels.size:
        raise ShapeError(f"ctc_loss: target_lengths sum to {known.sum()}, but there are {labels.size} targets")
    size = labels.size if known is None else int(known.max(initial=0))
    if not labels.size:
        return labels.reshape((rows, 0))
    first = (ops.cumulative_sum(lengths) - lengths).expand_dims(1)
    return ops.take(labels, ops.minimum(first + ops.arange(size), labels.size - 1))


def _check_lengths(called: str, lengths: Tensor, rows: int, most: int) -> None:
    if lengths.shape != (rows,):
        raise ShapeError(f"ctc_loss: {called} must be [{rows}], one for each row, not {lengths.type}")
    known = known_value(lengths)
    if known is not None and (wrong := (known < 0) | (known > most)).any():
        raise ShapeError(f"ctc_loss: {called} must be from 0 to {most}, not {known[wrong][0]}")


def _check_labels(labels: Tensor, there: Tensor, right: Tensor, classes: int) -> None:
    known, counts, fine = known_value(labels), known_value(there), known_value(right)
    if known is None or counts is None or fine is None:
        return
    wrong = known[counts & ~fine]
    if wrong.size:
        hint = "the blank" if 0 <= wrong[0] < classes else f"not among {classes} classes, 0 to {classes - 1}"
        raise IndexingError(f"ctc_loss: target {wrong[0]} is {hint}")
