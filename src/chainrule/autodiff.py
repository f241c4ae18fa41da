"""Derivatives of Python functions: thin uses of `gradients`.

Functions take and return tensors, arrays, floats, and nested lists, tuples, dicts and modules of these. One derivative
rule an operation, the vjp, serves for all: forward mode is the vjp of the vjp.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import compress
from typing import Any, cast

import numpy as np

from chainrule.errors import DtypeError, GradientError, ShapeError
from chainrule.gradients import gradients
from chainrule.graph import Graph, topological
from chainrule.op import method
from chainrule.ops.cast import identity, stop_gradient
from chainrule.ops.creation import full, full_like
from chainrule.ops.join import stack
from chainrule.ops.layout import reshape
from chainrule.state import Tracing, current_recording, current_tracing, recording, tracing
from chainrule.tensor import Tensor, TensorLike, as_tensor
from chainrule.trees import flatten, held_by_modules, leaves_like, unflatten
from chainrule.types import Shape


@method
def backward(loss: Tensor, gradient: TensorLike | None = None, *, retain_graph: bool = False) -> None:
    """Add the derivative of `loss` to the `.grad` of every leaf that requires a gradient.

    Args:
        loss: a tensor of one element, or of any shape if `gradient` is given.
        gradient: the cotangent of `loss`; 1 by default.
        retain_graph: whether the graph may be walked again. By default it is freed.

    Raises `GradientError` if nothing that requires a gradient leads to `loss`, if `loss` has several elements and
    `gradient` is missing, or if the graph was freed before.

    >>> from chainrule.tensor import tensor
    >>> w = tensor([1.0, 2.0], requires_grad=True)
    >>> (w * w).sum().backward()
    >>> w.grad
    tensor([2., 4.], f32[2])
    """
    if not loss.requires_grad:
        raise GradientError(
            "backward: nothing that requires a gradient leads to this tensor; make parameters with requires_grad=True"
        )
    if gradient is None and loss.size != 1:
        raise GradientError(
            f"backward: a loss of one element is needed, not {loss.type}; reduce it with mean() or give `gradient`"
        )
    traced = current_tracing()
    ct = full_like(loss, 1.0) if gradient is None else as_tensor(gradient, loss.dtype)
    _check_cotangent("backward", loss, ct)
    outside = traced.variables if traced is not None else {}
    order = topological([loss], stop=outside)
    leaves = [x for x in order if x.requires_grad and (x.op is None or id(x) in outside)]
    with recording(traced is not None):
        found = gradients([loss], [ct], leaves)
        for leaf, new in zip(leaves, found, strict=True):
            target = outside.get(id(leaf), leaf)
            if new is not None:
                target.grad = new if target.grad is None else target.grad + new
    if traced is None and not retain_graph:
        for node in order:
            node.inputs = ()


def _check_cotangent(name: str, out: Tensor, ct: Tensor) -> None:
    if ct.shape != out.shape:
        raise ShapeError(f"{name}: a cotangent of {ct.type} does not fit an output of {out.type}")
    if ct.dtype is not out.dtype:
        raise DtypeError(f"{name}: a cotangent of {ct.type} does not fit an output of {out.type}")


def variables_of(leaves: Sequence[TensorLike]) -> list[Tensor]:
    """The leaves as nodes of their own that require a gradient, whatever made them; integers as they are."""
    found = [as_tensor(leaf) for leaf in leaves]
    return [_variable(x) if x.dtype.is_float else x for x in found]


def _variable(x: Tensor) -> Tensor:
    linked = current_tracing() is not None or x.requires_grad
    variable = identity(x) if linked else Tensor(x.type, x.value, source=x.source, name=x.name)
    variable.requires_grad = True
    return variable


class _Evaluation:
    """A function run once on variables, ready to be pulled back, with care for what surrounds it.

    If only its own variables require a gradient, nothing outside can want the derivative of the derivative: the
    backward pass is not recorded, and what is returned does not hold the graph.
    """

    def __init__(self, function: Callable[..., Any], args: Sequence[Any], has_aux: bool = False) -> None:
        leaves, self.structure = flatten(tuple(args))
        given = [as_tensor(leaf) for leaf in leaves]
        held = held_by_modules(self.structure)  # a module's buffers stay what they are, and can be assigned
        self.chosen = [x.dtype.is_float and (x.requires_grad or not h) for x, h in zip(given, held, strict=True)]
        outer = current_recording()
        with recording(True):
            self.variables = [_variable(x) if c else x for x, c in zip(given, self.chosen, strict=True)]
            returned: Any = function(*unflatten(self.structure, self.variables))
        self.aux: Any = None
        if has_aux:
            if not isinstance(returned, tuple):
                raise GradientError("grad: with has_aux the function must return a pair, (value, auxiliary)")
            returned, self.aux = cast("tuple[Any, Any]", returned)
        self.returned = returned
        flat, self.result = flatten(returned)
        self.outputs = [as_tensor(x) for x in flat]
        self.keep = outer and (current_tracing() is not None or self._escapes())

    def _escapes(self) -> bool:
        own = {id(v) for v in self.own}
        if any(v.inputs for v in self.own):
            return True
        return any(x.requires_grad and x.op is None and id(x) not in own for x in topological(self.outputs, stop=own))

    def plain(self, tree: Any) -> Any:
        """A tree of results as it may leave: cut off from the variables unless something outside wants derivatives."""
        if self.keep:
            return tree
        leaves, structure = flatten(tree)
        return unflatten(structure, [stop_gradient(x) if isinstance(x, Tensor) else x for x in leaves])

    def pull(self, cotangents: Sequence[Tensor]) -> list[Tensor | None]:
        """The cotangent of each variable; zeros where it has no influence, None for what is no variable."""
        with recording(self.keep):
            found = gradients(self.outputs, cotangents, self.own)
            filled = [full_like(v, 0.0) if ct is None else ct for v, ct in zip(self.own, found, strict=True)]
        in_order = iter(filled)
        return [next(in_order) if chosen else None for chosen in self.chosen]

    @property
    def own(self) -> list[Tensor]:
        """The variables that are differentiated by."""
        return [v for v, c in zip(self.variables, self.chosen, strict=True) if c]


def vjp(function: Callable[..., Any], *args: Any) -> tuple[Any, Callable[[Any], tuple[Any, ...]]]:
    """The value of a function and its pullback, which maps a cotangent of the value to cotangents of the arguments.

    >>> y, pullback = vjp(lambda x: x * x, np.array([1.0, 2.0]))
    >>> pullback(np.array([1.0, 10.0]))
    (tensor([ 2., 40.], f64[2]),)
    """
    run = _Evaluation(function, args)

    def pullback(cotangent: Any) -> tuple[Any, ...]:
        leaves = leaves_like(cotangent, run.returned)
        if len(leaves) != len(run.outputs):
            raise ShapeError(f"vjp: {len(leaves)} cotangents given for {len(run.outputs)} outputs")
        cts = [as_tensor(ct, out.dtype) for ct, out in zip(leaves, run.outputs, strict=True)]
        for out, ct in zip(run.outputs, cts, strict=True):
            _check_cotangent("vjp", out, ct)
        return unflatten(run.structure, run.pull(cts))

    return run.plain(run.returned), pullback


def value_and_grad(
    function: Callable[..., Any], argnums: int | Sequence[int] = 0, *, has_aux: bool = False
) -> Callable[..., tuple[Any, Any]]:
    """A function that returns the value of `function` and its gradient with respect to some arguments.

    Args:
        function: returns a tensor of one element, or a pair of it and anything else if `has_aux`.
        argnums: the argument, or arguments, to differentiate by. The gradient has their structure; for several, it is
            a tuple. Integers and the buffers of modules get None.
        has_aux: whether `function` returns (value, auxiliary); then ((value, auxiliary), gradient) is returned.

    Raises `GradientError` if the value is no float tensor of one element, or an argument holds no float.

    >>> value_and_grad(lambda w: (w * w).sum())(np.array([1.0, 2.0]))
    (tensor(5., f64[]), tensor([2., 4.], f64[2]))
    """
    positions = (argnums,) if isinstance(argnums, int) else tuple(argnums)

    def evaluate(*args: Any, **kwargs: Any) -> tuple[Any, Any]:
        if any(not -len(args) <= i < len(args) for i in positions):
            raise GradientError(
                f"grad: argnums={argnums}, but the function was called with {len(args)} positional arguments"
            )
        places = [i % len(args) for i in positions]

        def of_chosen(*chosen: Any) -> Any:
            given = list(args)
            for i, value in zip(places, chosen, strict=True):
                given[i] = value
            return function(*given, **kwargs)

        run = _Evaluation(of_chosen, [_differentiable(args[i], i) for i in places], has_aux)
        if len(run.outputs) != 1 or run.outputs[0].size != 1 or not run.outputs[0].dtype.is_float:
            shown = ", ".join(str(x.type) for x in run.outputs) or "nothing"
            raise GradientError(
                f"grad: the function must return one float of one element, not {shown}; reduce it with mean() or sum()"
            )
        found = unflatten(run.structure, run.pull([full_like(run.outputs[0], 1.0)]))
        value = run.plain(run.returned)
        return ((value, run.plain(run.aux)) if has_aux else value), (found[0] if isinstance(argnums, int) else found)

    return evaluate


def _differentiable(argument: Any, position: int) -> Any:
    """An argument, checked to hold floats; a Python int or a list of numbers becomes a tensor."""
    leaves, _ = flatten(argument)
    if isinstance(argument, int) or (leaves and not any(as_tensor(x).dtype.is_float for x in leaves)):
        raise DtypeError(f"grad: argument {position} holds integers; convert it to a float to differentiate by it")
    if not leaves:
        raise GradientError(f"grad: argument {position} ({type(argument).__name__}) holds no tensor")
    return argument


def grad(
    function: Callable[..., Any], argnums: int | Sequence[int] = 0, *, has_aux: bool = False
) -> Callable[..., Any]:
    """A function that returns the gradient of `function`; see `value_and_grad`.

    With `has_aux` it returns (gradient, auxiliary).

    >>> grad(lambda x: x**3)(2.0), grad(grad(lambda x: x**3))(2.0)
    (tensor(12., f32[]), tensor(12., f32[]))
    """
    evaluate = value_and_grad(function, argnums, has_aux=has_aux)

    def gradient(*args: Any, **kwargs: Any) -> Any:
        value, found = evaluate(*args, **kwargs)
        return (found, value[1]) if has_aux else found

    return gradient


def jvp(function: Callable[..., Any], primals: Sequence[Any], tangents: Sequence[Any]) -> tuple[Any, Any]:
    """The value of a function and its derivative in a direction: forward mode, as the vjp of the vjp.

    The pullback is linear in the cotangent; its own pullback is the pushforward (J. Townsend, "A new trick for
    calculating Jacobian vector products", 2017). Tangents of integer arguments are ignored.

    >>> jvp(lambda x: x * x, [np.array([1.0, 2.0])], [np.array([1.0, 10.0])])
    (tensor([1., 4.], f64[2]), tensor([ 2., 40.], f64[2]))
    """
    directions = leaves_like(tuple(tangents), tuple(primals))
    run = _Evaluation(function, primals)
    if len(directions) != len(run.variables):
        raise ShapeError(f"jvp: {len(directions)} tangents given for {len(run.variables)} arguments")
    with recording(True):
        dummies = variables_of([full_like(out, 0.0) for out in run.outputs])
        pulled = gradients(run.outputs, dummies, run.own)
    chosen = compress(directions, run.chosen)
    pairs = [(ct, as_tensor(t, ct.dtype)) for ct, t in zip(pulled, chosen, strict=True) if ct is not None]
    for ct, t in pairs:
        _check_cotangent("jvp", ct, t)
    run.keep = run.keep or (current_recording() and any(t.requires_grad for _, t in pairs))
    with recording(run.keep):
        pushed = gradients([ct for ct, _ in pairs], [t for _, t in pairs], dummies)
        filled = [full_like(out, 0.0) if t is None else t for out, t in zip(run.outputs, pushed, strict=True)]
    return run.plain(run.returned), run.plain(unflatten(run.result, filled))


def jacobian(function: Callable[..., Any], argnums: int = 0) -> Callable[..., Any]:
    """A function that returns all partial derivatives of `function` with respect to one argument.

    For an output of shape [*m] and an argument of shape [*n] it is a tensor of shape [*m, *n], one pullback for each
    element of the output. Nested outputs and arguments give nested results: for each output, one for each leaf.

    >>> jacobian(lambda x: x * x)(np.array([1.0, 2.0]))
    tensor([[2., 0.],
            [0., 4.]], f64[2, 2])
    """

    def evaluate(*args: Any, **kwargs: Any) -> Any:
        def of_chosen(chosen: Any) -> Any:
            given = list(args)
            given[argnums] = chosen
            return function(*given, **kwargs)

        run = _Evaluation(of_chosen, [_differentiable(args[argnums], argnums)])
        per_output: list[Any] = []
        for position, out in enumerate(run.outputs):
            rows = [_row(run, position, i) for i in range(out.size)]
            columns = [
                _stacked([row[j] for row in rows], (*out.shape, *v.shape), v) if chosen else None
                for j, (v, chosen) in enumerate(zip(run.variables, run.chosen, strict=True))
            ]
            per_output.append(run.plain(unflatten(run.structure, columns)[0]))
        return unflatten(run.result, per_output)

    return evaluate


def _stacked(rows: Sequence[Tensor | None], shape: Shape, like: Tensor) -> Tensor:
    found = [row for row in rows if row is not None]
    return reshape(stack(found), shape) if found else full(shape, 0.0, like.dtype)


def _row(run: _Evaluation, position: int, element: int) -> list[Tensor | None]:
    """The derivatives of one element of one output by all variables."""
    cts = [full_like(out, 0.0) for out in run.outputs]
    out = run.outputs[position]
    cts[position] = as_tensor((np.arange(out.size) == element).reshape(out.shape).astype(out.dtype.numpy))
    return run.pull(cts)


def hessian(function: Callable[..., Any], argnums: int = 0) -> Callable[..., Any]:
    """A function that returns the matrix of second derivatives of a scalar function: the Jacobian of its gradient.

    >>> hessian(lambda x: (x**3).sum())(np.array([1.0, 2.0]))
    tensor([[ 6.,  0.],
            [ 0., 12.]], f64[2, 2])
    """
    return jacobian(grad(function, argnums), argnums)


def hvp(function: Callable[..., Any], primals: Sequence[Any], tangents: Sequence[Any]) -> tuple[Any, ...]:
    """The Hessian of a scalar function times a vector, at the cost of two gradients and without the Hessian.

    The Hessian is symmetric, so that the pullback of the gradient is the product (Pearlmutter, "Fast exact
    multiplication by the Hessian", Neural Computation 6, 1994). Returns one product for each argument.

    >>> hvp(lambda x: (x**3).sum(), [np.array([1.0, 2.0])], [np.array([1.0, 10.0])])
    (tensor([  6., 120.], f64[2]),)
    """
    _, pullback = vjp(grad(function, range(len(primals))), *primals)
    return pullback(tuple(tangents))


def gradient_graph(graph: Graph, wrt: Sequence[str] | None = None) -> Graph:
    """The program with its backward pass, as a graph that can be read, run and differentiated again.

    Args:
        graph: from `trace`. If it does not return one float of one element, the cotangents of its outputs become
            further inputs, called `ct0`, `ct1` ...
        wrt: names of the inputs and captured tensors to differentiate by. By default those that require a gradient,
            and every float input if there are none.

    Returns a graph whose outputs are those of `graph`, followed by the gradients. Raises `GradientError` for an
    unknown name, or if nothing can be differentiated.

    >>> from chainrule.trace import trace
    >>> print(gradient_graph(trace(lambda x: x * x)(3.0)).results[1].op)
    <op add>
    """
    context = Tracing()
    with tracing(context), recording(True):
        fresh = [
            Tensor(x.type, None, requires_grad=x.requires_grad, source=x.source, name=x.name) for x in graph.parameters
        ]
        chosen = _chosen(fresh, len(graph.inputs), wrt)
        results = graph.replay(fresh)
        outputs = results[: len(graph.outputs)]
        floats = [x for x in outputs if x.dtype.is_float]
        cotangents: list[Tensor] = []
        if len(outputs) == 1 and floats and outputs[0].size == 1:
            given = [full_like(outputs[0], 1.0)]
        else:
            cotangents = given = [Tensor(x.type, None, source=x.source, name=f"ct{i}") for i, x in enumerate(floats)]
        found = gradients(floats, given, chosen)
        filled = [full_like(v, 0.0) if ct is None else ct for v, ct in zip(chosen, found, strict=True)]
    count = len(graph.inputs)
    captured = [(outside, new) for (outside, _), new in zip(graph.captured, fresh[count:], strict=True)]
    captured += context.captured.values()  # what derivative rules read
    assigned = tuple((outside, new) for (outside, _), new in zip(graph.assigned, results[len(outputs) :], strict=True))
    context.forget()
    return Graph((*fresh[:count], *cotangents), (*outputs, *filled), tuple(captured), assigned)


def _chosen(fresh: Sequence[Tensor], inputs: int, wrt: Sequence[str] | None) -> list[Tensor]:
    """The parameters of a graph to differentiate by."""
    if wrt is not None:
        by_name = {x.name: x for x in fresh}
        unknown = [name for name in wrt if name not in by_name or not by_name[name].dtype.is_float]
        if unknown:
            raise GradientError(
                f"gradient_graph: no float tensor called {unknown[0]!r}; there are {sorted(map(str, by_name))}"
            )
        return [by_name[name] for name in wrt]
    found = [x for x in fresh if x.requires_grad] or [x for x in fresh[:inputs] if x.dtype.is_float]
    if not found:
        raise GradientError("gradient_graph: no input is a float")
    return found
