"""What a side hands over to be timed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import cycle
from typing import Any

import numpy as np

from benchmarks.workloads import Arrays, Network


@dataclass(frozen=True)
class Work:
    """One call of the work, and what shows that it was done.

    Attributes:
        call: does `steps` steps, and may return before they are finished.
        numbers: of the result of `call`: the losses, or other figures by which sides are compared.
        steps: how many steps a call does.
        wait: returns when the result of `call` is there.
    """

    call: Callable[[], Any]
    numbers: Callable[[Any], np.ndarray]
    steps: int = 1
    wait: Callable[[Any], Any] = lambda result: None


def batches_of(workload: Network, data: Arrays) -> list[tuple[np.ndarray, np.ndarray]]:
    """The minibatches of an epoch, gathered beforehand: a step that is called from Python is given them in turn."""
    rows = data["order"].reshape(workload.batches, workload.batch)
    return [(data["x"][i], data["y"][i]) for i in rows]


def in_turn(step: Callable[[Any, Any], Any], batches: Sequence[tuple[Any, Any]]) -> Callable[[], Any]:
    """Do the step with the next batch at each call."""
    remaining = cycle(batches)
    return lambda: step(*next(remaining))


def norms(outputs: Sequence[np.ndarray]) -> np.ndarray:
    """What products are compared by: the size of each result, and its projection on a fixed direction."""
    figures: list[float] = []
    for output in outputs:
        exact = output.astype(np.float64).ravel()
        scale = np.linalg.norm(exact)
        figures += [float(scale), float(exact @ np.cos(np.arange(exact.size)) / scale)]
    return np.array(figures)
