"""Operators and methods of a tensor, against Python and NumPy."""

from __future__ import annotations

import inspect
import operator
import re

import numpy as np
import pytest

from chainrule.errors import GradientError, IndexingError
from chainrule.op import FUNCTIONS
from chainrule.operators import Operators
from chainrule.state import no_grad
from chainrule.tensor import Tensor, tensor
from chainrule.types import float64, int32

X = np.array([[1.5, -2.0, 0.5], [3.0, 1.0, -0.75]])
Y = np.array([[2.0, 4.0, 0.25], [0.5, 3.0, 2.0]])
B = X > 0

BINARY = [
    operator.add, operator.sub, operator.mul, operator.truediv, operator.floordiv, operator.mod, operator.lt,
    operator.le, operator.gt, operator.ge, operator.eq, operator.ne,
]  # fmt: skip


@pytest.mark.parametrize("op", BINARY, ids=lambda op: op.__name__)
def test_an_operator_does_what_it_does_in_numpy_from_either_side(op):
    expected = op(X, Y)
    for left, right in ((tensor(X), tensor(Y)), (tensor(X), Y), (X, tensor(Y))):
        result = op(left, right)
        assert isinstance(result, Tensor)
        np.testing.assert_array_equal(result.numpy(), expected)
    np.testing.assert_array_equal(op(tensor(X), 2.0).numpy(), op(X, 2.0))
    np.testing.assert_array_equal(op(2.0, tensor(Y)).numpy(), op(2.0, Y))


def test_powers_from_either_side():
    np.testing.assert_allclose((tensor(X) ** 2).numpy(), X**2)
    np.testing.assert_allclose((tensor(Y) ** tensor(X)).numpy(), Y**X)
    np.testing.assert_allclose((2.0 ** tensor(X)).numpy(), 2.0**X)
    np.testing.assert_allclose((Y ** tensor(X)).numpy(), Y**X)


def test_matrix_products_from_either_side():
    for left, right in ((tensor(X), tensor(Y.T)), (tensor(X), Y.T), (X, tensor(Y.T))):
        np.testing.assert_allclose((left @ right).numpy(), X @ Y.T)


def test_logical_operators():
    x, y = tensor(B), tensor(~B)
    np.testing.assert_array_equal((x & B).numpy(), B)
    np.testing.assert_array_equal((x | y).numpy(), np.ones_like(B))
    np.testing.assert_array_equal((x ^ x).numpy(), np.zeros_like(B))
    np.testing.assert_array_equal((~x).numpy(), ~B)


def test_unary_operators_and_indexing():
    x = tensor(X)
    np.testing.assert_array_equal((-x).numpy(), -X)
    np.testing.assert_array_equal(abs(x).numpy(), abs(X))
    assert +x is x
    np.testing.assert_array_equal(x[1, ::-1].numpy(), X[1, ::-1])
    np.testing.assert_array_equal(x.T.numpy(), X.T)
    np.testing.assert_array_equal(tensor(X[None]).mT.numpy(), X.T[None])


REDUCTIONS = {name: getattr(np, name) for name in ("sum", "mean", "prod", "max", "min", "all", "any", "var", "std")}
REDUCTIONS["logsumexp"] = lambda x, axis=None, keepdims=False: np.log(np.exp(x).sum(axis=axis, keepdims=keepdims))


@pytest.mark.parametrize("name", REDUCTIONS)
@pytest.mark.parametrize("axis", [None, 0, -1, (0, 1)])
@pytest.mark.parametrize("keepdims", [False, True])
def test_a_reduction_is_numpys(name, axis, keepdims):
    result = getattr(tensor(X), name)(axis, keepdims=keepdims)
    np.testing.assert_allclose(result.numpy(), REDUCTIONS[name](X, axis=axis, keepdims=keepdims))
    np.testing.assert_allclose(getattr(tensor(X), name)().numpy(), REDUCTIONS[name](X))


@pytest.mark.parametrize("name", ["var", "std"])
def test_spread_with_a_correction(name):
    np.testing.assert_allclose(getattr(tensor(X), name)(1, correction=1).numpy(), getattr(np, name)(X, 1, ddof=1))


@pytest.mark.parametrize("name", ["argmax", "argmin"])
def test_places_of_extremes(name):
    for axis in (None, 0, 1):
        np.testing.assert_array_equal(getattr(tensor(X), name)(axis).numpy(), getattr(np, name)(X, axis))
    np.testing.assert_array_equal(
        getattr(tensor(X), name)(1, keepdims=True).numpy(), getattr(np, name)(X, 1, keepdims=True)
    )


ELEMENTWISE = {name: getattr(np, name) for name in ("exp", "abs", "tanh", "square", "sin", "cos")}
ELEMENTWISE["sigmoid"] = lambda x: 1 / (1 + np.exp(-x))


@pytest.mark.parametrize("name", ELEMENTWISE)
def test_an_elementwise_method_is_numpys_function(name):
    np.testing.assert_allclose(getattr(tensor(X), name)().numpy(), ELEMENTWISE[name](X), rtol=1e-14)


def test_methods_of_positive_numbers():
    np.testing.assert_allclose(tensor(Y).log().numpy(), np.log(Y))
    np.testing.assert_allclose(tensor(Y).sqrt().numpy(), np.sqrt(Y))


def test_methods_that_change_the_shape():
    x = tensor(X)
    assert x.reshape(3, 2).shape == x.reshape((3, 2)).shape == x.reshape(-1, 2).shape == (3, 2)
    assert x.reshape(6).shape == x.reshape([6]).shape == x.flatten().shape == (6,)
    assert x.permute_dims(1, 0).shape == x.permute_dims((1, 0)).shape == (3, 2)
    assert x.expand_dims(0).shape == (1, 2, 3)
    assert x.expand_dims(0).squeeze(0).shape == x.expand_dims((0, 3)).squeeze().shape == (2, 3)
    assert x.reshape(1, 2, 3).flatten(0, 1).shape == (2, 3)
    assert x.broadcast_to((4, 2, 3)).shape == (4, 2, 3)
    assert tensor(1.0).reshape(()).shape == ()


def test_methods_that_change_type_or_values():
    x = tensor(X)
    assert x.cast("int32").dtype is int32 and x.dtype is float64
    np.testing.assert_array_equal(x.clip(-1.0, 1.0).numpy(), np.clip(X, -1, 1))
    np.testing.assert_array_equal(x.clip(max=0.0).numpy(), np.minimum(X, 0))


def test_detach_and_backward():
    w = tensor(X, requires_grad=True)
    assert not w.detach().requires_grad
    (w * w).sum().backward()
    np.testing.assert_allclose(w.grad.numpy(), 2 * X)
    (w * 1.0).backward(tensor(Y), retain_graph=True)
    np.testing.assert_allclose(w.grad.numpy(), 2 * X + Y)


def test_every_method_has_a_docstring_and_names_a_function_that_exists():
    for name, member in vars(Operators).items():
        code = member.fget if isinstance(member, property) else member
        if not inspect.isfunction(code):
            continue
        assert name.startswith("__") or code.__doc__, f"{name}: no docstring"
        for reached in re.findall(r'FUNCTIONS\["(\w+)"\]', inspect.getsource(code)):
            assert reached in FUNCTIONS, f"{name} reaches {reached}, which is no function"


def test_a_parameter_changes_itself_where_nothing_is_recorded():
    """As the loop `for p in parameters: p -= lr * p.grad` does that people know from PyTorch."""
    w = first = tensor([8.0, 4.0], requires_grad=True)
    with no_grad():
        w -= 2.0
        w += [2.0, 4.0]
        w *= 2.0
        w /= 4.0
    assert w is first and w.tolist() == [4.0, 3.0] and w.requires_grad


def test_a_step_that_would_leave_the_parameter_as_it_is_is_an_error():
    w = tensor([1.0], requires_grad=True)
    (w * w).sum().backward()
    with pytest.raises(GradientError, match=r"with no_grad\(\)"):
        w -= 0.1 * w.grad


def test_what_is_no_parameter_is_never_changed_in_place():
    x = first = tensor([1.0])
    with no_grad():
        x += 1.0
    assert first.tolist() == [1.0] and x.tolist() == [2.0]
    v = leaf = tensor([1.0], requires_grad=True)
    v *= 3.0
    assert v is not leaf
    v.sum().backward()
    assert leaf.grad.tolist() == [3.0]
    with pytest.raises(IndexingError, match="never changed in place"):
        x[0] = 1.0


def test_no_tensor_equals_none_or_a_text():
    x = tensor([1.0])
    assert operator.eq(x, None) is False and operator.ne(x, None) is True and (x == "mean") is False
    assert None not in [x]
