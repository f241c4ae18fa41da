"""Reading at indices and its transpose, adding at indices.

    take              out[..., j, ...] = x[..., indices[j], ...]        scatter_add     whole slices along one axis
    take_along_axis   out[..., j, ...] = x[..., indices[..., j, ...]]   add_along_axis  single elements along one axis

Of each pair either is the other's derivative. Indices are int32 or int64; negative ones count from the end.
"""

from __future__ import annotations

import numpy as np

from chainrule.apply import apply
from chainrule.errors import IndexingError, ShapeError
from chainrule.kernel import Native
from chainrule.native.loops.adding import add_along_axis_loops, add_units, scatter_add_loops
from chainrule.native.loops.reading import take_along_axis_loops, take_along_axis_units, take_loops, take_units
from chainrule.op import define, method
from chainrule.ops.cast import cast
from chainrule.ops.comparison import equal
from chainrule.ops.layout import broadcast_to, reshape
from chainrule.samples import Draw, Sample
from chainrule.state import current_tracing
from chainrule.tensor import Tensor, TensorLike, as_tensor, operands
from chainrule.types import (
    ANY,
    INDICES,
    NUMBERS,
    Array,
    DType,
    DTypeLike,
    Shape,
    TensorType,
    bfloat16,
    broadcast_shapes,
    dtype_of,
    float32,
    int64,
    normalize_axis,
    size_of,
)


def as_indices(indices: TensorLike) -> Tensor:
    """Indices as a tensor of int32 or int64. Raises `IndexingError` for floats and truth values."""
    found = as_tensor(indices)
    if found.dtype.kind == "int" or (found.size == 0 and isinstance(indices, (list, tuple))):
        return found if found.dtype in INDICES else cast(found, int64)
    hint = "; a mask goes in brackets, x[mask]" if found.dtype.kind == "bool" else ""
    raise IndexingError(f"indices must be integers, not {found.type}{hint}")


def known_value(x: Tensor) -> Array | None:
    """The value of a tensor, unless a graph that is being traced will be run with other ones."""
    return x.value if current_tracing() in (None, x.tracing) else None


def inside(indices: Array, size: int, axis: int) -> Array:
    """Indices as int64, counted from the front. Raises `IndexingError` naming the first one outside of its axis."""
    found = np.asarray(indices).astype(np.int64, copy=False)
    low, high = found.min(initial=0), found.max(initial=-1)
    if low < -size or high >= size:
        first = found[(found < -size) | (found >= size)].flat[0]
        raise IndexingError(f"index {first} is outside axis {axis} of size {size}")
    return found if low >= 0 else np.where(found < 0, found + size, found)


def _replaced(shape: Shape, axis: int, sizes: Shape) -> Shape:
    return (*shape[:axis], *sizes, *shape[axis + 1 :])


def _add_at(x: Array, indices: Array, updates: Array, axis: int) -> Array:
    """Add one update after the other, in the order of the indices, so that equal inputs give equal bits.

    The indices come as [outer or 1, count, inner or 1], with x seen as [outer, size of the axis, inner].
    """
    outer, size, inner = size_of(x.shape[:axis]), x.shape[axis], size_of(x.shape[axis + 1 :])
    positions = (np.arange(outer)[:, None, None] * size + indices) * inner + np.arange(inner)
    out = np.array(x, order="C")
    np.add.at(out.reshape(-1), positions.reshape(-1), updates.reshape(-1))  # flat: five times as fast as by rows
    return out


def _zeros(shape: Shape, dtype: DType) -> Tensor:
    return broadcast_to(as_tensor(0, dtype), shape)


def _summable(dtype: DType) -> DType:
    """The type in which values are added up: bfloat16 is for storage only."""
    return float32 if dtype is bfloat16 else dtype


def _unchanged(ct: Tensor, out: Tensor, x: Tensor, indices: Tensor, updates: Tensor, axis: int) -> Tensor:
    return ct


def _take_type(x: TensorType, indices: TensorType, axis: int) -> TensorType:
    return x.with_shape(_replaced(x.shape, axis, indices.shape))


def _draw_take(draw: Draw) -> Sample:
    x = draw.floats(draw.shape(least=1))
    axis = draw.integer(0, x.ndim - 1)
    indices = draw.indices(draw.shape(most=2), x.shape[axis], draw.choice(("int32", "int64")))
    return Sample((x, indices), {"axis": axis})


def _take_back(ct: Tensor, out: Tensor, x: Tensor, indices: Tensor, axis: int) -> Tensor:
    return cast(scatter_add(_zeros(x.shape, _summable(x.dtype)), indices, ct, axis=axis), x.dtype)


def _take(x: Array, indices: Array, axis: int) -> Array:
    return np.take(x, inside(indices, x.shape[axis], axis), axis)


TAKE = define(
    "take",
    takes=(ANY, INDICES),
    infer=_take_type,
    numpy=_take,
    vjp=(_take_back, None),
    kernel=Native(take_loops, take_units, picks=True, follows=0),
    samples=_draw_take,
)


@method
def take(x: TensorLike, indices: TensorLike, axis: int | None = None) -> Tensor:
    """Slices of x along an axis, at indices: out[..., *j, ...] = x[..., indices[*j], ...].

    The axis is replaced by all axes of `indices`. It may be left out if x has only one.

    Raises `IndexingError` for an index outside the axis or one that is no integer, `ShapeError` if there is no such
    axis.

    >>> take([[1.0, 2.0], [3.0, 4.0]], [1, 1, -2], axis=0)
    tensor([[3., 4.],
            [3., 4.],
            [1., 2.]], f32[3, 2])
    """
    x, indices = as_tensor(x), as_indices(indices)
    if axis is None and x.ndim != 1:
        raise ShapeError(f"take: say along which axis of {x.type}; only with a single axis it may be left out")
    return apply(TAKE, x, indices, axis=normalize_axis(axis or 0, x.ndim))


def _scatter_add_type(x: TensorType, indices: TensorType, updates: TensorType, axis: int) -> TensorType:
    needed = _take_type(x, indices, axis)
    if updates != needed:
        raise ShapeError(f"updates must be {needed}, the indices' shape in the place of axis {axis}, not {updates}")
    return x


def _draw_scatter_add(draw: Draw) -> Sample:
    x, indices = (sample := _draw_take(draw)).inputs
    updates = draw.floats(_replaced(x.shape, sample.attributes["axis"], indices.shape))
    return Sample((x, indices, updates), sample.attributes)


def _additions(x: TensorType, indices: TensorType, updates: TensorType, out: TensorType, axis: int) -> int:
    return updates.size


def _scatter_add(x: Array, indices: Array, updates: Array, axis: int) -> Array:
    return _add_at(x, inside(indices, x.shape[axis], axis).reshape(1, -1, 1), updates, axis)


def _scatter_add_back(ct: Tensor, out: Tensor, x: Tensor, indices: Tensor, updates: Tensor, axis: int) -> Tensor:
    return take(ct, indices, axis)


SCATTER_ADD = define(
    "scatter_add",
    takes=(NUMBERS, INDICES, NUMBERS),
    infer=_scatter_add_type,
    numpy=_scatter_add,
    vjp=(_unchanged, None, _scatter_add_back),
    kernel=Native(scatter_add_loops, add_units, flops=_additions),
    samples=_draw_scatter_add,
)


@method
def scatter_add(x: TensorLike, indices: TensorLike, updates: TensorLike, axis: int = 0) -> Tensor:
    """x with updates added to its slices along an axis: x[..., indices[*j], ...] += updates[..., *j, ...] for each j.

    The transpose of `take`: `updates` has the shape of `take(x, indices, axis)`. Equal indices add up, in the order in
    which they stand, so that the result is the same to the last bit every time.

    Raises `IndexingError` for an index outside the axis or one that is no integer, `ShapeError` for updates of another
    shape.

    >>> scatter_add([0.0, 0.0, 1.0], [0, 0, 2], [1.0, 2.0, 5.0])
    tensor([3., 0., 6.], f32[3])
    """
    indices, (x, updates) = as_indices(indices), operands(x, updates)
    return apply(SCATTER_ADD, x, indices, updates, axis=normalize_axis(axis, x.ndim))


def _along_type(x: TensorType, indices: TensorType, axis: int) -> TensorType:
    if indices.ndim != x.ndim or _replaced(indices.shape, axis, ()) != _replaced(x.shape, axis, ()):
        raise ShapeError(f"indices of shape {list(indices.shape)} must fit {x} on every axis but {axis}")
    return x.with_shape(indices.shape)


def _draw_along(draw: Draw) -> Sample:
    x = draw.floats(draw.shape(least=1))
    axis = draw.integer(0, x.ndim - 1)
    size = x.shape[axis]
    shape = _replaced(x.shape, axis, (draw.integer(0, 4) if size else 0,))
    indices = draw.lay(draw.rng.integers(-size, max(size, 1), shape).astype(draw.choice(("int32", "int64"))))
    return Sample((x, indices), {"axis": axis})


def _take_along_axis_back(ct: Tensor, out: Tensor, x: Tensor, indices: Tensor, axis: int) -> Tensor:
    return cast(add_along_axis(_zeros(x.shape, _summable(x.dtype)), indices, ct, axis=axis), x.dtype)


def _take_along_axis(x: Array, indices: Array, axis: int) -> Array:
    return np.take_along_axis(x, inside(indices, x.shape[axis], axis), axis)


TAKE_ALONG_AXIS = define(
    "take_along_axis",
    takes=(ANY, INDICES),
    infer=_along_type,
    numpy=_take_along_axis,
    vjp=(_take_along_axis_back, None),
    kernel=Native(take_along_axis_loops, take_along_axis_units, picks=True),
    samples=_draw_along,
)


@method
def take_along_axis(x: TensorLike, indices: TensorLike, axis: int = -1) -> Tensor:
    """Single elements of x along an axis: out[..., j, ...] = x[..., indices[..., j, ...], ...].

    `indices` has as many axes as x; all but `axis` broadcast against those of x.

    Raises `IndexingError` for an index outside the axis or one that is no integer, `ShapeError` if the shapes do not
    fit.

    >>> take_along_axis([[1.0, 2.0], [3.0, 4.0]], [[1], [0]])
    tensor([[2.],
            [3.]], f32[2, 1])
    """
    both = as_tensor(x), as_indices(indices)
    axis = normalize_axis(axis, both[0].ndim)
    if both[0].ndim == both[1].ndim:
        common = broadcast_shapes(*(_replaced(v.shape, axis, ()) for v in both))
        wanted = [(*common[:axis], v.shape[axis], *common[axis:]) for v in both]
        both = tuple(v if v.shape == s else broadcast_to(v, s) for v, s in zip(both, wanted, strict=True))
    return apply(TAKE_ALONG_AXIS, *both, axis=axis)


def _add_along_axis_type(x: TensorType, indices: TensorType, updates: TensorType, axis: int) -> TensorType:
    needed = _along_type(x, indices, axis)
    if updates != needed:
        raise ShapeError(f"updates must be {needed}, of the indices' shape, not {updates}")
    return x


def _draw_add_along_axis(draw: Draw) -> Sample:
    sample = _draw_along(draw)
    return Sample((*sample.inputs, draw.floats(sample.inputs[1].shape)), sample.attributes)


def _add_along_axis(x: Array, indices: Array, updates: Array, axis: int) -> Array:
    sizes = (size_of(x.shape[:axis]), indices.shape[axis], size_of(x.shape[axis + 1 :]))
    return _add_at(x, inside(indices, x.shape[axis], axis).reshape(sizes), updates, axis)


def _add_along_axis_back(ct: Tensor, out: Tensor, x: Tensor, indices: Tensor, updates: Tensor, axis: int) -> Tensor:
    return take_along_axis(ct, indices, axis)


ADD_ALONG_AXIS = define(
    "add_along_axis",
    takes=(NUMBERS, INDICES, NUMBERS),
    infer=_add_along_axis_type,
    numpy=_add_along_axis,
    vjp=(_unchanged, None, _add_along_axis_back),
    kernel=Native(add_along_axis_loops, add_units, flops=_additions),
    samples=_draw_add_along_axis,
)


@method
def add_along_axis(x: TensorLike, indices: TensorLike, updates: TensorLike, axis: int = -1) -> Tensor:
    """x with updates added to single elements: x[..., indices[..., j, ...], ...] += updates[..., j, ...] for each j.

    The transpose of `take_along_axis`: `updates` has the shape of `indices`, and both that of x but for `axis`. Equal
    indices add up, in the order in which they stand.

    Raises `IndexingError` for an index outside the axis or one that is no integer, `ShapeError` if the shapes do not
    fit.

    >>> add_along_axis([[1.0, 2.0], [3.0, 4.0]], [[1], [0]], [[10.0], [20.0]])
    tensor([[ 1., 12.],
            [23.,  4.]], f32[2, 2])
    """
    indices, (x, updates) = as_indices(indices), operands(x, updates)
    return apply(ADD_ALONG_AXIS, x, indices, updates, axis=normalize_axis(axis, x.ndim))


@method
def one_hot(indices: TensorLike, num_classes: int, dtype: DTypeLike = float32) -> Tensor:
    """A new last axis that is 1 at the index and 0 elsewhere: out[..., c] = (indices[...] == c).

    Raises `IndexingError` for an index that is negative or not less than `num_classes`. While a function is traced
    the indices are not known, and such an index gives a row of zeros.

    >>> one_hot([2, 0], 3)
    tensor([[0., 0., 1.],
            [1., 0., 0.]], f32[2, 3])
    """
    found = as_indices(indices)
    value = known_value(found)
    if value is not None and (outside := (value < 0) | (value >= num_classes)).any():
        raise IndexingError(f"one_hot: class {value[outside].flat[0]} is not among {num_classes} classes")
    classes = as_tensor(np.arange(num_classes, dtype=found.dtype.numpy))
    return cast(equal(reshape(found, (*found.shape, 1)), classes), dtype_of(dtype))
