"""Quotients rounded down and what is left of them, as NumPy computes them: the quotient is the exact one."""

from __future__ import annotations

import math

from chainrule.native.code import Function, Value
from chainrule.native.lanes import Lanes
from chainrule.types import float32, float64, int32, int64, uint8

_CHUNK = 11
"""Bits by which a remainder of 53 bits can be shifted in 64."""


def floor_divide(v: Lanes, x: Value, y: Value) -> Value:
    """The largest whole number not above x / y; for integers, 0 where y is 0."""
    if not x.dtype.is_float:
        return v.select(v.equal(y, 0), 0, _floor_divide_integers(v, x, y))
    remaining, turned = _remainder(v, x, y)
    quotient = (x - remaining) / y
    quotient = v.select(turned, quotient - 1.0, quotient)
    whole = v.floor(quotient)
    whole = v.select(v.greater(quotient - whole, 0.5), whole + 1.0, whole)
    ratio = x / y
    whole = v.select(v.equal(quotient, 0.0), v.copysign(quotient, ratio), whole)
    return v.select(v.equal(y, 0.0), ratio, whole)


def remainder(v: Lanes, x: Value, y: Value) -> Value:
    """x - y * floor_divide(x, y), with the sign of y; for integers, 0 where y is 0."""
    if not x.dtype.is_float:
        return v.select(v.equal(y, 0), 0, x - y * _floor_divide_integers(v, x, y))
    remaining, turned = _remainder(v, x, y)
    whole = v.equal(remaining, 0.0)
    return v.select(turned, remaining + y, v.select(whole, v.copysign(remaining, y), remaining))


def _floor_divide_integers(v: Lanes, x: Value, y: Value) -> Value:
    """Without meaning where y is 0. Floats that are wide enough never round a quotient up to a whole number."""
    if x.dtype is not int64:
        real = float32 if x.dtype is uint8 else float64
        return v.cast(v.cast(v.floor(v.cast(x, real) / v.cast(y, real)), int32), x.dtype)
    least = -(2**63)
    traps = v.logical_or(v.equal(y, 0), v.logical_and(v.equal(x, least), v.equal(y, -1)))
    y = v.select(traps, 1, y)
    quotient = v.divide(x, y)
    remaining = x - quotient * y
    below = v.logical_and(v.not_equal(remaining, 0), v.less(v.logical_xor(remaining, y), 0))
    return v.select(below, quotient - 1, quotient)


def _remainder(v: Lanes, x: Value, y: Value) -> tuple[Value, Value]:
    """The remainder with the sign of x, and where this is not the sign of y."""
    found = _fmod(v, x, y)
    turned = v.logical_xor(v.less(found, 0.0), v.less(y, 0.0))
    return found, v.logical_and(turned, v.not_equal(found, 0.0))


def _fmod(v: Lanes, x: Value, y: Value) -> Value:
    """x - y * trunc(x / y), which is a float: lane by lane in float64, in which float32 has its exact remainders."""
    type, name = v.type(float64), f"fmod{v.count}"
    v.f.module.helper(name, type, [f"{type} %x", f"{type} %y"], lambda f: _fmod_lanes(f, v.count))
    return v.cast(v.call(name, v.cast(x, float64), v.cast(y, float64)), x.dtype)


def _fmod_lanes(f: Function, count: int) -> Value:
    v, one = Lanes(f, count), Lanes(f, 1)
    x, y = v.value(float64, "%x"), v.value(float64, "%y")
    if count == 1:
        return _fmod_one(one, x, y)
    xs, ys = f.stack(8 * count), f.stack(8 * count)
    v.store(x, xs)
    v.store(y, ys)
    with f.loop(0, count) as loop:
        found = _fmod_one(one, one.load(float64, xs, loop.index), one.load(float64, ys, loop.index))
        one.store(found, xs, loop.index)
    return v.load(float64, xs)


def _fmod_one(v: Lanes, x: Value, y: Value) -> Value:
    """Long division of the digits of |x| and |y|, some bits at a time."""
    f = v.f
    large, small = v.abs(x), v.abs(y)
    (digits, exponent), (divisor, least) = _taken_apart(v, large), _taken_apart(v, small)
    divisor = v.maximum(divisor, 1)
    shift = v.maximum(exponent - least, 0)
    with f.loop(0, shift, _CHUNK, carried=[_unsigned_rest(v, digits, divisor)]) as loop:
        bits = v.minimum(v.subtract(shift, v.index(loop.index)), _CHUNK)
        loop.next = [_unsigned_rest(v, v.shift_left(loop.values[0], bits), divisor)]
    rest = v.cast(loop.results[0], float64) * (small / v.cast(divisor, float64))
    rest = v.copysign(v.select(v.less(large, small), large, rest), x)
    exists = v.logical_and(v.less(large, math.inf), v.not_equal(y, 0.0))
    exists = v.logical_and(exists, v.equal(y, y))
    return v.select(exists, rest, math.nan)


def _taken_apart(v: Lanes, x: Value) -> tuple[Value, Value]:
    """A number that is not negative as a whole number of 53 bits and the exponent that goes with it."""
    bits = v.bitcast(x, int64)
    exponent = v.shift_right(bits, 52)
    digits = v.logical_and(bits, (1 << 52) - 1)
    normal = v.greater(exponent, 0)
    return v.select(normal, v.logical_or(digits, 1 << 52), digits), v.maximum(exponent, 1)


def _unsigned_rest(v: Lanes, x: Value, y: Value) -> Value:
    return v.value(int64, v.f.new("i64", f"urem {x}, {y.name}").name)
