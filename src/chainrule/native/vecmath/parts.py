"""What the functions of this package are put together from."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias, TypeVar, cast

from chainrule.native.code import Function, Number, Value
from chainrule.native.lanes import Lanes
from chainrule.types import DType, bool_, float32, float64, int32, int64

F = TypeVar("F", bound=Callable[..., Value])

Coefficients: TypeAlias = tuple[float, ...]  # of a polynomial, lowest power first
Pair: TypeAlias = tuple[Value, Value]  # a number and what rounding took from it


def shared(body: F) -> F:
    """A function of values on lanes whose code stands in a module once, however often it is called."""

    @functools.wraps(body)
    def call(v: Lanes, *xs: Value) -> Value:
        dtype = xs[0].dtype
        name = f"{body.__name__}_{v.suffix(dtype)}"

        def make(f: Function) -> Value:
            lanes = Lanes(f, v.count)
            return body(lanes, *(lanes.value(x.dtype, f"%x{i}") for i, x in enumerate(xs)))

        v.f.module.helper(name, v.type(dtype), [f"{x.type} %x{i}" for i, x in enumerate(xs)], make)
        return v.call(name, *xs)

    return cast(F, call)


@dataclass(frozen=True, slots=True)
class Layout:
    """How the bits of a float are used.

    Attributes:
        whole: the integers of the same size.
        fraction: number of bits behind the point.
        bias: what is added to an exponent.
    """

    whole: DType
    fraction: int
    bias: int

    @property
    def shifter(self) -> float:
        """So large that adding it rounds to a whole number, which stands in the lowest bits then."""
        return 1.5 * 2.0**self.fraction

    @property
    def one(self) -> int:
        """The bits of 1."""
        return self.bias << self.fraction

    @property
    def sign(self) -> int:
        """The bit of the sign, as an integer."""
        return -(1 << (8 * self.whole.itemsize - 1))


LAYOUTS = {float32: Layout(int32, 23, 127), float64: Layout(int64, 52, 1023)}


def muladd(v: Lanes, x: Value, y: Value | Number, z: Value | Number) -> Value:
    """x * y + z, rounded once where the machine can do that, else twice."""
    y = y if isinstance(y, Value) else v.constant(x.dtype, y)
    z = z if isinstance(z, Value) else v.constant(x.dtype, z)
    return v.call("llvm.fmuladd", x, y, z)


def polynomial(v: Lanes, x: Value, coefficients: Sequence[float]) -> Value:
    """Its value at x."""
    found = v.constant(x.dtype, coefficients[-1])
    for c in reversed(coefficients[:-1]):
        found = muladd(v, found, x, c)
    return found


def at_least(v: Lanes, x: Value, low: float) -> Value:
    """The larger one; NaN stays NaN."""
    return v.select(v.less(x, low), low, x)


def at_most(v: Lanes, x: Value, high: float) -> Value:
    """The smaller one; NaN stays NaN."""
    return v.select(v.greater(x, high), high, x)


def bits(v: Lanes, x: Value) -> Value:
    """A float as an integer of the same bits."""
    return v.bitcast(x, LAYOUTS[x.dtype].whole)


def flip_sign(v: Lanes, x: Value, by: Value) -> Value:
    """x with the other sign where the highest bit of an integer is set."""
    sign = v.logical_and(by, LAYOUTS[x.dtype].sign)
    return v.bitcast(v.logical_xor(bits(v, x), sign), x.dtype)


def nearest(v: Lanes, x: Value, factor: float) -> Pair:
    """The whole number nearest to x * factor, and an integer with the same lowest bits."""
    shifter = LAYOUTS[x.dtype].shifter
    shifted = muladd(v, x, factor, shifter)
    return shifted - shifter, bits(v, shifted)


def power_of_two(v: Lanes, n: Value, dtype: DType, plus: int = 0) -> Value:
    """2^(n + plus) for an integer of which only the lowest bits count; exponents are those of normal numbers."""
    layout = LAYOUTS[dtype]
    return v.bitcast(v.shift_left(n, layout.fraction) + ((layout.bias + plus) << layout.fraction), dtype)


def two_sum(v: Lanes, x: Value, y: Value) -> Pair:
    """x + y, exactly (Knuth)."""
    total = x + y
    second = total - x
    return total, (x - (total - second)) + (y - second)


def fast_two_sum(v: Lanes, x: Value, y: Value) -> Pair:
    """x + y, exactly, where x is 0 or not the smaller one (Dekker)."""
    total = x + y
    return total, y - (total - x)


def two_product(v: Lanes, x: Value, y: Value) -> Pair:
    """x * y, exactly, but for overflow and underflow (Veltkamp and Dekker, where there is no fused operation)."""
    product = x * y
    if v.f.target.has_fma:
        return product, v.fma(x, y, v.negative(product))
    (x1, x2), (y1, y2) = _halves(x), _halves(y)
    return product, ((x1 * y1 - product) + x1 * y2 + x2 * y1) + x2 * y2


def _halves(x: Value) -> Pair:
    scaled = x * (2.0 ** ((LAYOUTS[x.dtype].fraction + 2) // 2) + 1.0)
    upper = scaled - (scaled - x)
    return upper, x - upper


def any_lane(v: Lanes, condition: Value) -> Value:
    """Whether a condition holds on some lane: a single truth value."""
    if v.count == 1:
        return condition
    name = f"llvm.vector.reduce.or.v{v.count}i1"
    v.f.module.declare(name, f"i1 @{name}({condition.type})")
    return Value("i1", v.f.new("i1", f"call i1 @{name}({condition})").name, bool_, Lanes(v.f, 1))
