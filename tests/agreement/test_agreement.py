"""Every layer, loss, optimizer and schedule agrees with PyTorch's of the same name; see README.md here."""

from __future__ import annotations

import inspect
import json
from operator import attrgetter
from types import ModuleType
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from tests.agreement.case import Case, FunctionCase, LayerCase, OptimizerCase, ScheduleCase
from tests.agreement.recordings import NAMESAKES, Recording, condensed, families
from tests.agreement.sides import chainrule_side

FAMILIES = families()
RECORDINGS = {family: Recording(family) for family in FAMILIES}
CASES = [
    pytest.param(family, case, id=f"{family}: {case.title}") for family, cases in FAMILIES.items() for case in cases
]

# Public names that need no case, and why.
EXCEPTIONS = {
    "losses.dice_loss": "not in PyTorch",
    "losses.sigmoid_focal_loss": "not in PyTorch",
    "losses.softmax_focal_loss": "not in PyTorch",
    "nn.Hardsigmoid": "PyTorch divides by 6 in float32 only",
    "nn.KeyValueCache": "not in PyTorch",
    "nn.LearnedPositions": "not in PyTorch",
    "nn.Module": "computes nothing",
    "nn.ModuleDict": "computes nothing",
    "nn.ModuleList": "computes nothing",
    "nn.ParameterDict": "computes nothing",
    "nn.ParameterList": "computes nothing",
    "nn.RotaryPositions": "not in PyTorch",
    "nn.Sequential": "computes nothing of its own",
    "nn.SinusoidalPositions": "not in PyTorch",
    "nn.functional.hardsigmoid": "PyTorch divides by 6 in float32 only",
    "nn.functional.swiglu": "is not in PyTorch",
    "optim.Muon": "PyTorch rounds to bfloat16 at each step of its iteration",
    "optim.Optimizer": "base of all optimizers",
}


@pytest.mark.parametrize(("family", "case"), CASES)
def test_agrees_with_pytorch(family: str, case: Case) -> None:
    recorded = RECORDINGS[family].results.get(case.fingerprint)
    if recorded is None:
        pytest.fail(f"not recorded as it is declared now: run `make record FAMILY={family}`")
    ours = chainrule_side.run(case)
    assert {name: x.shape for name, x in ours.items()} == {name: shape for name, (shape, _) in recorded.items()}
    for name, (_, theirs) in recorded.items():
        size = max(1.0, float(np.abs(theirs[np.isfinite(theirs)]).max(initial=0.0)))
        np.testing.assert_allclose(
            condensed(ours[name]), theirs, rtol=1e-9, atol=1e-12 * size, err_msg=f"{name} of {case.text}"
        )


@pytest.mark.parametrize("family", FAMILIES)
def test_no_recording_is_left_of_a_case_that_is_no_more(family: str) -> None:
    left = set(RECORDINGS[family].results) - {case.fingerprint for case in FAMILIES[family]}
    assert not left, f"run `make record FAMILY={family}`"


def test_no_case_is_declared_twice() -> None:
    texts = [case.text for cases in FAMILIES.values() for case in cases]
    assert [text for text in set(texts) if texts.count(text) > 1] == []


def public(module: ModuleType) -> dict[str, Any]:
    """What a module shows: the names in `__all__`, or else those that it defines."""
    defined = [name for name, x in vars(module).items() if getattr(x, "__module__", "") == module.__name__]
    names = getattr(module, "__all__", defined)
    return {name: getattr(module, name) for name in names if not name.startswith("_")}


def names_in_pytorch() -> dict[str, type[Case]]:
    """Everything public that must have a case, and of which kind."""
    theirs = json.loads(NAMESAKES.read_text(encoding="utf-8"))
    wanted: dict[str, type[Case]] = {f"nn.{name}": LayerCase for name in public(cr.nn) if name in theirs["nn"]}
    wanted |= {f"optim.{name}": OptimizerCase for name in public(cr.optim) if name in theirs["optim"]}
    if hasattr(cr.optim, "lr_scheduler"):
        schedules = public(cr.optim.lr_scheduler)
        wanted |= {f"optim.lr_scheduler.{name}": ScheduleCase for name in schedules if name in theirs["schedules"]}
    for path, module in (("losses", cr.losses), ("nn.functional", cr.nn.functional)):
        wanted |= {f"{path}.{name}": FunctionCase for name, x in public(module).items() if inspect.isfunction(x)}
    return wanted


def test_everything_that_pytorch_has_too_has_a_case() -> None:
    wanted = names_in_pytorch()
    there = {(type(case), case.name) for cases in FAMILIES.values() for case in cases}
    missing = [
        path
        for path, kind in wanted.items()
        if path not in EXCEPTIONS and (kind, path if kind is FunctionCase else path.rpartition(".")[2]) not in there
    ]
    assert not missing, f"add cases for {missing} to a file in tests/agreement/cases; its README says how"


def test_every_exception_is_needed() -> None:
    owners = {path: attrgetter(path.rpartition(".")[0])(cr) for path in EXCEPTIONS}
    there = {path for path, owner in owners.items() if path.rpartition(".")[2] in dir(owner)}
    assert there == set(EXCEPTIONS)
