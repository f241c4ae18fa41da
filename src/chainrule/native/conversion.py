"""From one data type to another, by NumPy's rules, and numbers as LLVM writes them."""

from __future__ import annotations

import math
import struct
from typing import TYPE_CHECKING

import numpy as np

from chainrule.native.code import Number, Value
from chainrule.types import DType, bfloat16, bool_, float32, float64, int64, uint8

if TYPE_CHECKING:
    from chainrule.native.lanes import Lanes


def cast(v: Lanes, x: Value, dtype: DType) -> Value:
    """The same number as another data type, by NumPy's rules; floats are cut towards zero to be integers."""
    source = x.dtype
    if source is dtype:
        return x
    if source is bfloat16:
        return cast(v, _from_bfloat16(v, x), dtype)
    if dtype is bfloat16:
        return _to_bfloat16(v, cast(v, x, float32))
    if dtype is bool_:
        return v.not_equal(x, 0)
    if source.is_float and dtype.is_float:
        return _convert(v, "fptrunc" if source is float64 else "fpext", x, dtype)
    if dtype.is_float:
        return _convert(v, "uitofp" if source in (bool_, uint8) else "sitofp", x, dtype)
    if source.is_float:
        return _to_integer(v, x, dtype)
    if source in (bool_, uint8):
        return _convert(v, "zext", x, dtype)
    return _convert(v, "sext" if dtype.itemsize > source.itemsize else "trunc", x, dtype)


def _convert(v: Lanes, operation: str, x: Value, dtype: DType) -> Value:
    return v.new(dtype, f"{operation} {x} to {v.type(dtype)}")


def _to_integer(v: Lanes, x: Value, dtype: DType) -> Value:
    """What does not fit becomes the smallest integer, as on x86; small integers are cut from larger ones."""
    if dtype is uint8:
        return _convert(v, "trunc", _to_integer(v, x, int64), dtype)
    limit = 2.0 ** (8 * dtype.itemsize - 1)
    fits = v.logical_and(v.less(x, limit), v.greater_equal(x, -limit))
    safe = _convert(v, "fptosi", v.select(fits, x, 0.0), dtype)
    return v.select(fits, safe, -int(limit))


def _from_bfloat16(v: Lanes, x: Value) -> Value:
    wide = v.wide("i32")
    bits = v.f.new(wide, f"shl {v.f.new(wide, f'zext {x} to {wide}')}, {_splat(v, 'i32', 16)}")
    return v.new(float32, f"bitcast {bits} to {v.type(float32)}")


def _to_bfloat16(v: Lanes, x: Value) -> Value:
    """Rounded to the nearest, of two to the even one; NaN stays NaN."""
    f, wide = v.f, v.wide("i32")
    bits = f.new(wide, f"bitcast {x} to {wide}")
    sixteen = _splat(v, "i32", 16)
    odd = f.new(wide, f"and {f.new(wide, f'lshr {bits}, {sixteen}')}, {_splat(v, 'i32', 1)}")
    half = f.new(wide, f"add {odd}, {_splat(v, 'i32', 0x7FFF)}")
    rounded = f.new(wide, f"add {bits}, {half.name}")
    quiet = f.new(wide, f"or {bits}, {_splat(v, 'i32', 0x400000)}")
    chosen = f.new(wide, f"select {v.is_nan(x)}, {quiet}, {rounded}")
    upper = f.new(wide, f"lshr {chosen}, {sixteen}")
    return v.new(bfloat16, f"trunc {upper} to {v.type(bfloat16)}")


def _splat(v: Lanes, type: str, number: int) -> str:
    return str(number) if v.count == 1 else f"splat ({type} {number})"


def literal(dtype: DType, number: Number) -> str:
    """A number as LLVM writes it: floats by the bits of the double that is equal."""
    if dtype is bool_:
        return "true" if number else "false"
    if not dtype.is_float:
        return str(int(number))
    if dtype is bfloat16:
        bits = struct.unpack("<I", struct.pack("<f", number))[0]
        return str((bits if math.isnan(number) else bits + 0x7FFF + (bits >> 16 & 1)) >> 16)  # to nearest even
    exact = float(np.float32(number)) if dtype is float32 else float(number)
    if math.isnan(exact):
        return "0x7FF8000000000000"
    return f"0x{struct.unpack('<Q', struct.pack('<d', exact))[0]:016X}"
