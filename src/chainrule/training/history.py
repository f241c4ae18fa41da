"""What happened in a training, epoch by epoch."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass, field


@dataclass
class History:
    """A row of figures for every epoch, and why the training ended.

    As in a data frame, `history[name]` is a column, `len` counts the rows, and `in` and `for` go by the names.

    Attributes:
        rows: for each epoch a dict with "epoch" (from 1), "loss" (mean training loss), "seconds" (since the start),
            and the loss and metrics of the validation data with the prefix "val_". A training that has no epochs has
            a row for every so many steps, with "step" in the place of "epoch".
        stopped: why it ended, in words; empty until then.
        best_epoch: the epoch or step whose weights were kept, or None where nothing was compared.

    >>> history = History()
    >>> history.add({"epoch": 1, "loss": 0.7})
    >>> history.add({"epoch": 2, "loss": 0.5, "val_loss": 0.6})
    >>> history["loss"], history["val_loss"], "val_r2" in history
    ([0.7, 0.5], [None, 0.6], False)
    """

    rows: list[dict[str, float]] = field(default_factory=list[dict[str, float]])
    stopped: str = ""
    best_epoch: int | None = None

    def add(self, row: dict[str, float]) -> None:
        """Enter the figures of an epoch."""
        self.rows.append(dict(row))

    @property
    def names(self) -> list[str]:
        """All figures that were recorded, in the order in which they first came."""
        return list(dict.fromkeys(name for row in self.rows for name in row))

    def __getitem__(self, name: str) -> list[float | None]:
        """A figure of all epochs, None where it was not recorded. Raises `KeyError` for one that never was."""
        if name not in self.names:
            raise KeyError(f"no figure called {name!r}; there are {self.names}")
        return [row.get(name) for row in self.rows]

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[str]:
        return iter(self.names)

    def to_csv(self) -> str:
        """The rows as CSV text with a header; every figure is written so that it reads back exactly.

        >>> print(History([{"epoch": 1, "loss": 0.25}]).to_csv(), end="")
        epoch,loss
        1,0.25
        """
        text = io.StringIO()
        writer = csv.DictWriter(text, self.names, restval="", lineterminator="\n")
        writer.writeheader()
        writer.writerows(self.rows)
        return text.getvalue()
