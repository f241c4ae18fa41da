"""Operators and methods of a tensor. Each reaches its operation by name: a tensor need not know the operations."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, cast

from chainrule.errors import GradientError, IndexingError
from chainrule.op import FUNCTIONS
from chainrule.state import current

if TYPE_CHECKING:
    from chainrule.tensor import Tensor, TensorLike
    from chainrule.types import DTypeLike


class Operators:
    """Base of `Tensor`: what can be written with operators and methods instead of functions."""

    __slots__ = ()

    def __add__(self, other: TensorLike) -> Tensor:
        return FUNCTIONS["add"](self, other)

    def __radd__(self, other: TensorLike) -> Tensor:
        return FUNCTIONS["add"](other, self)

    def __sub__(self, other: TensorLike) -> Tensor:
        return FUNCTIONS["subtract"](self, other)

    def __rsub__(self, other: TensorLike) -> Tensor:
        return FUNCTIONS["subtract"](other, self)

    def __mul__(self, other: TensorLike) -> Tensor:
        return FUNCTIONS["multiply"](self, other)

    def __rmul__(self, other: TensorLike) -> Tensor:
        return FUNCTIONS["multiply"](other, self)

    def __truediv__(self, other: TensorLike) -> Tensor:
        return FUNCTIONS["divide"](self, other)

    def __rtruediv__(self, other: TensorLike) -> Tensor:
        return FUNCTIONS["divide"](other, self)

    def __floordiv__(self, other: TensorLike) -> Tensor:
        return FUNCTIONS["floor_divide"](self, other)

    def __rfloordiv__(self, other: TensorLike) -> Tensor:
        return FUNCTIONS["floor_divide"](other, self)

    def __mod__(self, other: TensorLike) -> Tensor:
        return FUNCTIONS["remainder"](self, other)

    def __rmod__(self, other: TensorLike) -> Tensor:
        return FUNCTIONS["remainder"](other, self)

    def __pow__(self, other: TensorLike) -> Tensor:
        return FUNCTIONS["power"](self, other)

    def __rpow__(self, other: TensorLike) -> Tensor:
        return FUNCTIONS["power"](other, self)

    def __matmul__(self, other: TensorLike) -> Tensor:
        return FUNCTIONS["matmul"](self, other)

    def __rmatmul__(self, other: TensorLike) -> Tensor:
        return FUNCTIONS["matmul"](other, self)

    def __iadd__(self, other: TensorLike) -> Tensor:
        return self._changed_to(FUNCTIONS["add"](self, other))

    def __isub__(self, other: TensorLike) -> Tensor:
        return self._changed_to(FUNCTIONS["subtract"](self, other))

    def __imul__(self, other: TensorLike) -> Tensor:
        return self._changed_to(FUNCTIONS["multiply"](self, other))

    def __itruediv__(self, other: TensorLike) -> Tensor:
        return self._changed_to(FUNCTIONS["divide"](self, other))

    def _changed_to(self, new: Tensor) -> Tensor:
        """What `x -= y` makes of x: a new tensor, but where nothing is recorded a parameter changes itself."""
        x = cast("Tensor", self)
        if not x.requires_grad or x.op is not None:
            return new
        if not current.recording:
            x.assign(new)
            return x
        if x.grad is not None:
            raise GradientError(
                "`w -= step` would make a new tensor and leave the parameter as it is: do it `with no_grad():`, "
                "or write w.assign(w - step)"
            )
        return new

    def __lt__(self, other: TensorLike) -> Tensor:
        return FUNCTIONS["less"](self, other)

    def __le__(self, other: TensorLike) -> Tensor:
        return FUNCTIONS["less_equal"](self, other)

    def __gt__(self, other: TensorLike) -> Tensor:
        return FUNCTIONS["greater"](self, other)

    def __ge__(self, other: TensorLike) -> Tensor:
        return FUNCTIONS["greater_equal"](self, other)

    def __eq__(self, other: TensorLike | str | None) -> Tensor:  # pyright: ignore[reportIncompatibleMethodOverride]
        if other is None or isinstance(other, str):
            return NotImplemented  # no tensor equals them, which Python finds out by itself
        return FUNCTIONS["equal"](self, other)

    def __ne__(self, other: TensorLike | str | None) -> Tensor:  # pyright: ignore[reportIncompatibleMethodOverride]
        if other is None or isinstance(other, str):
            return NotImplemented
        return FUNCTIONS["not_equal"](self, other)

    def __and__(self, other: TensorLike) -> Tensor:
        return FUNCTIONS["logical_and"](self, other)

    def __or__(self, other: TensorLike) -> Tensor:
        return FUNCTIONS["logical_or"](self, other)

    def __xor__(self, other: TensorLike) -> Tensor:
        return FUNCTIONS["logical_xor"](self, other)

    def __neg__(self) -> Tensor:
        return FUNCTIONS["negative"](self)

    def __abs__(self) -> Tensor:
        return FUNCTIONS["abs"](self)

    def __invert__(self) -> Tensor:
        return FUNCTIONS["logical_not"](self)

    def __pos__(self) -> Tensor:
        return self  # pyright: ignore[reportReturnType]

    def __getitem__(self, key: Any) -> Tensor:
        return FUNCTIONS["getitem"](self, key)

    def __setitem__(self, key: Any, value: Any) -> None:
        raise IndexingError(
            "x[key] = value: tensors are never changed in place; make a new one with `where`, `scatter_add` or "
            "`concat`, or give x a new value as a whole with x.assign(...)"
        )

    @property
    def T(self) -> Tensor:
        """The transpose of a matrix: its two axes swapped."""
        return FUNCTIONS["matrix_transpose"](self, ndim=2)

    @property
    def mT(self) -> Tensor:
        """The last two axes swapped."""
        return FUNCTIONS["matrix_transpose"](self)

    def sum(self, axis: int | Sequence[int] | None = None, *, keepdims: bool = False) -> Tensor:
        """Sum over axes."""
        return FUNCTIONS["sum"](self, axis, keepdims=keepdims)

    def mean(self, axis: int | Sequence[int] | None = None, *, keepdims: bool = False) -> Tensor:
        """Mean over axes."""
        return FUNCTIONS["mean"](self, axis, keepdims=keepdims)

    def prod(self, axis: int | Sequence[int] | None = None, *, keepdims: bool = False) -> Tensor:
        """Product over axes."""
        return FUNCTIONS["prod"](self, axis, keepdims=keepdims)

    def max(self, axis: int | Sequence[int] | None = None, *, keepdims: bool = False) -> Tensor:
        """Largest element over axes."""
        return FUNCTIONS["max"](self, axis, keepdims=keepdims)

    def min(self, axis: int | Sequence[int] | None = None, *, keepdims: bool = False) -> Tensor:
        """Smallest element over axes."""
        return FUNCTIONS["min"](self, axis, keepdims=keepdims)

    def all(self, axis: int | Sequence[int] | None = None, *, keepdims: bool = False) -> Tensor:
        """Whether all elements over axes are true."""
        return FUNCTIONS["all"](self, axis, keepdims=keepdims)

    def any(self, axis: int | Sequence[int] | None = None, *, keepdims: bool = False) -> Tensor:
        """Whether any element over axes is true."""
        return FUNCTIONS["any"](self, axis, keepdims=keepdims)

    def logsumexp(self, axis: int | Sequence[int] | None = None, *, keepdims: bool = False) -> Tensor:
        """log(sum(exp(x))) over axes."""
        return FUNCTIONS["logsumexp"](self, axis, keepdims=keepdims)

    def var(
        self, axis: int | Sequence[int] | None = None, *, keepdims: bool = False, correction: float = 0.0
    ) -> Tensor:
        """Variance over axes."""
        return FUNCTIONS["var"](self, axis, keepdims=keepdims, correction=correction)

    def std(
        self, axis: int | Sequence[int] | None = None, *, keepdims: bool = False, correction: float = 0.0
    ) -> Tensor:
        """Standard deviation over axes."""
        return FUNCTIONS["std"](self, axis, keepdims=keepdims, correction=correction)

    def argmax(self, axis: int | None = None, *, keepdims: bool = False) -> Tensor:
        """Index of the largest element."""
        return FUNCTIONS["argmax"](self, axis, keepdims=keepdims)

    def argmin(self, axis: int | None = None, *, keepdims: bool = False) -> Tensor:
        """Index of the smallest element."""
        return FUNCTIONS["argmin"](self, axis, keepdims=keepdims)

    def reshape(self, *shape: int | Sequence[int]) -> Tensor:
        """The same elements in another shape; one size may be -1."""
        return FUNCTIONS["reshape"](self, shape[0] if len(shape) == 1 and not isinstance(shape[0], int) else shape)

    def permute_dims(self, *axes: int | Sequence[int]) -> Tensor:
        """The axes in another order."""
        return FUNCTIONS["permute_dims"](self, axes[0] if len(axes) == 1 and not isinstance(axes[0], int) else axes)

    def squeeze(self, axis: int | Sequence[int] | None = None) -> Tensor:
        """Without axes of size one."""
        return FUNCTIONS["squeeze"](self, axis)

    def expand_dims(self, axis: int | Sequence[int]) -> Tensor:
        """With new axes of size one."""
        return FUNCTIONS["expand_dims"](self, axis)

    def flatten(self, start: int = 0, end: int = -1) -> Tensor:
        """The axes from `start` to `end`, both included, merged into one."""
        return FUNCTIONS["flatten"](self, start, end)

    def broadcast_to(self, shape: Sequence[int]) -> Tensor:
        """Repeated along new axes and axes of size one."""
        return FUNCTIONS["broadcast_to"](self, shape)

    def cast(self, dtype: DTypeLike) -> Tensor:
        """The same values in another data type."""
        return FUNCTIONS["cast"](self, dtype)

    def clip(self, min: TensorLike | None = None, max: TensorLike | None = None) -> Tensor:
        """Values below `min` raised to it, values above `max` lowered to it."""
        return FUNCTIONS["clip"](self, min, max)

    def detach(self) -> Tensor:
        """The same value as a constant: no gradient flows through."""
        return FUNCTIONS["stop_gradient"](self)

    def backward(self, gradient: TensorLike | None = None, *, retain_graph: bool = False) -> None:
        """Fill `.grad` of all leaves that require a gradient; see `chainrule.backward`."""
        FUNCTIONS["backward"](self, gradient, retain_graph=retain_graph)

    def exp(self) -> Tensor:
        """e to the power of each element."""
        return FUNCTIONS["exp"](self)

    def log(self) -> Tensor:
        """Natural logarithm of each element."""
        return FUNCTIONS["log"](self)

    def sqrt(self) -> Tensor:
        """Square root of each element."""
        return FUNCTIONS["sqrt"](self)

    def abs(self) -> Tensor:
        """Absolute value of each element."""
        return FUNCTIONS["abs"](self)

    def tanh(self) -> Tensor:
        """Hyperbolic tangent of each element."""
        return FUNCTIONS["tanh"](self)

    def sigmoid(self) -> Tensor:
        """1 / (1 + exp(-x)) of each element."""
        return FUNCTIONS["sigmoid"](self)

    def square(self) -> Tensor:
        """Square of each element."""
        return FUNCTIONS["square"](self)

    def sin(self) -> Tensor:
        """Sine of each element."""
        return FUNCTIONS["sin"](self)

    def cos(self) -> Tensor:
        """Cosine of each element."""
        return FUNCTIONS["cos"](self)
