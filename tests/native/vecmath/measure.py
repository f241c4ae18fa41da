"""How far the functions of `vecmath` are from the truth, and the table in docs/vecmath.md that says so.

python -m tests.native.vecmath.measure      # measure again, with many samples, and print the table
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import scipy.special

from chainrule.native import vecmath
from chainrule.native.code import Module, Value
from chainrule.native.lanes import Lanes
from chainrule.native.target import Target
from chainrule.types import DType, dtype_of, float32, float64
from tests.native.harness import TARGETS, run_kernel

Array = np.ndarray[Any, np.dtype[Any]]

# float64 is measured with long double, which has 11 bits more on x86. Where it is the same type, the oracle itself
# may be wrong by nearly one unit.
LONG = np.longdouble
SLACK = 0.0 if np.finfo(LONG).nmant > 60 else 1.0


def evaluate(body: Callable[..., Value], target: Target, count: int, *xs: Array) -> Array:
    """A function compiled for `count` lanes and run on arrays, whose last elements are padded."""
    dtype, size = dtype_of(xs[0].dtype), xs[0].size
    padded = [np.concatenate([x.ravel(), np.zeros(-size % count, x.dtype)]) for x in xs]
    out = np.empty_like(padded[0])
    module = Module("evaluate", target)
    with module.kernel() as f:
        v, pointers = Lanes(f, count), [f.pointer(i) for i in range(len(xs) + 1)]
        with f.loop(f.begin, f.end) as loop:
            at = f.mul(loop.index, count)
            v.store(body(v, *(v.load(dtype, p, at) for p in pointers[:-1])), pointers[-1], at)
    run_kernel(module, [*padded, out], 0, out.size // count)
    return out[:size].reshape(xs[0].shape)


def ulps(found: Array, exact: Array) -> Array:
    """Distance in units in the last place of the exact result; infinite for a wrong sign, and if only one is NaN.

    Infinity counts as the number after the largest one.
    """
    limits, exact = np.finfo(found.dtype), exact.astype(LONG)
    with np.errstate(all="ignore"):
        top = LONG(2) ** limits.maxexp
        rounded = exact.astype(found.dtype)
        unit = np.spacing(np.minimum(np.abs(rounded), np.nextafter(limits.max, 0))).astype(LONG)
        distance = np.abs(np.clip(found.astype(LONG), -top, top) - np.clip(exact, -top, top)) / unit
        distance = np.where(np.isinf(found) & (found == exact), 0.0, distance)
    nan = np.isnan(exact)
    wrong = (np.isnan(found) != nan) | ((np.signbit(found) != np.signbit(exact)) & ~nan)
    return np.where(wrong, np.inf, np.where(nan, 0.0, distance)).astype(np.float64)


def _sigmoid(x: Array) -> Array:
    small = np.exp(-np.abs(x))
    return np.where(x >= 0, 1, small) / (1 + small)


def _softplus(x: Array) -> Array:
    return np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x)))


def _erf(x: Array) -> Array:
    """2 / sqrt(pi) e^(-x^2) (x + 2 x^3 / 3 + 4 x^5 / 15 + ...), whose terms all have one sign."""
    if x.dtype == np.float64:
        return scipy.special.erf(x)
    size = np.minimum(np.abs(x), LONG(7))
    term = total = size
    for n in range(1, 250):
        term = term * (2 * size * size) / (2 * n + 1)
        total = total + term
    root = np.sqrt(LONG(3.141592653589793) + LONG(1.2246467991473532e-16))
    return np.copysign(np.minimum(total * np.exp(-size * size) * 2 / root, 1), x)


def _ndtr(x: Array) -> Array:
    """1 / 2 less a series as that of erf, up to 1.5; beyond, the continued fraction of Laplace. Either is below 0."""
    size = np.minimum(np.abs(x), x.dtype.type(40))
    root = np.sqrt(2 * (LONG(3.141592653589793) + LONG(1.2246467991473532e-16)))
    rounded = size.astype(np.float32)  # its square is exact, and so is the exponent where it is large
    power = np.exp(-(rounded.astype(LONG) ** 2) / 2) * np.exp((rounded - size) * (rounded + size).astype(LONG) / 2)
    near, far = np.minimum(size, 1.5), np.maximum(size, 1.5)
    term = total = near
    for n in range(1, 40):
        term = term * near * near / (2 * n + 1)
        total = total + term
    fraction = far
    for n in range(300, 0, -1):
        fraction = far + n / fraction
    lower = np.where(size < 1.5, 0.5 - total * power / root, power / (fraction * root))
    return np.where(x < 0, lower, 1 - lower)


def numbers(rng: np.random.Generator, dtype: DType, count: int) -> Array:
    """Any bits, numbers of all sizes that matter, and special values with their neighbours."""
    kind, whole = dtype.numpy, np.int32 if dtype is float32 else np.int64
    limits = np.finfo(kind)
    special = [0, 0.5, 1, 2, np.pi, np.inf, np.nan, limits.max, limits.tiny, limits.smallest_subnormal]
    exact = np.array(special, kind)
    with np.errstate(over="ignore"):
        near = np.concatenate([exact, np.nextafter(exact, kind.type(0)), np.nextafter(exact, kind.type(np.inf))])
    return np.concatenate(
        [
            rng.integers(np.iinfo(whole).min, np.iinfo(whole).max, count, whole).view(kind),
            *(rng.uniform(-k, k, count // 4).astype(kind) for k in (0.01, 1, 2, 5, 20, 100, 800, 1e5)),
            *((one + rng.uniform(-1, 1, count // 4) * 2.0 ** -rng.uniform(0, 40, count // 4)).astype(kind)
              for one in (1, -1)),
            near,
            -near,
        ]
    )  # fmt: skip


def _points(rng: np.random.Generator, dtype: DType, count: int) -> tuple[Array, ...]:
    y, x = numbers(rng, dtype, count), numbers(rng, dtype, count)
    near = rng.uniform(-9, 9, (2, 2 * count)).astype(dtype.numpy)
    return np.concatenate([rng.permutation(y), near[0]]), np.concatenate([x, near[1]])


def _powers(rng: np.random.Generator, dtype: DType, count: int) -> tuple[Array, ...]:
    """Anything to the power of anything, mostly 0 or infinite; results of all sizes; whole powers."""
    y, x = numbers(rng, dtype, count), numbers(rng, dtype, count)
    reach, bits = (90, 22) if dtype is float32 else (740, 50)
    any_base = np.exp(rng.uniform(-88, 88, count))
    near_one = 1 + rng.uniform(-1, 1, count) * 2.0 ** -rng.uniform(0, bits, count)
    base = np.concatenate([any_base, near_one]).astype(dtype.numpy)
    with np.errstate(divide="ignore"):
        exponent = rng.uniform(-reach, reach, 2 * count) / np.log(base.astype(np.float64))
    small, whole = rng.uniform(-9, 9, count), np.round(rng.uniform(-30, 30, count))
    bases, exponents = [rng.permutation(x), base, small], [y, exponent, whole]
    with np.errstate(over="ignore"):
        return tuple(np.concatenate([p.astype(dtype.numpy) for p in parts]) for parts in (bases, exponents))


class Case(NamedTuple):
    """A function, what it should give, and the published errors in float32 and float64."""

    name: str
    oracle: Callable[..., Array]
    float32: float
    float64: float

    def draw(self, dtype: DType, count: int) -> tuple[Array, ...]:
        """Arguments to measure with, the same in every run."""
        rng = np.random.default_rng(5)
        two = {"atan2": _points, "power": _powers}.get(self.name)
        return two(rng, dtype, count) if two else (numbers(rng, dtype, count),)

    def measure(self, dtype: DType, target: Target, count: int) -> float:
        """The largest error on a target."""
        xs = self.draw(dtype, count)
        with np.errstate(all="ignore"):
            exact = self.oracle(*(x.astype(np.float64 if dtype is float32 else LONG) for x in xs))
        return float(
            ulps(evaluate(getattr(vecmath, self.name), target, target.lanes(dtype.itemsize), *xs), exact).max()
        )


CASES = [
    Case("exp", np.exp, 1.0, 1.0),
    Case("expm1", np.expm1, 1.5, 2.0),
    Case("log", np.log, 0.9, 0.9),
    Case("log1p", np.log1p, 1.5, 1.3),
    Case("sinh", np.sinh, 1.8, 2.2),
    Case("cosh", np.cosh, 1.8, 1.6),
    Case("tanh", np.tanh, 2.4, 2.6),
    Case("sigmoid", _sigmoid, 2.3, 2.3),
    Case("softplus", _softplus, 1.7, 1.7),
    Case("erf", _erf, 1.5, 1.5),
    Case("ndtr", _ndtr, 5.7, 6.7),
    Case("sin", np.sin, 1.6, 1.6),
    Case("cos", np.cos, 1.6, 1.6),
    Case("tan", np.tan, 2.5, 2.6),
    Case("asin", np.arcsin, 1.5, 1.6),
    Case("acos", np.arccos, 1.1, 1.2),
    Case("atan", np.arctan, 1.6, 1.7),
    Case("atan2", np.arctan2, 1.6, 1.7),
    Case("power", np.power, 0.6, 1.0),
]


def table() -> str:
    """The published errors in Markdown."""
    rows = [f"| {case.name} | {case.float32} | {case.float64} |" for case in CASES]
    return "\n".join(["| function | float32 | float64 |", "|---|---|---|", *rows])


def measured_errors(count: int) -> list[Case]:
    """The table as it should be: the largest error on any target."""
    return [
        case._replace(**{t.name: max(case.measure(t, target, count) for target in TARGETS) for t in (float32, float64)})
        for case in CASES
    ]


if __name__ == "__main__":
    for measured, published in zip(measured_errors(1 << 20), CASES, strict=True):
        for dtype in ("float32", "float64"):
            print(f"{measured.name:9} {dtype} {getattr(measured, dtype):.3f}, published {getattr(published, dtype)}")
