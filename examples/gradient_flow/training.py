"""A training step for all networks of this example, and what becomes of each."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

import chainrule as cr
from chainrule import losses, nn, optim

RATE = 0.002
"""The learning rate of all."""

UNCLIPPED = 1e30

Rows = tuple[np.ndarray, np.ndarray]
"""Inputs and classes."""


@dataclass(frozen=True)
class Outcome:
    """What became of a network.

    Attributes:
        name: of its design.
        remedy: the panel of the picture.
        size: "30 layers" or "100 steps".
        measured: norm of the gradient by layer or step before training, as a multiple of that at the last.
        predicted: the same by theory.
        losses: of all updates.
        norms: of the whole gradient before it is clipped, at all updates.
        accuracy: on rows that it was not trained on.
    """

    name: str
    remedy: str
    size: str
    measured: np.ndarray
    predicted: np.ndarray
    losses: np.ndarray
    norms: np.ndarray
    accuracy: float


def fit(
    network: nn.Module,
    optimizer: optim.Optimizer,
    rows: Rows,
    unseen: Rows,
    updates: int,
    *,
    batch_size: int = 50,
    clip: float | None = None,
) -> tuple[np.ndarray, np.ndarray, float]:
    """Train, and return the loss and the norm of the gradient at all updates, and the accuracy on unseen rows."""

    @cr.compile
    def step(x: cr.Tensor, y: cr.Tensor) -> tuple[cr.Tensor, cr.Tensor]:
        loss = losses.cross_entropy(network(x), y)
        optimizer.zero_grad()
        loss.backward()
        norm = optim.clip_grad_norm(network.parameters(), UNCLIPPED if clip is None else clip)
        optimizer.step()
        return loss, norm

    rng = np.random.default_rng(1)
    order = np.resize(np.concatenate([rng.permutation(len(rows[0])) for _ in range(64)]), updates * batch_size)
    found, norms = cr.epoch(step, rows, order, batch_size=batch_size)
    network.eval()
    with cr.no_grad():
        scores = network(cr.tensor(unseen[0])).numpy()
    return found, norms, float((scores.argmax(1) == unseen[1]).mean())


def relative(gradients: np.ndarray) -> np.ndarray:
    """The norm of each row of the first axis, as a multiple of that of the last."""
    norms = np.linalg.norm(gradients.astype(np.float64).reshape(len(gradients), -1), axis=1)
    return norms / norms[-1]
