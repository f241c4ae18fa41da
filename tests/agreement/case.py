"""Neutral declarations of what is compared with PyTorch: names, arguments and shapes, but no number and no library.

Both sides make the same thing of a declaration. Inputs, parameters and cotangents are drawn from a seed that follows
from the declaration's own text, so that nothing but PyTorch's results is kept.
"""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import MISSING, dataclass, field, fields
from typing import Any, TypeAlias

import numpy as np

Array: TypeAlias = np.ndarray[Any, np.dtype[Any]]
Arguments: TypeAlias = Mapping[str, Any]


@dataclass(frozen=True)
class Draw:
    """An array to be drawn: for tensors among inputs, call keywords and arguments. Made by the functions below."""

    kind: str
    shape: tuple[int, ...]
    low: float | None = None
    high: float | None = None
    gradient: bool = False  # whether the gradient with respect to it is compared
    values: tuple[Any, ...] = ()


def floats(*shape: int, low: float | None = None, high: float | None = None, gradient: bool = True) -> Draw:
    """Numbers from the standard normal distribution, or uniform between two bounds."""
    return Draw("floats", shape, low, high, gradient)


def integers(*shape: int, high: int, low: int = 0) -> Draw:
    """Whole numbers from `low` to `high` - 1."""
    return Draw("integers", shape, low, high)


def booleans(*shape: int) -> Draw:
    """True or false, each with probability one half."""
    return Draw("booleans", shape)


def probabilities(*shape: int, gradient: bool = False) -> Draw:
    """Positive numbers whose sum along axis 1 (the last, if there is but one) is one."""
    return Draw("probabilities", shape, gradient=gradient)


def exactly(values: Any, gradient: bool = False) -> Draw:
    """The given numbers, integers, booleans or nested lists of them."""
    array = np.array(values)
    return Draw(array.dtype.name, array.shape, gradient=gradient, values=tuple(array.ravel().tolist()))


@dataclass(frozen=True)
class Layer:
    """A layer as an argument of another: Layer("TransformerEncoderLayer", {"d_model": 8, "nhead": 2})."""

    name: str
    arguments: Arguments = field(default_factory=dict[str, Any])


@dataclass(frozen=True)
class Schedule:
    """A schedule as an argument of another; schedules and optimizers of both sides are found by their names."""

    name: str
    arguments: Arguments = field(default_factory=dict[str, Any])


@dataclass(frozen=True)
class Formula:
    """A function of one number as an argument: Formula("epoch", "0.9 ** epoch")."""

    variable: str
    expression: str

    def __call__(self, value: Any) -> Any:
        return eval(self.expression, {}, {self.variable: value})


@dataclass(frozen=True, kw_only=True)
class Case:
    """What all declarations have in common.

    name: what is compared: "Conv2d" is `nn.Conv2d`; functions have paths, "losses.mse".
    arguments: what it is made with, by name; for functions, all that are no positional inputs.
    peer: PyTorch's name, where it is another one.
    peer_arguments: arguments that PyTorch names or counts differently; None takes one away.
    """

    name: str = field(kw_only=False)
    arguments: Arguments = field(default_factory=dict[str, Any], kw_only=False)
    peer: str = ""
    peer_arguments: Arguments = field(default_factory=dict[str, Any])

    @property
    def of_peer(self) -> tuple[str, dict[str, Any]]:
        """Name and arguments on PyTorch's side."""
        arguments = {**self.arguments, **self.peer_arguments}
        taken = {name for name, value in self.peer_arguments.items() if value is None}
        return self.peer or self.name, {name: x for name, x in arguments.items() if name not in taken}

    @property
    def text(self) -> str:
        """The whole declaration: the seed of all that is drawn, and what a recording is valid for."""
        return _written(self)

    @property
    def title(self) -> str:
        """The declaration in short, as the name of a test."""
        shown = ", ".join(f"{name}={_short(x)}" for name, x in self.arguments.items())
        rest = [f"{f.name}={_short(getattr(self, f.name))}" for f in fields(self)[4:] if not _is_default(self, f)]
        return " ".join([f"{self.name}({shown})", *rest])

    @property
    def fingerprint(self) -> str:
        """Changes whenever the declaration does."""
        return hashlib.sha256(self.text.encode()).hexdigest()[:16]

    def draw(self, what: str, shape: Sequence[int] | Draw) -> Array:
        """The array called `what`, the same on both sides; for a mere shape, normally distributed numbers."""
        wanted = shape if isinstance(shape, Draw) else floats(*shape)
        if wanted.values:
            return np.array(wanted.values).reshape(wanted.shape)
        seed = np.frombuffer(hashlib.sha256(f"{what} of {self.text}".encode()).digest(), np.uint32)
        random = np.random.RandomState(seed)  # its numbers are the same in every release of NumPy
        return _DRAWN[wanted.kind](random, wanted)

    def state(self, name: str, shape: Sequence[int]) -> Array:
        """The value that a parameter or a running statistic starts from."""
        if "running_" in name:
            return self.draw(name, floats(*shape, low=0.5, high=1.5))
        return 0.5 * self.draw(name, shape)


@dataclass(frozen=True, kw_only=True)
class LayerCase(Case):
    """A layer that is made, given parameters, and called.

    inputs: what it is called with: draws, plain values, None, or tuples of these.
    keywords: likewise, by name.
    train: whether it is in training mode.
    calls: how often it is called with the same inputs, so that running statistics move.

    Compared are the outputs, the gradients of inputs and parameters for a drawn cotangent of the last outputs, and the
    buffers after the calls.
    """

    inputs: Sequence[Any] = field(default=(), kw_only=False)
    keywords: Arguments = field(default_factory=dict[str, Any])
    train: bool = True
    calls: int = 1


@dataclass(frozen=True, kw_only=True)
class FunctionCase(Case):
    """A function, by its path within the library: outputs, and gradients of inputs and of arguments that have one."""

    inputs: Sequence[Any] = field(default=(), kw_only=False)


@dataclass(frozen=True, kw_only=True)
class OptimizerCase(Case):
    """Ten steps of an optimizer: the parameters after each.

    shapes: of the parameters.
    groups: if given, arguments of a group of its own for each parameter.
    closure: whether `step` is given a closure that computes the loss sum((w - a)^2 (1 + cos(w) / 4)) and its gradients,
        rather than drawn gradients.
    """

    shapes: Sequence[Sequence[int]] = ((3, 4), (5,), ())
    groups: Sequence[Arguments] = ()
    closure: bool = False
    steps: int = 10


@dataclass(frozen=True, kw_only=True)
class ScheduleCase(Case):
    """The learning rates of an optimizer's groups while a schedule is stepped.

    groups: arguments of each group of the optimizer, "SGD" unless another is named.
    metrics: what each step is told, for schedules that ask for it.
    """

    optimizer: str = "SGD"
    groups: Sequence[Arguments] = ({"lr": 0.1},)
    metrics: Sequence[float] = ()
    steps: int = 25


def grid(**alternatives: Sequence[Any]) -> list[dict[str, Any]]:
    """Every combination: grid(bias=[True, False], stride=[1, 2]) has four."""
    return [dict(zip(alternatives, values, strict=True)) for values in itertools.product(*alternatives.values())]


def vary(**alternatives: Sequence[Any]) -> list[dict[str, Any]]:
    """The first of all, then each further alternative alone beside the first of the others."""
    first = {name: values[0] for name, values in alternatives.items()}
    return [first, *({**first, name: value} for name, values in alternatives.items() for value in values[1:])]


def leaves(tree: Any) -> Iterator[Any]:
    """What is in nested tuples, lists and dicts, in order, without None."""
    if isinstance(tree, Mapping):
        tree = tuple(tree.values())
    if isinstance(tree, tuple | list):
        for part in tree:
            yield from leaves(part)
    elif tree is not None:
        yield tree


def made(value: Any, make: Callable[[str, Any], Any], where: str) -> Any:
    """A value with every `Draw`, `Layer`, ... within it replaced by `make(where it stands, x)`."""
    if isinstance(value, Draw | Layer | Schedule | Formula):
        return make(where, value)
    if isinstance(value, Mapping):
        return {name: made(x, make, f"{where} {name}") for name, x in value.items()}
    if isinstance(value, tuple | list):
        return type(value)(made(x, make, f"{where}.{i}") for i, x in enumerate(value))
    return value


def _uniform(random: Any, x: Draw) -> Array:
    if x.low is None or x.high is None:
        return random.standard_normal(x.shape)
    return random.uniform(x.low, x.high, x.shape)


def _probabilities(random: Any, x: Draw) -> Array:
    drawn = random.uniform(0.1, 1.0, x.shape)
    return drawn / drawn.sum(min(1, len(x.shape) - 1), keepdims=True)


_DRAWN: dict[str, Callable[[Any, Draw], Array]] = {
    "floats": _uniform,
    "integers": lambda random, x: random.randint(x.low, x.high, x.shape).astype(np.int64),
    "booleans": lambda random, x: random.uniform(size=x.shape) < 0.5,
    "probabilities": _probabilities,
}


def _is_default(owner: Any, f: Any) -> bool:
    default = f.default_factory() if f.default_factory is not MISSING else f.default
    return getattr(owner, f.name) == default


def _written(value: Any) -> str:
    """A value as text. Fields at their defaults are left out: a new field changes no declaration that is there."""
    if isinstance(value, Case | Draw | Layer | Schedule | Formula):
        shown = [f"{f.name}={_written(getattr(value, f.name))}" for f in fields(value) if not _is_default(value, f)]
        return f"{type(value).__name__}({', '.join(shown)})"
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{name}: {_written(x)}" for name, x in value.items()) + "}"
    if isinstance(value, tuple | list):
        return "(" + ", ".join(map(_written, value)) + ")"
    return repr(value)


def _short(value: Any) -> str:
    if isinstance(value, Draw):
        return f"{value.kind}[{'x'.join(map(str, value.shape))}]"
    if isinstance(value, Layer | Schedule):
        return f"{value.name}({', '.join(f'{name}={_short(x)}' for name, x in value.arguments.items())})"
    if isinstance(value, Formula):
        return value.expression
    if isinstance(value, Mapping):
        return "(" + ", ".join(f"{name}={_short(x)}" for name, x in value.items()) + ")"
    if isinstance(value, tuple | list):
        return "(" + ", ".join(map(_short, value)) + ")"
    return str(value)
