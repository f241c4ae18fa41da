"""Random bits from a counter: Philox4x32-10 on lanes, one block of four 32-bit words on each."""

from __future__ import annotations

from chainrule.native.code import Index, Value
from chainrule.native.job import Job
from chainrule.native.lanes import Lanes
from chainrule.types import Shape, TensorType, int64, size_of

MULTIPLIERS = (0xD2511F53, 0xCD9E8D57)
KEY_STEPS = (0x9E3779B9, 0xBB67AE85)
LOW = 0xFFFFFFFF
SHARE = 1 << 12
"""Elements of a piece of work, and a multiple of those that fit on lanes of any number."""


def random_bits_units(state: TensorType, shape: Shape, bits: int) -> int:
    """Into how many pieces a draw is cut."""
    return -(-size_of(shape) // SHARE)


def philox(v: Lanes, number: Value, key: tuple[Value, Value]) -> list[Value]:
    """Four words for each block, given its number as int64 and the lower and upper word of the key as int64.

    Of all values only the lower 32 bits count; what stands above them is left as it comes.
    """
    c0, c1 = number, v.shift_right_unsigned(number, 32)
    c2 = c3 = v.constant(int64, 0)
    k0, k1 = key
    for step in range(10):
        if step:
            k0, k1 = k0 + KEY_STEPS[0], k1 + KEY_STEPS[1]
        p0 = v.logical_and(c0, LOW) * MULTIPLIERS[0]
        p1 = v.logical_and(c2, LOW) * MULTIPLIERS[1]
        c0 = v.logical_xor(v.logical_xor(v.shift_right_unsigned(p1, 32), c1), k0)
        c2 = v.logical_xor(v.logical_xor(v.shift_right_unsigned(p0, 32), c3), k1)
        c1, c3 = p1, p0
    return [c0, c1, c2, c3]


def _elements(v: Lanes, words: list[Value], bits: int) -> Value:
    """The integers that blocks make, in order, on as many lanes as there are of them."""
    if bits <= 32:
        parts = [v.shift_right_unsigned(v.logical_and(word, LOW), 32 - bits) for word in words]
    else:
        pairs = (words[0:2], words[2:4])
        whole = [v.logical_or(v.logical_and(low, LOW), v.shift_left(high, 32)) for low, high in pairs]
        parts = [v.shift_right_unsigned(x, 64 - bits) for x in whole]
    while len(parts) > 1:  # neighbours first: 0 2 and 1 3 are zipped to be zipped with each other
        half, count = len(parts) // 2, parts[0].lanes.count
        zipped = [i + j * count for i in range(count) for j in range(2)]
        parts = [x.lanes.shuffle(x, y, zipped) for x, y in zip(parts[:half], parts[half:], strict=True)]
    return parts[0]


def random_bits_loops(job: Job, shape: Shape, bits: int) -> None:
    """See `ops/random_bits.py`, which says what the bits are."""
    f, state, out, size = job.f, job.inputs[0], job.outputs[0], size_of(shape)
    one, v, per_block = Lanes(f, 1), Lanes(f, f.target.lanes(8)), 4 if bits <= 32 else 2
    at_once = v.count * per_block
    key, counter = state.load(one, [0]), v.spread(state.load(one, [1]))
    keys = v.spread(key), v.spread(one.shift_right_unsigned(key, 32))

    def draw(at: Index, mask: Value | None = None) -> None:
        block = v.add(v.add(counter, v.index(f.div(at, per_block))), v.numbers())
        made = _elements(v, philox(v, block, keys), bits)
        made.lanes.store(made, out.pointer, f.add(at, out.place.offset), mask)

    whole = size // at_once * at_once
    with f.loop(f.begin, f.end) as loop:
        begin = f.mul(loop.index, SHARE)
        end = f.add(begin, SHARE)
        with f.loop(begin, f.min(end, whole), at_once) as each:
            draw(each.index)
        if whole < size:
            with f.when(f.compare("eq", loop.index, whole // SHARE)):
                draw(whole, Lanes(f, at_once).first(size - whole))
