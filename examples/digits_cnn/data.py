"""Images of ten classes, for both sides alike."""

from __future__ import annotations

import argparse
import gzip
from pathlib import Path

import numpy as np

TEST = 2000
"""So many images of a file that has no test part are kept to test on."""

EPOCHS, BATCH, RATE, DROPOUT = 12, 128, 1e-3, 0.5


def arguments(text: str) -> argparse.Namespace:
    """What both sides can be told."""
    parser = argparse.ArgumentParser(description=text, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--data", type=Path, required=True, metavar="PATH", help="an .npz file or a folder of IDX files"
    )
    parser.add_argument("--seed", type=int, default=0, help="of weights, order and dropout (default: %(default)s)")
    parser.add_argument("--epochs", type=int, default=EPOCHS, help="default: %(default)s")
    return parser.parse_args()


def load(path: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Images [rows, 1, 28, 28] from 0 to 1 and their labels, to train on and to test.

    Args:
        path: a file of NumPy with `images` and `labels`, which are split at random, always alike; or a folder with the
            four files of MNIST or Fashion-MNIST, `train-images-idx3-ubyte.gz` and so on.
    """
    if path.is_dir():
        x, y = idx(path, "train")
        x_test, y_test = idx(path, "t10k")
    else:
        with np.load(path) as file:
            order = np.random.default_rng(0).permutation(len(file["labels"]))
            x, y = file["images"][order], file["labels"][order]
        x, y, x_test, y_test = x[TEST:], y[TEST:], x[:TEST], y[:TEST]
    return images(x), y.astype(np.int64), images(x_test), y_test.astype(np.int64)


def images(x: np.ndarray) -> np.ndarray:
    return (x.reshape(-1, 1, 28, 28) / np.float32(255)).astype(np.float32)


def idx(folder: Path, part: str) -> tuple[np.ndarray, np.ndarray]:
    """Images and labels of one part."""
    x, y = (
        np.frombuffer(gzip.decompress((folder / f"{part}-{name}-ubyte.gz").read_bytes()), np.uint8, offset=offset)
        for name, offset in (("images-idx3", 16), ("labels-idx1", 8))
    )
    return x.reshape(len(y), 28, 28), y


def orders(rows: int, epochs: int, seed: int) -> list[np.ndarray]:
    """The order of the rows in each epoch."""
    rng = np.random.default_rng(seed)
    return [rng.permutation(rows) for _ in range(epochs)]
