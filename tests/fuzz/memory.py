"""Memory between pages that must not be touched: who reads or writes outside of a buffer crashes."""

from __future__ import annotations

import ctypes
import mmap
from collections.abc import Callable, Iterable
from contextlib import contextmanager
from typing import Any
from unittest import mock

import numpy as np

from chainrule.compiler import blueprint
from chainrule.compiler.memory import Lifetime, Plan
from chainrule.compiler.program import Program

PAGE = mmap.PAGESIZE
POISON = 0xFF
"""What uninitialised memory is filled with: floats of these bytes are NaN."""

Array = np.ndarray[Any, np.dtype[Any]]
_system = ctypes.CDLL(None)


def _pages(size: int) -> int:
    return -(-max(size, 1) // PAGE) * PAGE


def _protect(address: int, size: int) -> None:
    if _system.mprotect(ctypes.c_void_p(address), ctypes.c_size_t(size), 0):
        raise OSError("mprotect failed")


def poisoned(size: int) -> Array:
    """Ordinary memory, filled with POISON."""
    raw = np.full(size + 64, POISON, np.uint8)
    start = -raw.ctypes.data % 64
    return raw[start : start + size]


def at_end(size: int) -> Array:
    """Memory that ends where a page begins that must not be touched."""
    return _guarded(size, _pages(size) - size)


def at_start(size: int) -> Array:
    """Memory that starts where a page ends that must not be touched."""
    return _guarded(size, 0)


def _guarded(size: int, shift: int) -> Array:
    room = _pages(size)
    held = mmap.mmap(-1, room + 2 * PAGE)
    raw = np.frombuffer(held, np.uint8)
    raw[:] = POISON
    _protect(raw.ctypes.data, PAGE)
    _protect(raw.ctypes.data + PAGE + room, PAGE)
    return raw[PAGE + shift : PAGE + shift + size]


ALLOCATE: dict[str, Callable[[int], Array]] = {"": poisoned, "end": at_end, "start": at_start}


class _Apart(Plan):
    """A plan in which no memory is shared, with a page between any two buffers."""


@contextmanager
def apart(guard: str):
    """Inside, programs are planned so that each of their own buffers is guarded on one side, and nothing is shared.

    Gives a function that guards them in a program, once that has its memory.
    """
    if not guard:
        yield lambda program: None
        return

    def planned(lifetimes: Iterable[Lifetime]) -> Plan:
        offsets, at = list[int](), 0
        for x in lifetimes:
            room = _pages(x.size)
            offsets.append(at + PAGE + (room - x.size if guard == "end" else 0))
            at += PAGE + room
        return _Apart(offsets, at + PAGE, at)

    def protect(program: Program) -> None:
        """Guard what lies between the buffers of the arena."""
        base = program.arena.ctypes.data
        for offset in program.blueprint.memory.offsets:
            if base % PAGE == 0:
                _protect(base + offset // PAGE * PAGE - PAGE, PAGE)
        if program.blueprint.memory.offsets:
            _protect(base + program.blueprint.memory.size - PAGE, PAGE)

    with mock.patch.object(blueprint, "planned", planned):
        yield protect
