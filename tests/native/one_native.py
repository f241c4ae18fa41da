"""Compile the loops of one operation of kind `Native` and run them on arrays, in any number of pieces."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from typing import Any

import llvmlite.binding as llvm
import numpy as np

from chainrule.kernel import Native
from chainrule.native.code import Module
from chainrule.native.job import Job
from chainrule.native.operand import Operand, Strided, row_major
from chainrule.native.target import Target
from chainrule.op import Op
from chainrule.samples import type_of
from chainrule.types import DType, TensorType

llvm.initialize_native_target()
llvm.initialize_native_asmprinter()

Array = np.ndarray[Any, np.dtype[Any]]
OFFSET = 3  # elements by which operands are moved in their buffers
GUARD = 64  # elements in front of and behind each result and the scratch memory that must stay as they are
MARK = 0xA5


class NativeOp:
    """The loops of an operation, compiled for inputs like the given ones; with `quick` as they stand."""

    def __init__(
        self, op: Op, inputs: Sequence[Array], attributes: dict[str, Any], target: Target, *, quick: bool = False
    ) -> None:
        assert isinstance(op.kernel, Native)
        inputs = [np.asarray(x) for x in inputs]
        types = [type_of(x) for x in inputs]
        found: Any = op.infer(*types, **attributes)
        self.out_type: TensorType = found
        self.units = op.kernel.units(*types, **attributes)
        self.scratch = op.kernel.scratch(*types, **attributes) if op.kernel.scratch else 0
        module = Module(op.name, target)
        with module.kernel() as f:
            operands = [
                Operand(f, f.pointer(i), t.dtype, _place(x, t.dtype))
                for i, (x, t) in enumerate(zip(inputs, types, strict=True))
            ]
            n = len(inputs)
            out = Operand(f, f.pointer(n), found.dtype, row_major(found.shape))
            scratch = f.pointer(n + 2) if op.kernel.scratch else None
            op.kernel.body(Job(f, operands, [out], scratch, f.pointer(n + 1)), **attributes)
        self.text = module.text()
        self._engine = _compiled(self.text, target, quick)
        signature = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64)
        self._call = signature(self._engine.get_function_address(op.name))

    def __call__(self, inputs: Sequence[Array], pieces: Sequence[tuple[int, int]] | None = None) -> tuple[Array, int]:
        """The result and the status word. Pieces are (begin, end) of units, done one after the other."""
        inputs, kind = [np.asarray(x) for x in inputs], self.out_type.dtype.numpy
        out, status = _guarded(self.out_type.size * kind.itemsize), np.zeros(1, np.int64)
        scratch = _guarded(self.scratch)
        table = [x.ctypes.data - OFFSET * x.itemsize for x in inputs]
        table += [a.ctypes.data + (GUARD if a is not status else 0) for a in (out, status, scratch)]
        arguments = np.array(table, np.int64)
        for begin, end in [(0, self.units)] if pieces is None else pieces:
            scratch[GUARD:-GUARD] = MARK
            self._call(arguments.ctypes.data, begin, end)
        for memory in (out, scratch):
            assert (memory[:GUARD] == MARK).all() and (memory[-GUARD:] == MARK).all(), "written outside of a buffer"
        return out[GUARD:-GUARD].view(kind).reshape(self.out_type.shape), int(status[0])


def run_native(
    op: Op, inputs: Sequence[Array], attributes: dict[str, Any], target: Target, *, quick: bool = False
) -> Array:
    """The result of an operation on inputs that it must accept, the same however its units are put together."""
    made = NativeOp(op, inputs, attributes, target, quick=quick)
    out, status = made(inputs)
    assert status == 0
    one_by_one, _ = made(inputs, [(i, i + 1) for i in reversed(range(made.units))])
    assert one_by_one.tobytes() == out.tobytes(), "units do not stand on their own"
    return out


def _place(x: Array, dtype: DType) -> Strided:
    return Strided(x.shape, tuple(s // dtype.itemsize for s in x.strides), OFFSET)


def _guarded(size: int) -> Array:
    return np.full(size + 2 * GUARD, MARK, np.uint8)


def _compiled(text: str, target: Target, quick: bool) -> llvm.ExecutionEngine:
    parsed = llvm.parse_assembly(text)
    parsed.verify()

    def machine() -> llvm.TargetMachine:
        triple = llvm.Target.from_default_triple()
        return triple.create_target_machine(cpu=target.cpu, features=target.features, opt=0 if quick else 2)

    if not quick:
        options = llvm.create_pipeline_tuning_options(speed_level=2)
        options.loop_vectorization = options.slp_vectorization = options.loop_unrolling = False
        builder = llvm.create_pass_builder(machine(), options)
        builder.getModulePassManager().run(parsed, builder)
    engine = llvm.create_mcjit_compiler(parsed, machine())
    engine.finalize_object()
    return engine
