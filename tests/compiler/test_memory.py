"""Buffers that are needed at the same time never overlap, and those that are not share memory."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chainrule.compiler.memory import ALIGN, Lifetime, planned

LIFETIMES = st.builds(
    lambda size, first, length: Lifetime(size, first, first + length),
    st.integers(0, 1000),
    st.integers(0, 20),
    st.integers(0, 8),
)


@given(st.lists(LIFETIMES, max_size=40))
def test_buffers_of_one_time_have_places_of_their_own(lifetimes: list[Lifetime]) -> None:
    plan = planned(lifetimes)
    owner: dict[tuple[int, int], int] = {}
    for i, (x, offset) in enumerate(zip(lifetimes, plan.offsets, strict=True)):
        assert offset % ALIGN == 0 and offset + x.size <= plan.size <= plan.total
        for line in range(offset // ALIGN, -(-(offset + x.size) // ALIGN)):
            for time in range(x.first, x.last + 1):
                assert owner.setdefault((line, time), i) == i


def test_a_chain_needs_two_buffers() -> None:
    plan = planned([Lifetime(1000, n, n + 1) for n in range(50)])
    assert plan.size == 2 * 1024 and plan.total == 50 * 1024
    assert str(plan) == "arena of 2,048 bytes for tensors of 51,200 bytes"


@pytest.mark.parametrize("seed", range(5))
def test_little_is_wasted(seed: int) -> None:
    rng = np.random.default_rng(seed)
    lifetimes = [
        Lifetime(64 * int(rng.integers(1, 50)), int(n), int(n + rng.integers(1, 6))) for n in rng.integers(0, 90, 200)
    ]
    busiest = max(sum(x.size for x in lifetimes if x.first <= t <= x.last) for t in range(100))
    assert busiest <= planned(lifetimes).size <= 1.3 * busiest


def test_nothing_takes_nothing() -> None:
    assert planned([]).size == 0
