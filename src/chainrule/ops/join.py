"""Tensors set side by side, taken apart again, and repeated."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from chainrule.apply import apply
from chainrule.errors import ShapeError
from chainrule.kernel import Native
from chainrule.native.loops.joining import concat_loops, concat_units
from chainrule.op import JointRule, define, method
from chainrule.ops.layout import broadcast_to, expand_dims, reshape, squeeze
from chainrule.ops.slicing import slice
from chainrule.samples import Draw, Sample
from chainrule.tensor import Tensor, TensorLike, as_tensor, operands
from chainrule.types import ANY, Array, TensorType, normalize_axis


def _concat_type(*inputs: TensorType, axis: int) -> TensorType:
    first = inputs[0]
    for x in inputs[1:]:
        if x != first.with_shape((*first.shape[:axis], *x.shape[axis : axis + 1], *first.shape[axis + 1 :])):
            raise ShapeError(f"{x} does not fit {first}: only the sizes of axis {axis} may differ")
    return first.with_shape((*first.shape[:axis], sum(x.shape[axis] for x in inputs), *first.shape[axis + 1 :]))


def _concat(*inputs: Array, axis: int) -> Array:
    return np.concatenate(inputs, axis)


def _concat_back(ct: Tensor, out: Tensor, *inputs: Tensor, axis: int) -> list[Tensor]:
    return split(ct, [x.shape[axis] for x in inputs], axis)


def _draw_concat(draw: Draw) -> Sample:
    shape = draw.shape(least=1)
    axis = draw.integer(0, len(shape) - 1)
    sizes = (draw.choice((shape[axis], 1, 3)) for _ in range(draw.integer(1, 3)))
    return Sample(tuple(draw.floats((*shape[:axis], n, *shape[axis + 1 :])) for n in sizes), {"axis": axis})


CONCAT = define(
    "concat",
    takes=(ANY,),
    infer=_concat_type,
    numpy=_concat,
    vjp=JointRule(_concat_back),
    kernel=Native(concat_loops, concat_units, follows=0),
    samples=_draw_concat,
)


@method
def concat(tensors: Sequence[TensorLike], axis: int | None = 0) -> Tensor:
    """Tensors one after the other along an axis that they all have; None flattens them first.

    Tensors of several data types meet in the one to which they promote.

    Raises `ShapeError` if there is no tensor or if sizes of other axes differ.

    >>> concat([[1, 2], [3]])
    tensor([1, 2, 3], i64[3])
    >>> concat([[[1.0], [2.0]], [[3.0], [4.0]]], axis=1)
    tensor([[1., 3.],
            [2., 4.]], f32[2, 2])
    """
    found = _of_one_type(tensors, "concat")
    if axis is None:
        return concat([reshape(x, x.size) for x in found])
    place = normalize_axis(axis, found[0].ndim)
    return found[0] if len(found) == 1 else apply(CONCAT, *found, axis=place)


def _of_one_type(tensors: Sequence[TensorLike], name: str) -> tuple[Tensor, ...]:
    found = tuple(as_tensor(x) for x in tensors)
    if not found:
        raise ShapeError(f"{name}: at least one tensor is needed")
    return found if len({x.dtype for x in found}) == 1 else operands(*found)


@method
def stack(tensors: Sequence[TensorLike], axis: int = 0) -> Tensor:
    """Tensors of one shape side by side along a new axis.

    Raises `ShapeError` if there is no tensor or if shapes differ.

    >>> stack([[1, 2], [3, 4]], axis=1)
    tensor([[1, 3],
            [2, 4]], i64[2, 2])
    """
    found = _of_one_type(tensors, "stack")
    for x in found[1:]:
        if x.shape != found[0].shape:
            raise ShapeError(f"stack: tensors must have one shape, not {list(found[0].shape)} and {list(x.shape)}")
    return concat([expand_dims(x, axis) for x in found], axis)


@method
def unstack(x: TensorLike, axis: int = 0) -> tuple[Tensor, ...]:
    """The parts of a tensor along an axis, without that axis: the inverse of `stack`.

    Raises `ShapeError` if there is no such axis.

    >>> unstack([[1, 2], [3, 4]])
    (tensor([1, 2], i64[2]), tensor([3, 4], i64[2]))
    """
    x = as_tensor(x)
    return tuple(squeeze(part, axis) for part in split(x, [1] * x.shape[normalize_axis(axis, x.ndim)], axis))


@method
def split(x: TensorLike, sections: int | Sequence[int], axis: int = 0) -> list[Tensor]:
    """Parts of a tensor along an axis, whose concatenation it is.

    Args:
        x: the tensor.
        sections: how many parts of equal size, or the size of each part.
        axis: the axis that is cut.

    Raises `ShapeError` if the number of parts does not divide the axis, or if sizes do not add up to it.

    >>> split([1, 2, 3, 4], 2)
    [tensor([1, 2], i64[2]), tensor([3, 4], i64[2])]
    >>> split([1, 2, 3, 4], [3, 1])
    [tensor([1, 2, 3], i64[3]), tensor([4], i64[1])]
    """
    x = as_tensor(x)
    place = normalize_axis(axis, x.ndim)
    n = x.shape[place]
    if isinstance(sections, (int, np.integer)):
        if sections < 1 or n % sections:
            raise ShapeError(
                f"split: axis {place} of {x.type} cannot be cut into {sections} equal parts; list their sizes"
            )
        sizes = [n // sections] * sections
    else:
        sizes = list(sections)
    if min(sizes, default=0) < 0 or sum(sizes) != n:
        raise ShapeError(f"split: sizes {sizes} do not add up to axis {place} of {x.type}")
    starts = [sum(sizes[:i]) for i in range(len(sizes))]
    before, after = x.shape[:place], x.shape[place + 1 :]
    return [
        slice(x, [start if a == place else 0 for a in range(x.ndim)], (*before, size, *after))
        for start, size in zip(starts, sizes, strict=True)
    ]


@method
def repeat(x: TensorLike, repeats: int, axis: int | None = None) -> Tensor:
    """Each element `repeats` times in a row along an axis; None flattens first.

    Raises `ShapeError` for a negative number or an axis that does not exist.

    >>> repeat([1, 2], 2)
    tensor([1, 1, 2, 2], i64[4])
    """
    x = as_tensor(x)
    if repeats < 0:
        raise ShapeError(f"repeat: {repeats} is no number of repetitions")
    if axis is None:
        return repeat(reshape(x, x.size), repeats, 0)
    place = normalize_axis(axis, x.ndim)
    n, before, after = x.shape[place], x.shape[:place], x.shape[place + 1 :]
    apart = broadcast_to(expand_dims(x, place + 1), (*before, n, repeats, *after))
    return reshape(apart, (*before, n * repeats, *after))


@method
def tile(x: TensorLike, repetitions: int | Sequence[int]) -> Tensor:
    """The whole tensor repeated along its axes, the last numbers belonging to the last axes.

    With more numbers than axes the tensor gets new leading axes; where numbers are missing, it is taken once.

    Raises `ShapeError` for a negative number.

    >>> tile([1, 2], 2)
    tensor([1, 2, 1, 2], i64[4])
    >>> tile([1, 2], (2, 1))
    tensor([[1, 2],
            [1, 2]], i64[2, 2])
    """
    x = as_tensor(x)
    times = (repetitions,) if isinstance(repetitions, (int, np.integer)) else tuple(repetitions)
    if min(times, default=0) < 0:
        raise ShapeError(f"tile: {list(times)} are no numbers of repetitions")
    ndim = max(x.ndim, len(times))
    sizes = (1,) * (ndim - x.ndim) + x.shape
    times = (1,) * (ndim - len(times)) + times
    apart = reshape(x, [m for n in sizes for m in (1, n)])
    repeated = broadcast_to(apart, [m for k, n in zip(times, sizes, strict=True) for m in (k, n)])
    return reshape(repeated, [k * n for k, n in zip(times, sizes, strict=True)])


@method
def roll(x: TensorLike, shift: int | Sequence[int], axis: int | Sequence[int] | None = None) -> Tensor:
    """The elements moved on by `shift` places along an axis; those that leave at the end come in again at the front.

    Several axes have one shift each, or share one. None rolls the flattened tensor and keeps its shape.

    Raises `ShapeError` for an axis that does not exist, or for another number of shifts than axes.

    >>> roll([1, 2, 3, 4], 1)
    tensor([4, 1, 2, 3], i64[4])
    >>> roll([[1, 2, 3], [4, 5, 6]], (1, -1), axis=(0, 1))
    tensor([[5, 6, 4],
            [2, 3, 1]], i64[2, 3])
    """
    out: Tensor = as_tensor(x)
    if axis is None:
        return reshape(roll(reshape(out, out.size), shift, 0), out.shape)
    axes = (axis,) if isinstance(axis, (int, np.integer)) else tuple(axis)
    shifts = (shift,) * len(axes) if isinstance(shift, (int, np.integer)) else tuple(shift)
    if len(shifts) != len(axes):
        raise ShapeError(f"roll: {len(shifts)} shifts for {len(axes)} axes")
    for places, along in zip(shifts, axes, strict=True):
        n = out.shape[normalize_axis(along, out.ndim)]
        cut = -places % n if n else 0
        if cut:
            head, tail = split(out, [cut, n - cut], along)
            out = concat([tail, head], along)
    return out
