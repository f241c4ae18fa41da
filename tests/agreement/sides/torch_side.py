"""The cases in PyTorch, in float64. Runs in the benchmarks' environment alone."""

from __future__ import annotations

from functools import singledispatch
from operator import attrgetter
from typing import Any

import numpy as np
import torch

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

torch.set_default_dtype(torch.float64)  # also of what layers and optimizers make for themselves


@singledispatch
def run(case: Case) -> dict[str, Array]:
    """The named arrays that a case is about."""
    raise TypeError(f"no way to run a {type(case).__name__}")


@run.register
def _(case: LayerCase) -> dict[str, Array]:
    leaf = Leaves(case)
    name, arguments = case.of_peer
    layer = getattr(torch.nn, name)(**leaf.made(arguments, "argument")).double().train(case.train)
    with torch.no_grad():
        for path, x in [*layer.named_parameters(), *layer.named_buffers()]:
            if isinstance(x, torch.nn.Parameter) or "running_" in path:
                x.copy_(torch.from_numpy(np.asarray(case.state(path, tuple(x.shape)))))
    inputs, keywords = leaf.made(tuple(case.inputs), "input"), leaf.made(case.keywords, "input")
    for _ in range(case.calls):
        out = layer(*inputs, **keywords)
    leaf.wanted |= dict(layer.named_parameters())
    buffers = {f"buffer {path}": x.detach().numpy() for path, x in layer.named_buffers()}
    return outputs_and_gradients(case, out, leaf.wanted) | buffers


@run.register
def _(case: FunctionCase) -> dict[str, Array]:
    leaf = Leaves(case)
    path, arguments = case.of_peer
    out = attrgetter(path)(torch)(*leaf.made(tuple(case.inputs), "input"), **leaf.made(arguments, "argument"))
    return outputs_and_gradients(case, out, leaf.wanted)


@run.register
def _(case: OptimizerCase) -> dict[str, Array]:
    name, arguments = case.of_peer
    parameters = [
        torch.nn.Parameter(torch.from_numpy(np.asarray(case.draw(f"parameter {i}", shape))))
        for i, shape in enumerate(case.shapes)
    ]
    groups = [{"params": [x], **group} for x, group in zip(parameters, case.groups, strict=False)]
    optimizer = getattr(torch.optim, name)(groups or parameters, **arguments)
    goals = [torch.from_numpy(np.asarray(case.draw(f"goal {i}", shape))) for i, shape in enumerate(case.shapes)]

    def closure() -> Any:
        optimizer.zero_grad()
        pairs = zip(parameters, goals, strict=True)
        loss = sum(((w - goal) ** 2 * (1.0 + torch.cos(w) / 4.0)).sum() for w, goal in pairs)
        loss.backward()
        return loss

    found: dict[str, Array] = {}
    for step in range(case.steps):
        for i, x in enumerate(parameters):
            x.grad = torch.from_numpy(np.asarray(case.draw(f"gradient {i} in step {step}", tuple(x.shape))))
        optimizer.step(*[closure] * case.closure)
        found |= {f"parameter {i} after step {step}": x.detach().numpy().copy() for i, x in enumerate(parameters)}
    return found


@run.register
def _(case: ScheduleCase) -> dict[str, Array]:
    groups = [{"params": [torch.nn.Parameter(torch.zeros(1))], **group} for group in case.groups]
    optimizer = getattr(torch.optim, case.optimizer)(groups)
    name, arguments = case.of_peer
    schedule = made(Schedule(name, arguments), lambda _, x: scheduled(x, optimizer), "schedule")
    rates = [[group["lr"] for group in optimizer.param_groups]]
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
    kind = getattr(torch.optim.lr_scheduler, x.name)
    return kind(**arguments) if x.name == "ChainedScheduler" else kind(optimizer, **arguments)


class Leaves:
    """Makes tensors and layers of declarations, and notes the tensors whose gradients are wanted."""

    def __init__(self, case: Case) -> None:
        self.case = case
        self.wanted: dict[str, Any] = {}

    def made(self, value: Any, where: str) -> Any:
        """A value with its declarations replaced."""
        return made(value, self.one, where)

    def one(self, where: str, x: Draw | Layer | Schedule | Formula) -> Any:
        """The tensor or layer of one declaration."""
        if isinstance(x, Draw):
            out = torch.from_numpy(np.asarray(self.case.draw(where, x)))
            if x.gradient:
                self.wanted[where] = out.requires_grad_()
            return out
        return getattr(torch.nn, x.name)(**self.made(x.arguments, where)) if isinstance(x, Layer) else x


def outputs_and_gradients(case: Case, out: Any, wanted: dict[str, Any]) -> dict[str, Array]:
    """The outputs, and the gradients of a sum of them weighted by drawn numbers."""
    outputs = list(leaves(out))
    found = {f"output {i}": x.detach().numpy() for i, x in enumerate(outputs)}
    total = [
        (x * torch.from_numpy(np.asarray(case.draw(f"cotangent {i}", tuple(x.shape))))).sum()
        for i, x in enumerate(outputs)
        if x.requires_grad
    ]
    if total:
        gradients = torch.autograd.grad(sum(total[1:], total[0]), list(wanted.values()), allow_unused=True)
        for (name, x), g in zip(wanted.items(), gradients, strict=True):
            found[f"gradient of {name}"] = np.zeros(tuple(x.shape)) if g is None else g.numpy()
    return found
