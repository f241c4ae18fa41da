"""Muon: momentum, made orthogonal."""

from __future__ import annotations

from math import sqrt
from typing import ClassVar

from chainrule import ops
from chainrule.errors import DefinitionError
from chainrule.nn.checks import whole
from chainrule.optim.groups import Checks, Group, at_least, flag, one_of
from chainrule.optim.optimizer import Optimizer, Parameters, Slots, averaged, filled_like, shrunk
from chainrule.tensor import Tensor


class Muon(Optimizer):
    """Steps in all directions of a matrix alike: the momentum with its singular values brought near 1.

        b <- momentum b + (1 - momentum) gradient
        g = momentum b + (1 - momentum) gradient     (g = b without nesterov)
        w <- (1 - lr weight_decay) w
        w <- w - lr scale orthogonal(g)

    orthogonal(g) is x after `ns_steps` steps of a Newton-Schulz iteration from x = g / ||g||, with (a, b, c) of
    `ns_coefficients`:

        s = x x^T,   x <- a x + (b s + c s^2) x

    scale is sqrt(max(1, rows / columns)), or 0.2 sqrt(max(rows, columns)) with `adjust_lr_fn="match_rms_adamw"`, for
    which learning rates of AdamW fit. For weights of hidden layers; other parameters are for another optimizer.

    Jordan et al., "Muon: an optimizer for hidden layers in neural networks", 2024; Liu et al., "Muon is scalable for
    LLM training", 2025. The iteration is done in the data type of the parameter, not in bfloat16.

    Raises `DefinitionError` for a parameter that is no matrix, and a negative number.

    >>> from chainrule.tensor import tensor
    >>> w = tensor([[1.0, 0.0], [0.0, 2.0]], requires_grad=True)
    >>> optimizer = Muon([w], lr=0.1, weight_decay=0.0, ns_coefficients=(1.5, -0.5, 0.0), ns_steps=20)
    >>> (w * w).sum().backward()
    >>> optimizer.step()
    >>> w
    tensor([[0.9, 0. ],
            [0. , 1.9]], f32[2, 2], requires_grad=True)
    """

    checks: ClassVar[Checks] = {
        "weight_decay": at_least(0.0),
        "momentum": at_least(0.0, 1.0),
        "nesterov": flag,
        "ns_coefficients": [at_least(), at_least(), at_least()],
        "eps": at_least(0.0),
        "ns_steps": whole,
        "adjust_lr_fn": one_of(None, "original", "match_rms_adamw"),
    }

    def __init__(
        self,
        parameters: Parameters,
        lr: float | Tensor = 1e-3,
        weight_decay: float = 0.1,
        momentum: float | Tensor = 0.95,
        nesterov: bool = True,
        ns_coefficients: tuple[float, float, float] = (3.4445, -4.775, 2.0315),
        eps: float = 1e-7,
        ns_steps: int = 5,
        adjust_lr_fn: str | None = None,
    ) -> None:
        super().__init__(
            parameters,
            lr,
            weight_decay=weight_decay,
            momentum=momentum,
            nesterov=nesterov,
            ns_coefficients=ns_coefficients,
            eps=eps,
            ns_steps=ns_steps,
            adjust_lr_fn=adjust_lr_fn,
        )

    def check(self, group: Group) -> None:
        """All parameters are matrices."""
        for x in group["params"]:
            if x.ndim != 2:
                raise DefinitionError(
                    f"Muon: only matrices can be made orthogonal, not {x.name or 'a parameter'} {x.type}; give biases, "
                    "embeddings and the like to another optimizer, such as AdamW"
                )

    def init(self, parameter: Tensor, group: Group) -> Slots:
        """The momentum b."""
        return {"momentum_buffer": filled_like(parameter)}

    def update(self, parameter: Tensor, gradient: Tensor, state: Slots, group: Group) -> tuple[Tensor, Slots]:
        """One step."""
        momentum, lr = group["momentum"], group["lr"]
        velocity = averaged(state["momentum_buffer"], gradient, momentum)
        direction = averaged(velocity, gradient, momentum) if group["nesterov"] else velocity
        rows, columns = parameter.shape
        adamw = group["adjust_lr_fn"] == "match_rms_adamw"
        scale = 0.2 * sqrt(max(rows, columns)) if adamw else sqrt(max(1.0, rows / columns))
        new = shrunk(parameter, group) - (lr * scale).cast(parameter.dtype) * _orthogonal(direction, group)
        return new, {"momentum_buffer": velocity}


def _orthogonal(x: Tensor, group: Group) -> Tensor:
    """A matrix with the singular vectors of another, and singular values near 1."""
    a, b, c = group["ns_coefficients"]
    tall = x.shape[0] > x.shape[1]
    x = ops.matrix_transpose(x) if tall else x
    x = x / ops.maximum(ops.sqrt(ops.sum(x * x)), group["eps"])
    for _ in range(group["ns_steps"]):
        square = x @ ops.matrix_transpose(x)
        x = a * x + (b * square + c * (square @ square)) @ x
    return ops.matrix_transpose(x) if tall else x
