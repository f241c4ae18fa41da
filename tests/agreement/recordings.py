"""What PyTorch computed, on disk: one small file for each family of cases.

A large array is kept as a sample of its elements and its products with random vectors, in which an error in any
element shows.
"""

from __future__ import annotations

import importlib
import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from tests.agreement.case import Array, Case

FOLDER = Path(__file__).parent
NAMESAKES = FOLDER / "recorded" / "pytorch.json"  # PyTorch's public names, for the test that nothing was forgotten
WHOLE = 48  # elements: up to here an array is kept as it is
SAMPLED, PRODUCTS = 24, 8


def families() -> dict[str, list[Case]]:
    """The cases by family, the name of the file that lists them."""
    names = sorted(path.stem for path in (FOLDER / "cases").glob("*.py"))
    return {name: importlib.import_module(f"tests.agreement.cases.{name}").CASES for name in names}


def condensed(x: Array) -> Array:
    """A vector of at most `WHOLE` numbers that stands for the array."""
    flat = np.asarray(x, np.float64).ravel()
    if flat.size <= WHOLE:
        return flat
    random = np.random.RandomState(flat.size)
    sample = flat[random.choice(flat.size, SAMPLED, replace=False)]
    return np.concatenate([sample, random.uniform(-1, 1, (PRODUCTS, flat.size)) @ flat / np.sqrt(flat.size)])


class Recording:
    """The recorded results of a family: for each case, by fingerprint, the shape and the numbers of named arrays."""

    def __init__(self, family: str) -> None:
        self.path = FOLDER / "recorded" / f"{family}.npz"
        self.results: dict[str, dict[str, tuple[tuple[int, ...], Array]]] = {}
        if self.path.exists():
            with np.load(self.path) as file:
                index, values = json.loads(bytes(file["index"])), file["values"]
            place = 0
            for fingerprint, arrays in index.items():
                found = self.results[fingerprint] = {}
                for name, (shape, size) in arrays.items():
                    found[name] = tuple(shape), values[place : place + size]
                    place += size

    def add(self, case: Case, arrays: Mapping[str, Array]) -> None:
        """Note what PyTorch computed for a case."""
        self.results[case.fingerprint] = {name: (x.shape, condensed(x)) for name, x in arrays.items()}

    def save(self) -> None:
        """Write the file."""
        index = {
            fingerprint: {name: (shape, x.size) for name, (shape, x) in arrays.items()}
            for fingerprint, arrays in self.results.items()
        }
        values = [x for arrays in self.results.values() for _, x in arrays.values()]
        text = np.frombuffer(json.dumps(index, separators=(",", ":")).encode(), np.uint8)
        self.path.parent.mkdir(exist_ok=True)
        np.savez_compressed(self.path, index=text, values=np.concatenate([np.zeros(0), *values]))
