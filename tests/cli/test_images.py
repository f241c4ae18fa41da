from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from chainrule.data import read_table

Call = Callable[..., Any]


@pytest.fixture
def bars(here: Path) -> Path:
    """A folder of bright and of dark images."""
    rng = np.random.default_rng(0)
    for kind, level in (("bright", 200), ("dark", 30)):
        (here / "bars" / kind).mkdir(parents=True)
        for i in range(16):
            image = Image.fromarray(rng.integers(level, level + 40, (9, 8)).astype(np.uint8))
            image.save(here / "bars" / kind / f"{i:02}.png")
    return here / "bars"


QUICK = ("--epochs", 2, "--batch-size", 8, "--lr", 0.01)


def test_a_folder_of_images_in_one_command_and_predictions_for_others(chainrule: Call, bars: Path) -> None:
    (bars / "dark" / "broken.png").write_bytes(b"junk")
    result = chainrule("train", "bars", *QUICK, "--cutout", "--no-crop")
    assert result.exit_code == 0, result.output
    for words in (
        "bars: 32 images of 2 classes",
        '  note: 1 image could not be read and is skipped: "bars/dark/broken.png" (no PNG or JPEG file',
        '  classes  "bright" 50.0 %, "dark" 50.0 %',
        "seen in grey at 8 x 8 pixels; changed at random: cutout",
        "22 to train, 5 to validate, 5 to test",
        "convnet, 72,",
        "adamw, learning rate 0.01, 8 images an update, at most 2 epochs",
        "on 5 test images",
        "The run is in runs/bars\n",
        "chainrule predict runs/bars new-images -o predictions.csv",
    ):
        assert words in result.stdout, words
    assert sorted(os.listdir("runs/bars")) == ["history.csv", "model.safetensors", "report.html", "run.json"]
    settings = json.loads(Path("runs/bars/run.json").read_text())["settings"]
    assert (settings["cutout"], settings["crop"], settings["flip"], settings["epochs"]) == (True, False, False, 2)

    result = chainrule("predict", "runs/bars", "bars/bright/00.png", "bars/dark", "-o", "out.csv")
    assert result.exit_code == 0, result.output
    made = read_table("out.csv")
    assert made.names == ("image", "prediction", "probability of bright", "probability of dark")
    assert made["image"].values.tolist() == ["bars/bright/00.png", *(f"bars/dark/{i:02}.png" for i in range(16))]
    assert "warning: 1 image could not be read" in result.stderr
    assert "17 predictions in out.csv\ncompared with the folders of 17 images: accuracy " in result.stderr

    result = chainrule("predict", "runs/bars", "bars/dark/00.png", "-o", "bars/dark/00.png")
    assert result.stderr == "error: bars/dark/00.png: is one of the images; choose another file for the predictions\n"
    result = chainrule("generate", "runs/bars")
    assert result.stderr == "error: runs/bars: is no run of a language model; use chainrule predict\n"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--target", "kind"), "target is an option for a table, and the data are a folder of images"),
        (("--steps", "5"), "steps is an option for a text, and the data are a folder of images"),
        (("--size", "2"), "size must be a whole number from 8, not 2"),
        (("--model", "vgg"), "model must be one of convnet"),
    ],
)
def test_an_option_that_cannot_be(
    fails: Callable[..., str], bars: Path, arguments: tuple[str, ...], words: str
) -> None:
    assert words in fails("train", "bars", *arguments)


def test_folders_that_cannot_be_learned_from(fails: Callable[..., str], here: Path) -> None:
    (here / "one" / "cat").mkdir(parents=True)
    assert "one: holds no folders with PNG or JPEG files" in fails("train", "one")
    (here / "one" / "cat" / "1.png").write_bytes(b"")
    assert 'one: holds one class, "cat"' in fails("train", "one")
    (here / "one" / "dog").mkdir()
    (here / "one" / "dog" / "1.png").write_bytes(b"")
    assert "none of 2 images can be read" in fails("train", "one")


def test_a_configuration_may_switch_changes_on(chainrule: Call, bars: Path) -> None:
    Path("options.toml").write_text("mixup = true\nflip = true\ncrop = false\nmodel = 'convnet'\n")
    result = chainrule("train", "bars", *QUICK, "--epochs", 1, "--config", "options.toml", "--no-flip")
    assert result.exit_code == 0, result.output
    settings = json.loads(Path("runs/bars/run.json").read_text())["settings"]
    assert (settings["mixup"], settings["flip"], settings["crop"]) == (True, False, False)
