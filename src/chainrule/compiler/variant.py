"""A function compiled for one signature, and the tensors from outside that it reads and changes."""

from __future__ import annotations

import sys
import threading
import weakref
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from chainrule.compiler.channels import Order, channels_last
from chainrule.compiler.memory import aligned
from chainrule.compiler.profile import Profile, profiled
from chainrule.compiler.program import Program
from chainrule.graph import Graph, names_of
from chainrule.state import assignments
from chainrule.tensor import Tensor, as_tensor, next_serial
from chainrule.trees import Leaf, Structure, unflatten
from chainrule.types import Array, TensorType

INPUT_COPIED, RESULT_COPIED = 1 << 14, 1 << 12
"""Up to so many bytes arguments and results are copied."""

UNUSED = 3
"""References to an array that only the list of spare ones holds, while it is looked at."""

UNSHARED = 2
"""References to the memory of an array that has no other views, while it is looked at."""

RUNNING = threading.RLock()
"""Held while a compiled function runs: they may share the tensors that they change."""


class Clock:
    """When a compiled function last changed tensors: stands for the serial number in all of them."""

    __slots__ = ("time",)

    def __init__(self) -> None:
        self.time = -1

    def __gt__(self, serial: int) -> bool:
        return self.time > serial


OWN: dict[int, tuple[Array, Array]] = {}
"""For tensors that compiled functions change, by id, the array that others see, and the same memory to write to."""


@dataclass
class Last:
    """Which compiled function ran last: if it is still the same, nobody else has changed its tensors' arrays."""

    variant: Any = None


LAST = Last()


@dataclass
class Held:
    """A tensor from outside, and the array from which the program takes its value.

    Attributes:
        tensor: the tensor.
        position: which parameter of the program it is.
        assigned: whether the program changes it, in an array that is the program's own.
        seen: the tensor's value as it was when the pointer was put in; another one has to be put in anew.
        kept: what keeps the memory alive.
    """

    tensor: Tensor
    position: int
    assigned: bool
    seen: Array | None = None
    kept: Array | None = None


@dataclass
class Variant:
    """A function compiled for one signature."""

    graph: Graph
    structure: Structure
    program: Program
    held: list[Held]
    modes: list[tuple[Any, str, Any]]
    inputs: list[TensorType]
    outputs: list[TensorType]
    clock: Clock = field(default_factory=lambda: Clock())
    bound: int = -1  # how many assignments there had been when the tensors from outside were looked at

    def __post_init__(self) -> None:
        last = self.program.blueprint.leaving
        self.orders = [channels_last(t.ndim) if i in last else None for i, t in enumerate(self.outputs)]
        self.entering = [_small(t, INPUT_COPIED) for t in self.inputs]
        self.leaving = [_small(t, RESULT_COPIED, order) for t, order in zip(self.outputs, self.orders, strict=True)]
        self.expected: list[tuple[type, Any, tuple[int, ...], tuple[int, ...] | None]] = []
        self.spare: deque[tuple[Array, int]] = deque(maxlen=2 * len(self.outputs))  # with their addresses
        self.small = all(buffer is not None for buffer in (*self.entering, *self.leaving))
        self._put(self.entering, self.leaving)

    def _put(self, arguments: Sequence[Array | None], results: Sequence[Array | None]) -> None:
        """Say where arguments and results are, if they are given."""
        for kind, arrays in (("parameter", arguments), ("output", results)):
            for i, x in enumerate(arrays):
                if x is not None:
                    self.program.put((kind, i), x.ctypes.data)

    def fits(self) -> bool:
        """Whether modules train or evaluate, and optimizers have the options, as when it was traced."""
        return all([getattr(x, name) == value for x, name, value in self.modes])

    def expect(self, args: Sequence[Any], values: Sequence[Array]) -> bool:
        """Note what the arguments of this signature look like, if they are arrays and tensors and nothing else."""
        if len(args) != len(values) or any([type(x) not in (Tensor, np.ndarray) for x in args]):
            return False
        if any([(x.value if type(x) is Tensor else x) is not v for x, v in zip(args, values, strict=True)]):
            return False
        self.expected = [
            (type(x), v.dtype, v.shape, None if v.flags.c_contiguous else v.strides)
            for x, v in zip(args, values, strict=True)
        ]
        return True

    def matching(self, args: Sequence[Any]) -> list[Array] | None:
        """The arrays of arguments that are of this signature, found out as fast as can be; None if they are not."""
        if len(args) != len(self.expected):
            return None
        values: list[Array] = []
        for x, (kind, dtype, shape, strides) in zip(args, self.expected, strict=True):
            if type(x) is not kind:
                return None
            if kind is Tensor:
                if x.requires_grad or x.value is None:
                    return None
                x = x.value
            if x.dtype is not dtype or x.shape != shape:
                return None
            if not (self.small or (x.flags.c_contiguous if strides is None else x.strides == strides)):
                return None
            values.append(x)
        return values if not self.modes or self.fits() else None

    def call(self, values: Sequence[Array]) -> Any:
        """Run it once, and return what the function returns."""
        with RUNNING:
            if self.bound != assignments.count or LAST.variant is not self:
                self.bind()
            self.clock.time = next_serial()
            if self.small:
                for buffer, x in zip(self.entering, values, strict=True):
                    buffer[...] = x  # type: ignore[index]
                self.program.run()
                found = [buffer.copy() for buffer in self.leaving]  # type: ignore[union-attr]
            else:
                values = self._apart(values)  # held until the program is over
                results = self._enter(values)
                self.program.run()
                found = [
                    x if buffer is None else buffer.copy() for x, buffer in zip(results, self.leaving, strict=True)
                ]
        if self.structure.kind is Leaf:
            return Tensor(self.outputs[0], found[0], source=_SOURCE)
        made = [Tensor(t, x, source=_SOURCE) for t, x in zip(self.outputs, found, strict=True)]
        return unflatten(self.structure, made)

    def _apart(self, values: Sequence[Array]) -> Sequence[Array]:
        """Arguments, copied where they lie in memory that the program changes: there they can only be read-only."""
        if all([x.flags.writeable for x in values]):
            return values
        own = [held.kept for held in self.held if held.assigned and held.kept is not None]
        return [x.copy() if any(np.may_share_memory(x, kept) for kept in own) else x for x in values]

    def _enter(self, values: Sequence[Array]) -> list[Any]:
        """Put in arguments, and new arrays for results that are not small, which are returned."""
        for i, (buffer, x) in enumerate(zip(self.entering, values, strict=True)):
            if buffer is None:
                self.program.put(("parameter", i), x.ctypes.data)
            else:
                buffer[...] = x
        results: list[Any] = []
        for i, (t, buffer) in enumerate(zip(self.outputs, self.leaving, strict=True)):
            if buffer is not None:
                results.append(None)
                continue
            made, pointer = self._array(t, self.orders[i])
            results.append(made)
            self.program.put(("output", i), pointer)
        return results

    def _array(self, t: TensorType, order: Order | None) -> tuple[Array, int]:
        """Memory for a large result: that of an earlier one that nobody holds any more, or new memory."""
        for x, pointer in self.spare:
            if x.shape != t.shape or x.dtype != t.dtype.numpy or x.flags.c_contiguous != (order is None):
                continue
            if sys.getrefcount(x) == UNUSED and sys.getrefcount(x.base) == UNSHARED:  # a view holds the memory alone
                return x, pointer
        made = _memory(t, order)
        pointer = made.ctypes.data
        self.spare.append((made, pointer))
        return made, pointer

    def run(self, values: Sequence[Array], results: Sequence[Array], count: int) -> None:
        """Run a program that is a loop, for arguments and results that are where they are."""
        with RUNNING:
            if self.bound != assignments.count or LAST.variant is not self:
                self.bind()
            values = self._apart(values)
            self._put(values, results)
            self.clock.time = next_serial()
            self.program.run(count)

    def bind(self) -> None:
        """Make sure that the program sees the tensors from outside as they are now, and that these know who changes
        them."""
        for held in self.held:
            if held.tensor.value is not held.seen:
                self._rebind(held)
            if held.assigned:
                held.tensor.changed = self.clock
        self.bound, LAST.variant = assignments.count, self

    def _rebind(self, held: Held) -> None:
        value = held.tensor.known()
        held.seen, held.kept = _own(held.tensor, value) if held.assigned else (value, np.ascontiguousarray(value))
        self.program.put(("parameter", held.position), held.kept.ctypes.data)

    def names(self) -> list[str]:
        """The names of all parameters of the program."""
        known = names_of(self.graph)
        named = [x.name or known[id(x)] for x in self.graph.parameters]
        return named + [held.tensor.name or "a tensor" for held in self.held[len(self.graph.captured) :]]

    def profile(self, values: Sequence[Array], repeats: int | None) -> Profile:
        """Run it again and again on copies of the tensors that it assigns, and measure."""
        with RUNNING:
            self.bind()
            changing = [(held.position, held.kept) for held in self.held if held.assigned and held.kept is not None]
            copies = [aligned(kept.size, kept.dtype).reshape(kept.shape) for _, kept in changing]

            def prepare() -> None:
                for (_, kept), copy in zip(changing, copies, strict=True):
                    copy[...] = kept

            results = [np.empty(t.shape, t.dtype.numpy) for t in self.outputs]
            try:
                self._put(values, results)
                for (position, _), copy in zip(changing, copies, strict=True):
                    self.program.put(("parameter", position), copy.ctypes.data)
                return profiled(self.program, self.names(), prepare, repeats)
            finally:
                self._put(self.entering, self.leaving)
                for position, kept in changing:
                    self.program.put(("parameter", position), kept.ctypes.data)


def _own(tensor: Tensor, value: Array) -> tuple[Array, Array]:
    """The tensor's value in memory that compiled functions may write to: as others see it, and to write to."""
    known = OWN.get(id(tensor))
    if known is not None and known[0] is value:
        return known
    kept = aligned(value.size, value.dtype).reshape(value.shape)
    kept[...] = value
    shown = kept.view()
    shown.flags.writeable = False  # so that nobody takes it for an array that stays as it is
    tensor.value = shown
    assignments.count += 1
    if known is None:
        weakref.finalize(tensor, OWN.pop, id(tensor)).atexit = False
    OWN[id(tensor)] = shown, kept
    return shown, kept


def _memory(t: TensorType, order: Order | None = None) -> Array:
    """Memory for a tensor, with its axes in an order, which by default is the row-major one."""
    if order is None:
        return aligned(t.size, t.dtype.numpy).reshape(t.shape)
    stored = aligned(t.size, t.dtype.numpy).reshape([t.shape[a] for a in order])
    return stored.transpose([order.index(a) for a in range(t.ndim)])


def _small(t: TensorType, limit: int, order: Order | None = None) -> Array | None:
    """Memory of the program's own for a small argument or result: to copy it is faster than to say where it is."""
    return None if t.size * t.dtype.itemsize > limit else _memory(t, order)


_SOURCE = as_tensor(0.0).source
