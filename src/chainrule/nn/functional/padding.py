"""Elements added at the ends of the last axes."""

from __future__ import annotations

from collections.abc import Sequence
from operator import index
from typing import Literal

from chainrule import ops
from chainrule.errors import ShapeError
from chainrule.tensor import Tensor, TensorLike, as_tensor

_MODES: dict[str, Literal["constant", "reflect", "edge", "wrap"]] = {
    "constant": "constant",
    "reflect": "reflect",
    "replicate": "edge",
    "circular": "wrap",
}


def pad(
    x: TensorLike,
    pad: Sequence[int],
    mode: Literal["constant", "reflect", "replicate", "circular"] = "constant",
    value: float | None = None,
) -> Tensor:
    """Elements added before and after the last axes, or taken away where a number is negative.

    Args:
        x: a tensor.
        pad: (before, after) of the last axis, then of the one before it, and so on: (left, right, top, bottom) pads
            images. `ops.pad` takes axes from the first one on.
        mode: what the new elements are: "constant", a value; "reflect", mirrored at the outermost element, which is not
            repeated; "replicate", that element; "circular", what stands at the other end.
        value: of the mode "constant"; 0 where it is not given.

    Raises `ShapeError` for an odd number of widths, for more than there are axes, for more elements than the mode can
    take from an axis, or more taken away than there are.

    >>> pad([[1, 2, 3]], (2, 1), mode="circular")
    tensor([[2, 3, 1, 2, 3, 1]], i64[1, 6])
    >>> pad([[1, 2, 3]], (-1, 0, 0, 1), value=9)
    tensor([[2, 3],
            [9, 9]], i64[2, 2])
    """
    x, widths = as_tensor(x), [index(n) for n in pad]
    if len(widths) % 2 or len(widths) > 2 * x.ndim:
        raise ShapeError(f"pad: (before, after) are needed for some of the last axes of {x.type}, not {widths}")
    if mode not in _MODES:
        raise ShapeError(f"pad: the modes are {', '.join(_MODES)}, not {mode!r}")
    if value is not None and mode != "constant":
        raise ShapeError(f"pad: a value is for the mode 'constant', not for {mode!r}")
    pairs = [(0, 0)] * (x.ndim - len(widths) // 2) + list(zip(widths[::2], widths[1::2], strict=True))[::-1]
    if mode == "circular":  # what is taken away does not come in at the other end
        x, pairs = _cut(x, pairs), [(max(low, 0), max(high, 0)) for low, high in pairs]
    added = [(max(low, 0), max(high, 0)) for low, high in pairs]
    return _cut(ops.pad(x, added, 0.0 if value is None else value, mode=_MODES[mode]), pairs)


def _cut(x: Tensor, pairs: Sequence[tuple[int, int]]) -> Tensor:
    """The tensor without what negative widths take away."""
    start = [max(-low, 0) for low, _ in pairs]
    size = [n - first - max(-high, 0) for n, first, (_, high) in zip(x.shape, start, pairs, strict=True)]
    if min(size, default=0) < 0:
        raise ShapeError(f"pad: {[list(pair) for pair in pairs]} take more from {x.type} than there is")
    return ops.slice(x, start, size)
