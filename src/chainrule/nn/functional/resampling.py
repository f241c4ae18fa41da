"""More or fewer elements on the last axes: interpolation, and channels moved into space.

Interpolation is linear and goes axis by axis: each is a product with a matrix of a few weights a row. Keys, "Cubic
convolution interpolation for digital image processing", IEEE Trans. ASSP 29 (1981), for "bicubic", with a = -3/4.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, TypeAlias

import numpy as np

from chainrule import ops
from chainrule.errors import DefinitionError, ShapeError
from chainrule.nn.functional.adaptive import adaptive_avg_pool1d, adaptive_avg_pool2d, adaptive_avg_pool3d
from chainrule.nn.functional.axes import along_axis
from chainrule.ops.reduce import real
from chainrule.ops.window import PerAxis, per_axis
from chainrule.tensor import Tensor, TensorLike, as_tensor
from chainrule.types import Array

Mode: TypeAlias = Literal["nearest", "nearest-exact", "linear", "bilinear", "trilinear", "bicubic", "area"]
Factor: TypeAlias = float | Sequence[float]

_AXES = {"linear": 1, "bilinear": 2, "trilinear": 3, "bicubic": 2}


def interpolate(
    x: TensorLike,
    size: PerAxis | None = None,
    scale_factor: Factor | None = None,
    mode: Mode = "nearest",
    align_corners: bool | None = None,
    recompute_scale_factor: bool | None = None,
) -> Tensor:
    """Images of another size.

    With `step` = old size / new size (or 1 / factor), new element i lies at (i + 1/2) step - 1/2 of the old ones.

    Args:
        x: [batch, channels, *sizes] with one to three axes in space.
        size: the new sizes, for each axis or for all.
        scale_factor: by how much to enlarge, in place of `size`: new sizes are floor(old size * factor).
        mode: "nearest", the old element at floor(i step); "nearest-exact", that at floor((i + 1/2) step); "linear",
            "bilinear" or "trilinear", for one, two or three axes, between the two elements beside the place; "bicubic",
            for two axes, a cubic of four; "area", the mean of the old elements that a new one covers. With "nearest"
            and the linear modes an axis whose size a factor does not change is left as it is.
        align_corners: for the modes between "linear" and "bicubic", whether the outermost elements keep their places:
            step is (old size - 1) / (new size - 1), and new element i lies at i step.
        recompute_scale_factor: whether the step is that of the sizes though a factor is given.

    Raises `ShapeError` if neither or both of size and factor are given, or do not fit the axes, and `DefinitionError`
    for a mode that does not go with the axes or with `align_corners`.

    >>> interpolate([[[1.0, 3.0]]], scale_factor=2)
    tensor([[[1., 1., 3., 3.]]], f32[1, 1, 4])
    >>> interpolate([[[1.0, 3.0]]], size=3, mode="linear", align_corners=True)
    tensor([[[1., 2., 3.]]], f32[1, 1, 3])
    """
    x = as_tensor(x) if mode.startswith("nearest") else real(x)
    axes = x.ndim - 2
    if axes not in (1, 2, 3):
        raise ShapeError(f"interpolate: an input [batch, channels, *sizes] with 1 to 3 sizes is needed, not {x.type}")
    if mode not in ("nearest", "nearest-exact", "area") and _AXES.get(mode) != axes:
        raise DefinitionError(f"interpolate: mode {mode!r} is not for {axes} axes in space")
    if align_corners is not None and mode not in _AXES:
        raise DefinitionError(f"interpolate: align_corners is not for mode {mode!r}")
    before = x.shape[2:]
    after, factors = _new_sizes(before, size, scale_factor)
    if min((*before, *after)) < 1:
        raise ShapeError(f"interpolate: {x.type} cannot become {list(after)} in space")
    if mode == "area":
        return (adaptive_avg_pool1d, adaptive_avg_pool2d, adaptive_avg_pool3d)[axes - 1](x, after)
    for axis, (n, o, factor) in enumerate(zip(before, after, factors, strict=True), 2):
        if n == o and mode not in ("nearest-exact", "bicubic"):
            continue
        step = n / o if factor is None or recompute_scale_factor else 1.0 / factor
        if mode in ("nearest", "nearest-exact"):
            x = _nearest(x, axis, o, step, 0.5 if mode == "nearest-exact" else 0.0)
        else:
            weights = _weights(n, o, step, align_corners is True, cubic=mode == "bicubic")
            x = along_axis(x, weights, axis)
    return x


def _new_sizes(
    before: Sequence[int], size: PerAxis | None, scale_factor: Factor | None
) -> tuple[tuple[int, ...], list[float | None]]:
    """The new sizes, and the factors if these are given."""
    if (size is None) == (scale_factor is None):
        raise ShapeError("interpolate: give either size or scale_factor")
    if size is not None:
        return per_axis("interpolate: size", size, len(before)), [None] * len(before)
    assert scale_factor is not None
    factors = [float(f) for f in scale_factor] if isinstance(scale_factor, Sequence) else [scale_factor] * len(before)
    if len(factors) != len(before) or not all(0 < f < float("inf") for f in factors):
        raise ShapeError(
            f"interpolate: scale_factor is one positive number, or one for each of {len(before)} axes, "
            f"not {scale_factor!r}"
        )
    return tuple(int(n * f) for n, f in zip(before, factors, strict=True)), list(factors)


def _nearest(x: Tensor, axis: int, size: int, step: float, shift: float) -> Tensor:
    """Elements taken from where floor((i + shift) step) says, in float32 as PyTorch does."""
    n = x.shape[axis]
    places = np.floor((np.arange(size, dtype=np.float32) + np.float32(shift)) * np.float32(step))
    found = np.minimum(places.astype(np.int64), n - 1)
    if size % n == 0 and np.array_equal(found, np.arange(size) // (size // n)):
        return ops.repeat(x, size // n, axis) if size > n else x
    return ops.take(x, found, axis)


def _weights(n: int, size: int, step: float, align_corners: bool, *, cubic: bool) -> Array:
    """[size, n]: how much each old element counts in each new one."""
    i = np.arange(size)
    if align_corners:
        places = i * ((n - 1) / (size - 1) if size > 1 else 0.0)
    else:
        places = (i + 0.5) * step - 0.5
        places = places if cubic else np.maximum(places, 0.0)
    first = np.floor(places).astype(np.int64) if cubic else np.minimum(np.floor(places).astype(np.int64), n - 1)
    after = places - first
    out = np.zeros((size, n))
    taps = zip((-1, 0, 1, 2), _cubic(after), strict=True) if cubic else ((0, 1.0 - after), (1, after))
    for away, weight in taps:
        np.add.at(out, (i, np.clip(first + away, 0, n - 1)), weight)
    return out


def _cubic(t: Array, a: float = -0.75) -> list[Array]:
    """The weights of four neighbours, t behind the second one."""

    def near(s: Array) -> Array:
        return ((a + 2) * s - (a + 3)) * s * s + 1

    def far(s: Array) -> Array:
        return ((a * s - 5 * a) * s + 8 * a) * s - 4 * a

    return [far(t + 1), near(t), near(1 - t), far(2 - t)]


def pixel_shuffle(x: TensorLike, upscale_factor: int) -> Tensor:
    """Channels moved into space: [..., C r^2, H, W] to [..., C, H r, W r], with r the factor. Shi et al., CVPR 2016.

        out[..., c, h r + i, w r + j] = x[..., c r^2 + i r + j, h, w]

    Raises `ShapeError` if there are not so many channels.

    >>> pixel_shuffle([[[1.0]], [[2.0]], [[3.0]], [[4.0]]], 2)
    tensor([[[1., 2.],
             [3., 4.]]], f32[1, 2, 2])
    """
    x, r = as_tensor(x), upscale_factor
    if x.ndim < 3 or r < 1 or x.shape[-3] % (r * r):
        raise ShapeError(f"pixel_shuffle: [..., channels, height, width] with {r}^2 c channels is needed, not {x.type}")
    *lead, channels, height, width = x.shape
    apart = x.reshape((*lead, channels // (r * r), r, r, height, width))
    n = len(lead)
    joined = apart.permute_dims((*range(n), n, n + 3, n + 1, n + 4, n + 2))
    return joined.reshape((*lead, channels // (r * r), height * r, width * r))


def pixel_unshuffle(x: TensorLike, downscale_factor: int) -> Tensor:
    """Space moved into channels, the inverse of `pixel_shuffle`: [..., C, H r, W r] to [..., C r^2, H, W].

    Raises `ShapeError` if sizes are no multiples of the factor.

    >>> pixel_unshuffle([[[1.0, 2.0], [3.0, 4.0]]], 2)
    tensor([[[1.]],
    <BLANKLINE>
            [[2.]],
    <BLANKLINE>
            [[3.]],
    <BLANKLINE>
            [[4.]]], f32[4, 1, 1])
    """
    x, r = as_tensor(x), downscale_factor
    if x.ndim < 3 or r < 1 or x.shape[-2] % r or x.shape[-1] % r:
        raise ShapeError(f"pixel_unshuffle: [..., channels, {r} h, {r} w] is needed, not {x.type}")
    *lead, channels, height, width = x.shape
    apart = x.reshape((*lead, channels, height // r, r, width // r, r))
    n = len(lead)
    joined = apart.permute_dims((*range(n), n, n + 2, n + 4, n + 1, n + 3))
    return joined.reshape((*lead, channels * r * r, height // r, width // r))


def channel_shuffle(x: TensorLike, groups: int) -> Tensor:
    """Channels of groups mixed: the first of each group, then the second of each, ... Zhang et al., CVPR 2018.

    Shapes: [batch, channels, *sizes] to the same. Raises `ShapeError` if channels cannot be split into the groups.

    >>> channel_shuffle([[1, 2, 3, 4]], 2)
    tensor([[1, 3, 2, 4]], i64[1, 4])
    """
    x = as_tensor(x)
    if x.ndim < 2 or groups < 1 or x.shape[1] % groups:
        raise ShapeError(f"channel_shuffle: channels of {x.type} cannot be split into {groups} groups")
    apart = x.reshape((x.shape[0], groups, x.shape[1] // groups, *x.shape[2:]))
    return ops.moveaxis(apart, 1, 2).reshape(x.shape)
