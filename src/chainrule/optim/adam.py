"""Adam and AdamW."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from chainrule import ops
from chainrule.nn.checks import number
from chainrule.optim.optimizer import Optimizer, Slots, decayed, filled_like, steps_so_far
from chainrule.tensor import Tensor


class Adam(Optimizer):
    """Steps of a size that does not depend on the gradient's: mean divided by root mean square.

        g <- gradient + weight_decay w
        m <- beta1 m + (1 - beta1) g
        v <- beta2 v + (1 - beta2) g^2
        w <- w - lr (m / (1 - beta1^t)) / (sqrt(v / (1 - beta2^t)) + eps)          t = 1, 2, ...

    Kingma & Ba, "Adam: a method for stochastic optimization", ICLR 2015.

    Raises `DefinitionError` for a negative number, or a beta that is not in [0, 1).

    >>> from chainrule.tensor import tensor
    >>> w = tensor([1.0, 2.0], requires_grad=True)
    >>> optimizer = Adam([w], lr=0.1)
    >>> (w * w).sum().backward()
    >>> optimizer.step()
    >>> w
    tensor([0.9, 1.9], f32[2], requires_grad=True)
    """

    decoupled: ClassVar[bool] = False

    def __init__(
        self,
        parameters: Iterable[Tensor],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
    ) -> None:
        beta1, beta2 = betas
        self.betas = number("beta1", beta1, 0.0, below=1.0), number("beta2", beta2, 0.0, below=1.0)
        self.eps = number("eps", eps, 0.0)
        self.weight_decay = number("weight_decay", weight_decay, 0.0)
        super().__init__(parameters, lr)

    def init(self, parameter: Tensor) -> Slots:
        """The number of steps t, and the averages m and v."""
        return {"step": steps_so_far(), "exp_avg": filled_like(parameter), "exp_avg_sq": filled_like(parameter)}

    def update(self, parameter: Tensor, gradient: Tensor, state: Slots, lr: Tensor) -> tuple[Tensor, Slots]:
        """One step."""
        (beta1, beta2), dtype = self.betas, parameter.dtype
        if self.decoupled:
            parameter = parameter * (1.0 - lr * self.weight_decay).cast(dtype)
        else:
            gradient = decayed(gradient, parameter, self.weight_decay)
        step = state["step"] + 1.0
        mean = beta1 * state["exp_avg"] + (1.0 - beta1) * gradient
        square = beta2 * state["exp_avg_sq"] + (1.0 - beta2) * (gradient * gradient)
        rate = (lr / (1.0 - beta1**step)).cast(dtype)
        shrink = ops.rsqrt(1.0 - beta2**step).cast(dtype)
        new = parameter - rate * (mean / (ops.sqrt(square) * shrink + self.eps))
        return new, {"step": step, "exp_avg": mean, "exp_avg_sq": square}


class AdamW(Adam):
    """Adam with weight decay that is no part of the gradient: w <- (1 - lr weight_decay) w before each step.

    Loshchilov & Hutter, "Decoupled weight decay regularization", ICLR 2019.
    """

    decoupled = True

    def __init__(
        self,
        parameters: Iterable[Tensor],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
    ) -> None:
        super().__init__(parameters, lr, betas, eps, weight_decay)
