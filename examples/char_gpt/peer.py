"""The same network, text, batches and recipe as train.py, in PyTorch.

benchmarks/.venv/bin/python examples/char_gpt/peer.py --data shakespeare.txt
"""

from __future__ import annotations

import json
import time
from math import sqrt

import numpy as np
import torch
from data import (
    BATCH,
    BETAS,
    CLIP,
    CONTEXT,
    DECAY,
    HEADS,
    LAST_RATE,
    LAYERS,
    LENGTH,
    RATE,
    WARM_UP,
    WIDTH,
    arguments,
    drawn,
    load,
    windows,
)
from torch import nn, optim
from torch.nn import functional


class Block(nn.Module):
    """h = x + attention(norm(x)); out = h + MLP(norm(h))."""

    def __init__(self) -> None:
        super().__init__()
        self.norm_1, self.norm_2 = nn.LayerNorm(WIDTH, bias=False), nn.LayerNorm(WIDTH, bias=False)
        self.queries_keys_values = nn.Linear(WIDTH, 3 * WIDTH, bias=False)
        self.joined = nn.Linear(WIDTH, WIDTH, bias=False)
        self.mlp = nn.Sequential(
            nn.Linear(WIDTH, 4 * WIDTH, bias=False), nn.GELU("tanh"), nn.Linear(4 * WIDTH, WIDTH, bias=False)
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """For x [batch, time, width]."""
        batch, time, _ = x.shape
        parts = self.queries_keys_values(self.norm_1(x)).reshape(batch, time, 3, HEADS, WIDTH // HEADS)
        q, k, v = parts.permute(2, 0, 3, 1, 4).unbind()
        seen = functional.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.joined(seen.transpose(1, 2).reshape(x.shape))
        return x + self.mlp(self.norm_2(x))


class GPT(nn.Module):
    """Vectors of characters and of places, blocks, a norm, and scores by the vectors of the characters."""

    def __init__(self, characters: int) -> None:
        super().__init__()
        self.characters, self.places = nn.Embedding(characters, WIDTH), nn.Embedding(CONTEXT, WIDTH)
        self.blocks = nn.Sequential(*(Block() for _ in range(LAYERS)))
        self.norm = nn.LayerNorm(WIDTH, bias=False)
        for name, x in self.named_parameters():
            if x.ndim == 2:
                is_last = "joined" in name or "mlp.2" in name  # so many of these add up
                nn.init.normal_(x, std=0.02 / sqrt(2 * LAYERS) if is_last else 0.02)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """Scores [batch, time, characters] of what follows each of the tokens [batch, time]."""
        x = self.characters(tokens) + self.places.weight
        return self.norm(self.blocks(x)) @ self.characters.weight.T


def main() -> None:
    given = arguments(__doc__ or "")
    tokens, characters = load(given.data)
    starts, unseen = map(torch.from_numpy, windows(len(tokens), given.updates, given.seed))
    torch.manual_seed(given.seed)
    model = GPT(len(characters))
    matrices = [x for x in model.parameters() if x.ndim == 2]
    others = [x for x in model.parameters() if x.ndim != 2]
    groups = [{"params": matrices, "weight_decay": DECAY}, {"params": others, "weight_decay": 0.0}]
    optimizer = optim.AdamW(groups, lr=RATE, betas=BETAS)
    warm_up = optim.lr_scheduler.LinearLR(optimizer, 1 / WARM_UP, total_iters=WARM_UP)
    cosine = optim.lr_scheduler.CosineAnnealingLR(optimizer, given.updates - WARM_UP, eta_min=LAST_RATE)
    schedule = optim.lr_scheduler.SequentialLR(optimizer, [warm_up, cosine], [WARM_UP])
    text = torch.from_numpy(tokens)

    def loss_of(starts: torch.Tensor) -> torch.Tensor:
        windows = text[starts[:, None] + torch.arange(CONTEXT + 1)]
        scores = model(windows[:, :-1])
        return functional.cross_entropy(scores.reshape(-1, len(characters)), windows[:, 1:].reshape(-1).long())

    started = time.perf_counter()
    found: list[float] = []
    for part in starts.split(BATCH):
        loss = loss_of(part)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), CLIP)
        optimizer.step()
        schedule.step()
        found.append(loss.item())
        if len(found) % 200 == 0:
            print(f"update {len(found):4}  loss {np.mean(found[-50:]):.3f}", flush=True)
    seconds = time.perf_counter() - started
    model.eval()
    with torch.no_grad():
        validation = np.mean([loss_of(part).item() for part in unseen.split(BATCH)])

        rng = np.random.default_rng(given.seed)
        written = tokens[unseen[0] : unseen[0] + CONTEXT].tolist()
        for _ in range(LENGTH):
            written.append(drawn(model(torch.tensor([written[-CONTEXT:]]))[0, -1].numpy(), rng))
    print("\n" + "".join(characters[token] for token in written[CONTEXT:]) + "\n")
    parameters = sum(p.numel() for p in model.parameters())
    print(json.dumps({"validation loss": float(validation), "seconds": seconds, "parameters": parameters}))


if __name__ == "__main__":
    main()
