"""Activations that are made of straight lines, as modules; see `nn.functional`."""

from __future__ import annotations

from chainrule.errors import DefinitionError
from chainrule.nn import functional
from chainrule.nn.checks import number
from chainrule.nn.module import Module
from chainrule.tensor import Tensor, TensorLike


class Hardtanh(Module):
    """x between two bounds, else the nearer bound."""

    def __init__(self, min_val: float = -1.0, max_val: float = 1.0) -> None:
        if not min_val < max_val:
            raise DefinitionError(f"Hardtanh: min_val must be less than max_val, not {min_val} and {max_val}")
        self.min_val = min_val
        self.max_val = max_val

    def forward(self, x: TensorLike) -> Tensor:
        """x, clipped."""
        return functional.hardtanh(x, self.min_val, self.max_val)

    def options(self) -> str:
        return "" if (self.min_val, self.max_val) == (-1.0, 1.0) else f"{self.min_val:g}, {self.max_val:g}"


class ReLU6(Module):
    """x between 0 and 6, else the nearer bound."""

    def forward(self, x: TensorLike) -> Tensor:
        """x, clipped."""
        return functional.relu6(x)


class Hardsigmoid(Module):
    """relu6(x + 3) / 6."""

    def forward(self, x: TensorLike) -> Tensor:
        """relu6(x + 3) / 6."""
        return functional.hardsigmoid(x)


class Hardswish(Module):
    """x relu6(x + 3) / 6."""

    def forward(self, x: TensorLike) -> Tensor:
        """x relu6(x + 3) / 6."""
        return functional.hardswish(x)


class Threshold(Module):
    """x where it is above `threshold`, else `value`."""

    def __init__(self, threshold: float, value: float) -> None:
        self.threshold = number("threshold", threshold)
        self.value = number("value", value)

    def forward(self, x: TensorLike) -> Tensor:
        """x, or the value."""
        return functional.threshold(x, self.threshold, self.value)

    def options(self) -> str:
        return f"{self.threshold:g}, {self.value:g}"


class Hardshrink(Module):
    """x, but 0 from -`lambd` to `lambd`."""

    def __init__(self, lambd: float = 0.5) -> None:
        self.lambd = number("lambd", lambd)

    def forward(self, x: TensorLike) -> Tensor:
        """x, shrunk."""
        return functional.hardshrink(x, self.lambd)

    def options(self) -> str:
        return f"{self.lambd:g}"


class Softshrink(Module):
    """x moved by `lambd` towards 0, and 0 from -`lambd` to `lambd`."""

    def __init__(self, lambd: float = 0.5) -> None:
        self.lambd = number("lambd", lambd, 0.0)

    def forward(self, x: TensorLike) -> Tensor:
        """x, shrunk."""
        return functional.softshrink(x, self.lambd)

    def options(self) -> str:
        return f"{self.lambd:g}"
