"""On how many threads programs run: whichever is faster, as it is now."""

import numpy as np
import pytest

import chainrule as cr
from chainrule.compiler import crew as module
from chainrule.compiler.crew import LATEST, LONG, RUNS, SOONEST, TRIAL, Crew


class World:
    """A time that only passes when a program runs."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 100.0
        self.seconds = {1: 8e-6, 2: 6e-6}
        monkeypatch.setattr(module.time, "perf_counter", lambda: self.now)

    def run(self, crew: Crew, seconds: float) -> dict[int, float]:
        """For so long; returns how much of it was spent on each number of threads."""
        spent = {1: 0.0, 2: 0.0}
        end = self.now + seconds
        while self.now < end:
            took = self.seconds[crew.threads]
            spent[crew.threads] += took
            self.now += took
            if crew.sure:
                crew.sure -= 1
            else:
                crew.note(took)
        return spent


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    return World(monkeypatch)


def test_the_faster_number_of_threads_does_nearly_all_the_work(world: World) -> None:
    crew = Crew(2)
    spent = world.run(crew, 1.0)
    assert spent[2] > 0.99 and spent[1] >= 2 * RUNS * world.seconds[1]
    world.seconds[2] = 16e-6
    world.run(crew, 2 * LATEST)
    assert world.run(crew, 3.0)[2] < 0.03 and crew.threads == 1
    world.seconds[2] = 6e-6
    world.run(crew, 2 * LATEST)
    assert crew.threads == 2


def test_one_slow_run_decides_nothing(world: World) -> None:
    crew = Crew(2)
    for seconds in (1e-3, *[world.seconds[2]] * (RUNS - 1), 1e-3, *[world.seconds[1]] * (RUNS - 1)):
        crew.note(seconds)
    assert crew.threads == 2


def test_trials_get_rarer_while_the_choice_is_right(world: World) -> None:
    crew = Crew(2)
    world.run(crew, SOONEST / 2)
    early = world.run(crew, 0.2)[1]
    world.run(crew, 2.0)
    assert world.run(crew, 0.2)[1] < early


def test_long_programs_are_never_tried_on_one_thread(world: World) -> None:
    world.seconds = {1: 2.5 * LONG, 2: 1.5 * LONG}
    assert world.run(Crew(2), 2.0)[1] == 0


def test_a_trial_is_short_and_other_runs_are_not_limited(world: World) -> None:
    crew = Crew(2)
    assert crew.limit == TRIAL
    world.run(crew, SOONEST / 2)
    assert crew.limit == np.inf
    assert Crew(1).limit == np.inf


def test_one_thread_leaves_no_choice(world: World) -> None:
    crew = Crew(1)
    world.run(crew, 0.5)
    assert crew.threads == 1


def test_small_programs_run_on_both_and_give_the_same_bits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LONG", np.inf)  # small on any machine, however busy
    before = cr.get_threads()
    cr.set_threads(2)
    try:
        w = cr.tensor(np.eye(8, dtype=np.float32))

        @cr.compile
        def step(x: cr.Tensor) -> cr.Tensor:
            return cr.tanh(x @ w).sum(axis=0)

        x = np.random.default_rng(0).normal(size=(40, 8)).astype(np.float32)
        found = {step(x).numpy().tobytes() for _ in range(4 * RUNS)}
        assert len(found) == 1
        assert step.last is not None and set(step.last.program.tables) == {1, 2}
    finally:
        cr.set_threads(before)
