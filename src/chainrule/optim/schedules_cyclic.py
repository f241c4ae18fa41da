"""Schedules that say the rate of each step outright: restarts, one cycle, many cycles, and the way to an average."""

from __future__ import annotations

from collections.abc import Callable
from math import pi
from typing import Any

import numpy as np

from chainrule import ops
from chainrule.errors import DefinitionError
from chainrule.nn.checks import number, whole
from chainrule.optim.groups import one_of
from chainrule.optim.optimizer import Optimizer
from chainrule.optim.schedules import Factor, LRScheduler, Rates, called, checked_optimizer, per_group, vary_momentum
from chainrule.state import current_tracing
from chainrule.tensor import Tensor, tensor
from chainrule.types import float64

LARGEST = 2.0**53
"""Steps up to here can be counted in float64."""


class CosineAnnealingWarmRestarts(LRScheduler):
    """lr = eta_min + (base - eta_min) (1 + cos(pi t / T)) / 2, with t back at 0 after T steps.

    T is `T_0` at first, and `T_mult` times as long after each restart. Loshchilov & Hutter, "SGDR: stochastic gradient
    descent with warm restarts", ICLR 2017.
    """

    def __init__(self, optimizer: Optimizer, T_0: int, T_mult: int = 1, eta_min: float = 0.0) -> None:
        self.T_0 = whole("T_0", T_0)
        self.T_mult = whole("T_mult", T_mult)
        self.eta_min = number("eta_min", eta_min, 0.0)
        super().__init__(optimizer)

    def first(self, lr: Tensor, base: Tensor) -> Tensor:
        return base

    def rate(self, lr: Tensor, step: Tensor, base: Tensor) -> Tensor:
        if self.T_mult == 1:
            since, length = step % self.T_0, float(self.T_0)
        else:
            restarts = [0.0]
            while restarts[-1] < LARGEST:
                restarts.append(restarts[-1] * self.T_mult + self.T_0)
            starts = np.array(restarts)
            start = ops.max(ops.where(ops.less_equal(starts, step), starts, 0.0))
            since, length = step - start, start * (self.T_mult - 1) + self.T_0
        return self.eta_min + (base - self.eta_min) * (1.0 + ops.cos(pi * since / length)) / 2.0


class _Cycle(LRScheduler):
    """Base of schedules that follow from the number of the step alone, and may cycle the momentum against the rate."""

    def start(self, rates: Rates, group: int) -> Rates:
        return self.advance(rates, tensor(0.0, float64), group)

    def prepare(self, optimizer: Optimizer, base_momentum: Any, max_momentum: Any, cycle_momentum: bool) -> None:
        """Check the momenta, and let the schedule set them if it is to."""
        checked_optimizer(self, optimizer)
        self.cycles_momentum = cycle_momentum
        self.base_momentums, self.max_momentums = (
            [number(name, x, 0.0, below=1.0) for x in per_group(name, value, optimizer)]
            for name, value in (("base_momentum", base_momentum), ("max_momentum", max_momentum))
        )
        if cycle_momentum:
            vary_momentum(self, optimizer)


class OneCycleLR(_Cycle):
    """Up from max_lr / div_factor to `max_lr`, and down to 1 / final_div_factor of where it began, in one cycle.

    To be stepped after every batch. The momentum (beta1 where there is none) goes the other way, from `max_momentum` to
    `base_momentum` and back. Smith & Topin, "Super-convergence: very fast training of neural networks using large
    learning rates", 2018.

    Args:
        max_lr: the highest rate, or a list of one for each group.
        total_steps: of the cycle; else it is `epochs` times `steps_per_epoch`.
        pct_start: share of the steps on which the rate rises.
        anneal_strategy: "cos" or "linear".
        cycle_momentum: whether the momentum is set.
        base_momentum, max_momentum: its lowest and highest value.
        div_factor, final_div_factor: by which the rate is divided at the start, and that once more at the end.
        three_phase: whether it falls to the first rate as fast as it rose, and only then to the last.

    The last rate is that of step total_steps - 1, before the last batch, and stays. Raises `DefinitionError` for other
    arguments, an optimizer that has no momentum to cycle, and outside of compiled steps for a step after total_steps.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        max_lr: float | list[float],
        total_steps: int | None = None,
        epochs: int | None = None,
        steps_per_epoch: int | None = None,
        pct_start: float = 0.3,
        anneal_strategy: str = "cos",
        cycle_momentum: bool = True,
        base_momentum: float | list[float] = 0.85,
        max_momentum: float | list[float] = 0.95,
        div_factor: float = 25.0,
        final_div_factor: float = 1e4,
        three_phase: bool = False,
    ) -> None:
        if total_steps is None and (epochs is None or steps_per_epoch is None):
            raise DefinitionError("OneCycleLR: either total_steps is needed, or epochs and steps_per_epoch")
        if total_steps is None:
            total_steps = whole("epochs", epochs) * whole("steps_per_epoch", steps_per_epoch)
        self.total_steps = whole("total_steps", total_steps)
        rising = number("pct_start", pct_start, 0.0, 1.0) * self.total_steps - 1.0
        last = self.total_steps - 1.0
        self.ends = [rising, 2.0 * rising, last] if three_phase else [rising, last]
        self.anneal = _ANNEALED[one_of(*_ANNEALED)("anneal_strategy", anneal_strategy)]
        checked_optimizer(self, optimizer)
        highest = [number("max_lr", x, 0.0) for x in per_group("max_lr", max_lr, optimizer)]
        lowest = [x / number("div_factor", div_factor, 1.0) for x in highest]
        at_last = [x / number("final_div_factor", final_div_factor, 1.0) for x in lowest]
        self.prepare(optimizer, base_momentum, max_momentum, cycle_momentum)
        self.lrs = list(zip(lowest, highest, *[lowest] * three_phase, at_last, strict=True))
        momentums = zip(self.max_momentums, self.base_momentums, strict=True)
        self.momentums = [(high, low, high, *[high] * three_phase) for high, low in momentums]
        for group, lr in zip(optimizer.param_groups, lowest, strict=True):
            group["initial_lr"] = lr
        super().__init__(optimizer)

    def advance(self, rates: Rates, step: Tensor, group: int) -> Rates:
        if current_tracing() is None and step.item() > self.total_steps:
            raise DefinitionError(f"OneCycleLR: the cycle of {self.total_steps} steps is over")
        step = ops.minimum(step, self.ends[-1])
        momentum = {"momentum": self._along(self.momentums[group], step)} if self.cycles_momentum else {}
        return {**rates, "lr": self._along(self.lrs[group], step), **momentum}

    def _along(self, corners: tuple[float, ...], step: Tensor) -> Tensor:
        """Where a path from corner to corner is at a step."""
        starts = [0.0, *self.ends[:-1]]
        pieces = [
            self.anneal(corners[i], corners[i + 1], (step - start) / (end - start or 1.0))
            for i, (start, end) in enumerate(zip(starts, self.ends, strict=True))
        ]
        found = pieces[-1]
        for piece, end in zip(pieces[-2::-1], self.ends[-2::-1], strict=True):
            found = ops.where(ops.less_equal(step, end), piece, found)
        return found


def _on_cosine(start: float, end: float, share: Tensor) -> Tensor:
    return end + (start - end) / 2.0 * (ops.cos(pi * share) + 1.0)


def _on_line(start: float, end: float, share: Tensor) -> Tensor:
    return (end - start) * share + start


_ANNEALED: dict[str, Callable[[float, float, Tensor], Tensor]] = {"cos": _on_cosine, "linear": _on_line}


class CyclicLR(_Cycle):
    """Up from `base_lr` to `max_lr` in `step_size_up` steps, down in `step_size_down`, again and again.

    The momentum (beta1 where there is none) goes the other way. Smith, "Cyclical learning rates for training neural
    networks", WACV 2017.

    Args:
        base_lr, max_lr: the lowest and highest rate, or lists of one for each group.
        step_size_up, step_size_down: steps of the rise, and of the fall; by default as many.
        mode: "triangular" keeps the height of the cycles, "triangular2" halves it from cycle to cycle, "exp_range"
            multiplies it by gamma^step.
        gamma: of "exp_range".
        scale_fn: a function that gives the share of the height, in the place of a mode; in a compiled step it gets a
            tensor.
        scale_mode: whether `scale_fn` is of the "cycle", from 1, or of the "iterations".
        cycle_momentum, base_momentum, max_momentum: as in `OneCycleLR`.

    Raises `DefinitionError` for other arguments, and an optimizer that has no momentum to cycle.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        base_lr: float | list[float],
        max_lr: float | list[float],
        step_size_up: int = 2000,
        step_size_down: int | None = None,
        mode: str = "triangular",
        gamma: float = 1.0,
        scale_fn: Factor | None = None,
        scale_mode: str = "cycle",
        cycle_momentum: bool = True,
        base_momentum: float | list[float] = 0.8,
        max_momentum: float | list[float] = 0.9,
    ) -> None:
        up = float(whole("step_size_up", step_size_up))
        self.total_size = up + (up if step_size_down is None else float(whole("step_size_down", step_size_down)))
        self.step_ratio = up / self.total_size
        self.mode = one_of("triangular", "triangular2", "exp_range")("mode", mode)
        self.gamma = number("gamma", gamma, 0.0)
        self.scale_fn = scale_fn
        self.scale_mode = one_of("cycle", "iterations")("scale_mode", scale_mode)
        self.prepare(optimizer, base_momentum, max_momentum, cycle_momentum)
        lows, highs = per_group("base_lr", base_lr, optimizer), per_group("max_lr", max_lr, optimizer)
        self.lrs = [(number("base_lr", a, 0.0), number("max_lr", b, 0.0)) for a, b in zip(lows, highs, strict=True)]
        for group, (low, _) in zip(optimizer.param_groups, self.lrs, strict=True):
            group["lr"] = low
        super().__init__(optimizer)

    def advance(self, rates: Rates, step: Tensor, group: int) -> Rates:
        cycle = ops.floor(1.0 + step / self.total_size)
        x = 1.0 + step / self.total_size - cycle
        rising = ops.less_equal(x, self.step_ratio)
        height = ops.where(rising, x / self.step_ratio, (x - 1.0) / (self.step_ratio - 1.0))
        height = height * self._scale(cycle, step)
        low, high = self.lrs[group]
        new = {**rates, "lr": low + (high - low) * height}
        if self.cycles_momentum:
            least, most = self.base_momentums[group], self.max_momentums[group]
            new["momentum"] = most - (most - least) * height
        return new

    def _scale(self, cycle: Tensor, step: Tensor) -> Tensor | float:
        if self.scale_fn is not None:
            return called(self.scale_fn, cycle if self.scale_mode == "cycle" else step)
        if self.mode == "exp_range":
            return self.gamma**step
        return 0.5 ** (cycle - 1.0) if self.mode == "triangular2" else 1.0


class SWALR(LRScheduler):
    """From the present rate to `swa_lr` in `anneal_epochs` steps, to stay there while weights are averaged.

    Args:
        swa_lr: the last rate, or a list of one for each group.
        anneal_epochs: steps on the way.
        anneal_strategy: "cos" or "linear".

    Izmailov et al., "Averaging weights leads to wider optima and better generalization", UAI 2018. See
    `AveragedModel`.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        swa_lr: float | list[float],
        anneal_epochs: int = 10,
        anneal_strategy: str = "cos",
    ) -> None:
        checked_optimizer(self, optimizer)
        self.swa_lrs = [number("swa_lr", x, 0.0) for x in per_group("swa_lr", swa_lr, optimizer)]
        self.anneal_epochs = whole("anneal_epochs", anneal_epochs, 0)
        self.anneal = _ANNEALED[one_of(*_ANNEALED)("anneal_strategy", anneal_strategy)]
        super().__init__(optimizer)

    def start(self, rates: Rates, group: int) -> Rates:
        return self.advance(rates, tensor(0.0, float64), group)

    def restart(self, rates: Rates, group: int) -> Rates:
        return self.start(rates, group)

    def advance(self, rates: Rates, step: Tensor, group: int) -> Rates:
        step = step if self.anneal_epochs else ops.maximum(step, 1.0)
        before, now = (ops.clip(x / max(1.0, float(self.anneal_epochs)), 0.0, 1.0) for x in (step - 1.0, step))
        over = ops.greater_equal(before, 1.0)
        share_before = ops.where(over, 0.0, self.anneal(0.0, 1.0, before))
        share, goal = self.anneal(0.0, 1.0, now), self.swa_lrs[group]
        origin = ops.where(over, goal, (rates["lr"] - share_before * goal) / (1.0 - share_before))
        return {**rates, "lr": goal * share + origin * (1.0 - share)}
