"""From code as text to object code, on all processors at once."""

from __future__ import annotations

import ctypes
import hashlib
import threading
from collections.abc import Sequence
from ctypes import c_char_p

from chainrule.compiler.llvm import PASSES, library
from chainrule.compiler.machine import triple
from chainrule.compiler.threads import available_cpus
from chainrule.native.target import Target

# How much LLVM tries when it selects and schedules instructions.
LEVEL = 2

# nounwind: no tables for exceptions. no-builtins: loops are not turned into calls of the C library.
ATTRIBUTES = """
attributes #0 = { nounwind "no-builtins" }
attributes #1 = { nounwind alwaysinline "no-builtins" }
"""


def object_key(text: str, target: Target) -> str:
    """A hash of all that object code depends on."""
    version = str(library().version_info())
    how = (text, target.cpu, target.features, triple(), version, ATTRIBUTES, *PASSES, str(LEVEL))
    return hashlib.sha256("\0".join(how).encode()).hexdigest()


def compile_texts(texts: Sequence[str], target: Target, workers: int | None = None) -> list[bytes]:
    """Object code for each text, made by several threads: as many as there are processors unless `workers` says.

    Raises:
        RuntimeError: LLVM does not take a text.
    """
    waiting = iter(sorted(range(len(texts)), key=lambda i: -len(texts[i])))  # the longest first
    made, errors = [b""] * len(texts), list[BaseException]()

    def work() -> None:
        try:
            compiler = _Compiler(target)
            try:
                for i in waiting:
                    if errors:
                        break
                    made[i] = compiler.compile(texts[i])
            finally:
                compiler.close()
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=work) for _ in range(min(workers or available_cpus(), len(texts)) - 1)]
    for thread in threads:
        thread.start()
    if texts:
        work()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]
    return made


class _Compiler:
    """What one thread needs to compile for a target."""

    def __init__(self, target: Target) -> None:
        self._llvm = library()
        error, name = c_char_p(), triple().encode()
        kind = self._llvm.target_of_triple(name, ctypes.byref(error))
        if not kind:
            raise RuntimeError(f"LLVM does not know {triple()}: {self._llvm.text_of(error)}")
        cpu, features = target.cpu.encode(), target.features.encode()
        self._machine = self._llvm.new_machine(kind, name, cpu, features, LEVEL, b"pic", b"default", 0, 0, b"")
        self._tuning = self._llvm.new_tuning()

    def close(self) -> None:
        self._llvm.free_tuning(self._tuning)
        self._llvm.free_machine(self._machine)

    def compile(self, text: str) -> bytes:
        """Object code that can stand anywhere in memory."""
        context = self._llvm.new_context()
        try:
            error = c_char_p()
            module = self._llvm.parse(context, (text + ATTRIBUTES).encode(), ctypes.byref(error))
            if not module:
                raise RuntimeError(f"LLVM does not take a kernel: {self._llvm.text_of(error)}")
            try:
                return self._of_module(module)
            finally:
                self._llvm.free_module(module)
        finally:
            self._llvm.free_context(context)

    def _of_module(self, module: int) -> bytes:
        llvm, error = self._llvm, c_char_p()
        if llvm.verify(module, ctypes.byref(error)):
            raise RuntimeError(f"LLVM does not take a kernel: {llvm.text_of(error)}")
        self._optimise(module)
        buffer = llvm.emit(self._machine, module, 1, ctypes.byref(error))
        if not buffer:
            raise RuntimeError(f"LLVM makes no object code: {llvm.text_of(error)}")
        try:
            return ctypes.string_at(llvm.buffer_start(buffer), llvm.buffer_size(buffer))
        finally:
            llvm.free_buffer(buffer)

    def _optimise(self, module: int) -> None:
        llvm = self._llvm
        builder, passes = llvm.new_builder(self._machine, self._tuning), llvm.new_passes()
        try:
            for add in llvm.add_pass:
                add(passes)
            llvm.run_passes(passes, module, builder)
        finally:
            llvm.free_passes(passes)
            llvm.free_builder(builder)
