"""The learning rate of trainings whose length is known."""

from __future__ import annotations

from chainrule.optim import OneCycleLR, Optimizer


def one_cycle(optimizer: Optimizer, lr: float, steps: int) -> OneCycleLR:
    """Up to `lr` over the first twentieth of the steps, then down to nearly nothing along a cosine.

    >>> from chainrule.optim import SGD
    >>> from chainrule.tensor import tensor
    >>> optimizer = SGD([tensor(1.0, requires_grad=True)], lr=0.0)
    >>> schedule, rates = one_cycle(optimizer, 1.0, 5), []
    >>> for _ in range(5):
    ...     rates.append(round(optimizer.lr, 3))
    ...     schedule.step()
    >>> rates
    [0.04, 1.0, 0.75, 0.25, 0.0]
    """
    total = max(steps, 4)
    return OneCycleLR(optimizer, lr, total, pct_start=max(0.05, 2.0 / total), cycle_momentum=False)
