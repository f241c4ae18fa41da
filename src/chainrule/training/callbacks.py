"""What can be done between the batches and epochs of a training."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING

import numpy as np

from chainrule.data.wording import counted
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
        """After each epoch, with its figures, to which more may be added; the history gets them afterwards."""

    def on_fit_end(self, trainer: Trainer) -> None:
        """After the last epoch, also when training was stopped, interrupted or ended by an error."""


class _Watch(Callback):
    """Base of callbacks that look for the best value of a figure."""

    def __init__(self, monitor: str, mode: str, min_delta: float) -> None:
        if mode not in ("min", "max"):
            raise DefinitionError(f"mode must be 'min' or 'max', not {mode!r}")
        if not min_delta >= 0:
            raise DefinitionError(f"min_delta must be at least 0, not {min_delta}")
        self.monitor = monitor
        self.sign = 1.0 if mode == "min" else -1.0
        self.min_delta = min_delta

    def on_fit_start(self, trainer: Trainer, epochs: int, batches: int) -> None:
        self.best = self.sign * math.inf

    def improved(self, row: dict[str, float]) -> bool:
        """Whether the figure is better than ever before by more than `min_delta`; NaN never is."""
        if self.monitor not in row:
            raise DefinitionError(
                f"{type(self).__name__} watches {self.monitor!r}, but an epoch has only {', '.join(row)}"
                + ("; fit was given no validation data" if "val_loss" not in row else "")
            )
        value = row[self.monitor]
        if self.sign * (self.best - value) > self.min_delta:
            self.best = value
            return True
        return False


class EarlyStopping(_Watch):
    """Stop when a figure has not improved for `patience` epochs (Prechelt, "Early stopping - but when?", 1998).

    The weights stay those of the last epoch; `BestWeights` puts back the best.

    Args:
        patience: epochs to wait for an improvement.
        monitor: name of the figure.
        mode: "min" if lower is better, "max" if higher is.
        min_delta: by how much it must improve.

    Raises `DefinitionError` for another mode, a patience below 1 or a negative `min_delta`, and in training if no
    figure has the name.
    """

    def __init__(
        self, patience: int = 10, monitor: str = "val_loss", mode: str = "min", min_delta: float = 0.0
    ) -> None:
        super().__init__(monitor, mode, min_delta)
        if patience < 1:
            raise DefinitionError(f"patience must be at least 1 epoch, not {patience}")
        self.patience = patience

    def on_fit_start(self, trainer: Trainer, epochs: int, batches: int) -> None:
        super().on_fit_start(trainer, epochs, batches)
        self.waited = 0

    def on_epoch_end(self, trainer: Trainer, row: dict[str, float]) -> None:
        self.waited = 0 if self.improved(row) else self.waited + 1
        if self.waited >= self.patience:
            trainer.stop(f"{self.monitor} has not improved for {counted(self.patience, 'epoch')}")


class BestWeights(_Watch):
    """Keep a copy of the weights of the best epoch and put them back when training ends, however it ends.

    An epoch whose loss or weights are not finite is never the best, whatever the figure says.

    Args:
        monitor: name of the figure.
        mode: "min" if lower is better, "max" if higher is.

    Raises `DefinitionError` for another mode, and in training if no figure has the name.
    """

    def __init__(self, monitor: str = "val_loss", mode: str = "min") -> None:
        super().__init__(monitor, mode, 0.0)

    def on_fit_start(self, trainer: Trainer, epochs: int, batches: int) -> None:
        super().on_fit_start(trainer, epochs, batches)
        self.state: dict[str, Array] | None = None

    def on_epoch_end(self, trainer: Trainer, row: dict[str, float]) -> None:
        model = trainer.model
        finite = math.isfinite(row["loss"]) and all(np.isfinite(w.numpy()).all() for w in model.parameters())
        if finite and self.improved(row):
            self.state = model.state_dict()
            trainer.history.best_epoch = int(row["epoch"])

    def on_fit_end(self, trainer: Trainer) -> None:
        if self.state is not None:
            trainer.model.load_state_dict(self.state)


class TimeLimit(Callback):
    """Stop after a number of seconds, within an epoch if need be.

    Raises `DefinitionError` unless there are more than 0 seconds.
    """

    def __init__(self, seconds: float) -> None:
        if not seconds > 0:
            raise DefinitionError(f"the time limit must be more than 0 seconds, not {seconds}")
        self.seconds = seconds

    def on_fit_start(self, trainer: Trainer, epochs: int, batches: int) -> None:
        self.end = time.monotonic() + self.seconds

    def on_batch_end(self, trainer: Trainer, epoch: int, batch: int, loss: float) -> None:
        if time.monotonic() >= self.end:
            trainer.stop(f"the time limit of {self.seconds:g} s was reached")
