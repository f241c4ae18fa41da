"""BiLSTMTagger."""

from __future__ import annotations

import numpy as np
import pytest

from chainrule import losses
from chainrule.errors import DefinitionError, ShapeError
from chainrule.nn.models import BiLSTMTagger
from tests.nn.models.learning import check_slope, learn, size

RNG = np.random.default_rng(0)


def runs(n: int = 16) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Tokens [n, 8] from 1 to 5, a tag for each, and lengths: whether a token is larger than the one after it.

    The last is not. Beyond the length tokens are 0, and tags are what nobody may look at.
    """
    lengths, tokens = RNG.integers(2, 9, n), RNG.integers(1, 6, (n, 8))
    tokens[np.arange(8) >= lengths[:, None]] = 0
    after = np.pad(tokens, ((0, 0), (0, 1)))[:, 1:]
    tags = np.where(after > 0, tokens > after, False).astype(np.int64)
    tags[tokens == 0] = 1
    return tokens, tags, lengths


def test_it_learns_tags_that_depend_on_what_follows() -> None:
    model = BiLSTMTagger(6, 2, 8, 16)
    first, last = learn(model, model.loss, runs, 120, 2e-2)
    assert last < 0.1 < 0.5 < first
    tokens, tags, lengths = runs(64)
    found = model.eval()(tokens, lengths).numpy().argmax(-1)
    assert (found == tags)[tokens > 0].mean() > 0.97


def test_two_layers_with_dropout_learn_in_compiled_steps() -> None:
    model = BiLSTMTagger(6, 2, 8, 12, num_layers=2, dropout=0.1)
    first, last = learn(model, model.loss, runs, 150, 2e-2)
    assert last < 0.3 < 0.5 < first


def test_its_size_is_that_of_the_same_layers_in_pytorch() -> None:
    assert size(BiLSTMTagger(1000, 9)) == 263_409
    assert size(BiLSTMTagger(1000, 9, 50, 32, num_layers=2)) == 97_177


def test_what_lies_beyond_a_length_changes_nothing() -> None:
    model, (tokens, tags, lengths) = BiLSTMTagger(6, 2, 4, 3), runs()
    other, wrong = tokens.copy(), tags.copy()
    beyond = tokens == 0
    other[beyond], wrong[beyond] = 3, 0
    found = [model(x, lengths).numpy() for x in (tokens, other)]
    np.testing.assert_array_equal(*(x[~beyond] for x in found))
    assert model.loss(tokens, tags, lengths).item() == model.loss(other, wrong, lengths).item()
    alone = model.loss(tokens[:1, : lengths[0]], tags[:1, : lengths[0]]).item()
    np.testing.assert_allclose(model.loss(tokens[:1], tags[:1], lengths[:1]).item(), alone, rtol=1e-6)


def test_gradients_are_right() -> None:
    model, (tokens, tags, lengths) = BiLSTMTagger(6, 2, 3, 2, 2, dtype="float64"), runs(3)
    check_slope(model, lambda: model.loss(tokens, tags, lengths))


def test_the_loss_is_the_mean_over_tokens() -> None:
    model, (tokens, tags, lengths) = BiLSTMTagger(6, 2, 4, 3), runs()
    logits, inside = model(tokens, lengths).numpy(), tokens > 0
    expected = losses.cross_entropy(logits[inside], tags[inside]).item()
    np.testing.assert_allclose(model.loss(tokens, tags, lengths).item(), expected, rtol=1e-6)


def test_bad_arguments_are_refused() -> None:
    with pytest.raises(ShapeError, match=r"tokens \[batch, time\] are needed, not i64\[3\]"):
        BiLSTMTagger(6, 2)([1, 2, 3])
    with pytest.raises(ShapeError, match="a length of 9 is not from 1 to 2"):
        BiLSTMTagger(6, 2)([[1, 2]], [9])
    with pytest.raises(DefinitionError, match="num_tags must be a whole number"):
        BiLSTMTagger(6, 0)
