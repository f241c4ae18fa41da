"""What an operation is: one record that says all there is to know about it.

    tanh = define(
        "tanh",
        takes=(FLOATS,),                                     # data types of the inputs
        infer=same_type,                                     # types in -> type out, or a ShapeError
        numpy=np.tanh,                                       # the reference, and what runs eagerly
        vjp=(lambda ct, out, x: ct * (1 - out * out),),      # one rule an input, in the library's own operations
        samples=floats(-3, 3),                               # what the tests draw
        kernel=Map(vecmath.tanh),                            # how it is compiled: see `kernel`
    )

Interpreter, compiler, printer, checker, gradient checks and mutation tests all iterate over `REGISTRY`: an operation
that is declared is tested, and nothing else needs to be touched to add one, inside this package or outside of it.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

from chainrule.errors import DefinitionError
from chainrule.kernel import Kernel
from chainrule.samples import Draw, Sample
from chainrule.types import Array, DType, TensorType

if TYPE_CHECKING:
    from chainrule.tensor import Tensor

    # These spell out how many parameters a function may have, so that a lambda in a declaration is checked with types.
    Types: TypeAlias = TensorType | tuple[TensorType, ...]
    Infer: TypeAlias = (
        Callable[[TensorType], Types]
        | Callable[[TensorType, Any], Types]
        | Callable[[TensorType, Any, Any], Types]
        | Callable[[TensorType, Any, Any, Any], Types]
        | Callable[[TensorType, Any, Any, Any, Any], Types]
        | Callable[[TensorType, Any, Any, Any, Any, Any], Types]
        | Callable[[TensorType, Any, Any, Any, Any, Any, Any], Types]
        | Callable[[TensorType, Any, Any, Any, Any, Any, Any, Any], Types]
        | Callable[..., Types]
    )
    """(*types of the inputs, **attributes) -> the type of the output, or a tuple of types."""
    Twin: TypeAlias = (
        Callable[[Array], Any]
        | Callable[[Array, Any], Any]
        | Callable[[Array, Any, Any], Any]
        | Callable[[Array, Any, Any, Any], Any]
        | Callable[[Array, Any, Any, Any, Any], Any]
        | Callable[[Array, Any, Any, Any, Any, Any], Any]
        | Callable[[Array, Any, Any, Any, Any, Any, Any], Any]
        | Callable[[Array, Any, Any, Any, Any, Any, Any, Any], Any]
        | Callable[..., Any]
    )
    """(*arrays, **attributes) -> the array of the output, or a tuple of arrays."""
    Rule: TypeAlias = (
        Callable[[Tensor, Tensor, Tensor], Tensor]
        | Callable[[Tensor, Tensor, Tensor, Any], Tensor]
        | Callable[[Tensor, Tensor, Tensor, Any, Any], Tensor]
        | Callable[[Tensor, Tensor, Tensor, Any, Any, Any], Tensor]
        | Callable[[Tensor, Tensor, Tensor, Any, Any, Any, Any], Tensor]
        | Callable[[Tensor, Tensor, Tensor, Any, Any, Any, Any, Any], Tensor]
        | Callable[[Tensor, Tensor, Tensor, Any, Any, Any, Any, Any, Any], Tensor]
        | Callable[[Tensor, Tensor, Tensor, Any, Any, Any, Any, Any, Any, Any], Tensor]
        | Callable[..., Tensor]
    )
    """(cotangent, output, *inputs, **attributes) -> the cotangent of one input."""


@dataclass(frozen=True, slots=True)
class JointRule:
    """The vjp of an operation with any number of inputs, or with several outputs, written as one function.

    `rule(cotangent, output, *inputs, **attributes)` returns a cotangent, or None for zero, for every input. An
    operation with several outputs is handed a list of cotangents, with None for an output that was not used.
    """

    rule: Callable[..., Sequence[Tensor | None]]


@dataclass(frozen=True, slots=True)
class Recompute:
    """The vjp of an operation that keeps nothing of its forward pass, but makes it again when it is needed.

    `rule(*inputs, **attributes)` returns the results, made of ordinary nodes, and the variables that they were made
    from, one for each input. The backward pass goes on through these nodes.
    """

    rule: Callable[..., tuple[Sequence[Tensor], Sequence[Tensor]]]


class NonDifferentiable:
    """Says that an operation has no derivative: what it returns are no real numbers."""

    def __repr__(self) -> str:
        return "NON_DIFFERENTIABLE"


NON_DIFFERENTIABLE = NonDifferentiable()
Vjp: TypeAlias = "tuple[Rule | None, ...] | JointRule | Recompute | NonDifferentiable"
"""A rule for each input (None: its derivative is zero everywhere it exists), one for all, or none at all."""


@dataclass(frozen=True, eq=False, slots=True)
class Op:
    """The declaration of an operation; see the head of this module."""

    name: str
    takes: tuple[frozenset[DType], ...]  # for each input; the last one holds for all that follow
    infer: Infer
    numpy: Twin
    vjp: Vjp
    samples: Callable[[Draw], Sample]
    kernel: Kernel | None = None
    is_own: bool = False  # declared by this library, whose version tells what it does

    def __repr__(self) -> str:
        return f"<op {self.name}>"


REGISTRY: dict[str, Op] = {}


def define(
    name: str,
    *,
    takes: tuple[frozenset[DType], ...],
    infer: Infer,
    numpy: Twin,
    vjp: Vjp,
    samples: Callable[[Draw], Sample],
    kernel: Kernel,
) -> Op:
    """Declare an operation and enter it into the registry.

    Args:
        name: how it is printed; unique.
        takes: the data types each input may have; the last entry holds for all further inputs.
        infer: types of the inputs and attributes -> type of the output, or a tuple of types for several outputs.
            Raises `ShapeError` with a message that starts with the sizes in question.
        numpy: arrays of the inputs and attributes -> array of the output. The independent reference.
        vjp: a tuple with one rule for each input, a `JointRule`, or `NON_DIFFERENTIABLE`.
        samples: draws inputs and attributes for the tests.
        kernel: how it is compiled, one of the kinds in `chainrule.kernel`.

    Raises:
        DefinitionError: if the name is taken or not an identifier, or `vjp` or `kernel` is of another form.
    """
    if name in REGISTRY:
        raise DefinitionError(f"operation {name!r} is declared already")
    if not name.isidentifier():
        raise DefinitionError(f"an operation's name must be an identifier, not {name!r}")
    if not isinstance(vjp, (tuple, JointRule, Recompute, NonDifferentiable)):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise DefinitionError(f"{name}: vjp must be a tuple of rules, a JointRule or NON_DIFFERENTIABLE, not {vjp!r}")
    if not isinstance(kernel, Kernel):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise DefinitionError(f"{name}: kernel must be one of the kinds in chainrule.kernel, not {kernel!r}")
    is_own = sys._getframe(1).f_globals.get("__name__", "").startswith("chainrule.")  # pyright: ignore[reportPrivateUsage]
    op = Op(name, takes, infer, numpy, vjp, samples, kernel, is_own)
    REGISTRY[name] = op
    return op


F = TypeVar("F", bound=Callable[..., Any])

FUNCTIONS: dict[str, Callable[..., Any]] = {}
"""Functions that a Tensor's operators and methods reach by name, so that a tensor need not know the operations."""


def method(function: F) -> F:
    """Enter a function under its own name, for the operators and methods of `Tensor`."""
    FUNCTIONS[function.__name__] = function
    return function
