"""The published errors of the functions are the ones that they have."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from chainrule.types import DType, float32, float64
from tests.native.harness import TARGETS
from tests.native.vecmath.measure import CASES, SLACK, Case, table, ulps


@pytest.mark.parametrize("dtype", [float32, float64], ids=str)
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_the_error_is_the_published_one(case: Case, dtype: DType) -> None:
    published = case.float32 if dtype is float32 else case.float64
    measured = [case.measure(dtype, target, 1 << 13) for target in TARGETS]
    assert max(measured) <= published + SLACK, dict(zip((t.cpu for t in TARGETS), measured, strict=True))
    assert max(measured) >= 0.5 * published, "it is much better than published"


def test_the_documentation_has_the_same_table() -> None:
    page = (Path(__file__).parents[3] / "docs" / "vecmath.md").read_text(encoding="utf-8")
    assert table() in page


def test_units_in_the_last_place_are_counted_from_the_exact_result() -> None:
    exact = np.array([1.0, 1.0, 0.0, np.nan, np.inf, 1e300, 1e300, 1.0, np.nan, -0.0])
    found = np.array([1.0, 1 + 2.0**-22, 1e-45, np.nan, np.inf, np.inf, 3.4028235e38, np.nan, 1.0, 0.0], np.float32)
    np.testing.assert_array_equal(ulps(found, exact), [0, 2, 1, 0, 0, 0, 1, np.inf, np.inf, np.inf])
