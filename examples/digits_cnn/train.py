"""A small convolutional network on images of digits, with compiled steps.

python examples/digits_cnn/train.py --data mnist-10k.npz
"""

from __future__ import annotations

import json
import time

import numpy as np
from data import BATCH, DROPOUT, RATE, arguments, load, orders

import chainrule as cr
from chainrule import losses, nn, optim


def network() -> nn.Sequential:
    """34,826 parameters: [rows, 1, 28, 28] to scores of ten classes."""
    return nn.Sequential(
        nn.Conv2d(1, 32, 3),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(32, 64, 3),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Dropout(DROPOUT),
        nn.Linear(1600, 10),
    )


def main() -> None:
    given = arguments(__doc__ or "")
    x, y, x_test, y_test = load(given.data)
    cr.random.seed(given.seed)
    model = network()
    optimizer = optim.Adam(model.parameters(), lr=RATE)

    @cr.compile
    def step(x: cr.Tensor, y: cr.Tensor) -> cr.Tensor:
        loss = losses.cross_entropy(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    @cr.compile
    def right(x: cr.Tensor, y: cr.Tensor) -> cr.Tensor:
        return cr.equal(model(x).argmax(1), y)

    def accuracy() -> float:
        model.eval()
        found = cr.epoch(right, (x_test, y_test), np.arange(len(y_test)), batch_size=BATCH // 8)
        model.train()
        return float(np.mean(found))

    started = time.perf_counter()
    for epoch, order in enumerate(orders(len(y), given.epochs, given.seed), 1):
        loss = cr.epoch(step, (x, y), order, batch_size=BATCH)
        print(f"epoch {epoch:2}  loss {loss.mean():.4f}  accuracy {accuracy():.4f}", flush=True)
    seconds = time.perf_counter() - started
    parameters = sum(p.size for p in model.parameters())
    print(json.dumps({"accuracy": accuracy(), "seconds": seconds, "parameters": parameters}))


if __name__ == "__main__":
    main()
