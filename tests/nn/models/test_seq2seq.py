"""Seq2SeqTransformer."""

from __future__ import annotations

import numpy as np
import pytest

from chainrule.errors import DefinitionError, IndexingError, ShapeError
from chainrule.nn import attention, linear
from chainrule.nn.models import Seq2SeqTransformer, seq2seq
from chainrule.ops import zeros
from chainrule.random import Generator
from tests.nn.models.learning import check_slope, learn, size

RNG = np.random.default_rng(0)
NONE, START, END, TOKENS = 0, 1, 2, 8


def reversals(n: int = 32) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Sources [n, 4] of two to four tokens, the same backwards between START and END [n, 6], and both lengths."""
    lengths = RNG.integers(2, 5, n)
    source, target = RNG.integers(3, TOKENS, (n, 4)), np.full((n, 6), NONE)
    for row, backwards, length in zip(source, target, lengths, strict=True):
        row[length:] = NONE
        backwards[: length + 2] = [START, *row[:length][::-1], END]
    return source, target, lengths, lengths + 2


def small(**changes: object) -> Seq2SeqTransformer:
    sizes: dict[str, object] = {
        "d_model": 16,
        "nhead": 2,
        "num_encoder_layers": 1,
        "num_decoder_layers": 1,
        "dim_feedforward": 32,
        "dropout": 0.0,
        "max_length": 8,
    }
    return Seq2SeqTransformer(TOKENS, TOKENS, **sizes | changes)  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize(("norm_first", "shared"), [(True, False), (False, True)])
def test_it_learns_to_write_backwards(norm_first: bool, shared: bool) -> None:
    model = small(d_model=32, norm_first=norm_first, share_embeddings=shared)
    first, last = learn(model, model.loss, reversals, 400, 3e-3)
    assert last < 0.2 < 1.5 < first
    source, target, lengths, _ = reversals(32)
    written = model.generate(source, START, END, 6, source_lengths=lengths)
    expected = [row[1 : n + 1].tolist() for row, n in zip(target, lengths, strict=True)]
    assert np.mean([a == b for a, b in zip(written, expected, strict=True)]) > 0.9


def test_writing_takes_the_same_tokens_as_reading_all_again() -> None:
    model = small(num_decoder_layers=2, dropout=0.3)
    for x in model.parameters():
        x.assign(Generator(3).normal(x.shape, std=0.5))
    source, _, lengths, _ = reversals(3)
    written = model.generate(source, START, END, 7, source_lengths=lengths)
    assert model.training and model.dropout.training
    model.eval()
    target = np.full((3, 1), START)
    for _ in range(7):
        following = model(source, target, lengths).numpy()[:, -1].argmax(-1)
        target = np.concatenate([target, following[:, None]], 1)
    rows = [row[1:].tolist() for row in target]
    assert written == [row[: row.index(END)] if END in row else row for row in rows]
    assert any(written)


def test_a_token_sees_none_of_those_after_it_and_no_source_beyond_its_length() -> None:
    model = small().eval()
    source, target, lengths, _ = reversals(4)
    later, beyond = target.copy(), source.copy()
    later[:, 3:], beyond[source == NONE] = 5, 6
    found = model(source, target, lengths).numpy()
    np.testing.assert_array_equal(model(source, later, lengths).numpy()[:, :3], found[:, :3])
    np.testing.assert_array_equal(model(beyond, target, lengths).numpy(), found)
    assert not np.allclose(model(beyond, target).numpy(), found)


def test_the_loss_counts_the_tokens_within_the_lengths() -> None:
    model = small().eval()
    source, target, lengths, target_lengths = reversals(4)
    logits = model(source, target[:, :-1], lengths).numpy()
    log_p = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
    picked = np.take_along_axis(log_p, target[:, 1:, None], -1)[..., 0]
    inside = np.arange(1, 6) < target_lengths[:, None]
    found = model.loss(source, target, lengths, target_lengths).item()
    np.testing.assert_allclose(found, -picked[inside].mean(), rtol=1e-5)
    smoothed = -(0.9 * picked + 0.1 * log_p.mean(-1))[inside].mean()
    found = model.loss(source, target, lengths, target_lengths, label_smoothing=0.1).item()
    np.testing.assert_allclose(found, smoothed, rtol=1e-5)


@pytest.mark.parametrize(
    ("sizes", "parameters", "millions"), [((512, 8, 2048), 63_082_496, 65), ((1024, 16, 4096), 214_245_376, 213)]
)
def test_it_has_the_papers_sizes(
    sizes: tuple[int, int, int], parameters: int, millions: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module, name in ((seq2seq, "glorot_uniform"), (attention, "glorot_uniform"), (linear, "uniform")):
        monkeypatch.setattr(module, name, lambda shape, *_, **__: zeros(shape))  # drawing takes time
    width, heads, hidden = sizes
    one, two = (size(Seq2SeqTransformer(9, 9, width, heads, n, n, hidden, share_embeddings=True)) for n in (1, 2))
    found = one + 5 * (two - one) + (37_000 - 9) * width  # six layers, 37,000 tokens
    assert found == parameters
    assert abs(found / 1e6 - millions) < 0.03 * millions


def test_shared_embeddings_are_one_matrix() -> None:
    shared, apart = small(share_embeddings=True), small(norm_first=True)
    assert size(apart) == size(shared) + 2 * TOKENS * 16 + 2 * 2 * 16
    names = [name for name, _ in apart.named_parameters()]
    assert names[:3] == ["source_embedding.weight", "target_embedding.weight", "head.weight"]
    assert "encoder.layers.0.self_attn.in_proj_weight" in names and "decoder.norm.bias" in names
    assert "target_embedding.weight" not in dict(shared.named_parameters())


def test_gradients_are_right() -> None:
    model, batch = small(share_embeddings=True, dtype="float64"), reversals(4)
    check_slope(model, lambda: model.loss(*batch))


def test_bad_arguments_are_refused() -> None:
    with pytest.raises(DefinitionError, match="vocabularies of 8 and 9 tokens cannot share embeddings"):
        Seq2SeqTransformer(8, 9, share_embeddings=True)
    with pytest.raises(ShapeError, match=r"tokens \[batch, time\] are needed, not i64\[2\]"):
        small()([1, 2], [[1]])
    with pytest.raises(IndexingError, match="9 positions from 0 on are not among 8"):
        small()(np.zeros((1, 9), np.int64), [[1]])
    with pytest.raises(DefinitionError, match="length must be a whole number of at least 1, not 0"):
        small().generate([[1]], START, END, 0)
    with pytest.raises(IndexingError, match="9 tokens do not fit into a max_length of 8"):
        small().generate([[1]], START, END, 9)
