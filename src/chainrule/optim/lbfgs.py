"""L-BFGS: steps by the curvature that the last steps have shown."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, cast

import numpy as np

from chainrule.errors import DefinitionError, TraceError
from chainrule.nn.checks import whole
from chainrule.nn.state import State, load_state
from chainrule.optim.groups import Checks, Group, at_least, one_of
from chainrule.optim.line_search import Point, strong_wolfe
from chainrule.optim.optimizer import Optimizer, Parameters
from chainrule.state import current_tracing, recording
from chainrule.tensor import Tensor, as_tensor, tensor
from chainrule.types import Array

CURVED = 1e-10
"""Steps along which the gradient has grown by less than this tell nothing of the curvature."""


def _nothing() -> list[tuple[Array, Array]]:
    return []


@dataclass
class _Memory:
    """What is known of the loss: the last step, and the changes of gradient y and parameters s of those before."""

    direction: Array
    gradient: Array
    length: float = 0.0
    scale: float = 1.0
    iterations: int = 0
    evaluations: int = 0
    changes: list[tuple[Array, Array]] = field(default_factory=_nothing)

    def turn(self, gradient: Array, history: int) -> None:
        """Take the direction for a gradient: minus the product with the inverse Hessian, by the two-loop recursion."""
        self.iterations += 1
        if self.iterations == 1:
            self.direction, self.changes, self.scale = -gradient, [], 1.0
        else:
            y, s = gradient - self.gradient, self.direction * self.length
            if y @ s > CURVED:
                self.changes = [*self.changes, (y, s)][-history:]
                self.scale = float(y @ s / (y @ y))
            self.direction = self._product(-gradient)
        self.gradient = gradient

    def _product(self, q: Array) -> Array:
        """The inverse Hessian times a vector."""
        shares: list[Any] = []
        for y, s in reversed(self.changes):
            shares.append(s @ q / (y @ s))
            q = q - shares[-1] * y
        q = q * self.scale
        for (y, s), share in zip(self.changes, reversed(shares), strict=True):
            q = q + (share - y @ q / (y @ s)) * s
        return q


class LBFGS(Optimizer):
    """Many steps in one, each along minus the gradient times an inverse Hessian that is made up from the last steps.

    For small data sets and models, all examples at a time. Nocedal, "Updating quasi-Newton matrices with limited
    storage", Mathematics of Computation 35 (1980); Nocedal & Wright, "Numerical optimization", 2006, chapter 7.

    `step(closure)` asks the closure for the loss and the gradients as often as it needs to. It decides by their values
    and so cannot be compiled itself, but the closure may be; gradients made in a compiled function stay there, so that
    it returns them beside the loss.

    Args:
        lr: length of a step, in units of the direction; with a line search the first one to try.
        max_iter: most steps in a call.
        max_eval: most evaluations in a call; by default 1.25 max_iter.
        tolerance_grad: a call ends where no element of the gradient is above this,
        tolerance_change: or the loss, or all parameters, change by less than this.
        history_size: how many steps are remembered; each takes two numbers for each parameter, in float64.
        line_search_fn: "strong_wolfe" to look for the length of each step, or None.

    Raises `DefinitionError` for numbers that cannot be, and more than one group of parameters.

    >>> w = tensor([3.0, -1.0], "float64", requires_grad=True)
    >>> optimizer = LBFGS([w], line_search_fn="strong_wolfe")
    >>> def closure():
    ...     optimizer.zero_grad()
    ...     loss = ((w - [1.0, 2.0]) ** 4).sum()
    ...     loss.backward()
    ...     return loss
    >>> for _ in range(5):
    ...     loss = optimizer.step(closure)
    >>> w.numpy().round(1) + 0.0
    array([1., 2.])
    """

    checks: ClassVar[Checks] = {
        "max_iter": whole,
        "max_eval": whole,
        "tolerance_grad": at_least(0.0),
        "tolerance_change": at_least(0.0),
        "history_size": whole,
        "line_search_fn": one_of(None, "strong_wolfe"),
    }

    def __init__(
        self,
        parameters: Parameters,
        lr: float | Tensor = 1.0,
        max_iter: int = 20,
        max_eval: int | None = None,
        tolerance_grad: float = 1e-7,
        tolerance_change: float = 1e-9,
        history_size: int = 100,
        line_search_fn: str | None = None,
    ) -> None:
        super().__init__(
            parameters,
            lr,
            max_iter=max_iter,
            max_eval=whole("max_iter", max_iter) * 5 // 4 if max_eval is None else max_eval,
            tolerance_grad=tolerance_grad,
            tolerance_change=tolerance_change,
            history_size=history_size,
            line_search_fn=line_search_fn,
        )
        size = sum(x.size for x in self.parameters)
        self.memory = _Memory(np.zeros(size), np.zeros(size))

    def check(self, group: Group) -> None:
        """There is one group only: all parameters are one vector."""
        if self.param_groups and group is not self.param_groups[0]:
            raise DefinitionError("LBFGS: all parameters must be in one group, they make one vector")

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Take up to `max_iter` steps.

        Args:
            closure: computes the gradients, after `zero_grad`, and returns the loss; or returns a pair of the loss and
                the gradients, in the order of the parameters. It may not draw random numbers anew, as dropout does.

        Returns what the closure returned first. Raises `DefinitionError` without a closure, `TraceError` in a compiled
        function.
        """
        if closure is None:
            raise DefinitionError("LBFGS: step needs a closure that computes the gradients and returns the loss")
        if current_tracing() is not None:
            raise TraceError("LBFGS: a step decides by values and cannot be compiled; compile the closure instead")
        group, memory = self.param_groups[0], self.memory
        lr, small = group["lr"].item(), group["tolerance_change"]
        result, loss, gradient = self._evaluate(closure)
        evaluations = 1
        memory.evaluations += 1
        if np.abs(gradient).max() <= group["tolerance_grad"]:
            return result
        for i in range(group["max_iter"]):
            memory.turn(gradient, group["history_size"])
            memory.length = min(1.0, 1.0 / float(np.abs(gradient).sum())) * lr if memory.iterations == 1 else lr
            slope, before, used = float(gradient @ memory.direction), loss, 0
            if slope > -small:
                break
            where, direction = self._position(), memory.direction
            last = i + 1 == group["max_iter"]
            if group["line_search_fn"]:

                def reach(t: float, where: Array = where, direction: Array = direction) -> Point:
                    self._move(where + t * direction)
                    _, loss, gradient = self._evaluate(closure)
                    return Point(t, loss, gradient, float(gradient @ direction))

                start, widest = Point(0.0, loss, gradient, slope), float(np.abs(direction).max())
                most = group["max_eval"] - evaluations
                point, used = strong_wolfe(reach, start, memory.length, widest, small, most)
                memory.length, loss, gradient = point.at, point.loss, point.gradient
                self._move(where + memory.length * direction)
            else:
                self._move(where + memory.length * direction)
                if not last:
                    _, loss, gradient = self._evaluate(closure)
                    used = 1
            evaluations += used
            memory.evaluations += used
            if (
                last
                or evaluations >= group["max_eval"]
                or np.abs(gradient).max() <= group["tolerance_grad"]
                or np.abs(direction * memory.length).max() <= small
                or abs(loss - before) < small
            ):
                break
        return result

    def _evaluate(self, closure: Callable[[], Any]) -> tuple[Any, float, Array]:
        """What the closure returns, the loss, and all gradients as one vector."""
        with recording(True):
            result: Any = closure()
        if isinstance(result, (tuple, list)):
            loss, given = cast("tuple[Any, Any]", result)
            gradients = [as_tensor(x) for x in given]
        else:
            loss = result
            gradients = [x.grad for x in self.parameters]
        pairs = list(zip(self.parameters, gradients, strict=True))
        parts = [np.zeros(x.size) if g is None else np.ravel(g.numpy()).astype(np.float64) for x, g in pairs]
        return cast("Any", result), float(as_tensor(loss).item()), np.concatenate(parts)

    def _position(self) -> Array:
        return np.concatenate([np.ravel(x.numpy()).astype(np.float64) for x in self.parameters])

    def _move(self, position: Array) -> None:
        ends = np.cumsum([x.size for x in self.parameters])
        for x, part in zip(self.parameters, np.split(position, ends[:-1]), strict=True):
            x.assign(as_tensor(part.reshape(x.shape)).cast(x.dtype))

    def _state(self, steps: int) -> dict[str, Tensor]:
        """Copies of everything that is remembered, with room for a number of steps."""
        memory, size = self.memory, len(self.memory.direction)
        ys, ss = (np.array([pair[i] for pair in memory.changes]) for i in (0, 1))
        past = (ys, ss) if len(ys) == steps and steps else (np.zeros((steps, size)),) * 2
        return {
            "n_iter": tensor(memory.iterations),
            "func_evals": tensor(memory.evaluations),
            "d": tensor(memory.direction),
            "t": tensor(memory.length, "float64"),
            "H_diag": tensor(memory.scale, "float64"),
            "prev_flat_grad": tensor(memory.gradient),
            "old_dirs": tensor(past[0]),
            "old_stps": tensor(past[1]),
        }

    def state_dict(self) -> State:
        """A copy of the learning rate and of all that is remembered of the last steps."""
        kept = self._state(len(self.memory.changes))
        return super().state_dict() | {name: np.array(x.numpy()) for name, x in kept.items()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on where another one of the same parameters stopped.

        Raises `StateError` listing every name that is missing, unexpected or misshapen; nothing is loaded then.
        """
        steps = min(len(np.atleast_1d(state.get("old_dirs", ()))), self.param_groups[0]["history_size"])
        kept = self._state(steps)
        load_state(self._kind, self._named_state() | kept, state)
        found = {name: x.numpy() for name, x in kept.items()}
        self.memory = _Memory(
            found["d"],
            found["prev_flat_grad"],
            float(found["t"]),
            float(found["H_diag"]),
            int(found["n_iter"]),
            int(found["func_evals"]),
            list(zip(found["old_dirs"], found["old_stps"], strict=True)),
        )
