"""Mean and variance, and normalising by them, in few passes over memory forward and backward."""

from __future__ import annotations

from chainrule import ops
from chainrule.calls import custom_vjp
from chainrule.ops.reduce import count_of, real
from chainrule.tensor import Tensor, TensorLike


def _slope(ct: Tensor, out: Tensor, x: Tensor, mean: Tensor) -> tuple[Tensor, None]:
    return 2.0 * ct * (x - mean), None


@custom_vjp(_slope)
def squared_deviations(x: Tensor, mean: Tensor) -> Tensor:
    """The sum of (x - mean)^2 over the axes along which `mean`, which is the mean of x along them, has size one.

    The derivative by the mean, -2 sum(x - mean), is zero, and to know it saves the backward pass a sum over x. What is
    left, 2 (x - mean), depends on x and its mean, so that second derivatives are right as well.
    """
    return ops.sum_to(ops.square(x - mean), mean.shape)


def moments(x: TensorLike, axes: tuple[int, ...]) -> tuple[Tensor, Tensor]:
    """Mean and variance over axes, which are kept with size one. The variance is the mean of the squared deviations.

    >>> moments([[1.0, 3.0]], (1,))
    (tensor([[2.]], f32[1, 1]), tensor([[1.]], f32[1, 1]))
    """
    x = real(x)
    mean = ops.mean(x, axes, keepdims=True)
    return mean, squared_deviations(x, mean) / float(count_of(x, axes))


def channel_moments(x: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and variance [1, C, 1, ...] of every channel of [N, C, *sizes], over the batch and all further axes.

    In one pass over memory: see `_joined`.
    """
    return moments(x, (0,)) if x.ndim == 2 else _joined(*moments(x, tuple(range(2, x.ndim))), 0)


def group_moments(x: Tensor, groups: int) -> tuple[Tensor, Tensor]:
    """Mean and variance [N, C, 1, ...] of every group of channels of [N, C, *sizes], for each of its channels."""
    split = (x.shape[0], groups, x.shape[1] // groups)
    if x.ndim == 2:
        of_groups = moments(x.reshape(split), (2,))
    else:
        means, variances = moments(x, tuple(range(2, x.ndim)))
        of_groups = _joined(means.reshape(split), variances.reshape(split), 2)
    shape = (*x.shape[:2], *(1,) * (x.ndim - 2))
    mean, variance = (values.broadcast_to(split).reshape(shape) for values in of_groups)
    return mean, variance


def _joined(means: Tensor, variances: Tensor, axis: int) -> tuple[Tensor, Tensor]:
    """Mean and variance of parts of equal size put together, given those of each part.

    The squared deviations of all are those of each part from its own mean, and those of the means. As exact as two
    passes over everything, and each part stays in cache for its own two. Chan, Golub & LeVeque, "Algorithms for
    computing the sample variance", The American Statistician 37 (1983).
    """
    mean, of_means = moments(means, (axis,))
    return mean, ops.mean(variances, axis, keepdims=True) + of_means


def normalised(
    x: Tensor, mean: Tensor, variance: Tensor, eps: float, weight: Tensor | None, bias: Tensor | None
) -> Tensor:
    """(x - mean) / sqrt(variance + eps) weight + bias, for each channel of [N, C, *sizes].

    Mean and variance are [C], or have the axes of x, of size one behind N and C. In the backward pass, everything is
    summed over the sizes of each image first, and then over images.
    """
    ones = (1,) * (x.ndim - 2)

    def per_channel(values: Tensor) -> Tensor:
        return values.reshape((-1, x.shape[1], *ones))

    def per_image(values: Tensor) -> Tensor:
        return values.broadcast_to((*x.shape[:2], *ones))

    scale = ops.rsqrt(per_channel(variance) + eps)
    scale = scale if weight is None else scale * per_channel(weight)
    out = (x - per_image(per_channel(mean))) * per_image(scale)
    return out if bias is None else out + per_image(per_channel(bias))
