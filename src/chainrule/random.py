"""Random numbers that are the same on every machine and for every number of threads.

A generator is a key and a counter, kept in a tensor. A draw makes bits from them (`random_bits`, the counter-based
Philox4x32-10), turns the bits into the numbers asked for with operations of the library, and moves the counter on.
While a function is traced, that tensor is read and assigned like any other state: the graph shows what is drawn, and
drawing goes on where it stopped each time the graph runs.

A draw reads the counter and then assigns it, without a lock: let each thread draw from a generator of its own, made
with `split`.
"""

from __future__ import annotations

import hashlib
import math
import operator
from collections.abc import Sequence
from typing import overload

import numpy as np

from chainrule.errors import DefinitionError, DtypeError, ShapeError
from chainrule.ops.arithmetic import remainder
from chainrule.ops.cast import cast
from chainrule.ops.comparison import less
from chainrule.ops.gather import known_value, take
from chainrule.ops.order import argsort
from chainrule.ops.random_bits import blocks_used, random_bits
from chainrule.ops.special import erfinv
from chainrule.tensor import Tensor, TensorLike, as_tensor, tensor
from chainrule.types import DType, DTypeLike, Shape, dtype_of, float32, float64


class Generator:
    """A source of random numbers.

    The same seed and the same draws give the same numbers, bit for bit. Seeds that are near each other give streams
    that have nothing in common: the key is the first 64 bits of the BLAKE2b hash of the seed's decimal digits.

    Args:
        seed: any integer, of any size and sign.

    Attributes:
        state: int64[2], the key and the number of the next block of bits. Save it and `assign` it back to draw the
            same numbers again.

    >>> generator = Generator(seed=0)
    >>> generator.uniform(3)
    tensor([0.82545894, 0.4308974 , 0.85685134], f32[3])
    >>> generator.randint(1, 7, (2, 3))
    tensor([[4, 5, 1],
            [4, 1, 2]], i64[2, 3])
    """

    def __init__(self, seed: int = 0) -> None:
        self.state = tensor([_key(seed), 0], name="random state")

    def __repr__(self) -> str:
        return f"Generator(state={self.state})"

    def seed(self, seed: int) -> None:
        """Start again as `Generator(seed)` would; graphs that draw from this generator follow."""
        self.state.assign([_key(seed), 0])

    @overload
    def split(self) -> Generator: ...

    @overload
    def split(self, n: int) -> list[Generator]: ...

    def split(self, n: int | None = None) -> Generator | list[Generator]:
        """One generator, or a list of n, whose streams are independent of this one's and of each other.

        Their seeds are the next 64-bit numbers of this generator. Raises `TraceError` while a function is traced:
        generators are made outside of it.

        >>> left, right = Generator(seed=0).split(2)
        >>> left.randint(0, 100, 3), right.randint(0, 100, 3)
        (tensor([43, 81, 76], i64[3]), tensor([87, 81, 37], i64[3]))
        """
        made = [Generator(seed) for seed in self._bits(_shape(1 if n is None else n), 64).tolist()]
        return made[0] if n is None else made

    def uniform(
        self,
        shape: int | Sequence[int] = (),
        low: TensorLike = 0.0,
        high: TensorLike = 1.0,
        dtype: DTypeLike = float32,
    ) -> Tensor:
        """Real numbers spread evenly over [low, high): low + (high - low) k / 2^b with k from 0 to 2^b - 1.

        b is 24 for float32 and 53 for float64, so that between 0 and 1 nothing is rounded; elsewhere rounding may give
        `high` itself. Numbers of bfloat16 are rounded from float32. Tensors for `low` and `high` broadcast to `shape`
        and receive gradients.

        Raises `DtypeError` for another data type, `ShapeError` if `low` or `high` does not fit.

        >>> Generator(seed=0).uniform(2, low=-1.0, high=1.0, dtype="float64")
        tensor([-0.13820513, -0.96711338], f64[2])
        """
        kind, bits = _real(dtype)
        unit = cast(self._bits(_shape(shape), bits), kind) * 2.0**-bits
        least = as_tensor(low, kind)
        return _fitted(unit * (as_tensor(high, kind) - least) + least, unit.shape, kind).cast(dtype)

    def normal(
        self,
        shape: int | Sequence[int] = (),
        mean: TensorLike = 0.0,
        std: TensorLike = 1.0,
        dtype: DTypeLike = float32,
    ) -> Tensor:
        """Real numbers of the normal distribution: mean + std sqrt(2) erfinv(u), its quantile function.

        u = (2 k + 1) / 2^b - 1 with k from 0 to 2^b - 1, and b 24 for float32 and 53 for float64: symmetric about 0
        and never 1, so that |x - mean| is at most 5.4 (8.3) std. Numbers of bfloat16 are rounded from
        float32. Tensors for `mean` and `std` broadcast to `shape` and receive gradients (the reparametrisation of
        Kingma & Welling, "Auto-encoding variational Bayes", 2014).

        Raises `DtypeError` for another data type, `ShapeError` if `mean` or `std` does not fit.

        >>> Generator(seed=0).normal(3, mean=10.0)
        tensor([10.936371,  9.825911, 11.066279], f32[3])
        """
        kind, bits = _real(dtype)
        odd = self._bits(_shape(shape), bits) * 2 + (1 - 2**bits)
        standard = erfinv(cast(odd, kind) * 2.0**-bits) * math.sqrt(2)
        return _fitted(standard * as_tensor(std, kind) + as_tensor(mean, kind), odd.shape, kind).cast(dtype)

    def bernoulli(self, p: TensorLike, shape: int | Sequence[int] | None = None) -> Tensor:
        """Truth values, each true with probability p: never for 0, always for 1.

        p is rounded up to a multiple of 2^-24. A tensor `p` broadcasts to `shape`, which is by default its own.

        Raises `DefinitionError` for a p that is known and not within 0 and 1, `ShapeError` if p does not fit.

        >>> Generator(seed=0).bernoulli(0.5, 4)
        tensor([False,  True, False,  True], bool[4])
        """
        chance = cast(as_tensor(p, float32), float32)
        value = known_value(chance)
        if value is not None and not ((value >= 0) & (value <= 1)).all():
            raise DefinitionError(f"bernoulli: a probability lies within 0 and 1, not {chance}")
        unit = self.uniform(chance.shape if shape is None else shape)
        return _fitted(less(unit, chance), unit.shape)

    def randint(self, low: int, high: int, shape: int | Sequence[int] = ()) -> Tensor:
        """Integers from low to high - 1 with equal probability, as int64: low + k mod (high - low) with a k of 63 bits.

        The probabilities differ by at most 2^-63, which no experiment can show.

        Raises `DefinitionError` if there are no integers in between, or more than int64 can count.

        >>> Generator(seed=0).randint(-5, 5, 4)
        tensor([ 1,  4, -4, -5], i64[4])
        """
        if not (-(2**63) <= low < high <= 2**63 and high - low < 2**63):
            raise DefinitionError(f"randint: no integers of int64 from {low} to below {high}, or too many")
        return remainder(self._bits(_shape(shape), 63), high - low) + low

    def permutation(self, x: int | TensorLike) -> Tensor:
        """The integers below x in random order, or the rows of a tensor (its slices along axis 0).

        All orders are equally likely: x goes in the order that sorts random integers of 63 bits.

        Raises `DtypeError` for a number that is no integer.

        >>> Generator(seed=0).permutation(5)
        tensor([1, 0, 4, 2, 3], i64[5])
        """
        x = as_tensor(x)
        if x.ndim:
            return take(x, self.permutation(x.shape[0]), axis=0)
        return argsort(self._bits(_shape(operator.index(x)), 63))

    def _bits(self, shape: Shape, bits: int) -> Tensor:
        drawn = random_bits(self.state, shape, bits)
        self.state.assign(self.state + np.array([0, blocks_used(shape, bits)]))
        return drawn


def _key(seed: int) -> int:
    """64 bits that any integer is mixed into."""
    digits = str(operator.index(seed)).encode()
    return int.from_bytes(hashlib.blake2b(digits, digest_size=8).digest(), "little", signed=True)


def _real(dtype: DTypeLike) -> tuple[DType, int]:
    """The data type in which real numbers are drawn, and how many random bits it holds between 0 and 1."""
    kind = dtype_of(dtype)
    if not kind.is_float:
        raise DtypeError(f"random numbers are drawn as floats, not {kind}; cast them afterwards")
    return (float64, 53) if kind is float64 else (float32, 24)


def _shape(shape: int | Sequence[int]) -> Shape:
    sizes = tuple(operator.index(n) for n in (shape if isinstance(shape, Sequence) else (shape,)))
    if min(sizes, default=0) < 0:
        raise ShapeError(f"a shape has no negative sizes, as {list(sizes)} has")
    return sizes


def _fitted(x: Tensor, shape: Shape, dtype: DType | None = None) -> Tensor:
    """The numbers drawn, after making sure that no parameter of the distribution has widened them."""
    if x.shape != shape:
        raise ShapeError(f"parameters of shape {list(x.shape)} do not broadcast to the {list(shape)} that are drawn")
    return x if dtype is None else cast(x, dtype)


_default = Generator(seed=0)


def default_generator() -> Generator:
    """The generator that the functions of this module draw from unless told otherwise; at first, `Generator(0)`."""
    return _default


def seed(seed: int) -> None:
    """Start the default generator again, as PyTorch's `manual_seed` does.

    >>> seed(1)
    >>> first = uniform(3)
    >>> seed(1)
    >>> bool((uniform(3) == first).all())
    True
    """
    _default.seed(seed)


def uniform(
    shape: int | Sequence[int] = (),
    low: TensorLike = 0.0,
    high: TensorLike = 1.0,
    dtype: DTypeLike = float32,
    *,
    generator: Generator | None = None,
) -> Tensor:
    """`Generator.uniform` of a generator, by default of the default one.

    >>> uniform(2, generator=Generator(seed=0))
    tensor([0.82545894, 0.4308974 ], f32[2])
    """
    return (generator or _default).uniform(shape, low, high, dtype)


def normal(
    shape: int | Sequence[int] = (),
    mean: TensorLike = 0.0,
    std: TensorLike = 1.0,
    dtype: DTypeLike = float32,
    *,
    generator: Generator | None = None,
) -> Tensor:
    """`Generator.normal` of a generator, by default of the default one.

    >>> normal(2, generator=Generator(seed=0))
    tensor([ 0.93637127, -0.1740898 ], f32[2])
    """
    return (generator or _default).normal(shape, mean, std, dtype)


def bernoulli(p: TensorLike, shape: int | Sequence[int] | None = None, *, generator: Generator | None = None) -> Tensor:
    """`Generator.bernoulli` of a generator, by default of the default one.

    >>> bernoulli(0.5, 2, generator=Generator(seed=0))
    tensor([False,  True], bool[2])
    """
    return (generator or _default).bernoulli(p, shape)


def randint(low: int, high: int, shape: int | Sequence[int] = (), *, generator: Generator | None = None) -> Tensor:
    """`Generator.randint` of a generator, by default of the default one.

    >>> randint(0, 10, 3, generator=Generator(seed=0))
    tensor([6, 9, 1], i64[3])
    """
    return (generator or _default).randint(low, high, shape)


def permutation(x: int | TensorLike, *, generator: Generator | None = None) -> Tensor:
    """`Generator.permutation` of a generator, by default of the default one.

    >>> permutation(4, generator=Generator(seed=0))
    tensor([1, 0, 2, 3], i64[4])
    """
    return (generator or _default).permutation(x)
