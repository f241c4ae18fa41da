"""The training loop: epochs over shuffled minibatches, with validation and callbacks."""

from __future__ import annotations

import math
import signal
import threading
import time
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import Any, TypeAlias

import numpy as np

from chainrule import losses
from chainrule.data.batches import Arrays, batches, shuffled
from chainrule.errors import DataError, DefinitionError
from chainrule.nn import Module
from chainrule.optim import Optimizer
from chainrule.state import no_grad
from chainrule.tensor import Tensor, as_tensor
from chainrule.training.callbacks import Callback
from chainrule.training.history import History
from chainrule.types import Array

INTERRUPTED = "interrupted"
"""What a history says of a training that Ctrl-C ended."""

Data: TypeAlias = "Arrays | tuple[Any, ...]"
Metric: TypeAlias = Callable[[Array, Array], float]
"""(outputs of the model, targets) -> a number."""


class Trainer:
    """Fits a model to data with an optimizer.

        forward pass -> loss -> backward pass -> update, for every minibatch of every epoch

    Args:
        model: maps a batch of inputs [n, ...] to outputs.
        loss: a function of (outputs, targets) or the name of one in `chainrule.losses`; a keyword `sample_weight` is
            passed where the data have weights.
        optimizer: over the model's parameters.
        metrics: further figures of the validation and test data, by name.
        seed: of the order in which minibatches are drawn.

    >>> from chainrule import nn, optim
    >>> x = np.linspace(-1, 1, 64, dtype=np.float32)[:, None]
    >>> model = nn.Linear(1, 1)
    >>> trainer = Trainer(model, loss="mse", optimizer=optim.Adam(model.parameters(), lr=0.1))
    >>> history = trainer.fit((x, 3 * x + 1), epochs=60, batch_size=16)
    >>> bool(history["loss"][-1] < 1e-3)
    True
    """

    def __init__(
        self,
        model: Module,
        *,
        loss: str | Callable[..., Tensor],
        optimizer: Optimizer,
        metrics: Mapping[str, Metric] | None = None,
        seed: int = 0,
    ) -> None:
        self.model = model
        self.loss = _named_loss(loss) if isinstance(loss, str) else loss
        self.optimizer = optimizer
        self.metrics = dict(metrics or {})
        self.seed = seed
        self.history = History()
        self._why = ""

    def stop(self, why: str) -> None:
        """End the training after the current batch; the first reason given is kept."""
        self._why = self._why or why

    def step(self, x: Array, y: Array, weights: Array | None = None) -> float:
        """One update from one minibatch; returns its loss."""
        loss = self._loss(x, y, weights)
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        return float(loss.item())

    def fit(
        self,
        train: Data,
        *,
        validation: Data | None = None,
        epochs: int = 20,
        batch_size: int = 32,
        callbacks: Iterable[Callback] = (),
    ) -> History:
        """Train for a number of epochs, or until a callback stops it, Ctrl-C is pressed or the loss is no number.

        Args:
            train: inputs and targets, and weights of the rows if there are any.
            validation: data to evaluate after each epoch.
            epochs: passes over the training data.
            batch_size: rows of an update; the last batch of an epoch may be smaller.
            callbacks: called in this order.

        Returns the history, which `self.history` keeps as well; its `stopped` says why training ended. Raises
        `DataError` for data of unequal or no length, `DefinitionError` for fewer than one epoch or row a batch.
        """
        if epochs < 1 or batch_size < 1:
            raise DefinitionError(f"fit: epochs and batch_size must be at least 1, not {epochs} and {batch_size}")
        data, held_out = _arrays(train, "train"), None if validation is None else _arrays(validation, "validation")
        self.history, self._why, told = History(), "", list(callbacks)
        start = time.monotonic()
        try:
            with _interrupt_stops(self):
                for callback in told:
                    callback.on_fit_start(self, epochs, -(-len(data) // batch_size))
                for epoch in range(1, epochs + 1):
                    self._epoch(data, held_out, epoch, batch_size, told, start)
                    if self._why:
                        break
            self.history.stopped = self._why or f"all {epochs} epochs were done"
        except KeyboardInterrupt:
            self.history.stopped = INTERRUPTED
        finally:
            for callback in told:
                callback.on_fit_end(self)
            self.model.eval()
        return self.history

    def _epoch(
        self,
        data: Arrays,
        held_out: Arrays | None,
        epoch: int,
        batch_size: int,
        callbacks: Sequence[Callback],
        start: float,
    ) -> None:
        """One pass over the training data, or part of one if it is stopped, and the figures of it."""
        self.model.train()
        total, rows = 0.0, 0
        for batch, chosen in enumerate(batches(shuffled(len(data), self.seed, epoch), batch_size)):
            part = data.take(chosen)
            loss = self.step(part.x, part.y, part.weights)
            total, rows = total + loss * len(chosen), rows + len(chosen)
            for callback in callbacks:
                callback.on_batch_end(self, epoch, batch, loss)
            if not math.isfinite(loss):
                self.stop(f"the loss became {loss} in epoch {epoch}: try a smaller learning rate")
            if self._why:
                break
        row: dict[str, float] = {"epoch": epoch, "loss": total / rows}
        if held_out is not None:
            row |= {f"val_{name}": value for name, value in self.evaluate(held_out).items()}
        row["seconds"] = time.monotonic() - start
        for callback in callbacks:
            callback.on_epoch_end(self, row)
        self.history.add(row)

    def evaluate(self, data: Data, *, batch_size: int = 1024) -> dict[str, float]:
        """The loss and the metrics of data, without training on them."""
        given = _arrays(data, "data")
        outputs = self.predict(given.x, batch_size=batch_size)
        with no_grad():
            loss = float(self._apply_loss(as_tensor(outputs), given.y, given.weights).item())
        return {"loss": loss} | {name: float(metric(outputs, given.y)) for name, metric in self.metrics.items()}

    def predict(self, x: Any, *, batch_size: int = 1024) -> Array:
        """The model's outputs for inputs [n, ...], in evaluation mode, batch by batch."""
        return predict(self.model, x, batch_size=batch_size)

    def _loss(self, x: Array, y: Array, weights: Array | None) -> Tensor:
        return self._apply_loss(self.model(as_tensor(x)), y, weights)

    def _apply_loss(self, outputs: Tensor, y: Array, weights: Array | None) -> Tensor:
        if weights is None:
            return self.loss(outputs, as_tensor(y))
        return self.loss(outputs, as_tensor(y), sample_weight=as_tensor(weights))


def predict(model: Module, x: Any, *, batch_size: int = 1024) -> Array:
    """A model's outputs for inputs [n, ...], in evaluation mode, batch by batch, without recording."""
    was_training, rows = model.training, np.asarray(x)
    model.eval()
    try:
        with no_grad():
            starts = range(0, max(len(rows), 1), batch_size)
            return np.concatenate([model(as_tensor(rows[i : i + batch_size])).numpy() for i in starts])
    finally:
        model.train(was_training)


@contextmanager
def _interrupt_stops(trainer: Trainer) -> Generator[None]:
    """Inside, the first Ctrl-C lets the batch under way finish, so that no update is half done; a second interrupts."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    old = signal.getsignal(signal.SIGINT)

    def stop(number: int, frame: FrameType | None) -> None:
        signal.signal(signal.SIGINT, old)
        trainer.stop(INTERRUPTED)

    signal.signal(signal.SIGINT, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, old)


LOSSES: dict[str, Callable[..., Tensor]] = {
    loss.__name__: loss
    for loss in (
        losses.binary_cross_entropy,
        losses.binary_cross_entropy_with_logits,
        losses.cross_entropy,
        losses.huber,
        losses.kl_div,
        losses.mae,
        losses.mse,
        losses.nll,
    )
}
"""The losses that a trainer takes by name."""


def _named_loss(name: str) -> Callable[..., Tensor]:
    if name not in LOSSES:
        raise DefinitionError(f"no loss is called {name!r}; there are {', '.join(LOSSES)}")
    return LOSSES[name]


def _arrays(data: Data, name: str) -> Arrays:
    arrays = data if isinstance(data, Arrays) else Arrays(*map(np.asarray, data))
    if not len(arrays):
        raise DataError(f"fit: {name} holds no rows")
    return arrays
