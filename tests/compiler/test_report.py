"""The table of kernels: what each does, how much it computes and moves, loops, barriers and memory."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

import chainrule as cr
from chainrule import losses, nn, optim
from chainrule.compiled import Compiled
from chainrule.compiler.report import Kernel, KernelTable, Loop, magnitude
from chainrule.errors import TraceError


def ones(*shape: int) -> np.ndarray:
    return np.ones(shape, np.float32)


def table(function, *args) -> KernelTable:
    compiled = cr.compile(function)
    compiled(*args)
    return compiled.kernels


def only(function, *args) -> Kernel:
    (kernel,) = table(function, *args)
    return kernel


def training_step(depth: int = 1) -> tuple[Compiled, tuple[np.ndarray, np.ndarray]]:
    layers = [module for _ in range(depth) for module in (nn.Linear(16, 16), nn.ReLU())]
    model = nn.Sequential(*layers, nn.Linear(16, 3))
    optimizer = optim.Adam(model.parameters(), lr=1e-3)

    @cr.compile
    def step(x, y):
        loss = losses.cross_entropy(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    return step, (ones(8, 16), np.arange(8) % 3)


def test_a_product_shows_rows_summands_and_columns() -> None:
    kernel = only(lambda x, w: x @ w, ones(32, 64), ones(64, 30))
    assert (kernel.kind, kernel.computes, kernel.shape) == ("product", "matmul", "32x64x30")
    assert kernel.flops == 2 * 32 * 64 * 30
    assert kernel.bytes == 4 * (32 * 64 + 64 * 30 + 32 * 30)
    assert "tiles of" in kernel.plan


def test_a_batch_of_products_shows_how_many_there_are() -> None:
    kernel = only(lambda x, w: x @ w, ones(5, 4, 8), ones(5, 8, 6))
    assert kernel.shape == "5 of 4x8x6"
    assert kernel.flops == 5 * 2 * 4 * 8 * 6


def test_what_is_computed_before_a_product_is_stored_belongs_to_it() -> None:
    kernel = only(lambda x, w, b: cr.relu(x @ w + b), ones(32, 64), ones(64, 30), ones(30))
    assert kernel.computes == "matmul add relu"
    assert kernel.flops == 2 * 32 * 64 * 30 + 2 * 32 * 30
    assert kernel.bytes == 4 * (32 * 64 + 64 * 30 + 30 + 32 * 30)


def test_loops_with_reductions_are_rows_and_those_without_are_maps() -> None:
    rows = only(lambda x: x.sum(axis=1), ones(12, 20))
    assert (rows.kind, rows.shape, rows.flops, rows.bytes) == ("rows", "12x20", 240, 4 * (240 + 12))
    single = only(lambda x: x + 1.0, ones(12, 20))
    assert (single.kind, single.shape, single.flops, single.bytes) == ("map", "12x20", 240, 4 * 480)


def test_only_what_is_read_counts() -> None:
    assert only(lambda x: x[2:4] + 1.0, ones(100, 10)).bytes == 4 * (20 + 20)
    assert only(lambda x, y: x + y, ones(10, 7), ones(7)).bytes == 4 * (70 + 7 + 70)
    assert only(lambda x: x * x + x, ones(10, 7)).bytes == 4 * (70 + 70)


def test_a_function_counts_as_the_operations_that_it_is_worth() -> None:
    assert only(lambda x: cr.exp(x), ones(10)).flops > 50


def test_integers_do_no_floating_point_operations() -> None:
    assert only(lambda x: x + x, np.arange(10)).flops == 0


def test_a_kernel_that_changes_nothing_is_a_copy() -> None:
    kernel = only(lambda x: x.mT, ones(6, 7))
    assert (kernel.kind, kernel.computes, kernel.flops, kernel.bytes) == ("copy", "copy", 0, 4 * 84)


def test_gathered_rows_count_and_not_all_that_they_are_taken_from() -> None:
    kernel = only(lambda x, i: cr.take(x, i, axis=0), ones(1000, 16), np.arange(5))
    assert (kernel.kind, kernel.computes) == ("native", "take")
    assert kernel.bytes == 4 * 2 * 5 * 16 + 8 * 5


def test_convolutions_count_their_products_in_both_directions() -> None:
    x, w, ct = ones(2, 3, 10, 10), ones(4, 3, 3, 3), ones(2, 4, 8, 8)
    expected = 2 * (2 * 4 * 8 * 8) * (3 * 3 * 3)

    def all_three(x: cr.Tensor, w: cr.Tensor, ct: cr.Tensor) -> tuple[cr.Tensor, ...]:
        y, pullback = cr.vjp(cr.conv, x, w)
        return y, *pullback(ct)

    counted = [kernel.flops for kernel in table(all_three, x, w, ct) if kernel.computes.startswith("convolution")]
    assert counted == [expected] * 3


@pytest.mark.parametrize("function", [cr.scatter_add, cr.add_along_axis])
def test_what_is_added_at_indices_counts(function) -> None:
    args = (ones(10), np.array([1, 2, 1]), ones(3))
    assert only(lambda x, i, u: function(x, i, u, axis=0), *args).flops == 3


def test_sums_along_an_axis_count() -> None:
    assert only(lambda x: cr.cumulative_sum(x), ones(9)).flops == 9


def test_float64_is_told_from_float32() -> None:
    assert only(lambda x: x * x, np.ones(3)).wide
    assert not only(lambda x: x * x, ones(3)).wide


def test_a_kernel_tells_which_parameters_it_updates_and_from_which_line() -> None:
    step, batch = training_step()
    step(*batch)
    updated = [kernel for kernel in step.kernels if kernel.kind == "product" and kernel.updates]
    assert sorted(kernel.updates[0] for kernel in updated) == ["sequential.0.weight", "sequential.2.weight"]
    assert "-> sequential.0.weight (+2)" in str(step.kernels)
    assert all(kernel.source.startswith("test_report.py:") for kernel in step.kernels)


def test_equal_kernels_in_a_row_are_counted() -> None:
    step, batch = training_step(depth=12)
    step(*batch)
    counted = step.kernels
    assert max(kernel.count for kernel in counted) >= 8
    assert len(counted) > sum(1 for _ in counted) and len(counted) > counted.distinct
    numbers = [(kernel.number, kernel.count) for kernel in counted]
    assert all(number + count == after for (number, count), (after, _) in pairwise(numbers))
    assert " x  " in str(counted)


def test_loops_are_shown_with_what_is_in_them() -> None:
    def function(xs, w):
        return cr.scan(lambda h, x: (cr.tanh(h @ w + x), h), cr.zeros((4, 8)), xs)

    made = table(function, ones(7, 4, 8), ones(8, 8))
    loops = [row for row in made.rows if isinstance(row, Loop)]
    assert loops == [Loop(7, 0)]
    inside = [kernel for kernel in made if kernel.depth == 1]
    assert inside and all(kernel.times == 7 for kernel in inside)
    assert any(kernel.kind == "product" for kernel in inside)
    assert made.barriers >= 7
    text = str(made).splitlines()
    head = next(i for i, line in enumerate(text) if "7 times:" in line)
    assert any("  matmul" in line for line in text[head:])


def test_the_steps_of_an_epoch_are_a_loop() -> None:
    total = cr.tensor(0.0)

    @cr.compile
    def step(x):
        total.assign(total + x.sum())

    cr.epoch(step, [ones(20, 3)], np.arange(20), batch_size=5)
    made = step.kernels
    assert made.rows[0] == Loop(-1, 0)
    assert "each step of an epoch:" in str(made)
    assert next(kernel.computes for kernel in made) == "take"


def test_loops_in_an_epoch_count_for_one_of_its_steps() -> None:
    total = cr.tensor(ones(4))

    @cr.compile
    def step(x):
        total.assign(cr.scan(lambda h, row: (h * row, None), total, x)[0])

    cr.epoch(step, [ones(20, 4)], np.arange(20), batch_size=5)
    inside = [kernel for kernel in step.kernels if kernel.depth == 2]
    assert inside and {kernel.times for kernel in inside} == {5}


def test_memory_and_barriers_stand_below() -> None:
    step, batch = training_step(depth=2)
    step(*batch)
    made = step.kernels
    assert 0 < made.arena <= made.tensors
    *_, counted, memory = repr(made).splitlines()
    assert counted.startswith(f"{len(made)} kernels ({made.distinct} distinct), {made.barriers} barrier")
    assert memory.startswith(f"memory: arena of {magnitude(made.arena)}B for tensors of {magnitude(made.tensors)}B")


def test_a_program_without_kernels_has_a_table_too() -> None:
    made = table(lambda: None)
    assert len(made) == made.barriers == 0
    assert "0 kernels" in str(made)


def test_a_program_from_the_disk_has_the_same_table(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHAINRULE_CACHE_DIR", str(tmp_path))

    def function(x, w):
        return cr.relu(x @ w)

    args = ones(4, 5), ones(5, 6)
    assert table(function, *args) == table(function, *args)


def test_before_the_first_call_there_is_nothing_to_show() -> None:
    compiled = cr.compile(lambda x: x)
    with pytest.raises(TraceError, match="before it has been called"):
        _ = compiled.kernels


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (0, "0 "), (7, "7 "), (999, "999 "), (999.6, "1.00 k"), (1234, "1.23 k"), (99_949, "99.9 k"),
        (99_951, "100 k"), (2.5e13, "25.0 T"), (1_000_000, "1.00 M"),
    ],
)  # fmt: skip
def test_magnitudes_have_three_digits(number: float, text: str) -> None:
    assert magnitude(number) == text
