"""Programs on threads: right results for any number of them, quiet when idle, robust against forks and exits."""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
import threading
import time
from collections.abc import Sequence

import numpy as np
import pytest

from chainrule.compiler import pool
from chainrule.compiler.jit import Code, build
from chainrule.compiler.machine import architecture, host_target
from chainrule.compiler.pool import Launch, the_runner
from chainrule.compiler.runner import BARRIER, CALL, END, LOOP, runner_text
from chainrule.native.code import Module
from chainrule.native.target import LEVELS

THREADS = [1, 2, 3, 4, 8]
SIZE = 24  # divisible by every number of threads


def step_text(name: str, multiply: int, shift: int) -> str:
    """A kernel on integers: y[i] = x[(i + shift) % SIZE] * multiply + z[0] for its units i."""
    module = Module(name, host_target())
    with module.kernel() as f:
        x, y, z = f.pointer(0), f.pointer(1), f.pointer(2)
        with f.loop(f.begin, f.end) as loop:
            value = f.load_index(f.at(x, f.rem(f.add(loop.index, shift), SIZE), 8))
            value = f.add(f.mul(value, multiply), f.load_index(z))
            f.line(f"store {value}, {f.at(y, loop.index, 8)}, align 8")
    return module.text()


def slow_text(name: str) -> str:
    """A kernel that counts to its first argument, step by step, and then adds 1 to what the second points to."""
    module = Module(name, host_target())
    with module.kernel() as f:
        with f.loop(0, f.integer(0)):
            f.line('call void asm sideeffect "", ""()')
        f.line(f"store {f.add(f.load_index(f.pointer(1)), 1)}, {f.pointer(1)}, align 8")
    return module.text()


@pytest.fixture(scope="module")
def code() -> Code:
    texts = [step_text("forth", 3, 1), step_text("back", 5, SIZE - 1), slow_text("slow")]
    return build(texts, ["forth", "back", "slow"], host_target())


def address(array: np.ndarray) -> int:
    return array.ctypes.data


class Example:
    """x -> y by `forth` with a number from a list, y -> x by `back`; 3 times in each of 4 rounds, all twice."""

    def __init__(self, code: Code, threads: int) -> None:
        self.x, self.y = np.arange(SIZE), np.zeros(SIZE, np.int64)
        self.numbers = np.array([7, -2, 5, 11, 1, 0, 3, 8, 2, 6, 4, 9])
        self.arguments: list[np.ndarray] = []
        self.tables: list[np.ndarray] = []
        for thread in range(threads):
            begin, end = SIZE * thread // threads, SIZE * (thread + 1) // threads
            first = np.array([address(self.x), address(self.y), address(self.numbers)])
            second = np.array([address(self.y), address(self.x), address(self.numbers)])
            moving = [address(first) + 16, 8, address(second) + 16, 8]  # both go on to the next number
            inner = [CALL, code["forth"], address(first), begin, end, BARRIER]
            inner += [CALL, code["back"], address(second), begin, end, BARRIER]
            middle = [LOOP, 3, len(inner), 2, *moving, *inner]
            outer = [LOOP, 4, len(middle), 2, *(3 * 8 if n == 8 else n for n in moving), *middle]
            twice = [LOOP, 2, len(outer), 0, *outer]
            self.arguments += [first, second]
            self.tables.append(np.array([*twice, END]))
        self.launch = Launch([address(table) for table in self.tables])

    def expected(self, runs: int = 1) -> np.ndarray:
        x = np.arange(SIZE)
        for number in list(self.numbers) * 2 * runs:
            y = np.roll(x, -1) * 3 + number
            x = np.roll(y, 1) * 5 + number
        return x


@pytest.mark.parametrize("threads", THREADS)
def test_a_program_with_loops_and_barriers_gives_the_same_on_any_number_of_threads(code: Code, threads: int) -> None:
    example = Example(code, threads)
    arguments = [array.copy() for array in example.arguments]
    example.launch()
    np.testing.assert_array_equal(example.x, example.expected())
    for before, after in zip(arguments, example.arguments, strict=True):  # what was added was taken back
        np.testing.assert_array_equal(before, after)


def test_programs_on_few_and_on_many_threads_take_turns(code: Code) -> None:
    examples = [Example(code, threads) for threads in (2, 4, 1, 3)]
    for _ in range(50):
        for example in examples:
            example.launch()
    for example in examples:
        np.testing.assert_array_equal(example.x, example.expected(50))


def test_threads_that_have_gone_to_sleep_wake_up(code: Code) -> None:
    example = Example(code, 2)
    for turn in range(200):
        example.launch()
        threading.Event().wait(pool.PATIENCE * (turn % 20) / 10)  # around the moment when they give up
    np.testing.assert_array_equal(example.x, example.expected(200))


def test_a_loop_without_iterations_does_nothing(code: Code) -> None:
    value = np.zeros(1, np.int64)
    argument = np.array([1, address(value)])
    table = np.array([LOOP, 0, 5, 0, CALL, code["slow"], address(argument), 0, 1, END])
    Launch([address(table)])()
    assert value[0] == 0


def test_an_empty_program_is_a_program() -> None:
    tables = [np.array([END]) for _ in range(3)]
    for threads in (1, 3):
        Launch([address(table) for table in tables[:threads]])()


@pytest.mark.parametrize("count", [0, pool.MAX_THREADS + 1])
def test_a_program_without_or_with_too_many_threads_is_an_error(count: int) -> None:
    with pytest.raises(ValueError, match=f"not {count}"):
        Launch([0] * count)


def slow_program(code: Code, iterations: Sequence[int]) -> tuple[list[np.ndarray], list[np.ndarray], list[np.ndarray]]:
    """Threads that each count to a number, meet, and count again; with their arguments and what they count in."""
    values = [np.zeros(1, np.int64) for _ in iterations]
    arguments = [np.array([n, address(value)]) for n, value in zip(iterations, values, strict=True)]
    tables: list[np.ndarray] = []
    for argument in arguments:
        call = [CALL, code["slow"], address(argument), 0, 1]
        tables.append(np.array([*call, BARRIER, LOOP, 2, 5, 0, *call, END]))
    return tables, arguments, values


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_a_profile_says_how_long_each_call_and_barrier_took(code: Code, threads: int) -> None:
    million, few = 3_000_000, 1000
    tables, arguments, values = slow_program(code, [million, *[few] * (threads - 1)])
    counters = [np.zeros(len(table), np.int64) for table in tables]
    launch = Launch([address(table) for table in tables])
    started = time.perf_counter()
    launch.profiled([address(counter) for counter in counters])
    took = time.perf_counter() - started
    launch()
    assert [int(value[0]) for value in values] == [6] * threads
    assert len(arguments) == threads
    for counter in counters:
        assert list(np.flatnonzero(counter)) == [0, 5, 10]
    seconds = counters[0] / the_runner().ticks_per_second()
    assert 0 < seconds.sum() <= took * 1.01


def test_a_profile_needs_counters_for_every_thread() -> None:
    with pytest.raises(ValueError, match="2 threads"):
        Launch([0, 0]).profiled([0])


def test_the_clock_goes_as_fast_as_it_says() -> None:
    runner, errors = the_runner(), list[float]()
    for _ in range(5):  # between two readings of clocks, others may have the processor
        ticks, started = runner.ticks(), time.perf_counter()
        while time.perf_counter() < started + 0.02:
            pass
        passed, took = runner.ticks() - ticks, time.perf_counter() - started
        errors.append(abs(passed / runner.ticks_per_second() / took - 1))
    assert min(errors) < 0.05


def test_python_threads_may_run_programs_at_once(code: Code) -> None:
    examples = [Example(code, threads) for threads in (2, 1, 3, 2)]

    def work(example: Example) -> None:
        for _ in range(30):
            example.launch()

    threads = [threading.Thread(target=work, args=(example,)) for example in examples]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for example in examples:
        np.testing.assert_array_equal(example.x, example.expected(30))


def test_idle_threads_use_no_processor_time(code: Code) -> None:
    example = Example(code, 4)
    example.launch()
    threading.Event().wait(0.05)
    before = time.process_time()
    threading.Event().wait(1.0)
    assert time.process_time() - before < 0.02


@pytest.mark.parametrize("wait", [0.0, 0.02])
def test_threads_end_when_the_team_is_closed(code: Code, wait: float) -> None:
    before = set(threading.enumerate())
    team = pool.Team()
    tables = [np.array([END]) for _ in range(3)]
    request = np.array([team.address, 3, 0, *[address(table) for table in tables]])
    team.launch(address(request), 3)
    started = set(threading.enumerate()) - before
    threading.Event().wait(wait)
    team.close()
    assert len(started) == 2
    assert not any(thread.is_alive() for thread in started)
    team.launch(address(request), 3)  # as other code that runs at exit may do
    team.close()
    assert set(threading.enumerate()) == before


def test_a_program_that_does_not_end_does_not_keep_python_from_ending(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool, "PATIENCE_AT_EXIT", 0.0)
    team = pool.Team()
    with team.lock:
        thread = threading.Thread(target=team.close)
        thread.start()
        thread.join()


SCRIPT = """
import os, signal, sys, threading, time
sys.path.insert(0, {tests!r})
import test_pool
from chainrule.compiler.jit import build
from chainrule.compiler.machine import host_target
texts = [test_pool.step_text("forth", 3, 1), test_pool.step_text("back", 5, test_pool.SIZE - 1)]
code = build([*texts, test_pool.slow_text("slow")], ["forth", "back", "slow"], host_target())

def check(threads):
    example = test_pool.Example(code, threads)
    example.launch()
    assert (example.x == example.expected()).all()

"""


def run_script(body: str) -> subprocess.CompletedProcess[str]:
    script = SCRIPT.format(tests=os.path.dirname(__file__)) + body
    command = [sys.executable, "-W", "ignore::DeprecationWarning", "-c", script]  # forks with threads about
    return subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)


def assert_clean(done: subprocess.CompletedProcess[str], output: str = "") -> None:
    assert (done.returncode, done.stdout, done.stderr) == (0, output, "")


@pytest.mark.parametrize("wait", ["", "time.sleep(0.02)"])
def test_python_ends_cleanly_with_threads_awake_or_asleep(wait: str) -> None:
    assert_clean(run_script(f"check(3)\n{wait}\n"))


def test_python_ends_cleanly_while_a_daemon_thread_runs_programs() -> None:
    body = """
tables, arguments, values = test_pool.slow_program(code, [30_000_000, 1])
launch = test_pool.Launch([t.ctypes.data for t in tables])
threading.Thread(target=lambda: [launch() for _ in range(1000)], daemon=True).start()
time.sleep(0.05)
"""
    assert_clean(run_script(body))


FORK = """
def in_child(threads):
    child = os.fork()
    if child == 0:
        signal.alarm(20)
        check(threads)
        build([test_pool.step_text("other", 2, 2)], ["other"], host_target())
        os._exit(7)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
"""


def test_a_forked_child_has_threads_of_its_own() -> None:
    body = """
check(2)
assert in_child(3) == 7
check(4)
"""
    assert_clean(run_script(FORK + body))


def test_a_fork_during_a_program_and_while_code_is_made_does_not_block_the_child() -> None:
    body = """
tables, arguments, values = test_pool.slow_program(code, [3_000_000, 3_000_000])
launch = test_pool.Launch([t.ctypes.data for t in tables])
go_on = True
def run():
    while go_on:
        launch()
def compile():
    number = 0
    while go_on:
        number += 1
        build([test_pool.step_text("k", number, 1)] * 2, ["k"], host_target())
threads = [threading.Thread(target=run), threading.Thread(target=compile)]
for thread in threads:
    thread.start()
codes = [in_child(2) for _ in range(5)]
go_on = False
for thread in threads:
    thread.join()
assert codes == [7] * 5, codes
"""
    assert_clean(run_script(FORK + body))


def test_an_interrupt_comes_after_the_program_and_leaves_the_threads_usable() -> None:
    body = """
tables, arguments, values = test_pool.slow_program(code, [30_000_000, 30_000_000])
launch = test_pool.Launch([t.ctypes.data for t in tables])
launch()
time.sleep(0.01)  # so that the program has to wake its threads
signal.signal(signal.SIGALRM, signal.default_int_handler)
signal.setitimer(signal.ITIMER_REAL, 0.001)
try:
    launch()
    time.sleep(10)
except KeyboardInterrupt:
    print("interrupted", [int(value[0]) for value in values])
check(2)
"""
    assert_clean(run_script(body), "interrupted [6, 6]\n")


@pytest.mark.parametrize("kind", ["x86_64", "aarch64", "riscv64"])
def test_each_kind_of_processor_has_its_own_way_to_pause(kind: str) -> None:
    text = runner_text(LEVELS["x86-64-v2"], kind)
    assert ("sse2.pause" in text) == (kind == "x86_64")
    assert ("aarch64.isb" in text) == (kind == "aarch64")
    assert ("llvm.readsteadycounter" in text) == (kind == "aarch64")
    assert architecture() in ("x86_64", "aarch64") or "pause" not in text


def test_systems_differ_in_how_threads_give_way(monkeypatch: pytest.MonkeyPatch) -> None:
    class Kernel:
        SwitchToThread = ctypes.CFUNCTYPE(None)(11)
        Sleep = ctypes.CFUNCTYPE(None)(12)

    assert all(pool._waiting())
    monkeypatch.setattr(pool.sys, "platform", "win32")
    monkeypatch.setattr(pool.ctypes, "WinDLL", lambda _: Kernel, raising=False)
    assert pool._waiting() == (11, 12, 1)
