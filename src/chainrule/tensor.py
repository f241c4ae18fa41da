"""A tensor is a node: the operation that made it, its inputs, its type and, where it has been computed, its value.

Eagerly, `apply` computes the value at once with the operation's NumPy rule, so that an error appears on the line that
caused it. While a function is traced, values are absent and only types flow. There is no other kind of node.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import Any, TypeAlias, TypeGuard, cast

import numpy as np

from chainrule.errors import DtypeError, GradientError, ShapeError, TraceError
from chainrule.op import FUNCTIONS, Op
from chainrule.operators import Operators
from chainrule.samples import from_bfloat16, to_bfloat16
from chainrule.sources import Source, user_line
from chainrule.state import assignments, current
from chainrule.types import (
    Array,
    DType,
    DTypeLike,
    Shape,
    TensorType,
    bfloat16,
    bool_,
    dtype_of,
    float32,
    float64,
    int64,
    promote,
)

next_serial = itertools.count().__next__

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
        self.serial = next_serial()  # inputs come before users, always
        self.changed: Any = self.serial  # when it was last given a value, on the same scale
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
        return self._grad if tracing is None else tracing.gradient(self, self._grad)

    @grad.setter
    def grad(self, value: Tensor | None) -> None:
        tracing = current.tracing
        if tracing is None or tracing is self.tracing:
            self._grad = value
        else:
            tracing.set_gradient(self, value)

    def known(self) -> Array:
        """The value as it is held. Raises `TraceError` where it is not known, or may be another when a graph runs."""
        if self.value is not None and current.tracing in (None, self.tracing):
            return self.value
        hint = (
            "that was while a function was traced, when only types were known: return it from there to have its value"
            if current.tracing is None
            else "while a function is traced, only types are known: use `where`, `scan` or an operation instead of "
            "`if`, `float()` or NumPy"
        )
        raise TraceError(
            f"the value of {'a traced tensor' if self.value is None else 'a tensor'} {self.type} was asked for "
            f"at {user_line()}\n"
            f"  made at {self.source}    {self.source.text}\n"
            f"  {hint}"
        )

    def numpy(self) -> Array:
        """The value as a NumPy array; bfloat16 comes as float32.

        Raises `TraceError` while a function is traced: only types are known then, and a value from outside would be
        frozen into the graph.
        """
        found = shown(self.known(), self.dtype)
        return found if type(self.changed) is int else np.array(found)  # compiled functions change it in place

    def item(self) -> Any:
        """The only element, as a Python number. Raises `ShapeError` if there is not exactly one."""
        if self.size != 1:
            raise ShapeError(f"item: a tensor of one element is needed, not {self.type}")
        return self.numpy().item()

    def tolist(self) -> Any:
        """Nested lists of Python numbers."""
        return self.numpy().tolist()

    def assign(self, value: TensorLike) -> None:
        """Give this tensor a new value of the same type, arrays as copies; how it was computed is forgotten.

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
            current.tracing.assign(self, new)
        else:
            known = new.known()  # of a tensor's array it is known that it stays as it is, unless it is read-only
            self.value = known if isinstance(value, Tensor) and known.flags.writeable else np.array(known)
            self.changed = next_serial()
            assignments.count += 1

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        value = self.numpy()
        return np.array(value, dtype=dtype, copy=copy)

    def __array_function__(self, function: Any, types: Any, args: Any, kwargs: Any) -> Any:
        return function(*_as_arrays(args, function), **{k: _as_arrays(v, function) for k, v in kwargs.items()})

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

    def __format__(self, spec: str) -> str:
        return format(self.item(), spec) if spec else str(self)

    def __reduce__(self) -> tuple[Any, ...]:
        if self.op is not None:
            raise GradientError(
                "only tensors made by `tensor` can be copied or pickled, no result of an operation; detach() it first"
            )
        return _restore, (self.type, self.known(), self.requires_grad, self.source, self.name, self.grad)

    def __repr__(self) -> str:
        notes = f"{self.type}" + (", requires_grad=True" if self.requires_grad and self.op is None else "")
        if self.value is None:
            return f"tensor(traced at {self.source}, {notes})"
        text = np.array2string(shown(self.value, self.dtype), separator=", ", prefix="tensor(", threshold=100)
        return f"tensor({text}, {notes})"


def _restore(
    type: TensorType, value: Array, requires_grad: bool, source: Source, name: str | None, grad: Tensor | None
) -> Tensor:
    """A tensor from its copied or pickled parts: with a serial number of its own, higher than all before it."""
    made = Tensor(type, value, requires_grad=requires_grad, source=source, name=name)
    made.grad = grad
    return made


def _as_arrays(value: Any, function: Any) -> Any:
    """An argument of a NumPy function with arrays in the place of tensors, unless that would lose a gradient."""
    if isinstance(value, (list, tuple)):
        parts = [_as_arrays(part, function) for part in cast("Sequence[Any]", value)]
        return tuple(parts) if isinstance(value, tuple) else parts
    if isinstance(value, Tensor) and value.requires_grad and current.recording:
        name = function.__name__
        raise GradientError(
            f"numpy.{name} would lose the gradient of {value.type}: use the operation of this library, "
            f"or numpy.{name}(x.detach()) if no gradient is wanted"
        )
    return value.numpy() if isinstance(value, Tensor) else value


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
    made = value if isinstance(value, Tensor) else _constant(value, None if dtype is None else dtype_of(dtype))
    if dtype is not None and made.dtype is not dtype_of(dtype):
        made = FUNCTIONS["cast"](made, dtype)
    if requires_grad and not made.dtype.is_float:
        raise DtypeError(f"tensor: only floats can require a gradient, not {made.dtype}")
    if made.value is None or current.tracing not in (None, made.tracing):
        raise TraceError(f"tensor: a traced value cannot become a new leaf, at {user_line()}")
    return Tensor(made.type, np.array(made.value), requires_grad=requires_grad, name=name)


def shown(value: Array, dtype: DType) -> Array:
    """An array as people see it: bfloat16 as float32, all else as it is."""
    return from_bfloat16(value) if dtype is bfloat16 else value


def as_tensor(value: TensorLike, weak: DType | None = None) -> Tensor:
    """The value itself if it is a tensor, else a constant that shares its memory; Python numbers become `weak`.

    Raises `DtypeError` for what is no number, or a Python integer that does not fit, `ShapeError` for ragged lists,
    `GradientError` for a list of tensors of which a gradient would get lost.
    """
    if isinstance(value, Tensor):
        return value
    if isinstance(value, (list, tuple)) and current.recording and _holds_variables(value):
        raise GradientError(
            "no gradient flows through a list of tensors: join them with `stack`, or detach() each if none is wanted"
        )
    return _constant(value, weak)


def _holds_variables(value: object) -> bool:
    if isinstance(value, (list, tuple)):
        return any(map(_holds_variables, cast("Sequence[object]", value)))
    return isinstance(value, Tensor) and value.requires_grad


def _constant(value: Any, weak: DType | None) -> Tensor:
    """A constant that shares the memory of a value."""
    if is_weak(value):
        return _number(value, weak or _weak_type(value))
    try:
        array = np.asarray(value)
    except ValueError as error:
        raise ShapeError(f"a tensor cannot be made from ragged lists: {error}") from None
    if array.dtype.kind in "OSU":
        raise DtypeError(f"a tensor is made of numbers, not of {value!r:.60}")
    natural = _natural(array.dtype)
    if isinstance(value, (list, tuple)) and natural is float64:
        natural = weak or float32  # of Python floats
    held = to_bfloat16(array.astype(np.float32)) if natural is bfloat16 else array.astype(natural.numpy, copy=False)
    return Tensor(TensorType(natural, array.shape), held)


def _number(value: float, dtype: DType) -> Tensor:
    """A Python number as a tensor without axes."""
    if dtype.kind == "int" and isinstance(value, int):
        limits = np.iinfo(dtype.numpy)
        if not limits.min <= value <= limits.max:
            raise DtypeError(f"{value} does not fit {dtype}")
    held = to_bfloat16(np.array(value, np.float32)) if dtype is bfloat16 else np.array(value, dtype.numpy)
    return Tensor(TensorType(dtype, ()), held)


def _weak_type(value: float) -> DType:
    """The data type of a Python number that meets no tensor."""
    return bool_ if isinstance(value, bool) else int64 if isinstance(value, int) else float32


def _natural(dtype: np.dtype[Any]) -> DType:
    """The data type that holds an array's values without loss."""
    wider = {"float16": "float32", "int8": "int32", "int16": "int32", "uint16": "int32", "uint32": "int64"}
    return dtype_of(wider.get(dtype.name, dtype))


def operands(*values: TensorLike, dtype: DType | None = None) -> tuple[Tensor, ...]:
    """Tensors of one data type: that in which the values' types meet. Shapes are left as they are."""
    beside = any([isinstance(x, (Tensor, np.ndarray)) for x in values])
    strong = [x if isinstance(x, Tensor) else None if is_weak(x, beside) else as_tensor(x) for x in values]
    if dtype is None:
        types = [x.type.dtype for x in strong if x is not None]
        weak = [_weak_type(x) for x in values if is_weak(x, beside)] if len(types) < len(values) else []
        dtype = _meeting_type(types, weak)
    found = [_number(cast("float", v), dtype) if x is None else x for v, x in zip(values, strong, strict=True)]
    return tuple([x if x.type.dtype is dtype else FUNCTIONS["cast"](x, dtype) for x in found])


def _meeting_type(strong: list[DType], weak: list[DType]) -> DType:
    """The type of the strong ones, lifted only where a Python number is of a higher kind."""
    if not strong:
        return promote(weak)
    first = strong[0]
    dtype = first if first is not bfloat16 and all([t is first for t in strong]) else promote(strong)
    return promote([dtype, *weak]) if any([_RANK[t.kind] > _RANK[dtype.kind] for t in weak]) else dtype


_RANK = {"bool": 0, "int": 1, "float": 2}


def is_weak(value: object, beside: bool = False) -> TypeGuard[float]:
    """Whether a value is a Python number, which takes the type of the tensor it meets.

    Beside a tensor this holds for NumPy's float64 numbers, too, which are Python floats: x / np.sqrt(3) is as x / 3.0.
    """
    return isinstance(value, (int, float)) and (beside or not isinstance(value, np.generic))


def snapshot(x: Tensor) -> Tensor:
    """A tensor with the value that `x` has now, whatever is assigned to `x` later; parameters as they are."""
    if current.tracing is not None:
        return current.tracing.read(x)
    return x if x.requires_grad or x.value is None else Tensor(x.type, x.value, source=x.source, name=x.name)
