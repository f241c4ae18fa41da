"""Einstein summation, lowered onto matrix products, sums and reorderings of axes."""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence
from typing import NamedTuple

from chainrule.errors import ShapeError
from chainrule.ops.cast import cast
from chainrule.ops.contract import matmul
from chainrule.ops.layout import permute_dims, reshape
from chainrule.ops.reduce import sum
from chainrule.ops.slicing import slice
from chainrule.tensor import Tensor, TensorLike, operands
from chainrule.types import bool_, int64, size_of

ELLIPSIS = "..."


class _Term(NamedTuple):
    """A tensor and the label of each of its axes."""

    tensor: Tensor
    labels: list[str]


def einsum(equation: str, *inputs: TensorLike) -> Tensor:
    """Sum of products of elements, with a label for each axis: Einstein's summation convention.

    `"ij,jk->ik"` is out[i, k] = sum over j of x[i, j] y[j, k]: axes with one label run together, and labels that the
    result does not have are summed over. A label twice in one input takes its diagonal. `...` stands for any further
    axes, which broadcast. Without `->`, the result has the axes of `...` and then, in alphabetical order, every label
    that occurs once. Products are formed two at a time, those first that make the smallest results.

    Integers give integers of their type; truth values are counted as int64.

    Raises `ShapeError` for an equation that is malformed or does not fit the inputs, and for a label with two sizes.

    >>> einsum("ij,jk->ik", [[1, 2], [3, 4]], [[1, 0], [0, 2]])
    tensor([[1, 4],
            [3, 8]], i64[2, 2])
    >>> einsum("ii", [[1.0, 2.0], [3.0, 4.0]])
    tensor(5., f32[])
    """
    if not isinstance(equation, str):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise ShapeError("einsum: the equation comes first: einsum('ij,jk->ik', x, y)")
    named, wanted = _parse(equation)
    if len(named) != len(inputs):
        raise ShapeError(f"einsum: {equation!r} is for {len(named)} inputs, not for {len(inputs)}")
    tensors = operands(*inputs)
    if tensors[0].dtype is bool_:
        tensors = operands(*tensors, dtype=int64)
    given = [_Term(x, _spread(labels, x, i)) for i, (labels, x) in enumerate(zip(named, tensors, strict=True))]
    result = _result(given, wanted, equation)
    sizes = _sizes(given)
    terms: list[_Term] = [_diagonal(_without_repeats(term, sizes)) for term in given]
    terms = [_sum_out(term, _others(terms, [i]) | {*result}) for i, term in enumerate(terms)]
    while len(terms) > 1:
        pairs = itertools.combinations(range(len(terms)), 2)
        _, i, j = min((_product_size(terms, i, j, result, sizes), i, j) for i, j in pairs)
        product = _product(terms[i], terms[j], _others(terms, [i, j]) | {*result}, sizes)
        terms = [*(term for k, term in enumerate(terms) if k not in (i, j)), product]
    out, labels = terms[0]
    return permute_dims(out, [labels.index(label) for label in result])


def _parse(equation: str) -> tuple[list[list[str]], list[str] | None]:
    """The labels of each input and, where it is given, those of the result."""
    left, arrow, right = equation.replace(" ", "").partition("->")
    terms = [*left.split(","), right]
    if not all(re.fullmatch(r"[A-Za-z]*(\.\.\.)?[A-Za-z]*", term) for term in terms):
        raise ShapeError(
            f"einsum: {equation!r} is no equation of letters and '...', such as 'ij,jk->ik' or '...i->...'"
        )
    labels = [re.findall(r"\.\.\.|[A-Za-z]", term) for term in terms]
    return labels[:-1], labels[-1] if arrow else None


def _spread(labels: list[str], x: Tensor, position: int) -> list[str]:
    """The labels with one for each axis of an ellipsis: "...0" for the last of them, "...1" before it."""
    extra = x.ndim - len(labels) + labels.count(ELLIPSIS)
    if extra < 0 or (extra and ELLIPSIS not in labels):
        raise ShapeError(f"einsum: {''.join(labels)!r} does not fit the axes of input {position + 1}, {x.type}")
    return _replaced(labels, extra)


def _replaced(labels: list[str], extra: int) -> list[str]:
    if ELLIPSIS not in labels:
        return labels
    at = labels.index(ELLIPSIS)
    return [*labels[:at], *(f"{ELLIPSIS}{i}" for i in reversed(range(extra))), *labels[at + 1 :]]


def _result(terms: Sequence[_Term], wanted: list[str] | None, equation: str) -> list[str]:
    """The labels of the result, one for each of its axes."""
    counted = [label for term in terms for label in term.labels]
    extra = max((int(label[len(ELLIPSIS) :]) + 1 for label in counted if label.startswith(ELLIPSIS)), default=0)
    if wanted is None:
        once = sorted(label for label in counted if counted.count(label) == 1 and not label.startswith(ELLIPSIS))
        return _replaced([ELLIPSIS, *once], extra)
    if extra and ELLIPSIS not in wanted:
        raise ShapeError(f"einsum: the result of {equation!r} needs '...', which stands for {extra} axes of the inputs")
    result = _replaced(wanted, extra)
    for label in result:
        if label not in counted:
            raise ShapeError(f"einsum: label {label!r} of the result of {equation!r} is in no input")
        if result.count(label) > 1:
            raise ShapeError(f"einsum: label {label!r} is twice in the result of {equation!r}")
    return result


def _sizes(terms: Sequence[_Term]) -> dict[str, int]:
    """The size of each label. Only the axes of an ellipsis broadcast."""
    sizes: dict[str, int] = {}
    for position, (x, labels) in enumerate(terms):
        for label, n in zip(labels, x.shape, strict=True):
            known = sizes.setdefault(label, n)
            if known == 1 and label.startswith(ELLIPSIS):
                sizes[label] = n
            elif n != known and not (n == 1 and label.startswith(ELLIPSIS)):
                what = "an axis of '...'" if label.startswith(ELLIPSIS) else f"label {label!r}"
                raise ShapeError(f"einsum: {what} has two sizes, {known} and, in input {position + 1}, {x.type}, {n}")
    return sizes


def _without_repeats(term: _Term, sizes: dict[str, int]) -> _Term:
    """The term without axes of size one that broadcast: where it has no label, it is the same for all."""
    kept = [i for i, (n, label) in enumerate(zip(term.tensor.shape, term.labels, strict=True)) if n == sizes[label]]
    return _Term(reshape(term.tensor, [term.tensor.shape[i] for i in kept]), [term.labels[i] for i in kept])


def _diagonal(term: _Term) -> _Term:
    """The term with each label once: a diagonal is every (n + 1)-th of n * n elements."""
    x, labels = term
    for label in dict.fromkeys(labels):
        while labels.count(label) > 1:
            first = labels.index(label)
            second = labels.index(label, first + 1)
            kept = [i for i in range(x.ndim) if i not in (first, second)]
            n, rest = x.shape[first], [x.shape[i] for i in kept]
            flat = reshape(permute_dims(x, [*kept, first, second]), [*rest, n * n])
            x = slice(flat, [0] * flat.ndim, [*rest, n], [*(1 for _ in rest), n + 1])
            labels = [*(labels[i] for i in kept), label]
    return _Term(x, labels)


def _others(terms: Sequence[_Term], without: Sequence[int]) -> set[str]:
    """All labels of all terms but some."""
    return {label for i, term in enumerate(terms) if i not in without for label in term.labels}


def _sum_out(term: _Term, keep: set[str]) -> _Term:
    """The term summed over labels that nothing else needs."""
    x, labels = term
    axes = [i for i, label in enumerate(labels) if label not in keep]
    return _Term(cast(sum(x, axes), x.dtype), [label for label in labels if label in keep]) if axes else term


def _product_size(terms: Sequence[_Term], i: int, j: int, result: list[str], sizes: dict[str, int]) -> int:
    """Number of elements of the product of two terms."""
    keep = (_others(terms, [i, j]) | {*result}) & {*terms[i].labels, *terms[j].labels}
    return size_of(sizes[label] for label in keep)


def _product(left: _Term, right: _Term, keep: set[str], sizes: dict[str, int]) -> _Term:
    """The product of two terms, summed over the labels that nothing else needs: those are in both."""
    shared = [label for label in left.labels if label in right.labels]
    batch, inner = [label for label in shared if label in keep], [label for label in shared if label not in keep]
    rows, columns = ([label for label in term.labels if label not in shared] for term in (left, right))

    def arranged(term: _Term, *parts: list[str]) -> Tensor:
        """The axes of the batch, and then one axis for each part."""
        order = [*batch, *itertools.chain(*parts)]
        x = permute_dims(term.tensor, [term.labels.index(label) for label in order])
        return reshape(x, [sizes[label] for label in batch] + [size_of(sizes[label] for label in p) for p in parts])

    if inner:
        out = matmul(arranged(left, rows, inner), arranged(right, inner, columns))
    else:
        out = arranged(left, rows, []) * arranged(right, [], columns)
    labels = batch + rows + columns
    return _Term(reshape(out, [sizes[label] for label in labels]), labels)
