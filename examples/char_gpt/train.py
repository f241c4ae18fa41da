"""A small GPT that writes like a given author, character by character, with compiled steps.

python examples/char_gpt/train.py --data shakespeare.txt
"""

from __future__ import annotations

import json
import time
from math import sqrt

import numpy as np
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

import chainrule as cr
from chainrule import losses, nn, optim
from chainrule.nn.functional import scaled_dot_product_attention
from chainrule.nn.initializers import normal


class Block(nn.Module):
    """h = x + attention(norm(x)); out = h + MLP(norm(h))."""

    def __init__(self) -> None:
        self.norm_1, self.norm_2 = nn.LayerNorm(WIDTH, bias=False), nn.LayerNorm(WIDTH, bias=False)
        self.queries_keys_values = nn.Linear(WIDTH, 3 * WIDTH, bias=False)
        self.joined = nn.Linear(WIDTH, WIDTH, bias=False)
        self.mlp = nn.Sequential(
            nn.Linear(WIDTH, 4 * WIDTH, bias=False), nn.GELU("tanh"), nn.Linear(4 * WIDTH, WIDTH, bias=False)
        )

    def forward(self, x: cr.Tensor) -> cr.Tensor:
        """For x [batch, time, width]."""
        batch, time, _ = x.shape
        parts = self.queries_keys_values(self.norm_1(x)).reshape((batch, time, 3, HEADS, WIDTH // HEADS))
        q, k, v = cr.unstack(parts.permute_dims((2, 0, 3, 1, 4)))
        seen = scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.joined(seen.permute_dims((0, 2, 1, 3)).reshape(x.shape))
        return x + self.mlp(self.norm_2(x))


class GPT(nn.Module):
    """Vectors of characters and of places, blocks, a norm, and scores by the vectors of the characters."""

    def __init__(self, characters: int) -> None:
        self.characters, self.places = nn.Embedding(characters, WIDTH), nn.Embedding(CONTEXT, WIDTH)
        self.blocks = nn.Sequential(*(Block() for _ in range(LAYERS)))
        self.norm = nn.LayerNorm(WIDTH, bias=False)
        for name, x in self.named_parameters():
            if x.ndim == 2:
                is_last = "joined" in name or "mlp.2" in name  # so many of these add up
                x.assign(normal(x.shape, std=0.02 / sqrt(2 * LAYERS) if is_last else 0.02))

    def forward(self, tokens: cr.Tensor) -> cr.Tensor:
        """Scores [batch, time, characters] of what follows each of the tokens [batch, time]."""
        x = self.characters(tokens) + self.places.weight
        return self.norm(self.blocks(x)) @ self.characters.weight.T


def main() -> None:
    given = arguments(__doc__ or "")
    tokens, characters = load(given.data)
    starts, unseen = windows(len(tokens), given.updates, given.seed)
    cr.random.seed(given.seed)
    model = GPT(len(characters))
    matrices = [x for x in model.parameters() if x.ndim == 2]
    others = [x for x in model.parameters() if x.ndim != 2]
    groups = [{"params": matrices, "weight_decay": DECAY}, {"params": others, "weight_decay": 0.0}]
    optimizer = optim.AdamW(groups, lr=RATE, betas=BETAS)
    warm_up = optim.LinearLR(optimizer, 1 / WARM_UP, total_iters=WARM_UP)
    cosine = optim.CosineAnnealingLR(optimizer, given.updates - WARM_UP, eta_min=LAST_RATE)
    schedule = optim.SequentialLR(optimizer, [warm_up, cosine], [WARM_UP])
    text = cr.tensor(tokens)

    def loss_of(starts: cr.Tensor) -> cr.Tensor:
        windows = cr.take(text, starts.expand_dims(1) + cr.arange(CONTEXT + 1), axis=0)
        scores = model(windows[:, :-1])
        return losses.cross_entropy(scores.reshape((-1, len(characters))), windows[:, 1:].reshape(-1))

    @cr.compile
    def step(starts: cr.Tensor) -> cr.Tensor:
        loss = loss_of(starts)
        optimizer.zero_grad()
        loss.backward()
        optim.clip_grad_norm(model.parameters(), CLIP)
        optimizer.step()
        schedule.step()
        return loss

    validation = cr.compile(loss_of)
    followers = cr.compile(lambda tokens: model(tokens)[0, -1])

    started = time.perf_counter()
    for first in range(0, len(starts), 200 * BATCH):
        part = starts[first : first + 200 * BATCH]
        loss = cr.epoch(step, (part,), np.arange(len(part)), batch_size=BATCH)
        print(f"update {(first + len(part)) // BATCH:4}  loss {loss[-50:].mean():.3f}", flush=True)
    seconds = time.perf_counter() - started
    model.eval()
    found = cr.epoch(validation, (unseen,), np.arange(len(unseen)), batch_size=BATCH).mean()

    rng = np.random.default_rng(given.seed)
    written = [int(token) for token in tokens[unseen[0] : unseen[0] + CONTEXT]]
    for _ in range(LENGTH):
        written.append(drawn(followers(np.array([written[-CONTEXT:]], np.int32)).numpy(), rng))
    print("\n" + "".join(characters[token] for token in written[CONTEXT:]) + "\n")
    parameters = sum(p.size for p in model.parameters())
    print(json.dumps({"validation loss": float(found), "seconds": seconds, "parameters": parameters}))


if __name__ == "__main__":
    main()
