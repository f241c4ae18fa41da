"""The most float32 arithmetic this machine does: fused multiply-adds on registers alone, on all threads at once.

Prints GFLOP/s. Run it as python -m benchmarks.peak THREADS.
"""

from __future__ import annotations

import ctypes
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import llvmlite.binding as llvm

from chainrule.native.target import Target, target_of

ITERATIONS = 4_000_000
REPEATS = 25


def fma_loop(target: Target) -> tuple[str, int]:
    """LLVM IR of `void peak(i64 iterations, ptr out)`, and what an iteration computes, in floating-point operations.

    An FMA takes 4 cycles and two start in each: eight chains in flight would do, three quarters of the registers are
    certain to.
    """
    lanes, chains = target.lanes(4), target.registers * 3 // 4
    vector = f"<{lanes} x float>"
    splat = f"<{', '.join(['float 0.5'] * lanes)}>"
    phis = [f"  %a{k} = phi {vector} [ {splat}, %entry ], [ %b{k}, %loop ]" for k in range(chains)]
    steps = [
        f"  %b{k} = call {vector} @llvm.fma.v{lanes}f32({vector} %a{k}, {vector} %x, {vector} %x)"
        for k in range(chains)
    ]
    stores = [f"  store volatile {vector} %b{k}, ptr %out, align 4" for k in range(chains)]
    text = "\n".join(
        [
            f"declare {vector} @llvm.fma.v{lanes}f32({vector}, {vector}, {vector})",
            "define void @peak(i64 %iterations, ptr %out) {",
            "entry:",
            f"  %x = load volatile {vector}, ptr %out, align 4",
            "  br label %loop",
            "loop:",
            "  %i = phi i64 [ 0, %entry ], [ %next, %loop ]",
            *phis,
            *steps,
            "  %next = add i64 %i, 1",
            "  %more = icmp ult i64 %next, %iterations",
            "  br i1 %more, label %loop, label %done",
            "done:",
            *stores,
            "  ret void",
            "}",
        ]
    )
    return text, 2 * lanes * chains


def compiled(text: str, target: Target) -> tuple[llvm.ExecutionEngine, Callable[[int, object], None]]:
    """The function `peak`, and the engine that it lives in; ctypes lets other threads run while it works."""
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    machine = llvm.Target.from_default_triple().create_target_machine(cpu=target.cpu, features=target.features, opt=2)
    engine = llvm.create_mcjit_compiler(llvm.parse_assembly(text), machine)
    engine.finalize_object()
    return engine, ctypes.CFUNCTYPE(None, ctypes.c_int64, ctypes.c_void_p)(engine.get_function_address("peak"))


def peak(threads: int) -> float:
    """GFLOP/s, the best of several repetitions."""
    target = target_of(llvm.get_host_cpu_name(), llvm.get_host_cpu_features().flatten())
    text, flops = fma_loop(target)
    engine, function = compiled(text, target)
    memory = [ctypes.create_string_buffer(target.vector_bytes) for _ in range(threads)]
    best = float("inf")
    with ThreadPoolExecutor(threads) as pool:
        for _ in range(REPEATS):
            started = time.perf_counter()
            list(pool.map(lambda out: function(ITERATIONS, out), memory))
            best = min(best, time.perf_counter() - started)
    engine.close()
    return threads * ITERATIONS * flops / best / 1e9


if __name__ == "__main__":
    print(peak(int(sys.argv[1])))
