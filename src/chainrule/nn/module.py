"""What layers and models are: plain objects whose attributes form a tree of tensors.

A tensor that requires a gradient is a parameter, any other tensor a buffer, a module a child; lists, tuples and dicts
are looked into. Attributes whose names start with an underscore are private and no part of the tree. There is nothing
to register and nothing to inherit from but `forward` and these methods:

    class Net(nn.Module):
        def __init__(self):
            self.layers = [nn.Linear(4, 8), nn.Linear(8, 1)]     # layers.0.weight, layers.0.bias, layers.1.weight, ...
            self.scale = nn.Parameter(1.0)                       # scale

        def forward(self, x):
            return self.scale * self.layers[1](ops.tanh(self.layers[0](x)))

To `grad`, `trace` and `map_tree` a module is a container like a dict of its tensors.
"""

from __future__ import annotations

import copy
import threading
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Self, TypeAlias, cast

import numpy as np

from chainrule.errors import ChainruleError, DefinitionError, StateError
from chainrule.nn.state import State, load_state, take_state
from chainrule.state import current_tracing
from chainrule.tensor import Tensor, TensorLike, tensor
from chainrule.trace import trace
from chainrule.trees import Children, flatten, register_container
from chainrule.types import DTypeLike

Observer: TypeAlias = "Callable[[Module, Any], None]"


def Parameter(value: TensorLike, dtype: DTypeLike | None = None, *, name: str | None = None) -> Tensor:
    """A tensor that is trained: a copy of `value` that requires a gradient.

    >>> Parameter([1.0, 2.0])
    tensor([1., 2.], f32[2], requires_grad=True)
    """
    return tensor(value, dtype, requires_grad=True, name=name)


class Module:
    """Base of all layers and models: a tree of tensors with a `forward`.

    Names of tensors and modules are paths of attributes, list positions and dict keys, joined by dots. A tensor or a
    module that is reached by several paths is counted once, under the first.

    >>> class Scale(Module):
    ...     def __init__(self, size):
    ...         self.factor = Parameter([1.0] * size)
    ...
    ...     def forward(self, x):
    ...         return x * self.factor
    >>> model = Scale(2)
    >>> model([3.0, 4.0])
    tensor([3., 4.], f32[2])
    >>> model.named_parameters()
    [('factor', tensor([1., 1.], f32[2], requires_grad=True))]
    """

    _training: bool = True

    @property
    def training(self) -> bool:
        """Whether it trains rather than evaluates. Who asks while a function is traced makes that part of the trace."""
        traced = current_tracing()
        if traced is not None:
            traced.modes[id(self)] = (self, "training", self._training)
        return self._training

    @training.setter
    def training(self, mode: bool) -> None:
        self._training = mode

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """What the module computes; subclasses define it."""
        raise DefinitionError(f"{type(self).__name__} has no forward method")

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run `forward`. An error that leaves it says in which layer it arose."""
        traced = current_tracing()
        if traced is not None:
            self._name_tensors(traced.names)
        try:
            result = self.forward(*args, **kwargs)
        except ChainruleError as error:
            _say_where(error, self)
            raise
        if _calls.observer is not None:
            _calls.observer(self, result)
        return result

    def _name_tensors(self, names: dict[int, str]) -> None:
        """Let a graph call the tensors by their paths, `net.layers.0.weight`; the outermost module comes first."""
        found = _named_tensors(self)
        if found and id(found[0][1]) not in names:
            names.update((id(x), f"{type(self).__name__.lower()}.{path}") for path, x in found)

    def named_parameters(self) -> list[tuple[str, Tensor]]:
        """Name and tensor of everything that is trained."""
        return [(name, x) for name, x in _named_tensors(self) if x.requires_grad]

    def parameters(self) -> list[Tensor]:
        """All tensors that are trained."""
        return [x for _, x in self.named_parameters()]

    def named_buffers(self) -> list[tuple[str, Tensor]]:
        """Name and tensor of everything that is kept but not trained, such as running statistics."""
        return [(name, x) for name, x in _named_tensors(self) if not x.requires_grad]

    def named_modules(self) -> list[tuple[str, Module]]:
        """Path and module of this module, whose path is '', and of all below it."""
        found: dict[int, tuple[str, Module]] = {}
        for name, x in [("", self), *_below(self, (self,))]:
            if isinstance(x, Module):
                found.setdefault(id(x), (name, x))
        return list(found.values())

    def modules(self) -> list[Module]:
        """This module and all below it."""
        return [module for _, module in self.named_modules()]

    def children(self) -> list[Module]:
        """The modules directly below this one."""
        return list({id(x): x for _, x in _contents(self) if isinstance(x, Module)}.values())

    def state_dict(self) -> State:
        """A copy of every parameter and buffer as a NumPy array, by name; bfloat16 comes as float32."""
        return take_state(dict(_named_tensors(self)))

    def load_state_dict(self, state: Mapping[str, Any], strict: bool = True) -> None:
        """Give parameters and buffers the values of a state: all of them, or none if any does not fit.

        Args:
            state: arrays by name, as `state_dict` returns them. A tensor that is reached by several paths may come
                under any of them, or under several with the same values.
            strict: whether names that are missing or unexpected are errors. Shapes and data types must fit anyway.

        Raises `StateError` listing every name that is missing, unexpected, or of another shape or data type.

        >>> from chainrule.nn.linear import Linear
        >>> Linear(2, 1).load_state_dict({"weight": [[1.0, 2.0]], "scale": [1.0]})
        Traceback (most recent call last):
        chainrule.errors.StateError: the state does not fit Linear(2, 1); nothing was loaded
          data type   weight: float64 in the state, float32 here
          missing     bias: f32[1]
          unexpected  scale: float64[1]
        """
        load_state(self.describe(), dict(_named_tensors(self)), _under_first_names(self, state), strict=strict)

    def train(self, mode: bool = True) -> Self:
        """Switch this module and all below it to training, where dropout drops and statistics are gathered."""
        for module in self.modules():
            module.training = mode
        return self

    def eval(self) -> Self:
        """Switch this module and all below it to evaluation."""
        return self.train(False)

    def zero_grad(self) -> None:
        """Forget the gradients of all parameters."""
        for x in self.parameters():
            x.grad = None

    def options(self) -> str:
        """The arguments that `repr` shows; subclasses define it."""
        return ""

    def describe(self) -> str:
        """The module as it is written in code, without what is below it: `Linear(784, 512)`."""
        return f"{type(self).__name__}({self.options()})"

    def __repr__(self) -> str:
        return "\n".join(_tree_lines(self))

    def summary(self, *example_inputs: Any) -> str:
        """A table of all layers with the types of their outputs and their numbers of parameters.

        The outputs are found by tracing: only the types of the example inputs matter, and nothing is computed.

        >>> from chainrule.nn.linear import Linear
        >>> print(Linear(784, 10).summary(tensor([[0.0] * 784])))
        layer  kind             output      parameters
               Linear(784, 10)  f32[1, 10]       7,850
        7,850 parameters, 31,400 bytes
        """
        outputs: dict[int, str] = {}

        def note(module: Module, result: Any) -> None:
            found = ", ".join(str(x.type) for x in flatten(result)[0] if isinstance(x, Tensor))
            outputs.setdefault(id(module), found)

        with observe(note):
            trace(lambda *inputs: self(*inputs))(*example_inputs)
        rows = [("layer", "kind", "output", "parameters")]
        counted: dict[int, Tensor] = {}
        for path, module in self.named_modules():
            own = {id(x): x for _, x in _contents(module) if isinstance(x, Tensor) and x.requires_grad}
            size = _size(x for key, x in own.items() if key not in counted)
            counted |= own
            rows.append((path, module.describe(), outputs.get(id(module), "not called"), f"{size:,}" if size else ""))
        wide = [max(len(row[i]) for row in rows) for i in range(4)]
        lines = [f"{a:{wide[0]}}  {b:{wide[1]}}  {c:{wide[2]}}  {d:>{wide[3]}}".rstrip() for a, b, c, d in rows]
        memory = sum(x.size * x.dtype.itemsize for x in counted.values())
        return "\n".join([*lines, f"{_size(counted.values()):,} parameters, {memory:,} bytes"])


class _Calls(threading.local):
    """Who wants to know of the calls of layers in this thread."""

    def __init__(self) -> None:
        self.observer: Observer | None = None


_calls = _Calls()


@contextmanager
def observe(observer: Observer) -> Generator[None]:
    """Inside, `observer(module, result)` is called after every call of a module, innermost first.

    >>> from chainrule.nn.linear import Linear
    >>> with observe(lambda module, result: print(module, "made", result.type)):
    ...     out = Linear(2, 1)([1.0, 2.0])
    Linear(2, 1)  3 parameters made f32[1]
    """
    old, _calls.observer = _calls.observer, observer
    try:
        yield
    finally:
        _calls.observer = old


@contextmanager
def evaluating(module: Module) -> Generator[None]:
    """Inside, a module and all below it evaluate; afterwards each is in the mode in which it was."""
    modes = [(x, x.training) for x in module.modules()]
    module.eval()
    try:
        yield
    finally:
        for x, mode in modes:
            x.training = mode


def _parts(value: Any) -> Iterator[tuple[str, Any]]:
    """What a module, list, tuple or dict consists of; nothing for anything else."""
    if isinstance(value, Module):
        value = {key: part for key, part in vars(value).items() if not key.startswith("_")}
    if isinstance(value, dict):
        yield from ((str(key), part) for key, part in cast("dict[Any, Any]", value).items())
    elif isinstance(value, (list, tuple)):
        yield from ((str(i), part) for i, part in enumerate(cast("Sequence[Any]", value)))


def _contents(value: Any) -> Iterator[tuple[str, Tensor | Module]]:
    """The tensors and modules that a module or container holds itself, not those inside its modules."""
    for key, part in _parts(value):
        if isinstance(part, (Tensor, Module)):
            yield key, part
        else:
            yield from ((f"{key}.{rest}", x) for rest, x in _contents(part))


def _below(module: Module, above: tuple[Module, ...], prefix: str = "") -> Iterator[tuple[str, Tensor | Module]]:
    """The path and value of every tensor and module in the tree under a module, once for each path."""
    for key, x in _contents(module):
        name = prefix + key
        yield name, x
        if isinstance(x, Module):
            if any(x is m for m in above):
                raise DefinitionError(
                    f"{above[0].describe()}: {name} is a module that contains it; modules must form a tree"
                )
            yield from _below(x, (*above, x), f"{name}.")


def _named_tensors(module: Module) -> list[tuple[str, Tensor]]:
    """The path and value of every tensor in the tree, each once."""
    found: dict[int, tuple[str, Tensor]] = {}
    for name, x in _below(module, (module,)):
        if isinstance(x, Tensor):
            found.setdefault(id(x), (name, x))
    names = [name for name, _ in found.values()]
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise DefinitionError(
            f"{module.describe()}: two tensors are called {twice}; dict keys that hold no dots keep them apart"
        )
    return list(found.values())


def _under_first_names(module: Module, state: Mapping[str, Any]) -> dict[str, Any]:
    """A state with each tensor under its first path alone. Raises `StateError` if its values differ between paths."""
    first: dict[int, str] = {}
    paths = {path: first.setdefault(id(x), path) for path, x in _below(module, (module,)) if isinstance(x, Tensor)}
    found: dict[str, Any] = {}
    for path, value in state.items():
        name = paths.get(path, path)
        if name in found and not np.array_equal(np.asarray(found[name]), np.asarray(value), equal_nan=True):
            raise StateError(f"{name} and {path} are one tensor of {module.describe()}, but differ in the state")
        found[name] = value
    return found


def _size(tensors: Iterable[Tensor]) -> int:
    return sum(x.size for x in tensors)


def _tree_lines(module: Module, label: str = "", indent: str = "") -> list[str]:
    size = _size(module.parameters())
    lines = [f"{indent}{label}{module.describe()}" + (f"  {size:,} parameters" if size else "")]
    for key, x in _contents(module):
        if isinstance(x, Module):
            lines += _tree_lines(x, f"{key}: ", indent + "  ")
    return lines


def _say_where(error: ChainruleError, module: Module) -> None:
    """Name the layer in which an error arose, by its path from the outermost module that the error has left so far."""
    layer, message = vars(error).setdefault("layer", (module, str(error)))
    path = next((path for path, m in module.named_modules() if m is layer), None)
    if path is not None:
        error.args = (
            f"{message}\n  layer  {path} ({layer.describe()})" if path else f"{message}\n  layer  {layer.describe()}",
        )


def _children(module: Module) -> Children:
    return list[tuple[str, Any]](_named_tensors(module))


def _rebuild(module: Module, tensors: Sequence[Any]) -> Module:
    """A copy of a module with other tensors in the place of its own; ties between them are kept."""
    new = {id(old): x for (_, old), x in zip(_named_tensors(module), tensors, strict=True)}
    return _replace(module, new)


def _replace(value: Any, new: dict[int, Any]) -> Any:
    """A copy of a module or container with replaced tensors; anything else as it is."""
    if id(value) in new:
        return new[id(value)]
    if isinstance(value, Module):
        copied = new[id(value)] = copy.copy(value)
        vars(copied).update({key: _replace(part, new) for key, part in vars(value).items()})
        return copied
    if not any(True for _ in _contents(value)):
        return value
    parts = [_replace(part, new) for _, part in _parts(value)]
    if isinstance(value, tuple):
        kind = cast(Any, type(cast(Any, value)))
        return kind(*parts) if hasattr(kind, "_fields") else tuple(parts)
    copied = copy.copy(value)
    keys = list(cast("dict[Any, Any]", value)) if isinstance(value, dict) else range(len(parts))
    for key, part in zip(keys, parts, strict=True):
        copied[key] = part
    return copied


register_container(Module, _children, _rebuild)
