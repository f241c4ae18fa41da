"""`epoch`: a compiled training step run over the minibatches of arrays, in native code."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

import numpy as np

from chainrule.compiled import Compiled
from chainrule.compiler.blueprint import Kind
from chainrule.compiler.channels import arranged
from chainrule.compiler.variant import Variant
from chainrule.errors import DataError, DefinitionError, IndexingError
from chainrule.graph import Graph
from chainrule.ops.gather import take
from chainrule.tensor import Tensor, as_tensor
from chainrule.trees import flatten, unflatten
from chainrule.types import Array

SLICE = 0.1
"""Seconds after which native code comes back to Python, for progress bars and Ctrl-C."""

Progress = Callable[[int, int], Any]


class _Batches(Compiled):
    """A step on rows of arrays, made to run in a loop over many sets of rows."""

    def __init__(self, step: Compiled) -> None:
        def on_rows(rows: Tensor, *data: Tensor) -> Any:
            return step.function(*(take(x, rows, axis=0) for x in data))

        super().__init__(on_rows, step.options)
        self.pace: dict[int, float] = {}  # by the id of a variant: how many steps take a second

    def moving(self, graph: Graph) -> Mapping[tuple[Kind, int], int]:
        """The rows move on, and so do the results."""
        found: dict[tuple[Kind, int], int] = {("parameter", 0): graph.inputs[0].size * 8}
        for i, x in enumerate(graph.outputs):
            found["output", i] = x.size * x.dtype.itemsize
        return found


def epoch(
    step: Compiled,
    data: Sequence[Any],
    order: Any,
    *,
    batch_size: int = 32,
    progress: Progress | None = None,
) -> Any:
    """Run a compiled step over minibatches: `step(*(x[order[i : i + batch_size]] for x in data))` for each i.

    Rows are gathered, and steps are made, in native code, which comes back about every 100 ms: then `progress` is
    called, and Ctrl-C is heard, always between two steps.

    Args:
        step: a function made by `compile`.
        data: arrays of equal first size, one for each argument of the step.
        order: numbers of rows, each as often as it is to be used.
        batch_size: rows of a step; the last one has what is left.
        progress: called with the number of steps done and of all steps.

    Returns what the step returns, with the results of all steps stacked along a new first axis, as NumPy arrays.

    Raises `DefinitionError` if the step is not compiled, `DataError` for arrays of different first sizes, and
    `IndexingError` for a row that does not exist.

    >>> import chainrule as cr
    >>> w = cr.tensor(0.0)
    >>> @cr.compile
    ... def step(x):
    ...     w.assign(w + x.sum())
    ...     return w
    >>> epoch(step, [np.array([1.0, 2.0, 3.0], np.float32)], [2, 0, 1], batch_size=2)
    array([4., 6.], dtype=float32)
    """
    if not isinstance(step, Compiled):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise DefinitionError("epoch: the step must be compiled; decorate it with @chainrule.compile")
    if batch_size < 1:
        raise DefinitionError(f"epoch: batch_size must be at least 1, not {batch_size}")
    tensors = [_arranged(as_tensor(x)) for x in data]
    rows = _rows(order, [x.shape for x in tensors])
    batches = cast(_Batches, step.companions.get("epoch") or step.companions.setdefault("epoch", _Batches(step)))
    whole, rest = divmod(len(rows), batch_size)
    total = whole + (rest > 0)
    parts: list[list[Array]] = []
    structure: Any = None
    for start, count, size in ((0, whole, batch_size), (whole * batch_size, int(rest > 0), rest)):
        if count:
            chosen = rows[start : start + count * size].reshape(count, size)
            structure, made = _run(batches, chosen, tensors, len(parts) * whole, total, progress)
            parts.append(made)
    if structure is None:
        raise DataError("epoch: there are no rows to run over")
    for pieces in zip(*parts, strict=True):
        if len({x.shape[1:] for x in pieces}) > 1:
            raise DataError(
                f"epoch: {len(rows)} rows are no multiple of batch_size={batch_size}, and a result of the step has "
                f"another shape in the last, smaller batch: {[list(x.shape[1:]) for x in pieces]}"
            )
    stacked = [np.concatenate(pieces) for pieces in zip(*parts, strict=True)]
    return unflatten(structure, stacked)


def _arranged(x: Tensor) -> Tensor:
    """A tensor with its elements in row-major order or, for images, with their channels last."""
    value = arranged(x.known())
    return x if value is x.value else Tensor(x.type, value)


def _rows(order: Any, shapes: Sequence[tuple[int, ...]]) -> Array:
    sizes = {next(iter(shape), -1) for shape in shapes}
    if len(sizes) != 1 or -1 in sizes:
        raise DataError(f"epoch: arrays of one first size are needed, not of shapes {[list(s) for s in shapes]}")
    size = sizes.pop()
    given = np.asarray(order)
    if given.ndim != 1 or (given.size and given.dtype.kind not in "iu"):
        raise DataError(f"epoch: the order must be a list of row numbers, not {given.dtype}{list(given.shape)}")
    rows = np.ascontiguousarray(given, np.int64)
    if rows.size and not (-size <= rows.min() and rows.max() < size):
        outside = rows[(rows < -size) | (rows >= size)][0]
        raise IndexingError(f"epoch: there is no row {outside} among {size}")
    return rows


def _run(
    batches: _Batches, rows: Array, tensors: Sequence[Tensor], done: int, total: int, progress: Progress | None
) -> tuple[Any, list[Array]]:
    """All steps of one size."""
    leaves = [as_tensor(rows[0]), *tensors]
    _, signature = flatten((tuple(leaves), {}))
    variant: Variant = batches.variant(signature, leaves)
    count = len(rows)
    results = [np.empty((count, *t.shape), t.dtype.numpy) for t in variant.outputs]
    at = 0
    while at < count:
        pace = batches.pace.get(id(variant), 0.0)
        size = min(max(1, int(pace * min(SLICE, variant.program.crew.limit))), count - at)
        started = time.perf_counter()
        variant.run([rows[at], *(x.known() for x in tensors)], [x[at:] for x in results], size)
        batches.pace[id(variant)] = size / max(time.perf_counter() - started, 1e-9)
        at += size
        if progress is not None:
            progress(done + at, total)
    return variant.structure, results
