"""The cases in chainrule, in float64."""

from __future__ import annotations

import inspect
from functools import singledispatch
from operator import attrgetter
from typing import Any

import numpy as np

import chainrule as cr
from chainrule import nn, optim
from tests.agreement.case import (
    Array,
    Case,
    Draw,
    Formula,
    FunctionCase,
    Layer,
    LayerCase,
    OptimizerCase,
    Schedule,
    ScheduleCase,
    leaves,
    made,
)


@singledispatch
def run(case: Case) -> dict[str, Array]:
    """The named arrays that a case is about."""
    raise TypeError(f"no way to run a {type(case).__name__}")


@run.register
def _(case: LayerCase) -> dict[str, Array]:
    leaf = Leaves(case)
    layer = leaf.one("layer", Layer(case.name, case.arguments)).train(case.train)
    for path, x in [*layer.named_parameters(), *layer.named_buffers()]:
        if x.requires_grad or "running_" in path:
            x.assign(cr.tensor(case.state(path, x.shape), cr.float64))
    inputs, keywords = leaf.made(tuple(case.inputs), "input"), leaf.made(case.keywords, "input")
    for _ in range(case.calls):
        out = layer(*inputs, **keywords)
    leaf.wanted |= dict(layer.named_parameters())
    buffers = {f"buffer {path}": x.numpy() for path, x in layer.named_buffers()}
    return outputs_and_gradients(case, out, leaf.wanted) | buffers


@run.register
def _(case: FunctionCase) -> dict[str, Array]:
    leaf = Leaves(case)
    inputs, arguments = leaf.made(tuple(case.inputs), "input"), leaf.made(case.arguments, "argument")
    return outputs_and_gradients(case, attrgetter(case.name)(cr)(*inputs, **arguments), leaf.wanted)


@run.register
def _(case: OptimizerCase) -> dict[str, Array]:
    parameters = [
        cr.tensor(case.draw(f"parameter {i}", shape), cr.float64, requires_grad=True)
        for i, shape in enumerate(case.shapes)
    ]
    groups = [{"params": [x], **group} for x, group in zip(parameters, case.groups, strict=False)]
    optimizer = getattr(optim, case.name)(groups or parameters, **case.arguments)
    goals = [cr.tensor(case.draw(f"goal {i}", shape), cr.float64) for i, shape in enumerate(case.shapes)]

    def closure() -> Any:
        optimizer.zero_grad()
        pairs = zip(parameters, goals, strict=True)
        terms = [(cr.square(w - goal) * (1.0 + cr.cos(w) / 4.0)).sum() for w, goal in pairs]
        loss = sum(terms[1:], terms[0])
        loss.backward()
        return loss

    found: dict[str, Array] = {}
    for step in range(case.steps):
        for i, x in enumerate(parameters):
            x.grad = cr.tensor(case.draw(f"gradient {i} in step {step}", x.shape), cr.float64)
        optimizer.step(*[closure] * case.closure)
        found |= {f"parameter {i} after step {step}": x.numpy().copy() for i, x in enumerate(parameters)}
    return found


@run.register
def _(case: ScheduleCase) -> dict[str, Array]:
    groups = [{"params": [cr.tensor([0.0], requires_grad=True)], **group} for group in case.groups]
    optimizer = getattr(optim, case.optimizer)(groups)
    schedule = scheduled(Schedule(case.name, case.arguments), optimizer)
    rates = [[float(group["lr"]) for group in optimizer.param_groups]]
    for step in range(case.steps):
        optimizer.step()
        schedule.step(*case.metrics[step : step + 1])
        rates.append([float(group["lr"]) for group in optimizer.param_groups])
    return {"learning rates": np.array(rates)}


def scheduled(x: Any, optimizer: Any) -> Any:
    """A schedule of an optimizer, with those within it; anything else as it is."""
    if not isinstance(x, Schedule):
        return x
    arguments = made(x.arguments, lambda _, part: scheduled(part, optimizer), "argument")
    kind = getattr(optim.lr_scheduler, x.name)
    return kind(**arguments) if x.name == "ChainedScheduler" else kind(optimizer, **arguments)


class Leaves:
    """Makes tensors and layers of declarations, and notes the tensors whose gradients are wanted."""

    def __init__(self, case: Case) -> None:
        self.case = case
        self.wanted: dict[str, cr.Tensor] = {}

    def made(self, value: Any, where: str) -> Any:
        """A value with its declarations replaced."""
        return made(value, self.one, where)

    def one(self, where: str, x: Draw | Layer | Schedule | Formula) -> Any:
        """The tensor or layer of one declaration."""
        if isinstance(x, Draw):
            out = cr.tensor(self.case.draw(where, x), requires_grad=x.gradient)
            if x.gradient:
                self.wanted[where] = out
            return out
        if isinstance(x, Layer):
            kind = getattr(nn, x.name)
            precision = {"dtype": cr.float64} if "dtype" in inspect.signature(kind).parameters else {}
            return kind(**self.made(x.arguments, "argument"), **precision)
        return x


def outputs_and_gradients(case: Case, out: Any, wanted: dict[str, cr.Tensor]) -> dict[str, Array]:
    """The outputs, and the gradients of a sum of them weighted by drawn numbers."""
    outputs = list(leaves(out))
    found = {f"output {i}": x.numpy() for i, x in enumerate(outputs)}
    total = [
        (x * cr.tensor(case.draw(f"cotangent {i}", x.shape), cr.float64)).sum()
        for i, x in enumerate(outputs)
        if x.dtype.is_float
    ]
    if total and wanted:
        sum(total[1:], total[0]).backward()
        for name, x in wanted.items():
            found[f"gradient of {name}"] = np.zeros(x.shape) if x.grad is None else x.grad.numpy()
    return found
