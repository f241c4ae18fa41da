"""The training loop does what its steps done by hand would do, and ends cleanly however it ends."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from chainrule import losses, metrics, nn, optim
from chainrule.data import Arrays, batches, shuffled
from chainrule.errors import DataError, DefinitionError, DtypeError, ShapeError
from chainrule.nn.initializers import glorot_normal
from chainrule.random import Generator
from chainrule.tensor import Tensor, as_tensor
from chainrule.training import BestWeights, Callback, Trainer
from chainrule.training.trainer import LOSSES, predict

RNG = np.random.default_rng(0)
X = RNG.normal(size=(22, 3)).astype(np.float32)
Y = (X @ [[1.0], [-2.0], [0.5]] + 0.3).astype(np.float32)
WEIGHTS = RNG.uniform(0.5, 2.0, size=22).astype(np.float32)


def network(seed: int = 0, *more: nn.Module) -> nn.Sequential:
    """A small network whose first weights and dropout are decided by the seed."""
    generator = Generator(seed)

    def linear(n: int, m: int) -> nn.Linear:
        made = nn.Linear(n, m, initializer=lambda shape, dtype: glorot_normal(shape, dtype=dtype, generator=generator))
        made.bias = nn.Parameter(np.zeros(m, np.float32))
        return made

    return nn.Sequential(linear(3, 5), nn.Tanh(), nn.Dropout(0.2, generator=generator), *more, linear(5, 1))


def trainer_of(model: nn.Module, **options: Any) -> Trainer:
    return Trainer(model, **{"loss": "mse", "optimizer": optim.Adam(model.parameters(), lr=0.01)} | options)


def same_bits(a: nn.Module, b: nn.Module) -> bool:
    first, second = a.state_dict(), b.state_dict()
    return first.keys() == second.keys() and all(first[name].tobytes() == second[name].tobytes() for name in first)


class Call(Callback):
    """Runs a function after a batch of an epoch."""

    def __init__(self, action: Any, epoch: int = 1, batch: int = 0) -> None:
        self.action, self.at = action, (epoch, batch)
        self.seen: list[tuple[int, int]] = []

    def on_batch_end(self, trainer: Trainer, epoch: int, batch: int, loss: float) -> None:
        self.seen.append((epoch, batch))
        if (epoch, batch) == self.at:
            self.action()


# What fit computes


@pytest.mark.parametrize("compiled", [True, False])
def test_fit_takes_the_steps_that_a_loop_by_hand_takes(compiled: bool) -> None:
    model, by_hand = network(), network()
    history = trainer_of(model, seed=7, compiled=compiled).fit((X, Y), epochs=3, batch_size=8)
    optimizer, expected = optim.Adam(by_hand.parameters(), lr=0.01), []
    for epoch in (1, 2, 3):
        total = 0.0
        for rows in batches(shuffled(22, 7, epoch), 8):
            loss = losses.mse(by_hand(as_tensor(X[rows])), Y[rows])
            by_hand.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.item() * len(rows)
        expected.append(total / 22)
    assert compiled or same_bits(model, by_hand)
    assert history["epoch"] == [1, 2, 3]
    assert history["loss"] == (pytest.approx(expected, rel=1e-5) if compiled else expected)
    assert history.stopped == "all 3 epochs were done"


def test_the_seed_decides_every_bit() -> None:
    models = [network(), network(), network()]
    for model, seed in zip(models, (1, 1, 2), strict=True):
        trainer_of(model, seed=seed).fit((X, Y), validation=(X, Y), epochs=2, batch_size=8)
    assert same_bits(models[0], models[1])
    assert not same_bits(models[0], models[2])


def test_validation_changes_nothing_about_the_training() -> None:
    plain, validated = network(), network()
    trainer_of(plain).fit((X, Y), epochs=2, batch_size=8)
    trainer_of(validated).fit((X, Y), validation=(X[:9], Y[:9]), epochs=2, batch_size=8)
    assert same_bits(plain, validated)


def test_two_calls_of_fit_do_what_one_long_call_does() -> None:
    once, twice = network(), network()
    trainer_of(once).fit((X, Y), epochs=5, batch_size=8)
    trainer = trainer_of(twice)
    first = trainer.fit((X, Y), epochs=2, batch_size=8)
    second = trainer.fit((X, Y), epochs=3, batch_size=8)
    assert same_bits(once, twice)
    assert trainer.epochs == 5
    assert (first["epoch"], second["epoch"]) == ([1, 2], [1, 2, 3])
    assert trainer.history is second


def test_a_training_can_be_resumed_in_another_trainer() -> None:
    once, before, after = network(), network(), network(seed=1)
    trainer_of(once).fit((X, Y), epochs=4, batch_size=8)
    stopped = trainer_of(before)
    stopped.fit((X, Y), epochs=3, batch_size=8)
    resumed = trainer_of(after)
    after.load_state_dict(before.state_dict())
    after[2].generator.state.assign(before[2].generator.state)
    resumed.optimizer.load_state_dict(stopped.optimizer.state_dict())
    resumed.epochs = stopped.epochs
    resumed.fit((X, Y), epochs=1, batch_size=8)
    assert same_bits(once, after)


def test_batches_are_of_the_size_asked_for_and_the_last_is_smaller() -> None:
    sizes: list[int] = []

    def loss(outputs: Tensor, targets: Tensor) -> Tensor:
        sizes.append(len(targets))
        return losses.mse(outputs, targets)

    trainer_of(network(), loss=loss, compiled=False).fit((X, Y), epochs=2, batch_size=8)
    assert sizes == [8, 8, 6, 8, 8, 6]


def test_weights_reach_the_loss_and_the_mean_over_an_epoch() -> None:
    model = nn.Linear(3, 1)
    trainer = trainer_of(model, optimizer=optim.SGD(model.parameters(), lr=1e-30))
    history = trainer.fit((X, Y, WEIGHTS), validation=(X, Y, WEIGHTS), epochs=1, batch_size=8)
    expected = np.average((model(X).numpy() - Y)[:, 0] ** 2, weights=WEIGHTS)
    assert history["loss"] == pytest.approx([expected])
    assert history["val_loss"] == pytest.approx([expected])


def test_rows_of_weight_zero_count_for_nothing() -> None:
    model, without = network(), network()
    kept = np.arange(22) % 5 == 0  # so that at some time a whole batch would have no weight
    history = trainer_of(model).fit((X, Y, kept.astype(np.float32)), epochs=3, batch_size=2)
    trainer_of(without).fit((X[kept], Y[kept], np.ones(kept.sum())), epochs=3, batch_size=2)
    assert same_bits(model, without)
    assert np.isfinite(history["loss"]).all()


def test_weights_that_are_none_are_no_weights() -> None:
    model, plain = network(), network()
    trainer_of(model).fit((X, Y, None), epochs=1)
    trainer_of(plain).fit(Arrays(X, Y), epochs=1)
    assert same_bits(model, plain)


def test_validation_has_the_loss_and_the_metrics_of_the_model_in_evaluation_mode() -> None:
    model = network()
    trainer = trainer_of(model, metrics={"r2": metrics.r2, "MAE": metrics.mae})
    history = trainer.fit((X, Y), validation=(X[:9], Y[:9]), epochs=2)
    outputs = model.eval()(X[:9]).numpy()
    assert history.names == ["epoch", "loss", "val_loss", "val_r2", "val_MAE", "seconds"]
    assert history["val_loss"][-1] == pytest.approx(float(((outputs - Y[:9]) ** 2).mean()))
    assert history["val_r2"][-1] == pytest.approx(metrics.r2(outputs, Y[:9]))
    assert history["val_MAE"][-1] == pytest.approx(metrics.mae(outputs, Y[:9]))
    seconds = np.array(history["seconds"])
    assert 0 <= seconds[0] <= seconds[1]


@pytest.mark.parametrize("name", sorted(LOSSES))
def test_a_loss_can_be_named(name: str) -> None:
    assert trainer_of(network(), loss=name).loss is getattr(losses, name)


# Modes


class Modes(Callback):
    """Freezes a layer, and notes the modes after each batch."""

    def __init__(self, frozen: nn.Module) -> None:
        self.frozen, self.seen = frozen, set[tuple[bool, bool]]()

    def on_fit_start(self, trainer: Trainer, epochs: int, batches: int) -> None:
        self.frozen.eval()

    def on_batch_end(self, trainer: Trainer, epoch: int, batch: int, loss: float) -> None:
        self.seen.add((trainer.model.training, self.frozen.training))


def test_fit_trains_in_training_mode_keeps_frozen_layers_so_and_ends_in_evaluation_mode() -> None:
    model = network(0, nn.BatchNorm1d(5)).eval()
    callback = Modes(model[3])
    trainer_of(model).fit((X, Y), validation=(X, Y), epochs=2, callbacks=[callback])
    assert callback.seen == {(True, False)}
    assert not model[3].running_mean.numpy().any()
    assert not any(module.training for module in model.modules())


def test_predict_and_evaluate_leave_every_layer_in_its_mode_also_after_an_error() -> None:
    model = network().train()
    model[2].eval()
    modes = [module.training for module in model.modules()]
    trainer = trainer_of(model)
    trainer.predict(X)
    trainer.evaluate((X, Y))
    with pytest.raises(ShapeError, match="Linear: an input of 3 features"):
        trainer.predict(X[:, :2])
    assert [module.training for module in model.modules()] == modes


# Predictions


@pytest.mark.parametrize("size", [1, 5, 22, 1000])
def test_batches_of_any_size_give_the_same_predictions_and_figures(size: int) -> None:
    model = network(0, nn.BatchNorm1d(5))
    trainer = trainer_of(model, metrics={"r2": metrics.r2})
    trainer.fit((X, Y), epochs=1)
    np.testing.assert_allclose(trainer.predict(X, batch_size=size), model(X).numpy(), rtol=1e-5, atol=1e-6)
    expected = trainer.evaluate((X, Y, WEIGHTS))
    assert trainer.evaluate((X, Y, WEIGHTS), batch_size=size) == pytest.approx(expected, rel=1e-5)


def test_no_rows_give_predictions_of_the_right_shape() -> None:
    assert predict(network(), np.zeros((0, 3), np.float32)).shape == (0, 1)


def test_nothing_is_recorded_for_predictions() -> None:
    recorded: list[bool] = []

    class Spy(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            recorded.append((x * self.weight).requires_grad)
            return x

        weight = nn.Parameter(2.0)

    predict(Spy(), X)
    assert recorded == [False]


# The end


def test_a_loss_that_is_no_number_ends_training_with_a_reason() -> None:
    model = network()
    history = trainer_of(model, optimizer=optim.SGD(model.parameters(), lr=1e30)).fit((X, Y), epochs=5, batch_size=8)
    assert history.stopped in [f"the loss became {x} in epoch 1: try a smaller learning rate" for x in ("nan", "inf")]
    assert len(history) == 1
    assert not np.isfinite(history["loss"][0])


@pytest.mark.parametrize(
    ("bad_x", "bad_y", "words"), [(1, 0, "inputs"), (0, 1, "targets"), (1, 1, "inputs and targets")]
)
def test_a_loss_that_is_no_number_because_of_the_data_says_so(bad_x: int, bad_y: int, words: str) -> None:
    x, y = X.copy(), Y.copy()
    x[3] += np.nan if bad_x else 0
    y[3] += np.inf if bad_y else 0
    history = trainer_of(network()).fit((x, y), callbacks=[Call(lambda: None)])
    assert history.stopped.endswith(f" in epoch 1: there are NaN or infinite {words}")


def test_the_reason_of_a_lost_loss_comes_before_those_of_callbacks() -> None:
    trainer = trainer_of(network())
    history = trainer.fit((X * np.nan, Y), callbacks=[Call(lambda: trainer.stop("enough"))])
    assert history.stopped.startswith("the loss became nan in epoch 1")


def test_stop_ends_training_after_the_batch_and_keeps_the_first_reason() -> None:
    trainer = trainer_of(network())

    def stop() -> None:
        trainer.stop("first")
        trainer.stop("second")

    call = Call(stop, epoch=2, batch=1)
    history = trainer.fit((X, Y), validation=(X, Y), epochs=5, batch_size=8, callbacks=[call])
    assert history.stopped == "first"
    assert call.seen == [(1, 0), (1, 1), (1, 2), (2, 0), (2, 1)]
    assert len(history["val_loss"]) == 2
    assert trainer.fit((X, Y), epochs=1).stopped == "the one epoch was done"


def test_an_error_in_a_callback_leaves_a_clean_trainer() -> None:
    model, first = network(), BestWeights("loss")
    trainer = trainer_of(model)

    def fail() -> None:
        raise RuntimeError("full disk")

    with pytest.raises(RuntimeError, match=r"^full disk$"):
        trainer.fit((X, Y), epochs=5, callbacks=[first, Call(fail, epoch=2)])
    assert trainer.history.stopped == "an error: RuntimeError"
    assert len(trainer.history) == trainer.history.best_epoch == 1
    assert first.state is not None
    assert all((first.state[name] == w).all() for name, w in model.state_dict().items())
    assert not model.training


# What cannot be


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ((X[:0], Y[:0]), "^train holds no rows$"),
        ((X, Y[:5]), "^x has 22 rows and y has 5; they need equal lengths$"),
        ((X, Y, WEIGHTS[:5]), r"^weights of shape \[5\] for 22 rows"),
        ((X, Y, np.zeros(22)), "^train holds no row of a weight above 0$"),
        ((X,), r"^train must be \(inputs, targets\) or \(inputs, targets, weights\)$"),
        (X, r"^train must be \(inputs, targets\)"),
    ],
)
def test_data_that_do_not_fit_are_refused(data: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        trainer_of(network()).fit(data)


def test_validation_and_test_data_are_checked_too() -> None:
    trainer = trainer_of(network())
    with pytest.raises(DataError, match=r"^validation holds no rows$"):
        trainer.fit((X, Y), validation=(X[:0], Y[:0]))
    with pytest.raises(DataError, match=r"^data holds no rows$"):
        trainer.evaluate((X[:0], Y[:0]))
    assert trainer.epochs == 0


def test_options_that_cannot_be_are_refused() -> None:
    trainer = trainer_of(network())
    for options in ({"epochs": 0}, {"batch_size": 0}):
        with pytest.raises(DefinitionError, match="epochs and batch_size must be at least 1, not"):
            trainer.fit((X, Y), **options)
    with pytest.raises(DefinitionError, match="batch_size must be at least 1, not 0"):
        trainer.predict(X, batch_size=0)
    with pytest.raises(DataError, match="inputs need a first axis"):
        trainer.predict(1.0)
    with pytest.raises(
        DefinitionError, match=r"^no loss is called 'l2'; there are binary_cross_entropy, .*, soft_margin_loss$"
    ):
        trainer_of(network(), loss="l2")
    with pytest.raises(DefinitionError, match=r'^a metric needs another name than "loss"$'):
        trainer_of(network(), metrics={"loss": metrics.mae})


def test_text_and_targets_of_another_shape_are_refused_by_the_model_and_the_loss() -> None:
    with pytest.raises(DtypeError):
        trainer_of(network()).fit((X.astype(str), Y))
    with pytest.raises(ShapeError, match=r"mse: prediction .* must have one shape; nothing broadcasts in a loss"):
        trainer_of(network()).fit((X, Y[:, 0]))


# Schedules


@pytest.mark.parametrize(("every", "rate"), [("epoch", 0.5**3), ("batch", 0.5**9)])
@pytest.mark.parametrize("compiled", [True, False])
def test_a_schedule_is_followed_by_the_epoch_or_by_the_batch(every: str, rate: float, compiled: bool) -> None:
    model = network()
    optimizer = optim.SGD(model.parameters(), lr=1.0)
    schedule = optim.ExponentialLR(optimizer, 0.5)
    trainer = trainer_of(model, optimizer=optimizer, schedule=schedule, schedule_every=every, compiled=compiled)
    trainer.fit((X, Y), epochs=3, batch_size=8)
    assert optimizer.lr == rate


@pytest.mark.parametrize(("every", "steps"), [("epoch", 4), ("batch", 12)])
def test_a_schedule_that_watches_the_loss_is_told_it(every: str, steps: int) -> None:
    model = network()
    optimizer = optim.SGD(model.parameters(), lr=0.01)
    schedule = optim.ReduceLROnPlateau(optimizer)
    trainer = trainer_of(model, optimizer=optimizer, schedule=schedule, schedule_every=every)
    history = trainer.fit((X, Y), validation=(X[:5], Y[:5]), epochs=4, batch_size=8)
    assert schedule.last_epoch.item() == steps
    if every == "epoch":
        assert schedule.best.item() == min(history["val_loss"])


def test_a_schedule_of_another_optimizer_is_refused() -> None:
    model = network()
    optimizer = optim.SGD(model.parameters())
    with pytest.raises(DefinitionError, match="another optimizer"):
        trainer_of(model, schedule=optim.ExponentialLR(optimizer, 0.5))
    with pytest.raises(DefinitionError, match="schedule_every must be 'epoch' or 'batch', not 'step'"):
        trainer_of(model, schedule_every="step")
