"""Random bits from a counter: Philox4x32-10.

Salmon, Moraes, Dror & Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC 2011. A bijection of 128-bit counters,
chosen by a 64-bit key, turns the numbers 0, 1, 2, ... into blocks of random bits. There is no other state, so that any
element can be computed on its own, in any order, on any number of threads, with the same result.

The mapping is part of what the library promises; all arithmetic is on unsigned integers:

    state           int64[2] = (key, counter), read as unsigned 64-bit numbers
    block b         the four 32-bit words w0 w1 w2 w3 = philox(n mod 2^32, n div 2^32, 0, 0; key mod 2^32, key div 2^32)
                    with n = (counter + b) mod 2^64
    bits <= 32      element i is word i mod 4 of block i div 4, of which the upper `bits` bits are kept
    bits > 32       element i is w[2j] + 2^32 * w[2j + 1] of block i div 2, with j = i mod 2; upper bits likewise
    bits = 64       the same 64 bits, read as a signed number

Elements are counted in row-major order. A draw of `n` elements thus uses up `blocks_used` blocks.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from chainrule.apply import apply
from chainrule.errors import ShapeError
from chainrule.kernel import Native
from chainrule.native.loops.philox import random_bits_loops, random_bits_units
from chainrule.op import NON_DIFFERENTIABLE, define
from chainrule.samples import Draw, Sample
from chainrule.tensor import Tensor, TensorLike, as_tensor
from chainrule.types import Array, Shape, TensorType, int64, size_of

_MULTIPLIERS = (np.uint64(0xD2511F53), np.uint64(0xCD9E8D57))
_KEY_STEPS = (0x9E3779B9, 0xBB67AE85)  # the golden ratio, and the square root of 3 less 1
_LOW = np.uint64(0xFFFFFFFF)
_HALF = np.uint64(32)


def philox(counter: Sequence[Array], key: Sequence[int]) -> list[Array]:
    """Ten rounds of Philox4x32 on arrays of uint64 that each hold 32-bit words: four counter words, two key words.

    >>> [hex(int(word[0])) for word in philox([np.zeros(1, np.uint64)] * 4, (0, 0))]
    ['0x6627e8d5', '0xe169c58d', '0xbc57ac4c', '0x9b00dbd8']
    """
    c0, c1, c2, c3 = counter
    k0, k1 = key
    for _ in range(10):
        p0, p1 = c0 * _MULTIPLIERS[0], c2 * _MULTIPLIERS[1]
        c0, c1, c2, c3 = (p1 >> _HALF) ^ c1 ^ np.uint64(k0), p1 & _LOW, (p0 >> _HALF) ^ c3 ^ np.uint64(k1), p0 & _LOW
        k0, k1 = (k0 + _KEY_STEPS[0]) & 0xFFFFFFFF, (k1 + _KEY_STEPS[1]) & 0xFFFFFFFF
    return [c0, c1, c2, c3]


def blocks_used(shape: Shape, bits: int) -> int:
    """How many blocks of the counter a draw uses up.

    >>> blocks_used((5,), 24), blocks_used((5,), 53), blocks_used((0,), 24)
    (2, 3, 0)
    """
    return -(-size_of(shape) // (4 if bits <= 32 else 2))


_CHUNK = 1 << 13  # blocks computed at once: few enough to stay in cache


def _random_bits(state: Array, shape: Shape, bits: int) -> Array:
    key, start = (int(word) & 0xFFFFFFFFFFFFFFFF for word in state)
    blocks = blocks_used(shape, bits)
    words = np.empty((blocks, 4), np.uint32)
    for first in range(0, blocks, _CHUNK):
        size = min(_CHUNK, blocks - first)
        numbers = np.arange(size, dtype=np.uint64) + np.uint64((start + first) & 0xFFFFFFFFFFFFFFFF)
        none = np.zeros(size, np.uint64)
        found = philox((numbers & _LOW, numbers >> _HALF, none, none), (key & 0xFFFFFFFF, key >> 32))
        for column, word in enumerate(found):
            words[first : first + size, column] = word
    if bits <= 32:
        return (words.reshape(-1)[: size_of(shape)] >> np.uint32(32 - bits)).astype(np.int64).reshape(shape)
    pairs = words[:, 0::2] | words[:, 1::2].astype(np.uint64) << _HALF
    return (pairs.reshape(-1)[: size_of(shape)] >> np.uint64(64 - bits)).view(np.int64).reshape(shape)


def _random_bits_type(state: TensorType, shape: Shape, bits: int) -> TensorType:
    if state.shape != (2,) or not 1 <= bits <= 64:
        raise ShapeError(f"a state i64[2] of key and counter and 1 to 64 bits are needed, not {state} and {bits}")
    return TensorType(int64, shape)


def _draw_random_bits(draw: Draw) -> Sample:
    state = draw.lay(draw.rng.integers(-(2**63), 2**63 - 1, 2))
    return Sample((state,), {"shape": draw.shape(), "bits": draw.integer(1, 64)})


RANDOM_BITS = define(
    "random_bits",
    takes=(frozenset({int64}),),
    infer=_random_bits_type,
    numpy=_random_bits,
    vjp=NON_DIFFERENTIABLE,
    kernel=Native(random_bits_loops, random_bits_units),
    samples=_draw_random_bits,
)


def random_bits(state: TensorLike, shape: Sequence[int], bits: int) -> Tensor:
    """Integers of a shape, each from 0 to 2^bits - 1 with equal probability; see the head of this module.

    Args:
        state: int64[2], a key and the number of the first block. The same state gives the same integers.
        shape: shape of the result, which is int64.
        bits: 1 to 64. With 64, the results are spread over all of int64, negative numbers included.

    Raises `ShapeError` for another state or number of bits.

    >>> random_bits([0, 0], (4,), 8)
    tensor([102, 225, 188, 155], i64[4])
    """
    return apply(RANDOM_BITS, as_tensor(state), shape=tuple(int(n) for n in shape), bits=bits)
