"""Tables of all kinds become trained networks, whose figures are what a hand would compute."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from sklearn import metrics as sklearn_metrics

from chainrule import nn
from chainrule.data import Table
from chainrule.errors import DataError, DefinitionError
from chainrule.training import Callback, Settings, TableRun, Trainer, train_table
from chainrule.training.settings import OPTIMIZERS
from chainrule.training.tabular import network_for, prepare_table, probabilities, widths_of

ROWS = 80
RNG = np.random.default_rng(0)
SIZE = RNG.normal(size=ROWS)
DAYS = RNG.integers(0, 700, ROWS)
QUICK = Settings(epochs=2, hidden=(4,))

COLUMNS: dict[str, Any] = {
    "size": SIZE,
    "count": RNG.integers(0, 9, ROWS),
    "colour": RNG.choice(["red", "green", None], ROWS).tolist(),
    "new": RNG.random(ROWS) > 0.5,
    "sold": [datetime.date(2020, 1, 1) + datetime.timedelta(days=int(d)) for d in DAYS],
    "seen": np.datetime64("2021-05-01T12:00") + RNG.integers(0, 10**6, ROWS),
    "gaps": np.where(RNG.random(ROWS) < 0.3, np.nan, SIZE),
    "prediction": RNG.normal(size=ROWS),  # called like a column of the output
}
TARGETS: dict[str, Any] = {
    "answer": np.where(SIZE + 0.2 * RNG.normal(size=ROWS) > 0.5, "yes", "no"),
    "grade": np.repeat(["a", "b", "c", "d"], 20),
    "true": SIZE > 0,
    "price": 100 + 20 * SIZE + RNG.normal(size=ROWS),
}


def table(target: str, **more: Any) -> Table:
    return Table.from_columns(COLUMNS | {target: TARGETS[target]} | more)


def trained(target: str, settings: Settings = QUICK, **options: Any) -> TableRun:
    return train_table(table(target), target, settings, **options)


def weights(run: TableRun) -> bytes:
    return b"".join(w.tobytes() for w in run.model.network.state_dict().values())


# All kinds of tables


@pytest.mark.parametrize(("target", "outputs"), [("answer", 2), ("grade", 4), ("true", 2), ("price", 1)])
def test_columns_of_all_kinds_are_learned_from(target: str, outputs: int) -> None:
    run = trained(target)
    assert [column.name for column in run.model.schema.features] == list(COLUMNS)
    assert run.model.widths == (len(run.model.preprocessor.feature_names), 4, outputs)
    assert sorted(np.concatenate(run.rows).tolist()) == list(range(ROWS))
    assert [len(part) for part in run.rows] == [56, 12, 12]
    assert len(run.history) == 2
    assert np.isfinite(list(run.test.values())).all()


def test_what_can_be_learned_is_learned() -> None:
    assert trained("price", Settings(epochs=30, lr=0.03, hidden=(16,), dropout=0.0)).test["R2"] > 0.6
    assert trained("true", Settings(epochs=15, lr=0.03, hidden=(16,))).test["accuracy"] > 0.8


@pytest.mark.parametrize("target", ["grade", "price"])
def test_the_seed_decides_every_bit(target: str) -> None:
    runs = [trained(target, Settings(epochs=2, hidden=(4,), seed=seed)) for seed in (1, 1, 2)]
    assert weights(runs[0]) == weights(runs[1])
    assert runs[0].test == runs[1].test
    assert [row.tolist() for row in runs[0].rows] == [row.tolist() for row in runs[1].rows]
    assert weights(runs[0]) != weights(runs[2])
    assert [row.tolist() for row in runs[0].rows] != [row.tolist() for row in runs[2].rows]


def test_rows_without_a_target_are_left_out_and_the_others_keep_their_numbers() -> None:
    prices = np.where(np.arange(ROWS) % 4 == 0, np.nan, TARGETS["price"])
    run = train_table(table("price", price=prices), "price", QUICK)
    assert sorted(np.concatenate(run.rows).tolist()) == [i for i in range(ROWS) if i % 4]
    np.testing.assert_allclose(run.expected, prices[run.rows.test], rtol=1e-5)
    assert "20 rows of 80 left out" in run.notices[0]


def test_notices_about_columns_and_values_are_handed_on() -> None:
    found = table("answer", id=np.arange(ROWS), unit=np.ones(ROWS))
    notices = "\n".join(train_table(found, "answer", QUICK).notices)
    assert 'column "id"' in notices
    assert 'column "unit"' in notices
    kept = train_table(found, "answer", QUICK, keep=["id"], drop=["unit", "size"])
    names = [column.name for column in kept.model.schema.features]
    assert names == [name for name in COLUMNS if name != "size"] + ["id"]
    assert not any('"id"' in notice or '"unit"' in notice for notice in kept.notices)


def test_the_task_can_be_chosen() -> None:
    numbers = table("grade", grade=np.tile([1, 2, 3, 4], 20))
    classes, quantity = train_table(numbers, "grade", QUICK), train_table(numbers, "grade", QUICK, task="regression")
    assert classes.model.widths[-1] == 4
    assert quantity.model.widths[-1] == 1
    assert list(quantity.test) == ["R2", "RMSE", "MAE"]
    assert set(classes.model.predict(numbers)[0]["prediction"].tolist()) <= {1, 2, 3, 4}


# Figures


def test_the_baseline_of_classes_is_the_most_frequent_one_of_the_training_rows() -> None:
    run = trained("answer")
    y = TARGETS["answer"]
    train, test = y[run.rows.train], y[run.rows.test]
    share = {name: np.mean(train == name) for name in ("no", "yes")}
    assert share["no"] > share["yes"]
    hits = np.mean(test == "no")
    assert list(run.baseline) == list(run.test) == ["accuracy", "balanced accuracy", "macro F1", "log loss", "ROC AUC"]
    assert run.baseline["accuracy"] == pytest.approx(hits)
    assert run.baseline["balanced accuracy"] == 0.5
    assert run.baseline["macro F1"] == pytest.approx(hits / (1 + hits))
    assert run.baseline["log loss"] == pytest.approx(-np.mean([np.log(share[name]) for name in test]))
    assert run.baseline["ROC AUC"] == 0.5


def test_the_baseline_of_a_quantity_is_the_mean_of_the_training_rows() -> None:
    run = trained("price")
    train, test = TARGETS["price"][run.rows.train], TARGETS["price"][run.rows.test]
    error = test - train.mean()
    expected = {
        "R2": 1 - (error**2).sum() / ((test - test.mean()) ** 2).sum(),
        "RMSE": np.sqrt((error**2).mean()),
        "MAE": np.abs(error).mean(),
    }
    assert run.baseline == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("target", ["answer", "grade", "true"])
def test_figures_of_classes_are_those_of_the_predictions_in_the_test_rows(target: str) -> None:
    run = trained(target)
    rows = table(target).take(run.rows.test)
    columns, _ = run.model.predict(rows)
    truth, guess = rows[target].values, columns["prediction"]
    p = np.stack(list(columns.values())[1:], axis=1).astype(float)
    expected = {
        "accuracy": sklearn_metrics.accuracy_score(truth.tolist(), guess.tolist()),
        "balanced accuracy": sklearn_metrics.balanced_accuracy_score(truth.tolist(), guess.tolist()),
        "macro F1": sklearn_metrics.f1_score(truth.tolist(), guess.tolist(), average="macro"),
        "log loss": sklearn_metrics.log_loss(truth.tolist(), p),
    } | ({"ROC AUC": sklearn_metrics.roc_auc_score(truth.tolist(), p[:, 1])} if p.shape[1] == 2 else {})
    assert run.test == pytest.approx(expected)
    assert run.model.score(rows) == pytest.approx(expected)
    codec = run.model.codec
    assert codec.decode(run.expected).tolist() == truth.tolist()
    assert codec.decode(run.predicted).tolist() == guess.tolist()


def test_figures_of_a_quantity_are_those_of_the_predictions_in_its_own_unit() -> None:
    run = trained("price")
    rows = table("price").take(run.rows.test)
    guess, truth = run.model.predict(rows)[0]["prediction"], TARGETS["price"][run.rows.test]
    expected = {
        "R2": sklearn_metrics.r2_score(truth, guess),
        "RMSE": sklearn_metrics.root_mean_squared_error(truth, guess),
        "MAE": sklearn_metrics.mean_absolute_error(truth, guess),
    }
    assert run.test == pytest.approx(expected, rel=1e-4)
    assert run.model.score(rows) == pytest.approx(expected, rel=1e-4)
    np.testing.assert_allclose(run.expected, truth, rtol=1e-5)
    np.testing.assert_allclose(run.predicted, guess, rtol=1e-6)


def test_the_history_has_the_loss_and_the_figure_of_the_validation_rows() -> None:
    assert trained("grade").history.names == ["epoch", "loss", "val_loss", "val_accuracy", "seconds"]
    assert trained("price").history.names == ["epoch", "loss", "val_loss", "val_r2", "seconds"]


def test_the_weights_are_those_of_the_best_epoch() -> None:
    settings = Settings(epochs=12, hidden=(8,), lr=0.3, label_smoothing=0.0, patience=5)
    prepared = prepare_table(table("answer"), "answer", settings)
    run = prepared.train()
    losses = run.history["val_loss"]
    assert run.history.best_epoch == 1 + int(np.argmin(losses))
    loss = Trainer(run.model.network, loss="cross_entropy", optimizer=OPTIMIZERS["sgd"](run.model.network.parameters()))
    assert loss.evaluate(prepared.parts[1])["loss"] == pytest.approx(min(losses))


# Predictions


def test_probabilities_of_the_classes_add_up_to_one() -> None:
    columns, notices = trained("grade").model.predict(table("grade"))
    assert list(columns) == ["prediction", *(f"probability of {name}" for name in "abcd")]
    p = np.stack([columns[f"probability of {name}"] for name in "abcd"], axis=1)
    np.testing.assert_allclose(p.sum(axis=1), 1, rtol=1e-12)
    assert columns["prediction"].tolist() == ["abcd"[i] for i in p.argmax(axis=1)]
    assert notices == []


def test_probabilities_of_huge_logits_do_not_overflow() -> None:
    np.testing.assert_allclose(probabilities(np.array([[1e4, 0.0], [0.0, 0.0]])), [[1, 0], [0.5, 0.5]])


def test_a_table_needs_neither_target_nor_order_nor_rows_to_predict_for() -> None:
    model = trained("price").model
    expected = model.predict(table("price"))[0]["prediction"]
    shuffled = Table.from_columns(dict(reversed(COLUMNS.items())))
    np.testing.assert_array_equal(model.predict(shuffled)[0]["prediction"], expected)
    assert model.predict(shuffled.take(np.arange(0)))[0]["prediction"].shape == (0,)


def test_values_that_training_did_not_have_are_told_of() -> None:
    columns, notices = trained("answer").model.predict(table("answer", colour=["blue"] * ROWS))
    assert len(columns["prediction"]) == ROWS
    assert len(notices) == 1
    assert '"colour"' in notices[0]


def test_a_table_that_lacks_columns_or_targets_is_an_error() -> None:
    model = trained("price").model
    with pytest.raises(DataError, match=r"7 columns of training not there"):
        model.predict(Table.from_columns({"size": SIZE}))
    with pytest.raises(DataError, match=r'no column "price"'):
        model.score(Table.from_columns(COLUMNS))
    with pytest.raises(DataError, match=r'row 1: target "price" has no value'):
        model.score(table("price", price=[None] + [1.0] * (ROWS - 1)))


# Settings


@pytest.mark.parametrize("optimizer", sorted(OPTIMIZERS))
@pytest.mark.parametrize("target", ["grade", "price"])
def test_every_optimizer_trains(optimizer: str, target: str) -> None:
    rate = 0.05 if optimizer == "adagrad" else 0.01
    history = trained(target, Settings(epochs=8, hidden=(8,), optimizer=optimizer, dropout=0.0, lr=rate)).history
    assert history["loss"][-1] < history["loss"][0]


@pytest.mark.parametrize("hidden", [(), (3,), (5, 4, 3)])
def test_hidden_layers_are_as_many_and_as_wide_as_asked_for(hidden: tuple[int, ...]) -> None:
    run = trained("grade", Settings(epochs=1, hidden=hidden))
    assert run.settings.hidden == run.model.hidden == hidden
    assert run.model.widths == (*run.model.widths[:1], *hidden, 4)
    kinds = [type(layer).__name__ for layer in run.model.network.children()]
    assert kinds == ["Linear", "ReLU", "Dropout"] * len(hidden) + ["Linear"]


def test_settings_that_were_left_open_are_settled_by_the_table() -> None:
    prepared = prepare_table(table("price").select(["size", "count", "price"]), "price")
    assert prepared.settings.hidden == (32,) and prepared.settings.dropout == 0.3
    assert prepared.settings.batch_size == 32
    rows = np.linspace(0, 1, 50_000)
    many = Table.from_columns({f"x{i}": rows for i in range(20)} | {"y": rows})
    assert prepare_table(many, "y").settings.hidden == (64, 64)
    assert prepare_table(many, "y").settings.batch_size == 256
    assert prepare_table(table("price"), "price", Settings(batch_size=7)).settings.batch_size == 7


def test_classes_get_a_second_layer_and_less_dropout() -> None:
    prepared = prepare_table(table("grade"), "grade")
    assert len(prepared.settings.hidden or ()) == 2 and prepared.settings.dropout == 0.1


def test_no_dropout_makes_no_dropout_layers() -> None:
    network = network_for(3, 2, (4, 4), 0.0, seed=0)
    assert [type(layer).__name__ for layer in network.children()] == ["Linear", "ReLU", "Linear", "ReLU", "Linear"]


def test_first_weights_are_he_normal_the_last_glorot_and_biases_zero() -> None:
    first, _, last = network_for(500, 400, (600,), 0.0, seed=0).children()
    assert isinstance(first, nn.Linear)
    assert isinstance(last, nn.Linear)
    assert first.weight.numpy().std() == pytest.approx(np.sqrt(2 / 500), rel=0.02)
    assert last.weight.numpy().std() == pytest.approx(np.sqrt(2 / (600 + 400)), rel=0.02)
    assert first.bias is not None
    assert not first.bias.numpy().any()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Settings(hidden=(8, 0)), r"^hidden must be a tuple of widths from 1, not \(8, 0\)$"),
        (lambda: Settings(hidden=64), r"^hidden must be a tuple of widths from 1, not 64$"),
        (lambda: Settings(epochs="3"), r"^epochs must be a whole number from 1, not '3'$"),
        (lambda: Settings(epochs=2.5), r"^epochs must be a whole number from 1, not 2.5$"),
        (lambda: Settings(lr="fast"), r"^lr must be a positive number, not 'fast'$"),
        (lambda: Settings(seed="one"), r"^seed must be from 0 to 2\^63 - 1, not 'one'$"),
        (lambda: Settings(epochs=0), r"^epochs must be a whole number from 1, not 0$"),
        (lambda: Settings(lr=0.0), r"^lr must be a positive number, not 0.0$"),
        (lambda: Settings(lr=float("nan")), r"^lr must be a positive number, not nan$"),
        (lambda: Settings(lr=float("inf")), r"^lr must be a positive number, not inf$"),
        (lambda: Settings(batch_size=0), r"^batch_size must be a whole number from 1, not 0$"),
        (lambda: Settings(optimizer="lion"), r"^optimizer must be one of adagrad, .*, sgd, not 'lion'$"),
        (lambda: Settings(dropout=1.0), r"^dropout must be in \[0, 1\), not 1.0$"),
        (lambda: Settings(patience=0), r"^patience must be a whole number from 1, not 0$"),
        (lambda: Settings(time_limit=0.0), r"^time_limit must be more than 0 seconds, not 0.0$"),
        (lambda: Settings(seed=-1), r"^seed must be from 0 to 2\^63 - 1, not -1$"),
    ],
)
def test_settings_that_cannot_be_are_refused(make: Callable[[], Settings], message: str) -> None:
    with pytest.raises(DefinitionError, match=message):
        make()


# Parts and endings


@pytest.mark.parametrize(("target", "fractions"), [("grade", (0.8, 0.2, 0)), ("price", (1, 0, 0))])
def test_without_test_rows_there_are_no_test_figures(target: str, fractions: tuple[float, float, float]) -> None:
    run = trained(target, fractions=fractions)
    assert (run.test, run.baseline, len(run.expected), len(run.predicted)) == ({}, {}, 0, 0)
    assert (run.history.best_epoch is None) == (fractions[1] == 0)
    assert len(run.history) == 2


def test_a_test_part_of_one_class_has_no_roc_auc() -> None:
    model = trained("true").model
    assert "ROC AUC" not in model.score(table("true").take(TARGETS["true"]))


def test_patience_and_time_limit_end_the_training() -> None:
    assert (
        trained("price", Settings(hidden=(4,), time_limit=1e-9)).history.stopped
        == "the time limit of 1e-09 s was reached"
    )
    hasty = trained("grade", Settings(hidden=(4,), patience=1, lr=0.5)).history
    assert hasty.stopped == "val_loss has not improved for 1 epoch"


def test_callbacks_come_after_the_librarys_own() -> None:
    seen: list[int | None] = []

    class Look(Callback):
        def on_epoch_end(self, trainer: Trainer, row: dict[str, float]) -> None:
            seen.append(trainer.history.best_epoch)

    trained("price", callbacks=[Look()])
    assert seen[0] == 1


def test_a_training_whose_loss_is_lost_at_once_is_an_error_that_says_what_to_do() -> None:
    with pytest.raises(DefinitionError, match=r"^the loss became (nan|inf) in epoch \d+: try a smaller learning rate$"):
        trained("price", Settings(hidden=(4,), lr=1e30, optimizer="sgd"))


def test_widths_follow_from_the_columns_and_the_target() -> None:
    model = trained("grade").model
    assert widths_of(model.preprocessor, (9,), model.codec) == (len(model.preprocessor.feature_names), 9, 4)
