"""Optimizers that divide each gradient by the size of those before it: RMSprop and Adagrad."""

from __future__ import annotations

from collections.abc import Iterable

from chainrule import ops
from chainrule.nn.checks import number
from chainrule.optim.optimizer import Optimizer, Slots, decayed, filled_like, steps_so_far
from chainrule.tensor import Tensor


class RMSprop(Optimizer):
    """Gradients divided by the root of a running mean of their squares.

        g <- gradient + weight_decay w
        v <- alpha v + (1 - alpha) g^2
        a <- alpha a + (1 - alpha) g                 (centered)
        d = g / (sqrt(v) + eps)                      (centered: v - a^2 in the place of v)
        b <- momentum b + d
        w <- w - lr b

    Tieleman & Hinton, "Neural networks for machine learning", lecture 6.5, 2012; centred: Graves, "Generating sequences
    with recurrent neural networks", 2013. Where rounding makes v - a^2 negative, it counts as zero.

    Raises `DefinitionError` for a negative number, or an alpha above 1.

    >>> from chainrule.tensor import tensor
    >>> w = tensor([1.0, 2.0], requires_grad=True)
    >>> optimizer = RMSprop([w], lr=0.05)
    >>> (w * w).sum().backward()
    >>> optimizer.step()
    >>> w
    tensor([0.5, 1.5], f32[2], requires_grad=True)
    """

    def __init__(
        self,
        parameters: Iterable[Tensor],
        lr: float = 1e-2,
        alpha: float = 0.99,
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        momentum: float = 0.0,
        centered: bool = False,
    ) -> None:
        self.alpha = number("alpha", alpha, 0.0, 1.0)
        self.eps = number("eps", eps, 0.0)
        self.weight_decay = number("weight_decay", weight_decay, 0.0)
        self.momentum = number("momentum", momentum, 0.0)
        self.centered = centered
        super().__init__(parameters, lr)

    def init(self, parameter: Tensor) -> Slots:
        """The running mean of squares v; the velocity b and the running mean a where they are used."""
        names = ["square_avg", *["momentum_buffer"] * (self.momentum > 0.0), *["grad_avg"] * self.centered]
        return {name: filled_like(parameter) for name in names}

    def update(self, parameter: Tensor, gradient: Tensor, state: Slots, lr: Tensor) -> tuple[Tensor, Slots]:
        """One step."""
        gradient, alpha = decayed(gradient, parameter, self.weight_decay), self.alpha
        square = alpha * state["square_avg"] + (1.0 - alpha) * (gradient * gradient)
        new = {"square_avg": square}
        if self.centered:
            mean = new["grad_avg"] = alpha * state["grad_avg"] + (1.0 - alpha) * gradient
            square = ops.maximum(square - mean * mean, 0.0)
        direction = gradient / (ops.sqrt(square) + self.eps)
        if self.momentum:
            direction = new["momentum_buffer"] = self.momentum * state["momentum_buffer"] + direction
        return parameter - lr.cast(parameter.dtype) * direction, new


class Adagrad(Optimizer):
    """Gradients divided by the root of the sum of all their squares so far.

        g <- gradient + weight_decay w
        s <- s + g^2                                                  (at first initial_accumulator_value)
        w <- w - lr / (1 + (t - 1) lr_decay) g / (sqrt(s) + eps)      t = 1, 2, ...

    Duchi, Hazan & Singer, "Adaptive subgradient methods for online learning and stochastic optimization", JMLR 12
    (2011).

    Raises `DefinitionError` for a negative number.

    >>> from chainrule.tensor import tensor
    >>> w = tensor([1.0, 2.0], requires_grad=True)
    >>> optimizer = Adagrad([w], lr=0.1)
    >>> (w * w).sum().backward()
    >>> optimizer.step()
    >>> w
    tensor([0.9, 1.9], f32[2], requires_grad=True)
    """

    def __init__(
        self,
        parameters: Iterable[Tensor],
        lr: float = 1e-2,
        lr_decay: float = 0.0,
        weight_decay: float = 0.0,
        initial_accumulator_value: float = 0.0,
        eps: float = 1e-10,
    ) -> None:
        self.lr_decay = number("lr_decay", lr_decay, 0.0)
        self.weight_decay = number("weight_decay", weight_decay, 0.0)
        self.initial_accumulator_value = number("initial_accumulator_value", initial_accumulator_value, 0.0)
        self.eps = number("eps", eps, 0.0)
        super().__init__(parameters, lr)

    def init(self, parameter: Tensor) -> Slots:
        """The number of steps t, and the sum of squares s."""
        return {"step": steps_so_far(), "sum": filled_like(parameter, self.initial_accumulator_value)}

    def update(self, parameter: Tensor, gradient: Tensor, state: Slots, lr: Tensor) -> tuple[Tensor, Slots]:
        """One step."""
        gradient = decayed(gradient, parameter, self.weight_decay)
        total = state["sum"] + gradient * gradient
        rate = (lr / (1.0 + state["step"] * self.lr_decay)).cast(parameter.dtype)
        new = parameter - rate * gradient / (ops.sqrt(total) + self.eps)
        return new, {"step": state["step"] + 1.0, "sum": total}
