"""Gradient descent."""

from __future__ import annotations

from collections.abc import Iterable

from chainrule import ops
from chainrule.errors import DefinitionError
from chainrule.nn.checks import number
from chainrule.optim.optimizer import Optimizer, Slots, decayed, filled_like, steps_so_far
from chainrule.tensor import Tensor


class SGD(Optimizer):
    """Stochastic gradient descent, with momentum if that is not zero.

        g <- gradient + weight_decay w
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

    def __init__(
        self,
        parameters: Iterable[Tensor],
        lr: float = 1e-3,
        momentum: float = 0.0,
        dampening: float = 0.0,
        weight_decay: float = 0.0,
        nesterov: bool = False,
    ) -> None:
        self.momentum = number("momentum", momentum, 0.0)
        self.dampening = number("dampening", dampening)
        self.weight_decay = number("weight_decay", weight_decay, 0.0)
        self.nesterov = nesterov
        if nesterov and (momentum == 0.0 or dampening != 0.0):
            raise DefinitionError("SGD: nesterov needs a momentum and no dampening")
        super().__init__(parameters, lr)

    def init(self, parameter: Tensor) -> Slots:
        """The velocity v; with dampening, whether there was a step before."""
        slots = {"momentum_buffer": filled_like(parameter)} if self.momentum else {}
        return slots | ({"step": steps_so_far()} if self.momentum and self.dampening else {})

    def update(self, parameter: Tensor, gradient: Tensor, state: Slots, lr: Tensor) -> tuple[Tensor, Slots]:
        """One step."""
        gradient, rate = decayed(gradient, parameter, self.weight_decay), lr.cast(parameter.dtype)
        if not self.momentum:
            return parameter - rate * gradient, {}
        new: Slots = {}
        added = gradient
        if self.dampening:
            kept = 1.0 - self.dampening * ops.minimum(state["step"], 1.0)
            added, new["step"] = kept.cast(parameter.dtype) * gradient, state["step"] + 1.0
        velocity = new["momentum_buffer"] = self.momentum * state["momentum_buffer"] + added
        direction = gradient + self.momentum * velocity if self.nesterov else velocity
        return parameter - rate * direction, new
