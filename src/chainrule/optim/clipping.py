"""Keeping gradients from exploding."""

from __future__ import annotations

from collections.abc import Iterable
from functools import reduce
from operator import add

from chainrule import ops
from chainrule.errors import DefinitionError
from chainrule.nn.checks import number
from chainrule.state import no_grad
from chainrule.tensor import Tensor, tensor


def clip_grad_norm(parameters: Iterable[Tensor], max_norm: float) -> Tensor:
    """Scale all gradients by one factor so that their common norm is at most `max_norm`; returns the norm before.

    The norm is that of all gradients as one vector, sqrt(sum of squares); the factor min(1, max_norm / (norm + 1e-6)).
    Pascanu, Mikolov & Bengio, "On the difficulty of training recurrent neural networks", ICML 2013.

    Parameters without a gradient are passed over. A gradient that is not finite makes the norm so, too.

    >>> w = tensor([3.0, 4.0], requires_grad=True)
    >>> (w * w).sum().backward()
    >>> clip_grad_norm([w], 1.0), w.grad
    (tensor(10., f32[]), tensor([0.59999996, 0.79999995], f32[2]))
    """
    if isinstance(parameters, Tensor):
        raise DefinitionError("clip_grad_norm: a list of parameters is needed, such as model.parameters()")
    limit = number("max_norm", max_norm, 0.0)
    pairs = [(x, x.grad) for x in parameters if x.grad is not None]
    if not pairs:
        return tensor(0.0)
    with no_grad():
        norm = ops.sqrt(reduce(add, [ops.sum(ops.square(gradient)) for _, gradient in pairs]))
        factor = ops.minimum(limit / (norm + 1e-6), 1.0)
        for x, gradient in pairs:
            x.grad = (gradient * factor).cast(gradient.dtype)
    return norm
