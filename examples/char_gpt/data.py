"""A text as numbers, and the recipe of both sides."""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

LAYERS, WIDTH, HEADS, CONTEXT, BATCH = 4, 128, 4, 64, 12
UPDATES, WARM_UP, RATE, LAST_RATE = 2000, 100, 1e-3, 1e-4
BETAS, DECAY, CLIP = (0.9, 0.99), 0.1, 1.0
"""AdamW's; weight decay is of matrices alone."""

VALIDATION = 960
"""So many windows of the last tenth of the text, evenly spaced, are predicted to see how well."""

LENGTH, TEMPERATURE = 300, 0.8
"""Of a sample."""


def arguments(text: str) -> argparse.Namespace:
    """What both sides can be told."""
    parser = argparse.ArgumentParser(description=text, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, metavar="PATH", help="a text in UTF-8")
    parser.add_argument("--seed", type=int, default=0, help="of weights, batches and samples (default: %(default)s)")
    parser.add_argument("--updates", type=int, default=UPDATES, help="default: %(default)s")
    return parser.parse_args()


def load(path: Path) -> tuple[np.ndarray, str]:
    """The characters of a text as numbers, and all characters in order."""
    text = path.read_text(encoding="utf-8")
    characters = "".join(sorted(set(text)))
    codes = np.frombuffer(text.encode("utf-32-le"), np.uint32)
    return np.searchsorted(np.array([ord(c) for c in characters]), codes).astype(np.int32), characters


def windows(length: int, updates: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Where windows of a text start: those to train on, and those to validate with."""
    border = length * 9 // 10
    rng = np.random.default_rng(seed)
    train = rng.integers(border - CONTEXT - 1, size=updates * BATCH)
    return train, np.linspace(border, length - CONTEXT - 2, VALIDATION).astype(np.int64)


def drawn(logits: np.ndarray, rng: np.random.Generator) -> int:
    """A character with probability softmax(logits / temperature)."""
    p = np.exp((logits - logits.max()).astype(np.float64) / TEMPERATURE)
    return int(rng.choice(len(p), p=p / p.sum()))
