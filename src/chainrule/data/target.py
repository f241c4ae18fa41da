"""The target as a network learns it, and back: classes as numbers from 0, quantities standardised."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from chainrule.data.convert import as_kind
from chainrule.data.encoders import Scale
from chainrule.data.fields import Fields
from chainrule.data.table import DTYPES, Kind, Values
from chainrule.data.wording import listing, quoted
from chainrule.errors import DataError

_JSON_TYPES: dict[Kind, type] = {"boolean": bool, "category": str, "integer": int, "number": float}


@dataclass(frozen=True)
class TargetEncoder:
    """Classes, sorted, as codes 0, 1, ...; they keep the type they have in the data.

    >>> encoder = TargetEncoder.fit(Values.of(["no", "yes", "no"]), "ill")
    >>> encoder.classes, encoder.encode(Values.of(["yes", "no"])).tolist(), encoder.decode([1, 1]).tolist()
    (('no', 'yes'), [1, 0], ['yes', 'yes'])
    """

    name: str
    kind: Kind
    classes: tuple[Any, ...]

    @classmethod
    def fit(cls, values: Values, name: str) -> TargetEncoder:
        """The classes of a column; what is missing is none."""
        return cls(name, values.kind, tuple(values.tally()))

    def encode(self, values: Values, source: str = "table") -> NDArray[np.int64]:
        """Codes [rows] of a column without missing values.

        Raises:
            DataError: naming the first row whose value is missing, or was no class in training.
        """
        same = as_kind(values, self.kind, self.name, source)
        codes = {value: code for code, value in enumerate(self.classes)}
        found = np.fromiter((codes.get(value, -1) for value in same.values.tolist()), np.int64, len(same))
        found[same.missing] = -1
        bad = np.flatnonzero(found < 0)
        if len(bad):
            row = int(bad[0])
            value = "has no value" if same.missing[row] else f"is {quoted(same.spelled(same.values[row]))}, no class of"
            known = "" if same.missing[row] else f" training (these are {listing(map(same.spelled, self.classes))})"
            raise DataError(f"{source}: row {row + 1:,}: target {quoted(self.name)} {value}{known}")
        return found

    def decode(self, codes: ArrayLike) -> NDArray[Any]:
        """The classes [rows] of codes, as an array of the column's dtype."""
        return np.array(self.classes, dtype=DTYPES[self.kind])[np.asarray(codes)]

    def to_json(self) -> dict[str, Any]:
        return {"type": "classes", "name": self.name, "kind": self.kind, "classes": list(self.classes)}

    @classmethod
    def from_json(cls, document: Any) -> TargetEncoder:
        fields = Fields(document, "target")
        kind: Any = fields.text("kind", among=tuple(_JSON_TYPES))
        classes = fields.items("classes", _JSON_TYPES[kind])
        if len(set(classes)) < max(2, len(classes)):
            raise fields.fault("classes", "should be at least two classes, all different")
        return cls(fields.text("name"), kind, tuple(classes))


@dataclass(frozen=True)
class TargetScaler:
    """A quantity standardised, (y - mean) / std, and back.

    >>> scaler = TargetScaler.fit(Values.of([1.0, 3.0]), "price")
    >>> scaler.encode(Values.of([3.0, 1.0])).tolist(), scaler.decode([0.0, 1.0]).tolist()
    ([1.0, -1.0], [2.0, 3.0])
    """

    name: str
    mean: float
    std: float

    @classmethod
    def fit(cls, values: Values, name: str) -> TargetScaler:
        """Mean and standard deviation of a column; what is missing does not count."""
        scale = Scale.fit(values.present.astype(np.float64))
        return cls(name, scale.mean, scale.std)

    def encode(self, values: Values, source: str = "table") -> NDArray[np.float32]:
        """Standardised values [rows], float32, of a column without missing or infinite values.

        Raises:
            DataError: naming the first row whose value is missing, infinite or no number.
        """
        y = as_kind(values, "number", self.name, source)
        numbers = np.where(y.missing, np.nan, y.values.astype(np.float64))
        bad = np.flatnonzero(~np.isfinite(numbers))
        if len(bad):
            what = "has no value" if y.missing[bad[0]] else "is infinite"
            raise DataError(f"{source}: row {bad[0] + 1:,}: target {quoted(self.name)} {what}")
        return ((numbers - self.mean) / self.std).astype(np.float32)

    def decode(self, standardised: ArrayLike) -> NDArray[np.float64]:
        """The quantities [rows], float64, of standardised ones."""
        return np.asarray(standardised, dtype=np.float64) * self.std + self.mean

    def to_json(self) -> dict[str, Any]:
        return {"type": "quantity", "name": self.name, "mean": self.mean, "std": self.std}

    @classmethod
    def from_json(cls, document: Any) -> TargetScaler:
        fields = Fields(document, "target")
        return cls(fields.text("name"), fields.number("mean"), fields.positive("std"))


def target_from_json(document: Any) -> TargetEncoder | TargetScaler:
    """What `to_json` gave; a RunError names the field that is missing or wrong."""
    kind = Fields(document, "target").text("type", among=("classes", "quantity"))
    return TargetEncoder.from_json(document) if kind == "classes" else TargetScaler.from_json(document)
