"""Threads of a program played by one thread, in an order that real ones would hardly ever come to be in.

Kernels between two barriers may run in any order, but for those of one thread. Here this order is drawn at random, or
one thread does all it can before the next one starts, so that a missing barrier shows.
"""

from __future__ import annotations

import ctypes
from collections.abc import Generator

import numpy as np

from chainrule.compiler.runner import BARRIER, CALL, END, LOOP
from chainrule.compiler.tables import Tables

CALLED = ctypes.CFUNCTYPE(None, ctypes.c_int64, ctypes.c_int64, ctypes.c_int64)


class Interleaved:
    """Runs a program in the order that a seed gives.

    Args:
        seed: 1 lets the first threads go first, 2 the last ones; others give random orders.
    """

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.rng = np.random.default_rng(seed)

    def __call__(self, tables: Tables) -> None:
        starts = tables.launch.tables
        players = [_play(start, start) for start in starts]
        waiting: list[Generator[int]] = []
        running = list(players)
        while running:
            which = {1: 0, 2: len(running) - 1}.get(self.seed, int(self.rng.integers(len(running))))
            event = next(running[which], END)
            if event == BARRIER:
                waiting.append(running.pop(which))
            elif event == END:
                running.pop(which)
            if not running:
                assert not waiting or len(waiting) == len(starts), "some threads wait at a barrier, others are done"
                running, waiting = sorted(waiting, key=players.index), []


def _play(at: int, table: int, stop: int | None = None) -> Generator[int]:
    """One thread's instructions, from an address to another or to END; says after each what it was."""
    while at != stop:
        code = _word(at, 0)
        if code == END:
            return
        if code == CALL:
            function, arguments, begin, end = (_word(at, i) for i in range(1, 5))
            CALLED(function)(arguments, begin, end)
            at += 5 * 8
            yield CALL
        elif code == BARRIER:
            at += 8
            yield BARRIER
        else:
            assert code == LOOP, code
            count, words, moving = (_word(at, i) for i in range(1, 4))
            steps = [(_word(at, 4 + 2 * i), _word(at, 5 + 2 * i)) for i in range(moving)]
            body = at + (4 + 2 * moving) * 8
            for _ in range(count):
                yield from _play(body, table, body + words * 8)
                _move(steps, 1)
            _move(steps, -count)
            at = body + words * 8


def _word(address: int, index: int) -> int:
    return ctypes.c_int64.from_address(address + 8 * index).value


def _move(steps: list[tuple[int, int]], times: int) -> None:
    for place, stride in steps:
        ctypes.c_int64.from_address(place).value += times * stride
