"""Schedules made of schedules: one after the other, or all at once."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from typing import Any, cast

from chainrule import ops
from chainrule.errors import DefinitionError
from chainrule.nn.checks import whole
from chainrule.optim.optimizer import Optimizer
from chainrule.optim.schedules import LRScheduler, Rates, checked_optimizer
from chainrule.state import current_tracing
from chainrule.tensor import Tensor, tensor
from chainrule.types import float64


class _Combined(LRScheduler):
    """Base of schedules that are made of others, whose own counts of steps are not used."""

    def __init__(self, optimizer: Optimizer, schedulers: Sequence[LRScheduler]) -> None:
        self.schedulers = _checked(self, optimizer, schedulers)
        self.cycles_momentum = any(x.cycles_momentum for x in schedulers)
        super().__init__(optimizer)

    def named_state(self) -> dict[str, Tensor]:
        parts = enumerate(self.schedulers)
        return super().named_state() | {f"{i}.{name}": x for i, part in parts for name, x in part.named_state().items()}


def _checked(owner: object, optimizer: Any, schedulers: Any) -> list[LRScheduler]:
    name, parts = type(owner).__name__, list(cast("Sequence[Any]", schedulers))
    if not parts:
        raise DefinitionError(f"{name}: at least one schedule is needed")
    for x in parts:
        if not isinstance(x, LRScheduler):
            raise DefinitionError(f"{name}: {type(x).__name__} cannot be combined; its step asks for more than a count")
        if x.optimizer is not optimizer:
            raise DefinitionError(f"{name}: all schedules must be of one optimizer, and {type(x).__name__} is not")
    return parts


class ChainedScheduler(_Combined):
    """Several schedules, each stepped by every step: the rate times the factors of all.

    >>> from chainrule.optim.schedules import ConstantLR, ExponentialLR
    >>> from chainrule.optim.sgd import SGD
    >>> optimizer = SGD([tensor(1.0, requires_grad=True)], lr=1.0)
    >>> parts = [ConstantLR(optimizer, factor=0.25, total_iters=2), ExponentialLR(optimizer, gamma=0.5)]
    >>> scheduler, seen = ChainedScheduler(parts), []
    >>> for _ in range(4):
    ...     seen.append(optimizer.lr)
    ...     scheduler.step()
    >>> seen
    [0.25, 0.125, 0.25, 0.125]
    """

    def __init__(self, schedulers: Sequence[LRScheduler], optimizer: Optimizer | None = None) -> None:
        self._made = False
        first = next((x.optimizer for x in schedulers), None) if optimizer is None else optimizer
        super().__init__(checked_optimizer(self, first), schedulers)
        self._made = True

    def start(self, rates: Rates, group: int) -> Rates:
        if not self._made:
            return rates  # what the schedules did when they were made
        for x in self.schedulers:
            rates = x.start(rates, group)
        return rates

    def advance(self, rates: Rates, step: Tensor, group: int) -> Rates:
        for x in self.schedulers:
            rates = x.advance(rates, step, group)
        return rates


class SequentialLR(_Combined):
    """One schedule after the other: the next one starts at each of the steps `milestones`, from the rate without any.

    >>> from chainrule.optim.schedules import ConstantLR, ExponentialLR
    >>> from chainrule.optim.sgd import SGD
    >>> optimizer = SGD([tensor(1.0, requires_grad=True)], lr=1.0)
    >>> warm_up, decay = ConstantLR(optimizer, factor=0.25, total_iters=2), ExponentialLR(optimizer, gamma=0.5)
    >>> scheduler, seen = SequentialLR(optimizer, [warm_up, decay], milestones=[2]), []
    >>> for _ in range(4):
    ...     seen.append(optimizer.lr)
    ...     scheduler.step()
    >>> seen
    [0.25, 0.25, 1.0, 0.5]
    """

    def __init__(self, optimizer: Optimizer, schedulers: Sequence[LRScheduler], milestones: Sequence[int]) -> None:
        checked_optimizer(self, optimizer)
        self.milestones = [whole("a milestone", x, 0) for x in milestones]
        if len(self.milestones) != len(schedulers) - 1 or self.milestones != sorted(self.milestones):
            raise DefinitionError(
                f"SequentialLR: {len(schedulers)} schedules need one milestone less, in rising order, not {milestones}"
            )
        super().__init__(optimizer, schedulers)

    def start(self, rates: Rates, group: int) -> Rates:
        base = tensor(self.optimizer.param_groups[group]["initial_lr"], float64)
        return self.schedulers[bisect_right(self.milestones, 0)].start({**rates, "lr": base}, group)

    def advance(self, rates: Rates, step: Tensor, group: int) -> Rates:
        starts = [0.0, *map(float, self.milestones)]
        if current_tracing() is None:
            i = bisect_right(self.milestones, step.item())
            if step.item() == starts[i]:
                return self.schedulers[i].restart(rates, group)
            return self.schedulers[i].advance(rates, step - starts[i], group)
        found = rates
        for x, start in zip(self.schedulers, starts, strict=True):
            new = x.advance(rates, ops.maximum(step - start, 1.0), group)
            found = _chosen(ops.greater(step, start), new, found)
            if start:
                found = _chosen(ops.equal(step, start), x.restart(rates, group), found)
        return found


def _chosen(condition: Tensor, yes: Rates, no: Rates) -> Rates:
    return {name: ops.where(condition, yes[name], no[name]) for name in yes}
