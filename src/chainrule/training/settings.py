"""What can be chosen about a training on a table, and what is chosen where nothing is said."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, cast

import numpy as np

from chainrule import optim
from chainrule.data.schema import Task
from chainrule.errors import DefinitionError

OPTIMIZERS: dict[str, Callable[..., optim.Optimizer]] = {
    "adagrad": optim.Adagrad,
    "adam": optim.Adam,
    "adamw": optim.AdamW,
    "rmsprop": optim.RMSprop,
    "sgd": partial(optim.SGD, momentum=0.9, nesterov=True),
}

FEW_ROWS = 1000
"""Training rows below which a quantity is learned by a smaller network with more dropout."""


@dataclass(frozen=True)
class Settings:
    """What can be chosen about a training on a table.

    Attributes:
        hidden: widths of the hidden layers; by default two layers as wide as the features ask for, and one for a
            quantity to be learned from fewer than 1,000 rows.
        epochs: most passes over the training rows.
        lr: learning rate.
        batch_size: rows of an update; by default 32, and more for large tables.
        optimizer: one of "adam", "adamw", "sgd" (Nesterov momentum 0.9), "rmsprop", "adagrad".
        dropout: share of hidden units that are dropped in training; by default 0.1, and 0.3 for such a quantity.
        label_smoothing: share of a class's probability that the loss hands to all classes; keeps small tables from
            being learned by heart (Szegedy et al., "Rethinking the Inception architecture", CVPR 2016).
        patience: epochs without a better validation loss after which training stops.
        time_limit: most seconds, or None.
        seed: of the split, the first weights, dropout and the order of the rows.

    Raises `DefinitionError` for a value that cannot be.

    >>> Settings(hidden=(64,), lr=0.01).lr
    0.01
    """

    hidden: tuple[int, ...] | None = None
    epochs: int = 200
    lr: float = 1e-3
    batch_size: int | None = None
    optimizer: str = "adam"
    dropout: float | None = None
    label_smoothing: float = 0.05
    patience: int = 20
    time_limit: float | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        widths = cast("tuple[Any, ...]", () if self.hidden is None else self.hidden)
        batch = 1 if self.batch_size is None else self.batch_size
        limit = 1.0 if self.time_limit is None else self.time_limit
        dropout = 0.0 if self.dropout is None else self.dropout
        wrong = [
            ("hidden", type(widths) is not tuple or not all(map(is_count, widths)), "a tuple of widths from 1"),
            ("epochs", not is_count(self.epochs), "a whole number from 1"),
            ("lr", not is_rate(self.lr), "a positive number"),
            ("batch_size", not is_count(batch), "a whole number from 1"),
            ("optimizer", self.optimizer not in OPTIMIZERS, f"one of {', '.join(sorted(OPTIMIZERS))}"),
            ("dropout", not is_share(dropout), "in [0, 1)"),
            ("label_smoothing", not is_share(self.label_smoothing), "in [0, 1)"),
            ("patience", not is_count(self.patience), "a whole number from 1"),
            ("time_limit", not (is_number(limit) and limit > 0), "more than 0 seconds"),
            ("seed", not is_seed(self.seed), "from 0 to 2^63 - 1"),
        ]
        refuse(self, wrong)


def settle(settings: Settings, task: Task, rows: int, features: int) -> Settings:
    """The settings with a number in every place: widths of 32 to 256 by the features, batches likewise by the rows.

    A quantity is noisier than a class: with few rows, a smaller network that forgets more finds more of it.
    """
    few = task == "regression" and rows < FEW_ROWS
    width = min(max(32, 2 ** int(np.ceil(np.log2(2 * features)))), 256)
    batch = min(max(32, 2 ** int(np.log2(max(rows, 1) / 100 + 1))), 256)
    hidden = ((width,) if few else (width, width)) if settings.hidden is None else settings.hidden
    dropout = (0.3 if few else 0.1) if settings.dropout is None else settings.dropout
    return replace(settings, hidden=hidden, dropout=dropout, batch_size=settings.batch_size or batch)


def refuse(settings: object, wrong: Iterable[tuple[str, bool, str]]) -> None:
    """Raise a `DefinitionError` about the first setting that is wrong: its name, whether it is, and what is allowed."""
    for name, bad, allowed in wrong:
        if bad:
            raise DefinitionError(f"{name} must be {allowed}, not {getattr(settings, name)!r}")


def is_count(value: object) -> bool:
    """Whether it is a whole number of at least 1."""
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1


def is_number(value: object) -> bool:
    """Whether it is a number."""
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def is_share(value: object) -> bool:
    """Whether it is a number in [0, 1)."""
    return is_number(value) and 0 <= cast(float, value) < 1


def is_rate(value: object) -> bool:
    """Whether it is a positive number."""
    return is_number(value) and 0 < cast(float, value) < float("inf")


def is_seed(value: object) -> bool:
    """Whether it is a whole number from 0 to 2^63 - 1."""
    return value == 0 or (is_count(value) and cast(int, value) < 2**63)
