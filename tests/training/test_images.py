from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from chainrule import losses, nn, optim
from chainrule.data.augment import Augment
from chainrule.data.batches import Arrays
from chainrule.data.images import find_images
from chainrule.errors import DataError, DefinitionError, RunError
from chainrule.training.callbacks import Callback
from chainrule.training.image_settings import ImageSettings
from chainrule.training.images import ImageModel, ImageRun, ImageTrainer, Standardize, prepare_images, train_images
from chainrule.training.runs import load_run, save_run

RNG = np.random.default_rng(0)
SETTINGS = ImageSettings(epochs=12, lr=0.01, colour=True, cutout=True, batch_size=16, validation=0.2, flip=True)


def draw(kind: str, number: int) -> Image.Image:
    rng = np.random.default_rng([number, len(kind)])
    shown = rng.integers(0, 60, (8, 8, 3)).astype(np.uint8)
    at = int(rng.integers(1, 6))
    (shown.transpose(1, 0, 2) if kind == "upright" else shown)[at : at + 2] = 230
    return Image.fromarray(shown)


@pytest.fixture(scope="module")
def bars(tmp_path_factory: pytest.TempPathFactory) -> Path:
    top = tmp_path_factory.mktemp("data") / "bars"
    for kind in ("lying", "upright"):
        (top / kind).mkdir(parents=True)
        for i in range(30):
            draw(kind, i).save(top / kind / f"{i:02}.png")
    (top / "lying" / "broken.png").write_bytes(b"no image")
    return top


@pytest.fixture(scope="module")
def run(bars: Path) -> ImageRun:
    return train_images(bars, SETTINGS)


@pytest.fixture(scope="module")
def saved(run: ImageRun, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_run(run, tmp_path_factory.mktemp("runs") / "bars", source="bars")


def test_it_learns_to_tell_images_apart(run: ImageRun, bars: Path) -> None:
    assert [len(part) for part in run.rows] == [36, 12, 12]
    assert run.test["accuracy"] >= 0.9 > run.baseline["accuracy"] == 0.5
    assert run.skipped == 1 and 'lying/broken.png" (no PNG or JPEG file' in run.notices[0]
    assert (run.settings.size, run.settings.channels) == (8, 3)
    pixels, kept, notices = run.model.read(find_images(bars).files)
    assert len(kept) == 60 and len(notices) == 1
    columns = run.model.predict(pixels)
    assert list(columns) == ["prediction", "probability of lying", "probability of upright"]
    assert np.mean(columns["prediction"] == [path.parent.name for path in kept]) > 0.9
    np.testing.assert_allclose(columns["probability of lying"] + columns["probability of upright"], 1)


def test_a_loaded_model_says_the_same(run: ImageRun, saved: Path) -> None:
    model = load_run(saved)
    assert isinstance(model, ImageModel)
    np.testing.assert_array_equal(model.outputs(run.pixels), run.logits)


def test_predictions_do_not_depend_on_how_many_images_there_are(run: ImageRun) -> None:
    pixels = np.concatenate([run.pixels] * 12)
    found = run.model.outputs(pixels)
    assert len(found) == 144
    np.testing.assert_array_equal(found[:12], run.logits)
    np.testing.assert_array_equal(found[132:], run.logits)
    assert run.model.outputs(pixels[:0]).shape == (0, 2)


def test_a_run_folder_holds_the_story_and_a_page_with_mistakes(run: ImageRun, saved: Path) -> None:
    record = json.loads((saved / "run.json").read_text())
    assert record["kind"] == "images" and record["classes"] == ["lying", "upright"]
    assert record["data"] == {"file": "bars", "images": {"train": 36, "validation": 12, "test": 12}, "skipped": 1}
    assert record["network"] == {"model": "convnet", "size": 8, "channels": 3}
    assert record["settings"]["cutout"] is True
    html = (saved / "report.html").read_text()
    for words in ("Images in bars", "Which classes are taken for which", "data:image/png;base64,", "broken.png"):
        assert words in html
    assert html.count("<figure>") in (12, int((run.logits.argmax(1) != run.expected).sum()))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"classes": ["one"]}, "run.json: run.classes: should be two names or more"),
        ({"classes": ["a", "b", "c"]}, "model.safetensors: the weights do not fit"),
        ({"network": {"model": "vgg", "size": 8, "channels": 3}}, "run.network.model: should be one of convnet"),
        ({"network": {"model": "convnet", "size": 8, "channels": 2}}, "run.network.channels: should be 1 or 3"),
        ({"network": {"model": "convnet", "size": 7, "channels": 3}}, "run.network.size: should be a whole number"),
        ({"kind": "sound"}, "run.kind: should be one of table, images, text"),
    ],
)
def test_a_damaged_field_is_named(saved: Path, tmp_path: Path, change: dict[str, Any], words: str) -> None:
    folder = Path(shutil.copytree(saved, tmp_path / "run"))
    record = json.loads((folder / "run.json").read_text()) | change
    (folder / "run.json").write_text(json.dumps(record))
    with pytest.raises(RunError, match=words):
        load_run(folder)


def test_the_same_seed_makes_the_same_weights(bars: Path) -> None:
    settings = replace(SETTINGS, epochs=1, mixup=True)
    a, b = (prepare_images(bars, settings).train().model.network.state_dict() for _ in range(2))
    assert all(np.array_equal(a[name], b[name]) for name in a)


def test_a_residual_network_can_be_chosen(bars: Path) -> None:
    run = train_images(bars, ImageSettings(epochs=1, model="resnet20", batch_size=16))
    assert "body.layer3.2.conv2.weight" in run.model.network.state_dict()
    assert 0 < run.history.rows[0]["loss"] < 3


def test_nothing_is_held_out_if_that_is_asked_for(bars: Path) -> None:
    prepared = prepare_images(bars, ImageSettings(validation=0.0, channels=1, size=16))
    assert [len(part) for part in prepared.parts] == [60, 0, 0]
    assert prepared.parts[0].x.shape == (60, 1, 16, 16)
    assert prepared.settings.flip is False


def test_a_class_without_an_image_that_can_be_read_is_named(bars: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(bars, tmp_path / "bars"))
    (folder / "odd").mkdir()
    (folder / "odd" / "1.png").write_bytes(b"junk")
    with pytest.raises(DataError, match='no image of class "odd" can be read'):
        prepare_images(folder)


def test_bytes_are_standardised() -> None:
    x = RNG.integers(0, 255, (50, 3, 4, 4)).astype(np.uint8)
    found = Standardize(x.mean((0, 2, 3)), x.std((0, 2, 3)))(x).numpy()
    np.testing.assert_allclose(found.mean((0, 2, 3)), 0, atol=1e-5)
    np.testing.assert_allclose(found.std((0, 2, 3)), 1, atol=1e-5)


class Seen(Callback):
    def __init__(self) -> None:
        self.losses: list[float] = []

    def on_batch_end(self, trainer: Any, epoch: int, batch: int, loss: float) -> None:
        self.losses.append(loss)


def trainer(augment: Any, seed: int = 0) -> ImageTrainer:
    model = nn.Sequential(Standardize(np.zeros(1), np.ones(1)), nn.Flatten(), nn.Linear(16, 2, bias=False))
    optimizer = optim.SGD(model.parameters(), lr=1e-4)
    return ImageTrainer(model, augment, loss=losses.cross_entropy, optimizer=optimizer, seed=seed)


def test_minibatches_are_changed_by_seed_epoch_and_number_and_a_rest_is_left_out() -> None:
    data = Arrays(RNG.integers(0, 255, (10, 1, 4, 4)).astype(np.uint8), np.arange(10) % 2)

    def batches(seed: int, epoch: int) -> list[np.ndarray]:
        made = trainer(Augment(2, crop=True, cutout=True), seed)
        made.epochs = epoch
        return [part.x for part in made.minibatches(data, 4)]

    first, again, later, other = batches(0, 1), batches(0, 1), batches(0, 2), batches(1, 1)
    assert [len(x) for x in first] == [4, 4]
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    assert not np.array_equal(first[0], later[0]) and not np.array_equal(first[0], other[0])
    assert len(list(trainer(Augment(2)).minibatches(data, 16))) == 1


def test_an_error_of_the_other_thread_and_a_stop_end_the_training() -> None:
    data = RNG.integers(0, 255, (64, 1, 4, 4)).astype(np.uint8), np.arange(64) % 2

    def broken(*_: Any) -> Any:
        raise ValueError("no such change")

    with pytest.raises(ValueError, match="no such change"):
        trainer(broken).fit(data, epochs=1, batch_size=8)
    seen, stopped = Seen(), trainer(Augment(2, flip=True))
    seen.on_epoch_end = lambda trainer, row: trainer.stop("enough")  # type: ignore[method-assign]
    assert stopped.fit(data, epochs=5, batch_size=8, callbacks=[seen]).stopped == "enough"
    assert len(seen.losses) == 8


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"size": 4}, "size must be a whole number from 8, not 4"),
        ({"channels": 2}, "channels must be 1 or 3"),
        ({"model": "vgg"}, "model must be one of convnet, resnet20"),
        ({"validation": 0.5}, "validation must be in"),
        ({"batch_size": 0}, "batch_size must be a whole number from 1"),
        ({"lr": 0.0}, "lr must be a positive number"),
    ],
)
def test_settings_that_cannot_be_are_refused(settings: dict[str, Any], words: str) -> None:
    with pytest.raises(DefinitionError, match=words):
        ImageSettings(**settings)
