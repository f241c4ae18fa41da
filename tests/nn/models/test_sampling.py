from __future__ import annotations

import numpy as np
import pytest

from chainrule.errors import DefinitionError
from chainrule.nn.models.sampling import check_sampling, sample

P = np.array([0.1, 0.4, 0.2, 0.3])


def drawn(**changes: float | int | None) -> np.ndarray:
    """The shares with which tokens are drawn."""
    rng = np.random.default_rng(0)
    options = {"temperature": 1.0, "top_k": None, "top_p": None} | changes
    tokens = [sample(np.log(P) + 7, generator=rng, **options) for _ in range(4000)]  # pyright: ignore[reportArgumentType]
    return np.bincount(tokens, minlength=4) / 4000


def test_tokens_are_drawn_with_the_probabilities_of_the_softmax() -> None:
    np.testing.assert_allclose(drawn(), P, atol=0.03)


def test_a_temperature_is_the_power_of_the_probabilities() -> None:
    np.testing.assert_allclose(drawn(temperature=0.5), P**2 / (P**2).sum(), atol=0.03)


def test_no_temperature_takes_the_likeliest() -> None:
    np.testing.assert_array_equal(drawn(temperature=0.0), [0, 1, 0, 0])


def test_top_k_keeps_the_likeliest() -> None:
    np.testing.assert_allclose(drawn(top_k=2), [0, 4 / 7, 0, 3 / 7], atol=0.03)
    np.testing.assert_array_equal(drawn(top_k=1), [0, 1, 0, 0])


@pytest.mark.parametrize(("top_p", "kept"), [(0.3, [1]), (0.5, [1, 3]), (0.75, [1, 2, 3]), (1.0, [0, 1, 2, 3])])
def test_top_p_keeps_as_few_as_have_the_probability(top_p: float, kept: list[int]) -> None:
    assert np.flatnonzero(drawn(top_p=top_p)).tolist() == kept


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ((-0.1, None, None), "temperature"),
        ((float("nan"), None, None), "temperature"),
        ((1.0, 0, None), "top_k"),
        ((1.0, None, 0.0), "top_p"),
        ((1.0, None, 1.1), "top_p"),
    ],
)
def test_settings_that_cannot_be_are_refused(settings: tuple[float, int | None, float | None], words: str) -> None:
    with pytest.raises(DefinitionError, match=words):
        check_sampling(*settings)
