"""A program in memory, ready to run: its arena, its tables for every thread, and where arguments are put in."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from chainrule.compiler.blueprint import VARIABLE, Blueprint, Buffer, Call, Repeat
from chainrule.compiler.jit import Code
from chainrule.compiler.pool import Launch
from chainrule.compiler.runner import BARRIER, CALL, END, LOOP
from chainrule.compiler.threads import get_threads
from chainrule.errors import IndexingError
from chainrule.types import Array

ALIGN = 64


def aligned(size: int, dtype: np.dtype[np.generic] | type = np.uint8) -> Array:
    """An uninitialised array of `size` elements that starts at a cache line."""
    item = np.dtype(dtype).itemsize
    raw = np.empty(size * item + ALIGN, np.uint8)
    start = -raw.ctypes.data % ALIGN
    return raw[start : start + size * item].view(dtype)


class Program:
    """A program whose arguments can be put in and which can then be run.

    Args:
        blueprint: what to run.
        code: the code of all its kernels.
        allocate: gives an array of so many bytes, for all that kernels compute with.
    """

    def __init__(self, blueprint: Blueprint, code: Code, allocate: Callable[[int], Array] = aligned) -> None:
        self.blueprint = blueprint
        self.code = code
        self.allocate = allocate
        self.arena = allocate(blueprint.memory.size)
        self.status = aligned(8, np.int64)
        self.status[:] = 0
        self.constants = [self._owned(x) for x in blueprint.constants]
        self.pointers: dict[tuple[str, int], int] = {}
        self.places: dict[tuple[str, int], list[tuple[int, int]]] = {}  # of each argument: word, shift
        self.words = aligned(0, np.int64)
        self.threads = 0

    def prepare(self, threads: int) -> None:
        """Make the tables for a number of threads."""
        self.threads = threads
        self.scratch = [self.allocate(self.blueprint.scratch) for _ in range(threads)]
        self.places = {}
        self.counts: list[int] = []
        self.sites: list[list[tuple[int, Call]]] = []  # of each thread: where in its table kernels are called
        self.sizes: list[int] = []  # and how many words that has
        table = _Table(self)
        starts = [table.thread(thread, threads) for thread in range(threads)]
        words = table.words
        self.words = aligned(len(words), np.int64)
        self.words[:] = words
        base = self.words.ctypes.data
        for place, word in table.fixups:
            self.words[place] = base + 8 * word
        self.launch = Launch([base + 8 * start for start in starts])
        for key, pointer in self.pointers.items():
            self.put(key, pointer)

    def _owned(self, x: Array) -> Array:
        made = self.allocate(x.nbytes).view(x.dtype).reshape(x.shape)
        made[...] = x
        return made

    def address(self, buffer: Buffer, thread: int, word: int) -> int:
        """Where a buffer is; arguments are put in later."""
        kind, number, shift = buffer.kind, buffer.number, buffer.shift
        if kind in ("parameter", "output"):
            self.places.setdefault((kind, number), []).append((word, shift))
            return 0
        if kind == "arena":
            return self.arena.ctypes.data + shift
        if kind == "constant":
            return self.constants[number].ctypes.data + shift
        if kind == "scratch":
            return self.scratch[thread].ctypes.data
        if kind == "status":
            return self.status.ctypes.data
        return self.code[self.blueprint.micros[number]]

    def put(self, key: tuple[str, int], pointer: int) -> None:
        """Say where an argument is: ("parameter", i) or ("output", i)."""
        self.pointers[key] = pointer
        words = self.words
        for word, shift in self.places.get(key, ()):
            words[word] = pointer + shift

    def run(self, count: int = 1, counters: Sequence[int] = ()) -> None:
        """Run it; a program made by `repeated` that many times. With `counters` it is measured: `Launch.profiled`.

        Raises `IndexingError` if an index was outside of its axis.
        """
        if self.threads != get_threads():
            self.prepare(get_threads())
        for word in self.counts:
            self.words[word] = count
        if counters:
            self.launch.profiled(counters)
        else:
            self.launch()
        if self.status[0]:
            self.status[0] = 0
            raise IndexingError("an index is outside of its axis in a compiled function; run it eagerly to see where")


class _Table:
    """Writes the instructions of every thread, and after them the arguments of its calls."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.words: list[int] = []
        self.fixups: list[tuple[int, int]] = []  # a word, and the word whose address it is to hold
        self.calls: list[tuple[int, Call, list[tuple[int, int, int]]]] = []

    def thread(self, thread: int, threads: int) -> int:
        """The table of a thread; returns the word at which it starts."""
        start = len(self.words)
        self.calls = []
        self.write(self.program.blueprint.calls, thread, threads)
        self.words.append(END)
        self.program.sites.append([(place - 2 - start, call) for place, call, _ in self.calls])
        self.program.sizes.append(len(self.words) - start)
        for place, call, moving in self.calls:
            first = len(self.words)
            self.fixups.append((place, first))
            self.fixups += [(word, first + argument) for word, argument, _ in moving]
            for buffer in call.arguments:
                self.words.append(self.program.address(buffer, thread, len(self.words)))
        return start

    def write(self, calls: Sequence[Call | Repeat], thread: int, threads: int) -> None:
        """Instructions for calls; in loops, what moves on is noted for each."""
        phase = calls[0].phase if calls else 0
        for call in calls:
            if call.phase != phase:
                phase = call.phase
                self.barrier(threads)
            if isinstance(call, Repeat):
                self.barrier(threads)
                self.repeat(call, thread, threads)
                continue
            begin, end = call.units * thread // threads, call.units * (thread + 1) // threads
            if call.units == 1:
                begin, end = 0, int(thread == call.home % threads)
            if begin < end:
                self.words += [CALL, self.program.code[call.kernel], 0, begin, end]
                self.calls.append((len(self.words) - 3, call, []))

    def repeat(self, loop: Repeat, thread: int, threads: int) -> None:
        """A loop: at its head stands which arguments move on."""
        known = len(self.calls)
        outer, self.words = self.words, []
        fixups, self.fixups = self.fixups, []
        self.write(loop.calls, thread, threads)
        self.barrier(threads)
        body, self.words = self.words, outer
        inner, self.fixups = self.fixups, fixups
        inside = self.calls[known:]
        steps = [
            (call, position, stride)
            for call in inside
            for position, buffer in enumerate(call[1].arguments)
            for depth, stride in buffer.steps
            if depth == loop.depth
        ]
        if loop.count == VARIABLE:
            self.program.counts.append(len(self.words) + 1)
        self.words += [LOOP, loop.count, len(body), len(steps)]
        shift = len(self.words) + 2 * len(steps)
        self.calls[known:] = [
            (place + shift, call, [(word + shift, argument, s) for word, argument, s in moving])
            for place, call, moving in inside
        ]
        self.fixups += [(place + shift, word + shift) for place, word in inner]
        moved = {id(old[1]): new for old, new in zip(inside, self.calls[known:], strict=True)}
        for call, position, stride in steps:
            moved[id(call[1])][2].append((len(self.words), position, stride))
            self.words += [0, stride]
        self.words += body

    def barrier(self, threads: int) -> None:
        """Wait for each other, if there are others."""
        if threads > 1:
            self.words.append(BARRIER)
