"""Compile sweeps and run them on arrays that end, or start, where the next byte must not be touched."""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule.native.code import Module
from chainrule.native.convolution import (
    PlaceEpilogue,
    Sweep,
    SweepPlan,
    WinogradPlan,
    backward,
    emit_sweep,
    forward,
    sweep_plan,
)
from chainrule.native.operand import Strided
from chainrule.native.target import Target
from chainrule.types import DType
from tests.native.contraction.contracting import CALL, compiled_address, guarded, micro_address


def placed(x: np.ndarray) -> Strided:
    """Where the elements of an array are, counted from its first one."""
    return Strided(x.shape, tuple(step // x.itemsize for step in x.strides))


def channels_last(shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    """An array [batch, channels, *sizes] whose channels lie side by side, between pages that cannot be touched."""
    memory = guarded((shape[0], *shape[2:], shape[1]), dtype, at_end=True)
    return np.moveaxis(memory, -1, 1)


class Compiled:
    """A sweep's kernel."""

    def __init__(
        self, sweep: Sweep, plan: SweepPlan | WinogradPlan, target: Target, epilogue: PlaceEpilogue | None = None
    ) -> None:
        module = Module("sweep", target)
        with module.kernel() as f:
            emit_sweep(f, sweep, plan, epilogue)
        self.plan, self.text = plan, module.text()
        self._kernel = CALL(compiled_address(module))
        self._micros = [micro_address(key, target) for key in plan.kernels]

    def __call__(self, x: np.ndarray, w: np.ndarray, y: np.ndarray, *more: np.ndarray, begin: int, end: int) -> None:
        """Run some units, with memory of their own."""
        scratch = guarded((self.plan.scratch,), np.dtype(np.uint8), at_end=True)
        scratch[:] = 0xFF  # NaN, for whoever reads before writing
        arrays = [x, w, y, scratch, *self._micros, *more]
        table = np.array([a if isinstance(a, int) else a.ctypes.data for a in arrays], np.int64)
        self._kernel(table.ctypes.data, begin, end)


def swept(
    x: np.ndarray, w: np.ndarray, shape: tuple[int, ...], dtype: DType, target: Target, *, turned: bool, **geometry: Any
) -> np.ndarray:
    """What a convolution, or its derivative by the image, gives: whole, and the same bits unit by unit."""
    y, again = channels_last(shape, x.dtype), channels_last(shape, x.dtype)
    sweep = (backward if turned else forward)(placed(x), placed(w), placed(y), dtype, **geometry)
    made = Compiled(sweep, sweep_plan(sweep, target), target)
    y[...] = again[...] = np.nan
    made(x, w, y, begin=0, end=made.plan.units)
    for i in reversed(range(made.plan.units)):
        made(x, w, again, begin=i, end=i + 1)
    assert y.tobytes() == again.tobytes(), "units do not stand on their own"
    return y
