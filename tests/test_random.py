"""Random bits by known answers, generators by statistics, and drawing in a graph."""

from __future__ import annotations

import hashlib
import itertools
import math
from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from scipy import stats

from chainrule import random
from chainrule.errors import DefinitionError, DtypeError, ShapeError, TraceError
from chainrule.gradients import gradients
from chainrule.interpret import interpret
from chainrule.ops.random_bits import blocks_used, philox, random_bits
from chainrule.ops.reduce import sum
from chainrule.random import Generator
from chainrule.tensor import Tensor, tensor
from chainrule.trace import trace

MANY = 200_000
ONES = 0xFFFFFFFF

# Counter and key, and what ten rounds make of them: the known answers published with Random123.
KNOWN_ANSWERS = [
    ((0, 0, 0, 0), (0, 0), "6627e8d5 e169c58d bc57ac4c 9b00dbd8"),
    ((ONES, ONES, ONES, ONES), (ONES, ONES), "408f276d 41c83b0e a20bc7c6 6d5451fd"),
    (
        (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344),
        (0xA4093822, 0x299F31D0),
        "d16cfe09 94fdcceb 5001e420 24126ea1",
    ),
]


@pytest.mark.parametrize(("counter", "key", "answer"), KNOWN_ANSWERS)
def test_philox_gives_the_published_answers(counter: tuple[int, ...], key: tuple[int, int], answer: str) -> None:
    words = philox([np.array([word], np.uint64) for word in counter], key)
    assert " ".join(f"{int(word[0]):08x}" for word in words) == answer


def block(key: int, number: int) -> list[int]:
    """One block of Philox4x32-10, word by word with Python's integers."""
    c = [number % 2**32, number // 2**32 % 2**32, 0, 0]
    k = [key % 2**32, key // 2**32 % 2**32]
    for _ in range(10):
        p, q = 0xD2511F53 * c[0], 0xCD9E8D57 * c[2]
        c = [q // 2**32 ^ c[1] ^ k[0], q % 2**32, p // 2**32 ^ c[3] ^ k[1], p % 2**32]
        k = [(k[0] + 0x9E3779B9) % 2**32, (k[1] + 0xBB67AE85) % 2**32]
    return c


@pytest.mark.parametrize("bits", [1, 8, 24, 32, 33, 53, 63, 64])
@pytest.mark.parametrize("state", [(0, 0), (-1, 2**32 - 1), (2**62 + 12345, 7), (5, -2), (-(2**63), 2**63 - 2)])
def test_every_element_is_a_fixed_word_of_a_fixed_block(state: tuple[int, int], bits: int) -> None:
    key, counter = (word % 2**64 for word in state)
    wide = bits > 32
    expected: list[int] = []
    for i in range(15):
        words = block(key, (counter + i // (2 if wide else 4)) % 2**64)
        word = words[i % 2 * 2] + 2**32 * words[i % 2 * 2 + 1] if wide else words[i % 4]
        found = word >> ((64 if wide else 32) - bits)
        expected.append(found - 2**64 if found >= 2**63 else found)
    assert random_bits(state, (3, 5), bits).numpy().ravel().tolist() == expected


def test_long_draws_go_on_where_short_ones_stop() -> None:
    long = random_bits([3, 2**32 - 5000], (100_000,), 20).numpy()  # across chunks, and a carry between counter words
    parts = [random_bits([3, 2**32 - 5000 + start // 4], (1000,), 20).numpy() for start in range(0, 100_000, 1000)]
    np.testing.assert_array_equal(long, np.concatenate(parts))


@pytest.mark.parametrize(
    ("shape", "bits", "blocks"), [((), 1, 1), ((4,), 32, 1), ((5,), 32, 2), ((3,), 33, 2), ((0,), 9, 0)]
)
def test_a_draw_uses_up_whole_blocks(shape: tuple[int, ...], bits: int, blocks: int) -> None:
    assert blocks_used(shape, bits) == blocks
    assert random_bits([0, 0], shape, bits).shape == shape


@pytest.mark.parametrize(("state", "bits"), [([0], 8), ([0, 0], 0), ([0, 0], 65)])
def test_random_bits_need_a_state_and_a_number_of_bits(state: list[int], bits: int) -> None:
    with pytest.raises(ShapeError, match="random_bits: a state i64\\[2\\] of key and counter and 1 to 64 bits"):
        random_bits(state, (1,), bits)


GOLDEN: list[tuple[Callable[[Generator], Tensor], list[Any]]] = [
    (lambda g: g.uniform(4), [0.8254589438438416, 0.43089741468429565, 0.85685133934021, 0.016443252563476562]),
    (lambda g: g.uniform(3, dtype="float64"), [0.430897435598415, 0.01644331097063867, 0.7558736991064271]),
    (lambda g: g.normal(4), [0.9363712668418884, -0.17408980429172516, 1.066279649734497, -2.13346529006958]),
    (lambda g: g.normal(2, dtype="float64"), [-0.17408982293147426, -2.133464730440661]),
    (lambda g: g.bernoulli(0.5, 8), [False, True, False, True, False, False, False, False]),
    (lambda g: g.randint(0, 1000, 4), [366, 689, 891, 650]),
    (lambda g: g.permutation(6), [1, 0, 4, 5, 2, 3]),
    (lambda g: g.split().randint(0, 1000, 3), [843, 781, 76]),
]


@pytest.mark.parametrize(("draw", "values"), GOLDEN)
def test_seed_0_gives_these_numbers_for_ever(draw: Callable[[Generator], Tensor], values: list[Any]) -> None:
    assert draw(Generator(0)).tolist() == values


def fits(sample: np.ndarray, distribution: Any) -> bool:
    return stats.kstest(sample.ravel(), distribution.cdf).pvalue > 0.01


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_uniform_numbers_are_spread_evenly(dtype: str) -> None:
    g = Generator(1)
    drawn = g.uniform((MANY // 2, 2), dtype=dtype).numpy()
    assert drawn.dtype == dtype
    assert drawn.min() >= 0
    assert drawn.max() < 1
    assert fits(drawn, stats.uniform())
    assert fits(g.uniform(MANY, -3.0, 5.0, dtype).numpy(), stats.uniform(-3, 8))


@pytest.mark.parametrize(("dtype", "bits"), [("float32", 24), ("float64", 53)])
def test_uniform_numbers_are_exact_multiples(dtype: str, bits: int) -> None:
    g = Generator(2)
    state = g.state.numpy()
    np.testing.assert_array_equal(g.uniform(99, dtype=dtype).numpy() * 2.0**bits, random_bits(state, (99,), bits))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_normal_numbers_follow_the_normal_distribution(dtype: str) -> None:
    g = Generator(3)
    drawn = g.normal(MANY, dtype=dtype).numpy()
    assert drawn.dtype == dtype
    assert np.isfinite(drawn).all()
    assert fits(drawn, stats.norm())
    moments = [np.mean(drawn.astype(float) ** k) for k in (1, 2, 3, 4)]
    np.testing.assert_allclose(moments, [0, 1, 0, 3], atol=0.05)
    assert fits(g.normal(MANY, 5.0, 0.5, dtype).numpy(), stats.norm(5, 0.5))


@pytest.mark.parametrize(("dtype", "bits"), [("float32", 24), ("float64", 53)])
def test_normal_numbers_are_the_quantiles_of_uniform_ones(dtype: str, bits: int) -> None:
    g = Generator(4)
    k = random_bits(g.state, (1000,), bits).numpy()
    tail = np.minimum(2 * k + 1, 2 ** (bits + 1) - 1 - 2 * k)  # on the nearer side nothing is rounded
    expected = stats.norm.ppf(tail * 0.5 ** (bits + 1)) * np.where(k < 2 ** (bits - 1), 1, -1)
    np.testing.assert_allclose(g.normal(1000, dtype=dtype).numpy(), expected, rtol=100 * 2.0**-bits)


@pytest.mark.parametrize("p", [0.0, 0.1, 0.5, 0.97, 1.0])
def test_bernoulli_is_true_as_often_as_it_should_be(p: float) -> None:
    drawn = Generator(5).bernoulli(p, MANY)
    assert drawn.dtype.name == "bool"
    assert abs(drawn.numpy().mean() - p) <= 4 * math.sqrt(p * (1 - p) / MANY)


def test_bernoulli_takes_a_probability_for_each_element() -> None:
    p = tensor([0.0, 0.25, 1.0], "bfloat16")
    assert Generator(6).bernoulli(p).shape == (3,)
    np.testing.assert_allclose(Generator(6).bernoulli(p, (50_000, 3)).numpy().mean(0), p.numpy(), atol=0.01)


@pytest.mark.parametrize(("low", "high"), [(0, 2), (-5, 5), (0, 100), (10**12, 10**12 + 7)])
def test_integers_are_equally_likely(low: int, high: int) -> None:
    drawn = Generator(7).randint(low, high, MANY).numpy()
    assert drawn.min() == low
    assert drawn.max() == high - 1
    assert stats.chisquare(np.bincount(drawn - low)).pvalue > 0.01


def test_integers_reach_the_ends_of_int64() -> None:
    drawn = Generator(8).randint(-(2**63), -1, 1000).numpy().astype(float)
    assert fits(drawn, stats.uniform(-(2.0**63), 2.0**63))
    assert Generator(8).randint(2**63 - 1, 2**63).item() == 2**63 - 1


def test_all_orders_are_equally_likely() -> None:
    g = Generator(9)
    found = Counter(tuple(g.permutation(4).tolist()) for _ in range(4800))
    assert set(found) == set(itertools.permutations(range(4)))
    assert stats.chisquare(list(found.values())).pvalue > 0.01


def test_a_permutation_holds_every_element_once() -> None:
    assert sorted(Generator(10).permutation(1000).tolist()) == list(range(1000))
    rows = np.arange(12.0).reshape(6, 2)
    found = Generator(11).permutation(rows).numpy()
    assert sorted(found.tolist()) == rows.tolist() != found.tolist()
    assert Generator(12).permutation(np.int64(0)).shape == (0,)


@pytest.mark.parametrize("seeds", [(0, 1), (1, -1), (0, 2**64), (3, 3 + 2**200)])
def test_different_seeds_give_streams_without_correlation(seeds: tuple[int, int]) -> None:
    first, second = (Generator(seed).normal(MANY).numpy() for seed in seeds)
    assert stats.pearsonr(first, second).pvalue > 0.01


def test_split_streams_are_not_correlated() -> None:
    g = Generator(13)
    streams = [g, *g.split(3), g.split()]
    values = np.array([stream.normal(MANY).numpy() for stream in streams])
    correlations = np.corrcoef(values)[np.triu_indices(len(streams), 1)]
    assert np.abs(correlations).max() < 4 / math.sqrt(MANY)
    assert all(fits(stream, stats.norm()) for stream in values)


def test_neighbours_in_a_stream_are_not_correlated() -> None:
    values = Generator(14).normal(MANY).numpy()
    for lag in (1, 2, 3, 4, 8, 1000):
        assert abs(np.corrcoef(values[:-lag], values[lag:])[0, 1]) < 4 / math.sqrt(MANY)


def test_split_gives_the_same_streams_again() -> None:
    first, second = Generator(15).split(2)
    assert isinstance(Generator(15).split(), Generator)
    assert Generator(15).split(2)[1].uniform().item() == second.uniform().item() != first.uniform().item()
    assert Generator(15).split(0) == []


def test_a_seed_is_hashed_into_the_key() -> None:
    digest = hashlib.blake2b(b"-7", digest_size=8).digest()
    assert Generator(-7).state.tolist() == [int.from_bytes(digest, "little", signed=True), 0]
    assert repr(Generator(np.int64(-7))) == f"Generator(state={Generator(-7).state})"
    with pytest.raises(TypeError, match="integer"):
        Generator(1.5)  # pyright: ignore[reportArgumentType]


def test_draws_do_not_overlap() -> None:
    g = Generator(16)
    parts = [g.randint(0, 2**62, n).numpy() for n in (3, 1, 5, 0, 8)]
    assert len(np.unique(np.concatenate(parts))) == 17
    assert g.state.tolist()[1] == 2 + 1 + 3 + 0 + 4


def test_the_state_brings_the_same_numbers_back() -> None:
    g = Generator(17)
    g.uniform(5)
    saved = g.state.numpy()
    first = g.normal(4).tolist()
    g.state.assign(saved)
    assert g.normal(4).tolist() == first


def draws(g: Generator) -> list[Tensor]:
    return [g.uniform(3), g.normal((2, 2)), g.bernoulli(0.5, 5), g.randint(0, 9, 3), g.permutation(4), g.uniform()]


def test_a_graph_draws_what_eager_code_draws_and_goes_on_where_it_stopped() -> None:
    g, twin = Generator(18), Generator(18)
    graph = trace(lambda: draws(g))()
    graph.verify()
    assert [outside for outside, _ in graph.captured] == [g.state]
    assert [outside for outside, _ in graph.assigned] == [g.state]
    assert g.state.tolist() == twin.state.tolist()  # tracing draws nothing
    for _ in range(2):
        *values, state = interpret(graph, [g.state.numpy()])
        g.state.assign(state)
        for found, expected in zip(values, draws(twin), strict=True):
            np.testing.assert_array_equal(found, expected.numpy(), strict=True)
    assert g.state.tolist() == twin.state.tolist()


def test_generators_are_not_split_while_a_function_is_traced() -> None:
    with pytest.raises(TraceError, match="only types are known"):
        trace(lambda: Generator(0).split().uniform())()


def test_gradients_flow_to_the_parameters_of_a_distribution() -> None:
    mean, std = tensor(2.0, requires_grad=True), tensor([1.0, 3.0], requires_grad=True)
    found = gradients([sum(Generator(19).normal((5, 2), mean, std))], [tensor(1.0)], [mean, std])
    standard = Generator(19).normal((5, 2)).numpy()
    assert found[0] is not None and found[0].item() == 10
    assert found[1] is not None
    np.testing.assert_allclose(found[1].numpy(), standard.sum(0), rtol=1e-6)
    low, high = tensor(0.0, requires_grad=True), tensor(1.0, requires_grad=True)
    of_low, of_high = gradients([Generator(19).uniform((), low, high)], [tensor(1.0)], [low, high])
    unit = Generator(19).uniform().item()
    assert of_low is not None and of_low.item() == pytest.approx(1 - unit)
    assert of_high is not None and of_high.item() == pytest.approx(unit)


def test_parameters_keep_the_data_type_that_was_asked_for() -> None:
    wide = np.array([0.0, 1.0])
    assert Generator(0).normal(2, mean=wide).dtype.name == "float32"
    assert Generator(0).uniform(2, high=[1, 2], dtype="float64").dtype.name == "float64"
    assert Generator(0).normal((), 0.1, dtype="float64").item() != Generator(0).normal((), np.float32(0.1)).item()


def test_numbers_of_bfloat16_are_rounded_from_float32():
    for draw in (Generator.uniform, Generator.normal):
        found = draw(Generator(0), 100, dtype="bfloat16")
        assert found.dtype.name == "bfloat16"
        assert found.tolist() == draw(Generator(0), 100).cast("bfloat16").tolist()


@pytest.mark.parametrize(
    ("draw", "error", "message"),
    [
        (lambda g: g.uniform(2, dtype=bool), DtypeError, "drawn as floats, not bool"),
        (lambda g: g.normal(2, dtype=int), DtypeError, "drawn as floats, not int64"),
        (lambda g: g.uniform((2, -1)), ShapeError, "no negative sizes"),
        (lambda g: g.permutation(-1), ShapeError, "no negative sizes"),
        (lambda g: g.split(-1), ShapeError, "no negative sizes"),
        (lambda g: g.permutation(1.5), DtypeError, "float32 cannot be used as an index"),
        (lambda g: g.normal((), mean=[0.0, 1.0]), ShapeError, r"shape \[2\] do not broadcast to the \[\]"),
        (lambda g: g.bernoulli([0.5, 0.5], 1), ShapeError, r"shape \[2\] do not broadcast to the \[1\]"),
        (lambda g: g.bernoulli(1.5), DefinitionError, "within 0 and 1"),
        (lambda g: g.bernoulli(math.nan), DefinitionError, "within 0 and 1"),
        (lambda g: g.randint(3, 3), DefinitionError, "no integers of int64 from 3 to below 3"),
        (lambda g: g.randint(0, 2**64), DefinitionError, "too many"),
    ],
)
def test_wrong_arguments_are_errors(draw: Callable[[Generator], Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        draw(Generator(0))


def test_functions_draw_from_the_default_generator() -> None:
    calls: list[tuple[Callable[..., Tensor], tuple[Any, ...]]] = [
        (random.uniform, (3, -1.0)),
        (random.normal, (3, 1.0, 2.0)),
        (random.bernoulli, (0.5, 9)),
        (random.randint, (0, 99, 3)),
        (random.permutation, (7,)),
    ]
    random.seed(20)
    twin, other = Generator(20), Generator(20)
    for function, arguments in calls:
        expected = getattr(twin, function.__name__)(*arguments).tolist()
        assert function(*arguments).tolist() == expected
        assert function(*arguments, generator=other).tolist() == expected
    assert random.default_generator().state.tolist() == twin.state.tolist()


def test_reseeding_reaches_graphs_that_were_traced_before() -> None:
    random.seed(21)
    graph = trace(lambda: random.uniform(2))()
    random.seed(22)
    ((outside, _),) = graph.captured
    np.testing.assert_array_equal(interpret(graph, [outside.numpy()])[0], Generator(22).uniform(2).numpy())
