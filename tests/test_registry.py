"""Every operation of the registry keeps its promises, and the checks that say so would notice if it did not."""

from __future__ import annotations

import dataclasses
import importlib
import inspect
import pkgutil
from collections.abc import Callable, Iterator
from typing import Any, get_args

import numpy as np
import pytest

import chainrule
from chainrule.errors import ChainruleError
from chainrule.op import NON_DIFFERENTIABLE, REGISTRY, JointRule, Op, Recompute
from chainrule.samples import Sizes, type_of
from chainrule.testing import check_gradients, check_op
from chainrule.testing.operations import draw_case, main_types
from chainrule.types import DTYPES, bool_, float64, int32

for found in pkgutil.iter_modules(chainrule.__path__, "chainrule."):
    if found.name != "chainrule.cli":
        importlib.import_module(found.name)

OPS = sorted(REGISTRY)
DIFFERENTIABLE = [name for name in OPS if REGISTRY[name].vjp is not NON_DIFFERENTIABLE]


@pytest.mark.parametrize("name", OPS)
def test_an_operation_keeps_its_promises(name):
    check_op(REGISTRY[name], seeds=(0, 1))


# ---- mutations: a declaration that is wrong in one place must be caught ---------------------------------------------


def is_caught(mutant: Op) -> bool:
    """Whether the derivatives of a mutant are found to be wrong with one of a few samples."""
    for seed in range(6):
        case = draw_case(mutant, seed, float64, "plain", "plain")
        try:
            check_gradients(case.apply, case.sample.inputs, order=1)
        except AssertionError:
            return True
    return False


def floats_among_inputs(op: Op) -> list[int]:
    inputs = draw_case(op, 0, float64, "plain", "plain").sample.inputs
    return [i for i, x in enumerate(inputs) if type_of(x).dtype is float64]


def a_little(ct: Any, x: Any) -> Any:
    """What a rule must not return where the derivative is zero."""
    return (ct.sum() * 0.01).broadcast_to(x.shape)


def one_rule_off(rule: Callable[..., Any] | None) -> Callable[..., Any]:
    if rule is None:
        return lambda ct, out, *inputs, **attributes: a_little(ct, inputs[0] * 0.0 + 1.0)
    return lambda *args, **attributes: rule(*args, **attributes) * 1.01


def joint_rule_off(rule: Callable[..., Any], position: int) -> JointRule:
    def off(cts: Any, out: Any, *inputs: Any, **attributes: Any) -> list[Any]:
        found = list(rule(cts, out, *inputs, **attributes))
        ct = found[position]
        found[position] = inputs[position] * 0.01 if ct is None else ct * 1.01
        return found

    return JointRule(off)


def recomputed_off(rule: Callable[..., Any], position: int) -> Recompute:
    def off(*inputs: Any, **attributes: Any) -> Any:
        outputs, variables = rule(*inputs, **attributes)
        replaced = [y * 1.01 if i == position else y for i, y in enumerate(outputs)]
        return replaced, variables

    return Recompute(off)


def wrong_derivatives(op: Op) -> Iterator[tuple[str, Op]]:
    """Copies of an operation, each with one rule that is 1 % off."""
    vjp = op.vjp
    if isinstance(vjp, Recompute):
        case = draw_case(op, 0, float64, "plain", "plain")
        for i in range(len(case.run(case.sample.inputs))):
            yield f"output {i}", dataclasses.replace(op, vjp=recomputed_off(vjp.rule, i))
        return
    for i in floats_among_inputs(op):
        if isinstance(vjp, tuple):
            rules = tuple(one_rule_off(rule) if i == j else rule for j, rule in enumerate(vjp))
            yield f"rule {i}", dataclasses.replace(op, vjp=rules)
        elif isinstance(vjp, JointRule):
            yield f"cotangent {i}", dataclasses.replace(op, vjp=joint_rule_off(vjp.rule, i))


@pytest.mark.parametrize("name", DIFFERENTIABLE)
def test_a_derivative_that_is_one_percent_off_is_caught(name):
    mutants = list(wrong_derivatives(REGISTRY[name]))
    assert mutants
    assert [label for label, mutant in mutants if not is_caught(mutant)] == []


WITH_RULES = [n for n in DIFFERENTIABLE if not isinstance(REGISTRY[n].vjp, tuple) or any(REGISTRY[n].vjp)]


@pytest.mark.parametrize("name", WITH_RULES)
def test_a_numpy_function_that_is_a_little_off_is_caught(name):
    op = REGISTRY[name]

    def off(*inputs: Any, **attributes: Any) -> Any:
        value = op.numpy(*inputs, **attributes)
        return tuple(v + 0.01 * v * v for v in value) if isinstance(value, tuple) else value + 0.01 * value * value

    assert is_caught(dataclasses.replace(op, numpy=off))


def changed(value: Any, change: Callable[[Any], Any]) -> Any:
    """A result, or the first of several, with a change."""
    return (change(value[0]), *value[1:]) if isinstance(value, tuple) else change(value)


WRONG_TYPES = {
    "data type": lambda t: t.with_dtype(int32 if t.dtype is bool_ else bool_),
    "more axes": lambda t: t.with_shape((*t.shape, 1)),
}
WRONG_ARRAYS = {
    "data type": lambda x: np.asarray(x).astype(np.int32 if x.dtype == bool else bool),
    "more axes": lambda x: np.asarray(x)[..., None],
}


@pytest.mark.parametrize("name", OPS)
@pytest.mark.parametrize("kind", WRONG_TYPES)
def test_a_wrong_type_is_caught(name, kind):
    op = REGISTRY[name]
    by_rule = dataclasses.replace(op, infer=lambda *t, **a: changed(op.infer(*t, **a), WRONG_TYPES[kind]))
    by_numpy = dataclasses.replace(op, numpy=lambda *x, **a: changed(op.numpy(*x, **a), WRONG_ARRAYS[kind]))
    for mutant in (by_rule, by_numpy):
        with pytest.raises(AssertionError, match="is inferred, but the NumPy function returns"):
            check_op(mutant)


@pytest.mark.parametrize("name", OPS)
def test_a_numpy_function_that_writes_into_its_inputs_is_caught(name):
    op = REGISTRY[name]

    def writes(*inputs: Any, **attributes: Any) -> Any:
        value = changed(op.numpy(*inputs, **attributes), np.array)
        inputs[0][...] = ~inputs[0] if inputs[0].dtype == bool else inputs[0] + 1
        return value

    with pytest.raises(AssertionError, match="the NumPy function changes input 0"):
        check_op(dataclasses.replace(op, numpy=writes))


# ---- completeness ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", OPS)
def test_samples_can_be_drawn_for_all_sizes_and_differ(name):
    op = REGISTRY[name]
    dtype = next(t for t in reversed(DTYPES) if t in main_types(op))
    for sizes in get_args(Sizes):
        for seed in range(20):
            assert draw_case(op, seed, dtype, sizes, "plain").sample.inputs
    labels = {draw_case(op, seed, dtype, "plain", "plain").label.split(" of ", 1)[1] for seed in range(20)}
    assert len(labels) > 1  # shapes or attributes


@pytest.mark.parametrize("name", OPS)
def test_a_sample_is_the_same_each_time(name):
    op = REGISTRY[name]
    dtype = next(t for t in DTYPES if t in main_types(op))
    first, second = (draw_case(op, 3, dtype, "plain", "negative strides") for _ in range(2))
    assert [x.tobytes() for x in first.sample.inputs] == [x.tobytes() for x in second.sample.inputs]


def declaring_module(op: Op) -> Any:
    """The module in which an operation is declared."""
    for info in pkgutil.walk_packages(chainrule.__path__, "chainrule."):
        module = importlib.import_module(info.name) if ".ops." in info.name or info.name.count(".") == 1 else None
        if module is not None and any(value is op for value in vars(module).values()):
            return module
    raise AssertionError(f"{op} is not the value of a constant in any module")


@pytest.mark.parametrize("name", OPS)
def test_an_operation_is_a_constant_and_its_function_in_the_same_file_has_an_example(name):
    module = declaring_module(REGISTRY[name])
    assert getattr(module, name.upper()) is REGISTRY[name]
    functions = [f for f in vars(module).values() if inspect.isfunction(f) and f.__module__ == module.__name__]
    public = [f for f in functions if not f.__name__.startswith("_")]
    own = [f for f in public if f.__name__ == name] or public  # some have no function of their own: `constant_power`
    assert any(f.__doc__ and ">>>" in f.__doc__ for f in own)


def test_an_error_of_a_type_rule_names_the_operation():
    """What `apply` raises for a wrong number of axes starts with the operation's name."""
    case = draw_case(REGISTRY["matmul"], 0, float64, "plain", "plain")
    with pytest.raises(ChainruleError, match=r"^matmul: "):
        case.apply(case.tensors[0], case.tensors[0].reshape(-1, 1))
