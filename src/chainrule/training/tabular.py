"""From a table to a trained network that predicts one of its columns."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import pairwise
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from chainrule import losses, metrics, nn
from chainrule.data.batches import Arrays
from chainrule.data.preprocess import Preprocessor
from chainrule.data.schema import Schema, Task, infer_schema
from chainrule.data.split import Split, split
from chainrule.data.table import Table
from chainrule.data.target import TargetEncoder, TargetScaler
from chainrule.errors import DefinitionError
from chainrule.nn.initializers import glorot_normal, he_normal
from chainrule.random import Generator
from chainrule.tensor import Tensor
from chainrule.training.callbacks import BestWeights, Callback, EarlyStopping, TimeLimit
from chainrule.training.history import History
from chainrule.training.settings import OPTIMIZERS, Settings, settle
from chainrule.training.trainer import Metric, Trainer, predict

Codec: TypeAlias = "TargetEncoder | TargetScaler"


@dataclass(frozen=True, eq=False)
class TableModel:
    """A network with all that it takes to go from a table to predictions."""

    schema: Schema
    preprocessor: Preprocessor
    codec: Codec
    hidden: tuple[int, ...]
    dropout: float
    network: nn.Sequential

    @property
    def widths(self) -> tuple[int, ...]:
        """The sizes of the network's layers, from the features to the outputs."""
        return widths_of(self.preprocessor, self.hidden, self.codec)

    def outputs(self, table: Table) -> tuple[NDArray[Any], list[str]]:
        """What the network says of every row, logits [rows, classes] or standardised values [rows, 1]; and notices."""
        x, notices = self.preprocessor.transform(table)
        return predict(self.network, x), notices

    def predict(self, table: Table) -> tuple[dict[str, NDArray[Any]], list[str]]:
        """Columns of predictions, one entry a row, and what the user should be told.

        For classes: "prediction", and the probability of each class as "probability of ..."; for a quantity:
        "prediction".

        Raises `DataError` for a table that lacks columns or holds other kinds of values.
        """
        outputs, notices = self.outputs(table)
        if isinstance(self.codec, TargetScaler):
            return {"prediction": self.codec.decode(outputs[:, 0])}, notices
        p = probabilities(outputs)
        columns: dict[str, NDArray[Any]] = {"prediction": self.codec.decode(p.argmax(axis=1))}
        for i, name in enumerate(self.codec.classes):
            columns[f"probability of {name}"] = p[:, i]
        return columns, notices

    def score(self, table: Table) -> dict[str, float]:
        """The metrics of the model on rows whose target is known."""
        outputs, _ = self.outputs(table)
        return _scores(self.codec, outputs, _targets(self.codec, table, self.schema.target.name))


@dataclass(frozen=True, eq=False)
class TableRun:
    """A trained model, and what there is to say about its training.

    Attributes:
        model: the model with its best weights.
        settings: as they were used, with nothing left open.
        history: the figures of each epoch.
        rows: the rows of the table in each part.
        test: metrics on the test rows.
        baseline: the same metrics for always predicting the most frequent class, or the mean.
        expected: the targets of the test rows, codes of classes or quantities in their own unit.
        predicted: what the model says of them.
        notices: what the user should be told.
    """

    model: TableModel
    settings: Settings
    history: History
    rows: Split
    test: dict[str, float]
    baseline: dict[str, float]
    expected: NDArray[Any]
    predicted: NDArray[Any]
    notices: list[str] = field(default_factory=list[str])


def widths_of(preprocessor: Preprocessor, hidden: Sequence[int], codec: Codec) -> tuple[int, ...]:
    """The sizes of a network's layers, from the features to the outputs."""
    outputs = len(codec.classes) if isinstance(codec, TargetEncoder) else 1
    return (len(preprocessor.feature_names), *hidden, outputs)


def network_for(features: int, outputs: int, hidden: Sequence[int], dropout: float, seed: int) -> nn.Sequential:
    """A multilayer perceptron: Linear, ReLU and Dropout for each hidden layer, then a Linear to the outputs.

    Weights start with He's normal distribution, those of the last layer with Glorot's; biases start at zero.
    """
    generator = Generator(seed)
    widths = [features, *hidden, outputs]
    layers: list[nn.Module] = []
    for i, (n, m) in enumerate(pairwise(widths)):
        last = i == len(hidden)
        draw = partial(glorot_normal if last else he_normal, generator=generator)
        linear = nn.Linear(n, m, bias=False, initializer=draw)
        linear.bias = nn.Parameter(np.zeros(m, np.float32), name="bias")
        layers.append(linear)
        if not last:
            layers += [nn.ReLU(), *([nn.Dropout(dropout, generator=generator)] if dropout else [])]
    return nn.Sequential(*layers)


@dataclass(frozen=True, eq=False)
class Prepared:
    """All that a training needs, before it starts.

    Attributes:
        model: the model with its first weights.
        settings: as they will be used, with nothing left open.
        rows: the rows of the table in each part.
        parts: the arrays of training, validation and test; the last two may be empty.
        notices: what the user should be told.
    """

    model: TableModel
    settings: Settings
    rows: Split
    parts: tuple[Arrays, Arrays, Arrays]
    notices: list[str]

    def train(self, callbacks: Iterable[Callback] = ()) -> TableRun:
        """Train the model, and see how it does on the test rows.

        Raises `DefinitionError` if the loss became infinite or NaN before any weights could be kept.
        """
        settings, codec, network = self.settings, self.model.codec, self.model.network
        assert settings.batch_size is not None
        training, validation, test = self.parts
        trainer = Trainer(
            network,
            loss=_loss(self.model.schema.task, settings.label_smoothing),
            optimizer=OPTIMIZERS[settings.optimizer](network.parameters(), lr=settings.lr),
            metrics=_metric_of(codec),
            seed=settings.seed,
        )
        own: list[Callback] = [BestWeights(), EarlyStopping(settings.patience)] if len(validation) else []
        own += [TimeLimit(settings.time_limit)] if settings.time_limit is not None else []
        history = trainer.fit(
            training,
            validation=validation if len(validation) else None,
            epochs=settings.epochs,
            batch_size=settings.batch_size,
            callbacks=[*own, *callbacks],
        )
        if not all(np.isfinite(weights).all() for weights in network.state_dict().values()):
            raise DefinitionError(history.stopped)
        scores, baseline = {}, {}
        expected = predicted = np.empty(0)
        if len(test):
            outputs = trainer.predict(test.x)
            scores = _scores(codec, outputs, test.y)
            baseline = _scores(codec, _baseline(codec, training.y, len(test)), test.y)
            expected, predicted = _answers(codec, test.y), _answers(codec, outputs)
        return TableRun(self.model, settings, history, self.rows, scores, baseline, expected, predicted, self.notices)


def prepare_table(
    table: Table,
    target: str,
    settings: Settings | None = None,
    *,
    task: Task | None = None,
    drop: Sequence[str] = (),
    keep: Sequence[str] = (),
    fractions: tuple[float, float, float] = (0.7, 0.15, 0.15),
) -> Prepared:
    """Everything up to the first update: the first half of `train_table`, which has the same arguments."""
    found = infer_schema(table, target, task=task, drop=drop, keep=keep)
    rows = table.take(found.rows)
    chosen = settings or Settings()
    if found.schema.task == "classification":
        codec = TargetEncoder.fit(rows[target], target)
        parts = split(rows.rows, fractions, seed=chosen.seed, stratify=codec.encode(rows[target]))
    else:
        parts = split(rows.rows, fractions, seed=chosen.seed)
        codec = TargetScaler.fit(rows[target].take(parts.train), target)
    preprocessor, notices = Preprocessor.fit(rows, found.schema, parts.train)
    x, _ = preprocessor.transform(rows)
    y = _targets(codec, rows, target)
    settled = settle(chosen, found.schema.task, len(parts.train), x.shape[1])
    assert settled.hidden is not None and settled.dropout is not None
    inputs, *_, outputs = widths_of(preprocessor, settled.hidden, codec)
    network = network_for(inputs, outputs, settled.hidden, settled.dropout, settled.seed)
    model = TableModel(found.schema, preprocessor, codec, settled.hidden, settled.dropout, network)
    arrays = (Arrays(x[parts.train], y[parts.train]), Arrays(x[parts.validation], y[parts.validation]))
    test = Arrays(x[parts.test], y[parts.test])
    kept = Split(*(found.rows[part] for part in parts))
    return Prepared(model, settled, kept, (*arrays, test), [*table.notices, *found.notices, *notices])


def train_table(
    table: Table,
    target: str,
    settings: Settings | None = None,
    *,
    task: Task | None = None,
    drop: Sequence[str] = (),
    keep: Sequence[str] = (),
    fractions: tuple[float, float, float] = (0.7, 0.15, 0.15),
    callbacks: Iterable[Callback] = (),
) -> TableRun:
    """Train a multilayer perceptron to predict a column of a table from the others.

    The rows are split into training, validation and test parts, stratified for classes; columns are prepared by what
    the training rows teach; training stops early by the validation loss, and the best weights are kept.

    Args:
        table: the data, from `read_table` or `Table.from_columns`.
        target: name of the column to predict.
        settings: see `Settings`.
        task: "classification" or "regression"; by default what the target looks like.
        drop: columns not to learn from.
        keep: columns to learn from, whatever they look like.
        fractions: shares of the three parts. Without a test part, no test figures are made.
        callbacks: told of the batches and epochs, after the library's own.

    Raises `DataError` if the table cannot be learned from.

    >>> rng = np.random.default_rng(0)
    >>> x = rng.normal(size=200)
    >>> run = train_table(Table.from_columns({"x": x, "y": x > 0}), "y", Settings(epochs=30))
    >>> run.test["accuracy"] > 0.9
    True
    """
    prepared = prepare_table(table, target, settings, task=task, drop=drop, keep=keep, fractions=fractions)
    return prepared.train(callbacks)


def _loss(task: Task, label_smoothing: float) -> Callable[..., Tensor]:
    """What a task is trained with."""
    return partial(losses.cross_entropy, label_smoothing=label_smoothing) if task == "classification" else losses.mse


def probabilities(logits: NDArray[Any]) -> NDArray[np.float64]:
    """The softmax of logits [rows, classes], in float64."""
    shifted = np.asarray(logits, np.float64)
    e = np.exp(shifted - shifted.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def _targets(codec: Codec, rows: Table, target: str) -> NDArray[Any]:
    """Classes [rows], or standardised values [rows, 1], as the network's outputs are compared with."""
    y = codec.encode(rows[target], rows.source)
    return y if isinstance(codec, TargetEncoder) else y[:, None]


def _metric_of(codec: Codec) -> dict[str, Metric]:
    """The figure that the progress bar shows beside the loss."""
    if isinstance(codec, TargetEncoder):
        return {"accuracy": lambda outputs, y: metrics.accuracy(outputs.argmax(axis=1), y)}
    return {"r2": metrics.r2}


def _scores(codec: Codec, outputs: NDArray[Any], y: NDArray[Any]) -> dict[str, float]:
    """All figures for outputs of the network, in the target's own unit."""
    if isinstance(codec, TargetScaler):
        guess, truth = codec.decode(outputs).ravel(), codec.decode(y).ravel()
        return {"R2": metrics.r2(guess, truth), "RMSE": metrics.rmse(guess, truth), "MAE": metrics.mae(guess, truth)}
    return class_scores(outputs, y)


def class_scores(logits: NDArray[Any], y: NDArray[Any]) -> dict[str, float]:
    """All figures for logits [rows, classes] where the classes [rows] are known."""
    p = probabilities(logits)
    guess = p.argmax(axis=1)
    found = {
        "accuracy": metrics.accuracy(guess, y),
        "balanced accuracy": metrics.balanced_accuracy(guess, y),
        "macro F1": metrics.f1_macro(guess, y),
        "log loss": metrics.log_loss(p, y),
    }
    if p.shape[1] == 2 and len(np.unique(y)) == 2:
        found["ROC AUC"] = metrics.roc_auc(p[:, 1], y)
    return found


def _answers(codec: Codec, outputs: NDArray[Any]) -> NDArray[Any]:
    """Codes of classes [rows], or quantities [rows] in their own unit, from outputs or targets of the network."""
    if isinstance(codec, TargetScaler):
        return codec.decode(outputs).ravel()
    return outputs.argmax(axis=1) if outputs.ndim == 2 else outputs


def _baseline(codec: Codec, y: NDArray[Any], rows: int) -> NDArray[Any]:
    """Outputs that know the training targets only: the classes' frequencies as logits, or the mean."""
    if isinstance(codec, TargetScaler):
        return np.full((rows, 1), y.mean())
    return frequency_logits(y, len(codec.classes), rows)


def frequency_logits(y: NDArray[Any], classes: int, rows: int) -> NDArray[Any]:
    """The logits [rows, classes] of always giving each class the share that it has in y."""
    shares = np.bincount(y, minlength=classes) / len(y)
    return np.tile(np.log(np.maximum(shares, 1e-12)), (rows, 1))
