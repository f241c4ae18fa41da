"""Layers compiled against layers interpreted, forward and backward."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from chainrule.autodiff import grad
from chainrule.nn import Module
from chainrule.tensor import Tensor
from chainrule.testing import check_compiled
from chainrule.trace import trace
from chainrule.types import Array


def check_layer(layer: Module, *inputs: Array) -> None:
    """Check that results, gradients and assigned buffers of a layer are those of the interpreter when compiled.

    Gradients are those of all parameters and of the first input, if that is a float.
    """
    parameters = layer.parameters()

    def step(*inputs: Tensor) -> Sequence[Tensor]:
        out = layer(*inputs)
        weights = np.linspace(-1.0, 1.0, out.size).reshape(out.shape)

        def loss(x: Tensor) -> Tensor:
            return (layer(x, *inputs[1:]) * weights).sum()

        found = [out]
        if parameters:
            (out * weights).sum().backward()
            found += [x.grad for x in parameters if x.grad is not None]
        return [*found, grad(loss)(inputs[0])] if inputs[0].dtype.is_float else found

    graph = trace(step)(*inputs)
    check_compiled(graph, [*inputs, *(outside.numpy() for outside, _ in graph.captured)])
