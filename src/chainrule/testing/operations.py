"""Everything that the declaration of an operation promises, put to the test."""

from __future__ import annotations

import itertools
from collections.abc import Generator, Iterable, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, cast, get_args

import numpy as np

from chainrule.apply import Bundle, apply, infer, outputs_of
from chainrule.errors import DtypeError
from chainrule.gradients import gradients
from chainrule.graph import Graph
from chainrule.interpret import interpret
from chainrule.op import NON_DIFFERENTIABLE, Op
from chainrule.samples import Draw, Layout, Sample, Sizes, readable, type_of
from chainrule.tensor import Tensor
from chainrule.testing.derivatives import check_gradients
from chainrule.trace import trace
from chainrule.types import DTYPES, Array, DType, bfloat16, float64


def check_op(op: Op, *, seeds: Iterable[int] = (0,), order: int = 2, rtol: float = 1e-6) -> None:
    """Check that an operation keeps what its declaration promises, for inputs that it draws itself.

    Drawn are all data types of its main input (of several, that which may have most), all kinds of sizes and all
    memory layouts. Then

    - its NumPy function returns what `infer` says, data type and shape, without NaN, leaves its inputs unchanged and
      gives the same bits again;
    - memory layout does not matter: not to a single bit where data are only moved (operations that take bfloat16) or
      the result is no float, and to rounding (the order of summation and vector instructions may depend on the layout)
      where numbers are computed;
    - the traced operation, interpreted, gives the same bits as the eager one; its graph verifies and prints;
    - data types that it does not take raise `DtypeError`, and the gradient by an input has the input's type;
    - its derivatives are right, in float64, or none is recorded if it is declared `NON_DIFFERENTIABLE`.

    Args:
        op: the operation.
        seeds: of the random samples; one set of all combinations is drawn for each.
        order: up to which derivatives are checked.
        rtol: largest relative error of a derivative.

    Raises `AssertionError` for a promise that is broken, saying with which sample.

    >>> from chainrule.ops.arithmetic import ADD
    >>> check_op(ADD)
    """
    main = main_types(op)
    sizes, layouts = get_args(Sizes), get_args(Layout)
    for seed in seeds:
        for dtype, size, layout in itertools.product([t for t in DTYPES if t in main], sizes, layouts):
            case = draw_case(op, seed, dtype, size, layout)
            with case.named():
                _check_main_dtype(case, dtype)
                _check_values(case)
                _check_graph(case)
                _check_dtypes(case)
                if layout == "plain":
                    _check_gradient_types(case)
        if op.vjp is not NON_DIFFERENTIABLE and float64 not in main:
            raise AssertionError(f"{op.name}: it must take float64, in which derivatives are checked")
        for size in sizes if float64 in main else ():
            case = draw_case(op, seed, float64, size, "plain")
            with case.named():
                _check_derivatives(case, order, rtol)


def main_types(op: Op) -> frozenset[DType]:
    """The data types of an operation's main input: that which may have most."""
    return max(op.takes, key=len)


@dataclass(frozen=True)
class Case:
    """An operation with a sample of its own."""

    op: Op
    sample: Sample
    label: str

    @property
    def tensors(self) -> list[Tensor]:
        """The inputs as tensors."""
        return [Tensor(type_of(x), x) for x in self.sample.inputs]

    def run(self, inputs: Sequence[Array]) -> tuple[Array, ...]:
        """The NumPy function's outputs."""
        with np.errstate(all="ignore"):
            return listed(self.op.numpy(*inputs, **self.sample.attributes))

    def apply(self, *inputs: Tensor) -> list[Tensor]:
        """The operation's outputs as nodes."""
        node = apply(self.op, *inputs, **self.sample.attributes)
        return outputs_of(node) if isinstance(node, Bundle) else [node]

    @contextmanager
    def named(self) -> Generator[None]:
        """Inside, every exception says which sample it was."""
        try:
            yield
        except AssertionError as error:
            raise AssertionError(f"{self.label}: {error}") from error
        except Exception as error:
            error.add_note(f"while checking {self.label}")
            raise


def draw_case(op: Op, seed: int, dtype: DType, sizes: Sizes, layout: Layout) -> Case:
    """A sample of an operation; the same for the same arguments."""
    label = f"{op.name} ({dtype}, sizes {sizes!r}, layout {layout!r}, seed {seed})"
    numbers = [seed, DTYPES.index(dtype), get_args(Sizes).index(sizes), get_args(Layout).index(layout)]
    draw = Draw(np.random.default_rng([*numbers, *op.name.encode()]), dtype, sizes, layout)
    with Case(op, Sample(()), label).named():
        sample = op.samples(draw)
    shown = [str(type_of(x)) for x in sample.inputs]
    shown += [f"{key}={value}" for key, value in sample.attributes.items() if not isinstance(value, Graph)]
    return Case(op, sample, f"{label} of {', '.join(shown)}")


def listed(value: Any) -> tuple[Array, ...]:
    """The outputs of a NumPy function: one array, or a tuple of several."""
    return cast(tuple[Array, ...], value) if isinstance(value, tuple) else (np.asarray(value),)


def _require(promise: bool, message: str) -> None:
    if not promise:
        raise AssertionError(message)


def _check_main_dtype(case: Case, dtype: DType) -> None:
    place = case.op.takes.index(main_types(case.op))
    for x in case.sample.inputs[place : place + 1]:
        found = type_of(x).dtype
        _require(found is dtype, f"samples must have the data type that is asked for, but input {place} is {found}")


def _check_values(case: Case) -> None:
    """The NumPy function: types, untouched inputs, equal bits again, any layout."""
    op, inputs = case.op, case.sample.inputs
    before = [x.copy() for x in inputs]
    outputs = case.run(inputs)
    for i, (x, copy) in enumerate(zip(inputs, before, strict=True)):
        _require(_same_bits(x, copy), f"the NumPy function changes input {i}")
    declared = infer(op, tuple(case.tensors), case.sample.attributes)
    types = declared if isinstance(declared, tuple) else (declared,)
    _require(len(types) == len(outputs), f"{len(types)} outputs are inferred, but there are {len(outputs)}")
    contiguous = case.run([np.ascontiguousarray(x).reshape(x.shape) for x in inputs])
    largest = max([1.0, *(float(np.abs(x).max(initial=0)) for x in before if x.dtype.kind == "f")])
    for type, out, again, plain in zip(types, outputs, case.run(inputs), contiguous, strict=True):
        fits = (out.dtype, out.shape) == (type.dtype.numpy, type.shape)
        _require(fits, f"{type} is inferred, but the NumPy function returns {out.dtype}{list(out.shape)}")
        _require(not np.isnan(readable(out)).any(), "the result holds NaN: draw samples from where it is defined")
        _require(_same_bits(out, again), "the NumPy function gives other bits the second time")
        exact = bfloat16 in main_types(op) or out.dtype.kind != "f"
        alike = _same_bits(out, plain) if exact else _close(out, plain, largest)
        _require(alike, f"the result depends on the inputs' memory layout: {out} instead of {plain}")


def _same_bits(x: Array, y: Array) -> bool:
    return x.dtype == y.dtype and x.shape == y.shape and x.tobytes() == y.tobytes()


def _close(x: Array, y: Array, largest: float) -> bool:
    """Equal up to rounding: 64 units in the last place of the largest number that goes in or comes out."""
    finite = np.isfinite(x) & np.isfinite(y)
    size = max(largest, float(np.abs(x[finite]).max(initial=0)))
    near = np.abs(x[finite] - y[finite]) <= 64 * np.finfo(x.dtype).eps * size
    return bool(near.all()) and np.array_equal(x[~finite], y[~finite])


def _check_graph(case: Case) -> None:
    """Traced and interpreted it does what it does eagerly."""
    eager = [y.value for y in case.apply(*case.tensors)]
    graph = trace(case.apply)(*case.tensors)
    graph.verify()
    _require(case.op.name in str(graph), f"the printed graph does not name it:\n{graph}")
    for value, interpreted in zip(eager, interpret(graph, case.sample.inputs), strict=True):
        assert value is not None
        _require(_same_bits(value, interpreted), f"eagerly it gives {value}, interpreted {interpreted}")


def _check_gradient_types(case: Case) -> None:
    """The gradient by an input has the input's type, for floats of every kind."""
    op, inputs = case.op, case.tensors
    if isinstance(op.vjp, tuple):
        _require(len(op.vjp) == len(inputs), f"{len(op.vjp)} rules for {len(inputs)} inputs")
    variables = [Tensor(x.type, x.value, requires_grad=x.dtype.is_float) for x in inputs]
    outputs = [y for y in case.apply(*variables) if y.requires_grad]
    cotangents = [Tensor(y.type, np.zeros(y.shape, y.dtype.numpy)) for y in outputs]
    for i, (x, ct) in enumerate(zip(variables, gradients(outputs, cotangents, variables), strict=True)):
        if ct is not None:
            _require(ct.type == x.type, f"the gradient by input {i} is {ct.type}, the input {x.type}")


def _check_dtypes(case: Case) -> None:
    """An input of any other data type is refused."""
    for i, x in enumerate(case.tensors):
        for dtype in DTYPES:
            if dtype not in case.op.takes[min(i, len(case.op.takes) - 1)]:
                wrong = Tensor(x.type.with_dtype(dtype), np.zeros(x.shape, dtype.numpy))
                inputs = [*case.tensors[:i], wrong, *case.tensors[i + 1 :]]
                _require(_refuses(case, inputs), f"it accepts {dtype} as input {i}")


def _refuses(case: Case, inputs: Sequence[Tensor]) -> bool:
    try:
        infer(case.op, tuple(inputs), case.sample.attributes)
    except DtypeError:
        return True
    return False


def _check_derivatives(case: Case, order: int, rtol: float) -> None:
    op, inputs = case.op, case.sample.inputs
    if op.vjp is NON_DIFFERENTIABLE:
        leaves = [Tensor(type_of(x), x, requires_grad=type_of(x).dtype.is_float) for x in inputs]
        _require(not any(y.requires_grad for y in case.apply(*leaves)), "it is NON_DIFFERENTIABLE, but is recorded")
        return
    check_gradients(case.apply, inputs, order=order, rtol=rtol)
