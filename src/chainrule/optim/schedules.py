"""Learning rates that change from step to step.

A schedule is a function of tensors, written in library operations:

    start(rates, group)            -> rates          when it is made
    advance(rates, step, group)    -> rates          step 1, 2, ...

`scheduler.step()` applies it to the learning rate of every group, which is a tensor, and counts its calls in another.
So it can stand in a compiled step as well as between epochs, and never means a new trace. Schedules here follow from
the rate before, so that two of them, or one and your own changes, multiply.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from math import pi
from typing import Any, TypeAlias, cast

import numpy as np

from chainrule import ops
from chainrule.errors import DefinitionError
from chainrule.nn.checks import number, whole
from chainrule.nn.state import State, load_state, take_state
from chainrule.optim.groups import Group
from chainrule.optim.optimizer import Optimizer
from chainrule.state import current_tracing, no_grad
from chainrule.tensor import Tensor, as_tensor, tensor
from chainrule.types import float64

Rates: TypeAlias = dict[str, Tensor]
"""What a schedule sets of a group, as float64 numbers: "lr", and "momentum" if it cycles that."""

Factor: TypeAlias = "Callable[[Any], Any]"
"""(number of the step) -> factor; the step is an int, or in a traced function a float64 tensor."""


class LRScheduler:
    """Base of all schedules.

    Args:
        optimizer: whose learning rates are set. Groups that are added later need a new schedule.

    Attributes:
        last_epoch: the number of steps so far, a tensor.
        base_lrs: the learning rates of the groups before any schedule, tensors.

    Raises `DefinitionError` for something else than an optimizer, and arguments that cannot be.

    A subclass defines `rate`, and `first` if it changes the rate at once:

    >>> from chainrule.optim.sgd import SGD
    >>> class Inverse(LRScheduler):
    ...     def rate(self, lr, step, base):
    ...         return base / (1.0 + step)
    >>> optimizer = SGD([tensor(1.0, requires_grad=True)], lr=0.5)
    >>> scheduler = Inverse(optimizer)
    >>> scheduler.step()
    >>> optimizer.lr
    0.25
    """

    cycles_momentum = False

    def __init__(self, optimizer: Optimizer) -> None:
        self.optimizer = checked_optimizer(self, optimizer)
        for group in optimizer.param_groups:
            group.setdefault("initial_lr", group["lr"].item())
        self.base_lrs = [tensor(group["initial_lr"], float64, name="base_lr") for group in optimizer.param_groups]
        self.last_epoch = tensor(0, name="last_epoch")
        self._apply(self.start)

    def start(self, rates: Rates, group: int) -> Rates:
        """The rates of a group when the schedule is made: of step 0."""
        return {**rates, "lr": self.first(rates["lr"], self.base_lrs[group])}

    def restart(self, rates: Rates, group: int) -> Rates:
        """The rates of step 0 when the schedule takes over from another one."""
        return self.start({**rates, "lr": self.base_lrs[group]}, group)

    def advance(self, rates: Rates, step: Tensor, group: int) -> Rates:
        """The rates of a step, by those of the step before; `step` is a float64 number from 1."""
        return {**rates, "lr": self.rate(rates["lr"], step, self.base_lrs[group])}

    def first(self, lr: Tensor, base: Tensor) -> Tensor:
        """The learning rate of step 0, by what it is."""
        return lr

    def rate(self, lr: Tensor, step: Tensor, base: Tensor) -> Tensor:
        """The learning rate of a step, by the one before and the one without a schedule."""
        raise DefinitionError(f"{type(self).__name__} has no rate method")

    def step(self) -> None:
        """Set the learning rates for the next step; to be called after `optimizer.step()`."""
        count = self.last_epoch + 1
        step = count.cast(float64)
        self._apply(lambda rates, i: self.advance(rates, step, i))
        self.last_epoch.assign(count)

    def _apply(self, change: Callable[[Rates, int], Rates]) -> None:
        groups = self.optimizer.param_groups
        if len(groups) != len(self.base_lrs):
            raise DefinitionError(
                f"{type(self).__name__} was made for {len(self.base_lrs)} groups of parameters, and now there are "
                f"{len(groups)}; make a new one after add_param_group"
            )
        with no_grad():
            for i, group in enumerate(groups):
                held = {"lr": group["lr"]} | ({"momentum": _momentum(group)} if self.cycles_momentum else {})
                for name, value in change(held, i).items():
                    held[name].assign(value)

    def get_last_lr(self) -> list[float]:
        """The learning rates of the groups as they are."""
        return [group["lr"].item() for group in self.optimizer.param_groups]

    def named_state(self) -> dict[str, Tensor]:
        """What changes, by name."""
        return {"last_epoch": self.last_epoch} | {f"base_lr.{i}": x for i, x in enumerate(self.base_lrs)}

    def state_dict(self) -> State:
        """A copy of the number of steps and the rates without a schedule; the present rates are in the optimizer's."""
        return take_state(self.named_state())

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on where another schedule of the same kind and arguments stopped; load the optimizer's state as well.

        Raises `StateError` listing every name that is missing, unexpected or misshapen; nothing is loaded then.
        """
        load_state(type(self).__name__, self.named_state(), state)

    def __repr__(self) -> str:
        rates = ", ".join(f"{lr:g}" for lr in self.get_last_lr())
        return f"{type(self).__name__}(step {self.last_epoch.item()}, lr {rates})"


def checked_optimizer(owner: object, optimizer: Any) -> Optimizer:
    """The optimizer of a schedule, if it is one."""
    if not isinstance(optimizer, Optimizer):
        raise DefinitionError(f"{type(owner).__name__}: an optimizer is needed, not {optimizer!r:.60}")
    return optimizer


def per_group(name: str, value: Any, optimizer: Optimizer) -> list[Any]:
    """A value for each group: those of a list, or the same for all."""
    count = len(optimizer.param_groups)
    if not isinstance(value, (list, tuple)):
        return [value] * count
    values = list(cast("Sequence[Any]", value))
    if len(values) != count:
        raise DefinitionError(f"{name} has {len(values)} values for {count} groups of parameters")
    return values


def vary_momentum(owner: object, optimizer: Optimizer) -> None:
    """Let a schedule set the momentum, or beta1 where there is none, as a tensor."""
    for group in optimizer.param_groups:
        if "momentum" in group:
            group.vary("momentum")
        elif "betas" in group:
            group.vary("betas", 0)
        else:
            raise DefinitionError(
                f"{type(owner).__name__}: {type(optimizer).__name__} has neither momentum nor betas; "
                "pass cycle_momentum=False"
            )


def _momentum(group: Group) -> Tensor:
    return group["momentum"] if "momentum" in group else group["betas"][0]


class LambdaLR(LRScheduler):
    """lr(t) = lr_lambda(t) base, t = 0, 1, ...

    Args:
        lr_lambda: a function of the step, or a list of one for each group. In a compiled step it gets a tensor.

    >>> from chainrule.optim.sgd import SGD
    >>> optimizer = SGD([tensor(1.0, requires_grad=True)], lr=1.0)
    >>> scheduler = LambdaLR(optimizer, lambda t: 0.5**t)
    >>> for _ in range(3):
    ...     scheduler.step()
    >>> optimizer.lr
    0.125
    """

    def __init__(self, optimizer: Optimizer, lr_lambda: Factor | list[Factor]) -> None:
        self.lr_lambdas = _functions(self, optimizer, lr_lambda)
        super().__init__(optimizer)

    def start(self, rates: Rates, group: int) -> Rates:
        return self.advance(rates, tensor(0.0, float64), group)

    def advance(self, rates: Rates, step: Tensor, group: int) -> Rates:
        return {**rates, "lr": self.base_lrs[group] * called(self.lr_lambdas[group], step)}


class MultiplicativeLR(LRScheduler):
    """lr(t) = lr_lambda(t) lr(t - 1), t = 1, 2, ...; the argument is that of `LambdaLR`."""

    def __init__(self, optimizer: Optimizer, lr_lambda: Factor | list[Factor]) -> None:
        self.lr_lambdas = _functions(self, optimizer, lr_lambda)
        super().__init__(optimizer)

    def advance(self, rates: Rates, step: Tensor, group: int) -> Rates:
        return {**rates, "lr": rates["lr"] * called(self.lr_lambdas[group], step)}


def _functions(owner: object, optimizer: Optimizer, functions: Any) -> list[Factor]:
    found = per_group("lr_lambda", functions, checked_optimizer(owner, optimizer))
    for x in found:
        if not callable(x):
            raise DefinitionError(f"{type(owner).__name__}: lr_lambda must be a function of the step, not {x!r}")
    return found


def called(function: Factor, step: Tensor) -> Tensor:
    """A function of the user's, of a whole number where that is known."""
    return as_tensor(function(int(step.item()) if current_tracing() is None else step), float64)


class StepLR(LRScheduler):
    """The rate times gamma after every `step_size` steps."""

    def __init__(self, optimizer: Optimizer, step_size: int, gamma: float = 0.1) -> None:
        self.step_size = whole("step_size", step_size)
        self.gamma = number("gamma", gamma, 0.0)
        super().__init__(optimizer)

    def rate(self, lr: Tensor, step: Tensor, base: Tensor) -> Tensor:
        return ops.where(ops.equal(step % self.step_size, 0.0), lr * self.gamma, lr)


class MultiStepLR(LRScheduler):
    """The rate times gamma at each of the steps `milestones`, twice if one is there twice."""

    def __init__(self, optimizer: Optimizer, milestones: Iterable[int], gamma: float = 0.1) -> None:
        self.milestones = sorted(whole("a milestone", x, 0) for x in milestones)
        self.gamma = number("gamma", gamma, 0.0)
        super().__init__(optimizer)

    def first(self, lr: Tensor, base: Tensor) -> Tensor:
        return lr * self.gamma ** self.milestones.count(0)

    def rate(self, lr: Tensor, step: Tensor, base: Tensor) -> Tensor:
        for milestone in {*self.milestones}:
            factor = self.gamma ** self.milestones.count(milestone)
            lr = ops.where(ops.equal(step, float(milestone)), lr * factor, lr)
        return lr


class ConstantLR(LRScheduler):
    """The rate times `factor` until step `total_iters`, and as it would be without that from there on."""

    def __init__(self, optimizer: Optimizer, factor: float = 1.0 / 3, total_iters: int = 5) -> None:
        self.factor = _positive("factor", number("factor", factor, 0.0, 1.0))
        self.total_iters = whole("total_iters", total_iters)
        super().__init__(optimizer)

    def first(self, lr: Tensor, base: Tensor) -> Tensor:
        return lr * self.factor

    def rate(self, lr: Tensor, step: Tensor, base: Tensor) -> Tensor:
        return ops.where(ops.equal(step, float(self.total_iters)), lr * (1.0 / self.factor), lr)


class LinearLR(LRScheduler):
    """The rate times a factor that goes in a straight line from `start_factor` to `end_factor` at step `total_iters`.

    As a warm-up: `LinearLR(optimizer, 0.01, total_iters=500)`.
    """

    def __init__(
        self, optimizer: Optimizer, start_factor: float = 1.0 / 3, end_factor: float = 1.0, total_iters: int = 5
    ) -> None:
        self.start_factor = _positive("start_factor", number("start_factor", start_factor, 0.0, 1.0))
        self.end_factor = number("end_factor", end_factor, 0.0, 1.0)
        self.total_iters = whole("total_iters", total_iters)
        super().__init__(optimizer)

    def first(self, lr: Tensor, base: Tensor) -> Tensor:
        return lr * self.start_factor

    def rate(self, lr: Tensor, step: Tensor, base: Tensor) -> Tensor:
        rise, total = self.end_factor - self.start_factor, float(self.total_iters)
        before = total * self.start_factor + (ops.minimum(step, total) - 1.0) * rise
        return ops.where(ops.less_equal(step, total), lr * (1.0 + rise / before), lr)


def _positive(name: str, value: float) -> float:
    if value == 0.0:
        raise DefinitionError(f"{name} must be above 0: the rate could not be found again")
    return value


class ExponentialLR(LRScheduler):
    """The rate times gamma at each step."""

    def __init__(self, optimizer: Optimizer, gamma: float) -> None:
        self.gamma = number("gamma", gamma, 0.0)
        super().__init__(optimizer)

    def rate(self, lr: Tensor, step: Tensor, base: Tensor) -> Tensor:
        return lr * self.gamma


class PolynomialLR(LRScheduler):
    """The rate times (1 - t / total_iters)^power: zero from step `total_iters` on."""

    def __init__(self, optimizer: Optimizer, total_iters: int = 5, power: float = 1.0) -> None:
        self.total_iters = whole("total_iters", total_iters)
        self.power = number("power", power)
        super().__init__(optimizer)

    def rate(self, lr: Tensor, step: Tensor, base: Tensor) -> Tensor:
        total = float(self.total_iters)
        held = ops.minimum(step, total)
        factor = ((1.0 - held / total) / (1.0 - (held - 1.0) / total)) ** self.power
        return ops.where(ops.less_equal(step, total), lr * factor, lr)


class CosineAnnealingLR(LRScheduler):
    """lr(t) = eta_min + (base - eta_min) (1 + cos(pi t / T_max)) / 2, down to `eta_min` at step T_max and up again.

    Loshchilov & Hutter, "SGDR: stochastic gradient descent with warm restarts", ICLR 2017.
    """

    def __init__(self, optimizer: Optimizer, T_max: int, eta_min: float = 0.0) -> None:
        self.T_max = whole("T_max", T_max)
        self.eta_min = number("eta_min", eta_min, 0.0)
        super().__init__(optimizer)

    def rate(self, lr: Tensor, step: Tensor, base: Tensor) -> Tensor:
        low, total = self.eta_min, float(self.T_max)
        lowest = ops.equal((step - 1.0 - total) % (2.0 * total), 0.0)
        up = lr + (base - low) * (1.0 - float(np.cos(pi / total))) / 2.0
        before = ops.where(lowest, 1.0, 1.0 + ops.cos(pi * (step - 1.0) / total))
        return ops.where(lowest, up, (1.0 + ops.cos(pi * step / total)) / before * (lr - low) + low)
