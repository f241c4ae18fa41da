"""Layers that normalise each channel by statistics that can be kept: batch and instance normalisation."""

from __future__ import annotations

from chainrule import ops
from chainrule.errors import ShapeError
from chainrule.nn.checks import number, whole
from chainrule.nn.initializers import ones, zeros
from chainrule.nn.module import Module, Parameter
from chainrule.nn.moments import channel_moments, moments, normalised
from chainrule.state import no_grad
from chainrule.tensor import Tensor, TensorLike, as_tensor, tensor
from chainrule.types import DTypeLike, float32, size_of


class ChannelNorm(Module):
    """What batch and instance normalisation have in common: a channel's weight, bias and running averages."""

    def __init__(
        self,
        num_features: int,
        eps: float,
        affine: bool,
        track_running_stats: bool,
        dtype: DTypeLike,
    ) -> None:
        self.num_features = whole("num_features", num_features)
        self.eps = number("eps", eps, 0.0)
        shape = (num_features,)
        self.weight = Parameter(ones(shape, dtype=dtype), name="weight") if affine else None
        self.bias = Parameter(zeros(shape, dtype=dtype), name="bias") if affine else None
        self.track_running_stats = track_running_stats
        if track_running_stats:
            self.running_mean = zeros(shape, dtype=dtype)
            self.running_var = ones(shape, dtype=dtype)
            self.num_batches_tracked = tensor(0)

    def _wrong(self, x: Tensor, *wanted: str) -> ShapeError:
        return ShapeError(f"{self.describe()}: an input {' or '.join(wanted)} is needed, not {x.type}")

    def _normalised(self, x: Tensor, mean: Tensor, variance: Tensor) -> Tensor:
        return normalised(x, mean, variance, self.eps, self.weight, self.bias)

    def _update(self, share: float | Tensor, mean: Tensor, variance: Tensor) -> None:
        """Move the running averages towards new values by their share."""
        for running, new in ((self.running_mean, mean), (self.running_var, variance)):
            running.assign(((1.0 - share) * running + share * new.reshape(running.shape)).cast(running.dtype))

    def options(self) -> str:
        return str(self.num_features)


class BatchNorm(ChannelNorm):
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
        self.momentum = None if momentum is None else number("momentum", momentum, 0.0, 1.0)
        super().__init__(num_features, eps, affine, track_running_stats, dtype)

    def forward(self, x: TensorLike) -> Tensor:
        """x, normalised for each channel."""
        x = as_tensor(x)
        if x.ndim not in self.ranks or x.shape[1] != self.num_features:
            raise self._wrong(x, *(_shape_text("N", self.num_features, rank - 2) for rank in self.ranks))
        if not self.training and self.track_running_stats:
            return self._normalised(x, self.running_mean, self.running_var)
        count = x.shape[0] * size_of(x.shape[2:])
        if self.training and count < 2:
            raise ShapeError(
                f"{self.describe()}: training needs more than one value per channel, not {x.type}; "
                "call eval() to predict"
            )
        mean, variance = channel_moments(x)
        if self.training and self.track_running_stats:
            with no_grad():
                self.num_batches_tracked.assign(self.num_batches_tracked + 1)
                share = self.momentum
                if share is None:
                    share = 1.0 / self.num_batches_tracked.cast(mean.dtype)
                self._update(share, mean, variance * (count / (count - 1)))
        return self._normalised(x, mean, variance)


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


class BatchNorm2d(BatchNorm):
    """Batch normalisation of [N, C, H, W]; see `BatchNorm`.

    >>> BatchNorm2d(1, eps=0.0)([[[[1.0, 3.0]]]])
    tensor([[[[-1.,  1.]]]], f32[1, 1, 1, 2])
    """

    ranks = (4,)


class BatchNorm3d(BatchNorm):
    """Batch normalisation of [N, C, D, H, W]; see `BatchNorm`.

    >>> BatchNorm3d(1, eps=0.0)([[[[[1.0, 3.0]]]]])
    tensor([[[[[-1.,  1.]]]]], f32[1, 1, 1, 1, 2])
    """

    ranks = (5,)


class InstanceNorm(ChannelNorm):
    """y = (x - mean) / sqrt(variance + eps) weight + bias, for each channel of each example over all further axes.

    Ulyanov, Vedaldi & Lempitsky, "Instance normalization", 2016. Subclasses say how many axes an input has; a single
    example may come without the axis N.

    Args:
        num_features: number of channels, axis 1 of the input.
        eps: keeps the quotient finite where all elements are equal.
        momentum: share of the batch in a running average, new = (1 - momentum) old + momentum batch.
        affine: whether there are a trained weight and bias.
        track_running_stats: whether, in training, running averages over examples are kept, which evaluation then uses
            in place of each example's own mean and variance.
        dtype: data type of the parameters.

    Parameters: `weight`, `bias` [num_features], if `affine`. Buffers, if `track_running_stats`: `running_mean`,
    `running_var` [num_features], of which the variance is the unbiased one, and `num_batches_tracked`, which is not
    used.

    Raises `ShapeError` for an input of other axes or channels, or one with a single value per channel.
    """

    sizes: int = 0

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float = 0.1,
        affine: bool = False,
        track_running_stats: bool = False,
        *,
        dtype: DTypeLike = float32,
    ) -> None:
        self.momentum = number("momentum", momentum, 0.0, 1.0)
        super().__init__(num_features, eps, affine, track_running_stats, dtype)

    def forward(self, x: TensorLike) -> Tensor:
        """x, normalised for each example and channel."""
        x = as_tensor(x)
        if x.ndim == self.sizes + 1:
            return self.forward(x.expand_dims(0)).squeeze(0)
        if x.ndim != self.sizes + 2 or x.shape[1] != self.num_features:
            raise self._wrong(x, *(_shape_text(start, self.num_features, self.sizes) for start in ("N", "")))
        if not self.training and self.track_running_stats:
            return self._normalised(x, self.running_mean, self.running_var)
        count = size_of(x.shape[2:])
        if count < 2:
            raise ShapeError(f"{self.describe()}: more than one value per channel is needed, not {x.type}")
        mean, variance = moments(x, tuple(range(2, x.ndim)))
        if self.training and self.track_running_stats:
            with no_grad():
                self._update(self.momentum, ops.mean(mean, 0), ops.mean(variance, 0) * (count / (count - 1)))
        return self._normalised(x, mean, variance)


class InstanceNorm1d(InstanceNorm):
    """Instance normalisation of [N, C, L] or [C, L]; see `InstanceNorm`.

    >>> InstanceNorm1d(2, eps=0.0)([[1.0, 3.0], [10.0, 30.0]])
    tensor([[-1.,  1.],
            [-1.,  1.]], f32[2, 2])
    """

    sizes = 1


class InstanceNorm2d(InstanceNorm):
    """Instance normalisation of [N, C, H, W] or [C, H, W]; see `InstanceNorm`.

    >>> InstanceNorm2d(1, eps=0.0)([[[1.0, 3.0]]])
    tensor([[[-1.,  1.]]], f32[1, 1, 2])
    """

    sizes = 2


class InstanceNorm3d(InstanceNorm):
    """Instance normalisation of [N, C, D, H, W] or [C, D, H, W]; see `InstanceNorm`.

    >>> InstanceNorm3d(1, eps=0.0)([[[[1.0, 3.0]]]])
    tensor([[[[-1.,  1.]]]], f32[1, 1, 1, 2])
    """

    sizes = 3


def _shape_text(start: str, channels: int, sizes: int) -> str:
    names = {0: "", 1: "L", 2: "HW", 3: "DHW"}[sizes]
    return f"[{', '.join([*start, str(channels), *names])}]"
