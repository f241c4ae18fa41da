"""Checks of the arguments that layers and optimizers are made with."""

from __future__ import annotations

from collections.abc import Sequence
from math import inf, isfinite
from typing import Any

from chainrule.errors import DefinitionError


def whole(name: str, value: Any, least: int = 1) -> int:
    """The value, if it is a whole number of at least `least`; else a `DefinitionError`.

    >>> whole("in_features", 0)
    Traceback (most recent call last):
    chainrule.errors.DefinitionError: in_features must be a whole number of at least 1, not 0
    """
    if isinstance(value, bool) or not hasattr(value, "__index__") or value < least:
        raise DefinitionError(f"{name} must be a whole number of at least {least}, not {value!r}")
    return int(value)


def wholes(name: str, value: Any, count: int, least: int = 1) -> tuple[int, ...]:
    """`count` whole numbers of at least `least`, from so many or from one that stands for all.

    >>> wholes("kernel_size", 3, 2)
    (3, 3)
    >>> wholes("stride", (1, 0), 2)
    Traceback (most recent call last):
    chainrule.errors.DefinitionError: stride must be a whole number of at least 1, not 0
    """
    given: Sequence[Any] = value if isinstance(value, Sequence) else (value,) * count  # pyright: ignore[reportUnknownVariableType]
    if len(given) != count or isinstance(value, str):
        raise DefinitionError(f"{name} is one whole number, or one for each of {count} axes, not {value!r}")
    return tuple(whole(name, n, least) for n in given)


def written(*values: Any, **options: tuple[Any, Any]) -> str:
    """Arguments as they are written in code: values, and those options, given with their defaults, that differ.

    Equal numbers for all axes are written once.

    >>> written(3, (5, 5), stride=((2, 1), 1), padding=((0, 0), 0))
    '3, 5, stride=(2, 1)'
    """

    def once(value: Any) -> Any:
        return value[0] if type(value) is tuple and len(set(value)) == 1 else value  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]

    named = [f"{name}={once(value)!r}" for name, (value, default) in options.items() if once(value) != once(default)]
    return ", ".join([*(repr(once(value)) for value in values), *named])


def number(name: str, value: Any, low: float = -inf, high: float = inf, *, below: float = inf) -> float:
    """The value as a float, if it is finite, from `low` to `high` and less than `below`; else a `DefinitionError`.

    >>> number("alpha", 1.0, 0.0, below=1.0)
    Traceback (most recent call last):
    chainrule.errors.DefinitionError: alpha must be a number of at least 0 and below 1, not 1.0
    """
    try:
        found = float(value)
        fits = isfinite(found) and low <= found <= high and found < below
    except (TypeError, ValueError):
        found, fits = 0.0, False
    if not fits:
        limits = (
            [f"of at least {low:g}"] * (low > -inf)
            + [f"at most {high:g}"] * (high < inf)
            + [f"below {below:g}"] * (below < inf)
        )
        raise DefinitionError(
            f"{name} must be a {'' if limits else 'finite '}number {' and '.join(limits)}".rstrip() + f", not {value!r}"
        )
    return found
