"""Ctrl-C, as a real signal, ends training and loses nothing."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator

import numpy as np
import pytest

from chainrule import nn, optim
from chainrule.training import BestWeights, Callback, History, Trainer

X = np.ones((4, 1), np.float32)


def one_weight() -> Trainer:
    """A model y = w x with w = 0, of which each update makes one more."""
    model = nn.Linear(1, 1, bias=False)
    model.weight.assign([[0.0]])
    return Trainer(model, loss="mae", optimizer=optim.SGD(model.parameters(), lr=1.0))


def weight(trainer: Trainer) -> float:
    return trainer.model.state_dict()["weight"].item()


def fit(trainer: Trainer, *callbacks: Callback) -> History:
    return trainer.fit((X, 100 * X), epochs=5, batch_size=1, callbacks=callbacks)


class Press(Callback):
    """Presses Ctrl-C in the second batch of the second epoch, and notes the weight after every batch."""

    def __init__(self, times: int = 1) -> None:
        self.times = times
        self.weights: list[float] = []

    def on_batch_end(self, trainer: Trainer, epoch: int, batch: int, loss: float) -> None:
        self.weights.append(weight(trainer))
        if (epoch, batch) == (2, 1):
            for _ in range(self.times):
                signal.raise_signal(signal.SIGINT)


@pytest.fixture
def usual_handler() -> Iterator[None]:
    """Ctrl-C as a program started in a terminal has it, whatever started the tests."""
    old = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, old)


@pytest.mark.usefixtures("usual_handler")
def test_ctrl_c_finishes_the_batch_and_restores_handler_and_best_weights() -> None:
    trainer, press = one_weight(), Press()
    best = BestWeights("loss", "max")  # of which the first epoch has most
    history = fit(trainer, best, press)
    assert (history.stopped, len(history), history.best_epoch) == ("interrupted", 2, 1)
    assert press.weights == [1, 2, 3, 4, 5, 6]
    assert weight(trainer) == 4
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


@pytest.mark.usefixtures("usual_handler")
def test_without_best_weights_those_of_the_last_batch_stay() -> None:
    trainer = one_weight()
    assert fit(trainer, Press()).best_epoch is None
    assert weight(trainer) == 6


@pytest.mark.usefixtures("usual_handler")
def test_a_second_ctrl_c_interrupts_at_once_and_still_restores_the_best_weights() -> None:
    trainer, press, after = one_weight(), Press(times=2), Press(times=0)
    with pytest.raises(KeyboardInterrupt):
        fit(trainer, BestWeights("loss"), press, after)
    assert trainer.history.stopped == "interrupted"
    assert (press.weights, after.weights) == ([1, 2, 3, 4, 5, 6], [1, 2, 3, 4, 5])
    assert weight(trainer) == 4
    assert not trainer.model.training
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


@pytest.mark.usefixtures("usual_handler")
def test_ctrl_c_ends_one_training_and_not_the_next() -> None:
    trainer = one_weight()
    assert fit(trainer, Press()).stopped == "interrupted"
    assert fit(trainer).stopped == "all 5 epochs were done"


@pytest.mark.usefixtures("usual_handler")
def test_the_handler_is_restored_after_an_error() -> None:
    with pytest.raises(ValueError, match="have one shape"):
        one_weight().fit((X, X[:, 0]))
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_program_that_handles_ctrl_c_itself_goes_on_doing_so() -> None:
    heard: list[int] = []
    old = signal.signal(signal.SIGINT, lambda number, frame: heard.append(number))
    try:
        history = fit(one_weight(), Press())
    finally:
        signal.signal(signal.SIGINT, old)
    assert heard == [signal.SIGINT]
    assert len(history) == 5


@pytest.mark.usefixtures("usual_handler")
def test_fit_works_in_a_thread_that_gets_no_signals() -> None:
    found: list[History] = []
    trainer = one_weight()
    thread = threading.Thread(target=lambda: found.append(fit(trainer)))
    thread.start()
    thread.join()
    assert found[0].stopped == "all 5 epochs were done"
    assert weight(trainer) == 20
