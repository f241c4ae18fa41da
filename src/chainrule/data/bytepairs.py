"""Byte-pair encoding: texts as the bytes of UTF-8, of which frequent neighbours are joined, again and again.

A text is cut into words, numbers, signs and spaces first, and pairs are joined within these pieces only. Gage, "A new
algorithm for data compression" (1994); Sennrich, Haddow & Birch, "Neural machine translation of rare words with subword
units", ACL 2016; on bytes, Radford et al., "Language models are unsupervised multitask learners" (2019).
"""

from __future__ import annotations

import codecs
import heapq
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from itertools import pairwise

from chainrule.errors import DefinitionError

Pair = tuple[int, int]

BYTES = 256
"""The first tokens are the bytes themselves."""

_PIECES = re.compile(
    r"""
    '(?:[sdmt]|ll|ve|re)\b    # endings of English words
    | [ ]?[^\W\d_]{1,64}      # a word with the space before it
    | [ ]?\d{1,3}             # a number, three digits at most
    | [ ]?(?:[^\s\w]|_){1,64} # signs
    | \s{1,64}(?!\S)         # spaces, but for the last one before a word
    | \s{1,64}
    """,
    re.VERBOSE,
)


class BytePairs:
    """Pairs of tokens and what they are joined to.

    Args:
        merges: pairs in the order in which they are joined; the first makes token 256.

    Raises `DefinitionError` for a pair that comes twice, or of tokens that do not exist before it.
    """

    def __init__(self, merges: Iterable[Pair]) -> None:
        self.merges = list(merges)
        self.spellings = [bytes([i]) for i in range(BYTES)]
        for a, b in self.merges:
            if not (0 <= a < len(self.spellings) and 0 <= b < len(self.spellings)):
                raise DefinitionError(f"merges: {(a, b)} cannot make token {len(self.spellings)}")
            self.spellings.append(self.spellings[a] + self.spellings[b])
        self._made = {pair: BYTES + i for i, pair in enumerate(self.merges)}
        if len(self._made) < len(self.merges):
            raise DefinitionError("merges: a pair is joined twice")
        self._known: dict[str, list[int]] = {}

    @classmethod
    def learned(cls, text: str, vocab_size: int) -> BytePairs:
        """Join the pair that is most frequent in a text, until there are `vocab_size` tokens or no pair comes twice.

        Of pairs that are equally frequent, the one with the smaller tokens is joined. Raises `DefinitionError` for
        fewer than 256 tokens.
        """
        if vocab_size < BYTES:
            raise DefinitionError(f"a vocabulary of byte pairs has at least {BYTES} tokens, not {vocab_size}")
        counts = Counter(_PIECES.findall(text))
        words = [list(_bytes(piece)) for piece in counts]
        times = list(counts.values())
        frequency: Counter[Pair] = Counter()
        places: defaultdict[Pair, set[int]] = defaultdict(set)
        for i, word in enumerate(words):
            for pair in pairwise(word):
                frequency[pair] += times[i]
                places[pair].add(i)
        heap = [(-count, pair) for pair, count in frequency.items()]
        heapq.heapify(heap)
        merges: list[Pair] = []
        while heap and len(merges) < vocab_size - BYTES:
            count, pair = heapq.heappop(heap)
            if frequency[pair] != -count:  # an old entry; the new one is in the heap, too
                continue
            if frequency[pair] < 2:
                break
            new = BYTES + len(merges)
            merges.append(pair)
            changed: set[Pair] = set()
            for i in places.pop(pair):
                changed |= _join_in(words[i], pair, new, times[i], i, frequency, places)
            for other in changed - {pair}:
                heapq.heappush(heap, (-frequency[other], other))
            frequency[pair] = 0
        return cls(merges)

    def encode(self, text: str) -> list[int]:
        """The tokens of a text: in each piece, the pair that was learned first is joined first."""
        tokens: list[int] = []
        for piece in _PIECES.findall(text):
            known = self._known.get(piece)
            if known is None:
                known = self._known[piece] = self._encode_piece(piece)
            tokens += known
        return tokens

    def _encode_piece(self, piece: str) -> list[int]:
        word = list(_bytes(piece))
        never = BYTES + len(self.merges)
        while len(word) > 1:
            pair = min(pairwise(word), key=lambda pair: self._made.get(pair, never))
            if pair not in self._made:
                break
            word = joined(word, pair, self._made[pair])
        return word

    def pieces(self, tokens: Iterable[int]) -> Iterator[str]:
        """The text of tokens, as soon as characters are whole; bytes that are no text become U+FFFD."""
        decoder = codecs.getincrementaldecoder("utf-8")("replace")
        for token in tokens:
            if piece := decoder.decode(self.spellings[token]):
                yield piece
        if rest := decoder.decode(b"", final=True):
            yield rest


def joined(word: list[int], pair: Pair, new: int) -> list[int]:
    """A word in which `new` stands for the pair, from left to right.

    >>> joined([1, 1, 1, 2], (1, 1), 9)
    [9, 1, 2]
    """
    out: list[int] = []
    i = 0
    while i < len(word):
        if i + 1 < len(word) and (word[i], word[i + 1]) == pair:
            out.append(new)
            i += 2
        else:
            out.append(word[i])
            i += 1
    return out


def _join_in(
    word: list[int],
    pair: Pair,
    new: int,
    times: int,
    place: int,
    frequency: Counter[Pair],
    places: defaultdict[Pair, set[int]],
) -> set[Pair]:
    """Join a pair in one word, keep the counts of all pairs right, and tell which have changed."""
    after = joined(word, pair, new)
    before_pairs, after_pairs = Counter(pairwise(word)), Counter(pairwise(after))
    word[:] = after
    changed: set[Pair] = set()
    for other in before_pairs.keys() | after_pairs.keys():
        more = after_pairs[other] - before_pairs[other]
        if more:
            frequency[other] += more * times
            changed.add(other)
        if after_pairs[other]:
            places[other].add(place)
        else:
            places[other].discard(place)
    return changed


def _bytes(piece: str) -> bytes:
    return piece.encode("utf-8", "replace")
