"""From a folder of images to a trained network that tells their classes apart."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chainrule import losses, metrics, nn
from chainrule.compiled import Compiled, compile
from chainrule.data.augment import Augment
from chainrule.data.batches import Arrays, batches, shuffled
from chainrule.data.images import Pixels, find_images, probe, read_images, skipped_words
from chainrule.data.split import Split, split
from chainrule.data.wording import quoted
from chainrule.errors import DataError, DefinitionError
from chainrule.nn.models import ConvNet, SmallResNet
from chainrule.nn.module import evaluating
from chainrule.random import Generator
from chainrule.state import no_grad
from chainrule.tensor import Tensor, TensorLike, as_tensor, tensor
from chainrule.training.callbacks import BestWeights, Callback, EarlyStopping, TimeLimit
from chainrule.training.history import History
from chainrule.training.image_settings import ImageSettings
from chainrule.training.rates import one_cycle
from chainrule.training.settings import OPTIMIZERS
from chainrule.training.tabular import class_scores, frequency_logits, probabilities
from chainrule.training.trainer import Trainer
from chainrule.types import Array

BATCH = 128
"""Images that are predicted at once."""


class Standardize(nn.Module):
    """Bytes to numbers of mean 0 and standard deviation 1 in each channel of the training images.

    Args:
        mean, std: of each channel, in bytes.
    """

    def __init__(self, mean: Array, std: Array) -> None:
        self.mean = tensor(np.asarray(mean, np.float32).reshape(-1, 1, 1))
        self.std = tensor(np.asarray(std, np.float32).reshape(-1, 1, 1))

    def forward(self, x: TensorLike) -> Tensor:
        """For bytes [n, channels, height, width]."""
        return (as_tensor(x).cast(self.mean.dtype) - self.mean) / self.std


@dataclass(frozen=True, eq=False)
class ImageModel:
    """A network with all that it takes to go from files to predictions.

    Attributes:
        classes: names of the classes.
        size, channels: of the images that the network sees.
        name: of the model, as `ImageSettings.model` has it.
        network: maps bytes [n, channels, size, size] to logits [n, classes].
    """

    classes: tuple[str, ...]
    size: int
    channels: int
    name: str
    network: nn.Module

    def read(self, files: Sequence[Path]) -> tuple[Pixels, list[Path], list[str]]:
        """Images as the network sees them, those of the files that could be read, and notices about the others."""
        decoded = read_images(files, self.size, self.channels)
        notices = [skipped_words(decoded.skipped)] if decoded.skipped else []
        return decoded.pixels, [files[i] for i in decoded.kept.tolist()], notices

    def outputs(self, pixels: Pixels) -> NDArray[Any]:
        """Logits [n, classes]."""
        return predict_pixels(self.network, pixels)

    def predict(self, pixels: Pixels) -> dict[str, NDArray[Any]]:
        """Columns of predictions, one entry an image: "prediction", and for each class "probability of ..."."""
        p = probabilities(self.outputs(pixels))
        columns: dict[str, NDArray[Any]] = {"prediction": np.array(self.classes, object)[p.argmax(axis=1)]}
        return columns | {f"probability of {name}": p[:, i] for i, name in enumerate(self.classes)}


def predict_pixels(network: nn.Module, pixels: Pixels, run: Compiled | None = None) -> NDArray[Any]:
    """What a network says of images [n, ...], in evaluation mode, by batches of one size; `run` is it, compiled."""
    run = run or compile(network)
    outputs: list[Array] = []
    with evaluating(network), no_grad():
        for start in range(0, max(len(pixels), 1), BATCH):
            batch = pixels[start : start + BATCH]
            full = np.zeros((BATCH, *pixels.shape[1:]), pixels.dtype)
            full[: len(batch)] = batch
            outputs.append(run(full).numpy()[: len(batch)])
    return np.concatenate(outputs)


@dataclass(frozen=True, eq=False)
class ImageRun:
    """A trained model, and what there is to say about its training.

    Attributes:
        model: the model with its best weights.
        settings: as they were used, with nothing left open.
        history: the figures of each epoch.
        rows: which of the images that could be read are in each part.
        test: metrics on the test images.
        baseline: the same metrics for always predicting the most frequent class.
        expected: the classes of the test images.
        logits: what the model says of them.
        pixels: the test images.
        skipped: how many files could not be read.
        notices: what the user should be told.
    """

    model: ImageModel
    settings: ImageSettings
    history: History
    rows: Split
    test: dict[str, float]
    baseline: dict[str, float]
    expected: NDArray[np.int64]
    logits: NDArray[Any]
    pixels: Pixels
    skipped: int = 0
    notices: list[str] = field(default_factory=list[str])


class ImageTrainer(Trainer):
    """A trainer whose minibatches are changed by a function in another thread, while the update before is made.

    Args:
        augment: from bytes [n, ...], classes [n] and a NumPy generator that seed, epoch and batch decide, to what the
            update is made from.
    """

    def __init__(self, model: nn.Module, augment: Augment, **options: Any) -> None:
        super().__init__(model, **options)
        self.augment = augment
        self.forward = compile(model)

    def minibatches(self, data: Arrays, batch_size: int) -> Iterator[Arrays]:
        """The parts of the training images; what is left over for a smaller batch at the end is left out."""
        order = shuffled(len(data), self.seed, self.epochs)
        chosen = list(batches(order, batch_size))
        whole = chosen[:-1] if len(chosen) > 1 and len(chosen[-1]) < batch_size else chosen
        key = np.array([self.seed, self.epochs], np.uint64)

        def make(batch: int) -> Arrays:
            generator = np.random.Generator(np.random.Philox(key=key, counter=[0, 0, 0, batch + 1]))
            part = data.take(whole[batch])
            return Arrays(*self.augment(part.x, part.y, generator))

        with ThreadPoolExecutor(1) as pool:
            coming = pool.submit(make, 0)
            for batch in range(len(whole)):
                part = coming.result()
                if batch + 1 < len(whole):
                    coming = pool.submit(make, batch + 1)
                yield part

    def predict(self, x: Any, *, batch_size: int = BATCH) -> Array:
        """The model's outputs for images, by compiled batches."""
        return predict_pixels(self.model, x, self.forward)


@dataclass(frozen=True, eq=False)
class PreparedImages:
    """All that a training needs, before it starts.

    Attributes:
        model: the model with its first weights.
        settings: as they will be used, with nothing left open.
        rows: which of the images that could be read are in each part.
        parts: the images and classes of training, validation and test; the last two may be empty.
        skipped: how many files could not be read.
        notices: what the user should be told.
    """

    model: ImageModel
    settings: ImageSettings
    rows: Split
    parts: tuple[Arrays, Arrays, Arrays]
    skipped: int
    notices: list[str]

    def train(self, callbacks: Iterable[Callback] = ()) -> ImageRun:
        """Train the model, and see how it does on the test images.

        Raises `DefinitionError` if the loss became infinite or NaN before any weights could be kept.
        """
        settings, network = self.settings, self.model.network
        training, validation, test = self.parts
        assert settings.batch_size is not None
        optimizer = OPTIMIZERS[settings.optimizer](network.parameters(), lr=settings.lr)
        steps = settings.epochs * max(len(training) // settings.batch_size, 1)
        trainer = ImageTrainer(
            network,
            settings.augment(len(self.model.classes)),
            loss=partial(losses.cross_entropy, label_smoothing=settings.label_smoothing),
            optimizer=optimizer,
            metrics={"accuracy": _accuracy},
            schedule=one_cycle(optimizer, settings.lr, steps),
            schedule_every="batch",
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
        scores, baseline, logits = {}, {}, np.empty((0, len(self.model.classes)))
        if len(test):
            logits = self.model.outputs(test.x)
            scores = class_scores(logits, test.y)
            baseline = class_scores(frequency_logits(training.y, logits.shape[1], len(test)), test.y)
        return ImageRun(
            self.model,
            settings,
            history,
            self.rows,
            scores,
            baseline,
            test.y,
            logits,
            test.x,
            self.skipped,
            self.notices,
        )


def network_for(name: str, classes: int, channels: int, mean: Array, std: Array, seed: int) -> nn.Module:
    """The network that a name stands for, "convnet" or "resnet20" and so on, with weights that the seed decides."""
    generator = Generator(seed)
    if name == "convnet":
        body: nn.Module = ConvNet(classes, channels, generator=generator)
    else:
        body = SmallResNet(int(name.removeprefix("resnet")), classes, channels, generator=generator)
    return nn.Sequential({"pixels": Standardize(mean, std), "body": body})


def prepare_images(
    folder: str | os.PathLike[str],
    settings: ImageSettings | None = None,
    *,
    progress: Callable[[int, int], None] | None = None,
) -> PreparedImages:
    """Everything up to the first update: the first half of `train_images`, which has the same arguments.

    `progress` is called while files are read, with the number of those done and of all.
    """
    chosen = settings or ImageSettings()
    found = find_images(folder)
    size, channels = probe(found.files)
    size, channels = chosen.size or size, chosen.channels or channels
    decoded = read_images(
        found.files,
        size,
        channels,
        None if progress is None else lambda done: progress(done, len(found)),
    )
    y, notices = found.labels[decoded.kept], list(found.notices)
    if decoded.skipped:
        notices.append(skipped_words(decoded.skipped))
    gone = [name for i, name in enumerate(found.classes) if not (y == i).any()]
    if gone:
        raise DataError(f"no image of class {quoted(gone[0])} can be read; {notices[-1]}")
    share = chosen.validation
    rows = split(len(y), (1.0 - 2.0 * share, share, share), seed=chosen.seed, stratify=y)
    parts = [Arrays(decoded.pixels[part], y[part]) for part in rows]
    settled = chosen.settled(size, channels, len(parts[0]))
    mean, std = _moments(parts[0].x)
    network = network_for(settled.model, len(found.classes), channels, mean, std, settled.seed)
    model = ImageModel(found.classes, size, channels, settled.model, network)
    return PreparedImages(model, settled, rows, (parts[0], parts[1], parts[2]), len(decoded.skipped), notices)


def train_images(
    folder: str | os.PathLike[str],
    settings: ImageSettings | None = None,
    *,
    callbacks: Iterable[Callback] = (),
) -> ImageRun:
    """Train a convolutional network to tell the classes of images apart, which stand in one folder each.

    The images are split into training, validation and test parts, with each class in the same proportions; training
    stops early by the validation loss, and the best weights are kept.

    Args:
        folder: holds a folder of PNG and JPEG files for each class, named by it.
        settings: see `ImageSettings`.
        callbacks: told of the batches and epochs, after the library's own.

    Raises `DataError` if there are no two classes, or no image can be read; `ChainruleError` if Pillow, the extra
    `images`, is not installed.
    """
    return prepare_images(folder, settings).train(callbacks)


def _accuracy(outputs: Array, y: Array) -> float:
    return metrics.accuracy(outputs.argmax(axis=1), y)


def _moments(x: Pixels) -> tuple[Array, Array]:
    """Mean and standard deviation of each channel; 1 where nothing varies."""
    counts = np.stack([np.bincount(channel.reshape(-1), minlength=256) for channel in x.transpose(1, 0, 2, 3)])
    shares, values = counts / counts.sum(1, keepdims=True), np.arange(256.0)
    mean = shares @ values
    std = np.sqrt(np.maximum(shares @ values**2 - mean**2, 0.0))
    return mean, np.where(std > 0, std, 1.0)
