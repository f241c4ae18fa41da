"""From code as text to addresses that can be called; object code is kept on disk between runs."""

from __future__ import annotations

import ctypes
import functools
import itertools
import os
import sys
import threading
import weakref
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from ctypes import c_char_p, c_void_p

from chainrule.compiler import cache
from chainrule.compiler.llvm import Element, Symbol, library
from chainrule.compiler.objects import compile_texts, object_key
from chainrule.native.target import Target

# What object code may call: LLVM falls back to the C library on processors without these instructions.
OUTSIDE = ("fma", "fmaf", "memcpy", "memmove", "memset")
OBJECT_CODE = 2

_numbers = itertools.count()
_unused: list[int] = []

# Held while LLVM works, and while the process forks, so that a child never finds one of LLVM's own locks taken.
_lock = threading.RLock()


class Code:
    """Functions in memory, for as long as this object lives."""

    def __init__(self, library: int, addresses: Mapping[str, int]) -> None:
        self._addresses = addresses
        weakref.finalize(self, _unload, library).atexit = False

    def __getitem__(self, name: str) -> int:
        """The address of a function."""
        return self._addresses[name]


def build(texts: Sequence[str], names: Sequence[str], target: Target) -> Code:
    """Compile modules and load them together, to call the functions with these names.

    Modules may call each other's functions. What was compiled before comes from the cache on disk.

    Raises:
        RuntimeError: LLVM does not take a text, or a function is missing.
    """
    keys = [object_key(text, target) for text in texts]
    objects = {key: found for key in keys if (found := cache.get(key)) is not None}
    if objects:
        with suppress(RuntimeError):  # object code that does not fit, for whatever reason: make it again
            return load(_filled(objects, keys, texts, target), names)
    return load(_filled({}, keys, texts, target), names)


def _filled(objects: Mapping[str, bytes], keys: Sequence[str], texts: Sequence[str], target: Target) -> Iterable[bytes]:
    missing = {key: text for key, text in zip(keys, texts, strict=True) if key not in objects}
    with _lock:
        made = dict(zip(missing, compile_texts(list(missing.values()), target), strict=True))
    for key, code in made.items():
        cache.put(key, code)
    return {**objects, **made}.values()


def load(objects: Iterable[bytes], names: Sequence[str]) -> Code:
    """Bring object code into memory, to call the functions with these names.

    Raises:
        RuntimeError: it is no object code, or a function is missing.
    """
    held = list(objects)
    elements = (Element * len(held))(*(Element(OBJECT_CODE, code, len(code)) for code in held))
    given = (Symbol * len(OUTSIDE))(*(Symbol(name.encode(), address) for name, address in _outside().items()))
    asked = (Symbol * len(names))(*(Symbol(name.encode(), 0) for name in names))
    counted = (elements, len(held), given, len(given), asked, len(asked))
    error = c_char_p()
    with _lock:
        _free_unused()
        found = library().link(_linker(), f"chainrule{next(_numbers)}".encode(), *counted, ctypes.byref(error))
    if not found:
        raise RuntimeError(f"LLVM cannot load object code: {library().text_of(error)}")
    return Code(found, {name: symbol.address for name, symbol in zip(names, asked, strict=True)})


def _unload(found: int) -> None:
    """Free the memory of functions, now or later: any thread may be here by way of Python's garbage collection."""
    _unused.append(found)
    if _lock.acquire(blocking=False):
        try:
            _free_unused()
        finally:
            _lock.release()


def _free_unused() -> None:
    while _unused:
        library().unlink(_unused.pop(), ctypes.byref(c_char_p()))


@functools.cache
def _linker() -> int:
    """LLVM's linker, one for the whole process: the newer kind, which keeps code and data close, where it works."""
    error = c_char_p()
    made = library().new_linker(None, True, sys.platform != "win32", ctypes.byref(error))
    if not made:
        raise RuntimeError(f"LLVM has no linker: {library().text_of(error)}")
    return made


@functools.cache
def _outside() -> dict[str, int]:
    system = ctypes.CDLL("ucrtbase" if sys.platform == "win32" else None)
    return {name: ctypes.cast(getattr(system, name), c_void_p).value or 0 for name in OUTSIDE}


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_lock.acquire, after_in_parent=_lock.release, after_in_child=_lock.release)
