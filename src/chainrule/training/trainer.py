"""The training loop: epochs over shuffled minibatches, with validation and callbacks."""

from __future__ import annotations

import math
import signal
import threading
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import Any, TypeAlias, cast

import numpy as np

from chainrule import losses
from chainrule.compiled import compile
from chainrule.data.batches import Arrays, batches, shuffled
from chainrule.errors import DataError, DefinitionError
from chainrule.nn import Module
from chainrule.nn.module import evaluating
from chainrule.optim import LRScheduler, Optimizer, ReduceLROnPlateau
from chainrule.state import no_grad
from chainrule.tensor import Tensor, TensorLike, as_tensor
from chainrule.training.callbacks import Callback
from chainrule.training.history import History
from chainrule.types import Array

INTERRUPTED = "interrupted"
"""What a history says of a training that Ctrl-C ended."""

Data: TypeAlias = "Arrays | tuple[Any, ...]"
"""Inputs and targets, and weights of the rows if there are any."""

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
        metrics: further figures of the validation and test data, by name; weights do not count in them.
        schedule: of the optimizer's learning rates, such as `optim.OneCycleLR(optimizer, ...)`.
        schedule_every: whether it is stepped after every "epoch" or every "batch". `ReduceLROnPlateau` is given the
            validation loss of the epoch, without validation data the training loss; or the loss of the batch.
        seed: of the order in which minibatches are drawn.
        compiled: whether updates run as native code (see `chainrule.compile`). A model or loss that asks for values in
            Python, as `if x.sum() > 0` does, needs False.

    Attributes:
        history: of the last training, or the one under way.
        epochs: how many were begun, in all calls of `fit`. Seed and number decide the order of the rows in an epoch, so
            that two calls of `fit` do what one long call does. To resume elsewhere, set it along with the states of
            model and optimizer.

    Raises `DefinitionError` for a loss that is not there, a metric called "loss", and a schedule of another optimizer.

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
        schedule: LRScheduler | ReduceLROnPlateau | None = None,
        schedule_every: str = "epoch",
        seed: int = 0,
        compiled: bool = True,
    ) -> None:
        self.model = model
        self.loss = _named_loss(loss) if isinstance(loss, str) else loss
        self.optimizer = optimizer
        self.metrics = dict(metrics or {})
        if "loss" in self.metrics:
            raise DefinitionError('a metric needs another name than "loss"')
        if schedule is not None and schedule.optimizer is not optimizer:
            raise DefinitionError("the schedule sets the learning rates of another optimizer than the trainer's")
        if schedule_every not in ("epoch", "batch"):
            raise DefinitionError(f"schedule_every must be 'epoch' or 'batch', not {schedule_every!r}")
        self.schedule = schedule
        self.schedule_every = schedule_every
        self.seed = seed
        self.history = History()
        self.epochs = 0
        self._why = ""
        self._run = compile(self._update) if compiled else self._update

    def stop(self, why: str) -> None:
        """End the training after the current batch; the first reason given is kept."""
        self._why = self._why or why

    def step(self, x: Array, y: Array, weights: Array | None = None) -> float:
        """One update from one minibatch; returns its loss."""
        parts = (x, y) if weights is None else (x, y, weights)
        return float(self._run(*parts).item())

    def _update(self, x: TensorLike, y: TensorLike, weights: TensorLike | None = None) -> Tensor:
        loss = self._loss(self.model(as_tensor(x)), y, weights)
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        if self.schedule_every == "batch":
            self._follow_schedule(loss)
        return loss

    def _follow_schedule(self, loss: TensorLike) -> None:
        if isinstance(self.schedule, ReduceLROnPlateau):
            self.schedule.step(loss)
        elif self.schedule is not None:
            self.schedule.step()

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

        Another call goes on from there, with the optimizer's state as it is and a new history. The model is switched to
        training at the start (a callback may switch layers back) and to evaluation at the end. The first Ctrl-C lets
        the batch under way finish and is no error; a second raises `KeyboardInterrupt`.

        Args:
            train: inputs and targets, and weights of the rows if there are any; rows of weight 0 are left out.
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
        if data.weights is not None:
            data = data.take(data.weights > 0)  # a batch of no weight has no mean loss
        self.history, self._why = History(), ""
        told: list[Callback] = []
        start = time.monotonic()
        try:
            with interrupt_stops(self.stop):
                self.model.train()
                for callback in callbacks:
                    callback.on_fit_start(self, epochs, -(-len(data) // batch_size))
                    told.append(callback)
                for epoch in range(1, epochs + 1):
                    self._epoch(data, held_out, epoch, batch_size, told, start)
                    if self._why:
                        break
            self.history.stopped = self._why or (
                f"all {epochs} epochs were done" if epochs > 1 else "the one epoch was done"
            )
        except BaseException as error:
            interrupted = isinstance(error, KeyboardInterrupt)
            self.history.stopped = INTERRUPTED if interrupted else f"an error: {type(error).__name__}"
            raise
        finally:
            self.model.eval()
            for callback in told:
                callback.on_fit_end(self)
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
        self.epochs += 1
        total, count = 0.0, 0.0
        for batch, part in enumerate(self.minibatches(data, batch_size)):
            loss = self.step(part.x, part.y, part.weights)
            weight = len(part) if part.weights is None else float(part.weights.sum())
            total, count = total + loss * weight, count + weight
            if not math.isfinite(loss):
                self.stop(f"the loss became {loss} in epoch {epoch}: {_advice(part)}")
            for callback in callbacks:
                callback.on_batch_end(self, epoch, batch, loss)
            if self._why:
                break
        row: dict[str, float] = {"epoch": epoch, "loss": total / count}
        if held_out is not None:
            row |= {f"val_{name}": value for name, value in self.evaluate(held_out).items()}
        if self.schedule_every == "epoch" and not self._why:
            self._follow_schedule(row.get("val_loss", row["loss"]))
        row["seconds"] = time.monotonic() - start
        for callback in callbacks:
            callback.on_epoch_end(self, row)
        self.history.add(row)

    def minibatches(self, data: Arrays, batch_size: int) -> Iterator[Arrays]:
        """The parts of the training data that an epoch's updates are made from, in their order."""
        return (data.take(chosen) for chosen in batches(shuffled(len(data), self.seed, self.epochs), batch_size))

    def evaluate(self, data: Data, *, batch_size: int = 1024) -> dict[str, float]:
        """The loss and the metrics of data, without training on them. Raises as `fit` and `predict` do."""
        given = _arrays(data, "data")
        outputs = self.predict(given.x, batch_size=batch_size)
        with no_grad():
            loss = self._loss(as_tensor(outputs), given.y, given.weights)
        return {"loss": float(loss.item())} | {
            name: float(metric(outputs, given.y)) for name, metric in self.metrics.items()
        }

    def predict(self, x: Any, *, batch_size: int = 1024) -> Array:
        """The model's outputs for inputs [n, ...]: see `predict`."""
        return predict(self.model, x, batch_size=batch_size)

    def _loss(self, outputs: Tensor, y: TensorLike, weights: TensorLike | None) -> Tensor:
        if weights is None:
            return self.loss(outputs, as_tensor(y))
        return self.loss(outputs, as_tensor(y), sample_weight=as_tensor(weights))


def predict(model: Module, x: Any, *, batch_size: int = 1024) -> Array:
    """A model's outputs for inputs [n, ...], in evaluation mode, batch by batch, without recording.

    Every layer is left in the mode in which it was. Raises `DataError` for inputs without an axis, `DefinitionError`
    for a batch size below 1.

    >>> from chainrule import nn
    >>> predict(nn.Linear(3, 2), np.zeros((5, 3), np.float32), batch_size=2).shape
    (5, 2)
    """
    rows = np.asarray(x)
    if not rows.ndim:
        raise DataError("inputs need a first axis, one entry a row")
    if batch_size < 1:
        raise DefinitionError(f"batch_size must be at least 1, not {batch_size}")
    starts = range(0, max(len(rows), 1), batch_size)  # no rows are one empty batch, which tells the shape
    with evaluating(model), no_grad():
        return np.concatenate([model(as_tensor(rows[i : i + batch_size])).numpy() for i in starts])


@contextmanager
def interrupt_stops(end: Callable[[str], None]) -> Generator[None]:
    """Inside, the first Ctrl-C calls `end`, so that no update is half done; a second interrupts.

    Signals are the main thread's alone, and a program that handles or ignores Ctrl-C itself goes on doing so.
    """
    usual = signal.default_int_handler
    if threading.current_thread() is not threading.main_thread() or signal.getsignal(signal.SIGINT) is not usual:
        yield
        return

    def stop(number: int, frame: FrameType | None) -> None:
        signal.signal(signal.SIGINT, usual)
        end(INTERRUPTED)

    signal.signal(signal.SIGINT, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, usual)


LOSSES: dict[str, Callable[..., Tensor]] = {
    loss.__name__: loss
    for loss in (
        losses.binary_cross_entropy,
        losses.binary_cross_entropy_with_logits,
        losses.cross_entropy,
        losses.dice_loss,
        losses.hinge_embedding_loss,
        losses.huber,
        losses.kl_div,
        losses.mae,
        losses.mse,
        losses.multi_margin_loss,
        losses.multilabel_margin_loss,
        losses.multilabel_soft_margin_loss,
        losses.nll,
        losses.poisson_nll_loss,
        losses.smooth_l1_loss,
        losses.soft_margin_loss,
    )
}
"""The losses that a trainer takes by name."""


def _named_loss(name: str) -> Callable[..., Tensor]:
    if name not in LOSSES:
        raise DefinitionError(f"no loss is called {name!r}; there are {', '.join(LOSSES)}")
    return LOSSES[name]


def _arrays(data: Any, name: str) -> Arrays:
    """Data as arrays, of which at least one row counts."""
    arrays = data if isinstance(data, Arrays) else _from_parts(data, name)
    if not len(arrays):
        raise DataError(f"{name} holds no rows")
    if arrays.weights is not None and not arrays.weights.any():
        raise DataError(f"{name} holds no row of a weight above 0")
    return arrays


def _from_parts(data: Any, name: str) -> Arrays:
    parts = cast("Sequence[Any]", data) if isinstance(data, (tuple, list)) else ()
    if len(parts) not in (2, 3):
        raise DataError(f"{name} must be (inputs, targets) or (inputs, targets, weights)")
    x, y, weights = (*parts, None)[:3]
    return Arrays(np.asarray(x), np.asarray(y), None if weights is None else np.asarray(weights))


def _advice(batch: Arrays) -> str:
    """What to do about a batch whose loss is no number."""
    bad = [name for name, values in (("inputs", batch.x), ("targets", batch.y)) if not np.isfinite(values).all()]
    return f"there are NaN or infinite {' and '.join(bad)}" if bad else "try a smaller learning rate"
