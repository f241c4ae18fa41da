"""Random programs, compiled and interpreted: some of what `make fuzz` runs."""

from __future__ import annotations

import random

import pytest

from tests.fuzz.workers import Worker

FRESH = random.SystemRandom().randrange(10**9)


def failures(seeds: range, target: str) -> list[str]:
    with Worker() as worker:
        found = [(seed, worker.run(seed=seed, target=target)) for seed in seeds]
    return [f"make fuzz N=1 SEED={seed} TARGET={target}: {wrong}" for seed, wrong in found if wrong is not None]


@pytest.mark.parametrize("first", range(0, 160, 20))
def test_programs_on_this_processor(first: int) -> None:
    assert not failures(range(first, first + 20), "host")


@pytest.mark.parametrize("target", ["x86-64-v2", "x86-64-v3"])
def test_programs_on_plain_processors(target: str) -> None:
    assert not failures(range(1000, 1025), target)


@pytest.mark.parametrize("first", range(0, 60, 20))
def test_programs_that_are_others_each_time(first: int) -> None:
    assert not failures(range(FRESH + first, FRESH + first + 20), "host")
