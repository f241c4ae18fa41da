"""LLVM, as llvmlite brings it along: the few functions of its C interface that are needed here.

They are called without the Python half of llvmlite, which takes longer to import than a kernel takes to compile, and
lets one thread at a time into LLVM. LLVM itself only asks that threads do not share a context.
"""

from __future__ import annotations

import ctypes
import functools
import importlib.util
import sys
from collections.abc import Callable
from ctypes import POINTER, c_bool, c_char_p, c_int, c_size_t, c_uint, c_uint8, c_uint64, c_void_p
from pathlib import Path
from typing import Any

# Passes over code as text is turned into machine code. Of LLVM's many only these pay: kernels come as explicit vectors,
# loops and registers, so that the usual pipeline takes eight times as long and their code is no faster.
PASSES = ("AlwaysInliner", "SROA", "InstCombine", "SimplifyCFG")

LIBRARY_NAMES = {"darwin": "libllvmlite.dylib", "win32": "llvmlite.dll"}


class Element(ctypes.Structure):
    """Something to be linked; kind 2 is object code."""

    _fields_ = (("kind", c_uint8), ("value", c_char_p), ("length", c_size_t))


class Symbol(ctypes.Structure):
    """A name and its address."""

    _fields_ = (("name", c_char_p), ("address", c_uint64))


class Library:
    """Functions of LLVM; pointers are integers, and texts that LLVM returns are freed with `text_of`."""

    def __init__(self) -> None:
        library = ctypes.CDLL(str(_path()))

        def function(name: str, result: Any, *parameters: Any) -> Callable[..., Any]:
            found = getattr(library, "LLVMPY_" + name)
            found.restype, found.argtypes = result, parameters
            return found

        p, text = c_void_p, POINTER(c_char_p)
        self.free_string = function("DisposeString", None, c_char_p)
        # This machine.
        self.version_info = function("GetVersionInfo", c_uint)
        self.process_triple = function("GetProcessTriple", None, text)
        self.host_name = function("GetHostCPUName", None, text)
        self.host_features = function("GetHostCPUFeatures", c_int, text)
        # From text to object code.
        self.new_context = function("ContextCreate", p)
        self.free_context = function("ContextDispose", None, p)
        self.parse = function("ParseAssembly", p, p, c_char_p, text)
        self.verify = function("VerifyModule", c_bool, p, text)
        self.free_module = function("DisposeModule", None, p)
        self.target_of_triple = function("GetTargetFromTriple", p, c_char_p, text)
        machine = (p, c_char_p, c_char_p, c_char_p, c_int, c_char_p, c_char_p, c_int, c_int, c_char_p)
        self.new_machine = function("CreateTargetMachine", p, *machine)
        self.free_machine = function("DisposeTargetMachine", None, p)
        self.new_tuning = function("CreatePipelineTuningOptions", p)
        self.free_tuning = function("DisposePipelineTuningOptions", None, p)
        self.new_builder = function("CreatePassBuilder", p, p, p)
        self.free_builder = function("DisposePassBuilder", None, p)
        self.new_passes = function("CreateNewModulePassManager", p)
        self.free_passes = function("DisposeNewModulePassManger", None, p)
        self.add_pass = [function(f"module_Add{name}Pass", None, p) for name in PASSES]
        self.run_passes = function("RunNewModulePassManager", None, p, p, p)
        self.emit = function("TargetMachineEmitToMemory", p, p, p, c_int, text)
        self.buffer_start = function("GetBufferStart", p, p)
        self.buffer_size = function("GetBufferSize", c_size_t, p)
        self.free_buffer = function("DisposeMemoryBuffer", None, p)
        # From object code to memory.
        self.new_linker = function("CreateLLJITCompiler", p, p, c_bool, c_bool, text)
        symbols = (POINTER(Symbol), c_size_t)
        self.link = function("LLJIT_Link", p, p, c_char_p, POINTER(Element), c_size_t, *symbols, *symbols, text)
        self.unlink = function("LLJIT_Dylib_Tracker_Dispose", c_bool, p, text)
        function("InitializeNativeTarget", None)()
        function("InitializeNativeAsmPrinter", None)()

    def text_of(self, text: c_char_p) -> str:
        """A text that LLVM has returned."""
        found = (text.value or b"").decode(errors="replace")
        self.free_string(text)
        return found

    def asked(self, function: Callable[..., Any]) -> str:
        """What a function answers whose result is a text."""
        text = c_char_p()
        function(ctypes.byref(text))
        return self.text_of(text)


def _path() -> Path:
    """Where llvmlite keeps its library; this imports nothing of it but its version."""
    spec = importlib.util.find_spec("llvmlite.binding")
    if spec is None or spec.origin is None:
        raise ImportError("chainrule.compile needs llvmlite: pip install llvmlite")
    return Path(spec.origin).with_name(LIBRARY_NAMES.get(sys.platform, "libllvmlite.so"))


@functools.cache
def library() -> Library:
    """LLVM, ready for this machine."""
    return Library()
