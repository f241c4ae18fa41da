"""Layers that add elements at the ends of the last axes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, TypeAlias

from chainrule.errors import DefinitionError, ShapeError
from chainrule.nn.functional.padding import pad
from chainrule.nn.module import Module
from chainrule.tensor import Tensor, TensorLike, as_tensor
from chainrule.types import Shape

Widths: TypeAlias = int | Sequence[int]


class _Pad(Module):
    """Elements added at the ends of the last axes; subclasses say of how many, and which elements.

    Args:
        padding: how many elements, one number for all sides, or (before, after) of the last axis, then of the one
            before it, and so on. Negative numbers take away.

    Raises `DefinitionError` for another number of widths, `ShapeError` for an input that has not one or two axes more,
    or too few elements.
    """

    axes: int = 0
    mode: Literal["constant", "reflect", "replicate", "circular"] = "constant"
    value: float | None = None

    def __init__(self, padding: Widths) -> None:
        given = padding if isinstance(padding, Sequence) else [padding] * (2 * self.axes)
        if len(given) != 2 * self.axes or not all(hasattr(n, "__index__") for n in given):
            raise DefinitionError(
                f"{type(self).__name__}: padding is one whole number, or {2 * self.axes} of them, (before, after) of "
                f"each axis with the last one first, not {padding!r}"
            )
        self.padding: Shape = tuple(given)

    def forward(self, x: TensorLike) -> Tensor:
        """x with more elements, or fewer."""
        x = as_tensor(x)
        if x.ndim not in (self.axes + 1, self.axes + 2):
            raise ShapeError(
                f"{self.describe()}: an input of {self.axes + 1} or {self.axes + 2} axes is needed, not {x.type}"
            )
        return pad(x, self.padding, self.mode, self.value)

    def options(self) -> str:
        return str(self.padding[0] if len(set(self.padding)) == 1 else self.padding)


class _ConstantPad(_Pad):
    """Padding with a value."""

    def __init__(self, padding: Widths, value: float) -> None:
        super().__init__(padding)
        self.value = float(value)

    def options(self) -> str:
        return f"{super().options()}, {self.value:g}"


class ConstantPad1d(_ConstantPad):
    """A value around the last axis.

    >>> ConstantPad1d((1, 2), 9)([[1.0, 2.0]])
    tensor([[9., 1., 2., 9., 9.]], f32[1, 5])
    """

    axes = 1


class ConstantPad2d(_ConstantPad):
    """A value around the last two axes; padding is (left, right, top, bottom).

    >>> ConstantPad2d((1, 0, 0, 1), 9)([[[1.0, 2.0]]])
    tensor([[[9., 1., 2.],
             [9., 9., 9.]]], f32[1, 2, 3])
    """

    axes = 2


class ConstantPad3d(_ConstantPad):
    """A value around the last three axes.

    >>> ConstantPad3d(1, 9)([[[[1.0]]]]).shape
    (1, 3, 3, 3)
    """

    axes = 3


class ZeroPad1d(_Pad):
    """Zeros around the last axis.

    >>> ZeroPad1d((1, 2))([[1.0, 2.0]])
    tensor([[0., 1., 2., 0., 0.]], f32[1, 5])
    """

    axes = 1


class ZeroPad2d(_Pad):
    """Zeros around the last two axes; padding is (left, right, top, bottom).

    >>> ZeroPad2d((1, 0, 0, 1))([[[1.0, 2.0]]])
    tensor([[[0., 1., 2.],
             [0., 0., 0.]]], f32[1, 2, 3])
    """

    axes = 2


class ZeroPad3d(_Pad):
    """Zeros around the last three axes.

    >>> ZeroPad3d(1)([[[[1.0]]]]).shape
    (1, 3, 3, 3)
    """

    axes = 3


class ReflectionPad1d(_Pad):
    """The last axis mirrored at its outermost elements, which are not repeated.

    >>> ReflectionPad1d(2)([[1.0, 2.0, 3.0]])
    tensor([[3., 2., 1., 2., 3., 2., 1.]], f32[1, 7])
    """

    axes = 1
    mode = "reflect"


class ReflectionPad2d(_Pad):
    """The last two axes mirrored at their outermost elements; padding is (left, right, top, bottom).

    >>> ReflectionPad2d((1, 0, 1, 0))([[[1.0, 2.0], [3.0, 4.0]]])
    tensor([[[4., 3., 4.],
             [2., 1., 2.],
             [4., 3., 4.]]], f32[1, 3, 3])
    """

    axes = 2
    mode = "reflect"


class ReflectionPad3d(_Pad):
    """The last three axes mirrored at their outermost elements.

    >>> ReflectionPad3d(1)([[[[1.0, 2.0], [3.0, 4.0]], [[5.0, 6.0], [7.0, 8.0]]]]).shape
    (1, 4, 4, 4)
    """

    axes = 3
    mode = "reflect"


class ReplicationPad1d(_Pad):
    """The outermost elements of the last axis repeated.

    >>> ReplicationPad1d(2)([[1.0, 2.0, 3.0]])
    tensor([[1., 1., 1., 2., 3., 3., 3.]], f32[1, 7])
    """

    axes = 1
    mode = "replicate"


class ReplicationPad2d(_Pad):
    """The outermost elements of the last two axes repeated; padding is (left, right, top, bottom).

    >>> ReplicationPad2d((1, 0, 1, 0))([[[1.0, 2.0], [3.0, 4.0]]])
    tensor([[[1., 1., 2.],
             [1., 1., 2.],
             [3., 3., 4.]]], f32[1, 3, 3])
    """

    axes = 2
    mode = "replicate"


class ReplicationPad3d(_Pad):
    """The outermost elements of the last three axes repeated.

    >>> ReplicationPad3d(1)([[[[1.0]]]]).shape
    (1, 3, 3, 3)
    """

    axes = 3
    mode = "replicate"


class CircularPad1d(_Pad):
    """The last axis gone on with at its other end.

    >>> CircularPad1d(2)([[1.0, 2.0, 3.0]])
    tensor([[2., 3., 1., 2., 3., 1., 2.]], f32[1, 7])
    """

    axes = 1
    mode = "circular"


class CircularPad2d(_Pad):
    """The last two axes gone on with at their other ends; padding is (left, right, top, bottom).

    >>> CircularPad2d((1, 0, 1, 0))([[[1.0, 2.0], [3.0, 4.0]]])
    tensor([[[4., 3., 4.],
             [2., 1., 2.],
             [4., 3., 4.]]], f32[1, 3, 3])
    """

    axes = 2
    mode = "circular"


class CircularPad3d(_Pad):
    """The last three axes gone on with at their other ends.

    >>> CircularPad3d(1)([[[[1.0]]]]).shape
    (1, 3, 3, 3)
    """

    axes = 3
    mode = "circular"
