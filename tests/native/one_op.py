"""Calls of single operations, many of them compiled as one module: a small loop around each kernel's body.

batch = Batch(HOST)
results = [batch.add(op, inputs, attributes) for ...]      # code is made
batch.compile()
results[0]()                                               # and run, giving an array
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any

import llvmlite.binding as llvm
import numpy as np

from chainrule.compiler.layout import dense, order_of
from chainrule.kernel import Convolve, Map, Native, Reduce, View
from chainrule.native.code import Function, Module, Value
from chainrule.native.convolution import emit_sweep, sweep_plan
from chainrule.native.job import Job
from chainrule.native.lanes import Lanes
from chainrule.native.operand import Operand, Strided, row_major
from chainrule.native.target import Target
from chainrule.op import Op
from chainrule.samples import type_of
from chainrule.types import DType, TensorType
from tests.native.contraction.contracting import micro_address

llvm.initialize_native_target()
llvm.initialize_native_asmprinter()

Array = np.ndarray[Any, np.dtype[Any]]
Run = Callable[[], Any]
PARAMETERS = ["ptr noalias readonly %args", "i64 %begin", "i64 %end"]
GUARD = 64  # bytes before and after each result that must stay as they are
MARK = 0xA5


class Batch:
    """Kernels of many calls; equal ones are made once."""

    def __init__(self, target: Target) -> None:
        self.target = target
        self.module = Module("batch", target)
        self._names: dict[Any, str] = {}
        self._engine: Any = None

    def add(self, op: Op, inputs: Sequence[Array], attributes: dict[str, Any]) -> Run:
        """Make the code of a call; what is returned runs it, once everything is compiled."""
        types = [type_of(x) for x in inputs]
        found: Any = op.infer(*types, **attributes)
        if isinstance(op.kernel, Map):
            return self._map(op, op.kernel, inputs, found, attributes)
        if isinstance(op.kernel, Reduce):
            return self._reduce(op, op.kernel, inputs[0], found, attributes["axes"])
        if isinstance(op.kernel, Convolve):
            return self._convolution(op, op.kernel, inputs, found, attributes)
        assert isinstance(op.kernel, Native)
        return self._native(op, op.kernel, inputs, found, attributes)

    def compile(self) -> None:
        """Compile all that was added, as a program is compiled."""
        parsed = llvm.parse_assembly(self.module.text())
        parsed.verify()

        def machine() -> llvm.TargetMachine:
            triple = llvm.Target.from_default_triple()
            return triple.create_target_machine(cpu=self.target.cpu, features=self.target.features, opt=2)

        options = llvm.create_pipeline_tuning_options(speed_level=2)
        options.loop_vectorization = options.slp_vectorization = options.loop_unrolling = False
        builder = llvm.create_pass_builder(machine(), options)
        builder.getModulePassManager().run(parsed, builder)
        self._engine = llvm.create_mcjit_compiler(parsed, machine())
        self._engine.finalize_object()

    def _function(self, key: Any, body: Callable[[Function], None]) -> str:
        if key not in self._names:
            self._names[key] = f"kernel{len(self._names)}"
            with self.module.function(self._names[key], PARAMETERS, external=True) as f:
                f.begin, f.end = Value("i64", "%begin"), Value("i64", "%end")
                body(f)
        return self._names[key]

    def _call(self, name: str, arguments: Sequence[Array | int], pieces: Sequence[tuple[int, int]]) -> None:
        signature = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64)
        function = signature(self._engine.get_function_address(name))
        table = np.array([x.ctypes.data if isinstance(x, np.ndarray) else x for x in arguments], np.int64)
        for begin, end in pieces:
            function(table.ctypes.data, begin, end)

    # Elements one after the other: as many lanes as long as there are enough, then masked, then single ones.

    def _map(self, op: Op, kernel: Map, inputs: Sequence[Array], out: TensorType, attributes: dict[str, Any]) -> Run:
        dtypes = tuple(type_of(x).dtype for x in inputs)

        def body(f: Function) -> None:
            lanes, single = Lanes(f, f.target.lanes(4)), Lanes(f, 1)

            def apply(v: Lanes, index: Any, mask: Value | None = None) -> None:
                xs = [v.load(dtype, f.pointer(i), index, mask) for i, dtype in enumerate(dtypes)]
                found = kernel.body(v, *xs, **attributes)
                assert found.dtype is out.dtype, f"{op.name} gives {found.dtype}, not {out.dtype}"
                v.store(found, f.pointer(len(dtypes)), index, mask)

            whole = f.sub(f.end, f.rem(f.sub(f.end, f.begin), lanes.count))
            with f.loop(f.begin, whole, lanes.count) as loop:
                apply(lanes, loop.index)
            half = f.div(f.add(whole, f.end), 2)
            with f.when(f.compare("slt", whole, half)):
                apply(lanes, whole, lanes.first(f.sub(half, whole)))
            with f.loop(half, f.end) as loop:
                apply(single, loop.index)

        name = self._function((op.name, dtypes, tuple(attributes.items())), body)

        def run() -> Array:
            memory, result = guarded(out)
            self._call(name, [*map(np.ascontiguousarray, inputs), result], [(0, out.size)])
            check_guards(memory)
            return result

        return run

    # Rows of a matrix, whose columns are the axes that go.

    def _reduce(self, op: Op, kernel: Reduce, x: Array, out: TensorType, axes: tuple[int, ...]) -> Run:
        dtype = type_of(x).dtype

        def body(f: Function) -> None:
            v, one = Lanes(f, f.target.lanes(4)), Lanes(f, 1)
            start, n = v.constant(dtype, kernel.start(dtype)), f.integer(2)
            with f.loop(f.begin, f.end) as row:
                with f.loop(0, n, v.count, carried=[start]) as loop:
                    mask = v.first(f.sub(n, loop.index))
                    found = v.load(dtype, f.pointer(0), f.add(f.mul(row.index, n), loop.index), mask)
                    loop.next = [kernel.combine(v, loop.values[0], v.select(mask, found, start))]
                total = v.lane(loop.results[0], 0)
                for i in range(1, v.count):
                    total = kernel.combine(one, total, v.lane(loop.results[0], i))
                one.store(total, f.pointer(1), row.index)

        name = self._function((op.name, dtype), body)
        rows = np.ascontiguousarray(np.moveaxis(x, axes, range(x.ndim - len(axes), x.ndim)))

        def run() -> Array:
            memory, result = guarded(out)
            size = int(np.prod([x.shape[a] for a in axes], dtype=int))
            self._call(name, [rows, result, size], [(0, out.size)])
            check_guards(memory)
            return result

        return run

    # Loops of its own: the units are done one by one, the last one first.

    def _native(self, op: Op, kernel: Native, inputs: Sequence[Array], out: Any, attributes: dict[str, Any]) -> Run:
        types, outs = [type_of(x) for x in inputs], out if isinstance(out, tuple) else (out,)
        units = kernel.units(*types, **attributes)
        size = kernel.scratch(*types, **attributes) if kernel.scratch else 0
        keys = kernel.micro(self.target, *types, **attributes) if kernel.micro else ()
        places = [output_place(kernel, inputs, t) for t in outs]

        def body(f: Function) -> None:
            operands = [Operand(f, f.pointer(i), type_of(x).dtype, place_of(x)) for i, x in enumerate(inputs)]
            n = len(inputs)
            outputs = [
                Operand(f, f.pointer(n + i), t.dtype, place)
                for i, (t, place) in enumerate(zip(outs, places, strict=True))
            ]
            n += len(outs)
            micro = {key: f.pointer(n + 2 + i) for i, key in enumerate(keys)}
            job = Job(f, operands, outputs, f.pointer(n) if kernel.scratch else None, f.pointer(n + 1), micro)
            kernel.body(job, **attributes)

        name = self._function((op.name, len(self._names)), body)

        def run() -> Any:
            results: list[list[Array]] = []
            for pieces in ([(0, units)], [(i, i + 1) for i in reversed(range(units))]):
                made = [guarded(t) for t in outs]
                scratch, space = guarded(TensorType(DType("", "", "", np.dtype(np.uint8)), (size,)))
                status = np.zeros(1, np.int64)
                addresses = [micro_address(key, self.target) for key in keys]
                self._call(name, [*inputs, *(x for _, x in made), space, status, *addresses], pieces)
                for memory in (*(memory for memory, _ in made), scratch):
                    check_guards(memory)
                assert not status[0]
                results.append([x for _, x in made])
            for x, y in zip(*results, strict=True):
                assert x.tobytes() == y.tobytes(), "the pieces of the work depend on each other"
            found = [as_placed(x, place) for x, place in zip(results[0], places, strict=True)]
            return tuple(found) if isinstance(out, tuple) else found[0]

        return run

    # Convolutions: likewise, with the result's channels side by side.

    def _convolution(
        self, op: Op, kernel: Convolve, inputs: Sequence[Array], out: TensorType, attributes: dict[str, Any]
    ) -> Run:
        place = dense(out.shape, (0, *range(2, out.ndim), 1))
        sweep = kernel.sweep(*map(place_of, inputs), place, out.dtype, **attributes)
        plan = sweep_plan(sweep, self.target)
        name = self._function((op.name, len(self._names)), lambda f: emit_sweep(f, sweep, plan))

        def run() -> Array:
            results: list[Array] = []
            for pieces in ([(0, plan.units)], [(i, i + 1) for i in reversed(range(plan.units))]):
                memory, result = guarded(out)
                scratch, space = guarded(TensorType(DType("", "", "", np.dtype(np.uint8)), (plan.scratch,)))
                addresses = [micro_address(key, self.target) for key in plan.kernels]
                self._call(name, [*inputs, result, space, *addresses], pieces)
                check_guards(memory)
                check_guards(scratch)
                results.append(result)
            assert results[0].tobytes() == results[1].tobytes(), "the pieces of the work depend on each other"
            return as_placed(results[0], place)

        return run


def output_place(kernel: Native, inputs: Sequence[Array], out: TensorType) -> Strided:
    """Where an output is stored: in row-major order, or in that of the input that it follows."""
    if kernel.follows is None or inputs[kernel.follows].ndim != out.ndim:
        return row_major(out.shape)
    return dense(out.shape, order_of(place_of(inputs[kernel.follows])))


def as_placed(memory: Array, place: Strided) -> Array:
    """What lies in memory, in the order of its axes."""
    strides = [step * memory.itemsize for step in place.strides]
    return np.lib.stride_tricks.as_strided(memory, place.shape, strides)


def place_of(x: Array) -> Strided:
    """Where the elements of an array are, counted from its first one."""
    return Strided(x.shape, tuple(step // x.itemsize for step in x.strides))


def guarded(type: TensorType) -> tuple[Array, Array]:
    """Memory full of marks, and the part of it, on a multiple of 64 bytes, that is for a result."""
    size = type.size * type.dtype.itemsize
    memory = np.full(size + 2 * GUARD + 64, MARK, np.uint8)
    start = GUARD + -(memory.ctypes.data + GUARD) % 64
    memory = memory[start - GUARD : start + size + GUARD]
    return memory, memory[GUARD : GUARD + size].view(type.dtype.numpy).reshape(type.shape)


def check_guards(memory: Array) -> None:
    """Nothing was written before or after a result."""
    assert (memory[:GUARD] == MARK).all() and (memory[-GUARD:] == MARK).all(), "written outside of the result"


def seen(x: Array, op: Op, attributes: dict[str, Any]) -> Array | None:
    """What a view of an array shows, read from the array's memory; None if strides cannot say it."""
    assert isinstance(op.kernel, View)
    found = op.kernel.body(place_of(x), **attributes)
    if found is None:
        return None
    assert np.size(x) or not found.offset
    interface = {
        "data": (x.ctypes.data + found.offset * x.itemsize, True),
        "shape": found.shape,
        "strides": tuple(step * x.itemsize for step in found.strides),
        "typestr": x.dtype.str,
        "version": 3,
    }
    return np.asarray(SimpleNamespace(__array_interface__=interface))
