"""Calls of a traced function as one operation: recomputed in the backward pass, or with a derivative given by hand."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any

from chainrule.apply import apply_several, outputs_of
from chainrule.autodiff import variables_of
from chainrule.errors import DefinitionError, GradientError, ShapeError
from chainrule.graph import Graph
from chainrule.interpret import interpret
from chainrule.kernel import Inline
from chainrule.op import JointRule, Recompute, define
from chainrule.ops.creation import full_like
from chainrule.samples import Draw, Sample, type_of
from chainrule.state import recording
from chainrule.tensor import Tensor, as_tensor, snapshot
from chainrule.trace import trace, trace_tree
from chainrule.trees import flatten, leaf_paths, unflatten
from chainrule.types import ANY, Array, TensorType


def _result_types(*types: TensorType, graph: Graph) -> tuple[TensorType, ...]:
    if types != tuple(x.type for x in graph.parameters):
        raise ShapeError(f"the graph takes {[str(x.type) for x in graph.parameters]}, not {[str(t) for t in types]}")
    return tuple(x.type for x in graph.results)


def _again(*inputs: Tensor, graph: Graph) -> tuple[Sequence[Tensor], Sequence[Tensor]]:
    with recording(True):
        variables = variables_of(inputs)
        return graph.replay(variables), variables


def _interpret(*values: Array, graph: Graph) -> tuple[Array, ...]:
    return tuple(interpret(graph, values))


def _draw_checkpoint(draw: Draw) -> Sample:
    def function(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        return (x * y + x).cast(x.dtype), (y * y).cast(x.dtype)

    x = draw.floats(draw.shape())
    example = Tensor(type_of(x), x)
    return Sample((x, x), {"graph": trace(function)(example, example)})


CHECKPOINT = define(
    "checkpoint",
    takes=(ANY,),
    infer=_result_types,
    numpy=_interpret,
    vjp=Recompute(_again),
    samples=_draw_checkpoint,
    kernel=Inline(),
)


def checkpoint(function: Callable[..., Any]) -> Callable[..., Any]:
    """A function that does the same but keeps none of its intermediate values: the backward pass makes them again.

    Memory falls to what the function reads, for the price of one more forward pass. Gradients are the same to the last
    bit, random draws included (T. Chen, Xu, Zhang & Guestrin, "Training deep nets with sublinear memory cost", 2016).
    The function is traced at each call, hence cannot branch on values.

    >>> from chainrule.autodiff import grad
    >>> f = lambda x: (x * x * x).sum()
    >>> grad(checkpoint(f))(as_tensor([1.0, 2.0]))
    tensor([ 3., 12.], f32[2])
    """

    @wraps(function)
    def checkpointed(*args: Any, **kwargs: Any) -> Any:
        leaves, arguments = flatten((args, kwargs))
        given, named = unflatten(arguments, [as_tensor(x) for x in leaves])
        graph, structure = trace_tree(lambda: function(*given, **named))
        results = apply_several(CHECKPOINT, *(snapshot(outside) for outside, _ in graph.captured), graph=graph)
        assign_results(graph, results)
        return unflatten(structure, results[: len(graph.outputs)])

    return checkpointed


def assign_results(graph: Graph, results: Sequence[Tensor]) -> None:
    """Give the tensors that a graph assigns their new values, which follow its outputs in `results`."""
    for (outside, _), new in zip(graph.assigned, results[len(graph.outputs) :], strict=True):
        outside.assign(new)


def _given_rule(
    cts: Sequence[Tensor | None],
    out: Tensor,
    *inputs: Tensor,
    graph: Graph,
    rule: Callable[..., Sequence[Tensor | None]],
) -> Sequence[Tensor | None]:
    return rule(cts, outputs_of(out), inputs)


def _custom_types(*types: TensorType, graph: Graph, rule: object) -> tuple[TensorType, ...]:
    return _result_types(*types, graph=graph)


def _run_custom(*values: Array, graph: Graph, rule: object) -> tuple[Array, ...]:
    return _interpret(*values, graph=graph)


def _draw_custom(draw: Draw) -> Sample:
    x = draw.floats(draw.shape())

    def square(x: Tensor) -> Tensor:
        return (x * x).cast(x.dtype)

    def rule(
        cts: Sequence[Tensor | None], outputs: Sequence[Tensor], inputs: Sequence[Tensor]
    ) -> Sequence[Tensor | None]:
        return [None if cts[0] is None else (cts[0] * 2.0 * inputs[0]).cast(inputs[0].dtype)]

    return Sample((x,), {"graph": trace(square)(Tensor(type_of(x), x)), "rule": rule})


CUSTOM = define(
    "custom",
    takes=(ANY,),
    infer=_custom_types,
    numpy=_run_custom,
    vjp=JointRule(_given_rule),
    samples=_draw_custom,
    kernel=Inline(),
)


def custom_vjp(rule: Callable[..., Any]) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Decorate a function with a derivative rule of one's own.

    Args:
        rule: `rule(cotangent, output, *arguments)` returns the cotangents of the arguments: one for a function of one
            argument, else a tuple, with None for zero. The cotangent and the output have the structure of what the
            function returns. Written with library operations, it can be differentiated in turn.

    The function may read nothing that requires a gradient but its arguments, which raises `GradientError`.

    >>> from chainrule.autodiff import grad
    >>> @custom_vjp(lambda ct, out, x: ct * 100.0)
    ... def double(x):
    ...     return x * 2.0
    >>> grad(double)(3.0)
    tensor(100., f32[])
    """

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(function)
        def called(*args: Any) -> Any:
            leaves, arguments = flatten(args)
            graph, structure = trace_tree(function, *args)
            if any(outside.requires_grad for outside, _ in graph.captured):
                raise GradientError(
                    "custom_vjp: the function reads a tensor that requires a gradient; make it an argument"
                )

            def pulled(
                cts: Sequence[Tensor | None], outputs: Sequence[Tensor], inputs: Sequence[Tensor]
            ) -> Sequence[Tensor | None]:
                own, shown = inputs[: len(leaves)], outputs[: structure.leaves]
                filled = [full_like(x, 0.0) if ct is None else ct for ct, x in zip(cts, shown, strict=False)]
                given = rule(unflatten(structure, filled), unflatten(structure, shown), *unflatten(arguments, own))
                return [*_cotangents(given, args, own), *[None] * (len(inputs) - len(own))]

            pulled.__name__ = getattr(function, "__name__", "function")  # what a printed graph shows
            inputs = [*map(as_tensor, leaves), *(snapshot(outside) for outside, _ in graph.captured)]
            results = apply_several(CUSTOM, *inputs, graph=graph, rule=pulled)
            assign_results(graph, results)
            return unflatten(structure, results[: len(graph.outputs)])

        return called

    return decorate


def _cotangents(given: Any, args: Sequence[Any], leaves: Sequence[Tensor]) -> list[Tensor | None]:
    """What a rule returned, leaf by leaf, checked against the arguments."""
    parts: list[Any] = [given] if len(args) == 1 and not _is_single(given) else [*given]
    if len(parts) != len(args):
        raise DefinitionError(f"custom_vjp: the rule returned {len(parts)} cotangents for {len(args)} arguments")
    found: list[Tensor | None] = []
    for part, arg in zip(parts, args, strict=True):
        ours = dict(zip(leaf_paths(part), flatten(part)[0], strict=True))
        paths = leaf_paths(arg)
        unknown = [path for path in ours if path not in paths]
        if unknown:
            raise DefinitionError(f"custom_vjp: the rule returned a cotangent {unknown[0]!r}, which no argument has")
        found.extend(as_tensor(ours[path]) if path in ours else None for path in paths)
    for ct, x in zip(found, leaves, strict=True):
        if ct is not None and ct.type != x.type:
            raise ShapeError(f"custom_vjp: the rule returned a cotangent of {ct.type} for an argument of {x.type}")
    return found


def _is_single(value: object) -> bool:
    return isinstance(value, tuple) and len(value) == 1  # pyright: ignore[reportUnknownArgumentType]
