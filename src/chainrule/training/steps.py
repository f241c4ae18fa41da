"""The training loop of language models: steps that run in native code, with a look at the validation text now and then.

There is no epoch: each step reads contexts at random places of the text.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterable
from typing import Any

import numpy as np

from chainrule import losses, ops
from chainrule.compiled import Compiled, compile
from chainrule.data.text import Tokens, crops
from chainrule.epochs import epoch
from chainrule.nn import Module
from chainrule.nn.module import evaluating
from chainrule.optim import AdamW, clip_grad_norm
from chainrule.state import no_grad
from chainrule.tensor import Tensor, TensorLike, as_tensor, tensor
from chainrule.training.history import History
from chainrule.training.rates import one_cycle
from chainrule.training.trainer import interrupt_stops

EVALUATIONS = 20
"""So often the validation text is looked at in a training."""

LONGEST = 250
"""Most steps from one look to the next."""

CLIP = 1.0


class StepWatcher:
    """Base of those who are told how far a training is: override what is of interest."""

    def on_start(self, steps: int, tokens: int) -> None:
        """Before the first of `steps` steps, each of `tokens` tokens."""

    def on_steps(self, done: int, loss: float) -> None:
        """About every tenth of a second: how many steps are done, and the mean loss since the last evaluation."""

    def on_evaluation(self, row: dict[str, float]) -> None:
        """After each look at the validation text, with the figures that the history gets."""

    def on_end(self) -> None:
        """After the last step, also when training was stopped, interrupted or ended by an error."""


class _Enough(Exception):
    """Leaves the native loop between two steps."""


def fit_steps(
    network: Module,
    tokens: Tokens,
    validation: Tokens | None,
    *,
    steps: int,
    lr: float,
    batch_size: int,
    seed: int,
    time_limit: float | None = None,
    watchers: Iterable[StepWatcher] = (),
) -> History:
    """Train a network to predict the next token; the weights with the best validation loss are kept.

    The optimizer is AdamW, whose weight decay of 0.1 is for matrices alone.

    Args:
        network: maps tokens [batch, time] to logits [batch, time, tokens]; has a `context`.
        tokens: to train on.
        validation: rows [n, context + 1] to validate on, or None.
        steps: how many there are.
        lr: the highest learning rate: see `one_cycle`.
        batch_size: contexts of a step.
        seed: of the places that are read.
        time_limit: most seconds.
        watchers: told how far it is.

    Returns the history: "step", "loss", "val_loss" and "seconds" of each evaluation. Ctrl-C ends the training between
    two steps and is no error.
    """
    loop = _Loop(network, tokens, steps, lr, batch_size, seed, time_limit, list(watchers))
    return loop.run(validation)


class _Loop:
    def __init__(
        self,
        network: Any,
        tokens: Tokens,
        steps: int,
        lr: float,
        batch_size: int,
        seed: int,
        time_limit: float | None,
        watchers: list[StepWatcher],
    ) -> None:
        self.network, self.tokens, self.steps = network, tokens, steps
        self.batch_size, self.seed, self.watchers = batch_size, seed, watchers
        self.context: int = network.context
        self.limit = math.inf if time_limit is None else time_limit
        self.total = tensor(0.0)  # of the losses since the last evaluation
        self.done, self.before, self.why = 0, 0, ""
        self.history = History()
        matrices = [x for x in self.network.parameters() if x.ndim > 1]
        others = [x for x in self.network.parameters() if x.ndim <= 1]
        groups = [{"params": matrices, "weight_decay": 0.1}, {"params": others, "weight_decay": 0.0}]
        self.optimizer = AdamW([group for group in groups if group["params"]], betas=(0.9, 0.99))
        self.schedule = one_cycle(self.optimizer, lr, steps)
        self.step, self.evaluate = self._programs()

    def _programs(self) -> tuple[Compiled, Compiled]:
        network, optimizer, schedule, total = self.network, self.optimizer, self.schedule, self.total
        text, after = tensor(self.tokens.astype(np.int32)), np.arange(self.context + 1)

        def loss_of(rows: Tensor) -> Tensor:
            logits = network(rows[:, :-1])
            return losses.cross_entropy(logits.reshape((-1, logits.shape[-1])), rows[:, 1:].reshape((-1,)))

        @compile
        def step(starts: TensorLike) -> None:
            loss = loss_of(ops.take(text, as_tensor(starts).expand_dims(-1) + after))
            optimizer.zero_grad()
            loss.backward()
            clip_grad_norm(network.parameters(), CLIP)
            optimizer.step()
            schedule.step()
            total.assign(total + loss.detach())

        return step, compile(loss_of)

    def run(self, validation: Tokens | None) -> History:
        """All steps, or as many as there is time for."""
        steps = self.steps
        self.start = time.monotonic()
        self.every = min(max(steps // EVALUATIONS, 1), LONGEST)
        best, state = math.inf, None
        for watcher in self.watchers:
            watcher.on_start(steps, self.batch_size * self.context)
        try:
            with interrupt_stops(self._stop):
                self.network.train()
                while self.done < steps and not self.why:
                    row = self._stretch(min(self.every, steps - self.done))
                    if validation is not None and math.isfinite(row["loss"]):
                        row["val_loss"] = self._validation_loss(validation)
                    row["seconds"] = time.monotonic() - self.start
                    if row.get("val_loss", math.inf) < best:
                        best, state = row["val_loss"], self.network.state_dict()
                        self.history.best_epoch = self.done
                    self.history.add(row)
                    for watcher in self.watchers:
                        watcher.on_evaluation(row)
            self.history.stopped = self.why or f"all {steps:,} steps were done"
        finally:
            self.network.eval()
            if state is not None:
                self.network.load_state_dict(state)
            for watcher in self.watchers:
                watcher.on_end()
        return self.history

    def _stretch(self, steps: int) -> dict[str, float]:
        """The steps up to the next evaluation."""
        generator = np.random.Generator(np.random.Philox(key=np.array([self.seed, self.done], np.uint64)))
        starts = crops(len(self.tokens), self.context, (steps * self.batch_size,), generator)
        self.before = self.done
        self.total.assign(ops.zeros_like(self.total))
        try:
            order = np.arange(len(starts))
            epoch(self.step, (starts,), order, batch_size=self.batch_size, progress=self._look)
        except _Enough:
            pass
        return {"step": self.done, "loss": self._loss()}

    def _look(self, done: int, total: int) -> None:
        """Called between steps: tell how far it is, and leave if it is enough."""
        self.done = self.before + done
        loss = self._loss()
        for watcher in self.watchers:
            watcher.on_steps(self.done, loss)
        if not math.isfinite(loss):
            self._stop(f"the loss became {loss}: try a smaller learning rate")
        if time.monotonic() - self.start > self.limit:
            self._stop(f"the time limit of {self.limit:g} s was reached")
        if self.why and done < total:
            raise _Enough

    def _loss(self) -> float:
        return float(self.total.item()) / max(self.done - self.before, 1)

    def _stop(self, why: str) -> None:
        self.why = self.why or why

    def _validation_loss(self, rows: Tokens) -> float:
        with evaluating(self.network), no_grad():
            found = epoch(self.evaluate, (rows,), np.arange(len(rows)), batch_size=self.batch_size)
        sizes = np.full(len(found), self.batch_size)
        sizes[-1] = len(rows) - self.batch_size * (len(found) - 1)
        return float(np.average(found, weights=sizes))
