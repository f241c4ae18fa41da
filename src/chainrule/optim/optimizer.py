"""What all optimizers share. Each is two pure functions of tensors; everything else is here.

    init(parameter)                                -> state          a dict of tensors, kept for each parameter
    update(parameter, gradient, state, lr)         -> new parameter, new state

Both are made of library operations and ask for no value, so that a training step can be traced with its update. The
learning rate is a tensor, too: a new one never means a new trace. All other hyper-parameters are fixed when the
optimizer is made.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, TypeAlias, cast

from chainrule.errors import DefinitionError
from chainrule.nn.checks import number
from chainrule.nn.state import State, load_state, take_state
from chainrule.ops import full_like
from chainrule.sources import user_line
from chainrule.state import no_grad, source_line
from chainrule.tensor import Tensor, TensorLike, as_tensor, tensor
from chainrule.types import bfloat16, float32, float64

Slots: TypeAlias = dict[str, Tensor]
"""The state of one parameter, by name."""


class Optimizer:
    """Base of all optimizers: changes parameters by their gradients.

    Args:
        parameters: the tensors to train, such as `model.parameters()`.
        lr: the learning rate.

    Raises `DefinitionError` if there is no parameter, one is no parameter, or a hyper-parameter is out of its range.

    A subclass defines `init` and `update`:

    >>> from chainrule import ops
    >>> class SignDescent(Optimizer):
    ...     def update(self, parameter, gradient, state, lr):
    ...         return parameter - lr.cast(parameter.dtype) * ops.sign(gradient), state
    >>> w = tensor([1.0, 2.0], requires_grad=True)
    >>> optimizer = SignDescent([w], lr=0.5)
    >>> (w * w).sum().backward()
    >>> optimizer.step()
    >>> w
    tensor([0.5, 1.5], f32[2], requires_grad=True)
    """

    def __init__(self, parameters: Iterable[Tensor], lr: float) -> None:
        name = type(self).__name__
        if isinstance(parameters, Tensor) or not isinstance(parameters, Iterable):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise DefinitionError(f"{name}: a list of parameters is needed, such as model.parameters()")
        found = list({id(x): x for x in parameters}.values())
        for x in cast("list[object]", found):
            if not isinstance(x, Tensor) or x.op is not None or not x.requires_grad:
                raise DefinitionError(f"{name}: only tensors made with requires_grad=True can be trained, not {x!r}")
        if not found:
            raise DefinitionError(f"{name}: there are no parameters to train")
        self.parameters = found
        self.learning_rate = tensor(number("lr", lr, 0.0), float64, name="lr")
        self.state: list[Slots] = [self.init(_real(x)) for x in found]
        for x, slots in zip(found, self.state, strict=True):
            for slot, value in slots.items():
                value.name = f"{x.name}.{slot}" if x.name else slot

    def init(self, parameter: Tensor) -> Slots:
        """The state of a parameter before the first step; none by default."""
        return {}

    def update(self, parameter: Tensor, gradient: Tensor, state: Slots, lr: Tensor) -> tuple[Tensor, Slots]:
        """A parameter and its state after one step. A bfloat16 parameter comes as float32; `lr` is a float64 number."""
        raise DefinitionError(f"{type(self).__name__} has no update method")

    @property
    def lr(self) -> float:
        """The learning rate. It can be set to a number, or to a tensor while a function is traced."""
        return self.learning_rate.item()

    @lr.setter
    def lr(self, value: TensorLike) -> None:
        known = value.value if isinstance(value, Tensor) else value
        if known is not None:
            number("lr", known, 0.0)
        self.learning_rate.assign(as_tensor(value, float64).cast(float64))

    def zero_grad(self) -> None:
        """Forget the gradients of all parameters."""
        for x in self.parameters:
            x.grad = None

    def step(self) -> None:
        """Change every parameter that has a gradient, and its state."""
        with no_grad(), source_line(user_line()):
            for x, state in zip(self.parameters, self.state, strict=True):
                if x.grad is None:
                    continue
                w = _real(x)
                new, slots = self.update(w, x.grad.cast(w.dtype), state, self.learning_rate)
                x.assign(new.cast(x.dtype))
                for name, value in slots.items():
                    state[name].assign(value)

    def _named_state(self) -> Slots:
        slots = {f"{i}.{name}": x for i, state in enumerate(self.state) for name, x in state.items()}
        return {"lr": self.learning_rate} | slots

    def state_dict(self) -> State:
        """A copy of the learning rate and all states, named by parameter: "lr", "0.exp_avg", "1.exp_avg", ..."""
        return take_state(self._named_state())

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on where another optimizer of the same kind and the same parameters stopped.

        Raises `StateError` listing every name that is missing, unexpected or misshapen; nothing is loaded then.
        """
        load_state(type(self).__name__, self._named_state(), state)

    def __repr__(self) -> str:
        size = sum(x.size for x in self.parameters)
        return f"{type(self).__name__}(lr={self.lr:g}, {size:,} parameters)"


def decayed(gradient: Tensor, parameter: Tensor, weight_decay: float) -> Tensor:
    """The gradient of the loss plus weight_decay / 2 times the squared parameter."""
    return gradient + weight_decay * parameter if weight_decay else gradient


def filled_like(x: Tensor, value: float = 0.0) -> Tensor:
    """A state of a parameter's shape and type, filled with a number, in memory of its own."""
    return tensor(full_like(x, value))


def _real(x: Tensor) -> Tensor:
    """A parameter as it is computed with: bfloat16 is for storage only, and its state is float32."""
    return x.cast(float32) if x.dtype is bfloat16 else x


def steps_so_far() -> Tensor:
    """A counter of steps: float64, so that it can be computed with at once."""
    return tensor(0.0, float64)
