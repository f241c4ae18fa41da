"""The same network, data, order and recipe as train.py, in PyTorch.

benchmarks/.venv/bin/python examples/digits_cnn/peer.py --data mnist-10k.npz
"""

from __future__ import annotations

import json
import time

import torch
from data import BATCH, DROPOUT, RATE, arguments, load, orders
from torch import nn
from torch.nn import functional


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
    x, y, x_test, y_test = map(torch.from_numpy, load(given.data))
    torch.manual_seed(given.seed)
    model = network().to(memory_format=torch.channels_last)
    optimizer = torch.optim.Adam(model.parameters(), lr=RATE)

    def accuracy() -> float:
        model.eval()
        with torch.no_grad():
            right = [model(a).argmax(1) == b for a, b in zip(x_test.split(1000), y_test.split(1000), strict=True)]
        model.train()
        return torch.cat(right).float().mean().item()

    started = time.perf_counter()
    for epoch, order in enumerate(orders(len(y), given.epochs, given.seed), 1):
        total = 0.0
        for rows in torch.from_numpy(order).split(BATCH):
            loss = functional.cross_entropy(model(x[rows]), y[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.item() * len(rows)
        print(f"epoch {epoch:2}  loss {total / len(y):.4f}  accuracy {accuracy():.4f}", flush=True)
    seconds = time.perf_counter() - started
    parameters = sum(p.numel() for p in model.parameters())
    print(json.dumps({"accuracy": accuracy(), "seconds": seconds, "parameters": parameters}))


if __name__ == "__main__":
    main()
