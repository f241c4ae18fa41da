"""Layers that shift and scale their input to mean 0 and variance 1."""

from __future__ import annotations

from collections.abc import Sequence

from chainrule import ops
from chainrule.errors import ShapeError
from chainrule.nn.checks import number, whole
from chainrule.nn.initializers import ones, zeros
from chainrule.nn.module import Module, Parameter
from chainrule.state import no_grad
from chainrule.tensor import Tensor, TensorLike, as_tensor, tensor
from chainrule.types import DTypeLike, Shape, float32, size_of


class LayerNorm(Module):
    """y = (x - mean) / sqrt(variance + eps) weight + bias, over the last axes of each example on its own.

    The variance is the mean of the squared deviations. Ba, Kiros & Hinton, "Layer normalization", 2016.

    Args:
        normalized_shape: sizes of the last axes, those that are normalised together.
        eps: keeps the quotient finite where all elements are equal.
        elementwise_affine: whether there are a trained weight and bias.
        bias: whether there is a bias beside the weight.
        dtype: data type of the parameters.

    Parameters: `weight` and `bias` of `normalized_shape`.
    Shapes: [..., *normalized_shape] to the same.

    >>> LayerNorm(2, eps=0.0)([[1.0, 3.0]])
    tensor([[-1.,  1.]], f32[1, 2])
    """

    def __init__(
        self,
        normalized_shape: int | Sequence[int],
        eps: float = 1e-5,
        elementwise_affine: bool = True,
        bias: bool = True,
        *,
        dtype: DTypeLike = float32,
    ) -> None:
        sizes = tuple(normalized_shape) if isinstance(normalized_shape, Sequence) else (normalized_shape,)
        self.normalized_shape: Shape = tuple(whole("normalized_shape", n) for n in sizes)
        self.eps = number("eps", eps, 0.0)
        self.weight = Parameter(ones(sizes, dtype=dtype), name="weight") if elementwise_affine else None
        self.bias = Parameter(zeros(sizes, dtype=dtype), name="bias") if elementwise_affine and bias else None

    def forward(self, x: TensorLike) -> Tensor:
        """x, normalised over its last axes."""
        x, count = as_tensor(x), len(self.normalized_shape)
        if x.shape[max(x.ndim - count, 0) :] != self.normalized_shape:
            raise ShapeError(
                f"LayerNorm: an input [..., {', '.join(map(str, self.normalized_shape))}] is needed, not {x.type}"
            )
        axes = tuple(range(-count, 0))
        centred = x - ops.mean(x, axes, keepdims=True)
        variance = ops.mean(ops.square(centred), axes, keepdims=True)
        out = centred * ops.rsqrt(variance + self.eps)
        out = out if self.weight is None else out * self.weight
        return out if self.bias is None else out + self.bias

    def options(self) -> str:
        return str(self.normalized_shape[0] if len(self.normalized_shape) == 1 else self.normalized_shape)


class BatchNorm(Module):
    """y = (x - mean) / sqrt(variance + eps) weight + bias, for each channel over the batch and all further axes.

    In training, mean and variance are those of the batch, and running averages of them are kept; in evaluation, the
    running averages are used. Ioffe & Szegedy, "Batch normalization", ICML 2015. Subclasses say how many axes an input
    has.

    Args:
        num_features: number of channels, axis 1 of the input.
        eps: keeps the quotient finite where all elements are equal.
        momentum: share of the batch in a running average, new = (1 - momentum) old + momentum batch; None for the
            plain average over all batches so far.
        affine: whether there are a trained weight and bias.
        track_running_stats: whether running averages are kept; without them, evaluation uses those of the batch, too.
        dtype: data type of the parameters.

    Parameters: `weight`, `bias` [num_features]. Buffers: `running_mean`, `running_var` [num_features],
    `num_batches_tracked`. The running variance is the unbiased one.

    Raises `ShapeError` for an input of other axes or channels, or one in training with a single value per channel.
    """

    ranks: tuple[int, ...] = ()

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
        *,
        dtype: DTypeLike = float32,
    ) -> None:
        self.num_features = whole("num_features", num_features)
        self.eps = number("eps", eps, 0.0)
        self.momentum = None if momentum is None else number("momentum", momentum, 0.0, 1.0)
        shape = (num_features,)
        self.weight = Parameter(ones(shape, dtype=dtype), name="weight") if affine else None
        self.bias = Parameter(zeros(shape, dtype=dtype), name="bias") if affine else None
        self.track_running_stats = track_running_stats
        if track_running_stats:
            self.running_mean = zeros(shape, dtype=dtype)
            self.running_var = ones(shape, dtype=dtype)
            self.num_batches_tracked = tensor(0)

    def forward(self, x: TensorLike) -> Tensor:
        """x, normalised for each channel."""
        x = as_tensor(x)
        if x.ndim not in self.ranks or x.shape[1] != self.num_features:
            wanted = " or ".join(
                str(["N", str(self.num_features), *"LMK"[: rank - 2]]).replace("'", "") for rank in self.ranks
            )
            raise ShapeError(f"{self.describe()}: an input {wanted} is needed, not {x.type}")
        if self.training or not self.track_running_stats:
            mean, variance = self._batch_statistics(x)
        else:
            mean, variance = self.running_mean, self.running_var
        scale = ops.rsqrt(variance + self.eps)
        scale = scale if self.weight is None else scale * self.weight
        out = (x - self._per_channel(mean, x)) * self._per_channel(scale, x)
        return out if self.bias is None else out + self._per_channel(self.bias, x)

    def _per_channel(self, values: Tensor, x: Tensor) -> Tensor:
        return values.reshape((self.num_features, *(1,) * (x.ndim - 2)))

    def _batch_statistics(self, x: Tensor) -> tuple[Tensor, Tensor]:
        axes = (0, *range(2, x.ndim))
        count = size_of(x.shape[a] for a in axes)
        if self.training and count < 2:
            raise ShapeError(
                f"{self.describe()}: training needs more than one value per channel, not {x.type}; "
                "call eval() to predict"
            )
        mean = ops.mean(x, axes)
        variance = ops.mean(ops.square(x - self._per_channel(mean, x)), axes)
        if self.training and self.track_running_stats:
            with no_grad():
                self._update(mean, variance * (count / (count - 1)))
        return mean, variance

    def _update(self, mean: Tensor, variance: Tensor) -> None:
        self.num_batches_tracked.assign(self.num_batches_tracked + 1)
        share = 1.0 / self.num_batches_tracked.cast(mean.dtype) if self.momentum is None else self.momentum
        for running, batch in ((self.running_mean, mean), (self.running_var, variance)):
            running.assign(((1.0 - share) * running + share * batch).cast(running.dtype))

    def options(self) -> str:
        return str(self.num_features)


class BatchNorm1d(BatchNorm):
    """Batch normalisation of [N, C] or [N, C, L]; see `BatchNorm`.

    >>> layer = BatchNorm1d(1, eps=0.0)
    >>> layer([[1.0], [3.0]])
    tensor([[-1.],
            [ 1.]], f32[2, 1])
    >>> layer.running_mean, layer.running_var
    (tensor([0.2], f32[1]), tensor([1.1], f32[1]))
    """

    ranks = (2, 3)
