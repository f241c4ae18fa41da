"""What all losses share: operands of one shape and data type, weights, and the reduction at the end."""

from __future__ import annotations

from typing import Literal, TypeAlias

from chainrule import ops
from chainrule.errors import DefinitionError, IndexingError, ShapeError
from chainrule.ops.gather import as_indices, known_value
from chainrule.ops.reduce import real
from chainrule.tensor import Tensor, TensorLike, as_tensor
from chainrule.types import bool_

Reduction: TypeAlias = Literal["mean", "sum", "none"]


def pair(
    name: str, left: TensorLike, right: TensorLike, called: tuple[str, str] = ("prediction", "target")
) -> tuple[Tensor, Tensor]:
    """Two tensors in the data type of the first. Raises `ShapeError` if their shapes differ."""
    left = real(left)
    right = as_tensor(right, left.dtype)
    if left.shape != right.shape:
        message = f"{name}: {called[0]} {left.type} and {called[1]} {right.type} must have one shape"
        if left.size == right.size:
            message += (
                f"; nothing broadcasts in a loss: reshape one of them, `{called[0]}.reshape({list(right.shape)})`"
            )
        raise ShapeError(message)
    return left, right.cast(left.dtype)


def element_weight(name: str, weight: TensorLike, like: Tensor, called: str = "weight") -> Tensor:
    """A weight that is a number, or broadcasts against the elements of a tensor. Raises `ShapeError` if it does not."""
    found = as_tensor(weight, like.dtype).cast(like.dtype)
    sizes = zip(reversed(found.shape), reversed(like.shape), strict=False)
    if found.ndim > like.ndim or any(n not in (1, size) for n, size in sizes):
        raise ShapeError(f"{name}: a {called} of shape {list(found.shape)} does not fit {like.type}")
    return found


def class_axis(name: str, x: Tensor) -> int:
    """The axis of classes: 1 in [N, C, ...], 0 in [C]."""
    if not x.ndim:
        raise ShapeError(f"{name}: an axis of classes is needed, [N, C] or [C], not {x.type}")
    return min(1, x.ndim - 1)


def looked_up(
    name: str, target: TensorLike, like: Tensor, axis: int, ignore_index: int | None = None
) -> tuple[Tensor, Tensor, Tensor]:
    """Targets as indices that exist, whether each was one of the classes, and whether each is to be ignored.

    Raises `ShapeError` if they do not have the shape without the axis, `IndexingError` for one that is no class.
    """
    classes, rest = like.shape[axis], (*like.shape[:axis], *like.shape[axis + 1 :])
    found = as_tensor(target)
    if found.shape != rest:
        raise ShapeError(f"{name}: classes {found.type} do not fit {like.type}; a shape of {list(rest)} is needed")
    found = as_indices(found)
    ignored = found == ignore_index if ignore_index is not None else ops.zeros_like(found, bool_)
    inside = (found >= 0) & (found < classes)
    known = known_value(found)
    if known is not None and (wrong := (known != ignore_index) & ((known < 0) | (known >= classes))).any():
        raise IndexingError(f"{name}: class {known[wrong].flat[0]} is not among {classes} classes, 0 to {classes - 1}")
    return ops.where(inside, found, 0), inside, ignored


def class_weight(name: str, weight: TensorLike, like: Tensor, axis: int) -> Tensor:
    """A weight for each class. Raises `ShapeError` for another number of them."""
    found = as_tensor(weight, like.dtype).cast(like.dtype)
    if found.shape != (like.shape[axis],):
        raise ShapeError(f"{name}: a weight for each of {like.shape[axis]} classes is needed, not {found.type}")
    return found


def power(x: Tensor, exponent: float) -> Tensor:
    """x^exponent for x of at least 0, where the derivative at 0 is taken as 0."""
    if exponent == 0.0:
        return ops.ones_like(x)
    is_zero = x == 0.0
    return ops.where(is_zero, 0.0, ops.power(ops.where(is_zero, 1.0, x), exponent))


def reduced(
    name: str,
    loss: Tensor,
    reduction: str,
    sample_weight: TensorLike | None,
    weights: Tensor | None = None,
) -> Tensor:
    """The reduced loss. `weights` are already in the loss; the mean is divided by their sum."""
    if sample_weight is not None:
        given = as_tensor(sample_weight, loss.dtype).cast(loss.dtype)
        if given.shape != loss.shape[: given.ndim]:
            raise ShapeError(
                f"{name}: a sample_weight of shape {list(given.shape)} does not fit a loss of {list(loss.shape)}"
            )
        rows = given.reshape((*given.shape, *(1,) * (loss.ndim - given.ndim))).broadcast_to(loss.shape)
        loss, weights = loss * rows, rows if weights is None else weights * rows
    if reduction == "none":
        return loss
    if reduction == "sum":
        return loss.sum()
    if reduction != "mean":
        raise DefinitionError(f'{name}: reduction must be "mean", "sum" or "none", not {reduction!r}')
    return loss.mean() if weights is None else loss.sum() / weights.sum()
