"""Operations with loops of their own: the frame that they are given."""

from __future__ import annotations

from collections.abc import Mapping

from chainrule.compiler.group import Group
from chainrule.compiler.ir import Node
from chainrule.kernel import Native
from chainrule.native.code import Module
from chainrule.native.job import Job
from chainrule.native.operand import Operand, row_major


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


def emit_native(module: Module, group: Group, arguments: Mapping[Node, int]) -> None:
    """The kernel: after the buffers, its arguments are the thread's scratch memory and the status word."""
    root = group.root
    assert root.op is not None and isinstance(root.op.kernel, Native)
    after = len(arguments)
    with module.kernel() as f:
        inputs = [Operand(f, f.pointer(arguments[x.base]), x.type.dtype, x.place) for x in root.inputs]
        output = Operand(f, f.pointer(arguments[root]), root.type.dtype, row_major(root.type.shape))
        job = Job(f, inputs, [output], f.pointer(after), f.pointer(after + 1))
        root.op.kernel.body(job, **root.attributes)
