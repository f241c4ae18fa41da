"""What was measured at one workload, and what follows from it: medians, spread, ratios and whether all did the same."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import median, quantiles
from typing import Any, NamedTuple

from benchmarks.variants import BY_NAME, VARIANTS


class Spread(NamedTuple):
    """The middle of several measurements, and the quartiles beside it."""

    median: float
    low: float
    high: float


def spread(values: Sequence[float]) -> Spread | None:
    """Median and quartiles; None of nothing."""
    if len(values) < 2:
        return Spread(values[0], values[0], values[0]) if values else None
    low, _, high = quantiles(values, n=4, method="inclusive")
    return Spread(median(values), low, high)


def difference(figures: Sequence[float], reference: Sequence[float]) -> float:
    """The largest distance between two series, relative to what is above 1; NaN if there is one."""
    apart = [abs(x - y) / max(1.0, abs(y)) for x, y in zip(figures, reference, strict=True)]
    return math.nan if any(map(math.isnan, apart)) else max(apart)


@dataclass
class Result:
    """One variant at one workload. Times are in seconds, memory in bytes.

    Attributes:
        windows: time of a step, in each window of each round.
        cold: time of the first call in new processes with empty caches.
        warm: the same with the cache of an earlier process.
        memory: most that a process has held.
        figures: losses of the first steps, or what else shows that the work was done.
        error: why there are no figures.
    """

    windows: list[float] = field(default_factory=list[float])
    cold: list[float] = field(default_factory=list[float])
    warm: list[float] = field(default_factory=list[float])
    memory: int = 0
    figures: list[float] = field(default_factory=list[float])
    error: str | None = None

    @property
    def step(self) -> Spread | None:
        """Time of a step."""
        return None if self.error else spread(self.windows)


@dataclass
class Comparison:
    """All variants at one workload.

    Attributes:
        name, title: those of the workload.
        kind: "network", "product" or "layer".
        flops: operations of its products, 0 if there are none.
        machine: what it ran on.
        versions: of the libraries.
        date: when.
        peak: the machine's float32 peak in GFLOP/s, where it was measured.
        tolerance: how far figures may be apart, relative to figures above 1.
        results: by variant.
    """

    name: str
    title: str
    kind: str
    flops: int
    machine: str
    versions: dict[str, str]
    date: str
    peak: float | None = None
    tolerance: float = 1e-4
    results: dict[str, Result] = field(default_factory=dict[str, Result])

    def fastest(self, *, peers: bool) -> str | None:
        """The variant with the least time among the peers, or among chainrule's; None if there is none."""
        times = {
            name: result.step.median
            for name, result in self.results.items()
            if result.step is not None and BY_NAME[name].is_peer == peers
        }
        return min(times, key=times.__getitem__, default=None)

    def speed(self, variant: str) -> float | None:
        """How many times as fast as the fastest peer."""
        peer, own = self.fastest(peers=True), self.results[variant].step
        peer_step = self.results[peer].step if peer else None
        return peer_step.median / own.median if peer_step and own else None

    @property
    def lead(self) -> float | None:
        """How many times as fast as the fastest peer chainrule is, in its fastest way."""
        own = self.fastest(peers=False)
        return self.speed(own) if own else None

    def gflops(self, variant: str) -> float | None:
        """GFLOP/s of its products over the whole of a step."""
        step = self.results[variant].step
        return self.flops / step.median / 1e9 if self.flops and step else None

    @property
    def reference(self) -> str | None:
        """The variant whose figures the others are compared with: the plainest peer that there is."""
        order = [variant.name for variant in reversed(VARIANTS)]
        return next((name for name in order if name in self.results and self.results[name].figures), None)

    def differences(self) -> dict[str, float]:
        """How far each variant's figures are from the reference."""
        if self.reference is None:
            return {}
        reference = self.results[self.reference].figures
        return {name: difference(x.figures, reference) for name, x in self.results.items() if x.figures}

    def problems(self) -> list[str]:
        """What keeps the figures from being a comparison."""
        failed = [f"{self.name}: {name} failed: {x.error}" for name, x in self.results.items() if x.error]
        apart = [
            f"{self.name}: {name} is {off:.1e} away from {self.reference}, more than {self.tolerance:g}"
            for name, off in self.differences().items()
            if not off <= self.tolerance
        ]
        return failed + apart


def losers_first(comparisons: Sequence[Comparison]) -> list[Comparison]:
    """By how chainrule does, worst first; unmeasured ones before all."""
    return sorted(comparisons, key=lambda x: x.lead or 0.0)


def path_of(kind: str, name: str, folder: Path) -> Path:
    """Where a comparison is kept: those of single layers in a folder of their own."""
    return (folder / "layers" if kind == "layer" else folder) / f"{name}.json"


def save(comparison: Comparison, folder: Path) -> None:
    """Write it as JSON, with what follows from it."""
    stored: dict[str, Any] = asdict(comparison) | {"lead": comparison.lead, "differences": comparison.differences()}
    for name, result in comparison.results.items():
        stored["results"][name]["step"] = result.step and result.step._asdict()
    path = path_of(comparison.kind, comparison.name, folder)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(stored, indent=1) + "\n", encoding="utf-8")


def load(path: Path) -> Comparison:
    """Read it."""
    stored = json.loads(path.read_text(encoding="utf-8"))
    del stored["lead"], stored["differences"]
    results: dict[str, Any] = stored.pop("results")
    for result in results.values():
        del result["step"]
    return Comparison(**stored, results={name: Result(**result) for name, result in results.items()})
