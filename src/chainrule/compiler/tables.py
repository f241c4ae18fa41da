"""What the threads of a program do: for each of them the table of instructions that `runner.py` reads."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from chainrule.compiler.blueprint import VARIABLE, Blueprint, Buffer, Call, Repeat
from chainrule.compiler.jit import Code
from chainrule.compiler.memory import aligned
from chainrule.compiler.pool import Launch
from chainrule.compiler.runner import BARRIER, CALL, END, LOOP

Address = Callable[[Buffer, int], int]
"""Where a buffer is, for a thread; arguments, which are put in later, are nowhere yet."""

ARGUMENTS = ("parameter", "output")


class Tables:
    """The tables of a program for a number of threads.

    Args:
        blueprint: what to run.
        code: the code of its kernels.
        address: where their buffers are.
        threads: how many threads there are.

    Attributes:
        launch: runs them.
        sites: of each thread, where in its table kernels are called.
        sizes: of each thread, how many words its table has.
        counts: which words say how often a program made by `repeated` runs.
    """

    def __init__(self, blueprint: Blueprint, code: Code, address: Address, threads: int) -> None:
        writer = _Writer(code, address, threads)
        starts = [writer.thread(blueprint.calls, thread) for thread in range(threads)]
        self.sites, self.sizes = writer.sites, writer.sizes
        self.counts, self._places = writer.counts, writer.places
        self._words = aligned(len(writer.words), np.int64)
        self._words[:] = writer.words
        base = self._words.ctypes.data
        for place, word in writer.fixups:
            self._words[place] = base + 8 * word
        self.launch = Launch([base + 8 * start for start in starts])

    def put(self, key: tuple[str, int], pointer: int) -> None:
        """Say where an argument is: ("parameter", i) or ("output", i)."""
        words = self._words
        for word, shift in self._places.get(key, ()):
            words[word] = pointer + shift

    def repeat(self, count: int) -> None:
        """Say how often a program made by `repeated` runs."""
        for word in self.counts:
            self._words[word] = count


class _Writer:
    """Writes the instructions of every thread, and after them the arguments of its calls."""

    def __init__(self, code: Code, address: Address, threads: int) -> None:
        self.code = code
        self.address = address
        self.threads = threads
        self.words: list[int] = []
        self.fixups: list[tuple[int, int]] = []  # a word, and the word whose address it is to hold
        self.calls: list[tuple[int, Call, list[tuple[int, int, int]]]] = []
        self.places: dict[tuple[str, int], list[tuple[int, int]]] = {}  # of each argument: word, shift
        self.counts: list[int] = []  # words that say how often a loop runs whose count is not known beforehand
        self.sites: list[list[tuple[int, Call]]] = []
        self.sizes: list[int] = []

    def thread(self, calls: Sequence[Call | Repeat], thread: int) -> int:
        """The table of a thread; returns the word at which it starts."""
        start = len(self.words)
        self.calls = []
        self.write(calls, thread)
        self.words.append(END)
        self.sites.append([(place - 2 - start, call) for place, call, _ in self.calls])
        self.sizes.append(len(self.words) - start)
        for place, call, moving in self.calls:
            first = len(self.words)
            self.fixups.append((place, first))
            self.fixups += [(word, first + argument) for word, argument, _ in moving]
            for buffer in call.arguments:
                if buffer.kind in ARGUMENTS:
                    place = len(self.words), buffer.shift
                    self.places.setdefault((buffer.kind, buffer.number), []).append(place)
                    self.words.append(0)
                else:
                    self.words.append(self.address(buffer, thread))
        return start

    def write(self, calls: Sequence[Call | Repeat], thread: int) -> None:
        """Instructions for calls; in loops, what moves on is noted for each."""
        phase = calls[0].phase if calls else 0
        for call in calls:
            if call.phase != phase:
                phase = call.phase
                self.barrier()
            if isinstance(call, Repeat):
                self.barrier()
                self.repeat(call, thread)
                continue
            begin, end = (call.units * i // self.threads for i in (thread, thread + 1))
            if call.units == 1:
                begin, end = 0, int(thread == call.home % self.threads)
            if begin < end:
                self.words += [CALL, self.code[call.kernel], 0, begin, end]
                self.calls.append((len(self.words) - 3, call, []))

    def repeat(self, loop: Repeat, thread: int) -> None:
        """A loop: at its head stands which arguments move on."""
        known = len(self.calls)
        outer, self.words = self.words, []
        fixups, self.fixups = self.fixups, []
        self.write(loop.calls, thread)
        self.barrier()
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
            self.counts.append(len(self.words) + 1)
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

    def barrier(self) -> None:
        """Wait for each other, if there are others."""
        if self.threads > 1:
            self.words.append(BARRIER)
