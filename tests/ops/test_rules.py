"""What elementwise operations share: type rules, broadcasting, and the promises of their declarations."""

from __future__ import annotations

import numpy as np
import pytest

from chainrule.apply import apply
from chainrule.errors import DtypeError, ShapeError
from chainrule.op import Op
from chainrule.ops import (
    arithmetic,
    comparison,
    piecewise,
    powers,
    rounding,
    special,
    transcendental,
    trigonometric,
)
from chainrule.ops.arithmetic import ADD, add
from chainrule.ops.rules import same_type, to_bool, together
from chainrule.tensor import tensor
from chainrule.testing import check_op
from chainrule.trace import trace
from chainrule.types import TensorType, float32, float64

MODULES = (arithmetic, comparison, piecewise, powers, rounding, special, transcendental, trigonometric)
ELEMENTWISE = [op for module in MODULES for op in vars(module).values() if isinstance(op, Op)]


@pytest.mark.parametrize("op", ELEMENTWISE, ids=lambda op: op.name)
def test_a_declaration_keeps_its_promises(op: Op) -> None:
    check_op(op)


def test_one_type_in_is_the_type_out() -> None:
    x = TensorType(float32, (2, 3))
    assert same_type(x) == same_type(x, x) == x
    assert str(to_bool(x, x)) == "bool[2, 3]"


def test_other_types_are_told_apart_from_shapes_that_never_fit() -> None:
    x = TensorType(float32, (2,))
    with pytest.raises(ShapeError, match=r"inputs must have one type, not f32\[2\] and f64\[2\]"):
        same_type(x, TensorType(float64, (2,)))
    with pytest.raises(ShapeError, match=r"shapes do not broadcast: \[2\] and \[3\]"):
        same_type(x, TensorType(float32, (3,)))


def test_nothing_broadcasts_within_a_graph() -> None:
    with pytest.raises(ShapeError, match="add: inputs must have one type"):
        apply(ADD, tensor([1.0, 2.0]), tensor(1.0))
    graph = trace(add)(np.ones((2, 3)), np.ones(3))
    assert [node.op.name for node in graph.nodes if node.op] == ["broadcast_to", "add"]


def test_inputs_of_one_shape_are_left_alone() -> None:
    x, y = tensor([1.0, 2.0]), tensor(3.0)
    assert together(x, x) == (x, x)
    assert [z.shape for z in together(x, y)] == [(2,), (2,)]
    assert together(x, y)[0] is x


def test_what_is_no_number_is_refused() -> None:
    with pytest.raises(DtypeError):
        add([1.0], ["a"])
