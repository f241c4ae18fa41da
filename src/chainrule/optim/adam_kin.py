"""Optimizers that vary Adam: NAdam, RAdam, Adamax and LAMB."""

from __future__ import annotations

from typing import ClassVar

from chainrule import ops
from chainrule.optim.adam import weight_decayed
from chainrule.optim.groups import BETAS, Checks, Group, as_type, at_least, flag, in_use
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
from chainrule.tensor import Tensor, tensor
from chainrule.types import float64


class NAdam(Optimizer):
    """Adam with Nesterov momentum: the step uses the mean as it will be, with the gradient once more in it.

        mu(t) = beta1 (1 - 0.96^(t momentum_decay) / 2)          M(t) = mu(1) mu(2) ... mu(t)
        m <- beta1 m + (1 - beta1) g
        v <- beta2 v + (1 - beta2) g^2
        d = mu(t+1) m / (1 - M(t+1)) + (1 - mu(t)) g / (1 - M(t))
        w <- w - lr d / (sqrt(v / (1 - beta2^t)) + eps)           t = 1, 2, ...

    Dozat, "Incorporating Nesterov momentum into Adam", ICLR workshop 2016. g, weight decay and the errors are those of
    `Adam`.

    >>> w = tensor([1.0, 2.0], requires_grad=True)
    >>> optimizer = NAdam([w], lr=0.1, momentum_decay=0.0)
    >>> (w * w).sum().backward()
    >>> optimizer.step()
    >>> w
    tensor([0.8943574, 1.8943573], f32[2], requires_grad=True)
    """

    checks: ClassVar[Checks] = {
        "betas": BETAS,
        "eps": at_least(0.0),
        "weight_decay": at_least(0.0),
        "momentum_decay": at_least(0.0),
        "decoupled_weight_decay": flag,
        "maximize": flag,
    }

    def __init__(
        self,
        parameters: Parameters,
        lr: float | Tensor = 2e-3,
        betas: tuple[float | Tensor, float | Tensor] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        momentum_decay: float = 4e-3,
        decoupled_weight_decay: bool = False,
        *,
        maximize: bool = False,
    ) -> None:
        super().__init__(
            parameters,
            lr,
            betas=betas,
            eps=eps,
            weight_decay=weight_decay,
            momentum_decay=momentum_decay,
            decoupled_weight_decay=decoupled_weight_decay,
            maximize=maximize,
        )

    def init(self, parameter: Tensor, group: Group) -> Slots:
        """The number of steps t, the product M, and the averages m and v."""
        averages = {name: filled_like(parameter) for name in ("exp_avg", "exp_avg_sq")}
        return {"step": steps_so_far(), "mu_product": tensor(1.0, float64), **averages}

    def update(self, parameter: Tensor, gradient: Tensor, state: Slots, group: Group) -> tuple[Tensor, Slots]:
        """One step."""
        (beta1, beta2), lr, dtype = group["betas"], group["lr"], parameter.dtype
        parameter, gradient = weight_decayed(parameter, directed(gradient, group), group)
        step = state["step"] + 1.0
        mu, mu_next = (beta1 * (1.0 - 0.5 * 0.96 ** (t * group["momentum_decay"])) for t in (step, step + 1.0))
        product = state["mu_product"] * mu
        mean = averaged(state["exp_avg"], gradient, beta1)
        square = averaged(state["exp_avg_sq"], gradient * gradient, beta2)
        of_gradient = (lr * (1.0 - mu) / (1.0 - product)).cast(dtype)
        of_mean = (lr * mu_next / (1.0 - product * mu_next)).cast(dtype)
        size = ops.sqrt(square / (1.0 - beta2**step).cast(dtype)) + as_type(group["eps"], dtype)
        new = parameter - (of_gradient * gradient + of_mean * mean) / size
        return new, {"step": step, "mu_product": product, "exp_avg": mean, "exp_avg_sq": square}


class RAdam(Optimizer):
    """Adam that starts with plain means, until the mean of squares rests on enough of them to be divided by.

        m <- beta1 m + (1 - beta1) g
        v <- beta2 v + (1 - beta2) g^2
        rho = 2 / (1 - beta2) - 1,   rho(t) = rho - 2 t beta2^t / (1 - beta2^t)
        r = sqrt((rho(t) - 4) (rho(t) - 2) rho / ((rho - 4) (rho - 2) rho(t)))
        u = r sqrt(1 - beta2^t) / (sqrt(v) + eps)    if rho(t) > 5, else 1
        w <- w - lr u m / (1 - beta1^t)              t = 1, 2, ...

    Liu et al., "On the variance of the adaptive learning rate and beyond", ICLR 2020. g, weight decay and the errors
    are those of `Adam`.

    >>> w = tensor([1.0, 2.0], requires_grad=True)
    >>> optimizer = RAdam([w], lr=0.1)
    >>> (w * w).sum().backward()
    >>> optimizer.step()
    >>> w
    tensor([0.8, 1.6], f32[2], requires_grad=True)
    """

    checks: ClassVar[Checks] = {
        "betas": BETAS,
        "eps": at_least(0.0),
        "weight_decay": at_least(0.0),
        "decoupled_weight_decay": flag,
        "maximize": flag,
    }

    def __init__(
        self,
        parameters: Parameters,
        lr: float | Tensor = 1e-3,
        betas: tuple[float | Tensor, float | Tensor] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        decoupled_weight_decay: bool = False,
        *,
        maximize: bool = False,
    ) -> None:
        super().__init__(
            parameters,
            lr,
            betas=betas,
            eps=eps,
            weight_decay=weight_decay,
            decoupled_weight_decay=decoupled_weight_decay,
            maximize=maximize,
        )

    def init(self, parameter: Tensor, group: Group) -> Slots:
        """The number of steps t, and the averages m and v."""
        return {"step": steps_so_far(), "exp_avg": filled_like(parameter), "exp_avg_sq": filled_like(parameter)}

    def update(self, parameter: Tensor, gradient: Tensor, state: Slots, group: Group) -> tuple[Tensor, Slots]:
        """One step."""
        (beta1, beta2), dtype = group["betas"], parameter.dtype
        parameter, gradient = weight_decayed(parameter, directed(gradient, group), group)
        step = state["step"] + 1.0
        mean = averaged(state["exp_avg"], gradient, beta1)
        square = averaged(state["exp_avg_sq"], gradient * gradient, beta2)
        left = 1.0 - beta2**step
        limit = 2.0 / (1.0 - beta2) - 1.0
        length = limit - 2.0 * step * beta2**step / left
        enough = ops.greater(length, 5.0)
        safe = ops.where(enough, length, 6.0)  # a root that exists
        ratio = (safe - 4.0) * (safe - 2.0) * limit / ((limit - 4.0) * (limit - 2.0) * safe)
        scale = ops.sqrt(ops.maximum(ratio, 0.0) * left).cast(dtype)
        factor = ops.where(enough, scale / (ops.sqrt(square) + as_type(group["eps"], dtype)), 1.0)
        rate = (group["lr"] / (1.0 - beta1**step)).cast(dtype)
        return parameter - rate * mean * factor, {"step": step, "exp_avg": mean, "exp_avg_sq": square}


class Adamax(Optimizer):
    """Adam with the largest recent gradient in the place of the root mean square.

        g <- gradient + weight_decay w               (minus the gradient if the loss is to be maximized)
        m <- beta1 m + (1 - beta1) g
        u <- max(beta2 u, |g| + eps)
        w <- w - lr / (1 - beta1^t) m / u            t = 1, 2, ...

    Kingma & Ba, "Adam: a method for stochastic optimization", ICLR 2015, section 7. Errors are those of `Adam`.

    >>> w = tensor([1.0, 2.0], requires_grad=True)
    >>> optimizer = Adamax([w], lr=0.1)
    >>> (w * w).sum().backward()
    >>> optimizer.step()
    >>> w
    tensor([0.9, 1.9], f32[2], requires_grad=True)
    """

    checks: ClassVar[Checks] = {
        "betas": BETAS,
        "eps": at_least(0.0),
        "weight_decay": at_least(0.0),
        "maximize": flag,
    }

    def __init__(
        self,
        parameters: Parameters,
        lr: float | Tensor = 2e-3,
        betas: tuple[float | Tensor, float | Tensor] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        *,
        maximize: bool = False,
    ) -> None:
        super().__init__(parameters, lr, betas=betas, eps=eps, weight_decay=weight_decay, maximize=maximize)

    def init(self, parameter: Tensor, group: Group) -> Slots:
        """The number of steps t, the average m and the largest gradient u."""
        return {"step": steps_so_far(), "exp_avg": filled_like(parameter), "exp_inf": filled_like(parameter)}

    def update(self, parameter: Tensor, gradient: Tensor, state: Slots, group: Group) -> tuple[Tensor, Slots]:
        """One step."""
        (beta1, beta2), dtype = group["betas"], parameter.dtype
        gradient = decayed(directed(gradient, group), parameter, group["weight_decay"])
        step = state["step"] + 1.0
        mean = averaged(state["exp_avg"], gradient, beta1)
        size = ops.abs(gradient) + as_type(group["eps"], dtype)
        largest = ops.maximum(as_type(beta2, dtype) * state["exp_inf"], size)
        rate = (group["lr"] / (1.0 - beta1**step)).cast(dtype)
        return parameter - rate * (mean / largest), {"step": step, "exp_avg": mean, "exp_inf": largest}


class LAMB(Optimizer):
    """Adam's direction, made as long for each parameter tensor as a share of the tensor itself: for large batches.

        m <- beta1 m + (1 - beta1) g
        v <- beta2 v + (1 - beta2) g^2
        d = (m / (1 - beta1^t)) / (sqrt(v / (1 - beta2^t)) + eps) + weight_decay w          t = 1, 2, ...
        w <- w - lr ||w|| / ||d|| d                          (1 in the place of the ratio where a norm is zero)

    You et al., "Large batch optimization for deep learning: training BERT in 76 minutes", ICLR 2020. g and the errors
    are those of `Adam`.

    >>> w = tensor([3.0, 0.0], requires_grad=True)
    >>> optimizer = LAMB([w], lr=0.5, weight_decay=0.0)
    >>> (w * w).sum().backward()
    >>> optimizer.step()
    >>> w
    tensor([1.5, 0. ], f32[2], requires_grad=True)
    """

    checks: ClassVar[Checks] = Adamax.checks

    def __init__(
        self,
        parameters: Parameters,
        lr: float | Tensor = 1e-3,
        betas: tuple[float | Tensor, float | Tensor] = (0.9, 0.999),
        eps: float = 1e-6,
        weight_decay: float = 1e-2,
        *,
        maximize: bool = False,
    ) -> None:
        super().__init__(parameters, lr, betas=betas, eps=eps, weight_decay=weight_decay, maximize=maximize)

    def init(self, parameter: Tensor, group: Group) -> Slots:
        """The number of steps t, and the averages m and v."""
        return {"step": steps_so_far(), "exp_avg": filled_like(parameter), "exp_avg_sq": filled_like(parameter)}

    def update(self, parameter: Tensor, gradient: Tensor, state: Slots, group: Group) -> tuple[Tensor, Slots]:
        """One step."""
        (beta1, beta2), dtype = group["betas"], parameter.dtype
        gradient = directed(gradient, group)
        step = state["step"] + 1.0
        mean = averaged(state["exp_avg"], gradient, beta1)
        square = averaged(state["exp_avg_sq"], gradient * gradient, beta2)
        grow, shrink = (1.0 / (1.0 - beta1**step)).cast(dtype), ops.rsqrt(1.0 - beta2**step).cast(dtype)
        direction = mean * grow / (ops.sqrt(square) * shrink + as_type(group["eps"], dtype))
        if in_use(group["weight_decay"]):
            direction = direction + as_type(group["weight_decay"], dtype) * parameter
        long, wide = (ops.sqrt(ops.sum(x * x)) for x in (parameter, direction))
        trusted = ops.logical_and(ops.greater(long, 0.0), ops.greater(wide, 0.0))
        ratio = ops.where(trusted, long / ops.where(trusted, wide, 1.0), 1.0)
        new = parameter - group["lr"].cast(dtype) * ratio * direction
        return new, {"step": step, "exp_avg": mean, "exp_avg_sq": square}
