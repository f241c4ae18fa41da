"""What is known of a tensor before it has a value: data type and shape.

The data types are few and their rules are one page. Tensors of one kind promote as in NumPy (float32 with float64 gives
float64, uint8 with int32 gives int32); of two kinds, the higher one (bool < int < float) keeps its own type, so that a
float32 network stays float32 when an int64 label or a bool mask enters; a Python number, or a NumPy float64 number,
takes the type of the tensor it meets. bfloat16 is a storage type: layout and indexing keep it, arithmetic converts it
to float32.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from chainrule.errors import DtypeError, ShapeError

Shape: TypeAlias = tuple[int, ...]
Array: TypeAlias = np.ndarray[Any, np.dtype[Any]]


@dataclass(frozen=True, eq=False, slots=True)
class DType:
    """A data type: its name, the kind that promotion looks at, and the NumPy type that holds its bits.

    There is one object for each, so that they are compared by identity.

    >>> float32.short, float32.numpy, float32.itemsize
    ('f32', dtype('float32'), 4)
    """

    name: str
    short: str
    kind: str  # 'bool', 'int' or 'float'
    numpy: np.dtype[Any]

    @property
    def itemsize(self) -> int:
        """Bytes of one element."""
        return self.numpy.itemsize

    @property
    def is_float(self) -> bool:
        """Whether it can carry a derivative."""
        return self.kind == "float"

    def __reduce__(self) -> tuple[Any, ...]:
        return dtype_of, (self.name,)

    def __repr__(self) -> str:
        return self.name


bool_ = DType("bool", "bool", "bool", np.dtype(np.bool_))
uint8 = DType("uint8", "u8", "int", np.dtype(np.uint8))
int32 = DType("int32", "i32", "int", np.dtype(np.int32))
int64 = DType("int64", "i64", "int", np.dtype(np.int64))
bfloat16 = DType("bfloat16", "bf16", "float", np.dtype(np.uint16))  # the upper half of a float32, as bits
float32 = DType("float32", "f32", "float", np.dtype(np.float32))
float64 = DType("float64", "f64", "float", np.dtype(np.float64))

DTYPES = (bool_, uint8, int32, int64, bfloat16, float32, float64)  # in order of promotion
BOOL = frozenset({bool_})
INTEGERS = frozenset({uint8, int32, int64})
INDICES = frozenset({int32, int64})
FLOATS = frozenset({float32, float64})
NUMBERS = INTEGERS | FLOATS
COUNTABLE = BOOL | NUMBERS  # all that NumPy computes with
ANY = frozenset(DTYPES)

_BY_NAME = {t.name: t for t in DTYPES} | {t.short: t for t in DTYPES} | {"float": float32, "int": int64}
_BY_NUMPY = {t.numpy: t for t in DTYPES if t is not bfloat16}
_KINDS = ("bool", "int", "float")

DTypeLike: TypeAlias = "DType | str | type | np.dtype[Any]"


def dtype_of(value: DTypeLike) -> DType:
    """The data type that a name, a NumPy type or a Python type stands for.

    Raises `DtypeError` for a type that the library does not have.

    >>> dtype_of("float32"), dtype_of(np.int64), dtype_of(bool), dtype_of(float)
    (float32, int64, bool, float32)
    """
    if isinstance(value, DType):
        return value
    if value is float:
        return float32  # the default float of the library, as in every library for neural networks
    found = _BY_NAME.get(value) if isinstance(value, str) else None
    if found is None:
        try:
            found = _BY_NUMPY.get(np.dtype(value).newbyteorder("="))
        except TypeError:
            found = None
    if found is None:
        names = ", ".join(t.name for t in DTYPES)
        raise DtypeError(f"{value!r} is no data type of this library; it has {names}")
    return found


def promote(dtypes: Iterable[DType]) -> DType:
    """The type in which values of several types meet.

    >>> promote([float32, float64]), promote([float32, int64]), promote([uint8, bool_]), promote([bfloat16, int32])
    (float64, float32, uint8, float32)
    """
    present = set(dtypes)
    kind = max(present, key=lambda t: _KINDS.index(t.kind)).kind
    widest = max((t for t in present if t.kind == kind), key=DTYPES.index)
    return float32 if widest is bfloat16 else widest


@dataclass(frozen=True, slots=True)
class TensorType:
    """Data type and shape.

    >>> print(TensorType(float32, (32, 784)))
    f32[32, 784]
    """

    dtype: DType
    shape: Shape

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """Number of elements."""
        return size_of(self.shape)

    def with_shape(self, shape: Iterable[int]) -> TensorType:
        """The same data type with another shape."""
        return TensorType(self.dtype, tuple(shape))

    def with_dtype(self, dtype: DType) -> TensorType:
        """The same shape with another data type."""
        return TensorType(dtype, self.shape)

    def __str__(self) -> str:
        return f"{self.dtype.short}{list(self.shape)}"


def size_of(shape: Iterable[int]) -> int:
    """Number of elements of a shape."""
    size = 1
    for n in shape:
        size *= n
    return size


def broadcast_shapes(*shapes: Shape) -> Shape:
    """The shape to which several shapes broadcast, by NumPy's rule.

    Raises `ShapeError` if they do not fit.

    >>> broadcast_shapes((3, 1), (4,), ())
    (3, 4)
    """
    ndim = max(map(len, shapes), default=0)
    result = [1] * ndim
    for shape in shapes:
        for axis, n in enumerate(shape, start=ndim - len(shape)):
            if n != 1 and result[axis] not in (1, n):
                raise ShapeError("shapes do not broadcast: " + " and ".join(str(list(s)) for s in shapes))
            if n != 1:
                result[axis] = n
    return tuple(result)


def normalize_axis(axis: int, ndim: int) -> int:
    """An axis counted from the front. Raises `ShapeError` if there is no such axis.

    >>> normalize_axis(-1, 3)
    2
    """
    if not -ndim <= axis < ndim:
        raise ShapeError(f"axis {axis} is outside a tensor of {ndim} axes")
    return axis + ndim if axis < 0 else axis


def normalize_axes(axes: int | Sequence[int] | None, ndim: int) -> tuple[int, ...]:
    """Sorted axes counted from the front; None stands for all. Raises `ShapeError` for a missing or doubled axis.

    >>> normalize_axes((-1, 0), 3), normalize_axes(None, 2)
    ((0, 2), (0, 1))
    """
    if axes is None:
        return tuple(range(ndim))
    listed = [int(axes)] if isinstance(axes, (int, np.integer)) else [int(a) for a in axes]
    found = sorted(normalize_axis(a, ndim) for a in listed)
    if len(set(found)) != len(found):
        raise ShapeError(f"axes {tuple(listed)} name one axis twice")
    return tuple(found)
