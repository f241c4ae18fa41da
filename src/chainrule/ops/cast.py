"""Between data types; the identity, and the identity that stops gradients."""

from __future__ import annotations

import numpy as np

from chainrule.apply import apply
from chainrule.kernel import Map
from chainrule.op import NON_DIFFERENTIABLE, define, method
from chainrule.ops.rules import same_type
from chainrule.samples import Draw, Sample, from_bfloat16, to_bfloat16
from chainrule.tensor import Tensor, TensorLike, as_tensor
from chainrule.types import ANY, DTYPES, Array, DType, DTypeLike, bfloat16, dtype_of, float64


def _cast(x: Array, source: DType, dtype: DType) -> Array:
    values = from_bfloat16(x) if source is bfloat16 else x
    return to_bfloat16(values.astype(np.float32)) if dtype is bfloat16 else np.asarray(values).astype(dtype.numpy)


def _draw_cast(draw: Draw) -> Sample:
    x = draw.floats(draw.shape(), 0.2, 3.0)
    target = float64 if draw.dtype is float64 else draw.choice(DTYPES)
    return Sample((x,), {"source": draw.dtype, "dtype": target})


CAST = define(
    "cast",
    takes=(ANY,),
    infer=lambda x, source, dtype: x.with_dtype(dtype),
    numpy=_cast,
    vjp=(lambda ct, out, x, source, dtype: cast(ct, source),),
    kernel=Map(lambda v, x, source, dtype: v.cast(x, dtype)),
    samples=_draw_cast,
)


@method
def cast(x: TensorLike, dtype: DTypeLike) -> Tensor:
    """The values in another data type: floats are cut toward zero for integers; anything but 0 is true for bool.

    >>> cast([1.7, -1.7], "int32")
    tensor([ 1, -1], i32[2])
    """
    x, target = as_tensor(x), dtype_of(dtype)
    return x if x.dtype is target else apply(CAST, x, source=x.dtype, dtype=target)


IDENTITY = define(
    "identity",
    takes=(ANY,),
    infer=same_type,
    numpy=np.asarray,
    vjp=(lambda ct, out, x: ct,),
    kernel=Map(lambda v, x: x),
    samples=lambda draw: Sample((draw.floats(draw.shape()),)),
)


@method
def identity(x: TensorLike) -> Tensor:
    """The same value as a node of its own, so that it can be told apart from x.

    >>> x = as_tensor(1.0)
    >>> identity(x) is x
    False
    """
    return apply(IDENTITY, as_tensor(x))


STOP_GRADIENT = define(
    "stop_gradient",
    takes=(ANY,),
    infer=same_type,
    numpy=np.asarray,
    vjp=NON_DIFFERENTIABLE,
    kernel=Map(lambda v, x: x),
    samples=lambda draw: Sample((draw.floats(draw.shape()),)),
)


@method
def stop_gradient(x: TensorLike) -> Tensor:
    """The same value as a constant: no gradient flows through.

    >>> x = identity(2.0)
    >>> x.requires_grad = True
    >>> stop_gradient(x).requires_grad
    False
    """
    return apply(STOP_GRADIENT, as_tensor(x))
