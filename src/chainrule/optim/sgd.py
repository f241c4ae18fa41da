"""Gradient descent."""

from __future__ import annotations

from typing import ClassVar

from chainrule import ops
from chainrule.errors import DefinitionError
from chainrule.optim.groups import Checks, Group, as_type, at_least, flag, in_use
from chainrule.optim.optimizer import Optimizer, Parameters, Slots, decayed, directed, filled_like, steps_so_far
from chainrule.tensor import Tensor


class SGD(Optimizer):
    """Stochastic gradient descent, with momentum if that is not zero.

        g <- gradient + weight_decay w               (minus the gradient if the loss is to be maximized)
        v <- momentum v + (1 - dampening) g          (v = g in the first step)
        w <- w - lr v                                (lr (g + momentum v) with nesterov)

    Polyak 1964; Sutskever, Martens, Dahl & Hinton, "On the importance of initialization and momentum in deep learning",
    ICML 2013.

    Raises `DefinitionError` for a negative number, or nesterov with dampening or without momentum.

    >>> from chainrule.tensor import tensor
    >>> w = tensor([1.0, 2.0], requires_grad=True)
    >>> optimizer = SGD([w], lr=0.1)
    >>> (w * w).sum().backward()
    >>> optimizer.step()
    >>> w
    tensor([0.8, 1.6], f32[2], requires_grad=True)
    """

    checks: ClassVar[Checks] = {
        "momentum": at_least(0.0),
        "dampening": at_least(),
        "weight_decay": at_least(0.0),
        "nesterov": flag,
        "maximize": flag,
    }

    def __init__(
        self,
        parameters: Parameters,
        lr: float | Tensor = 1e-3,
        momentum: float | Tensor = 0.0,
        dampening: float = 0.0,
        weight_decay: float | Tensor = 0.0,
        nesterov: bool = False,
        *,
        maximize: bool = False,
    ) -> None:
        super().__init__(
            parameters,
            lr,
            momentum=momentum,
            dampening=dampening,
            weight_decay=weight_decay,
            nesterov=nesterov,
            maximize=maximize,
        )

    def check(self, group: Group) -> None:
        """No Nesterov momentum without momentum, or with dampening."""
        if group["nesterov"] and (not in_use(group["momentum"]) or in_use(group["dampening"])):
            raise DefinitionError("SGD: nesterov needs a momentum and no dampening")

    def init(self, parameter: Tensor, group: Group) -> Slots:
        """The velocity v; with dampening, whether there was a step before."""
        if not in_use(group["momentum"]):
            return {}
        slots = {"momentum_buffer": filled_like(parameter)}
        return slots | ({"step": steps_so_far()} if in_use(group["dampening"]) else {})

    def update(self, parameter: Tensor, gradient: Tensor, state: Slots, group: Group) -> tuple[Tensor, Slots]:
        """One step."""
        dtype = parameter.dtype
        gradient = decayed(directed(gradient, group), parameter, group["weight_decay"])
        rate = group["lr"].cast(dtype)
        if not in_use(group["momentum"]):
            return parameter - rate * gradient, {}
        momentum, new, added = as_type(group["momentum"], dtype), Slots(), gradient
        if in_use(group["dampening"]):
            kept = 1.0 - group["dampening"] * ops.minimum(state["step"], 1.0)
            added, new["step"] = kept.cast(dtype) * gradient, state["step"] + 1.0
        velocity = new["momentum_buffer"] = momentum * state["momentum_buffer"] + added
        direction = gradient + momentum * velocity if group["nesterov"] else velocity
        return parameter - rate * direction, new
