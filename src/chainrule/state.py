"""What the current thread is doing: tracing or computing, recording or not, and for which line."""

from __future__ import annotations

import threading
from collections.abc import Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from chainrule.errors import TraceError
from chainrule.op import FUNCTIONS
from chainrule.sources import Source

if TYPE_CHECKING:
    from chainrule.tensor import Tensor


class Tracing:
    """What happens while a function is traced: tensors from outside that it reads, and those that it assigns."""

    def __init__(self) -> None:
        self.captured: dict[int, tuple[Tensor, Tensor]] = {}  # id -> the tensor outside, its stand-in
        self.assigned: dict[int, tuple[Tensor, Tensor]] = {}  # id -> the tensor outside, its new value
        self.grads: dict[int, tuple[Tensor, Tensor | None]] = {}  # id -> the tensor outside, what backward gave it
        self.variables: dict[int, Tensor] = {}  # id of the node that stands for a tensor outside -> that tensor
        self.names: dict[int, str] = {}  # id of a tensor outside -> what graphs call it, if not by its own name
        self.outer = current.tracing
        self.modes: dict[int, tuple[Any, str, Any]] = {}  # id of an object that was asked -> it, for what, the answer
        self.asked: dict[int, bool] = {}  # id of a tensor outside whose gradient was asked for first -> if it had one
        self.accumulated: dict[int, str] = {}  # id, name of those to whose gradient from outside more was added

    def read(self, x: Tensor) -> Tensor:
        """The node that stands for `x` here."""
        if id(x) in self.assigned:
            return self.assigned[id(x)][1]
        if x.tracing is self:
            return x
        if id(x) not in self.captured:
            if x.value is None and not self.is_inside(x.tracing):
                raise TraceError(f"a tensor {x.type} made at {x.source}  {x.source.text}  belongs to another trace")
            name = self.names.get(id(x), x.name)
            stand_in = type(x)(x.type, None, requires_grad=x.requires_grad, source=x.source, name=name)
            self.captured[id(x)] = (x, stand_in)
            self.variables[id(stand_in)] = x
        return self.captured[id(x)][1]

    def assign(self, x: Tensor, new: Tensor) -> None:
        """Let `new` stand for `x` from here on; if `x` requires a gradient, as a variable like any other."""
        node = self.read(new)
        if x.requires_grad:
            with recording(False):
                node = FUNCTIONS["identity"](node)
            node.requires_grad = True
            self.variables[id(node)] = x
        self.assigned[id(x)] = (x, node)

    def gradient(self, x: Tensor, outside: Tensor | None) -> Tensor | None:
        """What `.grad` of a tensor is here."""
        if id(x) not in self.grads and x.tracing is not self:
            self.asked[id(x)] = outside is not None
        return self.grads.get(id(x), (x, outside))[1]

    def set_gradient(self, x: Tensor, value: Tensor | None) -> None:
        """Let a tensor from outside have another gradient until the trace is over."""
        if value is not None and id(x) in self.asked and id(x) not in self.grads:
            self.accumulated[id(x)] = x.name or str(x.type)
        if value is None and not self.asked.get(id(x)):
            self.accumulated.pop(id(x), None)  # the next call starts without one, as this one did
        self.grads[id(x)] = (x, value)

    def forget(self) -> None:
        """Let go of all tensors when the trace is over: they know it, and would keep each other alive."""
        for held in (self.captured, self.assigned, self.grads, self.variables, self.names):
            held.clear()

    def is_inside(self, other: Tracing | None) -> bool:
        """Whether this is going on within another one."""
        return other is not None and (self.outer is other or (self.outer is not None and self.outer.is_inside(other)))


class Assignments:
    """How often tensors were given new values by `assign`: what is as it was need not be looked at again."""

    def __init__(self) -> None:
        self.count = 0


assignments = Assignments()


class State(threading.local):
    """What the current thread is doing."""

    def __init__(self) -> None:
        self.tracing: Tracing | None = None
        self.recording = True
        self.source: Source | None = None


current = State()


@contextmanager
def tracing(new: Tracing | None) -> Generator[None]:
    """Inside, operations make nodes without values; with None, they compute again."""
    old, current.tracing = current.tracing, new
    try:
        yield
    finally:
        current.tracing = old


@contextmanager
def recording(on: bool) -> Generator[None]:
    """Inside, operations on tensors that require a gradient are recorded, or not."""
    old, current.recording = current.recording, on
    try:
        yield
    finally:
        current.recording = old


def no_grad() -> Any:
    """A context in which nothing is recorded for `backward`; works as a decorator, too.

    >>> from chainrule.tensor import tensor
    >>> w = tensor(2.0, requires_grad=True)
    >>> with no_grad():
    ...     y = w * w
    >>> y.requires_grad
    False
    """
    return recording(False)


@contextmanager
def source_line(source: Source) -> Generator[None]:
    """Inside, every node says that it was made at this line."""
    old, current.source = current.source, source
    try:
        yield
    finally:
        current.source = old


def current_recording() -> bool:
    """Whether operations are recorded in this thread."""
    return current.recording


def current_tracing() -> Tracing | None:
    """The tracing that is under way in this thread, if any."""
    return current.tracing
