"""Operations with loops of their own: the frame that they are given."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from chainrule.compiler.group import Group
from chainrule.compiler.ir import Node
from chainrule.kernel import Native
from chainrule.native.code import Module
from chainrule.native.contraction import MicroKernel
from chainrule.native.job import Job
from chainrule.native.operand import Operand
from chainrule.native.target import Target


def native_units(group: Group) -> int:
    """Into how many pieces the work is cut."""
    root = group.root
    assert root.op is not None and isinstance(root.op.kernel, Native)
    return root.op.kernel.units(*(x.type for x in root.inputs), **root.attributes)


def native_scratch(group: Group) -> int:
    """Bytes of its own that a thread needs."""
    root = group.root
    assert root.op is not None and isinstance(root.op.kernel, Native)
    kernel = root.op.kernel
    return kernel.scratch(*(x.type for x in root.inputs), **root.attributes) if kernel.scratch else 0


def native_micros(group: Group, target: Target) -> Sequence[MicroKernel]:
    """The micro-kernels that it calls."""
    root = group.root
    assert root.op is not None and isinstance(root.op.kernel, Native)
    kernel = root.op.kernel
    return kernel.micro(target, *(x.type for x in root.inputs), **root.attributes) if kernel.micro else ()


def emit_native(module: Module, group: Group, arguments: Mapping[Node, int]) -> None:
    """The kernel: after the buffers, its arguments are the thread's scratch memory, the status word and addresses of
    micro-kernels."""
    root = group.root
    assert root.op is not None and isinstance(root.op.kernel, Native)
    after = len(arguments)
    with module.kernel() as f:
        inputs = [Operand(f, f.pointer(arguments[x.base]), x.type.dtype, x.place) for x in root.inputs]
        outputs = [Operand(f, f.pointer(arguments[x]), x.type.dtype, x.place) for x in group.stored]
        micro = {key: f.pointer(after + 2 + i) for i, key in enumerate(native_micros(group, module.target))}
        job = Job(f, inputs, outputs, f.pointer(after), f.pointer(after + 1), micro)
        root.op.kernel.body(job, **root.attributes)
