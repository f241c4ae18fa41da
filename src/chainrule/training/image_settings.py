"""What can be chosen about a training on images, and what is chosen where nothing is said."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from chainrule.data.augment import Augment
from chainrule.data.images import SMALLEST
from chainrule.training.settings import OPTIMIZERS, is_count, is_number, is_rate, is_seed, is_share, refuse

MODELS = ("convnet", "resnet20", "resnet32", "resnet44", "resnet56")


@dataclass(frozen=True)
class ImageSettings:
    """What can be chosen about a training on images.

    Attributes:
        size: of the square that each image becomes; by default the middle one of their shorter sides, at most 64.
        channels: 1 for grey, 3 for colour; by default what the images have.
        model: "convnet", or "resnet20", "resnet32", "resnet44", "resnet56": see `nn.models`.
        epochs: most passes over the training images.
        lr: highest learning rate; it rises over the first twentieth of the updates and falls along a cosine.
        batch_size: images of an update; by default 16 to 128, a fiftieth of the training images.
        optimizer: one of "adam", "adamw", "sgd" (Nesterov momentum 0.9), "rmsprop", "adagrad".
        validation: share of the images to validate on, and of those to test on; 0 for none.
        flip: whether left and right are exchanged at random; by default for images with colours, since letters,
            digits and drawings often mean something else then.
        crop: whether images are moved a little at random.
        colour: whether brightness, contrast and saturation change at random.
        cutout: whether a square is cut out at random.
        mixup: whether pairs of images are mixed at random.
        label_smoothing: share of a class's probability that the loss hands to all classes.
        patience: epochs without a better validation loss after which training stops.
        time_limit: most seconds, or None.
        seed: of the split, the first weights, the order of the images, and how they are changed.

    Raises `DefinitionError` for a value that cannot be.

    >>> ImageSettings(epochs=3).settled(28, 1, 2000).batch_size
    32
    """

    size: int | None = None
    channels: int | None = None
    model: str = "convnet"
    epochs: int = 20
    lr: float = 2e-3
    batch_size: int | None = None
    optimizer: str = "adamw"
    validation: float = 0.15
    flip: bool | None = None
    crop: bool = True
    colour: bool = False
    cutout: bool = False
    mixup: bool = False
    label_smoothing: float = 0.05
    patience: int = 10
    time_limit: float | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        size = SMALLEST if self.size is None else self.size
        batch = 1 if self.batch_size is None else self.batch_size
        limit = 1.0 if self.time_limit is None else self.time_limit
        wrong = [
            ("size", not is_count(size) or size < SMALLEST, f"a whole number from {SMALLEST}"),
            ("channels", self.channels not in (None, 1, 3), "1 or 3"),
            ("model", self.model not in MODELS, f"one of {', '.join(MODELS)}"),
            ("epochs", not is_count(self.epochs), "a whole number from 1"),
            ("lr", not is_rate(self.lr), "a positive number"),
            ("batch_size", not is_count(batch), "a whole number from 1"),
            ("optimizer", self.optimizer not in OPTIMIZERS, f"one of {', '.join(sorted(OPTIMIZERS))}"),
            ("validation", not (is_share(self.validation) and self.validation < 0.5), "in [0, 0.5)"),
            ("label_smoothing", not is_share(self.label_smoothing), "in [0, 1)"),
            ("patience", not is_count(self.patience), "a whole number from 1"),
            ("time_limit", not (is_number(limit) and limit > 0), "more than 0 seconds"),
            ("seed", not is_seed(self.seed), "from 0 to 2^63 - 1"),
        ]
        refuse(self, wrong)

    def settled(self, size: int, channels: int, images: int) -> ImageSettings:
        """The settings with a value in every place, for so many training images of a size and a number of channels."""
        flip = channels == 3 if self.flip is None else self.flip
        batch = min(self.batch_size or min(max(16, 2 ** int(np.log2(images / 50 + 1))), 128), images)
        return replace(self, size=size, channels=channels, flip=flip, batch_size=batch)

    def augment(self, classes: int) -> Augment:
        """What is done to minibatches."""
        return Augment(classes, bool(self.flip), self.crop, self.colour, self.cutout, self.mixup)
