"""x[key], by NumPy's rules, lowered onto slices, flips, reshapes and `take`."""

from __future__ import annotations

import builtins
import functools
import operator
from collections.abc import Sequence
from types import EllipsisType
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from chainrule.errors import DtypeError, IndexingError, ShapeError, TraceError
from chainrule.op import method
from chainrule.ops.cast import cast
from chainrule.ops.comparison import where
from chainrule.ops.gather import as_indices, inside, known_value, take
from chainrule.ops.layout import permute_dims, reshape
from chainrule.ops.slicing import flip, slice
from chainrule.tensor import Tensor, TensorLike, as_tensor
from chainrule.types import TensorType, bool_, broadcast_shapes, int64, size_of

Entry: TypeAlias = "builtins.slice[Any, Any, Any] | EllipsisType | int | Tensor | None"


class _Lookup(NamedTuple):
    """Places that an array picks along an axis of the tensor."""

    axis: int
    position: int  # where that axis stands once slices and integers are done with
    size: int
    indices: Tensor


@method
def getitem(x: TensorLike, key: Any) -> Tensor:
    """Part of a tensor, by NumPy's rules for what stands in the brackets.

    An integer picks one place and drops the axis; a slice picks every step-th place, backwards for a negative step;
    None adds an axis of size one; `...` stands for all axes that are not mentioned. Arrays, lists and tensors of
    integers pick any places any number of times: several of them broadcast, and the axes of their common shape stand
    where the indexed axes stood, or first if these (and integers) are not side by side. A mask of truth values picks
    the places where it is true, over as many axes as it has.

    Only arrays and masks copy data. The derivative adds up where a place is picked several times.

    Raises `IndexingError` for an index outside its axis, too many of them, floats, or a mask of another shape, and
    `TraceError` for a mask or a bound of a slice whose value is not known because a function is being traced.

    >>> x = as_tensor([[1, 2, 3], [4, 5, 6]])
    >>> x[:, -1]
    tensor([3, 6], i64[2])
    >>> x[::-1, [0, 0, 2]]
    tensor([[4, 4, 6],
            [1, 1, 3]], i64[2, 3])
    >>> x[np.array([[True, False, True], [False, False, True]])]
    tensor([1, 3, 6], i64[3])
    """
    x = as_tensor(x)
    entries = _entries(x.type, key)
    ranges: list[range] = []  # for each axis of x, the places that slices and integers leave
    shape: list[int] = []  # of what they leave; integers drop their axis, None adds one
    lookups: list[_Lookup] = []
    for entry in entries:
        axis = len(ranges)
        if isinstance(entry, Tensor):
            for indices in _nonzero(entry, x.type, axis) if entry.dtype is bool_ else [entry]:
                size = x.shape[len(ranges)]
                lookups.append(_Lookup(len(ranges), len(shape), size, indices))
                ranges.append(range(size))
                shape.append(size)
        elif entry is None:
            shape.append(1)
        elif isinstance(entry, int):
            ranges.append(_place(entry, x.shape[axis], axis))
        elif isinstance(entry, builtins.slice):
            ranges.append(_part(entry, x.shape[axis]))
            shape.append(len(ranges[-1]))
        else:  # `...`
            others = x.shape[axis : axis + x.ndim - _consumed(entries)]
            ranges += map(range, others)
            shape += others
    left = reshape(_basic(x, ranges), shape)
    return _looked_up(left, lookups, side_by_side=_side_by_side(entries)) if lookups else left


def _entries(x: TensorType, key: Any) -> list[Entry]:
    """The entries of a key, with arrays as tensors and with exactly one `...`."""
    entries = [_entry(part) for part in ((*key,) if isinstance(key, tuple) else (key,))]  # pyright: ignore[reportUnknownVariableType]
    dots = sum(entry is Ellipsis for entry in entries)
    if dots > 1:
        raise IndexingError(f"`...` may stand in a key only once, not {dots} times")
    if _consumed(entries) > x.ndim:
        raise IndexingError(f"too many indices: {_consumed(entries)} for the {x.ndim} axes of {x}")
    return entries if dots else [*entries, ...]


def _entry(part: Any) -> Entry:
    if part is None or part is Ellipsis or isinstance(part, builtins.slice):
        return part  # pyright: ignore[reportUnknownVariableType]
    if isinstance(part, int) and not isinstance(part, bool):
        return part
    try:
        found = as_tensor(part)
    except (DtypeError, ShapeError) as error:
        raise IndexingError(f"{part!r} is no index: {error}") from None
    if found.dtype is not bool_:
        found = as_indices(part)
        value = known_value(found)
        return int(value) if value is not None and not found.ndim else found
    if not found.ndim:
        raise IndexingError("a single truth value is no index; a mask has at least one axis, and `where` takes any")
    return found


def _consumed(entries: Sequence[Entry]) -> int:
    """How many axes of the tensor the entries are about, but for `...`."""
    masks = sum(entry.ndim - 1 for entry in entries if isinstance(entry, Tensor) and entry.dtype is bool_)
    return masks + sum(entry is not None and entry is not Ellipsis for entry in entries)


def _side_by_side(entries: Sequence[Entry]) -> bool:
    """Whether nothing stands between the first and the last of integers and arrays."""
    places = [i for i, entry in enumerate(entries) if isinstance(entry, (int, Tensor))]
    return places[-1] - places[0] < len(places)


def _nonzero(mask: Tensor, x: TensorType, axis: int) -> list[Tensor]:
    """The places where a mask is true: indices for each of its axes."""
    if mask.shape != x.shape[axis : axis + mask.ndim]:
        raise IndexingError(f"a mask of shape {list(mask.shape)} does not fit {x} from axis {axis} on")
    value = known_value(mask)
    if value is None:
        raise TraceError(
            f"x[mask] with a mask {mask.type} of unknown value, made at {mask.source}    {mask.source.text}\n"
            "  while a function is traced only types are known, and how much a mask picks is not among them: "
            "use where(mask, x, 0) instead"
        )
    return [as_tensor(places) for places in np.nonzero(value)]


def _place(index: int, size: int, axis: int) -> range:
    if not -size <= index < size:
        raise IndexingError(f"index {index} is outside axis {axis} of size {size}")
    return range(index % size, index % size + 1)


def _part(part: builtins.slice[Any, Any, Any], size: int) -> range:
    try:
        return range(size)[part]
    except (TypeError, ValueError) as error:
        raise IndexingError(f"{part}: {error}") from None


def _basic(x: Tensor, ranges: Sequence[range]) -> Tensor:
    """The given places of each axis."""
    upward = [r if r.step > 0 else r[::-1] for r in ranges]
    start = [r.start if r else 0 for r in upward]
    out = slice(x, start, [len(r) for r in upward], [r.step for r in upward])
    mirrored = [axis for axis, r in enumerate(ranges) if r.step < 0]
    return flip(out, mirrored) if mirrored else out


def _looked_up(x: Tensor, lookups: Sequence[_Lookup], *, side_by_side: bool) -> Tensor:
    """Merge the axes that arrays index into one, and take from that."""
    first = lookups[0].position if side_by_side else 0
    positions = [lookup.position for lookup in lookups]
    kept = [axis for axis in range(x.ndim) if axis not in positions]
    moved = permute_dims(x, (*kept[:first], *positions, *kept[first:]))
    before, after = moved.shape[:first], moved.shape[first + len(positions) :]
    merged = reshape(moved, (*before, size_of(lookup.size for lookup in lookups), *after))
    return take(merged, _merged_indices(lookups), axis=first)


def _merged_indices(lookups: Sequence[_Lookup]) -> Tensor:
    """Where the elements stand along the merged axis: the sum of index * stride over the axes.

    Where an index is known only when the graph runs and lies outside its axis, the sum lies outside the merged axis.
    """
    try:
        broadcast_shapes(*(lookup.indices.shape for lookup in lookups))
    except ShapeError as error:
        raise IndexingError(f"arrays of indices: {error}") from None
    merged = stride = size_of(lookup.size for lookup in lookups)
    terms: list[Tensor] = []
    for axis, _, size, indices in lookups:
        stride //= max(size, 1)
        value = known_value(indices)
        if value is not None:
            terms.append(as_tensor(inside(value, size, axis) * stride))
        elif len(lookups) == 1:
            terms.append(indices)
        else:
            wide = cast(indices, int64)
            forward = where(wide < 0, wide + size, wide)
            terms.append(where((forward < 0) | (forward >= size), merged, forward * stride))
    return functools.reduce(operator.add, terms)
