"""Training of a small model in compiled steps, the first of which is compared with the interpreter."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from chainrule import nn, optim
from chainrule.compiled import compile
from chainrule.random import default_generator
from chainrule.tensor import Tensor
from chainrule.types import Array, float64


def size(model: nn.Module) -> int:
    """The number of parameters."""
    return sum(x.size for x in model.parameters())


def check_slope(model: nn.Module, loss: Callable[[], Tensor], h: float = 1e-7) -> None:
    """Check the gradients of all parameters, float64, together: the slope of the loss along one random direction."""
    assert all(x.dtype is float64 for x in model.parameters())
    first = {name: x.numpy().copy() for name, x in model.named_parameters()}
    rng = np.random.default_rng(0)
    along = {name: rng.normal(size=x.shape) for name, x in first.items()}
    model.zero_grad()
    loss().backward()
    exact = sum(np.vdot(x.grad.numpy(), along[name]) for name, x in model.named_parameters() if x.grad is not None)
    ends: list[float] = []
    for t in (-h, h):
        for name, x in model.named_parameters():
            x.assign(first[name] + t * along[name])
        ends.append(loss().item())
    np.testing.assert_allclose(exact, (ends[1] - ends[0]) / (2.0 * h), rtol=1e-5)


def learn(
    model: nn.Module, loss: Callable[..., Tensor], batch: Callable[[], tuple[Array, ...]], steps: int, lr: float
) -> tuple[float, float]:
    """The loss before training, and its mean over the last ten steps of Adam on batches.

    Checks that the first step gives the same loss and the same state, buffers as well, in native code as with NumPy.
    """

    def trained(inputs: tuple[Array, ...], make: Callable[[Any], Any]) -> Callable[..., Tensor]:
        optimizer = optim.Adam(model.parameters(), lr=lr, eps=1e-3)  # so that tiny gradients make no large steps

        def step(*inputs: Tensor) -> Tensor:
            found = loss(*inputs)
            optimizer.zero_grad()
            found.backward()
            optimizer.step()
            return found

        made: Callable[..., Tensor] = make(step)
        model.load_state_dict(state)
        generator.state.assign(drawn)
        firsts.append(made(*inputs).item())
        return made

    generator, firsts, inputs = vars(model).get("generator") or default_generator(), list[float](), batch()
    state, drawn = model.state_dict(), generator.state.numpy().copy()
    trained(inputs, lambda step: step)
    eager = model.state_dict()
    step = trained(inputs, compile)
    np.testing.assert_allclose(firsts[1], firsts[0], rtol=1e-5)
    for name, value in model.state_dict().items():
        np.testing.assert_allclose(value, eager[name], atol=2e-4, err_msg=name)
    return firsts[0], float(np.mean([step(*batch()).item() for _ in range(steps)][-10:]))
