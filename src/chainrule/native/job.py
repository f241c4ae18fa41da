"""What the body of an operation with loops of its own works with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from chainrule.native.code import Function, Value
from chainrule.native.contraction import MicroKernel
from chainrule.native.operand import Operand


@dataclass(slots=True)
class Job:
    """What a `Native` body works with.

    Attributes:
        f: the function in the making; units of work `f.begin` to `f.end` are to be done, whichever thread has them.
        inputs, outputs: the tensors. Inputs may lie anywhere (any strides), outputs without gaps: in row-major order,
            or in the order of the input that they follow.
        scratch: memory of this thread alone, of the size that was asked for.
        status: where `fail_if` notes an error.
        micro: the addresses of the micro-kernels that were asked for.
    """

    f: Function
    inputs: Sequence[Operand]
    outputs: Sequence[Operand]
    scratch: Value | None
    status: Value
    micro: Mapping[MicroKernel, Value] = field(default_factory=dict[MicroKernel, Value])

    def fail_if(self, condition: Value) -> None:
        """If a truth value on one lane holds, the call raises `IndexingError` when the program is over.

        Code goes on after it: what follows must not read or write outside of its operands all the same.
        """
        with self.f.when(condition):
            self.f.line(f"store atomic i64 1, {self.status} monotonic, align 8")
