"""How far a training has come, seldom enough to cost nothing: a bar in a terminal, now and then a line elsewhere."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn

from chainrule.training.callbacks import Callback
from chainrule.training.steps import StepWatcher
from chainrule.training.trainer import Trainer
from chainrule.training.wording import duration, figure, spelled

BAR_EVERY = 0.2
"""Seconds between two looks of the bar: drawing takes about a millisecond."""

LINE_EVERY = 5.0
"""Seconds between two lines."""

NAMES = {"val_accuracy": "accuracy", "val_loss": "val loss", "val_r2": "R2"}
"""Short names of figures, so that the bar fits 80 columns."""


class Reporter(Callback):
    """Base of both: counts, and asks `show` for a look when it is time for one."""

    every: float

    def __init__(self, console: Console, time_limit: float | None = None) -> None:
        self.console = console
        self.time_limit = math.inf if time_limit is None else time_limit

    def on_fit_start(self, trainer: Trainer, epochs: int, batches: int) -> None:
        self.epochs, self.batches = epochs, batches
        self.done, self.epoch = 0, 1
        self.loss = 0.0
        self.figures: dict[str, float] = {}
        self.start = time.monotonic()
        self.due = self.start + self.every

    def on_batch_end(self, trainer: Trainer, epoch: int, batch: int, loss: float) -> None:
        self.done, self.epoch = self.done + 1, epoch
        self.loss = loss if batch == 0 else self.loss + (loss - self.loss) / (batch + 1)
        self._look()

    def on_epoch_end(self, trainer: Trainer, row: dict[str, float]) -> None:
        self.figures = {name: value for name, value in row.items() if name.startswith("val_")}
        if self.epoch == 1:
            self.due = 0
        self._look()

    def _look(self) -> None:
        now = time.monotonic()
        if now >= self.due:
            self.due = now + self.every
            self.show()

    def show(self) -> None:
        """Tell how things stand."""

    @property
    def left(self) -> str:
        """The most time that is left, by the pace so far and the time limit."""
        passed = time.monotonic() - self.start
        by_pace = passed / self.done * (self.epochs * self.batches - self.done)
        return duration(max(0.0, min(by_pace, self.time_limit - passed)))


class Lines(Reporter):
    """A line every few seconds, and one after the first epoch."""

    every = LINE_EVERY

    def show(self) -> None:
        told = [f"{spelled(name)} {figure(name, value)}" for name, value in {"loss": self.loss, **self.figures}.items()]
        words = f"epoch {self.epoch} of at most {self.epochs}: {', '.join(told)}, at most {self.left} left"
        self.console.print(words, soft_wrap=True, highlight=False)


class Bar(Reporter):
    """A bar that is drawn in place, and taken away at the end."""

    every = BAR_EVERY

    def __init__(self, console: Console, time_limit: float | None = None) -> None:
        super().__init__(console, time_limit)
        self.progress = bar_of(console, 72)

    def on_fit_start(self, trainer: Trainer, epochs: int, batches: int) -> None:
        super().on_fit_start(trainer, epochs, batches)
        self.task = self.progress.add_task("", total=epochs * batches, head=f"epoch 1/{epochs}", words="")
        self.progress.start()

    def show(self) -> None:
        named = {"loss": self.loss} | {NAMES.get(name, name): value for name, value in self.figures.items()}
        words = ", ".join([*(f"{name} {figure(name, value)}" for name, value in named.items()), f"{self.left} left"])
        head = f"epoch {self.epoch}/{self.epochs}"
        self.progress.update(self.task, completed=self.done, head=head, words=words, refresh=True)

    def on_fit_end(self, trainer: Trainer) -> None:
        self.progress.stop()


class StepReporter(StepWatcher):
    """Base of those who tell how far a training by steps is."""

    every: float

    def __init__(self, console: Console, time_limit: float | None = None) -> None:
        self.console = console
        self.time_limit = math.inf if time_limit is None else time_limit

    def on_start(self, steps: int, tokens: int) -> None:
        self.steps, self.tokens = steps, tokens
        self.row: dict[str, float] = {}
        self.busy, self.done = 0.0, 0  # seconds of steps and their number: looks at the validation text are left out
        self.start = self.since = time.monotonic()
        self.due = 0.0

    def on_steps(self, done: int, loss: float) -> None:
        now = time.monotonic()
        self.busy, self.since, self.done = self.busy + now - self.since, now, done
        if now >= self.due:
            self.due = now + self.every
            self.show(loss)

    def on_evaluation(self, row: dict[str, float]) -> None:
        self.row, self.since = row, time.monotonic()

    def show(self, loss: float) -> None:
        """Tell how things stand."""

    @property
    def speed(self) -> str:
        """Tokens a second."""
        return f"{self.done * self.tokens / max(self.busy, 1e-9):,.0f} tokens/s"

    @property
    def left(self) -> str:
        """The most time that is left, by the pace so far and the time limit."""
        passed = time.monotonic() - self.start
        return duration(max(0.0, min(passed / self.done * (self.steps - self.done), self.time_limit - passed)))


class StepLines(StepReporter):
    """A line every few seconds, the first with the first steps."""

    every = LINE_EVERY

    def show(self, loss: float) -> None:
        told = {"loss": loss} | {name: value for name, value in self.row.items() if name == "val_loss"}
        losses = ", ".join(f"{spelled(name)} {figure(name, value)}" for name, value in told.items())
        words = f"step {self.done:,} of {self.steps:,}: {losses}, {self.speed}, at most {self.left} left"
        self.console.print(words, soft_wrap=True, highlight=False)


class StepBar(StepReporter):
    """A bar that is drawn in place, and taken away at the end."""

    every = BAR_EVERY

    def on_start(self, steps: int, tokens: int) -> None:
        super().on_start(steps, tokens)
        self.progress = bar_of(self.console, 76)
        self.task = self.progress.add_task("", total=steps, head=f"step 0/{steps}", words="compiling")
        self.progress.start()

    def show(self, loss: float) -> None:
        known = f", val {figure('loss', self.row['val_loss'])}" if "val_loss" in self.row else ""
        words = f"loss {figure('loss', loss)}{known}, {self.speed}, {self.left} left"
        head = f"step {self.done}/{self.steps}"
        self.progress.update(self.task, completed=self.done, head=head, words=words, refresh=True)

    def on_end(self) -> None:
        self.progress.stop()


def bar_of(console: Console, words: int) -> Progress:
    """A bar between a head and words, which take so many columns together; not drawn before it is started."""
    bar = BarColumn(bar_width=max(4, min(40, console.width - words)))
    columns = TextColumn("{task.fields[head]}"), bar, TextColumn("{task.fields[words]}")
    return Progress(*columns, console=console, auto_refresh=False, transient=True)


@contextmanager
def reading(console: Console) -> Generator[Callable[[int, int], None]]:
    """Inside, a function that is called with the number of images that have been read, and of all."""
    progress = bar_of(console, 40)
    task = progress.add_task("", total=None, head="reading", words="")

    def show(done: int, count: int) -> None:
        words = f"{done:,} of {count:,} images"
        progress.update(task, completed=done, total=count, words=words, refresh=console.is_terminal)

    if not console.is_terminal:
        yield show
        return
    with progress:
        yield show


def step_reporter(console: Console, time_limit: float | None = None) -> StepReporter:
    """What suits the console for a training by steps; the time limit, in seconds, is that of the training."""
    return StepBar(console, time_limit) if console.is_terminal else StepLines(console, time_limit)


def reporter(console: Console, time_limit: float | None = None) -> Reporter:
    """What suits the console; the time limit, in seconds, is that of the training."""
    return Bar(console, time_limit) if console.is_terminal else Lines(console, time_limit)
