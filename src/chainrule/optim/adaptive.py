"""Optimizers that divide each gradient by the size of those before it: RMSprop, Adagrad and Adadelta."""

from __future__ import annotations

from typing import ClassVar

from chainrule import ops
from chainrule.optim.groups import Checks, Group, as_type, at_least, flag, in_use
from chainrule.optim.optimizer import (
    Optimizer,
    Parameters,
    Slots,
    averaged,
    decayed,
    directed,
    filled_like,
    steps_so_far,
)
from chainrule.tensor import Tensor


class RMSprop(Optimizer):
    """Gradients divided by the root of a running mean of their squares.

        g <- gradient + weight_decay w               (minus the gradient if the loss is to be maximized)
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

    checks: ClassVar[Checks] = {
        "alpha": at_least(0.0, 1.0),
        "eps": at_least(0.0),
        "weight_decay": at_least(0.0),
        "momentum": at_least(0.0),
        "centered": flag,
        "maximize": flag,
    }

    def __init__(
        self,
        parameters: Parameters,
        lr: float | Tensor = 1e-2,
        alpha: float = 0.99,
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        momentum: float | Tensor = 0.0,
        centered: bool = False,
        *,
        maximize: bool = False,
    ) -> None:
        super().__init__(
            parameters,
            lr,
            alpha=alpha,
            eps=eps,
            weight_decay=weight_decay,
            momentum=momentum,
            centered=centered,
            maximize=maximize,
        )

    def init(self, parameter: Tensor, group: Group) -> Slots:
        """The running mean of squares v; the velocity b and the running mean a where they are used."""
        used = in_use(group["momentum"])
        names = ["square_avg", *["momentum_buffer"] * used, *["grad_avg"] * group["centered"]]
        return {name: filled_like(parameter) for name in names}

    def update(self, parameter: Tensor, gradient: Tensor, state: Slots, group: Group) -> tuple[Tensor, Slots]:
        """One step."""
        alpha, momentum, dtype = group["alpha"], group["momentum"], parameter.dtype
        gradient = decayed(directed(gradient, group), parameter, group["weight_decay"])
        square = averaged(state["square_avg"], gradient * gradient, alpha)
        new = {"square_avg": square}
        if group["centered"]:
            mean = new["grad_avg"] = averaged(state["grad_avg"], gradient, alpha)
            square = ops.maximum(square - mean * mean, 0.0)
        direction = gradient / (ops.sqrt(square) + as_type(group["eps"], dtype))
        if in_use(momentum):
            direction = as_type(momentum, dtype) * state["momentum_buffer"] + direction
            new["momentum_buffer"] = direction
        return parameter - group["lr"].cast(dtype) * direction, new


class Adagrad(Optimizer):
    """Gradients divided by the root of the sum of all their squares so far.

        g <- gradient + weight_decay w               (minus the gradient if the loss is to be maximized)
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

    checks: ClassVar[Checks] = {
        "lr_decay": at_least(0.0),
        "weight_decay": at_least(0.0),
        "initial_accumulator_value": at_least(0.0),
        "eps": at_least(0.0),
        "maximize": flag,
    }

    def __init__(
        self,
        parameters: Parameters,
        lr: float | Tensor = 1e-2,
        lr_decay: float = 0.0,
        weight_decay: float = 0.0,
        initial_accumulator_value: float = 0.0,
        eps: float = 1e-10,
        *,
        maximize: bool = False,
    ) -> None:
        super().__init__(
            parameters,
            lr,
            lr_decay=lr_decay,
            weight_decay=weight_decay,
            initial_accumulator_value=initial_accumulator_value,
            eps=eps,
            maximize=maximize,
        )

    def init(self, parameter: Tensor, group: Group) -> Slots:
        """The number of steps t, and the sum of squares s."""
        return {"step": steps_so_far(), "sum": filled_like(parameter, float(group["initial_accumulator_value"]))}

    def update(self, parameter: Tensor, gradient: Tensor, state: Slots, group: Group) -> tuple[Tensor, Slots]:
        """One step."""
        dtype = parameter.dtype
        gradient = decayed(directed(gradient, group), parameter, group["weight_decay"])
        total = state["sum"] + gradient * gradient
        rate = (group["lr"] / (1.0 + state["step"] * group["lr_decay"])).cast(dtype)
        new = parameter - rate * gradient / (ops.sqrt(total) + as_type(group["eps"], dtype))
        return new, {"step": state["step"] + 1.0, "sum": total}


class Adadelta(Optimizer):
    """Gradients divided by their root mean square, times that of the updates: steps in the units of the parameter.

        g <- gradient + weight_decay w               (minus the gradient if the loss is to be maximized)
        v <- rho v + (1 - rho) g^2
        d = sqrt(u + eps) / sqrt(v + eps) g
        u <- rho u + (1 - rho) d^2
        w <- w - lr d

    Zeiler, "ADADELTA: an adaptive learning rate method", 2012.

    Raises `DefinitionError` for a negative number, or a rho above 1.

    >>> from chainrule.tensor import tensor
    >>> w = tensor([1.0, 2.0], requires_grad=True)
    >>> optimizer = Adadelta([w], rho=0.0, eps=1.0)
    >>> w.grad = tensor([0.0, 1.0])
    >>> optimizer.step()
    >>> w
    tensor([1.       , 1.2928932], f32[2], requires_grad=True)
    """

    checks: ClassVar[Checks] = {
        "rho": at_least(0.0, 1.0),
        "eps": at_least(0.0),
        "weight_decay": at_least(0.0),
        "maximize": flag,
    }

    def __init__(
        self,
        parameters: Parameters,
        lr: float | Tensor = 1.0,
        rho: float = 0.9,
        eps: float = 1e-6,
        weight_decay: float = 0.0,
        *,
        maximize: bool = False,
    ) -> None:
        super().__init__(parameters, lr, rho=rho, eps=eps, weight_decay=weight_decay, maximize=maximize)

    def init(self, parameter: Tensor, group: Group) -> Slots:
        """The running means of squares v, of gradients, and u, of updates."""
        return {"square_avg": filled_like(parameter), "acc_delta": filled_like(parameter)}

    def update(self, parameter: Tensor, gradient: Tensor, state: Slots, group: Group) -> tuple[Tensor, Slots]:
        """One step."""
        rho, dtype = group["rho"], parameter.dtype
        eps = as_type(group["eps"], dtype)
        gradient = decayed(directed(gradient, group), parameter, group["weight_decay"])
        square = averaged(state["square_avg"], gradient * gradient, rho)
        delta = ops.sqrt(state["acc_delta"] + eps) / ops.sqrt(square + eps) * gradient
        moved = averaged(state["acc_delta"], delta * delta, rho)
        return parameter - group["lr"].cast(dtype) * delta, {"square_avg": square, "acc_delta": moved}
