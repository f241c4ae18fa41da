"""Compiled functions do what the functions do: state, containers, signatures, errors."""

from __future__ import annotations

import threading
import warnings
from typing import Any, NamedTuple

import numpy as np
import pytest

import chainrule as cr
from chainrule import losses, nn, optim
from chainrule.compiled import MANY, Options, compile
from chainrule.errors import GradientError, IndexingError, TraceError
from chainrule.tensor import Tensor, tensor

RNG = np.random.default_rng(0)


def numbers(x: Any) -> Any:
    return x.numpy().tolist()


# Arguments and results.


class Pair(NamedTuple):
    left: Any
    right: Any


def test_results_are_nested_as_the_function_nests_them() -> None:
    @compile
    def nested(x: Tensor) -> Any:
        return {"a": [x, (x + 1.0, None)], "b": Pair(x * 2.0, "text"), "c": {}}

    found = nested(np.array([1.0, 2.0]))
    assert list(found) == ["a", "b", "c"] and isinstance(found["b"], Pair)
    assert numbers(found["a"][0]) == [1.0, 2.0] and numbers(found["a"][1][0]) == [2.0, 3.0]
    assert found["a"][1][1] is None and found["b"].right == "text" and found["c"] == {}
    assert numbers(found["b"].left) == [2.0, 4.0]


def test_arguments_may_be_nested_and_named() -> None:
    @compile
    def total(parts: Any, *, scale: Any, skip: Any = None) -> Tensor:
        return (parts["x"] + parts["y"][0]) * scale

    assert numbers(total({"x": np.ones(2), "y": [np.ones(2)]}, scale=3.0)) == [6.0, 6.0]
    assert numbers(total({"x": np.ones(2), "y": [np.zeros(2)]}, scale=4.0)) == [4.0, 4.0]
    assert len(total.variants) == 1


def test_an_argument_and_a_constant_can_be_results() -> None:
    x = np.arange(3.0)

    @compile
    def same(x: Tensor) -> Any:
        return x, x, x.reshape(3, 1), 1.5

    first, second, column, number = same(x)
    x[:] = 7.0
    assert numbers(first) == numbers(second) == [0.0, 1.0, 2.0]
    assert numbers(column) == [[0.0], [1.0], [2.0]] and number.item() == 1.5
    assert not any(np.shares_memory(a.numpy(), b.numpy()) for a, b in ((first, second), (first, column)))


def test_a_part_of_a_large_result_stays_when_there_is_another_call() -> None:
    double = compile(lambda x: x * 2.0)
    x = np.ones((100, 1000), np.float32)
    part = double(x).numpy()[:50]
    double(x * 5)
    double(x * 7)
    assert (part == 2.0).all()


def test_results_of_one_call_stay_when_there_is_another() -> None:
    small, large = compile(lambda x: x * 2.0), compile(lambda x: x * 2.0)
    for function, size in ((small, 3), (large, 30_000)):
        first = function(np.full(size, 1.0))
        function(np.full(size, 5.0))
        assert (first.numpy() == 2.0).all()


@pytest.mark.parametrize(
    "x",
    [
        np.arange(24.0).reshape(2, 3, 4).transpose(2, 0, 1),
        np.arange(24.0)[::-3],
        np.asfortranarray(np.arange(12.0).reshape(3, 4)),
        np.broadcast_to(np.arange(3.0), (2, 3)),
        np.arange(60_000.0).reshape(200, 300).T,
        np.zeros((0, 3)),
        np.zeros((3, 0)),
        np.array(2.0),
        np.float32(3.0),
        2.5,
        np.arange(4, dtype=np.int32),
        np.array([True, False]),
        np.array([1.0, 2.0], ">f8"),
        np.array([1.5, 2.0], np.float16),
        np.array([1, 2], np.uint16),
    ],
)
def test_arrays_of_all_kinds_are_arguments(x: Any) -> None:
    function = compile(lambda x: (x * 2, x))
    expected = cr.tensor(x)
    for _ in range(2):
        doubled, same = function(x)
        assert same.type == expected.type and doubled.type == (expected * 2).type
        np.testing.assert_array_equal(same.numpy(), expected.numpy())
        np.testing.assert_array_equal(doubled.numpy(), (expected * 2).numpy())


def test_tensors_are_arguments_whatever_their_layout() -> None:
    function = compile(lambda x: x * 2.0)
    x = tensor(np.arange(6.0).reshape(2, 3))
    for given in (x, x.T, x[:, ::-1], cr.broadcast_to(x[0], (4, 3))):
        np.testing.assert_array_equal(function(given).numpy(), 2.0 * given.numpy())


def test_bfloat16_goes_in_and_out() -> None:
    x = tensor([1.0, 2.5, -3.0], "bfloat16")
    found = compile(lambda x: (x, (x * 1.001).cast("bfloat16"), x.cast("float32")))(x)
    expected = x, (x * 1.001).cast("bfloat16"), x.cast("float32")
    for a, b in zip(found, expected, strict=True):
        assert a.type == b.type
        np.testing.assert_array_equal(a.numpy(), b.numpy())


def test_a_function_without_tensors() -> None:
    assert compile(lambda: None)() is None
    assert compile(lambda: 2.0)().item() == 2.0
    assert compile(lambda n: [n, "a"])(3) == [3, "a"]


def test_it_keeps_name_and_text_of_the_function() -> None:
    @compile
    def scaled(x: Tensor) -> Tensor:
        """Twice."""
        return x * 2.0

    assert (scaled.__name__, scaled.__doc__, repr(scaled)) == ("scaled", "Twice.", "<compiled scaled>")
    with pytest.raises(TraceError, match="before it has been called"):
        _ = scaled.graph
    scaled(1.0)
    assert "multiply" in str(scaled.graph)


def test_options_choose_the_processor() -> None:
    @compile(options=Options(target="x86-64-v2"))
    def scaled(x: Tensor) -> Tensor:
        return cr.exp(x)

    np.testing.assert_allclose(scaled(np.arange(20.0)).numpy(), np.exp(np.arange(20.0)), rtol=1e-14)
    with pytest.raises(cr.DefinitionError, match="x86-64-v9"):
        compile(lambda x: x, options=Options("x86-64-v9"))(1.0)


# Signatures.


def test_other_types_compile_again_and_the_first_ones_are_still_known() -> None:
    calls: list[str] = []

    @compile
    def noted(x: Tensor) -> Tensor:
        calls.append(str(x.type))
        return x + 1

    for x in (np.ones(3), np.ones(4), np.ones(3, np.float32), np.ones(3), np.ones(4), tensor(np.ones(3))):
        assert (noted(x).numpy() == 2).all()
    assert calls == ["f64[3]", "f64[4]", "f32[3]"]


def test_what_is_no_tensor_is_part_of_the_signature() -> None:
    function = compile(lambda x, n, mode="plus": x * n if mode == "times" else x + n)
    assert numbers(function(np.ones(2), 3)) == [4.0, 4.0]
    assert numbers(function(np.ones(2), 4)) == [5.0, 5.0]
    assert numbers(function(np.ones(2), 3, mode="times")) == [3.0, 3.0]
    kind = compile(lambda x, n: (x, type(n).__name__))
    assert [kind(np.ones(2), n)[1] for n in (True, 1, False, 0, True)] == ["bool", "int", "bool", "int", "bool"]


def test_an_argument_that_cannot_be_compared_is_an_error() -> None:
    with pytest.raises(cr.DefinitionError, match=r"compile: \{1, 2\} cannot be told from others"):
        compile(lambda x, n: x)(np.ones(2), {1, 2})


def test_modules_that_train_or_evaluate_are_compiled_apart() -> None:
    model = nn.Sequential(nn.Linear(4, 3), nn.Dropout(0.5))
    apply = compile(lambda x: model(x))
    x = np.ones((8, 4), np.float32)
    assert (apply(x).numpy() == 0).any()
    model.eval()
    expected = model(x).numpy()
    np.testing.assert_allclose(apply(x).numpy(), expected, rtol=1e-6)
    model.train()
    assert (apply(x).numpy() == 0).any()
    assert sum(map(len, apply.variants.values())) == 2


def test_a_warning_names_the_argument_that_keeps_changing() -> None:
    @compile
    def padded(x: Tensor, y: Tensor) -> Tensor:
        return x.sum() + y.sum()

    with pytest.warns(UserWarning, match=r"padded has been compiled 16 times: argument 2 comes as f64\[10\], "):
        for n in range(MANY):
            padded(np.ones(2), np.ones(n + 1))


def test_a_warning_names_other_reasons() -> None:
    function = compile(lambda x, n: x + n)
    with pytest.warns(UserWarning, match="has been compiled 16 times: its arguments hold ever other things"):
        for n in range(MANY):
            function(1.0, n)


# Gradients.


def test_gradients_inside() -> None:
    slope = compile(lambda x: cr.grad(lambda y: (y * y * y).sum())(x))
    np.testing.assert_allclose(slope(np.arange(4.0)).numpy(), 3 * np.arange(4.0) ** 2)


def test_inside_a_trace_or_a_derivative_the_function_itself_runs() -> None:
    square = compile(lambda x: (x * x).sum())
    assert numbers(cr.grad(square)(np.arange(3.0))) == [0.0, 2.0, 4.0]
    assert numbers(compile(cr.grad(square))(np.arange(3.0))) == [0.0, 2.0, 4.0]
    x = tensor([1.0, 2.0], requires_grad=True)
    square(x).backward()
    assert x.grad is not None and numbers(x.grad) == [2.0, 4.0]
    assert compile(lambda x: square(x) + 1.0)(np.ones(2)).item() == 3.0


def test_gradients_that_would_add_up_are_an_error() -> None:
    w = tensor([1.0, 2.0], requires_grad=True, name="weights")

    @compile
    def step(x: Tensor) -> Tensor:
        loss = (w * x).sum()
        loss.backward()
        return loss

    with pytest.raises(TraceError, match=r"gradients of weights would add up.*zero_grad"):
        step(np.ones(2, np.float32))


def test_several_backward_passes_after_zero_grad_add_up() -> None:
    model = nn.Linear(3, 2)
    optimizer = optim.SGD(model.parameters(), 0.1)

    @compile
    def step(x: Tensor) -> Any:
        optimizer.zero_grad()
        for part in (x, x * 2.0):
            model(part).sum().backward()
        return [p.grad for p in model.parameters()]

    weight, bias = step(np.ones((4, 3), np.float32))
    assert (weight.numpy() == 12.0).all() and (bias.numpy() == 8.0).all()


def test_an_eager_backward_pass_over_a_tensor_that_has_changed_is_an_error() -> None:
    w = tensor([1.0, 2.0], requires_grad=True)
    step = compile(lambda: w.assign(w * 2.0))
    step()
    loss = (w * w).sum()
    step()
    with pytest.raises(GradientError, match="was assigned a new value after it was used"):
        loss.backward()


# Errors.


def test_a_branch_on_a_traced_value_is_an_error_that_names_the_line() -> None:
    @compile
    def branching(x: Tensor) -> Tensor:
        if x.sum() > 0:
            return x
        return -x

    with pytest.raises(TraceError, match=r"(?s)test_compiled\.py.*if x\.sum\(\) > 0.*use `where`"):
        branching(np.ones(2))


def test_a_leaked_tensor_is_an_error() -> None:
    leaked: list[Tensor] = []

    @compile
    def leaking(x: Tensor) -> Tensor:
        leaked.append(x * 2.0)
        return x

    leaking(np.ones(2))
    with pytest.raises(TraceError, match="while a function was traced"):
        leaked[0].numpy()
    with pytest.raises(TraceError, match="belongs to another trace"):
        compile(lambda x: x + leaked[0])(np.ones(2))


def test_an_index_outside_is_an_error_and_the_next_call_works() -> None:
    table = tensor(np.arange(5.0))
    pick = compile(lambda i: table[i])
    assert numbers(pick(np.array([-1, 2]))) == [4.0, 2.0]
    with pytest.raises(IndexingError, match="outside of its axis"):
        pick(np.array([0, 5]))
    assert numbers(pick(np.array([0, 1]))) == [0.0, 1.0]


def test_an_error_in_the_function_leaves_nothing_behind() -> None:
    w, wrong = tensor(1.0), [True]

    @compile
    def step(x: Tensor) -> Tensor:
        w.assign(w + x)
        if wrong[0]:
            raise ValueError("once")
        return w

    with pytest.raises(ValueError, match="once"):
        step(np.float32(1.0))
    assert w.item() == 1.0
    wrong[0] = False
    assert step(np.float32(1.0)).item() == 2.0


# Threads of the user.


def test_many_threads_call_at_once() -> None:
    count = tensor(0.0)

    @compile
    def step(x: Tensor) -> Any:
        count.assign(count + 1.0)
        return x * 2.0, x.sum()

    wrong: list[Any] = []

    def work(n: int) -> None:
        for size in (5, 5000):
            x = np.full(size, float(n), np.float32)
            for _ in range(50):
                doubled, total = step(x)
                if not (doubled.numpy() == 2 * n).all() or total.item() != n * size:
                    wrong.append((n, size))

    threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong and count.item() == 400.0


def test_nothing_is_warned_of_in_ordinary_use() -> None:
    function = compile(lambda x: losses.mse(x, x * 0.5))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for n in range(3):
            function(np.ones((n + 1, 2), np.float32))
