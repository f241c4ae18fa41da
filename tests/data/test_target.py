"""Targets go to codes or standardised numbers and come back as they were."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from chainrule.data.table import Values
from chainrule.data.target import TargetEncoder, TargetScaler, target_from_json
from chainrule.errors import DataError, RunError


@pytest.mark.parametrize(
    ("values", "classes"),
    [
        (["b", "a", None, "b"], ("a", "b")),
        ([True, False, True], (False, True)),
        ([3, -1, 3], (-1, 3)),
        ([1.0, 0.0, None], (0.0, 1.0)),
    ],
)
def test_classes_keep_their_type(values: list[Any], classes: tuple[Any, ...]) -> None:
    column = Values.of(values)
    encoder = TargetEncoder.fit(column, "y")
    assert encoder.classes == classes
    assert [type(c) for c in encoder.classes] == [type(c) for c in classes]
    present = column.take(~column.missing)
    codes = encoder.encode(present)
    assert codes.dtype == np.int64
    back = encoder.decode(codes)
    assert back.dtype == present.values.dtype
    assert back.tolist() == present.values.tolist()
    again = target_from_json(json.loads(json.dumps(encoder.to_json(), allow_nan=False)))
    assert again == encoder


def test_classes_may_come_in_another_kind() -> None:
    encoder = TargetEncoder.fit(Values.of([0, 1]), "y")
    assert encoder.encode(Values.of([1.0, 0.0])).tolist() == [1, 0]
    assert encoder.encode(Values.of(["1", "0"])).tolist() == [1, 0]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (["a", "c"], 'new.csv: row 2: target "y" is "c", no class of training (these are "a", "b")'),
        (["a", None], 'new.csv: row 2: target "y" has no value'),
    ],
)
def test_what_was_no_class_in_training(values: list[Any], message: str) -> None:
    with pytest.raises(DataError) as caught:
        TargetEncoder.fit(Values.of(["a", "b"]), "y").encode(Values.of(values), "new.csv")
    assert str(caught.value) == message


def test_quantities_are_standardised_and_come_back() -> None:
    values = Values.of(np.random.default_rng(0).normal(1e4, 30.0, 1000))
    scaler = TargetScaler.fit(values, "y")
    encoded = scaler.encode(values)
    assert encoded.dtype == np.float32
    assert (abs(encoded.mean()), encoded.std()) == (pytest.approx(0, abs=1e-5), pytest.approx(1, abs=1e-5))
    np.testing.assert_allclose(scaler.decode(encoded), values.values, rtol=1e-6)
    assert target_from_json(json.loads(json.dumps(scaler.to_json(), allow_nan=False))) == scaler


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([1, None], 'new.csv: row 2: target "y" has no value'),
        ([np.inf, 1.0], 'new.csv: row 1: target "y" is infinite'),
        (["1", "x"], 'new.csv: row 2, column "y": "x" is not a number, as this column should hold; '),
    ],
)
def test_what_is_no_quantity(values: list[Any], message: str) -> None:
    with pytest.raises(DataError) as caught:
        TargetScaler("y", 0.0, 1.0).encode(Values.of(values), "new.csv")
    assert str(caught.value).startswith(message)


CLASSES: dict[str, Any] = {"type": "classes", "name": "y", "kind": "integer", "classes": [0, 1]}
QUANTITY: dict[str, Any] = {"type": "quantity", "name": "y", "mean": 1.5, "std": 2.0}


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ({**CLASSES, "type": "rank"}, "target.type: should be one of classes, quantity, but is the text 'rank'; "),
        ({**CLASSES, "kind": "date"}, "target.kind: should be one of boolean, category, integer, number, but is"),
        ({**CLASSES, "classes": ["a", "b"]}, "target.classes: should be a list of whole numbers, but is a list"),
        ({**CLASSES, "classes": [True, False]}, "target.classes: should be a list of whole numbers, but is a list"),
        ({**CLASSES, "classes": [1]}, "target.classes: should be at least two classes, all different; "),
        ({**CLASSES, "classes": [1, 2, 1]}, "target.classes: should be at least two classes, all different; "),
        ({**CLASSES, "name": 7}, "target.name: should be a text, but is the whole number 7; "),
        ({**QUANTITY, "mean": None}, "target.mean: should be a finite number, but is null; "),
        ({**QUANTITY, "mean": True}, "target.mean: should be a finite number, but is the truth value True; "),
        ({**QUANTITY, "std": 0}, "target.std: should be above zero; "),
        ([], "target: should be an object, but is a list; "),
    ],
)
def test_a_damaged_target_names_the_field(document: Any, message: str) -> None:
    with pytest.raises(RunError) as caught:
        target_from_json(document)
    assert str(caught.value).startswith(message)
    assert str(caught.value).endswith("the file is damaged or was made by another version")
