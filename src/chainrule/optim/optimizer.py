"""What all optimizers share. Each is two pure functions of tensors; everything else is here.

    init(parameter, group)                         -> state          a dict of tensors, kept for each parameter
    update(parameter, gradient, state, group)      -> new parameter, new state

Both are made of library operations and ask for no value, so that a training step can be traced with its update. A group
holds the options, among them the learning rate, which is a tensor: a new one never means a new trace. Another option
that is set anew does, unless it was given as a tensor, too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, ClassVar, TypeAlias, cast

import numpy as np

from chainrule.errors import DefinitionError, StateError
from chainrule.nn.state import State, load_state, take_state
from chainrule.ops import full_like
from chainrule.optim.groups import Checks, Group, as_type, at_least, in_use
from chainrule.sources import user_line
from chainrule.state import current_tracing, no_grad, recording, source_line
from chainrule.tensor import Tensor, TensorLike, tensor
from chainrule.types import bfloat16, float32, float64

Slots: TypeAlias = dict[str, Tensor]
"""The state of one parameter, by name."""

Parameters: TypeAlias = "Iterable[Tensor] | Iterable[tuple[str, Tensor]] | Iterable[Mapping[str, Any]]"
"""What is to be trained: tensors, pairs of name and tensor, or groups of these with options of their own."""

NOTES = ("params", "param_names", "name", "initial_lr")
"""What a group may hold beside options."""


class Optimizer:
    """Base of all optimizers: changes parameters by their gradients.

    Args:
        parameters: the tensors to train, such as `model.parameters()`; or groups, each a dict with "params" and with
            options that differ from those of the optimizer: `[{"params": bias, "weight_decay": 0.0}, ...]`.
        lr: the learning rate.
        options: all other options.

    Attributes:
        param_groups: the groups, dicts of parameters and options. `param_groups[0]["lr"] = 0.1` sets a learning rate,
            eagerly or in a compiled step.
        defaults: the options of groups that do not say otherwise.
        parameters, state: all parameters, one group after the other, and what is kept for each.

    Raises `DefinitionError` if there is no parameter, one is no parameter or in two groups, or an option is unknown or
    out of its range.

    A subclass defines `init` and `update`, and in `checks` the ranges of its options:

    >>> from chainrule import ops
    >>> class SignDescent(Optimizer):
    ...     def update(self, parameter, gradient, state, group):
    ...         return parameter - group["lr"].cast(parameter.dtype) * ops.sign(gradient), state
    >>> w, b = tensor([1.0, 2.0], requires_grad=True), tensor(1.0, requires_grad=True)
    >>> optimizer = SignDescent([{"params": [w]}, {"params": [b], "lr": 0.25}], lr=0.5)
    >>> (w * w * b).sum().backward()
    >>> optimizer.step()
    >>> w, b
    (tensor([0.5, 1.5], f32[2], requires_grad=True), tensor(0.75, f32[], requires_grad=True))
    """

    checks: ClassVar[Checks] = {}

    def __init__(self, parameters: Parameters, lr: float | Tensor, **options: Any) -> None:
        self.defaults: dict[str, Any] = {"lr": lr, **options}
        self.param_groups: list[Group] = []
        self.parameters: list[Tensor] = []
        self.state: list[Slots] = []
        self.revision = 0  # how often compiled steps had to be made anew
        if isinstance(parameters, (Tensor, Mapping)) or not isinstance(parameters, Iterable):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise DefinitionError(f"{self._kind}: a list of parameters is needed, such as model.parameters()")
        given = list(cast("Iterable[Any]", parameters))
        if not given:
            raise DefinitionError(f"{self._kind}: there are no parameters to train")
        for group in given if isinstance(given[0], Mapping) else [{"params": given}]:
            self.add_param_group(group)

    @property
    def _kind(self) -> str:
        return type(self).__name__

    def add_param_group(self, group: Mapping[str, Any]) -> None:
        """Train further parameters: a dict with "params" and with options that differ from the optimizer's.

        Raises `DefinitionError` as the making of an optimizer does; nothing is added then.
        """
        if not isinstance(group, Mapping) or "params" not in group:  # pyright: ignore[reportUnnecessaryIsInstance]
            raise DefinitionError(f'{self._kind}: a group must be a dict with the key "params", not {group!r:.60}')
        unknown = [name for name in group if name not in (*self.defaults, *NOTES)]
        if unknown:
            raise DefinitionError(
                f"{self._kind}: a group has no option {unknown[0]!r}; there are {', '.join(self.defaults)}, and name"
            )
        found, names = self._tensors(group["params"])
        values = {**self.defaults, **group, "params": found} | ({"param_names": names} if names else {})
        made = Group(values, {"lr": at_least(0.0), **self.checks}, self._changed)
        made.vary("lr")
        self.check(made)
        states = [self._new_state(x, made) for x in found]
        self.param_groups.append(made)
        self.parameters += found
        self.state += states
        self.revision += 1

    def _tensors(self, given: Any) -> tuple[list[Tensor], list[str]]:
        """The tensors of a group, each once, and their names if they come with names."""
        items: list[Any] = [given] if isinstance(given, Tensor) else list(given)
        named = all(isinstance(x, tuple) and len(cast("tuple[Any, ...]", x)) == 2 for x in items)
        pairs: list[tuple[str, Any]] = items if named else [("", x) for x in items]
        for _, x in pairs:
            if not isinstance(x, Tensor) or x.op is not None or not x.requires_grad:
                raise DefinitionError(
                    f"{self._kind}: only tensors made with requires_grad=True can be trained, not {x!r}"
                )
            if any(x is other for other in self.parameters):
                raise DefinitionError(f"{self._kind}: the parameter {x.name or x.type} is in more than one group")
        if not pairs:
            raise DefinitionError(f"{self._kind}: there are no parameters to train")
        once = {id(x): (name, x) for name, x in pairs}
        return [x for _, x in once.values()], [name for name, _ in once.values()] if named else []

    def _new_state(self, x: Tensor, group: Group) -> Slots:
        slots = self.init(_real(x), group)
        for slot, value in slots.items():
            value.name = f"{x.name}.{slot}" if x.name else slot
        return slots

    def _changed(self, group: Group) -> None:
        """Follow an option of a group that was set: it may need more state, and steps compiled anew."""
        if all(group is not known for known in self.param_groups):
            return
        self.check(group)
        for x, state in self._entries(group):
            for name, value in self._new_state(x, group).items():
                state.setdefault(name, value)
        self.revision += 1

    def _entries(self, group: Group) -> list[tuple[Tensor, Slots]]:
        """The parameters of a group, each with its state."""
        start = 0
        for other in self.param_groups:
            if other is group:
                break
            start += len(other["params"])
        return list(zip(group["params"], self.state[start : start + len(group["params"])], strict=True))

    def check(self, group: Group) -> None:
        """Raise `DefinitionError` if options contradict each other or do not fit the parameters."""

    def init(self, parameter: Tensor, group: Group) -> Slots:
        """The state of a parameter before the first step; none by default."""
        return {}

    def update(self, parameter: Tensor, gradient: Tensor, state: Slots, group: Group) -> tuple[Tensor, Slots]:
        """A parameter and its state after one step. A bfloat16 parameter comes as float32; `group["lr"]` is float64."""
        raise DefinitionError(f"{self._kind} has no update method")

    @property
    def learning_rate(self) -> Tensor:
        """The learning rate, a float64 number as a tensor. Raises `DefinitionError` if there are several groups."""
        if len(self.param_groups) > 1:
            raise DefinitionError(
                f"{self._kind} has {len(self.param_groups)} groups of parameters, each with a learning rate: "
                'param_groups[0]["lr"], ...'
            )
        return self.param_groups[0]["lr"]

    @property
    def lr(self) -> float:
        """The learning rate. It can be set to a number, or to a tensor while a function is traced.

        Raises `DefinitionError` if there are several groups, each with a rate of its own.
        """
        return self.learning_rate.item()

    @lr.setter
    def lr(self, value: TensorLike) -> None:
        _ = self.learning_rate
        self.param_groups[0]["lr"] = value

    def zero_grad(self) -> None:
        """Forget the gradients of all parameters."""
        for x in self.parameters:
            x.grad = None

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Change every parameter that has a gradient, and its state.

        Args:
            closure: called before, to compute the gradients; what it returns, the loss, is returned.
        """
        result = None
        if closure is not None:
            with recording(True):
                result = closure()
        tracing = current_tracing()
        if tracing is not None:
            tracing.modes[id(self)] = (self, "revision", self.revision)
        with no_grad(), source_line(user_line()):
            for group in self.param_groups:
                for x, state in self._entries(group):
                    if x.grad is not None:
                        w = _real(x)
                        new, slots = self.update(w, x.grad.cast(w.dtype), state, group)
                        x.assign(new.cast(x.dtype))
                        for name, value in slots.items():
                            state[name].assign(value)
        return result

    def _named_state(self) -> Slots:
        options = {
            name if i == 0 else f"{name}.{i}": x
            for i, group in enumerate(self.param_groups)
            for name, x in group.tensors().items()
        }
        return options | {f"{i}.{name}": x for i, state in enumerate(self.state) for name, x in state.items()}

    def _sizes(self) -> State:
        sizes = [len(group["params"]) for group in self.param_groups]
        return {"groups": np.array(sizes)} if len(sizes) > 1 else {}

    def state_dict(self) -> State:
        """A copy of the learning rates and all states, named by parameter: "lr", "0.exp_avg", "1.exp_avg", ...

        Of several groups, "groups" holds the sizes, and the rate of group 1 is "lr.1". Other options are in it if they
        are tensors; numbers are part of the program.
        """
        return self._sizes() | take_state(self._named_state())

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on where another optimizer of the same kind and the same parameters stopped.

        Raises `StateError` listing every name that is missing, unexpected or misshapen; nothing is loaded then.
        """
        given, here = dict(state), self._sizes()
        if "groups" in given and here and not np.array_equal(given["groups"], here["groups"]):
            raise StateError(
                f"the state does not fit {self._kind}; nothing was loaded\n"
                f"  groups      {np.asarray(given['groups']).tolist()} parameters in the groups of the state, "
                f"{here['groups'].tolist()} here"
            )
        if here:
            given.pop("groups", None)
        load_state(self._kind, self._named_state(), given)

    def __repr__(self) -> str:
        rates = ", ".join(f"{group['lr'].item():g}" for group in self.param_groups)
        size = sum(x.size for x in self.parameters)
        shown = rates if len(self.param_groups) == 1 else f"[{rates}]"
        return f"{self._kind}(lr={shown}, {size:,} parameters)"


def directed(gradient: Tensor, group: Group) -> Tensor:
    """The gradient of what is to become smaller: of minus the loss if that is to be maximized."""
    return -gradient if group["maximize"] else gradient


def decayed(gradient: Tensor, parameter: Tensor, weight_decay: float | Tensor) -> Tensor:
    """The gradient of the loss plus weight_decay / 2 times the squared parameter."""
    return gradient + as_type(weight_decay, parameter.dtype) * parameter if in_use(weight_decay) else gradient


def shrunk(parameter: Tensor, group: Group) -> Tensor:
    """A parameter after weight decay that is no part of the gradient: (1 - lr weight_decay) w."""
    if not in_use(group["weight_decay"]):
        return parameter
    return parameter * (1.0 - group["lr"] * group["weight_decay"]).cast(parameter.dtype)


def averaged(average: Tensor, new: Tensor, share: float | Tensor) -> Tensor:
    """A running average that keeps a share of what it was."""
    return as_type(share, new.dtype) * average + as_type(1.0 - share, new.dtype) * new


def filled_like(x: Tensor, value: float = 0.0) -> Tensor:
    """A state of a parameter's shape and type, filled with a number, in memory of its own."""
    return tensor(full_like(x, value))


def _real(x: Tensor) -> Tensor:
    """A parameter as it is computed with: bfloat16 is for storage only, and its state is float32."""
    return x.cast(float32) if x.dtype is bfloat16 else x


def steps_so_far() -> Tensor:
    """A counter of steps: float64, so that it can be computed with at once."""
    return tensor(0.0, float64)
