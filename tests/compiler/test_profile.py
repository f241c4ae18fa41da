"""Profiles: every kernel is measured, nothing is disturbed, and the picture shows what is attainable."""

from __future__ import annotations

import math
import xml.etree.ElementTree as ET
from collections.abc import Iterator

import numpy as np
import pytest

import chainrule as cr
from chainrule import losses, nn, optim
from chainrule.compiler.peak import LEVELS, SIZES, Peaks, peaks
from chainrule.compiler.profile import Profile
from chainrule.compiler.roofline import Dot, roofline
from chainrule.compiler.threads import get_threads, set_threads
from chainrule.drawing.parts import text_width
from chainrule.errors import IndexingError

SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture(params=[1, 2, 3])
def threads(request: pytest.FixtureRequest) -> Iterator[int]:
    before = get_threads()
    set_threads(request.param)
    yield request.param
    set_threads(before)


def ones(*shape: int) -> np.ndarray:
    return np.ones(shape, np.float32)


class Example:
    """A training step with dropout, so that it draws random numbers as well."""

    def __init__(self) -> None:
        cr.random.seed(3)
        self.model = nn.Sequential(nn.Linear(12, 40), nn.Tanh(), nn.Dropout(0.2), nn.Linear(40, 4))
        self.optimizer = optim.Adam(self.model.parameters(), lr=1e-2)
        self.step = cr.compile(self._step)
        self.batch = np.linspace(-1, 1, 24 * 12, dtype=np.float32).reshape(24, 12), np.arange(24) % 4

    def _step(self, x, y):
        loss = losses.cross_entropy(self.model(x), y)
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        return loss

    def losses(self, count: int) -> list[float]:
        return [self.step(*self.batch).item() for _ in range(count)]

    def state(self) -> list[np.ndarray]:
        return [p.numpy().copy() for p in self.model.parameters()]


def test_profiling_changes_nothing(threads: int) -> None:
    plain, profiled = Example(), Example()
    cr.random.seed(7)
    expected = plain.losses(4)
    cr.random.seed(7)
    got = profiled.losses(2)
    before = profiled.state()
    profiled.step.profile(*profiled.batch, repeats=3)
    for a, b in zip(before, profiled.state(), strict=True):
        np.testing.assert_array_equal(a, b)
    assert got + profiled.losses(2) == expected


def test_a_function_can_be_profiled_before_it_is_called() -> None:
    fresh, other = Example(), Example()
    cr.random.seed(7)
    expected = other.losses(2)
    fresh.step.profile(*fresh.batch, repeats=1)
    cr.random.seed(7)
    assert fresh.losses(2) == expected


def test_every_kernel_has_its_row(threads: int) -> None:
    example = Example()
    profile = example.step.profile(*example.batch, repeats=5)
    kernels = example.step.kernels
    assert sum(row.kernel.count for row in profile) == len(kernels)
    assert sum(row.flops for row in profile) == sum(kernel.flops * kernel.count for kernel in kernels)
    assert sum(row.bytes for row in profile) == sum(kernel.bytes * kernel.count for kernel in kernels)
    times = [row.seconds for row in profile]
    assert times == sorted(times, reverse=True) and times[0] > 0
    assert profile.repeats == 5 and profile.peaks.threads == threads and profile.seconds > 0
    total = sum(times) + profile.waiting
    assert math.isclose(sum(row.share for row in profile) + profile.waiting / total, 1.0)
    assert (profile.waiting > 0) == (threads > 1)


def test_kernels_in_loops_count_for_every_iteration() -> None:
    @cr.compile
    def function(xs, w):
        return cr.scan(lambda h, x: (cr.tanh(h @ w + x), h.sum()), cr.zeros((16, 32)), xs)

    profile = function.profile(ones(50, 16, 32), ones(32, 32), repeats=3)
    (product,) = [row for row in profile if row.kernel.kind == "product"]
    assert product.flops == 50 * product.kernel.flops
    assert product.bytes == 50 * product.kernel.bytes


def test_an_epoch_is_measured_by_one_of_its_steps() -> None:
    total = cr.tensor(0.0)

    @cr.compile
    def step(x):
        total.assign(total + x.sum())

    data = np.arange(20, dtype=np.float32).reshape(20, 1)
    cr.epoch(step, [data], np.arange(20), batch_size=5)
    profile = step.companions["epoch"].profile(np.arange(5), data, repeats=2)
    assert total.item() == data.sum()
    assert all(row.flops == row.kernel.flops * row.kernel.count for row in profile)
    cr.epoch(step, [data], np.arange(20), batch_size=5)
    assert total.item() == 2 * data.sum()


def test_equal_kernels_share_a_row() -> None:
    @cr.compile
    def function(x, w, v):
        return (x @ w).sum(), (x @ v).sum()

    profile = function.profile(ones(8, 9), ones(9, 10), ones(9, 10), repeats=2)
    assert [row.kernel.count for row in profile if row.kernel.kind == "product"] == [2]
    assert "2 x" in str(profile)


def test_an_error_in_a_run_leaves_everything_as_it_was() -> None:
    x = cr.tensor(ones(4))

    @cr.compile
    def function(i):
        x.assign(x + cr.take(x, i))

    function(np.array([0, 1, 2, 3]))
    with pytest.raises(IndexingError):
        function.profile(np.array([0, 1, 2, 9]))
    np.testing.assert_array_equal(x.numpy(), 2 * ones(4))
    function(np.array([0, 1, 2, 3]))
    np.testing.assert_array_equal(x.numpy(), 4 * ones(4))


def test_each_run_starts_from_the_same_state() -> None:
    """A counter that is used as an index would leave its axis if runs went on from each other."""
    position = cr.tensor(np.array([0]))

    @cr.compile
    def function(x):
        position.assign(position + 1)
        return cr.take(x, position)

    function.profile(ones(4), repeats=20)
    assert position.numpy().tolist() == [0]
    assert function(np.arange(4.0)).numpy().tolist() == [1.0]


def test_the_table_says_what_bounds_a_kernel() -> None:
    @cr.compile
    def function(x):
        return x @ x, x.mT.sum(axis=0)

    profile = function.profile(np.ones((64, 64)), repeats=3)
    bounds = {row.kernel.kind: row.bound for row in profile}
    assert bounds == {"product": "float64", "rows": "L2"} or bounds == {"product": "float64", "rows": "L1"}
    text = repr(profile).splitlines()
    assert text[0].split() == [
        "kind", "computes", "shape", "FLOPs", "bytes", "time", "share", "of", "peak", "bound", "by", "source",
    ]  # fmt: skip
    assert text[-1].startswith("peaks: float32 ") and all(level in text[-1] for level in LEVELS)
    assert len(profile) == 2


def test_a_function_without_kernels_can_be_profiled_and_drawn() -> None:
    profile = cr.compile(lambda: None).profile(repeats=1)
    assert len(profile) == 0
    assert ET.fromstring(profile.draw()).tag == f"{SVG}svg"


@pytest.mark.parametrize(("dtype", "other"), [("float32", "float64"), ("float64", "float32")])
def test_the_picture_shows_the_peaks_of_the_floats_that_are_used(dtype: str, other: str) -> None:
    x = np.ones((64, 64), dtype)
    found = texts(cr.compile(lambda x: x @ x).profile(x, repeats=2).draw())
    assert any(text.startswith(f"{dtype} ") for text in found)
    assert not any(text.startswith(f"{other} ") for text in found)


def circles(picture: str) -> list[ET.Element]:
    return [x for x in ET.fromstring(picture).iter(f"{SVG}circle") if x.find(f"{SVG}title") is not None]


def test_the_picture_has_a_dot_for_every_kernel_that_computes() -> None:
    example = Example()
    profile: Profile = example.step.profile(*example.batch, repeats=3)
    found = circles(profile.draw())
    assert len(found) == sum(1 for row in profile if row.flops and row.seconds)
    told = [x.findtext(f"{SVG}title") or "" for x in found]
    assert any("24x12x40" in tooltip and "of peak" in tooltip for tooltip in told)
    assert ET.fromstring(profile.draw("a < b")).findtext(f"{SVG}title") == "a < b"


MEMORY = [("L1", 1e12), ("memory", 1e11)]


def dot(intensity: float, speed: float, share: float = 0.2, label: str = "matmul 8x8x8") -> Dot:
    return Dot(label, "product", intensity, speed, share, "<tooltip> & more")


def texts(picture: str) -> list[str]:
    return [x.text or "" for x in ET.fromstring(picture).iter(f"{SVG}text")]


def test_all_dots_lie_within_the_axes() -> None:
    dots = [dot(0.001, 1e3), dot(1e5, 4.9e11), dot(3.0, 1e9)]
    picture = roofline(dots, [("float32", 5e11)], MEMORY, "title")
    places = [(float(x.get("cx", 0)), float(x.get("cy", 0))) for x in circles(picture)]
    assert len(places) == 3
    assert all(78 <= x <= 854 and 58 <= y <= 468 for x, y in places)
    assert all(x.findtext(f"{SVG}title") == "<tooltip> & more" for x in circles(picture))


def test_labels_never_cover_each_other_or_a_dot() -> None:
    dots = [dot(20.0 + i / 10, 3e11, 0.1, f"matmul {i}") for i in range(10)]
    picture = ET.fromstring(roofline(dots, [("float32", 5e11)], MEMORY, "title"))
    boxes: list[tuple[float, float, float, float]] = []
    for x in picture.iter(f"{SVG}text"):
        style = (x.get("class") or "").split()
        if "label" in style:
            width, at, base = text_width(x.text or "", 11), float(x.get("x", 0)), float(x.get("y", 0))
            left = at - width * (0.5 if "middle" in style else 1.0 if "end" in style else 0.0)
            boxes.append((left, base - 10, left + width, base + 3))
    assert 2 <= len(boxes) <= 8
    for x in circles(ET.tostring(picture, encoding="unicode")):
        across, down, radius = (float(x.get(name, 0)) for name in ("cx", "cy", "r"))
        boxes.append((across - radius, down - radius, across + radius, down + radius))
    labels = boxes[: -len(dots)]
    for i, a in enumerate(labels):
        for b in boxes[i + 1 :]:
            assert a[2] <= b[0] + 0.2 or b[2] <= a[0] + 0.2 or a[3] <= b[1] + 0.2 or b[3] <= a[1] + 0.2


def test_small_dots_are_not_labelled() -> None:
    assert "tiny  0%" not in texts(roofline([dot(1.0, 1e9, 0.001, "tiny")], [("float32", 5e11)], MEMORY, "title"))


def test_every_roof_is_named() -> None:
    found = texts(roofline([], [("float64", 2.5e11), ("float32", 5e11)], MEMORY, "title"))
    for name in ("float64 250 GFLOP/s", "float32 500 GFLOP/s", "L1 1.00 TB/s", "memory 100 GB/s"):
        assert name in found


def test_peaks_are_measured_once(threads: int) -> None:
    found = peaks(threads)
    assert found is peaks(threads)
    assert found.threads == threads
    assert min(found.float32, found.float64, *found.bandwidths) > 0


def test_the_level_is_the_smallest_that_holds_what_each_thread_touches() -> None:
    found = Peaks(2, 1e9, 1e9, (1e9,) * 4)
    assert [found.level(2 * 2 * size) for size in SIZES] == [0, 1, 2, 3]
    assert found.level(0) == 0 and found.level(1e12) == 3
    assert found.arithmetic(True) == found.float64
