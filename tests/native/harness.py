"""Compile a module on its own and call its kernel with arrays: for tests of code that writes code."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence

import llvmlite.binding as llvm
import numpy as np

from chainrule.native.code import Module
from chainrule.native.target import LEVELS, Target, target_of

llvm.initialize_native_target()
llvm.initialize_native_asmprinter()

HOST = target_of(llvm.get_host_cpu_name(), llvm.get_host_cpu_features().flatten())
TARGETS = [HOST, *(LEVELS[name] for name in ("x86-64-v2", "x86-64-v3"))]


def _machine(target: Target) -> llvm.TargetMachine:
    return llvm.Target.from_default_triple().create_target_machine(cpu=target.cpu, features=target.features, opt=2)


def optimized(module: Module) -> llvm.ModuleRef:
    """The module as LLVM has optimised it."""
    parsed = llvm.parse_assembly(module.text())
    parsed.verify()
    builder = llvm.create_pass_builder(_machine(module.target), llvm.create_pipeline_tuning_options(speed_level=2))
    builder.getModulePassManager().run(parsed, builder)
    return parsed


def run_kernel(module: Module, arguments: Sequence[np.ndarray | int], begin: int = 0, end: int = 1) -> None:
    """Compile the module and call its kernel; arrays are passed as pointers to their first elements."""
    engine = llvm.create_mcjit_compiler(optimized(module), _machine(module.target))
    engine.finalize_object()
    signature = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64)
    call = signature(engine.get_function_address(module.name))
    table = np.array([x.ctypes.data if isinstance(x, np.ndarray) else x for x in arguments], np.int64)
    call(table.ctypes.data, begin, end)
