"""Losses for embeddings and rankings: what belongs together should be near, or above."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from math import inf

from chainrule import ops
from chainrule.errors import DefinitionError, ShapeError
from chainrule.losses.common import Reduction, pair, power, reduced
from chainrule.tensor import Tensor, TensorLike


def hinge_embedding_loss(
    prediction: TensorLike,
    target: TensorLike,
    *,
    margin: float = 1.0,
    reduction: Reduction = "mean",
    sample_weight: TensorLike | None = None,
) -> Tensor:
    """A distance itself where the target is 1, and max(0, margin - distance) where it is -1.

    Hadsell, Chopra & LeCun, "Dimensionality reduction by learning an invariant mapping", CVPR 2006.

    Raises `ShapeError` if the shapes differ.

    >>> hinge_embedding_loss([0.3, 0.3], [1.0, -1.0], reduction="none")
    tensor([0.3, 0.7], f32[2])
    """
    x, target = pair("hinge_embedding_loss", prediction, target)
    loss = _by_sign(target, x, ops.clip(margin - x, min=0.0))
    return reduced("hinge_embedding_loss", loss, reduction, sample_weight)


def margin_ranking_loss(
    input1: TensorLike,
    input2: TensorLike,
    target: TensorLike,
    *,
    margin: float = 0.0,
    reduction: Reduction = "mean",
    sample_weight: TensorLike | None = None,
) -> Tensor:
    """max(0, -target (input1 - input2) + margin): with target 1 the first should be larger, with -1 the second.

    Raises `ShapeError` if the three shapes differ.

    >>> margin_ranking_loss([1.0, 1.0], [3.0, 3.0], [1.0, -1.0], reduction="none")
    tensor([2., 0.], f32[2])
    """
    name = "margin_ranking_loss"
    input1, input2 = pair(name, input1, input2, ("input1", "input2"))
    _, target = pair(name, input1, target, ("input1", "target"))
    return reduced(name, ops.clip(margin - target * (input1 - input2), min=0.0), reduction, sample_weight)


def cosine_embedding_loss(
    input1: TensorLike,
    input2: TensorLike,
    target: TensorLike,
    *,
    margin: float = 0.0,
    reduction: Reduction = "mean",
    sample_weight: TensorLike | None = None,
) -> Tensor:
    """1 - cos where the target is 1, and max(0, cos - margin) where it is -1, for the angle between two vectors.

    Args:
        input1: vectors, [N, D] or [D].
        input2: of the same shape.
        target: 1 or -1 for each pair of vectors, [N] or [].
        margin: from -1 to 1; 0 to 0.5 is usual.
        reduction: see the package.
        sample_weight: likewise.

    To each squared length 1e-12 is added, so that the cosine with a zero vector is 0. Raises `ShapeError` if the
    shapes do not fit.

    >>> cosine_embedding_loss([[1.0, 0.0], [1.0, 1.0]], [[0.0, 2.0], [3.0, 3.0]], [1, -1], reduction="none")
    tensor([1., 1.], f32[2])
    """
    name = "cosine_embedding_loss"
    input1, input2 = _vectors(name, *pair(name, input1, input2, ("input1", "input2")))
    product = (input1 * input2).sum(-1)
    squares = [ops.square(x).sum(-1) + 1e-12 for x in (input1, input2)]
    cosine, target = pair(name, product * ops.rsqrt(squares[0] * squares[1]), target, ("cosine", "target"))
    loss = _by_sign(target, 1.0 - cosine, ops.clip(cosine - margin, min=0.0))
    return reduced(name, loss, reduction, sample_weight)


def triplet_margin_loss(
    anchor: TensorLike,
    positive: TensorLike,
    negative: TensorLike,
    *,
    margin: float = 1.0,
    p: float = 2.0,
    eps: float = 1e-6,
    swap: bool = False,
    reduction: Reduction = "mean",
    sample_weight: TensorLike | None = None,
) -> Tensor:
    """max(0, d(anchor, positive) - d(anchor, negative) + margin) for d(a, b) = (sum |a - b + eps|^p)^(1 / p).

    Balntas, Riba, Ponsa & Mikolajczyk, "Learning local feature descriptors with triplets and shallow convolutional
    neural networks", BMVC 2016.

    Args:
        anchor: vectors, [N, D] or [D].
        positive: of the same shape: what should be near.
        negative: of the same shape: what should be far.
        margin: by how much it should be farther.
        p: the norm, a positive number or infinity.
        eps: added to each difference.
        swap: whether d(positive, negative) counts in the place of d(anchor, negative) where it is smaller.
        reduction: see the package.
        sample_weight: likewise.

    Raises `ShapeError` if the shapes do not fit, `DefinitionError` unless p and the margin are positive.

    >>> triplet_margin_loss([[0.0, 0.0]], [[3.0, 4.0]], [[0.0, 5.5]], eps=0.0)
    tensor(0.5, f32[])
    """
    name = "triplet_margin_loss"
    if not p > 0.0:
        raise DefinitionError(f"{name}: p must be positive, not {p}")
    distance = partial(_distance, p=p, eps=eps)
    return _triplet(name, anchor, positive, negative, distance, margin, swap, reduction, sample_weight)


def triplet_margin_with_distance_loss(
    anchor: TensorLike,
    positive: TensorLike,
    negative: TensorLike,
    *,
    distance_function: Callable[[Tensor, Tensor], Tensor] | None = None,
    margin: float = 1.0,
    swap: bool = False,
    reduction: Reduction = "mean",
    sample_weight: TensorLike | None = None,
) -> Tensor:
    """`triplet_margin_loss` with any distance: `distance_function` maps two tensors of vectors to a number each.

    Without one it is the Euclidean distance of `triplet_margin_loss`. Raises `ShapeError` if the shapes do not fit,
    `DefinitionError` unless the margin is positive.

    >>> l1 = lambda a, b: ops.abs(a - b).sum(-1)
    >>> triplet_margin_with_distance_loss([[0.0, 0.0]], [[3.0, 4.0]], [[0.0, 7.5]], distance_function=l1)
    tensor(0.5, f32[])
    """
    name = "triplet_margin_with_distance_loss"
    distance = distance_function or _distance
    return _triplet(name, anchor, positive, negative, distance, margin, swap, reduction, sample_weight)


def _triplet(
    name: str,
    anchor: TensorLike,
    positive: TensorLike,
    negative: TensorLike,
    distance: Callable[[Tensor, Tensor], Tensor],
    margin: float,
    swap: bool,
    reduction: Reduction,
    sample_weight: TensorLike | None,
) -> Tensor:
    if not margin > 0.0:
        raise DefinitionError(f"{name}: margin must be positive, not {margin}")
    anchor, positive = _vectors(name, *pair(name, anchor, positive, ("anchor", "positive")))
    _, negative = pair(name, anchor, negative, ("anchor", "negative"))
    near, far = distance(anchor, positive), distance(anchor, negative)
    if swap:
        far = ops.minimum(far, distance(positive, negative))
    if near.shape != far.shape:
        raise ShapeError(f"{name}: the distances {near.type} and {far.type} must have one shape")
    return reduced(name, ops.clip(margin + near - far, min=0.0), reduction, sample_weight)


def _by_sign(target: Tensor, of_positive: Tensor, of_negative: Tensor) -> Tensor:
    """One of two for targets 1 and -1, their sum for any other."""
    return ops.where(target != -1.0, of_positive, 0.0) + ops.where(target != 1.0, of_negative, 0.0)


def _vectors(name: str, left: Tensor, right: Tensor) -> tuple[Tensor, Tensor]:
    if not left.ndim:
        raise ShapeError(f"{name}: vectors are needed, [N, D] or [D], not {left.type}")
    return left, right


def _distance(left: Tensor, right: Tensor, p: float = 2.0, eps: float = 1e-6) -> Tensor:
    """The p-norm of left - right + eps along the last axis. Where it is 0 there is no derivative, and 0 is taken."""
    size = ops.abs(left - right + eps)
    if p == 1.0:
        return size.sum(-1)
    if p == inf:
        return size.max(-1)
    total = power(size, p).sum(-1)
    return power(total, 1.0 / p)
