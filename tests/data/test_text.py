from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chainrule.data.bytepairs import BytePairs
from chainrule.data.text import (
    BytePairTokenizer,
    CharTokenizer,
    crops,
    read_text,
    split_corpus,
    tokenizer_from_json,
    windows,
)
from chainrule.errors import DataError, DefinitionError, RunError

TEXT = "the cat sat on the mat, the cat ate the rat. It's 1234567 o'clock_now!\n\n\t So what? äöü €\n"


@given(st.text(min_size=1))
def test_characters_come_back(text: str) -> None:
    tokenizer = CharTokenizer.fit(text)
    assert tokenizer.decode(tokenizer.encode(text)) == text
    assert tokenizer.size == len(set(text))


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_byte_pairs_of_any_text_come_back(text: str) -> None:
    tokenizer = BytePairTokenizer.fit(TEXT, 280)
    assert tokenizer.decode(tokenizer.encode(text)) == text


def test_the_most_frequent_pair_is_joined_first_and_the_smaller_of_equals() -> None:
    assert BytePairs.learned("ab ab ab cd cd", 258).merges == [(ord("a"), ord("b")), (ord(" "), ord("c"))]


def test_merges_are_those_of_counting_all_pairs_anew_each_time() -> None:
    words = "low low low low low lower lower newest newest newest newest newest newest widest widest widest aaaa aaa"
    found = BytePairs.learned(words, 300)
    pieces = [list(piece.encode()) for piece in [words.split()[0], *(" " + w for w in words.split()[1:])]]
    for i, merge in enumerate(found.merges):
        counts: dict[tuple[int, int], int] = {}
        for piece in pieces:
            for pair in pairwise(piece):
                counts[pair] = counts.get(pair, 0) + 1
        assert merge == min(counts, key=lambda pair: (-counts[pair], pair)), i
        assert counts[merge] > 1
        pieces = [replace(piece, merge, 256 + i) for piece in pieces]
    assert [token for piece in pieces for token in piece] == found.encode(words)


def replace(piece: list[int], pair: tuple[int, int], new: int) -> list[int]:
    out: list[int] = []
    for token in piece:
        out.append(token)
        if tuple(out[-2:]) == pair:
            out[-2:] = [new]
    return out


def test_joining_stops_when_no_pair_comes_twice() -> None:
    assert BytePairTokenizer.fit("abc", 1000).size == 256
    assert BytePairTokenizer.fit("", 256).size == 256
    with pytest.raises(DefinitionError, match="at least 256 tokens, not 255"):
        BytePairTokenizer.fit("abc", 255)


def test_pairs_never_reach_from_one_word_into_the_next() -> None:
    tokenizer = BytePairTokenizer.fit("of the " * 50, 400)
    assert tokenizer.decode([tokenizer.size - 1]) in (" the", "of", " of")


def test_long_words_without_spaces_are_quick() -> None:
    tokenizer = BytePairTokenizer.fit("ACGT" * 5000, 300)
    assert len(tokenizer.encode("ACGT" * 5000)) < 1000


def test_text_comes_piece_by_piece_with_whole_characters() -> None:
    tokenizer = BytePairTokenizer([])
    assert list(tokenizer.pieces("a€b".encode())) == ["a", "€", "b"]
    assert tokenizer.decode("€".encode()[:2]) == "\N{REPLACEMENT CHARACTER}"
    assert list(CharTokenizer("ab").pieces([1, 0])) == ["b", "a"]


def test_unknown_characters_are_named() -> None:
    with pytest.raises(DataError, match=r'characters that are not in the text of training: "X", "é"'):
        CharTokenizer.fit("abc").encode("aXbéX")


@pytest.mark.parametrize("tokenizer", [CharTokenizer.fit(TEXT), BytePairTokenizer.fit(TEXT, 270)])
def test_a_tokenizer_comes_back_from_json(tokenizer: Any) -> None:
    again = tokenizer_from_json(json.loads(json.dumps(tokenizer.to_json())))
    assert type(again) is type(tokenizer) and again.size == tokenizer.size
    np.testing.assert_array_equal(again.encode(TEXT), tokenizer.encode(TEXT))


@pytest.mark.parametrize(
    ("document", "words"),
    [
        (None, "tokenizer: should be an object"),
        ({"kind": "word"}, "tokenizer.kind: should be one of char, bpe"),
        ({"kind": "char", "characters": "aa"}, "tokenizer.characters: .* each of them once"),
        ({"kind": "bpe", "merges": [[1]]}, "tokenizer.merges: should be pairs"),
        ({"kind": "bpe", "merges": [[1, 300]]}, r"tokenizer.merges: merges: \(1, 300\) cannot make token 256"),
        ({"kind": "bpe", "merges": [[1, 2], [1, 2]]}, "tokenizer.merges: merges: a pair is joined twice"),
    ],
)
def test_a_damaged_tokenizer_is_an_error_that_names_the_field(document: Any, words: str) -> None:
    with pytest.raises(RunError, match=words):
        tokenizer_from_json(document)


def test_a_file_is_read_without_its_byte_order_mark(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"\xef\xbb\xbfone\r\ntwo\n")
    assert read_text(tmp_path / "a.txt") == "one\ntwo\n"


@pytest.mark.parametrize(
    ("content", "words"), [(b"", "is empty"), (b"ab\xff", "byte 2 is not UTF-8 text"), (None, "there is no such file")]
)
def test_a_file_that_is_no_text(tmp_path: Path, content: bytes | None, words: str) -> None:
    if content is not None:
        (tmp_path / "a.txt").write_bytes(content)
    with pytest.raises(DataError, match=f"a.txt: {words}"):
        read_text(tmp_path / "a.txt")


def test_the_last_part_of_a_corpus_is_held_out() -> None:
    tokens = np.arange(100)
    train, validation = split_corpus(tokens, 0.1, 5)
    assert (train[-1], validation[0], len(validation)) == (89, 90, 10)
    assert len(split_corpus(tokens, 0.0, 5)[1]) == 0
    with pytest.raises(DataError, match="10 tokens to validate on are too few for a context of 10"):
        split_corpus(tokens, 0.1, 10)
    with pytest.raises(DataError, match="5 tokens to train on are too few"):
        split_corpus(tokens[:5], 0.0, 5)


def test_crops_are_everywhere_that_a_context_and_one_more_fit() -> None:
    starts = crops(10, 4, (500,), np.random.default_rng(0))
    assert set(starts.tolist()) == set(range(6))
    np.testing.assert_array_equal(starts, crops(10, 4, (500,), np.random.default_rng(0)))
    with pytest.raises(DataError, match="4 tokens: too few for a context of 4"):
        crops(4, 4, (1,), np.random.default_rng(0))


def test_windows_hold_every_target_once() -> None:
    rows = windows(np.arange(23), 5)
    assert rows.shape == (4, 6)
    np.testing.assert_array_equal(rows[:, 1:].reshape(-1), np.arange(1, 21))
    np.testing.assert_array_equal(rows[:, 0], [0, 5, 10, 15])
