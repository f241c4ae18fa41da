"""A program in memory, ready to run: its arena, its tables for every thread, and where arguments are put in."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import numpy as np

from chainrule.compiler.blueprint import Blueprint, Buffer
from chainrule.compiler.crew import Crew
from chainrule.compiler.jit import Code
from chainrule.compiler.memory import aligned
from chainrule.compiler.tables import Tables
from chainrule.compiler.threads import get_threads
from chainrule.errors import IndexingError
from chainrule.types import Array


class Program:
    """A program whose arguments can be put in and which can then be run.

    Args:
        blueprint: what to run.
        code: the code of all its kernels.
        allocate: gives an array of so many bytes, for all that kernels compute with.

    Attributes:
        crew: on how many threads it runs next.
    """

    def __init__(self, blueprint: Blueprint, code: Code, allocate: Callable[[int], Array] = aligned) -> None:
        self.blueprint = blueprint
        self.code = code
        self.allocate = allocate
        self.arena = allocate(blueprint.memory.size)
        self.status = aligned(8, np.int64)
        self.status[:] = 0
        self._failed = self.status.data  # faster to look at
        self.constants = [self._owned(x) for x in blueprint.constants]
        self.pointers: dict[tuple[str, int], int] = {}
        self.scratch: list[Array] = []  # of each thread
        self.tables: dict[int, Tables] = {}  # by the number of threads
        self.crew = Crew(get_threads())

    def on(self, threads: int) -> Tables:
        """The tables for a number of threads."""
        tables = self.tables.get(threads)
        if tables is None:
            more = range(len(self.scratch), threads)
            self.scratch += [self.allocate(self.blueprint.scratch) for _ in more]
            tables = self.tables[threads] = Tables(self.blueprint, self.code, self._address, threads)
            for key, pointer in self.pointers.items():
                tables.put(key, pointer)
        return tables

    def _owned(self, x: Array) -> Array:
        made = self.allocate(x.nbytes).view(x.dtype).reshape(x.shape)
        made[...] = x
        return made

    def _address(self, buffer: Buffer, thread: int) -> int:
        """Where a buffer is that is no argument."""
        if buffer.kind == "arena":
            return self.arena.ctypes.data + buffer.shift
        if buffer.kind == "constant":
            return self.constants[buffer.number].ctypes.data + buffer.shift
        if buffer.kind == "scratch":
            return self.scratch[thread].ctypes.data
        if buffer.kind == "status":
            return self.status.ctypes.data
        return self.code[self.blueprint.micros[buffer.number]]

    def put(self, key: tuple[str, int], pointer: int) -> None:
        """Say where an argument is: ("parameter", i) or ("output", i)."""
        if self.pointers.get(key) == pointer:
            return
        self.pointers[key] = pointer
        for tables in self.tables.values():
            tables.put(key, pointer)

    def run(self, count: int = 1) -> None:
        """Run it; a program made by `repeated` that many times.

        Raises `IndexingError` if an index was outside of its axis.
        """
        if self.crew.most != get_threads():
            self.crew = Crew(get_threads())
        tables = self.on(self.crew.threads)
        if tables.counts:
            tables.repeat(count)
        if self.crew.sure:
            self.crew.sure -= 1
            tables.launch()
        else:
            started = time.perf_counter()
            tables.launch()
            self.crew.note(time.perf_counter() - started, count)
        self.check()

    def measured(self, threads: int, counters: Sequence[int] = ()) -> None:
        """Run it once on so many threads, measured if there are counters: see `Launch.profiled`."""
        tables = self.on(threads)
        tables.repeat(1)
        if counters:
            tables.launch.profiled(counters)
        else:
            tables.launch()
        self.check()

    def check(self) -> None:
        """Raises `IndexingError` if an index was outside of its axis."""
        if self._failed[0]:
            self._failed[0] = 0
            raise IndexingError("an index is outside of its axis in a compiled function; run it eagerly to see where")
