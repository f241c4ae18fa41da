"""Einstein summation, against NumPy's."""

from __future__ import annotations

import string

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chainrule.errors import ShapeError
from chainrule.ops.einsum import einsum
from chainrule.tensor import tensor
from chainrule.testing import check_gradients
from chainrule.trace import trace
from chainrule.types import Array, Shape

SIZES = {"a": 2, "b": 3, "c": 1, "d": 4, "e": 2, "B": 3}

EQUATIONS = [
    "a->a",
    "a->",
    "ab->ba",
    "ab",
    "ba",
    "aB",
    "ab->b",
    "aa->a",
    "aa",
    "aab->ba",
    "aba->ab",
    "aaa->a",
    "aaa",
    "abab->ba",
    "abab",
    "a,a->a",
    "a,a",
    "a,b->ba",
    "a,b",
    ",a->a",
    ",->",
    "ab,bd->ad",
    "ab,bd",
    "ab,bd->da",
    "ab,ab->",
    "ab,ad->bd",
    "abd,abe->ade",
    "abd,bde->ea",
    "abd,dbe->ae",
    "abd,ade,de->b",
    "ab,bd,de->ae",
    "aeb,ebd,da->e",
    "ab,b,d->a",
    "aab,bd->ad",
    "ab,bb->a",
    "c,a->ca",
    "a b , b d -> a d",
]


def arrays(equation: str, dtype: str = "float64", sizes: dict[str, int] = SIZES) -> list[Array]:
    rng = np.random.default_rng(0)
    terms = equation.replace(" ", "").split("->")[0].split(",")
    return [np.round(rng.uniform(-3, 3, [sizes[label] for label in term]), 3).astype(dtype) for term in terms]


@pytest.mark.parametrize("equation", EQUATIONS)
def test_it_computes_what_numpy_does(equation: str) -> None:
    inputs = arrays(equation)
    expected = np.einsum(equation, *inputs)
    found = einsum(equation, *inputs)
    assert found.shape == expected.shape
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("equation", EQUATIONS)
def test_its_derivatives(equation: str) -> None:
    check_gradients(lambda *inputs: einsum(equation, *inputs), tuple(arrays(equation)), order=2)


@pytest.mark.parametrize("equation", ["ab,bd->ad", "aab->b", "abab->ba", "ab->", "a,d->ad"])
def test_empty_axes(equation: str) -> None:
    for empty in "abd":
        inputs = arrays(equation, sizes={**SIZES, empty: 0})
        expected = np.einsum(equation, *inputs)
        found = einsum(equation, *inputs)
        assert found.shape == expected.shape
        np.testing.assert_allclose(found.numpy(), expected)


@pytest.mark.parametrize(
    ("equation", "shapes"),
    [
        ("...a->a...", [(4, 5, 2)]),
        ("...", [(2, 3)]),
        ("...b", [(2, 3)]),
        ("a...->...", [(2, 3, 4)]),
        ("...->...", [()]),
        ("a...a->...a", [(2, 3, 4, 2)]),
        ("...ab,...bd->...ad", [(5, 2, 3), (5, 3, 4)]),
        ("...ab,...bd->...ad", [(5, 1, 2, 3), (6, 3, 4)]),
        ("...ab,bd", [(5, 2, 3), (3, 4)]),
        ("...,...", [(2, 3), (3,)]),
        ("...,...->...", [(1, 3), (2, 1)]),
        ("a...,...a->...", [(2, 3, 4), (4, 2)]),
        ("...a,...a", [(1, 2), (1, 2)]),
        ("...a,b->...b", [(0, 2), (3,)]),
        ("...a,...a->...", [(1, 2), (0, 2)]),
        ("a,b->a...b", [(2,), (3,)]),
        ("...a,...b,...c->...", [(4, 1, 2), (5, 3), (4, 5, 1)]),
    ],
)
def test_an_ellipsis_stands_for_further_axes_which_broadcast(equation: str, shapes: list[Shape]) -> None:
    rng = np.random.default_rng(0)
    inputs = [rng.uniform(-2, 2, shape) for shape in shapes]
    expected = np.einsum(equation, *inputs)
    found = einsum(equation, *inputs)
    assert found.shape == expected.shape
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-12, atol=1e-12)
    check_gradients(lambda *inputs: einsum(equation, *inputs), tuple(inputs), order=2)


@st.composite
def equations(draw: st.DrawFn) -> tuple[str, list[Array]]:
    """One to four inputs with up to four axes each, repeats among them, and any result."""
    labels = string.ascii_letters[: draw(st.integers(1, 5))]
    sizes = {label: draw(st.integers(0, 4)) for label in labels}
    terms = draw(st.lists(st.text(st.sampled_from(labels), max_size=4), min_size=1, max_size=4))
    used = sorted({*"".join(terms)})
    equation = ",".join(terms)
    if draw(st.booleans()):
        kept = draw(st.lists(st.sampled_from(used), unique=True)) if used else []
        equation += "->" + "".join(kept)
    return equation, arrays(",".join(terms), sizes=sizes)


@given(equations())
def test_any_equation_gives_what_numpy_gives(case: tuple[str, list[Array]]) -> None:
    equation, inputs = case
    expected = np.einsum(equation, *inputs)
    found = einsum(equation, *inputs)
    assert found.shape == expected.shape
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("dtype", ["uint8", "int32", "int64", "float32", "float64"])
@pytest.mark.parametrize("equation", ["ab,bd->ad", "ab->a", "aa", "a,b->ab", "ab->ba"])
def test_the_data_type_stays(equation: str, dtype: str) -> None:
    inputs = [np.abs(x).astype(dtype) for x in arrays(equation)]
    found = einsum(equation, *inputs)
    assert found.dtype.name == dtype
    np.testing.assert_allclose(found.numpy(), np.einsum(equation, *inputs), rtol=1e-5)


def test_data_types_meet_in_the_higher_and_truth_values_are_counted() -> None:
    assert einsum("a,a", np.ones(2, np.float32), np.ones(2, np.int64)).dtype.name == "float32"
    counted = einsum("a,a", np.array([True, True, False]), np.array([True, True, True]))
    assert (counted.dtype.name, counted.item()) == ("int64", 2)
    assert einsum("a->", tensor([1.0, 2.0], dtype="bfloat16")).dtype.name == "float32"


def test_a_matrix_product_is_one_matmul_and_nothing_else() -> None:
    graph = trace(lambda x, y: einsum("ab,bd->ad", x, y))(np.ones((2, 3)), np.ones((3, 4)))
    assert [node.op.name for node in graph.nodes if node.op] == ["matmul"]


def test_small_results_come_first() -> None:
    """Of x y v with a vector v, the matrix and the vector are multiplied first."""
    graph = trace(lambda x, y, v: einsum("ab,bd,d->a", x, y, v))(np.ones((50, 50)), np.ones((50, 50)), np.ones(50))
    products = [node for node in graph.nodes if node.op and node.op.name == "matmul"]
    assert [node.size for node in products] == [50, 50]


@pytest.mark.parametrize(
    ("equation", "shapes", "message"),
    [
        ("ab,bd->ad", [(2, 3), (4, 5)], r"label 'b' has two sizes, 3 and, in input 2, f64\[4, 5\], 4"),
        ("aa", [(2, 3)], "label 'a' has two sizes, 2 and, in input 1"),
        ("a,a", [(1,), (3,)], "label 'a' has two sizes, 1 and"),
        ("...,...", [(2,), (3,)], r"an axis of '\.\.\.' has two sizes, 2 and"),
        ("ab", [(2,)], r"'ab' does not fit the axes of input 1, f64\[2\]"),
        ("ab", [(2, 3, 4)], "does not fit the axes of input 1"),
        ("a...b", [(2,)], r"'a\.\.\.b' does not fit"),
        ("a,b", [(2,)], "is for 2 inputs, not for 1"),
        ("a", [], "is for 1 inputs, not for 0"),
        ("a->b", [(2,)], "label 'b' of the result of 'a->b' is in no input"),
        ("a->aa", [(2,)], "label 'a' is twice in the result"),
        ("...a->a", [(3, 2)], r"needs '\.\.\.', which stands for 1 axes"),
        ("a1", [(2, 2)], "is no equation"),
        ("a..b", [(2, 2)], "is no equation"),
        ("a......", [(2, 2)], "is no equation"),
        ("a-b", [(2, 2)], "is no equation"),
        ("a->a->a", [(2,)], "is no equation"),
        ("a->a,a", [(2,)], "is no equation"),
    ],
)
def test_what_does_not_fit_is_named(equation: str, shapes: list[Shape], message: str) -> None:
    with pytest.raises(ShapeError, match=f"einsum: .*{message}"):
        einsum(equation, *(np.ones(shape) for shape in shapes))


def test_the_equation_comes_first():
    with pytest.raises(ShapeError, match="the equation comes first"):
        einsum(np.ones((2, 3)), "ij->ji")
