"""`chainrule train DATA`: a table, a folder of images, or a text."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Annotated, Any

import typer

from chainrule.cli.config import RUNS_DIR, chosen_options, kind_of, read_config
from chainrule.cli.console import command_line, one_line_errors
from chainrule.training.image_settings import MODELS, ImageSettings
from chainrule.training.language import TOKENIZERS, LanguageSettings
from chainrule.training.settings import OPTIMIZERS, Settings

app = command_line()

TABLE, IMAGES, TEXT = Settings(), ImageSettings(), LanguageSettings()


def option(words: str, default: object = None, metavar: str | None = None, panel: str | None = None) -> Any:
    """An option without a value of its own, so that a configuration file can be told from the command line."""
    told = words if default is None else f"{words} (default: {default})"
    return typer.Option(help=told, metavar=metavar, show_default=False, rich_help_panel=panel)


def of_table(words: str, default: object = None, metavar: str | None = None) -> Any:
    """An option for tables alone."""
    return option(words, default, metavar, "For tables")


def of_images(words: str, default: object = None, metavar: str | None = None) -> Any:
    """An option for images alone."""
    return option(words, default, metavar, "For images")


def of_text(words: str, default: object = None, metavar: str | None = None) -> Any:
    """An option for texts alone."""
    return option(words, default, metavar, "For texts")


@app.command()
def train(
    command: typer.Context,
    data: Annotated[
        Path,
        typer.Argument(
            help="Table to learn from (CSV, TSV, Parquet or JSON), folder with a folder of PNG or JPEG files for each "
            "class, or text (.txt).",
            show_default=False,
        ),
    ],
    epochs: Annotated[
        int | None,
        option("Most passes over the training data", f"{TABLE.epochs}; images {IMAGES.epochs}; not for texts"),
    ] = None,
    patience: Annotated[
        int | None,
        option(
            "Epochs without a better validation loss to stop after",
            f"{TABLE.patience}; images {IMAGES.patience}; not for texts",
        ),
    ] = None,
    time_limit: Annotated[float | None, option("Most seconds to train", "none", "SECONDS")] = None,
    lr: Annotated[
        float | None, option("Learning rate", f"{TABLE.lr:g}; images {IMAGES.lr:g}; texts {TEXT.lr:g}")
    ] = None,
    batch_size: Annotated[
        int | None,
        option(
            "Examples of an update",
            f"32 to 256, by the rows; images 16 to 128; texts {TEXT.batch_size}",
        ),
    ] = None,
    optimizer: Annotated[
        str | None,
        option(
            "Rule of the updates",
            f"{TABLE.optimizer}; images {IMAGES.optimizer}; texts always adamw",
            "|".join(sorted(OPTIMIZERS)),
        ),
    ] = None,
    dropout: Annotated[
        float | None,
        option(
            "Share of units dropped in training", f"0.1 or 0.3, by the rows; texts {TEXT.dropout:g}; not for images"
        ),
    ] = None,
    label_smoothing: Annotated[
        float | None, option("Share of a class handed to all classes", f"{TABLE.label_smoothing}; not for texts")
    ] = None,
    validation: Annotated[
        float | None,
        option(
            "Share to validate on, and of images as many to test on",
            f"images {IMAGES.validation}; texts {TEXT.validation}; not for tables",
            "SHARE",
        ),
    ] = None,
    seed: Annotated[int | None, option("Decides all that is left to chance", TABLE.seed)] = None,
    name: Annotated[str | None, option("Name of the run folder", "by the data")] = None,
    runs_dir: Annotated[str | None, option("Folder of all runs", RUNS_DIR, "FOLDER")] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a run of the same name.")] = False,
    config: Annotated[
        Path | None, option("TOML file of options, written as in: batch_size = 64", metavar="FILE")
    ] = None,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
    target: Annotated[str | None, of_table("Column to predict.", metavar="COLUMN")] = None,
    task: Annotated[
        str | None, of_table("Classes or quantities?", "what the target looks like", "classification|regression")
    ] = None,
    drop: Annotated[list[str] | None, of_table("Column not to learn from; may be repeated.", metavar="COLUMN")] = None,
    keep: Annotated[
        list[str] | None, of_table("Column to learn from whatever it looks like; may be repeated.", metavar="COLUMN")
    ] = None,
    hidden: Annotated[
        str | None, of_table("Widths of the hidden layers, as in 64,64", "one or two layers, by the table", "WIDTHS")
    ] = None,
    model: Annotated[str | None, of_images("Network", IMAGES.model, "|".join(MODELS))] = None,
    size: Annotated[int | None, of_images("Pixels of height and width", "what the images have, at most 64")] = None,
    channels: Annotated[int | None, of_images("1 for grey, 3 for colour", "what the images have", "1|3")] = None,
    flip: Annotated[bool | None, of_images("Exchange left and right at random", "for images with colour")] = None,
    crop: Annotated[bool | None, of_images("Move images a little at random", "yes")] = None,
    colour: Annotated[bool | None, of_images("Change brightness, contrast, saturation at random", "no")] = None,
    cutout: Annotated[bool | None, of_images("Cut squares out at random", "no")] = None,
    mixup: Annotated[bool | None, of_images("Mix pairs of images at random", "no")] = None,
    tokenizer: Annotated[
        str | None, of_text("Characters, or byte pairs that are frequent", TEXT.tokenizer, "|".join(TOKENIZERS))
    ] = None,
    vocab_size: Annotated[int | None, of_text("Most tokens of byte pairs", TEXT.vocab_size)] = None,
    context: Annotated[int | None, of_text("Tokens that the network sees at most", TEXT.context)] = None,
    width: Annotated[int | None, of_text("Size of the vector of a token", TEXT.width)] = None,
    layers: Annotated[int | None, of_text("Blocks of attention", TEXT.layers)] = None,
    heads: Annotated[int | None, of_text("Heads of attention in a block", TEXT.heads)] = None,
    steps: Annotated[int | None, of_text("Updates", TEXT.steps)] = None,
) -> None:
    """Train a network on a table, a folder of images, or a text.

    **A table**: it learns to predict the column that --target names. **A folder of images**: it learns to tell the
    classes apart, each of which is a folder in it. **A text**: it learns to write on as in the text.

    Part of the data is held out, and the weights that do best on it are kept. Ctrl-C stops early and keeps the best
    weights so far (exit status 0). Options on the command line come before those of a configuration file, and these
    before the defaults.

    Examples:

        chainrule train patients.csv --target diagnosis
        chainrule train houses.parquet --target price --drop id --hidden 128,64 --time-limit 60
        chainrule train flowers/ --model resnet20 --epochs 30
        chainrule train shakespeare.txt --steps 2000
    """
    with one_line_errors(debug):
        kind = kind_of(data)
        chosen = chosen_options(command.params, read_config(config) if config else {}, kind)
        import_module(f"chainrule.cli.train_{kind}").run_training(data, chosen, overwrite)
