"""Reducing an angle to what is left of it after whole quarter turns: x = n pi / 2 + r with |r| <= pi / 4.

The float next to a multiple of pi / 2 may be as near as 2^-60 to it. To get r right all the same, angles of moderate
size are reduced with pi / 2 in parts (Cody and Waite). Beyond, where a network hardly ever gets, lanes are reduced one
after the other with as many bits of 2 / pi as it takes.

M. Payne and R. Hanek, "Radian reduction for trigonometric functions", SIGNUM Newsletter 18 (1983).
"""

from __future__ import annotations

import math
from itertools import pairwise

from chainrule.native.code import Function, Value
from chainrule.native.lanes import Lanes
from chainrule.native.vecmath.parts import Pair, any_lane, muladd, nearest
from chainrule.types import float32, float64, int32, int64

# pi / 2 in parts. All but the last have few enough bits for their products with n to be exact below the limit.
_PARTS = {
    float32: (1.5707963267341256, 6.077100506506192e-11),
    float64: (1.5707963267923333, 2.5633441515839558e-12, 1.0562999066987428e-23),
}
_LIMIT = {float32: 2.0**20, float64: 2.0**15}

# The bits of 2 / pi behind the point, after 64 zeros.
_TWO_OVER_PI = (
    0x0000000000000000, 0xA2F9836E4E441529, 0xFC2757D1F534DDC0, 0xDB6295993C439041, 0xFE5163ABDEBBC561,
    0xB7246E3A424DD2E0, 0x06492EEA09D1921C, 0xFE1DEB1CB129A73E, 0xE88235F52EBB4484, 0xE99C7026B45F7E41,
    0x3991D639835339F4, 0x9C845F8BBDF9283B, 0x1FF897FFDE05980F, 0xEF2F118B5A0A6D1F, 0x6D367ECF27CB09B7,
    0x4F463F669E5FEA2D, 0x7527BAC7EBE5F17B, 0x3D0739F78A5292EA, 0x6BFB5FB11F8D5D08, 0x56033046FC7B6BAB,
)  # fmt: skip
_HALF_PI = 0xC90FDAA22168C234  # pi / 2 * 2^63


def reduced(v: Lanes, size: Value) -> Pair:
    """n as an integer of which the lowest two bits count, and r, for an angle that is not negative; NaN at infinity."""
    dtype = size.dtype
    rest = v.cast(size, float64)
    n, whole = nearest(v, rest, 2 / math.pi)
    for part in _PARTS[dtype]:
        rest = muladd(v, n, -part, rest)
    quarters = v.cast(whole, int32) if dtype is float32 else whole
    return _with_huge(v, size, quarters, v.cast(rest, dtype))


def _with_huge(v: Lanes, size: Value, quarters: Value, rest: Value) -> Pair:
    """Lanes beyond the limit reduced one by one: a loop that is not entered where there are none."""
    f, one, limit = v.f, Lanes(v.f, 1), _LIMIT[size.dtype]
    lanes = f.choose(any_lane(v, v.greater(size, limit)), v.count, 0)
    with f.loop(0, lanes, carried=(quarters, rest)) as loop:
        i, (quarters, rest) = loop.index, loop.values
        x = _get(v, size, i)
        huge = one.logical_and(one.greater(x, limit), one.less(x, math.inf))
        packed = _reduce_huge(one, one.cast(one.select(huge, x, 2.0 * limit), float64))
        lower = f.new("i64", f"trunc {packed} to i64")
        upper = f.new("i64", f"trunc {f.new('i128', f'lshr {packed}, 64')} to i64")
        n = one.cast(one.value(int64, lower.name), quarters.dtype)
        r = one.cast(one.bitcast(one.value(int64, upper.name), float64), rest.dtype)
        loop.next = [
            _put(v, quarters, one.select(huge, n, _get(v, quarters, i)), i),
            _put(v, rest, one.select(huge, r, _get(v, rest, i)), i),
        ]
    return loop.results[0], loop.results[1]


def _get(v: Lanes, x: Value, i: Value) -> Value:
    one = Lanes(v.f, 1)
    if v.count == 1:
        return one.value(x.dtype, x.name)
    return one.value(x.dtype, v.f.new(one.type(x.dtype), f"extractelement {x}, {i}").name)


def _put(v: Lanes, x: Value, element: Value, i: Value) -> Value:
    if v.count == 1:
        return v.value(x.dtype, element.name)
    return v.value(x.dtype, v.f.new(x.type, f"insertelement {x}, {element}, {i}").name)


def _reduce_huge(one: Lanes, x: Value) -> Value:
    """n in the lower and the bits of r in the upper half of 128 bits, for a float64 of at least 2^15."""
    name = one.f.module.helper("reduce_huge", "i128", ["double %x"], _huge_body)
    return one.f.new("i128", f"call i128 @{name}({x}) cold noinline")


def _huge_body(f: Function) -> Value:
    """With x = m 2^e: m times those 192 bits of 2 / pi that count, modulo 4.

    Bits before them give multiples of 4. What follows them is less than 2^-137, while r is not below 2^-62.
    """
    f.module.declare("llvm.fshl.i64", "i64 @llvm.fshl.i64(i64, i64, i64)")
    f.module.declare("llvm.ctlz.i128", "i128 @llvm.ctlz.i128(i128, i1)")
    table = f.module.table("two_over_pi", _TWO_OVER_PI)

    def do(operation: str, x: Value, y: Value | int) -> Value:
        return f.new(x.type, f"{operation} {x}, {y.name if isinstance(y, Value) else y}")

    def to(type: str, x: Value, how: str = "trunc") -> Value:
        return f.new(type, f"{how} {x} to {type}")

    def wide(x: Value) -> Value:
        return to("i128", x, "zext")

    def upper(x: Value) -> Value:
        return to("i64", do("lshr", x, 64))

    x = to("i64", Value("double", "%x"), "bitcast")
    m = wide(do("or", do("and", x, 2**52 - 1), 2**52))
    start = do("sub", do("lshr", x, 52), 1075 - 62)  # the first bit that counts, with the zeros before the point
    words = [f.load_index(f.at(table, f.add(do("lshr", start, 6), k), 8)) for k in range(4)]
    shift = do("and", start, 63)
    first, second, third = (
        wide(f.new("i64", f"call i64 @llvm.fshl.i64({a}, {b}, {shift})")) for a, b in pairwise(words)
    )
    # The product modulo 2^192, without its lowest 64 bits: two bits before the point, 126 behind it.
    lower = do("add", do("mul", m, second), do("lshr", do("mul", m, third), 64))
    turns = do("add", do("shl", do("mul", m, first), 64), lower)
    n = do("lshr", do("add", turns, 2**125), 126)
    # The signed fraction as 64 bits of its size, a number of leading zeros and a sign; times pi / 2.
    fraction = do("shl", turns, 2)
    sign = do("ashr", fraction, 127)
    size = do("xor", fraction, sign)
    zeros = f.new("i128", f"call i128 @llvm.ctlz.i128({size}, i1 false)")
    scaled = upper(do("mul", wide(upper(do("shl", size, zeros))), _HALF_PI))
    power = do("shl", do("sub", Value("i64", str(1023 - 63)), to("i64", zeros)), 52)
    r = do("fmul", to("double", scaled, "uitofp"), to("double", power, "bitcast"))
    signed = do("or", to("i64", r, "bitcast"), do("and", to("i64", sign), -(2**63)))
    return do("or", do("shl", wide(signed), 64), n)
