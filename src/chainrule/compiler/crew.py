"""On how many threads a program runs fastest: on all of them, or on the one that calls it.

Threads of a small program meet every few hundred nanoseconds. What that costs depends on where they run: measured here
40 ns on cores that share a cache and 240 ns on others, and much more if other programs want the processors, too.
Machines move threads, and hypervisors move processors, so that it changes while a program runs. As results are the
same bits for any number of threads, the choice is free, and it is made by measuring again and again.
"""

from __future__ import annotations

import time
from math import inf

RUNS = 5
"""So often a number of threads is tried; the fastest time counts."""

TRIAL = 4e-4
"""Seconds that a run of many iterations should last while it is a trial."""

UNTIMED = 1e-4
"""Between two runs that are timed, others go on for about so many seconds without."""

LONG = 2e-3
"""A program that takes so many seconds runs on all threads: there, waiting costs little."""

SOONEST, LATEST = 0.02, 0.32
"""Seconds after which a choice is tried again: the later, the more often it has proved right."""


class Crew:
    """How many threads run a program next.

    Args:
        most: how many there are.

    Attributes:
        threads: how many are to run it now: `most` or 1.
        sure: so many runs need not be timed and noted.
    """

    def __init__(self, most: int) -> None:
        self.most = self.threads = self._chosen = most
        self.sure = 0
        self._best = {most: inf, 1: inf}
        self._trials = RUNS if most > 1 else 0  # of the present number of threads that are still to come
        self._settled = inf  # until when
        self._interval = SOONEST

    @property
    def limit(self) -> float:
        """How many seconds the next run should last at most."""
        return TRIAL if self._trials else inf

    def note(self, seconds: float, iterations: int = 1) -> None:
        """Take in what a run of some iterations took that has just ended."""
        self._best[self.threads] = min(self._best[self.threads], seconds / max(iterations, 1))
        if self._trials:
            self._trials -= 1
            if not self._trials:
                self._decide()
        elif time.perf_counter() > self._settled:
            self._try_other()
        else:
            self.sure = int(UNTIMED / max(seconds, 1e-9))

    def _try_other(self) -> None:
        self.threads = 1 if self.threads == self.most else self.most
        self._best[self.threads] = inf
        self._trials = RUNS

    def _decide(self) -> None:
        """After trials: try the other number, or settle for the better one."""
        if self._best[self.most] > LONG:
            self._settle(self.most, inf)
        elif inf in self._best.values():
            self._try_other()
        else:
            faster = min(self._best, key=lambda threads: self._best[threads])
            confirmed = faster == self._chosen
            self._interval = min(2 * self._interval, LATEST) if confirmed else SOONEST
            self._settle(faster, self._interval)

    def _settle(self, threads: int, seconds: float) -> None:
        self.threads = self._chosen = threads
        self._best[threads] = inf
        self._settled = time.perf_counter() + seconds
