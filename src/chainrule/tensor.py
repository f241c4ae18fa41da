"""A tensor is a node: the operation that made it, its inputs, its type and, where it has been computed, its value.

Eagerly, `apply` computes the value at once with the operation's NumPy rule, so that an error appears on the line that
caused it. While a function is traced, values are absent and only types flow. There is no other kind of node.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any, TypeAlias, cast

import numpy as np

from chainrule.errors import ChainruleError, DtypeError, GradientError, ShapeError, TraceError
from chainrule.op import FUNCTIONS, NON_DIFFERENTIABLE, Op
from chainrule.operators import Operators
from chainrule.samples import floats, from_bfloat16, to_bfloat16
from chainrule.sources import Source, user_line
from chainrule.state import current
from chainrule.types import ANY, Array, DType, DTypeLike, Shape, TensorType, bfloat16, dtype_of, float32, promote

_serials = itertools.count()

TensorLike: TypeAlias = "Tensor | Array | np.generic | float | list[Any] | tuple[Any, ...]"


class Tensor(Operators):
    """An n-dimensional array that knows how it was made.

    Make one with `tensor`. Values are never changed in place: an operation makes a new tensor, and `assign` gives a
    tensor (a parameter, say) a new value as a whole.

    >>> x = tensor([[1.0, 2.0], [3.0, 4.0]])
    >>> x @ x + 1
    tensor([[ 8., 11.],
            [16., 23.]], f32[2, 2])
    """

    __slots__ = (
        "__weakref__",
        "_grad",
        "attributes",
        "changed",
        "inputs",
        "name",
        "no_grad",
        "op",
        "requires_grad",
        "serial",
        "source",
        "tracing",
        "type",
        "value",
    )
    __array_ufunc__ = None  # NumPy arrays leave mixed expressions to our operators

    def __init__(
        self,
        type: TensorType,
        value: Array | None,
        *,
        op: Op | None = None,
        inputs: tuple[Tensor, ...] = (),
        attributes: dict[str, Any] | None = None,
        requires_grad: bool = False,
        source: Source | None = None,
        name: str | None = None,
    ) -> None:
        self.type = type
        self.value = value
        self.op = op
        self.inputs = inputs
        self.attributes = attributes or {}
        self.requires_grad = requires_grad
        self.source = source or user_line()
        self.name = name
        self.serial = next(_serials)  # inputs come before users, always
        self.changed = self.serial  # when it was last given a value, on the same scale
        self.tracing = current.tracing
        self.no_grad = not current.recording  # no gradient flows through this node
        self._grad: Tensor | None = None

    @property
    def shape(self) -> Shape:
        """Size of each axis."""
        return self.type.shape

    @property
    def dtype(self) -> DType:
        """Data type of the elements."""
        return self.type.dtype

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.type.shape)

    @property
    def size(self) -> int:
        """Number of elements."""
        return self.type.size

    @property
    def grad(self) -> Tensor | None:
        """What `backward` has accumulated here, for a tensor made with `requires_grad=True`."""
        tracing = current.tracing
        return (
            self._grad if tracing is None or tracing is self.tracing else tracing.grads.get(id(self), (self, None))[1]
        )

    @grad.setter
    def grad(self, value: Tensor | None) -> None:
        tracing = current.tracing
        if tracing is None or tracing is self.tracing:
            self._grad = value
        else:
            tracing.grads[id(self)] = (self, value)

    def numpy(self) -> Array:
        """The value as a NumPy array; bfloat16 comes as float32.

        Raises `TraceError` while a function is traced: only types are known then, and a value from outside would be
        frozen into the graph.
        """
        if self.value is None or (current.tracing is not None and self.tracing is not current.tracing):
            raise TraceError(
                f"the value of {'a traced tensor' if self.value is None else 'a tensor'} {self.type} was asked for "
                f"at {user_line()}\n"
                f"  made at {self.source}    {self.source.text}\n"
                "  while a function is traced, only types are known: use `where`, `scan` or an operation instead of "
                "`if`, `float()` or NumPy"
            )
        return shown(self.value, self.dtype)

    def item(self) -> Any:
        """The only element, as a Python number. Raises `ShapeError` if there is not exactly one."""
        if self.size != 1:
            raise ShapeError(f"item: a tensor of one element is needed, not {self.type}")
        return self.numpy().item()

    def tolist(self) -> Any:
        """Nested lists of Python numbers."""
        return self.numpy().tolist()

    def assign(self, value: TensorLike) -> None:
        """Give this tensor a new value of the same type; how it was computed is forgotten.

        Raises `GradientError` for the result of a recorded operation, `ShapeError` or `DtypeError` for another type.

        >>> w = tensor([1.0, 2.0], requires_grad=True)
        >>> w.assign(w - 0.5)
        >>> w
        tensor([0.5, 1.5], f32[2], requires_grad=True)
        """
        new = as_tensor(value)
        if _RANK[new.dtype.kind] <= _RANK[self.dtype.kind]:  # else a float would be cut to fit an integer tensor
            new = as_tensor(value, self.dtype)
        if self.op is not None:
            raise GradientError(
                "assign: only a tensor made by `tensor` can be assigned to, not the result of an operation"
            )
        if new.shape != self.shape:
            raise ShapeError(f"assign: a value of shape {list(new.shape)} does not fit {self.type}")
        if new.dtype is not self.dtype:
            raise DtypeError(f"assign: a value of type {new.dtype} does not fit {self.type}")
        if current.tracing is not None:
            current.tracing.assigned[id(self)] = (self, current.tracing.read(new))
        else:
            self.value = new.value
            self.changed = next(_serials)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        value = self.numpy()
        return np.array(value, dtype=dtype, copy=copy)

    def __float__(self) -> float:
        return float(self.item())

    def __int__(self) -> int:
        return int(self.item())

    def __index__(self) -> int:
        if self.dtype.kind != "int":
            raise DtypeError(f"a tensor of type {self.dtype} cannot be used as an index")
        return int(self.item())

    def __bool__(self) -> bool:
        if self.size != 1 and self.value is not None:
            raise ShapeError(f"the truth of {self.type} is ambiguous: use `all` or `any`")
        return bool(self.numpy())

    def __len__(self) -> int:
        if not self.shape:
            raise ShapeError("len: a tensor without axes has no length")
        return self.shape[0]

    def __iter__(self) -> Iterator[Tensor]:
        return (self[i] for i in range(len(self)))

    def __hash__(self) -> int:
        return id(self)  # a tensor is itself; `==` compares elements

    def __repr__(self) -> str:
        notes = f"{self.type}" + (", requires_grad=True" if self.requires_grad and self.op is None else "")
        if self.value is None:
            return f"tensor(traced at {self.source}, {notes})"
        text = np.array2string(shown(self.value, self.dtype), separator=", ", prefix="tensor(", threshold=100)
        return f"tensor({text}, {notes})"


def tensor(
    value: TensorLike, dtype: DTypeLike | None = None, *, requires_grad: bool = False, name: str | None = None
) -> Tensor:
    """A tensor with a copy of a value: a number, nested lists, a NumPy array or another tensor.

    Args:
        value: Python floats become float32, integers int64; an array keeps its data type (float16 becomes float32,
            small integers int32).
        dtype: the data type, if it should be another.
        requires_grad: whether `backward` fills its `.grad`; for floats only.
        name: how printed graphs and errors call it.

    Raises `DtypeError` for values that are no numbers, and `ShapeError` for ragged lists.

    >>> tensor([1, 2, 3])
    tensor([1, 2, 3], i64[3])
    >>> tensor([1, 2, 3], dtype="bfloat16")
    tensor([1., 2., 3.], bf16[3])
    """
    made = as_tensor(value, None if dtype is None else dtype_of(dtype))
    if dtype is not None and made.dtype is not dtype_of(dtype):
        made = FUNCTIONS["cast"](made, dtype)
    if requires_grad and not made.dtype.is_float:
        raise DtypeError(f"tensor: only floats can require a gradient, not {made.dtype}")
    value_ = None if made.value is None else np.array(made.value)
    if value_ is None:
        raise TraceError(f"tensor: a traced value cannot become a new leaf, at {user_line()}")
    return Tensor(made.type, value_, requires_grad=requires_grad, name=name)


def shown(value: Array, dtype: DType) -> Array:
    """An array as people see it: bfloat16 as float32, all else as it is."""
    return from_bfloat16(value) if dtype is bfloat16 else value


def as_tensor(value: TensorLike, weak: DType | None = None) -> Tensor:
    """The value itself if it is a tensor, else a constant that shares its memory; Python numbers become `weak`.

    Raises `DtypeError` for what is no number, or a Python integer that does not fit, `ShapeError` for ragged lists.
    """
    if isinstance(value, Tensor):
        return value
    try:
        array = np.asarray(value)
    except ValueError as error:
        raise ShapeError(f"a tensor cannot be made from ragged lists: {error}") from None
    if is_weak(value) or (array.dtype == np.float64 and isinstance(value, (list, tuple))):
        natural = weak if weak is not None else (float32 if array.dtype.kind == "f" else dtype_of(array.dtype))
    else:
        natural = _natural(array.dtype)
    if natural is bfloat16:
        array = to_bfloat16(array.astype(np.float32))
    if type(value) is int and natural.kind == "int":
        limits = np.iinfo(natural.numpy)
        if not limits.min <= value <= limits.max:
            raise DtypeError(f"{value} does not fit {natural}")
    return Tensor(TensorType(natural, array.shape), array.astype(natural.numpy, copy=False))


def _natural(dtype: np.dtype[Any]) -> DType:
    """The data type that holds an array's values without loss."""
    wider = {"float16": "float32", "int8": "int32", "int16": "int32", "uint16": "int32", "uint32": "int64"}
    return dtype_of(wider.get(dtype.name, dtype))


def operands(*values: TensorLike, dtype: DType | None = None) -> tuple[Tensor, ...]:
    """Tensors of one data type: that in which the values' types meet. Shapes are left as they are."""
    strong = [x if isinstance(x, Tensor) else as_tensor(x) for x in values if not is_weak(x)]
    weak = [x for x in values if is_weak(x)]
    if dtype is None:
        kinds = [x.dtype for x in strong] or [as_tensor(x).dtype for x in weak]
        dtype = kinds[0] if len(set(kinds)) == 1 and kinds[0] is not bfloat16 else promote(kinds)
        weak_kinds = [as_tensor(x).dtype for x in weak] if strong else []
        if any(_RANK[w.kind] > _RANK[dtype.kind] for w in weak_kinds):
            dtype = promote([dtype, *weak_kinds])
    in_order = iter(strong)
    found = [as_tensor(x, dtype) if is_weak(x) else next(in_order) for x in values]
    return tuple(x if x.dtype is dtype else FUNCTIONS["cast"](x, dtype) for x in found)


_RANK = {"bool": 0, "int": 1, "float": 2}


def is_weak(value: object) -> bool:
    """Whether a value is a Python number, which takes the type of the tensor it meets."""
    return isinstance(value, (bool, int, float)) and not isinstance(value, np.generic)


def apply(op: Op, *inputs: Tensor, **attributes: Any) -> Tensor:
    """Make the node of an operation, and compute its value unless a function is being traced.

    Raises what the operation's type rule raises, with the types of the inputs and the lines that they come from.
    """
    if current.tracing is not None:
        inputs = tuple(current.tracing.read(x) for x in inputs)
    types = infer(op, inputs, attributes)
    several = isinstance(types, tuple)
    value: Any = None
    if current.tracing is None:
        values = [x.numpy() if x.value is None else x.value for x in inputs]  # `numpy` says why there is no value
        with np.errstate(all="ignore"):
            value = op.numpy(*values, **attributes)
    wanted = current.recording and op.vjp is not NON_DIFFERENTIABLE
    wanted = wanted and any(x.requires_grad for x in inputs) and (several or types.dtype.is_float)
    keep = wanted or current.tracing is not None
    node = Bundle if several else Tensor
    return node(
        types,  # pyright: ignore[reportArgumentType]
        value if several or value is None else np.asarray(value),
        op=op if keep else None,
        inputs=inputs if keep else (),
        attributes=attributes if keep else None,
        requires_grad=wanted,
        source=current.source,
    )


class Bundle(Tensor):
    """The node of an operation with several outputs: a tuple of types and of values, read through `PICK`."""

    __slots__ = ()

    @property
    def types(self) -> tuple[TensorType, ...]:
        """The type of each output."""
        return self.type  # pyright: ignore[reportReturnType]


def _pick_type(types: Any, index: int) -> TensorType:
    return types[index]


def _pick(values: Any, index: int) -> Array:
    return values[index]


PICK = Op(  # structure rather than operation, hence in no registry: one output of a node that has several
    "pick",
    takes=(ANY,),
    infer=_pick_type,
    numpy=_pick,
    vjp=(lambda ct, out, bundle, index: ct,),
    samples=floats(),
)


def snapshot(x: Tensor) -> Tensor:
    """A tensor with the value that `x` has now, whatever is assigned to `x` later; parameters as they are."""
    return x if x.requires_grad or x.value is None else Tensor(x.type, x.value, source=x.source, name=x.name)


def outputs_of(node: Tensor) -> list[Tensor]:
    """The outputs of a node that has several."""
    return [apply(PICK, node, index=i) for i in range(len(cast(Bundle, node).types))]


def apply_several(op: Op, *inputs: Tensor, **attributes: Any) -> list[Tensor]:
    """Make the node of an operation with several outputs, and return these."""
    return outputs_of(apply(op, *inputs, **attributes))


def infer(op: Op, inputs: tuple[Tensor, ...], attributes: dict[str, Any]) -> TensorType | tuple[TensorType, ...]:
    """The type of an operation's output. Errors say what the inputs are and where they come from."""
    for position, x in enumerate(inputs):
        allowed = op.takes[min(position, len(op.takes) - 1)]
        if not isinstance(x, Bundle) and x.dtype not in allowed:
            names = ", ".join(t.name for t in sorted(allowed, key=lambda t: t.name))
            raise DtypeError(_explain(f"{op.name}: input {position + 1} is {x.dtype}; it takes {names}", inputs))
    try:
        return op.infer(*(x.type for x in inputs), **attributes)
    except ChainruleError as error:
        raise type(error)(_explain(f"{op.name}: {error}", inputs)) from None


def _explain(message: str, inputs: tuple[Tensor, ...]) -> str:
    labels = ("left", "right") if len(inputs) == 2 else tuple(f"input {i + 1}" for i in range(len(inputs)))
    rows = [
        (label, str(x.type), f"from {x.name + ', ' if x.name else ''}{x.source}")
        for label, x in zip(labels, inputs, strict=True)
    ]
    line = current.source or user_line()
    rows.append(("in", str(line), line.text))
    wide = [max(len(row[i]) for row in rows) for i in (0, 1)]
    return "\n".join([message, *(f"  {a:{wide[0]}}  {b:{wide[1]}}  {c}".rstrip() for a, b, c in rows)])
