"""Attention without a matrix of scores: kernels against NumPy functions, and these against the plain formula."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from chainrule import ops
from chainrule.autodiff import grad, vjp
from chainrule.compiled import compile
from chainrule.errors import ShapeError
from chainrule.native.target import Target
from chainrule.ops.attention import ATTENTION, ATTENTION_BACKWARD
from chainrule.testing import check_compiled, check_gradients
from chainrule.trace import trace
from tests.native.harness import TARGETS
from tests.native.one_op import Batch

Array = np.ndarray[Any, np.dtype[Any]]
SHAPES = [  # leading axes, queries, keys, features, features of values
    ((), 3, 4, 5, 6),
    ((2,), 40, 40, 16, 16),
    ((1, 2), 70, 37, 8, 32),
    ((2,), 130, 150, 4, 3),
    ((1,), 33, 300, 16, 48),
    ((2,), 1, 9, 3, 1),
    ((0,), 1, 9, 3, 2),
    ((2,), 4, 3, 0, 2),
]


def laid(x: Array, layout: str) -> Array:
    """The same numbers in another order in memory."""
    if layout == "heads" and x.ndim > 2:  # [batch, place, head, feature]
        return np.swapaxes(np.ascontiguousarray(np.swapaxes(x, -2, -3)), -2, -3)
    return np.swapaxes(np.ascontiguousarray(np.swapaxes(x, -1, -2)), -1, -2) if layout == "turned" else x


def biases(rng: np.random.Generator, kind: str, shape: tuple[int, ...], dtype: str) -> list[Array]:
    if kind == "none":
        return []
    bias = np.where(rng.random(shape) < 0.3, -np.inf, rng.normal(size=shape)).astype(dtype)
    if kind == "of keys":
        bias = np.broadcast_to(bias[..., :1, :], shape)
    elif kind == "nothing":
        bias[..., :1, :] = -np.inf
    return [bias]


def calls(dtype: str) -> Iterator[tuple[tuple[Array, ...], dict[str, Any], str]]:
    """Inputs of the derivative, attributes, and what they are: all shapes, with the other choices taking turns."""
    rng, number = np.random.default_rng(0), 0
    for lead, queries, keys, features, width in SHAPES:
        for causal in (False, True):
            kind = ("none", "full", "of keys", "nothing")[number % 4]
            layout = ("plain", "heads", "turned")[number % 3]
            number += 1
            shapes = (queries, features), (keys, features), (keys, width), (queries, width)
            q, k, v, ct = (laid(rng.normal(size=(*lead, *s)).astype(dtype), layout) for s in shapes)
            bias = biases(rng, kind, (*lead, queries, keys), dtype)
            attributes = {"causal": causal, "scale": 0.3}
            out, logsumexp = ATTENTION.numpy(q, k, v, *bias, **attributes)
            delta = (ct * out).sum(-1)
            label = f"{lead, queries, keys, features, width}, causal {causal}, bias {kind}, layout {layout}"
            yield (q, k, v, logsumexp, delta, ct, *bias), attributes, label


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.cpu)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_kernels_do_what_the_numpy_functions_do(target: Target, dtype: str) -> None:
    batch, runs = Batch(target), []
    for inputs, attributes, label in calls(dtype):
        forward = (*inputs[:3], *inputs[6:])
        for op, given in ((ATTENTION, forward), (ATTENTION_BACKWARD, inputs)):
            runs.append((batch.add(op, given, attributes), op.numpy(*given, **attributes), f"{op.name} of {label}"))
    batch.compile()
    unit = 1e-12 if dtype == "float64" else 1e-4
    for run, expected, label in runs:
        for found, wanted in zip(run(), expected, strict=True):
            size = max(1.0, float(np.abs(wanted[np.isfinite(wanted)]).max(initial=0.0)))
            np.testing.assert_allclose(found, wanted, rtol=unit, atol=unit * size, err_msg=label)


def test_it_is_the_formula_with_any_leading_axes() -> None:
    rng = np.random.default_rng(0)
    q, k, v, bias = (rng.normal(size=s) for s in ((2, 1, 3, 4), (5, 6, 4), (1, 6, 2), (3, 6)))
    scores = 0.5 * q @ np.swapaxes(k, -1, -2) + bias
    out, logsumexp = ops.attention(q, k, v, bias)
    powers = np.exp(scores)
    np.testing.assert_allclose(out.numpy(), powers @ v / powers.sum(-1, keepdims=True), atol=1e-14)
    np.testing.assert_allclose(logsumexp.numpy(), np.log(powers.sum(-1)), atol=1e-14)


def test_large_scores_do_not_overflow() -> None:
    q, k, v = np.full((1, 4), 1e4), np.stack([np.full(4, 1e3), np.full(4, -1e3)]), np.array([[1.0], [2.0]])
    out, logsumexp = ops.attention(q, k, v, scale=1.0)
    assert out.tolist() == [[1.0]] and logsumexp.tolist() == [4e7]
    found = compile(lambda *x: ops.attention(*x, scale=1.0))(q, k, v)
    assert found[0].tolist() == [[1.0]] and found[1].tolist() == [4e7]


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.cpu)
def test_scores_above_a_given_logarithm_may_overflow_as_in_numpy(target: Target) -> None:
    q, k, v, ct = (np.ones(s, np.float32) for s in ((4, 1), (2, 1), (2, 1), (4, 1)))
    logsumexp, delta = np.float32([-20, -87.2, -87.6, -200]), np.zeros(4, np.float32)  # e^88.6 is still finite
    inputs, attributes = (q, k, v, logsumexp, delta, ct), {"causal": False, "scale": 1.0}
    batch = Batch(target)
    run = batch.add(ATTENTION_BACKWARD, inputs, attributes)
    batch.compile()
    with np.errstate(over="ignore"):
        expected = ATTENTION_BACKWARD.numpy(*inputs, **attributes)
    np.testing.assert_allclose(run()[0], expected[0], rtol=1e-4)
    assert np.isinf(expected[0][3])


def test_not_a_number_stays_in_its_row() -> None:
    q, k, v = (np.random.default_rng(0).normal(size=(5, 4)) for _ in range(3))
    q[2] = np.nan
    found = compile(lambda *x: ops.attention(*x)[0])(q, k, v).numpy()
    assert np.isnan(found[2]).all() and np.isfinite(np.delete(found, 2, 0)).all()


def test_both_outputs_and_the_bias_have_derivatives_of_second_order() -> None:
    rng = np.random.default_rng(0)
    inputs = [rng.normal(size=s) for s in ((1, 2, 2), (1, 3, 2), (1, 3, 1), (2, 3))]
    check_gradients(lambda *x: ops.attention(*x, causal=True), inputs)


def test_heads_are_read_and_written_where_they_lie() -> None:
    """From one product for queries, keys and values to the product after it, nothing is copied."""

    def attend(x: Any, w: Any, u: Any) -> Any:
        heads = [t.reshape((2, 8, 4, 16)).permute_dims((0, 2, 1, 3)) for t in ops.split(x @ w, 3, -1)]
        return ops.attention(*heads, causal=True)[0].permute_dims((0, 2, 1, 3)).reshape((16, 64)) @ u

    rng = np.random.default_rng(0)
    inputs = [rng.normal(size=s).astype(np.float32) for s in ((2, 8, 64), (64, 192), (64, 64))]
    step = compile(attend)
    np.testing.assert_allclose(step(*inputs).numpy(), attend(*inputs).numpy(), rtol=1e-4, atol=1e-3)
    assert [row.kind for row in step.kernels.rows] == ["product", "native", "product"]


def test_compiled_gradients_are_those_of_numpy() -> None:
    rng = np.random.default_rng(0)
    q, k, v, ct = (rng.normal(size=(2, 2, 20, 8)).astype(np.float32) for _ in range(4))

    def pulled(q: Any, k: Any, v: Any, bias: Any, ct: Any) -> Any:
        return vjp(lambda *x: ops.attention(*x, causal=True)[0], q, k, v, bias)[1](ct)

    inputs = [q, k, v, rng.normal(size=(20, 20)).astype(np.float32), ct]
    check_compiled(trace(pulled)(*inputs), inputs)


def test_second_derivatives_are_compiled() -> None:
    rng = np.random.default_rng(0)
    q, k, v = (rng.normal(size=(2, 3, 4)) for _ in range(3))
    twice = grad(lambda q: (grad(lambda q: (ops.attention(q, k, v)[0] ** 2).sum())(q) ** 2).sum())
    np.testing.assert_allclose(compile(twice)(q).numpy(), twice(q).numpy(), rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize(
    "shapes",
    [((3, 4), (5, 6), (5, 6)), ((3, 4), (5, 4), (6, 4)), ((3, 4), (5, 4), (5, 4), (3, 6)), ((4,), (5, 4), (5, 4))],
)
def test_shapes_that_do_not_fit_are_refused(shapes: tuple[tuple[int, ...], ...]) -> None:
    with pytest.raises(ShapeError):
        ops.attention(*(np.ones(s) for s in shapes))
