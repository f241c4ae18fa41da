"""Control flow as operations: a loop over the first axis, and a choice between two functions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from chainrule.apply import apply_several, outputs_of
from chainrule.autodiff import variables_of
from chainrule.errors import DefinitionError, DtypeError, ShapeError
from chainrule.gradients import gradients
from chainrule.graph import Graph
from chainrule.interpret import interpret
from chainrule.kernel import Loop
from chainrule.op import JointRule, define
from chainrule.ops.comparison import where
from chainrule.ops.creation import full_like
from chainrule.samples import Draw, Sample, type_of
from chainrule.state import current_recording, current_tracing
from chainrule.tensor import Tensor, TensorLike, as_tensor, snapshot
from chainrule.trace import trace_tree
from chainrule.trees import Structure, flatten, leaf_paths, leaves_like, static_parts, unflatten
from chainrule.types import ANY, Array, TensorType


def _scan_types(
    *types: TensorType, graph: Graph, carries: int, scanned: int, length: int, reverse: bool, history: bool
) -> tuple[TensorType, ...]:
    steps = (
        *types[:carries],
        *(t.with_shape(t.shape[1:]) for t in types[carries : carries + scanned]),
        *types[carries + scanned :],
    )
    if steps != tuple(x.type for x in graph.parameters):
        raise ShapeError(f"the body takes {[str(x.type) for x in graph.parameters]}, not {[str(t) for t in steps]}")
    stacked = [x.type for x in graph.outputs[carries:]] + ([*types[:carries]] if history else [])
    return (*types[:carries], *(t.with_shape((length, *t.shape)) for t in stacked))


def _run_scan(
    *values: Array, graph: Graph, carries: int, scanned: int, length: int, reverse: bool, history: bool
) -> tuple[Array, ...]:
    carry, xs, constants = list(values[:carries]), values[carries : carries + scanned], values[carries + scanned :]
    ys = [np.empty((length, *x.shape), x.dtype.numpy) for x in graph.outputs[carries:]]
    past = [np.empty((length, *c.shape), c.dtype) for c in carry] if history else []
    for i in reversed(range(length)) if reverse else range(length):
        for row, value in zip(past, carry, strict=False):
            row[i] = value
        results = interpret(graph, [*carry, *(np.asarray(x[i]) for x in xs), *constants])
        carry = results[:carries]
        for row, value in zip(ys, results[carries:], strict=True):
            row[i] = value
    return (*carry, *ys, *past)


def _pull_scan(
    cts: Sequence[Tensor | None], out: Tensor, *inputs: Tensor,
    graph: Graph, carries: int, scanned: int, length: int, reverse: bool, history: bool,
) -> list[Tensor | None]:  # fmt: skip
    """Backpropagation through time: a scan in the other direction, over the carries that the forward scan kept.

    A step's intermediate values are made again from the carry that entered it (Werbos, "Backpropagation through time:
    what it does and how to do it", Proc. IEEE 78, 1990).
    """
    outputs = outputs_of(out)
    filled = [full_like(x, 0.0) if ct is None and x.dtype.is_float else ct for ct, x in zip(cts, outputs, strict=True)]
    past = outputs[len(graph.outputs) :]
    xs, constants = inputs[carries : carries + scanned], inputs[carries + scanned :]
    flags = [x.dtype.is_float for x in graph.parameters]

    def back(state: Any, step: Any) -> tuple[Any, Any]:
        ct_carry, ct_constants = state
        carried, x, ct_ys, ct_past = step
        variables = variables_of([*carried, *x, *constants])
        results = graph.replay(variables)
        floats = [r for r in results if r.dtype.is_float]
        found = gradients(floats, [*ct_carry, *ct_ys], variables)
        whole = [full_like(v, 0.0) if ct is None else ct for v, ct in zip(variables, found, strict=True)]
        new_carry = _floats(whole[:carries], flags)
        new_constants = _floats(whole[carries + scanned :], flags[carries + scanned :])
        new_state = (
            [(a + b).cast(a.dtype) for a, b in zip(new_carry, ct_past, strict=True)],
            [(a + b).cast(a.dtype) for a, b in zip(ct_constants, new_constants, strict=True)],
        )
        return new_state, _floats(whole[carries : carries + scanned], flags[carries:])

    start = (
        [ct for ct in filled[:carries] if ct is not None],
        [full_like(c, 0.0) for c in constants if c.dtype.is_float],
    )
    ct_ys = [ct for ct in filled[carries : len(graph.outputs)] if ct is not None]
    ct_past = [ct for ct in filled[len(graph.outputs) :] if ct is not None]
    (ct_carry, ct_constants), ct_xs = scan(
        back, start, (past, list(xs), ct_ys, ct_past), length=length, reverse=not reverse
    )
    in_order = iter([*ct_carry, *ct_xs, *ct_constants])
    return [next(in_order) if flag else None for flag in flags]


def _floats(values: Sequence[Tensor], flags: Sequence[bool]) -> list[Tensor]:
    return [x for x, flag in zip(values, flags, strict=False) if flag]


def _draw_scan(draw: Draw) -> Sample:
    length, shape = draw.integer(0, 3), draw.shape(most=2)
    carry, w = draw.floats(shape), draw.floats(shape)
    xs = draw.floats((length, *shape))

    def body(h: Tensor, x: Tensor, w: Tensor) -> tuple[Tensor, Tensor]:
        return (h * w + x).cast(h.dtype), (h * x).cast(h.dtype)

    example = Tensor(type_of(carry), carry)
    graph, _ = trace_tree(body, example, example, example)
    constant = Graph((*graph.inputs,), graph.outputs)
    attributes = {
        "graph": constant,
        "carries": 1,
        "scanned": 1,
        "length": length,
        "reverse": draw.choice((True, False)),
        "history": True,
    }
    return Sample((carry, xs, w), attributes)


SCAN = define(
    "scan",
    takes=(ANY,),
    infer=_scan_types,
    numpy=_run_scan,
    vjp=JointRule(_pull_scan),
    samples=_draw_scan,
    kernel=Loop(),
)


def scan(
    body: Callable[[Any, Any], tuple[Any, Any]],
    carry: Any,
    xs: Any = None,
    *,
    length: int | None = None,
    reverse: bool = False,
) -> tuple[Any, Any]:
    """Run `body` once for each element of the first axis of `xs`, handing a carry from step to step.

        for i in range(length):  carry, y[i] = body(carry, x[i])

    Args:
        body: (carry, x) -> (new carry, y), traced once. What it reads from outside is held constant over the steps;
            what it assigns (a generator's state, running statistics) is carried along and assigned at the end.
        carry: a tensor or tree of tensors; `body` must return the same types.
        xs: a tensor or tree of tensors of equal first size, or None.
        length: number of steps; needed if `xs` holds no tensor.
        reverse: whether to run from the last element to the first; outputs stay in the order of the inputs.

    Returns the last carry, and the y of all steps stacked along a new first axis. Raises `ShapeError` if first sizes
    differ or the carry changes its type, and `DefinitionError` if `body` returns no pair or changes a carried integer,
    which is no tensor.

    >>> total, sums = scan(lambda c, x: (c + x, c + x), 0.0, np.array([1.0, 2.0, 3.0], np.float32))
    >>> sums
    tensor([1., 3., 6.], f32[3])
    """
    carry_leaves, carry_structure = flatten(carry)
    x_leaves, x_structure = flatten(xs)
    carried, scanned = [as_tensor(c) for c in carry_leaves], [as_tensor(x) for x in x_leaves]
    steps = _length(scanned, length)
    examples = [
        Tensor(x.type.with_shape(x.shape[1:]), None, requires_grad=x.requires_grad, source=x.source) for x in scanned
    ]

    def pair(c: Any, x: Any) -> tuple[Any, Any]:
        returned = body(c, x)
        if not isinstance(returned, tuple) or len(returned) != 2:  # pyright: ignore[reportUnnecessaryIsInstance]
            raise DefinitionError(f"scan: the body must return a pair (carry, y), not {type(returned).__name__}")
        new, y = returned
        _check_static(carry_structure, flatten(new)[1])
        return leaves_like(new, c), y

    graph, structure = trace_tree(pair, unflatten(carry_structure, carried), unflatten(x_structure, examples))
    new_structure, y_structure = structure.children
    _check_carry(carry, carried, graph.outputs[: new_structure.leaves])
    whole, state = _with_state(graph)
    constants = [outside for outside, _ in graph.captured if all(outside is not s for s in state)]
    inputs = [snapshot(x) for x in (*state, *carried, *scanned, *constants)]
    keep = current_tracing() is not None or (current_recording() and any(x.requires_grad for x in inputs))
    carries = len(state) + len(carried)
    attributes = {"carries": carries, "scanned": len(scanned), "length": steps, "reverse": reverse, "history": keep}
    results = apply_several(SCAN, *inputs, graph=whole, **attributes)
    for outside, new in zip(state, results, strict=False):
        outside.assign(new)
    last, ys = results[len(state) : carries], results[carries : len(whole.outputs)]
    return unflatten(carry_structure, last), unflatten(y_structure, ys)


def _length(scanned: Sequence[Tensor], length: int | None) -> int:
    """The number of steps."""
    if any(not x.shape for x in scanned):
        raise ShapeError("scan: each tensor of xs needs a first axis to run over")
    sizes = {x.shape[0] for x in scanned}
    if length is not None:
        sizes.add(length)
    if len(sizes) != 1:
        raise ShapeError(
            f"scan: first sizes of xs and `length` must agree, not {sorted(sizes)}"
            if sizes
            else "scan: without xs, `length` is needed"
        )
    steps = sizes.pop()
    if steps < 0:
        raise ShapeError(f"scan: a loop of {steps} steps cannot be run")
    return steps


def _check_static(given: Structure, returned: Structure) -> None:
    """What is no tensor in a carry stays what it is."""
    for old, new in zip(static_parts(given), static_parts(returned), strict=False):
        if old != new:
            raise DefinitionError(
                f"scan: the body makes {new!r} of {old!r} in its carry, but only tensors change from step to step; "
                "start with tensor(0) instead of 0"
            )


def _check_carry(carry: Any, given: Sequence[Tensor], returned: Sequence[Tensor]) -> None:
    """The carry that a body returns must have the types of the one it was given."""
    paths = leaf_paths(carry)
    if len(given) != len(returned):
        raise ShapeError(f"scan: the body returns a carry of {len(returned)} tensors, but was given {len(given)}")
    wrong = [
        f"  carry{'.' + p if p else ''}: {a.type} became {b.type}"
        for p, a, b in zip(paths, given, returned, strict=True)
        if a.type != b.type
    ]
    if wrong:
        raise ShapeError(
            "\n".join(
                [
                    "scan: the body changes the type of its carry",
                    *wrong,
                    "  cast or reshape it in the body, or start with another type",
                ]
            )
        )


def _with_state(graph: Graph) -> tuple[Graph, list[Tensor]]:
    """The same body with the tensors that it assigns as further carries, and these tensors."""
    state = [outside for outside, _ in graph.assigned]
    read = {id(outside): stand_in for outside, stand_in in graph.captured}
    entering = [read.get(id(x), Tensor(x.type, None, source=x.source, name=x.name)) for x in state]
    constants = tuple((outside, s) for outside, s in graph.captured if all(outside is not x for x in state))
    return Graph((*entering, *graph.inputs), (*(new for _, new in graph.assigned), *graph.outputs), constants), state


def cond(predicate: TensorLike, on_true: Callable[..., Any], on_false: Callable[..., Any], *operands: Any) -> Any:
    """The result of one function or the other, whichever a truth value says.

    While a function is traced, both are made and `where` chooses between their results, so that they must return the
    same types. Otherwise only the chosen one runs.

    Raises `DtypeError` if the predicate is no single truth value, `ShapeError` if the results' types differ.

    >>> cond(True, lambda x: x + 1.0, lambda x: x - 1.0, 2.0)
    3.0
    """
    p = as_tensor(predicate)
    if p.dtype.kind != "bool" or p.size != 1:
        raise DtypeError(f"cond: the predicate must be a single truth value, not {p.type}")
    if current_tracing() is None:
        return on_true(*operands) if p.item() else on_false(*operands)
    left, structure = flatten(on_true(*operands))
    right, other = flatten(on_false(*operands))
    pairs = [(as_tensor(a), as_tensor(b)) for a, b in zip(left, right, strict=False)]
    if structure != other or any(a.type != b.type for a, b in pairs):
        shown = [", ".join(str(as_tensor(x).type) for x in side) for side in (left, right)]
        raise ShapeError(f"cond: both functions must return the same types, not ({shown[0]}) and ({shown[1]})")
    return unflatten(structure, [where(p, a, b) for a, b in pairs])
