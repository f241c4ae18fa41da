"""Callbacks hear of everything in order, and stop training or keep weights when they should and only then."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

from chainrule import nn, optim
from chainrule.errors import DefinitionError
from chainrule.tensor import Tensor
from chainrule.training import BestWeights, Callback, EarlyStopping, History, TimeLimit, Trainer
from chainrule.types import Array

X = np.ones((4, 1), np.float32)


def one_weight(loss: Callable[..., Tensor] | str = "mae", lr: float = 1.0) -> Trainer:
    """A model y = w x with w = 0, and targets 10: each step of a quarter of the data adds the learning rate to w."""
    model = nn.Linear(1, 1, bias=False)
    model.weight.assign([[0.0]])
    return Trainer(model, loss=loss, optimizer=optim.SGD(model.parameters(), lr=lr), compiled=isinstance(loss, str))


def weight(trainer: Trainer) -> float:
    return trainer.model.state_dict()["weight"].item()


class Figures(Callback):
    """Gives each epoch the next of some figures, and notes the weight at its end."""

    def __init__(self, values: Sequence[float], name: str = "val_loss") -> None:
        self.values, self.name = iter(values), name
        self.weights: list[float] = []

    def on_epoch_end(self, trainer: Trainer, row: dict[str, float]) -> None:
        row[self.name] = next(self.values)
        self.weights.append(weight(trainer))


def fit(trainer: Trainer, *callbacks: Callback, epochs: int = 6, **options: Any) -> History:
    return trainer.fit((X, 10 * X), epochs=epochs, batch_size=4, callbacks=callbacks, **options)


# Order


class Log(Callback):
    def __init__(self, name: str, log: list[str]) -> None:
        self.name, self.log = name, log

    def on_fit_start(self, trainer: Trainer, epochs: int, batches: int) -> None:
        self.log.append(f"{self.name} start {epochs} {batches}")

    def on_batch_end(self, trainer: Trainer, epoch: int, batch: int, loss: float) -> None:
        self.log.append(f"{self.name} batch {epoch} {batch} {loss:g}")

    def on_epoch_end(self, trainer: Trainer, row: dict[str, float]) -> None:
        self.log.append(f"{self.name} epoch {row['epoch']} {row['loss']:g}")

    def on_fit_end(self, trainer: Trainer) -> None:
        self.log.append(f"{self.name} end: {trainer.history.stopped}")


def test_callbacks_are_told_of_everything_in_their_order() -> None:
    log: list[str] = []
    one_weight().fit((X, 10 * X), epochs=2, batch_size=3, callbacks=(Log(name, log) for name in "ab"))
    events = ["start 2 2", "batch 1 0 10", "batch 1 1 9", "epoch 1 9.75", "batch 2 0 8", "batch 2 1 7", "epoch 2 7.75"]
    assert log == [f"{name} {event}" for event in [*events, "end: all 2 epochs were done"] for name in "ab"]


def test_a_callback_that_overrides_nothing_changes_nothing() -> None:
    plain, watched = one_weight(), one_weight()
    assert fit(plain)["loss"] == fit(watched, Callback())["loss"]


def test_figures_that_a_callback_adds_are_seen_by_the_next_and_by_the_history() -> None:
    log: list[float] = []

    class Reader(Callback):
        def on_epoch_end(self, trainer: Trainer, row: dict[str, float]) -> None:
            log.append(row["score"])

    history = fit(one_weight(), Figures([3.0, 4.0], "score"), Reader(), epochs=2)
    assert history["score"] == log == [3.0, 4.0]


def test_the_end_is_told_to_those_who_were_told_of_the_start() -> None:
    log: list[str] = []

    class Fails(Callback):
        def on_fit_start(self, trainer: Trainer, epochs: int, batches: int) -> None:
            raise OSError("no disk")

        def on_fit_end(self, trainer: Trainer) -> None:
            log.append("never")

    with pytest.raises(OSError, match="no disk"):
        fit(one_weight(), Log("a", log), Fails(), Log("b", log), BestWeights())
    assert log == ["a start 6 1", "a end: an error: OSError"]


# EarlyStopping


@pytest.mark.parametrize(
    ("options", "values", "epochs"),
    [
        ({"patience": 1}, [3, 2, 2, 1, 0, 0], 3),
        ({"patience": 2}, [3, 4, 2, 2, 2, 0], 5),
        ({"patience": 2}, [3, 4, 5, 2, 2, 0], 3),
        ({"patience": 2}, [3, 4, 2, 3, 1, 2], 6),
        ({"patience": 1, "mode": "max"}, [1, 2, 3, 2, 5, 6], 4),
        ({"patience": 1, "min_delta": 0.5}, [3, 2.4, 2, 1, 0, 0], 3),
        ({"patience": 2, "min_delta": 0.5}, [3, 2.75, 2.25, 2, 1.75, 1], 5),
        ({"patience": 1, "mode": "max", "min_delta": 0.5}, [1, 2, 2.5, 4, 5, 6], 3),
        ({"patience": 2}, [math.nan, 2, math.nan, math.nan, 1, 0], 4),
        ({"patience": 2}, [math.inf, math.inf, 1, 0, 0, 0], 2),
        ({"patience": 1, "mode": "max"}, [-math.inf, 0, 0, 0, 0, 0], 1),
    ],
)
def test_training_stops_when_there_was_no_improvement_for_so_many_epochs(
    options: dict[str, Any], values: list[float], epochs: int
) -> None:
    trainer = one_weight()
    history = fit(trainer, Figures(values, "figure"), EarlyStopping(monitor="figure", **options))
    assert len(history) == epochs
    if epochs < 6:
        patience = options["patience"]
        assert history.stopped == f"figure has not improved for {patience} epoch{'s' * (patience > 1)}"
    assert weight(trainer) == epochs


def test_early_stopping_starts_anew_in_each_fit() -> None:
    stopping, trainer = EarlyStopping(2), one_weight()
    assert len(fit(trainer, Figures([1, 2, 3]), stopping)) == 3
    assert len(fit(trainer, Figures([5, 4, 5, 6]), stopping)) == 4


# BestWeights


@pytest.mark.parametrize(
    ("mode", "values", "best"),
    [
        ("min", [3, 1, 2, 1], 2),
        ("max", [3, 1, 4, 4], 3),
        ("min", [math.nan, 5, math.nan, 6], 2),
        ("max", [1, 2, 3, 4], 4),
        ("max", [-3, -1, -2, -2], 2),
    ],
)
def test_the_weights_of_the_best_epoch_are_put_back_also_without_an_early_stop(
    mode: str, values: list[float], best: int
) -> None:
    trainer = one_weight()
    figures = Figures(values, "figure")
    history = fit(trainer, figures, BestWeights("figure", mode), epochs=4)
    assert history.stopped == "all 4 epochs were done"
    assert history.best_epoch == best
    assert figures.weights == [1, 2, 3, 4]
    assert weight(trainer) == best


def test_they_are_put_back_after_an_early_stop_whatever_the_order_of_the_callbacks() -> None:
    for order in (1, -1):
        trainer = one_weight()
        history = fit(trainer, Figures([3, 2, 4, 5, 1]), *[BestWeights(), EarlyStopping(2)][::order])
        assert (len(history), history.best_epoch, weight(trainer)) == (4, 2, 2.0)


def test_the_validation_loss_is_watched_by_default() -> None:
    trainer = one_weight()
    history = fit(trainer, BestWeights(), epochs=6, validation=(X, 2 * X))
    assert history["val_loss"] == [1, 0, 1, 2, 3, 4]
    assert (history.best_epoch, weight(trainer)) == (2, 2.0)


def test_callbacks_after_it_see_the_best_weights_at_the_end() -> None:
    seen: list[float] = []

    class Last(Callback):
        def on_fit_end(self, trainer: Trainer) -> None:
            seen.append(weight(trainer))

    fit(one_weight(), Figures([1, 2]), BestWeights(), Last(), epochs=2)
    assert seen == [1.0]


def test_running_averages_are_put_back_too() -> None:
    model = nn.Sequential(nn.Linear(1, 1), nn.BatchNorm1d(1))
    trainer = Trainer(model, loss="mse", optimizer=optim.SGD(model.parameters(), lr=0.1))
    kept: list[dict[str, Array]] = []

    class Keep(Callback):
        def on_epoch_end(self, trainer: Trainer, row: dict[str, float]) -> None:
            kept.append(trainer.model.state_dict())
            row["figure"] = len(kept)

    trainer.fit((X * [[1], [2], [3], [4]], X), epochs=2, callbacks=[Keep(), BestWeights("figure")])
    assert any((kept[0][name] != kept[1][name]).any() for name, _ in model.named_buffers())
    assert all((kept[0][name] == value).all() for name, value in model.state_dict().items())


def test_where_no_epoch_was_good_the_last_weights_stay() -> None:
    trainer = one_weight()
    history = fit(trainer, Figures([math.nan] * 2), BestWeights(), epochs=2)
    assert (history.best_epoch, weight(trainer)) == (None, 2.0)


@pytest.mark.parametrize("lost", [math.nan, math.inf])
def test_an_epoch_of_a_loss_that_is_no_number_is_never_the_best(lost: float) -> None:
    factors = iter([1.0, 1.0, lost])
    trainer = one_weight(lambda outputs, targets: (targets - outputs).mean() * next(factors))
    history = fit(trainer, Figures([1, 2, 3], "accuracy"), BestWeights("accuracy", "max"))
    assert history.stopped.startswith(f"the loss became {lost} in epoch 3")
    assert (history.best_epoch, weight(trainer)) == (2, 2.0)


def test_weights_that_are_no_numbers_are_never_the_best_even_if_the_loss_was() -> None:
    factors = iter([1.0, 1.0, math.nan])

    def loss(outputs: Tensor, targets: Tensor) -> Tensor:
        return (targets - outputs).mean() * next(factors)

    class Poison(Callback):
        """What a finite loss with a gradient that is none would do."""

        def on_batch_end(self, trainer: Trainer, epoch: int, batch: int, loss: float) -> None:
            if epoch == 2:
                trainer.model.load_state_dict({"weight": np.full((1, 1), math.nan, np.float32)})

    trainer = one_weight(loss)
    history = fit(trainer, Poison(), BestWeights("loss"))
    assert history["loss"][:2] == [10, 9]
    assert (history.best_epoch, weight(trainer)) == (1, 1.0)


def test_the_best_of_an_earlier_fit_is_forgotten() -> None:
    best, trainer = BestWeights(), one_weight()
    fit(trainer, Figures([1, 2]), best, epochs=2)
    history = fit(trainer, Figures([9, 8]), best, epochs=2)
    assert (history.best_epoch, weight(trainer)) == (2, 3.0)


# TimeLimit


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time, which passes only when a test says so."""
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    return now


class Pass(Callback):
    """Lets some seconds pass with every batch."""

    def __init__(self, clock: list[float], seconds: float) -> None:
        self.clock, self.seconds = clock, seconds

    def on_batch_end(self, trainer: Trainer, epoch: int, batch: int, loss: float) -> None:
        self.clock[0] += self.seconds


def test_the_time_limit_ends_training_within_an_epoch(clock: list[float]) -> None:
    trainer = one_weight()
    callbacks = [Pass(clock, 2.0), TimeLimit(5)]
    history = trainer.fit((X, 10 * X), validation=(X, X), epochs=9, batch_size=2, callbacks=callbacks)
    assert history.stopped == "the time limit of 5 s was reached"
    assert history["seconds"] == [4.0, 6.0]
    assert history["loss"] == [9.5, 8.0]
    assert history["val_loss"] == [1.0, 2.0]


def test_the_time_limit_counts_from_the_start_of_each_fit(clock: list[float]) -> None:
    trainer, limit = one_weight(), TimeLimit(2.5)
    for _ in range(2):
        clock[0] += 1000
        assert len(fit(trainer, Pass(clock, 1.0), limit)) == 3


def test_a_time_limit_that_is_not_reached_stops_nothing(clock: list[float]) -> None:
    assert len(fit(one_weight(), Pass(clock, 1.0), TimeLimit(6.5))) == 6


# What cannot be


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: EarlyStopping(0), "^patience must be at least 1 epoch, not 0$"),
        (lambda: EarlyStopping(mode="auto"), "^mode must be 'min' or 'max', not 'auto'$"),
        (lambda: EarlyStopping(min_delta=-0.1), "^min_delta must be at least 0, not -0.1$"),
        (lambda: EarlyStopping(min_delta=math.nan), "^min_delta must be at least 0, not nan$"),
        (lambda: BestWeights(mode=""), "^mode must be 'min' or 'max', not ''$"),
        (lambda: TimeLimit(0), "^the time limit must be more than 0 seconds, not 0$"),
        (lambda: TimeLimit(math.nan), "^the time limit must be more than 0 seconds, not nan$"),
    ],
)
def test_options_that_cannot_be_are_refused(make: Callable[[], object], message: str) -> None:
    with pytest.raises(DefinitionError, match=message):
        make()


@pytest.mark.parametrize("callback", [EarlyStopping(), BestWeights()])
def test_watching_the_validation_loss_without_validation_data_is_an_error_that_says_so(callback: Callback) -> None:
    name = type(callback).__name__
    message = f"^{name} watches 'val_loss', but an epoch has only epoch, loss, seconds; fit was given no validation"
    with pytest.raises(DefinitionError, match=message):
        fit(one_weight(), callback)


def test_watching_a_figure_that_is_not_there_is_an_error_that_names_those_that_are() -> None:
    with pytest.raises(
        DefinitionError, match=r"watches 'accuracy', but an epoch has only epoch, loss, val_loss, s.*s$"
    ):
        fit(one_weight(), BestWeights("accuracy"), validation=(X, X))
