"""From a graph to a program that can be run."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from chainrule.compiler.blueprint import Kind
from chainrule.compiler.machine import target_named
from chainrule.compiler.program import Program
from chainrule.compiler.store import compiled
from chainrule.graph import Graph


def built(
    graph: Graph,
    target_name: str,
    moving: Mapping[tuple[Kind, int], int] | None = None,
    entering: Collection[int] = (),
    free: bool = False,
) -> Program:
    """The program of a graph for a kind of processor.

    With `moving`, in a loop, in which these arguments move on by some bytes after each iteration. The parameters
    numbered in `entering` have their channels last, and if they are `free`, results may have them last, too.
    """
    return Program(*compiled(graph, target_named(target_name), moving, tuple(entering), free))
