"""How far two correct executors of one graph may be apart: interpretation with rounding errors put in at random.

Most operations are rounded exactly or only move data, so that every executor gives the same bits. Others have an error,
stated here in units in the last place (ulps):

    exponentials, logarithms, powers, trigonometric, erf, ndtr          ULPS ulps of the result
    sums: sum, matmul, convolutions, cumulative_sum, scattered ones     n ulps of the sum of the terms' sizes
    convolutions by kernels of 3 by 3                                   n ulps of the largest such sum of neighbours
    pad(x) + pad(y)                                                     the sign of zeros is uncertain
    several steps at once: attention and its derivative                 n ulps of each input, ULPS of the result
    arithmetic on what has errors already                               1 ulp of the result

where n is the number of terms, for attention the size of the longest axis. Terms may be added in any order, so that
the sign of a sum that is zero is uncertain, too. The last line is there because a result may happen to depend on an
error by its roundings alone, as at the top of a parabola. An operation that is many in one has the errors of those.

What such an error does to the results depends on all that follows: it may vanish in a sum or be blown up by a
difference, and where there is a jump (floor, a comparison, sorting, a cast to integers or to bfloat16) it does either
nothing or a lot. No formula gives a bound that is both safe and sharp. So the graph is interpreted several times, each
time with errors of up to the stated size, at random, put in after each of these operations (Parker, "Monte Carlo
arithmetic", UCLA, 1997). What an executor returns must lie within FACTOR times the spread of these runs around the
plain one. Integers and truth values that differ between runs are undecided, and so are floats that are not finite in
some of them. Where no error can come from, the spread is zero and the bits must be the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from chainrule.graph import Graph
from chainrule.op import Op
from chainrule.recurrence import MADE_OF
from chainrule.samples import readable, type_of
from chainrule.tensor import Tensor
from chainrule.testing.operations import listed
from chainrule.trace import trace
from chainrule.types import Array, TensorType, size_of

ULPS = 4.0
"""The error of a function of one number, in units in the last place."""

FACTOR = 4.0
"""How much farther than the runs with random errors a result may be from the plain one."""

RUNS = 8
MANY_RUNS = 64
"""Runs with random errors: at first, and before a result is called wrong."""

INEXACT = frozenset({
    "acos", "asin", "atan", "atan2", "constant_power", "cos", "cosh", "erf", "exp", "expm1", "log", "log1p",
    "ndtr", "power", "sigmoid", "sin", "sinh", "softplus", "tan", "tanh",
})  # fmt: skip
"""Elementwise operations that are not rounded exactly."""

SUMS = frozenset({
    "add_along_axis", "convolution", "convolution_transpose", "convolution_weight", "cumulative_sum",
    "matmul", "overlap_add", "scatter_add", "sum",
})  # fmt: skip
"""Operations that add up products or numbers: linear in each of their inputs that are floats."""

ADDED = frozenset({"take_along_axis"})
"""Operations that only move numbers, but may be carried out as a sum of one number and zeros."""

STEPS = frozenset({"attention", "attention_backward"})
"""Operations of several steps."""

ARITHMETIC = frozenset({
    "add", "divide", "multiply", "reciprocal", "rsqrt", "sqrt", "square", "subtract",
})  # fmt: skip
"""Operations that are rounded exactly."""


def spread(graph: Graph, inputs: Sequence[Array], runs: int, seed: int = 0) -> list[tuple[Array, Array]]:
    """For each result its value without errors, and how far it is from that in runs with random ones.

    For floats the largest distance in `runs` runs, infinity where it cannot be told; for integers and truth values zero
    where all runs agree, and else infinity.
    """
    plain = rounded(graph, inputs, None)
    found = [np.zeros(x.shape, np.float64) for x in plain]
    rng = np.random.default_rng(seed)
    for _ in range(runs):
        for x, y, size in zip(plain, rounded(graph, inputs, rng), found, strict=True):
            np.maximum(size, distance(x, y), out=size)
    return list(zip(plain, found, strict=True))


def distance(x: Array, y: Array) -> Array:
    """How far numbers are apart: 0 for the same bits alone, infinity if one is not finite or integers are not equal."""
    a, b = readable(x), readable(y)
    same = same_bits(a, b)
    if a.dtype.kind != "f":
        return np.where(same, 0.0, np.inf)
    with np.errstate(all="ignore"):
        apart = np.abs(a.astype(np.float64) - b.astype(np.float64))
    apart = np.maximum(apart, np.finfo(np.float64).smallest_subnormal)  # 0.0 and -0.0
    return np.where(same, 0.0, np.where(np.isfinite(apart), apart, np.inf))


def same_bits(x: Array, y: Array) -> Array:
    """Where numbers have the same bits; NaN is NaN, whatever its bits."""
    bits = np.dtype(f"u{x.itemsize}")
    same = np.ascontiguousarray(x).view(bits) == np.ascontiguousarray(y).view(bits)
    if x.dtype.kind == "f":
        same |= np.isnan(x) & np.isnan(y)
    return same.reshape(x.shape)


def rounded(
    graph: Graph, inputs: Sequence[Array], rng: np.random.Generator | None, *, inexact: bool = False
) -> list[Array]:
    """The results of a graph, with errors of the stated size at random places if there is a source of randomness.

    With `inexact`, all inputs have errors already.
    """
    known: dict[int, Any] = {id(x): v for x, v in zip(graph.parameters, inputs, strict=True)}
    tainted = set(known) if inexact else set[int]()
    with np.errstate(all="ignore"):
        for node in graph.nodes:
            if id(node) in known:
                continue
            if node.op is None:
                known[id(node)] = node.value
                continue
            given = [known[id(x)] for x in node.inputs]
            inexact = any(id(x) in tainted for x in node.inputs)
            value = _value(node.op, given, node.attributes, rng, inexact)
            beside = node.op.name == "add" and any(x.op is not None and x.op.name == "pad" for x in node.inputs)
            known[id(node)] = _with_any_zeros(value, rng) if beside and rng is not None else value
            made = beside or node.op.name in INEXACT or node.op.name in SUMS | STEPS or node.op.name in MADE_OF
            if inexact or made or "graph" in node.attributes:
                tainted.add(id(node))
    return [np.asarray(known[id(x)]) for x in graph.results]


def _with_any_zeros(x: Array, rng: np.random.Generator) -> Array:
    """Numbers whose zeros have any sign: parts that are set side by side may be copied or added to zeros."""
    signs = rng.choice((-1.0, 1.0), np.shape(x))
    return np.where(x == 0, x * signs, x).astype(x.dtype) if x.dtype.kind == "f" else x


def _value(
    op: Op, inputs: Sequence[Any], attributes: dict[str, Any], rng: np.random.Generator | None, inexact: bool
) -> Any:
    """The value of one node."""
    if rng is not None and op.name in ("checkpoint", "custom"):
        return tuple(rounded(attributes["graph"], inputs, rng, inexact=inexact))
    if rng is not None and op.name == "scan":
        return _loop(inputs, rng, **attributes)
    if rng is not None and op.name in STEPS:
        inputs = [_shaken(x, rng, max(max(y.shape, default=0) for y in inputs)) for x in inputs]
    if rng is not None and op.name in MADE_OF:
        parts = trace(lambda *xs: MADE_OF[op.name](*xs, **attributes))(*(Tensor(type_of(x), x) for x in inputs))
        return tuple(rounded(parts, inputs, rng, inexact=inexact))
    value = op.numpy(*inputs, **attributes)
    if isinstance(value, tuple):
        several: tuple[Array, ...] = value  # pyright: ignore[reportUnknownVariableType]
        return tuple(_shaken(x, rng, ULPS) for x in several) if rng is not None and op.name in STEPS else several
    value = np.asarray(value)
    if rng is None or value.dtype.kind != "f" or not value.size:
        return value
    size = error_of(op, value, inputs, attributes, inexact)
    if size is None:
        return value
    # In half of the runs at least half of the stated error, so that a number near a jump comes to be on either side.
    sizes = rng.uniform(0.5 if rng.random() < 0.5 else 0.0, 1.0, value.shape)
    signs = rng.choice((-1.0, 1.0), value.shape)
    errors = size * sizes * signs
    exact = np.where(value == 0, value * signs, value) if op.name in SUMS or op.name in ADDED else value
    return np.where(errors == 0, exact, value + errors).astype(value.dtype)


def _shaken(x: Array, rng: np.random.Generator, ulps: float) -> Array:
    """Numbers with random errors of up to so many ulps."""
    limit = ulps * float(np.finfo(x.dtype).eps)
    return np.asarray(x * rng.uniform(1.0 - limit, 1.0 + limit, np.shape(x)), x.dtype)


def error_of(op: Op, value: Array, inputs: Sequence[Array], attributes: dict[str, Any], inexact: bool) -> Array | None:
    """The stated error of an operation's result, element by element; None if it has none."""
    if op.name in INEXACT or (inexact and op.name in ARITHMETIC):
        ulps = ULPS if op.name in INEXACT else 1.0
        return np.where((value == 0) | ~np.isfinite(value), 0.0, ulps * np.spacing(np.abs(value)).astype(np.float64))
    if op.name in ADDED:
        return np.zeros(value.shape)
    if op.name not in SUMS:
        return None
    sizes = [np.abs(x) if x.dtype.kind == "f" else x for x in inputs]
    total = np.asarray(op.numpy(*sizes, **attributes)).astype(np.float64)
    if op.name == "convolution_weight" and value.shape[2:] == (3, 3):
        total = np.broadcast_to(total.max(axis=(2, 3), keepdims=True), total.shape)
    elif op.name.startswith("convolution") and inputs[1].shape[2:] == (3, 3):
        total = _largest_near(total)
    found = terms(op, value, inputs) * np.finfo(value.dtype).eps * total
    return np.where(np.isfinite(found), found, 0.0)


def _largest_near(x: Array) -> Array:
    """The largest number among each one and its neighbours along the last two axes: results of a tile are made
    together (`native.convolution.winograd`), and share their errors."""
    padded = np.pad(x, (*((0, 0),) * (x.ndim - 2), (1, 1), (1, 1)))
    return np.asarray(np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(-2, -1)).max(axis=(-2, -1)))


def terms(op: Op, value: Array, inputs: Sequence[Array]) -> float:
    """At most how many terms are added up for one element of a sum; 0 if it is but one number."""
    x = inputs[0]
    if op.name == "matmul":
        count = x.shape[-1]
    elif op.name in ("convolution", "convolution_transpose"):
        count = size_of(inputs[1].shape[1:] if op.name == "convolution" else inputs[1].shape)
    elif op.name == "convolution_weight":
        count = size_of((x.shape[0], *x.shape[2:]))
    elif op.name == "sum":
        count = x.size // max(value.size, 1)
    else:
        count = max(y.size for y in inputs)
    return 0.0 if count <= 1 and op.name in ("sum", "matmul") else float(count)


def _loop(
    inputs: Sequence[Array], rng: np.random.Generator, *,
    graph: Graph, carries: int, scanned: int, length: int, reverse: bool, history: bool,
) -> tuple[Array, ...]:  # fmt: skip
    """A `scan` step by step."""
    carry, xs, constants = list(inputs[:carries]), inputs[carries : carries + scanned], inputs[carries + scanned :]
    rows: list[list[Array]] = []
    for i in reversed(range(length)) if reverse else range(length):
        results = rounded(graph, [*carry, *(np.asarray(x[i]) for x in xs), *constants], rng, inexact=True)
        rows.append([*results[carries:], *(carry if history else [])])
        carry = results[:carries]
    if reverse:
        rows.reverse()
    types = [x.type for x in graph.outputs[carries:]] + ([type_of(c) for c in carry] if history else [])
    return (*carry, *(_stacked(column, t) for column, t in zip(_columns(rows, len(types)), types, strict=True)))


def _columns(rows: Sequence[Sequence[Array]], count: int) -> list[list[Array]]:
    return [[row[i] for row in rows] for i in range(count)]


def _stacked(column: Sequence[Array], type: TensorType) -> Array:
    return np.array(column, type.dtype.numpy).reshape(len(column), *type.shape)


__all__ = ["FACTOR", "INEXACT", "MANY_RUNS", "RUNS", "SUMS", "ULPS", "distance", "listed", "rounded", "spread"]
