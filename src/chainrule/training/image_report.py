"""A run on images as one page of HTML."""

from __future__ import annotations

import base64
from html import escape
from pathlib import Path
from typing import Any

import numpy as np

from chainrule.data.images import to_png
from chainrule.training import parts
from chainrule.training.images import ImageRun
from chainrule.training.page import page, section
from chainrule.training.tabular import probabilities
from chainrule.training.wording import baseline_words, duration, ending, figure, predict_command

MOST_SHOWN = 24
GUESS = baseline_words("classification")
PREDICTING = "The folder of this page holds all that it takes; give images, or folders of them."


def image_report(run: ImageRun, record: dict[str, Any], folder: Path) -> str:
    """The page about a run.

    Args:
        run: what `train_images` returned.
        record: the same as run.json holds it.
        folder: where the run will stand.
    """
    model, file = run.model, str(record["data"]["file"])
    kind = "grey" if model.channels == 1 else "colour"
    lead = (
        f"A network that tells {len(model.classes):,} classes of images in {escape(file)} apart, which it sees "
        f"in {kind} at {model.size} x {model.size} pixels, trained on {parts.when(record)}. "
        f"Training stopped {escape(ending(run.history))}."
    )
    title = f"Images in {file}"
    command = parts.commands(PREDICTING, predict_command(folder, "new-images"))
    body = [
        f"<h1>{escape(title)}</h1>\n<p class='soft'>{lead}</p>\n",
        parts.tiles(_tiles(run)),
        section(
            "Results on images the network never saw",
            parts.results(run.test, run.baseline, GUESS, ("an image", "images")),
        ),
        '<div class="cards">',
        parts.curves(run.history),
        "</div>",
        _mistakes(run),
        _gallery(run),
        section("Predict with it", command),
        parts.notices(run.notices),
        '<div class="cards">',
        section("Network", f'<div class="tall">{parts.layers(model.network)}</div>'),
        section("Settings", parts.settings(record)),
        "</div>",
    ]
    return page(title, "".join(body))


def _tiles(run: ImageRun) -> list[tuple[str, str]]:
    tiles: list[tuple[str, str]] = []
    if run.test:
        name, value = next(iter(run.test.items()))
        tiles.append((figure(name, value), f"test {name} ({GUESS}: {figure(name, run.baseline[name])})"))
    train, validation, test = map(len, run.rows)
    images = train + validation + test
    tiles.append((f"{images:,}", f"images: {train:,} to train, {validation:,} to validate, {test:,} to test"))
    tiles.append(parts.epochs_tile(run.history))
    tiles.append((duration(run.history.rows[-1]["seconds"]), "of training"))
    return tiles


def _mistakes(run: ImageRun) -> str:
    if not len(run.expected):
        return ""
    return parts.confusion(run.model.classes, run.expected, run.logits.argmax(axis=1), "images")


def _gallery(run: ImageRun) -> str:
    """The test images that the network is most sure of and wrong about, or some that it is right about."""
    if not len(run.expected):
        return ""
    p = probabilities(run.logits)
    guess, sure = p.argmax(axis=1), p.max(axis=1)
    wrong = np.flatnonzero(guess != run.expected)
    shown = wrong if len(wrong) else np.arange(len(guess))
    shown = shown[np.argsort(-sure[shown], kind="stable")][:MOST_SHOWN]
    names, cells = run.model.classes, ""
    places: list[int] = shown.tolist()
    for i in places:
        image = base64.b64encode(to_png(run.pixels[i])).decode()
        words = f"{escape(names[int(guess[i])])}, {100 * sure[i]:.0f}&nbsp;%"
        truth = f"<br><span>is {escape(names[int(run.expected[i])])}</span>" if len(wrong) else ""
        cells += f'<figure><img src="data:image/png;base64,{image}" alt="">{words}{truth}</figure>\n'
    heading = "Wrong, and sure of it" if len(wrong) else "All right: some of the test images"
    return section(heading, f'<div class="gallery">{cells}</div>')
