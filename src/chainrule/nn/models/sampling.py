"""Drawing a token from the scores that a language model gives to all."""

from __future__ import annotations

import numpy as np

from chainrule.errors import DefinitionError
from chainrule.types import Array


def check_sampling(temperature: float, top_k: int | None, top_p: float | None) -> None:
    """Raise a `DefinitionError` if `sample` cannot be done so."""
    if not 0.0 <= temperature < np.inf:
        raise DefinitionError(f"temperature must be a number of at least 0, not {temperature}")
    if top_k is not None and top_k < 1:
        raise DefinitionError(f"top_k must be at least 1, not {top_k}")
    if top_p is not None and not 0.0 < top_p <= 1.0:
        raise DefinitionError(f"top_p must be above 0 and at most 1, not {top_p}")


def sample(
    logits: Array, temperature: float, top_k: int | None, top_p: float | None, generator: np.random.Generator
) -> int:
    """A token, drawn with the probabilities softmax(logits / temperature) of those tokens that are not ruled out.

    Args:
        logits: scores [tokens].
        temperature: 0 takes the likeliest token.
        top_k: rules out all but so many of the likeliest.
        top_p: then rules out all but the likeliest, as few as have this probability together.
        generator: draws one number for each token.

    >>> sample(np.array([0.0, 9.0, 1.0]), 1.0, 2, 0.9, np.random.default_rng(0))
    1
    """
    if temperature == 0.0:
        return int(logits.argmax())
    order = np.argsort(-logits, kind="stable")[:top_k]
    scores = np.asarray(logits[order], np.float64) / temperature
    p = np.exp(scores - scores[0])
    p /= p.sum()
    if top_p is not None:
        p = p[: int(np.searchsorted(p.cumsum(), top_p)) + 1]
    reached = p.cumsum()
    return int(order[np.searchsorted(reached, generator.random() * reached[-1], side="right")])
