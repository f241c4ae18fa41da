from __future__ import annotations

import io

import numpy as np
import pytest
from rich.console import Console

from chainrule import nn, optim
from chainrule.cli import progress
from chainrule.cli.progress import Bar, Lines, reporter
from chainrule.training.trainer import Trainer


class Clock:
    """A clock that goes on by a second whenever it is looked at."""

    def __init__(self) -> None:
        self.now = 100.0

    def monotonic(self) -> float:
        self.now += 1.0
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "time", Clock())


def fit(console: Console, epochs: int = 4) -> str:
    """What is told of a training of some epochs with ten batches each."""
    x = np.linspace(0, 1, 40, dtype=np.float32)[:, None]
    model = nn.Linear(1, 1)
    trainer = Trainer(
        model, loss="mse", optimizer=optim.SGD(model.parameters(), lr=0.1), metrics={"r2": lambda o, y: 0.5}
    )
    trainer.fit((x, x), validation=(x, x), epochs=epochs, batch_size=4, callbacks=[reporter(console)])
    file = console.file
    assert isinstance(file, io.StringIO)
    return file.getvalue()


def test_a_terminal_gets_a_bar_and_anything_else_lines() -> None:
    assert isinstance(reporter(Console(force_terminal=True)), Bar)
    assert isinstance(reporter(Console(file=io.StringIO())), Lines)


def test_lines_come_every_few_seconds(clock: None) -> None:
    lines = fit(Console(file=io.StringIO(), width=40)).splitlines()
    assert 8 <= len(lines) <= 11
    assert lines[0].startswith("epoch 1 of at most 4: training loss 0.")
    assert "validation" not in lines[0]
    assert lines[-1].startswith("epoch 4 of at most 4: training loss 0.")
    assert ", validation loss 0." in lines[-1] and ", validation R2 0.5000, at most " in lines[-1]
    assert lines[-1].endswith("s left")


def test_a_quick_training_tells_of_its_first_epoch_only() -> None:
    lines = fit(Console(file=io.StringIO())).splitlines()
    assert len(lines) == 1
    assert lines[0].startswith("epoch 1 of at most 4: training loss 0.")
    assert "validation R2 0.5000" in lines[0]


def test_the_bar_shows_epoch_losses_and_time_left_within_the_width(clock: None) -> None:
    text = fit(Console(file=io.StringIO(), force_terminal=True, width=80, color_system=None))
    assert "epoch 2/4" in text and "val loss 0." in text and "R2 0.5000, " in text and "s left" in text
    assert "…" not in text


def test_no_more_time_is_left_than_the_time_limit_allows(clock: None) -> None:
    lines = Lines(Console(file=io.StringIO()), time_limit=5.0)
    trainer = Trainer(nn.Linear(1, 1), loss="mse", optimizer=optim.SGD([nn.Parameter(0.0)], lr=1.0))
    lines.on_fit_start(trainer, 1000, 1000)
    lines.on_batch_end(trainer, 1, 0, 1.0)
    assert [lines.left for _ in range(4)] == ["3.0 s", "2.0 s", "1.0 s", "0.0 s"]


def test_the_loss_is_the_mean_of_the_epoch_so_far() -> None:
    lines = Lines(Console(file=io.StringIO()))
    trainer = Trainer(nn.Linear(1, 1), loss="mse", optimizer=optim.SGD([nn.Parameter(0.0)], lr=1.0))
    lines.on_fit_start(trainer, 2, 2)
    for epoch, batch, loss, mean in ((1, 0, 4.0, 4.0), (1, 1, 2.0, 3.0), (2, 0, 1.0, 1.0)):
        lines.on_batch_end(trainer, epoch, batch, loss)
        assert lines.loss == mean
