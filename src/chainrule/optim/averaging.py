"""Averages of a model's weights over the steps of a training, which often predict better than the last weights."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable
from typing import Any, TypeAlias, cast

from chainrule import ops
from chainrule.errors import DefinitionError
from chainrule.nn.batch_normalization import BatchNorm
from chainrule.nn.checks import number
from chainrule.nn.module import Module
from chainrule.state import no_grad
from chainrule.tensor import Tensor, tensor
from chainrule.types import bfloat16, float32

Average: TypeAlias = Callable[[Tensor, Tensor, Tensor], Tensor]
"""(average, new value, number of values in the average) -> new average."""


class AveragedModel(Module):
    """A copy of a model whose parameters are the mean of those that `update_parameters` was called with.

        average <- average + (parameter - average) / (n + 1)        n = 0, 1, ... values so far

    Izmailov et al., "Averaging weights leads to wider optima and better generalization", UAI 2018. A call of
    `update_parameters` may be part of a compiled step.

    Args:
        model: the model in training; it is not changed.
        avg_fn: another average, (average, parameter, n) -> new average, of library operations.
        use_buffers: whether buffers, such as running statistics, are averaged as well and not copied.

    Buffers: `n_averaged`, the number n. Raises `DefinitionError` for a model of other parameters.

    >>> from chainrule.nn.linear import Linear
    >>> model = Linear(1, 1, bias=False)
    >>> average = AveragedModel(model)
    >>> for weight in (1.0, 2.0, 6.0):
    ...     model.weight.assign([[weight]])
    ...     average.update_parameters(model)
    >>> average([1.0])
    tensor([3.], f32[1])
    """

    def __init__(self, model: Module, avg_fn: Average | None = None, use_buffers: bool = False) -> None:
        self.module = copy.deepcopy(model)
        self.n_averaged = tensor(0)
        self.avg_fn = _mean if avg_fn is None else avg_fn
        self.use_buffers = use_buffers

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """What the averaged model computes."""
        return self.module(*args, **kwargs)

    def update_parameters(self, model: Module) -> None:
        """Take the parameters as they are into the average; the first ones are copied."""
        pairs = [(a, x, True) for a, x in _paired(self.module.named_parameters(), model.named_parameters())]
        pairs += [(a, x, self.use_buffers) for a, x in _paired(self.module.named_buffers(), model.named_buffers())]
        first = ops.equal(self.n_averaged, 0)
        with no_grad():
            for average, x, averaged in pairs:
                if not averaged:
                    average.assign(x)
                    continue
                dtype = x.dtype if x.dtype.is_float and x.dtype is not bfloat16 else float32
                a, new = average.cast(dtype), x.cast(dtype)
                found = ops.where(first, new, self.avg_fn(a, new, self.n_averaged.cast(dtype)))
                average.assign(found.cast(average.dtype))
            self.n_averaged.assign(self.n_averaged + 1)


class ExponentialMovingAverage(AveragedModel):
    """A copy of a model whose parameters are a running average: average <- decay average + (1 - decay) parameter.

    The first parameters are copied. Polyak & Juditsky, "Acceleration of stochastic approximation by averaging", SIAM J.
    Control and Optimization 30 (1992). Arguments are those of `AveragedModel`; `decay` is from 0 to 1.

    >>> from chainrule.nn.linear import Linear
    >>> model = Linear(1, 1, bias=False)
    >>> average = ExponentialMovingAverage(model, decay=0.75)
    >>> for weight in (1.0, 5.0):
    ...     model.weight.assign([[weight]])
    ...     average.update_parameters(model)
    >>> average([1.0])
    tensor([2.], f32[1])
    """

    def __init__(self, model: Module, decay: float = 0.999, use_buffers: bool = False) -> None:
        self.decay = share = number("decay", decay, 0.0, 1.0)
        super().__init__(model, lambda average, x, n: share * average + (1.0 - share) * x, use_buffers)


def _mean(average: Tensor, x: Tensor, n: Tensor) -> Tensor:
    return average + (x - average) / (n + 1.0)


def _paired(here: list[tuple[str, Tensor]], there: list[tuple[str, Tensor]]) -> list[tuple[Tensor, Tensor]]:
    """Tensors of the same names."""
    if [(name, x.type) for name, x in here] != [(name, x.type) for name, x in there]:
        wrong = sorted({f"{name}: {x.type}" for name, x in here} ^ {f"{name}: {x.type}" for name, x in there})
        raise DefinitionError(f"update_parameters: the model is not the one that was copied; look at {wrong[0]}")
    return [(a, x) for (_, a), (_, x) in zip(here, there, strict=True)]


def update_bn(loader: Iterable[Any], model: Module) -> None:
    """Compute the running statistics of all batch normalisations anew: the means over the batches of a pass.

    To be called when weights were averaged, as those of the copy are still of the last weights. Eagerly, as layers are
    told to take the plain mean meanwhile.

    Args:
        loader: batches of inputs, or tuples whose first part is the inputs.
        model: each of its layers is left in the mode it was in.
    """
    layers = [x for x in model.modules() if isinstance(x, BatchNorm) and x.track_running_stats]
    if not layers:
        return
    modes, momenta = [(x, x.training) for x in model.modules()], [x.momentum for x in layers]
    model.train()
    try:
        for layer in layers:
            layer.momentum = None
            layer.running_mean.assign(ops.zeros_like(layer.running_mean))
            layer.running_var.assign(ops.ones_like(layer.running_var))
            layer.num_batches_tracked.assign(0)
        with no_grad():
            for batch in loader:
                model(cast("Any", batch[0]) if isinstance(batch, (tuple, list)) else batch)
    finally:
        for layer, momentum in zip(layers, momenta, strict=True):
            layer.momentum = momentum
        for module, mode in modes:
            module.training = mode
