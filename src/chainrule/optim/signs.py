"""Optimizers that use the signs of gradients: Lion and Rprop."""

from __future__ import annotations

from typing import ClassVar

from chainrule import ops
from chainrule.errors import DefinitionError
from chainrule.optim.groups import BETAS, Checks, Group, as_type, at_least, flag
from chainrule.optim.optimizer import (
    Optimizer,
    Parameters,
    Slots,
    averaged,
    directed,
    filled_like,
    shrunk,
    steps_so_far,
)
from chainrule.tensor import Tensor


class Lion(Optimizer):
    """Steps of one size in the direction of the sign of a mean.

        w <- (1 - lr weight_decay) w
        w <- w - lr sign(beta1 m + (1 - beta1) g)    g: the gradient, or minus it if the loss is to be maximized
        m <- beta2 m + (1 - beta2) g

    Good learning rates are 3 to 10 times smaller than Adam's. Chen et al., "Symbolic discovery of optimization
    algorithms", NeurIPS 2023.

    Raises `DefinitionError` for a negative number, or a beta that is not in [0, 1).

    >>> from chainrule.tensor import tensor
    >>> w = tensor([1.0, 2.0], requires_grad=True)
    >>> optimizer = Lion([w], lr=0.5)
    >>> (w * w).sum().backward()
    >>> optimizer.step()
    >>> w
    tensor([0.5, 1.5], f32[2], requires_grad=True)
    """

    checks: ClassVar[Checks] = {"betas": BETAS, "weight_decay": at_least(0.0), "maximize": flag}

    def __init__(
        self,
        parameters: Parameters,
        lr: float | Tensor = 1e-4,
        betas: tuple[float | Tensor, float | Tensor] = (0.9, 0.99),
        weight_decay: float = 0.0,
        *,
        maximize: bool = False,
    ) -> None:
        super().__init__(parameters, lr, betas=betas, weight_decay=weight_decay, maximize=maximize)

    def init(self, parameter: Tensor, group: Group) -> Slots:
        """The mean m."""
        return {"exp_avg": filled_like(parameter)}

    def update(self, parameter: Tensor, gradient: Tensor, state: Slots, group: Group) -> tuple[Tensor, Slots]:
        """One step."""
        (beta1, beta2), gradient = group["betas"], directed(gradient, group)
        direction = ops.sign(averaged(state["exp_avg"], gradient, beta1))
        new = shrunk(parameter, group) - group["lr"].cast(parameter.dtype) * direction
        return new, {"exp_avg": averaged(state["exp_avg"], gradient, beta2)}


class Rprop(Optimizer):
    """A step size for each weight that grows while its gradient keeps its sign; for whole data sets, not minibatches.

        s <- s eta2  if g and the gradient before are of one sign, s eta1  if of two signs; then into step_sizes
        g <- 0       if of two signs
        w <- w - s sign(g)                           s is lr at first

    Riedmiller & Braun, "A direct adaptive method for faster backpropagation learning: the RPROP algorithm", 1993.

    Args:
        etas: how the step size shrinks and grows, 0 < eta1 < 1 < eta2.
        step_sizes: the smallest and the largest step.

    Raises `DefinitionError` for other etas, or step sizes that are negative.

    >>> from chainrule.tensor import tensor
    >>> w = tensor([1.0, -2.0], requires_grad=True)
    >>> optimizer = Rprop([w], lr=0.5)
    >>> (w * w).sum().backward()
    >>> optimizer.step()
    >>> w
    tensor([ 0.5, -1.5], f32[2], requires_grad=True)
    """

    checks: ClassVar[Checks] = {
        "etas": [at_least(0.0, below=1.0), at_least(1.0)],
        "step_sizes": [at_least(0.0), at_least(0.0)],
        "maximize": flag,
    }

    def __init__(
        self,
        parameters: Parameters,
        lr: float | Tensor = 1e-2,
        etas: tuple[float, float] = (0.5, 1.2),
        step_sizes: tuple[float, float] = (1e-6, 50.0),
        *,
        maximize: bool = False,
    ) -> None:
        super().__init__(parameters, lr, etas=etas, step_sizes=step_sizes, maximize=maximize)

    def check(self, group: Group) -> None:
        """Shrinking and growing change something."""
        if float(group["etas"][0]) == 0.0 or float(group["etas"][1]) == 1.0:
            raise DefinitionError(f"Rprop: etas must be 0 < eta1 < 1 < eta2, not {group['etas']}")

    def init(self, parameter: Tensor, group: Group) -> Slots:
        """The number of steps, the gradient before, and the step size s."""
        return {"step": steps_so_far(), "prev": filled_like(parameter), "step_size": filled_like(parameter)}

    def update(self, parameter: Tensor, gradient: Tensor, state: Slots, group: Group) -> tuple[Tensor, Slots]:
        """One step."""
        dtype = parameter.dtype
        (shrink, grow), (least, most) = ([as_type(x, dtype) for x in group[name]] for name in ("etas", "step_sizes"))
        gradient = directed(gradient, group)
        size = ops.where(ops.equal(state["step"], 0.0), group["lr"].cast(dtype), state["step_size"])
        agreement = gradient * state["prev"]
        turned = ops.less(agreement, 0.0)
        size = ops.where(turned, size * shrink, ops.where(ops.greater(agreement, 0.0), size * grow, size))
        size = ops.minimum(ops.maximum(size, least), most)
        gradient = ops.where(turned, 0.0, gradient)
        new = parameter - size * ops.sign(gradient)
        return new, {"step": state["step"] + 1.0, "prev": gradient, "step_size": size}
