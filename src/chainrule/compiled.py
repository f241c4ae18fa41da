"""`compile`: a function of tensors as native code.

    @chainrule.compile
    def train_step(x, y):
        loss = losses.cross_entropy(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

The function is traced once for each signature: the types of its arguments, whatever they hold beside tensors, whether
the modules that it calls train or evaluate, and the options of its optimizers. What it reads from outside (parameters,
optimizer state, random generators) is read anew at each call, and what it assigns is updated in place. Arrays come and
go in row-major order, or as they are if they are images [N, C, ...] whose channels lie side by side; others are copied.
"""

from __future__ import annotations

import threading
import warnings
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import update_wrapper
from typing import Any, overload

from chainrule.compiler.blueprint import Kind
from chainrule.compiler.build import built
from chainrule.compiler.channels import arranged, is_channels_last
from chainrule.compiler.profile import Profile
from chainrule.compiler.report import KernelTable, kernel_table
from chainrule.compiler.variant import INPUT_COPIED, Held, Variant
from chainrule.errors import DefinitionError, TraceError
from chainrule.graph import Graph
from chainrule.state import Tracing, current, current_recording
from chainrule.tensor import Tensor, as_tensor
from chainrule.trace import trace_within
from chainrule.trees import Structure, flatten, static_parts, unflatten

MANY = 16
"""After so many signatures of one function, a warning says what keeps changing."""


@dataclass(frozen=True)
class Options:
    """How functions are compiled.

    Attributes:
        target: the processor to make code for: "host", or a plain "x86-64-v2", "x86-64-v3" or "x86-64-v4".
    """

    target: str = "host"


class Compiled:
    """A function that runs as native code; made by `compile`."""

    def __init__(self, function: Callable[..., Any], options: Options) -> None:
        self.function = function
        self.options = options
        self.variants: dict[Any, list[Variant]] = {}
        self.recent: list[Variant] = []  # those whose arguments are arrays and tensors and nothing else, the last first
        self.companions: dict[str, Compiled] = {}  # what else was made of the function, such as a loop over batches
        self.last: Variant | None = None
        self._lock = threading.RLock()
        update_wrapper(self, function)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if current.tracing is not None:
            return self.function(*args, **kwargs)
        if not kwargs:
            for variant in self.recent:
                values = variant.matching(args)
                if values is not None:
                    self.last = variant
                    return variant.call(values)
        leaves, structure = flatten((args, kwargs))
        tensors = [as_tensor(x) for x in leaves]
        if current_recording() and any([x.requires_grad for x in tensors]):
            return self.function(*args, **kwargs)  # a backward pass wants to know how results are computed
        variant = self.variant(structure, tensors)
        values = [arranged(x.known()) for x in tensors]
        if not kwargs and variant.expect(args, values):
            self.recent = [variant, *(x for x in self.recent if x is not variant)][:MANY]
        return variant.call(values)

    def variant(self, structure: Structure, tensors: Sequence[Tensor]) -> Variant:
        """What the function is compiled to for these arguments; traced and compiled if that has not been done."""
        values = [x.known() for x in tensors]
        entering = [i for i, x in enumerate(values) if x.nbytes > INPUT_COPIED and is_channels_last(x)]
        key = (_of_structure(structure), *[x.type for x in tensors], *entering)
        variant = self._fitting(key)
        if variant is None:
            with self._lock:
                variant = self._fitting(key)  # another thread may have been quicker
                if variant is None:
                    variant = self._compile(structure, tensors, entering)
                    self.variants.setdefault(key, []).append(variant)
                    self._warn()
        self.last = variant
        return variant

    def _fitting(self, key: Any) -> Variant | None:
        return next((variant for variant in self.variants.get(key, ()) if variant.fits()), None)

    def _compile(self, structure: Structure, tensors: Sequence[Tensor], entering: Collection[int]) -> Variant:
        context = Tracing()
        args, kwargs = unflatten(structure, tensors)
        graph, result = trace_within(context, self.function, *args, **kwargs)
        if context.accumulated:
            names = ", ".join([*context.accumulated.values()][:3])
            raise TraceError(
                f"compile: gradients of {names} would add up from call to call; "
                "call optimizer.zero_grad() in the function, before backward()"
            )
        graph.verify()
        moving = self.moving(graph)
        program = built(graph, self.options.target, moving, entering, free=moving is None)
        assigned = {id(x) for x, _ in graph.assigned}
        read = {id(x) for x, _ in graph.captured}
        first = len(graph.inputs)
        held = [Held(x, first + i, id(x) in assigned) for i, (x, _) in enumerate(graph.captured)]
        unread = [x for x, _ in graph.assigned if id(x) not in read]
        held += [Held(x, first + len(graph.captured) + i, True) for i, x in enumerate(unread)]
        return Variant(
            graph,
            result,
            program,
            held,
            list(context.modes.values()),
            [x.type for x in graph.inputs],
            [x.type for x in graph.outputs],
        )

    def moving(self, graph: Graph) -> Mapping[tuple[Kind, int], int] | None:
        """Arguments that move on if the program runs in a loop; None if it does not."""
        return None

    def _warn(self) -> None:
        count = sum(map(len, self.variants.values()))
        if count and count % MANY == 0:
            name = getattr(self.function, "__name__", "the function")
            warnings.warn(f"{name} has been compiled {count} times: {self._changing()}", stacklevel=4)

    def _changing(self) -> str:
        """Which argument differs from signature to signature."""
        keys = list(self.variants)
        for i in range(1, min(map(len, keys))):
            kinds = {str(key[i]) for key in keys}
            if len(kinds) > len(keys) // 2:
                return f"argument {i} comes as {', '.join(sorted(kinds)[:4])}, ..."
        return "its arguments hold ever other things beside tensors, or modules switch between training and evaluation"

    @property
    def graph(self) -> Graph:
        """The traced program of the last call; before any, of an epoch."""
        return self._known().graph

    @property
    def kernels(self) -> KernelTable:
        """What the last call ran, or before any an epoch: kernels in order, the loops that they are in, and memory.

        >>> import numpy as np
        >>> import chainrule as cr
        >>> @cr.compile
        ... def layer(x, w):
        ...     return (x @ w).max(axis=1)
        >>> _ = layer(np.ones((32, 64), np.float32), np.ones((64, 30), np.float32))
        >>> [(kernel.kind, kernel.shape) for kernel in layer.kernels]
        [('product', '32x64x30'), ('rows', '32x30')]
        """
        variant = self._known()
        return kernel_table(variant.program.blueprint, variant.names())

    def profile(self, *args: Any, repeats: int | None = None, **kwargs: Any) -> Profile:
        """Where the time goes: run the function with these arguments again and again, and measure every kernel.

        Tensors from outside stay as they are: each run starts with a copy of those that the function assigns.

        Args:
            repeats: how often it is run; by default as often as about half a second allows, 5 to 200 times.

        Returns a `Profile`, which prints as a table and draws a picture.

        >>> import numpy as np
        >>> import chainrule as cr
        >>> w = cr.tensor(np.ones((64, 30), np.float32))
        >>> @cr.compile
        ... def step(x):
        ...     w.assign(w - 0.1 * (x.T @ (x @ w)))
        >>> profile = step.profile(np.ones((32, 64), np.float32), repeats=3)
        >>> sorted(row.kernel.shape for row in profile)
        ['32x64x30', '64x32x30']
        >>> w[0, 0].item()
        1.0
        """
        leaves, structure = flatten((args, kwargs))
        tensors = [as_tensor(x) for x in leaves]
        values = [arranged(x.known()) for x in tensors]
        return self.variant(structure, tensors).profile(values, repeats)

    def _known(self) -> Variant:
        for known in (self, *self.companions.values()):
            if known.last is not None:
                return known.last
        raise TraceError("nothing is known of a compiled function before it has been called")

    def __repr__(self) -> str:
        return f"<compiled {getattr(self.function, '__name__', self.function)}>"


def _of_structure(structure: Structure) -> Any:
    """What arguments hold beside tensors, as a part of a signature: True is not 1 there."""
    static = static_parts(structure)
    for x in static:
        try:
            hash(x)
        except TypeError:
            raise DefinitionError(
                f"compile: {x!r:.60} cannot be told from others of its kind: beside tensors, arguments can be numbers, "
                "texts and whatever else is hashable"
            ) from None
    return structure, *map(type, static)


@overload
def compile(function: Callable[..., Any], *, options: Options = ...) -> Compiled: ...
@overload
def compile(*, options: Options = ...) -> Callable[[Callable[..., Any]], Compiled]: ...
def compile(function: Callable[..., Any] | None = None, *, options: Options = Options()) -> Any:
    """Compile a function; works as a decorator.

    >>> import numpy as np
    >>> import chainrule as cr
    >>> @cr.compile
    ... def scaled(x):
    ...     return cr.tanh(x * 2.0)
    >>> scaled(np.array([0.0, 1.0]))
    tensor([0.        , 0.96402758], f64[2])
    """

    def decorate(function: Callable[..., Any]) -> Compiled:
        return Compiled(function, options)

    return decorate if function is None else decorate(function)
