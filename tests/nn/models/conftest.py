"""Each test draws the same numbers, whichever ran before it."""

from __future__ import annotations

import numpy as np
import pytest

from chainrule.random import seed


@pytest.fixture(autouse=True)
def start_again(request: pytest.FixtureRequest) -> None:
    """Seed the generator of first weights, and that of a file's data, `RNG`."""
    seed(0)
    if hasattr(request.module, "RNG"):
        request.module.RNG = np.random.default_rng(0)
