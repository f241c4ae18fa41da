"""Operations along one axis in which the order of elements counts: sorting, the largest few, running sums."""

from __future__ import annotations

import numpy as np

from chainrule.apply import apply
from chainrule.errors import ShapeError
from chainrule.kernel import Native
from chainrule.native.loops.sorting import argsort_loops, argsort_scratch, argsort_units
from chainrule.native.loops.walking import cumulative_sum_loops, walk_units
from chainrule.op import NON_DIFFERENTIABLE, define, method
from chainrule.ops.gather import take_along_axis
from chainrule.ops.reduce import computable, summable
from chainrule.ops.slicing import flip, pad, slice
from chainrule.samples import Draw, Sample
from chainrule.tensor import Tensor, TensorLike, as_tensor
from chainrule.types import COUNTABLE, NUMBERS, Array, TensorType, int64, normalize_axis


def _argsort(x: Array, axis: int, descending: bool) -> Array:
    if not descending:
        return np.argsort(x, axis=axis, stable=True)
    # Sorted from the end, so that equal elements keep their order when the result is turned round.
    backward = np.argsort(np.flip(x, axis), axis=axis, stable=True)
    return x.shape[axis] - 1 - np.flip(backward, axis)


def _draw_argsort(draw: Draw) -> Sample:
    x = draw.distinct(draw.shape(least=1))
    return Sample((x,), {"axis": draw.integer(0, x.ndim - 1), "descending": draw.choice((True, False))})


ARGSORT = define(
    "argsort",
    takes=(COUNTABLE,),
    infer=lambda x, axis, descending: x.with_dtype(int64),
    numpy=_argsort,
    vjp=NON_DIFFERENTIABLE,
    kernel=Native(argsort_loops, argsort_units, argsort_scratch),
    samples=_draw_argsort,
)


@method
def argsort(x: TensorLike, axis: int = -1, *, descending: bool = False, stable: bool = True) -> Tensor:
    """Indices that sort along an axis, as int64. NaN counts as the largest.

    Equal elements keep their order, also with `descending` and whatever `stable` says. Raises `ShapeError` if there is
    no such axis.

    >>> argsort([3.0, 1.0, 3.0, 2.0]), argsort([3.0, 1.0, 3.0, 2.0], descending=True)
    (tensor([1, 3, 0, 2], i64[4]), tensor([0, 2, 3, 1], i64[4]))
    """
    x = computable(x)
    return apply(ARGSORT, x, axis=normalize_axis(axis, x.ndim), descending=bool(descending))


@method
def sort(x: TensorLike, axis: int = -1, *, descending: bool = False, stable: bool = True) -> Tensor:
    """The elements in order along an axis, NaN last, or first with `descending`.

    Each gradient goes to the element that it came from. Raises `ShapeError` if there is no such axis.

    >>> sort([[3, 1, 2], [4, 6, 5]])
    tensor([[1, 2, 3],
            [4, 5, 6]], i64[2, 3])
    """
    x = as_tensor(x)
    return take_along_axis(x, argsort(x, axis, descending=descending, stable=stable), axis)


@method
def top_k(x: TensorLike, k: int, axis: int = -1) -> tuple[Tensor, Tensor]:
    """The k largest elements along an axis, largest first, and their indices as int64.

    Of equal elements the one with the lower index comes first; NaN counts as the largest. Raises `ShapeError` if
    there is no such axis, or if it has fewer than k elements.

    >>> top_k([1.0, 3.0, 2.0, 3.0], 2)
    (tensor([3., 3.], f32[2]), tensor([1, 3], i64[2]))
    """
    x = as_tensor(x)
    place = normalize_axis(axis, x.ndim)
    if not 0 <= k <= x.shape[place]:
        raise ShapeError(f"top_k: {k} elements are not to be had from axis {place} of {x.type}")
    kept = (*x.shape[:place], k, *x.shape[place + 1 :])
    indices = slice(argsort(x, place, descending=True), (0,) * x.ndim, kept)
    return take_along_axis(x, indices, place), indices


def _draw_cumulative_sum(draw: Draw) -> Sample:
    x = draw.floats(draw.shape(least=1))
    return Sample((x,), {"axis": draw.integer(0, x.ndim - 1)})


def _cumulative_sum_back(ct: Tensor, out: Tensor, x: Tensor, axis: int) -> Tensor:
    return flip(cumulative_sum(flip(ct, axis), axis), axis)


def _additions(x: TensorType, out: TensorType, axis: int) -> int:
    return x.size


CUMULATIVE_SUM = define(
    "cumulative_sum",
    takes=(NUMBERS,),
    infer=lambda x, axis: x,
    numpy=lambda x, axis: np.cumsum(x, axis, dtype=x.dtype),
    vjp=(_cumulative_sum_back,),
    kernel=Native(cumulative_sum_loops, walk_units, flops=_additions),
    samples=_draw_cumulative_sum,
)


@method
def cumulative_sum(x: TensorLike, axis: int | None = None, *, include_initial: bool = False) -> Tensor:
    """Running sums along an axis: out[i] = x[0] + ... + x[i]. Truth values and small integers are counted as int64.

    The axis may be left out if there is only one. With `include_initial` a 0 comes first, and the axis gets longer by
    one. Raises `ShapeError` if there is no such axis.

    >>> cumulative_sum([1, 2, 3]), cumulative_sum([1, 2, 3], include_initial=True)
    (tensor([1, 3, 6], i64[3]), tensor([0, 1, 3, 6], i64[4]))
    """
    x = summable(x)
    if axis is None and x.ndim != 1:
        raise ShapeError(
            f"cumulative_sum: say along which axis of {x.type}; only with a single axis it may be left out"
        )
    place = normalize_axis(axis or 0, x.ndim)
    out = apply(CUMULATIVE_SUM, x, axis=place)
    return pad(out, [(1 if include_initial and a == place else 0, 0) for a in range(x.ndim)])
