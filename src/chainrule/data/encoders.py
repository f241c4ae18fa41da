"""How one column becomes inputs of a network: what is learned from the training rows, and how it is applied."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray

from chainrule.data.fields import Fields
from chainrule.data.table import Values
from chainrule.data.wording import counted, listing, quoted

CLIP = 10.0
"""Standardised numbers are held within this many standard deviations."""

MOST_LEVELS = 64
"""So many categories of a column get a code of their own, the most frequent ones; the rest share one."""

FEWEST_ROWS = 2
"""A category that fewer training rows hold is rare, and shares the code of the rest."""


class Encoder(Protocol):
    """One column: `names` of its features, `encode` into float32 [rows, features], and plain JSON."""

    kind: ClassVar[str]

    @property
    def names(self) -> tuple[str, ...]:
        """What each feature tells, to stand behind the column's name: "", " is missing", "=Oslo"."""
        ...

    def encode(self, values: Values, out: NDArray[np.float32]) -> list[str]:
        """Fill `out` [rows, features], and say what was odd, to stand behind `column "name": `."""
        ...

    def to_json(self) -> dict[str, Any]: ...


@dataclass(frozen=True)
class Scale:
    """Standardisation, (x - mean) / std held within ±10; a missing x counts as the fill value.

    >>> Scale.fit(np.array([1.0, 2.0, 3.0]))
    Scale(mean=2.0, std=0.816496580927726, fill=2.0)
    """

    mean: float
    std: float
    fill: float

    @classmethod
    def fit(cls, x: NDArray[np.float64]) -> Scale:
        """Mean, standard deviation (1 where nothing varies) and median of finite values, no matter how large."""
        if not len(x):
            return cls(0.0, 1.0, 0.0)
        unit = 2.0 ** (int(np.frexp(np.abs(x).max())[1]) - 1)  # a power of two: dividing by it rounds nothing
        mean, std = float(np.mean(x / unit)) * unit, float(np.std(x / unit)) * unit
        # Rounding makes the spread of equal numbers not quite zero; so small a spread is none.
        varies = std > 1e-12 * unit and bool(x.min() < x.max())
        return cls(mean, std if varies else 1.0, float(np.median(x / unit)) * unit)

    def apply(self, x: NDArray[np.float64], absent: NDArray[np.bool_]) -> NDArray[np.float64]:
        with np.errstate(over="ignore"):
            return np.clip((np.where(absent, self.fill, x) - self.mean) / self.std, -CLIP, CLIP)

    def to_json(self) -> dict[str, Any]:
        return {"mean": self.mean, "std": self.std, "fill": self.fill}

    @classmethod
    def from_json(cls, fields: Fields) -> Scale:
        return cls(fields.number("mean"), fields.positive("std"), fields.number("fill"))


@dataclass(frozen=True)
class NumberEncoder:
    """Numbers: standardised, missing ones as the median; a second feature is 1 where they are missing, if training had
    such. Infinite ones count as missing."""

    kind: ClassVar[str] = "number"
    scale: Scale
    indicator: bool

    @classmethod
    def fit(cls, values: Values) -> tuple[NumberEncoder, list[str]]:
        x, absent, infinite = _finite(values)
        notices = [f"{counted(infinite, 'row')} with infinite values, taken as missing"] if infinite else []
        return cls(Scale.fit(x[~absent]), bool(absent.any())), notices

    @property
    def names(self) -> tuple[str, ...]:
        return ("", " is missing") if self.indicator else ("",)

    def encode(self, values: Values, out: NDArray[np.float32]) -> list[str]:
        x, absent, infinite = _finite(values)
        out[:, 0] = self.scale.apply(x, absent)
        notices = [f"{counted(infinite, 'row')} with infinite values, taken as missing"] if infinite else []
        return notices + _indicate(self.indicator, absent, out, f"the median {self.scale.fill:g} is taken")

    def to_json(self) -> dict[str, Any]:
        return {"kind": self.kind, **self.scale.to_json(), "indicator": self.indicator}

    @classmethod
    def from_json(cls, fields: Fields) -> NumberEncoder:
        return cls(Scale.from_json(fields), fields.flag("indicator"))


@dataclass(frozen=True)
class BooleanEncoder:
    """Truths: 0 or 1, missing ones as the share of true in training, with an indicator as numbers have."""

    kind: ClassVar[str] = "boolean"
    share: float
    indicator: bool

    @classmethod
    def fit(cls, values: Values) -> tuple[BooleanEncoder, list[str]]:
        share = float(np.mean(values.present)) if len(values.present) else 0.5
        return cls(share, bool(values.missing.any())), []

    @property
    def names(self) -> tuple[str, ...]:
        return ("", " is missing") if self.indicator else ("",)

    def encode(self, values: Values, out: NDArray[np.float32]) -> list[str]:
        out[:, 0] = np.where(values.missing, self.share, values.values)
        return _indicate(self.indicator, values.missing, out, f"the share {self.share:.2g} of true is taken")

    def to_json(self) -> dict[str, Any]:
        return {"kind": self.kind, "share": self.share, "indicator": self.indicator}

    @classmethod
    def from_json(cls, fields: Fields) -> BooleanEncoder:
        return cls(fields.number("share"), fields.flag("indicator"))


@dataclass(frozen=True)
class CategoryEncoder:
    """Categories: one feature a level, 1 where the row has it (one-hot).

    The levels are the 64 most frequent categories that two training rows or more hold. All others share the code
    "other", which values never seen get too, and missing values have a code of their own. Where training had none of
    these, their code is all zeros: a weight that was never trained must not speak.
    """

    kind: ClassVar[str] = "category"
    levels: tuple[str, ...]
    rare: tuple[str, ...]
    """Categories of training that got no code of their own."""
    indicator: bool
    _codes: dict[str, int] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        other = len(self.levels)
        codes = {level: i for i, level in enumerate(self.levels)} | dict.fromkeys(self.rare, other)
        object.__setattr__(self, "_codes", codes)

    @classmethod
    def fit(cls, values: Values) -> tuple[CategoryEncoder, list[str]]:
        tally = values.tally()
        frequent = sorted((name for name, n in tally.items() if n >= FEWEST_ROWS), key=lambda name: -tally[name])
        levels = tuple(sorted(frequent[:MOST_LEVELS]))
        rare = tuple(sorted(set(tally) - set(levels)))
        return cls(levels, rare, bool(values.missing.any())), []

    @property
    def names(self) -> tuple[str, ...]:
        levels = tuple(f"={level}" for level in self.levels)
        return levels + (" is other",) * bool(self.rare) + (" is missing",) * self.indicator

    def encode(self, values: Values, out: NDArray[np.float32]) -> list[str]:
        unseen, other = -1, len(self.levels)
        found = (self._codes.get(text, unseen) for text in values.values.tolist())
        codes = np.fromiter(found, np.int64, len(values))
        new = (codes == unseen) & ~values.missing
        codes[new] = other
        coded = np.flatnonzero(~values.missing & (codes < other + bool(self.rare)))
        out[:] = 0
        out[coded, codes[coded]] = 1
        notices = _indicate(self.indicator, values.missing, out, "they get no code")
        if new.any():
            names = listing(sorted(set(values.values[new].tolist())), 3)
            told = f"{counted(int(new.sum()), 'row')} with values never seen in training ({names})"
            notices.append(f"{told}; they get the code of unknown values")
        return notices

    def to_json(self) -> dict[str, Any]:
        lists = {"levels": list(self.levels), "rare": list(self.rare)}
        return {"kind": self.kind, **lists, "indicator": self.indicator}

    @classmethod
    def from_json(cls, fields: Fields) -> CategoryEncoder:
        return cls(tuple(fields.items("levels", str)), tuple(fields.items("rare", str)), fields.flag("indicator"))


@dataclass(frozen=True)
class DateEncoder:
    """Dates: days elapsed, standardised, and the place in the year (by month), in the week and, if training had times
    of day, in the day, each as the sine and cosine of its angle. Missing dates as the median, with an indicator."""

    kind: ClassVar[str] = "date"
    scale: Scale
    """Of days since 1970-01-01."""
    times: bool
    indicator: bool

    @classmethod
    def fit(cls, values: Values) -> tuple[DateEncoder, list[str]]:
        days = _days(values.present)
        return cls(Scale.fit(days), bool(np.any(days % 1)), bool(values.missing.any())), []

    @property
    def names(self) -> tuple[str, ...]:
        cycles = ("month", "weekday", "hour") if self.times else ("month", "weekday")
        angles = tuple(f" {cycle} {wave}" for cycle in cycles for wave in ("sin", "cos"))
        return (" day", *angles, " is missing") if self.indicator else (" day", *angles)

    def encode(self, values: Values, out: NDArray[np.float32]) -> list[str]:
        absent = values.missing
        days = _days(values.values)
        out[:, 0] = self.scale.apply(days, absent)
        moments = np.where(absent, np.datetime64(0, "us"), values.values.astype("datetime64[us]"))
        months = moments.astype("datetime64[M]").astype(np.int64) % 12
        whole = np.floor(np.where(absent, 0.0, days))
        # 1970-01-01 was a Thursday, the fourth day of a week that starts on Monday.
        turns = [months / 12, (whole + 3) % 7 / 7, np.where(absent, 0.0, days) - whole]
        for i, turn in enumerate(turns[: 2 + self.times]):
            out[:, 1 + 2 * i] = np.where(absent, 0.0, np.sin(2 * np.pi * turn))
            out[:, 2 + 2 * i] = np.where(absent, 0.0, np.cos(2 * np.pi * turn))
        return _indicate(self.indicator, absent, out, "the median day is taken")

    def to_json(self) -> dict[str, Any]:
        return {"kind": self.kind, **self.scale.to_json(), "times": self.times, "indicator": self.indicator}

    @classmethod
    def from_json(cls, fields: Fields) -> DateEncoder:
        return cls(Scale.from_json(fields), fields.flag("times"), fields.flag("indicator"))


ENCODERS: dict[str, Any] = {
    "boolean": BooleanEncoder,
    "category": CategoryEncoder,
    "date": DateEncoder,
    "integer": NumberEncoder,
    "number": NumberEncoder,
    "timestamp": DateEncoder,
}
"""The encoder of each kind of column."""


def encoder_from_json(fields: Fields) -> Encoder:
    """The encoder of what its `to_json` gave."""
    return ENCODERS[fields.text("kind", among=("boolean", "category", "date", "number"))].from_json(fields)


def _finite(values: Values) -> tuple[NDArray[np.float64], NDArray[np.bool_], int]:
    """Numbers as float64, which of them count as missing, and how many of these are infinite."""
    x = values.values.astype(np.float64)
    infinite = np.isinf(x)
    return x, values.missing | infinite, int(infinite.sum())


def _days(dates: NDArray[Any]) -> NDArray[np.float64]:
    """Days since 1970-01-01, with the time of day as a fraction; nan for NaT."""
    moments = dates.astype("datetime64[us]")
    return np.where(np.isnat(moments), np.nan, moments.astype(np.int64) / 86_400e6)


def _indicate(indicator: bool, absent: NDArray[np.bool_], out: NDArray[np.float32], remedy: str) -> list[str]:
    """Set the last feature to 1 where values are missing, or tell of missing values that training did not have."""
    if indicator:
        out[:, -1] = absent
    elif absent.any():
        return [f"{counted(int(absent.sum()), 'row')} without a value, which training always had; {remedy}"]
    return []


def feature_names(column: str, encoder: Encoder) -> list[str]:
    """The names of a column's features: `age`, `age is missing`, `city=Oslo`."""
    return [column + name for name in encoder.names]


def widths(encoders: Sequence[Encoder]) -> list[int]:
    """How many features each encoder makes."""
    return [len(encoder.names) for encoder in encoders]


def spoken(column: str, notices: Sequence[str]) -> list[str]:
    """An encoder's notices as whole lines."""
    return [f"column {quoted(column)}: {notice}" for notice in notices]
