"""Adam and AdamW."""

from __future__ import annotations

from typing import ClassVar

from chainrule import ops
from chainrule.optim.groups import BETAS, Checks, Group, as_type, at_least, flag
from chainrule.optim.optimizer import (
    Optimizer,
    Parameters,
    Slots,
    averaged,
    decayed,
    directed,
    filled_like,
    shrunk,
    steps_so_far,
)
from chainrule.tensor import Tensor


class Adam(Optimizer):
    """Steps of a size that does not depend on the gradient's: mean divided by root mean square.

        g <- gradient + weight_decay w               (minus the gradient if the loss is to be maximized)
        m <- beta1 m + (1 - beta1) g
        v <- beta2 v + (1 - beta2) g^2
        w <- w - lr (m / (1 - beta1^t)) / (sqrt(v / (1 - beta2^t)) + eps)          t = 1, 2, ...

    With amsgrad, the largest v so far takes the place of v in the last line. With decoupled weight decay, the gradient
    stays as it is, and w <- (1 - lr weight_decay) w comes first.

    Kingma & Ba, "Adam: a method for stochastic optimization", ICLR 2015; amsgrad: Reddi, Kale & Kumar, "On the
    convergence of Adam and beyond", ICLR 2018.

    Raises `DefinitionError` for a negative number, or a beta that is not in [0, 1).

    >>> from chainrule.tensor import tensor
    >>> w = tensor([1.0, 2.0], requires_grad=True)
    >>> optimizer = Adam([w], lr=0.1)
    >>> (w * w).sum().backward()
    >>> optimizer.step()
    >>> w
    tensor([0.9, 1.9], f32[2], requires_grad=True)
    """

    checks: ClassVar[Checks] = {
        "betas": BETAS,
        "eps": at_least(0.0),
        "weight_decay": at_least(0.0),
        "amsgrad": flag,
        "maximize": flag,
        "decoupled_weight_decay": flag,
    }

    def __init__(
        self,
        parameters: Parameters,
        lr: float | Tensor = 1e-3,
        betas: tuple[float | Tensor, float | Tensor] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        amsgrad: bool = False,
        *,
        maximize: bool = False,
        decoupled_weight_decay: bool = False,
    ) -> None:
        super().__init__(
            parameters,
            lr,
            betas=betas,
            eps=eps,
            weight_decay=weight_decay,
            amsgrad=amsgrad,
            maximize=maximize,
            decoupled_weight_decay=decoupled_weight_decay,
        )

    def init(self, parameter: Tensor, group: Group) -> Slots:
        """The number of steps t, and the averages m and v; with amsgrad, the largest v."""
        names = ["exp_avg", "exp_avg_sq", *["max_exp_avg_sq"] * group["amsgrad"]]
        return {"step": steps_so_far(), **{name: filled_like(parameter) for name in names}}

    def update(self, parameter: Tensor, gradient: Tensor, state: Slots, group: Group) -> tuple[Tensor, Slots]:
        """One step."""
        (beta1, beta2), dtype = group["betas"], parameter.dtype
        parameter, gradient = weight_decayed(parameter, directed(gradient, group), group)
        step = state["step"] + 1.0
        mean = averaged(state["exp_avg"], gradient, beta1)
        square = averaged(state["exp_avg_sq"], gradient * gradient, beta2)
        new = {"step": step, "exp_avg": mean, "exp_avg_sq": square}
        if group["amsgrad"]:
            square = new["max_exp_avg_sq"] = ops.maximum(state["max_exp_avg_sq"], square)
        rate = (group["lr"] / (1.0 - beta1**step)).cast(dtype)
        shrink = ops.rsqrt(1.0 - beta2**step).cast(dtype)
        return parameter - rate * (mean / (ops.sqrt(square) * shrink + as_type(group["eps"], dtype))), new


class AdamW(Adam):
    """Adam with weight decay that is no part of the gradient: w <- (1 - lr weight_decay) w before each step.

    Loshchilov & Hutter, "Decoupled weight decay regularization", ICLR 2019.
    """

    def __init__(
        self,
        parameters: Parameters,
        lr: float | Tensor = 1e-3,
        betas: tuple[float | Tensor, float | Tensor] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
        amsgrad: bool = False,
        *,
        maximize: bool = False,
    ) -> None:
        super().__init__(
            parameters, lr, betas, eps, weight_decay, amsgrad, maximize=maximize, decoupled_weight_decay=True
        )


def weight_decayed(parameter: Tensor, gradient: Tensor, group: Group) -> tuple[Tensor, Tensor]:
    """Parameter and gradient with weight decay in the one or the other."""
    if group["decoupled_weight_decay"]:
        return shrunk(parameter, group), gradient
    return parameter, decayed(gradient, parameter, group["weight_decay"])
