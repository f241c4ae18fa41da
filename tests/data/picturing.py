"""Images drawn for tests: two classes that anybody can tell apart."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image


def draw(kind: str, number: int, size: int = 8, colour: bool = True) -> np.ndarray:
    """A bright bar on dark noise, upright or lying."""
    rng = np.random.default_rng([number, len(kind)])
    shown = rng.integers(0, 60, (size, size, 3) if colour else (size, size)).astype(np.uint8)
    at = int(rng.integers(1, size - 2))
    if kind == "upright":
        shown[:, at : at + 2] = 230
    else:
        shown[at : at + 2] = 230
    return shown


def folder_of_bars(top: Path, count: int = 24, size: int = 8, colour: bool = True) -> Path:
    """A folder with PNG and JPEG files of both kinds."""
    for kind in ("lying", "upright"):
        (top / kind).mkdir(parents=True)
        for i in range(count):
            image = Image.fromarray(draw(kind, i, size, colour))
            image.save(top / kind / (f"{i:02}.png" if i % 4 else f"{i:02}.jpg"), quality=95)
    return top
