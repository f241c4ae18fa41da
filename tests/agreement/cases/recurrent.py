"""Layers over sequences, and their single steps."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tests.agreement.case import Case, Draw, LayerCase, floats, grid, vary

STEPS, BATCH, INPUTS, HIDDEN = 5, 3, 4, 6
SIZES = {"input_size": INPUTS, "hidden_size": HIDDEN}

COMMON = [
    *grid(num_layers=[1, 2], bidirectional=[False, True], batch_first=[False, True]),
    *vary(bias=[False]),
    {"bias": False, "num_layers": 2, "bidirectional": True},
]
LAYERS = {
    "RNN": [*COMMON, *grid(nonlinearity=["relu"], bidirectional=[False, True])],
    "GRU": COMMON,
    "LSTM": [*COMMON, *grid(proj_size=[2], num_layers=[1, 2], bidirectional=[False, True])],
}


def states(name: str, count: int, *batch: int, proj_size: int = 0) -> Draw | tuple[Draw, Draw]:
    """First states of so many layers and directions."""
    h = floats(count, *batch, proj_size or HIDDEN)
    return (h, floats(count, *batch, HIDDEN)) if name == "LSTM" else h


def layers() -> Iterator[Case]:
    """With and without first states, and without a batch."""
    for name, alternatives in LAYERS.items():
        for options in alternatives:
            arguments: dict[str, Any] = {**SIZES, **options}
            shape = (BATCH, STEPS) if options.get("batch_first") else (STEPS, BATCH)
            count = options.get("num_layers", 1) * (1 + options.get("bidirectional", False))
            projection = {"proj_size": options["proj_size"]} if "proj_size" in options else {}
            yield LayerCase(name, arguments, [floats(*shape, INPUTS)])
            yield LayerCase(name, arguments, [floats(*shape, INPUTS), states(name, count, BATCH, **projection)])
        yield LayerCase(name, {**SIZES, "bidirectional": True}, [floats(STEPS, INPUTS)])
        yield LayerCase(name, {**SIZES, "num_layers": 2}, [floats(STEPS, INPUTS), states(name, 2)])
        yield LayerCase(name, {**SIZES, "num_layers": 2, "dropout": 0.5}, [floats(STEPS, BATCH, INPUTS)], train=False)
        yield LayerCase(name, {"input_size": 9, "hidden_size": 21}, [floats(2, 11, 9)])  # more than a tile of each


def cells() -> Iterator[Case]:
    """With and without states, bias and batch."""
    for name in ("RNNCell", "GRUCell", "LSTMCell"):
        extra = [{"nonlinearity": "relu"}] if name == "RNNCell" else []
        for options in ({}, {"bias": False}, *extra):
            for batch in ((BATCH,), ()):
                h = floats(*batch, HIDDEN)
                given = (h, floats(*batch, HIDDEN)) if name == "LSTMCell" else h
                yield LayerCase(name, {**SIZES, **options}, [floats(*batch, INPUTS)])
                yield LayerCase(name, {**SIZES, **options}, [floats(*batch, INPUTS), given])


CASES = [*layers(), *cells()]
