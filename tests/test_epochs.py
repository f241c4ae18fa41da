"""Epochs in native code: the same as step after step, and interrupted only between two of them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule import losses, nn, optim
from chainrule.compiled import compile
from chainrule.epochs import epoch
from chainrule.errors import DataError, DefinitionError, IndexingError, ShapeError
from chainrule.random import seed
from chainrule.tensor import Tensor, tensor

X = np.random.default_rng(0).normal(size=(50, 6)).astype(np.float32)
Y = np.random.default_rng(1).integers(0, 3, 50)


def network() -> tuple[Any, Any]:
    seed(0)
    model = nn.Sequential(nn.Linear(6, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Dropout(0.2), nn.Linear(16, 3))
    optimizer = optim.Adam(model.parameters(), 0.01)

    @compile
    def step(x: Tensor, y: Tensor) -> Tensor:
        loss = losses.cross_entropy(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    return step, model


def assert_same_state(first: Any, second: Any) -> None:
    for (name, a), b in zip(first.state_dict().items(), second.state_dict().values(), strict=True):
        assert a.tobytes() == b.tobytes(), name


@pytest.mark.parametrize(("rows", "batch"), [(48, 8), (50, 8), (5, 8), (50, 50), (4, 2)])
def test_an_epoch_does_what_its_steps_do(rows: int, batch: int) -> None:
    order = np.random.default_rng(2).permutation(50)[:rows]
    together, first = network()
    found = epoch(together, (X, Y), order, batch_size=batch)
    one_by_one, second = network()
    parts = [order[i : i + batch] for i in range(0, rows, batch)]
    expected = [one_by_one(X[part], Y[part]).item() for part in parts]
    assert found.dtype == np.float32 and found.shape == (len(parts),)
    np.testing.assert_allclose(found, expected, rtol=2e-6)
    for a, b in zip(first.state_dict().values(), second.state_dict().values(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)


def test_epochs_give_the_same_bits_again_and_for_any_number_of_threads() -> None:
    states = []
    for threads in (1, 2, 4, 2):
        cr.set_threads(threads)
        step, model = network()
        found = [epoch(step, (X, Y), np.arange(50), batch_size=12) for _ in range(2)]
        states.append(([x.tobytes() for x in found], model))
    for losses_, model in states[1:]:
        assert losses_ == states[0][0]
        assert_same_state(model, states[0][1])


@pytest.fixture(autouse=True)
def as_many_threads_as_before() -> Any:
    before = cr.get_threads()
    yield
    cr.set_threads(before)


def test_results_of_all_kinds_are_stacked() -> None:
    count = tensor(0)

    @compile
    def step(x: Tensor) -> Any:
        count.assign(count + 1)
        return {"n": count, "rows": x * 2, "none": None, "flag": x.sum() > 5, "empty": x[:0]}

    data = np.arange(12, dtype=np.int32).reshape(6, 2)
    found = epoch(step, [data], [5, 0, -1, 2], batch_size=2)
    assert found["n"].tolist() == [1, 2] and found["none"] is None and found["flag"].tolist() == [True, True]
    assert found["rows"].tolist() == (2 * data[[[5, 0], [5, 2]]]).tolist() and found["empty"].shape == (2, 0, 2)
    assert count.item() == 2


@pytest.mark.parametrize(
    "data",
    [
        np.asfortranarray(X),
        tensor(X),
        tensor(np.asfortranarray(X)),
        tensor(np.ascontiguousarray(X.T)).T,
        X.astype(np.float64),
        X[:, ::-1],
        tensor(X, "bfloat16"),
    ],
)
def test_data_of_any_layout_and_type(data: Any) -> None:
    found = epoch(compile(lambda x: x.cast("float32") * 1.0), [data], [3, 1, 4, 0], batch_size=2)
    np.testing.assert_array_equal(found.reshape(4, 6), np.asarray(data, np.float32)[[3, 1, 4, 0]])


def test_a_step_without_results_and_with_two_arguments() -> None:
    total = tensor(0.0)
    step = compile(lambda x, y: total.assign(total + (x * y).sum()))
    assert epoch(step, (np.ones((4, 2), np.float32), np.full((4, 2), 3.0, np.float32)), range(4), batch_size=3) is None
    assert total.item() == 24.0


def test_a_step_with_a_loop_inside() -> None:
    def step(x: Tensor) -> Any:
        return cr.scan(lambda c, row: (c * 0.5 + row, c), x[0] * 0.0, x)

    found = epoch(compile(step), [X], np.arange(50), batch_size=10)
    expected = [step(tensor(X[i : i + 10])) for i in range(0, 50, 10)]
    for i, part in enumerate(expected):
        np.testing.assert_allclose(found[0][i], part[0].numpy(), rtol=1e-6)
        np.testing.assert_allclose(found[1][i], part[1].numpy(), rtol=1e-6)


def test_progress_counts_steps() -> None:
    seen: list[tuple[int, int]] = []
    epoch(compile(lambda x: x.sum()), [X], np.arange(50), batch_size=8, progress=lambda n, all: seen.append((n, all)))
    assert seen[-1] == (7, 7) and all(total == 7 for _, total in seen)
    assert [n for n, _ in seen] == sorted({n for n, _ in seen})


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ((lambda x: x, [X], [0]), DefinitionError, "must be compiled"),
        ((compile(lambda x: x), [X], [0], 0), DefinitionError, "batch_size must be at least 1"),
        ((compile(lambda x: x), [X, Y[:7]], [0]), DataError, "of one first size"),
        ((compile(lambda x: x), [np.float32(1.0)], [0]), DataError, "of one first size"),
        ((compile(lambda x: x), [X], [[0]]), DataError, "a list of row numbers"),
        ((compile(lambda x: x), [X], 3), DataError, "a list of row numbers"),
        ((compile(lambda x: x), [X], [0.5, 1.0]), DataError, r"row numbers, not float64\[2\]"),
        ((compile(lambda x: x), [X], [True, False]), DataError, r"row numbers, not bool\[2\]"),
        ((compile(lambda x: x), [X], []), DataError, "no rows"),
        ((compile(lambda x: x), [X], [0, 1, 2]), DataError, r"another shape in the last.*\[\[2, 6\], \[1, 6\]\]"),
        ((compile(lambda x: x), [X], [0, 50]), IndexingError, "no row 50 among 50"),
        ((compile(lambda x: x), [X], [0, -51]), IndexingError, "no row -51 among 50"),
        ((compile(lambda x: x[100]), [X], [0]), (IndexingError, ShapeError), "100"),
    ],
)
def test_wrong_arguments_are_errors(arguments: Any, error: Any, words: str) -> None:
    step, data, order, *batch_size = arguments
    with pytest.raises(error, match=words):
        epoch(step, data, order, batch_size=batch_size[0] if batch_size else 2)


def test_an_index_outside_within_a_step_is_an_error() -> None:
    table = tensor(np.arange(3.0))
    step = compile(lambda i: table[i])
    with pytest.raises(IndexingError, match="outside of its axis"):
        epoch(step, [np.array([0, 1, 7, 2])], range(4), batch_size=2)
    assert epoch(step, [np.array([0, 1, 2, 2])], range(4), batch_size=2).tolist() == [[0.0, 1.0], [2.0, 2.0]]


def counting() -> tuple[Any, Tensor, Tensor]:
    """A step that changes two tensors together."""
    a, b = tensor(np.zeros((64, 64), np.float32)), tensor(np.zeros(1000, np.float32))

    @compile
    def step(x: Tensor) -> Tensor:
        a.assign(a * 1.0 + (x @ x.T).sum() * 0.0 + 1.0)
        b.assign(b + 1.0)
        return b[0]

    return step, a, b


def test_an_interrupt_comes_soon_and_between_two_steps() -> None:
    step, a, b = counting()
    data = np.ones((64, 64), np.float32)
    order = np.zeros(64 * 200_000, np.int64)
    epoch(step, [data], order[: 64 * 50], batch_size=64)
    done, sent = b.numpy()[0], list[float]()

    def interrupt() -> None:
        sent.append(time.perf_counter())
        os.kill(os.getpid(), signal.SIGINT)

    timer = threading.Timer(0.5, interrupt)
    with pytest.raises(KeyboardInterrupt):
        timer.start()
        epoch(step, [data], order, batch_size=64)
    heard = time.perf_counter()
    assert len(np.unique(a.numpy())) == len(np.unique(b.numpy())) == 1
    assert a.numpy()[0, 0] == b.numpy()[0] > done
    assert heard - sent[0] < 2.0  # about 0.1 on a quiet machine
    epoch(step, [data], order[:64], batch_size=64)
    assert a.numpy()[0, 0] == b.numpy()[0]


def test_threads_that_have_nothing_to_do_take_no_time() -> None:
    step, _ = network()
    cr.set_threads(4)
    epoch(step, (X, Y), np.arange(50), batch_size=8)
    threading.Event().wait(0.05)
    before = time.process_time()
    threading.Event().wait(0.5)
    assert time.process_time() - before < 0.1


def test_a_child_process_goes_on_training() -> None:
    code = """
        import os, sys
        import numpy as np
        sys.path.insert(0, os.getcwd())
        import chainrule as cr
        from tests.test_epochs import X, Y, epoch, network
        cr.set_threads(2)
        step, model = network()
        epoch(step, (X, Y), np.arange(50), batch_size=8)
        reader, writer = os.pipe()
        child = os.fork()
        found = epoch(step, (X, Y), np.arange(50), batch_size=8).tobytes()
        if child == 0:
            os.write(writer, found)
            os._exit(0)
        _, status = os.waitpid(child, 0)
        assert status == 0, status
        assert os.read(reader, 10_000) == found
    """
    subprocess.run([sys.executable, "-W", "ignore", "-c", textwrap.dedent(code)], check=True, timeout=300)
