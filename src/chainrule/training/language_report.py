"""The run of a language model as one page of HTML."""

from __future__ import annotations

from html import escape
from pathlib import Path
from typing import Any

from chainrule.data.text import CharTokenizer
from chainrule.data.wording import counted
from chainrule.training import parts
from chainrule.training.language import LanguageRun
from chainrule.training.page import page, section
from chainrule.training.wording import duration, ending, figure, generate_command

GUESS = "by frequency"
WRITING = (
    "The folder of this page holds all that it takes. Text is written until it is long enough, or Ctrl-C is pressed."
)


def language_report(run: LanguageRun, record: dict[str, Any], folder: Path) -> str:
    """The page about a run.

    Args:
        run: what `train_text` returned.
        record: the same as run.json holds it.
        folder: where the run will stand.
    """
    file, tokenizer = str(record["data"]["file"]), run.model.tokenizer
    kind = "characters" if isinstance(tokenizer, CharTokenizer) else "byte pairs"
    lead = (
        f"A network that writes on as in {escape(file)}, one of {counted(tokenizer.size, 'token')} ({kind}) after the "
        f"other, of which it sees {run.settings.context:,} at most, trained on {parts.when(record)}. "
        f"Training stopped {escape(ending(run.history))}."
    )
    title = f"Text like {file}"
    samples = "".join(f'<pre class="sample">{escape(sample)}</pre>' for sample in run.samples)
    body = [
        f"<h1>{escape(title)}</h1>\n<p class='soft'>{lead}</p>\n",
        parts.tiles(_tiles(run)),
        section("Results on text the network never saw", parts.results(run.validation, run.baseline, GUESS)),
        section("What it writes", samples),
        '<div class="cards">',
        parts.curves(run.history),
        section("Write with it", parts.commands(WRITING, generate_command(folder))),
        "</div>",
        parts.notices(run.notices),
        '<div class="cards">',
        section("Network", f'<div class="tall">{parts.layers(run.model.network)}</div>'),
        section("Settings", parts.settings(record)),
        "</div>",
    ]
    return page(title, "".join(body))


def _tiles(run: LanguageRun) -> list[tuple[str, str]]:
    tiles: list[tuple[str, str]] = []
    if run.validation:
        name = "bits per character"
        words = f"{name} of unseen text ({GUESS}: {figure(name, run.baseline[name])})"
        tiles.append((figure(name, run.validation[name]), words))
    sizes = run.sizes
    words = f"characters: {sizes['train']:,} tokens to train, {sizes['validation']:,} to validate"
    tiles.append((f"{sizes['characters']:,}", words))
    steps, best = int(run.history.rows[-1]["step"]), run.history.best_epoch
    tiles.append((f"{steps:,}", f"steps{f', the best is {best:,}' if best else ''}"))
    tiles.append((duration(run.history.rows[-1]["seconds"]), "of training"))
    return tiles
