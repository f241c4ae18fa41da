"""Matrix products in native code against NumPy's, for all kinds of sizes, strides and processors."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest

from chainrule.native.code import Function
from chainrule.native.contraction import Contraction, Plan, cost, plan
from chainrule.native.lanes import Lanes
from chainrule.native.target import Target
from chainrule.types import DType, bfloat16, float32, float64, int32, int64, uint8
from tests.native.contraction.contracting import Compiled, bits, guarded, numbers, strides
from tests.native.harness import HOST, TARGETS

TOLERANCE = {float32: 1e-6, bfloat16: 1e-6, float64: 1e-15}
ORDERS = {  # the order of the axes in memory, and how many elements are left out between neighbours
    "row": ((0, 1, 2), 1),
    "column": ((0, 2, 1), 1),
    "batch last": ((1, 2, 0), 1),
    "spaced": ((0, 1, 2), 2),
}


def operand(rng: np.random.Generator, shape: tuple[int, ...], dtype: DType, order: str, *, at_end: bool) -> np.ndarray:
    axes, gap = ORDERS[order]
    stored = [shape[i] for i in axes]
    stored[-1] = max((stored[-1] - 1) * gap + 1, 0)
    memory = guarded(tuple(stored), dtype.numpy, at_end=at_end)
    drawn = rng.integers(-(2**30), 2**30, stored) if dtype.kind == "int" else rng.standard_normal(stored)
    memory[...] = bits(drawn, dtype)
    return np.transpose(memory[..., ::gap], np.argsort(axes))


class Case:
    """Operands, the result that is right, and memory for the one that is to be checked."""

    def __init__(
        self,
        sizes: tuple[int, int, int, int],
        orders: tuple[str, str, str] = ("row", "row", "row"),
        dtype: DType = float32,
        *,
        at_end: bool = True,
    ) -> None:
        rng = np.random.default_rng(sum(sizes))
        batch, m, n, k = sizes
        out = float32 if dtype is bfloat16 else dtype
        self.a = operand(rng, (batch, m, k), dtype, orders[0], at_end=at_end)
        self.b = operand(rng, (batch, k, n), dtype, orders[1], at_end=at_end)
        self.c = operand(rng, (batch, m, n), out, orders[2], at_end=at_end)
        places = [strides(x) for x in (self.a, self.b, self.c)]
        self.contraction = Contraction(dtype, out, batch, m, n, k, *places)
        self.expected = np.matmul(numbers(self.a, dtype), numbers(self.b, dtype))
        self.scale = np.matmul(abs(numbers(self.a, dtype)), abs(numbers(self.b, dtype))) if out.is_float else None

    def check(self) -> None:
        if self.scale is None:
            np.testing.assert_array_equal(self.c, self.expected)
        else:
            error = abs(self.c - self.expected)
            assert (error <= TOLERANCE[self.contraction.dtype] * self.scale).all(), error.max()

    def run(self, target: Target, axis: str | None = None, block: int | None = None) -> Plan:
        made = plan(self.contraction, target, axis, block)
        if made.units:
            Compiled(self.contraction, made, target)(self.a, self.b, self.c)
        self.check()
        return made


@pytest.mark.parametrize("target", TARGETS, ids=lambda t: t.cpu)
@pytest.mark.parametrize("orders", list(itertools.product(("row", "column"), repeat=3)))
@pytest.mark.parametrize("sizes", [(2, 13, 33, 18), (1, 24, 32, 30), (1, 3, 17, 9), (3, 29, 5, 64)])
def test_products_are_numpys_whichever_way_the_operands_lie(sizes, orders, target):
    Case(sizes, orders).run(target)


@pytest.mark.parametrize("target", TARGETS, ids=lambda t: t.cpu)
@pytest.mark.parametrize("at_end", [True, False])
@pytest.mark.parametrize("order", ["batch last", "spaced"])
def test_any_strides_will_do(order, at_end, target):
    Case((3, 15, 21, 19), (order, order, order), at_end=at_end).run(target)


@pytest.mark.parametrize("target", TARGETS, ids=lambda t: t.cpu)
@pytest.mark.parametrize("axis", [0, 1, 2])
def test_operands_may_be_broadcast(axis, target):
    case = Case((2, 9, 19, 23))
    for name in ("a", "b"):
        whole = getattr(case, name)
        setattr(case, name, np.broadcast_to(whole.take([0], axis), whole.shape))
    case.contraction = replace(case.contraction, a=strides(case.a), b=strides(case.b))
    case.expected = np.matmul(numbers(case.a, float32), numbers(case.b, float32))
    case.scale = np.matmul(abs(numbers(case.a, float32)), abs(numbers(case.b, float32)))
    case.run(target)


@pytest.mark.parametrize("target", TARGETS, ids=lambda t: t.cpu)
@pytest.mark.parametrize("orders", [("row", "row", "row"), ("column", "column", "row")])
@pytest.mark.parametrize("dtype", [float64, bfloat16, int32, int64, uint8], ids=str)
def test_every_number_type_has_products(dtype, orders, target):
    Case((2, 14, 35, 21), orders, dtype).run(target)
    Case((1, 9, 3, 5), orders, dtype, at_end=False).run(target)


@pytest.mark.parametrize("axis", ["batch", "m", "n"])
@pytest.mark.parametrize("sizes", [(1, 1, 1, 1), (1, 40, 1, 50), (1, 1, 40, 50), (4, 7, 50, 1), (1, 2, 2, 100)])
@pytest.mark.parametrize("order", ["row", "column"])
def test_axes_of_one_element_work(sizes, axis, order):
    Case(sizes, (order, "row", "row")).run(HOST, axis)
    Case(sizes, (order, "column", "row"), at_end=False).run(HOST, axis)


@pytest.mark.parametrize("sizes", [(0, 3, 4, 5), (2, 0, 4, 5), (2, 3, 0, 5)])
def test_nothing_is_nothing(sizes):
    case = Case(sizes)
    made = case.run(HOST)
    assert made.units == 0
    Compiled(case.contraction, made, HOST).some(0, 0, case.a, case.b, case.c)


@pytest.mark.parametrize("sizes", [(1, 8, 16, 4), (1, 64, 64, 64)])
def test_a_call_without_units_does_nothing(sizes):
    case = Case(sizes)
    made = plan(case.contraction, HOST)
    case.c[...] = np.nan
    Compiled(case.contraction, made, HOST).some(made.units, made.units, case.a, case.b, case.c)
    assert np.isnan(case.c).all()


@pytest.mark.parametrize("target", TARGETS, ids=lambda t: t.cpu)
def test_results_may_be_stored_as_bfloat16(target):
    case = Case((1, 20, 37, 30), dtype=bfloat16)
    stored = guarded((1, 20, 37), np.dtype(np.uint16), at_end=True)
    contraction = replace(case.contraction, out=bfloat16)
    Compiled(contraction, plan(contraction, target), target)(case.a, case.b, stored)
    np.testing.assert_allclose(numbers(stored, bfloat16), case.expected, rtol=2**-8, atol=1e-5)


@pytest.mark.parametrize("target", TARGETS, ids=lambda t: t.cpu)
@pytest.mark.parametrize("order", ["row", "column"])
def test_a_sum_of_nothing_is_zero(order, target):
    case = Case((2, 3, 20, 0), ("row", order, "row"))
    case.run(target)
    assert not case.c.any()


@pytest.mark.parametrize("target", TARGETS, ids=lambda t: t.cpu)
def test_sizes_next_to_those_of_a_tile_are_right(target):
    lanes = target.lanes(4)
    tile = plan(Case((1, 48, 4 * lanes, 20)).contraction, target)
    for m, n in itertools.product((-1, 0, 1), repeat=2):
        Case((1, 2 * tile.rows + m, 2 * tile.vectors * lanes + n, 20), at_end=m > 0).run(target)


@pytest.mark.parametrize("target", TARGETS, ids=lambda t: t.cpu)
@pytest.mark.parametrize("orders", [("row", "row", "row"), ("column", "column", "row"), ("spaced", "row", "column")])
@pytest.mark.parametrize("n", [64, 37])
def test_long_sums_are_made_in_blocks(n, orders, target):
    case = Case((1, 30, n, 1601), orders)
    assert case.run(target).depth < 1601


@pytest.mark.parametrize("target", TARGETS, ids=lambda t: t.cpu)
@pytest.mark.parametrize("orders", [("row", "row", "row"), ("column", "row", "row")])
def test_large_operands_whose_rows_fall_on_the_same_cache_lines_are_copied(orders, target):
    case = Case((1, 261, 520, 512), orders)
    wide = Case((1, 512, 512, 1024), orders).contraction
    assert plan(wide, target).copy_a
    assert plan(wide, target).copy_b == "all"
    case.run(target)
    Case((1, 512, 512, 1024), orders).run(target)


def test_the_last_block_of_a_long_sum_is_never_short():
    case = Case((1, 20, 20, 4097), ("row", "column", "row"))
    assert 4097 % case.run(HOST).depth >= 64


def test_many_products_are_cut_between_products():
    assert Case((9, 5, 20, 10)).run(HOST).axis == "batch"


def test_more_rows_than_a_block_holds():
    Case((1, 600, 40, 1000), ("row", "column", "row")).run(HOST)
    Case((1, 40, 1100, 1700), ("row", "column", "row")).run(HOST)


@pytest.mark.parametrize("axis", ["batch", "m", "n"])
@pytest.mark.parametrize("sizes", [(5, 70, 90, 33), (3, 50, 64, 1700)])
def test_units_give_the_same_bits_in_any_split(sizes, axis):
    case = Case(sizes, ("row", "column", "row"))
    made = plan(case.contraction, HOST, axis)
    compiled = Compiled(case.contraction, made, HOST)
    assert made.axis == axis
    assert made.units > 1
    compiled(case.a, case.b, case.c)
    case.check()
    whole = case.c.copy()
    for cuts in ((1,), (made.units // 2,), tuple(range(1, made.units))):
        case.c[...] = np.nan
        compiled(case.a, case.b, case.c, cuts=cuts)
        np.testing.assert_array_equal(case.c, whole)


@pytest.mark.parametrize("target", TARGETS, ids=lambda t: t.cpu)
@pytest.mark.parametrize(("axis", "block"), [("n", 16), ("n", 48), ("m", 8), ("m", 7), ("batch", 2)])
def test_the_caller_says_how_units_are_cut(axis, block, target):
    made = Case((3, 64, 96, 30), ("row", "column", "row")).run(target, axis, block)
    assert (made.axis, made.block) == (axis, block)
    assert made.units == -(-{"batch": 3, "m": 64, "n": 96}[axis] // block)


def test_a_block_of_columns_is_rounded_up_to_vectors():
    made = Case((1, 20, 100, 10)).run(HOST, "n", HOST.lanes(4) + 1)
    assert made.block == 2 * HOST.lanes(4)


@pytest.mark.parametrize("target", TARGETS, ids=lambda t: t.cpu)
@pytest.mark.parametrize("sizes", [(2, 30, 40, 20), (1, 13, 32, 64), (1, 2, 45, 70), (1, 20, 50, 1700)])
def test_an_epilogue_meets_every_element_once(sizes, target):
    case = Case(sizes, ("row", "column", "row"))
    batch, m, n, _ = sizes
    made = plan(case.contraction, target)
    seen = guarded((batch, m, n), np.dtype(np.float32), at_end=True)
    seen[...] = 0
    bias = np.arange(m, dtype=np.float32)

    def epilogue(v: Lanes, value, b, i, j, mask) -> None:
        f, steps = v.f, strides(case.c)
        at = f.add(f.add(f.mul(b, steps[0]), f.mul(i, steps[1])), j)
        counts, c = f.pointer(made.arguments), f.pointer(made.arguments + 2)
        v.store(v.load(float32, counts, at, mask) + 1.0, counts, at, mask)
        v.store(value + v.load_one(float32, f.pointer(made.arguments + 1), i), c, at, mask)

    Compiled(case.contraction, made, target, epilogue)(case.a, case.b, None, seen, bias, case.c)
    assert (seen == 1).all()
    case.expected = case.expected + bias[:, None]
    case.scale = case.scale + bias[:, None]
    case.check()


@pytest.mark.parametrize("target", TARGETS, ids=lambda t: t.cpu)
@pytest.mark.parametrize("beside", [False, True])
def test_every_line_that_an_epilogue_reads_is_asked_for(beside, target):
    case = Case((2, 21, 75, 20), ("row", "column", "row"))
    made = plan(case.contraction, target)
    asked = np.zeros((2, 21, 75), np.float32)

    def ahead(f: Function, b, i, j) -> None:
        one, steps = Lanes(f, 1), strides(case.c)
        at = f.add(f.add(f.mul(b, steps[0]), f.mul(i, steps[1])), j)
        one.store(one.constant(float32, 1), f.pointer(made.arguments), at)

    def epilogue(v: Lanes, value, b, i, j, mask) -> None:
        steps = strides(case.c)
        at = v.f.add(v.f.add(v.f.mul(b, steps[0]), v.f.mul(i, steps[1])), j)
        v.store(value, v.f.pointer(made.arguments + 1), at, mask)

    Compiled(case.contraction, made, target, epilogue, ahead, beside=beside)(case.a, case.b, None, asked, case.c)
    case.check()
    line = 64 // 4  # elements
    near = np.stack([np.pad(asked, ((0, 0), (0, 0), (n, 0)))[..., :75] for n in range(line)]).max(0)
    assert (near == 1).all()
    assert asked.mean() < 0.2, "most elements are in a line that another one has asked for"


@pytest.mark.parametrize("target", TARGETS, ids=lambda t: t.cpu)
def test_the_turned_contraction_is_the_same_one(target):
    case = Case((2, 20, 30, 40), ("row", "row", "column"))
    turned = case.contraction.turned()
    assert turned.turned() == case.contraction
    Compiled(turned, plan(turned, target), target)(case.b, case.a, case.c)
    case.check()


def test_random_contractions_are_right():
    rng = np.random.default_rng(5)
    for number in range(40):
        sizes = tuple(int(x) for x in (rng.integers(1, 4), *rng.integers(1, 70, 2), rng.integers(0, 90)))
        orders = tuple(str(x) for x in rng.choice(list(ORDERS), 3))
        dtype = [float32, float64][number % 2]
        Case(sizes, orders, dtype, at_end=number % 3 > 0).run(TARGETS[number % 3], str(rng.choice(["m", "n", "batch"])))


def test_the_cheaper_way_round_costs_less():
    tall = Contraction(float32, float32, 1, 1024, 1, 1024, (0, 1024, 1), (0, 1, 1), (0, 1, 1))
    assert cost(tall.turned(), HOST) < cost(tall, HOST)
    along = Contraction(float32, float32, 1, 64, 64, 64, (0, 64, 1), (0, 64, 1), (0, 64, 1))
    across = Contraction(float32, float32, 1, 64, 64, 64, (0, 64, 1), (0, 1, 64), (0, 64, 1))
    assert cost(along, HOST) < cost(across, HOST)
    assert along.flops == 2 * 64**3


def test_a_plan_says_what_it_does():
    made = plan(Contraction(float32, float32, 1, 64, 64, 64, (0, 64, 1), (0, 1, 64), (0, 64, 1)), HOST, "n", 16)
    assert made.text == f"tiles of {made.rows} rows by {made.vectors} vectors, B packed, n cut by 16"
    dots = plan(Contraction(float32, float32, 1, 1, 512, 512, (0, 512, 1), (0, 1, 512), (0, 512, 1)), HOST)
    assert dots.text.startswith("dot products, n cut by")
