"""The state of a module or an optimizer: named arrays, taken as copies, given back all together or not at all."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

import numpy as np

from chainrule.errors import StateError
from chainrule.ops.cast import cast
from chainrule.tensor import Tensor, as_tensor
from chainrule.types import Array, bfloat16, float32

State: TypeAlias = dict[str, Array]


def take_state(tensors: Mapping[str, Tensor]) -> State:
    """A copy of every tensor's value; bfloat16 comes as float32."""
    return {name: np.array(x.numpy()) for name, x in tensors.items()}


def load_state(owner: str, tensors: Mapping[str, Tensor], state: Mapping[str, Any], *, strict: bool = True) -> None:
    """Assign the arrays of a state to tensors of the same names.

    Everything is looked at before anything is assigned. With `strict=False`, names that are missing or unexpected are
    passed over; what is there must fit all the same.

    Raises `StateError` listing every name that is missing, unexpected, or of another shape or data type.
    """
    arrays = {name: np.asarray(value) for name, value in state.items()}
    problems = [_misfit(name, tensors[name], value) for name, value in arrays.items() if name in tensors]
    if strict:
        problems += [f"missing     {name}: {x.type}" for name, x in tensors.items() if name not in arrays]
        problems += [
            f"unexpected  {name}: {x.dtype}{list(x.shape)}" for name, x in arrays.items() if name not in tensors
        ]
    problems = [line for line in problems if line]
    if problems:
        raise StateError("\n  ".join([f"the state does not fit {owner}; nothing was loaded", *problems]))
    for name, value in arrays.items():
        if name in tensors:
            tensors[name].assign(cast(as_tensor(np.array(value)), tensors[name].dtype))


def _misfit(name: str, x: Tensor, value: Array) -> str:
    """What is wrong with the value for a tensor, or an empty string."""
    expected = float32 if x.dtype is bfloat16 else x.dtype
    if value.shape != x.shape:
        return f"shape       {name}: {list(value.shape)} in the state, {list(x.shape)} here"
    if value.dtype.newbyteorder("=") != expected.numpy:
        return f"data type   {name}: {value.dtype} in the state, {expected} here"
    return ""
