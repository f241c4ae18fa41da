"""A learning rate that falls when a figure no longer improves."""

from __future__ import annotations

from collections.abc import Mapping
from math import inf
from typing import Any

from chainrule import ops
from chainrule.nn.checks import number, whole
from chainrule.nn.state import State, load_state, take_state
from chainrule.optim.groups import one_of
from chainrule.optim.optimizer import Optimizer
from chainrule.optim.schedules import checked_optimizer, per_group
from chainrule.state import no_grad
from chainrule.tensor import Tensor, TensorLike, as_tensor, tensor
from chainrule.types import float64


class ReduceLROnPlateau:
    """The rate times `factor` when a figure has not improved for more than `patience` steps.

    Args:
        optimizer: whose learning rates are set.
        mode: "min" if a lower figure is better, "max" if a higher one is.
        factor: below 1.
        patience: steps without improvement that are borne.
        threshold: by how much a figure must be better than the best so far to count.
        threshold_mode: "rel" for a share of the best, "abs" for a difference.
        cooldown: steps after a reduction in which nothing is counted.
        min_lr: the lowest rate, or a list of one for each group.
        eps: a reduction by no more than this is left out.

    Everything that it remembers is a tensor, so that it can stand in a compiled step, and is given a loss there.

    Raises `DefinitionError` for other arguments.

    >>> from chainrule.optim.sgd import SGD
    >>> optimizer = SGD([tensor(1.0, requires_grad=True)], lr=1.0)
    >>> scheduler = ReduceLROnPlateau(optimizer, factor=0.5, patience=1)
    >>> for loss in (3.0, 2.0, 2.0, 2.0):
    ...     scheduler.step(loss)
    >>> optimizer.lr
    0.5
    """

    def __init__(
        self,
        optimizer: Optimizer,
        mode: str = "min",
        factor: float = 0.1,
        patience: int = 10,
        threshold: float = 1e-4,
        threshold_mode: str = "rel",
        cooldown: int = 0,
        min_lr: float | list[float] = 0.0,
        eps: float = 1e-8,
    ) -> None:
        self.optimizer = checked_optimizer(self, optimizer)
        self.mode = one_of("min", "max")("mode", mode)
        self.factor = number("factor", factor, 0.0, below=1.0)
        self.patience = whole("patience", patience, 0)
        self.threshold = number("threshold", threshold, 0.0)
        self.threshold_mode = one_of("rel", "abs")("threshold_mode", threshold_mode)
        self.cooldown = whole("cooldown", cooldown, 0)
        self.min_lr = min_lr
        self._least()
        self.eps = number("eps", eps, 0.0)
        self.best = tensor(inf if mode == "min" else -inf, float64, name="best")
        self.num_bad_epochs = tensor(0, name="num_bad_epochs")
        self.cooldown_counter = tensor(0, name="cooldown_counter")
        self.last_epoch = tensor(0, name="last_epoch")

    def step(self, metric: TensorLike) -> None:
        """Take note of a figure, a single number, and reduce the learning rates if it is time. NaN is never better."""
        with no_grad():
            figure = as_tensor(metric, float64).cast(float64).reshape(())
            better = self._better(figure)
            bad = ops.where(better, 0, self.num_bad_epochs + 1)
            cooling = ops.greater(self.cooldown_counter, 0)
            bad = ops.where(cooling, 0, bad)
            due = ops.greater(bad, self.patience)
            for group, least in zip(self.optimizer.param_groups, self._least(), strict=True):
                lr = group["lr"]
                new = ops.maximum(lr * self.factor, least)
                group["lr"] = ops.where(ops.logical_and(due, ops.greater(lr - new, self.eps)), new, lr)
            cooled = ops.where(cooling, self.cooldown_counter - 1, self.cooldown_counter)
            self.cooldown_counter.assign(ops.where(due, self.cooldown, cooled))
            self.num_bad_epochs.assign(ops.where(due, 0, bad))
            self.best.assign(ops.where(better, figure, self.best))
            self.last_epoch.assign(self.last_epoch + 1)

    def _better(self, figure: Tensor) -> Tensor:
        sign = 1.0 if self.mode == "min" else -1.0
        relative = self.threshold_mode == "rel"
        bound = self.best * (1.0 - sign * self.threshold) if relative else self.best - sign * self.threshold
        return ops.less(figure, bound) if self.mode == "min" else ops.greater(figure, bound)

    def _least(self) -> list[float]:
        """The lowest rate of each group."""
        return [number("min_lr", x, 0.0) for x in per_group("min_lr", self.min_lr, self.optimizer)]

    def get_last_lr(self) -> list[float]:
        """The learning rates of the groups as they are."""
        return [group["lr"].item() for group in self.optimizer.param_groups]

    def _named_state(self) -> dict[str, Tensor]:
        tensors = (self.best, self.num_bad_epochs, self.cooldown_counter, self.last_epoch)
        return {x.name or "": x for x in tensors}

    def state_dict(self) -> State:
        """A copy of the best figure and the counts of steps."""
        return take_state(self._named_state())

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on where another one stopped; nothing is loaded, and `StateError` raised, if the state does not fit."""
        load_state(type(self).__name__, self._named_state(), state)

    def __repr__(self) -> str:
        rates = ", ".join(f"{lr:g}" for lr in self.get_last_lr())
        return f"ReduceLROnPlateau(step {self.last_epoch.item()}, best {self.best.item():g}, lr {rates})"
