"""Text as numbers: tokenizers, the corpus of a language model, and the places that it is read at."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, ClassVar, cast

import numpy as np
from numpy.typing import NDArray

from chainrule.data.bytepairs import BytePairs
from chainrule.data.fields import Fields
from chainrule.data.wording import counted, listing, one_line
from chainrule.errors import DataError, DefinitionError

Tokens = NDArray[np.int64]


class Tokenizer(ABC):
    """Base of tokenizers: between a text and its tokens, integers from 0 to `size` - 1.

    `decode(encode(text))` is the text again, always.
    """

    kind: ClassVar[str]
    """What `to_json` calls it."""

    @property
    @abstractmethod
    def size(self) -> int:
        """How many tokens there are."""

    @abstractmethod
    def encode(self, text: str) -> Tokens:
        """The tokens of a text."""

    @abstractmethod
    def pieces(self, tokens: Iterable[int]) -> Iterator[str]:
        """The text of tokens, piece by piece as soon as it is known: tokens may end within a character."""

    def decode(self, tokens: Iterable[int]) -> str:
        """The text of tokens; what is no text, as the middle of a character, becomes U+FFFD."""
        return "".join(self.pieces(tokens))

    @abstractmethod
    def to_json(self) -> dict[str, Any]:
        """All about it as plain JSON; `tokenizer_from_json` makes it again."""


class CharTokenizer(Tokenizer):
    """A token for each character.

    Args:
        characters: all that there are, each once.

    Raises `DefinitionError` if there are none, or one twice.

    >>> tokenizer = CharTokenizer.fit("to be or not to be")
    >>> tokenizer.encode("bet").tolist(), tokenizer.decode([1, 2])
    ([1, 2, 6], 'be')
    """

    kind = "char"

    def __init__(self, characters: str) -> None:
        if not characters or len(set(characters)) < len(characters):
            raise DefinitionError("CharTokenizer: characters are needed, each of them once")
        self.characters = "".join(sorted(characters))
        self._codes = _code_points(self.characters)

    @classmethod
    def fit(cls, text: str) -> CharTokenizer:
        """The tokenizer of all characters in a text. Raises `DefinitionError` if there are none."""
        return cls("".join(set(text)))

    @property
    def size(self) -> int:
        return len(self.characters)

    def encode(self, text: str) -> Tokens:
        """The tokens of a text. Raises `DataError` for characters that the tokenizer does not have."""
        codes = _code_points(text)
        found = np.minimum(np.searchsorted(self._codes, codes), self.size - 1)
        unknown = self._codes[found] != codes
        if unknown.any():
            names = dict.fromkeys(text[i] for i in np.flatnonzero(unknown))
            raise DataError(f"characters that are not in the text of training: {listing(names, 10)}")
        return found.astype(np.int64)

    def pieces(self, tokens: Iterable[int]) -> Iterator[str]:
        return (self.characters[token] for token in tokens)

    def to_json(self) -> dict[str, Any]:
        return {"kind": self.kind, "characters": self.characters}


class BytePairTokenizer(Tokenizer):
    """Tokens are bytes of UTF-8, and pairs of tokens that are frequent: see `BytePairs`.

    Any text can be encoded, whatever it was trained on.

    Args:
        merges: pairs of tokens in the order in which they were joined; the first makes token 256.

    Raises `DefinitionError` for a pair of tokens that do not exist before it.

    >>> tokenizer = BytePairTokenizer.fit("low lower lowest", vocab_size=258)
    >>> tokenizer.encode("low").tolist(), tokenizer.decode([257, 33])
    ([257], 'low!')
    """

    kind = "bpe"

    def __init__(self, merges: Iterable[tuple[int, int]]) -> None:
        self._pairs = BytePairs(merges)

    @classmethod
    def fit(cls, text: str, vocab_size: int = 1024) -> BytePairTokenizer:
        """Join the most frequent pairs of a text until there are `vocab_size` tokens or no pair comes twice.

        Raises `DefinitionError` for fewer than 256 tokens.
        """
        return cls(BytePairs.learned(text, vocab_size).merges)

    @property
    def size(self) -> int:
        return len(self._pairs.spellings)

    def encode(self, text: str) -> Tokens:
        return np.array(self._pairs.encode(text), np.int64)

    def pieces(self, tokens: Iterable[int]) -> Iterator[str]:
        return self._pairs.pieces(tokens)

    def to_json(self) -> dict[str, Any]:
        return {"kind": self.kind, "merges": [list(pair) for pair in self._pairs.merges]}


def tokenizer_from_json(document: Any) -> Tokenizer:
    """The tokenizer that `to_json` described. Raises `RunError`, naming the field, if something is wrong with it.

    >>> tokenizer_from_json({"kind": "char", "characters": "ab"}).decode([1, 0])
    'ba'
    """
    fields = Fields(document, "tokenizer")
    if fields.text("kind", ("char", "bpe")) == "char":
        name, make = "characters", lambda: CharTokenizer(fields.text("characters"))
    else:
        name, make = "merges", lambda: BytePairTokenizer(_pair(pair, fields) for pair in fields.items("merges"))
    try:
        return make()
    except DefinitionError as error:
        raise fields.fault(name, str(error)) from None


def read_text(path: str | os.PathLike[str]) -> str:
    """A file of UTF-8 text, with the ends of lines as "\\n" and without a byte order mark.

    Raises `DataError` if it cannot be read, is no text in UTF-8, or is empty.
    """
    shown = one_line(str(path))
    try:
        text = Path(path).read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(f"{shown}: byte {error.start:,} is not UTF-8 text; save the file as UTF-8") from None
    except FileNotFoundError:
        raise DataError(f"{shown}: there is no such file; check the name and the folder") from None
    except OSError as error:
        raise DataError(f"{shown}: cannot be read: {one_line(error.strerror or str(error))}") from None
    if not text:
        raise DataError(f"{shown}: is empty")
    return text


def split_corpus(tokens: Tokens, share: float, context: int) -> tuple[Tokens, Tokens]:
    """The tokens to train on, and the last ones, a `share` of all, to validate on; none for a share of 0.

    Raises `DataError` if a part that there is to be is shorter than a context and the token after it.
    """
    held_out = round(len(tokens) * share)
    parts = tokens[: len(tokens) - held_out], tokens[len(tokens) - held_out :]
    for part, words in zip(parts, ("train", "validate"), strict=True):
        if len(part) <= context and (words == "train" or share):
            raise DataError(
                f"{counted(len(part), 'token')} to {words} on are too few for a context of {context:,}; "
                "take more text or a shorter context"
            )
    return parts


def crops(length: int, context: int, shape: tuple[int, ...], generator: np.random.Generator) -> Tokens:
    """Random places at which a context and the token after it can be read from `length` tokens.

    Raises `DataError` if there are too few tokens.

    >>> bool((crops(10, 4, (100,), np.random.default_rng(0)) <= 5).all())
    True
    """
    if length <= context:
        raise DataError(f"{counted(length, 'token')}: too few for a context of {context:,} and the token after it")
    return generator.integers(0, length - context, shape)


def windows(tokens: Tokens, context: int) -> Tokens:
    """All tokens as rows [n, context + 1], the last of each being the first of the next; a rest is left out.

    >>> windows(np.arange(8), 3).tolist()
    [[0, 1, 2, 3], [3, 4, 5, 6]]
    """
    starts = np.arange((len(tokens) - 1) // context) * context
    return tokens[starts[:, None] + np.arange(context + 1)]


def _code_points(text: str) -> NDArray[np.uint32]:
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32)


def _pair(value: Any, fields: Fields) -> tuple[int, int]:
    parts = cast("list[Any]", value) if isinstance(value, list) else []
    if list(map(type, parts)) != [int, int]:
        raise fields.fault("merges", "should be pairs of whole numbers")
    return parts[0], parts[1]
