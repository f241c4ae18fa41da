"""The public testing tools: they pass what is right and catch what is wrong."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

import chainrule as cr
from chainrule.apply import apply
from chainrule.errors import DefinitionError, DtypeError, ShapeError
from chainrule.op import NON_DIFFERENTIABLE, JointRule, Op
from chainrule.ops import exp, log, matmul, stop_gradient, tanh
from chainrule.ops.rules import same_type
from chainrule.samples import Sample, floats
from chainrule.tensor import Tensor, tensor
from chainrule.testing import check_compiled, check_gradients, check_op
from chainrule.types import ANY, FLOATS, NUMBERS, TensorType, bfloat16, float32, float64

X = np.array([0.5, -1.0, 2.0])
W = np.array([[0.3, -0.2], [1.0, 0.7], [-0.4, 0.1]])

SINE = Op("sine", (FLOATS,), same_type, np.sin, (lambda ct, out, x: ct * x.cos(),), floats())


def declared(op=SINE, **changes):
    return dataclasses.replace(op, **changes)


# ---- check_gradients ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("function", "args"),
    [
        (lambda x, w: tanh(x @ w), (X, W)),
        (lambda p: {"a": p["x"] * 2.0, "b": [exp(p["w"][0])]}, ({"x": X, "w": (W,)},)),
        (lambda x, n: x * n, (X, np.array([1, 2, 3]))),
        (lambda x, n, flag: x * n if flag else x, (X, 3, True)),
        (lambda x: (x * x, x > 0), (X,)),
        (lambda x: x, (X,)),
        (lambda x: x * 0.0 + 1.0, (X,)),
        (lambda x: tensor(np.ones(2)), (X,)),
        (lambda x: (x * x).sum(), (np.zeros((2, 0)),)),
        (lambda x: (x * x).sum(0), (np.linspace(-1, 1, 40).reshape(8, 5),)),
        (lambda x: x * x, (0.5,)),
        (lambda x: x * x * x, (X.astype(np.float32),)),
        (lambda x: x * x * x, (tensor([1.0, 2.0], "bfloat16"),)),
    ],
)
def test_right_derivatives_pass(function, args):
    check_gradients(function, args, order=3)


@pytest.mark.parametrize("scale", [1e-6, 1e-3, 1.0, 1e3, 1e6])
def test_right_derivatives_pass_at_any_scale(scale):
    check_gradients(lambda x, y: x * y / (x + y), (scale * np.array([1.0, 2.0]), scale * np.array([0.5, 3.0])))


def test_differences_are_good_to_nine_digits_near_a_singularity():
    check_gradients(lambda x: log(x) * (1.0 / x), (np.array([0.2, 3.0]),), rtol=1e-7)


def wrong(factor=1.01, where=slice(None), base=SINE):
    """The sine with a derivative that is off by a factor, or only for some elements."""

    def rule(ct, out, x):
        factors = np.ones(x.shape)
        factors[where] = factor
        return ct * x.cos() * factors

    return declared(base, vjp=(rule,))


@pytest.mark.parametrize("factor", [1.01, 0.99, 1.00001, -1.0, 0.0, np.nan])
def test_a_wrong_factor_is_caught(factor):
    with pytest.raises(AssertionError, match=r"derivative 1 of sine at test_testing.py:\d+ .*input 0"):
        check_gradients(lambda x: apply(wrong(factor), x), (X,))


@pytest.mark.parametrize("element", range(6))
def test_an_error_in_a_single_element_is_caught_and_named(element):
    place = np.unravel_index(element, W.shape)
    with pytest.raises(AssertionError) as caught:
        check_gradients(lambda w: apply(wrong(where=place), w) * 1.0, (W,), order=1)
    assert "derivative 1 of multiply at test_testing.py" in str(caught.value)
    assert "differences of values give" in str(caught.value) and "allowed 1.0e-06" in str(caught.value)


def test_the_path_of_the_input_is_named():
    with pytest.raises(AssertionError, match=r"input 0\.layers\.1"):
        check_gradients(lambda p: p["layers"][0] * apply(wrong(), p["layers"][1]), ({"layers": [X, X]},))


def test_a_missing_path_is_caught():
    with pytest.raises(AssertionError, match="input 0"):
        check_gradients(lambda x: x * stop_gradient(x), (X,))


def test_a_derivative_where_there_is_none_is_caught():
    floor = declared(numpy=np.floor, vjp=(lambda ct, out, x: ct * 0.01,))
    with pytest.raises(AssertionError, match="input 0"):
        check_gradients(lambda x: apply(floor, x), (X + 0.25,))
    check_gradients(lambda x: apply(declared(floor, vjp=(None,)), x), (X + 0.25,))


def test_a_derivative_of_zero_that_cancels_passes():
    """The gradient of the sum of a softmax: zero, but computed from numbers that are not."""
    check_gradients(lambda x: (exp(x) / exp(x).sum()).sum(), (X,))


def test_an_error_in_the_second_derivative_alone_is_caught():
    op = declared(vjp=(lambda ct, out, x: ct * apply(wrong(base=declared(numpy=np.cos)), x),))
    check_gradients(lambda x: apply(op, x), (X,), order=1)
    with pytest.raises(AssertionError, match=r"derivative 2 of .*input 0"):
        check_gradients(lambda x: apply(op, x), (X,))


def test_a_rule_that_is_not_linear_in_the_cotangent_is_caught():
    op = declared(vjp=(lambda ct, out, x: ct * ct * x.cos() / stop_gradient(ct),))
    with pytest.raises(AssertionError, match=r"forward derivative 1|cotangent of output 0"):
        check_gradients(lambda x: apply(op, x), (X,))


@pytest.mark.parametrize("change", [lambda g: g.cast("float32"), lambda g: g.reshape(-1, 1)])
def test_a_gradient_of_another_type_is_caught(change):
    op = declared(vjp=(lambda ct, out, x: change(ct * x.cos()),))
    with pytest.raises(AssertionError, match=r"the gradient is .*, the input f64\[3\]"):
        check_gradients(lambda x: apply(op, x), (X,))


def test_a_loose_tolerance_lets_small_errors_pass():
    check_gradients(lambda x: apply(wrong(1.00001), x), (X,), rtol=1e-3)


def test_other_seeds_and_fewer_components_can_be_asked_for():
    large = np.linspace(-1, 1, 100)
    check_gradients(tanh, (large,), components=0, seed=3)
    with pytest.raises(AssertionError):
        check_gradients(lambda x: apply(wrong(where=57), x), (large,), components=100)


@pytest.mark.parametrize(
    ("function", "args", "error", "words"),
    [
        (tanh, X, DefinitionError, "args must be a list or tuple of arguments, not ndarray"),
        (tanh, (np.array([1, 2]),), DefinitionError, "no float input, or no float output"),
        (lambda x: x > 0, (X,), DefinitionError, "no float input, or no float output"),
        (lambda x: x.cast("float32"), (X,), DtypeError, r"must compute in float64, but an output is f32\[3\]"),
        (matmul, (X, np.ones((2, 2))), ShapeError, "inner sizes differ"),
    ],
)
def test_what_cannot_be_checked_says_why(function, args, error, words):
    with pytest.raises(error, match=words):
        check_gradients(function, args)


# ---- check_op -------------------------------------------------------------------------------------------------------


def changes_its_input(x):
    x[...] = np.abs(x)
    return np.sin(x)


class Forgetful:
    """A function that gives another result each time."""

    def __init__(self):
        self.calls = 0

    def __call__(self, x):
        self.calls += 1
        return np.sin(x) + self.calls


def test_a_right_declaration_passes():
    check_op(SINE, seeds=range(3))


def test_operations_with_several_outputs_are_checked():
    def swap_back(cts, out, x, y):
        return [cts[1], cts[0]]

    fields = {"infer": lambda x, y: (y, x), "numpy": lambda x, y: (y, x), "samples": floats(inputs=2)}
    check_op(Op("swap", (ANY,), vjp=JointRule(swap_back), **fields))
    with pytest.raises(AssertionError, match="derivative 1 of pick"):
        check_op(Op("swap", (ANY,), vjp=JointRule(lambda cts, out, x, y: cts), **fields))
    with pytest.raises(AssertionError, match="2 outputs are inferred, but there are 1"):
        check_op(Op("swap", (ANY,), vjp=JointRule(swap_back), **{**fields, "numpy": lambda x, y: (x,)}))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"infer": lambda x: x.with_shape((*x.shape, 1))}, "is inferred, but the NumPy function returns"),
        ({"infer": lambda x: x.with_dtype(float64)}, r"f64\[.*\] is inferred, but the NumPy function returns float32"),
        ({"numpy": lambda x: np.sin(x).astype(np.float64)}, "but the NumPy function returns float64"),
        ({"numpy": lambda x: np.sin(x)[None]}, "but the NumPy function returns"),
        ({"numpy": changes_its_input}, "the NumPy function changes input 0"),
        ({"numpy": Forgetful()}, "gives other bits the second time"),
        ({"numpy": lambda x: np.sqrt(x - 10)}, "the result holds NaN: draw samples from where it is defined"),
        ({"numpy": lambda x: np.sin(x.ravel("K").reshape(x.shape))}, "depends on the inputs' memory layout"),
        ({"numpy": lambda x: np.sin(x) * np.asarray(1.01, x.dtype)}, "derivative 1 of sine"),
        ({"vjp": (lambda ct, out, x: ct * x.cos(), None)}, "2 rules for 1 inputs"),
        ({"vjp": (None,)}, "derivative 1 of sine"),
        ({"takes": (frozenset({float32}),)}, "must take float64, in which derivatives are checked"),
        ({"samples": lambda draw: Sample((np.ones(draw.shape()),))}, "samples must have the data type that is asked"),
        ({"vjp": (lambda ct, out, x: (ct * x.cos()).cast("float64"),)}, r"by input 0 is f64\[.*, the input f32"),
    ],
)  # fmt: skip
def test_a_broken_promise_is_caught(changes, words):
    with pytest.raises(AssertionError, match=words) as caught:
        check_op(declared(**changes))
    assert str(caught.value).startswith("sine")


def test_a_data_type_that_is_accepted_though_not_declared_is_caught(monkeypatch):
    monkeypatch.setattr("chainrule.testing.operations.infer", lambda op, inputs, attributes: inputs[0].type)
    with pytest.raises(AssertionError, match="it accepts bool as input 0"):
        check_op(SINE)


def test_an_operation_without_derivative_must_not_be_recorded(monkeypatch):
    op = declared(numpy=np.sign, vjp=NON_DIFFERENTIABLE)
    check_op(op)
    recorded = Tensor(TensorType(float64, ()), np.zeros(()), requires_grad=True)
    monkeypatch.setattr("chainrule.testing.operations.Case.apply", lambda case, *inputs: [recorded])
    monkeypatch.setattr("chainrule.testing.operations._check_graph", lambda case: None)
    with pytest.raises(AssertionError, match="it is NON_DIFFERENTIABLE, but is recorded"):
        check_op(op)


def test_an_operation_that_gives_other_bits_when_interpreted_is_caught(monkeypatch):
    monkeypatch.setattr("chainrule.testing.operations.interpret", lambda graph, values: [np.zeros(3)])
    with pytest.raises(AssertionError, match=r"(?s)eagerly it gives .*, interpreted \[0"):
        check_op(SINE)


def test_an_exception_says_for_which_sample_it_came():
    def fails(x):
        raise ZeroDivisionError("no")

    with pytest.raises(ZeroDivisionError) as caught:
        check_op(declared(numpy=fails))
    assert "while checking sine (float32, sizes 'plain', layout 'plain', seed 0) of f32[" in caught.value.__notes__[0]


def nudge(x):
    """One unit in the last place of a float64 that is not contiguous."""
    return x.dtype.type(0) if x.dtype != np.float64 or x.flags.c_contiguous else np.spacing(x)


def test_sums_may_differ_by_rounding_between_layouts_but_moved_data_may_not():
    total = Op(
        "total", (NUMBERS,), lambda x: x.with_shape(()), lambda x: np.sum(x.ravel("K")).astype(x.dtype),
        (lambda ct, out, x: ct.broadcast_to(x.shape),), floats(),
    )  # fmt: skip
    check_op(total, seeds=range(5))
    moved = declared(takes=(ANY,), numpy=lambda x: x.ravel("K").reshape(x.shape), vjp=(lambda ct, out, x: ct,))
    with pytest.raises(AssertionError, match="depends on the inputs' memory layout"):
        check_op(moved)
    nudged = declared(moved, takes=(frozenset({bfloat16, float64}),), numpy=lambda x: x + nudge(x))
    with pytest.raises(AssertionError, match=r"float64.* depends on the inputs' memory layout"):
        check_op(nudged)
    check_op(declared(nudged, takes=(frozenset({float64}),)))


def test_infinite_results_are_compared_too():
    inf = declared(numpy=lambda x: np.where(x > 0, np.inf, x).astype(x.dtype), vjp=NON_DIFFERENTIABLE)
    check_op(inf)
    with pytest.raises(AssertionError, match="depends on the inputs' memory layout"):
        check_op(declared(inf, numpy=lambda x: np.full_like(x, np.inf if x.flags.c_contiguous else 1.0)))


def test_parts_beside_each_other_may_lose_the_sign_of_zeros() -> None:
    def beside(x: cr.Tensor, y: cr.Tensor) -> cr.Tensor:
        return cr.pad(x * 1.5, ((0, 2),)) + cr.pad(y * 2.5, ((2, 0),))

    parts = [np.array([-0.0, 1.0], np.float32), np.array([2.0, -0.0], np.float32)]
    check_compiled(cr.trace(beside)(*parts), parts)
