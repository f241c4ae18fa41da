"""Declarations of operations."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from chainrule.errors import DefinitionError
from chainrule.kernel import Map
from chainrule.native import vecmath
from chainrule.op import FUNCTIONS, NON_DIFFERENTIABLE, REGISTRY, JointRule, Op, Recompute, define, method
from chainrule.ops.rules import same_type
from chainrule.samples import floats
from chainrule.types import FLOATS

FIELDS = {
    "takes": (FLOATS,),
    "infer": same_type,
    "numpy": np.sinh,
    "vjp": (None,),
    "samples": floats(),
    "kernel": Map(vecmath.sinh),
}


@pytest.fixture
def empty_registry(monkeypatch):
    monkeypatch.setattr("chainrule.op.REGISTRY", registry := {})
    return registry


@pytest.mark.parametrize("vjp", [(None,), JointRule(lambda *_: []), Recompute(lambda *_: ([], [])), NON_DIFFERENTIABLE])
def test_a_declaration_enters_the_registry(empty_registry, vjp):
    op = define("ours", **{**FIELDS, "vjp": vjp})
    assert empty_registry == {"ours": op}
    assert repr(op) == "<op ours>"
    assert (op.name, op.numpy, op.vjp) == ("ours", np.sinh, vjp)


def test_a_name_can_be_taken_once(empty_registry):
    define("ours", **FIELDS)
    with pytest.raises(DefinitionError, match="operation 'ours' is declared already"):
        define("ours", **FIELDS)


@pytest.mark.parametrize("name", ["two words", "1st", "", "a.b"])
def test_a_name_must_be_an_identifier(empty_registry, name):
    with pytest.raises(DefinitionError, match="must be an identifier"):
        define(name, **FIELDS)
    assert not empty_registry


@pytest.mark.parametrize("vjp", [None, lambda ct, out, x: ct, [None]])
def test_a_derivative_of_another_form_fails_at_definition(empty_registry, vjp):
    with pytest.raises(DefinitionError, match="ours: vjp must be a tuple of rules, a JointRule"):
        define("ours", **{**FIELDS, "vjp": vjp})


def test_leaving_out_the_derivative_fails_at_definition(empty_registry):
    fields = {k: v for k, v in FIELDS.items() if k != "vjp"}
    with pytest.raises(TypeError, match="vjp"):
        define("ours", **fields)


@pytest.mark.parametrize("kernel", [None, lambda v, x: x])
def test_a_kernel_of_another_form_fails_at_definition(empty_registry, kernel):
    with pytest.raises(DefinitionError, match="ours: kernel must be one of the kinds"):
        define("ours", **{**FIELDS, "kernel": kernel})


def test_a_declaration_cannot_be_changed_but_copied_with_changes():
    op = Op("ours", **FIELDS)
    with pytest.raises(dataclasses.FrozenInstanceError):
        op.name = "theirs"
    assert dataclasses.replace(op, name="theirs").numpy is op.numpy
    assert "ours" not in REGISTRY


def test_operations_are_equal_only_to_themselves():
    assert Op("ours", **FIELDS) != Op("ours", **FIELDS)


def test_a_method_is_reached_by_its_name(monkeypatch):
    monkeypatch.setattr("chainrule.op.FUNCTIONS", functions := {})

    @method
    def doubled(x):
        return x + x

    assert functions == {"doubled": doubled}
    assert "doubled" not in FUNCTIONS
    assert repr(NON_DIFFERENTIABLE) == "NON_DIFFERENTIABLE"
