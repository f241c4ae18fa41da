"""Compile contractions and run them on arrays that end, or start, where the next byte must not be touched."""

from __future__ import annotations

import ctypes
import mmap
from collections.abc import Callable
from functools import cache, partial
from itertools import pairwise

import llvmlite.binding as llvm
import numpy as np

from chainrule.native.code import Function, Index, Module
from chainrule.native.contraction import Contraction, Epilogue, MicroKernel, Plan, emit, micro_module
from chainrule.native.target import Target
from chainrule.types import DType, bfloat16

_LIBC = ctypes.CDLL(None, use_errno=True)
CALL = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64)
_KEEP: list[object] = []


def compiled_address(module: Module) -> int:
    """The address of a module's kernel, or of the function that it is named after."""
    parsed = llvm.parse_assembly(module.text())
    parsed.verify()

    def machine() -> llvm.TargetMachine:
        target = module.target
        return llvm.Target.from_default_triple().create_target_machine(cpu=target.cpu, features=target.features, opt=1)

    options = llvm.create_pipeline_tuning_options(speed_level=1)
    options.loop_unrolling = False
    builder = llvm.create_pass_builder(machine(), options)
    builder.getModulePassManager().run(parsed, builder)
    engine = llvm.create_mcjit_compiler(parsed, machine())
    engine.finalize_object()
    _KEEP.append(engine)
    return engine.get_function_address(module.name)


@cache
def micro_address(key: MicroKernel, target: Target) -> int:
    """The address of a micro-kernel, compiled once."""
    return compiled_address(micro_module(key, target))


class Compiled:
    """The kernel of a contraction."""

    def __init__(
        self,
        contraction: Contraction,
        plan: Plan,
        target: Target,
        epilogue: Epilogue | None = None,
        ahead: Callable[[Function, Index, Index, Index], None] | None = None,
        *,
        beside: bool = False,
    ) -> None:
        module = Module("product", target)
        with module.kernel() as f:
            emit(f, contraction, plan, epilogue, partial(ahead, f) if ahead else None, beside=beside)
        self.plan = plan
        self.text = module.text()
        self._kernel = CALL(compiled_address(module))
        self._micros = [micro_address(key, target) for key in plan.kernels]

    def __call__(
        self, a: np.ndarray, b: np.ndarray, c: np.ndarray | None, *more: np.ndarray, cuts: tuple[int, ...] = ()
    ) -> None:
        """Run all units, cut into several calls."""
        for begin, end in pairwise([0, *cuts, self.plan.units]):
            self.some(begin, end, a, b, c, *more)

    def some(self, begin: int, end: int, a: np.ndarray, b: np.ndarray, c: np.ndarray | None, *more: np.ndarray) -> None:
        """Run units `begin` to `end`, with memory of their own."""
        scratch = guarded((self.plan.scratch,), np.dtype(np.uint8), at_end=True)
        scratch[:] = 0xFF  # NaN, for whoever reads before writing
        arrays = [a, b, np.zeros(1) if c is None else c, scratch, *self._micros, *more]
        table = np.array([x if isinstance(x, int) else x.ctypes.data for x in arrays], np.int64)
        self._kernel(table.ctypes.data, begin, end)


def guarded(shape: tuple[int, ...], dtype: np.dtype, *, at_end: bool) -> np.ndarray:
    """An array whose memory ends right before, or starts right after, a page that cannot be touched."""
    size, page = int(np.prod(shape)) * dtype.itemsize, mmap.PAGESIZE
    pages = -(-max(size, 1) // page)
    memory = mmap.mmap(-1, (pages + 2) * page)
    _KEEP.append(memory)
    base = np.frombuffer(memory, np.uint8)
    start = base.ctypes.data
    for guard in (start, start + (pages + 1) * page):
        assert _LIBC.mprotect(ctypes.c_void_p(guard), ctypes.c_size_t(page), 0) == 0
    first = page + (pages * page - size if at_end else 0)
    return base[first : first + size].view(dtype).reshape(shape)


def strides(x: np.ndarray) -> tuple[int, int, int]:
    """Counted in elements."""
    b, i, j = (step // x.itemsize for step in x.strides)
    return b, i, j


def bits(x: np.ndarray, dtype: DType) -> np.ndarray:
    """Numbers as they are stored."""
    if dtype is bfloat16:
        return (np.ascontiguousarray(x, np.float32).view(np.uint32) >> 16).astype(np.uint16)
    return x.astype(dtype.numpy)


def numbers(x: np.ndarray, dtype: DType) -> np.ndarray:
    """What is stored, as something NumPy can compute with exactly enough."""
    if dtype is bfloat16:
        return (x.astype(np.uint32) << 16).view(np.float32).astype(np.float64)
    return x.astype(np.float64) if dtype.is_float else x
