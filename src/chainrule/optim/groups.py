"""Groups of parameters: what they are trained with, checked whenever it is set.

A number among the options is a constant of compiled steps, and when it is set they are compiled anew. A tensor among
them is read by each step, and can be set as often as one likes; the learning rate always is one.
"""

from __future__ import annotations

from collections import UserDict
from collections.abc import Callable, Mapping, Sequence
from math import inf
from typing import Any, TypeAlias, cast

from chainrule.errors import DefinitionError
from chainrule.nn.checks import number
from chainrule.state import current_tracing
from chainrule.tensor import Tensor, as_tensor, tensor
from chainrule.types import DType, float64

Check: TypeAlias = Callable[[str, Any], Any]
"""(name, value) -> the value as it is kept; raises `DefinitionError` for a wrong one."""

Checks: TypeAlias = Mapping[str, "Check | list[Check]"]
"""How the options of an optimizer are checked; a list of checks is for the elements of a tuple."""


def at_least(low: float = -inf, high: float = inf, *, below: float = inf) -> Check:
    """The check of a number in a range."""
    return lambda name, value: number(name, value, low, high, below=below)


def flag(name: str, value: Any) -> bool:
    """The check of a truth value."""
    if not isinstance(value, bool):
        raise DefinitionError(f"{name} must be True or False, not {value!r}")
    return value


def one_of(*allowed: Any) -> Check:
    """The check of a choice."""

    def check(name: str, value: Any) -> Any:
        if value not in allowed:
            raise DefinitionError(f"{name} must be one of {', '.join(map(repr, allowed))}, not {value!r}")
        return value

    return check


BETAS: list[Check] = [at_least(0.0, below=1.0), at_least(0.0, below=1.0)]
"""The checks of two shares that running averages keep."""


class Group(UserDict[str, Any]):
    """Parameters and the options they are trained with: a dict with the keys "params", "lr" and those of the optimizer.

    Setting an option checks it. Own keys may be added; what is in them is the user's affair.

    >>> from chainrule.optim.sgd import SGD
    >>> group = SGD([tensor(1.0, requires_grad=True)], lr=0.1).param_groups[0]
    >>> group["lr"] = group["lr"] * 0.5
    >>> group["lr"], group["momentum"]
    (tensor(0.05, f64[]), 0.0)
    """

    def __init__(self, values: Mapping[str, Any], checks: Checks, changed: Callable[[Group], None]) -> None:
        super().__init__()
        self.checks = checks
        self.changed = changed
        for name, value in values.items():
            self.data[name] = _placed(name, None, self._checked(name, value))

    def __setitem__(self, name: str, value: Any) -> None:
        if name == "params":
            raise DefinitionError("the parameters of a group stay as they are; add_param_group takes further ones")
        old = self.data.get(name)
        new = _placed(name, old, self._checked(name, value))
        if name not in self.checks:
            self.data[name] = new
        elif not _same(old, new):
            self.data[name] = new
            try:
                self.changed(self)
            except DefinitionError:
                self.data[name] = old
                raise

    def _checked(self, name: str, value: Any) -> Any:
        check = self.checks.get(name)
        if check is None or callable(check):
            return value if check is None else _check(name, value, check)
        parts = cast("Sequence[Any]", value) if isinstance(value, (tuple, list)) else ()
        if len(parts) != len(check):
            raise DefinitionError(f"{name} must be {len(check)} numbers, not {value!r}")
        pairs = enumerate(zip(parts, check, strict=True))
        return tuple(_check(part_name(name, i), x, part) for i, (x, part) in pairs)

    def vary(self, name: str, position: int | None = None) -> None:
        """Make a number a tensor, so that compiled steps can set it: an option, or an element of a tuple."""
        value = self.data[name]
        held = value if position is None else value[position]
        if isinstance(held, Tensor):
            return
        label = name if position is None else part_name(name, position)
        made = tensor(held, float64, name=label)
        self.data[name] = made if position is None else (*value[:position], made, *value[position + 1 :])
        self.changed(self)

    def tensors(self) -> dict[str, Tensor]:
        """The options that are tensors, by name."""
        found: dict[str, Tensor] = {}
        for name in self.checks:
            value = self.data[name]
            if isinstance(value, Tensor):
                found[name] = value
            elif isinstance(value, tuple):
                parts = enumerate(cast("tuple[Any, ...]", value))
                found |= {part_name(name, i): x for i, x in parts if isinstance(x, Tensor)}
        return found


def part_name(name: str, position: int) -> str:
    """What an element of an option is called: beta1 and beta2 are in betas."""
    return f"{name.removesuffix('s')}{position + 1}"


def in_use(value: float | Tensor) -> bool:
    """Whether an option is not zero, or a tensor and so may be anything."""
    return isinstance(value, Tensor) or value != 0.0


def as_type(value: float | Tensor, dtype: DType) -> float | Tensor:
    """An option as a factor of tensors of a type."""
    return value.cast(dtype) if isinstance(value, Tensor) else value


def _check(name: str, value: Any, check: Check) -> Any:
    """The value as it is kept; a tensor's is looked at where it is known."""
    if not isinstance(value, Tensor):
        return check(name, value)
    if value.value is not None and current_tracing() in (None, value.tracing):
        check(name, value)
    return value


def _placed(name: str, held: Any, value: Any) -> Any:
    """What to keep: a tensor that is held gets the new value."""
    if isinstance(value, tuple):
        parts = cast("tuple[Any, ...]", value)
        olds = cast("tuple[Any, ...]", held) if isinstance(held, tuple) else (None,) * len(parts)
        pairs = enumerate(zip(olds, parts, strict=False))
        return tuple(_placed(part_name(name, i), old, new) for i, (old, new) in pairs)
    if isinstance(held, Tensor):
        held.assign(as_tensor(value, float64).cast(float64))
        return held
    if not isinstance(value, Tensor):
        return value
    if current_tracing() is not None:
        raise DefinitionError(
            f"{name} is a number and a constant of compiled functions; if they are to set it, give the optimizer a "
            f"tensor from the start, {name}=chainrule.tensor(...)"
        )
    return tensor(value, float64, name=name)


def _same(old: Any, new: Any) -> bool:
    """Whether an option is what it was, a tensor being the same one."""
    if isinstance(old, tuple) and isinstance(new, tuple):
        pairs = zip(cast("tuple[Any, ...]", old), cast("tuple[Any, ...]", new), strict=False)
        return all(_same(a, b) for a, b in pairs)
    return old is new or (not isinstance(old, Tensor) and not isinstance(new, Tensor) and old == new)
