"""Keeping gradients from exploding."""

from __future__ import annotations

from collections.abc import Iterable
from functools import reduce
from math import inf, isfinite, isinf
from operator import add

from chainrule import ops
from chainrule.errors import DefinitionError, GradientError
from chainrule.nn.checks import number
from chainrule.state import no_grad
from chainrule.tensor import Tensor, tensor


def clip_grad_norm(
    parameters: Iterable[Tensor], max_norm: float, norm_type: float = 2.0, error_if_nonfinite: bool = False
) -> Tensor:
    """Scale all gradients by one factor so that their common norm is at most `max_norm`; returns the norm before.

    The norm is that of all gradients as one vector, sqrt(sum of squares); the factor min(1, max_norm / (norm + 1e-6)).
    Pascanu, Mikolov & Bengio, "On the difficulty of training recurrent neural networks", ICML 2013.

    Args:
        parameters: those without a gradient are passed over.
        max_norm: the largest norm that stays as it is.
        norm_type: p of the norm (sum of |g|^p)^(1/p), above 0; infinity for the largest |g|.
        error_if_nonfinite: whether a norm that is infinite or NaN is an error, which a compiled step cannot have. By
            default it is returned, and the gradients become NaN or zero.

    Raises `DefinitionError` for a negative `max_norm` or another `norm_type`, `GradientError` for a norm that is not
    finite if that was asked for; all gradients are as they were then.

    >>> w = tensor([3.0, 4.0], requires_grad=True)
    >>> (w * w).sum().backward()
    >>> clip_grad_norm([w], 1.0), w.grad
    (tensor(10., f32[]), tensor([0.59999996, 0.79999995], f32[2]))
    """
    limit = number("max_norm", max_norm, 0.0)
    power = inf if norm_type == inf else number("norm_type", norm_type, 0.0)
    if power == 0.0:
        raise DefinitionError("norm_type must be above 0")
    pairs = _with_gradients("clip_grad_norm", parameters)
    if not pairs:
        return tensor(0.0)
    with no_grad():
        norm = _norm([gradient for _, gradient in pairs], power)
        if error_if_nonfinite and not isfinite(norm.item()):
            raise GradientError(
                f"clip_grad_norm: the norm of the gradients is {norm.item()}; nothing was scaled. Look for the first "
                "parameter whose gradient is not finite, or try a smaller learning rate"
            )
        factor = ops.minimum(limit / (norm + 1e-6), 1.0)
        for x, gradient in pairs:
            x.grad = (gradient * factor).cast(gradient.dtype)
    return norm


def clip_grad_value(parameters: Iterable[Tensor], clip_value: float) -> None:
    """Bring every element of all gradients into [-clip_value, clip_value].

    Parameters without a gradient are passed over. Raises `DefinitionError` for a negative `clip_value`.

    >>> w = tensor([0.25, 4.0], requires_grad=True)
    >>> (w * w).sum().backward()
    >>> clip_grad_value([w], 1.0)
    >>> w.grad
    tensor([0.5, 1. ], f32[2])
    """
    limit = number("clip_value", clip_value, 0.0)
    with no_grad():
        for x, gradient in _with_gradients("clip_grad_value", parameters):
            x.grad = ops.clip(gradient, -limit, limit)


def _with_gradients(name: str, parameters: Iterable[Tensor]) -> list[tuple[Tensor, Tensor]]:
    if isinstance(parameters, Tensor):
        raise DefinitionError(f"{name}: a list of parameters is needed, such as model.parameters()")
    return [(x, x.grad) for x in parameters if x.grad is not None]


def _norm(gradients: list[Tensor], power: float) -> Tensor:
    """The norm of all elements as one vector."""
    if isinf(power):
        return reduce(ops.maximum, [ops.max(ops.abs(x)) for x in gradients])
    if power == 2.0:
        return ops.sqrt(reduce(add, [ops.sum(ops.square(x)) for x in gradients]))
    return reduce(add, [ops.sum(ops.abs(x) ** power) for x in gradients]) ** (1.0 / power)
