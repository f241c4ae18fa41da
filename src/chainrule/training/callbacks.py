"""What can be done between the batches and epochs of a training."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING

from chainrule.errors import DefinitionError
from chainrule.types import Array

if TYPE_CHECKING:
    from chainrule.training.trainer import Trainer


class Callback:
    """Base of all callbacks: override what is of interest. `trainer.stop(why)` ends the training after the batch."""

    def on_fit_start(self, trainer: Trainer, epochs: int, batches: int) -> None:
        """Before the first epoch of `epochs`, each of `batches` batches."""

    def on_batch_end(self, trainer: Trainer, epoch: int, batch: int, loss: float) -> None:
        """After each update; `epoch` counts from 1, `batch` from 0; `loss` is that of the batch."""

    def on_epoch_end(self, trainer: Trainer, row: dict[str, float]) -> None:
        """After each epoch, with its figures, to which more may be added."""

    def on_fit_end(self, trainer: Trainer) -> None:
        """After the last epoch, also when it was stopped or interrupted."""


class _Watch(Callback):
    """Base of callbacks that look for the best value of a figure."""

    def __init__(self, monitor: str = "val_loss", mode: str = "min", min_delta: float = 0.0) -> None:
        if mode not in ("min", "max"):
            raise DefinitionError(f"mode must be 'min' or 'max', not {mode!r}")
        self.monitor = monitor
        self.sign = 1.0 if mode == "min" else -1.0
        self.min_delta = min_delta

    def on_fit_start(self, trainer: Trainer, epochs: int, batches: int) -> None:
        self.best = math.inf

    def improved(self, row: dict[str, float]) -> bool:
        """Whether the figure is better than ever before by more than `min_delta`; NaN never is."""
        if self.monitor not in row:
            raise DefinitionError(
                f"{type(self).__name__} watches {self.monitor!r}, but an epoch has only {sorted(row)}"
            )
        value = self.sign * row[self.monitor]
        if value < self.best - self.min_delta:
            self.best = value
            return True
        return False


class EarlyStopping(_Watch):
    """Stop when a figure has not improved for `patience` epochs (Prechelt, "Early stopping - but when?", 1998).

    Args:
        patience: epochs to wait for an improvement.
        monitor: name of the figure.
        mode: "min" if lower is better, "max" if higher is.
        min_delta: by how much it must improve.
    """

    def __init__(
        self, patience: int = 10, monitor: str = "val_loss", mode: str = "min", min_delta: float = 0.0
    ) -> None:
        super().__init__(monitor, mode, min_delta)
        if patience < 1:
            raise DefinitionError(f"patience must be at least 1 epoch, not {patience}")
        self.patience = patience
        self.waited = 0

    def on_fit_start(self, trainer: Trainer, epochs: int, batches: int) -> None:
        super().on_fit_start(trainer, epochs, batches)
        self.waited = 0

    def on_epoch_end(self, trainer: Trainer, row: dict[str, float]) -> None:
        self.waited = 0 if self.improved(row) else self.waited + 1
        if self.waited >= self.patience:
            trainer.stop(f"{self.monitor} has not improved for {self.patience} epochs")


class BestWeights(_Watch):
    """Keep a copy of the weights of the best epoch and put them back when training ends, however it ends."""

    def on_fit_start(self, trainer: Trainer, epochs: int, batches: int) -> None:
        super().on_fit_start(trainer, epochs, batches)
        self.state: dict[str, Array] | None = None

    def on_epoch_end(self, trainer: Trainer, row: dict[str, float]) -> None:
        if self.improved(row):
            self.state = trainer.model.state_dict()
            trainer.history.best_epoch = int(row["epoch"])

    def on_fit_end(self, trainer: Trainer) -> None:
        if self.state is not None:
            trainer.model.load_state_dict(self.state)


class TimeLimit(Callback):
    """Stop after a number of seconds, within an epoch if need be."""

    def __init__(self, seconds: float) -> None:
        if not seconds > 0:
            raise DefinitionError(f"the time limit must be more than 0 seconds, not {seconds}")
        self.seconds = seconds

    def on_fit_start(self, trainer: Trainer, epochs: int, batches: int) -> None:
        self.end = time.monotonic() + self.seconds

    def on_batch_end(self, trainer: Trainer, epoch: int, batch: int, loss: float) -> None:
        if time.monotonic() >= self.end:
            trainer.stop(f"the time limit of {self.seconds:g} s was reached")
