"""Running programs on threads, which look for more in native code for a moment and else sleep.

    launch = Launch([table0, table1])       # addresses of the tables of `runner.py`, one for each thread
    launch()

The calling thread is the first of a program's threads, the others are ordinary Python threads. After a program they
look for the next one during PATIENCE, so that one call after the other costs no wake-up, and then sleep. One program
on several threads runs at a time, and who else calls waits for it. A program on one thread needs nobody.
"""

from __future__ import annotations

import atexit
import ctypes
import functools
import mmap
import os
import sys
import threading
import time
from collections.abc import Callable, Sequence
from ctypes import CFUNCTYPE, c_int64, c_void_p

from chainrule.compiler import runner
from chainrule.compiler.jit import build
from chainrule.compiler.machine import architecture, host_target

PATIENCE = 70e-6  # seconds
PATIENCE_AT_EXIT = 1.0
NAP_MICROSECONDS = 50
MAX_THREADS = 1024


class Runner:
    """The functions of `runner.py`, to be called from Python; addresses are integers."""

    def __init__(self) -> None:
        names = (runner.LAUNCH, runner.ATTEND, runner.CLOCK)
        text = runner.runner_text(host_target(), architecture())
        self._code = build([text], names, host_target())
        launch, attend, clock = (self._code[name] for name in names)
        i = c_int64
        self.launch: Callable[[int], None] = CFUNCTYPE(None, i)(launch)
        self.attend: Callable[[int, int], None] = CFUNCTYPE(None, i, i)(attend)
        self._clock: Callable[[int], None] = CFUNCTYPE(None, i)(clock)
        self._now = c_int64()
        self._started = self.ticks(), time.perf_counter()

    def ticks(self) -> int:
        """What the clock shows that times kernels."""
        self._clock(ctypes.addressof(self._now))
        return self._now.value

    def ticks_per_second(self) -> float:
        """How fast that clock goes, measured since this object was made, for a millisecond at least."""
        ticks, started = self._started
        while True:
            now, time_now = self.ticks(), time.perf_counter()
            if time_now - started >= 1e-3:
                return (now - ticks) / (time_now - started)


@functools.cache
def the_runner() -> Runner:
    """The one runner of this process."""
    return Runner()


class Team:
    """Threads that run programs together, and the memory in which they meet."""

    def __init__(self) -> None:
        self.lock = threading.RLock()  # a signal handler may run a program while another one is about to start
        self.runner = the_runner()
        # Never freed: threads that are still at work when Python ends may look at it.
        memory = mmap.mmap(-1, 8 * (runner.SHARED_WORDS + MAX_THREADS * runner.THREAD_WORDS))
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(memory))
        self._words = (c_int64 * (len(memory) // 8)).from_buffer(memory)
        self.address = ctypes.addressof(self._words)
        self._closing = False
        self._growing = threading.Lock()
        self._workers: list[tuple[threading.Thread, threading.Lock, object]] = []
        yielding, sleeping, nap = _waiting()
        self._words[runner.YIELD] = yielding
        self._words[runner.SLEEP] = sleeping
        self._words[runner.NAP] = nap
        self._words[runner.PATIENCE] = int(PATIENCE * self.runner.ticks_per_second())

    def launch(self, request: int, threads: int) -> None:
        """Run a program on several threads: see the requests of `runner.py`."""
        with self.lock:
            if len(self._workers) < threads - 1:
                # By another thread, which no interrupt of the user stops half-way.
                grower = threading.Thread(target=self._grow, args=(threads,))
                grower.start()
                grower.join()
            self.runner.launch(request)

    def _grow(self, threads: int) -> None:
        with self._growing:
            while len(self._workers) < threads - 1:
                self._add(len(self._workers) + 1)

    def _add(self, index: int) -> None:
        asleep = threading.Lock()
        asleep.acquire()
        # Native code wakes the thread by releasing its lock. No Python runs in between, thus no signal handler: an
        # interrupt comes before a program or after it.
        callback = CFUNCTYPE(None)(asleep.release)
        own = runner.SHARED_WORDS + index * runner.THREAD_WORDS
        self._words[own + runner.WAKE] = _address(callback)
        self._words[own + runner.ASLEEP] = 1
        thread = threading.Thread(target=self._work, args=(index, asleep), name=f"chainrule-{index}", daemon=True)
        thread.start()
        self._workers.append((thread, asleep, callback))

    def _work(self, index: int, asleep: threading.Lock) -> None:
        attend, address = self.runner.attend, self.address
        while asleep.acquire() and not self._closing:
            attend(address, index)
            if self._closing:
                break

    def close(self) -> None:
        """End the threads. Then only the calling thread can run programs; one that runs is waited for, but not long."""
        if not self.lock.acquire(timeout=PATIENCE_AT_EXIT):
            return
        self._closing, self._words[runner.QUIT] = True, 1
        for thread, asleep, _ in self._workers:
            if asleep.locked():
                asleep.release()
            thread.join()
        self._workers.clear()
        self._closing, self._words[runner.QUIT] = False, 0


def _waiting() -> tuple[int, int, int]:
    """The system's functions to let other threads run and to sleep, and for how long in the unit of the latter."""
    if sys.platform == "win32":
        kernel = ctypes.WinDLL("kernel32")
        return _address(kernel.SwitchToThread), _address(kernel.Sleep), 1
    system = ctypes.CDLL(None)
    return _address(system.sched_yield), _address(system.usleep), NAP_MICROSECONDS


def _address(function: object) -> int:
    return ctypes.cast(function, c_void_p).value or 0  # type: ignore[arg-type]


class Launch:
    """A program to be run again and again.

    Args:
        tables: addresses of its tables, one for each thread. They, and what they point to, must stay where they are.
    """

    def __init__(self, tables: Sequence[int]) -> None:
        if not 1 <= len(tables) <= MAX_THREADS:
            raise ValueError(f"a program runs on 1 to {MAX_THREADS} threads, not {len(tables)}")
        self.tables = tuple(tables)
        self.threads = len(tables)
        self._request = (c_int64 * (runner.TABLES + len(tables)))(0, len(tables), 0, *tables)
        self._address = ctypes.addressof(self._request)
        self._launch = the_runner().launch

    def __call__(self) -> None:
        """Run the program; returns when every thread has done its part."""
        if self.threads == 1:
            self._launch(self._address)
        else:
            team = _team()
            self._request[runner.SHARED] = team.address
            team.launch(self._address, self.threads)

    def profiled(self, counters: Sequence[int]) -> None:
        """The same, measured.

        Args:
            counters: for each thread the address of as many 64-bit integers as its table has words. The clock's ticks
                that a CALL or BARRIER takes are added to the one with the index of the instruction's first word.
        """
        if len(counters) != self.threads:
            raise ValueError(f"{self.threads} threads need as many arrays of counters, not {len(counters)}")
        array = (c_int64 * self.threads)(*counters)
        self._request[runner.COUNTED] = ctypes.addressof(array)
        try:
            self()
        finally:
            self._request[runner.COUNTED] = 0


_current: Team | None = None
_creating = threading.Lock()


def _team() -> Team:
    global _current
    if _current is None:
        with _creating:
            if _current is None:
                _current = Team()
    return _current


def _close() -> None:
    if _current is not None:
        _current.close()


def _start_anew() -> None:
    """In a forked child: the other threads are gone, and so are their locks."""
    global _current, _creating
    _current, _creating = None, threading.Lock()


atexit.register(_close)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_start_anew)
