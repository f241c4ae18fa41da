"""From a text to a network that goes on writing it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from math import exp, log

import numpy as np

from chainrule.data.text import BytePairTokenizer, CharTokenizer, Tokenizer, Tokens, split_corpus, windows
from chainrule.data.wording import counted
from chainrule.errors import DefinitionError
from chainrule.nn.models import GPT
from chainrule.random import Generator
from chainrule.training.history import History
from chainrule.training.settings import is_count, is_number, is_rate, is_seed, is_share, refuse
from chainrule.training.steps import StepWatcher, fit_steps

TOKENIZERS = ("char", "bpe")
VALIDATION_TOKENS = 2**14
"""Of more tokens to validate on, so many are taken, evenly spread."""

SAMPLES, SAMPLE_LENGTH, SAMPLE_TEMPERATURE = 3, 400, 0.8


@dataclass(frozen=True)
class LanguageSettings:
    """What can be chosen about the training of a language model.

    Attributes:
        tokenizer: "char" for a token a character, "bpe" for byte pairs.
        vocab_size: most tokens of byte pairs.
        context: how many tokens the network sees at most.
        width: size of the vector of a token.
        layers: blocks of attention and MLP.
        heads: of attention in each block.
        dropout: share of units that are dropped in training.
        steps: updates.
        batch_size: contexts of an update.
        lr: highest learning rate; it rises over the first twentieth of the steps and falls along a cosine.
        validation: share of the text, its end, that is held out to validate on; 0 for none.
        time_limit: most seconds, or None.
        seed: of the first weights, dropout, and the places in the text that are read.

    Raises `DefinitionError` for a value that cannot be.

    >>> LanguageSettings(tokenizer="bpe", vocab_size=512).context
    64
    """

    tokenizer: str = "char"
    vocab_size: int = 1024
    context: int = 64
    width: int = 128
    layers: int = 4
    heads: int = 4
    dropout: float = 0.0
    steps: int = 2000
    batch_size: int = 16
    lr: float = 2e-3
    validation: float = 0.1
    time_limit: float | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        limit = 1.0 if self.time_limit is None else self.time_limit
        counts = ("context", "width", "layers", "heads", "steps", "batch_size")
        fits = is_count(self.width) and is_count(self.heads) and self.width % self.heads == 0
        wrong = [
            ("tokenizer", self.tokenizer not in TOKENIZERS, f"one of {', '.join(TOKENIZERS)}"),
            ("vocab_size", not is_count(self.vocab_size) or self.vocab_size < 256, "a whole number from 256"),
            *((name, not is_count(getattr(self, name)), "a whole number from 1") for name in counts),
            ("heads", not fits, f"a divisor of the width {self.width}"),
            ("dropout", not is_share(self.dropout), "in [0, 1)"),
            ("lr", not is_rate(self.lr), "a positive number"),
            ("validation", not is_share(self.validation), "in [0, 1)"),
            ("time_limit", not (is_number(limit) and limit > 0), "more than 0 seconds"),
            ("seed", not is_seed(self.seed), "from 0 to 2^63 - 1"),
        ]
        refuse(self, wrong)


@dataclass(frozen=True, eq=False)
class LanguageModel:
    """A network with the tokenizer that it takes to read and write text."""

    tokenizer: Tokenizer
    network: GPT

    def generate(
        self,
        prompt: str = "",
        length: int = 400,
        *,
        temperature: float = SAMPLE_TEMPERATURE,
        top_k: int | None = None,
        top_p: float | None = None,
        seed: int | None = None,
    ) -> Iterator[str]:
        """What follows a prompt, piece by piece as it is drawn.

        Args:
            prompt: a text; an empty one stands for the start of a line.
            length: how many tokens to draw.
            temperature, top_k, top_p, seed: see `nn.models.GPT.generate`.

        Raises `DataError` for characters that the tokenizer does not know, `DefinitionError` for settings that cannot
        be.
        """
        tokens = self.tokenizer.encode(prompt) if prompt else self._start()
        drawn = self.network.generate(
            tokens.tolist(), length, temperature=temperature, top_k=top_k, top_p=top_p, seed=seed
        )
        return self.tokenizer.pieces(drawn)

    def _start(self) -> Tokens:
        known = not isinstance(self.tokenizer, CharTokenizer) or "\n" in self.tokenizer.characters
        return self.tokenizer.encode("\n") if known else np.zeros(1, np.int64)


@dataclass(frozen=True, eq=False)
class LanguageRun:
    """A trained language model, and what there is to say about its training.

    Attributes:
        model: the model with its best weights.
        settings: as they were used.
        history: the figures after every so many steps; the loss is the mean of -log p of the right token.
        sizes: characters of the text, and tokens to train and to validate on.
        validation: figures on the tokens to validate on; empty if there are none.
        baseline: the same for guessing by how frequent tokens are.
        samples: texts that the model wrote.
        notices: what the user should be told.
    """

    model: LanguageModel
    settings: LanguageSettings
    history: History
    sizes: dict[str, int]
    validation: dict[str, float]
    baseline: dict[str, float]
    samples: list[str]
    notices: list[str] = field(default_factory=list[str])


@dataclass(frozen=True, eq=False)
class PreparedText:
    """All that a training needs, before it starts.

    Attributes:
        model: the model with its first weights.
        settings: as they will be used.
        tokens: those to train on, and those to validate on.
        sizes: characters of the text, and tokens of both parts.
        notices: what the user should be told.
    """

    model: LanguageModel
    settings: LanguageSettings
    tokens: tuple[Tokens, Tokens]
    sizes: dict[str, int]
    notices: list[str]

    def train(self, watchers: Iterable[StepWatcher] = ()) -> LanguageRun:
        """Train the model, and let it write.

        Raises `DefinitionError` if the loss became infinite or NaN before any weights could be kept.
        """
        settings, network = self.settings, self.model.network
        training, held_out = self.tokens
        history = fit_steps(
            network,
            training,
            self._validation_rows(held_out),
            steps=settings.steps,
            lr=settings.lr,
            batch_size=settings.batch_size,
            seed=settings.seed,
            time_limit=settings.time_limit,
            watchers=watchers,
        )
        if not all(np.isfinite(weights).all() for weights in network.state_dict().values()):
            raise DefinitionError(history.stopped)
        validation, baseline = {}, {}
        if len(held_out):
            per_token = len(self.model.tokenizer.decode(held_out.tolist())) / len(held_out)
            best = min(row["val_loss"] for row in history.rows)
            validation = _figures(best, per_token)
            baseline = _figures(_unigram_loss(training, held_out, self.model.tokenizer.size), per_token)
        samples = ["".join(self.model.generate(length=SAMPLE_LENGTH, seed=settings.seed + i)) for i in range(SAMPLES)]
        return LanguageRun(self.model, settings, history, self.sizes, validation, baseline, samples, list(self.notices))

    def _validation_rows(self, held_out: Tokens) -> Tokens | None:
        if not len(held_out):
            return None
        rows = windows(held_out, self.settings.context)
        most = max(VALIDATION_TOKENS // self.settings.context, 1)
        return rows[np.linspace(0, len(rows) - 1, min(most, len(rows))).astype(np.int64)]


def network_for(vocab_size: int, settings: LanguageSettings) -> GPT:
    """The network that the settings describe, with weights that the seed decides."""
    return GPT(
        vocab_size,
        settings.context,
        settings.width,
        settings.layers,
        settings.heads,
        settings.dropout,
        generator=Generator(settings.seed),
    )


def network_size(vocab_size: int, settings: LanguageSettings) -> int:
    """How many weights such a network has.

    >>> settings = LanguageSettings(context=5, width=8, layers=2, heads=2)
    >>> network_size(30, settings) == sum(x.size for x in network_for(30, settings).parameters())
    True
    """
    width = settings.width
    return width * (vocab_size + settings.context + 2) + settings.layers * width * (12 * width + 13)


def prepare_text(text: str, settings: LanguageSettings | None = None) -> PreparedText:
    """Everything up to the first update: the first half of `train_text`, which has the same arguments."""
    chosen = settings or LanguageSettings()
    if chosen.tokenizer == "char":
        tokenizer: Tokenizer = CharTokenizer.fit(text)
    else:
        tokenizer = BytePairTokenizer.fit(text, chosen.vocab_size)
    tokens = tokenizer.encode(text)
    parts = split_corpus(tokens, chosen.validation, chosen.context)
    notices: list[str] = []
    if isinstance(tokenizer, BytePairTokenizer) and tokenizer.size < chosen.vocab_size:
        words = f"the text has {counted(tokenizer.size - 256, 'pair')} that come twice"
        notices.append(f"{words}, so that there are {tokenizer.size:,} tokens and not {chosen.vocab_size:,}")
    seen = chosen.steps * chosen.batch_size * chosen.context
    if seen > 50 * len(parts[0]):
        notices.append(f"the text is short: it will be read {seen / len(parts[0]):,.0f} times")
    sizes = {"characters": len(text), "train": len(parts[0]), "validation": len(parts[1])}
    model = LanguageModel(tokenizer, network_for(tokenizer.size, chosen))
    return PreparedText(model, chosen, parts, sizes, notices)


def train_text(
    text: str, settings: LanguageSettings | None = None, *, watchers: Iterable[StepWatcher] = ()
) -> LanguageRun:
    """Train a small GPT to predict each token of a text from those before it.

    Steps read contexts at random places; every twentieth of them, the loss on the end of the text, which is held out,
    is found, and the best weights are kept.

    Args:
        text: to learn from, such as `read_text` reads.
        settings: see `LanguageSettings`.
        watchers: told how far it is.

    Raises `DataError` if the text is too short.

    >>> settings = LanguageSettings(context=8, width=16, layers=1, heads=2, steps=60, lr=0.01, validation=0.2)
    >>> run = train_text("to be or not to be, " * 30, settings)
    >>> run.validation["perplexity"] < run.baseline["perplexity"]
    True
    >>> len("".join(run.model.generate("to ", 5, seed=0)))
    5
    """
    return prepare_text(text, settings).train(watchers)


def _figures(loss: float, characters_per_token: float) -> dict[str, float]:
    """The loss in figures that people know; bits per character compare tokenizers."""
    return {
        "loss": loss,
        "perplexity": exp(min(loss, 700.0)),
        "bits per character": loss / log(2) / characters_per_token,
    }


def _unigram_loss(training: Tokens, held_out: Tokens, size: int) -> float:
    """The loss of always giving each token the share that it has in training, counting every token once more."""
    counts = np.bincount(training, minlength=size) + 1.0
    p = counts / counts.sum()
    return float(-np.log(p)[held_out].mean())
