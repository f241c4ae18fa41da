"""Learning rates that rise and fall over a training."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from chainrule.optim import Optimizer
from chainrule.training.callbacks import Callback
from chainrule.training.trainer import Trainer


def learning_rates(steps: int, highest: float) -> NDArray[np.float64]:
    """A rate for each step: a straight rise over a twentieth of them, then a cosine down to a hundredth.

    Loshchilov & Hutter, "SGDR: stochastic gradient descent with warm restarts", ICLR 2017.

    >>> learning_rates(5, 1.0).round(3).tolist()
    [1.0, 0.855, 0.505, 0.155, 0.01]
    """
    rise = max(steps // 20, 1)
    at = np.arange(steps)
    passed = np.clip((at + 1 - rise) / max(steps - rise, 1), 0.0, 1.0)
    return highest * np.minimum((at + 1) / rise, 0.505 + 0.495 * np.cos(np.pi * passed))


class Rates(Callback):
    """Give an optimizer another learning rate for each update.

    Args:
        optimizer: that of the trainer.
        rates: one for each update; the last one stays.
    """

    def __init__(self, optimizer: Optimizer, rates: NDArray[Any]) -> None:
        self.optimizer, self.rates = optimizer, rates

    def on_fit_start(self, trainer: Trainer, epochs: int, batches: int) -> None:
        self.done = 0
        self.optimizer.lr = float(self.rates[0])

    def on_batch_end(self, trainer: Trainer, epoch: int, batch: int, loss: float) -> None:
        self.done += 1
        self.optimizer.lr = float(self.rates[min(self.done, len(self.rates) - 1)])
